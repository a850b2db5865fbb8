//! One request a connection, so that a server that dies takes one answer with it.

use std::time::Duration;

use nexus_mint::problem::AnyError;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longer than the program itself gives a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a POST; answers with status and body.
pub(super) async fn post(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, Value), AnyError> {
    let mut request = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += body;
    ask(address, &request).await
}

/// Whether the server says that it is ready.
pub(super) async fn is_ready(address: &str) -> bool {
    let request = format!("GET /ready HTTP/1.0\r\nHost: {address}\r\n\r\n");
    matches!(ask(address, &request).await, Ok((200, _)))
}

async fn ask(address: &str, request: &str) -> Result<(u16, Value), AnyError> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await??;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer that was cut off")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    if let Some(length) = length
        && length.parse::<usize>()? != body.len()
    {
        return Err("an answer that was cut off".into());
    }
    let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}
