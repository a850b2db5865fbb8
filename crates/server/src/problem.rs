//! Everything that a handler can answer instead of what was asked for.
//!
//! A variant is something that the client can act on; all else is [`Problem::Internal`]: logged once with its chain,
//! shown as nothing. `code()` is API: stable, never reworded. On its own a problem is `application/problem+json`;
//! a protocol with another form finds the problem among the response's extensions and writes its own body.

use std::{error::Error, fmt::Write as _, sync::Arc};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mint_core::refusal::Refusal;
use serde_json::Value;
use tokio_postgres::error::{DbError as ServerError, SqlState};

use crate::{auth::AuthRefusal, db::DbError};

/// When whoever was turned away may come back (s): by then as many as may wait have been served.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The class of SQLSTATE codes by which PostgreSQL says that it ran out of something.
const INSUFFICIENT_RESOURCES: &str = "53";

/// An error of whatever kind, for the log.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// What went wrong, as the client may know it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is nothing here, or nothing that the caller may see.
    #[error("there is nothing at this address")]
    NotFound,
    /// The address exists, and not with this method.
    #[error("this address does not take that method")]
    MethodNotAllowed,
    /// The body is larger than this route takes.
    #[error("the body is too large")]
    BodyTooLarge,
    /// It took too long; a retry may succeed.
    #[error("this took too long")]
    Timeout,
    /// The database cannot be reached, or is too busy.
    #[error("the service is not available; try again later")]
    Unavailable(#[source] AnyError),
    /// More waits already than can be done in good time; nothing was begun.
    #[error("too many are waiting; try again in a moment")]
    TooBusy,
    /// A command needs a person, and nobody signed in.
    #[error("sign in first: this needs the access token of a person")]
    NotSignedIn,
    /// A command needs a role that the caller has not.
    #[error("this is for a person with the role {0}")]
    NotPermitted(String),
    /// What came in cannot be read as what was asked for.
    #[error("{0}")]
    Invalid(String),
    /// A key that belongs to another request.
    #[error("this key was used with another body: a retry must be the same, and another request needs another key")]
    KeyReused,
    /// A rule says no.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// A name that is known, and whose work is not built.
    #[error("this is not available here")]
    NotAvailable,
    /// Logins and sessions refuse.
    #[error(transparent)]
    Auth(#[from] AuthRefusal),
    /// A fault of ours.
    #[error("something went wrong on our side")]
    Internal(#[source] AnyError),
}

impl Problem {
    /// A fault of ours, with its cause for the log.
    pub fn internal(error: impl Into<AnyError>) -> Problem {
        Problem::Internal(error.into())
    }

    /// Its stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Problem::NotFound => "not_found",
            Problem::MethodNotAllowed => "method_not_allowed",
            Problem::BodyTooLarge => "body_too_large",
            Problem::Timeout => "timeout",
            Problem::Unavailable(_) => "unavailable",
            Problem::TooBusy => "too_busy",
            Problem::NotSignedIn => "not_signed_in",
            Problem::NotPermitted(_) => "not_permitted",
            Problem::Invalid(_) => "invalid",
            Problem::KeyReused => "idempotency_key_reused",
            Problem::Refused(_) => "refused",
            Problem::NotAvailable => "not_available",
            Problem::Auth(refusal) => refusal.code(),
            Problem::Internal(_) => "internal",
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Problem::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Problem::Unavailable(_) | Problem::TooBusy => StatusCode::SERVICE_UNAVAILABLE,
            Problem::NotSignedIn => StatusCode::UNAUTHORIZED,
            Problem::NotPermitted(_) => StatusCode::FORBIDDEN,
            Problem::Invalid(_) => StatusCode::BAD_REQUEST,
            Problem::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Refused(_) => StatusCode::CONFLICT,
            Problem::NotAvailable => StatusCode::NOT_IMPLEMENTED,
            Problem::Auth(refusal) => refusal.status(),
            Problem::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of `application/problem+json`; of a rule's refusal with the rule, its inputs, source and remedy.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = serde_json::json!({
            "type": "about:blank",
            "title": self.status().canonical_reason().unwrap_or("Error"),
            "status": self.status().as_u16(),
            "code": self.code(),
            "detail": self.to_string(),
        });
        if let (Problem::Refused(refusal), Some(fields)) = (self, body.as_object_mut()) {
            fields.insert("rule".to_owned(), refusal.rule.clone().into());
            fields.insert("inputs".to_owned(), serde_json::json!(refusal.inputs));
            fields.insert("source".to_owned(), refusal.source.clone().into());
            fields.insert("remedy".to_owned(), refusal.remedy.clone().into());
        }
        body
    }

    /// A problem where the HTTP library refused a request in plain text before any handler saw it: a path, query, form or
    /// method that it could not read. Every other response as it is.
    #[must_use]
    pub fn in_place_of_text(response: Response) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_text = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let status = response.status();
        if !status.is_client_error() || !is_text || response.extensions().get::<Arc<Problem>>().is_some() {
            return response;
        }
        match status {
            StatusCode::NOT_FOUND => Problem::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Problem::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Problem::BodyTooLarge,
            _ => Problem::Invalid("the path, query or form of the request cannot be read".to_owned()),
        }
        .into_response()
    }

    /// What PostgreSQL said, where that is the cause.
    #[must_use]
    pub fn database_error(&self) -> Option<&ServerError> {
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
                return error.as_db_error();
            }
            cause = error.source();
        }
        None
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match &self {
            Problem::Internal(cause) => tracing::error!(cause = %chain(cause.as_ref()), "a request failed"),
            Problem::Unavailable(cause) => tracing::warn!(cause = %chain(cause.as_ref()), "a request was turned away"),
            Problem::NotFound
            | Problem::MethodNotAllowed
            | Problem::BodyTooLarge
            | Problem::Timeout
            | Problem::TooBusy
            | Problem::NotSignedIn
            | Problem::NotPermitted(_)
            | Problem::Invalid(_)
            | Problem::KeyReused
            | Problem::Refused(_)
            | Problem::NotAvailable
            | Problem::Auth(_) => {}
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(self, Problem::TooBusy) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        Problem::Refused(Box::new(refusal))
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Problem {
        match error {
            DbError::Connection(error) => Problem::Unavailable(error.into()),
            DbError::Begin(error) => error.into(),
        }
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Problem {
        match error.code() {
            Some(&SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE) => Problem::Timeout,
            Some(&SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::CANNOT_CONNECT_NOW) => {
                Problem::Unavailable(error.into())
            }
            // U+0000, the one character that no text of the database has.
            Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE | &SqlState::UNTRANSLATABLE_CHARACTER) => {
                Problem::Invalid("a text has a character that cannot be kept (U+0000)".to_owned())
            }
            // The disk is full, memory or connections are used up: nobody's command is at fault.
            Some(code) if code.code().starts_with(INSUFFICIENT_RESOURCES) => Problem::Unavailable(error.into()),
            None if error.is_closed() => Problem::Unavailable(error.into()),
            Some(_) | None => Problem::internal(error),
        }
    }
}

impl From<crate::db::CommitError> for Problem {
    fn from(error: crate::db::CommitError) -> Problem {
        match error {
            crate::db::CommitError::Refused(error) => error.into(),
            crate::db::CommitError::Failed => Problem::internal(error),
        }
    }
}

/// Whether an error only says that its source says it.
#[must_use]
pub fn is_empty_phrase(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<tokio_postgres::Error>()
        .is_some_and(|error| error.as_db_error().is_some())
}

/// An error and its causes in one line. Of a database error code, message and constraint, and not the detail, which
/// quotes rows.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let separator = if text.is_empty() { "" } else { ": " };
        // Writing to a String cannot fail.
        let _ = match error.downcast_ref::<ServerError>() {
            Some(server) => {
                let constraint = server.constraint().map(|name| format!(" ({name})")).unwrap_or_default();
                write!(
                    text,
                    "{separator}{} {}{constraint}",
                    server.code().code(),
                    server.message()
                )
            }
            // The driver's own words for "the server answered with an error", which follows.
            None if is_empty_phrase(error) => Ok(()),
            None => write!(text, "{separator}{error}"),
        };
        next = error.source();
    }
    text
}
