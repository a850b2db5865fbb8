//! `rest cache`: how long the schema cache of many tables takes to load, against its catalogue queries in psql, and what a
//! reload does to requests.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use nexus_mint::{attach::Postgres, db::registered_statements, problem::AnyError, rest::catalogue};
use tokio_postgres::config::Host;

use super::{CASES, CONNECTIONS, TABLES, client, server::Server};
use crate::{
    cluster,
    measure::{median, number},
};

const MANY: u64 = 10_000;
const ROUNDS: u64 = 5;

pub(super) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let tables = number(arguments, "--tables", MANY)?;
    let rounds = number(arguments, "--rounds", ROUNDS)?;
    cluster::with_cluster(async |postgres, _| {
        let admin = postgres.admin().connect().await?;
        admin.batch_execute(TABLES).await?;
        for first in (0..tables).step_by(500) {
            let mut text = String::new();
            for at in first..(first + 500).min(tables) {
                writeln!(
                    text,
                    "create table bench.t{at} (id bigint primary key, name text not null, amount numeric, at timestamptz default now(),
                     parent_id bigint references bench.t{} (id)); comment on table bench.t{at} is 'Table {at}';",
                    at / 2
                )?;
            }
            admin.batch_execute(&text).await?;
        }
        admin.batch_execute("analyze").await?;
        let (mut loads, mut psqls) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            psqls.push(by_psql(postgres).await?);
            let client = postgres.admin().connect().await?;
            let begun = Instant::now();
            let schema = catalogue::load(&client, &["bench".to_owned()], &[], Vec::new()).await?;
            loads.push(begun.elapsed().as_secs_f64());
            assert!(schema.sizes().0 > usize::try_from(tables)?);
        }
        let (load, psql) = (median(loads), median(psqls));
        println!(
            "{tables} tables: load {load:.2} s, its queries in psql {psql:.2} s, ratio {:.2}",
            load / psql
        );
        let server = Server::engine(postgres, CONNECTIONS).await?;
        let [case, ..] = &CASES;
        let time = Duration::from_secs(4);
        let (mut calm, mut reloading) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            calm.push(f64::from(client::ask(&server.address, case, 4, time).await?.p99_us));
            admin.batch_execute("notify pgrst").await?;
            reloading.push(f64::from(client::ask(&server.address, case, 4, time).await?.p99_us));
        }
        println!(
            "p99 of one row by key, 4 clients: {:.0} us, with a reload {:.0} us; memory {:.1} MiB",
            median(calm),
            median(reloading),
            server.memory_mib()?
        );
        Ok(())
    })
}

/// How long psql takes for the same queries (s), without its own start.
async fn by_psql(postgres: &Postgres) -> Result<f64, AnyError> {
    let mut script = String::from("begin isolation level repeatable read read only; set local search_path to '';\n");
    let all = registered_statements().filter(|statement| statement.file.ends_with("rest/catalogue.rs"));
    for statement in all.filter(|statement| !statement.text.contains("pg_timezone_names")) {
        let text = statement
            .text
            .replace("$1", "'{bench}'::text[]")
            .replace("$2", "'{}'::text[]");
        writeln!(script, "{text};")?;
    }
    script.push_str("commit;\n");
    let file = std::env::temp_dir().join(format!("nexus-mint-bench-{}-cache.sql", std::process::id()));
    std::fs::write(&file, script)?;
    let login = postgres.admin();
    let Some(Host::Unix(folder)) = login.pg.get_hosts().first() else {
        return Err("the cluster has no socket".into());
    };
    let begun = Instant::now();
    let done = tokio::process::Command::new("psql")
        .env(
            "PGPASSWORD",
            String::from_utf8(login.pg.get_password().unwrap_or_default().to_vec())?,
        )
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-h"])
        .arg(folder)
        .args(["-p", &login.pg.get_ports().first().copied().unwrap_or(5432).to_string()])
        .args([
            "-U",
            login.pg.get_user().unwrap_or_default(),
            "-d",
            login.pg.get_dbname().unwrap_or_default(),
            "-f",
        ])
        .arg(&file)
        .output()
        .await?;
    let took = begun.elapsed().as_secs_f64();
    std::fs::remove_file(&file)?;
    if !done.status.success() {
        return Err(format!("psql: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(took)
}
