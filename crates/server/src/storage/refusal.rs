//! What storage says instead of doing it, in storage-api's form: the HTTP status is 400 for nearly everything, and the real
//! one is a text in the body.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio_postgres::error::SqlState;

use crate::{
    db::{CommitError, DbError},
    files::StoreError,
    problem::{Problem, chain},
    rest::{session::NoSession, wire::WireError},
};

/// Why storage does not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// No token, and one is needed.
    #[error("headers must have required property 'authorization'")]
    NoToken,
    /// The token does not hold.
    #[error("{0}")]
    Token(String),
    /// No policy lets the caller.
    #[error("new row violates row-level security policy")]
    Policy,
    /// For the service alone.
    #[error("Access denied")]
    ServiceOnly,
    /// There is no such bucket, or none that the caller sees.
    #[error("Bucket not found")]
    NoBucket,
    /// There is no such object, or none that the caller sees.
    #[error("Object not found")]
    NoObject,
    /// The name is taken.
    #[error("The resource already exists")]
    Taken,
    /// The name of the bucket is taken.
    #[error("The resource already exists")]
    BucketTaken,
    /// Larger than the bucket takes.
    #[error("The object exceeded the maximum allowed size")]
    TooLarge,
    /// Of a kind that the bucket does not take.
    #[error("mime type {0} is not supported")]
    Kind(String),
    /// A name that no object can have.
    #[error("Invalid key: {0}")]
    Name(String),
    /// A name that no bucket can have.
    #[error("Bucket name invalid")]
    BucketName,
    /// The bucket has objects.
    #[error("The bucket you tried to delete is not empty")]
    NotEmpty,
    /// What came in cannot be read as what was asked for.
    #[error("{0}")]
    Invalid(String),
    /// A link's token does not hold.
    #[error("{0}")]
    Link(String),
    /// A link's token is for something else.
    #[error("InvalidSignature")]
    OtherLink,
    /// The object is not the one that the client has in mind.
    #[error("The object was changed: a condition of the request does not hold")]
    Changed,
    /// No byte of the object is in the range.
    #[error("The requested range cannot be satisfied")]
    Range(u64),
    /// The picture cannot be drawn.
    #[error("{0}")]
    Picture(String),
    /// Too many pictures are asked for.
    #[error("Too many images are being processed")]
    PicturesBusy,
    /// The client was too slow.
    #[error("the body did not come in time")]
    Slow,
    /// The database took too long.
    #[error("The connection to the database timed out")]
    DatabaseTimeout,
    /// Too much is going on.
    #[error("Too many connections issued to the database")]
    Busy,
    /// A fault of ours.
    #[error("Internal Server Error")]
    Internal(#[source] crate::problem::AnyError),
}

impl Refusal {
    /// A fault of ours, with its cause for the log.
    pub(super) fn internal(error: impl Into<crate::problem::AnyError>) -> Refusal {
        Refusal::Internal(error.into())
    }

    /// HTTP status, the body's status, its `error` and its `code`.
    fn parts(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Refusal::NoToken => (BAD, "400", "Error", "InvalidRequest"),
            Refusal::Token(_) | Refusal::Policy => (BAD, "403", "Unauthorized", "AccessDenied"),
            Refusal::ServiceOnly => (StatusCode::FORBIDDEN, "403", "Unauthorized", "AccessDenied"),
            Refusal::NoBucket => (BAD, "404", "Bucket not found", "NoSuchBucket"),
            Refusal::NoObject => (BAD, "404", "not_found", "NoSuchKey"),
            Refusal::Taken => (BAD, "409", "Duplicate", "KeyAlreadyExists"),
            Refusal::BucketTaken => (BAD, "409", "Duplicate", "BucketAlreadyExists"),
            Refusal::TooLarge => (BAD, "413", "Payload too large", "EntityTooLarge"),
            Refusal::Kind(_) => (BAD, "415", "invalid_mime_type", "InvalidMimeType"),
            Refusal::Name(_) => (BAD, "400", "InvalidKey", "InvalidKey"),
            Refusal::BucketName => (BAD, "400", "Invalid Input", "InvalidBucketName"),
            Refusal::NotEmpty => (BAD, "409", "InvalidRequest", "ResourceNotEmpty"),
            Refusal::Invalid(_) => (BAD, "400", "Error", "InvalidRequest"),
            Refusal::Link(_) => (BAD, "400", "InvalidJWT", "InvalidJWT"),
            Refusal::OtherLink => (BAD, "400", "InvalidSignature", "InvalidSignature"),
            Refusal::Changed => (
                StatusCode::PRECONDITION_FAILED,
                "412",
                "PreconditionFailed",
                "PreconditionFailed",
            ),
            Refusal::Range(_) => (StatusCode::RANGE_NOT_SATISFIABLE, "416", "InvalidRange", "InvalidRange"),
            Refusal::Picture(_) => (BAD, "422", "InvalidRequest", "InvalidRequest"),
            Refusal::PicturesBusy => (StatusCode::TOO_MANY_REQUESTS, "429", "too_many_requests", "SlowDown"),
            Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, "408", "timeout", "RequestTimeout"),
            Refusal::DatabaseTimeout => (
                StatusCode::from_u16(544).unwrap_or(StatusCode::GATEWAY_TIMEOUT),
                "544",
                "Database Timeout",
                "DatabaseTimeout",
            ),
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "429", "too_many_connections", "SlowDown"),
            Refusal::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "500", "internal", "InternalError"),
        }
    }
}

impl Refusal {
    /// With the real status as HTTP's.
    pub(super) fn into_real_response(self) -> Response {
        let real = self.parts().1.parse().ok();
        let mut response = self.into_response();
        if let Some(status) = real.and_then(|status| StatusCode::from_u16(status).ok()) {
            *response.status_mut() = status;
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Refusal::Internal(cause) = &self {
            tracing::error!(cause = %chain(cause.as_ref()), "a request failed");
        }
        let (http, status, error, code) = self.parts();
        let body = json!({ "statusCode": status, "error": error, "code": code, "message": self.to_string() });
        let mut response = (http, Json(body)).into_response();
        if let Refusal::Range(size) = self
            && let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}"))
        {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
        response
    }
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Refusal {
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Refusal::Policy,
            Some(&SqlState::UNIQUE_VIOLATION) => Refusal::Taken,
            Some(_) | None => Problem::from(error).into(),
        }
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Refusal {
        Problem::from(error).into()
    }
}

impl From<NoSession> for Refusal {
    fn from(error: NoSession) -> Refusal {
        match error {
            NoSession::Busy => Refusal::Busy,
            NoSession::Begin(error) => error.into(),
            NoSession::Refused(_) | NoSession::Unreachable(_) => {
                tracing::warn!(cause = %chain(&error), "the database is not available");
                Refusal::Busy
            }
            NoSession::Certificates(_) => Refusal::internal(error),
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Refusal {
        let code = match &error {
            WireError::Lost(_) => return Refusal::Busy,
            WireError::Refused(fault) => SqlState::from_code(&fault.code),
        };
        match code {
            SqlState::INSUFFICIENT_PRIVILEGE => Refusal::Policy,
            SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => Refusal::DatabaseTimeout,
            SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW => Refusal::Busy,
            // Class 53: the disk is full, memory or connections are used up.
            code if code.code().starts_with("53") => Refusal::Busy,
            _ => Refusal::internal(error),
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Refusal {
        Problem::from(error).into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::internal(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        match problem {
            Problem::Timeout => Refusal::DatabaseTimeout,
            Problem::Unavailable(_) | Problem::TooBusy => Refusal::Busy,
            Problem::NotFound => Refusal::NoObject,
            Problem::BodyTooLarge => Refusal::TooLarge,
            Problem::Invalid(text) => Refusal::Invalid(text),
            Problem::NotSignedIn | Problem::NotPermitted(_) => Refusal::Policy,
            problem @ (Problem::MethodNotAllowed
            | Problem::KeyReused
            | Problem::Refused(_)
            | Problem::NotAvailable
            | Problem::Auth(_)
            | Problem::Internal(_)) => Refusal::internal(problem),
        }
    }
}
