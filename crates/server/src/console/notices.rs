//! `/notices`: what the platform told the person, the newest first.

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{
    account::own_tabs,
    fault::sentence,
    figures,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Paged},
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

/// Notifications of one page.
const PAGE_SIZE: i64 = 50;

/// Which page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    page: String,
}

/// `GET /notices`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(&app).await?;
    let query = sql!(
        "select n.title, n.message, n.action_url, n.read, n.created_at from public.notifications as n
         where n.user_id = $1 order by n.created_at desc, n.id limit $2 offset $3"
    );
    let page_number = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page_number, PAGE_SIZE);
    let rows = tx.query(query, &[&person.id, &most, &offset]).await?;
    tx.commit().await?;
    let paged = Paged::of(&rows, page_number, PAGE_SIZE);
    let mut items = Vec::new();
    for row in paged.rows() {
        items.push(item(&visit, row)?);
    }
    let content = html! {
        (own_tabs(&visit, "/notices"))
        div.narrow.stack #notices data-live-notices="" {
            div.page-head.row.spread {
                h1 { (visit.t("notices-title")) }
                @if person.unread > 0 {
                    form method="post" action="/notices/read" { (token(&visit)) button.button.secondary.small { (visit.t("notices-read-all")) } }
                }
            }
            @if items.is_empty() {
                (parts::empty(&visit.t("notices-empty"), html! { p { (visit.t("notices-empty-text")) } a.button.secondary href="/properties" { (visit.t("home-see-properties")) } }))
            } @else {
                ul.notices { @for item in items { (item) } }
                (paged.pager(&visit, |page| format!("/notices?page={page}")))
            }
        }
    };
    Ok(page(
        &visit,
        &Head::titled(visit.t("notices-title")).within(Section::Account),
        content,
    ))
}

fn item(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (title, message): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let place: Option<String> = row.try_get(2)?;
    let (is_read, at): (bool, DateTime<Utc>) = (row.try_get(3)?, row.try_get(4)?);
    Ok(html! {
        li.card.tight.notice-item.unread[!is_read] {
            div.row.spread {
                // What the platform says is in English, whatever the page speaks.
                h2 lang="en" { @if let Some(place) = place { a href=(place) { bdi { (title) } } } @else { bdi { (title) } } }
                @if !is_read { (parts::badge(parts::Tone::Wait, &visit.t("notices-new"))) }
            }
            p { bdi lang="en" { (sentence(&message)) } }
            p.fine { (figures::instant(at, visit.language)) }
        }
    })
}

/// `POST /notices/read`: with the person's own rights, as a client would.
pub(crate) async fn read(State(app): State<App>, visit: Visit, _: Fields) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(&app).await?;
    let text = sql!("update public.notifications set read = true where user_id = $1 and not read");
    tx.execute(text, &[&person.id]).await?;
    tx.commit().await?;
    Ok(Redirect::to("/notices").into_response())
}

/// `GET /notices/count`: what the bell asks while a page is looked at.
pub(crate) async fn count(visit: Visit) -> Result<Json<Value>, Problem> {
    let person = visit.person()?;
    let label = visit.tv("nav-notices", &[("count", person.unread.into())]);
    Ok(Json(json!({ "unread": person.unread, "label": label })))
}
