//! A body on its way into the file store: raw, or a form with one file, block by block.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::Context,
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequest as _, Multipart, Request, multipart::Field, multipart::MultipartError},
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

use super::{refusal::Refusal, rows::Rules};
use crate::files::{Files, Staged, Writer};

/// How long a client may send nothing: a phone that changes networks, and no more.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The longest field of a form beside the file, and the longest metadata (bytes): storage-api's.
const FIELD_BYTES_MAX: usize = 1024 * 1024;

/// Fields of a form beside the file.
const FIELDS_MAX: usize = 20;

/// The longest `Cache-Control` that is kept.
const CACHE_CONTROL_MAX: usize = 200;

/// What is read of a body that is refused, so that the client hears the answer and not a closed connection (bytes).
const DRAINED_MAX: usize = 8 * 1024 * 1024;

/// An object's content, written down, with what its sender says of it.
pub(super) struct Received {
    /// The content.
    pub(super) staged: Staged,
    /// What its sender says that it is.
    pub(super) claimed: Option<String>,
    /// How long others may keep it.
    pub(super) cache_control: String,
    /// What its sender notes of it.
    pub(super) user_metadata: Value,
}

/// What a body may be.
pub(super) struct Limits<'a> {
    /// Of the bucket.
    pub(super) rules: &'a Rules,
    /// Of the server (bytes).
    pub(super) size_max: u64,
}

impl Limits<'_> {
    /// Makes sure that so many bytes are taken.
    pub(super) fn check_size(&self, size: u64) -> Result<(), Refusal> {
        if size > self.size_max {
            return Err(Refusal::TooLarge);
        }
        self.rules.check_size(size)
    }
}

/// Reads a body that was refused, as far as that is little, and gives the refusal back.
pub(super) async fn drain(body: Body, refusal: Refusal) -> Refusal {
    let (mut stream, mut read) = (body.into_data_stream(), 0);
    while read < DRAINED_MAX
        && let Ok(Ok(Some(bytes))) = next(&mut stream).await
    {
        read += bytes.len();
    }
    refusal
}

/// Takes in a body. Of one that is refused, the rest is read as far as that is little.
pub(super) async fn receive(files: &Files, limits: &Limits<'_>, request: Request) -> Result<Received, Refusal> {
    let (parts, body) = request.into_parts();
    let coming = Arc::new(Mutex::new(body.into_data_stream()));
    let body = || {
        let coming = coming.clone();
        let next = move |context: &mut Context<'_>| {
            let mut coming = coming.lock().unwrap_or_else(PoisonError::into_inner);
            coming.poll_next_unpin(context)
        };
        Body::from_stream(stream::poll_fn(next))
    };
    match take_in(files, limits, Request::from_parts(parts, body())).await {
        Err(refusal) => Err(drain(body(), refusal).await),
        received => received,
    }
}

async fn take_in(files: &Files, limits: &Limits<'_>, request: Request) -> Result<Received, Refusal> {
    let headers = request.headers().clone();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let is_form = content_type.to_ascii_lowercase().starts_with("multipart/form-data");
    let told: Option<u64> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    // A form is longer than its file.
    let most = told.map(|length| {
        if is_form {
            length.saturating_sub(2 * FIELD_BYTES_MAX as u64)
        } else {
            length
        }
    });
    most.map_or(Ok(()), |size| limits.check_size(size))?;
    if is_form {
        return form(files, limits, request).await;
    }
    let user_metadata = metadata_header(&headers)?;
    let mut stream = request.into_body().into_data_stream();
    let mut writer = files.write().await?;
    while let Some(bytes) = next(&mut stream).await?.map_err(unreadable)? {
        add(&mut writer, &bytes, limits, Some(&content_type)).await?;
    }
    Ok(Received {
        staged: writer.finish().await?,
        claimed: Some(content_type).filter(|found| !found.is_empty()),
        cache_control: cache_control(text(header::CACHE_CONTROL)),
        user_metadata,
    })
}

async fn form(files: &Files, limits: &Limits<'_>, request: Request) -> Result<Received, Refusal> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| Refusal::Invalid(error.body_text()))?;
    let (mut fields, mut file, mut count) = (Map::new(), None, 0);
    while let Some(mut field) = in_time(form.next_field()).await?.map_err(of_form)? {
        let name = field.name().unwrap_or_default().to_owned();
        count += 1;
        if count > FIELDS_MAX {
            return Err(Refusal::Invalid(format!("a form has at most {FIELDS_MAX} fields")));
        }
        if field.file_name().is_some() || name.is_empty() || name == "file" {
            if file.is_some() {
                return Err(Refusal::Invalid("the form has two files".to_owned()));
            }
            let claimed = field.content_type().map(str::to_owned);
            let mut writer = files.write().await?;
            while let Some(bytes) = in_time(field.chunk()).await?.map_err(of_form)? {
                add(&mut writer, &bytes, limits, claimed.as_deref()).await?;
            }
            file = Some((writer.finish().await?, claimed));
        } else {
            let text = short_text(&mut field).await?;
            fields.insert(name, text.into());
        }
    }
    let (staged, claimed) = file.ok_or_else(|| Refusal::Invalid("the form has no file".to_owned()))?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let seconds = text("cacheControl").filter(|seconds| !seconds.is_empty());
    let told = seconds.map(|seconds| match seconds.parse::<u64>() {
        Ok(seconds) => format!("max-age={seconds}"),
        Err(_) => seconds.to_owned(),
    });
    Ok(Received {
        staged,
        claimed: text("contentType").map(str::to_owned).or(claimed),
        cache_control: cache_control(told.as_deref()),
        user_metadata: text("metadata").map_or(Ok(no_metadata()), |text| metadata_of(text.as_bytes()))?,
    })
}

async fn short_text(field: &mut Field<'_>) -> Result<String, Refusal> {
    let mut text = Vec::new();
    while let Some(bytes) = in_time(field.chunk()).await?.map_err(of_form)? {
        text.extend_from_slice(&bytes);
        if text.len() > FIELD_BYTES_MAX {
            return Err(Refusal::Invalid("a field of the form is too long".to_owned()));
        }
    }
    String::from_utf8(text).map_err(|_| Refusal::Invalid("a field of the form is no text".to_owned()))
}

/// Adds bytes, as long as the bucket takes so many, and what they look like.
async fn add(writer: &mut Writer, bytes: &[u8], limits: &Limits<'_>, claimed: Option<&str>) -> Result<(), Refusal> {
    limits.check_size(writer.size().saturating_add(bytes.len() as u64))?;
    let was_known = writer.looks().is_some();
    writer.add(bytes).await?;
    match writer.looks() {
        Some(looks) if !was_known => limits.rules.check_kind(&looks.settled(claimed)),
        Some(_) | None => Ok(()),
    }
}

/// What the header of a raw body says in base64.
pub(super) fn metadata_header(headers: &HeaderMap) -> Result<Value, Refusal> {
    let Some(value) = headers.get("x-metadata") else {
        return Ok(no_metadata());
    };
    let bytes = STANDARD
        .decode(value.as_bytes())
        .map_err(|_| Refusal::Invalid("x-metadata is not base64".to_owned()))?;
    metadata_of(&bytes)
}

/// A sender's own notes: a JSON object.
pub(super) fn metadata_of(text: &[u8]) -> Result<Value, Refusal> {
    let is_short = text.len() <= FIELD_BYTES_MAX;
    match serde_json::from_slice(text) {
        // PostgreSQL's JSON has no zero sign.
        Ok(Value::Object(found)) if is_short && !Value::Object(found.clone()).to_string().contains("\\u0000") => {
            Ok(Value::Object(found))
        }
        Ok(_) | Err(_) => Err(Refusal::Invalid("metadata is a JSON object".to_owned())),
    }
}

fn no_metadata() -> Value {
    Value::Object(Map::new())
}

/// What is kept of a `Cache-Control`: it becomes a header again.
pub(super) fn cache_control(told: Option<&str>) -> String {
    let is_fit = |told: &&str| {
        !told.is_empty() && told.len() <= CACHE_CONTROL_MAX && told.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    };
    told.filter(is_fit).unwrap_or("no-cache").to_owned()
}

/// The next bytes of a body; none at its end.
pub(super) async fn next(stream: &mut BodyDataStream) -> Result<Result<Option<Bytes>, axum::Error>, Refusal> {
    in_time(async { stream.next().await.transpose() }).await
}

async fn in_time<T>(coming: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::time::timeout(SILENCE_MAX, coming)
        .await
        .map_err(|_| Refusal::Slow)
}

fn unreadable(error: axum::Error) -> Refusal {
    Refusal::Invalid(format!("the body cannot be read: {error}"))
}

fn of_form(error: MultipartError) -> Refusal {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::TooLarge
    } else {
        Refusal::Invalid(format!("the form cannot be read: {}", error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_cache_control() {
        for (told, kept) in [
            (None, "no-cache"),
            (Some(""), "no-cache"),
            (Some("max-age=3600"), "max-age=3600"),
            (Some("a\r\nset-cookie: b"), "no-cache"),
            (Some("é"), "no-cache"),
        ] {
            assert_eq!(cache_control(told), kept, "{told:?}");
        }
    }

    #[test]
    fn what_metadata_are() {
        assert!(metadata_of(br#"{"a": 1}"#).is_ok());
        for text in ["", "1", "[]", "null", "{", "{\"a\": \"\\u0000\"}"] {
            assert!(metadata_of(text.as_bytes()).is_err(), "{text}");
        }
    }
}
