//! The ledger's accounts: what each is for, what lies in it, whose it is.
//!
//! The chart stands in the database (`ledger.purposes`), where the kernel enforces it; this is its twin, so that code can
//! only name accounts that exist. A test compares the two.

use uuid::Uuid;

/// What can lie in an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// A currency, by its code.
    Currency(String),
    /// The token of a property, by the id of its row in `property_tokens`.
    Token(Uuid),
}

impl Asset {
    /// Its code in the ledger: the currency's, or `token:<id>`.
    pub fn code(&self) -> String {
        match self {
            Asset::Currency(code) => code.clone(),
            Asset::Token(id) => format!("token:{id}"),
        }
    }

    /// Whether it is a currency or a token.
    pub fn kind(&self) -> AssetKind {
        match self {
            Asset::Currency(_) => AssetKind::Currency,
            Asset::Token(_) => AssetKind::Token,
        }
    }
}

/// The two kinds of assets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetKind {
    /// Money.
    Currency,
    /// Shares of a property.
    Token,
}

impl AssetKind {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            AssetKind::Currency => "currency",
            AssetKind::Token => "token",
        }
    }
}

/// Whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One for the whole platform.
    Platform,
    /// One for each property.
    Property,
    /// One for each party.
    Party,
    /// One for each token, and so of its property.
    Token,
    /// One for each party's holding of a token.
    TokenParty,
}

impl Scope {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Platform => "platform",
            Scope::Property => "property",
            Scope::Party => "party",
            Scope::Token => "token",
            Scope::TokenParty => "token_party",
        }
    }
}

/// Writes the chart once: the enum, its names and its properties cannot fall apart.
macro_rules! chart {
    ($($(#[doc = $doc:literal])+ $variant:ident: $name:literal, $kind:ident, $scope:ident, $is_outside:literal;)*) => {
        /// What an account is for. `ledger.purposes` says what lies in each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Purpose { $($(#[doc = $doc])+ $variant,)* }

        impl Purpose {
            /// All of them.
            pub const ALL: &[Purpose] = &[$(Purpose::$variant,)*];

            /// The name in the database.
            pub fn name(self) -> &'static str {
                match self { $(Purpose::$variant => $name,)* }
            }

            /// What can lie in such an account.
            pub fn asset_kind(self) -> AssetKind {
                match self { $(Purpose::$variant => AssetKind::$kind,)* }
            }

            /// Whose such an account is.
            pub fn scope(self) -> Scope {
                match self { $(Purpose::$variant => Scope::$scope,)* }
            }

            /// Whether it stands for the outside world and may go below zero.
            pub fn is_outside(self) -> bool {
                match self { $(Purpose::$variant => $is_outside,)* }
            }
        }
    };
}

chart! {
    /// Everybody's money that is not here.
    OutsideBank: "outside_bank", Currency, Platform, true;
    /// Money at payment providers that has not reached us.
    OutsidePsp: "outside_psp", Currency, Platform, true;
    /// Fees taken by the platform.
    PlatformFees: "platform_fees", Currency, Platform, false;
    /// Money of an offering that has not closed, at the custodian.
    EscrowBank: "escrow_bank", Currency, Property, false;
    /// Escrow at a closing agent.
    EscrowAgent: "escrow_agent", Currency, Property, false;
    /// Payments confirmed by a provider and not yet with the custodian.
    PspClearing: "psp_clearing", Currency, Property, false;
    /// Money that fits no investment yet.
    Unmatched: "unmatched", Currency, Property, false;
    /// The same, not yet with the custodian.
    PspUnmatched: "psp_unmatched", Currency, Property, false;
    /// Money to be given back.
    RefundPayable: "refund_payable", Currency, Property, false;
    /// The same, not yet with the custodian.
    PspRefundPayable: "psp_refund_payable", Currency, Property, false;
    /// What buyers owe after a chargeback.
    ChargebackReceivable: "chargeback_receivable", Currency, Property, true;
    /// What a closed sale brought the issuer.
    Proceeds: "proceeds", Currency, Property, false;
    /// Fees earned on the property.
    Fees: "fees", Currency, Property, false;
    /// Money of the property that may be spent or distributed.
    OperatingCash: "operating_cash", Currency, Property, false;
    /// Money of the property kept for what comes.
    Reserve: "reserve", Currency, Property, false;
    /// Rent received and not yet assigned.
    RentIncome: "rent_income", Currency, Property, false;
    /// Set aside for property taxes.
    CostTaxes: "cost_taxes", Currency, Property, false;
    /// Set aside for insurance.
    CostInsurance: "cost_insurance", Currency, Property, false;
    /// Set aside for maintenance.
    CostMaintenance: "cost_maintenance", Currency, Property, false;
    /// Set aside for the property manager's fee.
    CostManager: "cost_manager", Currency, Property, false;
    /// Declared to holders and not yet posted to each.
    PayableToInvestors: "payable_to_investors", Currency, Property, false;
    /// Tax withheld from holders, until remitted.
    Withheld: "withheld", Currency, Property, false;
    /// Left over by rounding within a period.
    Rounding: "rounding", Currency, Property, false;
    /// What the platform owes a party.
    Payable: "payable", Currency, Party, false;
    /// Sent to a party and not yet confirmed.
    PayoutClearing: "payout_clearing", Currency, Party, false;
    /// Where tokens come from.
    Authorised: "authorised", Token, Token, true;
    /// Tokens that can be reserved.
    Available: "available", Token, Token, false;
    /// Tokens reserved without money.
    ReservedPending: "reserved_pending", Token, Token, false;
    /// Tokens whose money is in escrow.
    ReservedPaid: "reserved_paid", Token, Token, false;
    /// Tokens kept by the issuer.
    Treasury: "treasury", Token, Token, false;
    /// Tokens taken out for ever.
    Burned: "burned", Token, Token, false;
    /// Tokens that a party holds.
    Held: "held", Token, TokenParty, false;
}

/// Why an account cannot be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefused {
    /// A purpose of currencies with a token, or the other way round.
    #[error("a {} account holds a {}", .0.name(), .0.asset_kind().name())]
    WrongAsset(Purpose),
    /// A property or party is missing, or one too many.
    #[error("a {} account is one of a {}", .0.name(), .0.scope().name())]
    WrongOwner(Purpose),
}

/// One account, named by what it is for, what lies in it and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    purpose: Purpose,
    asset: Asset,
    property_id: Option<Uuid>,
    party_id: Option<Uuid>,
}

impl Account {
    /// Names an account; `property_id` of a token's account is that of the token's property.
    pub fn new(
        purpose: Purpose,
        asset: Asset,
        property_id: Option<Uuid>,
        party_id: Option<Uuid>,
    ) -> Result<Account, AccountRefused> {
        if asset.kind() != purpose.asset_kind() {
            return Err(AccountRefused::WrongAsset(purpose));
        }
        let wanted = match purpose.scope() {
            Scope::Platform => (false, false),
            Scope::Property | Scope::Token => (true, false),
            Scope::Party => (false, true),
            Scope::TokenParty => (true, true),
        };
        if (property_id.is_some(), party_id.is_some()) != wanted {
            return Err(AccountRefused::WrongOwner(purpose));
        }
        Ok(Account {
            purpose,
            asset,
            property_id,
            party_id,
        })
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// What lies in it.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The property it is of, if of one.
    pub fn property_id(&self) -> Option<Uuid> {
        self.property_id
    }

    /// The party it is of, if of one.
    pub fn party_id(&self) -> Option<Uuid> {
        self.party_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Asset {
        Asset::Currency("USD".to_owned())
    }

    #[test]
    fn an_account_has_the_owner_that_its_purpose_asks_for() {
        let id = Some(Uuid::nil());
        for &purpose in Purpose::ALL {
            let asset = match purpose.asset_kind() {
                AssetKind::Currency => usd(),
                AssetKind::Token => Asset::Token(Uuid::nil()),
            };
            let owners = [(None, None), (id, None), (None, id), (id, id)];
            let fitting = owners
                .iter()
                .filter(|(property, party)| Account::new(purpose, asset.clone(), *property, *party).is_ok());
            assert_eq!(fitting.count(), 1, "{purpose:?}");
        }
    }

    #[test]
    fn money_never_lies_in_a_token_account() {
        let refused = Account::new(Purpose::Held, usd(), Some(Uuid::nil()), Some(Uuid::nil()));
        assert_eq!(refused.unwrap_err().to_string(), "a held account holds a token");
    }
}
