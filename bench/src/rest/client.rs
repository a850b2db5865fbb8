//! Clients that ask a server over kept connections, as fast as it answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nexus_mint::problem::AnyError;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::Case;

/// How many, how many a second, and how long the slowest hundredth took at least (us).
pub(super) struct Rate {
    pub(super) count: u32,
    pub(super) each_second: f64,
    pub(super) p99_us: u32,
}

/// Asks by so many clients at once until the time is over.
pub(super) async fn ask(address: &str, case: &Case, clients: usize, time: Duration) -> Result<Rate, AnyError> {
    let (address, case) = (address.to_owned(), *case);
    // A thread of their own, so that one client's answer wakes nobody else: what asking costs is not the engine's.
    let (mut all, took) = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(together(address, case, clients, time))
    })
    .await??;
    all.sort_unstable();
    let count = u32::try_from(all.len())?;
    Ok(Rate {
        count,
        each_second: f64::from(count) / took.as_secs_f64(),
        p99_us: all.get(all.len() * 99 / 100).copied().unwrap_or_default(),
    })
}

async fn together(
    address: String,
    case: Case,
    clients: usize,
    time: Duration,
) -> Result<(Vec<u32>, Duration), AnyError> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    for _ in 0..clients {
        running.spawn(one(address.clone(), case, stop.clone()));
    }
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    while let Some(times) = running.join_next().await {
        all.extend(times??);
    }
    Ok((all, took))
}

async fn one(address: String, case: Case, stop: Arc<AtomicBool>) -> Result<Vec<u32>, AnyError> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let Case { method, path, body, .. } = case;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut took = Vec::new();
    let mut answer = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        let mut whole = None;
        while whole.is_none_or(|whole| answer.len() < whole) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if whole.is_none() {
                whole = length(&answer)?;
            }
        }
        took.push(u32::try_from(begun.elapsed().as_micros())?);
    }
    Ok(took)
}

/// How long the answer is, once its head is there.
pub(crate) fn length(answer: &[u8]) -> Result<Option<usize>, AnyError> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (text, _) = answer.split_at(head);
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    if !text.starts_with("http/1.1 2") {
        return Err(format!("the server answered {}", String::from_utf8_lossy(answer)).into());
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok(Some(head + 4 + length.map_or(Ok(0), str::parse::<usize>)?))
}
