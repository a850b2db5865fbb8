//! Tokens that are held move by lots: what every command does that changes who holds them after a close (L10, L13).

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use mint_core::lots::DisposalKind;
use mint_core::money::Amount;
use nexus_mint::command::Command;
use nexus_mint::db::Actor;
use nexus_mint::holdings::lots::{Moving, Receiver, move_units};
use nexus_mint::problem::Problem;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::analytics::Dice;
use crate::distributions::{declare, party, pay, rent, sold};
use crate::register::moves_as;
use crate::shop::{Shop, id_of};
use crate::site::Signed;

async fn token(client: &Client) -> Uuid {
    let sql = "select id from public.property_tokens";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A party's lots that have anything: tokens, cost, whether the tax date is that of the close, in the order of acquiring.
async fn lots(shop: &Shop, client: &Client, who: &Signed, closed_at: DateTime<Utc>) -> Vec<(i64, i64, bool)> {
    let sql = "select units, cost_minor, tax_acquired_at = $2 from public.lots where party_id = $1 and units > 0 order by acquired_at, id";
    let rows = client.query(sql, &[&party(shop, who).await, &closed_at]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn each_kind_leaves_the_lots_that_the_law_says() {
    let (shop, buyers) = sold(&[10, 7]).await;
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let closed_at = shop.site.now();
    let [one, two] = [&buyers[0], &buyers[1]];
    let three = shop.buyer().await;
    shop.site.advance(TimeDelta::days(1));
    let moved = moves_as(
        &shop,
        &client,
        token,
        one,
        Some(&three),
        3,
        (DisposalKind::Sale, 20_000),
    )
    .await;
    assert_eq!((moved.disposals.len(), moved.moved_at), (1, shop.site.now()));
    assert_eq!(
        lots(&shop, &client, one, closed_at).await,
        [(7, 35_700, true)],
        "15,300 of the cost went with three of ten"
    );
    assert_eq!(
        lots(&shop, &client, &three, closed_at).await,
        [(3, 20_000, false)],
        "a sale starts anew"
    );
    moves_as(&shop, &client, token, one, Some(two), 2, (DisposalKind::Gift, 0)).await;
    moves_as(&shop, &client, token, two, Some(&three), 8, (DisposalKind::Recovery, 0)).await;
    assert_eq!(
        lots(&shop, &client, two, closed_at).await,
        [(1, 5_100, true)],
        "equal dates go by id: his own lot first"
    );
    shop.site.advance(TimeDelta::days(1));
    moves_as(
        &shop,
        &client,
        token,
        &three,
        None,
        11,
        (DisposalKind::Redemption, 33_001),
    )
    .await;
    assert_eq!(lots(&shop, &client, &three, closed_at).await, [], "all were redeemed");
    let sql = "select held_units, burned_units from public.property_token_supply";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (6, 11));
    let sql = "select sum(proceeds_minor)::bigint, count(*), count(to_lot_id) from public.lot_disposals where kind = 'redemption'";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 33_001, "what was paid adds up");
    assert_eq!(row.get::<_, i64>(2), 0);
    let register = shop
        .site
        .done(&shop.officer, "get-register", json!({ "propertyId": shop.property_id }))
        .await;
    assert_eq!(
        (&register["heldUnits"], &register["holderCount"]),
        (&json!(6), &json!(2))
    );
    shop.check().await;
}

#[tokio::test]
async fn a_restricted_period_goes_on_with_the_tokens() {
    let (shop, buyers) = sold(&[10]).await;
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let [one, two] = [&buyers[0], &shop.buyer().await];
    let (since, until) = (shop.site.now(), shop.site.now() + TimeDelta::days(365));
    let sql = "update public.lots set restricted_since = $1, restricted_until = $2";
    client.execute(sql, &[&since, &until]).await.unwrap();
    let moving = moving(&shop, token, one, two, 4).await;
    let refused = tried(&shop, &moving).await.unwrap_err();
    let Problem::Refused(refusal) = refused else {
        panic!("{refused}")
    };
    assert_eq!(refusal.rule, "lots.free");
    assert!(refusal.remedy.contains(&until.to_rfc3339()), "{}", refusal.remedy);
    moves_as(&shop, &client, token, one, Some(two), 4, (DisposalKind::Forced, 0)).await;
    let sql = "select count(*) from public.lots where restricted_since = $1 and restricted_until = $2 and units > 0";
    let restricted: i64 = client.query_one(sql, &[&since, &until]).await.unwrap().get(0);
    assert_eq!(restricted, 2, "his and the one that was taken from him");
    shop.site.set_now(until);
    tried(&shop, &moving).await.unwrap();
    shop.check().await;
}

async fn moving(shop: &Shop, token_id: Uuid, from: &Signed, to: &Signed, units: i64) -> Moving {
    Moving {
        token_id,
        from_party_id: party(shop, from).await,
        to: Some(Receiver {
            party_id: party(shop, to).await,
            user_id: to.id,
        }),
        units: Amount::try_from(units).unwrap(),
        kind: DisposalKind::Gift,
        proceeds: Amount::ZERO,
        promised: Amount::ZERO,
        key: format!("test:{}", Uuid::now_v7()),
        cause: json!({}),
    }
}

async fn tried(shop: &Shop, moving: &Moving) -> Result<(), Problem> {
    let command = Command::begin(&shop.site.app, Actor::Program("test")).await?;
    Box::pin(move_units(&command, moving)).await?;
    command.commit().await
}

#[tokio::test]
async fn two_at_one_instant_never_move_the_same_tokens() {
    let (shop, buyers) = sold(&[10]).await;
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let (two, three) = (shop.buyer().await, shop.buyer().await);
    let to_two = moving(&shop, token, &buyers[0], &two, 6).await;
    let to_three = moving(&shop, token, &buyers[0], &three, 6).await;
    let (first, second) = tokio::join!(tried(&shop, &to_two), tried(&shop, &to_three));
    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1, "there are ten");
    assert!(
        matches!(&refused[0], Problem::Refused(refusal) if refusal.rule == "lots.free"),
        "{}",
        refused[0]
    );
    shop.check().await;
}

#[tokio::test]
async fn what_is_left_in_the_buyers_hands_is_what_his_purchase_is_worth() {
    let (shop, buyers) = sold(&[10, 5]).await;
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let three = shop.buyer().await;
    let worth = async || -> Vec<i64> {
        shop.settle_down().await;
        let sql = "select current_value_minor from public.investments order by token_amount_units desc";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(worth().await, [50_000, 25_000]);
    moves_as(
        &shop,
        &client,
        token,
        &buyers[0],
        Some(&three),
        4,
        (DisposalKind::Sale, 1),
    )
    .await;
    assert_eq!(worth().await, [30_000, 25_000]);
    moves_as(
        &shop,
        &client,
        token,
        &three,
        Some(&buyers[0]),
        1,
        (DisposalKind::Gift, 0),
    )
    .await;
    assert_eq!(
        worth().await,
        [35_000, 25_000],
        "what came back is of that purchase too"
    );
    moves_as(
        &shop,
        &client,
        token,
        &buyers[1],
        None,
        2,
        (DisposalKind::Redemption, 0),
    )
    .await;
    assert_eq!(worth().await, [35_000, 15_000]);
    shop.check().await;
}

#[tokio::test]
async fn a_declared_distribution_is_for_who_held_at_its_record_date() {
    let (shop, buyers) = sold(&[10, 10]).await;
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let three = shop.buyer().await;
    rent(&shop, "1000.00").await;
    let id = declare(&shop).await;
    let lines = async || -> Vec<Value> {
        let sql = "select to_jsonb(l) - 'status' from public.distribution_lines as l where distribution_id = $1 order by party_id";
        let rows = client.query(sql, &[&id]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = lines().await;
    moves_as(
        &shop,
        &client,
        token,
        &buyers[0],
        Some(&three),
        10,
        (DisposalKind::Sale, 60_000),
    )
    .await;
    pay(&shop, id).await;
    shop.settle_down().await;
    assert_eq!(lines().await, before, "L10");
    let got = async |who: &Signed| -> i64 {
        let sql = "select coalesce(sum(amount_minor), 0)::bigint from public.property_returns where user_id = $1";
        client.query_one(sql, &[&who.id]).await.unwrap().get(0)
    };
    assert_eq!((got(&buyers[0]).await, got(&three).await), (45_000, 0));
    rent(&shop, "1000.00").await;
    let next = declare(&shop).await;
    pay(&shop, next).await;
    shop.settle_down().await;
    assert_eq!(
        (got(&buyers[0]).await, got(&three).await),
        (45_000, 45_000),
        "the next is the new holder's"
    );
    shop.check().await;
}

/// Rent is declared by the token-seconds of the days before.
async fn declare_by_seconds(shop: &Shop, days: i64) -> Uuid {
    let to = DateTime::from_timestamp(shop.site.now().timestamp(), 0).unwrap();
    let body = json!({ "propertyId": shop.property_id, "secondsFrom": to - TimeDelta::days(days), "secondsTo": to });
    let asked = shop.site.done(&shop.manager, "declare-distribution", body).await;
    let id = id_of(&asked["distribution"]);
    let body = json!({ "distributionId": id });
    shop.site.done(&shop.officer, "approve-distribution", body).await;
    id
}

#[tokio::test]
async fn whatever_moves_in_whatever_order_nothing_is_lost_and_the_past_stays() {
    let (shop, mut people) = sold(&[40, 25, 9]).await;
    people.push(shop.buyer().await);
    let client = shop.site.world.admin().await;
    let token = token(&client).await;
    let mut dice = Dice(5);
    let mut told: Vec<(usize, Value, Value)> = Vec::new();
    let mut moves = 0;
    for step in 0..48 {
        let hours = i64::try_from(dice.below(480)).unwrap();
        shop.site.advance(TimeDelta::seconds(hours * 3_600 + step));
        let kind = dice.of(DisposalKind::ALL);
        let from = usize::try_from(dice.below(4)).unwrap();
        let to = (from + 1 + usize::try_from(dice.below(3)).unwrap()) % 4;
        let units = i64::try_from(1 + dice.below(if kind == DisposalKind::Redemption { 2 } else { 15 })).unwrap();
        let proceeds = i64::try_from(dice.below(100_000)).unwrap() * i64::from(kind.starts_anew());
        let sql = "select coalesce(sum(units), 0)::bigint from public.lots where party_id = $1";
        let row = client
            .query_one(sql, &[&party(&shop, &people[from]).await])
            .await
            .unwrap();
        if row.get::<_, i64>(0) >= units {
            let to = (kind != DisposalKind::Redemption).then(|| &people[to]);
            moves_as(&shop, &client, token, &people[from], to, units, (kind, proceeds)).await;
            moves += 1;
        }
        if step % 8 == 7 {
            rent(&shop, "1234.57").await;
            let id = if step % 16 == 7 {
                declare(&shop).await
            } else {
                declare_by_seconds(&shop, 45).await
            };
            pay(&shop, id).await;
            shop.settle_down().await;
        }
        if step % 4 == 1 {
            let body = json!({ "year": shop.site.now().year() });
            let answer = shop.site.done(&people[to], "get-statement", body.clone()).await;
            let mut body = body;
            body["knownSeq"] = answer["statement"]["knownSeq"].clone();
            told.push((to, body, answer));
        }
    }
    assert!(moves > 30 && shop.site.now().year() > 2030, "{moves}");
    for (who, body, answer) in &told {
        assert_eq!(
            &shop.site.done(&people[*who], "get-statement", body.clone()).await,
            answer,
            "L16"
        );
    }
    for who in &people {
        for year in [2030, 2031] {
            shop.site.done(who, "get-statement", json!({ "year": year })).await;
        }
    }
    shop.check().await;
}
