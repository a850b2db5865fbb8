//! `/storage/v1`: buckets and objects in the protocol of Supabase's storage-api (docs/STORAGE.md).
//!
//! What always holds:
//! - Policies on `storage.objects` and `storage.buckets` decide each operation, in a transaction of the caller's own role
//!   with the caller's claims. Nothing here asks who somebody is, except to note what staff read.
//! - Bytes come first, rows after ([`crate::files`]): a row names bytes that are there. Bytes that no row names any more are
//!   noted in the transaction that takes the row away, and collected.
//! - What an object is, is told from its content; how it is served, so that it runs nothing ([`serving`]).
//!
//! Absent on purpose: the protocol of S3, vector and analytics buckets, a cache to purge.

mod arranging;
mod asked;
mod buckets;
mod conditions;
mod downloads;
mod links;
mod listing;
mod looking;
mod names;
pub(crate) mod own;
mod pictures;
mod receiving;
mod refusal;
mod rendering;
pub mod resumable;
mod rows;
mod serving;
mod tokens;
mod transformation;
mod uploads;

pub use pictures::Pictures;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    routing::{MethodRouter, delete, get, post},
};
use serde_json::{Value, json};

use crate::app::App;

/// The routes below `/storage/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/status", get(status))
        .route("/bucket", get(buckets::list).post(buckets::create))
        .route(
            "/bucket/{bucket}",
            get(buckets::show).put(buckets::change).delete(buckets::remove),
        )
        .route("/bucket/{bucket}/empty", post(buckets::empty))
        .route("/object/list/{bucket}", post(listing::level))
        .route("/object/list-v2/{bucket}", post(listing::pages))
        .route("/object/move", post(arranging::rename))
        .route("/object/copy", post(arranging::copy))
        .route("/object/sign/{bucket}", post(links::sign_many))
        .route("/object/sign/{bucket}/{*name}", post(links::sign).get(links::read))
        .route(
            "/object/upload/sign/{bucket}/{*name}",
            post(links::sign_upload).put(links::upload).layer(streamed()),
        )
        .route("/object/public/{bucket}/{*name}", get(downloads::public))
        .route("/object/authenticated/{bucket}/{*name}", get(downloads::own))
        .route("/object/info/public/{bucket}/{*name}", get(downloads::public_info))
        .route("/object/info/authenticated/{bucket}/{*name}", get(downloads::own_info))
        .route("/object/info/{bucket}/{*name}", get(downloads::own_info))
        .route("/render/image/public/{bucket}/{*name}", get(rendering::public))
        .route("/render/image/authenticated/{bucket}/{*name}", get(rendering::own))
        .route("/render/image/sign/{bucket}/{*name}", get(rendering::signed))
        .route("/upload/resumable", post(resumable::create).layer(streamed()))
        .route("/upload/resumable/sign", post(resumable::create).layer(streamed()))
        .route("/upload/resumable/{id}", resumable())
        .route("/upload/resumable/sign/{id}", resumable())
        .route("/object/{bucket}", delete(arranging::remove_many))
        .route(
            "/object/{bucket}/{*name}",
            get(downloads::own_or_public)
                .post(uploads::add)
                .put(uploads::replace)
                .delete(arranging::remove)
                .layer(streamed()),
        )
}

fn resumable() -> MethodRouter<App> {
    MethodRouter::new()
        .post(resumable::overridden)
        .head(resumable::head)
        .patch(resumable::patch)
        .delete(resumable::remove)
        .layer(streamed())
}

/// Bodies that are read piece by piece hold to their bucket's limit and no other.
fn streamed() -> DefaultBodyLimit {
    DefaultBodyLimit::disable()
}

async fn status() -> Json<Value> {
    Json(json!({ "healthy": true }))
}
