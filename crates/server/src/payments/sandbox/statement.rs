//! The sandbox custodian's statement of a property's account, in the form that [`crate::payments::custody`] imports.

use chrono::NaiveDate;
use uuid::Uuid;

use super::PROVIDER;
use crate::{
    app::App,
    command::Command,
    db::sql,
    offerings::record::{amount, decimals},
    problem::Problem,
};

/// The statement as CSV: an opening balance, a line for each booking, a closing balance. `None` where there is none.
///
/// # Errors
/// What the database answered.
pub async fn statement(
    app: &App,
    property_id: Uuid,
    currency: &str,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<String, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!("select decimals from public.currencies where code = $1");
    let decimals: i16 = command
        .tx
        .query_opt(text, &[&currency])
        .await?
        .ok_or_else(|| Problem::Invalid(format!("nobody here knows the currency {currency}")))?
        .try_get(0)?;
    let text = sql!(
        "select settled_on, settled_minor, settlement_ref from nexus.sandbox_payments
         where property_id = $1 and currency = $2 and settled_on <= $3 and settled_minor > 0
         union all
         select r.booked_on, -r.amount_minor, r.id::text from nexus.sandbox_refunds as r
         join nexus.sandbox_payments as p on p.ref = r.payment_ref
         where p.property_id = $1 and p.currency = $2 and r.status = 'succeeded' and r.from_bank and r.booked_on <= $3
         union all
         select (p.charged_back_at at time zone 'UTC')::date, -p.amount_minor, p.ref from nexus.sandbox_payments as p
         where p.property_id = $1 and p.currency = $2 and p.settlement_ref is not null
           and (p.charged_back_at at time zone 'UTC')::date <= $3
         order by 1, 3"
    );
    let rows = command.tx.query(text, &[&property_id, &currency, &to]).await?;
    command.commit().await?;
    let mut lines = Vec::with_capacity(rows.len() + 3);
    let (mut opening, mut closing) = (0_i64, 0_i64);
    for row in &rows {
        let (day, amount, reference): (NaiveDate, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        closing += amount;
        if day < from {
            opening += amount;
        } else {
            lines.push(format!("line,{day},{},{reference}", figure(amount, decimals)?));
        }
    }
    let (opening, closing) = (figure(opening, decimals)?, figure(closing, decimals)?);
    let head = format!("kind,date,amount,reference\nopening,{from},{opening},\n");
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok(format!("{head}{body}closing,{to},{closing},\n"))
}

/// An amount as a decimal figure, with its sign.
fn figure(units: i64, digits: i16) -> Result<String, Problem> {
    let figure = amount(units.abs())?.to_decimal(decimals(digits)?);
    Ok(if units < 0 { format!("-{figure}") } else { figure })
}
