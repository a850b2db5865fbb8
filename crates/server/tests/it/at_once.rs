//! Purchases that come at the same instant: decided in batches, each with an outcome of its own, whatever happens to the
//! batch, to its client, or to the server.
//!
//! Tests make a crowd by holding the supply row: the first order waits for it as a batch of one, the others behind it.

mod checkout;
mod killed;
mod lines;
mod payments;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use nexus_mint::app::App;
use nexus_mint::router::router;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::shop::{Plan, Shop, id_of};
use crate::site::Signed;

/// An answer, as clients see it.
type Answer = (StatusCode, HeaderMap, Value);

/// Sends an order to a server, as a client that somebody else may end.
fn send(app: &App, who: &Signed, order: &Value, key: Option<&str>) -> JoinHandle<Answer> {
    send_to(app, "create-investment", who, order, key)
}

fn send_to(app: &App, name: &str, who: &Signed, order: &Value, key: Option<&str>) -> JoinHandle<Answer> {
    let request = Request::post(format!("/functions/v1/{name}"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", who.token));
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    let request = request.body(Body::from(order.to_string())).unwrap();
    let app = app.clone();
    tokio::spawn(async move {
        let response = router(app).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
    })
}

/// Sends an order and returns once it waits.
async fn wait_in_line(app: &App, who: &Signed, order: &Value, key: Option<&str>) -> JoinHandle<Answer> {
    let before = app.purchases.waiting();
    let sent = send(app, who, order, key);
    until(app, before + 1).await;
    sent
}

async fn until(app: &App, waiting: usize) {
    let begin = std::time::Instant::now();
    while app.purchases.waiting() != waiting {
        assert!(begin.elapsed() < crate::program::PATIENCE, "{waiting} never wait");
        tokio::task::yield_now().await;
    }
}

/// Keeps the supply row from everybody until it commits.
async fn hold(shop: &Shop) -> Client {
    let client = shop.site.world.admin().await;
    client
        .batch_execute("begin; select from public.property_token_supply for update")
        .await
        .unwrap();
    client
}

const BLOCKED: &str = "select count(*) = 1 from pg_stat_activity
    where datname = current_database() and application_name = 'nexus-mint nexus_engine' and wait_event_type = 'Lock'";

#[tokio::test]
async fn a_crowd_is_answered_each_by_his_own_outcome_and_in_order() {
    let (shop, _) = Shop::selling(Plan {
        hard_cap: 20,
        maximum: Some(9),
        ..Plan::default()
    })
    .await;
    let mut buyers = Vec::new();
    for _ in 0..12 {
        buyers.push(shop.buyer().await);
    }
    let gate = hold(&shop).await;
    let mut sent = Vec::new();
    let app = &shop.site.app;
    // Twelve tokens, one by one.
    for (buyer, number) in buyers.iter().zip(0..) {
        let key = (number % 2 == 0).then_some("mine");
        sent.push(wait_in_line(app, buyer, &shop.order(1), key).await);
    }
    // A retry of the fifth; another body under his key; what the second wants once more, without a key; none; too many.
    sent.push(wait_in_line(app, &buyers[4], &shop.order(1), Some("mine")).await);
    sent.push(wait_in_line(app, &buyers[4], &shop.order(2), Some("mine")).await);
    sent.push(wait_in_line(app, &buyers[1], &shop.order(1), None).await);
    sent.push(wait_in_line(app, &buyers[2], &shop.order(0), None).await);
    sent.push(wait_in_line(app, &buyers[3], &shop.order(9), None).await);
    // Eight of the last eight; one more, under a key that is then free for what fits.
    sent.push(wait_in_line(app, &buyers[5], &shop.order(8), None).await);
    sent.push(wait_in_line(app, &buyers[6], &shop.order(1), Some("other")).await);
    gate.batch_execute("commit").await.unwrap();
    let mut answers = Vec::new();
    for one in sent {
        answers.push(one.await.unwrap());
    }
    let rows: Vec<Uuid> = answers[..12].iter().map(|answer| id_of(&answer.2)).collect();
    assert_eq!(
        id_of(&answers[12].2),
        rows[4],
        "a retry in the same batch is the same purchase"
    );
    assert_eq!(answers[13].2["code"], json!("idempotency_key_reused"));
    assert_eq!(
        id_of(&answers[14].2),
        rows[1],
        "an identical order is the same purchase"
    );
    assert_eq!(answers[15].0, StatusCode::BAD_REQUEST);
    assert_eq!(answers[16].2["rule"], json!("offering.maximum"));
    assert_eq!(answers[17].0, StatusCode::OK, "{:?}", answers[17]);
    assert_eq!(answers[18].2["rule"], json!("offering.left"));
    for (buyer, answer) in buyers.iter().zip(&answers[..12]) {
        assert_eq!((answer.0, &answer.2["user_id"]), (StatusCode::OK, &json!(buyer.id)));
    }
    let again = send(app, &buyers[4], &shop.order(1), Some("mine")).await.unwrap();
    assert_eq!(
        (again.0, again.2),
        (StatusCode::OK, answers[4].2.clone()),
        "and so is one after it"
    );

    let admin = shop.site.world.admin().await;
    let sql = "select count(distinct transaction_id), array_agg((cause ->> 'investment_id')::uuid order by id)
               from ledger.entries where kind = 'investment.reserved'";
    let row = admin.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        row.get::<_, i64>(0),
        2,
        "one batch of one, and one of all who came meanwhile"
    );
    assert_eq!(
        row.get::<_, Vec<Uuid>>(1)[..12],
        rows,
        "in the order in which they came"
    );
    let sql = "select count(*) from public.investments as i
               join public.audit_log as a on a.table_name = 'public.investments' and a.row_key = i.id::text and a.actor_id = i.user_id
               join ledger.entries as e on e.key = 'investment:' || i.id || ':reserve' and e.actor_id = i.user_id
               join nexus.outbox_events as o on o.topic = 'investment.reserved' and o.dedupe_key = i.id::text and o.actor_id = i.user_id";
    let found: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(found, 13, "each row says whose it is");
    shop.check().await;
}

#[tokio::test]
async fn a_lone_purchase_leaves_what_it_always_left() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let admin = shop.site.world.admin().await;
    let last: i64 = admin
        .query_one("select coalesce(max(id), 0) from public.audit_log", &[])
        .await
        .unwrap()
        .get(0);
    let id = shop.reserve(&buyer, 2).await;
    let sql = "select coalesce(string_agg(table_name || ' ' || operation, ', ' order by table_name), '') from public.audit_log
               where id > $1 and actor_id = $2 and actor_role = 'nexus_engine'";
    let left: String = admin.query_one(sql, &[&last, &buyer.id]).await.unwrap().get(0);
    assert_eq!(
        left,
        "public.investments INSERT, public.party_limits INSERT, public.property_tokens UPDATE"
    );
    let sql = "select count(*) from public.audit_log where id > $1";
    let all: i64 = admin.query_one(sql, &[&last]).await.unwrap().get(0);
    assert_eq!(all, 3, "and nothing of nobody's");
    let sql = "select k.answer from nexus.command_keys as k where k.caller_id = $1 and k.command = 'create-investment'";
    let kept: Value = admin.query_one(sql, &[&buyer.id]).await.unwrap().get(0);
    assert_eq!(kept, shop.investment(id).await, "the answer under the key is the row");
}

#[tokio::test]
async fn what_postgresql_refuses_harms_nobody_else() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let gate = hold(&shop).await;
    let mut sent = Vec::new();
    for number in 0..11 {
        let buyer = shop.buyer().await;
        let mut order = shop.order(1);
        if number == 7 {
            // Longer than the table takes: nothing that `core` knows of.
            order["paymentMethod"] = json!("x".repeat(101));
        }
        sent.push(wait_in_line(&shop.site.app, &buyer, &order, None).await);
    }
    gate.batch_execute("commit").await.unwrap();
    for (one, number) in sent.into_iter().zip(0..) {
        let (status, _, answer) = one.await.unwrap();
        let expected = if number == 7 {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        };
        assert_eq!(status, expected, "{number}: {answer}");
    }
    assert_eq!(shop.balance("reserved_pending").await, 10);
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_sell_exactly_what_there_is() {
    let (shop, _) = Shop::selling(Plan {
        hard_cap: 30,
        ..Plan::default()
    })
    .await;
    let mut other = shop.site.app.clone().with_lines(Default::default());
    other.db = nexus_mint::db::Db::new(&nexus_mint::db::Login::local(&shop.site.world.runtime_config())).unwrap();
    let mut buyers = Vec::new();
    for _ in 0..16 {
        buyers.push(shop.buyer().await);
    }
    let mut sent = Vec::new();
    for round in 0..3 {
        for buyer in &buyers {
            let key = format!("{round}");
            // The same order with the same key at both: one purchase.
            sent.push([&shop.site.app, &other].map(|app| send(app, buyer, &shop.order(1), Some(&key))));
        }
    }
    let mut sold = 0;
    for [one, two] in sent {
        let (one, two) = (one.await.unwrap(), two.await.unwrap());
        match (one.0, two.0) {
            (StatusCode::OK, StatusCode::OK) => {
                assert_eq!(id_of(&one.2), id_of(&two.2), "one key, one purchase");
                sold += 1;
            }
            (StatusCode::CONFLICT, StatusCode::CONFLICT) => {}
            (one, two) => panic!("{one} {two}: the second of a key is answered as the first"),
        }
    }
    assert_eq!(sold, 30);
    assert_eq!(shop.balance("reserved_pending").await, 30);
    shop.check().await;
}

#[tokio::test]
async fn an_offering_that_follows_another_is_found() {
    let (shop, first) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    shop.reserve(&buyer, 1).await;
    shop.site
        .done(
            &shop.admin,
            "fail-offering",
            json!({ "offeringId": first, "reason": "another one follows" }),
        )
        .await;
    shop.settle_down().await;
    let refused = shop.site.refused(&buyer, "create-investment", shop.order(1)).await;
    assert_eq!(refused.0, "offering.open");
    let second = shop.offer(&Plan::default()).await;
    let id = shop.reserve(&buyer, 1).await;
    assert_eq!(shop.investment(id).await["offering_id"], json!(second));
}
