//! The developer's page of mails that wait, `/auth/v1/dev/mails`. It is there with `--dev-keys` alone, which everybody
//! knows and which a server takes on a loopback address alone: a mail signs in.

use std::fmt::Write as _;

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{Html, IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{escaped, waiting};
use crate::{app::App, problem::Problem};

/// The most mails that are shown.
const SHOWN_MAX: i64 = 100;

/// Whose mails.
#[derive(Deserialize)]
pub struct MailQuery {
    to: Option<String>,
}

/// `GET /dev/mails`: HTML, or JSON for who accepts that.
///
/// # Errors
/// [`Problem::NotFound`] without `--dev-keys`.
pub async fn mails(
    State(app): State<App>,
    Query(query): Query<MailQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !app.config.settings.dev_keys {
        return Err(Problem::NotFound);
    }
    let tx = app.db.as_auth().await?;
    let found = waiting(&tx, query.to.as_deref(), SHOWN_MAX).await?;
    tx.commit().await?;
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("application/json")) {
        let shown = found.iter().map(|mail| {
            json!({
                "kind": mail.kind, "to": mail.recipient, "subject": mail.subject, "text": mail.text, "html": mail.html,
                "created_at": mail.created_at,
            })
        });
        return Ok(Json(json!(shown.collect::<Vec<_>>())).into_response());
    }
    let mut page = String::from("<!doctype html><title>Mails</title><h1>Mails that wait</h1>");
    for mail in &found {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "<h2>{} to {}</h2><p>{}</p><pre>{}</pre>",
            escaped(&mail.subject),
            escaped(&mail.recipient),
            mail.created_at,
            linked(&mail.text)
        );
    }
    let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'")];
    Ok((policy, Html(page)).into_response())
}

/// The text with its one link as a link.
fn linked(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let shown = escaped(line);
        if line.starts_with("http://") || line.starts_with("https://") {
            format!("<a href=\"{shown}\">{shown}</a>")
        } else {
            shown
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
