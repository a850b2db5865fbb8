//! Rows of `property_analytics`: one for each approved period, about the twelve months that end with it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use mint_core::{
    analytics::{Earned, Percent, Period, Valuation, average_of_three_or_more, earned},
    money::Amount,
};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{command::Command, db::sql, offerings::record::amount, problem::Problem};

/// Properties of one transaction: each has a few rows a year.
const PROPERTIES_MAX: i64 = 100;

/// A day of a property, as its performance has it.
struct Day {
    on: NaiveDate,
    currency: String,
    decimals: i16,
    /// None where something of it is not known.
    period: Option<Period>,
}

/// Computes what is due of some properties, and says of how many. What another server computes is left to it.
///
/// # Errors
/// What the database answered.
pub(super) async fn derive_due(command: &Command) -> Result<usize, Problem> {
    let text = sql!(
        "select property_id from nexus.analytics_dues order by property_id limit $1 for no key update skip locked"
    );
    let ids = command
        .tx
        .query(text, &[&PROPERTIES_MAX])
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<Vec<Uuid>, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let days = days_of(command, &ids).await?;
    let valuations = valuations_of(command, &ids).await?;
    write_earned(command, &days, &valuations).await?;
    write_invested(command, &days).await?;
    let text = sql!("delete from nexus.analytics_dues where property_id = any ($1)");
    command.tx.execute(text, &[&ids]).await?;
    Ok(ids.len())
}

async fn days_of(command: &Command, ids: &[Uuid]) -> Result<BTreeMap<Uuid, Vec<Day>>, Problem> {
    let text = sql!(
        "select property_id, report_date, currency, currency_decimals, period_from, rental_income_minor, net_operating_income_minor, let_days
         from public.property_performance where property_id = any ($1) order by property_id, report_date"
    );
    let mut days: BTreeMap<Uuid, Vec<Day>> = BTreeMap::new();
    for row in command.tx.query(text, &[&ids]).await? {
        let on: NaiveDate = row.try_get(1)?;
        let (first, net): (Option<NaiveDate>, Option<i64>) = (row.try_get(4)?, row.try_get(6)?);
        let let_days: Option<i32> = row.try_get(7)?;
        let rent = amount(row.try_get(5)?)?;
        let period = first.zip(net).map(|(first, net)| Period {
            first,
            last: on,
            rent,
            net,
            let_days: let_days.and_then(|days| u32::try_from(days).ok()),
        });
        days.entry(row.try_get(0)?).or_default().push(Day {
            on,
            currency: row.try_get(2)?,
            decimals: row.try_get(3)?,
            period,
        });
    }
    Ok(days)
}

/// By property and currency; of one day the one that was recorded last comes last.
type Valuations = BTreeMap<(Uuid, String), Vec<Valuation>>;

async fn valuations_of(command: &Command, ids: &[Uuid]) -> Result<Valuations, Problem> {
    let text = sql!(
        "select property_id, currency, valued_on, amount_minor from public.property_valuations
         where property_id = any ($1) order by property_id, valued_on, created_at, id"
    );
    let mut valuations = Valuations::new();
    for row in command.tx.query(text, &[&ids]).await? {
        let key = (row.try_get(0)?, row.try_get(1)?);
        valuations.entry(key).or_default().push(Valuation {
            on: row.try_get(2)?,
            amount: amount(row.try_get(3)?)?,
        });
    }
    Ok(valuations)
}

fn earned_on(day: &Day, days: &[Day], valuations: &[Valuation]) -> Earned {
    let periods: Vec<Period> = days
        .iter()
        .filter(|other| other.currency == day.currency)
        .filter_map(|other| other.period)
        .collect();
    earned(day.on, &periods, valuations)
}

/// The figures of the days themselves: all of a property's, since a late valuation changes what earlier days knew.
async fn write_earned(
    command: &Command,
    days: &BTreeMap<Uuid, Vec<Day>>,
    valuations: &Valuations,
) -> Result<(), Problem> {
    let mut rows: Vec<(Uuid, &Day, Earned)> = Vec::new();
    for (id, days) in days {
        for day in days {
            let valuations = valuations.get(&(*id, day.currency.clone()));
            rows.push((
                *id,
                day,
                earned_on(day, days, valuations.map_or(&[], |all| all.as_slice())),
            ));
        }
    }
    let ids: Vec<Uuid> = rows.iter().map(|(id, ..)| *id).collect();
    let on: Vec<NaiveDate> = rows.iter().map(|(_, day, _)| day.on).collect();
    let currencies: Vec<&str> = rows.iter().map(|(_, day, _)| day.currency.as_str()).collect();
    let decimals: Vec<i16> = rows.iter().map(|(_, day, _)| day.decimals).collect();
    let amounts = |of: fn(&Earned) -> Option<i64>| rows.iter().map(|(.., earned)| of(earned)).collect::<Vec<_>>();
    let percents = |of: fn(&Earned) -> Option<Percent>| {
        rows.iter()
            .map(|(.., earned)| of(earned).map(|percent| percent.to_string()))
            .collect::<Vec<_>>()
    };
    let valued_on: Vec<Option<NaiveDate>> = rows
        .iter()
        .map(|(.., earned)| earned.market_value.map(|valuation| valuation.on))
        .collect();
    let text = sql!(
        "insert into public.property_analytics as a (property_id, report_date, currency, currency_decimals, rental_income_minor,
           net_operating_income_minor, occupancy_rate, market_value_minor, market_value_on, rental_yield, cap_rate, appreciation_rate, as_of, created_at)
         select r.property_id, r.day, r.currency, r.decimals, r.rent, r.net, r.occupancy::numeric, r.value, r.valued_on, r.rental_yield::numeric,
                r.cap_rate::numeric, r.appreciation::numeric, $13, $13
         from unnest($1::uuid[], $2::date[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::date[],
                $10::text[], $11::text[], $12::text[])
           as r (property_id, day, currency, decimals, rent, net, occupancy, value, valued_on, rental_yield, cap_rate, appreciation)
         on conflict on constraint property_analytics_once_a_day do update
           set currency = excluded.currency, currency_decimals = excluded.currency_decimals, rental_income_minor = excluded.rental_income_minor,
               net_operating_income_minor = excluded.net_operating_income_minor, occupancy_rate = excluded.occupancy_rate,
               market_value_minor = excluded.market_value_minor, market_value_on = excluded.market_value_on,
               rental_yield = excluded.rental_yield, cap_rate = excluded.cap_rate, appreciation_rate = excluded.appreciation_rate
           where (a.currency, a.rental_income_minor, a.net_operating_income_minor, a.occupancy_rate, a.market_value_minor, a.market_value_on,
                  a.rental_yield, a.cap_rate, a.appreciation_rate)
             is distinct from (excluded.currency, excluded.rental_income_minor, excluded.net_operating_income_minor, excluded.occupancy_rate,
                  excluded.market_value_minor, excluded.market_value_on, excluded.rental_yield, excluded.cap_rate, excluded.appreciation_rate)"
    );
    let params: &[&(dyn ToSql + Sync)] = &[
        &ids,
        &on,
        &currencies,
        &decimals,
        &amounts(|earned| earned.rent.map(Amount::get)),
        &amounts(|earned| earned.net),
        &percents(|earned| earned.occupancy),
        &amounts(|earned| earned.market_value.map(|valuation| valuation.amount.get())),
        &valued_on,
        &percents(|earned| earned.rental_yield),
        &percents(|earned| earned.cap_rate),
        &percents(|earned| earned.appreciation),
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}

/// What follows the investments, in each property's newest row alone: earlier ones keep what they said.
async fn write_invested(command: &Command, days: &BTreeMap<Uuid, Vec<Day>>) -> Result<(), Problem> {
    let newest: Vec<(Uuid, &Day)> = days.iter().filter_map(|(id, days)| Some((*id, days.last()?))).collect();
    let ids: Vec<Uuid> = newest.iter().map(|(id, _)| *id).collect();
    let on: Vec<NaiveDate> = newest.iter().map(|(_, day)| day.on).collect();
    let text = sql!(
        "select a.id, coalesce(f.principal_minor, 0), coalesce(f.investors, 0), case when p.currency = a.currency then p.funding_target_minor end,
                a.net_operating_income_minor,
                (select nexus.worth_minor(t.total_supply_units, t.id, a.currency) from public.property_tokens as t
                 where t.property_id = p.id and t.status = 'launched' order by t.created_at, t.id limit 1)
         from unnest($1::uuid[], $2::date[]) as r (property_id, day)
         join public.property_analytics as a on a.property_id = r.property_id and a.report_date = r.day
         join public.properties as p on p.id = a.property_id
         left join nexus.property_figures as f on f.property_id = a.property_id and f.currency = a.currency"
    );
    let (mut rows, mut totals, mut counts) = (Vec::<Uuid>::new(), Vec::<i64>::new(), Vec::<i32>::new());
    let (mut fundings, mut averages, mut yields) = (Vec::new(), Vec::<Option<i64>>::new(), Vec::new());
    for row in command.tx.query(text, &[&ids, &on]).await? {
        let total = amount(row.try_get(1)?)?;
        let count: i32 = row.try_get(2)?;
        let (target, net, worth): (Option<i64>, Option<i64>, Option<i64>) =
            (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        rows.push(row.try_get(0)?);
        totals.push(total.get());
        counts.push(count);
        fundings.push(
            target
                .and_then(|target| Percent::of(total.get(), target))
                .map(|percent| percent.to_string()),
        );
        averages.push(average_of_three_or_more(total, u32::try_from(count).unwrap_or(0)).map(Amount::get));
        let token_yield = net.zip(worth).and_then(|(net, worth)| Percent::of(net, worth));
        yields.push(token_yield.map(|percent| percent.to_string()));
    }
    let text = sql!(
        "update public.property_analytics as a
         set total_invested_minor = r.total, number_of_investors = r.investors, funding_percentage = r.funding::numeric,
             average_investment_size_minor = r.average, token_yield = r.token_yield::numeric, as_of = $7
         from unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], $5::bigint[], $6::text[])
           as r (id, total, investors, funding, average, token_yield)
         where a.id = r.id and (a.total_invested_minor, a.number_of_investors, a.funding_percentage, a.average_investment_size_minor, a.token_yield)
           is distinct from (r.total, r.investors, r.funding::numeric, r.average, r.token_yield::numeric)"
    );
    let params: &[&(dyn ToSql + Sync)] = &[&rows, &totals, &counts, &fundings, &averages, &yields, &command.now];
    command.tx.execute(text, params).await?;
    Ok(())
}
