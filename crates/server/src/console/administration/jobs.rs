//! `/administration/jobs`: work that waits, what failed and when it is tried again, what was set aside; and what is done about it.

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::{call, instant, text},
        figures,
        parts::{self, Tone},
        visit::Visit,
    },
    problem::Problem,
};

/// `GET /administration/jobs`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let answer = call(&app, &visit, "list-jobs", None, json!({})).await?;
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (queues, items) = (list("queues"), list("items"));
    let most = number(&answer, "countedMax");
    let content = html! {
        div.stack-large {
            (pace(&visit, &answer))
            section {
                h2 { (visit.t("jobs-queues")) }
                p.fine { (visit.t("jobs-queues-text")) }
                (queue_table(&visit, &queues, most))
            }
            section {
                h2 { (visit.t("jobs-items")) }
                p.fine { (visit.t("jobs-items-text")) " " a href="/compliance/trail?table=nexus.payment_messages" { (visit.t("jobs-trail")) } }
                @if items.is_empty() { (parts::empty(&visit.t("jobs-items-none"), html! { p { (visit.t("jobs-items-none-text")) } })) }
                ul.notices { @for (at, one) in items.iter().enumerate() { (item(&visit, at, one)) } }
            }
        }
    };
    Ok(section(&visit, "/administration/jobs", &visit.t("jobs-title"), content))
}

fn number(of: &Value, name: &str) -> i64 {
    of.get(name).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether deadlines, closings and payouts run; where not, how they go on.
fn pace(visit: &Visit, answer: &Value) -> Markup {
    let since = instant(answer, "/paused/since");
    let Some(since) = since else {
        return parts::alert(visit, Tone::Good, html! { p { (visit.t("jobs-running")) } });
    };
    let resume = Act {
        function: "resume-jobs",
        hidden: &[],
        fields: act::reason(visit, "resume"),
        class: "button",
        label: visit.t("jobs-resume").into_owned(),
    };
    html! {
        (parts::alert(visit, Tone::Stop, html! {
            p { strong { (visit.t("jobs-paused")) } " " (figures::instant(since, visit.language)) }
            p lang="en" dir="ltr" { (text(answer, "/paused/reason")) }
            p { (visit.t("jobs-paused-text")) }
        }))
        (act::folded(&visit.t("jobs-resume"), resume.show(visit)))
    }
}

fn queue_table(visit: &Visit, queues: &[Value], most: i64) -> Markup {
    let count = |number: i64| {
        if number > most {
            visit
                .tv("jobs-more", &[("count", figures::count(most).into())])
                .into_owned()
        } else {
            figures::count(number)
        }
    };
    let when = |queue: &Value, place: &str| html! { @if let Some(at) = instant(queue, place) { (figures::instant(at, visit.language)) } @else { "–" } };
    parts::table(
        &visit.t("jobs-queues"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("jobs-queue")) } th scope="col" { (visit.t("column-state")) } th.number scope="col" { (visit.t("jobs-waiting")) }
                th.number scope="col" { (visit.t("jobs-late")) } th.number scope="col" { (visit.t("jobs-failing")) } th.number scope="col" { (visit.t("jobs-aside")) }
                th scope="col" { (visit.t("jobs-oldest")) } th scope="col" { (visit.t("jobs-next")) }
            } }
            tbody { @for queue in queues {
                @let name = text(queue, "/queue");
                tr {
                    th scope="row" {
                        (visit.word("queue", name))
                        @if matches!(name, "refunds" | "payouts") && number(queue, "failing") > 0 { br; a.fine href="/administration/money" { (visit.t("jobs-to-money")) } }
                        @if name == "events" { br; span.fine { (visit.t("jobs-events-text")) } }
                    }
                    td { (health_of(visit, queue)) }
                    td.number { (count(number(queue, "waiting"))) }
                    td.number { (count(number(queue, "late"))) }
                    td.number { (count(number(queue, "failing"))) }
                    td.number { (count(number(queue, "aside"))) }
                    td { (when(queue, "/oldestAt")) }
                    td { (when(queue, "/nextAt")) }
                }
            } }
        },
    )
}

fn health_of(visit: &Visit, queue: &Value) -> Markup {
    if number(queue, "failing") > 0 || number(queue, "aside") > 0 {
        parts::badge(Tone::Stop, &visit.t("jobs-look"))
    } else if text(queue, "/queue") == "events" {
        parts::badge(Tone::Plain, &visit.t("jobs-kept"))
    } else if number(queue, "late") > 0 {
        parts::badge(Tone::Wait, &visit.t("jobs-is-late"))
    } else {
        parts::badge(Tone::Good, &visit.t("jobs-in-time"))
    }
}

fn item(visit: &Visit, at: usize, item: &Value) -> Markup {
    let (queue, id) = (text(item, "/queue"), text(item, "/id"));
    let aside = instant(item, "/asideAt");
    let hidden = [("queue", queue.to_owned()), ("id", id.to_owned())];
    let tries = visit.tv("jobs-attempts", &[("count", number(item, "attempts").into())]);
    let about = html! {
        code { (text(item, "/kind")) } ", " (tries)
        @if let Some(since) = instant(item, "/since") { ", " (visit.t("jobs-since")) " " (figures::instant(since, visit.language)) }
        @if let Some(at) = aside { ", " (visit.t("jobs-aside-since")) " " (figures::instant(at, visit.language)) }
        @else if let Some(next) = instant(item, "/nextAt") { ", " (visit.t("jobs-next-try")) " " (figures::instant(next, visit.language)) }
        @if !text(item, "/error").is_empty() { br; q lang="en" dir="ltr" { (text(item, "/error")) } }
    };
    let label = if aside.is_some() {
        visit.t("jobs-bring-back")
    } else {
        visit.t("jobs-retry")
    };
    let retry = Act {
        function: "retry-job",
        hidden: &hidden,
        fields: html! {},
        class: "button secondary small",
        label: label.into_owned(),
    };
    let set_aside = Act {
        function: "set-aside-job",
        hidden: &hidden,
        fields: html! { p.fine { (visit.t("jobs-set-aside-text")) } (act::reason(visit, &format!("job-{at}"))) },
        class: "button danger small",
        label: visit.t("jobs-set-aside").into_owned(),
    };
    let actions = html! {
        (retry.show(visit))
        @if aside.is_none() && queue != "mails" { (act::folded(&visit.t("jobs-set-aside"), set_aside.show(visit))) }
    };
    let title = html! { (visit.word("queue", queue)) @if queue != "mails" { " " (id) } };
    let state = if aside.is_some() { "set_aside" } else { "waiting" };
    act::state_line(visit, title, state, about, actions)
}
