//! Lots: which of a holder's lots tokens go out of, what of their cost goes with them, and what they become.
//!
//! First in, first out, by the date for tax. The pieces of a lot, and what is left of it, add up to it in tokens and in cost
//! to the smallest unit. A sale starts anew; where nothing was sold, cost and tax date go on (L13). A restricted period
//! always goes on with the tokens.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    allocation,
    money::{Amount, AmountRefused, Decimals},
    refusal::Refusal,
};

/// Why tokens go out of lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisposalKind {
    /// Sold to another holder for a price.
    Sale,
    /// Given to another holder for nothing.
    Gift,
    /// To another party of the same owner.
    OwnWallet,
    /// To the party that takes the place of one whose access is lost.
    Recovery,
    /// By the order of a court or an authority.
    Forced,
    /// Taken back and burned.
    Redemption,
}

impl DisposalKind {
    /// All of them.
    pub const ALL: &[DisposalKind] = &[
        DisposalKind::Sale,
        DisposalKind::Gift,
        DisposalKind::OwnWallet,
        DisposalKind::Recovery,
        DisposalKind::Forced,
        DisposalKind::Redemption,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            DisposalKind::Sale => "sale",
            DisposalKind::Gift => "gift",
            DisposalKind::OwnWallet => "own_wallet",
            DisposalKind::Recovery => "recovery",
            DisposalKind::Forced => "forced",
            DisposalKind::Redemption => "redemption",
        }
    }

    /// Whether a holder may do it by himself: then what is restricted or promised stays.
    pub fn is_voluntary(self) -> bool {
        match self {
            DisposalKind::Sale | DisposalKind::Gift | DisposalKind::OwnWallet => true,
            DisposalKind::Recovery | DisposalKind::Forced | DisposalKind::Redemption => false,
        }
    }

    /// Whether frozen tokens go too: only where an order from outside says so.
    pub fn passes_freezes(self) -> bool {
        match self {
            DisposalKind::Forced => true,
            DisposalKind::Sale
            | DisposalKind::Gift
            | DisposalKind::OwnWallet
            | DisposalKind::Recovery
            | DisposalKind::Redemption => false,
        }
    }

    /// Whether cost and tax date begin anew with the price that was paid.
    pub fn starts_anew(self) -> bool {
        match self {
            DisposalKind::Sale | DisposalKind::Redemption => true,
            DisposalKind::Gift | DisposalKind::OwnWallet | DisposalKind::Recovery | DisposalKind::Forced => false,
        }
    }
}

impl std::str::FromStr for DisposalKind {
    type Err = ();
    fn from_str(name: &str) -> Result<DisposalKind, ()> {
        DisposalKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
            .ok_or(())
    }
}

/// A lot as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// Its identity.
    pub id: Uuid,
    /// Tokens in it, in smallest units.
    pub units: Amount,
    /// What these cost, in smallest units of its currency.
    pub cost: Amount,
    /// When it counts as acquired for tax.
    pub tax_acquired_at: DateTime<Utc>,
    /// When its restricted period began and when it ends, if it has one.
    pub restricted: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Lot {
    /// Whether it cannot be transferred yet.
    pub fn is_restricted(&self, now: DateTime<Utc>) -> bool {
        self.restricted.is_some_and(|(_, until)| now < until)
    }
}

/// What is to go out of a holder's lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Why.
    pub kind: DisposalKind,
    /// How many, in smallest units.
    pub units: Amount,
    /// What is paid for all of them, in smallest units of the lots' currency; 0 where nothing is.
    pub proceeds: Amount,
    /// Decimals of the token, for what is said of it.
    pub token_decimals: Decimals,
}

/// What of a holder's tokens must stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldBack {
    /// Frozen by a case, in smallest units.
    pub frozen: Amount,
    /// Promised in open transfers of his other than this one, in smallest units.
    pub promised: Amount,
}

/// What goes out of one lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposal {
    /// The lot as it was before.
    pub lot: Lot,
    /// How many tokens, in smallest units.
    pub units: Amount,
    /// What of the lot's cost goes with them, in smallest units.
    pub cost: Amount,
    /// What is paid for them, in smallest units.
    pub proceeds: Amount,
}

/// Which lots tokens go out of: the first in first, by the date for tax, then by id.
///
/// # Errors
/// `lots.free` where so many tokens are not free: held, and neither restricted, frozen nor promised as far as that binds
/// this kind.
pub fn dispose(lots: &[Lot], wish: &Wish, held_back: HeldBack, now: DateTime<Utc>) -> Result<Vec<Disposal>, Refusal> {
    let free = free(lots, wish.kind, held_back, now).map_err(|_| too_many())?;
    if wish.units == Amount::ZERO || wish.units > free {
        return Err(not_free(lots, wish, held_back, free, now));
    }
    let mut takable: Vec<&Lot> = lots
        .iter()
        .filter(|lot| lot.units > Amount::ZERO && !(wish.kind.is_voluntary() && lot.is_restricted(now)))
        .collect();
    takable.sort_by_key(|lot| (lot.tax_acquired_at, lot.id));
    let mut left = wish.units;
    let mut disposals = Vec::new();
    for lot in takable {
        if left == Amount::ZERO {
            break;
        }
        let units = left.min(lot.units);
        left = left.minus(units).map_err(|_| too_many())?;
        disposals.push(Disposal {
            lot: *lot,
            units,
            cost: part_of_cost(lot, units),
            proceeds: Amount::ZERO,
        });
    }
    split_proceeds(&mut disposals, wish.proceeds).map_err(|_| too_many())?;
    Ok(disposals)
}

/// What of a holder's tokens may go for this reason now, in smallest units.
///
/// # Errors
/// When the sum is past what an amount can be.
pub fn free(
    lots: &[Lot],
    kind: DisposalKind,
    held_back: HeldBack,
    now: DateTime<Utc>,
) -> Result<Amount, AmountRefused> {
    let held = Amount::sum(lots.iter().map(|lot| lot.units))?;
    // What is frozen may be any of his tokens; what is promised is of those that are not restricted.
    let frozen = if kind.passes_freezes() {
        Amount::ZERO
    } else {
        held_back.frozen
    };
    if !kind.is_voluntary() {
        return Ok(held.minus(frozen).unwrap_or(Amount::ZERO));
    }
    let unrestricted = Amount::sum(lots.iter().filter(|lot| !lot.is_restricted(now)).map(|lot| lot.units))?;
    let unfrozen = held.minus(frozen).unwrap_or(Amount::ZERO);
    Ok(unrestricted
        .min(unfrozen)
        .minus(held_back.promised)
        .unwrap_or(Amount::ZERO))
}

/// The whole part of what the tokens cost, so that the rest stays with the lot; all that is left goes with the last token.
fn part_of_cost(lot: &Lot, units: Amount) -> Amount {
    if units == lot.units {
        return lot.cost;
    }
    let product = i128::from(lot.cost.get()) * i128::from(units.get());
    let whole = product / i128::from(lot.units.get()).max(1);
    // At most the lot's cost, since at most its units go.
    i64::try_from(whole)
        .ok()
        .and_then(|whole| Amount::try_from(whole).ok())
        .unwrap_or(lot.cost)
}

fn split_proceeds(disposals: &mut [Disposal], proceeds: Amount) -> Result<(), allocation::SplitRefused> {
    let entitlements: Vec<(Uuid, Amount)> = disposals.iter().map(|one| (one.lot.id, one.units)).collect();
    let parts = allocation::split(proceeds, &entitlements, &Uuid::nil())?;
    for disposal in disposals {
        if let Ok(at) = parts.binary_search_by_key(&disposal.lot.id, |(id, _)| *id)
            && let Some((_, part)) = parts.get(at)
        {
            disposal.proceeds = *part;
        }
    }
    Ok(())
}

/// What tokens become in the hands of whoever gets them at `held_since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLot {
    /// Tokens in it, in smallest units.
    pub units: Amount,
    /// What they cost: the basis for tax.
    pub cost: Amount,
    /// When it counts as acquired for tax.
    pub tax_acquired_at: DateTime<Utc>,
    /// The restricted period, as the lot before had it.
    pub restricted: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// The lot that a disposal becomes, held from an instant on.
pub fn new_lot(kind: DisposalKind, disposal: &Disposal, held_since: DateTime<Utc>) -> NewLot {
    let (cost, tax_acquired_at) = if kind.starts_anew() {
        (disposal.proceeds, held_since)
    } else {
        (disposal.cost, disposal.lot.tax_acquired_at)
    };
    NewLot {
        units: disposal.units,
        cost,
        tax_acquired_at,
        restricted: disposal.lot.restricted,
    }
}

fn too_many() -> Refusal {
    Refusal::new(
        "lots.free",
        "these tokens cannot be counted exactly",
        "move fewer of them",
    )
}

fn not_free(lots: &[Lot], wish: &Wish, held_back: HeldBack, free: Amount, now: DateTime<Utc>) -> Refusal {
    let tokens = |units: Amount| units.to_decimal(wish.token_decimals);
    let sum = |of: &dyn Fn(&Lot) -> bool| {
        Amount::sum(lots.iter().filter(|lot| of(lot)).map(|lot| lot.units)).unwrap_or(Amount::MAX)
    };
    let restricted = sum(&|lot: &Lot| lot.is_restricted(now));
    let frees_at = lots
        .iter()
        .filter(|lot| lot.units > Amount::ZERO && lot.is_restricted(now))
        .filter_map(|lot| lot.restricted.map(|(_, until)| until))
        .min();
    let mut ways = Vec::new();
    if free > Amount::ZERO {
        ways.push(format!("move {} tokens or less", tokens(free)));
    }
    if wish.kind.is_voluntary() && held_back.promised > Amount::ZERO {
        ways.push("cancel another open transfer of these tokens".to_owned());
    }
    if let Some(until) = frees_at.filter(|_| wish.kind.is_voluntary()) {
        ways.push(format!("wait until {} for more", until.to_rfc3339()));
    }
    if held_back.frozen > Amount::ZERO && !wish.kind.passes_freezes() {
        ways.push("ask a compliance officer about the tokens that are frozen".to_owned());
    }
    if ways.is_empty() {
        ways.push("get tokens of this property first".to_owned());
    }
    let mut refusal = Refusal::new("lots.free", "so many tokens are not free", ways.join(", or "))
        .looking_at("tokens", tokens(wish.units))
        .looking_at("free", tokens(free))
        .looking_at("held", tokens(sum(&|_: &Lot| true)))
        .looking_at("restricted", tokens(restricted))
        .looking_at("frozen", tokens(held_back.frozen))
        .looking_at("promised", tokens(held_back.promised));
    if let Some(until) = frees_at {
        refusal = refusal.looking_at("restricted_until", until.to_rfc3339());
    }
    refusal
}

#[cfg(test)]
mod tests;
