//! What a statement says: the answer of `get-statement`, and what its pages are made of. Every amount is an integer of
//! smallest units, with the decimals of its asset beside it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A statement with what people need to read it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The figures: the same for ever for the same party, year and known entry.
    pub statement: Statement,
    /// SHA-256 of the statement as compact JSON with its fields in the order of the alphabet, in hexadecimal.
    pub sha256: String,
    /// Names as they are now. They may change, and are not part of what was digested.
    pub names: Names,
}

/// Names of the party and of the properties.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Names {
    /// The party's name in law, or what its login calls itself.
    pub party: Option<String>,
    /// Whether the name was verified.
    pub is_verified: bool,
    /// Title and place of each property, by its id.
    pub properties: BTreeMap<Uuid, String>,
}

/// The figures of a party's year.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// How this is laid out.
    pub version: u32,
    /// Whose.
    pub party_id: Uuid,
    /// Of which calendar year, in UTC.
    pub year: i32,
    /// First day.
    pub from: NaiveDate,
    /// Last day, also of a year under way.
    pub to: NaiveDate,
    /// The last ledger entry that was looked at.
    pub known_seq: i64,
    /// Whether something in it was bought in an offering that takes no real money.
    pub is_simulated: bool,
    /// Tokens, by property.
    pub holdings: Vec<Holding>,
    /// What was given away or sold, with its cost.
    pub disposals: Vec<Disposal>,
    /// Distributions, by property and month.
    pub income: Vec<PropertyIncome>,
    /// Other money credited: tokens redeemed, a property wound up.
    pub capital: Vec<Capital>,
    /// What was paid for.
    pub purchases: Vec<Purchase>,
    /// What was given back.
    pub refunds: Vec<Refund>,
    /// What the platform owed, by currency.
    pub cash: Vec<Cash>,
    /// Sums, by currency.
    pub totals: Vec<Totals>,
    /// How the figures re-add to the ledger.
    pub checks: Vec<Check>,
}

/// Tokens of one property.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// The property.
    pub property_id: Uuid,
    /// Its token.
    pub property_token_id: Uuid,
    /// Decimals of the token.
    pub token_decimals: u8,
    /// Before the year.
    pub opening_units: i64,
    /// What changed it.
    pub movements: Vec<Movement>,
    /// At the year's last instant.
    pub closing_units: i64,
    /// The lots that were there at the year's last instant.
    pub lots: Vec<Lot>,
}

/// A change of a holding.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// From when on it holds.
    pub at: DateTime<Utc>,
    /// What it was, such as offering.closed: the kind of its ledger entry.
    pub kind: String,
    /// How much came, or went (below zero).
    pub units: i64,
    /// Its ledger entry.
    pub entry_id: i64,
}

/// A lot at the year's last instant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lot {
    /// The lot.
    pub lot_id: Uuid,
    /// The purchase from which it comes.
    pub investment_id: Uuid,
    /// When the party got it.
    pub acquired_at: DateTime<Utc>,
    /// When it counts as acquired for tax.
    pub tax_acquired_at: DateTime<Utc>,
    /// Tokens in it.
    pub units: i64,
    /// Their cost, fee included.
    pub cost_minor: i64,
    /// Currency of the cost.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
}

/// Tokens that went, out of one lot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disposal {
    /// The property.
    pub property_id: Uuid,
    /// The lot from which they went.
    pub lot_id: Uuid,
    /// What it was, such as sale or gift.
    pub kind: String,
    /// When the lot counts as acquired for tax.
    pub tax_acquired_at: DateTime<Utc>,
    /// When they went.
    pub at: DateTime<Utc>,
    /// How many.
    pub units: i64,
    /// Decimals of the token.
    pub token_decimals: u8,
    /// What they had cost, fee included: first in, first out.
    pub cost_minor: i64,
    /// What they brought; none of what was given away.
    pub proceeds_minor: Option<i64>,
    /// Proceeds less cost; none of what was given away.
    pub gain_minor: Option<i64>,
    /// Currency of the three.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
}

/// Distributions of one property in one currency.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyIncome {
    /// The property.
    pub property_id: Uuid,
    /// The currency.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
    /// Months that had any.
    pub months: Vec<MonthIncome>,
    /// Before tax.
    pub gross_minor: i64,
    /// Withheld.
    pub withheld_minor: i64,
    /// Credited.
    pub net_minor: i64,
}

/// A month's distributions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonthIncome {
    /// Its first day.
    pub month: NaiveDate,
    /// Before tax.
    pub gross_minor: i64,
    /// Withheld.
    pub withheld_minor: i64,
    /// Credited.
    pub net_minor: i64,
    /// Its lines.
    pub lines: Vec<IncomeLine>,
}

/// A line of a distribution.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncomeLine {
    /// The distribution.
    pub distribution_id: Uuid,
    /// The line.
    pub line_id: Uuid,
    /// The instant whose register decided.
    pub record_at: Option<DateTime<Utc>>,
    /// The day on which it was credited: it counts for this one's month.
    pub credited_on: NaiveDate,
    /// The day on which the rail confirmed the payout; none while it is not known.
    pub paid_on: Option<NaiveDate>,
    /// Tokens that counted.
    pub entitled_units: i64,
    /// Before tax.
    pub gross_minor: i64,
    /// Withheld.
    pub withheld_minor: i64,
    /// Credited.
    pub net_minor: i64,
    /// The rate of the tax, in millionths.
    pub rate_ppm: i32,
    /// The form on which it rests.
    pub form: String,
    /// Its version.
    pub form_version: String,
    /// The ledger entry that credited it.
    pub entry_id: i64,
}

/// Money credited that is no distribution.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capital {
    /// The property.
    pub property_id: Option<Uuid>,
    /// The kind of its ledger entry.
    pub kind: String,
    /// The day for which it counts.
    pub on: NaiveDate,
    /// How much; below zero where it was taken back.
    pub amount_minor: i64,
    /// The currency.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
    /// Its ledger entry.
    pub entry_id: i64,
}

/// A purchase whose money arrived in the year.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purchase {
    /// The investment.
    pub investment_id: Uuid,
    /// The property.
    pub property_id: Uuid,
    /// The day on which its charge was in escrow.
    pub paid_on: NaiveDate,
    /// The day on which the offering closed and the tokens were held; none where it had not by then, or never did.
    pub closed_on: Option<NaiveDate>,
    /// Tokens bought.
    pub units: i64,
    /// Decimals of the token.
    pub token_decimals: u8,
    /// Price of a whole token.
    pub price_minor: i64,
    /// Tokens x price.
    pub total_minor: i64,
    /// The fee on top.
    pub fee_minor: i64,
    /// Total and fee: what the ledger took into escrow.
    pub charge_minor: i64,
    /// The currency.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
    /// The ledger entry by which it was paid.
    pub entry_id: i64,
}

/// Money given back, as confirmed by the rail.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// The refund.
    pub refund_id: Uuid,
    /// The investment whose charge went back; none of money that paid nothing.
    pub investment_id: Option<Uuid>,
    /// The property.
    pub property_id: Uuid,
    /// Why.
    pub reason: String,
    /// The day for which it counts.
    pub on: NaiveDate,
    /// How much.
    pub amount_minor: i64,
    /// The currency.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
    /// Its ledger entry.
    pub entry_id: i64,
}

/// What the platform owed a party in one currency.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cash {
    /// The currency.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
    /// Owed and not sent before the year, and what was under way.
    pub opening_minor: i64,
    /// Credited by distributions.
    pub income_minor: i64,
    /// Credited otherwise.
    pub capital_minor: i64,
    /// Paid: what the rail confirmed.
    pub paid_minor: i64,
    /// Owed at the year's last instant and not sent.
    pub payable_minor: i64,
    /// Sent and not confirmed at the year's last instant.
    pub under_way_minor: i64,
}

/// Sums in one currency.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// The currency.
    pub currency: String,
    /// Its decimals.
    pub currency_decimals: u8,
    /// Income before tax.
    pub gross_minor: i64,
    /// Tax withheld.
    pub withheld_minor: i64,
    /// Income credited.
    pub net_minor: i64,
    /// Credited that is no income.
    pub capital_minor: i64,
    /// Purchases, without fees.
    pub purchases_minor: i64,
    /// Fees of purchases.
    pub fees_minor: i64,
    /// Given back.
    pub refunds_minor: i64,
    /// What disposals brought.
    pub proceeds_minor: i64,
    /// What was disposed of for money had cost.
    pub cost_minor: i64,
    /// Proceeds less cost.
    pub gain_minor: i64,
    /// What the lots at the year's last instant had cost.
    pub held_cost_minor: i64,
}

/// An account over the year: opening and change are the closing that the ledger has by itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What is compared: tokens, lots, disposals, payable, withheld, income, purchases.
    pub what: String,
    /// The currency, or the property whose tokens they are.
    pub asset: String,
    /// Digits after the point of the three.
    pub decimals: u8,
    /// Before the year.
    pub opening: i64,
    /// What the statement's lines add.
    pub change: i64,
    /// What the ledger has.
    pub closing: i64,
}
