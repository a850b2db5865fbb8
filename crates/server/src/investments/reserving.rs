//! Reserving tokens: many orders of one offering at once, decided one after the other in the order in which they came.
//!
//! Two exchanges with PostgreSQL, whatever the number of orders: [`load`] locks and loads what decides, [`decide`] lets
//! [`Sale`](mint_core::eligibility::Sale) decide, [`write`] writes investments, supply, ledger, outbox and the answers under
//! clients' keys. A lone order is a batch of one.

mod loading;
mod writing;

use std::collections::HashMap;

use mint_core::eligibility::{Order, Reservation};
use serde_json::Value;
use uuid::Uuid;

use super::ordering::CreateInvestment;
use crate::{db::Tx, offerings::Offering, payments::sessions, problem::Problem};
pub use loading::{Asked, CallersKey, Loaded, Opening, SameOrder, load, look};
pub use writing::write;

/// What a buyer wants.
pub type Wish = CreateInvestment;

/// Which command the orders are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// `create-investment`: answered with the investment's row.
    Investment,
    /// `create-investment-payment`: answered with where to pay as well.
    Checkout,
}

impl Ordered {
    /// Both.
    pub const ALL: [Ordered; 2] = [Ordered::Investment, Ordered::Checkout];

    /// The command's name.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Ordered::Investment => "create-investment",
            Ordered::Checkout => "create-investment-payment",
        }
    }
}

/// An order as it came in.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The id that its investment gets.
    pub id: Uuid,
    /// The login that buys.
    pub user_id: Uuid,
    /// What it wants, or why nobody can read that.
    pub wish: Result<Wish, String>,
    /// The client's key, where the answer is to be kept under one.
    pub key: Option<OrderKey>,
    /// Whether an identical reservation that is still pending and younger than ten minutes is the answer: where the
    /// client gave no key.
    pub reuses_identical: bool,
}

/// A client's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderKey {
    /// What the client chose.
    pub text: String,
    /// SHA-256 of the body.
    pub body_sha256: Vec<u8>,
}

/// What becomes of an order.
#[derive(Debug)]
pub enum Verdict {
    /// Tokens are reserved under this investment, by this order or by an identical one before it in the batch.
    Reserved(Uuid),
    /// They were reserved before the batch; the investment's row.
    Same(Uuid, Value),
    /// The key was answered before, so.
    Answered(Value),
    /// No, and why.
    Refused(Problem),
}

/// An order that was accepted.
pub struct Accepted<'a> {
    pub(super) order: &'a NewOrder,
    pub(super) wish: &'a Wish,
    pub(super) party_id: Uuid,
    pub(super) reservation: Reservation,
}

/// Has everything prepared that reserving runs on a connection.
///
/// # Errors
/// What PostgreSQL answered.
pub async fn prepare(tx: &Tx) -> Result<(), Problem> {
    tx.prepare(loading::STATEMENTS).await?;
    Ok(tx.prepare(writing::STATEMENTS).await?)
}

/// Decides orders one after the other: a verdict for each, and what is to be written.
#[must_use]
pub fn decide<'a>(loaded: &mut Loaded, ordered: Ordered, orders: &'a [NewOrder]) -> (Vec<Verdict>, Vec<Accepted<'a>>) {
    let mut accepted: Vec<Accepted<'a>> = Vec::new();
    // What this batch reserved: under keys, and what an order without a key may be told as well.
    let mut kept: HashMap<(Uuid, &str), (&[u8], Uuid)> = HashMap::new();
    let mut fresh: HashMap<(Uuid, i64), Uuid> = HashMap::new();
    let verdicts = orders.iter().map(|order| {
        let key = order
            .key
            .as_ref()
            .map(|key| ((order.user_id, key.text.as_str()), key.body_sha256.as_slice()));
        if let Some(verdict) = key.and_then(|(key, digest)| known_key(loaded, &kept, key, digest)) {
            return verdict;
        }
        match decide_one(loaded, ordered, &fresh, order) {
            Ok(Decided::Known(verdict)) => verdict,
            Ok(Decided::New(new)) => {
                fresh.insert((order.user_id, new.reservation.units.get()), order.id);
                kept.extend(key.map(|(key, digest)| (key, (digest, order.id))));
                accepted.push(new);
                Verdict::Reserved(order.id)
            }
            Err(problem) => Verdict::Refused(problem),
        }
    });
    let verdicts = verdicts.collect();
    (verdicts, accepted)
}

enum Decided<'a> {
    Known(Verdict),
    New(Accepted<'a>),
}

fn known_key(
    loaded: &Loaded,
    kept: &HashMap<(Uuid, &str), (&[u8], Uuid)>,
    key: (Uuid, &str),
    digest: &[u8],
) -> Option<Verdict> {
    let of_another = || Verdict::Refused(Problem::KeyReused);
    if let Some((first, answer)) = loaded.answered.get(&(key.0, key.1.to_owned())) {
        let is_same = first.as_slice() == digest;
        return Some(if is_same {
            Verdict::Answered(answer.clone())
        } else {
            of_another()
        });
    }
    let (first, id) = kept.get(&key)?;
    Some(if *first == digest {
        Verdict::Reserved(*id)
    } else {
        of_another()
    })
}

/// The login before the body, as everywhere: who may not run a command learns nothing of it.
fn decide_one<'a>(
    loaded: &mut Loaded,
    ordered: Ordered,
    fresh: &HashMap<(Uuid, i64), Uuid>,
    order: &'a NewOrder,
) -> Result<Decided<'a>, Problem> {
    let party_id = *loaded.parties.get(&order.user_id).ok_or(Problem::NotSignedIn)?;
    let wish = order.wish.as_ref().map_err(|why| Problem::Invalid(why.clone()))?;
    let offering: &Offering = loaded.offering.as_ref().ok_or(Problem::NotFound)?;
    let units = wish.token_amount.of(offering)?;
    let sale = loaded
        .sale
        .as_mut()
        .map_err(|refusal| Problem::Refused(refusal.clone()))?;
    if order.reuses_identical {
        let same = (order.user_id, units.get());
        if let Some(id) = fresh.get(&same) {
            return Ok(Decided::Known(Verdict::Reserved(*id)));
        }
        if let Some((id, row)) = loaded.identical.get(&same) {
            return Ok(Decided::Known(Verdict::Same(*id, row.clone())));
        }
    }
    let asked = Order {
        party_id,
        units,
        accepts_warning: wish.accepts_warning,
        is_guest: loaded.guests.contains(&order.user_id),
    };
    let reservation = sale.decide(&asked, loaded.now)?;
    if ordered == Ordered::Checkout {
        sessions::check_rail(offering)?;
    }
    Ok(Decided::New(Accepted {
        order,
        wish,
        party_id,
        reservation,
    }))
}
