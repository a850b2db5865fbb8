//! Transfers: what a holder and a receiver agree on before tokens move between them.
//!
//! No money of a sale passes through the platform: the price is what both say, and decides the cost of what the receiver gets.

use chrono::TimeDelta;

use crate::{lots::DisposalKind, money::Amount, refusal::Refusal};

/// How long the receiver has to answer.
pub const ANSWER_WITHIN: TimeDelta = TimeDelta::days(14);

/// How long the third person has to decide.
pub const DECIDE_WITHIN: TimeDelta = TimeDelta::days(30);

/// What is paid for all of the tokens, in smallest units: something for a sale, nothing for all else.
///
/// # Errors
/// `transfer.kind` for what a holder cannot do by himself, `transfer.price`.
pub fn asked_price(kind: DisposalKind, price: Option<Amount>) -> Result<Amount, Refusal> {
    match kind {
        DisposalKind::Sale => price.filter(|price| *price > Amount::ZERO).ok_or_else(|| {
            Refusal::new(
                "transfer.price",
                "a sale has a price",
                "name the price that you agreed on, for all of the tokens",
            )
        }),
        DisposalKind::Gift | DisposalKind::OwnWallet => match price {
            None | Some(Amount::ZERO) => Ok(Amount::ZERO),
            Some(_) => Err(Refusal::new(
                "transfer.price",
                "nothing is paid for what is given",
                "leave the price out, or ask for a sale",
            )
            .looking_at("kind", kind.name())),
        },
        DisposalKind::Recovery | DisposalKind::Forced | DisposalKind::Redemption => Err(Refusal::new(
            "transfer.kind",
            "holders do not do this by themselves",
            "ask for a sale, a gift, or a move to another party of yours (own_wallet)",
        )
        .looking_at("kind", kind.name())),
    }
}

/// Both say the same price.
///
/// # Errors
/// `transfer.price`.
pub fn confirmed_price(asked: Amount, said: Option<Amount>) -> Result<(), Refusal> {
    if said.unwrap_or(Amount::ZERO) == asked {
        return Ok(());
    }
    Err(Refusal::new(
        "transfer.price",
        "you and the holder say different prices",
        "confirm the price that the transfer has, or decline it and agree on another",
    )
    .looking_at("price_minor", asked)
    .looking_at("said_minor", said.map_or("none".to_owned(), |said| said.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_has_a_price_that_both_say_and_a_gift_has_none() {
        let five = Amount::try_from(5).unwrap();
        assert_eq!(asked_price(DisposalKind::Sale, Some(five)), Ok(five));
        for (kind, price, rule) in [
            (DisposalKind::Sale, None, "transfer.price"),
            (DisposalKind::Sale, Some(Amount::ZERO), "transfer.price"),
            (DisposalKind::Gift, Some(five), "transfer.price"),
            (DisposalKind::Forced, None, "transfer.kind"),
            (DisposalKind::Recovery, None, "transfer.kind"),
            (DisposalKind::Redemption, Some(five), "transfer.kind"),
        ] {
            assert_eq!(asked_price(kind, price).unwrap_err().rule, rule, "{kind:?}");
        }
        assert_eq!(
            asked_price(DisposalKind::OwnWallet, Some(Amount::ZERO)),
            Ok(Amount::ZERO)
        );
        assert_eq!(confirmed_price(five, Some(five)), Ok(()));
        assert_eq!(confirmed_price(Amount::ZERO, None), Ok(()));
        assert_eq!(confirmed_price(five, None).unwrap_err().rule, "transfer.price");
    }
}
