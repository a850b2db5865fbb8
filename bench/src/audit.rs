//! `audit`: what the audit trail and its chain cost writers, and how fast rows are sealed and verified.
//!
//! Writers at once insert into two tables that differ in nothing but the trail. One row a transaction is what a person's
//! command does; a thousand, each told by an audit row of its own, is the most that one statement tells row by row.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nexus_mint::{
    attach::Postgres,
    audit::{Progress, SealKey, Sealer, Trusted, verify},
    config::Secret,
    db::{Db, Login},
    problem::AnyError,
};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::{
    cluster,
    measure::{median, number},
};

const WRITERS: u64 = 32;
const SECONDS: u64 = 4;
const RUNS: u64 = 5;
const BATCH: i32 = 1_000;

/// Longer than any transaction here.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "
    create schema bench;
    create table bench.plain (
      id uuid primary key default gen_random_uuid(), owner_id uuid not null default gen_random_uuid(), title text not null,
      description text not null, status text not null default 'pending', amount_minor bigint not null, tokens bigint not null,
      currency text not null default 'USD', kind text not null default 'house', note text,
      created_at timestamptz not null default now(), updated_at timestamptz not null default now());
    create index on bench.plain (owner_id);
    create table bench.audited (like bench.plain including all);
    select nexus.audit_table('bench.audited')";

/// Without triggers, which refuse it.
const EMPTY: &str = "
    set session_replication_role = replica;
    truncate bench.plain, bench.audited, public.audit_log, nexus.audit_details, nexus.audit_erasures, nexus.chain_links, nexus.seals;
    set session_replication_role = origin;
    checkpoint";

/// What runs beside the writers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trail {
    None,
    Unsealed,
    Sealed,
}

/// Measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let writers = number(arguments, "--writers", WRITERS)?;
    let seconds = number(arguments, "--seconds", SECONDS)?;
    let runs = number(arguments, "--runs", RUNS)?;
    println!("{writers} writers, {seconds} s a run, median of {runs} runs, durable cluster");
    cluster::with_cluster(async |postgres: &Postgres, db: &Db| {
        let admin = postgres.admin().connect().await?;
        admin.batch_execute(TABLES).await?;
        for rows in [1, BATCH] {
            compare(postgres, db, &admin, rows, (writers, seconds, runs)).await?;
        }
        seal_and_verify(db, &admin).await
    })
}

async fn compare(
    postgres: &Postgres,
    db: &Db,
    admin: &Client,
    rows: i32,
    (writers, seconds, runs): (u64, u64, u64),
) -> Result<(), AnyError> {
    let trails = [Trail::None, Trail::Unsealed, Trail::Sealed];
    let mut rates = trails.map(|_| Vec::new());
    // Taken in turns, so that what else the machine does falls on all of them.
    for _ in 0..runs {
        for (trail, rates) in trails.into_iter().zip(&mut rates) {
            admin.batch_execute(EMPTY).await?;
            rates.push(rate(&postgres.admin(), db, trail, rows, (writers, seconds)).await?);
        }
    }
    let [none, unsealed, sealed] = rates.map(median);
    println!(
        "{rows} rows a transaction: {none:.0} rows a second without the trail, {unsealed:.0} with it ({:.2} x), {sealed:.0} with the sealer \
         at work ({:.2} x)",
        unsealed / none,
        sealed / none
    );
    Ok(())
}

/// Rows a second.
async fn rate(
    login: &Login,
    db: &Db,
    trail: Trail,
    rows: i32,
    (writers, seconds): (u64, u64),
) -> Result<f64, AnyError> {
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let table = if trail == Trail::None { "plain" } else { "audited" };
    let mut clients = Vec::new();
    for _ in 0..writers {
        clients.push(login.connect().await?);
    }
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for client in clients {
        tasks.spawn(write(client, table, rows, stop.clone(), written.clone()));
    }
    if trail == Trail::Sealed {
        let (sealer, db, stop) = (sealer()?, db.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if !matches!(sealer.step(&db).await?, Progress::Sealed(_)) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Ok(())
        });
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (count, took) = (written.load(Ordering::Relaxed), begin.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(f64::from(u32::try_from(count)?) / took)
}

async fn write(
    client: Client,
    table: &'static str,
    rows: i32,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Result<(), AnyError> {
    let insert = client
        .prepare(&format!(
            "insert into bench.{table} (title, description, amount_minor, tokens)
             select 'A house at the lake', 'Two floors, a garden, a quiet street', 123456, n from generate_series(1, $1) as n"
        ))
        .await?;
    while !stop.load(Ordering::Relaxed) {
        let count = client.execute(&insert, &[&rows]).await?;
        written.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}

fn sealer() -> Result<Sealer, AnyError> {
    let key = SealKey::parse(&Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))?;
    Ok(Sealer::new(key, PATIENCE))
}

/// Seals what the last run left, and some more, and verifies it.
async fn seal_and_verify(db: &Db, admin: &Client) -> Result<(), AnyError> {
    let fill = "insert into bench.audited (title, description, amount_minor, tokens)
                select 'A house at the lake', 'Two floors, a garden, a quiet street', 123456, n from generate_series(1, 1000) as n";
    for _ in 0..100 {
        admin.batch_execute(fill).await?;
    }
    let sealed = "select count(*) from nexus.chain_links";
    let before: i64 = admin.query_one(sealed, &[]).await?.try_get(0)?;
    let sealer = sealer()?;
    let begin = Instant::now();
    while let Progress::Sealed(_) = sealer.step(db).await? {}
    let took = begin.elapsed().as_secs_f64();
    let after: i64 = admin.query_one(sealed, &[]).await?.try_get(0)?;
    let per_second = |count: i64, took: f64| Ok::<_, AnyError>(f64::from(u32::try_from(count)?) / took);
    println!("sealed {:.0} rows a second", per_second(after - before, took)?);
    let begin = Instant::now();
    let trusted = Trusted {
        keys: vec![sealer.key.public()],
        heads: Vec::new(),
    };
    let summary = verify(db, &trusted, &mut |_| {}).await?;
    let took = begin.elapsed().as_secs_f64();
    println!(
        "verified {:.0} rows a second, {} problems",
        per_second(after, took)?,
        summary.problems
    );
    Ok(())
}
