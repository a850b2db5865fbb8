//! Requests and answers as axum has them.

use std::convert::Infallible;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use pgrest::{error::Refusal, response::Reply};

use super::engine::{Asked, Timings};

/// The largest body: enough for a bulk insert of tens of thousands of rows, and small beside a server's memory.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest query string.
const QUERY_BYTES_MAX: usize = 64 * 1024;

/// The request below `prefix`, with its body read.
///
/// # Errors
/// When it is larger than the server takes.
pub async fn asked(parts: &Parts, body: Body, prefix: &str) -> Result<Asked, Refusal> {
    let path = parts.uri.path();
    let path = path.strip_prefix(prefix).unwrap_or(path);
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if query.len() > QUERY_BYTES_MAX {
        let text = format!("The query string is longer than {QUERY_BYTES_MAX} bytes");
        return Err(Refusal::TooLarge(text));
    }
    let body = match parts.method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => Bytes::new(),
        _ => to_bytes(body, BODY_BYTES_MAX)
            .await
            .map_err(|_| Refusal::TooLarge(format!("The body is larger than {BODY_BYTES_MAX} bytes")))?,
    };
    Ok(Asked {
        method: parts.method.to_string(),
        path,
        query,
        headers: texts(&parts.headers),
        body,
    })
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

/// The answer. A header that HTTP cannot carry is left out.
#[must_use]
pub fn response(reply: Reply, is_head: bool) -> Response {
    // A HEAD is answered without saying how long the body would have been: nobody has made it.
    let body = if is_head {
        Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())
    } else {
        Body::from(reply.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
    // A status that has no words of its own is sent without any.
    let reason = match (reply.status_text, response.status().canonical_reason()) {
        (Some(text), _) => Some(text),
        (None, None) => Some(String::new()),
        (None, Some(_)) => None,
    };
    if let Some(reason) = reason
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason.into_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    response
}

/// `Server-Timing`.
#[must_use]
pub fn server_timing(jwt: std::time::Duration, timings: Timings) -> String {
    let parts = [
        ("jwt", Some(jwt)),
        ("parse", Some(timings.parse)),
        ("plan", timings.plan),
        ("transaction", timings.transaction),
        ("response", Some(timings.response)),
    ];
    let shown: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, took)| Some(format!("{name};dur={:.1}", took?.as_secs_f64() * 1000.0)))
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_words_is_sent_without_any() {
        let reason = |status, text: Option<&str>| {
            let reply = Reply {
                status,
                status_text: text.map(str::to_owned),
                ..Reply::default()
            };
            let response = response(reply, false);
            let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
            reason.map(|reason| reason.as_bytes().to_vec())
        };
        assert_eq!(reason(404, None), None, "hyper has its own");
        assert_eq!(reason(404, Some("Gone fishing")), Some(b"Gone fishing".to_vec()));
        assert_eq!(reason(332, None), Some(Vec::new()));
    }
}
