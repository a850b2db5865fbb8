//! Text to value, one function a kind of setting. An error completes the sentence "expected ...".

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use axum::http::Uri;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::secret::Secret;

pub(super) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 54321);

/// HMAC with a key shorter than its hash is weaker than the hash.
const JWT_SECRET_BYTES_MIN: usize = 32;

/// An http(s) URL to which paths are appended: it never ends in a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads a URL with a host and without query.
    ///
    /// # Errors
    /// A sentence that completes "expected ...".
    pub fn parse(text: &str) -> Result<BaseUrl, String> {
        let wrong = || "a URL such as https://mint.example".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        match (uri.scheme_str(), uri.host(), uri.query()) {
            (Some("http" | "https"), Some(host), None) if !host.is_empty() => {
                Ok(BaseUrl(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(wrong()),
        }
    }

    /// The URL of a server that listens at `bound`; "any address" is reached through loopback.
    #[must_use]
    pub fn of_address(bound: SocketAddr) -> BaseUrl {
        let ip = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        BaseUrl(format!("http://{}", SocketAddr::new(ip, bound.port())))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an IP address and a port such as 127.0.0.1:54321 or [::]:54321".to_owned())
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|error| format!("a path ({error})"))
}

pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect())
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err("names separated by commas".to_owned());
    }
    Ok(names)
}

pub(super) fn rows(text: &str) -> Result<i64, String> {
    let rows = text.parse().ok().filter(|rows| *rows > 0);
    rows.ok_or_else(|| "a number of rows, at least 1".to_owned())
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

pub(super) fn jwt_secret(text: &str) -> Result<Secret, String> {
    if text.len() < JWT_SECRET_BYTES_MIN {
        return Err(format!(
            "at least {JWT_SECRET_BYTES_MIN} characters, and not {}",
            text.len()
        ));
    }
    Ok(Secret::new(text))
}

pub(super) fn key_of_32_bytes(text: &str) -> Result<Secret, String> {
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() == 32 => Ok(Secret::new(text)),
        Ok(_) | Err(_) => Err("32 bytes in base64, such as `openssl rand -base64 32` gives".to_owned()),
    }
}

pub(super) fn keys_of_32_bytes(text: &str) -> Result<Vec<Secret>, String> {
    list(text)?.iter().map(|item| key_of_32_bytes(item)).collect()
}

pub(super) fn smtp_url(text: &str) -> Result<Secret, String> {
    let wrong = || "a URL such as smtp://user:password@host:587 or smtps://...".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("smtp" | "smtps"), Some(host)) if !host.is_empty() => Ok(Secret::new(text)),
        _ => Err(wrong()),
    }
}

pub(super) fn mail_from(text: &str) -> Result<String, String> {
    let fits = text.parse::<lettre::message::Mailbox>().is_ok() && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| "an address such as mint@example.com or Mint <mint@example.com>".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= 86_400);
    seconds.ok_or_else(|| "a number of seconds, at most 86400".to_owned())
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse().ok().filter(|bytes| (1..=1 << 40).contains(bytes));
    bytes.ok_or_else(|| "a number of bytes, at least 1 and at most 1099511627776".to_owned())
}

pub(super) fn score(text: &str) -> Result<u8, String> {
    let score = text.parse().ok().filter(|score| *score <= 4);
    score.ok_or_else(|| "a number from 0 to 4".to_owned())
}

pub(super) fn function_name(text: &str) -> Result<String, String> {
    let part = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let fits = text
        .split_once('.')
        .is_some_and(|(schema, name)| part(schema) && part(name));
    fits.then(|| text.to_owned())
        .ok_or_else(|| "a function as schema.name, in letters, digits and _".to_owned())
}

pub(super) fn header_name(text: &str) -> Result<String, String> {
    let name = axum::http::HeaderName::try_from(text);
    name.map(|name| name.as_str().to_owned())
        .map_err(|_| "the name of a header such as x-forwarded-for".to_owned())
}

pub(super) fn log_targets(text: &str) -> Result<Targets, String> {
    text.parse()
        .map_err(|_| "error, warn, info, debug or trace, or module=level pairs".to_owned())
}

pub(super) fn default_log_targets() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// A value of the settings file as the text that a flag would have.
pub(super) fn toml_text(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Boolean(value) => Ok(value.to_string()),
        toml::Value::Integer(value) => Ok(value.to_string()),
        toml::Value::Array(items) => Ok(items.iter().map(toml_text).collect::<Result<Vec<_>, _>>()?.join(",")),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
            Err("a string, a number, true or false, or a list of strings".to_owned())
        }
    }
}
