//! `/compliance`: what waits for an officer, and what was decided.

pub(super) mod cases;
pub(super) mod decisions;
pub(super) mod evidence;
pub(super) mod identity;
pub(super) mod trail;

use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use mint_core::role::Role;
use serde_json::{Value, json};

use super::{
    act,
    call::{call, instant, text},
    figures,
    layout::{Head, Section, page},
    parts,
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

/// Who finds these pages.
pub(super) const OVERSEERS: [Role; 2] = [Role::ComplianceOfficer, Role::Admin];

/// A page of the section, below its tabs.
pub(super) fn section(visit: &Visit, open: &str, title: &str, content: Markup) -> Response {
    let tabs = [
        ("/compliance", visit.t("compliance-overview").into_owned()),
        ("/compliance/decisions", visit.t("decisions-title").into_owned()),
        ("/compliance/evidence", visit.t("evidence-title").into_owned()),
        ("/compliance/cases", visit.t("cases-title").into_owned()),
        ("/compliance/trail", visit.t("trail-title").into_owned()),
    ];
    let content = html! {
        (parts::tabs(&visit.t("nav-compliance"), &tabs, open))
        @if let Some(said) = act::said(visit) { div.alert-slot { (parts::alert(visit, parts::Tone::Good, html! { p { (said) } })) } }
        div.page-head { h1 { bdi { (title) } } }
        (content)
    };
    page(visit, &Head::titled(title).within(Section::Compliance), content)
}

/// `GET /compliance`.
pub(crate) async fn overview(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    let tx = visit.reads(&app).await?;
    let counts = sql!(
        "select (select count(*) from public.property_documents as d where d.review_status = 'pending'),
                (select count(*) from public.property_documents as d where d.review_status = 'accepted' and d.expires_at < $1::timestamptz + interval '30 days'),
                (select count(*) from public.holding_cases as c where c.status = 'open'),
                (select count(*) from public.incidents as i where i.status = 'open')"
    );
    let row = tx.query_one(counts, &[&visit.asked.now]).await?;
    tx.commit().await?;
    let queue = match visit.has(Role::ComplianceOfficer) {
        true => Some(call(&app, &visit, "list-kyc-queue", None, json!({})).await?),
        false => None,
    };
    let count = |at: usize| -> Result<Markup, Problem> { Ok(html! { (figures::count(row.try_get(at)?)) }) };
    let content = html! {
        div.stack-large {
            dl.figures {
                (parts::figure(&visit.t("compliance-pending"), count(0)?, None))
                (parts::figure(&visit.t("compliance-ending"), count(1)?, None))
                (parts::figure(&visit.t("compliance-cases-open"), count(2)?, None))
                (parts::figure(&visit.t("compliance-incidents-open"), count(3)?, None))
            }
            @if let Some(queue) = queue { (identity_queue(&visit, &queue)) }
        }
    };
    Ok(section(&visit, "/compliance", &visit.t("nav-compliance"), content))
}

fn identity_queue(visit: &Visit, answer: &Value) -> Markup {
    let cases = answer
        .get("cases")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    html! {
        section {
            h2 { (visit.t("queue-title")) }
            @if cases.is_empty() { (parts::empty(&visit.t("queue-empty"), html! { p { (visit.t("queue-empty-text")) } })) }
            @else {
                p.fine { (visit.t("queue-text")) }
                (parts::table(&visit.t("queue-title"), html! {
                    thead { tr {
                        th scope="col" { (visit.t("queue-case")) }
                        th scope="col" { (visit.t("verify-level")) }
                        th scope="col" { (visit.t("verify-submitted")) }
                        th scope="col" { (visit.t("column-state")) }
                    } }
                    tbody {
                        @for case in &cases {
                            @let id = text(case, "/caseId");
                            tr {
                                th scope="row" {
                                    @if case.get("isOwn") == Some(&json!(true)) { (short(id)) " (" (visit.t("queue-own")) ")" }
                                    @else { a href={ "/compliance/identity/" (id) } { (short(id)) } }
                                }
                                td { (visit.word("level", text(case, "/level"))) }
                                td { @if let Some(at) = instant(case, "/submittedAt") { (figures::instant(at, visit.language)) } }
                                td { (parts::state(visit, text(case, "/status"))) }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// The end of an id: enough to tell rows of a page apart.
pub(super) fn short(id: &str) -> Markup {
    let end = id.len().saturating_sub(8);
    html! { code title=(id) { "…" (id.get(end..).unwrap_or(id)) } }
}

/// An instant, where there is one.
pub(super) fn when(visit: &Visit, at: Option<DateTime<Utc>>) -> Markup {
    match at {
        Some(at) => figures::instant(at, visit.language),
        None => html! { "–" },
    }
}
