//! `/compliance/custody`: statements of the custodian's accounts, each beside what the ledger said; a difference opens an incident.

use axum::{extract::State, response::Response};
use chrono::NaiveDate;
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    OVERSEERS,
    cases::{HELD, choices},
    section,
};
use crate::{
    app::App,
    console::{
        call::{beside_ids, call, text},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::token,
        listing::Sum,
        parts::{self, Field, Tone},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

const STATEMENTS: &str = sql!(
    "select p.title, s.property_id, s.custodian, s.account_ref, s.period_from, s.period_to, s.closing_balance_minor, s.ledger_balance_minor,
            s.currency, s.currency_decimals, s.imported_at
     from public.custodian_statements as s join public.properties as p on p.id = s.property_id order by s.imported_at desc limit 100"
);

/// `GET /compliance/custody`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None, None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    typed: &Fields,
    imported: Option<&Value>,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    let tx = visit.reads(app).await?;
    let rows = tx.query(STATEMENTS, &[]).await?;
    let held = tx.query(HELD, &[]).await?;
    tx.commit().await?;
    let content = html! {
        div.stack-large {
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            @if let Some(imported) = imported { (outcome(visit, imported)) }
            section.card { h2 { (visit.t("custody-import")) } p.soft { (visit.t("custody-import-text")) } (form(visit, typed, &held)?) }
            section { h2 { (visit.t("custody-statements")) } (table(visit, &rows)?) }
        }
    };
    let page = section(visit, "/compliance/custody", &visit.t("custody-title"), content);
    Ok(answered(page, problem))
}

fn outcome(visit: &Visit, imported: &Value) -> Markup {
    let differences = imported
        .get("differences")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let (tone, said) = if differences.is_empty() {
        (Tone::Good, visit.t("custody-agrees"))
    } else {
        (Tone::Stop, visit.t("custody-differs"))
    };
    html! {
        div.alert-slot tabindex="-1" data-focus="" {
            (parts::alert(visit, tone, html! {
                p { strong { (said) } }
                p { (visit.t("custody-closing")) " " bdi { (text(imported, "/closingBalance")) } ", " (visit.t("custody-ledger")) " " bdi { (text(imported, "/ledgerBalance")) } }
                @if !differences.is_empty() { ul lang="en" dir="ltr" { @for line in &differences { li { (line.as_str().unwrap_or_default()) } } } }
            }))
        }
    }
}

fn form(visit: &Visit, typed: &Fields, held: &[Row]) -> Result<Markup, Problem> {
    let held = choices(visit, held, |row| Ok(row.try_get(1)?))?;
    let held: Vec<(&str, String)> = held.iter().map(|(id, title)| (id.as_str(), title.clone())).collect();
    let currency = typed.given("currency").unwrap_or("USD");
    Ok(html! {
        form.form method="post" action="/compliance/custody" enctype="multipart/form-data" {
            (token(visit))
            div.form-grid {
                (parts::select("propertyId", &visit.t("column-property"), &held, typed.get("propertyId")))
                (Field::text("custodian", visit.t("custody-custodian")).value(typed.get("custodian")).with("maxlength", "200").show(visit))
                (Field::text("accountRef", visit.t("cases-account")).value(typed.get("accountRef")).hint(visit.t("custody-account-hint")).with("maxlength", "100").show(visit))
                (Field::text("currency", visit.t("manage-currency")).value(currency).with("maxlength", "3").with("minlength", "3").show(visit))
            }
            (Field::text("csv", visit.t("custody-csv")).kind("textarea").value(typed.get("csv")).hint(visit.t("custody-csv-hint")).bare().with("rows", "7").show(visit))
            (Field::text("file", visit.t("rent-file")).kind("file").hint(visit.t("custody-file-hint")).bare().with("accept", ".csv,text/csv,text/plain").show(visit))
            div { button.button { (visit.t("custody-import")) } }
        }
    })
}

fn table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("custody-none"),
            html! { p { (visit.t("custody-none-text")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (title, property, custodian, account): (String, Uuid, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let (from, to): (NaiveDate, NaiveDate) = (row.try_get(4)?, row.try_get(5)?);
        let (closing, ledger) = (Sum::read(row, 6, 8, 9)?, Sum::read(row, 7, 8, 9)?);
        let agrees = row.try_get::<_, i64>(6)? == row.try_get::<_, i64>(7)?;
        lines.push(html! {
            tr {
                th scope="row" { a href={ "/properties/" (property) } { bdi { (title) } } }
                td { bdi { (custodian) } ", " bdi { (account) } }
                td { (figures::day(from, visit.language)) " – " (figures::day(to, visit.language)) }
                td.number { @if let Some(sum) = closing { (sum.show()) } }
                td.number { @if let Some(sum) = ledger { (sum.show()) } }
                td { @if agrees { (parts::badge(Tone::Good, &visit.t("custody-agree"))) } @else { (parts::badge(Tone::Stop, &visit.t("custody-differ"))) } }
                td { (figures::instant(row.try_get(10)?, visit.language)) }
            }
        });
    }
    Ok(parts::table(
        &visit.t("custody-statements"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("column-property")) } th scope="col" { (visit.t("custody-custodian")) } th scope="col" { (visit.t("chart-period")) }
                th.number scope="col" { (visit.t("custody-closing")) } th.number scope="col" { (visit.t("custody-ledger")) } th scope="col" { (visit.t("column-state")) }
                th scope="col" { (visit.t("custody-imported")) }
            } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

/// `POST /compliance/custody`: imports a statement, whole or not at all.
pub(crate) async fn import(State(app): State<App>, visit: Visit, mut fields: Fields) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    if let Err(problem) = fields.file_into("csv") {
        return shown(&app, &visit, &fields, None, Some(&problem)).await;
    }
    let names = ["propertyId", "custodian", "accountRef", "currency"].map(|name| (name, name));
    let mut body = fields.body(&names);
    body.insert("csv".to_owned(), json!(fields.get("csv")));
    match call(&app, &visit, "import-custodian-statement", None, Value::Object(body)).await {
        Ok(answer) => shown(&app, &visit, &Fields::default(), Some(&answer), None).await,
        Err(problem) => {
            let problem = beside_ids(problem)?;
            shown(&app, &visit, &fields, None, Some(&problem)).await
        }
    }
}
