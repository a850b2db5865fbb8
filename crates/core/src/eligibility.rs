//! Who may buy what: an order against its offering, its rule pack and the party's standing.
//!
//! [`Sale`] is what is known of one offering while orders are decided, one after the other in the order in which they came:
//! an order that is accepted changes it for the next. Deciding an order never looks at the client's price, fee or status.

pub mod receiving;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    compliance::Standing,
    fees::{Charge, FeeSchedule},
    money::{Amount, Currency, Decimals},
    offering::Terms,
    refusal::Refusal,
    rule_pack::{PackRule, Rule, RulePack},
    states::OfferingStatus,
};

/// Reservations without money that one party may have at a time in one offering: more would let a few people hold a sale.
pub const OPEN_RESERVATIONS_MAX: u32 = 5;

/// An order: so many tokens for a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Who buys.
    pub party_id: Uuid,
    /// Tokens, in smallest units.
    pub units: Amount,
    /// Whether the buyer says that the warning about the size was understood.
    pub accepts_warning: bool,
    /// Whether the buyer was invited to an offering that is not public, or acts for its property.
    pub is_guest: bool,
}

/// What a party has bought so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// Its standing.
    pub standing: Standing,
    /// Tokens of this offering that are pending, paid or confirmed.
    pub units: Amount,
    /// Its reservations without money in this offering.
    pub open_reservations: u32,
    /// What it bought in the last twelve months in this currency, over all offerings: tokens x price.
    pub bought_in_year: Amount,
    /// Its own yearly limit in this currency, if it has one.
    pub own_yearly_limit: Option<Amount>,
    /// Whether it holds the token or has reserved it, and so counts to the caps already.
    pub is_holder: bool,
}

/// How many parties count to the caps of a token: those that hold it or have reserved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holders {
    /// All of them.
    pub all: u32,
    /// Those that are not accredited.
    pub non_accredited: u32,
}

/// What is known of an offering while orders are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// How far the offering is.
    pub status: OfferingStatus,
    /// What it promises.
    pub terms: Terms,
    /// Its rule pack.
    pub pack: RulePack,
    /// Its currency.
    pub currency: Currency,
    /// Decimals of the token.
    pub token_decimals: Decimals,
    /// The property, so that insiders are known.
    pub property_id: Uuid,
    /// Whether everybody may buy, and not only guests.
    pub is_public: bool,
    /// How long a reservation holds.
    pub reservation: TimeDelta,
    /// The fee on top.
    pub fee: FeeSchedule,
    /// What can still be sold: of the token, and of the offering.
    pub left: Amount,
    /// Parties that hold the token or have reserved it.
    pub holders: Holders,
    /// The parties that buy, by id.
    pub buyers: BTreeMap<Uuid, Buyer>,
}

/// An order that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Tokens, in smallest units.
    pub units: Amount,
    /// Price of one whole token, locked.
    pub price: Amount,
    /// What it costs.
    pub charge: Charge,
    /// Until when it holds without money.
    pub due_at: DateTime<Utc>,
    /// Whether the buyer acts for the property.
    pub is_insider: bool,
}

impl Sale {
    /// Decides an order at `now`, and takes its tokens when it is accepted.
    ///
    /// # Errors
    /// The first rule that says no.
    pub fn decide(&mut self, order: &Order, now: DateTime<Utc>) -> Result<Reservation, Refusal> {
        self.check_window(order, now)?;
        let buyer = self.buyers.get(&order.party_id).ok_or_else(unknown_party)?;
        let charge = Charge::for_tokens(order.units, self.token_decimals, self.terms.price, &self.fee)
            .map_err(|reason| amount_refused(order.units, &reason.to_string()))?;
        self.check_limits(order, buyer)?;
        for rule in &self.pack.rules {
            self.check_rule(rule, order, buyer, charge.total(), now)?;
        }
        self.check_own_limit(buyer, charge.total())?;
        let left = self
            .left
            .minus(order.units)
            .map_err(|_| self.not_enough_left(order.units))?;
        let is_insider = buyer.standing.insider_of.contains(&self.property_id);
        let due_at = (now + self.reservation).min(self.terms.closes_at);
        let reservation = Reservation {
            units: order.units,
            price: self.terms.price,
            charge,
            due_at,
            is_insider,
        };
        self.left = left;
        self.take(order, charge.total(), now);
        Ok(reservation)
    }

    fn take(&mut self, order: &Order, total: Amount, now: DateTime<Utc>) {
        let Some(buyer) = self.buyers.get_mut(&order.party_id) else {
            return;
        };
        if !buyer.is_holder {
            buyer.is_holder = true;
            self.holders.all += 1;
            if !buyer.standing.is_accredited(now) {
                self.holders.non_accredited += 1;
            }
        }
        // Both stay within bounds: the limits were checked against sums of the same figures.
        buyer.units = buyer.units.plus(order.units).unwrap_or(Amount::MAX);
        buyer.bought_in_year = buyer.bought_in_year.plus(total).unwrap_or(Amount::MAX);
        buyer.open_reservations += 1;
    }

    fn check_window(&self, order: &Order, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.status != OfferingStatus::Open {
            return Err(Refusal::new(
                "offering.open",
                "nothing is on sale here now",
                "wait until an offering of this property is open",
            )
            .looking_at("status", self.status));
        }
        if now < self.terms.opens_at || now >= self.terms.closes_at {
            return Err(Refusal::new(
                "offering.window",
                "this is outside the window of the sale",
                format!(
                    "buy from {} on and before {}",
                    self.terms.opens_at, self.terms.closes_at
                ),
            )
            .looking_at("now", now)
            .looking_at("opens_at", self.terms.opens_at)
            .looking_at("closes_at", self.terms.closes_at)
            .by("the offering"));
        }
        if !self.is_public && !order.is_guest {
            return Err(Refusal::new(
                "no_general_solicitation",
                "this offering is for invited people",
                "ask the issuer for an invitation",
            )
            .by(format!("{} version {}", self.pack.code, self.pack.version)));
        }
        Ok(())
    }

    fn check_limits(&self, order: &Order, buyer: &Buyer) -> Result<(), Refusal> {
        if order.units < self.terms.minimum {
            return Err(Refusal::new(
                "offering.minimum",
                "this is less than the offering's minimum",
                format!("buy {} or more", self.tokens(self.terms.minimum)),
            )
            .looking_at("tokens", self.tokens(order.units))
            .looking_at("minimum", self.tokens(self.terms.minimum))
            .by("the offering"));
        }
        let maximum = self.terms.maximum.unwrap_or(self.terms.hard_cap);
        let within = buyer.units.plus(order.units).is_ok_and(|sum| sum <= maximum);
        if !within {
            let more = maximum.minus(buyer.units).unwrap_or(Amount::ZERO);
            return Err(Refusal::new(
                "offering.maximum",
                "this is more than one party may buy of the offering",
                format!("buy {} or less", self.tokens(more)),
            )
            .looking_at("tokens", self.tokens(order.units))
            .looking_at("bought_before", self.tokens(buyer.units))
            .looking_at("maximum", self.tokens(maximum))
            .by("the offering"));
        }
        if buyer.open_reservations >= OPEN_RESERVATIONS_MAX {
            return Err(Refusal::new(
                "reservations.open",
                "too many reservations of yours wait for their payment",
                "pay or cancel one of them first",
            )
            .looking_at("open_reservations", buyer.open_reservations)
            .looking_at("maximum", OPEN_RESERVATIONS_MAX));
        }
        if order.units > self.left {
            return Err(self.not_enough_left(order.units));
        }
        Ok(())
    }

    fn not_enough_left(&self, units: Amount) -> Refusal {
        Refusal::new(
            "offering.left",
            "so many tokens are not left",
            format!(
                "buy {} or less, or come back when a reservation ran out",
                self.tokens(self.left)
            ),
        )
        .looking_at("tokens", self.tokens(units))
        .looking_at("left", self.tokens(self.left))
        .by("the offering")
    }

    fn check_rule(
        &self,
        rule: &PackRule,
        order: &Order,
        buyer: &Buyer,
        total: Amount,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let standing = &buyer.standing;
        let outcome = match &rule.rule {
            Rule::MinimumInvestment { amount_minor, .. } => self.minimum_investment(*amount_minor, total),
            Rule::YearlyLimit {
                amount_minor,
                accredited_too,
                ..
            } => {
                if !accredited_too && standing.is_accredited(now) {
                    Ok(())
                } else {
                    self.within_year(*amount_minor, buyer, total)
                }
            }
            Rule::WarningAbove {
                amount_minor,
                net_worth_ppm,
                ..
            } => self.warning(*amount_minor, *net_worth_ppm, order, standing, total, now),
            Rule::IdentityVerified {}
            | Rule::ScreeningClear {}
            | Rule::ResidencyIn { .. }
            | Rule::ResidencyNotIn { .. }
            | Rule::Accredited {}
            | Rule::EntryTestPassed {}
            | Rule::HolderCap { .. }
            | Rule::NonAccreditedHolderCap { .. } => of_a_holder(rule, standing, buyer.is_holder, self.holders, now),
            // These are about the offering and the close, not about an order.
            Rule::IssuerYearlyLimit { .. }
            | Rule::CoolingOff { .. }
            | Rule::ResaleRestricted { .. }
            | Rule::NoGeneralSolicitation {}
            | Rule::InsidersDoNotCount {}
            | Rule::EarlyClose { .. } => Ok(()),
        };
        outcome.map_err(|refusal| refusal.by(self.pack.source_of(rule)))
    }

    fn minimum_investment(&self, minimum: Amount, total: Amount) -> Result<(), Refusal> {
        if total >= minimum {
            return Ok(());
        }
        Err(Refusal::new(
            "minimum_investment",
            "this is worth less than the rules ask for",
            format!("buy tokens worth {} or more", self.currency.show(minimum)),
        )
        .looking_at("total", self.currency.show(total))
        .looking_at("minimum", self.currency.show(minimum)))
    }

    fn within_year(&self, limit: Amount, buyer: &Buyer, total: Amount) -> Result<(), Refusal> {
        if buyer.bought_in_year.plus(total).is_ok_and(|sum| sum <= limit) {
            return Ok(());
        }
        let more = limit.minus(buyer.bought_in_year).unwrap_or(Amount::ZERO);
        Err(Refusal::new(
            "yearly_limit",
            "this is more than you may buy in twelve months",
            format!("buy for {} or less now", self.currency.show(more)),
        )
        .looking_at("total", self.currency.show(total))
        .looking_at("bought_in_twelve_months", self.currency.show(buyer.bought_in_year))
        .looking_at("limit", self.currency.show(limit)))
    }

    fn check_own_limit(&self, buyer: &Buyer, total: Amount) -> Result<(), Refusal> {
        buyer.own_yearly_limit.map_or(Ok(()), |limit| {
            self.within_year(limit, buyer, total)
                .map_err(|refusal| refusal.by("a limit of your own, set by compliance"))
        })
    }

    fn warning(
        &self,
        floor: Amount,
        net_worth_ppm: u32,
        order: &Order,
        standing: &Standing,
        total: Amount,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        if standing.is_sophisticated(now) || order.accepts_warning {
            return Ok(());
        }
        let of_net_worth = standing
            .net_worth_minor
            .as_ref()
            .filter(|(_, currency)| currency == self.currency.code())
            .and_then(|(amount, _)| Amount::try_from(*amount).ok()?.part_half_up(net_worth_ppm).ok())
            .unwrap_or(Amount::ZERO);
        let above = floor.max(of_net_worth);
        if total <= above {
            return Ok(());
        }
        Err(Refusal::new(
            "warning_above",
            "this is a large part of what you have: you could lose all of it",
            "read the warning and order again with acceptsWarning: true",
        )
        .looking_at("total", self.currency.show(total))
        .looking_at("warning_above", self.currency.show(above)))
    }

    fn tokens(&self, units: Amount) -> String {
        format!("{} tokens", units.to_decimal(self.token_decimals))
    }
}

/// A rule as far as it is about who holds, and not about what is bought: of a buyer, and of whoever gets tokens otherwise.
fn of_a_holder(
    rule: &PackRule,
    standing: &Standing,
    is_holder: bool,
    holders: Holders,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    match &rule.rule {
        Rule::IdentityVerified {} => standing
            .identified(now)
            .map(|_| ())
            .map_err(|why| why.naming("identity_verified")),
        Rule::ScreeningClear {} => standing.screened(now).map_err(|why| why.naming("screening_clear")),
        Rule::ResidencyIn { countries } => residency(standing, rule, |country| countries.contains(country)),
        Rule::ResidencyNotIn { countries } => residency(standing, rule, |country| !countries.contains(country)),
        Rule::Accredited {} => accredited(standing, now),
        Rule::EntryTestPassed {} => entry_test(standing, now),
        Rule::HolderCap { parties } => cap("holder_cap", *parties, holders.all, is_holder),
        Rule::NonAccreditedHolderCap { parties } => {
            let passes = is_holder || standing.is_accredited(now);
            cap("non_accredited_holder_cap", *parties, holders.non_accredited, passes)
        }
        Rule::MinimumInvestment { .. }
        | Rule::YearlyLimit { .. }
        | Rule::WarningAbove { .. }
        | Rule::IssuerYearlyLimit { .. }
        | Rule::CoolingOff { .. }
        | Rule::ResaleRestricted { .. }
        | Rule::NoGeneralSolicitation {}
        | Rule::InsidersDoNotCount {}
        | Rule::EarlyClose { .. } => Ok(()),
    }
}

impl Refusal {
    fn naming(mut self, rule: &str) -> Refusal {
        rule.clone_into(&mut self.rule);
        self
    }
}

fn unknown_party() -> Refusal {
    Refusal::new("party.known", "nobody is known under this login", "ask the operator")
}

fn amount_refused(units: Amount, why: &str) -> Refusal {
    Refusal::new("order.amount", why, "choose another number of tokens").looking_at("units", units)
}

fn residency(standing: &Standing, rule: &PackRule, fits: impl Fn(&String) -> bool) -> Result<(), Refusal> {
    match &standing.residency {
        Some(country) if fits(country) => Ok(()),
        Some(country) => Err(Refusal::new(
            rule.rule.name(),
            "people who live where you live may not buy this",
            "nothing, unless your residency changes: then have it verified again",
        )
        .looking_at("residency", country)),
        None => Err(Refusal::new(
            rule.rule.name(),
            "it is not known where you live",
            "have your identity and residency verified",
        )),
    }
}

fn accredited(standing: &Standing, now: DateTime<Utc>) -> Result<(), Refusal> {
    if standing.is_accredited(now) {
        return Ok(());
    }
    let until = standing
        .accredited_until
        .map_or("never".to_owned(), |until| until.to_string());
    Err(Refusal::new(
        "accredited",
        "this is for accredited investors",
        "have your accreditation verified",
    )
    .looking_at("accredited_until", until))
}

fn entry_test(standing: &Standing, now: DateTime<Utc>) -> Result<(), Refusal> {
    if standing.is_sophisticated(now) || standing.has_passed_entry_test(now) {
        return Ok(());
    }
    Err(Refusal::new(
        "entry_test_passed",
        "the entry test is not passed, or too long ago",
        "take the entry test",
    ))
}

fn cap(name: &str, parties: u32, count: u32, passes: bool) -> Result<(), Refusal> {
    if passes || count < parties {
        return Ok(());
    }
    Err(Refusal::new(
        name,
        "as many parties as may hold this token do",
        "wait until somebody's tokens or reservations are given up",
    )
    .looking_at("holders", count)
    .looking_at("cap", parties))
}

/// The parties of orders, without repeats, in the order in which their rows are locked.
pub fn parties_in_lock_order(orders: impl IntoIterator<Item = Uuid>) -> Vec<Uuid> {
    orders.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
