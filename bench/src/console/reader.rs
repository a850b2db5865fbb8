//! Readers who ask for a page over kept connections, as fast as they are answered.

use std::time::{Duration, Instant};

use nexus_mint::problem::AnyError;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// How many a second; half took at most p50, and the slowest hundredth at least p99 (us).
pub(super) struct Rate {
    pub(super) each_second: f64,
    pub(super) p50_us: u32,
    pub(super) p99_us: u32,
}

/// Who asks for which page.
#[derive(Clone)]
pub(super) struct Reader {
    address: String,
    /// Path and query.
    pub(super) place: String,
    request: String,
}

impl Reader {
    pub(super) fn new(address: &str, place: &str, cookie: Option<&str>) -> Reader {
        let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        Reader {
            address: address.to_owned(),
            place: place.to_owned(),
            request: format!("GET {place} HTTP/1.1\r\nHost: bench\r\nAccept: text/html\r\n{cookie}\r\n"),
        }
    }

    /// The page once, with its head.
    pub(super) async fn page(&self) -> Result<String, AnyError> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut answer = Vec::new();
        self.once(&mut stream, &mut answer).await?;
        Ok(String::from_utf8(answer)?)
    }

    /// So many ask until the time is over.
    pub(super) async fn ask(&self, readers: usize, time: Duration) -> Result<Rate, AnyError> {
        let (reader, begun) = (self.clone(), Instant::now());
        // A thread of their own, so that one reader's answer wakes nobody else.
        let mut all = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(reader.together(readers, begun + time))
        })
        .await??;
        let took = begun.elapsed();
        all.sort_unstable();
        let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or_default();
        Ok(Rate {
            each_second: f64::from(u32::try_from(all.len())?) / took.as_secs_f64(),
            p50_us: at(50),
            p99_us: at(99),
        })
    }

    async fn together(&self, readers: usize, until: Instant) -> Result<Vec<u32>, AnyError> {
        let mut running = JoinSet::new();
        for _ in 0..readers {
            running.spawn(self.clone().until(until));
        }
        let mut all = Vec::new();
        while let Some(times) = running.join_next().await {
            all.extend(times??);
        }
        Ok(all)
    }

    async fn until(self, until: Instant) -> Result<Vec<u32>, AnyError> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (mut took, mut answer) = (Vec::new(), Vec::new());
        while Instant::now() < until {
            let begun = Instant::now();
            self.once(&mut stream, &mut answer).await?;
            took.push(u32::try_from(begun.elapsed().as_micros())?);
        }
        Ok(took)
    }

    async fn once(&self, stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), AnyError> {
        stream.write_all(self.request.as_bytes()).await?;
        answer.clear();
        let mut whole = None;
        while whole.is_none_or(|whole| answer.len() < whole) {
            if stream.read_buf(answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if whole.is_none() {
                whole = crate::rest::client::length(answer)?;
            }
        }
        Ok(())
    }
}
