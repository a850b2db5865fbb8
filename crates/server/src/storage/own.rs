//! Objects that the server's own pages put and take away, with the rights of whoever looks: the same policies, rules and bytes
//! as for a client.

use axum::{
    body::Body,
    extract::{Request, State},
    http::header,
};
use bytes::Bytes;

use super::{
    arranging,
    asked::{Asked, At},
    names::{BucketName, ObjectName},
    refusal::Refusal,
    uploads,
};
use crate::{app::App, auth::token::Caller, problem::Problem};

/// A page gives each object a name of its own, so whoever has it may keep it.
const KEPT: &str = "max-age=31536000, immutable";

/// Puts a new object of this bucket and name.
///
/// # Errors
/// [`Problem::Invalid`] for what the bucket does not take, [`Problem::NotFound`] where no policy lets the caller.
pub(crate) async fn put(app: &App, caller: &Caller, bucket: &str, name: &str, bytes: Bytes) -> Result<(), Problem> {
    let at = at(bucket, name).map_err(problem)?;
    let asked = Asked::of_page(app, caller, "POST");
    let request = Request::builder()
        .header(header::CACHE_CONTROL, KEPT)
        .body(Body::from(bytes))
        .map_err(Problem::internal)?;
    uploads::add(State(app.clone()), Ok(asked), Ok(at), request)
        .await
        .map(drop)
        .map_err(problem)
}

/// Takes an object away; one that is gone is gone.
///
/// # Errors
/// What the database answered.
pub(crate) async fn remove(app: &App, caller: &Caller, bucket: &str, name: &str) -> Result<(), Problem> {
    let at = at(bucket, name).map_err(problem)?;
    let asked = Asked::of_page(app, caller, "DELETE");
    match arranging::remove(asked, at).await {
        Ok(_) | Err(Refusal::NoObject) => Ok(()),
        Err(refusal) => Err(problem(refusal)),
    }
}

fn at(bucket: &str, name: &str) -> Result<At, Refusal> {
    Ok(At {
        bucket: BucketName::parse(bucket)?,
        name: ObjectName::parse(name)?,
    })
}

fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NoToken
        | Refusal::Token(_)
        | Refusal::Policy
        | Refusal::ServiceOnly
        | Refusal::NoBucket
        | Refusal::NoObject => Problem::NotFound,
        Refusal::TooLarge => Problem::Invalid("the file is too large".to_owned()),
        Refusal::Kind(kind) => Problem::Invalid(format!("a file of the kind {kind} is not taken here")),
        Refusal::Taken
        | Refusal::BucketTaken
        | Refusal::Name(_)
        | Refusal::BucketName
        | Refusal::NotEmpty
        | Refusal::Invalid(_)
        | Refusal::Link(_)
        | Refusal::OtherLink
        | Refusal::Changed
        | Refusal::Range(_)
        | Refusal::Picture(_)
        | Refusal::Slow => Problem::Invalid(refusal.to_string()),
        Refusal::DatabaseTimeout => Problem::Timeout,
        Refusal::Busy | Refusal::PicturesBusy => Problem::TooBusy,
        Refusal::Internal(cause) => Problem::Internal(cause),
    }
}
