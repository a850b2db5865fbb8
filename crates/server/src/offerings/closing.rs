//! Closing: tokens to the holders, cash to the issuer, fees to the platform, in one transaction or not at all (L6).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use mint_core::{
    account::Purpose,
    book::{Move, Place},
    closing::{self, ClosePlan, Funded, Next, Paid},
    money::Amount,
    offering::Kind,
    refusal::Refusal,
    states::OfferingStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Offering, ending,
    preparing::{OfferingAnswer, OfferingId, shown},
    record::amount,
    supply::{self, Shift, one},
};
use crate::{
    command::Command,
    db::sql,
    documents::gate::{self, Action, OfferingKind},
    holdings::register::{self, MovementKind},
    ledger::{self, NewEntry},
    outbox,
    payments::{incidents, record::post},
    permission::Admin,
    problem::Problem,
};

/// Closes a funded offering now.
///
/// # Errors
/// What it waits for, or what the gate misses. An offering that must fail is failed instead, and says so.
pub async fn close(command: &Command, _admin: &Admin, body: OfferingId) -> Result<OfferingAnswer, Problem> {
    ending::end_if_due(command, body.offering_id).await?;
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Funded, OfferingStatus::Failed])?;
    if offering.status == OfferingStatus::Funded
        && let Some(wait) = close_locked(command, &offering).await?
    {
        return Err(wait.into());
    }
    shown(command, offering.id).await
}

/// Closes or fails a funded offering, or says what it waits for: the jobs' way, and the admin's.
///
/// # Errors
/// What the gate misses, what the database answered.
pub async fn close_locked(command: &Command, offering: &Offering) -> Result<Option<Refusal>, Problem> {
    match closing::next(&funded(command, offering).await?, command.now) {
        Next::Wait(refusal) => Ok(Some(refusal)),
        Next::Fail(refusal) => {
            ending::fail(command, offering, &refusal.reason).await?;
            Ok(None)
        }
        Next::Close(plan) => {
            let kind = match offering.terms.kind {
                Kind::IssuerOwns => OfferingKind::IssuerOwns,
                Kind::Acquisition => OfferingKind::Acquisition,
            };
            // The deed of an acquisition is recorded after the money was there.
            let deed_since = offering.ended_at.filter(|_| offering.terms.kind == Kind::Acquisition);
            let deed_since = deed_since.map(|at| at.date_naive());
            let pass_id = gate::pass(
                command,
                offering.property_id,
                Action::Close,
                offering.id,
                kind,
                deed_since,
            )
            .await?;
            write(command, offering, &plan, pass_id).await?;
            Ok(None)
        }
    }
}

async fn funded(command: &Command, offering: &Offering) -> Result<Funded, Problem> {
    Ok(Funded {
        kind: offering.terms.kind,
        soft_cap: offering.terms.soft_cap,
        long_stop_at: offering.terms.long_stop_at,
        is_with_agent: offering.is_with_agent,
        incidents: incidents::count_open(command, offering.property_id).await?,
        paid: paid(command, offering).await?,
    })
}

async fn paid(command: &Command, offering: &Offering) -> Result<Vec<Paid>, Problem> {
    let text = sql!(
        "select i.id, i.party_id, i.token_amount_units, i.total_amount_minor, i.fee_amount_minor, i.withdraw_until,
                not exists (select from public.payments as p where p.investment_id = i.id and p.matched_minor > 0 and p.settled_at is null),
                not ($2 and i.is_insider)
         from public.investments as i where i.offering_id = $1 and i.status = 'paid' order by i.id"
    );
    let excludes_insiders = !offering.pack.insiders_count();
    let rows = command.tx.query(text, &[&offering.id, &excludes_insiders]).await?;
    rows.iter()
        .map(|row| {
            Ok(Paid {
                id: row.try_get(0)?,
                party_id: row.try_get(1)?,
                units: amount(row.try_get(2)?)?,
                total: amount(row.try_get(3)?)?,
                fee: amount(row.try_get(4)?)?,
                withdraw_until: row.try_get(5)?,
                is_settled: row.try_get(6)?,
                counts: row.try_get(7)?,
            })
        })
        .collect()
}

async fn write(command: &Command, offering: &Offering, plan: &ClosePlan, pass_id: Uuid) -> Result<(), Problem> {
    // The principal of an acquisition lies with the closing agent; fees stay with the custodian.
    let principal = match offering.terms.kind {
        Kind::IssuerOwns => Purpose::EscrowBank,
        Kind::Acquisition => Purpose::EscrowAgent,
    };
    let book = offering.book();
    let entries = plan.accepted.iter().map(|one| {
        let moves = [
            Move::of(one.total, principal, Purpose::Proceeds),
            Move::of(one.fee, Purpose::EscrowBank, Purpose::Fees),
            Move {
                amount: one.units,
                from: Place::Of(Purpose::ReservedPaid),
                to: Place::Party(Purpose::Held, one.party_id),
            },
        ];
        Ok(NewEntry {
            key: format!("investment:{}:close", one.id),
            kind: "offering.closed",
            business_date: command.now.date_naive(),
            actor_id: command.actor_id(),
            cause: json!({ "investment_id": one.id, "offering_id": offering.id, "gate_pass_id": pass_id }),
            postings: book.entry(&moves).map_err(Problem::internal)?,
        })
    });
    let entries = entries.collect::<Result<Vec<NewEntry>, Problem>>()?;
    let posted = ledger::post_batch(&command.tx, &entries)
        .await
        .map_err(Problem::internal)?;
    let posted: Vec<i64> = posted.iter().map(|entry| entry.entry_id).collect();
    let held_since = register::record(command, offering.token_id, &posted, MovementKind::Close).await?;
    let ids: Vec<Uuid> = plan.accepted.iter().map(|one| one.id).collect();
    let text = sql!(
        "update public.investments set status = 'confirmed', confirmed_at = $2 where id = any ($1) and status = 'paid'"
    );
    let confirmed = command.tx.execute(text, &[&ids, &command.now]).await?;
    if confirmed != ids.len() as u64 {
        return Err(Problem::internal(format!(
            "{confirmed} of {} investments could be confirmed",
            ids.len()
        )));
    }
    write_lots(command, offering, &ids, held_since).await?;
    let units = plan.units.get();
    let shift = Shift {
        paid: -units,
        held: units,
        ..Shift::default()
    };
    supply::shift(command, offering.token_id, shift).await?;
    supply::set_offering(command, offering.token_id, None).await?;
    let text = sql!(
        "update public.offerings set status = 'closed', closed_at = $2, close_pass_id = $3, agent_minor = 0 where id = $1"
    );
    let closed = command
        .tx
        .execute(text, &[&offering.id, &command.now, &pass_id])
        .await?;
    one(closed, "offerings")?;
    let text = sql!("update public.properties set tokenization_status = 'completed' where id = $1");
    one(command.tx.execute(text, &[&offering.property_id]).await?, "properties")?;
    super::preparing::tell_buyers(
        command,
        offering.id,
        "The offering closed",
        "Your tokens are yours: see your portfolio.",
    )
    .await?;
    let payload =
        json!({ "offeringId": offering.id, "propertyId": offering.property_id, "holders": plan.holders.len() });
    outbox::emit(command, "offering.closed", &offering.id.to_string(), &payload).await?;
    Ok(())
}

/// The lots are held from the instant that the register has.
async fn write_lots(
    command: &Command,
    offering: &Offering,
    ids: &[Uuid],
    held_since: DateTime<Utc>,
) -> Result<(), Problem> {
    let lots: Vec<Uuid> = ids.iter().map(|_| Uuid::now_v7()).collect();
    let days = i64::from(offering.pack.resale_restricted_days());
    let until: Option<DateTime<Utc>> = (days > 0).then(|| held_since + chrono::TimeDelta::days(days));
    let since = until.map(|_| held_since);
    let text = sql!(
        "insert into public.lots (id, party_id, user_id, property_id, property_token_id, investment_id, token_decimals, units, currency,
           currency_decimals, cost_minor, acquired_at, tax_acquired_at, restricted_since, restricted_until, created_at)
         select l.id, i.party_id, i.user_id, i.property_id, i.property_token_id, i.id, i.token_decimals, i.token_amount_units,
                i.payment_currency, i.currency_decimals, i.total_amount_minor + i.fee_amount_minor, $3, $3, $4, $5, $3
         from unnest($1::uuid[], $2::uuid[]) as l (id, investment_id) join public.investments as i on i.id = l.investment_id"
    );
    command
        .tx
        .execute(text, &[&lots, &ids, &held_since, &since, &until])
        .await?;
    Ok(())
}

/// Sends the principal of a funded acquisition to the closing agent, as the custodian was told to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveToAgent {
    offering_id: Uuid,
    /// The reference that the custodian's statement will show.
    reference: String,
}

impl MoveToAgent {
    fn check(&self) -> Result<(), Problem> {
        // It stays in the ledger for good.
        if self.reference.trim().is_empty() || self.reference.chars().count() > 200 {
            let text = "reference has 1 to 200 characters, as the custodian's statement will show it";
            return Err(Problem::Invalid(text.to_owned()));
        }
        Ok(())
    }
}

/// Records that the principal of a funded acquisition went to the closing agent's trust account. It is still escrow, and
/// still refundable.
///
/// # Errors
/// `offering.kind`, and everything that a close would wait for.
pub async fn move_to_agent(command: &Command, _admin: &Admin, body: MoveToAgent) -> Result<OfferingAnswer, Problem> {
    body.check()?;
    ending::end_if_due(command, body.offering_id).await?;
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Funded])?;
    if offering.terms.kind != Kind::Acquisition || offering.is_with_agent {
        let refusal = Refusal::new(
            "offering.kind",
            "only the escrow of an acquisition goes to a closing agent, once",
            "close the offering instead",
        );
        return Err(refusal.looking_at("kind", offering.terms.kind.name()).into());
    }
    let mut facts = funded(command, &offering).await?;
    facts.is_with_agent = true;
    let plan = match closing::next(&facts, command.now) {
        Next::Close(plan) => plan,
        Next::Wait(refusal) | Next::Fail(refusal) => return Err(refusal.into()),
    };
    let moves = [Move::of(plan.proceeds, Purpose::EscrowBank, Purpose::EscrowAgent)];
    let why = json!({ "offering_id": offering.id, "reference": body.reference });
    let key = format!("offering:{}:to_agent", offering.id);
    post(
        command,
        &offering.book(),
        key,
        "escrow.to_agent",
        (why, command.now.date_naive()),
        &moves,
    )
    .await?;
    let text = sql!("update public.offerings set with_agent_at = $2, agent_minor = $3 where id = $1");
    let moved = command
        .tx
        .execute(text, &[&offering.id, &command.now, &plan.proceeds.get()])
        .await?;
    one(moved, "offerings")?;
    let payload = json!({ "offeringId": offering.id });
    outbox::emit(command, "offering.with_agent", &offering.id.to_string(), &payload).await?;
    shown(command, offering.id).await
}

/// Records that the closing agent gave the principal of a failed acquisition back; then everybody is owed what he paid.
///
/// # Errors
/// `offering.agent` when nothing lies there.
pub async fn return_from_agent(
    command: &Command,
    _admin: &Admin,
    body: MoveToAgent,
) -> Result<OfferingAnswer, Problem> {
    body.check()?;
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Failed])?;
    if offering.agent == Amount::ZERO {
        return Err(Refusal::new("offering.agent", "nothing lies with the closing agent", "nothing to do").into());
    }
    let moves = [Move::of(offering.agent, Purpose::EscrowAgent, Purpose::EscrowBank)];
    let why = json!({ "offering_id": offering.id, "reference": body.reference });
    let key = format!("offering:{}:from_agent", offering.id);
    post(
        command,
        &offering.book(),
        key,
        "escrow.from_agent",
        (why, command.now.date_naive()),
        &moves,
    )
    .await?;
    let text = sql!("update public.offerings set agent_minor = 0 where id = $1");
    one(command.tx.execute(text, &[&offering.id]).await?, "offerings")?;
    let returned = Offering {
        agent: Amount::ZERO,
        ..offering
    };
    ending::return_everything(command, &returned).await?;
    shown(command, returned.id).await
}

/// What a close at this instant would do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    would: &'static str,
    refusal: Option<Refusal>,
    units: Amount,
    proceeds: String,
    fees: String,
    holders: Vec<HolderChange>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HolderChange {
    party_id: Uuid,
    units_before: Amount,
    units_after: Amount,
    gets: Amount,
}

/// A what-if of a close, with the difference for each holder, computed on one snapshot without any lock: sales go on meanwhile.
/// The gate is asked as well, without leaving a pass.
///
/// # Errors
/// [`Problem::NotFound`].
pub async fn preview(command: &Command, _admin: &Admin, body: OfferingId) -> Result<Preview, Problem> {
    let offering = Offering::load(command, body.offering_id).await?;
    let facts = funded(command, &offering).await?;
    let text = sql!(
        "select l.party_id, sum(l.units)::bigint from public.lots as l where l.property_token_id = $1 and l.units > 0 group by l.party_id"
    );
    let rows = command.tx.query(text, &[&offering.token_id]).await?;
    let mut before: BTreeMap<Uuid, Amount> = BTreeMap::new();
    for row in &rows {
        before.insert(row.try_get(0)?, amount(row.try_get(1)?)?);
    }
    let told = |would, refusal, plan: Option<&ClosePlan>| -> Result<Preview, Problem> {
        let nothing = BTreeMap::new();
        let holders = plan
            .map_or(&nothing, |plan| &plan.holders)
            .iter()
            .map(|(party_id, gets)| {
                let had = before.get(party_id).copied().unwrap_or(Amount::ZERO);
                Ok(HolderChange {
                    party_id: *party_id,
                    units_before: had,
                    units_after: had.plus(*gets).map_err(Problem::internal)?,
                    gets: *gets,
                })
            });
        Ok(Preview {
            would,
            refusal,
            units: plan.map_or(Amount::ZERO, |plan| plan.units),
            proceeds: offering.currency.show(plan.map_or(Amount::ZERO, |plan| plan.proceeds)),
            fees: offering.currency.show(plan.map_or(Amount::ZERO, |plan| plan.fees)),
            holders: holders.collect::<Result<_, Problem>>()?,
        })
    };
    match closing::next(&facts, command.now) {
        Next::Close(plan) => told("close", None, Some(&plan)),
        Next::Wait(refusal) => told("wait", Some(refusal), None),
        Next::Fail(refusal) => told("fail", Some(refusal), None),
    }
}

/// Funded offerings, which the jobs try to close.
///
/// # Errors
/// What the database answered.
pub async fn waiting(command: &Command) -> Result<Vec<Uuid>, Problem> {
    let text = sql!("select id from public.offerings where status = 'funded' order by ended_at limit 100");
    let rows = command.tx.query(text, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
