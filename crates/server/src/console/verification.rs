//! `/verification`: a person shows who they are: documents, details, and the decision.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{beside_form, call, instant, text},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Field, Tone},
    property::file_size,
    visit::Visit,
};
use crate::{
    app::App,
    command::Command,
    compliance,
    db::{Actor, sql},
    functions::{content, uploads},
    permission::Person,
    problem::Problem,
};

/// Kinds of documents that show who somebody is.
const KINDS: [&str; 5] = [
    "passport",
    "national_id",
    "driving_licence",
    "proof_of_address",
    "other",
];

/// What a browser offers to choose from; what a file is, its content says.
pub(crate) const ACCEPTED: &str = "application/pdf,image/jpeg,image/png,image/webp";

struct Paper {
    id: Uuid,
    kind: String,
    name: String,
    size: Option<i64>,
}

/// `GET /verification`.
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let status = call(app, visit, "verify-kyc", None, json!({ "action": "status" })).await?;
    let tx = visit.reads(app).await?;
    let query = sql!(
        "select d.id, d.document_type, d.file_name, d.file_size from public.kyc_documents as d
         where d.user_id = $1 and num_nonnulls(d.kyc_case_id, d.accreditation_case_id, d.tax_form_id, d.holding_case_id) = 0
         order by d.created_at, d.id"
    );
    let rows = tx.query(query, &[&person.id]).await?;
    tx.commit().await?;
    let papers = rows
        .iter()
        .map(|row| {
            Ok(Paper {
                id: row.try_get(0)?,
                kind: row.try_get(1)?,
                name: row.try_get(2)?,
                size: row.try_get(3)?,
            })
        })
        .collect::<Result<Vec<_>, tokio_postgres::Error>>()?;
    let state = text(&status, "/kycStatus");
    let is_open = matches!(text(&status, "/case/status"), "submitted" | "in_review");
    let is_approved = state == "approved";
    let step = if is_open || is_approved {
        3
    } else if papers.is_empty() {
        1
    } else {
        2
    };
    let content = html! {
        div.narrow.stack {
            div.page-head { h1 { (visit.t("verify-title")) } p.lead { (visit.t("verify-lead")) } }
            ol.wizard aria-label=(visit.t("verify-steps")) {
                @for (at, key) in [(1, "verify-step-documents"), (2, "verify-step-details"), (3, "verify-step-decision")] {
                    li.done[at < step || is_approved] aria-current=[(at == step && !is_approved).then_some("step")] { (visit.language.text(key)) }
                }
            }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            (decision(visit, &status))
            @if !is_open && !is_approved {
                (documents(visit, &papers))
                @if !papers.is_empty() { (details(visit, &papers, typed)) }
            }
        }
    };
    let head = Head::titled(visit.t("verify-title")).within(Section::Account);
    Ok(answered(page(visit, &head, content), problem))
}

fn decision(visit: &Visit, status: &Value) -> Markup {
    let case = text(status, "/case/status");
    let reason = text(status, "/case/reason");
    match (text(status, "/kycStatus"), case) {
        ("approved", _) => parts::alert(
            visit,
            Tone::Good,
            html! {
                p { strong { (visit.t("verify-approved")) } }
                @if let Some(until) = instant(status, "/kycExpiresAt") { p { (visit.t("verify-until")) " " (figures::date(until, visit.language)) } }
                p { a href="/properties?stage=offered" { (visit.t("verify-next")) } }
            },
        ),
        (_, "submitted" | "in_review") => html! {
            (parts::alert(visit, Tone::Wait, html! {
                p { strong { (visit.t("verify-waiting")) } }
                @if let Some(at) = instant(status, "/case/submittedAt") { p { (visit.t("verify-submitted")) " " (figures::instant(at, visit.language)) } }
                p { (visit.t("verify-waiting-text")) }
            }))
            form method="post" action="/verification/withdraw" {
                (token(visit))
                input type="hidden" name="case" value=(text(status, "/case/id"));
                button.button.danger { (visit.t("verify-withdraw")) }
            }
        },
        (_, "rejected" | "revoked") => parts::alert(
            visit,
            Tone::Stop,
            html! {
                p { strong { (visit.t("verify-rejected")) } }
                @if !reason.is_empty() { p { q dir="auto" { (reason) } } }
                p { (visit.t("verify-rejected-text")) }
            },
        ),
        ("expired", _) => parts::alert(visit, Tone::Wait, html! { p { (visit.t("verify-expired")) } }),
        (_, _) => html! {},
    }
}

fn documents(visit: &Visit, papers: &[Paper]) -> Markup {
    let kinds: Vec<(&str, String)> = KINDS.iter().map(|kind| (*kind, visit.word("document", kind))).collect();
    html! {
        section.card aria-labelledby="verify-documents" {
            h2 #verify-documents { (visit.t("verify-step-documents")) }
            p.soft { (visit.t("verify-documents-text")) }
            @if !papers.is_empty() {
                ul.evidence {
                    @for paper in papers {
                        li {
                            div.what {
                                a href={ "/verification/documents/" (paper.id) } { bdi { (paper.name) } }
                                span.fine { (visit.word("document", &paper.kind)) @if let Some(size) = paper.size { ", " (file_size(size)) } }
                            }
                            (parts::badge(Tone::Good, &visit.t("verify-filed")))
                        }
                    }
                }
            }
            form.form method="post" action="/verification/documents" enctype="multipart/form-data" data-upload="" {
                (token(visit))
                (parts::select("kind", &visit.t("verify-kind"), &kinds, "passport"))
                (Field::text("file", visit.t("verify-file")).kind("file").hint(visit.t("verify-file-hint")).with("accept", ACCEPTED).show(visit))
                (upload_bar(visit))
                div { button class=(if papers.is_empty() { "button" } else { "button secondary" }) { (visit.t("verify-upload")) } }
            }
        }
    }
}

/// A bar that a script fills while a file goes up.
pub(crate) fn upload_bar(visit: &Visit) -> Markup {
    html! {
        div.upload-progress hidden {
            progress max="100" value="0" aria-label=(visit.t("upload-progress")) {}
            p.fine { (visit.t("upload-progress")) }
        }
    }
}

fn details(visit: &Visit, papers: &[Paper], typed: &Fields) -> Markup {
    let chosen = typed.all("document");
    let levels = [
        ("basic", visit.word("level", "basic")),
        ("enhanced", visit.word("level", "enhanced")),
    ];
    html! {
        section.card aria-labelledby="verify-details" {
            h2 #verify-details { (visit.t("verify-step-details")) }
            form.form method="post" action="/verification" {
                (token(visit))
                (Field::text("legal_name", visit.t("field-legal-name")).value(typed.get("legal_name")).hint(visit.t("field-legal-name-hint")).autocomplete("name").with("maxlength", "200").show(visit))
                div.form-grid {
                    (Field::text("born_on", visit.t("field-born-on")).kind("date").value(typed.get("born_on")).autocomplete("bday").show(visit))
                    (Field::text("country", visit.t("field-country")).value(typed.get("country")).hint(visit.t("field-country-hint")).autocomplete("country").with("maxlength", "2").with("minlength", "2").show(visit))
                }
                (Field::text("address", visit.t("field-address")).value(typed.get("address")).autocomplete("street-address").with("maxlength", "500").show(visit))
                (parts::select("level", &visit.t("verify-level"), &levels, typed.get("level")))
                (Field::text("source_of_funds", visit.t("field-source-of-funds")).value(typed.get("source_of_funds")).optional().hint(visit.t("field-source-of-funds-hint")).with("maxlength", "500").show(visit))
                fieldset {
                    legend.field-label { (visit.t("verify-which")) }
                    @for paper in papers {
                        (parts::checkbox("document", &paper.id.to_string(), html! { bdi { (paper.name) } }, chosen.is_empty() || chosen.contains(&paper.id.to_string().as_str())))
                    }
                }
                div { button.button { (visit.t("verify-submit")) } }
            }
        }
    }
}

/// `POST /verification/documents`.
pub(crate) async fn file(State(app): State<App>, visit: Visit, mut fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let Some(upload) = fields.take_file() else {
        let problem = Problem::Invalid("choose a file that is not empty".to_owned());
        return shown(&app, &visit, &fields, Some(&problem)).await;
    };
    let kind = KINDS
        .iter()
        .find(|kind| **kind == fields.get("kind"))
        .unwrap_or(&"other");
    let body = [("documentType", json!(kind)), ("fileName", json!(upload.name))];
    let body = body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let _turn = app.files.turn().await?;
    match uploads::run(&app, "upload-kyc-document", &visit.caller, None, body, upload.bytes).await {
        Ok(_) => Ok(Redirect::to("/verification?filed").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

/// `POST /verification`.
pub(crate) async fn submit(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let submission = fields.body(&[
        ("legal_name", "legalName"),
        ("born_on", "dateOfBirth"),
        ("country", "country"),
        ("address", "address"),
        ("source_of_funds", "sourceOfFunds"),
    ]);
    let body = json!({ "action": "submit", "level": fields.given("level").unwrap_or("basic"), "submission": submission, "documentIds": fields.all("document") });
    match call(&app, &visit, "verify-kyc", None, body).await {
        Ok(_) => Ok(Redirect::to("/verification").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

/// `POST /verification/withdraw`.
pub(crate) async fn withdraw(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let body = json!({ "action": "withdraw", "caseId": fields.get("case") });
    match call(&app, &visit, "verify-kyc", None, body).await {
        Ok(_) => Ok(Redirect::to("/verification").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

/// `GET /verification/documents/{id}`: one's own document.
pub(crate) async fn own_document(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let reader = visit.person()?.id;
    let command = Command::begin(&app, Actor::Person(reader)).await?;
    let person = Person::of(&command, &visit.caller).await?;
    let file = compliance::documents::open_own(&command, &person, id).await?;
    command.commit().await?;
    Ok(readable(content::served(&app, &file, &headers).await?))
}

/// A file that browsers show by themselves, also in a frame of this site. A sandbox would keep a PDF from being shown; what is
/// in it cannot reach the page around it, and is of the kind that its content says.
pub(crate) fn readable(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; object-src 'self'; frame-ancestors 'self'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    response
}
