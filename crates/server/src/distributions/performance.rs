//! What an approved period leaves for everybody to see: one row of `property_performance`.

use chrono::NaiveDate;
use mint_core::{
    analytics::{Percent, net_operating_income},
    distribution::Waterfall,
    money::Amount,
};
use tokio_postgres::types::ToSql;

use super::house::House;
use crate::{command::Command, db::sql, offerings::record::amount, problem::Problem};

/// A period that is being approved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approved<'a> {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
    pub(super) let_days: Option<i32>,
    pub(super) rent: Amount,
    pub(super) maintenance: Amount,
    pub(super) flow: &'a Waterfall,
    /// What the period before lacked, in the order of uses.
    pub(super) carried: &'a [i64],
}

/// Writes the row.
///
/// # Errors
/// What the database answered.
pub(super) async fn write(command: &Command, house: &House, period: &Approved<'_>) -> Result<(), Problem> {
    let carried = period
        .carried
        .iter()
        .map(|short| amount(*short))
        .collect::<Result<Vec<Amount>, Problem>>()?;
    let net = net_operating_income(period.rent, &period.flow.given, &period.flow.short, &carried);
    let days = (period.to - period.from).num_days() + 1;
    let occupancy = period
        .let_days
        .and_then(|let_days| Percent::of(i64::from(let_days), days));
    let valuation = valuation(command, house, period.to).await?;
    let roi = valuation.and_then(|valuation| Percent::of(net, valuation));
    let text = sql!(
        "insert into public.property_performance (property_id, report_date, period_from, currency, currency_decimals, valuation_minor,
           rental_income_minor, maintenance_costs_minor, net_operating_income_minor, let_days, occupancy_rate, roi_percentage, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::numeric, $12::text::numeric, $13)
         on conflict on constraint property_performance_once_a_day do update
           set period_from = excluded.period_from, currency = excluded.currency, currency_decimals = excluded.currency_decimals,
               valuation_minor = excluded.valuation_minor, rental_income_minor = excluded.rental_income_minor,
               maintenance_costs_minor = excluded.maintenance_costs_minor, net_operating_income_minor = excluded.net_operating_income_minor,
               let_days = excluded.let_days, occupancy_rate = excluded.occupancy_rate, roi_percentage = excluded.roi_percentage"
    );
    let params: &[&(dyn ToSql + Sync)] = &[
        &house.property_id,
        &period.to,
        &period.from,
        &house.currency.code(),
        &house.decimals(),
        &valuation,
        &period.rent.get(),
        &period.maintenance.get(),
        &net,
        &period.let_days,
        &occupancy.map(|percent| percent.to_string()),
        &roi.map(|percent| percent.to_string()),
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}

/// The newest valuation of a day or before, in the house's currency.
async fn valuation(command: &Command, house: &House, day: NaiveDate) -> Result<Option<i64>, Problem> {
    let text = sql!(
        "select amount_minor from public.property_valuations where property_id = $1 and currency = $2 and valued_on <= $3
         order by valued_on desc, created_at desc, id desc limit 1"
    );
    let row = command
        .tx
        .query_opt(text, &[&house.property_id, &house.currency.code(), &day])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
