//! `GET /functions/v1/document-content/<id>`: the bytes of a document, whole or by `Range`.
//!
//! The caller's own policies decide whether there is such a document. Whoever reads one that is not public is noted, in a
//! transaction that is made to last before the first byte leaves.

use std::ops::Range;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use uuid::Uuid;

use crate::{
    app::App, auth::routes::bearer, command::Command, compliance, db::Actor, documents, files::StoredFile,
    permission::Person, problem::Problem,
};

pub(super) async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let caller = bearer(&app, &headers)?;
    let tx = app.db.as_caller(&caller).await?;
    let document = documents::visible(&tx, id).await?.ok_or(Problem::NotFound)?;
    drop(tx);
    let reader = caller.user_id();
    let command = Command::begin(&app, reader.map_or(Actor::Program("visitor"), Actor::Person)).await?;
    let file = documents::open(&command, &document, reader).await?;
    command.commit().await?;
    served(&app, &file, &headers).await
}

/// `GET /functions/v1/kyc-document-content/<id>`: the bytes of what somebody filed about himself, for him, and for an
/// officer (papers of a case about holdings: an admin too) who says why in the field `X-Reason`, whose read is noted.
pub(super) async fn read_personal(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let caller = bearer(&app, &headers)?;
    let reader = caller.user_id().ok_or(Problem::NotSignedIn)?;
    let command = Command::begin(&app, Actor::Person(reader)).await?;
    let person = Person::of(&command, &caller).await?;
    let file = match compliance::documents::open_own(&command, &person, id).await {
        Err(Problem::NotFound) => {
            let overseer = person.overseer().map_err(|_| Problem::NotFound)?;
            let reason = headers.get("x-reason").and_then(|value| value.to_str().ok());
            compliance::documents::open(&command, &overseer, id, reason).await?
        }
        own => own?,
    };
    command.commit().await?;
    served(&app, &file, &headers).await
}

pub(crate) async fn served(app: &App, file: &StoredFile, headers: &HeaderMap) -> Result<Response, Problem> {
    let size = u64::try_from(file.size).map_err(Problem::internal)?;
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, range) = match asked.map_or(Asked::Whole, |text| range_of(text, size)) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let body = if range.is_empty() {
        Vec::new()
    } else {
        app.files.read(file.sha256, range.clone()).await?
    };
    let mut response = (status, body).into_response();
    let fields = response.headers_mut();
    let mut set = |name, text: &str| {
        // Kinds and names of ours are plain text.
        if let Ok(value) = HeaderValue::from_str(text) {
            fields.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &file.mime_type);
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CACHE_CONTROL, "private, no-store");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // What somebody uploaded is shown by itself and runs nothing.
    set(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    match status {
        StatusCode::PARTIAL_CONTENT => {
            set(
                header::CONTENT_RANGE,
                &format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)),
            );
        }
        StatusCode::RANGE_NOT_SATISFIABLE => set(header::CONTENT_RANGE, &format!("bytes */{size}")),
        _ => {}
    }
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// One range of bytes. What is no such range is passed over, as HTTP has it; several are answered with the whole.
fn range_of(text: &str, size: u64) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        (_, _) => return Asked::Whole,
    };
    if range.start < range.end {
        Asked::Part(range)
    } else {
        Asked::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (text, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=5-500", Asked::Part(5..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=3-2", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("lines=0-1", Asked::Whole),
        ] {
            assert_eq!(range_of(text, 10), asked, "{text}");
        }
    }
}
