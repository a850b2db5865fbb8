//! Documents that a person filed and that belong to nothing yet: shown, added to, and chosen from by whatever asks for some.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde_json::json;
use uuid::Uuid;

use super::{
    call::beside_form,
    entry::answered,
    fault,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Field, Tone},
    property::file_size,
    verification::{ACCEPTED, upload_bar},
    visit::Visit,
};
use crate::{
    app::App,
    db::{Tx, sql},
    functions::uploads,
    problem::Problem,
};

/// A page that asks for documents, and the kinds that it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Verification of identity.
    Verification,
    /// Accreditation.
    Accreditation,
    /// Tax forms.
    Tax,
}

impl Asker {
    const ALL: [Asker; 3] = [Asker::Verification, Asker::Accreditation, Asker::Tax];

    /// The path of its page.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Asker::Verification => "/verification",
            Asker::Accreditation => "/accreditation",
            Asker::Tax => "/tax-forms",
        }
    }

    fn kinds(self) -> &'static [&'static str] {
        match self {
            Asker::Verification => &[
                "passport",
                "national_id",
                "driving_licence",
                "proof_of_address",
                "other",
            ],
            Asker::Accreditation => &[
                "proof_of_income",
                "proof_of_assets",
                "professional_letter",
                "licence",
                "other",
            ],
            Asker::Tax => &["tax_form", "tax_residency", "other"],
        }
    }

    fn of(path: &str) -> Asker {
        let found = Asker::ALL.into_iter().find(|asker| asker.path() == path);
        found.unwrap_or(Asker::Verification)
    }
}

/// A document that is free.
pub(crate) struct Paper {
    /// Its id.
    pub(crate) id: Uuid,
    /// The name that its file had.
    pub(crate) name: String,
    kind: String,
    size: Option<i64>,
}

/// Those of a person that belong to nothing yet, the oldest first.
///
/// # Errors
/// What the database answered.
pub(crate) async fn free(tx: &Tx, user_id: Uuid) -> Result<Vec<Paper>, Problem> {
    let query = sql!(
        "select d.id, d.document_type, d.file_name, d.file_size from public.kyc_documents as d
         where d.user_id = $1 and num_nonnulls(d.kyc_case_id, d.accreditation_case_id, d.tax_form_id, d.holding_case_id) = 0
         order by d.created_at, d.id"
    );
    let rows = tx.query(query, &[&user_id]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Paper {
            id: row.try_get(0)?,
            kind: row.try_get(1)?,
            name: row.try_get(2)?,
            size: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect()
}

/// The documents, and the form for one more.
pub(crate) fn section(visit: &Visit, asker: Asker, about: &str, papers: &[Paper]) -> Markup {
    html! {
        section.card aria-labelledby="papers" {
            h2 #papers { (visit.t("verify-step-documents")) }
            p.soft { (about) }
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
            (form(visit, asker, "", papers.is_empty()))
        }
    }
}

fn form(visit: &Visit, asker: Asker, chosen: &str, is_first: bool) -> Markup {
    let kinds: Vec<(&str, String)> = asker
        .kinds()
        .iter()
        .map(|kind| (*kind, visit.word("document", kind)))
        .collect();
    html! {
        form.form method="post" action="/papers" enctype="multipart/form-data" data-upload="" {
            (token(visit))
            input type="hidden" name="asker" value=(asker.path());
            (parts::select("kind", &visit.t("verify-kind"), &kinds, chosen))
            (Field::text("file", visit.t("verify-file")).kind("file").hint(visit.t("verify-file-hint")).with("accept", ACCEPTED).show(visit))
            (upload_bar(visit))
            div { button class=(if is_first { "button" } else { "button secondary" }) { (visit.t("verify-upload")) } }
        }
    }
}

/// Which of them go with what is about to be sent: all, until somebody chose.
pub(crate) fn choice(visit: &Visit, papers: &[Paper], typed: &Fields) -> Markup {
    let chosen = typed.all("document");
    html! {
        fieldset {
            legend.field-label { (visit.t("verify-which")) }
            @for paper in papers {
                (parts::checkbox("document", &paper.id.to_string(), html! { bdi { (paper.name) } }, chosen.is_empty() || chosen.contains(&paper.id.to_string().as_str())))
            }
        }
    }
}

/// `POST /papers`: files a document, and goes back to the page that asked.
pub(crate) async fn file(State(app): State<App>, visit: Visit, mut fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let asker = Asker::of(fields.get("asker"));
    let kind = asker
        .kinds()
        .iter()
        .find(|kind| **kind == fields.get("kind"))
        .unwrap_or(&"other");
    let outcome = match fields.take_file() {
        Some(upload) => {
            let body = [("documentType", json!(kind)), ("fileName", json!(upload.name))];
            let body = body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let _turn = app.files.turn().await?;
            uploads::run(&app, "upload-kyc-document", &visit.caller, None, body, upload.bytes).await
        }
        None => Err(Problem::Invalid("choose a file that is not empty".to_owned())),
    };
    match outcome {
        Ok(_) => Ok(Redirect::to(&format!("{}?filed", asker.path())).into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            Ok(again(&visit, asker, kind, &problem))
        }
    }
}

fn again(visit: &Visit, asker: Asker, kind: &str, problem: &Problem) -> Response {
    let content = html! {
        div.narrow.stack {
            div.page-head { h1 { (visit.t("papers-again")) } }
            (fault::alert(visit, problem))
            div.card { (form(visit, asker, kind, true)) }
            p { a href=(asker.path()) { (visit.t("act-back")) } }
        }
    };
    let head = Head::titled(visit.t("papers-again")).within(Section::Account);
    answered(page(visit, &head, content), Some(problem))
}
