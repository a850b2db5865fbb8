//! A property as its rent sees it: its token, its currency, its accounts.

use std::collections::BTreeMap;

use mint_core::{
    account::Purpose,
    book::Book,
    money::{Amount, Currency, Decimals},
};
use uuid::Uuid;

use crate::{
    command::Command,
    db::sql,
    offerings::{record::amount, supply},
    permission::Person,
    problem::Problem,
};

/// A property with a launched token.
#[derive(Debug, Clone)]
pub struct House {
    /// The property.
    pub property_id: Uuid,
    /// Its token.
    pub token_id: Uuid,
    /// The currency in which it is let, sold and paid.
    pub currency: Currency,
}

impl House {
    /// The property, without a lock.
    ///
    /// # Errors
    /// [`Problem::NotFound`] where it has no launched token.
    pub async fn load(command: &Command, property_id: Uuid) -> Result<House, Problem> {
        let text = sql!(
            "select id, currency, currency_decimals from public.property_tokens
             where property_id = $1 and status = 'launched' order by created_at, id limit 1"
        );
        let row = command
            .tx
            .query_opt(text, &[&property_id])
            .await?
            .ok_or(Problem::NotFound)?;
        let decimals = u8::try_from(row.try_get::<_, i16>(2)?).map_err(Problem::internal)?;
        let decimals = Decimals::try_from(decimals).map_err(Problem::internal)?;
        Ok(House {
            property_id,
            token_id: row.try_get(0)?,
            currency: Currency::new(row.try_get(1)?, decimals).map_err(Problem::internal)?,
        })
    }

    /// The property, with its token's supply locked: the register and the distributable cash stay as they are until the
    /// command ends.
    ///
    /// # Errors
    /// [`Problem::NotFound`] where it has no launched token.
    pub async fn lock(command: &Command, property_id: Uuid) -> Result<House, Problem> {
        let house = House::load(command, property_id).await?;
        supply::lock(command, house.token_id).await?;
        Ok(house)
    }

    /// Its accounts.
    #[must_use]
    pub fn book(&self) -> Book {
        Book {
            property_id: self.property_id,
            token_id: self.token_id,
            currency: self.currency.code().to_owned(),
        }
    }

    /// Decimals of its currency, as tables have them.
    #[must_use]
    pub fn decimals(&self) -> i16 {
        i16::from(self.currency.decimals().get())
    }

    /// What lies in its cash accounts, by the names of their purposes.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn balances(&self, command: &Command) -> Result<BTreeMap<String, Amount>, Problem> {
        let text = sql!(
            "select a.purpose, b.balance from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
             where a.property_id = $1 and a.asset = $2 and not a.is_outside"
        );
        let rows = command
            .tx
            .query(text, &[&self.property_id, &self.currency.code()])
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, amount(row.try_get(1)?)?)))
            .collect()
    }

    /// A figure that somebody wrote, in its currency.
    ///
    /// # Errors
    /// [`Problem::Invalid`] with the field's name.
    pub fn figure(&self, field: &str, text: &str) -> Result<Amount, Problem> {
        Amount::parse(text, self.currency.decimals()).map_err(|error| Problem::Invalid(format!("{field}: {error}")))
    }
}

/// The balance of one purpose.
#[must_use]
pub fn of(balances: &BTreeMap<String, Amount>, purpose: Purpose) -> Amount {
    balances.get(purpose.name()).copied().unwrap_or(Amount::ZERO)
}

/// An admin, or who manages the property.
///
/// # Errors
/// [`Problem::NotFound`] or [`Problem::NotPermitted`].
pub async fn acts_for(command: &Command, person: &Person, property_id: Uuid) -> Result<(), Problem> {
    if person.admin().is_err() {
        person.manager_of(command, property_id).await?;
    }
    Ok(())
}
