//! `/administration/health`: the parts of the platform asked now, and what was measured of database, server, files and mail.

use std::{borrow::Cow, time::Instant};

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        call::{call, instant, text},
        figures,
        parts::{self, Tone},
        property::file_size,
        visit::Visit,
    },
    problem::{Problem, chain},
};

/// What is written to see whether the file store takes something, and thrown away.
const PROBE: &[u8] = b"does the file store take this?";

/// `GET /administration/health`.
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let answer = call(&app, &visit, "deployment-health-check", None, json!({})).await?;
    let status = call(&app, &visit, "get-system-status", None, json!({})).await?;
    let jobs = call(&app, &visit, "list-jobs", None, json!({})).await?;
    let services = answer
        .get("services")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let content = html! {
        div.stack-large {
            section.stack {
                p { (parts::state(&visit, text(&answer, "/overall_status"))) }
                (parts::table(&visit.t("health-title"), html! {
                    thead { tr { th scope="col" { (visit.t("health-part")) } th scope="col" { (visit.t("column-state")) } th.number scope="col" { (visit.t("health-time")) } th scope="col" { (visit.t("health-said")) } } }
                    tbody { @for part in &services { tr {
                        th scope="row" lang="en" { (text(part, "/service").replace('_', " ")) }
                        td { (parts::state(&visit, text(part, "/status"))) }
                        td.number { (part.get("responseTime").map(ToString::to_string).unwrap_or_default()) }
                        td lang="en" dir="ltr" { (text(part, "/message")) }
                    } } }
                }))
            }
            section { h2 { (visit.t("health-database")) } (database(&visit, &status)) (slots(&visit, &status)) }
            section { h2 { (visit.t("health-backlog")) } (backlog(&visit, &status, &jobs)) }
            section { h2 { (visit.t("health-server")) } (server(&app, &visit)) }
            section { h2 { (visit.t("health-files")) } (files(&app, &visit).await) }
            section { h2 { (visit.t("health-mail")) } (mail(&app, &visit, &jobs)) }
        }
    };
    Ok(section(
        &visit,
        "/administration/health",
        &visit.t("health-title"),
        content,
    ))
}

fn number(of: &Value, name: &str) -> i64 {
    of.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn pair(name: Cow<'static, str>, value: Markup) -> (String, Markup) {
    (name.into_owned(), value)
}

fn database(visit: &Visit, status: &Value) -> Markup {
    let connections = visit.tv(
        "health-of",
        &[
            ("count", figures::count(number(status, "connections")).into()),
            ("most", figures::count(number(status, "connectionsMax")).into()),
        ],
    );
    parts::facts(&[
        pair(
            visit.t("health-version"),
            html! { "PostgreSQL " (text(status, "/version")) },
        ),
        pair(
            visit.t("health-size"),
            html! { (file_size(number(status, "sizeBytes"))) },
        ),
        pair(visit.t("health-connections"), html! { (connections) }),
    ])
}

/// Who follows the database's log, and what is kept for it: a follower that is away fills the disk.
fn slots(visit: &Visit, status: &Value) -> Markup {
    let slots = status
        .get("slots")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if slots.is_empty() {
        return html! { p.fine { (visit.t("health-no-slots")) } };
    }
    parts::table(
        &visit.t("health-slots"),
        html! {
            thead { tr { th scope="col" { (visit.t("health-slots")) } th scope="col" { (visit.t("column-state")) } th.number scope="col" { (visit.t("health-kept")) } } }
            tbody { @for slot in &slots { tr {
                th scope="row" { code { (text(slot, "/name")) } }
                td { @if slot.get("isActive") == Some(&json!(true)) { (parts::badge(Tone::Good, &visit.t("health-followed"))) } @else { (parts::badge(Tone::Wait, &visit.t("health-not-followed"))) } }
                td.number { (file_size(number(slot, "keptBytes"))) }
            } } }
        },
    )
}

fn backlog(visit: &Visit, status: &Value, jobs: &Value) -> Markup {
    let queues = jobs
        .get("queues")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let sum = |name: &str| -> i64 { queues.iter().map(|queue| number(queue, name)).sum() };
    html! {
        (parts::facts(&[
            pair(visit.t("health-unsealed"), html! {
                (figures::count(number(status, "unsealed")))
                @if let Some(at) = instant(status, "/sealedAt") { ", " (visit.t("health-sealed")) " " (figures::instant(at, visit.language)) }
            }),
            pair(visit.t("jobs-late"), html! { (figures::count(sum("late"))) }),
            pair(visit.t("jobs-failing"), html! { (figures::count(sum("failing"))) }),
            pair(visit.t("jobs-aside"), html! { (figures::count(sum("aside"))) }),
        ]))
        p { a href="/administration/jobs" { (visit.t("jobs-title")) } }
    }
}

/// What this process has in its own lines and pools: others beside it have theirs.
fn server(app: &App, visit: &Visit) -> Markup {
    let count = |number: usize| figures::count(i64::try_from(number).unwrap_or(i64::MAX));
    let pools = app.db.in_use();
    html! {
        (parts::facts(&[
            pair(visit.t("health-purchases"), html! { (count(app.purchases.waiting() + app.checkouts.waiting())) }),
            pair(visit.t("health-arrivals"), html! { (count(app.arrivals.waiting())) }),
        ]))
        (parts::table(&visit.t("health-pools"), html! {
            thead { tr { th scope="col" { (visit.t("health-role")) } th.number scope="col" { (visit.t("health-in-use")) } th.number scope="col" { (visit.t("health-most")) } th.number scope="col" { (visit.t("health-callers")) } } }
            tbody { @for pool in &pools { tr {
                th scope="row" { code { (pool.role.name()) } }
                td.number { (count(pool.in_use)) } td.number { (count(pool.size_max)) } td.number { (count(pool.waiting)) }
            } } }
        }))
        p.fine { (visit.t("health-server-text")) }
    }
}

/// Whether something can be written now, and how long that takes.
async fn files(app: &App, visit: &Visit) -> Markup {
    let begun = Instant::now();
    let staged = app.files.stage(PROBE).await;
    let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let state = match &staged {
        Ok(_) => parts::badge(Tone::Good, &visit.t("health-writes")),
        Err(error) => {
            tracing::warn!(cause = %chain(error), "the file store took nothing");
            parts::badge(Tone::Stop, &visit.t("health-writes-not"))
        }
    };
    let place = match &app.config.settings.storage.s3 {
        Some(_) => visit.t("health-bucket"),
        None => visit.t("health-folder"),
    };
    parts::facts(&[
        pair(visit.t("health-place"), html! { (place) }),
        pair(visit.t("column-state"), state),
        pair(visit.t("health-time"), html! { (figures::count(took)) }),
    ])
}

fn mail(app: &App, visit: &Visit, jobs: &Value) -> Markup {
    let queues = jobs
        .get("queues")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let waiting = queues.iter().find(|queue| text(queue, "/queue") == "mails");
    let waiting = waiting.map_or(0, |queue| number(queue, "waiting"));
    let state = match &app.config.settings.smtp_url {
        Some(_) => parts::badge(Tone::Good, &visit.t("health-mail-server")),
        None => parts::badge(Tone::Wait, &visit.t("health-no-mail-server")),
    };
    parts::facts(&[
        pair(visit.t("health-mail-by"), state),
        pair(visit.t("jobs-waiting"), html! { (figures::count(waiting)) }),
    ])
}
