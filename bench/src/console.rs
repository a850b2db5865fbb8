//! `console`: what a page of the list of 100,000 properties costs beside its own SQL.
//!
//! In each round pgbench sends the two statements of a page as one transaction of a visitor's, then as many readers ask the
//! program for the page, over kept connections. The ratios of each round count, and of them the middle. What the map shows is
//! kept by the program for some minutes, and asked for before anything counts.

mod direct;
mod reader;

use std::time::Duration;

use nexus_mint::{attach::Postgres, problem::AnyError};

use self::{direct::Page, reader::Reader};
use crate::{
    auth::client::sign_up,
    chaos::place::{Server, program},
    cluster::with_cluster,
    measure::{median, number},
};

const PROPERTIES: u64 = 100_000;
const SECONDS: u64 = 3;
const ROUNDS: u64 = 3;
/// Readers at once. A server has eight connections for visitors.
const READERS: [usize; 2] = [1, 8];

/// Pages of the list: what they are, and their address.
const PAGES: [(&str, &str); 7] = [
    ("first page", "/properties"),
    ("of a kind, with bedrooms", "/properties?kind=townhouse&bedrooms=3"),
    ("of a kind, built late", "/properties?kind=office&built_from=2015"),
    ("words", "/properties?q=house+4711"),
    ("by price", "/properties?sort=price"),
    ("by area", "/properties?sort=area"),
    ("page 2,000", "/properties?page=2000"),
];

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let properties = number(arguments, "--properties", PROPERTIES)?;
    let time = Duration::from_secs(number(arguments, "--seconds", SECONDS)?);
    let rounds = number(arguments, "--rounds", ROUNDS)?;
    with_cluster(async |postgres, _| {
        fill(postgres, properties).await?;
        let folder = std::env::temp_dir().join(format!("nexus-mint-bench-console-{}", std::process::id()));
        let nexus_mint = std::env::current_exe()?.with_file_name("nexus-mint");
        let server = Server::start(program(&nexus_mint, &folder, postgres)?).map_err(|error| {
            format!(
                "{}: {error}; build it first, with the same profile",
                nexus_mint.display()
            )
        })?;
        let person = sign_up(&server.address, 1).await?;
        let cookie = person.first().map(|who| format!("mint-access={}", who.access()));
        println!("{properties} properties; times in ms; of its SQL: how many times as long as pgbench takes");
        println!("readers  page                      a second     p50     p99  pgbench a second  of its SQL");
        for readers in READERS {
            for (name, place) in PAGES {
                // A smaller database has fewer pages.
                let place = if properties < 2000 * 24 && place.contains("page=2000") {
                    "/properties?page=2"
                } else {
                    place
                };
                let visitor = Reader::new(&server.address, place, None);
                compare(postgres, &visitor, name, readers, time, rounds).await?;
            }
            let signed_in = Reader::new(&server.address, "/properties", cookie.as_deref());
            compare(postgres, &signed_in, "first page, signed in", readers, time, rounds).await?;
        }
        // What the server wrote there is nothing that anybody needs.
        let _ = std::fs::remove_dir_all(&folder);
        Ok(())
    })
}

async fn compare(
    postgres: &Postgres,
    reader: &Reader,
    name: &str,
    readers: usize,
    time: Duration,
    rounds: u64,
) -> Result<(), AnyError> {
    let page = Page::of(postgres, reader).await?;
    reader.ask(readers, time / 4).await?;
    let (mut rates, mut p50s, mut p99s, mut bares, mut ratios) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let bare = page.send(readers, time).await?;
        let ours = reader.ask(readers, time).await?;
        rates.push(ours.each_second);
        p50s.push(f64::from(ours.p50_us) / 1000.0);
        p99s.push(f64::from(ours.p99_us) / 1000.0);
        bares.push(bare);
        ratios.push(bare / ours.each_second);
    }
    println!(
        "{readers:7}  {name:24}  {:8.0}  {:6.1}  {:6.1}  {:16.0}  {:10.2}",
        median(rates),
        median(p50s),
        median(p99s),
        median(bares),
        median(ratios)
    );
    Ok(())
}

/// Listed properties over a county and thirty years, each with a valuation. Without triggers: no trail is measured here.
async fn fill(postgres: &Postgres, properties: u64) -> Result<(), AnyError> {
    let client = postgres.admin().connect().await?;
    let text = format!(
        "set session_replication_role = replica;
         insert into public.properties (title, description, property_type, location, address, city, state_province, country, coordinates,
           bedrooms, bathrooms, sqft, lot_size, year_built, price, is_active, tokenization_status, created_at)
         select (array['Harbour', 'Meadow', 'Station', 'Garden', 'Hill'])[n % 5 + 1] || ' House ' || n, repeat('A house among others. ', 10),
           (array['single_family', 'townhouse', 'apartment', 'office'])[n % 4 + 1], 'District ' || n % 200 || ', Seattle, WA', n || ' Long Street',
           'Seattle', 'WA', 'United States', jsonb_build_object('lat', 47.3 + n * 7919 % 10000 / 20000.0, 'lng', -122.5 + n * 104729 % 10000 / 20000.0),
           n % 6, n % 4, 500 + n * 7919 % 4500, 2000 + n * 104729 % 9000, 1900 + n * 31 % 125, case when n % 3 = 0 then 100000 + n * 7919 % 900000 end,
           true, 'not_started', timestamptz '2026-01-01' - make_interval(mins => (n * 104729 % 15000000)::int)
         from generate_series(1, {properties}::bigint) as n;
         insert into public.property_valuations (property_id, valued_on, amount_minor, basis, source, reference)
         select p.id, date '2025-06-30', 10000000 + p.sqft * 20000, 'sale', 'a register', p.title from public.properties as p;
         set session_replication_role = origin"
    );
    client.batch_execute(&text).await?;
    // Not in one transaction with anything.
    client.batch_execute("vacuum analyze public.properties").await?;
    client
        .batch_execute("vacuum analyze public.property_valuations")
        .await?;
    Ok(())
}
