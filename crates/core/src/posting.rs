//! What an entry of the ledger posts: amounts that leave accounts and arrive in others.
//!
//! [`Postings`] cannot be built unless they balance per asset (L1) and keep cash within one property (L9), so what reaches
//! the kernel of the database can only be refused there for what is known there alone: a balance, or a used key.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Account, Asset, AssetKind};
use crate::money::Amount;

/// One line: how much arrives in (above zero) or leaves (below zero) an account, in smallest units of its asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    account: Account,
    units: i64,
}

impl Posting {
    /// An amount that leaves an account.
    pub fn out_of(account: Account, amount: Amount) -> Posting {
        Posting {
            account,
            units: -amount.get(),
        }
    }

    /// An amount that arrives in an account.
    pub fn into(account: Account, amount: Amount) -> Posting {
        Posting {
            account,
            units: amount.get(),
        }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Smallest units, below zero for what leaves.
    pub fn units(&self) -> i64 {
        self.units
    }
}

/// Why postings are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostingsRefused {
    /// There is no line.
    #[error("an entry without postings records nothing")]
    Empty,
    /// A line of zero.
    #[error("a posting of zero moves nothing")]
    Zero,
    /// What leaves is not what arrives.
    #[error("the postings in {} add up to {off} instead of 0", asset.code())]
    Unbalanced {
        /// The asset.
        asset: Asset,
        /// What they add up to, in smallest units.
        off: i128,
    },
    /// Cash of two properties in one entry.
    #[error("cash of two properties in one entry: each property is ring-fenced")]
    TwoProperties,
}

/// The lines of one entry, which balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postings(Vec<Posting>);

impl Postings {
    /// Makes sure that the lines are an entry. Their order is kept: it is part of what a retry must repeat.
    pub fn new(lines: Vec<Posting>) -> Result<Postings, PostingsRefused> {
        if lines.is_empty() {
            return Err(PostingsRefused::Empty);
        }
        let mut sums: BTreeMap<&Asset, i128> = BTreeMap::new();
        let mut properties = BTreeSet::new();
        for line in &lines {
            if line.units == 0 {
                return Err(PostingsRefused::Zero);
            }
            *sums.entry(line.account.asset()).or_default() += i128::from(line.units);
            if line.account.asset().kind() == AssetKind::Currency {
                properties.extend(line.account.property_id());
            }
        }
        if let Some((asset, off)) = sums.into_iter().find(|(_, sum)| *sum != 0) {
            return Err(PostingsRefused::Unbalanced {
                asset: asset.clone(),
                off,
            });
        }
        if properties.len() > 1 {
            return Err(PostingsRefused::TwoProperties);
        }
        Ok(Postings(lines))
    }

    /// The commonest entry: an amount from one account to another.
    pub fn moving(amount: Amount, from: Account, to: Account) -> Result<Postings, PostingsRefused> {
        Postings::new(vec![Posting::out_of(from, amount), Posting::into(to, amount)])
    }

    /// The entry that undoes this one.
    pub fn reversed(&self) -> Postings {
        Postings(
            self.0
                .iter()
                .map(|line| Posting {
                    account: line.account.clone(),
                    units: -line.units,
                })
                .collect(),
        )
    }

    /// The lines, in order.
    pub fn lines(&self) -> &[Posting] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::account::Purpose;

    fn cash(purpose: Purpose, property: u128) -> Account {
        Account::new(
            purpose,
            Asset::Currency("USD".to_owned()),
            Some(Uuid::from_u128(property)),
            None,
        )
        .unwrap()
    }

    fn bank() -> Account {
        Account::new(Purpose::OutsideBank, Asset::Currency("USD".to_owned()), None, None).unwrap()
    }

    fn tokens(purpose: Purpose) -> Account {
        Account::new(purpose, Asset::Token(Uuid::nil()), Some(Uuid::from_u128(1)), None).unwrap()
    }

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    #[test]
    fn what_is_no_entry_is_refused_with_its_reason() {
        assert_eq!(Postings::new(vec![]), Err(PostingsRefused::Empty));
        assert_eq!(
            Postings::moving(Amount::ZERO, bank(), cash(Purpose::EscrowBank, 1)),
            Err(PostingsRefused::Zero)
        );
        let fenced = Postings::moving(amount(5), cash(Purpose::EscrowBank, 1), cash(Purpose::EscrowBank, 2));
        assert_eq!(fenced, Err(PostingsRefused::TwoProperties));
        let uneven = Postings::new(vec![
            Posting::out_of(bank(), amount(100)),
            Posting::into(cash(Purpose::EscrowBank, 1), amount(100)),
            Posting::out_of(tokens(Purpose::Available), amount(2)),
            Posting::into(tokens(Purpose::ReservedPending), amount(1)),
        ]);
        let reason = uneven.unwrap_err().to_string();
        assert_eq!(
            reason,
            format!("the postings in token:{} add up to -1 instead of 0", Uuid::nil())
        );
    }

    #[test]
    fn one_asset_never_pays_for_another() {
        let lines = vec![
            Posting::out_of(bank(), amount(1)),
            Posting::into(tokens(Purpose::Available), amount(1)),
        ];
        assert!(matches!(Postings::new(lines), Err(PostingsRefused::Unbalanced { .. })));
    }

    proptest! {
        #[test]
        fn whatever_can_be_built_balances(lines in proptest::collection::vec((0..4_usize, -3..=3_i64), 0..8)) {
            let accounts = [bank(), cash(Purpose::EscrowBank, 1), cash(Purpose::Fees, 1), tokens(Purpose::Available)];
            let lines: Vec<Posting> = lines
                .into_iter()
                .map(|(which, units)| Posting { account: accounts[which].clone(), units })
                .collect();
            let sums = |asset: AssetKind| -> i64 {
                lines.iter().filter(|line| line.account.asset().kind() == asset).map(Posting::units).sum()
            };
            let balances = sums(AssetKind::Currency) == 0 && sums(AssetKind::Token) == 0;
            let moves = !lines.is_empty() && lines.iter().all(|line| line.units != 0);
            let built = Postings::new(lines.clone());
            prop_assert_eq!(built.is_ok(), balances && moves);
            if let Ok(postings) = built {
                prop_assert_eq!(postings.reversed().reversed(), postings);
            }
        }
    }
}
