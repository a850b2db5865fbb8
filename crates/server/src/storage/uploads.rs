//! `POST` and `PUT /object/<bucket>/<name>`: a new object, or another content for one.

use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    asked::{Asked, At},
    receiving::{self, Limits, Received, receive},
    refusal::Refusal,
    rows::{Rules, Written, lock_content, metadata_of, note_unnamed},
};
use crate::{app::App, db::Tx};

/// The last part of the name of an empty object that stands for its folder.
const FOLDER: &str = ".emptyFolderPlaceholder";

/// Who asks or where, or why not: a body that is refused is read all the same, so that its client gets to the answer.
type Try<T> = Result<T, Refusal>;

pub(super) async fn add(
    State(app): State<App>,
    asked: Try<Asked>,
    at: Try<At>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let (asked, at, request) = all(asked, at, request).await?;
    let may_replace = asked.may_replace();
    put(&app, &asked, &at, request, may_replace, "storage.object.upload").await
}

pub(super) async fn replace(
    State(app): State<App>,
    asked: Try<Asked>,
    at: Try<At>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let (asked, at, request) = all(asked, at, request).await?;
    put(&app, &asked, &at, request, true, "storage.object.upload_update").await
}

async fn all(asked: Try<Asked>, at: Try<At>, request: Request) -> Try<(Asked, At, Request)> {
    match asked.and_then(|asked| Ok((asked, at?))) {
        Ok((asked, at)) => Ok((asked, at, request)),
        Err(refusal) => Err(receiving::drain(request.into_body(), refusal).await),
    }
}

async fn put(
    app: &App,
    asked: &Asked,
    at: &At,
    request: Request,
    may_replace: bool,
    operation: &'static str,
) -> Result<Json<Value>, Refusal> {
    let rules = match may_put(asked, at, may_replace, operation).await {
        Ok(rules) => rules,
        Err(refusal) => return Err(receiving::drain(request.into_body(), refusal).await),
    };
    let limits = limits(app, &rules);
    let received = receive(&app.files, &limits, request).await?;
    let tx = asked.begin(operation).await?;
    let id = keep(app, &tx, at, &rules, &received, asked.owner(), Way::Own { may_replace }).await?;
    tx.commit().await?;
    Ok(Json(json!({ "Id": id, "Key": at.key() })))
}

/// The limits of a bucket on this server.
pub(super) fn limits<'a>(app: &App, rules: &'a Rules) -> Limits<'a> {
    Limits {
        rules,
        size_max: app.config.settings.storage.bytes_max,
    }
}

/// Asks the policies before a byte is read: the row is written and taken back.
pub(super) async fn may_put(
    asked: &Asked,
    at: &At,
    may_replace: bool,
    operation: &'static str,
) -> Result<Rules, Refusal> {
    let tx = asked.begin(operation).await?;
    let rules = Rules::of(&tx, &at.bucket).await?;
    let tried = Written {
        owner: asked.owner(),
        metadata: json!({}),
        user_metadata: json!({}),
        may_replace,
    };
    tried.put(&tx, at).await?;
    tx.rollback().await?;
    Ok(rules)
}

/// By whose right an object is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// The caller's, whose transaction it is.
    Own {
        /// Whether it may take the place of another.
        may_replace: bool,
    },
    /// That of whoever signed the upload; the engine's transaction.
    Signed {
        /// Whether it may take the place of another.
        may_replace: bool,
    },
}

/// Writes an object's row and gives its bytes their name; whoever calls commits.
pub(super) async fn keep(
    app: &App,
    tx: &Tx,
    at: &At,
    rules: &Rules,
    received: &Received,
    owner: Option<String>,
    way: Way,
) -> Result<Uuid, Refusal> {
    let staged = &received.staged;
    let mime_type = staged.looks().settled(received.claimed.as_deref());
    // By it, clients make a folder that has nothing else.
    let is_placeholder = staged.size() == 0 && at.name.as_str().ends_with(FOLDER);
    if !is_placeholder {
        rules.check_kind(&mime_type)?;
    }
    let (Way::Own { may_replace } | Way::Signed { may_replace }) = way;
    let written = Written {
        owner,
        metadata: metadata_of(staged, &mime_type, &received.cache_control, app.now()),
        user_metadata: received.user_metadata.clone(),
        may_replace,
    };
    lock_content(tx, &staged.sha256()).await?;
    let (id, replaced) = match way {
        Way::Own { .. } => written.put(tx, at).await?,
        Way::Signed { .. } => written.put_signed(tx, at).await?,
    };
    let now_named = written.metadata.get("eTag").and_then(Value::as_str);
    let left: Vec<String> = replaced
        .into_iter()
        .filter(|tag| Some(tag.as_str()) != now_named)
        .collect();
    note_unnamed(tx, &left).await?;
    staged.keep().await?;
    Ok(id)
}
