//! Lines: how long they get, who is next, and clients that do not wait.

use axum::http::StatusCode;
use nexus_mint::queue::Limits;
use serde_json::json;
use uuid::Uuid;

use super::{BLOCKED, hold, until, wait_in_line};
use crate::seed;
use crate::shop::{Plan, Shop, WINDOW, id_of, property};

#[tokio::test]
async fn who_comes_when_the_line_is_full_is_told_to_come_again() {
    let (mut shop, _) = Shop::selling(Plan::default()).await;
    let limits = Limits {
        waiting_max: 3,
        ..Limits::default()
    };
    shop.site.app = shop.site.app.clone().with_lines(limits);
    let buyers = [
        shop.buyer().await,
        shop.buyer().await,
        shop.buyer().await,
        shop.buyer().await,
    ];
    let gate = hold(&shop).await;
    let mut sent = Vec::new();
    for buyer in &buyers[..3] {
        sent.push(wait_in_line(&shop.site.app, buyer, &shop.order(1), None).await);
    }
    let (status, headers, answer) = super::send(&shop.site.app, &buyers[3], &shop.order(1), None)
        .await
        .unwrap();
    assert_eq!(
        (status, &answer["code"], &headers["retry-after"]),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            &json!("too_busy"),
            &"1".parse().unwrap()
        )
    );
    gate.batch_execute("commit").await.unwrap();
    for one in sent {
        assert_eq!(one.await.unwrap().0, StatusCode::OK);
    }
    shop.reserve(&buyers[3], 1).await;
    assert_eq!(shop.site.app.purchases.waiting(), 0);
}

#[tokio::test]
async fn a_crowd_at_one_property_does_not_keep_another_waiting() {
    let (mut shop, _) = Shop::selling(Plan::default()).await;
    let (quiet, _) = property(&shop.site, &shop.manager).await;
    let now = shop.site.now();
    let body = json!({
        "propertyId": quiet, "rulePack": "open", "kind": "issuer_owns", "softCap": 1, "hardCap": 100, "opensAt": now,
        "closesAt": now + WINDOW, "longStopAt": now + WINDOW + WINDOW,
    });
    let offering = shop.site.done(&shop.manager, "create-offering", body).await;
    let body = json!({ "offeringId": id_of(&offering["offering"]) });
    shop.site.done(&shop.admin, "open-offering", body).await;
    let limits = Limits {
        batch_max: 2,
        at_work_max: 1,
        ..Limits::default()
    };
    shop.site.app = shop.site.app.clone().with_lines(limits);
    let gate = hold(&shop).await;
    let mut sent = Vec::new();
    for _ in 0..10 {
        let buyer = shop.buyer().await;
        sent.push(wait_in_line(&shop.site.app, &buyer, &shop.order(1), None).await);
    }
    let lone = shop.buyer().await;
    let order = json!({ "propertyId": quiet, "tokenAmount": 1 });
    sent.push(wait_in_line(&shop.site.app, &lone, &order, None).await);
    gate.batch_execute("commit").await.unwrap();
    for one in sent {
        assert_eq!(one.await.unwrap().0, StatusCode::OK);
    }
    let admin = shop.site.world.admin().await;
    let sql = "select count(*) from ledger.entries as e where e.kind = 'investment.reserved' and e.id < (
                 select l.id from ledger.entries as l where l.kind = 'investment.reserved' and l.actor_id = $1)";
    let before: i64 = admin.query_one(sql, &[&lone.id]).await.unwrap().get(0);
    assert!(before <= 2, "{before} of the crowd came before, and one batch is two");
}

#[tokio::test]
async fn a_client_that_goes_away_loses_no_purchase_and_no_connection() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let app = &shop.site.app;
    let [first, second, third] = [shop.buyer().await, shop.buyer().await, shop.buyer().await];
    let gate = hold(&shop).await;
    let admin = shop.site.world.admin().await;
    let begun = wait_in_line(app, &first, &shop.order(1), Some("k")).await;
    seed::until(&admin, BLOCKED).await;
    let gone = wait_in_line(app, &second, &shop.order(1), Some("k")).await;
    let stays = wait_in_line(app, &third, &shop.order(1), Some("k")).await;
    for client in [begun, gone] {
        client.abort();
        let _ = client.await;
    }
    gate.batch_execute("commit").await.unwrap();
    assert_eq!(stays.await.unwrap().0, StatusCode::OK);
    until(app, 0).await;
    let sql = "select array_agg(user_id order by created_at, id) from public.investments";
    let bought: Vec<Uuid> = admin.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(
        bought,
        [first.id, third.id],
        "what had begun is done; what had not is let go"
    );
    let retry = super::send(app, &first, &shop.order(1), Some("k")).await.unwrap();
    assert_eq!(retry.0, StatusCode::OK);
    assert_eq!(
        shop.balance("reserved_pending").await,
        2,
        "the retry is answered from the first time"
    );
    // More than the engine has connections.
    for _ in 0..10 {
        let gate = hold(&shop).await;
        let client = wait_in_line(app, &second, &shop.order(1), None).await;
        seed::until(&admin, BLOCKED).await;
        client.abort();
        gate.batch_execute("commit").await.unwrap();
        until(app, 0).await;
    }
    shop.check().await;
}
