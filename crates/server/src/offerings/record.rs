//! An offering as the database has it, and locked.

use chrono::{DateTime, TimeDelta, Utc};
use mint_core::{
    book::Book,
    money::{Amount, Currency, Decimals},
    offering::{Kind, Terms},
    rule_pack::RulePack,
    states::OfferingStatus,
};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{packs, supply};
use crate::{
    command::Command,
    db::sql,
    problem::{AnyError, Problem},
};

/// An offering with everything that its commands look at.
#[derive(Debug, Clone)]
pub struct Offering {
    /// Its id.
    pub id: Uuid,
    /// Its property.
    pub property_id: Uuid,
    /// What it sells.
    pub token_id: Uuid,
    /// How far it is.
    pub status: OfferingStatus,
    /// What it promises.
    pub terms: Terms,
    /// Its rule pack.
    pub pack: RulePack,
    /// Its currency.
    pub currency: Currency,
    /// Decimals of the token.
    pub token_decimals: Decimals,
    /// Whether real money is taken.
    pub is_live: bool,
    /// Whether everybody may see it.
    pub is_public: bool,
    /// Days for which a buyer may withdraw after paying.
    pub cooling_off: TimeDelta,
    /// How long a reservation holds.
    pub reservation: TimeDelta,
    /// When an announced early close takes effect.
    pub early_close_at: Option<DateTime<Utc>>,
    /// What lies with the closing agent.
    pub agent: Amount,
    /// Whether the principal went to the closing agent.
    pub is_with_agent: bool,
    /// When the sale ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who prepared it.
    pub created_by: Uuid,
    /// What the running offering can still sell, once locked.
    pub left: Amount,
}

/// An offering ($1) with its rule pack, for [`read`].
pub(crate) const LOAD: &str = sql!(
    "select o.id, o.property_id, o.property_token_id, o.status, o.kind, o.price_minor, o.soft_cap_units, o.hard_cap_units,
            o.minimum_units, o.maximum_units, o.opens_at, o.closes_at, o.long_stop_at, r.code, r.version, r.rules,
            o.currency, o.currency_decimals, o.token_decimals, o.is_live, o.is_public, o.cooling_off_days,
            o.reservation_minutes, o.early_close_at, o.agent_minor, o.with_agent_at, o.ended_at, o.created_by
     from public.offerings as o join public.rule_packs as r on r.id = o.rule_pack_id
     where o.id = $1"
);

/// Locks the row of the supply of an offering's ($1) token; what can be reserved, and what the offering can still sell.
pub(crate) const LOCK_SUPPLY: &str = sql!(
    "select s.available_units, s.offering_left_units from public.property_token_supply as s
     where s.property_token_id = (select o.property_token_id from public.offerings as o where o.id = $1) for no key update"
);

/// Locks an offering ($1), after its token's supply.
pub(crate) const LOCK_OFFERING: &str = sql!("select from public.offerings where id = $1 for no key update");

/// The offering of a property ($1) that is running, or came last.
pub(crate) const CURRENT: &str = sql!(
    "select id from public.offerings where property_id = $1 and status not in ('draft', 'cancelled')
     order by status in ('open', 'funded') desc, opened_at desc nulls last, id limit 1"
);

impl Offering {
    /// The accounts that its commands move things between.
    #[must_use]
    pub fn book(&self) -> Book {
        Book {
            property_id: self.property_id,
            token_id: self.token_id,
            currency: self.currency.code().to_owned(),
        }
    }

    /// The offering, with its token's supply and its own row locked until the command ends.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn lock(command: &Command, id: Uuid) -> Result<Offering, Problem> {
        let text = sql!("select property_token_id from public.offerings where id = $1");
        let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
        let (available, left) = supply::lock(command, row.try_get(0)?).await?;
        let text = sql!("select from public.offerings where id = $1 for no key update");
        command.tx.query_one(text, &[&id]).await?;
        let mut offering = Offering::load(command, id).await?;
        offering.left = amount(left.min(available))?;
        Ok(offering)
    }

    /// The offering as it is now, without a lock.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn load(command: &Command, id: Uuid) -> Result<Offering, Problem> {
        let row = command.tx.query_opt(LOAD, &[&id]).await?.ok_or(Problem::NotFound)?;
        read(&row)
    }

    /// The offering of a property that is running, or came last.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when there never was one.
    pub async fn current_of(command: &Command, property_id: Uuid) -> Result<Uuid, Problem> {
        let row = command
            .tx
            .query_opt(CURRENT, &[&property_id])
            .await?
            .ok_or(Problem::NotFound)?;
        Ok(row.try_get(0)?)
    }

    /// Only in these statuses.
    ///
    /// # Errors
    /// `offering.status`.
    pub fn must_be(&self, statuses: &[OfferingStatus]) -> Result<(), Problem> {
        if statuses.contains(&self.status) {
            return Ok(());
        }
        let names: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
        let refusal = mint_core::refusal::Refusal::new(
            "offering.status",
            "the offering is not in a state for this",
            format!("do this while it is {}", names.join(" or ")),
        );
        Err(refusal.looking_at("status", self.status).into())
    }
}

/// Reads a row of [`LOAD`].
///
/// # Errors
/// When it says what nobody knows.
pub(crate) fn read(row: &Row) -> Result<Offering, Problem> {
    let status: String = row.try_get(3)?;
    let kind: String = row.try_get(4)?;
    let rules: Value = row.try_get(15)?;
    let agent_since: Option<DateTime<Utc>> = row.try_get(25)?;
    let maximum: Option<i64> = row.try_get(9)?;
    Ok(Offering {
        id: row.try_get(0)?,
        property_id: row.try_get(1)?,
        token_id: row.try_get(2)?,
        status: status.parse().map_err(Problem::internal)?,
        terms: Terms {
            kind: Kind::named(&kind).ok_or_else(|| Problem::internal(format!("offering of kind {kind}")))?,
            price: amount(row.try_get(5)?)?,
            soft_cap: amount(row.try_get(6)?)?,
            hard_cap: amount(row.try_get(7)?)?,
            minimum: amount(row.try_get(8)?)?,
            maximum: maximum.map(amount).transpose()?,
            opens_at: row.try_get(10)?,
            closes_at: row.try_get(11)?,
            long_stop_at: row.try_get(12)?,
        },
        pack: packs::parse(row.try_get(13)?, row.try_get(14)?, rules)?,
        currency: currency(&row.try_get::<_, String>(16)?, row.try_get(17)?)?,
        token_decimals: decimals(row.try_get(18)?)?,
        is_live: row.try_get(19)?,
        is_public: row.try_get(20)?,
        cooling_off: TimeDelta::days(row.try_get::<_, i32>(21)?.into()),
        reservation: TimeDelta::minutes(row.try_get::<_, i32>(22)?.into()),
        early_close_at: row.try_get(23)?,
        agent: amount(row.try_get(24)?)?,
        is_with_agent: agent_since.is_some(),
        ended_at: row.try_get(26)?,
        created_by: row.try_get(27)?,
        left: Amount::ZERO,
    })
}

/// An amount that the database holds: its constraints keep it in range.
///
/// # Errors
/// [`Problem::Internal`] when it is not.
pub fn amount(units: i64) -> Result<Amount, Problem> {
    Amount::try_from(units).map_err(|error| Problem::Internal(AnyError::from(format!("{units}: {error}"))))
}

/// Decimals that the database holds.
///
/// # Errors
/// [`Problem::Internal`] when there are none such.
pub fn decimals(digits: i16) -> Result<Decimals, Problem> {
    u8::try_from(digits)
        .ok()
        .and_then(|digits| Decimals::try_from(digits).ok())
        .ok_or_else(|| Problem::internal(format!("{digits} decimals")))
}

/// A currency that the database holds.
///
/// # Errors
/// [`Problem::Internal`] when it is none.
pub fn currency(code: &str, digits: i16) -> Result<Currency, Problem> {
    Currency::new(code, decimals(digits)?).map_err(Problem::internal)
}
