//! New versions of a fee: published by an admin for an instant that is to come, and charged from then on, to nobody before.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use mint_core::fees::NOTICE;
use serde_json::{Value, json};

use crate::shop::{Plan, Shop};
use crate::site::Site;
use crate::world::World;

fn version(rest: Value) -> Value {
    let mut body =
        json!({ "feeType": "platform", "currency": "USD", "ratePpm": 30_000, "fixed": "0.50", "note": "costs rose" });
    let fields = rest.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

fn instant(answer: &Value) -> DateTime<Utc> {
    answer.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_version_is_charged_from_its_instant_on_and_to_nobody_before() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (early, late) = (shop.buyer().await, shop.buyer().await);
    let published = shop.site.done(&shop.admin, "publish-fee", version(json!({}))).await;
    let from = instant(&published["validFrom"]);
    assert_eq!(from, shop.site.now() + NOTICE, "as soon as may be");
    let reserved = shop.reserve(&early, 2).await;
    let fee = async || shop.site.done(&late, "quote-investment", shop.order(2)).await["feeAmount"].clone();
    assert_eq!(fee().await, json!(2.0), "what is announced is not charged");
    shop.site.set_now(from - TimeDelta::microseconds(1));
    assert_eq!(fee().await, json!(2.0), "up to its instant");
    shop.site.set_now(from);
    assert_eq!(fee().await, json!(3.5), "3 % of 100.00 and 0.50");
    let new = shop.reserve(&late, 2).await;
    assert_eq!(
        shop.investment(new).await["fee_amount"],
        json!(3.5),
        "a purchase is charged what was quoted"
    );
    // The one of before is paid after, with its own fee.
    let (_, session) = shop.checkout(&early, reserved).await;
    shop.pay(&session, 10_200, 0, true).await;
    shop.deliver().await;
    let kept = shop.investment(reserved).await;
    assert_eq!((&kept["status"], &kept["fee_amount"]), (&json!("paid"), &json!(2.0)));
    shop.check().await;
}

#[tokio::test]
async fn what_it_will_charge_is_said_before_and_changes_nothing() {
    let site = Site::over(World::own_database().await);
    let admin = site.person(&["admin"]).await;
    let asked = version(json!({ "minimum": "4", "maximum": "50.00" }));
    let seen = site.done(&admin, "preview-fee", asked.clone()).await;
    assert_eq!(
        seen["examples"],
        json!([
            { "amount": 100.0, "before": 2.0, "then": 4.0 },
            { "amount": 1000.0, "before": 20.0, "then": 30.5 },
            { "amount": 100_000.0, "before": 2000.0, "then": 50.0 },
        ])
    );
    assert_eq!(seen["validUntil"], Value::Null);
    let count = "select count(*) from public.fee_schedules where note = 'costs rose'";
    let client = site.world.admin().await;
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);

    // Beside one that is announced for later, and one where there was none.
    let later = site.now() + TimeDelta::days(3);
    site.done(&admin, "publish-fee", version(json!({ "validFrom": later })))
        .await;
    let seen = site.done(&admin, "preview-fee", asked.clone()).await;
    assert_eq!(instant(&seen["validUntil"]), later);
    let mut behind = asked.clone();
    behind["validFrom"] = json!(later + TimeDelta::days(1));
    let seen = site.done(&admin, "preview-fee", behind).await;
    assert_eq!(
        seen["examples"][0]["before"],
        json!(3.5),
        "what is announced is what it takes the place of"
    );
    let yen =
        json!({ "feeType": "platform", "currency": "JPY", "ratePpm": 1, "minimum": "5", "note": "a house in Osaka" });
    let seen = site.done(&admin, "preview-fee", yen).await;
    assert_eq!(seen["examples"][0], json!({ "amount": 100, "before": null, "then": 5 }));
}

#[tokio::test]
async fn what_cannot_be_charged_or_comes_too_soon_is_refused() {
    let site = Site::over(World::own_database().await);
    let [admin, officer] = [
        site.person(&["admin"]).await,
        site.person(&["compliance_officer"]).await,
    ];
    let at = site.now() + TimeDelta::days(1);
    site.done(&admin, "publish-fee", version(json!({ "validFrom": at })))
        .await;
    for name in ["preview-fee", "publish-fee"] {
        let (status, answer) = site.call(&officer, name, version(json!({}))).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        for (wrong, says) in [
            (json!({ "feeType": "Platform" }), "feeType"),
            (json!({ "feeType": "" }), "feeType"),
            (json!({ "feeType": "a".repeat(51) }), "feeType"),
            (json!({ "currency": "XXX" }), "currency"),
            (json!({ "ratePpm": 1_000_001 }), "ratePpm"),
            (json!({ "ratePpm": -1 }), "body"),
            (json!({ "fixed": "-1" }), "fixed"),
            (json!({ "fixed": "0.001" }), "fixed"),
            (json!({ "maximum": "90071992547409.92" }), "maximum"),
            (json!({ "minimum": "2", "maximum": "1" }), "maximum"),
            (json!({ "note": "  " }), "note"),
            (json!({ "note": "n".repeat(1_001) }), "note"),
        ] {
            let (status, answer) = site.call(&admin, name, version(wrong.clone())).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{name} {wrong}: {answer}");
            assert!(
                answer["detail"].as_str().unwrap().contains(says),
                "{name} {wrong}: {answer}"
            );
        }
        for soon in [
            site.now() - TimeDelta::days(365),
            site.now(),
            site.now() + NOTICE - TimeDelta::seconds(1),
        ] {
            let (rule, _) = site.refused(&admin, name, version(json!({ "validFrom": soon }))).await;
            assert_eq!(rule, "fee.notice", "{name} from {soon}");
        }
        let (rule, _) = site.refused(&admin, name, version(json!({ "validFrom": at }))).await;
        assert_eq!(rule, "fee.one_at_an_instant", "{name}");
    }
}

#[tokio::test]
async fn a_retry_publishes_once_and_the_trail_says_who_did() {
    let site = Site::over(World::own_database().await);
    let admin = site.person(&["admin"]).await;
    let first = site
        .call_with_key(&admin, "publish-fee", version(json!({})), Some("k"))
        .await;
    assert_eq!(first.0, StatusCode::OK, "{}", first.1);
    site.advance(TimeDelta::hours(1));
    let again = site
        .call_with_key(&admin, "publish-fee", version(json!({})), Some("k"))
        .await;
    assert_eq!(again, first, "a retry answers the same");
    let client = site.world.admin().await;
    let rows = "select count(*), min(id::text) from public.fee_schedules where note = 'costs rose'";
    let row = client.query_one(rows, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1, "and publishes nothing more");
    let trail = "select count(*) from public.audit_log where table_name like '%fee_schedules' and row_key = $1 and actor_id = $2";
    let row = client
        .query_one(trail, &[&row.get::<_, String>(1), &admin.id])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}
