//! `/transfers`: tokens on their way from one party to another: asked for, agreed to, approved by a third person.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    act::{self, Act},
    call::{beside_form, call},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    listing::Sum,
    parts::{self, Field, Tone},
    portfolio::portfolio_tabs,
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

const KINDS: [&str; 3] = ["sale", "gift", "own_wallet"];

/// Those of the visitor's party, what waits first. Staff see others' too, and not here.
const OWN: &str = sql!(
    "select t.id, p.title, t.kind, t.units, t.token_decimals, nullif(t.price_minor, 0), t.currency, t.currency_decimals, t.status, t.due_at,
            t.reason, t.decision_reason, t.created_at, t.from_party_id = u.party_id
     from public.user_profiles as u
     join public.transfers as t on u.party_id in (t.from_party_id, t.to_party_id)
     join public.properties as p on p.id = t.property_id
     where u.id = $1
     order by t.status in ('requested', 'accepted') desc, t.created_at desc, t.id limit 100"
);

const HELD: &str = sql!(
    "select p.id, p.title, sum(l.units)::bigint, max(l.token_decimals), max(l.currency) from public.lots as l join public.properties as p on p.id = l.property_id
     where l.user_id = $1 and l.units > 0 group by p.id, p.title order by p.title, p.id"
);

/// `GET /transfers`.
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(app).await?;
    let rows = tx.query(OWN, &[&person.id]).await?;
    let held = tx.query(HELD, &[&person.id]).await?;
    tx.commit().await?;
    let lines = rows.iter().map(|row| one(visit, row)).collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        (portfolio_tabs(visit, "/transfers"))
        div.page-head { h1 { (visit.t("transfers-title")) } p.lead { (visit.t("transfers-lead")) } }
        @if let Some(said) = act::said(visit) { div.alert-slot { (parts::alert(visit, Tone::Good, html! { p { (said) } })) } }
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.with-aside {
            div.stack-large {
                section {
                    h2 { (visit.t("transfers-own")) }
                    @if lines.is_empty() { (parts::empty(&visit.t("transfers-none"), html! { p { (visit.t("transfers-none-text")) } })) }
                    @else { ul.notices { @for line in lines { (line) } } }
                }
                @if !held.is_empty() { section.card { h2 { (visit.t("transfers-ask")) } (request_form(visit, &held, typed)?) } }
            }
            aside { section.card {
                h2 { (visit.t("transfers-number")) }
                p.soft { (visit.t("transfers-number-text")) }
                p.secret dir="ltr" { (person.id) }
            } }
        }
    };
    let head = Head::titled(visit.t("transfers-title"))
        .within(Section::Portfolio)
        .wide();
    Ok(answered(page(visit, &head, content), problem))
}

fn one(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (id, title, kind): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (status, is_given): (String, bool) = (row.try_get(8)?, row.try_get(13)?);
    let (due_at, asked_at): (DateTime<Utc>, DateTime<Utc>) = (row.try_get(9)?, row.try_get(12)?);
    let (reason, said): (String, Option<String>) = (row.try_get(10)?, row.try_get(11)?);
    let price = Sum::read(row, 5, 6, 7)?;
    let tokens = figures::tokens(row.try_get(3)?, row.try_get(4)?);
    let is_open = matches!(status.as_str(), "requested" | "accepted");
    let act = |function: &'static str, class: &'static str, key: &str, fields: Markup| {
        Act {
            function,
            hidden: &[("transferId", id.to_string())],
            fields,
            class,
            label: visit.language.text(key).into_owned(),
        }
        .show(visit)
    };
    let confirm_price = html! {
        @if price.is_some() {
            div.field {
                label for={ "price-" (id) } { (visit.t("transfers-price-again")) }
                input id={ "price-" (id) } name="price" inputmode="decimal" required maxlength="24";
            }
        }
    };
    let direction = if is_given {
        visit.t("transfers-given")
    } else {
        visit.t("transfers-got")
    };
    Ok(html! {
        li.card.tight {
            div.row.spread { strong { bdi { (title) } } (parts::state(visit, &status)) }
            p { (direction) ": " (visit.tv("transfers-tokens", &[("tokens", tokens.clone().into()), ("count", i64::from(tokens != "1").saturating_add(1).into())])) ", " (visit.word("transfer", &kind)) @if let Some(price) = &price { ", " (price.show()) } }
            p.fine {
                (figures::instant(asked_at, visit.language))
                @if is_open { ", " (visit.t("transfers-due")) " " (figures::instant(due_at, visit.language)) }
            }
            p.fine { q dir="auto" { (reason) } }
            @if let Some(said) = said { p.fine { (visit.t("transfers-decided")) " " q dir="auto" { (said) } } }
            @if !is_given && status == "requested" {
                (act("accept-transfer", "button", "transfers-accept", confirm_price))
                (act("decline-transfer", "button danger", "transfers-decline", html! {}))
            }
            @if is_open && (is_given || status == "accepted") { (act("cancel-transfer", "button secondary", "transfers-cancel", html! {})) }
        }
    })
}

fn request_form(visit: &Visit, held: &[Row], typed: &Fields) -> Result<Markup, Problem> {
    let mut choices = Vec::new();
    for row in held {
        let (id, title): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let (tokens, currency): (String, String) = (figures::tokens(row.try_get(2)?, row.try_get(3)?), row.try_get(4)?);
        choices.push((
            id.to_string(),
            format!("\u{2068}{title}\u{2069} ({tokens}, {currency})"),
        ));
    }
    let choices: Vec<(&str, String)> = choices.iter().map(|(id, text)| (id.as_str(), text.clone())).collect();
    let kinds = KINDS.map(|kind| (kind, visit.word("transfer", kind)));
    Ok(html! {
        form.form method="post" action="/transfers" {
            (token(visit))
            input type="hidden" name="key" value=(Uuid::new_v4());
            (parts::select("property", &visit.t("column-property"), &choices, typed.get("property")))
            div.form-grid {
                (Field::text("tokens", visit.t("column-tokens")).value(typed.get("tokens")).with("inputmode", "decimal").with("maxlength", "20").show(visit))
                (parts::select("kind", &visit.t("transfers-kind"), &kinds, typed.get("kind")))
                (Field::text("price", visit.t("transfers-price")).value(typed.get("price")).optional().with("inputmode", "decimal").with("maxlength", "24").show(visit))
            }
            (Field::text("to", visit.t("transfers-to")).value(typed.get("to")).hint(visit.t("transfers-to-hint")).with("maxlength", "36").show(visit))
            (Field::text("reason", visit.t("transfers-reason")).kind("textarea").value(typed.get("reason")).with("rows", "2").with("maxlength", "2000").show(visit))
            div { button.button { (visit.t("transfers-send")) } }
        }
    })
}

/// `POST /transfers`.
pub(crate) async fn request(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let body = fields.body(&[
        ("property", "propertyId"),
        ("tokens", "tokenAmount"),
        ("kind", "kind"),
        ("to", "toUserId"),
        ("price", "price"),
        ("reason", "reason"),
    ]);
    let key = fields.given("key");
    match call(&app, &visit, "request-transfer", key, Value::Object(body)).await {
        Ok(_) => Ok(Redirect::to("/transfers?did=done").into_response()),
        Err(problem) => {
            let problem = if matches!(problem, Problem::NotFound) {
                Problem::Invalid("nobody has this number".to_owned())
            } else {
                beside_form(problem)?
            };
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}
