//! `GET` and `HEAD` of objects, by the caller's policies or because the bucket is public, and what is known of them.

use axum::{
    Json,
    extract::{Request, State},
    http::Method,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    asked::{Asked, At, Query},
    conditions::http_date,
    looking::{see, see_public},
    refusal::Refusal,
    rows::Object,
    serving::{Reading, serve},
};
use crate::{
    app::App,
    command::Command,
    db::Actor,
    files::{StoredFile, note_read},
};

const GET_OWN: &str = "storage.object.get_authenticated";

/// What may stand behind the `?` of a read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asks {
    /// Save it, under this name if there is one.
    pub(super) download: Option<String>,
    /// The token of a link.
    pub(super) token: Option<String>,
}

pub(super) async fn own(
    State(app): State<App>,
    asked: Asked,
    at: At,
    method: Method,
    Query(asks): Query<Asks>,
) -> Result<Response, Refusal> {
    let object = see(&asked, &at, GET_OWN).await?;
    // HEAD shows no byte of it.
    if method != Method::HEAD {
        note(&app, &at, &object, asked.noted_reader()).await?;
    }
    let reading = Reading {
        method: &method,
        headers: &asked.headers,
        download: asks.download.as_deref(),
        expires: None,
    };
    serve(&app, &object, reading).await
}

/// What `own` gives, and without a token what everybody may have.
pub(super) async fn own_or_public(
    State(app): State<App>,
    asked: Result<Asked, Refusal>,
    at: At,
    asks: Query<Asks>,
    request: Request,
) -> Result<Response, Refusal> {
    match asked {
        Ok(asked) => {
            let method = request.method().clone();
            own(State(app), asked, at, method, asks).await
        }
        Err(Refusal::NoToken) => {
            let answer = public(State(app), at, asks, request).await;
            let is_private = matches!(answer, Err(Refusal::NoBucket | Refusal::NoObject));
            if is_private { Err(Refusal::NoToken) } else { answer }
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn public(
    State(app): State<App>,
    at: At,
    Query(asks): Query<Asks>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let object = see_public(&app, &at).await?;
    let reading = Reading {
        method: &parts.method,
        headers: &parts.headers,
        download: asks.download.as_deref(),
        expires: None,
    };
    serve(&app, &object, reading).await
}

pub(super) async fn own_info(asked: Asked, at: At) -> Result<Json<Value>, Refusal> {
    Ok(Json(told_of(&see(&asked, &at, GET_OWN).await?, &at)))
}

pub(super) async fn public_info(State(app): State<App>, at: At) -> Result<Json<Value>, Refusal> {
    let object = see_public(&app, &at).await?;
    Ok(Json(told_of(&object, &at)))
}

/// Notes that somebody of the staff is about to have the bytes of a private object. It lasts before the first of them
/// leaves.
pub(super) async fn note(app: &App, at: &At, object: &Object, reader: Option<Uuid>) -> Result<(), Refusal> {
    let (Some(reader), false, Some(sha256)) = (reader, object.is_public, object.sha256()) else {
        return Ok(());
    };
    let command = Command::begin(app, Actor::Person(reader)).await?;
    let file = StoredFile {
        object_id: object.id,
        sha256,
        size: i64::try_from(object.size()).unwrap_or(i64::MAX),
        mime_type: object.mime_type().to_owned(),
    };
    note_read(&command, at.bucket.as_str(), at.name.as_str(), &file, reader).await?;
    Ok(command.commit().await?)
}

fn told_of(object: &Object, at: &At) -> Value {
    json!({
        "id": object.id,
        "name": at.name.as_str(),
        "version": object.version,
        "bucket_id": at.bucket.as_str(),
        "size": object.size(),
        "content_type": object.mime_type(),
        "cache_control": object.cache_control(),
        "etag": object.etag(),
        "metadata": object.user_metadata,
        "last_modified": http_date(object.updated_at),
        "created_at": object.created_at,
    })
}
