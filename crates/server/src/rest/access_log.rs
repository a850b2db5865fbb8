//! A line for each request of the engine alone, as Apache's "combined" format has it and PostgREST writes it.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use axum::{
    body::HttpBody as _,
    extract::connect_info::{ConnectInfo, Connected},
    http::{header, request::Parts},
    response::Response,
    serve::{IncomingStream, Listener},
};
use chrono::{DateTime, Utc};

use crate::request_line::Lenient;

/// Who is at the other end; nobody can tell of a socket in the file system.
#[derive(Debug, Clone, Copy)]
pub struct Caller(Option<IpAddr>);

/// An address that may have an IP.
pub trait Address {
    /// It.
    fn ip(&self) -> Option<IpAddr>;
}

impl Address for SocketAddr {
    fn ip(&self) -> Option<IpAddr> {
        Some(SocketAddr::ip(self).to_canonical())
    }
}

impl Address for tokio::net::unix::SocketAddr {
    fn ip(&self) -> Option<IpAddr> {
        None
    }
}

impl<L: Listener> Connected<IncomingStream<'_, Lenient<L>>> for Caller
where
    L::Addr: Address,
{
    fn connect_info(stream: IncomingStream<'_, Lenient<L>>) -> Caller {
        Caller(stream.remote_addr().ip())
    }
}

/// Writes the line of a request to stdout. Whoever read it may have gone.
pub(super) fn write(parts: &Parts, role: Option<&str>, response: &Response) {
    let line = line(parts, role, response, Utc::now());
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

fn line(parts: &Parts, role: Option<&str>, response: &Response, now: DateTime<Utc>) -> String {
    let caller = parts.extensions.get::<ConnectInfo<Caller>>();
    let caller = caller.and_then(|ConnectInfo(caller)| caller.0);
    let caller = caller.map_or("-".to_owned(), |ip| ip.to_string());
    let role = role.map_or("-".to_owned(), shown);
    let header = |name| {
        let value = parts.headers.get(name);
        value.map_or(String::new(), |value| shown(&String::from_utf8_lossy(value.as_bytes())))
    };
    let size = response.body().size_hint().exact();
    let size = size.map_or("-".to_owned(), |bytes| bytes.to_string());
    format!(
        "{caller} - {role} [{}] \"{} {} {:?}\" {} {size} \"{}\" \"{}\"\n",
        now.format("%d/%b/%Y:%H:%M:%S %z"),
        parts.method,
        // A sign that HTTP lets through could end the field.
        shown(&parts.uri.to_string()),
        parts.version,
        response.status().as_u16(),
        header(header::REFERER),
        header(header::USER_AGENT),
    )
}

/// As Apache has it: nothing that could end a field or a line.
fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let is_escaped = letter == '"' || letter == '\\';
            let letter = if letter.is_control() { '?' } else { letter };
            [is_escaped.then_some('\\'), Some(letter)].into_iter().flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn a_line_has_what_apache_has() {
        let request = Request::get("/items?id=eq.1")
            .header("user-agent", "cur\"l\\\t")
            .extension(ConnectInfo(Caller(Some([127, 0, 0, 1].into()))));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let response = Response::builder().status(404).body(Body::from("[]")).unwrap();
        let now = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
        assert_eq!(
            line(&parts, Some("web_anon"), &response, now),
            "127.0.0.1 - web_anon [02/Jan/2026:03:04:05 +0000] \"GET /items?id=eq.1 HTTP/1.1\" 404 2 \"\" \"cur\\\"l\\\\?\"\n"
        );
        let (parts, ()) = Request::get("/a\"b").body(()).unwrap().into_parts();
        assert!(line(&parts, None, &response, now).contains("\"GET /a\\\"b HTTP/1.1\" 404"));
        let (parts, ()) = Request::post("/").body(()).unwrap().into_parts();
        assert_eq!(
            line(&parts, None, &response, now),
            "- - - [02/Jan/2026:03:04:05 +0000] \"POST / HTTP/1.1\" 404 2 \"\" \"\"\n"
        );
    }
}
