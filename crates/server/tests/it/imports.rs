//! `import`: a list of tokens that others issued. A bad one is refused with line and column and leaves nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::program::Program;
use crate::seed::{NOTHING_IS_LOADED, STATE, told, until};
use crate::world::{World, skip};

/// A list of tokens as the importer takes it, one for each number.
pub(crate) fn tokens(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| token(n) + "\n").collect()
}

pub(crate) const TOKEN_HEADER: &str = "contract,symbol,name,city,state,country,lat,lng,supply,token_price_usd,total_value_usd,\
    net_rent_year_per_token_usd,net_rent_year_usd,stated_apr_pct,chain_eth,chain_gnosis,venues,migrated_old\n";

fn token(n: u32) -> String {
    format!(
        "0x{n:040x},T-{n},\"{n} Main St, Detroit, MI 48227\",Detroit,Michigan,United States,42.3,-83.1,1000,50.5,50500.00,\
         5.05,5050.00,10.00,0x{n:040X},,1,False"
    )
}

pub(crate) fn write(program: &Program, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = program.data_dir().join(name);
    fs::write(&path, text).unwrap();
    path
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

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
    let early = program.run(&["import", "realt", path(&new), "--as-of", "2999-01-01"]);
    assert_eq!(
        early.code, 1,
        "a day that is to come would keep all lists out until then"
    );
    assert!(
        early.stderr.contains("2999-01-01, which is still to come"),
        "{}",
        early.stderr
    );
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
pub(crate) fn realt_csv() -> Option<PathBuf> {
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
                   count(*) filter (where net_rent_year_minor % 12 <> 0),
                   count(*) filter (where stated_net_rent_year_per_token * supply <> net_rent_year), count(bridged_address), count(distinct snapshot_on))
                 from public.foreign_tokens";
    assert_eq!(
        told(&client, facts).await,
        "348 348 316 37 80362624.50 75027092.50 8140592.63 7574318.57 1 0 95 205 293 1"
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
