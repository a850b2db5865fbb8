//! `/tax-forms`: what a holder says of themselves to the tax office, with the signed form.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{
    account::own_tabs,
    act,
    call::{beside_form, call},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    papers::{self, Asker, Paper},
    parts::{self, Field, Tone},
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

/// Forms that most people file; others have a name too.
const FORMS: [&str; 5] = ["W-9", "W-8BEN", "W-8BEN-E", "W-8ECI", "CRS"];

const OWN: &str = sql!(
    "select f.form, f.form_version, f.residency_country, f.signed_on, f.status, f.reason, f.expires_at
     from public.tax_forms as f where f.user_id = $1 order by f.created_at desc, f.id limit 50"
);

/// `GET /tax-forms`.
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(app).await?;
    let rows = tx.query(OWN, &[&person.id]).await?;
    let papers = papers::free(&tx, person.id).await?;
    tx.commit().await?;
    let filed = rows.iter().map(|row| one(visit, row)).collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        (own_tabs(visit, "/tax-forms"))
        div.page-head { h1 { (visit.t("tax-title")) } p.lead { (visit.t("tax-lead")) } }
        @if let Some(said) = act::said(visit) { div.alert-slot { (parts::alert(visit, Tone::Good, html! { p { (said) } })) } }
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.columns {
            section.card {
                h2 { (visit.t("tax-filed")) }
                @if filed.is_empty() { p.soft { (visit.t("tax-none")) } }
                @else { ul.evidence { @for form in filed { (form) } } }
            }
            div.stack {
                (papers::section(visit, Asker::Tax, &visit.t("tax-papers"), &papers))
                section.card {
                    h2 { (visit.t("tax-file")) }
                    @if papers.is_empty() { p.soft { (visit.t("tax-file-first")) } } @else { (file_form(visit, &papers, typed)) }
                }
            }
        }
    };
    let head = Head::titled(visit.t("tax-title")).within(Section::Account);
    Ok(answered(page(visit, &head, content), problem))
}

fn one(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (form, version, country): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (signed_on, status): (NaiveDate, String) = (row.try_get(3)?, row.try_get(4)?);
    let (reason, expires): (Option<String>, Option<DateTime<Utc>>) = (row.try_get(5)?, row.try_get(6)?);
    let status = if status == "checked" && expires.is_some_and(|at| at <= visit.asked.now) {
        "expired".to_owned()
    } else {
        status
    };
    Ok(html! {
        li {
            div.what {
                strong { bdi { (form) } " " span.fine { bdi { (version) } } }
                span.fine {
                    bdi { (country) } ", " (visit.t("tax-signed")) " " (figures::day(signed_on, visit.language))
                    @if let Some(at) = expires { ", " (visit.t("verify-until")) " " (figures::date(at, visit.language)) }
                }
                @if let Some(reason) = reason { q.fine dir="auto" { (reason) } }
            }
            (parts::state(visit, &status))
        }
    })
}

fn file_form(visit: &Visit, papers: &[Paper], typed: &Fields) -> Markup {
    let forms: Vec<(&str, String)> = FORMS.iter().map(|form| (*form, (*form).to_owned())).collect();
    html! {
        form.form method="post" action="/tax-forms" {
            (token(visit))
            div.form-grid {
                (parts::select("form", &visit.t("tax-form"), &forms, typed.get("form")))
                (Field::text("version", visit.t("tax-version")).value(typed.get("version")).with("maxlength", "50").show(visit))
                (Field::text("country", visit.t("tax-country")).value(typed.get("country")).with("maxlength", "2").with("minlength", "2").show(visit))
                (Field::text("signed_on", visit.t("tax-signed-on")).kind("date").value(typed.get("signed_on")).show(visit))
            }
            p.hint { (visit.t("tax-hint")) }
            (papers::choice(visit, papers, typed))
            div { button.button { (visit.t("tax-send")) } }
        }
    }
}

/// `POST /tax-forms`.
pub(crate) async fn file(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let body: Value = json!({
        "form": fields.get("form"), "formVersion": fields.get("version"), "country": fields.get("country").to_uppercase(),
        "signedOn": fields.get("signed_on"), "documentIds": fields.all("document"),
    });
    match call(&app, &visit, "file-tax-form", None, body).await {
        Ok(_) => Ok(Redirect::to("/tax-forms?did=done").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}
