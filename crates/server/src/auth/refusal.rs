//! What GoTrue answers instead of what was asked for.

use axum::http::StatusCode;

use super::token::TokenError;

/// A refusal of the auth protocol: its code, status and text are GoTrue's.
#[derive(Debug, thiserror::Error)]
pub enum AuthRefusal {
    /// No bearer token.
    #[error("This endpoint requires a valid Bearer token")]
    NoAuthorization,
    /// A bearer token that is not ours or has ended.
    #[error("invalid JWT: unable to parse or verify signature, {0}")]
    BadToken(TokenError),
    /// A token that is nobody's, such as an API key.
    #[error("invalid claim: missing sub claim")]
    NoSubject,
    /// The person is gone.
    #[error("User from sub claim in JWT does not exist")]
    UserNotFound,
    /// The session was ended.
    #[error("Session from session_id claim in JWT does not exist")]
    SessionNotFound,
    /// The person is locked out.
    #[error("User is banned")]
    UserBanned,
}

impl AuthRefusal {
    /// GoTrue's error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            AuthRefusal::NoAuthorization => "no_authorization",
            AuthRefusal::BadToken(_) | AuthRefusal::NoSubject => "bad_jwt",
            AuthRefusal::UserNotFound => "user_not_found",
            AuthRefusal::SessionNotFound => "session_not_found",
            AuthRefusal::UserBanned => "user_banned",
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            AuthRefusal::NoAuthorization => StatusCode::UNAUTHORIZED,
            AuthRefusal::BadToken(_)
            | AuthRefusal::NoSubject
            | AuthRefusal::UserNotFound
            | AuthRefusal::SessionNotFound
            | AuthRefusal::UserBanned => StatusCode::FORBIDDEN,
        }
    }
}
