//! Offerings and reservations: who may buy, exactly how much, and what a retry changes.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;

use crate::shop::{Plan, Shop, WINDOW, id_of};

#[tokio::test]
async fn a_reservation_has_the_price_and_fee_of_the_offering_and_not_the_clients() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let mut order = shop.order(2);
    for (field, lie) in [
        ("price", json!(1)),
        ("feeAmount", json!(0)),
        ("status", json!("confirmed")),
    ] {
        order[field] = lie;
    }
    let investment = shop.site.done(&buyer, "create-investment", order).await;
    assert_eq!(
        [
            &investment["total_amount"],
            &investment["fee_amount"],
            &investment["charge_amount"],
            &investment["price_per_token"]
        ],
        [&json!(100.0), &json!(2.0), &json!(102.0), &json!(50.0)]
    );
    assert_eq!(
        (&investment["status"], &investment["offering_id"]),
        (&json!("pending"), &json!(offering_id))
    );
    shop.check().await;
}

#[tokio::test]
async fn a_retry_answers_the_same_and_changes_nothing() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let first = shop
        .site
        .call_with_key(&buyer, "create-investment", shop.order(2), Some("k"))
        .await;
    assert_eq!(first.0, StatusCode::OK, "{}", first.1);
    shop.site.advance(TimeDelta::minutes(20));
    let again = shop
        .site
        .call_with_key(&buyer, "create-investment", shop.order(2), Some("k"))
        .await;
    assert_eq!(again, first, "a retry answers the same");
    assert_eq!(shop.balance("reserved_pending").await, 2, "and reserves nothing more");
    let other = shop
        .site
        .call_with_key(&buyer, "create-investment", shop.order(3), Some("k"))
        .await;
    assert_eq!(
        (other.0, &other.1["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_key_reused"))
    );
    let somebody = shop.buyer().await;
    let theirs = shop
        .site
        .call_with_key(&somebody, "create-investment", shop.order(3), Some("k"))
        .await;
    assert_eq!(theirs.0, StatusCode::OK, "a key is its caller's: {}", theirs.1);
    let too_many = shop.order(99);
    let refused = shop
        .site
        .call_with_key(&buyer, "create-investment", too_many.clone(), Some("big"))
        .await;
    assert_eq!(refused.0, StatusCode::CONFLICT);
    let another = shop
        .site
        .call_with_key(&buyer, "create-investment", shop.order(1), Some("big"))
        .await;
    assert_eq!(another.0, StatusCode::OK, "refusals are not stored: {}", another.1);
    shop.check().await;
}

#[tokio::test]
async fn without_a_key_an_identical_reservation_is_the_answer_for_ten_minutes() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let first = shop.site.done(&buyer, "create-investment", shop.order(2)).await;
    shop.site.advance(TimeDelta::minutes(10) - TimeDelta::seconds(1));
    let same = shop.site.done(&buyer, "create-investment", shop.order(2)).await;
    assert_eq!(id_of(&same), id_of(&first));
    let other = shop.site.done(&buyer, "create-investment", shop.order(3)).await;
    assert_ne!(id_of(&other), id_of(&first), "another amount is another wish");
    shop.site.advance(TimeDelta::seconds(1));
    let later = shop.site.done(&buyer, "create-investment", shop.order(2)).await;
    assert_ne!(id_of(&later), id_of(&first));
    assert_eq!(shop.balance("reserved_pending").await, 7);
    shop.check().await;
}

#[tokio::test]
async fn a_refusal_says_its_rule_what_it_looked_at_where_it_is_from_and_what_would_help() {
    let (shop, _) = Shop::selling(Plan {
        pack: "simulated_standard",
        ..Plan::default()
    })
    .await;
    let buyer = shop.buyer().await;
    let (rule, refusal) = shop.site.refused(&buyer, "create-investment", shop.order(2)).await;
    assert_eq!(rule, "identity_verified");
    assert_eq!(refusal["inputs"]["identity"], json!("not_started"));
    let source = refusal["source"].as_str().unwrap();
    assert!(source.starts_with("simulated_standard version 1: "), "{source}");
    assert_eq!(
        refusal["error"], refusal["detail"],
        "front ends read the text under error"
    );
    assert_eq!(shop.balance("reserved_pending").await, 0);
    shop.check().await;
}

#[tokio::test]
async fn nothing_is_sold_outside_the_window_nor_more_than_there_is() {
    let (shop, _) = Shop::selling(Plan {
        maximum: Some(60),
        ..Plan::default()
    })
    .await;
    let [one, two] = [shop.buyer().await, shop.buyer().await];
    for wrong in [json!(0), json!(-1), json!(1.5), json!("many"), json!(null)] {
        let mut order = shop.order(1);
        order["tokenAmount"] = wrong.clone();
        let (status, answer) = shop.site.call(&one, "create-investment", order).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {answer}");
    }
    assert_eq!(
        shop.site.refused(&one, "create-investment", shop.order(61)).await.0,
        "offering.maximum"
    );
    shop.reserve(&one, 60).await;
    assert_eq!(
        shop.site.refused(&two, "create-investment", shop.order(41)).await.0,
        "offering.left"
    );
    shop.reserve(&two, 40).await;
    assert_eq!(shop.balance("available").await, 900, "the hard cap is 100 of 1,000");
    shop.site.advance(WINDOW - TimeDelta::microseconds(1));
    shop.turn().await;
    shop.reserve(&two, 1).await;
    shop.site.advance(TimeDelta::microseconds(1));
    assert_eq!(
        shop.site.refused(&two, "create-investment", shop.order(1)).await.0,
        "offering.window"
    );
    let stranger = json!({ "propertyId": uuid::Uuid::now_v7(), "tokenAmount": 1 });
    assert_eq!(
        shop.site.call(&one, "create-investment", stranger).await.0,
        StatusCode::NOT_FOUND
    );
    shop.check().await;
}

#[tokio::test]
async fn a_reservation_ends_at_its_instant_and_not_before() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.reserve(&buyer, 5).await;
    shop.site.advance(TimeDelta::minutes(30) - TimeDelta::microseconds(1));
    shop.turn().await;
    assert_eq!(shop.status(id).await, "pending");
    shop.site.advance(TimeDelta::microseconds(1));
    shop.turn().await;
    assert_eq!(shop.status(id).await, "expired");
    assert_eq!(shop.balance("available").await, 1_000);
    let kept = shop.reserve(&buyer, 5).await;
    let given_up = shop
        .site
        .done(&buyer, "cancel-investment", json!({ "investmentId": kept }))
        .await;
    assert_eq!(given_up["investment"]["status"], json!("cancelled"));
    let (rule, _) = shop
        .site
        .refused(&buyer, "cancel-investment", json!({ "investmentId": kept }))
        .await;
    assert_eq!(rule, "investment.status");
    let other = shop.buyer().await;
    let (status, _) = shop
        .site
        .call(&other, "cancel-investment", json!({ "investmentId": kept }))
        .await;
    assert_eq!(
        status,
        StatusCode::NOT_FOUND,
        "somebody else's investment does not exist"
    );
    shop.check().await;
}

#[tokio::test]
async fn an_offering_takes_two_people_and_a_launched_token() {
    let shop = Shop::new().await;
    let draft = shop.prepare(&Plan::default()).await;
    let body = json!({ "offeringId": draft });
    let (status, _) = shop.site.call(&shop.manager, "open-offering", body.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a manager does not open");
    let buyer = shop.buyer().await;
    let (status, _) = shop.site.call(&buyer, "create-investment", shop.order(1)).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "a draft is no offering");
    shop.site.done(&shop.admin, "open-offering", body.clone()).await;
    assert_eq!(
        shop.site.refused(&shop.admin, "open-offering", body).await.0,
        "offering.status"
    );
    let second = shop.prepare(&Plan::default()).await;
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "open-offering", json!({ "offeringId": second }))
        .await;
    assert_eq!(rule, "offering.one_at_a_time");
    let (status, _) = shop
        .site
        .call(
            &shop.site.person(&["property_manager"]).await,
            "cancel-offering",
            json!({ "offeringId": second }),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another property's manager");
    shop.site
        .done(&shop.manager, "cancel-offering", json!({ "offeringId": second }))
        .await;
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_buyers_at_once_get_exactly_what_there_is() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let mut buyers = Vec::new();
    for _ in 0..30 {
        buyers.push(shop.buyer().await);
    }
    let shop = std::sync::Arc::new(shop);
    let orders = buyers.into_iter().map(|buyer| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.site.call(&buyer, "create-investment", shop.order(7)).await })
    });
    let mut sold = 0;
    for order in orders.collect::<Vec<_>>() {
        let (status, answer) = order.await.unwrap();
        match status {
            StatusCode::OK => sold += 7,
            StatusCode::CONFLICT => assert_eq!(answer["rule"], json!("offering.left"), "{answer}"),
            other => panic!("{other}: {answer}"),
        }
    }
    assert_eq!(sold, 98, "fourteen times seven fit into a hundred");
    assert_eq!(shop.balance("reserved_pending").await, 98);
    shop.check().await;
}
