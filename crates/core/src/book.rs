//! The accounts of one property in one currency, and entries made of moves between them.
//!
//! A command says what moves from where to where; the postings that come out balance by construction.

use uuid::Uuid;

use crate::{
    account::{Account, AccountRefused, Asset, AssetKind, Purpose, Scope},
    money::Amount,
    posting::{Posting, Postings, PostingsRefused},
};

/// One property's accounts in one currency, and those of its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The property.
    pub property_id: Uuid,
    /// Its token.
    pub token_id: Uuid,
    /// The currency's code.
    pub currency: String,
}

/// Where something moves from or to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The one account of this purpose: of the platform, the property or the token.
    Of(Purpose),
    /// A party's account of this purpose.
    Party(Purpose, Uuid),
}

/// Something that moves. Nothing moves where the amount is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// How much.
    pub amount: Amount,
    /// From where.
    pub from: Place,
    /// To where.
    pub to: Place,
}

impl Move {
    /// An amount between two accounts that are of no party.
    pub fn of(amount: Amount, from: Purpose, to: Purpose) -> Move {
        Move {
            amount,
            from: Place::Of(from),
            to: Place::Of(to),
        }
    }
}

/// Why moves are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEntry {
    /// There is no such account.
    #[error(transparent)]
    Account(#[from] AccountRefused),
    /// The moves do not balance or cross properties.
    #[error(transparent)]
    Postings(#[from] PostingsRefused),
}

impl Book {
    /// The entry that these moves are.
    ///
    /// # Errors
    /// When nothing moves, or a purpose is given a party that it does not have.
    pub fn entry(&self, moves: &[Move]) -> Result<Postings, NoEntry> {
        let mut lines = Vec::with_capacity(moves.len() * 2);
        for one in moves.iter().filter(|one| one.amount != Amount::ZERO) {
            lines.push(Posting::out_of(self.account(one.from)?, one.amount));
            lines.push(Posting::into(self.account(one.to)?, one.amount));
        }
        Ok(Postings::new(lines)?)
    }

    fn account(&self, place: Place) -> Result<Account, AccountRefused> {
        let (purpose, party_id) = match place {
            Place::Of(purpose) => (purpose, None),
            Place::Party(purpose, party_id) => (purpose, Some(party_id)),
        };
        let asset = match purpose.asset_kind() {
            AssetKind::Currency => Asset::Currency(self.currency.clone()),
            AssetKind::Token => Asset::Token(self.token_id),
        };
        let property_id = match purpose.scope() {
            Scope::Platform | Scope::Party => None,
            Scope::Property | Scope::Token | Scope::TokenParty => Some(self.property_id),
        };
        Account::new(purpose, asset, property_id, party_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_an_entry_or_refused() {
        let book = Book {
            property_id: Uuid::from_u128(1),
            token_id: Uuid::from_u128(2),
            currency: "USD".to_owned(),
        };
        let five = Amount::try_from(5).unwrap();
        let close = book.entry(&[
            Move::of(five, Purpose::EscrowBank, Purpose::Proceeds),
            Move::of(Amount::ZERO, Purpose::EscrowBank, Purpose::Fees),
            Move {
                amount: five,
                from: Place::Of(Purpose::ReservedPaid),
                to: Place::Party(Purpose::Held, Uuid::from_u128(3)),
            },
        ]);
        assert_eq!(close.unwrap().lines().len(), 4);
        assert_eq!(book.entry(&[]), Err(NoEntry::Postings(PostingsRefused::Empty)));
        let without_party = book.entry(&[Move::of(five, Purpose::ReservedPaid, Purpose::Held)]);
        assert!(matches!(without_party, Err(NoEntry::Account(_))));
    }
}
