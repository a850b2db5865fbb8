//! `analytics`: what it costs to keep figures from changes, beside computing them from the base tables.
//!
//! Loads properties and investments, and compares, in turns within one run: folding a thousand scattered changes and refreshing the
//! two market views over folded sums, with refreshing the same views over the base tables (the seed's statements, and ours
//! without sums). Then what a purchase, a payment and a refund of many pay for telling of themselves.

use std::time::Instant;

use nexus_mint::{attach::Postgres, db::Db, problem::AnyError};
use tokio_postgres::Client;

use crate::{
    cluster,
    measure::{median, number},
};

const PROPERTIES: u64 = 100_000;
const INVESTMENTS: u64 = 1_000_000;
const RUNS: u64 = 5;
const CHANGES: u64 = 1_000;
/// Purchases and payments of one run, each a transaction.
const PURCHASES: u64 = 400;
/// Investments that one statement refunds.
const REFUNDS: u64 = 10_000;

/// Without triggers, as a restore of a dump does it. Ten investments a property, each by another party; of ten, one is only
/// reserved, one was refunded, and half of the others closed.
const LOAD: &str = "
    set session_replication_role = replica;
    create schema bench;
    create table bench.people as select gen_random_uuid() as id, gen_random_uuid() as party_id, n from generate_series(0, 49999) as n;
    insert into auth.users (id, aud, role, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
    select id, 'authenticated', 'authenticated', n || '@example.com', '{}', '{}', now(), now() from bench.people;
    insert into public.parties (id, kind) select party_id, 'person' from bench.people;
    insert into public.user_profiles (id, party_id, email) select id, party_id, n || '@example.com' from bench.people;
    create table bench.houses as select gen_random_uuid() as id, gen_random_uuid() as token_id, n from generate_series(0, $PROPERTIES - 1) as n;
    insert into public.properties (id, title, city, property_type, country, is_active, price, price_per_token, funding_target, total_tokens, tokens_issued)
    select id, 'House ' || n, 'City ' || n % 100, 'single_family', 'US', n % 50 <> 0, 100000 + n, 50, 100000, 2000, 100 from bench.houses;
    insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
    select token_id, id, 2000, 1000, 5000, 5000, 'launched' from bench.houses;
    insert into public.investments (user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
      total_amount_minor, fee_amount_minor, status, paid_at, confirmed_at, current_value_minor, current_value_as_of)
    select p.id, p.party_id, h.id, h.token_id, 1 + i.n % 20, 5000, 5000 * (1 + i.n % 20), 0, s.status,
           case when s.status <> 'pending' then now() end, case when s.status = 'confirmed' then now() end,
           case when s.status in ('paid', 'confirmed') then 5000 * (1 + i.n % 20) end, case when s.status in ('paid', 'confirmed') then now() end
    from generate_series(0, $INVESTMENTS - 1) as i (n)
    cross join lateral (select (array['pending', 'paid', 'confirmed', 'paid', 'confirmed', 'refunded', 'paid', 'confirmed', 'paid', 'confirmed'])
                               [1 + i.n / $PROPERTIES % 10] as status) as s
    join bench.houses as h on h.n = i.n % $PROPERTIES
    join bench.people as p on p.n = i.n * 7 % 49999;
    insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, units, cost_minor, acquired_at, tax_acquired_at)
    select party_id, user_id, property_id, property_token_id, id, token_amount_units, total_amount_minor, now(), now()
    from public.investments where status = 'confirmed';
    select nexus.rebuild_figures(now());
    -- Their worths came with them.
    delete from nexus.figure_changes;
    set session_replication_role = origin;
    -- The seed's two views, word for word.
    create materialized view bench.investment_opportunities_mv as
      SELECT p.id as property_id, p.title, p.city, p.property_type, p.price_per_token, COUNT(i.id) as total_investors,
        SUM(i.total_amount) as total_invested, (SUM(i.total_amount) / p.funding_target * 100) as funding_percentage
      FROM properties p LEFT JOIN investments i ON p.id = i.property_id WHERE p.is_active = true GROUP BY p.id;
    create materialized view bench.property_market_insights_mv as
      SELECT p.id as property_id, p.title, p.price, p.price_per_token, p.tokens_issued, (p.tokens_issued / p.total_tokens * 100) as funding_percentage,
        AVG(i.price_per_token) as avg_investor_price
      FROM properties p LEFT JOIN investments i ON p.id = i.property_id GROUP BY p.id;
    -- Ours as they would be without sums: parties counted once, only what is paid, and readers need not wait.
    create materialized view bench.opportunities as
      select p.id as property_id, p.title, p.city, p.property_type, p.price_per_token, coalesce(i.total_investors, 0) as total_investors,
             coalesce(i.total_invested, 0) as total_invested,
             round(100 * coalesce(i.total_invested, 0) / nullif(p.funding_target, 0), 4) as funding_percentage
      from public.properties as p
      left join (select property_id, count(distinct party_id) as total_investors, sum(total_amount) as total_invested
                 from public.investments where status in ('paid', 'confirmed') group by property_id) as i on i.property_id = p.id
      where p.is_active;
    create unique index on bench.opportunities (property_id);
    create materialized view bench.insights as
      select p.id as property_id, p.title, p.price, p.price_per_token, p.tokens_issued,
             round(100 * p.tokens_issued / nullif(p.total_tokens, 0), 4) as funding_percentage, i.avg_investor_price
      from public.properties as p
      left join (select property_id, case when count(distinct party_id) >= 3 then round(sum(total_amount) / sum(token_amount), 6) end as avg_investor_price
                 from public.investments where status in ('paid', 'confirmed') group by property_id) as i on i.property_id = p.id
      where p.is_active;
    create unique index on bench.insights (property_id);
    select public.refresh_analytics_views();
    -- What the triggers do, once a row.
    create function bench.note_row() returns trigger language plpgsql as $$
    declare
      sign integer := case when new.status in ('paid', 'confirmed') then 1 else -1 end;
    begin
      insert into nexus.figure_changes (kind, property_id, party_id, user_id, investment_id, currency, principal_minor, tokens, investments)
      values ('invested', new.property_id, new.party_id, new.user_id, new.id, new.payment_currency, sign * new.total_amount_minor, sign * new.token_amount, sign);
      return null;
    end $$;
    create trigger bench_rows after update of status on public.investments for each row
      when ((old.status in ('paid', 'confirmed')) is distinct from (new.status in ('paid', 'confirmed'))) execute function bench.note_row();
    alter table public.investments disable trigger bench_rows;";

/// Measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let properties = number(arguments, "--properties", PROPERTIES)?;
    let investments = number(arguments, "--investments", INVESTMENTS)?;
    let runs = number(arguments, "--runs", RUNS)?;
    println!("{properties} properties, {investments} investments, median of {runs} runs, durable cluster");
    cluster::with_cluster(async |postgres: &Postgres, _: &Db| {
        let admin = postgres.admin().connect().await?;
        let load = LOAD
            .replace("$PROPERTIES", &properties.to_string())
            .replace("$INVESTMENTS", &investments.to_string());
        let took = timed(&admin, &load).await?;
        println!("loaded in {took:.0} s");
        admin.batch_execute("vacuum analyze").await?;
        compare_views(&admin, runs).await?;
        compare_writes(&admin, runs).await
    })
}

/// Seconds.
async fn timed(client: &Client, sql: &str) -> Result<f64, AnyError> {
    let begin = Instant::now();
    client.batch_execute(sql).await?;
    Ok(begin.elapsed().as_secs_f64())
}

async fn compare_views(admin: &Client, runs: u64) -> Result<(), AnyError> {
    let scatter = format!(
        "update public.investments set status = 'paid', paid_at = now() where id in
           (select id from public.investments where status = 'pending' order by random() limit {CHANGES})"
    );
    let fold = format!("select nexus.fold_figures({CHANGES}, now())");
    let seeds = "refresh materialized view bench.investment_opportunities_mv; refresh materialized view bench.property_market_insights_mv";
    let mended = "refresh materialized view concurrently bench.opportunities; refresh materialized view concurrently bench.insights";
    let mut times = [(); 4].map(|()| Vec::new());
    for _ in 0..runs {
        admin.batch_execute(&scatter).await?;
        let statements = [fold.as_str(), "select public.refresh_analytics_views()", seeds, mended];
        for (statement, times) in statements.into_iter().zip(&mut times) {
            times.push(timed(admin, statement).await?);
        }
    }
    let differ = "select count(*) from (
                    (table public.investment_opportunities_mv except all table bench.opportunities) union all
                    (table bench.opportunities except all table public.investment_opportunities_mv)) as o";
    let differ: i64 = admin.query_one(differ, &[]).await?.try_get(0)?;
    let differ_too = "select count(*) from (
                        (table public.property_market_insights_mv except all table bench.insights) union all
                        (table bench.insights except all table public.property_market_insights_mv)) as m";
    let differ_too: i64 = admin.query_one(differ_too, &[]).await?.try_get(0)?;
    if differ + differ_too > 0 {
        return Err(format!(
            "the views over sums differ from those over base tables in {} rows",
            differ + differ_too
        )
        .into());
    }
    let [fold, refresh, seeds, mended] = times.map(median);
    println!(
        "folding {CHANGES} scattered changes {:.0} ms, refreshing over sums {:.0} ms; over base tables: the seed's statements {:.0} ms, \
         ours {:.0} ms; the views agree",
        fold * 1e3,
        refresh * 1e3,
        seeds * 1e3,
        mended * 1e3
    );
    println!(
        "folding costs {:.3} of the seed's refresh and {:.3} of ours over base tables; refreshing over sums {:.2} of ours over base tables",
        fold / seeds,
        fold / mended,
        refresh / mended
    );
    Ok(())
}

/// How a change is told of: not at all, as it is done (updates once a statement), once a row.
const TOLD: [&str; 3] = [
    "alter table public.investments disable trigger note_inserts, disable trigger note_updates, disable trigger bench_rows",
    "alter table public.investments enable trigger note_inserts, enable trigger note_updates, disable trigger bench_rows",
    "alter table public.investments enable trigger note_inserts, disable trigger note_updates, enable trigger bench_rows",
];

/// Without waiting for the disk, which would hide the difference.
async fn compare_writes(admin: &Client, runs: u64) -> Result<(), AnyError> {
    admin.batch_execute("set synchronous_commit = off").await?;
    let reserve = admin
        .prepare(
            "insert into public.investments (user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
               total_amount_minor, fee_amount_minor)
             select p.id, p.party_id, h.id, h.token_id, 2, 5000, 10000, 0 from bench.houses as h, bench.people as p
             where h.n = $1 and p.n = $1 returning id::text",
        )
        .await?;
    admin
        .batch_execute("create index on bench.houses (n); create index on bench.people (n); analyze bench.houses; analyze bench.people")
        .await?;
    let pay = admin
        .prepare("update public.investments set status = 'paid', paid_at = now() where id = $1::text::uuid")
        .await?;
    let refund = format!(
        "update public.investments set status = 'refund_due' where id in (select id from public.investments where status = 'paid' limit {REFUNDS})"
    );
    let mut times = [(); 3].map(|()| [(); 3].map(|()| Vec::new()));
    for run in 0..runs {
        for (place, (set, [reservations, payments, refunds])) in TOLD.into_iter().zip(&mut times).enumerate() {
            admin.batch_execute(set).await?;
            let first = (run * 3 + u64::try_from(place)?) * PURCHASES;
            let begin = Instant::now();
            let mut ids = Vec::new();
            for purchase in first..first + PURCHASES {
                let house = i32::try_from(purchase % 10_000)?;
                ids.push(admin.query_one(&reserve, &[&house]).await?.try_get::<_, String>(0)?);
            }
            reservations.push(begin.elapsed().as_secs_f64());
            let begin = Instant::now();
            for id in &ids {
                admin.execute(&pay, &[id]).await?;
            }
            payments.push(begin.elapsed().as_secs_f64());
            refunds.push(timed(admin, &refund).await?);
        }
    }
    let [none, by_statement, by_row] = times.map(|kinds| kinds.map(median));
    let counts = [
        ("a reservation", PURCHASES),
        ("a payment", PURCHASES),
        ("each of many refunds", REFUNDS),
    ];
    let told = by_statement.into_iter().zip(by_row);
    for (((what, count), none), (by_statement, by_row)) in counts.into_iter().zip(none).zip(told) {
        let micros = none * 1e6 / f64::from(u32::try_from(count)?);
        println!(
            "{what}: {micros:.0} us untold; told once a statement {:.3} x, once a row {:.3} x",
            by_statement / none,
            by_row / none
        );
    }
    Ok(())
}
