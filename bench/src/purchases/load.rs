//! Load: so many at once, or so many a second.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nexus_mint::problem::{AnyError, Problem};
use tokio::task::JoinSet;

/// When a buyer asks again who was told to: what the server says in `Retry-After`. His time counts from when he first asked.
const COMES_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How much, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Buyers at once, each of whom buys again when he has his answer.
    pub(super) in_flight: usize,
    /// For how long they begin purchases.
    pub(super) time: Duration,
    /// In place of that: purchases a second, whether or not others are done. A purchase's time then counts from when it
    /// should have begun.
    pub(super) each_second: Option<u64>,
}

/// What came of it.
pub(super) struct Taken {
    times_us: Vec<u32>,
    all: Duration,
}

impl Taken {
    pub(super) fn of(mut times_us: Vec<u32>, all: Duration) -> Taken {
        times_us.sort_unstable();
        Taken { times_us, all }
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.times_us.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn each_second(&self) -> f64 {
        f64::from(self.count()) / self.all.as_secs_f64()
    }

    /// The time within which so many percent were done.
    pub(super) fn part_ms(&self, percent: usize) -> f64 {
        let at = self.times_us.len() * percent / 100;
        f64::from(self.times_us.get(at).copied().unwrap_or_default()) / 1_000.0
    }
}

/// Buys: `act` is called with the number of the buyer.
pub(super) async fn run<F, A>(pace: Pace, act: A) -> Result<Taken, AnyError>
where
    A: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    match pace.each_second {
        None => closed(pace, act).await,
        Some(each_second) => open(pace.time, each_second, act).await,
    }
}

async fn closed<F, A>(pace: Pace, act: A) -> Result<Taken, AnyError>
where
    A: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let mut running: JoinSet<Result<Vec<u32>, AnyError>> = JoinSet::new();
    let begun = Instant::now();
    for buyer in 0..pace.in_flight {
        let (stop, act) = (stop.clone(), act.clone());
        running.spawn(async move {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                until_taken(act.clone(), buyer).await?;
                times.push(u32::try_from(begun.elapsed().as_micros())?);
            }
            Ok(times)
        });
    }
    tokio::time::sleep(pace.time).await;
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    while let Some(one) = running.join_next().await {
        times.extend(one??);
    }
    Ok(Taken::of(times, begun.elapsed()))
}

async fn open<F, A>(time: Duration, each_second: u64, act: A) -> Result<Taken, AnyError>
where
    A: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    let mut running: JoinSet<Result<u32, AnyError>> = JoinSet::new();
    let begun = Instant::now();
    let count = u32::try_from(u128::from(each_second) * time.as_millis() / 1_000)?;
    let gap = Duration::from_secs_f64(1.0 / f64::from(u32::try_from(each_second)?));
    for number in 0..count {
        let due = begun + gap * number;
        tokio::time::sleep_until(due.into()).await;
        let act = act.clone();
        running.spawn(async move {
            until_taken(act, usize::try_from(number)?).await?;
            Ok(u32::try_from(due.elapsed().as_micros())?)
        });
    }
    let mut times = Vec::new();
    while let Some(one) = running.join_next().await {
        times.push(one??);
    }
    Ok(Taken::of(times, begun.elapsed()))
}

async fn until_taken<F, A>(act: A, buyer: usize) -> Result<(), AnyError>
where
    A: Fn(usize) -> F,
    F: Future<Output = Result<(), AnyError>>,
{
    loop {
        match act(buyer).await {
            Err(error) if matches!(error.downcast_ref(), Some(Problem::TooBusy)) => {}
            outcome => return outcome,
        }
        tokio::time::sleep(COMES_AGAIN_AFTER).await;
    }
}
