//! `overload`: purchases of one house over HTTP at a fixed rate, whether or not others were answered, beyond what can be done.
//! What is answered 200 within the time is good; 503 with `Retry-After` is refused and is not.
//!
//! Server and load are one process on the same cores, so that more load also leaves less for the server.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nexus_mint::{app::App, attach::Postgres, db::Db, problem::AnyError};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use super::{
    http::{self, answer, request},
    load::Pace,
    world::{self, World},
};
use crate::{cluster, measure::number};

/// Purchases at once while the peak is looked for.
const AT_PEAK: [usize; 2] = [256, 1_024];

/// Measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let plan = Plan {
        time: Duration::from_millis(number(arguments, "--milliseconds", 20_000)?),
        buyers: number(arguments, "--buyers", 100_000)?,
        connections: usize::try_from(number(arguments, "--connections", 9_000)?)?,
    };
    cluster::with_cluster(async |postgres: &Postgres, db: &Db| measure(postgres, db, &plan).await)
}

struct Plan {
    time: Duration,
    buyers: u64,
    /// More than may wait in the server; each is two open files of this process.
    connections: usize,
}

#[derive(Default)]
struct Tally {
    good: AtomicU32,
    refused: AtomicU32,
    failed: AtomicU32,
    times_us: Mutex<Vec<u32>>,
}

async fn measure(postgres: &Postgres, db: &Db, plan: &Plan) -> Result<(), AnyError> {
    let app = world::program(db)?;
    let client = postgres.admin().connect().await?;
    let world = Arc::new(World::make(&client, 1, plan.buyers, 1).await?);
    let server = http::Server::start(app.clone()).await?;
    let mut peak: f64 = 0.0;
    // The first is for caches and statements.
    for in_flight in [AT_PEAK, AT_PEAK].concat() {
        let pace = Pace {
            in_flight,
            time: plan.time / 5,
            each_second: None,
        };
        let found = server.buy(&app, &world, pace).await?.each_second();
        println!("{in_flight} in flight: {found:.0} a second");
        peak = peak.max(found);
    }
    println!("offered  a second   good  of peak  refused  failed  unsent  p50 ms  p99 ms");
    let streams = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..plan.connections {
        let stream = TcpStream::connect(server.address()).await?;
        stream.set_nodelay(true)?;
        lock(&streams).push(stream);
    }
    for times in [1_u32, 2, 4] {
        let each_second = peak * f64::from(times);
        let (tally, unsent) = offer(&app, &world, &streams, each_second, plan.time).await?;
        let good = f64::from(tally.good.load(Ordering::Relaxed)) / plan.time.as_secs_f64();
        let mut times_us = std::mem::take(&mut *lock(&tally.times_us));
        times_us.sort_unstable();
        let part =
            |percent: usize| f64::from(times_us.get(times_us.len() * percent / 100).copied().unwrap_or(0)) / 1_000.0;
        println!(
            "{times:>6}x  {each_second:>8.0}  {good:>5.0}  {:>7.2}  {:>7}  {:>6}  {unsent:>6}  {:>6.0}  {:>6.0}",
            good / peak,
            tally.refused.load(Ordering::Relaxed),
            tally.failed.load(Ordering::Relaxed),
            part(50),
            part(99),
        );
        while app.purchases.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Offers so many purchases a second; answers with what came of them in time, and how many found no connection.
async fn offer(
    app: &App,
    world: &Arc<World>,
    streams: &Arc<Mutex<Vec<TcpStream>>>,
    each_second: f64,
    time: Duration,
) -> Result<(Arc<Tally>, u32), AnyError> {
    let tally = Arc::new(Tally::default());
    let gap = Duration::from_secs_f64(1.0 / each_second);
    let mut at_work = JoinSet::new();
    let (mut unsent, mut number) = (0, 0);
    let begun = Instant::now();
    loop {
        let due = begun + gap * number;
        if due - begun >= time {
            break;
        }
        number += 1;
        tokio::time::sleep_until(due.into()).await;
        let Some(mut stream) = lock(streams).pop() else {
            unsent += 1;
            continue;
        };
        let (app, world, tally, streams) = (app.clone(), world.clone(), tally.clone(), streams.clone());
        at_work.spawn(async move {
            let asked = async {
                stream.write_all(request(&app, &world)?.as_bytes()).await?;
                answer(&mut stream).await
            };
            match asked.await {
                Ok((200, _)) => {
                    if begun.elapsed() <= time {
                        tally.good.fetch_add(1, Ordering::Relaxed);
                    }
                    lock(&tally.times_us).push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
                Ok((503, true)) => {
                    tally.refused.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) | Err(_) => {
                    tally.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            lock(&streams).push(stream);
        });
    }
    while let Some(ended) = at_work.join_next().await {
        ended?;
    }
    Ok((tally, unsent))
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
