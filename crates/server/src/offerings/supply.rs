//! Where a token's units are: the one narrow row that every purchase locks and that decides, and the copies of it.

use uuid::Uuid;

use crate::{
    command::Command,
    db::sql,
    problem::{AnyError, Problem},
};

/// How many units move, between which parts of a token's supply: below zero leaves a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shift {
    /// Can be reserved.
    pub available: i64,
    /// Reserved without money.
    pub pending: i64,
    /// Reserved, with the money here.
    pub paid: i64,
    /// Held by parties.
    pub held: i64,
    /// Taken out for ever.
    pub burned: i64,
    /// What the running offering can still sell.
    pub offering_left: i64,
}

/// Makes the row of a token whose units were all just authorised.
///
/// # Errors
/// What the database answered.
pub async fn open(command: &Command, token_id: Uuid, units: i64) -> Result<(), Problem> {
    let text = sql!(
        "insert into public.property_token_supply (property_token_id, authorised_units, available_units) values ($1, $2, $2)"
    );
    command.tx.execute(text, &[&token_id, &units]).await?;
    Ok(())
}

/// Locks a token's row until the command ends; answers what can be reserved and what the running offering can still sell.
///
/// # Errors
/// When the token has no row yet.
pub async fn lock(command: &Command, token_id: Uuid) -> Result<(i64, i64), Problem> {
    let text = sql!(
        "select available_units, offering_left_units from public.property_token_supply where property_token_id = $1 for no key update"
    );
    let row = command
        .tx
        .query_opt(text, &[&token_id])
        .await?
        .ok_or_else(|| Problem::internal(format!("token {token_id} has no supply")))?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Moves units between the parts of a token's supply.
pub(crate) const SHIFT: &str = sql!(
    "update public.property_token_supply
     set available_units = available_units + $2, pending_units = pending_units + $3, paid_units = paid_units + $4,
         held_units = held_units + $5, offering_left_units = offering_left_units + $6, burned_units = burned_units + $7
     where property_token_id = $1"
);

/// Copies what is available to where others read it.
pub(crate) const COPY_AVAILABLE: &str = sql!(
    "update public.property_tokens as t set available_supply_units = s.available_units
     from public.property_token_supply as s where s.property_token_id = t.id and t.id = $1"
);

/// Moves units, and writes the copies that others read. The constraints on the row refuse what cannot be.
///
/// # Errors
/// What the database answered.
pub async fn shift(command: &Command, token_id: Uuid, shift: Shift) -> Result<(), Problem> {
    if shift == Shift::default() {
        return Ok(());
    }
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &token_id,
        &shift.available,
        &shift.pending,
        &shift.paid,
        &shift.held,
        &shift.offering_left,
        &shift.burned,
    ];
    command.tx.prepare(&[SHIFT, COPY_AVAILABLE]).await?;
    let copy = async {
        if shift.available == 0 {
            return Ok(0);
        }
        command.tx.execute(COPY_AVAILABLE, &[&token_id]).await
    };
    // Polled together, so that both leave at once.
    let (moved, _) = tokio::try_join!(biased; command.tx.execute(SHIFT, params), copy)?;
    one(moved, "supply")?;
    if shift.held != 0 {
        let text = sql!(
            "update public.properties as p set tokens_issued = (
               select sum(nexus.from_minor(s.held_units, t.token_decimals)) from public.property_tokens as t
               join public.property_token_supply as s on s.property_token_id = t.id where t.property_id = p.id)
             where p.id = (select property_id from public.property_tokens where id = $1)"
        );
        command.tx.execute(text, &[&token_id]).await?;
    }
    Ok(())
}

/// Puts an offering on a token, or takes it off.
///
/// # Errors
/// What the database answered.
pub async fn set_offering(command: &Command, token_id: Uuid, offering: Option<(Uuid, i64)>) -> Result<(), Problem> {
    let text = sql!(
        "update public.property_token_supply set offering_id = $2, offering_left_units = $3 where property_token_id = $1"
    );
    let (id, left) = offering.unzip();
    let set = command.tx.execute(text, &[&token_id, &id, &left.unwrap_or(0)]).await?;
    one(set, "supply")
}

/// An update that must have found its one row did.
///
/// # Errors
/// [`Problem::Internal`].
pub fn one(rows: u64, what: &str) -> Result<(), Problem> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Problem::Internal(AnyError::from(format!(
            "{rows} rows of {what} instead of one"
        ))))
    }
}
