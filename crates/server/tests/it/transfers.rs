//! Transfers: a holder asks, the receiver agrees, a third person approves, the tokens move by lots (L10, L13).

use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::distributions::{declare, party, pay, propose, rent, resides, sold};
use crate::shop::{Plan, Shop, WINDOW, id_of};
use crate::site::Signed;

fn wish(shop: &Shop, to: &Signed, tokens: i64, kind: &str, price: Option<&str>) -> Value {
    json!({ "propertyId": shop.property_id, "tokenAmount": tokens, "kind": kind, "toUserId": to.id, "price": price, "reason": "as agreed" })
}

async fn ask(shop: &Shop, from: &Signed, body: Value) -> Value {
    let answer = shop.site.done(from, "request-transfer", body).await;
    json!({ "transferId": id_of(&answer["transfer"]) })
}

fn with(id: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut body = id.clone();
    body[name] = value.into();
    body
}

fn approved(id: &Value) -> Value {
    with(id, "decision", "approved")
}

/// A whole transfer: asked for, accepted, approved.
async fn transfer(shop: &Shop, from: &Signed, to: &Signed, tokens: i64, price: Option<&str>) -> Value {
    let kind = if price.is_some() { "sale" } else { "gift" };
    let id = ask(shop, from, wish(shop, to, tokens, kind, price)).await;
    shop.site.done(to, "accept-transfer", with(&id, "price", price)).await;
    let answer = shop.site.done(&shop.officer, "approve-transfer", approved(&id)).await;
    assert_eq!(answer["transfer"]["status"], json!("completed"));
    answer["transfer"].clone()
}

async fn held(shop: &Shop, who: &Signed) -> i64 {
    let client = shop.site.world.admin().await;
    let sql = "select coalesce(sum(units), 0)::bigint from public.lots where party_id = $1";
    client.query_one(sql, &[&party(shop, who).await]).await.unwrap().get(0)
}

async fn rule(shop: &Shop, who: &Signed, name: &str, body: Value) -> String {
    shop.site.refused(who, name, body).await.0
}

#[tokio::test]
async fn half_is_sold_and_each_has_his_rent_and_his_statement() {
    let (shop, buyers) = sold(&[10, 7]).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    rent(&shop, "1700.00").await;
    let first = declare(&shop).await;
    shop.site.advance(TimeDelta::days(1));

    let body = wish(&shop, two, 5, "sale", Some("300.01"));
    let key = Uuid::now_v7().to_string();
    let (status, asked) = shop
        .site
        .call_with_key(one, "request-transfer", body.clone(), Some(&key))
        .await;
    assert_eq!(
        (status, &asked["transfer"]["status"]),
        (StatusCode::OK, &json!("requested")),
        "{asked}"
    );
    let again = shop.site.call_with_key(one, "request-transfer", body, Some(&key)).await;
    assert_eq!(again, (StatusCode::OK, asked.clone()), "the same wish once");
    let id = json!({ "transferId": id_of(&asked["transfer"]) });
    let (rule, refusal) = shop
        .site
        .refused(one, "request-transfer", wish(&shop, &buyers[1], 6, "gift", None))
        .await;
    assert_eq!(
        (rule.as_str(), &refusal["inputs"]["promised"]),
        ("lots.free", &json!("5"))
    );
    let accepted = shop
        .site
        .done(two, "accept-transfer", with(&id, "price", "300.01"))
        .await;
    assert_eq!(accepted["transfer"]["status"], json!("accepted"));
    assert_eq!(
        (held(&shop, one).await, held(&shop, two).await),
        (10, 0),
        "nothing moved yet"
    );
    let done = shop.site.done(&shop.officer, "approve-transfer", approved(&id)).await;
    assert_eq!(done["transfer"]["status"], json!("completed"));
    assert_eq!((held(&shop, one).await, held(&shop, two).await), (5, 5));

    pay(&shop, first).await;
    shop.settle_down().await;
    shop.site.advance(TimeDelta::days(30));
    rent(&shop, "1700.00").await;
    let second = declare(&shop).await;
    pay(&shop, second).await;
    shop.settle_down().await;
    let statement = async |who: &Signed| {
        let answer = shop.site.done(who, "get-statement", json!({ "year": 2030 })).await;
        answer["statement"].clone()
    };
    let (seller, buyer) = (statement(one).await, statement(two).await);
    assert_eq!(
        seller["totals"][0]["grossMinor"],
        json!(90_000 + 45_000),
        "L10: the first was his alone"
    );
    assert_eq!(buyer["totals"][0]["grossMinor"], json!(45_000));
    let gone = &seller["disposals"][0];
    let figures = [
        &gone["units"],
        &gone["costMinor"],
        &gone["proceedsMinor"],
        &gone["gainMinor"],
    ];
    assert_eq!(figures, [&json!(5), &json!(25_500), &json!(30_001), &json!(4_501)]);
    assert_eq!(seller["totals"][0]["gainMinor"], json!(4_501));
    assert_eq!(seller["holdings"][0]["lots"][0]["costMinor"], json!(25_500));
    let got = &buyer["holdings"][0]["lots"][0];
    assert_eq!(
        (&got["units"], &got["costMinor"]),
        (&json!(5), &json!(30_001)),
        "his cost is what he paid"
    );
    assert_eq!(got["taxAcquiredAt"], got["acquiredAt"]);
    assert_eq!(
        buyer["holdings"][0]["movements"][0]["kind"],
        json!("tokens.transferred")
    );
    let what = |one: &Value| one["checks"].to_string().contains("\"disposals\"");
    assert_eq!((what(&seller), what(&buyer)), (true, false));
    let request = Request::post("/functions/v1/get-statement").header("content-type", "application/json");
    let body = json!({ "year": 2030, "format": "pdf" }).to_string();
    let (status, _, bytes) = shop.site.send(Some(one), request, body).await;
    assert_eq!((status, &bytes[..4]), (StatusCode::OK, b"%PDF".as_slice()));
    shop.check().await;
}

#[tokio::test]
async fn a_past_year_stays_what_it_was_whatever_goes_later() {
    let (shop, buyers) = sold(&[10]).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    transfer(&shop, one, two, 3, None).await;
    let year = async |who: &Signed, year: i32, seq: Option<i64>| {
        let body = json!({ "year": year, "knownSeq": seq });
        shop.site.done(who, "get-statement", body).await
    };
    let before = [year(one, 2030, None).await, year(two, 2030, None).await];
    let seq = before[0]["statement"]["knownSeq"].as_i64();
    // In the same year, unknown then; and in the next.
    transfer(&shop, one, two, 2, Some("1.00")).await;
    transfer(&shop, two, one, 1, Some("2.00")).await;
    assert_eq!(year(one, 2030, seq).await, before[0], "L16");
    assert_eq!(year(two, 2030, seq).await, before[1], "L16");
    let known = [year(one, 2030, None).await, year(two, 2030, None).await];
    let seq = known[0]["statement"]["knownSeq"].as_i64();
    shop.site.advance(TimeDelta::days(365));
    transfer(&shop, one, two, 5, Some("7.00")).await;
    transfer(&shop, two, one, 4, None).await;
    for (who, known) in [(one, &known[0]), (two, &known[1])] {
        assert_eq!(&year(who, 2030, seq).await, known, "L16, a year later");
        let now = year(who, 2030, None).await;
        for part in ["holdings", "disposals", "totals"] {
            assert_eq!(
                now["statement"][part], known["statement"][part],
                "{part} of a year that is over"
            );
        }
        let next = year(who, 2031, None).await;
        let lots = next["statement"]["holdings"][0]["lots"].as_array().unwrap().clone();
        let units: i64 = lots.iter().map(|lot| lot["units"].as_i64().unwrap()).sum();
        assert_eq!(units, held(&shop, who).await);
    }
    let gone = year(two, 2030, None).await["statement"]["disposals"].clone();
    assert_eq!(
        gone[0]["costMinor"],
        json!(5_100),
        "the gift's cost went on, and went first"
    );
    shop.check().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_what_would_help() {
    let (shop, buyers) = sold(&[10]).await;
    let [one, two, other] = [&buyers[0], &shop.buyer().await, &shop.buyer().await];
    for (body, expected) in [
        (wish(&shop, two, 5, "forced", None), "transfer.kind"),
        (wish(&shop, two, 5, "sale", None), "transfer.price"),
        (wish(&shop, two, 5, "gift", Some("1.00")), "transfer.price"),
        (wish(&shop, one, 5, "gift", None), "transfer.other_party"),
        (wish(&shop, two, 11, "gift", None), "lots.free"),
    ] {
        assert_eq!(rule(&shop, one, "request-transfer", body).await, expected);
    }
    assert_eq!(
        rule(&shop, two, "request-transfer", wish(&shop, one, 1, "gift", None)).await,
        "lots.free",
        "he has none"
    );
    let nobody = with(
        &wish(&shop, two, 5, "gift", None),
        "toUserId",
        Uuid::now_v7().to_string(),
    );
    let nowhere = with(
        &wish(&shop, two, 5, "gift", None),
        "propertyId",
        Uuid::now_v7().to_string(),
    );
    for body in [nobody, nowhere] {
        assert_eq!(
            shop.site.call(one, "request-transfer", body).await.0,
            StatusCode::NOT_FOUND
        );
    }
    let unnamed = with(&wish(&shop, two, 5, "gift", None), "toUserId", Value::Null);
    let unknown = wish(&shop, two, 5, "loan", None);
    let blank = with(&wish(&shop, two, 5, "gift", None), "reason", " ");
    for body in [unnamed, unknown, blank, wish(&shop, two, 0, "gift", None)] {
        assert_eq!(
            shop.site.call(one, "request-transfer", body).await.0,
            StatusCode::BAD_REQUEST
        );
    }

    let id = ask(&shop, one, wish(&shop, two, 5, "sale", Some("10.00"))).await;
    assert_eq!(
        rule(&shop, two, "accept-transfer", with(&id, "price", "9.99")).await,
        "transfer.price"
    );
    assert_eq!(rule(&shop, two, "accept-transfer", id.clone()).await, "transfer.price");
    assert_eq!(rule(&shop, one, "accept-transfer", id.clone()).await, "transfer.side");
    assert_eq!(rule(&shop, one, "decline-transfer", id.clone()).await, "transfer.side");
    assert_eq!(
        rule(&shop, two, "cancel-transfer", id.clone()).await,
        "transfer.status",
        "he declines it instead"
    );
    for name in ["accept-transfer", "decline-transfer", "cancel-transfer"] {
        assert_eq!(
            shop.site.call(other, name, id.clone()).await.0,
            StatusCode::NOT_FOUND,
            "{name}"
        );
    }
    assert_eq!(
        rule(&shop, &shop.officer, "approve-transfer", approved(&id)).await,
        "transfer.status"
    );
    let (status, _) = shop.site.call(one, "approve-transfer", approved(&id)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    shop.site.done(two, "accept-transfer", with(&id, "price", "10")).await;
    assert_eq!(
        rule(&shop, two, "decline-transfer", id.clone()).await,
        "transfer.status"
    );
    let (status, _) = shop
        .site
        .call(&shop.officer, "approve-transfer", with(&id, "decision", "rejected"))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a rejection says why");
    let no = with(&with(&id, "decision", "rejected"), "reason", "no contract");
    let rejected = shop.site.done(&shop.officer, "approve-transfer", no).await;
    assert_eq!(rejected["transfer"]["status"], json!("rejected"));
    assert_eq!(
        rule(&shop, &shop.officer, "approve-transfer", approved(&id)).await,
        "transfer.status"
    );
    assert_eq!(rule(&shop, one, "cancel-transfer", id).await, "transfer.status");

    // Who gives or gets does not decide; a move between parties of one owner says what shows that.
    let id = ask(&shop, one, wish(&shop, &shop.officer, 5, "own_wallet", None)).await;
    shop.site.done(&shop.officer, "accept-transfer", id.clone()).await;
    assert_eq!(
        rule(&shop, &shop.officer, "approve-transfer", approved(&id)).await,
        "four_eyes"
    );
    let (status, _) = shop.site.call(&shop.admin, "approve-transfer", approved(&id)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let because = with(&approved(&id), "reason", "the register of companies");
    shop.site.done(&shop.admin, "approve-transfer", because).await;
    assert_eq!((held(&shop, one).await, held(&shop, &shop.officer).await), (5, 5));
    for name in ["declined", "cancelled"] {
        let id = ask(&shop, one, wish(&shop, two, 5, "gift", None)).await;
        let ended = match name {
            "declined" => shop.site.done(two, "decline-transfer", id).await,
            _ => shop.site.done(one, "cancel-transfer", id).await,
        };
        assert_eq!(
            ended["transfer"]["status"],
            json!(name),
            "and the tokens are free again"
        );
    }
    shop.check().await;
}

#[tokio::test]
async fn nobody_goes_on_with_it_in_time() {
    let (shop, buyers) = sold(&[10]).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    let id = ask(&shop, one, wish(&shop, two, 10, "gift", None)).await;
    shop.site.advance(TimeDelta::days(14));
    assert_eq!(
        rule(&shop, two, "accept-transfer", id.clone()).await,
        "transfer.status",
        "at once, whatever the job does"
    );
    let next = ask(&shop, one, wish(&shop, two, 10, "gift", None)).await;
    shop.site.done(two, "accept-transfer", next.clone()).await;
    shop.turn().await;
    let client = shop.site.world.admin().await;
    let status = async |id: &Value| -> String {
        let id: Uuid = id["transferId"].as_str().unwrap().parse().unwrap();
        let sql = "select status from public.transfers where id = $1";
        client.query_one(sql, &[&id]).await.unwrap().get(0)
    };
    assert_eq!(
        (status(&id).await, status(&next).await),
        ("expired".into(), "accepted".into())
    );
    shop.site.advance(TimeDelta::days(30));
    assert_eq!(
        rule(&shop, &shop.officer, "approve-transfer", approved(&next)).await,
        "transfer.status"
    );
    shop.turn().await;
    assert_eq!(status(&next).await, "expired");
    let sql = "select count(*) from public.notifications where type = 'transfer' and title = 'A transfer ended' and user_id = any ($1)";
    let told: i64 = client
        .query_one(sql, &[&[one.id, two.id].as_slice()])
        .await
        .unwrap()
        .get(0);
    assert_eq!(told, 4, "both, of both");
    transfer(&shop, one, two, 10, None).await;
    shop.check().await;
}

/// A shop that sold under a pack of its own to buyers who live in Germany.
async fn sold_under(rules: Value, tokens: &[i64]) -> (Shop, Vec<Signed>) {
    let shop = Shop::new().await;
    let body = json!({ "code": "own", "title": "Own", "summary": "A pack.", "rules": rules });
    shop.site.done(&shop.admin, "publish-rule-pack", body).await;
    shop.offer(&Plan {
        pack: "own",
        ..Plan::default()
    })
    .await;
    let mut buyers = Vec::new();
    for &units in tokens {
        let buyer = shop.buyer().await;
        resides(&shop, &buyer, "DE").await;
        shop.buy(&buyer, units).await;
        buyers.push(buyer);
    }
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    (shop, buyers)
}

#[tokio::test]
async fn the_receiver_may_hold_what_was_sold_under_its_rules() {
    let rules = json!([
        { "rule": "residency_not_in", "countries": ["US"], "source": "a law" },
        { "rule": "holder_cap", "parties": 2, "source": "a law" },
    ]);
    let (shop, buyers) = sold_under(rules, &[10, 5]).await;
    let [one, two] = [&buyers[0], &buyers[1]];
    let three = shop.buyer().await;
    let id = ask(&shop, one, wish(&shop, &three, 4, "gift", None)).await;
    assert_eq!(
        rule(&shop, &three, "accept-transfer", id.clone()).await,
        "residency_not_in",
        "not known"
    );
    resides(&shop, &three, "US").await;
    assert_eq!(
        rule(&shop, &three, "accept-transfer", id.clone()).await,
        "residency_not_in"
    );
    resides(&shop, &three, "AT").await;
    let (name, refusal) = shop.site.refused(&three, "accept-transfer", id.clone()).await;
    assert_eq!(
        (name.as_str(), &refusal["inputs"]["holders"]),
        ("holder_cap", &json!("2"))
    );
    shop.site.done(one, "cancel-transfer", id).await;

    // Who gives all of his makes room; what was true at the acceptance is asked again at the move.
    let id = ask(&shop, one, wish(&shop, &three, 10, "gift", None)).await;
    shop.site.done(&three, "accept-transfer", id.clone()).await;
    resides(&shop, &three, "US").await;
    let (name, refusal) = shop
        .site
        .refused(&shop.officer, "approve-transfer", approved(&id))
        .await;
    assert_eq!(name, "residency_not_in");
    assert_eq!(
        refusal["inputs"]["receiver"],
        json!(party(&shop, &three).await.to_string())
    );
    resides(&shop, &three, "AT").await;
    shop.site.done(&shop.officer, "approve-transfer", approved(&id)).await;
    assert_eq!((held(&shop, one).await, held(&shop, &three).await), (0, 10));

    // A buyer who gave all away is none that counts, and two holders give to one another as they like.
    let four = shop.buyer().await;
    resides(&shop, &four, "DE").await;
    transfer(&shop, two, &three, 5, None).await;
    shop.offer(&Plan {
        pack: "own",
        ..Plan::default()
    })
    .await;
    shop.buy(&four, 10).await;
    let body = shop.order(1);
    assert_eq!(
        rule(&shop, one, "create-investment", body).await,
        "holder_cap",
        "he would be a third"
    );
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    transfer(&shop, &four, &three, 9, Some("1.00")).await;
    shop.check().await;
}

#[tokio::test]
async fn a_restricted_period_stops_holders_and_goes_on_with_what_they_get() {
    let rules = json!([{ "rule": "resale_restricted", "days": 40, "source": "a law" }]);
    let (shop, buyers) = sold_under(rules, &[10]).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    let (name, refusal) = shop
        .site
        .refused(one, "request-transfer", wish(&shop, two, 1, "gift", None))
        .await;
    assert_eq!(
        (name.as_str(), &refusal["inputs"]["restricted"]),
        ("lots.free", &json!("10"))
    );
    shop.site.advance(TimeDelta::days(40));
    transfer(&shop, one, two, 4, None).await;
    shop.check().await;
}

#[tokio::test]
async fn the_property_is_seen_by_who_holds_it_however_he_got_it() {
    let (shop, buyers) = sold(&[10]).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    let client = shop.site.world.admin().await;
    let sql = "update public.properties set is_active = false";
    client.execute(sql, &[]).await.unwrap();
    let sees = async |who: &Signed| {
        let (status, _, body) = shop
            .site
            .send(Some(who), Request::get("/rest/v1/properties?select=id"), "")
            .await;
        assert_eq!(status, StatusCode::OK);
        body != b"[]"
    };
    assert_eq!((sees(one).await, sees(two).await), (true, false));
    transfer(&shop, one, two, 10, None).await;
    assert_eq!((sees(one).await, sees(two).await), (false, true));
    shop.check().await;
}

#[tokio::test]
async fn at_one_instant_everything_comes_one_after_the_other() {
    let (shop, buyers) = sold(&[10, 10]).await;
    let [one, two] = [&buyers[0], &buyers[1]];
    let three = shop.buyer().await;
    let same = wish(&shop, &three, 6, "gift", None);
    let asked = tokio::join!(
        shop.site.call(one, "request-transfer", same.clone()),
        shop.site.call(one, "request-transfer", same),
    );
    let mut statuses = [asked.0.0, asked.1.0];
    statuses.sort();
    assert_eq!(
        statuses,
        [StatusCode::OK, StatusCode::CONFLICT],
        "no token is promised twice"
    );
    let open = if asked.0.0 == StatusCode::OK {
        asked.0.1
    } else {
        asked.1.1
    };
    let first = json!({ "transferId": id_of(&open["transfer"]) });
    let second = ask(&shop, two, wish(&shop, one, 7, "gift", None)).await;
    shop.site.done(&three, "accept-transfer", first.clone()).await;
    shop.site.done(one, "accept-transfer", second.clone()).await;

    // Another sale of the token closes, a distribution is declared, and two transfers move, all at once.
    shop.offer(&Plan::default()).await;
    shop.buy(&three, 10).await;
    shop.site.advance(WINDOW);
    shop.turn().await;
    rent(&shop, "1000.00").await;
    let proposed = propose(&shop).await;
    let call = |who, name, body| Box::pin(shop.site.call(who, name, body));
    let done = tokio::join!(
        call(&shop.officer, "approve-transfer", approved(&first)),
        call(&shop.admin, "approve-transfer", approved(&second)),
        call(
            &shop.officer,
            "approve-distribution",
            json!({ "distributionId": proposed })
        ),
        call(&shop.second_admin, "approve-transfer", approved(&first)),
        Box::pin(shop.turn()),
    );
    let firsts = [done.0.0, done.3.0];
    assert!(
        firsts.contains(&StatusCode::OK) && firsts.contains(&StatusCode::CONFLICT),
        "{:?} {:?}",
        done.0,
        done.3
    );
    assert_eq!(
        (done.1.0, done.2.0),
        (StatusCode::OK, StatusCode::OK),
        "{:?} {:?}",
        done.1,
        done.2
    );
    shop.settle_down().await;
    pay(&shop, proposed).await;
    shop.settle_down().await;
    assert_eq!(
        (
            held(&shop, one).await,
            held(&shop, two).await,
            held(&shop, &three).await
        ),
        (11, 3, 16)
    );
    let client = shop.site.world.admin().await;
    let sql = "select sum(amount_minor)::bigint from public.distribution_lines";
    let sum: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(sum, 90_000);
    shop.check().await;
}

#[tokio::test]
async fn what_is_frozen_meanwhile_does_not_move() {
    let (shop, buyers) = sold(&[10]).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    let id = ask(&shop, one, wish(&shop, two, 6, "gift", None)).await;
    shop.site.done(two, "accept-transfer", id.clone()).await;
    let other = ask(&shop, one, wish(&shop, two, 2, "gift", None)).await;
    let freeze = json!({ "kind": "freeze", "propertyId": shop.property_id, "partyId": party(&shop, one).await, "tokenAmount": 5,
                         "reason": "an order" });
    let opened = shop.site.done(&shop.officer, "open-holding-case", freeze).await;
    let case = json!({ "caseId": id_of(&opened["case"]) });
    let done = shop.site.done(&shop.admin, "approve-holding-case", case).await;
    assert_eq!(done["case"]["status"], json!("done"));
    let (name, refusal) = shop
        .site
        .refused(&shop.officer, "approve-transfer", approved(&id))
        .await;
    assert_eq!(
        (name.as_str(), &refusal["inputs"]["frozen"]),
        ("lots.free", &json!("5"))
    );
    assert_eq!(
        rule(&shop, one, "request-transfer", wish(&shop, two, 1, "gift", None)).await,
        "lots.free"
    );
    let (name, refusal) = shop.site.refused(two, "accept-transfer", other.clone()).await;
    assert_eq!(name, "transfer.tokens");
    assert_eq!(
        refusal["inputs"],
        json!({}),
        "what the holder has is none of the receiver's business"
    );
    for id in [id, other] {
        shop.site.done(one, "cancel-transfer", id).await;
    }
    transfer(&shop, one, two, 5, None).await;
    assert_eq!((held(&shop, one).await, held(&shop, two).await), (5, 5));
    shop.check().await;
}
