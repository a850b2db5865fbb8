//! Rent from the bank's lines to the holders: the golden month, shortfalls, declaring by two, paying once, tax.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::TimeDelta;
use mint_core::allocation::split;
use mint_core::money::Amount;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Plan, Shop, WINDOW, id_of};
use crate::site::Signed;

/// A shop whose offering closed: these buyers hold so many tokens each.
pub(crate) async fn sold(tokens: &[i64]) -> (Shop, Vec<Signed>) {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let mut buyers = Vec::new();
    for &units in tokens {
        let buyer = shop.buyer().await;
        shop.buy(&buyer, units).await;
        buyers.push(buyer);
    }
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    assert_eq!(shop.balance("held").await, tokens.iter().sum::<i64>());
    (shop, buyers)
}

pub(crate) fn line(shop: &Shop, kind: &str, amount: &str) -> Value {
    json!({ "accountRef": "operating", "bankReference": Uuid::now_v7().to_string(), "kind": kind, "amount": amount,
            "bookedOn": shop.site.now().date_naive(), "paidFor": "the month" })
}

pub(crate) fn period(shop: &Shop, lines: &[Value]) -> Value {
    let day = shop.site.now().date_naive();
    json!({ "propertyId": shop.property_id, "periodFrom": day, "periodTo": day, "lines": lines })
}

/// Records and approves a period; a day passes.
pub(crate) async fn earn(shop: &Shop, body: Value) -> Value {
    let recorded = shop.site.done(&shop.manager, "record-performance", body).await;
    let id = id_of(&recorded["period"]);
    let answer = shop
        .site
        .done(
            &shop.officer,
            "approve-performance",
            json!({ "periodId": id, "decision": "approved" }),
        )
        .await;
    shop.site.advance(TimeDelta::days(1));
    answer["period"].clone()
}

pub(crate) async fn rent(shop: &Shop, amount: &str) -> Value {
    earn(shop, period(shop, &[line(shop, "rent", amount)])).await
}

pub(crate) async fn propose(shop: &Shop) -> Uuid {
    let body = json!({ "propertyId": shop.property_id });
    let answer = shop.site.done(&shop.manager, "declare-distribution", body).await;
    id_of(&answer["distribution"])
}

pub(crate) async fn declare(shop: &Shop) -> Uuid {
    let id = propose(shop).await;
    shop.site
        .done(&shop.officer, "approve-distribution", json!({ "distributionId": id }))
        .await;
    id
}

pub(crate) async fn pay(shop: &Shop, id: Uuid) {
    shop.site
        .done(&shop.admin, "pay-distribution", json!({ "distributionId": id }))
        .await;
}

pub(crate) async fn party(shop: &Shop, who: &Signed) -> Uuid {
    let client = shop.site.world.admin().await;
    let sql = "select party_id from public.user_profiles where id = $1";
    client.query_one(sql, &[&who.id]).await.unwrap().get(0)
}

pub(crate) async fn behaves(shop: &Shop, who: &Signed, outcome: &str) {
    let client = shop.site.world.admin().await;
    let sql = "insert into nexus.sandbox_receivers (party_id, payout_outcome) values ($1, $2)
               on conflict (party_id) do update set payout_outcome = excluded.payout_outcome";
    client.execute(sql, &[&party(shop, who).await, &outcome]).await.unwrap();
}

pub(crate) async fn resides(shop: &Shop, who: &Signed, country: &str) {
    let client = shop.site.world.admin().await;
    let sql = "update public.parties set residency_country = $2 where id = $1";
    client.execute(sql, &[&party(shop, who).await, &country]).await.unwrap();
}

/// Before tax, tax and status of a holder's line.
async fn line_of(shop: &Shop, id: Uuid, who: &Signed) -> (i64, i64, String) {
    let client = shop.site.world.admin().await;
    let sql = "select amount_minor, withheld_minor, status from public.distribution_lines where distribution_id = $1 and party_id = $2";
    let row = client.query_one(sql, &[&id, &party(shop, who).await]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn status(shop: &Shop, id: Uuid) -> String {
    let client = shop.site.world.admin().await;
    let sql = "select status from public.distributions where id = $1";
    client.query_one(sql, &[&id]).await.unwrap().get(0)
}

async fn count(shop: &Shop, sql: &str) -> i64 {
    shop.site.world.admin().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn the_golden_month_reaches_the_holders_once() {
    let (shop, buyers) = sold(&[10, 20, 7]).await;
    resides(&shop, &buyers[0], "US").await;
    let lines = [
        line(&shop, "rent", "1000.00"),
        line(&shop, "rent", "555.00"),
        line(&shop, "insurance", "55"),
        line(&shop, "maintenance", "155"),
    ];
    let mut body = period(&shop, &lines);
    body["accrued"] = json!({ "taxes": "130" });
    let month = earn(&shop, body).await;
    assert_eq!(month["distributable_minor"], json!(105_950));
    assert_eq!(month["given_minor"], json!([13_000, 5_500, 15_500, 12_440, 3_110, 0]));
    assert_eq!(shop.balance("cost_taxes").await, 13_000, "set aside until paid");
    assert_eq!(shop.balance("cost_maintenance").await, 0, "paid");
    shop.check().await;

    let body = json!({ "propertyId": shop.property_id });
    let preview = shop
        .site
        .done(&shop.officer, "preview-distribution", body.clone())
        .await;
    let of_manager = shop
        .site
        .done(&shop.manager, "preview-distribution", body.clone())
        .await;
    assert_eq!(of_manager, preview, "who proposes sees what whoever declares it sees");
    for (who, status) in [
        (shop.site.person(&["property_manager"]).await, StatusCode::NOT_FOUND),
        (shop.buyer().await, StatusCode::FORBIDDEN),
    ] {
        let (got, _) = shop.site.call(&who, "preview-distribution", body.clone()).await;
        assert_eq!(got, status, "what others hold is not for everybody");
    }
    assert_eq!(
        (&preview["amount"], &preview["holders"]),
        (&json!("1059.50 USD"), &json!(3))
    );
    let id = declare(&shop).await;
    assert_eq!(shop.balance("payable_to_investors").await, 105_950);
    shop.check().await;
    pay(&shop, id).await;
    let (status_again, _) = shop
        .site
        .call(&shop.admin, "pay-distribution", json!({ "distributionId": id }))
        .await;
    assert_eq!(status_again, StatusCode::CONFLICT, "it is paid once");
    shop.check().await;
    shop.settle_down().await;
    assert_eq!(status(&shop, id).await, "paid");
    assert_eq!(
        line_of(&shop, id, &buyers[0]).await,
        (28_635, 0, "paid".to_owned()),
        "a resident has no tax withheld"
    );
    assert_eq!(
        line_of(&shop, id, &buyers[1]).await,
        (57_270, 17_181, "paid".to_owned())
    );
    let (amount, withheld, _) = line_of(&shop, id, &buyers[2]).await;
    assert_eq!(
        (amount, withheld),
        (20_045, 6_014),
        "30.00 % of 200.45 is 60.135: half up"
    );
    assert_eq!(shop.balance("withheld").await, 17_181 + 6_014);

    let remit = |amount: &str, reference: &str| json!({ "propertyId": shop.property_id, "amount": amount, "bankReference": reference, "bookedOn": shop.site.now().date_naive() });
    let (rule, _) = shop.site.refused(&shop.admin, "remit-tax", remit("231.96", "t")).await;
    assert_eq!(rule, "tax.withheld");
    shop.site.done(&shop.admin, "remit-tax", remit("200", "t")).await;
    let (rule, _) = shop.site.refused(&shop.admin, "remit-tax", remit("1", "t")).await;
    assert_eq!(rule, "tax.line_once");
    let answer = shop.site.done(&shop.admin, "remit-tax", remit("31.95", "u")).await;
    assert_eq!(answer["stillWithheld"], json!("0.00 USD"));
    shop.check().await;
}

#[tokio::test]
async fn a_line_of_the_bank_counts_once_and_two_people_look_at_it() {
    let (shop, _) = sold(&[10]).await;
    let body = period(&shop, &[line(&shop, "rent", "100")]);
    let recorded = shop.site.done(&shop.manager, "record-performance", body.clone()).await;
    let id = id_of(&recorded["period"]);
    let (rule, _) = shop
        .site
        .refused(&shop.manager, "record-performance", body.clone())
        .await;
    assert_eq!(rule, "rent.period");
    let reject = json!({ "periodId": id, "decision": "rejected", "reason": "not on the statement" });
    shop.site.done(&shop.officer, "approve-performance", reject).await;
    let month = earn(&shop, body.clone()).await;
    assert_eq!(
        month["distributable_minor"],
        json!(9_000),
        "of what was rejected nothing counts"
    );
    let mut again = period(&shop, &[]);
    again["lines"] = body["lines"].clone();
    again["lines"][0]["bookedOn"] = again["periodTo"].clone();
    let (rule, _) = shop.site.refused(&shop.manager, "record-performance", again).await;
    assert_eq!(rule, "rent.line_once");
    let approve = json!({ "periodId": id_of(&month), "decision": "approved" });
    let (rule, _) = shop.site.refused(&shop.officer, "approve-performance", approve).await;
    assert_eq!(rule, "rent.decided");
    shop.check().await;
}

#[tokio::test]
async fn what_falls_short_is_carried_and_what_the_bank_never_had_is_refused() {
    let (shop, _) = sold(&[10]).await;
    let mut body = period(&shop, &[line(&shop, "rent", "100")]);
    body["accrued"] = json!({ "taxes": "95", "reserve": "20" });
    let first = earn(&shop, body).await;
    assert_eq!(
        first["short_minor"],
        json!([0, 0, 0, 300, 200, 2_000]),
        "95 + 5 of 8 for the manager"
    );
    let (rule, _) = shop
        .site
        .refused(
            &shop.manager,
            "declare-distribution",
            json!({ "propertyId": shop.property_id }),
        )
        .await;
    assert_eq!(rule, "distribution.nothing");
    let second = rent(&shop, "100").await;
    assert_eq!(
        second["distributable_minor"],
        json!(6_500),
        "90 less what was short: 3 + 2 + 20"
    );
    assert_eq!(shop.balance("reserve").await, 2_000);
    let body = period(&shop, &[line(&shop, "maintenance", "200")]);
    let recorded = shop.site.done(&shop.manager, "record-performance", body).await;
    let approve = json!({ "periodId": id_of(&recorded["period"]), "decision": "approved" });
    let (rule, _) = shop.site.refused(&shop.officer, "approve-performance", approve).await;
    assert_eq!(rule, "rent.cash");
    shop.site.advance(TimeDelta::days(1));
    let mut body = period(&shop, &[line(&shop, "maintenance", "80")]);
    body["reserveDraw"] = json!("20");
    let third = earn(&shop, body).await;
    assert_eq!(
        (&third["distributable_minor"], shop.balance("reserve").await),
        (&json!(500), 0)
    );
    shop.check().await;
}

#[tokio::test]
async fn declaring_needs_two_people_current_evidence_and_money_and_happens_once() {
    let (shop, _) = sold(&[10, 11]).await;
    rent(&shop, "100").await;
    let id = propose(&shop).await;
    let other = propose(&shop).await;
    let approve = json!({ "distributionId": id });
    let admin_asks = shop
        .site
        .done(
            &shop.admin,
            "declare-distribution",
            json!({ "propertyId": shop.property_id, "amount": "1" }),
        )
        .await;
    let own = json!({ "distributionId": id_of(&admin_asks["distribution"]) });
    let (rule, _) = shop.site.refused(&shop.admin, "approve-distribution", own).await;
    assert_eq!(rule, "four_eyes");

    let client = shop.site.world.admin().await;
    let revoke = "update public.property_documents set review_status = $1 where document_type = 'insurance'";
    client.execute(revoke, &[&"revoked"]).await.unwrap();
    let (rule, _) = shop
        .site
        .refused(&shop.officer, "approve-distribution", approve.clone())
        .await;
    assert_eq!(rule, "gate.evidence_current");
    assert_eq!(count(&shop, "select count(*) from public.distribution_lines").await, 0);
    let ask = json!({ "propertyId": shop.property_id, "action": "declare", "subjectId": id, "requirements": ["insurance"], "reason": "renewed tomorrow" });
    let asked = shop.site.done(&shop.admin, "request-gate-override", ask).await;
    let waive = json!({ "overrideId": asked["overrideId"].as_str().or(asked["override_id"].as_str()).unwrap() });
    shop.site.done(&shop.second_admin, "approve-gate-override", waive).await;

    let (one, two) = tokio::join!(
        shop.site.call(&shop.officer, "approve-distribution", approve.clone()),
        shop.site
            .call(&shop.second_admin, "approve-distribution", approve.clone()),
    );
    let mut answers = [one.0, two.0];
    answers.sort();
    assert_eq!(answers, [StatusCode::OK, StatusCode::CONFLICT], "{} {}", one.1, two.1);
    assert_eq!(count(&shop, "select count(*) from public.distribution_lines").await, 2);
    client.execute(revoke, &[&"accepted"]).await.unwrap();
    let (rule, _) = shop
        .site
        .refused(
            &shop.officer,
            "approve-distribution",
            json!({ "distributionId": other }),
        )
        .await;
    assert_eq!(rule, "distribution.nothing", "the money is declared already");
    shop.site
        .done(&shop.manager, "cancel-distribution", json!({ "distributionId": other }))
        .await;
    shop.check().await;
}

#[tokio::test]
async fn a_payout_that_fails_is_owed_again_and_a_silent_one_is_asked_about() {
    let (shop, buyers) = sold(&[10, 10, 10, 10]).await;
    for (buyer, outcome) in buyers.iter().zip(["fail", "silent", "lost", "succeed"]) {
        behaves(&shop, buyer, outcome).await;
    }
    rent(&shop, "100").await;
    let id = declare(&shop).await;
    pay(&shop, id).await;
    shop.turn().await;
    shop.turn().await;
    let mut found = Vec::new();
    for buyer in &buyers {
        found.push(line_of(&shop, id, buyer).await.2);
    }
    assert_eq!(found, ["failed", "sent", "sent", "paid"]);
    shop.check().await;

    shop.site.advance(TimeDelta::minutes(3));
    behaves(&shop, &buyers[2], "succeed").await;
    shop.settle_down().await;
    assert_eq!(line_of(&shop, id, &buyers[1]).await.2, "paid", "asked about");
    assert_eq!(
        line_of(&shop, id, &buyers[2]).await.2,
        "paid",
        "the rail knew nothing of it"
    );
    assert_eq!(
        count(&shop, "select max(times_sent)::bigint from public.payouts").await,
        1,
        "never sent twice"
    );
    assert_eq!(status(&shop, id).await, "paying");
    shop.check().await;

    let client = shop.site.world.admin().await;
    let row = client
        .query_one("select id, rail_key from public.payouts where status = 'failed'", &[])
        .await
        .unwrap();
    let (payout_id, old_key): (Uuid, Uuid) = (row.get(0), row.get(1));
    let retry = json!({ "payoutId": payout_id });
    shop.site.done(&shop.officer, "retry-payout", retry.clone()).await;
    let (rule, _) = shop.site.refused(&shop.officer, "retry-payout", retry.clone()).await;
    assert_eq!(rule, "four_eyes");
    behaves(&shop, &buyers[0], "silent").await;
    shop.site.done(&shop.admin, "retry-payout", retry).await;
    shop.turn().await;
    // Late word of the old try: the same failure under another message.
    let stale = nexus_mint::payments::sandbox::payouts::find_payout(&shop.site.app, old_key)
        .await
        .unwrap();
    let nexus_mint::payments::rail::RefundState::Ended(stale) = stale else {
        panic!("{stale:?}");
    };
    nexus_mint::payments::sandbox::say(&shop.site.app, &stale)
        .await
        .unwrap();
    assert_eq!(
        line_of(&shop, id, &buyers[0]).await.2,
        "sent",
        "the old try changes nothing"
    );
    shop.site.advance(TimeDelta::minutes(3));
    shop.settle_down().await;
    assert_eq!(line_of(&shop, id, &buyers[0]).await.2, "paid");
    assert_eq!(status(&shop, id).await, "paid");
    shop.check().await;
}

#[tokio::test]
async fn an_incident_or_a_screening_holds_a_payout_back() {
    let (shop, buyers) = sold(&[10, 10]).await;
    rent(&shop, "100").await;
    let id = declare(&shop).await;
    let client = shop.site.world.admin().await;
    let sql = "insert into public.incidents (property_id, kind, subject, opened_at) values ($1, 'custody_difference', 'x', now())";
    client.execute(sql, &[&shop.property_id]).await.unwrap();
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "pay-distribution", json!({ "distributionId": id }))
        .await;
    assert_eq!(rule, "property.incident");
    let sql = "update public.incidents set status = 'cleared', cleared_at = now(), clear_reason = 'a fee', clear_asked_by = $1, cleared_by = $2";
    client.execute(sql, &[&shop.officer.id, &shop.admin.id]).await.unwrap();
    let sql = "insert into public.party_screenings (party_id, provider, status, screened_at, due_at) values ($1, 'test', 'match', now(), now() + interval '1 year')";
    client.execute(sql, &[&party(&shop, &buyers[0]).await]).await.unwrap();
    pay(&shop, id).await;
    shop.settle_down().await;
    assert_eq!(line_of(&shop, id, &buyers[0]).await.2, "payable");
    assert_eq!(line_of(&shop, id, &buyers[1]).await.2, "paid");
    assert_eq!(status(&shop, id).await, "paying");
    shop.check().await;
}

#[tokio::test]
async fn the_databases_split_is_the_references() {
    let tokens = [1, 1, 1, 2, 3, 5, 7, 11, 13, 17];
    let (shop, _) = sold(&tokens).await;
    let client = shop.site.world.admin().await;
    let token: Uuid = client
        .query_one(
            "select id from public.property_tokens where property_id = $1",
            &[&shop.property_id],
        )
        .await
        .unwrap()
        .get(0);
    let sql = "select party_id, entitled_units, amount_minor from nexus.distribution_parts($1, $2, $3, now(), null, null) order by party_id";
    for round in 0..200_i64 {
        // Small totals, where nearly every unit is a remainder, and the largest.
        let total = if round < 150 {
            round
        } else {
            9_007_199_254_740_991 - round
        };
        let first = Uuid::from_u128(Uuid::now_v7().as_u128().rotate_left(u32::try_from(round).unwrap() * 7));
        let rows = client.query(sql, &[&token, &total, &first]).await.unwrap();
        let held: BTreeMap<Uuid, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let entitled: Vec<(Uuid, Amount)> = held
            .into_iter()
            .map(|(id, units)| (id, Amount::try_from(units).unwrap()))
            .collect();
        let expected = split(Amount::try_from(total).unwrap(), &entitled, &first).unwrap();
        let got: Vec<(Uuid, Amount)> = rows
            .iter()
            .map(|row| (row.get(0), Amount::try_from(row.get::<_, i64>(2)).unwrap()))
            .collect();
        assert_eq!(got, expected, "{total} from {first} on");
    }
}

#[tokio::test]
async fn the_engine_itself_declares_nothing_without_a_pass() {
    let (shop, _) = sold(&[10]).await;
    rent(&shop, "100").await;
    let id = propose(&shop).await;
    let client = shop.site.world.admin().await;
    for (set, constraint) in [
        (
            "status = 'declared', record_at = now(), register_entry_id = 1, tie_first = gen_random_uuid(),
             declared_by = (select user_id from public.user_role_assignments where role = 'admin' limit 1), holders = 1",
            "distributions_declared_passed_the_gate",
        ),
        (
            "status = 'declared', declare_pass_id = gen_random_uuid(), record_at = now(), register_entry_id = 1, tie_first = gen_random_uuid(),
             declared_by = (select user_id from public.user_role_assignments where role = 'admin' limit 1), holders = 1",
            "distributions_declare_pass_fkey",
        ),
    ] {
        client.batch_execute("begin; set local role nexus_engine").await.unwrap();
        let sql = format!("update public.distributions set {set} where id = '{id}'");
        let error = client.execute(&sql, &[]).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().constraint(), Some(constraint));
        client.batch_execute("rollback").await.unwrap();
    }
    shop.check().await;
}
