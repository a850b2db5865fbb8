//! Real data: what the files hold is what the tables hold, loading twice is loading once, a kill leaves all or nothing,
//! and a bad file is refused with its line and column.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::program::{PATIENCE, Program};
use crate::world::{Person, World, skip};

const SEATTLE: &str = include_str!("../../../../data/seattle_ex_sales.csv");
const DUBAI: &str = include_str!("../../../../data/dubai_dld_monthly_sales_2026.csv");

/// The one text that a query answers with.
async fn told(client: &Client, sql: &str) -> String {
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
const STATE: &str = "select md5(string_agg(line, '|' order by line)) from (
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

/// A list of tokens as the importer takes it, one for each number.
fn tokens(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| token(n) + "\n").collect()
}

const TOKEN_HEADER: &str = "contract,symbol,name,city,state,country,lat,lng,supply,token_price_usd,total_value_usd,\
    net_rent_year_per_token_usd,net_rent_year_usd,stated_apr_pct,chain_eth,chain_gnosis,venues,migrated_old\n";

fn token(n: u32) -> String {
    format!(
        "0x{n:040x},T-{n},\"{n} Main St, Detroit, MI 48227\",Detroit,Michigan,United States,42.3,-83.1,1000,50.5,50500.00,\
         5.05,5050.00,10.00,0x{n:040X},,1,False"
    )
}

fn write(program: &Program, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = program.data_dir().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Asks until a query answers with true.
async fn until(client: &Client, sql: &str) {
    let begin = Instant::now();
    while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begin.elapsed() < PATIENCE, "never true: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const NOTHING_IS_LOADED: &str =
    "select (select count(*) from public.properties) + (select count(*) from public.property_valuations)
    + (select count(*) from public.foreign_tokens) + (select count(*) from public.market_statistics) = 0";

#[tokio::test]
async fn a_kill_while_the_file_is_read_leaves_nothing() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let client = world.admin().await;
    // A pipe, so that the load stands in the middle of the file for as long as we like.
    let pipe = program.data_dir().join("list-2023-04-23.csv");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut load = program
        .command(&["import", "realt", path(&pipe)])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    file.write_all((TOKEN_HEADER.to_owned() + &tokens(0..5_000)).as_bytes())
        .unwrap();
    until(
        &client,
        "select exists (select from pg_stat_progress_copy where datname = current_database() and tuples_processed > 500)",
    )
    .await;
    load.kill().unwrap();
    load.wait().unwrap();
    drop(file);
    until(
        &client,
        "select not exists (select from pg_stat_progress_copy where datname = current_database())",
    )
    .await;
    until(&client, NOTHING_IS_LOADED).await;

    let whole = write(
        &program,
        "whole-2023-04-23.csv",
        TOKEN_HEADER.to_owned() + &tokens(0..6_000),
    );
    let said = program.answer(&["import", "realt", path(&whole)]);
    assert!(said.contains("foreign_tokens: 6000 added"), "{said}");
}

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
async fn a_bad_file_is_refused_with_line_and_column_and_nothing_is_loaded() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let good = TOKEN_HEADER.to_owned() + &tokens(1..3);
    let with = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let third = token(3);
    let million = "x".repeat(1_000_000);
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(good.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let latin1: Vec<u8> = good
        .replace("2 Main", "2 M?in")
        .bytes()
        .map(|b| if b == b'?' { 0xe4 } else { b })
        .collect();
    let amount = "expected an amount of USD from 0 to 90071992547409.91 with at most 2 digits after the point";
    let cases: &[(&str, Vec<u8>, String)] = &[
        ("missing column", with(",supply", ""), "1: column supply: found \"token_price_usd\", expected \"supply\" in the header here".into()),
        ("last column missing", with(",migrated_old", ""), "1: column migrated_old: found the end of the line, expected \"migrated_old\" in the header here".into()),
        ("extra column", with("migrated_old", "migrated_old,note"), "1: column 19: found \"note\", expected 18 fields on a line".into()),
        ("reordered", with("lat,lng", "lng,lat"), "1: column lat: found \"lng\", expected \"lat\" in the header here".into()),
        ("short line", with(",1,False\n", ",1\n"), "2: column migrated_old: found the end of the line, expected 18 fields on a line".into()),
        ("long line", with(",1,False\n", ",1,False,x\n"), "2: column 19: found \"x\", expected 18 fields on a line".into()),
        ("bad number", with(",1000,", ",many,"), "2: column supply: found \"many\", expected a whole number from 1 to 1000000000".into()),
        ("no number", with(",1000,", ",,"), "2: column supply: found \"\", expected a whole number from 1 to 1000000000".into()),
        ("negative", with(",50.5,", ",-50.5,"), format!("2: column token_price_usd: found \"-50.5\", {amount}")),
        ("too fine", with(",50.5,", ",50.505,"), format!("2: column token_price_usd: found \"50.505\", {amount}")),
        ("too large", with(",5050.00,", ",99999999999999.00,"), format!("2: column net_rent_year_usd: found \"99999999999999.00\", {amount}")),
        ("off the map", with(",42.3,", ",92.3,"), "2: column lat: found \"92.3\", expected a number from -90 to 90 with at most 15 digits after the point".into()),
        ("total", with(",50500.00,", ",50500.01,"), "2: column total_value_usd: found 50500.01, expected supply times token_price_usd".into()),
        ("address", with("0x", "1x"), "2: column contract: found \"1x0000000000000000000000000000000000000001\", expected an address: 0x and 40 hexadecimal digits".into()),
        ("whose address", format!("{good}{}\n", third.replace("0X", "0x").replacen("03,T", "04,T", 1)).into_bytes(),
            "4: column contract: found \"0x0000000000000000000000000000000000000004\", expected the address in chain_eth or in chain_gnosis".into()),
        ("duplicate", format!("{good}{third}\n{}\n", token(1)).into_bytes(),
            "5: column contract: found \"0x0000000000000000000000000000000000000001\", which line 2 has too, expected each contract once".into()),
        ("invalid UTF-8", latin1, "3: column name: found bytes that are not UTF-8: \"2 M\u{fffd}in St, Detroit, MI 48227\", expected text in UTF-8".into()),
        ("UTF-16", utf16, "1: column contract: found the byte order mark of UTF-16, expected a file in UTF-8".into()),
        ("NUL", with("Detroit,M", "Det\0roit,M"), "2: column city: found a NUL byte, expected text in UTF-8".into()),
        ("a million characters", with("T-2", &million),
            format!("3: column symbol: found \"{}…\" and more, expected a field of at most 10000 bytes (is a quote left open?)", "x".repeat(60))),
        ("unterminated quote", with("\"2 Main St, Detroit, MI 48227\"", "\"2 Main"),
            "3: column name: found a quote before \"2 Main,Detroit,Michigan,United States,42.3,-83.1,1000,50.5,5…\" that nothing closes, expected a closing quote".into()),
        ("stray quote", with("T-2", "T\"2"), "3: column symbol: found \"T\" and then a quote, expected quotes around the whole field or none".into()),
        ("empty", Vec::new(), "1: column contract: found an empty file, expected a header line with 18 columns".into()),
        ("only its mark", b"\xef\xbb\xbf".to_vec(), "1: column contract: found an empty file, expected a header line with 18 columns".into()),
        ("header only", TOKEN_HEADER.into(), "2: column contract: found the end of the file, expected at least one row below the header".into()),
        ("blank line", format!("{good}\n").into_bytes(), "4: column contract: found \"\", expected an address: 0x and 40 hexadecimal digits".into()),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, expected) in cases {
        let file = write(&program, "list.csv", bytes);
        let outcome = program.run(&["import", "realt", path(&file), "--as-of", "2023-04-23"]);
        let expected = format!("nexus-mint: list.csv:{expected}");
        let said = outcome
            .stderr
            .lines()
            .find(|line| line.starts_with("nexus-mint: "))
            .unwrap_or_default();
        if outcome.code != 1 || said != expected {
            wrong.push(format!("{what} ({}):\n  {said}\n  {expected}", outcome.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let client = world.admin().await;
    assert!(
        client
            .query_one(NOTHING_IS_LOADED, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );

    let marked = write(
        &program,
        "marked.csv",
        format!("\u{feff}{}", good.replace('\n', "\r\n")),
    );
    let outcome = program.run(&["import", "realt", path(&marked)]);
    assert!(
        outcome.stderr.contains("--as-of"),
        "a list has a day: {}",
        outcome.stderr
    );
    let said = program.answer(&["import", "realt", path(&marked), "--as-of", "2023-04-23"]);
    assert!(
        said.contains("foreign_tokens: 2 added"),
        "UTF-8 may have its mark, lines may end with CR LF: {said}"
    );
}

#[tokio::test]
async fn an_older_list_corrects_nothing() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let new = write(&program, "list-2023-04-23.csv", TOKEN_HEADER.to_owned() + &tokens(1..3));
    let old = write(
        &program,
        "list-2022-01-01.csv",
        (TOKEN_HEADER.to_owned() + &tokens(1..3)).replace(",10.00,", ",9.00,"),
    );
    let newer = write(
        &program,
        "list-2024-01-01.csv",
        (TOKEN_HEADER.to_owned() + &tokens(1..4)).replace("1 Main", "OLD-1 Main"),
    );
    program.answer(&["import", "realt", path(&new)]);
    assert!(
        program
            .answer(&["import", "realt", path(&old)])
            .contains("nothing changed")
    );
    let said = program.answer(&["import", "realt", path(&newer)]);
    assert!(
        said.contains("properties: 1 added, 0 changed, 2 as they were"),
        "{said}"
    );
    assert!(
        said.contains("foreign_tokens: 1 added, 2 changed, 0 as they were"),
        "{said}"
    );
}

/// The list of 2023-04-23, which may not be committed. Only `.ci/run` names it.
fn realt_csv() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "names test data, not a setting of the program")]
    let named = std::env::var_os("NEXUS_MINT_REALT_CSV").map(PathBuf::from);
    if named.is_none() {
        skip("the list of 348 tokenized houses: NEXUS_MINT_REALT_CSV does not name it");
    }
    named
}

#[tokio::test]
async fn the_348_tokens_add_up_to_what_is_known_of_them() {
    let Some(list) = realt_csv() else { return };
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let said = program.answer(&["import", "realt", path(&list), "--as-of", "2023-04-23"]);
    let (_, said) = said.split_once(": ").unwrap();
    assert_eq!(
        said,
        "348 rows read\n\
         properties: 312 added, 0 changed, 0 as they were\n\
         foreign_tokens: 348 added, 0 changed, 0 as they were\n\
         348 tokens of 312 houses: 80362624.50 USD at the listed prices, 8140592.63 USD net rent a year\n\
         without 37 migrated: 75027092.50 USD, 7574318.57 USD net rent a year"
    );
    let client = world.admin().await;
    let facts = "select concat_ws(' ', count(*), count(distinct lower(contract_address)), count(distinct symbol), count(*) filter (where is_migrated),
                   sum(supply * token_price), sum(supply * token_price) filter (where not is_migrated),
                   sum(net_rent_year), sum(net_rent_year) filter (where not is_migrated), count(*) filter (where net_rent_year_minor = 0),
                   count(*) filter (where abs(stated_apr_percent - 100 * net_rent_year / total_value) > 0.02),
                   count(*) filter (where net_rent_year_minor % 12 <> 0), count(bridged_address), count(distinct snapshot_on))
                 from public.foreign_tokens";
    assert_eq!(
        told(&client, facts).await,
        "348 348 316 37 80362624.50 75027092.50 8140592.63 7574318.57 1 0 95 293 1"
    );
    let history = "select string_agg(distinct concat_ws(' ', origin, is_active, tokenization_active, price, left(description, 31)), '|') from public.properties";
    assert_eq!(
        told(&client, history).await,
        "import f f Imported history, not an offer:"
    );
    let offered = client
        .execute("update public.properties set tokenization_active = true", &[])
        .await;
    let refused = offered.unwrap_err();
    assert_eq!(
        refused.as_db_error().and_then(|error| error.constraint()),
        Some("properties_import_is_history"),
        "not even its owner can put history on sale"
    );
    let before = told(&client, STATE).await;
    let again = program.answer(&["import", "realt", path(&list), "--as-of", "2023-04-23"]);
    assert!(again.ends_with("nothing changed"), "{again}");
    assert_eq!(told(&client, STATE).await, before);
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
