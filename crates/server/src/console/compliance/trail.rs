//! `/compliance/trail`: who changed what, and whether the chain over it still holds.

use axum::{
    extract::{Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{OVERSEERS, section, short, when};
use crate::{
    app::App,
    audit::{
        SealKey,
        verify::{Summary, Trusted, verify},
    },
    console::{
        figures,
        form::Fields,
        layout::token,
        parts::{self, Field, Tone},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// Rows of one page.
const PAGE_SIZE: i64 = 50;

/// Findings that are shown; the command line tells all.
const FINDINGS_MAX: usize = 50;

/// Which rows.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    table: String,
    #[serde(default)]
    row: String,
    before: Option<i64>,
}

const ROWS: &str = sql!(
    "select a.id, a.recorded_at, a.actor_id, a.actor_role, a.table_name, a.operation, a.row_key, a.changed_columns,
            (select coalesce(p.full_name, p.email) from public.user_profiles as p where p.id = a.actor_id)
     from public.audit_log as a
     where ($1 = '' or a.table_name = $1 or a.table_name = 'public.' || $1) and ($2 = '' or a.row_key = $2) and ($3::bigint is null or a.id < $3)
     order by a.id desc limit $4"
);

/// `GET /compliance/trail`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    shown(&app, &visit, &wanted, None).await
}

struct Checked {
    summary: Summary,
    findings: Vec<String>,
}

async fn shown(app: &App, visit: &Visit, wanted: &Wanted, checked: Option<&Checked>) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    let tx = visit.reads(app).await?;
    let rows = tx
        .query(
            ROWS,
            &[&wanted.table.trim(), &wanted.row.trim(), &wanted.before, &PAGE_SIZE],
        )
        .await?;
    tx.commit().await?;
    let mut lines = Vec::new();
    for row in &rows {
        lines.push(line(visit, row)?);
    }
    let last: Option<i64> = rows.last().map(|row| row.try_get(0)).transpose()?;
    let is_full = i64::try_from(rows.len()).unwrap_or(0) == PAGE_SIZE;
    let older = last.filter(|_| is_full).map(|last| {
        let pairs = [
            ("table", wanted.table.clone()),
            ("row", wanted.row.clone()),
            ("before", last.to_string()),
        ];
        format!(
            "/compliance/trail?{}",
            url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish()
        )
    });
    let content = html! {
        div.stack-large {
            (chain(visit, checked))
            section {
                h2 { (visit.t("trail-rows")) }
                form.filters method="get" action="/compliance/trail" {
                    div.form-grid {
                        (Field::text("table", visit.t("trail-table")).value(&wanted.table).hint(visit.t("trail-table-hint")).bare().show(visit))
                        (Field::text("row", visit.t("trail-row")).value(&wanted.row).bare().show(visit))
                        div { button.button.secondary { (visit.t("filter-apply")) } }
                    }
                }
                @if lines.is_empty() { (parts::empty(&visit.t("trail-none"), html! { p { (visit.t("trail-none-text")) } a.button.secondary href="/compliance/trail" { (visit.t("trail-all")) } })) }
                @else {
                    (parts::table(&visit.t("trail-rows"), html! {
                        thead { tr {
                            th.number scope="col" { (visit.t("trail-number")) }
                            th scope="col" { (visit.t("trail-when")) }
                            th scope="col" { (visit.t("trail-who")) }
                            th scope="col" { (visit.t("trail-what")) }
                            th scope="col" { (visit.t("trail-row")) }
                            th scope="col" { (visit.t("trail-columns")) }
                        } }
                        tbody { @for line in lines { (line) } }
                    }))
                }
                @if let Some(older) = older { nav.pager aria-label=(visit.t("pager-label")) { span {} a.button.secondary rel="next" href=(older) { (visit.t("trail-older")) } } }
            }
        }
    };
    Ok(section(visit, "/compliance/trail", &visit.t("trail-title"), content))
}

fn line(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (id, role, table, operation, key): (i64, String, String, String, String) = (
        row.try_get(0)?,
        row.try_get(3)?,
        row.try_get(4)?,
        row.try_get(5)?,
        row.try_get(6)?,
    );
    let actor: Option<Uuid> = row.try_get(2)?;
    let name: Option<String> = row.try_get(8)?;
    let columns: Vec<String> = row.try_get(7)?;
    Ok(html! {
        tr {
            td.number { (figures::count(id)) }
            td { (when(visit, row.try_get(1)?)) }
            td { @if let Some(name) = name { bdi { (name) } } @else if let Some(actor) = actor { (short(&actor.to_string())) } @else { code { (role) } } }
            td { code { (operation.to_lowercase()) " " (table.trim_start_matches("public.")) } }
            td { (short(&key)) }
            td.soft { (columns.join(", ")) }
        }
    })
}

fn chain(visit: &Visit, checked: Option<&Checked>) -> Markup {
    html! {
        section.card {
            h2 { (visit.t("trail-chain")) }
            p.soft { (visit.t("trail-chain-text")) }
            @if let Some(checked) = checked { (outcome(visit, checked)) }
            form method="post" action="/compliance/trail/verify" { (token(visit)) button.button { (visit.t("trail-verify")) } }
        }
    }
}

fn outcome(visit: &Visit, checked: &Checked) -> Markup {
    let summary = &checked.summary;
    let count = |number: u64| figures::count(i64::try_from(number).unwrap_or(i64::MAX));
    let (tone, key) = if summary.problems == 0 {
        (Tone::Good, "trail-holds")
    } else {
        (Tone::Stop, "trail-broken")
    };
    let head = summary
        .head
        .map(|head| head.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    html! {
        div data-focus="" tabindex="-1" .alert-slot {
            (parts::alert(visit, tone, html! {
                p { strong { (visit.language.text(key)) } }
                @if summary.anchored_to.is_none() { p { (visit.t("trail-not-anchored")) } }
            }))
        }
        (parts::facts(&[
            (visit.t("trail-audit-rows").into_owned(), html! { (count(summary.audit_rows)) }),
            (visit.t("trail-entries").into_owned(), html! { (count(summary.entries)) }),
            (visit.t("trail-seals").into_owned(), html! { (count(summary.seals)) }),
            (visit.t("trail-unsealed").into_owned(), html! { (figures::count(summary.unsealed)) }),
            (visit.t("trail-head").into_owned(), html! { code { (head.unwrap_or_else(|| "–".to_owned())) } }),
        ]))
        @if !checked.findings.is_empty() { ul lang="en" dir="ltr" { @for finding in &checked.findings { li { (finding) } } } }
    }
}

/// `POST /compliance/trail/verify`: computes everything that is sealed once more.
pub(crate) async fn check(State(app): State<App>, visit: Visit, _: Fields) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    let key = SealKey::parse(&app.config.seal_key).map_err(Problem::internal)?;
    let trusted = Trusted {
        keys: vec![key.public()],
        heads: Vec::new(),
    };
    let mut findings = Vec::new();
    let summary = verify(&app.db, &trusted, &mut |finding| {
        if findings.len() < FINDINGS_MAX {
            findings.push(finding.to_string());
        }
    })
    .await
    .map_err(Problem::internal)?;
    shown(&app, &visit, &Wanted::default(), Some(&Checked { summary, findings })).await
}
