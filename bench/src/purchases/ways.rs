//! The ways to buy.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::SinkExt as _;
use nexus_mint::{app::App, attach::Postgres, command::Call, investments::batch, problem::AnyError};
use serde_json::json;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::{
    load::{self, Pace, Taken},
    world::World,
};

/// More connections make the hot row slower.
const CONNECTIONS: usize = 32;

/// Rows of one COPY: what the audit trail tells row by row.
const ROWS: usize = 1_000;

/// Of which house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Hot,
    Spread,
}

impl Where {
    fn house(self, world: &World) -> Uuid {
        match self {
            Where::Hot => world.hot(),
            Where::Spread => world.any(world.number()),
        }
    }
}

/// Connections as commands have them.
pub(super) async fn connect(postgres: &Postgres) -> Result<Vec<Arc<Client>>, AnyError> {
    let mut login = postgres.runtime();
    login.pg.options("-c role=nexus_engine");
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Arc::new(login.connect().await?));
    }
    Ok(clients)
}

/// The product's queue.
pub(super) async fn engine(app: &App, world: &Arc<World>, pace: Pace, at: Where) -> Result<Taken, AnyError> {
    let (app, world) = (app.clone(), world.clone());
    load::run(pace, move |_| {
        let (app, world) = (app.clone(), world.clone());
        async move {
            let body = json!({ "propertyId": at.house(&world), "tokenAmount": 1 }).to_string();
            let key = Uuid::now_v7().to_string();
            let call = Call {
                app: &app,
                name: "create-investment",
                user_id: world.next_buyer()?,
                key: Some(&key),
                body: body.as_bytes(),
                only_looks: false,
            };
            batch::create(&call).await?;
            Ok(())
        }
    })
    .await
}

/// A connection that one buyer at a time uses, with the statements that it has.
pub(super) type Shared = Arc<Vec<tokio::sync::Mutex<(Arc<Client>, Vec<Statement>)>>>;

pub(super) async fn share(clients: &[Arc<Client>], pace: Pace, texts: &[&str]) -> Result<Shared, AnyError> {
    let mut shared = Vec::new();
    for client in clients.iter().take(pace.in_flight.max(1)) {
        let mut statements = Vec::new();
        for text in texts {
            statements.push(client.prepare(text).await?);
        }
        shared.push(tokio::sync::Mutex::new((client.clone(), statements)));
    }
    Ok(Arc::new(shared))
}

/// One PL/pgSQL transaction a purchase.
pub(super) async fn one(clients: &[Arc<Client>], world: &Arc<World>, pace: Pace, at: Where) -> Result<Taken, AnyError> {
    let shared = share(clients, pace, &["select bench.buy($1, $2, 1, $3, $4)"]).await?;
    let world = world.clone();
    load::run(pace, move |number| {
        let (shared, world) = (shared.clone(), world.clone());
        async move {
            let (buyer, house, key) = (world.next_buyer()?, at.house(&world), Uuid::now_v7().to_string());
            let digest = [7_u8; 32].as_slice();
            let connection = shared.get(number % shared.len()).ok_or("no connection")?.lock().await;
            let statement = connection.1.first().ok_or("no statement")?;
            let row = connection
                .0
                .query_one(statement, &[&buyer, &house, &key, &digest])
                .await?;
            let answer: serde_json::Value = row.get(0);
            answer.get("id").map(|_| ()).ok_or_else(|| "no answer".into())
        }
    })
    .await
}

const CHATTY: [&str; 10] = [
    "select set_config('request.jwt.claims', json_build_object('role', 'nexus_engine', 'sub', $1::uuid)::text, true), p.party_id
     from public.user_profiles as p where p.id = $1",
    "select o.id, s.property_token_id, s.available_units from public.property_token_supply as s join public.offerings as o on o.id = s.offering_id
     where o.property_id = $1 for no key update of s",
    "insert into public.party_limits (party_id) values ($1) on conflict do nothing",
    "select from public.party_limits where party_id = $1 for no key update",
    "select count(*) from public.investments where party_id = $1 and offering_id = $2 and status = 'pending'",
    "insert into public.investments as i (id, user_id, party_id, property_id, property_token_id, offering_id, token_amount_units,
       price_per_token_minor, total_amount_minor, fee_amount_minor, due_at)
     values ($1, $2, $3, $4, $5, $6, 1, 5000, 5000, 100, now() + interval '30 minutes') returning to_jsonb(i)",
    "with moved as (update public.property_token_supply set available_units = available_units - 1, pending_units = pending_units + 1,
       offering_left_units = offering_left_units - 1 where property_token_id = $1)
     update public.property_tokens set available_supply_units = available_supply_units - 1 where id = $1",
    "select ledger.post('investment:' || $1::text || ':reserve', 'investment.reserved', current_date, $2::uuid, jsonb_build_object('investment_id', $1::text, 'offering_id', $3::uuid),
       ledger.open_accounts(array['available', 'reserved_pending'], array_fill('token:' || $4::text, array[2]), array[$5, $5]::uuid[], array[null, null]::uuid[]), array[-1, 1]::bigint[])",
    "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id)
     values ('investment.reserved', $1, jsonb_build_object('investmentId', $1::text, 'offeringId', $3::uuid), $2)",
    "insert into nexus.command_keys (caller_id, command, key, body_sha256, answer) values ($1, 'create-investment', $2, $3, $4)",
];

/// The same, statement by statement.
pub(super) async fn chatty(clients: &[Arc<Client>], world: &Arc<World>, pace: Pace) -> Result<Taken, AnyError> {
    let shared = share(clients, pace, &CHATTY).await?;
    let world = world.clone();
    load::run(pace, move |number| {
        let (shared, world) = (shared.clone(), world.clone());
        async move {
            let (buyer, house, key) = (world.next_buyer()?, world.hot(), Uuid::now_v7().to_string());
            let connection = shared.get(number % shared.len()).ok_or("no connection")?.lock().await;
            let (client, statements) = &*connection;
            let [profile, supply, make, party, bought, invest, moved, post, emit, keep] = statements.as_slice() else {
                return Err("ten statements".into());
            };
            let (id, digest) = (Uuid::now_v7(), [7_u8; 32].as_slice());
            let text = id.to_string();
            client.batch_execute("begin").await?;
            let party_id: Uuid = client.query_one(profile, &[&buyer]).await?.get(1);
            let row = client.query_one(supply, &[&house]).await?;
            let (offering, token): (Uuid, Uuid) = (row.get(0), row.get(1));
            let token_text = token.to_string();
            client.execute(make, &[&party_id]).await?;
            client.query_one(party, &[&party_id]).await?;
            client.query_one(bought, &[&party_id, &offering]).await?;
            let answer: serde_json::Value = client
                .query_one(invest, &[&id, &buyer, &party_id, &house, &token, &offering])
                .await?
                .get(0);
            client.execute(moved, &[&token]).await?;
            client
                .query_one(post, &[&text, &buyer, &offering, &token_text, &house])
                .await?;
            client.execute(emit, &[&text, &buyer, &offering]).await?;
            client.execute(keep, &[&buyer, &key, &digest, &answer]).await?;
            client.batch_execute("commit").await?;
            Ok(())
        }
    })
    .await
}

/// The same rows by COPY: investments with their audit rows, entries, postings, events and keys; the counters once.
pub(super) async fn copy(admin: &Client, world: &Arc<World>, time: Duration) -> Result<Taken, AnyError> {
    let sql = "select p.party_id, o.id, o.property_token_id, (ledger.open_accounts(array['available', 'reserved_pending'],
                 array_fill('token:' || o.property_token_id, array[2]), array[o.property_id, o.property_id], array[null, null]::uuid[])) as accounts
               from public.user_profiles as p, public.offerings as o where p.id = $1 and o.property_id = $2";
    let sql = admin.prepare(sql).await?;
    let begun = Instant::now();
    let mut count = 0;
    let mut spent = Duration::ZERO;
    while begun.elapsed() < time || count == 0 {
        let [mut investments, mut entries, mut postings, mut events, mut keys] = [const { String::new() }; 5];
        let mut token = Uuid::nil();
        let buyer = world.next_buyer()?;
        let row = admin.query_one(&sql, &[&buyer, &world.hot()]).await?;
        let (party, offering): (Uuid, Uuid) = (row.get(0), row.get(1));
        token.clone_from(&row.get(2));
        let accounts: Vec<i64> = row.get(3);
        let [from, to] = accounts.as_slice() else {
            return Err("two accounts".into());
        };
        let first: i64 = admin
            .query_one("select max(nextval(pg_get_serial_sequence('ledger.entries', 'id'))) - 999 from generate_series(1, 1000)", &[])
            .await?
            .get(0);
        let seq: i64 = admin
            .query_one(
                "select max(account_seq) from ledger.postings where account_id = any ($1)",
                &[&accounts],
            )
            .await?
            .get::<_, Option<i64>>(0)
            .unwrap_or(0);
        for number in 0..i64::try_from(ROWS)? {
            let id = Uuid::now_v7();
            let (entry, next) = (first + number, seq + number + 1);
            use std::fmt::Write as _;
            writeln!(
                investments,
                "{id}\t{buyer}\t{party}\t{}\t{token}\t{offering}\t1\t5000\t5000\t100\t2099-01-01",
                world.hot()
            )?;
            writeln!(
                entries,
                "{entry}\tinvestment:{id}:reserve\tinvestment.reserved\t2026-01-01\t{buyer}\t{{\"investment_id\": \"{id}\", \"offering_id\": \"{offering}\"}}\t\\\\x{}",
                "07".repeat(32)
            )?;
            writeln!(
                postings,
                "{entry}\t1\t{from}\t-1\t{next}\t0\n{entry}\t2\t{to}\t1\t{next}\t0"
            )?;
            writeln!(
                events,
                "investment.reserved\t{id}\t{{\"investmentId\": \"{id}\", \"offeringId\": \"{offering}\"}}\t{buyer}"
            )?;
            writeln!(
                keys,
                "{buyer}\tcreate-investment\t{id}\t\\\\x{}\t{{\"id\": \"{id}\", \"note\": \"{}\"}}",
                "07".repeat(32),
                "x".repeat(1_100)
            )?;
        }
        let started = Instant::now();
        admin.batch_execute("begin").await?;
        for (text, rows) in [
            (
                "copy public.investments (id, user_id, party_id, property_id, property_token_id, offering_id, token_amount_units, price_per_token_minor, total_amount_minor, fee_amount_minor, due_at) from stdin",
                investments,
            ),
            (
                "copy ledger.entries (id, key, kind, business_date, actor_id, cause, digest) from stdin",
                entries,
            ),
            (
                "copy ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after) from stdin",
                postings,
            ),
            (
                "copy nexus.outbox_events (topic, dedupe_key, payload, actor_id) from stdin",
                events,
            ),
            (
                "copy nexus.command_keys (caller_id, command, key, body_sha256, answer) from stdin",
                keys,
            ),
        ] {
            let mut sink = std::pin::pin!(admin.copy_in::<_, Bytes>(text).await?);
            sink.send(Bytes::from(rows)).await?;
            sink.as_mut().finish().await?;
        }
        let rows = i64::try_from(ROWS)?;
        admin.execute("update ledger.balances set balance = balance + case account_id when $1 then -$3::bigint else $3 end, postings = $4 where account_id in ($1, $2)", &[from, to, &rows, &(seq + rows)]).await?;
        admin.execute("update public.property_token_supply set available_units = available_units - $2, pending_units = pending_units + $2, offering_left_units = offering_left_units - $2 where property_token_id = $1", &[&token, &rows]).await?;
        admin
            .execute(
                "update public.property_tokens set available_supply_units = available_supply_units - $2 where id = $1",
                &[&token, &rows],
            )
            .await?;
        admin.batch_execute("commit").await?;
        spent += started.elapsed();
        count += ROWS;
    }
    let each = u32::try_from(spent.as_micros() / u128::try_from(count)?)?;
    Ok(Taken::of(vec![each; count], spent))
}
