//! Asking other servers over HTTP: one request, one answer, and the connection ends. Over a network only with TLS, by the
//! certificates of the system; without it on this machine alone. No redirect is followed.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Method, Request, header},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::problem::AnyError;

/// How long an answer may take: a person waits for it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(8);
/// The largest answer that is read (bytes): more than any set of keys or description of a person has.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is none that may be asked.
    #[error("{0} is not an address with https, or with http on this machine")]
    Address(String),
    /// Nobody answers, or not in time.
    #[error("{0} does not answer")]
    Silent(String, #[source] AnyError),
    /// It answers that it will not.
    #[error("{host} answered {status}")]
    Refused {
        /// Who.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not JSON.
    #[error("{0} answered with something that is no JSON")]
    NotJson(String),
}

/// A request.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// How.
    pub method: Method,
    /// Where.
    pub url: &'a str,
    /// The `Authorization` header, if there is one.
    pub authorization: Option<String>,
    /// A form, if there is one.
    pub form: Option<String>,
}

impl<'a> Outgoing<'a> {
    /// A plain `GET`.
    #[must_use]
    pub fn get(url: &'a str) -> Outgoing<'a> {
        Outgoing {
            method: Method::GET,
            url,
            authorization: None,
            form: None,
        }
    }
}

/// Whether an address may be asked at all.
#[must_use]
pub fn may_be_asked(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.has_host() || is_here(&url))
}

fn is_here(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && is_loopback
}

/// Asks, and reads the answer as JSON.
///
/// # Errors
/// See [`HttpError`].
pub async fn ask(outgoing: Outgoing<'_>) -> Result<Value, HttpError> {
    let url = Url::parse(outgoing.url).map_err(|_| HttpError::Address(outgoing.url.to_owned()))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(HttpError::Address(outgoing.url.to_owned()));
    };
    if !may_be_asked(outgoing.url) {
        return Err(HttpError::Address(outgoing.url.to_owned()));
    }
    let host = host.to_owned();
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, exchange(&url, &host, port, outgoing)).await;
    let (status, bytes) = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(HttpError::Silent(host, error)),
        Err(elapsed) => return Err(HttpError::Silent(host, elapsed.into())),
    };
    if !(200..300).contains(&status) {
        return Err(HttpError::Refused { host, status });
    }
    serde_json::from_slice(&bytes).map_err(|_| HttpError::NotJson(host))
}

async fn exchange(url: &Url, host: &str, port: u16, outgoing: Outgoing<'_>) -> Result<(u16, Bytes), AnyError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await?;
    stream.set_nodelay(true)?;
    if url.scheme() == "http" {
        return send(stream, url, host, outgoing).await;
    }
    let name = ServerName::try_from(bare.to_owned())?;
    let stream = TlsConnector::from(tls()?).connect(name, stream).await?;
    send(stream, url, host, outgoing).await
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
    host: &str,
    outgoing: Outgoing<'_>,
) -> Result<(u16, Bytes), AnyError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut request = Request::builder()
        .method(outgoing.method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("nexus-mint/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    if let Some(value) = outgoing.authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    if outgoing.form.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let request = request.body(Body::from(outgoing.form.unwrap_or_default()))?;
    // Ends with this, whatever becomes of it.
    let mut carrying = JoinSet::new();
    carrying.spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let bytes = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await?;
    Ok((status, bytes))
}

fn tls() -> Result<Arc<ClientConfig>, AnyError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system has no certificate authorities".into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_this_machine_alone_is_asked() {
        for fits in [
            "https://accounts.example",
            "http://localhost:1",
            "http://127.0.0.1",
            "http://[::1]:8/x",
        ] {
            assert!(may_be_asked(fits), "{fits}");
        }
        for wrong in [
            "http://accounts.example",
            "http://localhost.example",
            "file:///etc/passwd",
            "ftp://127.0.0.1",
            "x",
        ] {
            assert!(!may_be_asked(wrong), "{wrong}");
        }
    }
}
