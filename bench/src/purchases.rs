//! `purchases`: many buyers at once, by the product's own queue and through HTTP, beside the ways in which others do it, on
//! the same cluster and in turns. Ratios of one run count: this program makes the load on the same cores.
//!
//! - `one`: a PL/pgSQL function that locks the supply row first and writes the same rows, one transaction a purchase, as a
//!   Supabase RPC does it; at most 32 connections, where that way is at its best.
//! - `chatty`: the same statements one after the other in one transaction.
//! - `copy`: the same rows by COPY, a thousand a transaction: nothing decided, nothing computed. What the tables cost.
//! - `paid`: a rail's messages that pay reservations exactly, by the product; `one-paid`: by one PL/pgSQL transaction each.
//! - `engine`: the queue; `spread`: the queue, over many properties. `http`: requests to `create-investment`.

mod http;
mod load;
pub(crate) mod overload;
mod payments;
mod ways;
mod world;

use std::{sync::Arc, time::Duration};

use nexus_mint::{app::App, attach::Postgres, db::Db, problem::AnyError};

use crate::{
    cluster,
    measure::{median, number},
    rest::server::{cpu_of_children_us, cpu_of_this_us, postmaster},
};
use load::{Pace, Taken};
use world::World;

const LEVELS: [u64; 5] = [1, 64, 256, 1_024, 4_096];
const HOUSES: u64 = 10_000;
const BUYERS: u64 = 200_000;

/// Measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let plan = Plan {
        runs: number(arguments, "--runs", 5)?,
        time: Duration::from_millis(number(arguments, "--milliseconds", 3_000)?),
        houses: number(arguments, "--houses", HOUSES)?,
        buyers: number(arguments, "--buyers", BUYERS)?,
        entries: number(arguments, "--entries", 1)?,
        level: number(arguments, "--in-flight", u64::MAX)?,
        open: number(arguments, "--open", u64::MAX)?,
        only: named(arguments, "--way"),
    };
    cluster::with_cluster(async |postgres: &Postgres, db: &Db| measure(postgres, db, &plan).await)
}

struct Plan {
    runs: u64,
    time: Duration,
    houses: u64,
    buyers: u64,
    /// Entries that the ledger has before.
    entries: u64,
    /// The only level, unless it is the largest number.
    level: u64,
    /// Purchases a second that come whether or not others are done, unless it is the largest number.
    open: u64,
    only: Option<String>,
}

fn named(arguments: &[String], flag: &str) -> Option<String> {
    let at = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(at + 1).cloned()
}

/// Who buys how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    One,
    Chatty,
    Copy,
    Engine,
    Spread,
    OneSpread,
    Http,
    OnePaid,
    Paid,
}

impl Way {
    const ALL: [Way; 9] = [
        Way::One,
        Way::Engine,
        Way::Http,
        Way::Spread,
        Way::OneSpread,
        Way::Chatty,
        Way::Copy,
        Way::OnePaid,
        Way::Paid,
    ];

    fn name(self) -> &'static str {
        match self {
            Way::One => "one",
            Way::Chatty => "chatty",
            Way::Copy => "copy",
            Way::Engine => "engine",
            Way::Spread => "spread",
            Way::OneSpread => "one-spread",
            Way::Http => "http",
            Way::OnePaid => "one-paid",
            Way::Paid => "paid",
        }
    }

    /// What it is held against.
    fn base(self) -> Way {
        match self {
            Way::Paid | Way::OnePaid => Way::OnePaid,
            Way::One | Way::Chatty | Way::Copy | Way::Engine | Way::Spread | Way::OneSpread | Way::Http => Way::One,
        }
    }

    /// Whether it is measured with so many in flight: the slow ways only where they are at their best.
    fn is_at(self, level: u64) -> bool {
        match self {
            Way::One | Way::Engine | Way::Http | Way::Spread | Way::OnePaid | Way::Paid => true,
            Way::OneSpread | Way::Chatty => level == 1 || level == 64,
            Way::Copy => level == 1,
        }
    }
}

/// A way that was named, and what it is held against.
fn is_asked(only: &str, way: Way) -> bool {
    Way::ALL
        .into_iter()
        .any(|asked| asked.name() == only && (way == asked || way == asked.base()))
}

/// What is measured, all on one cluster.
struct Bench {
    world: Arc<World>,
    app: App,
    clients: Vec<Arc<tokio_postgres::Client>>,
    http: http::Server,
    admin: tokio_postgres::Client,
    postmaster: u32,
}

/// What a purchase cost besides.
struct Measured {
    taken: Taken,
    postgres_us: f64,
    ours_us: f64,
}

async fn measure(postgres: &Postgres, db: &Db, plan: &Plan) -> Result<(), AnyError> {
    let admin = postgres.admin().connect().await?;
    let app = world::program(db)?;
    let world = Arc::new(World::make(&admin, plan.houses, plan.buyers, plan.entries).await?);
    let bench = Bench {
        http: http::Server::start(app.clone()).await?,
        clients: ways::connect(postgres).await?,
        postmaster: postmaster(postgres).await?,
        world,
        app,
        admin,
    };
    println!(
        "{} runs of {:?}; ratios are to `one` at the same number in flight; CPU in us a purchase, ours with the load",
        plan.runs, plan.time
    );
    println!("in flight  way         a second  of one   p50 ms   p99 ms  PostgreSQL  ours");
    let levels = if plan.level == u64::MAX {
        LEVELS.to_vec()
    } else {
        vec![plan.level]
    };
    for level in levels {
        let ways = Way::ALL
            .into_iter()
            .filter(|way| way.is_at(level) && plan.only.as_deref().is_none_or(|only| is_asked(only, *way)));
        let ways: Vec<Way> = ways.collect();
        let mut found: Vec<Vec<Measured>> = ways.iter().map(|_| Vec::new()).collect();
        for _ in 0..plan.runs {
            for (way, found) in ways.iter().zip(&mut found) {
                found.push(bench.once(*way, usize::try_from(level)?, plan).await?);
            }
        }
        let rates: Vec<(Way, Vec<f64>)> = ways
            .iter()
            .zip(&found)
            .map(|(way, found)| (*way, found.iter().map(|it| it.taken.each_second()).collect()))
            .collect();
        for (way, found) in ways.iter().zip(&found) {
            let middle = |read: &dyn Fn(&Measured) -> f64| median(found.iter().map(read).collect());
            let base = rates.iter().find(|(other, _)| *other == way.base());
            let base = base.map_or([].as_slice(), |(_, rates)| rates.as_slice());
            let ratio = median(
                found
                    .iter()
                    .zip(base)
                    .map(|(it, base)| it.taken.each_second() / base)
                    .collect(),
            );
            println!(
                "{level:>9}  {:<10}  {:>8.0}  {ratio:>6.2}  {:>7.2}  {:>7.2}  {:>10.0}  {:>4.0}",
                way.name(),
                middle(&|it| it.taken.each_second()),
                middle(&|it| it.taken.part_ms(50)),
                middle(&|it| it.taken.part_ms(99)),
                middle(&|it| it.postgres_us),
                middle(&|it| it.ours_us),
            );
        }
    }
    Ok(())
}

impl Bench {
    async fn once(&self, way: Way, level: usize, plan: &Plan) -> Result<Measured, AnyError> {
        // What a run left to be cleaned is not paid for by the next.
        self.admin.batch_execute("checkpoint").await?;
        let pace = Pace {
            in_flight: level,
            time: plan.time,
            each_second: (plan.open != u64::MAX).then_some(plan.open),
        };
        let before = (cpu_of_children_us(self.postmaster)?, cpu_of_this_us()?);
        let taken = match way {
            Way::One => ways::one(&self.clients, &self.world, pace, ways::Where::Hot).await?,
            Way::OneSpread => ways::one(&self.clients, &self.world, pace, ways::Where::Spread).await?,
            Way::Chatty => ways::chatty(&self.clients, &self.world, pace).await?,
            Way::Copy => ways::copy(&self.admin, &self.world, plan.time).await?,
            Way::Engine => ways::engine(&self.app, &self.world, pace, ways::Where::Hot).await?,
            Way::Spread => ways::engine(&self.app, &self.world, pace, ways::Where::Spread).await?,
            Way::OnePaid => payments::one(&self.clients, &self.app, &self.world, pace).await?,
            Way::Paid => payments::by_messages(&self.app, &self.world, pace).await?,
            Way::Http => self.http.buy(&self.app, &self.world, pace).await?,
        };
        let after = (cpu_of_children_us(self.postmaster)?, cpu_of_this_us()?);
        let each = |us: u64| f64::from(u32::try_from(us).unwrap_or(u32::MAX)) / f64::from(taken.count().max(1));
        Ok(Measured {
            postgres_us: each(after.0 - before.0),
            ours_us: each(after.1 - before.1),
            taken,
        })
    }
}
