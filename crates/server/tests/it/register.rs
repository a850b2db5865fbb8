//! The register: who holds how many, at any instant and as known at any entry, the same for ever (L16).

use axum::http::StatusCode;
use chrono::TimeDelta;
use mint_core::lots::DisposalKind;
use mint_core::money::Amount;
use nexus_mint::command::Command;
use nexus_mint::db::Actor;
use nexus_mint::holdings::lots::{Moved, Moving, Receiver, move_units};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::shop::{Plan, Shop, WINDOW};
use crate::site::Signed;

/// A shop whose sale to three buyers closed: they hold 6, 3 and 1.
async fn sold() -> (Shop, [Signed; 3]) {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyers = [shop.buyer().await, shop.buyer().await, shop.buyer().await];
    for (buyer, tokens) in buyers.iter().zip([6, 3, 1]) {
        shop.buy(buyer, tokens).await;
    }
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    assert_eq!(shop.balance("held").await, 10);
    (shop, buyers)
}

async fn register(shop: &Shop, more: Value) -> Value {
    let mut body = json!({ "propertyId": shop.property_id });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    shop.site.done(&shop.officer, "get-register", body).await
}

fn units(answer: &Value) -> Vec<i64> {
    let holders = answer["holders"].as_array().unwrap();
    let mut units: Vec<i64> = holders.iter().map(|one| one["units"].as_i64().unwrap()).collect();
    units.sort_unstable();
    units
}

pub(crate) async fn party_of(client: &Client, login: Uuid) -> Uuid {
    let sql = "select party_id from public.user_profiles where id = $1";
    client.query_one(sql, &[&login]).await.unwrap().get(0)
}

/// Gives tokens of one holder to another, at the site's instant.
pub(crate) async fn moves(shop: &Shop, client: &Client, token: Uuid, from: &Signed, to: &Signed, units: i64) {
    moves_as(shop, client, token, from, Some(to), units, (DisposalKind::Gift, 0)).await;
}

/// Moves or burns tokens of a holder for a reason and what is paid for them, at the site's instant.
pub(crate) async fn moves_as(
    shop: &Shop,
    client: &Client,
    token_id: Uuid,
    from: &Signed,
    to: Option<&Signed>,
    units: i64,
    (kind, proceeds): (DisposalKind, i64),
) -> Moved {
    let to = match to {
        Some(to) => Some(Receiver {
            party_id: party_of(client, to.id).await,
            user_id: to.id,
        }),
        None => None,
    };
    let moving = Moving {
        token_id,
        from_party_id: party_of(client, from.id).await,
        to,
        units: Amount::try_from(units).unwrap(),
        kind,
        proceeds: Amount::try_from(proceeds).unwrap(),
        promised: Amount::ZERO,
        key: format!("test:{}", Uuid::now_v7()),
        cause: json!({}),
    };
    let command = Command::begin(&shop.site.app, Actor::Program("test")).await.unwrap();
    let moved = Box::pin(move_units(&command, &moving)).await.unwrap();
    command.commit().await.unwrap();
    moved
}

#[tokio::test]
async fn it_is_what_was_held_at_the_instant_and_not_before() {
    let (shop, [one, two, _]) = sold().await;
    let client = shop.site.world.admin().await;
    let closed_at = shop.site.now();
    let first = register(&shop, json!({})).await;
    assert_eq!(
        (units(&first), &first["heldUnits"], &first["holderCount"]),
        (vec![1, 3, 6], &json!(10), &json!(3))
    );
    let before = register(&shop, json!({ "at": closed_at - TimeDelta::microseconds(1) })).await;
    assert_eq!(
        (units(&before), &before["heldUnits"]),
        (vec![], &json!(0)),
        "nobody held any yet"
    );
    let token: Uuid = first["propertyTokenId"].as_str().unwrap().parse().unwrap();

    shop.site.advance(TimeDelta::hours(1));
    moves(&shop, &client, token, &one, &two, 2).await;
    let moved_at = shop.site.now();
    let now = register(&shop, json!({})).await;
    assert_eq!((units(&now), &now["holderCount"]), (vec![1, 4, 5], &json!(3)));
    let just_before = register(&shop, json!({ "at": moved_at - TimeDelta::microseconds(1) })).await;
    assert_eq!(units(&just_before), vec![1, 3, 6]);
    let as_known_then = register(&shop, json!({ "at": moved_at, "knownSeq": first["knownSeq"] })).await;
    assert_eq!(units(&as_known_then), vec![1, 3, 6], "what was known at an entry stays");
    let again = register(&shop, json!({ "at": first["at"], "knownSeq": first["knownSeq"] })).await;
    assert_eq!(again, first, "the same question has the same answer for ever");

    // A holder who gave everything is none any more; a clock that went back changes no order.
    shop.site.set_now(moved_at - TimeDelta::minutes(30));
    moves(&shop, &client, token, &one, &two, 4).await;
    shop.site.set_now(moved_at);
    let last = register(&shop, json!({})).await;
    assert_eq!((units(&last), &last["holderCount"]), (vec![1, 9], &json!(2)));
    assert_eq!(last["changedAt"], now["changedAt"], "never before the change before it");
    let halfway = register(&shop, json!({ "at": moved_at - TimeDelta::minutes(30) })).await;
    assert_eq!(
        units(&halfway),
        vec![1, 3, 6],
        "what was answered before stays answered"
    );
    shop.site.advance(TimeDelta::hours(1));
}

#[tokio::test]
async fn what_is_not_known_yet_is_refused_and_pages_are_the_whole() {
    let (shop, _) = sold().await;
    let whole = register(&shop, json!({})).await;
    let mut paged = Vec::new();
    let mut after = Value::Null;
    for _ in 0..4 {
        let page = register(&shop, json!({ "limit": 1, "afterPartyId": after })).await;
        paged.extend(page["holders"].as_array().unwrap().iter().cloned());
        after = page["nextAfterPartyId"].clone();
    }
    assert_eq!(json!(paged), whole["holders"]);
    let body = json!({ "propertyId": shop.property_id, "at": shop.site.now() + TimeDelta::microseconds(1) });
    assert_eq!(
        shop.site.refused(&shop.admin, "get-register", body).await.0,
        "register.instant"
    );
    let beyond = whole["knownSeq"].as_i64().unwrap() + 1;
    let body = json!({ "propertyId": shop.property_id, "knownSeq": beyond });
    let (rule, refusal) = shop.site.refused(&shop.admin, "get-register", body).await;
    assert_eq!(rule, "register.sequence", "{refusal}");
    let body = json!({ "propertyId": shop.property_id, "limit": 1_001 });
    let (status, _) = shop.site.call(&shop.admin, "get-register", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    shop.check().await;
}

#[tokio::test]
async fn managers_of_the_property_and_overseers_see_it_and_nobody_else() {
    let (shop, [holder, ..]) = sold().await;
    let body = json!({ "propertyId": shop.property_id });
    let stranger = shop.site.person(&["property_manager"]).await;
    for (who, expected) in [
        (&shop.manager, StatusCode::OK),
        (&shop.officer, StatusCode::OK),
        (&shop.admin, StatusCode::OK),
        (&stranger, StatusCode::NOT_FOUND),
        (&holder, StatusCode::FORBIDDEN),
    ] {
        assert_eq!(shop.site.call(who, "get-register", body.clone()).await.0, expected);
    }
}

#[tokio::test]
async fn changes_are_noted_once_in_order_and_never_altered() {
    let (shop, _) = sold().await;
    let client = shop.site.world.admin().await;
    let refused = async |sql: &str| {
        let error = client.batch_execute(sql).await.unwrap_err();
        let said = error.as_db_error().unwrap();
        said.constraint().unwrap_or(said.code().code()).to_owned()
    };
    let again = "select ledger.record_movement(property_token_id, array[last_entry_id], 'close', moved_at) from public.token_movements";
    assert_eq!(refused(again).await, "token_movements_are_new");
    let altered = "update public.token_movements set moved_at = moved_at - interval '1 day'";
    assert_eq!(refused(altered).await, "42501");
    let by_hand = "begin; set local role nexus_engine;
                   insert into public.token_movements select * from public.token_movements";
    assert_eq!(refused(by_hand).await, "42501", "the function alone writes it");
    client.batch_execute("rollback").await.unwrap();
    shop.check().await;
}
