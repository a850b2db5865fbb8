//! `/manage/{id}/rent`: periods of rent as the bank has them, and distributions of what they left.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::NaiveDate;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{MANAGERS, lines, tabs};
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
        what_if,
    },
    db::sql,
    problem::Problem,
};

const PERIODS: &str = sql!(
    "select r.period_from, r.period_to, r.status, r.rent_minor, r.currency, r.currency_decimals, r.distributable_minor, r.reject_reason,
            (select count(*) from public.rent_lines as l where l.period_id = r.id)
     from public.rent_periods as r where r.property_id = $1 order by r.period_from desc, r.created_at desc limit 60"
);

const DISTRIBUTIONS: &str = sql!(
    "select d.id, d.status, d.declared_minor, d.currency, d.currency_decimals, d.holders, d.withheld_minor, d.record_at, d.created_at
     from public.distributions as d where d.property_id = $1 order by d.created_at desc limit 60"
);

/// Which amount somebody thinks of distributing; an empty one is everything that can be.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Thought {
    amount: Option<String>,
}

/// `GET /manage/{id}/rent`.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(thought): Query<Thought>,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    // What was just proposed is not thought of any more.
    let thought = thought.amount.filter(|_| act::said(&visit).is_none());
    shown(&app, &visit, id, &Fields::default(), &[], thought.as_deref(), None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    id: Uuid,
    typed: &Fields,
    wrong: &[String],
    thought: Option<&str>,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let person = visit.one_of(&MANAGERS)?;
    let tx = visit.reads(app).await?;
    let member = sql!(
        "select p.title, exists (select from public.property_tokens as k where k.property_id = p.id and k.status = 'launched')
         from public.property_members as m join public.properties as p on p.id = m.property_id
         where m.property_id = $1 and m.user_id = $2 and m.is_active"
    );
    let row = tx
        .query_opt(member, &[&id, &person.id])
        .await?
        .ok_or(Problem::NotFound)?;
    let (title, is_launched): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    let periods = tx.query(PERIODS, &[&id]).await?;
    let distributions = tx.query(DISTRIBUTIONS, &[&id]).await?;
    tx.commit().await?;
    let preview = match thought.map(str::trim) {
        Some(amount) if is_launched => {
            let asked = Some(amount).filter(|amount| !amount.is_empty());
            Some((amount, what_if::show(app, visit, id, asked).await?))
        }
        Some(_) | None => None,
    };
    let content = html! {
        (tabs(visit, id, &format!("/manage/{id}/rent"), &title))
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.stack-large {
            section { h2 { (visit.t("rent-periods")) } (period_table(visit, &periods)?) }
            section.card #record { h2 { (visit.t("rent-record")) } (record_form(visit, id, typed, wrong)) }
            section { h2 { (visit.t("rent-distributions")) } (distribution_list(visit, &distributions)?) }
            section.card #propose { h2 { (visit.t("rent-propose")) }
                @if is_launched { p.soft { (visit.t("rent-propose-text")) } (propose(visit, id, preview)) }
                @else { p.soft { (visit.t("rent-not-launched")) } }
            }
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
        form.form method="post" action={ "/manage/" (id) "/rent" } enctype="multipart/form-data" {
            (token(visit))
            div.form-grid {
                (Field::text("periodFrom", visit.t("rent-from")).kind("date").value(typed.get("periodFrom")).show(visit))
                (Field::text("periodTo", visit.t("rent-to")).kind("date").value(typed.get("periodTo")).show(visit))
                (Field::text("letDays", visit.t("rent-let-days")).value(typed.get("letDays")).optional().with("inputmode", "numeric").show(visit))
            }
            (lines::form(visit, typed))
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

/// `POST /manage/{id}/rent`.
pub(crate) async fn record(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    visit.one_of(&MANAGERS)?;
    if let Err(problem) = fields.file_into("lines") {
        return shown(&app, &visit, id, &fields, &[], None, Some(&problem)).await;
    }
    let lines = match lines::read(&fields) {
        Ok(lines) => lines,
        Err(wrong) => return shown(&app, &visit, id, &fields, &wrong, None, None).await,
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
    if let Some(typed) = fields.given("letDays") {
        let Ok(days) = typed.parse::<i32>() else {
            let problem = Problem::Invalid("letDays: a whole number of days is wanted".to_owned());
            return shown(&app, &visit, id, &fields, &[], None, Some(&problem)).await;
        };
        body.insert("letDays".to_owned(), days.into());
    }
    match call(&app, &visit, "record-performance", None, Value::Object(body)).await {
        Ok(_) => Ok(Redirect::to(&format!("/manage/{id}/rent?did=done")).into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, &fields, &[], None, Some(&problem)).await
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

/// First what it would come to; then the proposal of that.
fn propose(visit: &Visit, id: Uuid, preview: Option<(&str, what_if::Come)>) -> Markup {
    let (typed, preview) = match preview {
        Some((typed, preview)) => (typed, Some(preview)),
        None => ("", None),
    };
    let hidden = [("propertyId", id.to_string()), ("amount", typed.to_owned())];
    let act = Act {
        function: "declare-distribution",
        hidden: &hidden,
        fields: html! {},
        class: "button",
        label: visit.t("rent-propose").into_owned(),
    };
    html! {
        form.form method="get" action={ "/manage/" (id) "/rent#propose" } {
            (Field::text("amount", visit.t("column-amount")).value(typed).hint(visit.t("rent-amount-hint")).optional().with("inputmode", "decimal").show(visit))
            div { button class=(if preview.is_some() { "button secondary" } else { "button" }) { (visit.t("rent-what-if")) } }
        }
        @if let Some(preview) = preview {
            div.stack { h3 { (visit.t("rent-would-come-to")) } (preview.shown) @if preview.passes { (act.show(visit)) } }
        }
    }
}
