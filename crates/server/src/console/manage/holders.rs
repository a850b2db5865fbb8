//! `/manage/{id}/holders`: who holds how many, now or at an instant that is past; and what a manager may ask for about holdings: the
//! redemption of somebody's tokens, and the winding up of a property that was sold. Two overseers approve either.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use chrono::NaiveDateTime;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MANAGERS, tabs};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::{beside_form, call, instant, text},
        entry::answered,
        fault, figures,
        layout::{Head, Section, page},
        parts::{self, Field},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// Holders of one page.
const PAGE_SIZE: i64 = 200;

/// Which register.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    at: String,
    /// As known at this entry: the pages of one question are of one answer.
    seq: Option<i64>,
    after: Option<Uuid>,
}

const PROPERTY: &str = sql!(
    "select p.title, (select k.token_decimals from public.property_tokens as k where k.property_id = p.id and k.status = 'launched' order by k.created_at, k.id limit 1)
     from public.property_members as m join public.properties as p on p.id = m.property_id
     where m.property_id = $1 and m.user_id = $2 and m.is_active"
);

/// `GET /manage/{id}/holders`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let person = visit.one_of(&MANAGERS)?;
    let tx = visit.reads(&app).await?;
    let row = tx
        .query_opt(PROPERTY, &[&id, &person.id])
        .await?
        .ok_or(Problem::NotFound)?;
    tx.commit().await?;
    let (title, decimals): (String, Option<i16>) = (row.try_get(0)?, row.try_get(1)?);
    let (mut shown, mut refused) = (html! { p.soft { (visit.t("holders-not-launched")) } }, None);
    if let Some(decimals) = decimals {
        match asked(&app, &visit, id, &wanted).await {
            Ok(register) => shown = held(&visit, id, &wanted, &register, decimals),
            Err(problem) => {
                refused = Some(beside_form(problem)?);
                shown = when_form(&visit, id, &wanted);
            }
        }
    }
    let content = html! {
        (tabs(&visit, id, &format!("/manage/{id}/holders"), &title))
        @if let Some(problem) = &refused { (fault::alert(&visit, problem)) }
        div.stack-large { (shown) }
    };
    let head = Head::titled(title).within(Section::Managing);
    Ok(answered(page(&visit, &head, content), refused.as_ref()))
}

async fn asked(app: &App, visit: &Visit, id: Uuid, wanted: &Wanted) -> Result<Value, Problem> {
    let at = match wanted.at.trim() {
        "" => None,
        typed => Some(
            NaiveDateTime::parse_from_str(typed, "%Y-%m-%dT%H:%M")
                .map_err(|_| Problem::Invalid("at: a day and a time are wanted, such as 2026-11-28T15:00".to_owned()))?
                .and_utc(),
        ),
    };
    let body =
        json!({ "propertyId": id, "at": at, "knownSeq": wanted.seq, "afterPartyId": wanted.after, "limit": PAGE_SIZE });
    call(app, visit, "get-register", None, body).await
}

fn when_form(visit: &Visit, id: Uuid, wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action={ "/manage/" (id) "/holders" } { div.form-grid {
            (Field::text("at", visit.t("holders-at")).kind("datetime-local").value(wanted.at.trim()).hint(visit.t("holders-at-hint")).bare().show(visit))
            div { button.button.secondary { (visit.t("holders-show")) } }
        } }
    }
}

fn number(of: &Value, name: &str) -> i64 {
    of.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn held(visit: &Visit, id: Uuid, wanted: &Wanted, register: &Value, decimals: i16) -> Markup {
    let holders = register
        .get("holders")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let all = number(register, "heldUnits");
    let next = text(register, "/nextAfterPartyId");
    let older = (!next.is_empty()).then(|| {
        let pairs = [
            ("at", wanted.at.clone()),
            ("seq", number(register, "knownSeq").to_string()),
            ("after", next.to_owned()),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        format!("/manage/{id}/holders?{query}")
    });
    html! {
        section.stack {
            h2 { (visit.t("holders-title")) }
            (when_form(visit, id, wanted))
            dl.figures {
                (parts::figure(&visit.t("figure-holders"), html! { (figures::count(number(register, "holderCount"))) }, None))
                (parts::figure(&visit.t("column-tokens"), html! { (figures::tokens(all, decimals)) }, None))
            }
            @if let Some(at) = instant(register, "/changedAt") { p.fine { (visit.t("holders-changed")) " " (figures::instant(at, visit.language)) } }
            @if holders.is_empty() { (parts::empty(&visit.t("holders-none"), html! { p { (visit.t("holders-none-text")) } })) }
            @else {
                (parts::table(&visit.t("holders-title"), html! {
                    thead { tr { th scope="col" { (visit.t("ledger-party")) } th.number scope="col" { (visit.t("column-tokens")) } th.number scope="col" { (visit.t("holders-part")) } } }
                    tbody { @for holder in &holders { tr {
                        th scope="row" { code { (text(holder, "/partyId")) } }
                        td.number { (figures::tokens(number(holder, "units"), decimals)) }
                        td.number { (part(number(holder, "units"), all)) }
                    } } }
                }))
            }
            @if let Some(older) = older { nav.pager aria-label=(visit.t("pager-label")) { span {} a.button.secondary rel="next" href=(older) { (visit.t("pager-next")) } } }
        }
        @if !holders.is_empty() { (requests(visit, id)) }
    }
}

/// What part of all, in per cent with two decimals, rounded down.
fn part(units: i64, all: i64) -> String {
    if all <= 0 {
        return "–".to_owned();
    }
    let share = i128::from(units) * 10_000 / i128::from(all);
    format!("{}\u{a0}%", figures::decimal(i64::try_from(share).unwrap_or(0), 2))
}

fn requests(visit: &Visit, id: Uuid) -> Markup {
    let line = |name, key: &str| Field::text(name, visit.language.text(key)).with("maxlength", "200");
    let show = |kind: &str, fields: Markup| {
        let hidden = [("kind", kind.to_owned()), ("propertyId", id.to_string())];
        Act {
            function: "open-holding-case",
            hidden: &hidden,
            fields,
            class: "button",
            label: visit.t("holders-ask").into_owned(),
        }
        .show(visit)
    };
    let redemption = html! {
        p.soft { (visit.t("holders-redemption-text")) }
        div.form-grid {
            (line("partyId", "cases-party-id").with("maxlength", "36").show(visit))
            (line("tokenAmount", "cases-tokens").optional().with("inputmode", "numeric").show(visit))
            (line("amount", "holders-redemption-amount").with("inputmode", "decimal").show(visit))
        }
        (act::reason(visit, "redemption"))
    };
    html! {
        section {
            h2 { (visit.t("holders-cases")) }
            p.fine { (visit.t("holders-cases-text")) }
            (act::folded(&visit.word("case", "redemption"), show("redemption", redemption)))
            (act::folded(&visit.word("case", "wind_up"), show("wind_up", winding_up(visit))))
        }
    }
}

/// A second form on one page has names of its own for its fields.
fn winding_up(visit: &Visit) -> Markup {
    let field = |name: &str, label: &str, kind: &str| {
        html! {
            div.field {
                label for={ "wind-up-" (name) } { (visit.language.text(label)) }
                input id={ "wind-up-" (name) } name=(name) type=(kind) required maxlength="200" inputmode=[(name == "amount").then_some("decimal")];
            }
        }
    };
    html! {
        p.soft { (visit.t("holders-wind-up-text")) }
        div.form-grid {
            (field("amount", "holders-price", "text"))
            (field("accountRef", "cases-account", "text"))
            (field("bankReference", "cases-bank-reference", "text"))
            (field("bookedOn", "cases-booked", "date"))
        }
        (act::reason(visit, "wind-up"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_rounded_down() {
        assert_eq!(part(1, 3), "33.33\u{a0}%");
        assert_eq!(part(5, 5), "100.00\u{a0}%");
        assert_eq!(part(0, 0), "–");
    }
}
