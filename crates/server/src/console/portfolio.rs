//! `/portfolio`: what somebody holds, what it cost, what it earned, and the papers about it.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    call::call,
    chart::Series,
    figures,
    layout::{Head, Section, page},
    listing::Sum,
    parts::{self, Paged},
    verification::readable,
    visit::Visit,
};
use crate::{
    app::App,
    db::{Tx, sql},
    functions::papers,
    problem::Problem,
};

/// What a person holds of each property, at the token's newest price.
const HOLDINGS: &str = sql!(
    "select p.id, p.title, sum(l.units)::bigint, max(l.token_decimals), sum(l.cost_minor)::bigint, l.currency, l.currency_decimals,
            (sum(l.units)::numeric * max(t.current_price_minor) / 10::numeric ^ max(l.token_decimals))::bigint,
            coalesce((select sum(r.amount_minor) from public.property_returns as r where r.property_id = p.id and r.user_id = $1 and r.status = 'paid'
                      and r.currency = l.currency), 0)::bigint
     from public.lots as l join public.properties as p on p.id = l.property_id join public.property_tokens as t on t.id = l.property_token_id
     where l.user_id = $1 and l.units > 0
     group by p.id, p.title, l.currency, l.currency_decimals order by p.title, p.id"
);

const LOTS: &str = sql!(
    "select p.title, l.units, l.token_decimals, l.cost_minor, l.currency, l.currency_decimals, l.acquired_at, l.restricted_until, l.property_id
     from public.lots as l join public.properties as p on p.id = l.property_id
     where l.user_id = $1 and l.units > 0 order by l.acquired_at desc, l.id limit 200"
);

const INVESTMENTS: &str = sql!(
    "select i.id, p.title, i.status, i.token_amount_units, i.token_decimals, i.total_amount_minor + i.fee_amount_minor, i.payment_currency, i.currency_decimals, i.created_at
     from public.investments as i join public.properties as p on p.id = i.property_id
     where i.user_id = $1 order by i.created_at desc, i.id limit $2 offset $3"
);

const INCOME: &str = sql!(
    "select date_trunc('month', r.return_date)::date, sum(r.amount_minor)::bigint, r.currency, r.currency_decimals
     from public.property_returns as r where r.user_id = $1 and r.status = 'paid' group by 1, r.currency, r.currency_decimals order by 1"
);

/// Declared for properties that the person holds, and not paid yet: the own part after tax, or the whole where there is none.
const COMING: &str = sql!(
    "select p.title, coalesce(l.status, d.status), coalesce(l.amount_minor - l.withheld_minor, d.declared_minor), d.currency, d.currency_decimals,
            d.record_at, l.id is not null
     from public.distributions as d join public.properties as p on p.id = d.property_id
     left join public.distribution_lines as l on l.distribution_id = d.id
       and l.party_id = (select u.party_id from public.user_profiles as u where u.id = $1)
     where d.status in ('declared', 'paying') and coalesce(l.status, '') <> 'paid'
       and d.property_id in (select l.property_id from public.lots as l where l.user_id = $1)
     order by d.record_at, d.id limit 20"
);

/// Purchases of one page.
const PAGE_SIZE: i64 = 50;

/// Which page of purchases.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    page: String,
}

/// `GET /portfolio`.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(&app).await?;
    // Asked together: one wait for all of them.
    let own: &[&(dyn ToSql + Sync)] = &[&person.id];
    let page_number = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page_number, PAGE_SIZE);
    let own_page: &[&(dyn ToSql + Sync)] = &[&person.id, &most, &offset];
    let (holdings, lots, investments, income, coming) = tokio::try_join!(
        tx.query(HOLDINGS, own),
        tx.query(LOTS, own),
        tx.query(INVESTMENTS, own_page),
        tx.query(INCOME, own),
        tx.query(COMING, own),
    )?;
    let years = years(&tx, person.id, visit.asked.now).await?;
    tx.commit().await?;
    let purchases = Paged::of(&investments, page_number, PAGE_SIZE);
    let content = html! {
        (portfolio_tabs(&visit, "/portfolio"))
        div.page-head { h1 { (visit.t("nav-portfolio")) } p.lead { (visit.t("portfolio-lead")) } }
        @if investments.is_empty() && lots.is_empty() && page_number == 1 {
            (parts::empty(&visit.t("portfolio-empty"), html! {
                p { (visit.t("portfolio-empty-text")) }
                div.button-row {
                    a.button href="/properties?stage=offered" { (visit.t("home-see-properties")) }
                    @if person.kyc_status != "approved" { a.button.secondary href="/verification" { (visit.t("buy-verify")) } }
                }
            }))
        } @else {
            div.stack-large {
                (totals(&visit, &holdings)?)
                (next(&visit, &coming)?)
                (holding_table(&visit, &holdings)?)
                (income_charts(&visit, &income)?)
                (investment_table(&visit, &purchases)?)
                (lot_table(&visit, &lots)?)
                (statements(&visit, &years))
            }
        }
    };
    Ok(page(
        &visit,
        &Head::titled(visit.t("nav-portfolio")).within(Section::Portfolio),
        content,
    ))
}

/// The pages about what somebody holds, one of which is open.
pub(crate) fn portfolio_tabs(visit: &Visit, open: &str) -> Markup {
    let pages = [("/portfolio", "nav-portfolio"), ("/transfers", "transfers-title")];
    let pages = pages.map(|(path, key)| (path, visit.language.text(key).into_owned()));
    parts::tabs(&visit.t("nav-portfolio"), &pages, open)
}

/// Years in which something of the person's moved, the newest first.
async fn years(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<Vec<i32>, Problem> {
    let query = sql!(
        "select extract(year from min(i.paid_at) at time zone 'UTC')::int from public.investments as i where i.user_id = $1"
    );
    let first: Option<i32> = tx.query_one(query, &[&user_id]).await?.try_get(0)?;
    Ok(first.map_or_else(Vec::new, |first| (first..=now.year()).rev().take(10).collect()))
}

/// Sums of each currency.
fn totals(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut sums: Vec<(Sum, i64, i64)> = Vec::new();
    for row in rows {
        let (currency, decimals): (String, i16) = (row.try_get(5)?, row.try_get(6)?);
        let (cost, value, income): (i64, i64, i64) = (row.try_get(4)?, row.try_get(7)?, row.try_get(8)?);
        match sums.iter_mut().find(|(sum, _, _)| sum.currency == currency) {
            Some((sum, costs, incomes)) => {
                sum.minor = sum.minor.saturating_add(value);
                *costs = costs.saturating_add(cost);
                *incomes = incomes.saturating_add(income);
            }
            None => sums.push((
                Sum {
                    minor: value,
                    currency,
                    decimals,
                },
                cost,
                income,
            )),
        }
    }
    Ok(html! {
        @for (sum, cost, income) in &sums {
            dl.figures {
                (parts::figure(&visit.t("portfolio-value"), sum.show(), Some(html! { (visit.t("portfolio-value-note")) })))
                (parts::figure(&visit.t("portfolio-cost"), figures::money(*cost, &sum.currency, sum.decimals), Some(html! { (visit.t("portfolio-cost-note")) })))
                (parts::figure(&visit.t("portfolio-income"), figures::money(*income, &sum.currency, sum.decimals), Some(html! { (visit.t("portfolio-income-note")) })))
                (parts::figure(&visit.t("portfolio-holdings"), html! { (rows.len()) }, None))
            }
        }
    })
}

fn next(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (title, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let record: Option<DateTime<Utc>> = row.try_get(5)?;
        let (sum, is_own) = (Sum::read(row, 2, 3, 4)?, row.try_get::<_, bool>(6)?);
        lines.push(html! {
            li {
                div.what {
                    strong { bdi { (title) } }
                    span.fine {
                        @if is_own { (visit.t("portfolio-own-part")) } @else { (visit.t("portfolio-whole")) }
                        @if let Some(at) = record { ", " (visit.t("portfolio-record")) " " (figures::instant(at, visit.language)) }
                    }
                }
                div.row { @if let Some(sum) = sum { (sum.show()) } (parts::state(visit, &status)) }
            }
        });
    }
    Ok(
        html! { @if !lines.is_empty() { section { h2 { (visit.t("portfolio-next")) } ul.evidence.card.tight { @for line in lines { (line) } } } } },
    )
}

fn holding_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(
            html! { section { h2 { (visit.t("portfolio-holdings")) } (parts::empty(&visit.t("portfolio-none-held"), html! { p { (visit.t("portfolio-none-held-text")) } })) } },
        );
    }
    let mut lines = Vec::new();
    for row in rows {
        let (id, title): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let (currency, decimals): (String, i16) = (row.try_get(5)?, row.try_get(6)?);
        let money =
            |at: usize| -> Result<Markup, Problem> { Ok(figures::money(row.try_get(at)?, &currency, decimals)) };
        lines.push(html! {
            tr {
                th scope="row" { a href={ "/properties/" (id) } { bdi { (title) } } }
                td.number { (figures::tokens(row.try_get(2)?, row.try_get(3)?)) }
                td.number { (money(4)?) }
                td.number { (money(7)?) }
                td.number { (money(8)?) }
            }
        });
    }
    Ok(html! {
        section {
            h2 { (visit.t("portfolio-holdings")) }
            (parts::table(&visit.t("portfolio-holdings"), html! {
                thead { tr {
                    th scope="col" { (visit.t("column-property")) }
                    th.number scope="col" { (visit.t("column-tokens")) }
                    th.number scope="col" { (visit.t("portfolio-cost")) }
                    th.number scope="col" { (visit.t("portfolio-value")) }
                    th.number scope="col" { (visit.t("portfolio-income")) }
                } }
                tbody { @for line in lines { (line) } }
            }))
        }
    })
}

fn income_charts(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let month: NaiveDate = row.try_get(0)?;
        let (amount, currency, decimals): (i64, String, i16) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let point = (figures::month_text(month, visit.language), vec![amount]);
        match series.iter_mut().find(|known| known.currency == currency) {
            Some(known) => known.points.push(point),
            None => series.push(Series {
                title: visit
                    .tv("portfolio-income-chart", &[("currency", currency.clone().into())])
                    .into_owned(),
                names: vec![visit.t("portfolio-income").into_owned()],
                points: vec![point],
                currency,
                decimals,
            }),
        }
    }
    Ok(html! {
        section {
            h2 { (visit.t("portfolio-income")) }
            @if series.is_empty() { (parts::empty(&visit.t("portfolio-no-income"), html! { p { (visit.t("portfolio-no-income-text")) } })) }
            @for known in &series { (known.bars(visit)) @if known.points.len() > 1 { (known.added_up(visit.t("portfolio-added-up").into_owned()).line(visit)) } }
        }
    })
}

fn investment_table(visit: &Visit, purchases: &Paged<'_>) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in purchases.rows() {
        let (id, title, status): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let sum = Sum::read(row, 5, 6, 7)?;
        lines.push(html! {
            tr {
                td { (figures::date(row.try_get(8)?, visit.language)) }
                th scope="row" { a href={ "/investments/" (id) } { bdi { (title) } } }
                td.number { (figures::tokens(row.try_get(3)?, row.try_get(4)?)) }
                td.number { @if let Some(sum) = sum { (sum.show()) } }
                td { (parts::state(visit, &status)) }
            }
        });
    }
    Ok(html! {
        @if !lines.is_empty() {
            section #purchases {
                h2 { (visit.t("portfolio-purchases")) }
                (parts::table(&visit.t("portfolio-purchases"), html! {
                    thead { tr {
                        th scope="col" { (visit.t("column-date")) }
                        th scope="col" { (visit.t("column-property")) }
                        th.number scope="col" { (visit.t("column-tokens")) }
                        th.number scope="col" { (visit.t("column-charge")) }
                        th scope="col" { (visit.t("column-state")) }
                    } }
                    tbody { @for line in lines { (line) } }
                }))
                (purchases.pager(visit, |page| format!("/portfolio?page={page}#purchases")))
            }
        }
    })
}

fn lot_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let restricted: Option<DateTime<Utc>> = row.try_get(7)?;
        let sum = Sum::read(row, 3, 4, 5)?;
        let title: String = row.try_get(0)?;
        lines.push(html! {
            tr {
                td { (figures::date(row.try_get(6)?, visit.language)) }
                th scope="row" { bdi { (title) } }
                td.number { (figures::tokens(row.try_get(1)?, row.try_get(2)?)) }
                td.number { @if let Some(sum) = sum { (sum.show()) } }
                td { @if let Some(until) = restricted.filter(|until| *until > visit.asked.now) { (figures::date(until, visit.language)) } @else { (visit.t("lot-free")) } }
            }
        });
    }
    Ok(html! {
        @if !lines.is_empty() {
            section {
                h2 { (visit.t("portfolio-lots")) }
                p.fine { (visit.t("portfolio-lots-text")) }
                (parts::table(&visit.t("portfolio-lots"), html! {
                    thead { tr {
                        th scope="col" { (visit.t("lot-acquired")) }
                        th scope="col" { (visit.t("column-property")) }
                        th.number scope="col" { (visit.t("column-tokens")) }
                        th.number scope="col" { (visit.t("portfolio-cost")) }
                        th scope="col" { (visit.t("lot-restricted")) }
                    } }
                    tbody { @for line in lines { (line) } }
                }))
            }
        }
    })
}

fn statements(visit: &Visit, years: &[i32]) -> Markup {
    html! {
        @if !years.is_empty() {
            section {
                h2 { (visit.t("portfolio-statements")) }
                p.soft { (visit.t("portfolio-statements-text")) }
                div.button-row {
                    @for year in years { a.button.secondary href={ "/portfolio/statements/" (year) } { (parts::icon("file")) (visit.tv("portfolio-statement", &[("year", year.to_string().into())])) } }
                }
            }
        }
    }
}

/// `GET /portfolio/statements/{year}`: the PDF of a year.
pub(crate) async fn statement(
    State(app): State<App>,
    visit: Visit,
    Path(year): Path<String>,
) -> Result<Response, Problem> {
    let year: i32 = year.parse().map_err(|_| Problem::NotFound)?;
    let answer = call(&app, &visit, "get-statement", None, json!({ "year": year })).await?;
    Ok(readable(papers::written(answer).await?))
}
