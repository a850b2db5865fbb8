//! A client that sends and takes bytes and looks at none of them: as little as there can be beside what is measured.

use std::time::{Duration, Instant};

use nexus_mint::problem::AnyError;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What came of asking for some time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    bytes: f64,
    seconds: f64,
}

impl Tally {
    pub(super) fn megabytes_a_second(self) -> f64 {
        self.bytes / self.seconds / 1e6
    }
}

/// One connection, kept.
pub(super) struct Connection {
    stream: TcpStream,
    key: Option<String>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(port: u16, key: Option<&str>) -> Result<Connection, AnyError> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            key: key.map(str::to_owned),
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Asks, and reads the answer to its end: bytes of its body. An error where it is none that was wanted.
    pub(super) async fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<usize, AnyError> {
        let key = self
            .key
            .as_ref()
            .map(|key| format!("authorization: Bearer {key}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\n{key}x-upsert: true\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await?;
        let mut filled = 0;
        let (head_end, length) = loop {
            let read = self
                .stream
                .read(self.buffer.get_mut(filled..).unwrap_or_default())
                .await?;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            filled += read;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if let Some(end) = seen.windows(4).position(|signs| signs == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(seen.get(..end).unwrap_or_default()).to_ascii_lowercase();
                let is_wanted = head
                    .split(' ')
                    .nth(1)
                    .is_some_and(|status| status.starts_with('2') || path == "/health");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
                if !is_wanted {
                    let body = String::from_utf8_lossy(seen.get(end..).unwrap_or_default()).into_owned();
                    return Err(format!("{method} {path}: {head} {body}").into());
                }
                break (end + 4, length);
            }
        };
        let mut missing = length.saturating_sub(filled - head_end);
        while missing > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            missing = missing.saturating_sub(read);
        }
        Ok(length)
    }
}

/// So many clients ask, each again and again, for some time; the bytes that they sent or took.
pub(super) async fn rate(
    port: u16,
    key: Option<&str>,
    method: &'static str,
    path: String,
    body: Option<Vec<u8>>,
    clients: usize,
    time: Duration,
) -> Result<Tally, AnyError> {
    let body = std::sync::Arc::new(body.unwrap_or_default());
    let begun = Instant::now();
    let mut asking = Vec::new();
    for client in 0..clients {
        let mut connection = Connection::open(port, key).await?;
        let path = if method == "GET" {
            path.clone()
        } else {
            format!("{path}-{client}")
        };
        let body = body.clone();
        asking.push(tokio::spawn(async move {
            let mut bytes = 0;
            while begun.elapsed() < time {
                bytes += connection
                    .ask(method, &path, &body)
                    .await
                    .map_err(|error| error.to_string())?;
                bytes += body.len();
            }
            Ok::<usize, String>(bytes)
        }));
    }
    let mut tally = Tally::default();
    for asked in asking {
        let bytes = u32::try_from(asked.await?? / 1000)?;
        tally.bytes += f64::from(bytes) * 1000.0;
    }
    tally.seconds = begun.elapsed().as_secs_f64();
    Ok(tally)
}
