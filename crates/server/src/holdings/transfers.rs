//! Transfers: a holder asks, the receiver agrees, an overseer of a third party approves; then the tokens move.
//!
//! What always holds: what is open is promised and cannot be promised again; the receiver may hold what he gets, when he
//! agrees and again when it moves. Absent on purpose: money. The two settle a sale between themselves, and both say the price.

mod row;

use mint_core::{
    compliance::Standing,
    eligibility::receiving::may_hold,
    lots::{Disposal, DisposalKind},
    money::Amount,
    refusal::Refusal,
    rule_pack::RulePack,
    states::TransferStatus,
    transfer::{DECIDE_WITHIN, asked_price, confirmed_price},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    holders,
    lots::{Moving, Receiver, Token, lots_of, move_units, plan},
    register,
};
use crate::{
    command::Command,
    compliance::standing,
    db::{OnConstraint as _, sql},
    investments::ordering::TokenAmount,
    offerings::{packs, preparing::four_eyes, supply},
    outbox,
    permission::{Overseer, Person},
    problem::Problem,
};
use row::{Side, Transfer, promised};

/// Transfers that one turn of the jobs ends at most.
const ENDED_MAX: i64 = 100;

/// What a holder asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestTransfer {
    property_id: Uuid,
    token_amount: TokenAmount,
    kind: String,
    to_user_id: Option<Uuid>,
    to_party_id: Option<Uuid>,
    /// A decimal figure in the token's currency, for all of the tokens.
    price: Option<String>,
    reason: String,
}

/// A transfer, by its id.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferId {
    transfer_id: Uuid,
}

/// What the receiver says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptTransfer {
    transfer_id: Uuid,
    /// The price of a sale, as the receiver knows it.
    price: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approved,
    Rejected,
}

/// What the third person says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecideTransfer {
    transfer_id: Uuid,
    decision: Decision,
    reason: Option<String>,
}

/// A transfer as it is.
#[derive(Debug, Serialize)]
pub struct TransferAnswer {
    transfer: Value,
}

/// Asks that tokens of the caller's party go to another party. They are promised from then on.
///
/// # Errors
/// `transfer.price`, `transfer.kind`, `transfer.other_party`, `lots.free`; [`Problem::NotFound`] for a property without a
/// token or a receiver who is not known.
pub async fn request(command: &Command, person: &Person, body: RequestTransfer) -> Result<TransferAnswer, Problem> {
    let kind = body.kind.parse::<DisposalKind>();
    let kind = kind.map_err(|()| Problem::Invalid("kind: sale, gift or own_wallet".to_owned()))?;
    let token_id = register::token_of(command, body.property_id).await?;
    let token = Token::load(command, token_id).await?;
    let units = body.token_amount.units(token.decimals)?;
    let price = asked_price(kind, figure(&token, body.price.as_deref())?)?;
    let to = receiver(command, &body).await?;
    if to.party_id == person.party_id() {
        return Err(Refusal::new(
            "transfer.other_party",
            "the tokens are held by your party, whichever of its logins looks at them",
            "name another party",
        )
        .into());
    }
    supply::lock(command, token_id).await?;
    let moving = Moving {
        token_id,
        from_party_id: person.party_id(),
        to: Some(to),
        units,
        kind,
        proceeds: price,
        promised: promised(command, token_id, person.party_id(), None).await?,
        key: String::new(),
        cause: Value::Null,
    };
    plan(command, &moving, &token).await?;
    let id = row::add(command, person, &moving, &token, &body.reason).await?;
    let text = "Accept the transfer or decline it within 14 days.";
    tell(command, to.user_id, "Tokens are offered to you", text).await?;
    emit(command, "transfer.requested", id).await?;
    shown(command, id).await
}

/// Agrees to a transfer, as who would get the tokens: he says the price of a sale, and may hold them.
///
/// # Errors
/// `transfer.status`, `transfer.price`, `transfer.tokens`, the rule that says no.
pub async fn accept(command: &Command, person: &Person, body: AcceptTransfer) -> Result<TransferAnswer, Problem> {
    let transfer = Transfer::lock(command, body.transfer_id).await?;
    transfer.must_be_of(person, &[Side::Receiver])?;
    transfer.must_be(command, &[TransferStatus::Requested])?;
    let token = Token::load(command, transfer.token_id).await?;
    confirmed_price(transfer.price, figure(&token, body.price.as_deref())?)?;
    let moving = transfer.moving(command).await?;
    // What the holder has is none of the receiver's business.
    let planned = plan(command, &moving, &token).await;
    if matches!(planned, Err(Problem::Refused(_))) {
        return Err(Refusal::new(
            "transfer.tokens",
            "the holder cannot give so many tokens now",
            "ask the holder, and accept later or decline",
        )
        .into());
    }
    let disposals = planned?;
    receiver_may_hold(command, &transfer, &disposals).await?;
    let due_at = command.now + DECIDE_WITHIN;
    let text =
        sql!("update public.transfers set status = $2, accepted_at = $3, accepted_by = $4, due_at = $5 where id = $1");
    let accepted = TransferStatus::Accepted.name();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&transfer.id, &accepted, &command.now, &person.user_id(), &due_at];
    command.tx.execute(text, params).await?;
    tell(
        command,
        transfer.from_user_id,
        "Your transfer was accepted",
        "It waits for the approval of a third person.",
    )
    .await?;
    emit(command, "transfer.accepted", transfer.id).await?;
    shown(command, transfer.id).await
}

/// Does not want the tokens, as who would get them.
///
/// # Errors
/// `transfer.status`.
pub async fn decline(command: &Command, person: &Person, body: TransferId) -> Result<TransferAnswer, Problem> {
    let transfer = Transfer::lock(command, body.transfer_id).await?;
    transfer.must_be_of(person, &[Side::Receiver])?;
    transfer.must_be(command, &[TransferStatus::Requested])?;
    end(command, &transfer, TransferStatus::Declined).await?;
    let text = "The tokens are free again.";
    tell(command, transfer.from_user_id, "Your transfer was declined", text).await?;
    emit(command, "transfer.declined", transfer.id).await?;
    shown(command, transfer.id).await
}

/// Takes a transfer back: the holder while it is open, the receiver once he agreed and nothing moved yet.
///
/// # Errors
/// `transfer.status`.
pub async fn cancel(command: &Command, person: &Person, body: TransferId) -> Result<TransferAnswer, Problem> {
    let transfer = Transfer::lock(command, body.transfer_id).await?;
    let other = match transfer.must_be_of(person, &[Side::Holder, Side::Receiver])? {
        Side::Holder => {
            transfer.must_be(command, &[TransferStatus::Requested, TransferStatus::Accepted])?;
            transfer.to.user_id
        }
        Side::Receiver => {
            transfer.must_be(command, &[TransferStatus::Accepted])?;
            transfer.from_user_id
        }
    };
    end(command, &transfer, TransferStatus::Cancelled).await?;
    tell(command, other, "A transfer was cancelled", "The tokens are free again.").await?;
    emit(command, "transfer.cancelled", transfer.id).await?;
    shown(command, transfer.id).await
}

/// Approves an accepted transfer and moves the tokens, or rejects it, as an overseer of another party than both.
///
/// # Errors
/// `four_eyes`, `transfer.status`, `lots.free`, the rule by which the receiver may not hold them.
pub async fn decide(command: &Command, overseer: &Overseer, body: DecideTransfer) -> Result<TransferAnswer, Problem> {
    let transfer = Transfer::lock(command, body.transfer_id).await?;
    for login in [transfer.from_user_id, transfer.to.user_id] {
        if overseer.is_same_party(command, login).await? {
            return Err(four_eyes("a transfer is decided by another party than the two").into());
        }
    }
    transfer.must_be(command, &[TransferStatus::Accepted])?;
    let reason = body.reason.filter(|reason| !reason.trim().is_empty());
    match body.decision {
        Decision::Approved => {
            if transfer.kind == DisposalKind::OwnWallet && reason.is_none() {
                let text = "reason: say what shows that both parties are of one owner";
                return Err(Problem::Invalid(text.to_owned()));
            }
            complete(command, overseer, &transfer, reason.as_deref()).await?;
        }
        Decision::Rejected => {
            let reason = reason.ok_or_else(|| Problem::Invalid("reason: say why it is rejected".to_owned()))?;
            let text = sql!(
                "update public.transfers set status = $2, ended_at = $3, decided_by = $4, decision_reason = $5 where id = $1"
            );
            let rejected = TransferStatus::Rejected.name();
            let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
                &[&transfer.id, &rejected, &command.now, &overseer.user_id(), &reason];
            let done = command.tx.execute(text, params).await;
            done.on_constraint("transfers_reasons_are_bounded", row::reason_too_long)?;
            for login in [transfer.from_user_id, transfer.to.user_id] {
                tell(command, login, "A transfer was not approved", &reason).await?;
            }
            emit(command, "transfer.rejected", transfer.id).await?;
        }
    }
    shown(command, transfer.id).await
}

async fn complete(
    command: &Command,
    overseer: &Overseer,
    transfer: &Transfer,
    reason: Option<&str>,
) -> Result<(), Problem> {
    let token = Token::load(command, transfer.token_id).await?;
    let moving = transfer.moving(command).await?;
    let disposals = plan(command, &moving, &token).await?;
    receiver_may_hold(command, transfer, &disposals).await?;
    let moved = Box::pin(move_units(command, &moving)).await?;
    let text = sql!(
        "update public.transfers
         set status = $2, ended_at = $3, decided_by = $4, decision_reason = $5, entry_id = $6, moved_at = $7
         where id = $1"
    );
    let completed = TransferStatus::Completed.name();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &transfer.id,
        &completed,
        &command.now,
        &overseer.user_id(),
        &reason,
        &moved.entry_id,
        &moved.moved_at,
    ];
    let done = command.tx.execute(text, params).await;
    done.on_constraint("transfers_reasons_are_bounded", row::reason_too_long)?;
    let text = "The register has it now: see your portfolio.";
    for login in [transfer.from_user_id, transfer.to.user_id] {
        tell(command, login, "A transfer was completed", text).await?;
    }
    emit(command, "transfer.completed", transfer.id).await
}

/// The receiver may hold tokens that were sold under the rules under which these were.
async fn receiver_may_hold(command: &Command, transfer: &Transfer, disposals: &[Disposal]) -> Result<(), Problem> {
    let party_id = transfer.to.party_id;
    let packs = packs_of(command, disposals).await?;
    let standing: Option<Standing> = standing::load(command, &[party_id]).await?.remove(&party_id);
    let standing = standing.ok_or(Problem::NotFound)?;
    let is_holder = holders::is_one(command, transfer.token_id, party_id).await?;
    let held = Amount::sum(
        lots_of(command, transfer.token_id, transfer.from_party_id)
            .await?
            .iter()
            .map(|lot| lot.units),
    );
    let gives_all = held == Ok(transfer.units);
    let leaving = gives_all.then_some(transfer.from_party_id);
    let holders = holders::count(command, transfer.token_id, leaving).await?;
    may_hold(&packs, &standing, is_holder, holders, command.now)
        .map_err(|refusal| refusal.looking_at("receiver", party_id))?;
    Ok(())
}

/// The versions of rule packs under which these lots were sold.
async fn packs_of(command: &Command, disposals: &[Disposal]) -> Result<Vec<RulePack>, Problem> {
    let ids: Vec<Uuid> = disposals.iter().map(|one| one.lot.id).collect();
    let text = sql!(
        "select r.code, r.version, r.rules from public.rule_packs as r where r.id in (
           select o.rule_pack_id from public.lots as l join public.investments as i on i.id = l.investment_id
           join public.offerings as o on o.id = i.offering_id where l.id = any ($1))
         order by r.code, r.version"
    );
    let rows = command.tx.query(text, &[&ids]).await?;
    rows.iter()
        .map(|row| packs::parse(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        .collect()
}

/// Ends transfers with which nobody went on in time: how many.
///
/// # Errors
/// What the database answered.
pub async fn expire_due(command: &Command) -> Result<usize, Problem> {
    let text = sql!(
        "update public.transfers as t set status = 'expired', ended_at = $1
         from (select d.id from public.transfers as d where d.status in ('requested', 'accepted') and d.due_at <= $1
               order by d.due_at limit $2 for no key update skip locked) as due
         where t.id = due.id returning t.id, t.from_user_id, t.to_user_id"
    );
    let rows = command.tx.query(text, &[&command.now, &ENDED_MAX]).await?;
    for row in &rows {
        let id: Uuid = row.try_get(0)?;
        for login in [row.try_get(1)?, row.try_get(2)?] {
            tell(command, login, "A transfer ended", "Nobody went on with it in time.").await?;
        }
        emit(command, "transfer.expired", id).await?;
    }
    Ok(rows.len())
}

async fn end(command: &Command, transfer: &Transfer, status: TransferStatus) -> Result<(), Problem> {
    let text = sql!("update public.transfers set status = $2, ended_at = $3 where id = $1");
    command
        .tx
        .execute(text, &[&transfer.id, &status.name(), &command.now])
        .await?;
    Ok(())
}

fn figure(token: &Token, price: Option<&str>) -> Result<Option<Amount>, Problem> {
    let parsed = price.map(|price| {
        Amount::parse(price, token.currency.decimals())
            .map_err(|error| Problem::Invalid(format!("price {price}: {error}")))
    });
    parsed.transpose()
}

async fn receiver(command: &Command, body: &RequestTransfer) -> Result<Receiver, Problem> {
    if body.to_user_id.is_none() && body.to_party_id.is_none() {
        return Err(Problem::Invalid(
            "toUserId or toPartyId: name who gets the tokens".to_owned(),
        ));
    }
    let text = sql!(
        "select u.party_id, u.id from public.user_profiles as u
         where ($1::uuid is null or u.id = $1) and ($2::uuid is null or u.party_id = $2) order by u.created_at, u.id limit 1"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.to_user_id, &body.to_party_id])
        .await?;
    let row = row.ok_or(Problem::NotFound)?;
    Ok(Receiver {
        party_id: row.try_get(0)?,
        user_id: row.try_get(1)?,
    })
}

async fn tell(command: &Command, user_id: Uuid, title: &str, text: &str) -> Result<(), Problem> {
    Ok(outbox::notify(command, user_id, "transfer", title, text, None).await?)
}

async fn emit(command: &Command, topic: &'static str, id: Uuid) -> Result<(), Problem> {
    let told = json!({ "transferId": id });
    Ok(outbox::emit(command, topic, &id.to_string(), &told).await?)
}

async fn shown(command: &Command, id: Uuid) -> Result<TransferAnswer, Problem> {
    let text = sql!("select to_jsonb(t) from public.transfers as t where t.id = $1");
    Ok(TransferAnswer {
        transfer: command.tx.query_one(text, &[&id]).await?.try_get(0)?,
    })
}
