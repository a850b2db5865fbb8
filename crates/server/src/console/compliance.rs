//! `/compliance`: what waits for an officer, and what was decided.

pub(super) mod cases;
pub(super) mod custody;
pub(super) mod decisions;
pub(super) mod evidence;
pub(super) mod gate;
pub(super) mod identity;
pub(super) mod rates;
pub(super) mod requests;
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
    parts::{self, short},
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
        ("/compliance/gate", visit.t("gate-title").into_owned()),
        ("/compliance/cases", visit.t("cases-title").into_owned()),
        ("/compliance/custody", visit.t("custody-title").into_owned()),
        ("/compliance/rates", visit.t("rates-title").into_owned()),
        ("/compliance/reports", visit.t("reports-title").into_owned()),
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
    let mut queues = Vec::new();
    if visit.has(Role::ComplianceOfficer) {
        for (function, queue) in &QUEUES {
            let answer = call(&app, &visit, function, None, json!({})).await?;
            queues.push(queue_section(&visit, queue, &answer));
        }
    }
    let count = |at: usize| -> Result<Markup, Problem> { Ok(html! { (figures::count(row.try_get(at)?)) }) };
    let content = html! {
        div.stack-large {
            dl.figures {
                (parts::figure(&visit.t("compliance-pending"), count(0)?, None))
                (parts::figure(&visit.t("compliance-ending"), count(1)?, None))
                (parts::figure(&visit.t("compliance-cases-open"), count(2)?, None))
                (parts::figure(&visit.t("compliance-incidents-open"), count(3)?, None))
            }
            @for queue in &queues { (queue) }
        }
    };
    Ok(section(&visit, "/compliance", &visit.t("nav-compliance"), content))
}

/// One queue: what its cases are called, where they stand in the answer, where each leads, and what it is.
struct Queue {
    title: &'static str,
    list: &'static str,
    id: &'static str,
    place: &'static str,
    what: fn(&Visit, &Value) -> String,
}

const QUEUES: [(&str, Queue); 3] = [
    (
        "list-kyc-queue",
        Queue {
            title: "queue-title",
            list: "cases",
            id: "/caseId",
            place: "/compliance/identity/",
            what: |visit, case| visit.word("level", text(case, "/level")),
        },
    ),
    (
        "list-accreditation-queue",
        Queue {
            title: "queue-accreditation",
            list: "cases",
            id: "/caseId",
            place: "/compliance/accreditation/",
            what: |visit, case| visit.word("accreditation", text(case, "/kind")),
        },
    ),
    (
        "list-tax-forms",
        Queue {
            title: "queue-tax-forms",
            list: "taxForms",
            id: "/taxFormId",
            place: "/compliance/tax-forms/",
            what: |_, form| text(form, "/form").to_owned(),
        },
    ),
];

fn queue_section(visit: &Visit, queue: &Queue, answer: &Value) -> Markup {
    let cases = answer
        .get(queue.list)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let title = visit.language.text(queue.title);
    let line = |case: &Value| {
        let id = text(case, queue.id);
        let at = instant(case, "/submittedAt").or_else(|| instant(case, "/filedAt"));
        html! {
            tr {
                th scope="row" {
                    @if case.get("isOwn") == Some(&json!(true)) { (short(id)) " (" (visit.t("queue-own")) ")" }
                    @else { a href={ (queue.place) (id) } { (short(id)) } }
                }
                td { ((queue.what)(visit, case)) }
                td { @if let Some(at) = at { (figures::instant(at, visit.language)) } }
                td { (parts::state(visit, if text(case, "/status").is_empty() { "filed" } else { text(case, "/status") })) }
            }
        }
    };
    html! {
        section {
            h2 { (title) }
            @if cases.is_empty() { (parts::empty(&visit.t("queue-empty"), html! { p { (visit.t("queue-empty-text")) } })) }
            @else {
                p.fine { (visit.t("queue-text")) }
                (parts::table(&title, html! {
                    thead { tr {
                        th scope="col" { (visit.t("queue-case")) }
                        th scope="col" { (visit.t("queue-what")) }
                        th scope="col" { (visit.t("verify-submitted")) }
                        th scope="col" { (visit.t("column-state")) }
                    } }
                    tbody { @for case in &cases { (line(case)) } }
                }))
            }
        }
    }
}

/// An instant, where there is one.
pub(super) fn when(visit: &Visit, at: Option<DateTime<Utc>>) -> Markup {
    match at {
        Some(at) => figures::instant(at, visit.language),
        None => html! { "–" },
    }
}
