//! `/administration`: people and their roles, offerings, money, the ledger, rules, work that waits, settings, and how the system is.

pub(super) mod fees;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod ledger;
pub(super) mod money;
pub(super) mod offerings;
pub(super) mod rules;
pub(super) mod settings;

use axum::{
    extract::{Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use mint_core::role::Role;
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    act,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Field, Paged},
    preferences::own_place,
    visit::Visit,
};
use crate::{
    app::App,
    db::{OnConstraint as _, like, sql},
    problem::Problem,
};

/// Who finds these pages.
pub(super) const ADMINS: [Role; 1] = [Role::Admin];

/// People of one page.
const PAGE_SIZE: i64 = 50;

/// A page of the section, below its tabs.
pub(super) fn section(visit: &Visit, open: &str, title: &str, content: Markup) -> Response {
    let tabs = [
        ("/administration", visit.t("people-title").into_owned()),
        ("/administration/offerings", visit.t("manage-offerings").into_owned()),
        ("/administration/money", visit.t("money-title").into_owned()),
        ("/administration/ledger", visit.t("ledger-title").into_owned()),
        ("/administration/rules", visit.t("rules-title").into_owned()),
        ("/administration/jobs", visit.t("jobs-title").into_owned()),
        ("/administration/health", visit.t("health-title").into_owned()),
        ("/administration/settings", visit.t("settings-title").into_owned()),
    ];
    let content = html! {
        (parts::tabs(&visit.t("nav-administration"), &tabs, open))
        @if let Some(said) = act::said(visit) { div.alert-slot { (parts::alert(visit, parts::Tone::Good, html! { p { (said) } })) } }
        div.page-head { h1 { bdi { (title) } } }
        (content)
    };
    page(visit, &Head::titled(title).within(Section::Administration), content)
}

/// Which people.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

const PEOPLE: &str = sql!(
    "select p.id, coalesce(nullif(p.full_name, ''), p.email, p.id::text), coalesce(p.email, ''), p.kyc_status, array(select a.role from public.user_role_assignments as a where a.user_id = p.id and a.is_active order by a.role)
     from public.user_profiles as p
     where $1 = '' or p.email ilike '%' || $1 || '%' or p.full_name ilike '%' || $1 || '%' or p.id::text = $1
     order by exists (select from public.user_role_assignments as a where a.user_id = p.id and a.is_active and a.role <> 'investor') desc, p.created_at desc, p.id limit $2 offset $3"
);

/// `GET /administration`.
pub(crate) async fn people(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let own = visit.one_of(&ADMINS)?.id;
    let asked = like(wanted.q.trim());
    let tx = visit.reads(&app).await?;
    let page = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page, PAGE_SIZE);
    let rows = tx.query(PEOPLE, &[&asked, &most, &offset]).await?;
    tx.commit().await?;
    let paged = Paged::of(&rows, page, PAGE_SIZE);
    let lines = paged
        .rows()
        .iter()
        .map(|row| person(&visit, row, own))
        .collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        search { form.filters method="get" action="/administration" {
            div.form-grid {
                (Field::text("q", visit.t("people-search")).kind("search").value(&wanted.q).bare().show(&visit))
                div { button.button.secondary { (visit.t("filter-apply")) } }
            }
        } }
        @if lines.is_empty() { (parts::empty(&visit.t("people-none"), html! { p { (visit.t("people-none-text")) } a.button.secondary href="/administration" { (visit.t("people-all")) } })) }
        @else {
            (parts::table(&visit.t("people-title"), html! {
                thead { tr { th scope="col" { (visit.t("field-name")) } th scope="col" { (visit.t("account-verification")) } th scope="col" { (visit.t("people-roles")) } th scope="col" { (visit.t("people-change")) } } }
                tbody { @for line in lines { (line) } }
            }))
        }
        (paged.pager(&visit, |page| found_at(&wanted.q, page)))
    };
    Ok(section(&visit, "/administration", &visit.t("people-title"), content))
}

/// The address of a page of people.
fn found_at(q: &str, page: i64) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("q", q)
        .append_pair("page", &page.to_string())
        .finish();
    format!("/administration?{query}")
}

fn person(visit: &Visit, row: &Row, own: Uuid) -> Result<Markup, Problem> {
    let (id, name, email, kyc): (Uuid, String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let roles: Vec<String> = row.try_get(4)?;
    let free: Vec<(&str, String)> = Role::ALL
        .iter()
        .filter(|role| !roles.iter().any(|known| known == role.name()))
        .map(|role| (role.name(), visit.word("role", role.name())))
        .collect();
    let change = |action: &str, role: Markup, class: &str, key: &str| {
        html! {
            form.row method="post" action="/administration/roles" {
                (token(visit))
                input type="hidden" name="user" value=(id);
                input type="hidden" name="change" value=(action);
                input type="hidden" name="back" value=(visit.place);
                (role)
                button class=(class) { (visit.language.text(key)) }
            }
        }
    };
    Ok(html! {
        tr {
            th scope="row" { bdi { (name) } br; span.fine { bdi { (email) } } }
            td { (parts::state(visit, &kyc)) }
            td {
                @for role in &roles {
                    @if id == own || role == "investor" { p { (parts::badge(parts::Tone::Plain, &visit.word("role", role))) } }
                    @else { (change("end", html! { (parts::badge(parts::Tone::Plain, &visit.word("role", role))) input type="hidden" name="role" value=(role); }, "button danger small", "people-end")) }
                }
            }
            td {
                @if id == own { span.fine { (visit.t("people-own")) } }
                @else if !free.is_empty() {
                    (change("give", html! { select name="role" aria-label=(visit.tv("people-give-label", &[("name", name.clone().into())])) { @for (value, text) in &free { option value=(value) { (text) } } } }, "button secondary small", "people-give"))
                }
            }
        }
    })
}

/// `POST /administration/roles`: by the admin's own rights, as policies have them; nobody raises himself.
pub(crate) async fn change_role(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let user: Uuid = fields.get("user").parse().map_err(|_| Problem::NotFound)?;
    let role: Role = fields.get("role").parse().map_err(|_| Problem::NotFound)?;
    let name = role.name();
    let tx = visit.reads(&app).await?;
    if fields.get("change") == "end" {
        let text = sql!(
            "update public.user_role_assignments set is_active = false where user_id = $1 and role = $2 and is_active"
        );
        tx.execute(text, &[&user, &name]).await?;
    } else {
        let text = sql!(
            "update public.user_role_assignments set is_active = true where user_id = $1 and role = $2 and not is_active"
        );
        if tx.execute(text, &[&user, &name]).await? == 0 {
            let text = sql!("insert into public.user_role_assignments (user_id, role) values ($1, $2)");
            tx.execute(text, &[&user, &name])
                .await
                .on_constraint("user_role_assignments_once_a_role", || Problem::NotFound)?;
        }
    }
    tx.commit().await?;
    Ok(Redirect::to(&act::with_done(&own_place(fields.get("back")), "done")).into_response())
}
