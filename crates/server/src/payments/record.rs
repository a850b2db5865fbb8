//! A payment as the database has it, locked.

use chrono::NaiveDate;
use mint_core::{
    account::Purpose,
    book::{Book, Move, NoEntry},
    money::Amount,
    posting::Postings,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    command::Command,
    db::sql,
    ledger::{self, NewEntry},
    offerings::record::amount,
    problem::Problem,
};

/// A payment.
#[derive(Debug, Clone)]
pub struct Payment {
    /// Its id.
    pub id: Uuid,
    /// What it is for, where that is known.
    pub investment_id: Option<Uuid>,
    /// The property whose accounts it is in.
    pub property_id: Option<Uuid>,
    /// Its currency's code.
    pub currency: String,
    /// What arrived.
    pub amount: Amount,
    /// What of it pays the investment.
    pub matched: Amount,
    /// What of it fits nothing.
    pub unmatched: Amount,
    /// Whether it is with the custodian.
    pub is_settled: bool,
    /// Whether the payer took it back.
    pub is_charged_back: bool,
}

impl Payment {
    /// The payment that a rail calls so, locked until the command ends.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn lock(command: &Command, rail: &str, provider_ref: &str) -> Result<Option<Payment>, Problem> {
        let text = sql!(
            "select id, investment_id, property_id, currency, amount_minor, matched_minor, unmatched_minor, settled_at is not null,
                    charged_back_at is not null
             from public.payments where rail = $1 and provider_ref = $2 for no key update"
        );
        let Some(row) = command.tx.query_opt(text, &[&rail, &provider_ref]).await? else {
            return Ok(None);
        };
        Ok(Some(Payment {
            id: row.try_get(0)?,
            investment_id: row.try_get(1)?,
            property_id: row.try_get(2)?,
            currency: row.try_get(3)?,
            amount: amount(row.try_get(4)?)?,
            matched: amount(row.try_get(5)?)?,
            unmatched: amount(row.try_get(6)?)?,
            is_settled: row.try_get(7)?,
            is_charged_back: row.try_get(8)?,
        }))
    }

    /// The accounts of its property in its own currency, where it is in any.
    #[must_use]
    pub fn book(&self) -> Option<Book> {
        self.property_id
            .map(|property_id| cash_book(property_id, &self.currency))
    }
}

/// A property's accounts in a currency, for entries without tokens.
#[must_use]
pub fn cash_book(property_id: Uuid, currency: &str) -> Book {
    Book {
        property_id,
        token_id: Uuid::nil(),
        currency: currency.to_owned(),
    }
}

/// Where money of a payment lies: with the custodian once it is settled, with the provider before.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Of a purchase that has not closed.
    pub escrow: Purpose,
    /// Of nothing yet.
    pub unmatched: Purpose,
    /// On its way back.
    pub refunding: Purpose,
    /// Where it comes from and goes to.
    pub outside: Purpose,
}

/// The places of a payment.
#[must_use]
pub fn places(is_settled: bool) -> Places {
    if is_settled {
        Places {
            escrow: Purpose::EscrowBank,
            unmatched: Purpose::Unmatched,
            refunding: Purpose::RefundPayable,
            outside: Purpose::OutsideBank,
        }
    } else {
        Places {
            escrow: Purpose::PspClearing,
            unmatched: Purpose::PspUnmatched,
            refunding: Purpose::PspRefundPayable,
            outside: Purpose::OutsidePsp,
        }
    }
}

/// Posts the moves of one event on the day that it counts for, if anything moves.
///
/// # Errors
/// What the ledger refused.
pub async fn post(
    command: &Command,
    book: &Book,
    key: String,
    kind: &'static str,
    (cause, day): (Value, NaiveDate),
    moves: &[Move],
) -> Result<(), Problem> {
    if moves.iter().all(|one| one.amount == Amount::ZERO) {
        return Ok(());
    }
    let mut entry = entry(command, key, kind, cause, book.entry(moves))?;
    entry.business_date = day;
    ledger::post(&command.tx, entry).await.map_err(Problem::internal)?;
    Ok(())
}

/// An entry of the command's own day and actor.
///
/// # Errors
/// When the moves are no entry, which is a fault of ours.
pub fn entry(
    command: &Command,
    key: String,
    kind: &'static str,
    cause: Value,
    postings: Result<Postings, NoEntry>,
) -> Result<NewEntry, Problem> {
    Ok(NewEntry {
        key,
        kind,
        business_date: command.now.date_naive(),
        actor_id: command.actor_id(),
        cause,
        postings: postings.map_err(Problem::internal)?,
    })
}

/// The cause of an entry about a payment.
#[must_use]
pub fn cause(payment_id: Uuid, investment_id: Option<Uuid>) -> Value {
    json!({ "payment_id": payment_id, "investment_id": investment_id })
}
