//! The 348 real houses of a public list: simulated as sold, months of their real rents distributed by the functions,
//! and every total compared with a computation that shares no code with ours.

use std::fmt::Write as _;
use std::process::Command;

use chrono::NaiveDate;
use futures_util::{StreamExt as _, stream};
use mint_core::allocation::split;
use mint_core::money::{Amount, Decimals};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::imports::{path, realt_csv};
use crate::program::Program;
use crate::site::{Signed, Site};
use crate::world::World;

/// Investors that the houses are sold to, two houses each.
const INVESTORS: i32 = 2_000;

/// Names how many months are paid: a year takes some minutes, and a quarter of it shows the same.
const MONTHS: &str = "NEXUS_MINT_REALT_MONTHS";
const MONTHS_OTHERWISE: u32 = 12;

/// Houses that pay at once: as many as the program has connections for commands.
const AT_ONCE: usize = 6;

struct Staff {
    manager: Signed,
    officer: Signed,
    admin: Signed,
}

struct House {
    contract: String,
    property_id: Uuid,
    /// What each month brings.
    rents: Vec<Amount>,
}

#[tokio::test]
async fn a_year_of_real_rents_is_what_pythons_decimal_says() {
    let Some(list) = realt_csv() else { return };
    let site = Site::over(World::own_database().await);
    let program = Program::with(&site.world.admin_config());
    program.answer(&["import", "realt", path(&list), "--as-of", "2023-04-23"]);
    let staff = Staff {
        manager: site.person(&["property_manager"]).await,
        officer: site.person(&["compliance_officer"]).await,
        admin: site.person(&["admin"]).await,
    };
    let client = site.world.admin().await;
    let houses = sell(&site, &client, &staff).await;
    assert_eq!(houses.len(), 348);
    let without = |house: &&House| house.rents.iter().all(|rent| *rent == Amount::ZERO);
    assert_eq!(houses.iter().filter(without).count(), 1, "a purchase that never closed");

    #[allow(
        clippy::disallowed_methods,
        reason = "names the size of a test, not a setting of the program"
    )]
    let months = std::env::var(MONTHS).map_or(MONTHS_OTHERWISE, |text| text.parse().unwrap());
    for month in 0..months {
        let day = NaiveDate::from_ymd_opt(2031, month + 1, 28).unwrap();
        site.set_now(day.and_hms_opt(12, 0, 0).unwrap().and_utc());
        stream::iter(&houses)
            .for_each_concurrent(AT_ONCE, |house| pay(&site, &staff, house, month, day))
            .await;
    }
    let ours = totals(&client).await;
    let facts = program.data_dir().join("facts");
    std::fs::write(&facts, known(&client).await).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/real_rents.py");
    let python = Command::new("python3")
        .args([script, path(&list), path(&facts)])
        .output()
        .unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let theirs = String::from_utf8(python.stdout).unwrap();
    let differ: Vec<_> = ours
        .lines()
        .zip(theirs.lines())
        .filter(|(ours, theirs)| ours != theirs)
        .take(10)
        .collect();
    assert_eq!(differ, [], "to the cent");
    assert_eq!(ours.lines().count(), theirs.lines().count());
    let all = ours.lines().next().unwrap();
    assert!(
        months != 12 || all.starts_with("all 8140592.63 "),
        "the rents of the list: {all}"
    );
    println!("declared, withheld and paid out in {months} months: {all}");
}

/// Puts the houses there as sold to as many investors as were asked for.
async fn sell(site: &Site, client: &Client, staff: &Staff) -> Vec<House> {
    let people = "insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
                  select gen_random_uuid(), 'authenticated', 'authenticated', 'investor-' || n || '@example.com', now(), '{}', '{}', now(), now()
                  from generate_series(1, $1) as n";
    client.execute(people, &[&INVESTORS]).await.unwrap();
    let holders = (INVESTORS * 2 + 347) / 348;
    let text = include_str!("real_rents.sql")
        .replace("$manager", &format!("'{}'", staff.manager.id))
        .replace("$holders", &holders.to_string())
        .replace("$at", &format!("'{}'", site.now().to_rfc3339()));
    client.batch_execute(&text).await.unwrap();
    let rows = client
        .query(
            "select contract, property_id, rent from simulated_houses order by n",
            &[],
        )
        .await
        .unwrap();
    let house = |row: &tokio_postgres::Row| {
        let months: Vec<(u32, Amount)> = (0..12).map(|month| (month, Amount::try_from(1).unwrap())).collect();
        let year = Amount::try_from(row.get::<_, i64>(2)).unwrap();
        House {
            contract: row.get(0),
            property_id: row.get(1),
            rents: split(year, &months, &0)
                .unwrap()
                .into_iter()
                .map(|(_, rent)| rent)
                .collect(),
        }
    };
    rows.iter().map(house).collect()
}

/// A month's rent of a house, from the bank's line to the holders. What has no rent has nothing to distribute.
async fn pay(site: &Site, staff: &Staff, house: &House, month: u32, day: NaiveDate) {
    let rent = house.rents[usize::try_from(month).unwrap()];
    let whole = json!({ "propertyId": house.property_id });
    if rent == Amount::ZERO {
        let (rule, _) = site.refused(&staff.manager, "declare-distribution", whole).await;
        assert_eq!(rule, "distribution.nothing", "{}", house.contract);
        return;
    }
    let line = json!({ "accountRef": "operating", "bankReference": format!("month {month}"), "kind": "rent",
        "amount": rent.to_decimal(Decimals::CENTS), "bookedOn": day, "paidFor": "the month" });
    let body = json!({ "propertyId": house.property_id, "periodFrom": day, "periodTo": day, "lines": [line] });
    let recorded = site.done(&staff.manager, "record-performance", body).await;
    let approve = json!({ "periodId": recorded["period"]["id"], "decision": "approved" });
    site.done(&staff.officer, "approve-performance", approve).await;
    let asked = site.done(&staff.manager, "declare-distribution", whole).await;
    let id = json!({ "distributionId": asked["distribution"]["id"] });
    site.done(&staff.officer, "approve-distribution", id.clone()).await;
    site.done(&staff.admin, "pay-distribution", id).await;
}

/// What the other computation is told.
async fn known(client: &Client) -> String {
    let mut facts = String::new();
    for sql in [
        "select concat_ws(' ', 'rate', coalesce(residency_country, '*'), rate_ppm) from public.withholding_rates where source_country = 'US'",
        "select distinct concat_ws(' ', 'party', p.id, coalesce(p.residency_country, '-'))
         from public.parties as p join simulated_holdings as s on s.party_id = p.id",
        "select concat_ws(' ', 'holding', contract, party_id, units) from simulated_holdings",
        "select concat_ws(' ', 'distribution', h.contract, to_char(d.record_at at time zone 'UTC', 'YYYY-MM'), d.tie_first)
         from public.distributions as d join simulated_houses as h on h.property_id = d.property_id",
    ] {
        for row in client.query(sql, &[]).await.unwrap() {
            writeln!(facts, "{}", row.get::<_, String>(0)).unwrap();
        }
    }
    facts
}

/// What was declared, withheld and is paid out: in all, to each investor, in each month, of each property; and every line.
async fn totals(client: &Client) -> String {
    let sql = "
        with line as (
          select h.contract, to_char(d.record_at at time zone 'UTC', 'YYYY-MM') as month, l.party_id::text as party, l.amount_minor as amount,
                 l.withheld_minor as withheld, coalesce(p.amount_minor, 0) as sent
          from public.distribution_lines as l join public.distributions as d on d.id = l.distribution_id
          join simulated_houses as h on h.property_id = d.property_id left join public.payouts as p on p.line_id = l.id
        ), told as (
          select 'all' as key, l.amount, l.withheld, l.sent from line as l
          union all select 'investor ' || l.party, l.amount, l.withheld, l.sent from line as l
          union all select 'month ' || l.month, l.amount, l.withheld, l.sent from line as l
          union all select 'property ' || l.contract, l.amount, l.withheld, l.sent from line as l
        ), sums as (
          select concat_ws(' ', t.key, nexus.from_minor(sum(t.amount)::bigint, 2), nexus.from_minor(sum(t.withheld)::bigint, 2),
                   nexus.from_minor(sum(t.sent)::bigint, 2)) as text, t.key collate \"C\" as key
          from told as t group by t.key
        ), lines as (
          select concat_ws(' ', l.contract, l.month, l.party, nexus.from_minor(l.amount, 2), nexus.from_minor(l.withheld, 2)) collate \"C\" as text
          from line as l)
        select (select string_agg(s.text, E'\\n' order by s.key) from sums as s) || E'\\nlines '
          || (select count(*) || ' ' || encode(sha256(convert_to(string_agg(l.text, E'\\n' order by l.text), 'UTF8')), 'hex') from lines as l) || E'\\n'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}
