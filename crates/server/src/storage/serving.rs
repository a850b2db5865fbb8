//! An object as a response. What somebody uploaded never runs as this site: it says what it is and nothing else
//! (`nosniff`), HTML is shown as text, and what a browser could run in a page of its own is put into a sandbox.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    conditions::{self, Part},
    refusal::Refusal,
    rows::Object,
};
use crate::{
    app::App,
    files::{kind, sealed::Digest},
};

/// Signs of a file name that a parameter of a header may have as they are (RFC 5987).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// Families that a browser only shows.
const SHOWN: &[&str] = &["image/", "video/", "audio/", "application/pdf", "text/plain"];

/// What a read asks for.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    /// GET, or HEAD for the headers alone.
    pub(super) method: &'a Method,
    /// The request's headers.
    pub(super) headers: &'a HeaderMap,
    /// `?download`: the name to save it under; an empty one leaves that to the client.
    pub(super) download: Option<&'a str>,
    /// Until when the link holds that led here.
    pub(super) expires: Option<String>,
}

/// Serves an object, or what the client has not of it.
pub(super) async fn serve(app: &App, object: &Object, reading: Reading<'_>) -> Result<Response, Refusal> {
    let digest = object.sha256().ok_or(Refusal::NoObject)?;
    let (size, etag, changed_at) = (object.size(), object.etag(), object.updated_at);
    let mut response = Response::new(Body::empty());
    describe(&mut response, object, &reading);
    if conditions::is_another(reading.headers, etag, changed_at) {
        return Err(Refusal::Changed);
    }
    if conditions::is_unchanged(reading.headers, etag, changed_at) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let range = match conditions::part(reading.headers, size, etag, changed_at) {
        Part::Whole => 0..size,
        Part::Of(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let told = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
            set(&mut response, header::CONTENT_RANGE, &told);
            range
        }
        Part::Nothing => return Err(Refusal::Range(size)),
    };
    set(
        &mut response,
        header::CONTENT_LENGTH,
        &(range.end - range.start).to_string(),
    );
    if reading.method != Method::HEAD {
        *response.body_mut() = body(app, object, digest, range).await?;
    }
    Ok(response)
}

/// Some bytes of an object: of a public one from memory, if it is asked for often; otherwise from its file, of which the
/// beginning is read before the answer begins.
async fn body(app: &App, object: &Object, digest: Digest, range: Range<u64>) -> Result<Body, Refusal> {
    if object.is_public
        && let Some(bytes) = app.files.of_public(digest, object.size()).await?
    {
        let place = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
        return Ok(Body::from(bytes.slice(place(range.start)..place(range.end))));
    }
    let (first, rest) = app.files.begin_to_read(digest, range).await?;
    Ok(match rest {
        None => Body::from(first),
        Some(rest) => Body::from_stream(stream::iter([Ok(first)]).chain(rest)),
    })
}

/// The headers that say what an object is and how a browser is to show it.
pub(super) fn describe(response: &mut Response, object: &Object, reading: &Reading<'_>) {
    let told = object.mime_type();
    let essence = kind::essence(told);
    let is_page = essence == "text/html" || essence == "application/xhtml+xml";
    set(
        response,
        header::CONTENT_TYPE,
        if is_page { "text/plain; charset=utf-8" } else { told },
    );
    set(response, header::ETAG, object.etag());
    set(
        response,
        header::LAST_MODIFIED,
        &conditions::http_date(object.updated_at),
    );
    set(response, header::CACHE_CONTROL, object.cache_control());
    set(response, header::ACCEPT_RANGES, "bytes");
    set(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(response, HeaderName::from_static("x-robots-tag"), "none");
    let is_shown = SHOWN.iter().any(|family| essence.starts_with(family)) && !essence.ends_with("+xml");
    if !is_shown && !is_page {
        set(
            response,
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        );
    } else {
        set(
            response,
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        );
    }
    if let Some(name) = reading.download {
        set(response, header::CONTENT_DISPOSITION, &disposition(name));
    }
    if let Some(expires) = &reading.expires {
        set(response, header::EXPIRES, expires);
    }
}

/// `attachment`, with the name in both forms that clients read.
fn disposition(name: &str) -> String {
    if name.is_empty() {
        return "attachment;".to_owned();
    }
    let encoded = utf8_percent_encode(name, PLAIN);
    let is_token = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte));
    let plain = if is_token { name.to_owned() } else { quoted(name) };
    format!("attachment; filename={plain}; filename*=UTF-8''{encoded}")
}

/// In quotes, for clients that read nothing else: what they might misread is a `_`.
fn quoted(name: &str) -> String {
    let plain = |sign: char| {
        if matches!(sign, ' '..='~') && !matches!(sign, '"' | '\\') {
            sign
        } else {
            '_'
        }
    };
    format!("\"{}\"", name.chars().map(plain).collect::<String>())
}

/// What is no header is left out: rows may hold anything.
pub(super) fn set(response: &mut Response, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_parameter() {
        for (name, told) in [
            ("", "attachment;"),
            ("a.pdf", "attachment; filename=a.pdf; filename*=UTF-8''a.pdf"),
            (
                "a b;c.pdf",
                "attachment; filename=\"a b;c.pdf\"; filename*=UTF-8''a%20b%3Bc.pdf",
            ),
            (
                "é\"\r\nx: y",
                "attachment; filename=\"____x: y\"; filename*=UTF-8''%C3%A9%22%0D%0Ax%3A%20y",
            ),
        ] {
            assert_eq!(disposition(name), told);
            assert!(HeaderValue::from_str(told).is_ok());
        }
    }
}
