//! `/compliance/cases`: cases about holdings with their second approval, transfers that wait, and incidents.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use mint_core::holding_case::CaseKind;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{OVERSEERS, section, short, when};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::{beside_ids, call, text},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::token,
        listing::Sum,
        parts::{self, Field},
        verification::{ACCEPTED, upload_bar},
        visit::Visit,
    },
    db::sql,
    functions::uploads,
    problem::Problem,
};

const CASES: &str = sql!(
    "select c.id, c.kind, c.status, p.title, a.legal_name, b.legal_name, c.units, c.token_decimals, c.reason, c.created_at, c.opened_by, c.first_approved_by,
            c.done_at, c.reject_reason, c.property_id, c.amount_minor, c.currency, c.currency_decimals, c.bank_reference
     from public.holding_cases as c
     left join public.properties as p on p.id = c.property_id
     left join public.parties as a on a.id = c.party_id
     left join public.parties as b on b.id = c.to_party_id
     order by c.status in ('done', 'rejected', 'cancelled'), c.created_at desc limit 100"
);

/// What a new case may be about: properties whose tokens are held, and freezes that last.
pub(super) const HELD: &str = sql!(
    "select p.id, p.title from public.properties as p
     where exists (select from public.property_tokens as k where k.property_id = p.id and k.status = 'launched') order by p.title, p.id limit 500"
);

const FREEZES: &str = sql!(
    "select f.id, p.title, coalesce(h.legal_name, f.party_id::text), f.frozen_at
     from public.holding_freezes as f join public.properties as p on p.id = f.property_id left join public.parties as h on h.id = f.party_id
     where f.released_at is null order by f.frozen_at desc limit 200"
);

const INCIDENTS: &str = sql!(
    "select i.id, i.kind, i.subject, i.status, i.opened_at, p.title, i.clear_asked_by, i.property_id
     from public.incidents as i join public.properties as p on p.id = i.property_id
     order by i.status = 'open' desc, i.opened_at desc limit 50"
);

const TRANSFERS: &str = sql!(
    "select t.id, t.kind, t.status, p.title, t.units, t.token_decimals, t.created_at
     from public.transfers as t join public.properties as p on p.id = t.property_id
     where t.status = 'accepted' order by t.created_at limit 50"
);

/// `GET /compliance/cases`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let reader = visit.one_of(&OVERSEERS)?.id;
    let tx = visit.reads(app).await?;
    let cases = tx.query(CASES, &[]).await?;
    let incidents = tx.query(INCIDENTS, &[]).await?;
    let transfers = tx.query(TRANSFERS, &[]).await?;
    let (held, freezes) = (tx.query(HELD, &[]).await?, tx.query(FREEZES, &[]).await?);
    tx.commit().await?;
    let new = new_case(visit, typed, &held, &freezes)?;
    let lines = |rows: &[Row], line: &dyn Fn(&Row) -> Result<Markup, Problem>| {
        rows.iter().map(line).collect::<Result<Vec<_>, _>>()
    };
    let (cases, incidents, transfers) = (
        lines(&cases, &|row| case(visit, row, reader))?,
        lines(&incidents, &|row| incident(visit, row, reader))?,
        lines(&transfers, &|row| transfer(visit, row))?,
    );
    let content = html! {
        div.stack-large {
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            section {
                h2 { (visit.t("cases-holding")) }
                p.fine { (visit.t("cases-text")) }
                @if cases.is_empty() { (parts::empty(&visit.t("cases-none"), html! { p { (visit.t("cases-none-text")) } })) }
                ul.notices { @for line in cases { (line) } }
                details.folded open[problem.is_some()] { summary { (visit.t("cases-open-new")) } div.card.tight { (new) } }
            }
            section {
                h2 { (visit.t("cases-transfers")) }
                @if transfers.is_empty() { (parts::empty(&visit.t("cases-transfers-none"), html! { p { (visit.t("cases-transfers-none-text")) } })) }
                ul.notices { @for line in transfers { (line) } }
            }
            section {
                h2 { (visit.t("cases-incidents")) }
                @if incidents.is_empty() { (parts::empty(&visit.t("cases-incidents-none"), html! { p { (visit.t("cases-incidents-none-text")) } })) }
                ul.notices { @for line in incidents { (line) } }
            }
        }
    };
    Ok(answered(
        section(visit, "/compliance/cases", &visit.t("cases-title"), content),
        problem,
    ))
}

fn case(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, kind, status): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (title, holder, receiver): (Option<String>, Option<String>, Option<String>) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let units: Option<i64> = row.try_get(6)?;
    let decimals: Option<i16> = row.try_get(7)?;
    let reason: String = row.try_get(8)?;
    let first: Option<Uuid> = row.try_get(11)?;
    let rejected: Option<String> = row.try_get(13)?;
    let is_open = !matches!(status.as_str(), "done" | "rejected" | "cancelled");
    let amount = Sum::read(row, 15, 16, 17)?;
    let reference: Option<String> = row.try_get(18)?;
    let about = html! {
        @if let Some(holder) = &holder { bdi { (holder) } }
        @if let Some(receiver) = &receiver { " → " bdi { (receiver) } }
        @if let Some(title) = &title { ", " (title) }
        @if let Some(units) = units { ", " (visit.tv("cases-units", &[("tokens", figures::tokens(units, decimals.unwrap_or(0)).into())])) }
        @if let Some(amount) = amount { ", " (amount.show()) }
        @if let Some(reference) = reference { ", " (visit.t("cases-bank-reference")) " " bdi { (reference) } }
        ", " (when(visit, row.try_get(9)?))
        br; q dir="auto" { (reason) }
        @if let Some(rejected) = &rejected { br; (visit.t("state-rejected")) ": " q dir="auto" { (rejected) } }
    };
    let hidden = [("caseId", id.to_string())];
    let actions = html! {
        @if is_open {
            p.fine { @if first.is_some() { (visit.t("cases-one-approval")) } @else { (visit.t("cases-no-approval")) } }
            @if row.try_get::<_, Uuid>(10)? == reader { (Act { function: "cancel-holding-case", hidden: &hidden, fields: html! {}, class: "button danger small", label: visit.t("cases-take-back").into_owned() }.show(visit)) }
            @if first == Some(reader) { p.fine { (visit.t("cases-yours")) } }
            @else {
                div.columns {
                    (act::folded(&visit.t("cases-approve"), Act { function: "approve-holding-case", hidden: &hidden, fields: act::for_good(visit), class: "button", label: visit.t("cases-approve").into_owned() }.show(visit)))
                    (act::folded(&visit.t("cases-reject"), Act { function: "reject-holding-case", hidden: &hidden, fields: act::reason(visit, &id.to_string()), class: "button danger", label: visit.t("cases-reject").into_owned() }.show(visit)))
                }
            }
        }
    };
    let name = html! { (visit.word("case", &kind)) " " (short(&id.to_string())) };
    Ok(act::state_line(visit, name, &status, about, actions))
}

fn incident(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, kind, subject, status): (Uuid, String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let opened: DateTime<Utc> = row.try_get(4)?;
    let title: String = row.try_get(5)?;
    let asked: Option<Uuid> = row.try_get(6)?;
    let about = html! { a href={ "/properties/" (row.try_get::<_, Uuid>(7)?) } { bdi { (title) } } ", " bdi { (subject) } ", " (figures::instant(opened, visit.language)) };
    let hidden = [("incidentId", id.to_string())];
    let actions = html! {
        @if status == "open" {
            @if asked == Some(reader) { p.fine { (visit.t("cases-yours")) } }
            @else {
                @if asked.is_some() { p.fine { (visit.t("cases-one-approval")) } }
                (act::folded(&visit.t("cases-clear"), Act { function: "clear-incident", hidden: &hidden, fields: act::reason(visit, &id.to_string()), class: "button", label: visit.t("cases-clear").into_owned() }.show(visit)))
            }
        }
    };
    Ok(act::state_line(
        visit,
        html! { (visit.word("incident", &kind)) },
        &status,
        about,
        actions,
    ))
}

fn transfer(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (id, kind, status, title): (Uuid, String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let units = figures::tokens(row.try_get(4)?, row.try_get(5)?);
    let about = html! { bdi { (title) } ", " (visit.tv("cases-units", &[("tokens", units.into())])) ", " (when(visit, row.try_get(6)?)) };
    let decide = |decision: &str, class: &'static str, key: &str, fields: Markup| {
        let hidden = [("transferId", id.to_string()), ("decision", decision.to_owned())];
        Act {
            function: "approve-transfer",
            hidden: &hidden,
            fields,
            class,
            label: visit.language.text(key).into_owned(),
        }
        .show(visit)
    };
    let actions = html! {
        div.columns {
            (decide("approved", "button", "cases-approve", html! { @if kind == "own_wallet" { (act::reason(visit, &format!("a-{id}"))) } }))
            (act::folded(&visit.t("cases-reject"), decide("rejected", "button danger", "cases-reject", act::reason(visit, &id.to_string()))))
        }
    };
    Ok(act::state_line(
        visit,
        html! { (visit.word("transfer", &kind)) " " (short(&id.to_string())) },
        &status,
        about,
        actions,
    ))
}

/// Choices of a list of rows that begin with an id, the first of which is none.
pub(super) fn choices(
    visit: &Visit,
    rows: &[Row],
    name: impl Fn(&Row) -> Result<String, Problem>,
) -> Result<Vec<(String, String)>, Problem> {
    let none = std::iter::once(Ok((String::new(), visit.t("cases-none-chosen").into_owned())));
    let rows = rows
        .iter()
        .map(|row| Ok((row.try_get::<_, Uuid>(0)?.to_string(), name(row)?)));
    none.chain(rows).collect()
}

fn new_case(visit: &Visit, typed: &Fields, held: &[Row], freezes: &[Row]) -> Result<Markup, Problem> {
    let kinds = CaseKind::ALL.map(|kind| (kind.name(), visit.word("case", kind.name())));
    let held = choices(visit, held, |row| Ok(row.try_get(1)?))?;
    let freezes = choices(visit, freezes, |row| {
        let (title, holder): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        Ok(format!(
            "{holder}, {title}, {}",
            figures::instant_text(row.try_get(3)?, visit.language)
        ))
    })?;
    let select = |name: &str, label: &str, choices: &[(String, String)]| {
        let choices: Vec<(&str, String)> = choices.iter().map(|(id, name)| (id.as_str(), name.clone())).collect();
        parts::select(name, label, &choices, typed.get(name))
    };
    let line = |name, key: &str, most: &'static str| {
        Field::text(name, visit.language.text(key))
            .value(typed.get(name))
            .optional()
            .with("maxlength", most)
            .show(visit)
    };
    Ok(html! {
        form.form method="post" action="/compliance/cases" enctype="multipart/form-data" data-upload="" {
            (token(visit))
            (parts::select("kind", &visit.t("cases-kind"), &kinds, typed.get("kind")))
            div.form-grid {
                (select("propertyId", &visit.t("column-property"), &held))
                (line("partyId", "cases-party-id", "36"))
                (line("toUserId", "cases-to-user-id", "36"))
                (select("freezeId", &visit.t("cases-freeze"), &freezes))
                (Field::text("tokenAmount", visit.t("cases-tokens")).value(typed.get("tokenAmount")).optional().with("inputmode", "numeric").show(visit))
                (Field::text("amount", visit.t("cases-amount")).value(typed.get("amount")).hint(visit.t("cases-amount-hint")).optional().with("inputmode", "decimal").show(visit))
                (line("accountRef", "cases-account", "200"))
                (line("bankReference", "cases-bank-reference", "200"))
                (Field::text("bookedOn", visit.t("cases-booked")).kind("date").value(typed.get("bookedOn")).optional().show(visit))
            }
            (parts::facts(&CaseKind::ALL.map(|kind| (visit.word("case", kind.name()), html! { (visit.word("case-names", kind.name())) }))))
            (Field::text("reason", visit.t("act-field-reason")).kind("textarea").value(typed.get("reason")).with("maxlength", "2000").show(visit))
            (Field::text("file", visit.t("cases-paper")).kind("file").optional().hint(visit.t("cases-paper-hint")).with("accept", ACCEPTED).show(visit))
            (upload_bar(visit))
            div { button.button { (visit.t("cases-open-new")) } }
        }
    })
}

/// `POST /compliance/cases`: files the paper, where there is one, and opens the case.
pub(crate) async fn open(State(app): State<App>, visit: Visit, mut fields: Fields) -> Result<Response, Problem> {
    visit.one_of(&OVERSEERS)?;
    match opened(&app, &visit, &mut fields).await {
        Ok(()) => Ok(Redirect::to("/compliance/cases?did=done").into_response()),
        Err(problem) => {
            let problem = beside_ids(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

async fn opened(app: &App, visit: &Visit, fields: &mut Fields) -> Result<(), Problem> {
    let mut papers: Vec<Value> = Vec::new();
    if let Some(upload) = fields.take_file() {
        let _turn = app.files.turn().await?;
        let body = [("documentType", json!("other")), ("fileName", json!(upload.name))];
        let body = body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let filed = uploads::run(app, "upload-kyc-document", &visit.caller, None, body, upload.bytes).await?;
        papers.push(text(&filed, "/document/id").into());
    }
    let names = [
        "kind",
        "propertyId",
        "partyId",
        "toUserId",
        "freezeId",
        "tokenAmount",
        "amount",
        "accountRef",
        "bankReference",
        "bookedOn",
        "reason",
    ]
    .map(|name| (name, name));
    let mut body = fields.body(&names);
    body.insert("documentIds".to_owned(), papers.into());
    call(app, visit, "open-holding-case", None, Value::Object(body))
        .await
        .map(drop)
}
