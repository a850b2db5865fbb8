//! `/manage/{id}`: one property on its way: evidence, steps, offerings.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use mint_core::{role::Role, tokenization::Step};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{MANAGERS, tabs};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::beside_form,
        entry::answered,
        fault, figures,
        form::Fields,
        layout::{Head, Section, page, token},
        parts::{self, Field, Tone},
        reports,
        verification::{ACCEPTED, upload_bar},
        visit::Visit,
    },
    db::sql,
    functions::uploads,
    problem::Problem,
};

/// Kinds of evidence that a manager files.
const KINDS: [&str; 12] = [
    "deed",
    "title_search",
    "lien_status",
    "tax_status",
    "insurance",
    "permit",
    "appraisal",
    "entity_papers",
    "lease",
    "inspection",
    "offering",
    "other",
];

const PROPERTY: &str = sql!(
    "select p.title, p.currency, p.tokenization_status, t.id, t.status, t.current_step, t.progress_percentage, t.offering_kind,
            exists (select from public.property_tokens as k where k.property_id = p.id and k.status = 'launched'),
            exists (select from public.property_audits as a where a.property_id = p.id and a.compliance_status <> 'in_progress')
     from public.properties as p
     left join lateral (select t.id, t.status, t.current_step, t.progress_percentage, t.offering_kind from public.tokenization_processes as t
                        where t.property_id = p.id order by t.created_at desc limit 1) as t on true
     where p.id = $1"
);

const STEPS: &str = sql!(
    "select s.step_name, s.status, s.submitted_at, s.completed_at, s.error_details, s.step_data
     from public.tokenization_steps as s where s.process_id = $1 order by s.step_order"
);

/// What a launch asks for, and every document that could answer it, the newest first.
const CHECKLIST: &str = sql!(
    "select g.requirement, g.document_types, d.id, d.document_name, d.document_type, d.review_status, d.expires_at,
            (select r.reason from public.property_document_reviews as r where r.document_id = d.id order by r.reviewed_at desc limit 1)
     from public.gate_requirements as g
     left join public.property_documents as d on d.property_id = $1 and d.document_type = any (g.document_types)
     where g.action = 'launch' and g.offering_kind = $2
     order by g.requirement, d.created_at desc, d.id"
);

const OFFERINGS: &str = sql!(
    "select o.id, o.status, o.price_minor, o.currency, o.currency_decimals, o.soft_cap_units, o.hard_cap_units, o.token_decimals, o.opens_at, o.closes_at, r.title
     from public.offerings as o join public.rule_packs as r on r.id = o.rule_pack_id where o.property_id = $1 order by o.created_at desc limit 20"
);

const PACKS: &str = sql!(
    "select distinct on (r.code) r.code, r.title from public.rule_packs as r where r.valid_from <= now() order by r.code, r.version desc"
);

/// `GET /manage/{id}`.
pub(crate) async fn show(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    shown(&app, &visit, id, &Fields::default(), None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    id: Uuid,
    typed: &Fields,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let person = visit.one_of(&MANAGERS)?;
    let tx = visit.reads(app).await?;
    let member =
        sql!("select from public.property_members as m where m.property_id = $1 and m.user_id = $2 and m.is_active");
    tx.query_opt(member, &[&id, &person.id])
        .await?
        .ok_or(Problem::NotFound)?;
    let row = tx.query_opt(PROPERTY, &[&id]).await?.ok_or(Problem::NotFound)?;
    let process: Option<Uuid> = row.try_get(3)?;
    let kind: Option<String> = row.try_get(7)?;
    let kind = kind.unwrap_or_else(|| "issuer_owns".to_owned());
    let steps = match process {
        Some(process) => tx.query(STEPS, &[&process]).await?,
        None => Vec::new(),
    };
    let checklist = tx.query(CHECKLIST, &[&id, &kind]).await?;
    let offerings = tx.query(OFFERINGS, &[&id]).await?;
    let packs = tx.query(PACKS, &[]).await?;
    tx.commit().await?;
    let title: String = row.try_get(0)?;
    let (is_launched, is_audited): (bool, bool) = (row.try_get(8)?, row.try_get(9)?);
    let content = html! {
        (tabs(visit, id, &format!("/manage/{id}"), &title))
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.with-aside {
            div.stack-large {
                section {
                    h2 { (visit.t("manage-checklist")) }
                    (checklist_of(visit, &checklist)?)
                    (act::folded(&visit.t("manage-upload"), upload_form(visit, id, typed)))
                }
                (offering_section(visit, id, is_launched, &offerings, &packs)?)
            }
            aside.stack { section.card {
                h2 { (visit.t("manage-steps")) }
                @match process {
                    Some(process) => { (step_list(visit, process, &row, &steps)?) }
                    None => { p.soft { (visit.t("manage-no-process")) } (begin(visit, id)) }
                }
            }
            @if let Some(process) = process { section.card { h2 { (visit.t("reports-title")) } (reports::of_process(visit, process, is_audited.then_some(id))) } }
            }
        }
    };
    Ok(answered(
        page(visit, &Head::titled(title).within(Section::Managing).wide(), content),
        problem,
    ))
}

fn begin(visit: &Visit, id: Uuid) -> Markup {
    let kinds = ["issuer_owns", "acquisition"].map(|kind| (kind, visit.word("offering-kind", kind)));
    let hidden = [("action", "create_process".to_owned()), ("propertyId", id.to_string())];
    let fields = parts::select("offeringKind", &visit.t("manage-offering-kind"), &kinds, "issuer_owns");
    Act {
        function: "monitor-tokenization",
        hidden: &hidden,
        fields,
        class: "button",
        label: visit.t("manage-begin").into_owned(),
    }
    .show(visit)
}

fn step_list(visit: &Visit, process: Uuid, property: &Row, rows: &[Row]) -> Result<Markup, Problem> {
    let current: Option<String> = property.try_get(5)?;
    let mut items = Vec::new();
    for row in rows {
        let (name, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let step: Option<Step> = Step::ALL.iter().copied().find(|step| step.name() == name);
        let is_own = step.is_some_and(|step| step.submitted_by() == Some(Role::PropertyManager));
        let is_due = current.as_deref() == Some(name.as_str())
            && matches!(status.as_str(), "pending" | "in_progress" | "rejected");
        let error: Option<String> = row.try_get(4)?;
        let done_at: Option<DateTime<Utc>> = row.try_get(3)?;
        let data: Value = row.try_get(5)?;
        let is_done = matches!(status.as_str(), "completed" | "not_required");
        items.push(html! {
            li.done[is_done].now[is_due] {
                div.step-body {
                    div.row.spread { strong { (visit.word("step", &name)) } (parts::state(visit, &status)) }
                    @if let Some(at) = done_at { span.fine { (figures::instant(at, visit.language)) } }
                    @if let Some(error) = error.filter(|_| status == "rejected") { (parts::alert(visit, Tone::Stop, html! { p { q dir="auto" { (error) } } })) }
                    @if is_due && is_own { (submit(visit, process, &name, &data)) }
                    @else if is_due || status == "submitted" { span.fine { (visit.word("step-waits", &name)) } }
                }
            }
        });
    }
    let percent: Option<i32> = property.try_get(6)?;
    let percent = percent.unwrap_or(0);
    let words = visit.tv("manage-progress", &[("percent", percent.into())]);
    Ok(html! {
        (parts::progress(&visit.t("manage-progress-label"), percent.into(), html! { (words) }))
        ol.steps { @for item in items { (item) } }
    })
}

fn submit(visit: &Visit, process: Uuid, step: &str, data: &Value) -> Markup {
    let hidden = [("processId", process.to_string()), ("step", step.to_owned())];
    let typed = |name: &str| match data.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
    };
    let (name, symbol, supply, price) = (
        typed("name"),
        typed("symbol"),
        typed("totalSupply"),
        typed("tokenPrice"),
    );
    let fields = html! {
        @if step == "token_configuration" {
            (Field::text("name", visit.t("act-field-name")).value(&name).with("maxlength", "200").show(visit))
            (Field::text("symbol", visit.t("act-field-symbol")).value(&symbol).hint(visit.t("manage-symbol-hint")).with("maxlength", "64").show(visit))
            (Field::text("totalSupply", visit.t("act-field-total-supply")).value(&supply).with("inputmode", "numeric").show(visit))
            (Field::text("tokenPrice", visit.t("act-field-token-price")).value(&price).hint(visit.t("manage-price-hint")).with("inputmode", "decimal").show(visit))
        }
    };
    Act {
        function: "submit-step",
        hidden: &hidden,
        fields,
        class: "button",
        label: visit.t("manage-submit-step").into_owned(),
    }
    .show(visit)
}

fn checklist_of(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let now = visit.asked.now;
    let mut groups: Vec<(String, Vec<Markup>, bool)> = Vec::new();
    for row in rows {
        let requirement: String = row.try_get(0)?;
        if groups.last().is_none_or(|(known, _, _)| *known != requirement) {
            groups.push((requirement, Vec::new(), false));
        }
        if row.try_get::<_, Option<Uuid>>(2)?.is_none() {
            continue;
        }
        let (name, kind, status): (String, String, String) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let expires: Option<DateTime<Utc>> = row.try_get(6)?;
        let reason: Option<String> = row.try_get(7)?;
        let is_over = expires.is_some_and(|at| at <= now);
        let word = if status == "accepted" && is_over {
            "expired"
        } else {
            status.as_str()
        };
        let Some((_, items, is_met)) = groups.last_mut() else {
            continue;
        };
        *is_met |= status == "accepted" && !is_over;
        items.push(html! {
            li {
                div.what {
                    bdi { (name) }
                    span.fine {
                        (visit.word("document", &kind))
                        @if let Some(at) = expires { ", " (visit.t("evidence-until")) " " (figures::date(at, visit.language)) }
                        @if let Some(reason) = reason.filter(|_| matches!(status.as_str(), "rejected" | "revoked")) { ": " q dir="auto" { (reason) } }
                    }
                }
                (parts::state(visit, word))
            }
        });
    }
    Ok(html! {
        @for (requirement, items, is_met) in &groups {
            section.card.tight {
                div.row.spread {
                    h3 { (visit.word("requirement", requirement)) }
                    @if *is_met { (parts::badge(Tone::Good, &visit.t("manage-met"))) } @else { (parts::badge(Tone::Wait, &visit.t("manage-unmet"))) }
                }
                @if items.is_empty() { p.soft { (visit.t("manage-nothing-filed")) } } @else { ul.evidence { @for item in items { (item) } } }
            }
        }
    })
}

fn upload_form(visit: &Visit, id: Uuid, typed: &Fields) -> Markup {
    let kinds = KINDS.map(|kind| (kind, visit.word("document", kind)));
    let audiences = ["nobody", "verified", "everybody"].map(|word| (word, visit.word("audience", word)));
    html! {
        form.form method="post" action={ "/manage/" (id) "/documents" } enctype="multipart/form-data" data-upload="" {
            (token(visit))
            div.form-grid {
                (parts::select("documentType", &visit.t("verify-kind"), &kinds, typed.get("documentType")))
                (Field::text("documentName", visit.t("manage-document-name")).value(typed.get("documentName")).with("maxlength", "300").show(visit))
                (Field::text("source", visit.t("column-source")).value(typed.get("source")).hint(visit.t("manage-source-hint")).optional().with("maxlength", "300").show(visit))
                (Field::text("issuedOn", visit.t("manage-issued")).kind("date").value(typed.get("issuedOn")).optional().show(visit))
                (Field::text("expiresOn", visit.t("manage-expires")).kind("date").value(typed.get("expiresOn")).optional().show(visit))
                (parts::select("audience", &visit.t("manage-audience"), &audiences, typed.get("audience")))
            }
            (Field::text("file", visit.t("verify-file")).kind("file").hint(visit.t("manage-file-hint")).with("accept", ACCEPTED).show(visit))
            (upload_bar(visit))
            div { button.button { (visit.t("verify-upload")) } }
        }
    }
}

/// `POST /manage/{id}/documents`.
pub(crate) async fn upload(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    visit.one_of(&MANAGERS)?;
    let Some(upload) = fields.take_file() else {
        let problem = Problem::Invalid("choose a file that is not empty".to_owned());
        return shown(&app, &visit, id, &fields, Some(&problem)).await;
    };
    let names = ["documentType", "documentName", "source", "issuedOn"].map(|name| (name, name));
    let mut body = fields.body(&names);
    body.insert("propertyId".to_owned(), json!(id));
    if let Some(day) = fields.given("expiresOn") {
        body.insert("expiresAt".to_owned(), format!("{day}T00:00:00Z").into());
    }
    body.insert("isPublic".to_owned(), (fields.get("audience") == "everybody").into());
    body.insert("requiresKyc".to_owned(), (fields.get("audience") == "verified").into());
    let _turn = app.files.turn().await?;
    match uploads::run(&app, "upload-document", &visit.caller, None, body, upload.bytes).await {
        Ok(_) => Ok(Redirect::to(&format!("/manage/{id}?did=done")).into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, &fields, Some(&problem)).await
        }
    }
}

fn offering_section(
    visit: &Visit,
    id: Uuid,
    is_launched: bool,
    rows: &[Row],
    packs: &[Row],
) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (offering, status, pack): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(10)?);
        let decimals: i16 = row.try_get(7)?;
        let price = figures::money(row.try_get(2)?, &row.try_get::<_, String>(3)?, row.try_get(4)?);
        let about = html! {
            (visit.t("offer-price")) " " (price) ", " (visit.t("offer-soft-cap")) " " (figures::tokens(row.try_get(5)?, decimals)) ", "
            (visit.t("offer-hard-cap")) " " (figures::tokens(row.try_get(6)?, decimals)) ", " (figures::instant(row.try_get(8)?, visit.language)) " – " (figures::instant(row.try_get(9)?, visit.language))
        };
        let hidden = [("offeringId", offering.to_string())];
        let actions = html! {
            @if status == "draft" {
                p.fine { (visit.t("manage-offering-waits")) }
                (act::folded(&visit.t("manage-offering-cancel"), Act { function: "cancel-offering", hidden: &hidden, fields: act::for_good(visit), class: "button danger small", label: visit.t("manage-offering-cancel").into_owned() }.show(visit)))
            }
            @if matches!(status.as_str(), "draft" | "open") {
                @let label = visit.t("manage-invite");
                (act::folded(&label, Act { function: "invite-to-offering", hidden: &hidden, fields: guest(visit, offering), class: "button secondary small", label: label.clone().into_owned() }.show(visit)))
            }
        };
        lines.push(act::state_line(
            visit,
            html! { span lang="en" dir="ltr" { (pack) } },
            &status,
            about,
            actions,
        ));
    }
    Ok(html! {
        section {
            h2 { (visit.t("manage-offerings")) }
            @if lines.is_empty() {
                (parts::empty(&visit.t("manage-no-offering"), html! { p { (if is_launched { visit.t("manage-no-offering-text") } else { visit.t("manage-not-launched") }) } }))
            }
            ul.notices { @for line in lines { (line) } }
            @if is_launched { (act::folded(&visit.t("manage-offering-new"), new_offering(visit, id, packs)?)) }
        }
    })
}

/// Whom to invite: an offering that is not public is seen by its guests, and by who acts for the property.
fn guest(visit: &Visit, offering: Uuid) -> Markup {
    html! {
        div.field {
            label for={ "guest-" (offering) } { (visit.t("act-field-user-id")) }
            p.hint id={ "guest-" (offering) "-hint" } { (visit.t("manage-invite-hint")) }
            input id={ "guest-" (offering) } name="userId" required maxlength="36" aria-describedby={ "guest-" (offering) "-hint" };
        }
    }
}

fn new_offering(visit: &Visit, id: Uuid, packs: &[Row]) -> Result<Markup, Problem> {
    let packs: Vec<(String, String)> = packs
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, tokio_postgres::Error>>()?;
    let choices: Vec<(&str, String)> = packs
        .iter()
        .map(|(code, title)| (code.as_str(), title.clone()))
        .collect();
    let kinds = ["issuer_owns", "acquisition"].map(|kind| (kind, visit.word("offering-kind", kind)));
    let count = |name, key: &str| Field::text(name, visit.language.text(key)).with("inputmode", "numeric");
    let instant = |name, key: &str| {
        Field::text(name, visit.language.text(key))
            .kind("datetime-local")
            .hint(visit.t("form-utc"))
            .show(visit)
    };
    let fields = html! {
        div.form-grid {
            (parts::select("rulePack", &visit.t("offer-rules"), &choices, "simulated_standard"))
            (parts::select("kind", &visit.t("manage-offering-kind"), &kinds, "issuer_owns"))
            (count("softCap", "offer-soft-cap").show(visit))
            (count("hardCap", "offer-hard-cap").show(visit))
            (count("minimumTokens", "offer-minimum").optional().show(visit))
            (count("maximumTokens", "act-field-maximum-tokens").optional().show(visit))
            (instant("opensAt", "offer-opens"))
            (instant("closesAt", "offer-closes"))
            (instant("longStopAt", "act-field-long-stop-at"))
        }
        p.fine { (visit.t("manage-long-stop-text")) }
    };
    let hidden = [("propertyId", id.to_string())];
    Ok(Act {
        function: "create-offering",
        hidden: &hidden,
        fields,
        class: "button",
        label: visit.t("manage-offering-new").into_owned(),
    }
    .show(visit))
}
