//! `/upload/resumable`: uploads that go on where they were cut off, by TUS 1.0.0 with creation, creation with upload,
//! termination and expiration.
//!
//! What has come is kept in parts, each a stored file with a row; a part that was acknowledged survives whatever happens
//! afterwards. The last stretch is written behind the others as the object itself, so that an upload is at its end when the
//! object is there and not before; where it breaks off, what was written becomes a part.

mod rows;
mod turns;

use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequestParts as _, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::StreamExt as _;
use serde_json::json;
use uuid::Uuid;

pub use rows::forget_expired;
use rows::{Upload, offset_of};
use turns::Turn;
pub use turns::Turns;

use super::{
    asked::{Asked, At},
    conditions::http_date,
    links::place,
    receiving::{Received, cache_control, drain, metadata_of, next},
    refusal::Refusal,
    rows::Rules,
    tokens::{Link, Scope},
    uploads::{Way, keep, limits, may_put},
};
use crate::{
    app::App,
    db::Actor,
    files::{Writer, blocks},
};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration";
const BELOW: &str = "/storage/v1/upload/resumable";

/// Bytes of a part: so much is sent again at most when a connection breaks.
const PART: u64 = 8 * 1024 * 1024;

/// Metadata beside the object's name that a client may send (bytes in base64).
const METADATA_MAX: usize = 64 * 1024;

/// Why an upload does not go on; HTTP statuses are the real ones here.
#[derive(Debug, thiserror::Error)]
pub(super) enum No {
    /// Storage says no.
    #[error(transparent)]
    Storage(#[from] Refusal),
    /// Another version of TUS.
    #[error("Tus-Resumable must be 1.0.0")]
    Version,
    /// There is no such upload, or none of the caller's.
    #[error("there is no such upload")]
    Upload,
    /// It has expired.
    #[error("the upload has expired")]
    Expired,
    /// Bytes that do not follow those that have come.
    #[error("Upload-Offset is not where the upload stands")]
    Offset,
    /// Another request writes it.
    #[error("another request goes on with the upload")]
    Locked,
    /// A method that an upload has not.
    #[error("X-HTTP-Method-Override must be PATCH, HEAD or DELETE")]
    Method,
    /// A body that is none of TUS.
    #[error("Content-Type must be application/offset+octet-stream")]
    ContentType,
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            No::Storage(refusal) => return as_tus(refusal.into_real_response()),
            No::Version => (StatusCode::PRECONDITION_FAILED, "InvalidVersion"),
            No::Upload => (StatusCode::NOT_FOUND, "NoSuchUpload"),
            No::Expired => (StatusCode::GONE, "NoSuchUpload"),
            No::Offset => (StatusCode::CONFLICT, "InvalidOffset"),
            No::Locked => (StatusCode::LOCKED, "ResourceLocked"),
            No::Method => (StatusCode::METHOD_NOT_ALLOWED, "InvalidRequest"),
            No::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidContentType"),
        };
        let body = json!({ "statusCode": status.as_str(), "error": code, "code": code, "message": self.to_string() });
        as_tus((status, axum::Json(body)).into_response())
    }
}

fn set(response: &mut Response, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

fn as_tus(mut response: Response) -> Response {
    set(&mut response, "tus-resumable", VERSION);
    set(&mut response, "tus-version", VERSION);
    set(&mut response, "cache-control", "no-store");
    response
}

/// Adds to the answer of `OPTIONS`, which the layer for browsers gives, what TUS wants to be told.
pub(crate) async fn announced(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_asked = request.method() == Method::OPTIONS && request.uri().path().starts_with(BELOW);
    let mut response = next.run(request).await;
    if is_asked {
        response = as_tus(response);
        set(&mut response, "tus-extension", EXTENSIONS);
        let size_max = app.config.settings.storage.bytes_max.to_string();
        set(&mut response, "tus-max-size", &size_max);
    }
    response
}

/// By whose right an upload goes on.
enum By {
    /// A caller's, whose policies are asked each time.
    Caller(Box<Asked>),
    /// That of whoever signed a link.
    Link(Link),
}

impl By {
    async fn of(parts: &mut Parts, app: &App, at: &At) -> Result<By, No> {
        // An upload's id is no path: it holds no slash.
        if !parts.uri.path().contains("/resumable/sign") {
            return Ok(By::Caller(Box::new(Asked::from_request_parts(parts, app).await?)));
        }
        let token = text(&parts.headers, "x-signature").ok_or_else(super::links::no_token)?;
        let link = Link::verify(token, &app.config.jwt_secret, &at.key(), Scope::Upload, app.now())?;
        Ok(By::Link(link))
    }

    fn owner(&self) -> Option<String> {
        match self {
            By::Caller(asked) => asked.owner(),
            By::Link(link) => link.owner.clone(),
        }
    }

    fn may_replace(&self, headers: &HeaderMap) -> bool {
        match self {
            By::Caller(_) => text(headers, "x-upsert") == Some("true"),
            By::Link(link) => link.upsert,
        }
    }

    /// Asks whether the object may be written, and what its bucket takes.
    async fn rules(&self, app: &App, at: &At, may_replace: bool) -> Result<Rules, Refusal> {
        match self {
            By::Caller(asked) => may_put(asked, at, may_replace, "storage.tus.upload.part").await,
            By::Link(_) => {
                let tx = app.db.as_engine(Actor::Program("storage link")).await?;
                Rules::of(&tx, &at.bucket).await
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check_version(headers: &HeaderMap) -> Result<(), No> {
    match text(headers, "tus-resumable") {
        Some(VERSION) => Ok(()),
        Some(_) | None => Err(No::Version),
    }
}

/// What `Upload-Metadata` says: names with values in base64.
fn told_metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, Refusal> {
    let wrong = || Refusal::Invalid("Upload-Metadata has names, each with a text in base64".to_owned());
    let told = text(headers, "upload-metadata").unwrap_or_default();
    if told.len() > METADATA_MAX {
        return Err(wrong());
    }
    let pairs = told.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = pairs.map(|pair| {
        let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let bytes = STANDARD.decode(value.trim()).map_err(|_| wrong())?;
        Ok((name.to_owned(), String::from_utf8(bytes).map_err(|_| wrong())?))
    });
    read.collect()
}

pub(super) async fn create(State(app): State<App>, request: Request) -> Result<Response, No> {
    let (mut parts, body) = request.into_parts();
    match begin(&app, &mut parts).await {
        Ok((by, at, rules, upload)) => {
            let is_with_upload = is_of_bytes(&parts.headers) || upload.length == 0;
            let offset = if is_with_upload {
                let turn = app.uploads.take(upload.id).await.ok_or(No::Locked)?;
                let coming = Coming::of(body, &turn);
                go_on(&app, &by, &at, &rules, &upload, 0, coming).await?
            } else {
                0
            };
            let below = if matches!(by, By::Link(_)) { "/sign" } else { "" };
            let id = URL_SAFE_NO_PAD.encode(format!("{}/{}", at.key(), upload.id));
            let location = format!("{}{BELOW}{below}/{id}", app.public_url);
            let mut response = stands(StatusCode::CREATED, &upload, offset);
            set(&mut response, "location", &location);
            Ok(response)
        }
        Err(No::Storage(refusal)) => Err(drain(body, refusal).await.into()),
        Err(no) => Err(no),
    }
}

async fn begin(app: &App, parts: &mut Parts) -> Result<(By, At, Rules, Upload), No> {
    check_version(&parts.headers)?;
    let told = told_metadata(&parts.headers)?;
    let field = |name: &str| {
        told.iter()
            .find(|(told, _)| told == name)
            .map(|(_, value)| value.as_str())
    };
    let at = place(
        field("bucketName").unwrap_or_default(),
        field("objectName").unwrap_or_default(),
    )?;
    let by = By::of(parts, app, &at).await?;
    let may_replace = by.may_replace(&parts.headers);
    let rules = by.rules(app, &at, may_replace).await?;
    let length: u64 = text(&parts.headers, "upload-length")
        .and_then(|length| length.parse().ok())
        .ok_or_else(|| Refusal::Invalid("Upload-Length is a number of bytes".to_owned()))?;
    limits(app, &rules).check_size(length)?;
    let seconds = field("cacheControl").filter(|told| !told.is_empty());
    let told_cache = seconds.map(|told| match told.parse::<u64>() {
        Ok(seconds) => format!("max-age={seconds}"),
        Err(_) => told.to_owned(),
    });
    let upload = Upload {
        id: Uuid::new_v4(),
        length,
        owner: by.owner(),
        content_type: field("contentType").map(|kind| kind.chars().take(200).collect()),
        cache_control: cache_control(told_cache.as_deref()),
        told: text(&parts.headers, "upload-metadata").unwrap_or_default().to_owned(),
        user_metadata: field("metadata").map_or(Ok(json!({})), |text| metadata_of(text.as_bytes()))?,
        may_replace,
        expires_at: rows::expiry(app.now()),
        is_finished: false,
    };
    rows::begin(app, &at, &upload).await?;
    Ok((by, at, rules, upload))
}

fn is_of_bytes(headers: &HeaderMap) -> bool {
    text(headers, "content-type") == Some("application/offset+octet-stream")
}

/// An answer that says where the upload stands.
fn stands(status: StatusCode, upload: &Upload, offset: u64) -> Response {
    let mut response = as_tus((status, Body::empty()).into_response());
    set(&mut response, "upload-offset", &offset.to_string());
    set(&mut response, "upload-expires", &http_date(upload.expires_at));
    if offset == upload.length {
        set(&mut response, "tus-complete", "1");
    }
    response
}

/// The upload that the URL names, of whoever asks.
async fn find(app: &App, parts: &mut Parts, id: &str) -> Result<(By, At, Upload), No> {
    check_version(&parts.headers)?;
    let named = URL_SAFE_NO_PAD.decode(id.trim_end_matches('=')).ok();
    let named = named
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let (key, id) = named.rsplit_once('/').ok_or(No::Upload)?;
    let id: Uuid = id.parse().map_err(|_| No::Upload)?;
    let (at, upload) = rows::find(app, id)
        .await?
        .filter(|(at, _)| at.key() == key)
        .ok_or(No::Upload)?;
    let by = By::of(parts, app, &at).await?;
    if by.owner() != upload.owner {
        return Err(No::Upload);
    }
    if upload.expires_at <= app.now() {
        return Err(No::Expired);
    }
    Ok((by, at, upload))
}

async fn offset(app: &App, upload: &Upload) -> Result<u64, Refusal> {
    if upload.is_finished {
        return Ok(upload.length);
    }
    Ok(offset_of(&rows::parts(app, upload.id).await?))
}

pub(super) async fn head(State(app): State<App>, Path(id): Path<String>, request: Request) -> Result<Response, No> {
    let (mut parts, _) = request.into_parts();
    let (_, _, upload) = find(&app, &mut parts, &id).await?;
    let mut response = stands(StatusCode::OK, &upload, offset(&app, &upload).await?);
    set(&mut response, "upload-length", &upload.length.to_string());
    if !upload.told.is_empty() {
        set(&mut response, "upload-metadata", &upload.told);
    }
    Ok(response)
}

pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, request: Request) -> Result<Response, No> {
    let (mut parts, _) = request.into_parts();
    let (_, _, upload) = find(&app, &mut parts, &id).await?;
    let _turn = app.uploads.take(upload.id).await.ok_or(No::Locked)?;
    rows::forget(&app, upload.id).await?;
    Ok(as_tus(StatusCode::NO_CONTENT.into_response()))
}

pub(super) async fn patch(State(app): State<App>, Path(id): Path<String>, request: Request) -> Result<Response, No> {
    let (mut parts, body) = request.into_parts();
    let (by, at, found) = find(&app, &mut parts, &id).await?;
    if !is_of_bytes(&parts.headers) {
        return Err(No::ContentType);
    }
    let Some(turn) = app.uploads.take(found.id).await else {
        let _ = drain(body, Refusal::NoObject).await;
        return Err(No::Locked);
    };
    // Whoever had the turn before may have brought it to its end.
    let (_, upload) = rows::find(&app, found.id).await?.ok_or(No::Upload)?;
    let stands_at = offset(&app, &upload).await?;
    let told: Option<u64> = text(&parts.headers, "upload-offset").and_then(|offset| offset.parse().ok());
    if told != Some(stands_at) || upload.is_finished {
        let _ = drain(body, Refusal::NoObject).await;
        return Err(No::Offset);
    }
    let rules = by.rules(&app, &at, upload.may_replace).await?;
    let coming = Coming::of(body, &turn);
    let offset = go_on(&app, &by, &at, &rules, &upload, stands_at, coming).await?;
    Ok(stands(StatusCode::NO_CONTENT, &upload, offset))
}

/// `POST` with `X-HTTP-Method-Override`, for clients that can do no other one.
pub(super) async fn overridden(state: State<App>, id: Path<String>, request: Request) -> Result<Response, No> {
    let method = text(request.headers(), "x-http-method-override").unwrap_or_default();
    match method.to_ascii_uppercase().as_str() {
        "PATCH" => patch(state, id, request).await,
        "HEAD" => head(state, id, request).await,
        "DELETE" => remove(state, id, request).await,
        _ => Err(No::Method),
    }
}

/// A body on its way, until it ends or somebody else wants to go on with the upload.
struct Coming<'a> {
    body: BodyDataStream,
    turn: &'a Turn,
}

impl Coming<'_> {
    fn of(body: Body, turn: &Turn) -> Coming<'_> {
        Coming {
            body: body.into_data_stream(),
            turn,
        }
    }

    async fn next(&mut self) -> Result<Option<bytes::Bytes>, No> {
        tokio::select! {
            biased;
            () = self.turn.is_wanted() => Err(No::Locked),
            came = next(&mut self.body) => match came? {
                Ok(bytes) => Ok(bytes),
                Err(error) => Err(Refusal::Invalid(format!("the body cannot be read: {error}")).into()),
            },
        }
    }
}

/// Takes in what comes behind `offset`: part after part, and at the end the object. Where it stands then.
async fn go_on(
    app: &App,
    by: &By,
    at: &At,
    rules: &Rules,
    upload: &Upload,
    mut offset: u64,
    mut body: Coming<'_>,
) -> Result<u64, No> {
    let mut rest = bytes::Bytes::new();
    loop {
        let is_last = upload.length - offset <= PART;
        let most = if is_last { upload.length - offset } else { PART };
        let mut writer = app.files.write().await.map_err(Refusal::from)?;
        if is_last {
            copy_parts(app, upload, &mut writer).await?;
        }
        let begun = writer.size();
        let ended = fill(&mut writer, &mut rest, &mut body, begun + most, rules).await;
        let came = writer.size() - begun;
        if is_last && came == most {
            // Where nothing more can come, everything has.
            if !rest.is_empty() || matches!(body.next().await, Ok(Some(_))) {
                return Err(Refusal::TooLarge.into());
            }
            write_object(app, by, at, rules, upload, writer).await?;
            return Ok(upload.length);
        }
        if came > 0 {
            let staged = writer.finish().await.map_err(Refusal::from)?;
            // What was begun as the object and is not whole becomes one part in place of all.
            let way = if is_last {
                rows::Adding::Instead
            } else {
                rows::Adding::Behind
            };
            if !rows::add(app, upload.id, offset, &staged, way).await? {
                return Err(No::Offset);
            }
            offset += came;
        }
        match ended? {
            Ended::Part => {}
            Ended::Body => return Ok(offset),
        }
    }
}

/// Why no more is written for now.
enum Ended {
    /// As much has come as was asked for.
    Part,
    /// There is no more.
    Body,
}

/// Writes what comes until there is so much of it; what came too much stays in `rest`.
async fn fill(
    writer: &mut Writer,
    rest: &mut bytes::Bytes,
    body: &mut Coming<'_>,
    until: u64,
    rules: &Rules,
) -> Result<Ended, No> {
    loop {
        let missing = usize::try_from(until - writer.size()).unwrap_or(usize::MAX);
        let piece = rest.split_to(rest.len().min(missing));
        writer.add(&piece).await.map_err(Refusal::from)?;
        if writer.size() == until {
            return Ok(Ended::Part);
        }
        rules.check_size(writer.size())?;
        match body.next().await? {
            Some(bytes) => *rest = bytes,
            None => return Ok(Ended::Body),
        }
    }
}

async fn copy_parts(app: &App, upload: &Upload, writer: &mut Writer) -> Result<(), Refusal> {
    for part in rows::parts(app, upload.id).await? {
        let content = app.files.open(part.digest).await?;
        let mut coming = std::pin::pin!(blocks(content, 0..part.size));
        while let Some(block) = coming.next().await {
            writer.add(&block?).await?;
        }
    }
    Ok(())
}

async fn write_object(
    app: &App,
    by: &By,
    at: &At,
    rules: &Rules,
    upload: &Upload,
    writer: Writer,
) -> Result<(), Refusal> {
    let received = Received {
        staged: writer.finish().await?,
        claimed: upload.content_type.clone(),
        cache_control: upload.cache_control.clone(),
        user_metadata: upload.user_metadata.clone(),
    };
    let may_replace = upload.may_replace;
    let (tx, way) = match by {
        By::Caller(asked) => (asked.begin("storage.tus.upload.part").await?, Way::Own { may_replace }),
        By::Link(_) => (
            app.db.as_engine(Actor::Program("storage link")).await?,
            Way::Signed { may_replace },
        ),
    };
    keep(app, &tx, at, rules, &received, upload.owner.clone(), way).await?;
    tx.commit().await?;
    rows::finish(app, upload.id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_names_with_texts_in_base64() {
        let told = |text: &str| told_metadata(&HeaderMap::from_iter([(header_name(), text.parse().unwrap())]));
        fn header_name() -> HeaderName {
            HeaderName::from_static("upload-metadata")
        }
        let pairs = told("bucketName YQ==,objectName Yi9j, is_public").unwrap();
        assert_eq!(
            pairs,
            [("bucketName", "a"), ("objectName", "b/c"), ("is_public", "")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert!(told("bucketName !").is_err() && told("bucketName /w==").is_err());
        assert!(told("").unwrap().is_empty());
    }
}
