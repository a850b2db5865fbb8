//! Payments that arrive at the same instant: those that pay exactly what was reserved together, all others as they always were.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use nexus_mint::app::App;
use nexus_mint::payments::sandbox;
use nexus_mint::router::router;
use serde_json::json;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::hold;
use crate::shop::{Plan, Shop};

/// Sends a rail's message to the webhook.
fn tell(app: &App, body: &str) -> JoinHandle<StatusCode> {
    let mut request = Request::post("/functions/v1/process-payment-webhook");
    if let Some(headers) = request.headers_mut() {
        headers.extend(sandbox::sign(app, body.as_bytes()));
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let app = app.clone();
    tokio::spawn(async move { router(app).oneshot(request).await.unwrap().status() })
}

async fn until(app: &App, waiting: usize) {
    let begin = std::time::Instant::now();
    while app.arrivals.waiting() != waiting {
        assert!(begin.elapsed() < crate::program::PATIENCE, "{waiting} never wait");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_crowd_that_pays_is_paid_in_each_way_as_one_by_one() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let app = &shop.site.app;
    let mut bought = Vec::new();
    for number in 0..9 {
        let buyer = shop.buyer().await;
        let id = shop.reserve(&buyer, 1).await;
        let (_, session) = shop.checkout(&buyer, id).await;
        // Too little, too much; everybody else pays what it costs, the last one twice.
        let more = match number {
            6 => -100,
            7 => 100,
            _ => 0,
        };
        shop.pay(&session, 5_100, more, false).await;
        if number == 8 {
            shop.pay(&session, 5_100, 0, false).await;
        }
        bought.push(id);
    }
    let messages = sandbox::undelivered(app).await.unwrap();
    assert_eq!(messages.len(), 10);
    let gate = hold(&shop).await;
    let mut told = Vec::new();
    // Each message twice, in whatever order the lines give them.
    for message in messages.iter().chain(&messages) {
        told.push(tell(app, message));
        until(app, told.len()).await;
    }
    gate.batch_execute("commit").await.unwrap();
    for one in told {
        assert_eq!(one.await.unwrap(), StatusCode::OK);
    }
    let mut statuses = Vec::new();
    for id in &bought {
        statuses.push(shop.status(*id).await);
    }
    let paid = |number: usize| number != 6;
    for (status, number) in statuses.iter().zip(0..) {
        assert_eq!(status, if paid(number) { "paid" } else { "pending" }, "{number}");
    }
    let admin = shop.site.world.admin().await;
    let sql = "select count(distinct transaction_id), count(*) from ledger.entries where kind = 'investment.paid'";
    let row = admin.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(1), 8);
    // The first alone, five with the last, and what is too much by itself.
    assert_eq!(row.get::<_, i64>(0), 3, "those that are simple together");
    let sql = "select array_agg(reason order by reason) from public.refunds";
    let back: Vec<String> = admin.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(back, ["duplicate", "overpaid"]);
    let sql =
        "select bool_and(processed_at is not null and attempts = 1) and count(*) = 10 from nexus.payment_messages";
    assert!(admin.query_one(sql, &[]).await.unwrap().get::<_, bool>(0), "each once");
    let sql = "select count(*) from public.investments as i
               join public.notifications as n on n.user_id = i.user_id and n.title = 'Payment received'
               join nexus.outbox_events as o on o.topic = 'investment.paid' and o.dedupe_key = i.id::text
               join public.payments as p on p.investment_id = i.id and p.matched_minor = 5100 where i.status = 'paid'";
    assert_eq!(admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 8);
    assert_eq!(shop.investment(bought[0]).await["due_at"], json!(null));
    shop.settle_down().await;
    shop.check().await;
}
