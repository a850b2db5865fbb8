//! `/compliance/evidence`: documents that wait for a review, and those that end soon.

use axum::{extract::State, response::Response};
use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{OVERSEERS, section};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        figures, parts,
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

const PENDING: &str = sql!(
    "select d.id, d.property_id, p.title, d.document_name, d.document_type, d.issued_on, d.expires_at, d.source, d.review_status, d.uploaded_by
     from public.property_documents as d join public.properties as p on p.id = d.property_id
     where d.review_status = 'pending' order by d.created_at, d.id limit 100"
);

/// Accepted and current until soon, or not any more: without those that a newer one of their kind has replaced.
const ENDING: &str = sql!(
    "select d.id, d.property_id, p.title, d.document_name, d.document_type, d.issued_on, d.expires_at, d.source, d.review_status, d.uploaded_by
     from public.property_documents as d join public.properties as p on p.id = d.property_id
     where d.review_status = 'accepted' and d.expires_at < $1::timestamptz + interval '60 days'
       and not exists (select from public.property_documents as n where n.property_id = d.property_id and n.document_type = d.document_type
                       and n.review_status = 'accepted' and (n.expires_at is null or n.expires_at > d.expires_at))
     order by d.expires_at, d.id limit 200"
);

/// `GET /compliance/evidence`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let reader = visit.one_of(&OVERSEERS)?.id;
    let tx = visit.reads(&app).await?;
    let pending = tx.query(PENDING, &[]).await?;
    let ending = tx.query(ENDING, &[&visit.asked.now]).await?;
    tx.commit().await?;
    let (mut waits, mut ends) = (Vec::new(), Vec::new());
    for row in &pending {
        waits.push(document(&visit, row, reader)?);
    }
    for row in &ending {
        ends.push(document(&visit, row, reader)?);
    }
    let content = html! {
        div.stack-large {
            section {
                h2 { (visit.t("evidence-pending")) }
                @if waits.is_empty() { (parts::empty(&visit.t("evidence-pending-none"), html! { p { (visit.t("evidence-pending-none-text")) } })) }
                ul.notices { @for item in waits { (item) } }
            }
            section {
                h2 { (visit.t("evidence-ending")) }
                @if ends.is_empty() { (parts::empty(&visit.t("evidence-ending-none"), html! { p { (visit.t("evidence-ending-none-text")) } })) }
                ul.notices { @for item in ends { (item) } }
            }
        }
    };
    Ok(section(
        &visit,
        "/compliance/evidence",
        &visit.t("evidence-title"),
        content,
    ))
}

fn document(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, property): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    let (title, name, kind, status): (String, String, String, String) =
        (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(8)?);
    let issued: Option<NaiveDate> = row.try_get(5)?;
    let expires: Option<DateTime<Utc>> = row.try_get(6)?;
    let source: Option<String> = row.try_get(7)?;
    let is_own = row.try_get::<_, Option<Uuid>>(9)? == Some(reader);
    let word = match (status.as_str(), expires) {
        ("accepted", Some(at)) if at <= visit.asked.now => "expired",
        ("accepted", Some(_)) => "expires_soon",
        (other, _) => other,
    };
    let decide = |decision: &str, class: &'static str, key: &str, fields: Markup| {
        let hidden = [("documentId", id.to_string()), ("decision", decision.to_owned())];
        Act {
            function: "review-document",
            hidden: &hidden,
            fields,
            class,
            label: visit.language.text(key).into_owned(),
        }
        .show(visit)
    };
    let about = html! {
        (visit.word("document", &kind)) ", " a href={ "/properties/" (property) } { bdi { (title) } }
        @if let Some(on) = issued { ", " (visit.t("evidence-issued")) " " (figures::day(on, visit.language)) }
        @if let Some(at) = expires { ", " (visit.t("evidence-until")) " " (figures::date(at, visit.language)) }
        @if let Some(source) = source { ", " (visit.t("column-source")) ": " bdi { (source) } }
    };
    let place = format!("/properties/{property}/documents/{id}");
    let actions = html! {
        @if status == "pending" { details { summary { (visit.t("identity-view")) } iframe.viewer src=(place) title=(name) loading="lazy" {} } }
        @if !visit.has(mint_core::role::Role::ComplianceOfficer) {}
        @else if is_own { p.fine { (visit.t("evidence-own")) } }
        @else if status == "pending" {
            div.columns {
                (decide("accepted", "button", "evidence-accept", html! {}))
                (act::folded(&visit.t("evidence-reject"), decide("rejected", "button danger", "evidence-reject", act::reason(visit, &id.to_string()))))
            }
        } @else if status == "accepted" {
            (act::folded(&visit.t("evidence-revoke"), decide("revoked", "button danger", "evidence-revoke", act::reason(visit, &id.to_string()))))
        }
    };
    let link = html! { a href=(place) { bdi { (name) } } };
    Ok(act::state_line(visit, link, word, about, actions))
}
