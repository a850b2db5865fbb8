//! How a sale ends: closed in one transaction with its evidence, or everybody has their money back.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::shop::{LONG_STOP, Plan, Shop, WINDOW};

#[tokio::test]
async fn a_sale_that_reached_its_soft_cap_closes_at_its_deadline_and_everybody_gets_what_is_his() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let [one, two] = [shop.buyer().await, shop.buyer().await];
    let mine = shop.buy(&one, 6).await;
    shop.buy(&one, 1).await;
    shop.buy(&two, 3).await;
    let unpaid = shop.reserve(&two, 5).await;
    shop.file_evidence().await;
    shop.site.advance(WINDOW - TimeDelta::microseconds(1));
    shop.settle_down().await;
    assert_eq!(shop.offering(offering_id).await["status"], json!("open"));
    shop.site.advance(TimeDelta::microseconds(1));
    let preview = shop
        .site
        .done(&shop.admin, "preview-close", json!({ "offeringId": offering_id }))
        .await;
    assert_eq!(preview["would"], json!("close"), "{preview}");
    let gets: Vec<&Value> = preview["holders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|holder| &holder["gets"])
        .collect();
    assert!(gets.contains(&&json!(7)) && gets.contains(&&json!(3)), "{preview}");
    assert_eq!(
        (&preview["proceeds"], &preview["fees"]),
        (&json!("500.00 USD"), &json!("10.00 USD"))
    );
    shop.settle_down().await;
    let offering = shop.offering(offering_id).await;
    assert_eq!(
        (&offering["status"], &offering["end_reason"]),
        (&json!("closed"), &json!("deadline"))
    );
    assert_eq!(
        (shop.status(mine).await.as_str(), shop.status(unpaid).await.as_str()),
        ("confirmed", "expired")
    );
    let balances = [
        shop.balance("held").await,
        shop.balance("proceeds").await,
        shop.balance("fees").await,
        shop.balance("escrow_bank").await,
    ];
    assert_eq!(balances, [10, 50_000, 1_000, 0]);
    let admin = shop.site.world.admin().await;
    let rests_on: i64 = admin
        .query_one(
            "select count(*) from public.gate_pass_evidence as e join public.offerings as o on o.close_pass_id = e.pass_id where o.id = $1",
            &[&offering_id],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(rests_on, 2, "deed and insurance");
    shop.check().await;
}

#[tokio::test]
async fn a_sale_below_its_soft_cap_gives_everything_back_without_anybodys_click() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.buy(&buyer, 9).await;
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    assert_eq!(
        shop.offering(offering_id).await["fail_reason"],
        json!("the soft cap was missed")
    );
    assert_eq!(shop.status(id).await, "refunded");
    assert_eq!(
        (shop.balance("available").await, shop.balance("refund_payable").await),
        (1_000, 0)
    );
    let again = shop.offer(&Plan::default()).await;
    assert_eq!(
        shop.offering(again).await["status"],
        json!("open"),
        "the token can be offered anew"
    );
    shop.check().await;
}

#[tokio::test]
async fn without_evidence_it_waits_and_at_the_long_stop_everybody_is_refunded() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.buy(&buyer, 10).await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    assert_eq!(shop.offering(offering_id).await["status"], json!("funded"));
    let (rule, refusal) = shop
        .site
        .refused(&shop.admin, "close-offering", json!({ "offeringId": offering_id }))
        .await;
    assert!(rule.starts_with("gate."), "{refusal}");
    shop.site.advance(LONG_STOP - WINDOW - TimeDelta::microseconds(1));
    shop.settle_down().await;
    assert_eq!(shop.offering(offering_id).await["status"], json!("funded"));
    shop.site.advance(TimeDelta::microseconds(1));
    shop.settle_down().await;
    assert_eq!(shop.offering(offering_id).await["status"], json!("failed"));
    assert_eq!(shop.status(id).await, "refunded");
    shop.check().await;
}

#[tokio::test]
async fn an_acquisition_lies_with_the_agent_until_the_deed_is_recorded() {
    let plan = Plan {
        kind: "acquisition",
        ..Plan::default()
    };
    let (shop, offering_id) = Shop::selling(plan.clone()).await;
    let buyer = shop.buyer().await;
    let id = shop.buy(&buyer, 10).await;
    let body = json!({ "offeringId": offering_id, "reference": "wire 1" });
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "move-escrow-to-agent", body.clone())
        .await;
    assert_eq!(rule, "offering.status", "not before the sale ended");
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    shop.site.done(&shop.admin, "move-escrow-to-agent", body.clone()).await;
    assert_eq!(
        (shop.balance("escrow_agent").await, shop.balance("escrow_bank").await),
        (50_000, 1_000)
    );
    assert_eq!(
        shop.site.refused(&shop.admin, "move-escrow-to-agent", body).await.0,
        "offering.kind"
    );
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "paid", "no deed yet");
    shop.file_evidence().await;
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "confirmed");
    assert_eq!(
        (shop.balance("escrow_agent").await, shop.balance("proceeds").await),
        (0, 50_000)
    );
    shop.check().await;
}

#[tokio::test]
async fn a_failed_acquisition_refunds_once_the_agent_gave_the_principal_back() {
    let (shop, offering_id) = Shop::selling(Plan {
        kind: "acquisition",
        ..Plan::default()
    })
    .await;
    let buyer = shop.buyer().await;
    let id = shop.buy(&buyer, 10).await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    let body = json!({ "offeringId": offering_id, "reference": "wire 1" });
    shop.site.done(&shop.admin, "move-escrow-to-agent", body.clone()).await;
    shop.site.advance(LONG_STOP);
    shop.settle_down().await;
    assert_eq!(shop.offering(offering_id).await["status"], json!("failed"));
    assert_eq!(shop.status(id).await, "paid", "the money is still with the agent");
    shop.check().await;
    shop.site.done(&shop.admin, "return-escrow-from-agent", body).await;
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "refunded");
    shop.check().await;
}

#[tokio::test]
async fn rights_to_withdraw_settlements_and_incidents_hold_a_close_back() {
    let shop = Shop::new().await;
    let pack = json!({
        "code": "a_day", "title": "A day", "summary": "A day to think.",
        "rules": [{ "rule": "cooling_off", "days": 1, "source": "a law" }, { "rule": "early_close", "notice_hours": 1, "source": "a law" }],
    });
    shop.site.done(&shop.admin, "publish-rule-pack", pack).await;
    let offering_id = shop
        .offer(&Plan {
            pack: "a_day",
            ..Plan::default()
        })
        .await;
    shop.file_evidence().await;
    let buyer = shop.buyer().await;
    shop.buy(&buyer, 10).await;
    let early = json!({ "offeringId": offering_id, "at": shop.site.now() + TimeDelta::minutes(59) });
    assert_eq!(
        shop.site.refused(&shop.admin, "announce-early-close", early).await.0,
        "early_close"
    );
    let at = shop.site.now() + TimeDelta::hours(30);
    let early = json!({ "offeringId": offering_id, "at": at });
    shop.site.done(&shop.admin, "announce-early-close", early).await;
    shop.site.advance(TimeDelta::hours(29));
    let late = shop.buy(&buyer, 5).await;
    shop.site.set_now(at);
    shop.settle_down().await;
    let offering = shop.offering(offering_id).await;
    assert_eq!(
        (&offering["status"], &offering["end_reason"]),
        (&json!("funded"), &json!("early_close"))
    );
    let close = json!({ "offeringId": offering_id });
    assert_eq!(
        shop.site.refused(&shop.admin, "close-offering", close.clone()).await.0,
        "cooling_off"
    );
    shop.site.advance(TimeDelta::hours(23));
    shop.settle_down().await;
    assert_eq!(
        shop.status(late).await,
        "confirmed",
        "closed as soon as the last right had ended"
    );
    shop.check().await;
}

#[tokio::test]
async fn a_buyer_who_withdraws_or_an_insider_does_not_carry_the_soft_cap() {
    let shop = Shop::new().await;
    let pack = json!({
        "code": "careful", "title": "Careful", "summary": "Insiders do not count.",
        "rules": [{ "rule": "insiders_do_not_count", "source": "a law" }],
    });
    shop.site.done(&shop.admin, "publish-rule-pack", pack).await;
    let offering_id = shop
        .offer(&Plan {
            pack: "careful",
            ..Plan::default()
        })
        .await;
    let buyer = shop.buyer().await;
    let insider = shop.buy(&shop.manager.clone(), 50).await;
    let outsider = shop.buy(&buyer, 9).await;
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    assert_eq!(
        shop.offering(offering_id).await["status"],
        json!("failed"),
        "nine of ten count"
    );
    assert_eq!(
        (shop.status(insider).await, shop.status(outsider).await),
        ("refunded".to_owned(), "refunded".to_owned())
    );
    shop.check().await;
}

#[tokio::test]
async fn a_chargeback_after_the_close_is_owed_by_the_buyer_and_stops_the_property() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.reserve(&buyer, 10).await;
    let (_, session) = shop.checkout(&buyer, id).await;
    let payment = shop.pay(&session, 51_000, 0, true).await;
    shop.deliver().await;
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "confirmed");
    nexus_mint::payments::sandbox::charge_back(&shop.site.app, &payment)
        .await
        .unwrap();
    shop.deliver().await;
    assert_eq!(shop.balance("chargeback_receivable").await, -51_000);
    assert_eq!(
        (shop.status(id).await.as_str(), shop.balance("held").await),
        ("confirmed", 10),
        "the tokens stay until a case decides"
    );
    assert_eq!(shop.balance("proceeds").await, 50_000);
    let (status, _) = shop
        .site
        .call(&buyer, "close-offering", json!({ "offeringId": offering_id }))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    shop.check().await;
}

#[tokio::test]
async fn the_engine_itself_cannot_close_without_a_pass() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    shop.buy(&buyer, 10).await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    let client = shop.site.world.admin().await;
    client
        .batch_execute("begin; set local role nexus_engine")
        .await
        .unwrap();
    let sql = "update public.offerings set status = 'closed', closed_at = now() where id = $1";
    let error = client.execute(sql, &[&offering_id]).await.unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().constraint(),
        Some("offerings_close_passed_the_gate")
    );
    client
        .batch_execute("rollback; begin; set local role nexus_engine")
        .await
        .unwrap();
    let sql = "update public.offerings set status = 'closed', closed_at = now(), close_pass_id = gen_random_uuid() where id = $1";
    let error = client.execute(sql, &[&offering_id]).await.unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().constraint(),
        Some("offerings_close_pass_fkey")
    );
    client.batch_execute("rollback").await.unwrap();
    shop.check().await;
}
