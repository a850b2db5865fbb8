//! `load`: rows a second of a load of sales, against a plain COPY of the same bytes into a plain table.
//!
//! The load reads every field, checks it, stages it, and writes a property and a valuation for each row, with all
//! their constraints, indexes, policies and the trail; the COPY does nothing but copy. The ratio is the price of that.

use std::{fmt::Write as _, time::Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, pin_mut};
use nexus_mint::{
    attach::Postgres,
    db::Db,
    import::{CARRIED, Dataset, load},
    problem::AnyError,
    progress::Progress,
};
use tokio_postgres::Client;

use crate::{
    cluster::with_cluster,
    measure::{median, number},
};

const ROWS: u64 = 1_000_000;
const RUNS: u64 = 5;
const SEND_BYTES: usize = 64 * 1024;

const PLAIN_TABLE: &str = "create table if not exists public.plain (
    pinx text, sale_id text, sale_price numeric, sale_date date, use_type text, area integer, lot_sf integer,
    wfnt integer, bldg_grade integer, tot_sf integer, beds integer, baths numeric, age integer, eff_age integer,
    longitude numeric, latitude numeric)";

/// Empties what a run filled. Without triggers: some of them refuse it, and none is measured here.
const EMPTY: &str = "set session_replication_role = replica;
    truncate public.properties, public.audit_log, nexus.audit_details, public.plain cascade;
    set session_replication_role = origin;
    checkpoint";

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let rows = number(arguments, "--rows", ROWS)?;
    let runs = number(arguments, "--runs", RUNS)?;
    let file = sales(rows)?;
    println!(
        "{rows} sales in {} MB, {runs} runs, durable cluster",
        file.len() / 1_000_000
    );
    with_cluster(async |postgres, db| measure(postgres, db, &file, rows, runs).await)
}

/// The carried sales over and over, each with a parcel and a number of its own.
fn sales(rows: u64) -> Result<Vec<u8>, AnyError> {
    let carried = CARRIED
        .iter()
        .find(|file| file.dataset == Dataset::Seattle)
        .ok_or("no sales are carried")?;
    let text = std::str::from_utf8(carried.bytes)?;
    let (header, body) = text.split_once('\n').ok_or("the sales have no header")?;
    let mut file = format!("{header}\n");
    for (number, line) in (1..=rows).zip(body.lines().cycle()) {
        let facts = line.splitn(3, ',').nth(2).ok_or("a sale without facts")?;
        writeln!(file, "..{number:010},2016..{number},{facts}")?;
    }
    Ok(file.into_bytes())
}

async fn measure(postgres: &Postgres, db: &Db, file: &[u8], rows: u64, runs: u64) -> Result<(), AnyError> {
    let client = postgres.admin().connect().await?;
    client.batch_execute(PLAIN_TABLE).await?;
    let (mut plain, mut ours, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=runs {
        client.batch_execute(EMPTY).await?;
        let seconds = copy_plainly(&client, file).await?;
        plain.push(seconds);
        for times in [&mut ours, &mut again] {
            let begin = Instant::now();
            load(db, Dataset::Seattle, "sales.csv", file, &mut Progress::silent()).await?;
            times.push(begin.elapsed().as_secs_f64());
        }
        let last = |times: &[f64]| times.last().copied().unwrap_or_default();
        println!(
            "run {run}: COPY {:.2} s, load {:.2} s, the same again {:.2} s",
            last(&plain),
            last(&ours),
            last(&again)
        );
    }
    let (plain, ours, again) = (median(plain), median(ours), median(again));
    let rate = |seconds: f64| f64::from(u32::try_from(rows).unwrap_or(u32::MAX)) / seconds;
    println!(
        "median: COPY {:.0} rows/s, load {:.0} rows/s, the same again {:.0} rows/s",
        rate(plain),
        rate(ours),
        rate(again)
    );
    println!(
        "ratio of load to COPY: {:.3}; of the same again: {:.3}",
        plain / ours,
        plain / again
    );
    Ok(())
}

/// Sends the file as it is, and returns the seconds until it is committed.
async fn copy_plainly(client: &Client, file: &[u8]) -> Result<f64, AnyError> {
    let begin = Instant::now();
    let sink = client
        .copy_in("copy public.plain from stdin (format csv, header)")
        .await?;
    pin_mut!(sink);
    for chunk in file.chunks(SEND_BYTES) {
        sink.send(Bytes::copy_from_slice(chunk)).await?;
    }
    sink.finish().await?;
    Ok(begin.elapsed().as_secs_f64())
}
