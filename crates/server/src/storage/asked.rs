//! Who asks for what: the bearer's token, the place that the URL names, and transactions in which policies find both.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, Path, rejection::PathRejection},
    http::{HeaderMap, header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    names::{BucketName, ObjectName},
    refusal::Refusal,
};
use crate::{
    app::App,
    auth::token::{ApiRole, Caller},
    db::{Tx, sql},
    rest::wire::Row,
};

/// What policies find, in a transaction that only looks.
const SETTINGS: &str = sql!(
    "select pg_catalog.set_config('request.jwt.claims', $1::text, true), pg_catalog.set_config('storage.operation', $2::text, true),
            pg_catalog.set_config('request.method', $3::text, true), pg_catalog.set_config('request.path', $4::text, true),
            pg_catalog.set_config('request.headers', $5::text, true), pg_catalog.set_config('request.jwt.claim.sub', $6::text, true),
            pg_catalog.set_config('request.jwt.claim.role', $7::text, true)"
);

/// A request of somebody whose token was verified, or of a visitor where none is asked for.
pub(super) struct Asked {
    /// The program.
    pub(super) app: App,
    /// Who asks.
    pub(super) caller: Caller,
    /// The request's headers.
    pub(super) headers: HeaderMap,
    method: String,
    path: String,
}

impl Asked {
    /// A visitor's, whatever token it carries: for what needs none.
    pub(super) fn openly(parts: &Parts, app: &App) -> Asked {
        Asked {
            app: app.clone(),
            caller: Caller::visitor(),
            headers: parts.headers.clone(),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
        }
    }

    /// Of a page of this server, for whoever looks at it.
    pub(super) fn of_page(app: &App, caller: &Caller, method: &str) -> Asked {
        Asked {
            app: app.clone(),
            caller: caller.clone(),
            headers: HeaderMap::new(),
            method: method.to_owned(),
            path: String::new(),
        }
    }

    /// Begins a transaction as the caller. Policies find the operation under `storage.operation`.
    pub(super) async fn begin(&self, operation: &'static str) -> Result<Tx, Refusal> {
        let tx = self.app.db.as_caller(&self.caller).await?;
        let text = sql!(
            "select pg_catalog.set_config('storage.operation', $1, true), pg_catalog.set_config('request.method', $2, true),
                    pg_catalog.set_config('request.path', $3, true), pg_catalog.set_config('request.headers', $4, true),
                    pg_catalog.set_config('request.jwt.claim.sub', $5, true), pg_catalog.set_config('request.jwt.claim.role', $6, true)"
        );
        let sub = self.owner().unwrap_or_default();
        let role = self.caller.role().name();
        tx.execute(
            text,
            &[&operation, &self.method, &self.path, &self.told_headers(), &sub, &role],
        )
        .await?;
        Ok(tx)
    }

    /// What a statement shows the caller, in a transaction of its own that policies find the same in as in [`Asked::begin`]'s:
    /// one round trip.
    pub(super) async fn look(
        &self,
        operation: &'static str,
        text: &'static str,
        values: &[&str],
    ) -> Result<Vec<Row>, Refusal> {
        let role = self.caller.role().name();
        let (headers, sub) = (self.told_headers(), self.owner().unwrap_or_default());
        let settings = [
            self.caller.claims(),
            operation,
            &self.method,
            &self.path,
            &headers,
            &sub,
            role,
        ];
        let mut borrowed = self.app.rest.sessions().borrow(role).await?;
        let steps = [(SETTINGS, settings.as_slice()), (text, values)];
        Ok(borrowed.session()?.look(&steps).await?)
    }

    /// The caller's id as objects keep their owner; none of the service and of visitors.
    pub(super) fn owner(&self) -> Option<String> {
        self.caller.user_id().map(|id| id.to_string())
    }

    /// The person whose reads of private files are noted: staff.
    pub(super) fn noted_reader(&self) -> Option<uuid::Uuid> {
        self.caller.user_id().filter(|_| self.caller.role() == ApiRole::Staff)
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether an object of the same name may be replaced.
    pub(super) fn may_replace(&self) -> bool {
        self.header("x-upsert") == Some("true")
    }

    /// The headers as policies may read them, without those that prove who somebody is.
    fn told_headers(&self) -> String {
        let told = self.headers.iter().filter_map(|(name, value)| {
            let is_secret = [header::COOKIE, header::AUTHORIZATION].contains(name) || name == "apikey";
            let value = value.to_str().ok().filter(|_| !is_secret)?;
            Some((name.as_str(), Value::from(value)))
        });
        let told: BTreeMap<&str, Value> = told.collect();
        serde_json::to_string(&told).unwrap_or_default()
    }
}

impl FromRequestParts<App> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Asked, Refusal> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").map(|value| match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) | None => value.trim(),
        });
        // An opaque key may come alone: the gateway would make a token of it.
        let opaque = text("apikey").filter(|key| key.starts_with("sb_"));
        let shown = bearer.or(opaque).ok_or(Refusal::NoToken)?;
        let caller = app.keys.caller(shown, app.now());
        let caller = caller.map_err(|error| Refusal::Token(said_of(&error)))?;
        Ok(Asked {
            caller,
            ..Asked::openly(parts, app)
        })
    }
}

/// What storage-api says of a token that is none.
pub(super) const MALFORMED: &str = "Invalid Compact JWS";

/// What storage-api says of a token.
fn said_of(error: &crate::auth::token::TokenError) -> String {
    use crate::auth::token::TokenError;
    match error {
        TokenError::Empty | TokenError::Parts(_) | TokenError::Malformed => MALFORMED.to_owned(),
        TokenError::Signature | TokenError::NoKey | TokenError::Algorithm => "signature verification failed".to_owned(),
        TokenError::Expired => "\"exp\" claim timestamp check failed".to_owned(),
        TokenError::NotYetValid => "\"nbf\" claim timestamp check failed".to_owned(),
        TokenError::IssuedAtFuture => "\"iat\" claim timestamp check failed".to_owned(),
        TokenError::NoExpiry | TokenError::ClaimType { .. } | TokenError::Role(_) => error.to_string(),
    }
}

/// What stands behind the `?` of the URL.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Query<T>, Refusal> {
        let found = axum::extract::Query::try_from_uri(&parts.uri);
        let found = found.map_err(|error| Refusal::Invalid(format!("querystring: {}", error.body_text())));
        found.map(|axum::extract::Query(asks)| Query(asks))
    }
}

/// The bucket that the URL names.
pub(super) struct InBucket(pub(super) BucketName);

impl FromRequestParts<App> for InBucket {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<InBucket, Refusal> {
        let found: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        let Path(bucket) = found.map_err(|_| Refusal::BucketName)?;
        Ok(InBucket(BucketName::parse(&bucket)?))
    }
}

/// The object that the URL names.
pub(super) struct At {
    /// Its bucket.
    pub(super) bucket: BucketName,
    /// Its name in it.
    pub(super) name: ObjectName,
}

impl FromRequestParts<App> for At {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<At, Refusal> {
        let found: Result<Path<(String, String)>, PathRejection> = Path::from_request_parts(parts, app).await;
        let Path((bucket, name)) = found.map_err(|_| Refusal::Name(String::new()))?;
        Ok(At {
            bucket: BucketName::parse(&bucket)?,
            name: ObjectName::parse(&name)?,
        })
    }
}

impl At {
    /// As keys and links have it.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.bucket.as_str(), self.name.as_str())
    }
}
