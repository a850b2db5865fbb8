//! Case files about holdings: what each kind does once two people approved it, and what none of them may lose or double.

use axum::http::{Request, StatusCode};
use mint_core::account::Purpose;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::applicant;
use crate::distributions::{behaves, declare, earn, line, party, pay, period, rent, sold};
use crate::shop::Shop;
use crate::site::Signed;

/// Opens a case, approves it twice where one is missing, and answers with it.
async fn case(shop: &Shop, by: &Signed, body: Value) -> Value {
    let opened = shop.site.done(by, "open-holding-case", body).await["case"].clone();
    approve(shop, &opened).await
}

/// The approvals that are still missing: an admin's and, of a manager's case, an officer's before.
async fn approve(shop: &Shop, opened: &Value) -> Value {
    let body = json!({ "caseId": opened["id"] });
    if opened["first_approved_by"].is_null() {
        shop.site
            .done(&shop.officer, "approve-holding-case", body.clone())
            .await;
    }
    shop.site.done(&shop.admin, "approve-holding-case", body).await["case"].clone()
}

async fn about(shop: &Shop, kind: &str, who: &Signed, more: Value) -> Value {
    let mut body = json!({ "kind": kind, "reason": "an order of the court", "propertyId": shop.property_id,
                           "partyId": party(shop, who).await });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn paper(shop: &Shop, by: &Signed) -> Uuid {
    applicant::file(&shop.site, by).await
}

/// Somebody who is identified as Ada Lovelace, and on no list.
async fn verified(shop: &Shop) -> Signed {
    let person = shop.buyer().await;
    let case = applicant::submit(&shop.site, &person).await;
    applicant::clear(&shop.site, &shop.officer, party(shop, &person).await).await;
    applicant::approve(&shop.site, &shop.officer, case).await;
    person
}

/// Tokens of a holder, by his lots.
async fn holds(shop: &Shop, client: &Client, who: &Signed) -> i64 {
    let sql = "select coalesce(sum(units), 0)::bigint from public.lots where party_id = $1";
    client.query_one(sql, &[&party(shop, who).await]).await.unwrap().get(0)
}

/// Statuses of the payouts of a holder, in the order in which they became due.
async fn payouts(shop: &Shop, client: &Client, who: &Signed) -> Vec<(i64, String)> {
    let sql = "select amount_minor, status from public.payouts where party_id = $1 order by created_at, id";
    let rows = client.query(sql, &[&party(shop, who).await]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_freeze_holds_tokens_and_payouts_until_its_release() {
    let (shop, buyers) = sold(&[10, 30]).await;
    let client = shop.site.world.admin().await;
    let [held, other] = [&buyers[0], &buyers[1]];
    rent(&shop, "100.00").await;
    let id = declare(&shop).await;
    let frozen = case(
        &shop,
        &shop.officer,
        about(&shop, "freeze", held, json!({ "tokenAmount": 4 })).await,
    )
    .await;
    assert_eq!(frozen["status"], "done");
    pay(&shop, id).await;
    shop.settle_down().await;
    let [mine, others] = [
        payouts(&shop, &client, held).await,
        payouts(&shop, &client, other).await,
    ];
    assert_eq!(
        (mine[0].1.as_str(), others[0].1.as_str()),
        ("due", "confirmed"),
        "credited, and waiting"
    );
    let body = about(&shop, "redemption", held, json!({ "tokenAmount": 7, "amount": "0.01" })).await;
    rent(&shop, "50.00").await;
    let opened = shop.site.done(&shop.officer, "open-holding-case", body).await["case"].clone();
    let (rule, refused) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    assert_eq!((rule.as_str(), &refused["inputs"]["free"]), ("lots.free", &json!("6")));
    let body = json!({ "kind": "release", "reason": "the order was lifted", "freezeId": frozen["freezes"][0] });
    assert_eq!(case(&shop, &shop.officer, body.clone()).await["status"], "done");
    let (status, _) = shop.site.call(&shop.officer, "open-holding-case", body).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is released once");
    approve(&shop, &opened).await;
    shop.settle_down().await;
    let paid = payouts(&shop, &client, held).await;
    assert_eq!(
        paid.iter().map(|(_, status)| status.as_str()).collect::<Vec<_>>(),
        ["confirmed", "confirmed"]
    );
    assert_eq!(
        paid.iter().map(|(amount, _)| amount).sum::<i64>(),
        mine[0].0 + 1,
        "once, and the cent for his tokens"
    );
    assert_eq!(holds(&shop, &client, held).await, 3);
    shop.check().await;
}

#[tokio::test]
async fn a_case_takes_two_people_who_are_not_in_it() {
    let (shop, buyers) = sold(&[10]).await;
    rent(&shop, "100.00").await;
    let body = about(&shop, "redemption", &buyers[0], json!({ "amount": "20.00" })).await;
    let opened = shop.site.done(&shop.manager, "open-holding-case", body.clone()).await["case"].clone();
    assert!(
        opened["first_approved_by"].is_null(),
        "a manager's opening is no approval"
    );
    let id = json!({ "caseId": opened["id"] });
    shop.site.done(&shop.admin, "approve-holding-case", id.clone()).await;
    let (rule, _) = shop.site.refused(&shop.admin, "approve-holding-case", id.clone()).await;
    assert_eq!(rule, "four_eyes", "not twice");
    for nobody in [&shop.manager, &buyers[0]] {
        let (status, _) = shop.site.call(nobody, "approve-holding-case", id.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    let (status, _) = shop
        .site
        .call(&shop.second_admin, "cancel-holding-case", id.clone())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "only who opened it gives it up");
    let mut refusal = id.clone();
    refusal["reason"] = json!(" ");
    let (status, _) = shop
        .site
        .call(&shop.second_admin, "reject-holding-case", refusal.clone())
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a no says why");
    refusal["reason"] = json!("the price is too low");
    let rejected = shop.site.done(&shop.second_admin, "reject-holding-case", refusal).await;
    assert_eq!(rejected["case"]["status"], "rejected");
    let (rule, _) = shop.site.refused(&shop.second_admin, "approve-holding-case", id).await;
    assert_eq!(rule, "case.status");
    let again = shop.site.done(&shop.manager, "open-holding-case", body).await;
    let given_up = shop
        .site
        .done(
            &shop.manager,
            "cancel-holding-case",
            json!({ "caseId": again["case"]["id"] }),
        )
        .await;
    assert_eq!(given_up["case"]["status"], "cancelled");
    // Others do not open what is about somebody's tokens alone, nor a stranger's property.
    for (who, kind, refused) in [
        (&shop.manager, "freeze", StatusCode::FORBIDDEN),
        (&buyers[0], "freeze", StatusCode::FORBIDDEN),
        (&buyers[0], "redemption", StatusCode::FORBIDDEN),
    ] {
        let body = about(&shop, kind, &buyers[0], json!({ "amount": "1.00" })).await;
        let (status, answer) = shop.site.call(who, "open-holding-case", body).await;
        assert_eq!(status, refused, "{kind}: {answer}");
    }
    for (body, says) in [
        (json!({ "kind": "gift", "reason": "x" }), "there are freeze"),
        (
            json!({ "kind": "recovery", "reason": "x", "partyId": party(&shop, &buyers[0]).await, "toUserId": shop.manager.id,
                    "tokenAmount": 1, "documentIds": [paper(&shop, &shop.officer).await] }),
            "tokenAmount",
        ),
        (
            json!({ "kind": "freeze", "reason": "x", "propertyId": shop.property_id }),
            "partyId",
        ),
        (
            about(&shop, "freeze", &buyers[0], json!({ "reason": " " })).await,
            "reason",
        ),
        (
            about(&shop, "freeze", &buyers[0], json!({ "tokenAmount": 0 })).await,
            "tokenAmount",
        ),
        (
            about(&shop, "redemption", &buyers[0], json!({ "amount": "0" })).await,
            "amount",
        ),
        (about(&shop, "redemption", &buyers[0], json!({})).await, "amount"),
        (
            about(&shop, "freeze", &buyers[0], json!({ "accountRef": "x" })).await,
            "HOLDING.md",
        ),
    ] {
        let (status, answer) = shop.site.call(&shop.officer, "open-holding-case", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{says}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{says}: {answer}");
    }
    shop.check().await;
}

#[tokio::test]
async fn tokens_go_by_force_only_on_a_paper_with_cost_and_dates() {
    let (shop, buyers) = sold(&[10, 30]).await;
    let client = shop.site.world.admin().await;
    let (from, to) = (&buyers[0], verified(&shop).await);
    let body = about(&shop, "freeze", from, json!({})).await;
    case(&shop, &shop.officer, body).await;
    let mut body = about(
        &shop,
        "forced_transfer",
        from,
        json!({ "toUserId": to.id, "tokenAmount": 4 }),
    )
    .await;
    let (rule, _) = shop
        .site
        .refused(&shop.officer, "open-holding-case", body.clone())
        .await;
    assert_eq!(rule, "case.paper");
    let paper_id = paper(&shop, &shop.officer).await;
    body["documentIds"] = json!([paper_id]);
    let opened = shop.site.done(&shop.officer, "open-holding-case", body.clone()).await["case"].clone();
    assert_eq!(opened["documents"][0]["id"], json!(paper_id));
    let (rule, _) = shop.site.refused(&shop.officer, "open-holding-case", body).await;
    assert_eq!(rule, "documents.own_and_free", "a paper is of one case");
    // Nobody gets tokens by force who is on a list or not identified.
    applicant::screened(&shop.site, &shop.officer, party(&shop, &to).await, "match").await;
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    assert_eq!(rule, "party.cleared");
    applicant::screened(&shop.site, &shop.officer, party(&shop, &to).await, "clear").await;
    approve(&shop, &opened).await;
    assert_eq!(
        (holds(&shop, &client, from).await, holds(&shop, &client, &to).await),
        (6, 4),
        "frozen or not"
    );
    let sql = "select n.cost_minor, n.tax_acquired_at = o.tax_acquired_at, o.cost_minor from public.lots as n join public.lots as o on o.id = n.parent_lot_id";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, bool>(1), row.get::<_, i64>(2)),
        (20_400, true, 30_600)
    );
    shop.check().await;
}

#[tokio::test]
async fn whoever_lost_a_login_has_everything_back_with_another() {
    let (shop, buyers) = sold(&[10, 30]).await;
    let client = shop.site.world.admin().await;
    let (lost, found) = (&buyers[0], verified(&shop).await);
    rent(&shop, "100.00").await;
    let id = declare(&shop).await;
    case(
        &shop,
        &shop.officer,
        about(&shop, "freeze", lost, json!({ "tokenAmount": 3 })).await,
    )
    .await;
    let body = json!({ "kind": "recovery", "reason": "the telephone is gone", "partyId": party(&shop, lost).await,
                       "toUserId": found.id, "documentIds": [paper(&shop, &shop.officer).await] });
    let opened = shop.site.done(&shop.officer, "open-holding-case", body).await["case"].clone();
    named(&client, party(&shop, lost).await, "Ada Lovelace").await;
    named(&client, party(&shop, &found).await, "Ada Byron").await;
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    assert_eq!(rule, "case.same_person");
    named(&client, party(&shop, &found).await, "ada lovelace").await;
    approve(&shop, &opened).await;
    assert_eq!(
        (holds(&shop, &client, lost).await, holds(&shop, &client, &found).await),
        (0, 10)
    );
    let sql = "select party_id, units, released_at is null from public.holding_freezes order by released_at is null";
    let rows = client.query(sql, &[]).await.unwrap();
    let freezes: Vec<(Uuid, Option<i64>, bool)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [
        (party(&shop, lost).await, Some(3), false),
        (party(&shop, &found).await, Some(3), true),
    ];
    assert_eq!(freezes, expected, "what was frozen stays frozen");
    // L10: what was declared before is the old party's, and is paid once.
    pay(&shop, id).await;
    shop.settle_down().await;
    assert_eq!(payouts(&shop, &client, lost).await.len(), 1);
    assert_eq!(payouts(&shop, &client, lost).await[0].1, "confirmed");
    assert_eq!(payouts(&shop, &client, &found).await, []);
    shop.check().await;
}

async fn named(client: &Client, party_id: Uuid, name: &str) {
    let sql = "update public.parties set legal_name = $2, residency_country = 'GB' where id = $1";
    client.execute(sql, &[&party_id, &name]).await.unwrap();
}

#[tokio::test]
async fn a_redemption_burns_tokens_and_is_paid_once_from_the_propertys_own_money() {
    let (shop, buyers) = sold(&[10, 30]).await;
    let client = shop.site.world.admin().await;
    let holder = &buyers[0];
    let body = about(
        &shop,
        "redemption",
        holder,
        json!({ "tokenAmount": "4", "amount": "150.00" }),
    )
    .await;
    let opened = shop.site.done(&shop.manager, "open-holding-case", body).await["case"].clone();
    shop.site
        .done(&shop.officer, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    assert_eq!(rule, "redemption.cash", "the proceeds of the sale are the issuer's");
    assert_eq!(holds(&shop, &client, holder).await, 10, "nothing is half done");
    rent(&shop, "200.00").await;
    let has = shop.balance(Purpose::OperatingCash.name()).await;
    behaves(&shop, holder, "fail").await;
    shop.site
        .done(&shop.admin, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    assert_eq!(shop.balance(Purpose::OperatingCash.name()).await, has - 15_000);
    assert_eq!(
        (holds(&shop, &client, holder).await, shop.balance("burned").await),
        (6, 4)
    );
    shop.check().await;
    shop.settle_down().await;
    assert_eq!(payouts(&shop, &client, holder).await, [(15_000, "failed".to_owned())]);
    behaves(&shop, holder, "succeed").await;
    let sql = "select id from public.payouts";
    let payout: Uuid = client.query_one(sql, &[]).await.unwrap().get(0);
    for overseer in [&shop.officer, &shop.admin] {
        shop.site
            .done(overseer, "retry-payout", json!({ "payoutId": payout }))
            .await;
    }
    shop.settle_down().await;
    assert_eq!(
        payouts(&shop, &client, holder).await,
        [(15_000, "confirmed".to_owned())]
    );
    let sql = "select status, amount_minor, units from public.redemptions";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, String>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)),
        ("paid".to_owned(), 15_000, 4)
    );
    shop.check().await;
}

#[tokio::test]
async fn a_property_that_is_sold_pays_everybody_his_part_of_all_it_has() {
    let (shop, buyers) = sold(&[10, 30, 7]).await;
    let client = shop.site.world.admin().await;
    let rent = line(&shop, "rent", "500.00");
    let mut month = period(&shop, std::slice::from_ref(&rent));
    month["accrued"] = json!({ "taxes": "40", "reserve": "60" });
    earn(&shop, month).await;
    let body = json!({ "kind": "wind_up", "reason": "the house is sold", "propertyId": shop.property_id, "amount": "10000.00",
                       "accountRef": "operating", "bankReference": "the buyer's transfer", "bookedOn": shop.site.now().date_naive() });
    let mut of_rent = body.clone();
    of_rent["bankReference"] = rent["bankReference"].clone();
    let (rule, _) = shop.site.refused(&shop.manager, "open-holding-case", of_rent).await;
    assert_eq!(rule, "case.line_once", "rent is not the price");
    let opened = shop.site.done(&shop.manager, "open-holding-case", body.clone()).await["case"].clone();
    let mut price = line(&shop, "rent", "10000.00");
    price["bankReference"] = body["bankReference"].clone();
    let month = period(&shop, &[price]);
    let (rule, _) = shop.site.refused(&shop.manager, "record-performance", month).await;
    assert_eq!(rule, "rent.line_once", "the price is no rent");
    let (rule, _) = shop.site.refused(&shop.manager, "open-holding-case", body).await;
    assert_eq!(rule, "case.line_once", "a line of the bank counts once");
    shop.site
        .done(&shop.officer, "approve-holding-case", json!({ "caseId": opened["id"] }))
        .await;
    let finish = json!({ "caseId": opened["id"] });
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", finish.clone())
        .await;
    assert_eq!(rule, "wind_up.undistributed", "rent is income, and distributed as that");
    let id = declare(&shop).await;
    let (rule, refused) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", finish.clone())
        .await;
    assert_eq!(
        (rule.as_str(), &refused["inputs"]["distributions"]),
        ("wind_up.pending", &json!("1"))
    );
    pay(&shop, id).await;
    let frozen = &buyers[2];
    case(&shop, &shop.officer, about(&shop, "freeze", frozen, json!({})).await).await;
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "approve-holding-case", finish.clone())
        .await;
    assert_eq!(rule, "wind_up.unpaid", "what the manager earned is his");
    earn(&shop, period(&shop, &[line(&shop, "manager", "40.00")])).await;
    assert_eq!(shop.balance("cost_manager").await, 0);
    let kept = shop.balance("reserve").await + shop.balance("cost_taxes").await;
    assert_eq!(kept, 10_000, "60.00 in reserve and 40.00 for taxes");
    shop.site
        .done(&shop.admin, "approve-holding-case", finish.clone())
        .await;
    let (rule, _) = shop
        .site
        .refused(&shop.second_admin, "approve-holding-case", finish)
        .await;
    assert_eq!(rule, "case.status");
    shop.settle_down().await;
    let sql = "select amount_minor, units, status from public.redemptions order by units";
    let rows = client.query(sql, &[]).await.unwrap();
    let told: Vec<(i64, i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(
        told.iter().map(|(amount, _, _)| amount).sum::<i64>(),
        1_000_000 + kept,
        "everything, to the cent"
    );
    let each: Vec<(i64, &str)> = told
        .iter()
        .map(|(_, units, status)| (*units, status.as_str()))
        .collect();
    assert_eq!(
        each,
        [(7, "payable"), (10, "paid"), (30, "paid")],
        "what is frozen is owed, and waits"
    );
    assert_eq!((shop.balance("held").await, shop.balance("burned").await), (0, 1_000));
    let sql = "select status from public.property_tokens";
    assert_eq!(
        client.query_one(sql, &[]).await.unwrap().get::<_, String>(0),
        "wound_up"
    );
    for name in ["declare-distribution", "create-offering"] {
        let (status, answer) = shop.site.call(&shop.manager, name, shop.order(1)).await;
        assert!(status.is_client_error(), "{name}: {answer}");
    }
    shop.check().await;
}

#[tokio::test]
async fn the_papers_of_a_case_are_read_by_who_approves_it_and_each_read_is_noted() {
    let (shop, buyers) = sold(&[10]).await;
    let id = paper(&shop, &shop.officer).await;
    let body = about(&shop, "freeze", &buyers[0], json!({ "documentIds": [id] })).await;
    shop.site.done(&shop.officer, "open-holding-case", body).await;
    let read = async |who: &Signed, id: Uuid, reason: Option<&str>| {
        let request = Request::get(format!("/functions/v1/kyc-document-content/{id}"));
        let request = match reason {
            Some(reason) => request.header("x-reason", reason),
            None => request,
        };
        shop.site.send(Some(who), request, "").await.0
    };
    assert_eq!(read(&shop.admin, id, Some("to decide the case")).await, StatusCode::OK);
    assert_eq!(applicant::reads_of(&shop.site, id).await, 1);
    assert_eq!(
        read(&shop.admin, id, None).await,
        StatusCode::BAD_REQUEST,
        "a reader says why"
    );
    for stranger in [&shop.manager, &buyers[0]] {
        assert_eq!(read(stranger, id, Some("to see")).await, StatusCode::NOT_FOUND);
    }
    let own = paper(&shop, &buyers[0]).await;
    assert_eq!(read(&shop.admin, own, Some("to see")).await, StatusCode::NOT_FOUND);
}
