//! Rails: what every way to pay must be able to say and do. `sandbox` is the one that is built in.

use chrono::{DateTime, NaiveDate, Utc};
use mint_core::money::Amount;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The rail that is built in; its money is not real.
pub const SANDBOX: &str = "sandbox";

/// A message of a rail, verified and read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The rail's own name of it: it may come many times and counts once.
    pub id: String,
    /// The payment that it is about, by the rail's own name.
    pub payment: String,
    /// When the rail says that it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub said: Said,
}

/// What a rail can say about a payment. Amounts are smallest units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Said {
    /// Money arrived.
    #[serde(rename = "payment.succeeded")]
    Paid {
        /// The checkout session by which it came, if by one.
        session: Option<String>,
        /// How much.
        amount: Amount,
        /// In which currency.
        currency: String,
        /// The property whose account at the custodian was named, where there was no session.
        property_id: Option<Uuid>,
    },
    /// It was paid out to the custodian.
    #[serde(rename = "payment.settled")]
    Settled {
        /// The rail's name of the transfer, as the custodian's statement shows it.
        settlement: String,
        /// How much of this payment.
        amount: Amount,
        /// The day on which the custodian books it.
        booked_on: NaiveDate,
    },
    /// A refund arrived.
    #[serde(rename = "refund.succeeded")]
    Refunded {
        /// The refund, by the id under which we asked for it.
        refund: Uuid,
        /// How much.
        amount: Amount,
        /// Whether it left the custodian's account, and not the rail's own balance.
        from_bank: bool,
        /// The day on which it was booked.
        booked_on: NaiveDate,
    },
    /// A refund cannot be made.
    #[serde(rename = "refund.failed")]
    RefundFailed {
        /// The refund, by the id under which we asked for it.
        refund: Uuid,
        /// Why.
        reason: String,
    },
    /// The payer took the money back.
    #[serde(rename = "payment.charged_back")]
    ChargedBack {
        /// How much.
        amount: Amount,
        /// Whether it left the custodian's account, and not the rail's own balance.
        from_bank: bool,
        /// The day on which it was booked.
        booked_on: NaiveDate,
    },
}

impl Said {
    /// Its name, as messages have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Said::Paid { .. } => "payment.succeeded",
            Said::Settled { .. } => "payment.settled",
            Said::Refunded { .. } => "refund.succeeded",
            Said::RefundFailed { .. } => "refund.failed",
            Said::ChargedBack { .. } => "payment.charged_back",
        }
    }
}

/// What a rail knows of a refund that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundState {
    /// It was never asked: asking again under the same id is the first time.
    Unknown,
    /// It is on its way.
    Pending,
    /// It ended; this is what the rail has to say.
    Ended(Message),
}
