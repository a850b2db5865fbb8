//! Functions whose answer can be had as a PDF: with `format: "pdf"` in the body, or `Accept: application/pdf`.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{problem::Problem, statements};

/// What a body says of its answer's form.
#[derive(Deserialize)]
struct Format {
    format: Option<String>,
}

/// Whether a call asks for a PDF, and there is one of it.
pub(super) fn is_asked(name: &str, headers: &HeaderMap, body: &Bytes) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let named = serde_json::from_slice::<Format>(body).ok().and_then(|body| body.format);
    name == "get-statement"
        && match named {
            Some(format) => format == "pdf",
            None => accept.is_some_and(|accept| accept.trim_start().starts_with("application/pdf")),
        }
}

/// The PDF of an answer: of the same figures, since it is made of nothing else.
pub(crate) async fn written(answer: Value) -> Result<Response, Problem> {
    let answer: statements::record::Answer = serde_json::from_value(answer).map_err(Problem::internal)?;
    let name = format!("statement-{}-{}.pdf", answer.statement.year, answer.statement.party_id);
    let pdf = tokio::task::spawn_blocking(move || statements::page::write(&answer));
    let mut response = pdf.await.map_err(Problem::internal)??.into_response();
    let fields = response.headers_mut();
    let shown = HeaderValue::from_str(&format!("inline; filename=\"{name}\"")).map_err(Problem::internal)?;
    fields.insert(header::CONTENT_DISPOSITION, shown);
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
