//! `rest`: what a request of the REST engine costs beside the statement that it sends.
//!
//! `nexus-mint rest` runs as a process of its own. In each round the same clients ask it, then pgbench sends the very
//! statements to PostgreSQL, in four round trips and in one packet, and last the clients ask a server that answers a
//! constant about as long. Everything happens in turn on the same cluster; the ratios of each round count, and of them the
//! middle.

mod cache;
pub(crate) mod client;
pub(crate) mod direct;
pub(crate) mod server;

use std::time::Duration;

use nexus_mint::problem::AnyError;

use crate::{
    cluster,
    measure::{median, number},
};
use client::Rate;
use direct::Statement;
use server::{Server, cpu_of_children_us};

const SECONDS: u64 = 2;
const ROUNDS: u64 = 3;
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Connections that the engine may have, and pgbench at most: enough to be busy on a few cores. More of them cost PostgreSQL
/// a fifth more CPU a statement there, because each that has its turn finds the caches filled by others.
const CONNECTIONS: usize = 8;

const TABLES: &str = "
    create schema bench;
    grant usage on schema bench to anon;
    create table bench.clients (id int primary key, name text not null);
    create table bench.items (
      id int primary key, client_id int not null references bench.clients (id), name text not null, price bigint not null,
      note text, created_at timestamptz not null default now());
    create table bench.notes (id bigint generated always as identity primary key, item_id int not null, body text not null);
    create index on bench.items (client_id);
    create index on bench.items (price);
    insert into bench.clients select n, 'client ' || n from generate_series(1, 1000) n;
    insert into bench.items select n, n % 1000 + 1, 'item ' || n, n * 7919 % 100000, repeat('x', 40)
      from generate_series(1, 100000) n;
    alter table bench.clients enable row level security;
    alter table bench.items enable row level security;
    alter table bench.notes enable row level security;
    create policy clients_read on bench.clients for select to anon
      using ((select auth.role()) = 'anon');
    create policy items_read on bench.items for select to anon
      using ((select auth.role()) = 'anon');
    create policy notes_add on bench.notes for insert to anon
      with check ((select auth.role()) = 'anon');
    grant select on bench.clients, bench.items to anon;
    grant insert on bench.notes to anon;
    analyze bench.clients, bench.items";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

const fn read(name: &'static str, path: &'static str) -> Case {
    Case {
        name,
        method: "GET",
        path,
        body: "",
    }
}

const CASES: [Case; 6] = [
    read("one row by key", "/items?id=eq.4711"),
    read("20 rows by an index", "/items?order=price.desc&limit=20"),
    read(
        "20 of 2,000, sorted",
        "/items?client_id=lte.20&order=name.desc&limit=20",
    ),
    read(
        "20 rows with an embed",
        "/items?select=id,name,clients(name)&order=price.desc&limit=20",
    ),
    read("100 rows", "/items?order=id&limit=100"),
    Case {
        name: "insert",
        method: "POST",
        path: "/notes",
        body: r#"{"item_id": 4711, "body": "A note about an item"}"#,
    },
];

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    if arguments.first().is_some_and(|first| first == "constant") {
        return server::constant(number(arguments, "--port", 0)?);
    }
    if arguments.first().is_some_and(|first| first == "cache") {
        return cache::run(arguments);
    }
    let time = Duration::from_secs(number(arguments, "--seconds", SECONDS)?);
    let rounds = number(arguments, "--rounds", ROUNDS)?;
    let only = arguments.iter().position(|argument| argument == "--case");
    let only = only.and_then(|at| arguments.get(at + 1));
    let against = arguments.iter().position(|argument| argument == "--against");
    let against = against.and_then(|at| arguments.get(at + 1));
    cluster::with_cluster(async |postgres, _| {
        postgres.admin().connect().await?.batch_execute(TABLES).await?;
        let parties = Parties {
            engine: Server::engine(postgres, CONNECTIONS).await?,
            constant: Server::constant().await?,
            other: match against {
                Some(address) => Some(Server::other(postgres, address, CONNECTIONS).await?),
                None => None,
            },
            postmaster: server::postmaster(postgres).await?,
        };
        println!(
            "ratios of pgbench: sending the same in four round trips, in one packet; CPU of the engine and of the constant (us)"
        );
        println!(
            "clients  request                a second  of four  of one  (+HTTP)  p99 us  engine CPU  constant  PostgreSQL CPU (pgbench's)"
        );
        for clients in CLIENTS {
            for case in CASES
                .iter()
                .filter(|case| only.is_none_or(|only| case.name.contains(only.as_str())))
            {
                let statement = Statement::of(postgres, case).await?;
                parties.compare(case, &statement, clients, time, rounds).await?;
            }
        }
        println!("memory of the engine now: {:.1} MiB", parties.engine.memory_mib()?);
        Ok(())
    })
}

struct Parties {
    engine: Server,
    constant: Server,
    other: Option<Server>,
    postmaster: u32,
}

/// What one round gave.
struct Round {
    engine: Rate,
    own_cpu: f64,
    postgres_cpu: f64,
    constant_cpu: f64,
    pgbench_cpu: f64,
    of_four: f64,
    of_one: f64,
    /// What `of_one` would be if HTTP and one packet came one after the other, with nothing between them.
    with_http: f64,
    other: Option<f64>,
}

impl Parties {
    async fn compare(
        &self,
        case: &Case,
        statement: &Statement,
        clients: usize,
        time: Duration,
        rounds: u64,
    ) -> Result<(), AnyError> {
        // Statements are prepared and files are read before anything counts.
        client::ask(&self.engine.address, case, clients, time / 4).await?;
        let mut all = Vec::new();
        for _ in 0..rounds {
            all.push(self.round(case, statement, clients, time).await?);
        }
        let middle = |value: fn(&Round) -> f64| median(all.iter().map(value).collect());
        let others: Vec<f64> = all.iter().filter_map(|round| round.other).collect();
        let other = if others.is_empty() {
            String::new()
        } else {
            format!("  other: {:.2} of one", median(others))
        };
        println!(
            "{clients:7}  {:21}  {:8.0}  {:7.2}  {:6.2}  {:7.2}  {:6.0}  {:10.0}  {:8.0}  {:4.0} ({:4.0}){other}",
            case.name,
            middle(|round| round.engine.each_second),
            middle(|round| round.of_four),
            middle(|round| round.of_one),
            middle(|round| round.with_http),
            middle(|round| f64::from(round.engine.p99_us)),
            middle(|round| round.own_cpu),
            middle(|round| round.constant_cpu),
            middle(|round| round.postgres_cpu),
            middle(|round| round.pgbench_cpu),
        );
        Ok(())
    }

    async fn round(
        &self,
        case: &Case,
        statement: &Statement,
        clients: usize,
        time: Duration,
    ) -> Result<Round, AnyError> {
        let direct = clients.min(CONNECTIONS);
        let four = statement.send(direct, time, false).await?;
        let (own, children) = (self.engine.cpu_us()?, cpu_of_children_us(self.postmaster)?);
        let engine = client::ask(&self.engine.address, case, clients, time).await?;
        let (own, children) = (
            self.engine.cpu_us()?.saturating_sub(own),
            cpu_of_children_us(self.postmaster)?.saturating_sub(children),
        );
        let before = cpu_of_children_us(self.postmaster)?;
        let one = statement.send(direct, time, true).await?;
        let pgbench_cpu = cpu_of_children_us(self.postmaster)?.saturating_sub(before);
        let before = self.constant.cpu_us()?;
        let constant = client::ask(&self.constant.address, case, clients, time).await?;
        let constant_cpu = self.constant.cpu_us()?.saturating_sub(before);
        let other = match &self.other {
            Some(other) => Some(client::ask(&other.address, case, clients, time).await?.each_second / one.each_second),
            None => None,
        };
        Ok(Round {
            own_cpu: each(own, engine.count),
            postgres_cpu: each(children, engine.count),
            constant_cpu: each(constant_cpu, constant.count),
            pgbench_cpu: each(pgbench_cpu, one.count),
            of_four: engine.each_second / four.each_second,
            of_one: engine.each_second / one.each_second,
            with_http: constant.each_second / (constant.each_second + one.each_second),
            other,
            engine,
        })
    }
}

fn each(us: u64, count: u32) -> f64 {
    f64::from(u32::try_from(us).unwrap_or(u32::MAX)) / f64::from(count.max(1))
}
