//! `seed`: what the files hold is what the tables hold, loading twice is loading once, a kill leaves all or nothing.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::imports::{TOKEN_HEADER, path, tokens, write};
use crate::program::{PATIENCE, Program};
use crate::world::{Person, World};

const SEATTLE: &str = include_str!("../../../../data/seattle_ex_sales.csv");
const DUBAI: &str = include_str!("../../../../data/dubai_dld_monthly_sales_2026.csv");

/// The one text that a query answers with.
pub(crate) async fn told(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Fields of a file without quotes, by nothing but commas and lines: another reader than the program's.
fn fields(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().skip(1).map(|line| line.split(',').collect())
}

#[tokio::test]
async fn seattle_is_loaded_as_properties_with_dated_valuations() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let said = program.answer(&["seed", "--only", "seattle"]);
    assert_eq!(
        said,
        "seattle_ex_sales.csv: 5348 rows read\n\
         properties: 4710 added, 0 changed, 0 as they were\n\
         property_valuations: 5348 added, 0 changed, 0 as they were\n\
         5348 sales of 4710 properties for 4441655032.00 USD"
    );
    let dollars: i64 = fields(SEATTLE).map(|row| row[2].parse::<i64>().unwrap()).sum();
    let client = world.admin().await;
    let sums = "select concat_ws(' ', count(*), count(distinct property_id), sum(amount_minor), sum(amount), min(valued_on), max(valued_on))
                from public.property_valuations";
    assert_eq!(
        told(&client, sums).await,
        format!("5348 4710 {}00 {dollars}.00 2010-01-04 2016-12-22", dollars)
    );

    let fractional = fields(SEATTLE).filter(|row| !row[11].ends_with(".0")).count();
    assert_eq!(fractional, 3813, "rows with a part of a bathroom");
    let by_sale =
        "select count(*)::text from public.property_valuations v join public.properties p on p.id = v.property_id
                   where p.bathrooms_exact <> p.bathrooms";
    assert_eq!(told(&client, by_sale).await, "3813");
    let state = "select string_agg(distinct concat_ws(' ', origin, is_active, tokenization_active, tokenization_status, location, country, city, price), '|')
                 from public.properties";
    assert_eq!(
        told(&client, state).await,
        "seed t f not_started King County, WA United States",
        "real houses without address, city and asking price, listed and not offered"
    );
    let one = "select concat_ws('; ', title, property_type, bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, coordinates)
               from public.public_properties where title like '%0007600057'";
    assert_eq!(
        told(&client, one).await,
        "3-bedroom house, 1410 sq ft, parcel 0007600057; single_family; 3; 2; 2.0; 1410; 2700; 1902; \
         {\"lat\": 47.6028748200792, \"lng\": -122.302113751761}"
    );
    assert_eq!(
        told(
            &client,
            "select count(*)::text from public.investment_opportunities_mv where funding_percentage is null"
        )
        .await,
        "4710",
        "the public views are refreshed, and claim nothing of what has no target"
    );
}

#[tokio::test]
async fn dubai_is_loaded_as_market_statistics() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let said = program.answer(&["seed", "--only", "dubai"]);
    assert_eq!(
        said,
        "dubai_dld_monthly_sales_2026.csv: 2296 rows read\n\
         market_statistics: 2296 added, 0 changed, 0 as they were\n\
         112220 sales in 247 areas of Dubai from 2026-01 to 2026-08"
    );
    let client = world.admin().await;
    let spot = "select concat_ws(' ', transactions, currency, median_price, median_per_sqft, median_per_sqft_minor, offplan_share, ready_share)
                from public.market_statistics where month = '2026-01-01' and area = 'AL BARARI' and property_type = 'Unit'";
    assert_eq!(told(&client, spot).await, "3 AED 3800000.00 2175.90 217590 0.0 1.0");
    let everything: i64 = fields(DUBAI).map(|row| row[3].parse::<i64>().unwrap()).sum();
    let sums = "select concat_ws(' ', count(*), sum(transactions), count(*) filter (where source like '%UAE Property%Dubai Land Department%CC BY 4.0'))
                from public.market_statistics";
    assert_eq!(told(&client, sums).await, format!("2296 {everything} 2296"));
    let parts = "select concat_ws(' ', sum(transactions) filter (where area = 'ALL' and property_type = 'ALL'),
                   sum(transactions) filter (where area = 'ALL' and property_type <> 'ALL'), sum(transactions) filter (where area <> 'ALL'))
                 from public.market_statistics";
    assert_eq!(
        told(&client, parts).await,
        "112220 112220 112220",
        "ALL is the others' sum"
    );
}

/// What a second load must not touch: every row with its version, and the trail.
pub(crate) const STATE: &str = "select md5(string_agg(line, '|' order by line)) from (
    select concat(p.ctid, p.xmin, p::text) as line from public.properties p
    union all select concat(v.ctid, v.xmin, v::text) from public.property_valuations v
    union all select concat(m.ctid, m.xmin, m::text) from public.market_statistics m
    union all select concat(t.ctid, t.xmin, t::text) from public.foreign_tokens t
    union all select concat(a.ctid, a.xmin, a::text) from public.audit_log a) as lines";

#[tokio::test]
async fn a_second_load_changes_nothing_and_says_so() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let client = world.admin().await;
    program.answer(&["seed"]);
    let before = told(&client, STATE).await;
    let trail = "select string_agg(concat_ws(' ', table_name, operation, actor_role, d.after ->> 'rows'), '|' order by a.id)
                 from public.audit_log a join nexus.audit_details d on d.audit_id = a.id where actor_role = 'nexus_engine'";
    assert_eq!(
        told(&client, trail).await,
        "public.properties INSERT nexus_engine 4710|public.property_valuations INSERT nexus_engine 5348\
         |public.market_statistics INSERT nexus_engine 2296",
        "one row of the trail a set, with its digest"
    );
    let again = program.answer(&["seed"]);
    assert_eq!(again.matches("nothing changed").count(), 2, "{again}");
    assert!(
        again.contains("properties: 0 added, 0 changed, 4710 as they were"),
        "{again}"
    );
    assert_eq!(told(&client, STATE).await, before, "not one row was written");
}

#[tokio::test]
async fn what_people_improved_stays_and_what_the_source_says_returns() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let client = world.admin().await;
    program.answer(&["seed"]);
    client
        .batch_execute(
            "update public.properties set title = 'The blue house' where origin_key = 'seattle:..0007600057';
             update public.market_statistics set transactions = 7 where area = 'AL BARARI' and month = '2026-01-01'",
        )
        .await
        .unwrap();
    let said = program.answer(&["seed"]);
    assert!(
        said.contains("market_statistics: 0 added, 2 changed, 2294 as they were"),
        "{said}"
    );
    let title = "select title from public.properties where origin_key = 'seattle:..0007600057'";
    assert_eq!(told(&client, title).await, "The blue house");
}

/// Asks until a query answers with true.
pub(crate) async fn until(client: &Client, sql: &str) {
    let begin = Instant::now();
    while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begin.elapsed() < PATIENCE, "never true: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) const NOTHING_IS_LOADED: &str =
    "select (select count(*) from public.properties) + (select count(*) from public.property_valuations)
    + (select count(*) from public.foreign_tokens) + (select count(*) from public.market_statistics) = 0";

#[tokio::test]
async fn a_kill_while_the_tables_are_written_leaves_nothing() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let mut client = world.admin().await;
    let watcher = world.admin().await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("lock table public.property_valuations in exclusive mode")
        .await
        .unwrap();
    let mut load = program
        .command(&["seed"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The properties are written by then, and not committed.
    until(
        &watcher,
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
           and query like '%property_valuations%' and application_name = 'nexus-mint nexus_engine')",
    )
    .await;
    load.kill().unwrap();
    load.wait().unwrap();
    lock.rollback().await.unwrap();
    until(
        &watcher,
        "select not exists (select from pg_stat_activity where datname = current_database() and application_name like 'nexus-mint %')",
    )
    .await;
    assert!(
        watcher
            .query_one(NOTHING_IS_LOADED, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );
    let said = program.answer(&["seed"]);
    assert!(
        said.contains("property_valuations: 5348 added") && said.contains("market_statistics: 2296 added"),
        "{said}"
    );
}

#[tokio::test]
async fn everybody_sees_what_is_public_and_nobody_but_commands_writes_it() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    program.answer(&["seed"]);
    let list = write(&program, "list-2023-04-23.csv", TOKEN_HEADER.to_owned() + &tokens(1..3));
    program.answer(&["import", "realt", path(&list)]);
    let mut client = world.admin().await;
    client
        .batch_execute("update public.properties set is_active = false where origin_key = 'seattle:..0007600057'")
        .await
        .unwrap();
    let investor: Person = world.person(&[]).await;
    let tx = client.transaction().await.unwrap();
    investor.act(tx.client()).await;
    let seen = "select concat_ws(' ', (select count(*) from public.properties), (select count(*) from public.property_valuations),
                  (select count(*) from public.market_statistics), (select count(*) from public.foreign_tokens))";
    assert_eq!(
        told(tx.client(), seen).await,
        "4709 5346 2296 2",
        "valuations of visible properties, all statistics, all history; and no imported property"
    );
    tx.rollback().await.unwrap();
    for table in ["property_valuations", "market_statistics", "foreign_tokens"] {
        for role in ["anon", "authenticated", "nexus_staff", "service_role"] {
            let rights = format!(
                "select concat_ws(' ', has_table_privilege('{role}', 'public.{table}', 'select'),
                   has_table_privilege('{role}', 'public.{table}', 'insert, update, delete, truncate'))"
            );
            assert_eq!(told(&client, &rights).await, "t f", "{role} on {table}");
        }
    }
}
