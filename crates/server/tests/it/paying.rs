//! Payments by the sandbox rail: exact, too little, too much, late, twice, unknown, out of order, charged back; refunds; and
//! the custodian's word on it.

use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use mint_core::money::Amount;
use nexus_mint::payments::sandbox;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Plan, Shop};
use crate::site::Signed;

/// The charge of two tokens: 100.00 and 2 % fee.
const CHARGE: i64 = 10_200;

async fn reserved(shop: &Shop) -> (Signed, Uuid, String) {
    let buyer = shop.buyer().await;
    let id = shop.reserve(&buyer, 2).await;
    let (_, session) = shop.checkout(&buyer, id).await;
    (buyer, id, session)
}

/// What is where: escrow with the provider and the custodian, unmatched, owed back, in both places.
async fn places(shop: &Shop) -> [i64; 6] {
    let mut found = [0; 6];
    let purposes = [
        "psp_clearing",
        "escrow_bank",
        "psp_unmatched",
        "unmatched",
        "psp_refund_payable",
        "refund_payable",
    ];
    for (at, purpose) in purposes.into_iter().enumerate() {
        found[at] = shop.balance(purpose).await;
    }
    found
}

async fn refunds(shop: &Shop) -> Vec<(i64, String, String)> {
    let admin = shop.site.world.admin().await;
    let sql = "select amount_minor, reason, status from public.refunds where property_id = $1 order by created_at, id";
    let rows = admin.query(sql, &[&shop.property_id]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn an_exact_payment_makes_it_paid_and_settlement_moves_the_money() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (buyer, id, session) = reserved(&shop).await;
    let (session_id, again) = shop.checkout(&buyer, id).await;
    assert_eq!(again, session, "an open session is used again");
    let payment = shop.pay(&session, CHARGE, 0, false).await;
    let before = shop
        .site
        .done(&buyer, "verify-investment-payment", json!({ "sessionId": session_id }))
        .await;
    assert_eq!(before["success"], json!(false));
    shop.deliver().await;
    assert_eq!(places(&shop).await, [CHARGE, 0, 0, 0, 0, 0]);
    let after = shop
        .site
        .done(&buyer, "verify-investment-payment", json!({ "sessionId": session_id }))
        .await;
    let told = &after["investment"];
    assert_eq!(after["success"], json!(true));
    assert_eq!(
        [
            &told["tokenAmount"],
            &told["investmentAmount"],
            &told["platformFee"],
            &told["totalAmount"]
        ],
        [&json!(2), &json!(100.0), &json!(2.0), &json!(102.0)]
    );
    sandbox::settle(&shop.site.app, &payment).await.unwrap();
    shop.deliver().await;
    assert_eq!(places(&shop).await, [0, CHARGE, 0, 0, 0, 0]);
    let somebody = shop.buyer().await;
    let (status, _) = shop
        .site
        .call(
            &somebody,
            "verify-investment-payment",
            json!({ "sessionId": session_id }),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    shop.check().await;
}

#[tokio::test]
async fn too_much_comes_back_and_too_little_waits_for_the_rest() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (_, over, session) = reserved(&shop).await;
    shop.pay(&session, CHARGE, 5, true).await;
    shop.deliver().await;
    assert_eq!(shop.status(over).await, "paid");
    assert_eq!(refunds(&shop).await, [(5, "overpaid".to_owned(), "due".to_owned())]);
    shop.settle_down().await;
    assert_eq!(
        refunds(&shop).await,
        [(5, "overpaid".to_owned(), "confirmed".to_owned())]
    );
    assert_eq!(places(&shop).await, [0, CHARGE, 0, 0, 0, 0]);
    let (_, under, session) = reserved(&shop).await;
    shop.pay(&session, CHARGE, -1, true).await;
    shop.deliver().await;
    assert_eq!(shop.status(under).await, "pending", "a unit is missing");
    assert_eq!(places(&shop).await[3], CHARGE - 1);
    shop.pay(&session, 1, 0, false).await;
    shop.deliver().await;
    assert_eq!(shop.status(under).await, "paid", "the rest arrived");
    assert_eq!(places(&shop).await, [1, 2 * CHARGE - 1, 0, 0, 0, 0]);
    let (_, never, session) = reserved(&shop).await;
    shop.pay(&session, CHARGE, -1, true).await;
    shop.site.advance(TimeDelta::minutes(30));
    shop.settle_down().await;
    assert_eq!(shop.status(never).await, "expired");
    assert_eq!(
        refunds(&shop).await.last().unwrap(),
        &(CHARGE - 1, "late".to_owned(), "confirmed".to_owned())
    );
    shop.check().await;
}

#[tokio::test]
async fn what_waited_for_the_rest_goes_back_when_the_reservation_ends() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (_, id, session) = reserved(&shop).await;
    shop.pay(&session, CHARGE, -200, true).await;
    shop.deliver().await;
    shop.site.advance(TimeDelta::minutes(30));
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "expired");
    assert_eq!(
        refunds(&shop).await,
        [(CHARGE - 200, "underpaid".to_owned(), "confirmed".to_owned())]
    );
    assert_eq!(places(&shop).await, [0; 6]);
    shop.check().await;
}

#[tokio::test]
async fn a_second_payment_is_a_duplicate_and_a_late_one_is_late() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (buyer, id, session) = reserved(&shop).await;
    shop.pay(&session, CHARGE, 0, true).await;
    shop.pay(&session, CHARGE, 0, true).await;
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "paid");
    assert_eq!(
        refunds(&shop).await,
        [(CHARGE, "duplicate".to_owned(), "confirmed".to_owned())]
    );
    let late = shop.reserve(&buyer, 2).await;
    let (_, session) = shop.checkout(&buyer, late).await;
    shop.site
        .done(&buyer, "cancel-investment", json!({ "investmentId": late }))
        .await;
    shop.pay(&session, CHARGE, 0, true).await;
    shop.settle_down().await;
    assert_eq!(shop.status(late).await, "cancelled");
    assert_eq!(
        refunds(&shop).await[1],
        (CHARGE, "late".to_owned(), "confirmed".to_owned())
    );
    assert_eq!(places(&shop).await, [0, CHARGE, 0, 0, 0, 0]);
    shop.check().await;
}

#[tokio::test]
async fn money_that_nobody_knows_is_kept_apart_until_a_person_sends_it_back() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let payment = sandbox::Payment {
        session: None,
        property_id: shop.property_id,
        amount: Amount::try_from(700).unwrap(),
        currency: "USD".to_owned(),
        refund_outcome: "succeed",
        settles_now: true,
    };
    sandbox::pay(&shop.site.app, &payment).await.unwrap();
    shop.deliver().await;
    assert_eq!(places(&shop).await, [0, 0, 0, 700, 0, 0]);
    let admin = shop.site.world.admin().await;
    let sql = "select id from public.payments where property_id = $1";
    let id: Uuid = admin.query_one(sql, &[&shop.property_id]).await.unwrap().get(0);
    let (status, _) = shop
        .site
        .call(&shop.manager, "return-payment", json!({ "paymentId": id }))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    shop.site
        .done(&shop.officer, "return-payment", json!({ "paymentId": id }))
        .await;
    let (rule, _) = shop
        .site
        .refused(&shop.officer, "return-payment", json!({ "paymentId": id }))
        .await;
    assert_eq!(rule, "payment.unmatched", "once");
    shop.settle_down().await;
    assert_eq!(places(&shop).await, [0; 6]);
    shop.check().await;
}

async fn hook(shop: &Shop, body: &str, headers: &axum::http::HeaderMap) -> StatusCode {
    let mut request = Request::post("/functions/v1/process-payment-webhook");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    shop.site.send(None, request, body.to_owned()).await.0
}

#[tokio::test]
async fn messages_count_once_in_any_order_and_only_when_the_rail_signed_them() {
    let orders: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let (shop, _) = Shop::selling(Plan::default()).await;
        let (_, id, session) = reserved(&shop).await;
        // Paid and settled for one purchase; the third message is the chargeback of the same payment.
        let payment = shop.pay(&session, CHARGE, 0, true).await;
        sandbox::charge_back(&shop.site.app, &payment).await.unwrap();
        let bodies = sandbox::undelivered(&shop.site.app).await.unwrap();
        assert_eq!(bodies.len(), 3);
        for at in order {
            let body = &bodies[at];
            let signed = sandbox::sign(&shop.site.app, body.as_bytes());
            for _ in 0..3 {
                assert_eq!(
                    hook(&shop, body, &signed).await,
                    StatusCode::OK,
                    "{order:?}: again is no error"
                );
            }
            let tampered = body.replace("10200", "99999");
            let expected = if tampered == *body {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            };
            assert_eq!(hook(&shop, &tampered, &signed).await, expected);
            assert_eq!(
                hook(&shop, body, &axum::http::HeaderMap::new()).await,
                StatusCode::FORBIDDEN
            );
        }
        assert_eq!(shop.status(id).await, "refunded", "{order:?}");
        assert_eq!(places(&shop).await, [0; 6], "{order:?}");
        assert_eq!(shop.balance("available").await, 1_000);
        shop.check().await;
    }
}

#[tokio::test]
async fn a_buyer_withdraws_while_he_may_and_gets_everything_back() {
    let shop = Shop::new().await;
    let pack = json!({
        "code": "two_days", "title": "Two days", "summary": "A day to think.",
        "rules": [{ "rule": "cooling_off", "days": 1, "source": "a law" }],
    });
    shop.site.done(&shop.admin, "publish-rule-pack", pack).await;
    shop.offer(&Plan {
        pack: "two_days",
        ..Plan::default()
    })
    .await;
    let buyer = shop.buyer().await;
    let [first, second] = [shop.buy(&buyer, 2).await, shop.buy(&buyer, 3).await];
    shop.site.advance(TimeDelta::days(1) - TimeDelta::microseconds(1));
    let body = json!({ "investmentId": first });
    let answer = shop.site.done(&buyer, "cancel-investment", body.clone()).await;
    assert_eq!(answer["investment"]["status"], json!("refund_due"));
    assert_eq!(shop.balance("available").await, 997, "the tokens are free at once");
    assert_eq!(shop.balance("refund_payable").await, CHARGE);
    shop.settle_down().await;
    assert_eq!(shop.status(first).await, "refunded");
    shop.site.advance(TimeDelta::microseconds(1));
    let (rule, refusal) = shop
        .site
        .refused(&buyer, "cancel-investment", json!({ "investmentId": second }))
        .await;
    assert_eq!(rule, "cooling_off", "{refusal}");
    shop.check().await;
}

#[tokio::test]
async fn a_refund_is_asked_for_once_and_asked_about_when_the_rail_is_silent() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let mut ids = Vec::new();
    for outcome in ["succeed", "fail", "silent"] {
        let (_, id, session) = reserved(&shop).await;
        shop.pay_for(&session, CHARGE, true, outcome).await;
        ids.push(id);
    }
    shop.deliver().await;
    let body = json!({ "offeringId": offering_id, "reason": "the seller withdrew" });
    shop.site.done(&shop.admin, "fail-offering", body).await;
    shop.settle_down().await;
    let statuses = [
        shop.status(ids[0]).await,
        shop.status(ids[1]).await,
        shop.status(ids[2]).await,
    ];
    assert_eq!(
        statuses,
        ["refunded", "refund_due", "refund_due"],
        "only what the rail confirmed is refunded"
    );
    shop.site.advance(TimeDelta::minutes(2));
    shop.settle_down().await;
    assert_eq!(shop.status(ids[2]).await, "refunded", "the rail was asked, and knew");
    let admin = shop.site.world.admin().await;
    let made: i64 = admin
        .query_one(
            "select count(*) from nexus.sandbox_refunds where status = 'succeeded'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(made, 2, "nothing was sent twice");
    let failed: Uuid = admin
        .query_one("select id from public.refunds where status = 'failed'", &[])
        .await
        .unwrap()
        .get(0);
    let retry = json!({ "refundId": failed });
    shop.site.done(&shop.admin, "retry-refund", retry.clone()).await;
    assert_eq!(
        shop.site.refused(&shop.admin, "retry-refund", retry.clone()).await.0,
        "four_eyes"
    );
    admin
        .execute("update nexus.sandbox_payments set refund_outcome = 'succeed'", &[])
        .await
        .unwrap();
    shop.site.done(&shop.second_admin, "retry-refund", retry).await;
    shop.settle_down().await;
    assert_eq!(shop.status(ids[1]).await, "refunded");
    assert_eq!(places(&shop).await, [0; 6]);
    shop.check().await;
}

#[tokio::test]
async fn a_refund_and_a_chargeback_of_one_payment_do_not_both_count_as_one() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let (_, id, session) = reserved(&shop).await;
    let payment = shop.pay(&session, CHARGE, 0, true).await;
    shop.deliver().await;
    let body = json!({ "offeringId": offering_id, "reason": "the seller withdrew" });
    shop.site.done(&shop.admin, "fail-offering", body).await;
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "refunded");
    sandbox::charge_back(&shop.site.app, &payment).await.unwrap();
    shop.deliver().await;
    assert_eq!(
        shop.balance("chargeback_receivable").await,
        -CHARGE,
        "the buyer has it twice, and owes it"
    );
    let admin = shop.site.world.admin().await;
    let kind: String = admin
        .query_one("select kind from public.incidents where status = 'open'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(kind, "chargeback_after_close");
    shop.check().await;
}

async fn statement(shop: &Shop) -> Value {
    let day = shop.site.now().date_naive();
    let csv = sandbox::statement::statement(&shop.site.app, shop.property_id, "USD", day, day)
        .await
        .unwrap();
    json!({ "propertyId": shop.property_id, "custodian": "Sandbox Bank", "accountRef": "0001", "currency": "USD", "csv": csv })
}

#[tokio::test]
async fn the_custodians_statement_agrees_or_stops_the_property() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.buy(&buyer, 2).await;
    shop.buy(&buyer, 3).await;
    let agreed = shop
        .site
        .done(&shop.officer, "import-custodian-statement", statement(&shop).await)
        .await;
    assert_eq!((&agreed["differences"], &agreed["lines"]), (&json!([]), &json!(2)));
    assert_eq!(agreed["closingBalance"], json!("255.00 USD"));
    let (status, _) = shop
        .site
        .call(&shop.officer, "import-custodian-statement", statement(&shop).await)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a day is imported once");
    shop.site.advance(TimeDelta::days(1));
    let mut wrong = statement(&shop).await;
    let csv = wrong["csv"]
        .as_str()
        .unwrap()
        .replace("closing", "line,2030-03-18,-10.00,fee\nclosing");
    let day = shop.site.now().date_naive();
    let csv = csv
        .replace("2030-03-18", &day.to_string())
        .replace(&format!("closing,{day},255.00"), &format!("closing,{day},245.00"));
    wrong["csv"] = json!(csv);
    let differs = shop.site.done(&shop.officer, "import-custodian-statement", wrong).await;
    let said = differs["differences"].to_string();
    assert!(
        said.contains("fee: the custodian booked -10.00 USD, the ledger knows nothing of it"),
        "{said}"
    );
    assert!(
        said.contains("the custodian has 245.00 USD, the ledger 255.00 USD"),
        "{said}"
    );
    // Payouts of this property wait.
    let body = json!({ "offeringId": offering_id, "reason": "the seller withdrew" });
    shop.site.done(&shop.admin, "fail-offering", body).await;
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "refund_due");
    let admin = shop.site.world.admin().await;
    let incident: Uuid = admin
        .query_one("select id from public.incidents where status = 'open'", &[])
        .await
        .unwrap()
        .get(0);
    let clear = json!({ "incidentId": incident, "reason": "a bank fee; the custodian gave it back" });
    shop.site.done(&shop.officer, "clear-incident", clear.clone()).await;
    assert_eq!(
        shop.site
            .refused(&shop.officer, "clear-incident", clear.clone())
            .await
            .0,
        "four_eyes"
    );
    shop.site.done(&shop.admin, "clear-incident", clear).await;
    shop.settle_down().await;
    assert_eq!(shop.status(id).await, "refunded");
    shop.check().await;
}

#[tokio::test]
async fn the_checkout_page_is_a_page_and_pays() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (_, id, session) = reserved(&shop).await;
    let path = format!("/sandbox/checkout/{session}");
    let (status, headers, page) = shop.site.send(None, Request::get(&path), "").await;
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("102.00 USD") && page.contains("No real money"), "{page}");
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("frame-ancestors 'none'")
    );
    let form = Request::post(&path).header("content-type", "application/x-www-form-urlencoded");
    let (status, headers, _) = shop.site.send(None, form, "pay=exact&settle=now&refund=succeed").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(headers["location"].to_str().unwrap().contains("?session_id="));
    assert_eq!(shop.status(id).await, "paid");
    assert_eq!(places(&shop).await, [0, CHARGE, 0, 0, 0, 0]);
    let nowhere = shop.site.send(None, Request::get("/sandbox/checkout/cs_x"), "").await.0;
    assert_eq!(nowhere, StatusCode::NOT_FOUND);
    shop.check().await;
}
