//! What happens to tokens that are held: one gives some away, one has lost his login, everybody has a statement.

use chrono::{Datelike as _, TimeDelta};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    cast::{self, Staff, paper},
    houses::Offered,
    sale::id_of,
    stage::{Player, Stage, at},
};
use crate::{
    db::{Actor, sql},
    problem::AnyError,
};

/// A holder sells some to another: the two agree, an officer approves, the lots move first in, first out.
pub(super) async fn transfer(
    stage: &Stage,
    staff: &Staff,
    house: &Offered,
    holders: &[Player],
) -> Result<String, AnyError> {
    let [seller, buyer, ..] = holders else {
        return Err("nobody holds tokens".into());
    };
    stage.later(TimeDelta::days(1));
    let body = json!({
        "propertyId": house.id, "tokenAmount": 2, "kind": "sale", "toUserId": buyer.id, "price": "112.00", "reason": "as agreed",
    });
    let asked = stage.done(seller, "request-transfer", body.clone()).await?;
    let id = id_of(at(&asked, "/transfer"))?;
    let greedy = json!({
        "propertyId": house.id, "tokenAmount": 1_000_000, "kind": "gift", "toUserId": buyer.id, "reason": "too many",
    });
    let refused = stage.refused(seller, "request-transfer", greedy).await?;
    // Screenings last a month, and two have passed.
    let body = json!({ "partyId": party_of(stage, buyer).await?, "status": "clear", "provider": "simulated" });
    stage.done(&staff.officer, "record-screening", body).await?;
    let body = json!({ "transferId": id, "price": "112.00" });
    stage.done(buyer, "accept-transfer", body).await?;
    let body = json!({ "transferId": id, "decision": "approved" });
    stage.done(&staff.officer, "approve-transfer", body).await?;
    Ok(format!(
        "{} sells two tokens to {} for 112.00 USD, which they pay each other; the declared rent stays where it was. \
         Who wants to give more than is his learns: {refused}",
        seller.name, buyer.name
    ))
}

/// Somebody has lost his login: with another, verified as the same person, he has everything back by a case of two officers.
pub(super) async fn recover(stage: &Stage, staff: &Staff, holders: &[Player]) -> Result<String, AnyError> {
    let lost = holders.get(3).ok_or("too few hold tokens")?;
    let found = cast::comes_back(stage, staff, lost).await?;
    let fields: Map<String, Value> = [("documentType", "recovery_request"), ("fileName", "request.pdf")]
        .map(|(field, value)| (field.to_owned(), json!(value)))
        .into_iter()
        .collect();
    let request = paper(&["Simulated request", &lost.name, "My telephone is gone."]);
    let filed = stage
        .filed(&staff.officer, "upload-kyc-document", fields, request)
        .await?;
    let body = json!({
        "kind": "recovery", "reason": "the telephone with the login is gone; passport shown again", "partyId": party_of(stage, lost).await?,
        "toUserId": found.id, "documentIds": [at(&filed, "/document/id")],
    });
    let opened = stage.done(&staff.officer, "open-holding-case", body).await?;
    let body = json!({ "caseId": id_of(at(&opened, "/case"))? });
    stage.done(&staff.admin, "approve-holding-case", body).await?;
    Ok(format!(
        "{} lost the login; with a new one, verified as the same person, the tokens are back with their cost and dates: \
         one officer opens the case with its paper, an admin approves",
        lost.name
    ))
}

async fn party_of(stage: &Stage, who: &Player) -> Result<Uuid, AnyError> {
    let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
    let text = sql!("select party_id from public.user_profiles where id = $1");
    let party_id = tx.query_one(text, &[&who.id]).await?.try_get(0)?;
    tx.commit().await?;
    Ok(party_id)
}

/// The year of one who sold some, checked against the ledger before it is given.
pub(super) async fn statement(stage: &Stage, holder: &Player) -> Result<String, AnyError> {
    let body = json!({ "year": stage.now().year() });
    let answer = stage.done(holder, "get-statement", body).await?;
    let many = |place: &str| {
        at(&answer, &format!("/statement/{place}"))
            .as_array()
            .map_or(0, Vec::len)
    };
    Ok(format!(
        "{}'s year: {} purchase, {} payment of rent, {} disposal; {} sums re-added to the ledger to the smallest unit (SHA-256 {:.16}...)",
        holder.name,
        many("purchases"),
        many("income"),
        many("disposals"),
        many("checks"),
        at(&answer, "/sha256").as_str().unwrap_or_default()
    ))
}
