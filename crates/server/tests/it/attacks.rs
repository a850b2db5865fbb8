//! Limits attacked: at the same instant, through two offerings, two logins, two keys; and a clock that jumps.

use axum::http::StatusCode;
use chrono::TimeDelta;
use mint_core::states::OfferingStatus;
use nexus_mint::command::Command;
use nexus_mint::db::Actor;
use nexus_mint::jobs;
use nexus_mint::jobs::clock::{Pace, Watch, resume};
use nexus_mint::jobs::sales::Turn;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Plan, Shop, WINDOW, id_of, property};
use crate::site::Signed;

async fn publish(shop: &Shop, code: &str, rules: Value) {
    let pack = json!({ "code": code, "title": "A pack", "summary": "For an attack.", "rules": rules });
    shop.site.done(&shop.admin, "publish-rule-pack", pack).await;
}

/// An offering of another property of the same manager, open now.
async fn second_offering(shop: &Shop, pack: &str) -> Uuid {
    let (property_id, _) = property(&shop.site, &shop.manager).await;
    let now = shop.site.now();
    let body = json!({
        "propertyId": property_id, "rulePack": pack, "kind": "issuer_owns", "softCap": 1, "hardCap": 100, "opensAt": now,
        "closesAt": now + WINDOW, "longStopAt": now + WINDOW + WINDOW,
    });
    let offering = shop.site.done(&shop.manager, "create-offering", body).await;
    let id = id_of(&offering["offering"]);
    shop.site
        .done(&shop.admin, "open-offering", json!({ "offeringId": id }))
        .await;
    property_id
}

/// Orders sent at the same instant: which rule refused each, or none.
async fn at_once(shop: &Shop, orders: Vec<(Signed, Uuid, i64)>) -> Vec<Option<String>> {
    let calls = orders.into_iter().map(|(buyer, property_id, tokens)| async move {
        let body = json!({ "propertyId": property_id, "tokenAmount": tokens });
        let key = Uuid::now_v7().to_string();
        let (status, answer) = shop
            .site
            .call_with_key(&buyer, "create-investment", body, Some(&key))
            .await;
        match status {
            StatusCode::OK => None,
            StatusCode::CONFLICT => Some(answer["rule"].as_str().unwrap().to_owned()),
            other => panic!("{other}: {answer}"),
        }
    });
    futures_util::future::join_all(calls).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yearly_limit_holds_across_two_offerings_at_the_same_instant_and_two_logins() {
    let shop = Shop::new().await;
    let limit = json!([{ "rule": "yearly_limit", "amount_minor": 30_000, "currency": "USD", "source": "a law" }]);
    publish(&shop, "limited", limit).await;
    shop.offer(&Plan {
        pack: "limited",
        ..Plan::default()
    })
    .await;
    let other = second_offering(&shop, "limited").await;
    for _ in 0..8 {
        let [one, two] = [shop.buyer().await, shop.buyer().await];
        let admin = shop.site.world.admin().await;
        let sql = "update public.user_profiles set party_id = (select party_id from public.user_profiles where id = $1) where id = $2";
        admin.execute(sql, &[&one.id, &two.id]).await.unwrap();
        // Six tokens are the limit; four and four of two logins of one person, in two offerings.
        let outcomes = at_once(&shop, vec![(one, shop.property_id, 4), (two, other, 4)]).await;
        let passed = outcomes.iter().filter(|outcome| outcome.is_none()).count();
        assert_eq!(passed, 1, "{outcomes:?}");
        assert!(outcomes.contains(&Some("yearly_limit".to_owned())), "{outcomes:?}");
    }
    let buyer = shop.buyer().await;
    shop.reserve(&buyer, 6).await;
    let (rule, refusal) = shop
        .site
        .refused(
            &buyer,
            "create-investment",
            json!({ "propertyId": other, "tokenAmount": 1 }),
        )
        .await;
    assert_eq!(
        (rule.as_str(), &refusal["inputs"]["bought_in_twelve_months"]),
        ("yearly_limit", &json!("300.00 USD"))
    );
    shop.check().await;
}

#[tokio::test]
async fn a_year_is_over_at_its_instant() {
    let shop = Shop::new().await;
    let limit = json!([{ "rule": "yearly_limit", "amount_minor": 30_000, "currency": "USD", "source": "a law" }]);
    publish(&shop, "limited", limit).await;
    shop.offer(&Plan {
        pack: "limited",
        ..Plan::default()
    })
    .await;
    let buyer = shop.buyer().await;
    shop.buy(&buyer, 6).await;
    shop.site.advance(TimeDelta::days(365) - TimeDelta::microseconds(1));
    let other = second_offering(&shop, "limited").await;
    let order = json!({ "propertyId": other, "tokenAmount": 1 });
    assert_eq!(
        shop.site.refused(&buyer, "create-investment", order.clone()).await.0,
        "yearly_limit"
    );
    shop.site.advance(TimeDelta::microseconds(1));
    shop.site.done(&buyer, "create-investment", order).await;
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_cap_holds_when_everybody_comes_at_once() {
    let shop = Shop::new().await;
    publish(
        &shop,
        "few",
        json!([{ "rule": "holder_cap", "parties": 3, "source": "a law" }]),
    )
    .await;
    shop.offer(&Plan {
        pack: "few",
        ..Plan::default()
    })
    .await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        let buyer = shop.buyer().await;
        orders.push((buyer.clone(), shop.property_id, 2));
        orders.push((buyer, shop.property_id, 3));
    }
    let outcomes = at_once(&shop, orders).await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_none()).count(),
        6,
        "three parties twice each: {outcomes:?}"
    );
    let admin = shop.site.world.admin().await;
    let parties: i64 = admin
        .query_one("select count(distinct party_id) from public.investments", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(parties, 3);
    shop.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_sent_many_times_at_once_is_one_purchase() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let calls = (0..12).map(|_| {
        shop.site
            .call_with_key(&buyer, "create-investment", shop.order(3), Some("the same"))
    });
    let answers = futures_util::future::join_all(calls).await;
    let first = &answers[0];
    assert!(
        answers
            .iter()
            .all(|answer| answer == first && answer.0 == StatusCode::OK),
        "{answers:?}"
    );
    assert_eq!(shop.balance("reserved_pending").await, 3);
    shop.check().await;
}

#[tokio::test]
async fn who_prepared_an_offering_does_not_open_it_not_even_by_another_login() {
    let shop = Shop::new().await;
    let draft = shop.prepare(&Plan::default()).await;
    let admin = shop.site.world.admin().await;
    let sql = "update public.user_profiles set party_id = (select party_id from public.user_profiles where id = $1) where id = $2";
    admin.execute(sql, &[&shop.manager.id, &shop.admin.id]).await.unwrap();
    let body = json!({ "offeringId": draft });
    assert_eq!(
        shop.site.refused(&shop.admin, "open-offering", body.clone()).await.0,
        "four_eyes"
    );
    shop.site.done(&shop.second_admin, "open-offering", body).await;
    shop.check().await;
}

#[tokio::test]
async fn an_offering_that_is_not_public_is_for_the_invited() {
    let shop = Shop::new().await;
    publish(
        &shop,
        "private",
        json!([{ "rule": "no_general_solicitation", "source": "a law" }]),
    )
    .await;
    let offering_id = shop
        .offer(&Plan {
            pack: "private",
            ..Plan::default()
        })
        .await;
    let [invited, other] = [shop.buyer().await, shop.buyer().await];
    let invite = json!({ "offeringId": offering_id, "userId": invited.id });
    shop.site.done(&shop.manager, "invite-to-offering", invite).await;
    shop.reserve(&invited, 1).await;
    assert_eq!(
        shop.site.refused(&other, "create-investment", shop.order(1)).await.0,
        "no_general_solicitation"
    );
    let client = shop.site.world.admin().await;
    for (buyer, seen) in [(&invited, 1_i64), (&other, 0)] {
        client.batch_execute("begin").await.unwrap();
        crate::world::act_as(
            &client,
            "authenticated",
            &json!({ "sub": buyer.id, "role": "authenticated" }),
        )
        .await;
        let count: i64 = client
            .query_one("select count(*) from public.offerings", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(count, seen, "the wall says the same as the command");
        client.batch_execute("rollback").await.unwrap();
    }
    shop.check().await;
}

#[tokio::test]
async fn a_clock_that_jumps_pauses_what_cannot_be_undone_until_somebody_looked() {
    let (shop, offering_id) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.reserve(&buyer, 2).await;
    let watch = Watch::default();
    assert_eq!(watch.look(&shop.site.app).await.unwrap(), Pace::Running);
    shop.site.advance(TimeDelta::days(40));
    let pace = watch.look(&shop.site.app).await.unwrap();
    assert!(
        matches!(&pace, Pace::Paused(_, reason) if reason.contains("ahead")),
        "{pace:?}"
    );
    jobs::turn(&shop.site.app, Turn::OnlyMessages).await.unwrap();
    assert_eq!(
        shop.status(id).await,
        "pending",
        "nothing ends by a clock that nobody trusts"
    );
    assert_eq!(
        shop.offering(offering_id).await["status"],
        json!(OfferingStatus::Open.name())
    );
    let health = shop.site.done(&buyer, "deployment-health-check", json!({})).await;
    assert_eq!(health["overall_status"], json!("down"), "and it says so: {health}");
    shop.site.advance(-TimeDelta::days(40));
    assert!(
        matches!(watch.look(&shop.site.app).await.unwrap(), Pace::Paused(..)),
        "a clock that was put right does not go on by itself"
    );
    let command = Command::begin(&shop.site.app, Actor::Program("test")).await.unwrap();
    resume(&command).await.unwrap();
    command.commit().await.unwrap();
    assert_eq!(watch.look(&shop.site.app).await.unwrap(), Pace::Running);
    let other = Watch::default();
    shop.site.advance(-TimeDelta::minutes(1));
    let pace = other.look(&shop.site.app).await.unwrap();
    assert!(
        matches!(&pace, Pace::Paused(_, reason) if reason.contains("back")),
        "a second process sees it too: {pace:?}"
    );
}
