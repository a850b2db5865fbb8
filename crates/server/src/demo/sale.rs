//! Buying, second thoughts, a sale that fails, and one that closes.

use std::sync::Arc;

use chrono::TimeDelta;
use mint_core::money::{Amount, Decimals};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    houses::Offered,
    stage::{Player, Stage, at},
};
use crate::{
    db::{Actor, sql},
    payments::sandbox,
    problem::AnyError,
};

/// Everybody buys some, and one who wants too many learns what would pass.
pub(super) async fn sell(stage: &Arc<Stage>, house: &Offered, buyers: &[Player]) -> Result<String, AnyError> {
    stage.later(TimeDelta::minutes(10));
    let greedy = buyers.last().ok_or("nobody wants to buy")?;
    let body = json!({ "propertyId": house.id, "tokenAmount": 1_000_000 });
    let refusal = stage.refused(greedy, "create-investment", body).await?;
    let property_id = house.id;
    let many = (0_usize..).zip(buyers.iter().cloned()).collect();
    stage
        .each(
            "buying",
            many,
            move |stage, (number, buyer): (usize, Player)| async move {
                buy(&stage, &buyer, property_id, 1 + number * 2 % 9).await
            },
        )
        .await?;
    let house_id = house.id;
    stage
        .jobs_until("payments", async |stage| {
            Ok(count(stage, house_id, "pending").await? == 0)
        })
        .await?;
    let paid = count(stage, house.id, "paid").await?;
    Ok(format!(
        "{paid} people reserve, pay and see their money in escrow; who wants a million tokens is told: {refusal}"
    ))
}

async fn buy(stage: &Stage, buyer: &Player, property_id: Uuid, tokens: usize) -> Result<(), AnyError> {
    let body = json!({ "propertyId": property_id, "tokenAmount": tokens, "paymentId": Uuid::now_v7() });
    let page = stage.done(buyer, "create-investment-payment", body).await?;
    let session = at(&page, "/url").as_str().and_then(|url| url.rsplit('/').next());
    let payment = sandbox::Payment {
        session: session.map(str::to_owned),
        property_id,
        amount: Amount::parse(
            &at(&page, "/investment/charge_amount").to_string(),
            Decimals::try_from(2)?,
        )?,
        currency: "USD".to_owned(),
        refund_outcome: "succeed",
        settles_now: true,
    };
    sandbox::pay(&stage.app, &payment).await?;
    Ok(())
}

/// One who paid changes his mind while he may.
pub(super) async fn withdraw(stage: &Stage, house: &Offered, buyers: &[Player]) -> Result<String, AnyError> {
    stage.later(TimeDelta::hours(20));
    let buyer = buyers.get(13).ok_or("nobody to withdraw")?;
    let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
    let text = sql!("select id from public.investments where property_id = $1 and user_id = $2");
    let id: Uuid = tx.query_one(text, &[&house.id, &buyer.id]).await?.try_get(0)?;
    tx.commit().await?;
    stage
        .done(buyer, "cancel-investment", json!({ "investmentId": id }))
        .await?;
    let house_id = house.id;
    stage
        .jobs_until("the refund", async |stage| {
            Ok(count(stage, house_id, "refunded").await? == 1)
        })
        .await?;
    Ok(format!(
        "{} withdraws within the day that the rule pack gives, and has the money back",
        buyer.name
    ))
}

/// Too few buy: at the deadline everybody gets everything back, without anybody's click.
pub(super) async fn fail(stage: &Arc<Stage>, house: &Offered, buyers: &[Player]) -> Result<String, AnyError> {
    let property_id = house.id;
    stage
        .each(
            "buying the other house",
            buyers.to_vec(),
            move |stage, buyer| async move { buy(&stage, &buyer, property_id, 10).await },
        )
        .await?;
    stage
        .jobs_until("payments", async |stage| {
            Ok(count(stage, property_id, "pending").await? == 0)
        })
        .await?;
    stage.later(house.window);
    let all = i64::try_from(buyers.len())?;
    stage
        .jobs_until("refunds", async |stage| {
            Ok(count(stage, property_id, "refunded").await? == all)
        })
        .await?;
    Ok(format!(
        "{} of at least {} tokens are sold when the time is over: {all} people get back every cent, fees included",
        all * 10,
        house.soft_cap
    ))
}

/// The first offering closes: tokens for everybody, money for the issuer, at one instant.
pub(super) async fn close(stage: &Stage, house: &Offered) -> Result<String, AnyError> {
    stage.later(house.window);
    let house_id = house.id;
    stage
        .jobs_until("the close", async |stage| {
            Ok(count(stage, house_id, "paid").await? == 0 && count(stage, house_id, "confirmed").await? > 0)
        })
        .await?;
    let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
    let text = sql!(
        "select o.status, s.held_units from public.offerings as o
         join public.property_token_supply as s on s.property_token_id = o.property_token_id where o.id = $1"
    );
    let row = tx.query_one(text, &[&house.offering_id]).await?;
    let (status, held): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
    tx.commit().await?;
    Ok(format!(
        "the offering is {status}; {} holders have {held} of {} tokens, and the fees are the platform's",
        count(stage, house.id, "confirmed").await?,
        house.tokens
    ))
}

async fn count(stage: &Stage, property_id: Uuid, status: &str) -> Result<i64, AnyError> {
    let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
    let text = sql!("select count(*) from public.investments where property_id = $1 and status = $2");
    let count = tx.query_one(text, &[&property_id, &status]).await?.try_get(0)?;
    tx.commit().await?;
    Ok(count)
}

/// An id in an answer.
pub(super) fn id_of(value: &Value) -> Result<Uuid, AnyError> {
    Ok(serde_json::from_value(at(value, "/id").clone())?)
}
