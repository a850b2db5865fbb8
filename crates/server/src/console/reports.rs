//! `/compliance/reports` and `POST /reports/{function}`: reports and bundles, made anew each time and given as a file to keep. What
//! is in one is its function's business.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    call::{beside_ids, call},
    compliance::{OVERSEERS, section},
    entry::answered,
    fault,
    form::Fields,
    layout::{Head, page, token},
    parts::{self, Field, Paged},
    preferences::own_place,
    visit::Visit,
};
use crate::{
    app::App,
    db::{like, sql},
    problem::Problem,
};

/// A report: the function that makes it, and the name of what it is about.
type Report = (&'static str, &'static str);

const BUNDLE: Report = ("regulatory-evidence-export", "propertyId");
const AUDIT: Report = ("generate-audit-report", "propertyId");
const PROCESS: Report = ("generate-tokenization-report", "processId");

/// Properties of one page.
const PAGE_SIZE: i64 = 25;

/// Properties that were ever on their way to a token, with the newest process and whether they were audited.
const PROPERTIES: &str = sql!(
    "select p.id, p.title, t.id,
            exists (select from public.property_audits as a where a.property_id = p.id and a.compliance_status <> 'in_progress')
     from public.properties as p
     join lateral (select t.id, t.created_at from public.tokenization_processes as t where t.property_id = p.id order by t.created_at desc limit 1) as t on true
     where $1 = '' or p.title ilike '%' || $1 || '%' or p.id::text = $1
     order by t.created_at desc, p.id limit $2 offset $3"
);

/// Which properties.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

/// `GET /compliance/reports`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    let asked = like(wanted.q.trim());
    let page = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page, PAGE_SIZE);
    let tx = visit.reads(&app).await?;
    let rows = tx.query(PROPERTIES, &[&asked, &most, &offset]).await?;
    tx.commit().await?;
    let paged = Paged::of(&rows, page, PAGE_SIZE);
    let lines = paged
        .rows()
        .iter()
        .map(|row| line(&visit, row))
        .collect::<Result<Vec<_>, _>>()?;
    let place = |page: i64| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &wanted.q)
            .append_pair("page", &page.to_string())
            .finish();
        format!("/compliance/reports?{query}")
    };
    let content = html! {
        div.page-head { p.lead { (visit.t("reports-text")) } }
        search { form.filters method="get" action="/compliance/reports" { div.form-grid {
            (Field::text("q", visit.t("reports-search")).kind("search").value(&wanted.q).bare().show(&visit))
            div { button.button.secondary { (visit.t("filter-apply")) } }
        } } }
        @if lines.is_empty() { (parts::empty(&visit.t("reports-none"), html! { p { (visit.t("reports-none-text")) } a.button.secondary href="/compliance/reports" { (visit.t("reports-all")) } })) }
        ul.notices { @for line in lines { (line) } }
        (paged.pager(&visit, place))
    };
    Ok(section(
        &visit,
        "/compliance/reports",
        &visit.t("reports-title"),
        content,
    ))
}

fn line(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (id, title, process): (Uuid, String, Uuid) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let is_audited: bool = row.try_get(3)?;
    let transactions = parts::checkbox(
        "includeTransactions",
        "yes",
        html! { (visit.t("reports-transactions")) },
        false,
    );
    Ok(html! {
        li.card.tight {
            strong { a href={ "/properties/" (id) } { bdi { (title) } } }
            div.columns {
                (form(visit, BUNDLE, id, transactions))
                (of_process(visit, process, is_audited.then_some(id)))
            }
        }
    })
}

/// The forms of a property's process, and of its newest audit where there is one.
pub(crate) fn of_process(visit: &Visit, process: Uuid, audited: Option<Uuid>) -> Markup {
    html! {
        div.stack-small {
            (form(visit, PROCESS, process, html! {}))
            @if let Some(property) = audited { (form(visit, AUDIT, property, html! {})) }
        }
    }
}

fn form(visit: &Visit, (function, name): Report, id: Uuid, fields: Markup) -> Markup {
    html! {
        form.form method="post" action={ "/reports/" (function) } data-download="" {
            (token(visit))
            input type="hidden" name="back" value=(visit.place);
            input type="hidden" name=(name) value=(id);
            (fields)
            div { button.button.secondary.small { (parts::icon("file")) (visit.word("report", function)) } }
        }
    }
}

/// `POST /reports/{function}`: the file.
pub(crate) async fn give(
    State(app): State<App>,
    visit: Visit,
    Path(function): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    visit.person()?;
    let known = [BUNDLE, AUDIT, PROCESS]
        .into_iter()
        .find(|(known, _)| *known == function);
    let (function, name) = known.ok_or(Problem::NotFound)?;
    let id: Uuid = fields.get(name).parse().map_err(|_| Problem::NotFound)?;
    let body = json!({ name: id, "includeTransactions": !fields.get("includeTransactions").is_empty() });
    match call(&app, &visit, function, None, body).await {
        Ok(answer) => file(&format!("{function}-{id}.json"), &answer),
        Err(problem) => Ok(refused(&visit, &own_place(fields.get("back")), &beside_ids(problem)?)),
    }
}

fn file(name: &str, answer: &Value) -> Result<Response, Problem> {
    let held = answer.get("bundle").or_else(|| answer.get("report")).unwrap_or(answer);
    let text = serde_json::to_string_pretty(held).map_err(Problem::internal)?;
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")).map_err(Problem::internal)?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        ),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, text).into_response())
}

fn refused(visit: &Visit, back: &str, problem: &Problem) -> Response {
    let content = html! {
        div.form-page.stack {
            div.page-head { h1 { (visit.t("act-refused")) } }
            (fault::alert(visit, problem))
            p { a.button.secondary href=(back) { (visit.t("act-back")) } }
        }
    };
    answered(
        page(visit, &Head::titled(visit.t("act-refused")), content),
        Some(problem),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BUILT;

    #[test]
    fn every_report_is_a_function() {
        for (function, _) in [BUNDLE, AUDIT, PROCESS] {
            assert!(BUILT.contains(&function), "{function}");
        }
    }
}
