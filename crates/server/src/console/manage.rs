//! `/manage`: the properties that a manager acts for, and filing a new one.

pub(super) mod holders;
pub(super) mod house;
mod lines;
pub(super) mod pictures;
pub(super) mod rent;

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use mint_core::role::Role;
use serde_json::Value;
use uuid::Uuid;

use super::{
    act,
    call::{beside_form, call, text},
    entry::answered,
    fault,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Field},
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

/// Who finds these pages.
pub(super) const MANAGERS: [Role; 1] = [Role::PropertyManager];

const OWN: &str = sql!(
    "select p.id, p.title, p.tokenization_status, p.is_active, m.capacity,
            coalesce((select t.progress_percentage from public.tokenization_processes as t where t.property_id = p.id order by t.created_at desc limit 1), 0)
     from public.property_members as m join public.properties as p on p.id = m.property_id
     where m.user_id = $1 and m.is_active order by p.created_at desc, p.id limit 200"
);

/// `GET /manage`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.one_of(&MANAGERS)?;
    let tx = visit.reads(app).await?;
    let rows = tx.query(OWN, &[&person.id]).await?;
    tx.commit().await?;
    let mut lines = Vec::new();
    for row in &rows {
        let (id, title, status, capacity): (Uuid, String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(4)?);
        let percent: i32 = row.try_get(5)?;
        let words = visit.tv("manage-progress", &[("percent", percent.into())]);
        lines.push(html! {
            li.card.property-card {
                div.row.spread { p.fine { (visit.word("capacity", &capacity)) } (parts::state(visit, &status)) }
                h2 { a href={ "/manage/" (id) } { bdi { (title) } } }
                (parts::progress(&visit.t("manage-progress-label"), percent.into(), html! { (words) }))
            }
        });
    }
    let content = html! {
        div.page-head { h1 { (visit.t("nav-managing")) } p.lead { (visit.t("manage-lead")) } }
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.stack-large {
            @if lines.is_empty() { (parts::empty(&visit.t("manage-empty"), html! { p { (visit.t("manage-empty-text")) } })) }
            @else { ul.cards { @for line in lines { (line) } } }
            section.card { h2 { (visit.t("manage-new")) } (new_form(visit, typed)) }
        }
    };
    Ok(answered(
        page(
            visit,
            &Head::titled(visit.t("nav-managing")).within(Section::Managing),
            content,
        ),
        problem,
    ))
}

fn new_form(visit: &Visit, typed: &Fields) -> Markup {
    let kinds = ["single_family", "townhouse", "apartment", "office"].map(|kind| (kind, visit.word("kind", kind)));
    let field = |name, key: &str| {
        Field::text(name, visit.language.text(key))
            .value(typed.get(name))
            .with("maxlength", "300")
    };
    html! {
        form.form method="post" action="/manage" {
            (token(visit))
            (field("title", "manage-title").hint(visit.t("manage-title-hint")).show(visit))
            (field("description", "manage-description").kind("textarea").with("rows", "5").optional().show(visit))
            div.form-grid {
                (parts::select("property_type", &visit.t("fact-kind"), &kinds, typed.get("property_type")))
                (field("location", "manage-location").optional().show(visit))
                (field("address", "fact-address").show(visit))
                (field("city", "manage-city").show(visit))
                (field("state_province", "manage-province").optional().show(visit))
                (field("country", "manage-country").show(visit))
                (Field::text("postal_code", visit.t("manage-postal-code")).value(typed.get("postal_code")).optional().with("maxlength", "20").show(visit))
                (Field::text("currency", visit.t("manage-currency")).value(typed.given("currency").unwrap_or("USD")).with("maxlength", "3").show(visit))
            }
            div { button.button { (visit.t("manage-file")) } }
        }
    }
}

/// `POST /manage`: files a property.
pub(crate) async fn create(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.one_of(&MANAGERS)?;
    let body = fields.body(&[
        ("title", "title"),
        ("description", "description"),
        ("property_type", "propertyType"),
        ("location", "location"),
        ("address", "address"),
        ("city", "city"),
        ("state_province", "stateProvince"),
        ("country", "country"),
        ("postal_code", "postalCode"),
        ("currency", "currency"),
    ]);
    match call(&app, &visit, "create-property", None, Value::Object(body)).await {
        Ok(answer) => Ok(Redirect::to(&format!("/manage/{}?did=done", text(&answer, "/propertyId"))).into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

/// The pages of one property.
pub(super) fn tabs(visit: &Visit, id: Uuid, open: &str, title: &str) -> Markup {
    let base = format!("/manage/{id}");
    let (pictures, rent, holders) = (
        format!("{base}/pictures"),
        format!("{base}/rent"),
        format!("{base}/holders"),
    );
    let pages = [
        (base.as_str(), visit.t("manage-tab-tokenization").into_owned()),
        (pictures.as_str(), visit.t("pictures-title").into_owned()),
        (rent.as_str(), visit.t("manage-tab-rent").into_owned()),
        (holders.as_str(), visit.t("manage-tab-holders").into_owned()),
    ];
    html! {
        (parts::crumbs(visit, &[("/manage", visit.t("nav-managing").into_owned())]))
        div.page-head { h1 { bdi { (title) } } p { a href={ "/properties/" (id) } { (visit.t("manage-public-page")) } } }
        (parts::tabs(title, &pages, open))
        @if let Some(said) = act::said(visit) { div.alert-slot { (parts::alert(visit, parts::Tone::Good, html! { p { (said) } })) } }
    }
}
