//! `/administration/ledger`: accounts with their balances, an account's postings, an entry with the proof that it adds up.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Row;

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        figures,
        parts::{self, Field, Paged, Tone},
        visit::Visit,
    },
    db::{like, sql},
    problem::Problem,
};

/// Rows of one page.
const PAGE_SIZE: i64 = 100;

/// Which accounts.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    /// Which page of entries, from the newest.
    #[serde(default)]
    page: String,
}

/// Entries of one page of the list.
const ENTRIES_SIZE: i64 = 20;

const ACCOUNTS: &str = sql!(
    "select a.id, a.name, a.purpose, a.asset, b.balance, s.decimals, b.postings
     from ledger.accounts as a join ledger.balances as b on b.account_id = a.id join ledger.assets as s on s.code = a.asset
     where ($1 = '' or a.name ilike '%' || $1 || '%') order by a.party_id is not null, a.asset_kind, a.purpose, a.id limit $2"
);

/// Everything of each asset, over all accounts: nothing comes from nowhere.
const SUMS: &str = sql!(
    "select a.asset, s.decimals, sum(b.balance)::bigint, sum(b.balance) filter (where not a.is_outside)::bigint, count(*)
     from ledger.accounts as a join ledger.balances as b on b.account_id = a.id join ledger.assets as s on s.code = a.asset
     where a.asset_kind = 'currency' group by a.asset, s.decimals order by a.asset"
);

/// `GET /administration/ledger`.
pub(crate) async fn accounts(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let asked = like(wanted.q.trim());
    let tx = visit.reads(&app).await?;
    let rows = tx.query(ACCOUNTS, &[&asked, &PAGE_SIZE]).await?;
    let sums = tx.query(SUMS, &[]).await?;
    let page = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page, ENTRIES_SIZE);
    let entries = tx.query(ENTRIES, &[&most, &offset]).await?;
    tx.commit().await?;
    let entries = Paged::of(&entries, page, ENTRIES_SIZE);
    let content = html! {
        div.stack-large {
            section { h2 { (visit.t("ledger-sums")) } p.fine { (visit.t("ledger-sums-text")) } (sum_table(&visit, &sums)?) }
            section {
                h2 { (visit.t("ledger-accounts")) }
                search { form.filters method="get" action="/administration/ledger" { div.form-grid {
                    (Field::text("q", visit.t("ledger-search")).kind("search").value(&wanted.q).hint(visit.t("ledger-search-hint")).bare().show(&visit))
                    div { button.button.secondary { (visit.t("filter-apply")) } }
                } } }
                @if rows.is_empty() { (parts::empty(&visit.t("ledger-none"), html! { p { (visit.t("ledger-none-text")) } a.button.secondary href="/administration/ledger" { (visit.t("ledger-all")) } })) }
                @else { (account_table(&visit, &rows)?) }
            }
            section #entries {
                h2 { (visit.t("ledger-newest")) }
                (entry_table(&visit, entries.rows())?)
                (entries.pager(&visit, |page| format!("/administration/ledger?page={page}#entries")))
            }
        }
    };
    Ok(section(
        &visit,
        "/administration/ledger",
        &visit.t("ledger-title"),
        content,
    ))
}

fn sum_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (asset, decimals, sum): (String, i16, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let inside: Option<i64> = row.try_get(3)?;
        lines.push(html! {
            tr {
                th scope="row" { (asset) }
                td.number { (figures::money(inside.unwrap_or(0), &asset, decimals)) }
                td.number { (figures::money(sum, &asset, decimals)) }
                td { @if sum == 0 { (parts::badge(Tone::Good, &visit.t("ledger-balances"))) } @else { (parts::badge(Tone::Stop, &visit.t("ledger-differs"))) } }
            }
        });
    }
    Ok(parts::table(
        &visit.t("ledger-sums"),
        html! {
            thead { tr { th scope="col" { (visit.t("ledger-asset")) } th.number scope="col" { (visit.t("ledger-inside")) } th.number scope="col" { (visit.t("ledger-sum")) } th scope="col" { (visit.t("ledger-proof")) } } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

/// An amount of an asset: money with its currency, tokens by themselves.
fn amount(units: i64, asset: &str, decimals: i16) -> Markup {
    if asset.len() == 3 {
        figures::money(units, asset, decimals)
    } else {
        html! { bdi { (figures::tokens(units, decimals)) } }
    }
}

fn account_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (id, name, purpose, asset): (i64, String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        lines.push(html! {
            tr {
                th scope="row" { a href={ "/administration/ledger/accounts/" (id) } { (purpose.replace('_', " ")) } br; code.fine { (name) } }
                td.number { (amount(row.try_get(4)?, &asset, row.try_get(5)?)) }
                td.number { (figures::count(row.try_get(6)?)) }
            }
        });
    }
    Ok(parts::table(
        &visit.t("ledger-accounts"),
        html! {
            thead { tr { th scope="col" { (visit.t("ledger-account")) } th.number scope="col" { (visit.t("ledger-balance")) } th.number scope="col" { (visit.t("ledger-postings")) } } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

const ENTRIES: &str =
    sql!("select e.id, e.kind, e.recorded_at, e.key from ledger.entries as e order by e.id desc limit $1 offset $2");

fn entry_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (id, kind, key): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
        lines.push(html! {
            tr {
                th.number scope="row" { a href={ "/administration/ledger/entries/" (id) } { (figures::count(id)) } }
                td { (kind.replace('_', " ")) }
                td { (figures::instant(row.try_get(2)?, visit.language)) }
                td { code { (key) } }
            }
        });
    }
    if lines.is_empty() {
        return Ok(parts::empty(
            &visit.t("ledger-no-entry"),
            html! { p { (visit.t("ledger-no-entry-text")) } },
        ));
    }
    Ok(parts::table(
        &visit.t("ledger-newest"),
        html! {
            thead { tr { th.number scope="col" { (visit.t("ledger-entry")) } th scope="col" { (visit.t("ledger-kind")) } th scope="col" { (visit.t("trail-when")) } th scope="col" { (visit.t("ledger-key")) } } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

const ACCOUNT: &str = sql!(
    "select a.name, a.purpose, a.asset, b.balance, s.decimals, u.meaning,
            (select coalesce(sum(p.amount), 0)::bigint from ledger.postings as p where p.account_id = a.id), b.postings
     from ledger.accounts as a join ledger.balances as b on b.account_id = a.id join ledger.assets as s on s.code = a.asset
     join ledger.purposes as u on u.name = a.purpose and u.asset_kind = a.asset_kind where a.id = $1"
);

const POSTINGS: &str = sql!(
    "select p.entry_id, e.kind, e.recorded_at, p.amount, p.balance_after from ledger.postings as p join ledger.entries as e on e.id = p.entry_id
     where p.account_id = $1 order by p.account_seq desc limit $2 offset $3"
);

/// `GET /administration/ledger/accounts/{id}`.
pub(crate) async fn account(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let id: i64 = id.parse().map_err(|_| Problem::NotFound)?;
    let tx = visit.reads(&app).await?;
    let row = tx.query_opt(ACCOUNT, &[&id]).await?.ok_or(Problem::NotFound)?;
    let page = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page, PAGE_SIZE);
    let postings = tx.query(POSTINGS, &[&id, &most, &offset]).await?;
    tx.commit().await?;
    let paged = Paged::of(&postings, page, PAGE_SIZE);
    let (name, purpose, asset, meaning): (String, String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(5)?);
    let (balance, decimals, replayed): (i64, i16, i64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(6)?);
    let mut lines = Vec::new();
    for posting in paged.rows() {
        let (entry, kind): (i64, String) = (posting.try_get(0)?, posting.try_get(1)?);
        lines.push(html! {
            tr {
                th.number scope="row" { a href={ "/administration/ledger/entries/" (entry) } { (figures::count(entry)) } }
                td { (kind.replace('_', " ")) }
                td { (figures::instant(posting.try_get(2)?, visit.language)) }
                td.number { (amount(posting.try_get(3)?, &asset, decimals)) }
                td.number { (amount(posting.try_get(4)?, &asset, decimals)) }
            }
        });
    }
    let content = html! {
        (parts::crumbs(&visit, &[("/administration/ledger", visit.t("ledger-title").into_owned())]))
        div.stack {
            p.soft lang="en" dir="ltr" { (meaning) }
            p { code { (name) } }
            (proof(&visit, balance == replayed, &visit.t("ledger-account-proof")))
            dl.statement {
                (parts::figure(&visit.t("ledger-balance"), amount(balance, &asset, decimals), None))
                (parts::figure(&visit.t("ledger-replayed"), amount(replayed, &asset, decimals), None))
            }
            (parts::table(&visit.t("ledger-postings"), html! {
                thead { tr { th.number scope="col" { (visit.t("ledger-entry")) } th scope="col" { (visit.t("ledger-kind")) } th scope="col" { (visit.t("trail-when")) } th.number scope="col" { (visit.t("column-amount")) } th.number scope="col" { (visit.t("ledger-after")) } } }
                tbody { @for line in lines { (line) } }
            }))
            (paged.pager(&visit, |page| format!("/administration/ledger/accounts/{id}?page={page}")))
        }
    };
    Ok(section(
        &visit,
        "/administration/ledger",
        &purpose.replace('_', " "),
        content,
    ))
}

fn proof(visit: &Visit, holds: bool, said: &str) -> Markup {
    let (tone, word) = if holds {
        (Tone::Good, visit.t("ledger-balances"))
    } else {
        (Tone::Stop, visit.t("ledger-differs"))
    };
    parts::alert(visit, tone, html! { p { strong { (word) } } p { (said) } })
}

const ENTRY: &str = sql!(
    "select e.kind, e.key, e.business_date, e.recorded_at, e.cause, e.actor_id from ledger.entries as e where e.id = $1"
);

const LINES: &str = sql!(
    "select p.line, a.id, a.name, a.purpose, a.asset, p.amount, p.balance_after, s.decimals
     from ledger.postings as p join ledger.accounts as a on a.id = p.account_id join ledger.assets as s on s.code = a.asset
     where p.entry_id = $1 order by p.line limit 1000"
);

const ENTRY_SUMS: &str = sql!(
    "select a.asset, sum(p.amount)::bigint, s.decimals, count(*) from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
     join ledger.assets as s on s.code = a.asset where p.entry_id = $1 group by a.asset, s.decimals order by a.asset"
);

/// `GET /administration/ledger/entries/{id}`.
pub(crate) async fn entry(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let id: i64 = id.parse().map_err(|_| Problem::NotFound)?;
    let tx = visit.reads(&app).await?;
    let row = tx.query_opt(ENTRY, &[&id]).await?.ok_or(Problem::NotFound)?;
    let postings = tx.query(LINES, &[&id]).await?;
    let sums = tx.query(ENTRY_SUMS, &[&id]).await?;
    tx.commit().await?;
    let (kind, key): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let cause: Value = row.try_get(4)?;
    let mut lines = Vec::new();
    for posting in &postings {
        let (account, name, purpose, asset): (i64, String, String, String) = (
            posting.try_get(1)?,
            posting.try_get(2)?,
            posting.try_get(3)?,
            posting.try_get(4)?,
        );
        let decimals: i16 = posting.try_get(7)?;
        lines.push(html! {
            tr {
                th scope="row" { a href={ "/administration/ledger/accounts/" (account) } { (purpose.replace('_', " ")) } br; code.fine { (name) } }
                td.number { (amount(posting.try_get(5)?, &asset, decimals)) }
                td.number { (amount(posting.try_get(6)?, &asset, decimals)) }
            }
        });
    }
    let mut totals = Vec::new();
    let mut holds = true;
    for sum in &sums {
        let (asset, total, decimals): (String, i64, i16) = (sum.try_get(0)?, sum.try_get(1)?, sum.try_get(2)?);
        holds &= total == 0;
        totals.push(html! { tr { th scope="row" { (visit.t("ledger-sum")) } td.number { (amount(total, &asset, decimals)) } td {} } });
    }
    let content = html! {
        (parts::crumbs(&visit, &[("/administration/ledger", visit.t("ledger-title").into_owned())]))
        div.stack {
            (proof(&visit, holds, &visit.t("ledger-entry-proof")))
            (parts::facts(&[
                (visit.t("ledger-kind").into_owned(), html! { (kind.replace('_', " ")) }),
                (visit.t("ledger-key").into_owned(), html! { code { (key) } }),
                (visit.t("ledger-business-date").into_owned(), figures::day(row.try_get(2)?, visit.language)),
                (visit.t("trail-when").into_owned(), figures::instant(row.try_get(3)?, visit.language)),
                (visit.t("ledger-cause").into_owned(), html! { code { (cause) } }),
            ]))
            (parts::table(&visit.t("ledger-postings"), html! {
                thead { tr { th scope="col" { (visit.t("ledger-account")) } th.number scope="col" { (visit.t("column-amount")) } th.number scope="col" { (visit.t("ledger-after")) } } }
                tbody { @for line in lines { (line) } }
                tfoot { @for total in totals { (total) } }
            }))
        }
    };
    let title = visit.tv("ledger-entry-number", &[("number", figures::count(id).into())]);
    Ok(section(&visit, "/administration/ledger", &title, content))
}
