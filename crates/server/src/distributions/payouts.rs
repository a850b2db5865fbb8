//! Payouts: the money of a distribution's line, or of a redemption, to its holder by the rail. What is silent is asked about and never sent again before; what failed
//! is owed to the holder again, never to the issuer (L11).
//!
//! Held back by an open incident of the property, by a freeze of the holder's tokens of it, or while the holder's last screening
//! is not clear.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use mint_core::{
    account::Purpose,
    book::{Move, Place},
    money::Amount,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::paying;
use crate::{
    app::App,
    command::Command,
    db::{Actor, sql},
    ledger::{self, NewEntry},
    offerings::{preparing::four_eyes, record::amount},
    payments::{
        incidents::{self, Kind},
        messages::{self, Outcome},
        rail::{RefundState, SANDBOX},
        record::{cash_book, entry},
        sandbox,
    },
    permission::Overseer,
    problem::{Problem, chain},
};

/// How long after asking the rail its silence is asked about.
const ASK_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(2);

/// Payouts handled in one go, so that a failing server loses little.
const BATCH: i64 = 200;

const SENDER: Actor = Actor::Program("payouts");

/// What a payout pays: one of the two.
#[derive(Debug, Clone, Copy)]
enum Debt {
    Line(Uuid),
    Redemption(Uuid),
}

impl Debt {
    fn of(line_id: Option<Uuid>, redemption_id: Option<Uuid>) -> Result<Debt, Problem> {
        match (line_id, redemption_id) {
            (Some(id), None) => Ok(Debt::Line(id)),
            (None, Some(id)) => Ok(Debt::Redemption(id)),
            (None, None) | (Some(_), Some(_)) => Err(Problem::internal("a payout pays one thing")),
        }
    }
}

struct Payout {
    id: Uuid,
    rail_key: Uuid,
    debt: Debt,
    party_id: Uuid,
    property_id: Uuid,
    currency: String,
    amount: Amount,
    times_sent: i32,
    was_sent: bool,
    status: String,
}

impl Payout {
    fn read(row: &Row) -> Result<Payout, Problem> {
        Ok(Payout {
            id: row.try_get(0)?,
            rail_key: row.try_get(1)?,
            debt: Debt::of(row.try_get(2)?, row.try_get(3)?)?,
            party_id: row.try_get(4)?,
            property_id: row.try_get(5)?,
            currency: row.try_get(6)?,
            amount: amount(row.try_get(7)?)?,
            times_sent: row.try_get(8)?,
            was_sent: row.try_get(9)?,
            status: row.try_get(10)?,
        })
    }

    /// The entry of one step of this try.
    fn entry(
        &self,
        command: &Command,
        step: &str,
        from: Place,
        to: Place,
        day: NaiveDate,
    ) -> Result<NewEntry, Problem> {
        let kind = match step {
            "sent" => "payout.sent",
            "failed" => "payout.failed",
            _ => "payout.confirmed",
        };
        let book = cash_book(self.property_id, &self.currency);
        let moves = [Move {
            amount: self.amount,
            from,
            to,
        }];
        let key = format!("payout:{}:{}:{step}", self.id, self.times_sent);
        let why = match self.debt {
            Debt::Line(id) => json!({ "payout_id": self.id, "line_id": id, "reference": self.rail_key }),
            Debt::Redemption(id) => json!({ "payout_id": self.id, "redemption_id": id, "reference": self.rail_key }),
        };
        let mut entry = entry(command, key, kind, why, book.entry(&moves))?;
        entry.business_date = day;
        Ok(entry)
    }

    fn owed(&self) -> Place {
        Place::Party(Purpose::Payable, self.party_id)
    }

    fn under_way(&self) -> Place {
        Place::Party(Purpose::PayoutClearing, self.party_id)
    }
}

/// Asks the rail for every payout that is due, or about it; answers how many it asked.
///
/// # Errors
/// What the database answered when it was asked what is due. What one payout meets is logged, and it is asked about later.
pub async fn send_due(app: &App) -> Result<usize, Problem> {
    let orders = take_due(app).await?;
    for order in &orders {
        if let Err(problem) = ask(app, order).await {
            tracing::error!(payout.id = %order.id, cause = %chain(&problem), "a payout was not asked for; it will be asked about");
        }
    }
    Ok(orders.len())
}

/// Moves what is due on its way before the rail is asked: a crash in between leaves it to be asked about.
async fn take_due(app: &App) -> Result<Vec<Payout>, Problem> {
    let command = Command::begin(app, SENDER).await?;
    let text = sql!(
        "with due as (
           select p.id, p.status from public.payouts as p
           where p.status in ('due', 'sent') and p.due_at <= $1
             and not exists (select from public.incidents as i where i.property_id = p.property_id and i.status = 'open')
             and not exists (select from public.holding_freezes as f where f.party_id = p.party_id and f.property_id = p.property_id
                             and f.released_at is null)
             and coalesce((select s.status from public.party_screenings as s where s.party_id = p.party_id order by s.number desc limit 1),
                          'clear') = 'clear'
           order by p.due_at, p.id limit $3 for no key update of p skip locked)
         update public.payouts as p
         set status = 'sent', sent_at = coalesce(p.sent_at, $1), attempts = p.attempts + 1, due_at = $2,
             times_sent = p.times_sent + case when due.status = 'due' then 1 else 0 end
         from due where p.id = due.id
         returning p.id, p.rail_key, p.line_id, p.redemption_id, p.party_id, p.property_id, p.currency, p.amount_minor, p.times_sent, due.status = 'sent', p.status"
    );
    let again: DateTime<Utc> = command.now + ASK_AGAIN_AFTER;
    let rows = command.tx.query(text, &[&command.now, &again, &BATCH]).await?;
    let orders = rows
        .iter()
        .map(Payout::read)
        .collect::<Result<Vec<Payout>, Problem>>()?;
    let new: Vec<&Payout> = orders.iter().filter(|order| !order.was_sent).collect();
    if !new.is_empty() {
        let day = command.now.date_naive();
        let entries = new
            .iter()
            .map(|order| order.entry(&command, "sent", order.owed(), order.under_way(), day))
            .collect::<Result<Vec<NewEntry>, Problem>>()?;
        ledger::post_batch(&command.tx, &entries)
            .await
            .map_err(Problem::internal)?;
        let (mut lines, mut redemptions) = (Vec::new(), Vec::new());
        for order in new {
            match order.debt {
                Debt::Line(id) => lines.push(id),
                Debt::Redemption(id) => redemptions.push(id),
            }
        }
        let text = sql!("update public.distribution_lines set status = 'sent' where id = any ($1)");
        command.tx.execute(text, &[&lines]).await?;
        let text = sql!("update public.redemptions set status = 'sent' where id = any ($1)");
        command.tx.execute(text, &[&redemptions]).await?;
    }
    command.commit().await?;
    Ok(orders)
}

async fn ask(app: &App, order: &Payout) -> Result<(), Problem> {
    if order.was_sent {
        match sandbox::payouts::find_payout(app, order.rail_key).await? {
            RefundState::Pending => return Ok(()),
            RefundState::Ended(message) => {
                sandbox::say(app, &message).await?;
                return messages::work_off(app, SANDBOX, &message.payment).await;
            }
            RefundState::Unknown => {}
        }
    }
    sandbox::payouts::pay_out(app, order.rail_key, order.party_id, order.amount, &order.currency).await
}

/// The payout of a key, with its distribution's row, where it is of one, and its own locked.
async fn lock(command: &Command, rail_key: Uuid) -> Result<Option<(Payout, Option<Uuid>)>, Problem> {
    let text = sql!(
        "select d.id from public.distributions as d where d.id = (
           select l.distribution_id from public.payouts as p join public.distribution_lines as l on l.id = p.line_id where p.rail_key = $1)
         for no key update"
    );
    let row = command.tx.query_opt(text, &[&rail_key]).await?;
    let distribution_id: Option<Uuid> = row.map(|row| row.try_get(0)).transpose()?;
    let text = sql!(
        "select id, rail_key, line_id, redemption_id, party_id, property_id, currency, amount_minor, times_sent, status = 'sent', status
         from public.payouts where rail_key = $1 for no key update"
    );
    match command.tx.query_opt(text, &[&rail_key]).await? {
        Some(row) => Ok(Some((Payout::read(&row)?, distribution_id))),
        None => Ok(None),
    }
}

const OLD_TRY: &str = "nothing is known of this try any more";

/// Records that a payout arrived.
///
/// # Errors
/// What the database answered.
pub async fn confirm(
    command: &Command,
    rail_key: Uuid,
    told: Amount,
    booked_on: NaiveDate,
) -> Result<Outcome, Problem> {
    let Some((payout, distribution_id)) = lock(command, rail_key).await? else {
        return Ok(Outcome::Done(OLD_TRY.to_owned()));
    };
    if told != payout.amount || payout.status == "failed" {
        let details = json!({ "payout_id": payout.id, "told_minor": told, "expected_minor": payout.amount, "status": payout.status });
        let subject = format!("payout:{}", payout.id);
        incidents::open(
            command,
            payout.property_id,
            Kind::SettlementDifference,
            &subject,
            &details,
        )
        .await?;
        return Ok(Outcome::Done("an incident is open".to_owned()));
    }
    if payout.status != "sent" {
        return Ok(Outcome::Done("paid out before".to_owned()));
    }
    let entry = payout.entry(
        command,
        "confirmed",
        payout.under_way(),
        Place::Of(Purpose::OutsideBank),
        booked_on,
    )?;
    ledger::post(&command.tx, entry).await.map_err(Problem::internal)?;
    let text = sql!("update public.payouts set status = 'confirmed', confirmed_at = $2 where id = $1");
    command.tx.execute(text, &[&payout.id, &command.now]).await?;
    set_debt(command, payout.debt, "paid").await?;
    if let Some(distribution_id) = distribution_id {
        paying::end_if_paid(command, distribution_id).await?;
    }
    Ok(Outcome::Done("paid out".to_owned()))
}

/// Records that a payout could not be made: the money is owed to the holder again.
///
/// # Errors
/// What the database answered.
pub async fn fail(command: &Command, rail_key: Uuid, reason: &str) -> Result<Outcome, Problem> {
    let Some((payout, _)) = lock(command, rail_key).await? else {
        return Ok(Outcome::Done(OLD_TRY.to_owned()));
    };
    if payout.status != "sent" {
        return Ok(Outcome::Done("the payout had ended before".to_owned()));
    }
    let day = command.now.date_naive();
    let entry = payout.entry(command, "failed", payout.under_way(), payout.owed(), day)?;
    ledger::post(&command.tx, entry).await.map_err(Problem::internal)?;
    let text = sql!(
        "update public.payouts set status = 'failed', failed_at = $2, failure = left($3, 2000), retry_asked_by = null, retry_approved_by = null
         where id = $1"
    );
    command.tx.execute(text, &[&payout.id, &command.now, &reason]).await?;
    set_debt(command, payout.debt, "failed").await?;
    let text = sql!(
        "insert into public.notifications (user_id, title, message, type, created_at)
         select a.user_id, 'A payout failed', $1, 'payout', $2 from public.user_role_assignments as a
         where a.is_active and a.role in ('admin', 'compliance_officer')"
    );
    let message = format!("payout {}: {reason}", payout.id);
    command.tx.execute(text, &[&message, &command.now]).await?;
    Ok(Outcome::Done("the payout failed: two people decide".to_owned()))
}

async fn set_debt(command: &Command, debt: Debt, status: &str) -> Result<(), Problem> {
    match debt {
        Debt::Line(id) => {
            let text = sql!("update public.distribution_lines set status = $2 where id = $1");
            command.tx.execute(text, &[&id, &status]).await?;
            let text = sql!("update public.property_returns set status = $2 where distribution_line_id = $1");
            command.tx.execute(text, &[&id, &status]).await?;
        }
        Debt::Redemption(id) => {
            let text = sql!("update public.redemptions set status = $2 where id = $1");
            command.tx.execute(text, &[&id, &status]).await?;
        }
    }
    Ok(())
}

/// Asks that a failed payout is tried again, or approves that.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPayout {
    payout_id: Uuid,
}

/// A payout as it is.
#[derive(Debug, Serialize)]
pub struct PayoutAnswer {
    payout: Value,
}

/// The first call asks that a failed payout is tried again; another person's call makes it due, under another key.
///
/// # Errors
/// `payout.failed` when it did not fail, `four_eyes` when the same person calls twice.
pub async fn retry(command: &Command, overseer: &Overseer, body: RetryPayout) -> Result<PayoutAnswer, Problem> {
    let text = sql!(
        "select status, retry_asked_by, line_id, redemption_id from public.payouts where id = $1 for no key update"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.payout_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let (status, asked_by): (String, Option<Uuid>) = (row.try_get(0)?, row.try_get(1)?);
    if status != "failed" {
        let refusal = Refusal::new(
            "payout.failed",
            "only a payout that failed is tried again",
            "wait for it",
        );
        return Err(refusal.looking_at("status", status).into());
    }
    match asked_by {
        None => {
            let text = sql!("update public.payouts set retry_asked_by = $2 where id = $1");
            command
                .tx
                .execute(text, &[&body.payout_id, &overseer.user_id()])
                .await?;
        }
        Some(first) if overseer.is_same_party(command, first).await? => {
            return Err(four_eyes("a payout is tried again when another person approves it").into());
        }
        Some(_) => {
            let text = sql!(
                "update public.payouts set status = 'due', due_at = $2, retry_approved_by = $3, rail_key = gen_random_uuid() where id = $1"
            );
            command
                .tx
                .execute(text, &[&body.payout_id, &command.now, &overseer.user_id()])
                .await?;
            set_debt(command, Debt::of(row.try_get(2)?, row.try_get(3)?)?, "payable").await?;
        }
    }
    let text = sql!("select to_jsonb(p) - 'rail_key' from public.payouts as p where p.id = $1");
    Ok(PayoutAnswer {
        payout: command.tx.query_one(text, &[&body.payout_id]).await?.try_get(0)?,
    })
}
