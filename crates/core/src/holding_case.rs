//! Case files about holdings: who may approve one, and what a redemption or the winding up of a property pays.
//!
//! Absent on purpose: what a case does to lots, which is [`crate::lots`].

use std::fmt;

use uuid::Uuid;

use crate::{money::Amount, refusal::Refusal};

/// What a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseKind {
    /// A holder's tokens cannot move, and his property pays nothing out to him.
    Freeze,
    /// A freeze ends.
    Release,
    /// Tokens go to another party whether their holder agrees or not: a court's order, an inheritance.
    ForcedTransfer,
    /// Everything that a party holds goes to another login of the same person, who lost the old one.
    Recovery,
    /// A holder's tokens are taken out for ever, against money of the property.
    Redemption,
    /// The property is sold: everybody's tokens are taken out, against everything that it has.
    WindUp,
}

impl CaseKind {
    /// All of them.
    pub const ALL: [CaseKind; 6] = [
        CaseKind::Freeze,
        CaseKind::Release,
        CaseKind::ForcedTransfer,
        CaseKind::Recovery,
        CaseKind::Redemption,
        CaseKind::WindUp,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            CaseKind::Freeze => "freeze",
            CaseKind::Release => "release",
            CaseKind::ForcedTransfer => "forced_transfer",
            CaseKind::Recovery => "recovery",
            CaseKind::Redemption => "redemption",
            CaseKind::WindUp => "wind_up",
        }
    }

    /// Whether it rests on a paper in the file: where tokens change hands without their holder.
    pub fn needs_paper(self) -> bool {
        match self {
            CaseKind::ForcedTransfer | CaseKind::Recovery => true,
            CaseKind::Freeze | CaseKind::Release | CaseKind::Redemption | CaseKind::WindUp => false,
        }
    }
}

impl fmt::Display for CaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for CaseKind {
    type Err = UnknownCaseKind;
    fn from_str(name: &str) -> Result<CaseKind, UnknownCaseKind> {
        let known = CaseKind::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownCaseKind(name.to_owned()))
    }
}

/// A kind that the database has and this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a kind of case")]
pub struct UnknownCaseKind(pub String);

/// The parties of those who had a hand in a case so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hands {
    /// Of who opened it.
    pub opener: Uuid,
    /// Of who approved first, where somebody did.
    pub first: Option<Uuid>,
    /// Of the holder, and of who gets the tokens.
    pub about: Vec<Uuid>,
}

/// What one more approval makes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// One more is needed.
    First,
    /// It is done.
    Second,
}

/// Lets an overseer of a party approve: nobody twice, nobody what he opened as somebody else's first approval, nobody what is
/// about himself. Opened by an overseer, a case has its first approval with that.
///
/// # Errors
/// `four_eyes`.
pub fn approve(hands: &Hands, party: Uuid) -> Result<Approval, Refusal> {
    let no = |reason: &str| Err(Refusal::new("four_eyes", reason, "ask another person with the role"));
    if hands.about.contains(&party) {
        return no("nobody approves a case about himself");
    }
    if hands.opener == party || hands.first == Some(party) {
        return no("a case is approved by two people, each once");
    }
    Ok(match hands.first {
        None => Approval::First,
        Some(_) => Approval::Second,
    })
}

/// What a property has when tokens are to be taken out against its money, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Till {
    /// Can be spent or distributed.
    pub operating_cash: Amount,
    /// Kept for what comes.
    pub reserve: Amount,
    /// Set aside for bills.
    pub set_aside: Amount,
    /// Earned by the manager, and not paid to him.
    pub manager_fee: Amount,
}

/// Lets a redemption be paid.
///
/// # Errors
/// `redemption.cash`.
pub fn can_redeem(price: Amount, till: &Till) -> Result<(), Refusal> {
    if price <= till.operating_cash {
        return Ok(());
    }
    Err(Refusal::new(
        "redemption.cash",
        "the property does not have that much to spend",
        "redeem fewer tokens, or record the rent first: money of another property or of the platform is not used",
    )
    .looking_at("amount_minor", price)
    .looking_at("operating_cash_minor", till.operating_cash))
}

/// What stands in the way of winding a property up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Offerings being prepared, open or funded.
    pub offerings: i64,
    /// Periods of rent that nobody decided.
    pub rent_periods: i64,
    /// Distributions asked for, or declared and not wholly credited.
    pub distributions: i64,
    /// Open incidents.
    pub incidents: u64,
}

/// What all holders of a property get when it is wound up: the price that it brought, its reserve, and what was set aside and
/// is not needed any more.
///
/// # Errors
/// `wind_up.pending`, `wind_up.undistributed`, `wind_up.unpaid`, and what is too much to be exact.
pub fn wind_up(price: Amount, till: &Till, pending: &Pending) -> Result<Amount, Refusal> {
    let Pending {
        offerings,
        rent_periods,
        distributions,
        incidents,
    } = *pending;
    if [offerings, rent_periods, distributions] != [0; 3] || incidents != 0 {
        return Err(Refusal::new(
            "wind_up.pending",
            "something of the property is not finished",
            "close or cancel its offerings, decide its periods of rent, pay its distributions, clear its incidents",
        )
        .looking_at("offerings", offerings)
        .looking_at("rent_periods", rent_periods)
        .looking_at("distributions", distributions)
        .looking_at("incidents", incidents));
    }
    if till.operating_cash != Amount::ZERO {
        return Err(Refusal::new(
            "wind_up.undistributed",
            "there is rent that was not distributed",
            "distribute it first: it is income, and what the property brings is capital",
        )
        .looking_at("operating_cash_minor", till.operating_cash));
    }
    if till.manager_fee != Amount::ZERO {
        return Err(Refusal::new(
            "wind_up.unpaid",
            "the manager has earned a fee that was not paid",
            "pay it, and record the bank's line with the last period of rent",
        )
        .looking_at("manager_fee_minor", till.manager_fee));
    }
    Amount::sum([price, till.reserve, till.set_aside]).map_err(|_| {
        Refusal::new(
            "wind_up.amount",
            "that is more than an amount can be",
            "look at the price",
        )
        .looking_at("price_minor", price)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    #[test]
    fn two_people_approve_who_did_not_open_it_and_are_not_in_it() {
        let [manager, officer, admin, holder] = [1, 2, 3, 4].map(Uuid::from_u128);
        let by_manager = Hands {
            opener: manager,
            first: None,
            about: vec![holder],
        };
        assert_eq!(approve(&by_manager, officer), Ok(Approval::First));
        let approved = Hands {
            first: Some(officer),
            ..by_manager.clone()
        };
        assert_eq!(approve(&approved, admin), Ok(Approval::Second));
        for (hands, party) in [
            (&by_manager, manager),
            (&by_manager, holder),
            (&approved, manager),
            (&approved, officer),
            (&approved, holder),
        ] {
            assert_eq!(approve(hands, party).unwrap_err().rule, "four_eyes");
        }
        // An overseer's opening is the first approval.
        let by_officer = Hands {
            opener: officer,
            first: Some(officer),
            about: vec![holder],
        };
        assert_eq!(approve(&by_officer, admin), Ok(Approval::Second));
        assert!(approve(&by_officer, officer).is_err());
    }

    #[test]
    fn a_redemption_takes_what_there_is_at_most() {
        let till = Till {
            operating_cash: amount(100),
            reserve: amount(1_000),
            ..Till::default()
        };
        assert_eq!(can_redeem(amount(100), &till), Ok(()));
        assert_eq!(can_redeem(amount(101), &till).unwrap_err().rule, "redemption.cash");
    }

    #[test]
    fn a_property_is_wound_up_with_everything_it_has_and_nothing_unfinished() {
        let till = Till {
            reserve: amount(30),
            set_aside: amount(7),
            ..Till::default()
        };
        assert_eq!(wind_up(amount(1_000), &till, &Pending::default()), Ok(amount(1_037)));
        let rule = |till: &Till, pending: &Pending| wind_up(amount(1), till, pending).unwrap_err().rule;
        let undistributed = Till {
            operating_cash: amount(1),
            ..till
        };
        assert_eq!(rule(&undistributed, &Pending::default()), "wind_up.undistributed");
        let unpaid = Till {
            manager_fee: amount(1),
            ..till
        };
        assert_eq!(rule(&unpaid, &Pending::default()), "wind_up.unpaid");
        for pending in [
            Pending {
                offerings: 1,
                ..Pending::default()
            },
            Pending {
                rent_periods: 1,
                ..Pending::default()
            },
            Pending {
                distributions: 1,
                ..Pending::default()
            },
            Pending {
                incidents: 1,
                ..Pending::default()
            },
        ] {
            assert_eq!(rule(&till, &pending), "wind_up.pending");
        }
        let most = Till {
            reserve: amount(crate::money::AMOUNT_MAX),
            ..Till::default()
        };
        assert_eq!(rule(&most, &Pending::default()), "wind_up.amount");
    }

    #[test]
    fn kinds_read_back() {
        for kind in CaseKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("gift".parse::<CaseKind>().is_err());
    }
}
