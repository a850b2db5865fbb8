//! Links: an object or an upload for whoever has the URL, for some time. Who signs one must be able to do himself what it
//! lets its bearer do.

use axum::{
    Json,
    body::Bytes,
    extract::{Request, State},
    response::Response,
};
use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    asked::{Asked, At, InBucket, Query},
    conditions::http_date,
    downloads::{Asks, note},
    looking::linked,
    names::{BucketName, ObjectName},
    receiving::{drain, receive},
    refusal::Refusal,
    rows::{Object, Rules},
    serving::{Reading, serve},
    tokens::{Link, Scope},
    transformation::Wished,
    uploads::{Way, keep, limits, may_put},
};
use crate::{
    app::App,
    db::{Actor, Tx, sql},
};

/// How long a link to upload holds (s): storage-api's.
const UPLOAD_SECONDS: i64 = 7_200;

/// How long a link may hold at most (s).
const SECONDS_MAX: i64 = 100 * 365 * 86_400;

/// Objects that are signed in one request.
const AT_ONCE_MAX: usize = 1_000;

/// The largest body of JSON (bytes).
pub(super) const JSON_BYTES_MAX: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToSign {
    /// A number, or (supabase-py) a text of one.
    #[serde(deserialize_with = "number")]
    expires_in: i64,
    paths: Option<Vec<String>>,
    transform: Option<Wished>,
}

fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let number = match Value::deserialize(from)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.ok_or_else(|| serde::de::Error::custom("expiresIn must be a whole number"))
}

/// A body of JSON; what is none is an error of ours in storage-api's words.
pub(super) fn json_of<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    if body.len() > JSON_BYTES_MAX {
        return Err(Refusal::Invalid("the body is too large".to_owned()));
    }
    // PostgreSQL's texts have no zero sign.
    if body.windows(6).any(|signs| signs == b"\\u0000") {
        return Err(Refusal::Invalid("the body has a zero sign".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::Invalid(format!("body {error}")))
}

fn expiry(app: &App, seconds: i64) -> Result<(i64, i64), Refusal> {
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(Refusal::Invalid("body/expiresIn must be >= 1".to_owned()));
    }
    let now = app.now().timestamp();
    Ok((now, now.saturating_add(seconds)))
}

fn to_download(asked: &Asked, url: String, (iat, exp): (i64, i64), is_public: bool) -> Link {
    Link {
        url,
        scope: Scope::Download,
        owner: None,
        upsert: false,
        reader: asked.noted_reader().filter(|_| !is_public),
        transformations: None,
        iat,
        exp,
    }
}

pub(super) async fn sign(State(app): State<App>, asked: Asked, at: At, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: ToSign = json_of(&body)?;
    let transformation = wish.transform.map(|wished| wished.read("body/transform")).transpose()?;
    let transformations = transformation.map(|wish| wish.told()).filter(|told| !told.is_empty());
    let tx = asked.begin("storage.object.sign").await?;
    let object = Object::visible(&tx, &at).await?;
    let below = if transformations.is_some() {
        "/render/image/sign"
    } else {
        "/object/sign"
    };
    let link = Link {
        transformations,
        ..to_download(&asked, at.key(), expiry(&app, wish.expires_in)?, object.is_public)
    };
    let token = link.sign(&app.config.jwt_secret)?;
    Ok(Json(json!({ "signedURL": path(below, &at.key(), &token) })))
}

pub(super) async fn sign_many(
    State(app): State<App>,
    asked: Asked,
    InBucket(bucket): InBucket,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let wish: ToSign = json_of(&body)?;
    let paths = wish.paths.unwrap_or_default();
    if paths.is_empty() || paths.len() > AT_ONCE_MAX {
        return Err(Refusal::Invalid(format!(
            "body/paths must have 1 to {AT_ONCE_MAX} items"
        )));
    }
    let expiry = expiry(&app, wish.expires_in)?;
    let tx = asked.begin("storage.object.sign_many").await?;
    let found = visible_names(&tx, &bucket, &paths).await?;
    let signed: Result<Vec<Value>, Refusal> = paths
        .iter()
        .map(|name| {
            if !found.contains(name) {
                let error = "Either the object does not exist or you do not have access to it";
                return Ok(json!({ "error": error, "path": name, "signedURL": null }));
            }
            let key = format!("{}/{name}", bucket.as_str());
            let token = to_download(&asked, key.clone(), expiry, false).sign(&app.config.jwt_secret)?;
            Ok(json!({ "error": null, "path": name, "signedURL": path("/object/sign", &key, &token) }))
        })
        .collect();
    Ok(Json(Value::Array(signed?)))
}

async fn visible_names(tx: &Tx, bucket: &BucketName, names: &[String]) -> Result<Vec<String>, Refusal> {
    let text = sql!(
        "select n.name from unnest($2::text[]) as n (name)
         where exists (select from storage.objects as o where o.bucket_id = $1 and o.name = n.name)
            or exists (select from nexus_storage.public_object($1, n.name) as p where p.id is not null)"
    );
    let rows = tx.query(text, &[&bucket.as_str(), &names]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

fn path(below: &str, key: &str, token: &str) -> String {
    // As it is: clients encode what they are given.
    format!("{below}/{key}?token={token}")
}

pub(super) async fn read(
    State(app): State<App>,
    at: At,
    Query(asks): Query<Asks>,
    request: Request,
) -> Result<Response, Refusal> {
    let token = asks.token.as_deref().ok_or_else(no_token)?;
    let link = Link::verify(token, &app.config.jwt_secret, &at.key(), Scope::Download, app.now())?;
    // Whoever was given a picture of it was not given all of it.
    if link.transformations.is_some() {
        return Err(Refusal::OtherLink);
    }
    let object = linked(&app, &at).await?;
    note(&app, &at, &object, link.reader).await?;
    let (parts, _) = request.into_parts();
    let reading = Reading {
        method: &parts.method,
        headers: &parts.headers,
        download: asks.download.as_deref(),
        expires: DateTime::from_timestamp(link.exp, 0).map(http_date),
    };
    serve(&app, &object, reading).await
}

pub(super) fn no_token() -> Refusal {
    Refusal::Invalid("querystring must have required property 'token'".to_owned())
}

pub(super) async fn sign_upload(State(app): State<App>, asked: Asked, at: At) -> Result<Json<Value>, Refusal> {
    let may_replace = asked.may_replace();
    may_put(&asked, &at, may_replace, "storage.object.sign_upload_url").await?;
    let (iat, exp) = expiry(&app, UPLOAD_SECONDS)?;
    let link = Link {
        url: at.key(),
        scope: Scope::Upload,
        owner: asked.owner(),
        upsert: may_replace,
        reader: None,
        transformations: None,
        iat,
        exp,
    };
    let token = link.sign(&app.config.jwt_secret)?;
    Ok(Json(
        json!({ "url": path("/object/upload/sign", &at.key(), &token), "token": token }),
    ))
}

pub(super) async fn upload(
    State(app): State<App>,
    at: At,
    Query(asks): Query<Asks>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let link = asks
        .token
        .as_deref()
        .ok_or_else(no_token)
        .and_then(|token| Link::verify(token, &app.config.jwt_secret, &at.key(), Scope::Upload, app.now()));
    let link = match link {
        Ok(link) => link,
        Err(refusal) => return Err(drain(request.into_body(), refusal).await),
    };
    let rules = {
        let tx = app.db.as_engine(Actor::Program("storage link")).await?;
        let rules = Rules::of(&tx, &at.bucket).await?;
        if !link.upsert && Object::linked(&tx, &at).await.is_ok() {
            return Err(drain(request.into_body(), Refusal::Taken).await);
        }
        rules
    };
    let received = receive(&app.files, &limits(&app, &rules), request).await?;
    let tx = app.db.as_engine(Actor::Program("storage link")).await?;
    let way = Way::Signed {
        may_replace: link.upsert,
    };
    keep(&app, &tx, &at, &rules, &received, link.owner, way).await?;
    tx.commit().await?;
    Ok(Json(json!({ "Key": at.key() })))
}

/// A place by texts of a body.
pub(super) fn place(bucket: &str, name: &str) -> Result<At, Refusal> {
    Ok(At {
        bucket: BucketName::parse(bucket)?,
        name: ObjectName::parse(name)?,
    })
}
