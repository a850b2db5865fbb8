//! `/compliance/identity/{case}`: one verification. Nothing of it is shown before the officer says why; each look is noted.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue},
    response::Response,
};
use maud::{Markup, html};
use mint_core::role::Role;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{section, short};
use crate::{
    app::App,
    command::Command,
    compliance,
    console::{
        call::{beside_form, call, instant, text},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::token,
        parts::{self, Field, Tone},
        property::file_size,
        verification::readable,
        visit::Visit,
    },
    db::Actor,
    functions::content,
    permission::Person,
    problem::Problem,
};

/// Who is shown what people submitted.
pub(super) const OFFICER: [Role; 1] = [Role::ComplianceOfficer];

/// `GET /compliance/identity/{case}`: asks why.
pub(crate) async fn ask(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.one_of(&OFFICER)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    Ok(asked(&visit, &place(id), &visit.t("identity-title"), "", None))
}

fn place(id: Uuid) -> String {
    format!("/compliance/identity/{id}")
}

/// Asks why somebody looks at what is at a place.
pub(super) fn asked(visit: &Visit, place: &str, title: &str, reason: &str, problem: Option<&Problem>) -> Response {
    let content = html! {
        div.narrow.stack {
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            form.card.form method="post" action=(place) {
                (token(visit))
                p { (visit.t("identity-why")) }
                (Field::text("reason", visit.t("identity-reason")).value(reason).hint(visit.t("identity-reason-hint")).with("maxlength", "1000").show(visit))
                div { button.button { (visit.t("identity-open")) } }
            }
        }
    };
    answered(section(visit, "/compliance", title, content), problem)
}

/// `POST /compliance/identity/{case}`: acts, if something is to be done, and shows the case.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    visit.one_of(&OFFICER)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let refused = match done(&app, &visit, id, &fields).await {
        Ok(()) => None,
        Err(problem) => Some(beside_form(problem)?),
    };
    let body = json!({ "caseId": id, "reason": fields.get("reason") });
    let case = match call(&app, &visit, "get-kyc-case", None, body).await {
        Ok(answer) => answer.get("case").cloned().unwrap_or_default(),
        Err(problem) => {
            let (place, title, problem) = (place(id), visit.t("identity-title"), beside_form(problem)?);
            return Ok(asked(&visit, &place, &title, fields.get("reason"), Some(&problem)));
        }
    };
    Ok(shown(&visit, id, &case, &fields, refused.as_ref()))
}

async fn done(app: &App, visit: &Visit, id: Uuid, fields: &Fields) -> Result<(), Problem> {
    let with = |action: &str, more: Map<String, Value>| {
        let mut body = json!({ "action": action, "caseId": id });
        if let Some(body) = body.as_object_mut() {
            body.extend(more);
        }
        body
    };
    let (name, body): (&'static str, Value) = match fields.get("act") {
        "take" => ("verify-kyc", with("take", Map::new())),
        "approve" => (
            "verify-kyc",
            with(
                "approve",
                fields.body(&[("legal_name", "legalName"), ("country", "country"), ("level", "level")]),
            ),
        ),
        "reject" => ("verify-kyc", with("reject", fields.body(&[("why", "reason")]))),
        "revoke" => ("verify-kyc", with("revoke", fields.body(&[("why", "reason")]))),
        "compare" => ("screen-party", json!({ "partyId": fields.get("party") })),
        "screen" => {
            let named = fields.body(&[
                ("party", "partyId"),
                ("screening", "status"),
                ("provider", "provider"),
                ("reference", "reference"),
            ]);
            ("record-screening", Value::Object(named))
        }
        _ => return Ok(()),
    };
    call(app, visit, name, None, body).await.map(drop)
}

fn shown(visit: &Visit, id: Uuid, case: &Value, fields: &Fields, refused: Option<&Problem>) -> Response {
    let reason = fields.get("reason");
    let documents = case
        .get("documents")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let content = html! {
        @if let Some(problem) = refused { (fault::alert(visit, problem)) }
        @else if !fields.get("act").is_empty() { div.alert-slot { (parts::alert(visit, Tone::Good, html! { p { (visit.t("act-done")) } })) } }
        div.with-aside {
            div.stack {
                section.card { h2 { (visit.t("identity-submitted")) } (submitted(visit, case)) }
                section.card {
                    h2 { (visit.t("property-documents")) }
                    @for document in &documents { (viewer(visit, id, document, reason)) }
                }
            }
            aside.stack { (decisions(visit, id, case, fields, reason)) }
        }
    };
    answered(
        section(visit, "/compliance", &visit.t("identity-title"), content),
        refused,
    )
}

fn submitted(visit: &Visit, case: &Value) -> Markup {
    let submission = case
        .get("submission")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let mut known: Vec<(String, Markup)> = vec![
        (
            visit.t("column-state").into_owned(),
            parts::state(visit, text(case, "/status")),
        ),
        (
            visit.t("verify-level").into_owned(),
            html! { (visit.word("level", text(case, "/level"))) },
        ),
    ];
    if let Some(at) = instant(case, "/submittedAt") {
        known.push((
            visit.t("verify-submitted").into_owned(),
            figures::instant(at, visit.language),
        ));
    }
    if !text(case, "/legalName").is_empty() {
        known.push((
            visit.t("identity-verified-name").into_owned(),
            html! { bdi { (text(case, "/legalName")) ", " (text(case, "/country")) } },
        ));
    }
    for (name, value) in &submission {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        known.push((visit.word("submission", name), html! { bdi { (shown) } }));
    }
    parts::facts(&known)
}

/// A document of a case, shown on the page by the same reason.
pub(super) fn viewer(visit: &Visit, id: Uuid, document: &Value, reason: &str) -> Markup {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("reason", reason)
        .finish();
    let place = format!("/compliance/identity/{id}/documents/{}?{query}", text(document, "/id"));
    let name = text(document, "/fileName");
    let size = document.get("fileSize").and_then(Value::as_i64);
    html! {
        div.stack-small {
            div.row.spread {
                strong { bdi { (name) } " " span.fine { (visit.word("document", text(document, "/documentType"))) @if let Some(size) = size { ", " (file_size(size)) } } }
                a.button.secondary.small href=(place) target="_blank" rel="noopener" { (visit.t("identity-new-window")) }
            }
            details { summary { (visit.t("identity-view")) } iframe.viewer src=(place) title=(name) loading="lazy" {} }
        }
    }
}

fn decisions(visit: &Visit, id: Uuid, case: &Value, fields: &Fields, reason: &str) -> Markup {
    let place = place(id);
    let status = text(case, "/status");
    let party = text(case, "/partyId");
    let stated = |name: &str| text(case, &format!("/submission/{name}")).to_owned();
    let typed = |field: &str, fallback: String| fields.given(field).map_or(fallback, str::to_owned);
    let (legal, country) = (
        typed("legal_name", stated("legalName")),
        typed("country", stated("country")),
    );
    let form = |act: &str, content: Markup| {
        html! {
            form.form method="post" action=(place) {
                (token(visit))
                input type="hidden" name="reason" value=(reason);
                input type="hidden" name="act" value=(act);
                input type="hidden" name="party" value=(party);
                (content)
            }
        }
    };
    let levels = [
        ("basic", visit.word("level", "basic")),
        ("enhanced", visit.word("level", "enhanced")),
    ];
    let outcomes = ["clear", "possible_match", "match"].map(|word| (word, visit.word("screening", word)));
    let is_open = matches!(status, "submitted" | "in_review");
    html! {
        @if is_open {
            section.card { h2 { (visit.t("identity-take")) } p.soft { (visit.t("identity-take-text")) }
                (form("take", html! { div { button.button.secondary { (visit.t("identity-take")) } } }))
                p.fine { (visit.t("queue-case")) " " (short(text(case, "/caseId"))) }
            }
            section.card { h2 { (visit.t("identity-screening")) }
                (form("compare", html! { div { button.button.secondary { (visit.t("identity-compare")) } } }))
                (form("screen", html! {
                    (parts::select("screening", &visit.t("identity-screening-outcome"), &outcomes, fields.get("screening")))
                    (Field::text("provider", visit.t("identity-provider")).value(fields.get("provider")).hint(visit.t("identity-provider-hint")).with("maxlength", "200").show(visit))
                    (Field::text("reference", visit.t("identity-reference")).value(fields.get("reference")).optional().with("maxlength", "200").show(visit))
                    div { button.button.secondary { (visit.t("identity-record")) } }
                }))
            }
            section.card { h2 { (visit.t("identity-approve")) }
                (form("approve", html! {
                    (Field::text("legal_name", visit.t("field-legal-name")).value(&legal).with("maxlength", "200").show(visit))
                    (Field::text("country", visit.t("field-country")).value(&country).with("maxlength", "2").show(visit))
                    (parts::select("level", &visit.t("verify-level"), &levels, text(case, "/level")))
                    div { button.button { (visit.t("identity-approve")) } }
                }))
            }
            section.card { h2 { (visit.t("identity-reject")) }
                (form("reject", html! {
                    (Field::text("why", visit.t("identity-reject-why")).kind("textarea").value(fields.get("why")).hint(visit.t("identity-reject-hint")).show(visit))
                    div { button.button.danger { (visit.t("identity-reject")) } }
                }))
            }
        } @else if status == "approved" {
            section.card { h2 { (visit.t("identity-revoke")) }
                (form("revoke", html! {
                    (Field::text("why", visit.t("identity-reject-why")).kind("textarea").value(fields.get("why")).hint(visit.t("identity-reject-hint")).show(visit))
                    div { button.button.danger { (visit.t("identity-revoke")) } }
                }))
            }
        } @else {
            (parts::alert(visit, Tone::Plain, html! { p { (visit.t("identity-decided")) } @if !text(case, "/reason").is_empty() { p { q dir="auto" { (text(case, "/reason")) } } } }))
        }
    }
}

/// Why a document is read.
#[derive(Debug, Deserialize)]
pub(crate) struct Why {
    #[serde(default)]
    reason: String,
}

/// `GET /compliance/identity/{case}/documents/{id}`: the bytes; the read is noted with its reason.
pub(crate) async fn document(
    State(app): State<App>,
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    Query(why): Query<Why>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = visit.one_of(&OFFICER)?.id;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let command = Command::begin(&app, Actor::Person(reader)).await?;
    let overseer = Person::of(&command, &visit.caller).await?.overseer()?;
    let file = compliance::documents::open(&command, &overseer, id, Some(&why.reason)).await?;
    command.commit().await?;
    let mut response = readable(content::served(&app, &file, &headers).await?);
    response
        .headers_mut()
        .insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    Ok(response)
}
