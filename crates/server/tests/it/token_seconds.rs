//! Distributions by token-seconds: who held how many for how long in a period that is over (L10, L15, L16).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use mint_core::allocation::split;
use mint_core::entitlement::{Change, token_seconds};
use mint_core::money::Amount;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::distributions::{pay, rent, sold};
use crate::register::{moves, party_of};
use crate::shop::Shop;
use crate::site::Signed;

async fn token(client: &Client) -> Uuid {
    client
        .query_one("select id from public.property_tokens", &[])
        .await
        .unwrap()
        .get(0)
}

/// Changes of everybody's holding as the ledger and the register have them, for the reference.
async fn changes(client: &Client) -> BTreeMap<Uuid, Vec<Change>> {
    let sql = "select a.party_id, p.amount, (select m.moved_at from public.token_movements as m where m.last_entry_id >= p.entry_id order by m.number limit 1)
               from ledger.postings as p join ledger.accounts as a on a.id = p.account_id where a.purpose = 'held'";
    let mut changes: BTreeMap<Uuid, Vec<Change>> = BTreeMap::new();
    for row in client.query(sql, &[]).await.unwrap() {
        let at: DateTime<Utc> = row.get(2);
        changes.entry(row.get(0)).or_default().push(Change {
            second: at.timestamp(),
            units: row.get(1),
        });
    }
    changes
}

async fn expected(client: &Client, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(Uuid, Amount)> {
    let all = changes(client).await;
    all.into_iter()
        .map(|(party, changes)| {
            (
                party,
                token_seconds(&changes, from.timestamp(), to.timestamp()).unwrap(),
            )
        })
        .filter(|(_, seconds)| *seconds > Amount::ZERO)
        .collect()
}

async fn lines(client: &Client, id: Uuid) -> Vec<(Uuid, i64, i64)> {
    let sql = "select party_id, entitled_units, amount_minor from public.distribution_lines where distribution_id = $1 order by party_id";
    let rows = client.query(sql, &[&id]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// Three holders of 6, 3 and 1, who pass tokens on at odd instants; a holder who gives all of his keeps what he earned.
async fn passed_on() -> (Shop, Vec<Signed>, Client, DateTime<Utc>) {
    let (shop, buyers) = sold(&[6, 3, 1]).await;
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let closed_at = shop.site.now();
    for (from, to, units, after_ms) in [
        (0, 1, 2, 3_600_250),
        (1, 2, 3, 7_199_999),
        (2, 0, 3, 1),
        (1, 0, 2, 86_400_000),
        (0, 2, 4, 500),
    ] {
        shop.site.advance(TimeDelta::milliseconds(after_ms));
        moves(&shop, &client, token, &buyers[from], &buyers[to], units).await;
    }
    shop.site.advance(TimeDelta::hours(5));
    (shop, buyers, client, closed_at)
}

#[tokio::test]
async fn the_databases_token_seconds_are_the_references() {
    let (shop, _, client, closed_at) = passed_on().await;
    let token = token(&client).await;
    let known = "select max(last_entry_id) from public.token_movements";
    let known: i64 = client.query_one(known, &[]).await.unwrap().get(0);
    let sql = "select party_id, token_seconds::bigint from ledger.token_seconds($1, $2, $3, $4) order by party_id";
    for (begin, length) in [
        (-100, 50),
        (-100, 101),
        (0, 1),
        (0, 3_600),
        (3_599, 2),
        (3_600, 7_200),
        (10_000, 90_000),
        (-1, 200_000),
        (97_199, 1),
        (97_200, 1),
    ] {
        let from = closed_at + TimeDelta::seconds(begin);
        let to = from + TimeDelta::seconds(length);
        let rows = client.query(sql, &[&token, &from, &to, &known]).await.unwrap();
        let got: Vec<(Uuid, Amount)> = rows
            .iter()
            .map(|row| (row.get(0), Amount::try_from(row.get::<_, i64>(1)).unwrap()))
            .collect();
        assert_eq!(got, expected(&client, from, to).await, "{begin} for {length} s");
        let sum: i64 = got.iter().map(|(_, seconds)| seconds.get()).sum();
        assert_eq!(
            sum,
            10 * (begin + length - begin.max(0)).max(0),
            "all of them in each second"
        );
    }
    let nothing = client
        .query(sql, &[&token, &closed_at, &shop.site.now(), &0_i64])
        .await
        .unwrap();
    assert!(nothing.is_empty(), "nothing is known at the first entry");
}

#[tokio::test]
async fn a_period_decides_who_is_paid_and_what_comes_later_changes_nothing() {
    let (shop, buyers, client, closed_at) = passed_on().await;
    rent(&shop, "100").await;
    let (from, to) = (closed_at - TimeDelta::seconds(60), closed_at + TimeDelta::hours(27));
    let body = json!({ "propertyId": shop.property_id, "secondsFrom": from, "secondsTo": to });
    let preview = shop
        .site
        .done(&shop.officer, "preview-distribution", body.clone())
        .await;
    assert_eq!(preview["holders"], json!(3));
    let asked = shop.site.done(&shop.manager, "declare-distribution", body).await;
    assert_eq!(asked["distribution"]["basis"], json!("token_seconds"));
    let id: Uuid = asked["distribution"]["id"].as_str().unwrap().parse().unwrap();
    shop.site.advance(TimeDelta::seconds(7));
    moves(&shop, &client, token(&client).await, &buyers[0], &buyers[2], 1).await;
    let declared = shop
        .site
        .done(&shop.officer, "approve-distribution", json!({ "distributionId": id }))
        .await;
    let first: Uuid = declared["distribution"]["tie_first"].as_str().unwrap().parse().unwrap();
    let entitled = expected(&client, from, to).await;
    let parts = split(Amount::try_from(9_000).unwrap(), &entitled, &first).unwrap();
    let expected: Vec<(Uuid, i64, i64)> = entitled
        .iter()
        .zip(&parts)
        .map(|((party, seconds), (_, part))| (*party, seconds.get(), part.get()))
        .collect();
    assert_eq!(lines(&client, id).await, expected);
    let second = party_of(&client, buyers[1].id).await;
    assert!(
        expected.iter().any(|(party, _, part)| *party == second && *part > 0),
        "he holds none any more, and held some"
    );
    moves(&shop, &client, token(&client).await, &buyers[2], &buyers[1], 2).await;
    assert_eq!(
        lines(&client, id).await,
        expected,
        "a later transfer changes nothing (L10)"
    );
    pay(&shop, id).await;
    shop.settle_down().await;
    shop.check().await;
}

#[tokio::test]
async fn a_period_that_is_not_over_is_refused() {
    let (shop, _) = sold(&[10]).await;
    rent(&shop, "100").await;
    let now = shop.site.now();
    let ask = |from: DateTime<Utc>, to: Option<DateTime<Utc>>| json!({ "propertyId": shop.property_id, "secondsFrom": from, "secondsTo": to });
    for body in [
        ask(now, Some(now + TimeDelta::seconds(1))),
        ask(now, Some(now)),
        ask(now, Some(now - TimeDelta::seconds(1))),
    ] {
        for (who, name) in [
            (&shop.manager, "declare-distribution"),
            (&shop.officer, "preview-distribution"),
        ] {
            let (rule, _) = shop.site.refused(who, name, body.clone()).await;
            assert_eq!(rule, "distribution.period", "{name} {body}");
        }
    }
    for body in [ask(now, None), ask(now - TimeDelta::milliseconds(1_500), Some(now))] {
        let (status, answer) = shop.site.call(&shop.manager, "declare-distribution", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    // Nobody held any then.
    let body = ask(now - TimeDelta::days(900), Some(now - TimeDelta::days(800)));
    let asked = shop.site.done(&shop.manager, "declare-distribution", body).await;
    let id = json!({ "distributionId": asked["distribution"]["id"] });
    let (rule, _) = shop.site.refused(&shop.officer, "approve-distribution", id).await;
    assert_eq!(rule, "distribution.holders");
    shop.check().await;
}
