//! `/manage/{id}/rent`: periods of rent as the bank has them, and distributions of what they left.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::NaiveDate;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{MANAGERS, tabs};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::{beside_form, call},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::{Head, Section, page, token},
        listing::Sum,
        parts::{self, Field, Tone},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// Columns of a line as it is pasted: the bank's account, its reference, what it was for, amount, day, and words.
const COLUMNS: usize = 6;

const KINDS: [&str; 5] = ["rent", "taxes", "insurance", "maintenance", "manager"];

const PERIODS: &str = sql!(
    "select r.period_from, r.period_to, r.status, r.rent_minor, r.currency, r.currency_decimals, r.distributable_minor, r.reject_reason,
            (select count(*) from public.rent_lines as l where l.period_id = r.id)
     from public.rent_periods as r where r.property_id = $1 order by r.period_from desc, r.created_at desc limit 60"
);

const DISTRIBUTIONS: &str = sql!(
    "select d.id, d.status, d.declared_minor, d.currency, d.currency_decimals, d.holders, d.withheld_minor, d.record_at, d.created_at
     from public.distributions as d where d.property_id = $1 order by d.created_at desc limit 60"
);

/// `GET /manage/{id}/rent`.
pub(crate) async fn show(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    shown(&app, &visit, id, &Fields::default(), &[], None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    id: Uuid,
    typed: &Fields,
    wrong: &[String],
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let person = visit.one_of(&MANAGERS)?;
    let tx = visit.reads(app).await?;
    let member = sql!(
        "select p.title from public.property_members as m join public.properties as p on p.id = m.property_id
         where m.property_id = $1 and m.user_id = $2 and m.is_active"
    );
    let title: String = tx
        .query_opt(member, &[&id, &person.id])
        .await?
        .ok_or(Problem::NotFound)?
        .try_get(0)?;
    let periods = tx.query(PERIODS, &[&id]).await?;
    let distributions = tx.query(DISTRIBUTIONS, &[&id]).await?;
    tx.commit().await?;
    let content = html! {
        (tabs(visit, id, &format!("/manage/{id}/rent"), &title))
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.stack-large {
            section { h2 { (visit.t("rent-periods")) } (period_table(visit, &periods)?) }
            section.card #record { h2 { (visit.t("rent-record")) } (record_form(visit, id, typed, wrong)) }
            section { h2 { (visit.t("rent-distributions")) } (distribution_list(visit, &distributions)?) }
            section.card { h2 { (visit.t("rent-propose")) } p.soft { (visit.t("rent-propose-text")) } (propose(visit, id)) }
        }
    };
    let mut response = answered(
        page(visit, &Head::titled(title).within(Section::Managing), content),
        problem,
    );
    if !wrong.is_empty() {
        *response.status_mut() = axum::http::StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

fn period_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("rent-none"),
            html! { p { (visit.t("rent-none-text")) } a.button.secondary href="#record" { (visit.t("rent-record")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (from, to): (NaiveDate, NaiveDate) = (row.try_get(0)?, row.try_get(1)?);
        let status: String = row.try_get(2)?;
        let (rent, left) = (Sum::read(row, 3, 4, 5)?, Sum::read(row, 6, 4, 5)?);
        let reason: Option<String> = row.try_get(7)?;
        let sum = |sum: Option<Sum>| html! { @if let Some(sum) = sum { (sum.show()) } @else { "–" } };
        lines.push(html! {
            tr {
                th scope="row" { (figures::day(from, visit.language)) " – " (figures::day(to, visit.language)) }
                td.number { (figures::count(row.try_get(8)?)) }
                td.number { (sum(rent)) }
                td.number { (sum(left)) }
                td { (parts::state(visit, &status)) @if let Some(reason) = reason { " " q dir="auto" { (reason) } } }
            }
        });
    }
    Ok(parts::table(
        &visit.t("rent-periods"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("chart-period")) }
                th.number scope="col" { (visit.t("rent-lines")) }
                th.number scope="col" { (visit.t("chart-rent")) }
                th.number scope="col" { (visit.t("rent-left")) }
                th scope="col" { (visit.t("column-state")) }
            } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

fn record_form(visit: &Visit, id: Uuid, typed: &Fields, wrong: &[String]) -> Markup {
    let money = |name, key: &str| {
        Field::text(name, visit.language.text(key))
            .value(typed.get(name))
            .optional()
            .with("inputmode", "decimal")
            .show(visit)
    };
    html! {
        p.soft { (visit.t("rent-record-text")) }
        @if !wrong.is_empty() {
            div.alert-slot tabindex="-1" data-focus="" {
                (parts::alert(visit, Tone::Stop, html! {
                    p { strong { (visit.t("rent-wrong")) } }
                    ul lang="en" dir="ltr" { @for text in wrong { li { (text) } } }
                }))
            }
        }
        form.form method="post" action={ "/manage/" (id) "/rent" } {
            (token(visit))
            div.form-grid {
                (Field::text("periodFrom", visit.t("rent-from")).kind("date").value(typed.get("periodFrom")).show(visit))
                (Field::text("periodTo", visit.t("rent-to")).kind("date").value(typed.get("periodTo")).show(visit))
                (Field::text("letDays", visit.t("rent-let-days")).value(typed.get("letDays")).optional().with("inputmode", "numeric").show(visit))
            }
            (Field::text("lines", visit.t("rent-lines")).kind("textarea").value(typed.get("lines")).hint(visit.t("rent-lines-hint")).with("rows", "7").show(visit))
            p.fine dir="ltr" lang="en" { code { "ops-1, 2026-09-1, rent, 3150.00, 2026-09-03, rent of September" } }
            details {
                summary { (visit.t("rent-aside")) }
                div.form-grid {
                    (money("taxes", "rent-aside-taxes")) (money("insurance", "rent-aside-insurance"))
                    (money("maintenance", "rent-aside-maintenance")) (money("reserve", "rent-aside-reserve")) (money("reserveDraw", "rent-draw"))
                }
            }
            div { button.button { (visit.t("rent-record")) } }
        }
    }
}

/// Lines as they were pasted; what is wrong with which.
fn read_lines(text: &str) -> Result<Vec<Value>, Vec<String>> {
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let separator = if line.contains('\t') {
            '\t'
        } else if line.contains(';') {
            ';'
        } else {
            ','
        };
        // The words at the end may have commas of their own.
        let cells: Vec<&str> = line
            .splitn(COLUMNS, separator)
            .map(|cell| cell.trim().trim_matches('"'))
            .collect();
        let &[account, reference, kind, amount, day, words] = cells.as_slice() else {
            wrong.push(format!(
                "line {number}: {} columns, and {COLUMNS} are wanted: account, reference, kind, amount, day, what for",
                cells.len()
            ));
            continue;
        };
        if !KINDS.contains(&kind) {
            wrong.push(format!("line {number}: kind {kind:?} is none of {}", KINDS.join(", ")));
        }
        if day.parse::<NaiveDate>().is_err() {
            wrong.push(format!("line {number}: {day:?} is no day such as 2026-09-03"));
        }
        if amount.is_empty() || !amount.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
            wrong.push(format!("line {number}: {amount:?} is no amount such as 3150.00"));
        }
        if account.is_empty() || reference.is_empty() || words.is_empty() {
            wrong.push(format!(
                "line {number}: account, reference and what it is for are not empty"
            ));
        }
        lines.push(json!({ "accountRef": account, "bankReference": reference, "kind": kind, "amount": amount, "bookedOn": day, "paidFor": words }));
    }
    if lines.is_empty() && wrong.is_empty() {
        wrong.push("paste at least one line of the bank's statement".to_owned());
    }
    if wrong.is_empty() { Ok(lines) } else { Err(wrong) }
}

/// `POST /manage/{id}/rent`.
pub(crate) async fn record(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    visit.one_of(&MANAGERS)?;
    let lines = match read_lines(fields.get("lines")) {
        Ok(lines) => lines,
        Err(wrong) => return shown(&app, &visit, id, &fields, &wrong, None).await,
    };
    let mut body: Map<String, Value> = fields.body(&[
        ("periodFrom", "periodFrom"),
        ("periodTo", "periodTo"),
        ("reserveDraw", "reserveDraw"),
    ]);
    body.insert("propertyId".to_owned(), json!(id));
    body.insert("lines".to_owned(), lines.into());
    let aside = ["taxes", "insurance", "maintenance", "reserve"].map(|name| (name, name));
    body.insert("accrued".to_owned(), fields.body(&aside).into());
    if let Some(days) = fields.given("letDays").and_then(|days| days.parse::<i32>().ok()) {
        body.insert("letDays".to_owned(), days.into());
    }
    match call(&app, &visit, "record-performance", None, Value::Object(body)).await {
        Ok(_) => Ok(Redirect::to(&format!("/manage/{id}/rent?did=done")).into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, &fields, &[], Some(&problem)).await
        }
    }
}

fn distribution_list(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("rent-no-distribution"),
            html! { p { (visit.t("rent-no-distribution-text")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (id, status): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let holders: i32 = row.try_get(5)?;
        let (sum, withheld) = (Sum::read(row, 2, 3, 4)?, Sum::read(row, 6, 3, 4)?);
        let about = html! {
            @if holders > 0 { (visit.tv("rent-holders", &[("count", holders.into())])) ", " }
            @if let Some(withheld) = withheld { (visit.t("rent-withheld")) " " (withheld.show()) ", " }
            (figures::instant(row.try_get(8)?, visit.language))
        };
        let hidden = [("distributionId", id.to_string())];
        let actions = html! {
            @if status == "proposed" {
                p.fine { (visit.t("rent-distribution-waits")) }
                (Act { function: "cancel-distribution", hidden: &hidden, fields: html! {}, class: "button danger small", label: visit.t("rent-cancel").into_owned() }.show(visit))
            }
        };
        lines.push(act::state_line(
            visit,
            html! { @if let Some(sum) = sum { (sum.show()) } },
            &status,
            about,
            actions,
        ));
    }
    Ok(html! { ul.notices { @for line in lines { (line) } } })
}

fn propose(visit: &Visit, id: Uuid) -> Markup {
    let hidden = [("propertyId", id.to_string())];
    let fields = Field::text("amount", visit.t("column-amount"))
        .hint(visit.t("rent-amount-hint"))
        .optional()
        .with("inputmode", "decimal")
        .show(visit);
    Act {
        function: "declare-distribution",
        hidden: &hidden,
        fields,
        class: "button",
        label: visit.t("rent-propose").into_owned(),
    }
    .show(visit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_what_is_wrong_with_it() {
        let good = "ops-1, r-1, rent, 3150.00, 2026-09-03, rent, and parking\n\nops-1;r-2;taxes;10;2026-09-04;tax";
        let lines = read_lines(good).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["paidFor"], "rent, and parking");
        let wrong = read_lines("a,b\nops-1, r-1, gift, 1e3, soon, x").unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].starts_with("line 1: 2 columns") && wrong[1].starts_with("line 2: kind \"gift\""));
        assert_eq!(read_lines(" \n").unwrap_err().len(), 1);
    }
}
