//! Policies stay fast at a million rows: read from the plans, by the rows they touch and the calls they make, never by time.

use serde_json::Value;
use tokio_postgres::Client;

use crate::callers::Caller;
use crate::world::{Person, World};

const USERS: usize = 50_000;
/// Somebody who has some of everything and is nobody special.
const INVESTOR: usize = 40_000;
/// One of the first thousand, who manage ten properties each.
const MANAGER: usize = 7;

/// `numbered('c', 12)` is property 12; users are `a`, parties `b`, tokens `d`, investments `e`, processes `f`, rooms `7`.
const NUMBERED: &str = "
    set session_replication_role = replica;
    create function pg_temp.numbered(kind text, n integer) returns uuid language sql immutable parallel safe
      return (kind || '0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;";

/// A part of the million: who, what and how many tokens are spread so that every user and every property has some.
const INVESTMENTS: &str = "
    insert into public.investments (id, user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
      total_amount_minor, fee_amount_minor, status, paid_at)
    select pg_temp.numbered('e', i), pg_temp.numbered('a', 1 + i % 50000), pg_temp.numbered('b', 1 + i % 50000), pg_temp.numbered('c', p.n),
      pg_temp.numbered('d', p.n), 2, 1000, 2000, 40, 'paid', now()
    from generate_series($1, $2) as i, lateral (select 1 + ((i::bigint * 7919) % 10000)::integer as n) as p;";

const PEOPLE_AND_PROPERTIES: &str = "
    insert into auth.users (id, email) select pg_temp.numbered('a', i), i || '@example.com' from generate_series(1, 50000) as i;
    insert into public.parties (id) select pg_temp.numbered('b', i) from generate_series(1, 50000) as i;
    insert into public.user_profiles (id, party_id, kyc_status)
      select pg_temp.numbered('a', i), pg_temp.numbered('b', i), 'approved' from generate_series(1, 50000) as i;
    insert into public.user_role_assignments (user_id, role) select pg_temp.numbered('a', i), 'investor' from generate_series(1, 50000) as i;
    insert into public.user_role_assignments (user_id, role) select pg_temp.numbered('a', i), 'property_manager' from generate_series(1, 1000) as i;
    insert into public.properties (id, title, city, price, is_active, funding_target, total_tokens)
      select pg_temp.numbered('c', i), 'House ' || i, 'City ' || i % 100, i * 100, i % 10 <> 0, i * 100, 1000 from generate_series(1, 10000) as i;
    insert into public.property_members (property_id, user_id, capacity)
      select pg_temp.numbered('c', i), pg_temp.numbered('a', 1 + i % 1000), 'manager' from generate_series(1, 10000) as i;
    insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
      select pg_temp.numbered('d', i), pg_temp.numbered('c', i), 1000, 1000, 1000, 1000, 'launched' from generate_series(1, 10000) as i;";

const WHAT_PEOPLE_HAVE: &str = "
    insert into public.notifications (user_id, title, message) select pg_temp.numbered('a', i), 't', 'm' from generate_series(1, 50000) as i;
    insert into public.payment_methods (user_id, method_type) select pg_temp.numbered('a', i), 'crypto' from generate_series(1, 50000) as i;
    insert into public.ai_interactions (user_id, session_id, user_message)
      select pg_temp.numbered('a', i), 's', 'q' from generate_series(1, 50000) as i;
    insert into public.property_returns (user_id, property_id, investment_id, return_type, amount_minor, return_date)
      select pg_temp.numbered('a', 1 + i % 50000), pg_temp.numbered('c', 1 + i % 10000), pg_temp.numbered('e', i), 'distribution', 5, '2026-01-01'
      from generate_series(1, 50000) as i;
    insert into public.kyc_documents (user_id, document_type, file_name, file_url)
      select u.id, 'passport', 'f', 'kyc-documents/' || u.id || '/f' from generate_series(1, 50000) as i, lateral (select pg_temp.numbered('a', i) as id) as u;
    insert into public.tokenization_processes (id, user_id, property_id, status)
      select pg_temp.numbered('f', i), pg_temp.numbered('a', i), pg_temp.numbered('c', 1 + i % 10000), 'cancelled' from generate_series(1, 50000) as i;
    insert into public.tokenization_steps (process_id, step_name, step_order)
      select pg_temp.numbered('f', i), 'valuation', 2 from generate_series(1, 50000) as i;
    insert into public.tokenization_reports (process_id, property_id, report_type)
      select pg_temp.numbered('f', i), pg_temp.numbered('c', 1 + i % 10000), 'summary' from generate_series(1, 50000) as i;
    insert into public.chat_rooms (id, name) select pg_temp.numbered('7', i), 'Room' from generate_series(0, 9999) as i;
    insert into public.chat_room_participants (room_id, user_id)
      select pg_temp.numbered('7', i % 10000), pg_temp.numbered('a', i) from generate_series(1, 50000) as i;
    insert into public.chat_messages (room_id, user_id, message)
      select pg_temp.numbered('7', i % 10000), pg_temp.numbered('a', i), 'm' from generate_series(1, 50000) as i;
    insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, review_status, is_public)
      select p.id, 'd', 'deed', 'property-evidence/' || p.id || '/' || i, sha256('x'), 'accepted', i % 2 = 0
      from generate_series(1, 50000) as i, lateral (select pg_temp.numbered('c', 1 + i % 10000) as id) as p;";

/// Loads everything over two connections, without triggers, and with the indexes of the big table made afterwards.
async fn load(world: &World) {
    let (one, other, admin) = (world.admin().await, world.admin().await, world.admin().await);
    let indexes: Vec<(String, String)> = admin
        .query(
            "select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index as i
             where i.indrelid = 'public.investments'::regclass and not i.indisprimary",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    for (name, _) in &indexes {
        admin.batch_execute(&format!("drop index {name}")).await.unwrap();
    }
    let part = |from: &str, to: &str| INVESTMENTS.replace("$1", from).replace("$2", to);
    let (first, second) = (
        [NUMBERED, PEOPLE_AND_PROPERTIES, &part("1", "500000")].concat(),
        [NUMBERED, WHAT_PEOPLE_HAVE, &part("500001", "1000000")].concat(),
    );
    both(&one, &first, &other, &second).await;
    let make = |indexes: &[(String, String)]| indexes.iter().map(|(_, sql)| format!("{sql};")).collect::<String>();
    let (first, second) = indexes.split_at(indexes.len() / 2);
    both(&one, &make(first), &other, &make(second)).await;
    admin.batch_execute("analyze").await.unwrap();
}

async fn both(one: &Client, first: &str, other: &Client, second: &str) {
    let (first, second) = tokio::join!(one.batch_execute(first), other.batch_execute(second));
    first.unwrap();
    second.unwrap();
}

fn user(number: usize, is_staff: bool) -> Person {
    assert!(number <= USERS);
    let id = format!("a0000000-0000-4000-8000-{number:012x}").parse().unwrap();
    Person { id, is_staff }
}

/// What a statement did: its plan with the rows each part really touched, and how often it called functions of ours.
struct Ran {
    sql: String,
    plan: Value,
    calls: i64,
}

/// Runs a statement as somebody.
async fn ran(client: &Client, caller: &Caller, sql: &str) -> Ran {
    let calls = "select coalesce(sum(pg_stat_get_xact_function_calls(oid)), 0)::bigint from pg_proc
                 where pronamespace in ('nexus'::regnamespace, 'public'::regnamespace)";
    client
        .batch_execute("begin; set local track_functions = 'all'")
        .await
        .unwrap();
    let before: i64 = client.query_one(calls, &[]).await.unwrap().get(0);
    caller.act(client).await;
    let explain = format!("explain (analyze, timing off, buffers off, format json) {sql}");
    let plan: Value = client.query_one(&explain, &[]).await.unwrap().get(0);
    client.batch_execute("reset role").await.unwrap();
    let after: i64 = client.query_one(calls, &[]).await.unwrap().get(0);
    client.batch_execute("rollback").await.unwrap();
    Ran {
        sql: format!("{sql} by {caller:?}"),
        plan: plan[0]["Plan"].clone(),
        calls: after - before,
    }
}

impl Ran {
    /// Every part of the plan.
    fn parts(&self) -> Vec<&Value> {
        let mut parts = vec![&self.plan];
        let mut next = 0;
        while let Some(part) = parts.get(next) {
            parts.extend(part["Plans"].as_array().into_iter().flatten());
            next += 1;
        }
        parts
    }

    fn returned(&self) -> f64 {
        self.plan["Actual Rows"].as_f64().unwrap()
    }

    /// Rows of a table that were looked at.
    fn touched(&self, table: &str) -> f64 {
        let number = |part: &Value, name: &str| part[name].as_f64().unwrap_or(0.0);
        let of_table = self.parts().into_iter().filter(|part| part["Relation Name"] == table);
        of_table
            .map(|part| {
                let rows = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"];
                let rows: f64 = rows.iter().map(|name| number(part, name)).sum();
                rows * number(part, "Actual Loops")
            })
            .sum()
    }

    fn scans_whole(&self, table: &str) -> bool {
        self.parts()
            .into_iter()
            .any(|part| part["Node Type"] == "Seq Scan" && part["Relation Name"] == table)
    }

    fn uses(&self, index: &str) -> bool {
        self.parts().into_iter().any(|part| part["Index Name"] == index)
    }

    /// Asks no function for each row: neither in a condition, nor by the number of calls.
    fn assert_asks_once(&self) {
        for part in self.parts() {
            for condition in ["Filter", "Index Cond", "Recheck Cond", "Join Filter"] {
                let text = part[condition].as_str().unwrap_or_default();
                let asks = ["nexus.", "auth.", "current_setting", "has_role", "_ids("]
                    .iter()
                    .find(|name| text.contains(**name));
                assert_eq!(
                    asks, None,
                    "asked for each row in {text:?}\n{}\n{:#}",
                    self.sql, self.plan
                );
            }
        }
        assert!(
            self.calls <= 12,
            "{} calls, a few a statement are fine\n{}\n{:#}",
            self.calls,
            self.sql,
            self.plan
        );
    }

    /// Finds its rows by an index, looks at few others, and asks once.
    fn assert_goes_straight_to(&self, table: &str) {
        self.assert_asks_once();
        assert!(
            !self.scans_whole(table),
            "reads all of {table}\n{}\n{:#}",
            self.sql,
            self.plan
        );
        assert!(
            self.returned() > 0.0,
            "a plan that returns nothing proves nothing\n{}",
            self.sql
        );
        let bound = 3.0 * self.returned() + 30.0;
        assert!(
            self.touched(table) <= bound,
            "{} rows of {table} for {}\n{}\n{:#}",
            self.touched(table),
            self.returned(),
            self.sql,
            self.plan
        );
    }
}

#[tokio::test]
async fn policies_stay_fast_at_a_million_rows() {
    let world = World::own_database().await;
    load(&world).await;
    let client = world.admin().await;
    let count: i64 = client
        .query_one("select count(*) from public.investments", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 1_000_000);
    own_rows_are_found_by_an_index(&client).await;
    staff_find_what_they_name(&client).await;
    what_hangs_on_a_property_is_found_by_it(&client).await;
    public_properties_are_found_by_price(&client).await;
}

async fn own_rows_are_found_by_an_index(client: &Client) {
    let investor = user(INVESTOR, false);
    let caller = Caller::of(&investor);
    for (table, name) in [
        ("investments", "user_id = $user and status = 'paid'"),
        ("notifications", "not read"),
        ("payment_methods", "user_id = $user"),
        ("ai_interactions", "session_id = 's'"),
        ("property_returns", "return_date > '2020-01-01'"),
        ("kyc_documents", "status = 'pending'"),
        ("tokenization_processes", "status = 'cancelled'"),
        ("tokenization_steps", "status = 'pending'"),
        ("tokenization_reports", "report_type = 'summary'"),
        ("chat_messages", "created_at > '2020-01-01'"),
        ("chat_room_participants", "is_active"),
        ("user_profiles", "kyc_status = 'approved'"),
        ("user_role_assignments", "is_active"),
    ] {
        let condition = name.replace("$user", &format!("'{}'", investor.id));
        for sql in [
            format!("select * from public.{table}"),
            format!("select * from public.{table} where {condition}"),
            format!("select count(*), min(id::text) from public.{table} where {condition}"),
        ] {
            ran(client, &caller, &sql).await.assert_goes_straight_to(table);
        }
    }
    let mine = ran(client, &caller, "select * from public.investments").await;
    assert!(
        (mine.returned() - 20.0).abs() < 0.5,
        "his twenty of the million: {}",
        mine.returned()
    );
    let page = "select * from public.investments where property_id = any (select id from public.properties where city = 'City 7') limit 5";
    let ran = ran(client, &caller, page).await;
    assert!(
        ran.touched("investments") <= 60.0,
        "a filter does not lead away from his own rows: {:#}",
        ran.plan
    );
}

/// A staff member sees own rows or, by the role, others'; the two together have no index. So staff say what they look for,
/// and then that index is used.
async fn staff_find_what_they_name(client: &Client) {
    let manager = user(MANAGER, true);
    let caller = Caller::of(&manager);
    let managed = "c0000000-0000-4000-8000-000000000006";
    for (table, condition) in [
        ("investments", format!("user_id = '{}'", manager.id)),
        ("property_returns", format!("user_id = '{}'", manager.id)),
        ("payment_methods", format!("user_id = '{}'", manager.id)),
        ("kyc_documents", format!("user_id = '{}'", manager.id)),
        ("property_members", format!("property_id = '{managed}'")),
        ("property_documents", format!("property_id = '{managed}'")),
        ("property_tokens", format!("property_id = '{managed}'")),
        ("tokenization_processes", format!("property_id = '{managed}'")),
        (
            "tokenization_steps",
            "process_id = 'f0000000-0000-4000-8000-000000000005'".to_owned(),
        ),
        ("properties", format!("id = '{managed}'")),
        (
            "properties",
            "is_active and price_minor between 1000000 and 1100000".to_owned(),
        ),
    ] {
        let sql = format!("select * from public.{table} where {condition}");
        ran(client, &caller, &sql).await.assert_goes_straight_to(table);
    }
    // What no person but staff writes to has policies of one kind only, and those of the person have the index.
    ran(client, &caller, "select * from public.notifications")
        .await
        .assert_goes_straight_to("notifications");
    // Without a condition all rows are read, and still nothing is asked for each.
    for table in [
        "investments",
        "property_documents",
        "properties",
        "tokenization_processes",
        "property_members",
    ] {
        ran(client, &caller, &format!("select * from public.{table}"))
            .await
            .assert_asks_once();
    }
    let edit = format!("update public.properties set title = title where id = '{managed}'");
    let edit = ran(client, &caller, &edit).await;
    assert!(
        !edit.scans_whole("properties") && edit.touched("properties") <= 2.0,
        "{:#}",
        edit.plan
    );
}

async fn what_hangs_on_a_property_is_found_by_it(client: &Client) {
    let property = "c0000000-0000-4000-8000-000000000007";
    for caller in [Caller::visitor(), Caller::of(&user(INVESTOR, false))] {
        for table in ["property_documents", "property_tokens"] {
            let sql = format!("select * from public.{table} where property_id = '{property}'");
            let found = ran(client, &caller, &sql).await;
            found.assert_goes_straight_to(table);
            assert!(
                found.touched("properties") <= 10.0,
                "and the property is looked up: {:#}",
                found.plan
            );
            ran(client, &caller, &format!("select * from public.{table}"))
                .await
                .assert_asks_once();
        }
    }
}

async fn public_properties_are_found_by_price(client: &Client) {
    let by_minor = "price_minor between 1000000 and 1100000";
    let by_figure = "price between 10000 and 11000";
    for caller in [Caller::visitor(), Caller::of(&user(INVESTOR, false))] {
        for list in [
            format!("select * from public.properties where is_active and {by_minor} order by price_minor, id limit 20"),
            format!("select * from public.properties where {by_minor}"),
            format!("select * from public.public_properties where {by_minor} order by price_minor, id limit 20"),
        ] {
            let found = ran(client, &caller, &list).await;
            found.assert_goes_straight_to("properties");
            assert!(
                found.uses("properties_active_price_idx"),
                "{}\n{:#}",
                found.sql,
                found.plan
            );
        }
        // What compares numerics might tell of rows it must not see, for all that PostgreSQL knows, so it comes after the
        // policy and no index helps. The view has no policy in the way.
        let below = ran(
            client,
            &caller,
            &format!("select * from public.properties where {by_figure}"),
        )
        .await;
        assert!(
            below.scans_whole("properties"),
            "numeric has become leakproof: the view may go\n{:#}",
            below.plan
        );
        for order in ["", " order by price, id limit 20"] {
            let beside = format!("select * from public.public_properties where {by_figure}{order}");
            let beside = ran(client, &caller, &beside).await;
            beside.assert_goes_straight_to("properties");
            assert!(beside.uses("properties_active_price_figure_idx"), "{:#}", beside.plan);
        }
    }
}
