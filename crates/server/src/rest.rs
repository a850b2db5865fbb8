//! `/rest/v1`, PostgREST's protocol. What a request means and which statement answers it is decided by the crate
//! `pgrest`; this is the part with IO: sessions of the caller's role, the schema cache, HTTP.
//!
//! - [`engine`]: answers one request; the schema cache and its reload.
//! - [`session`]: connections of a role, with statements that stay prepared.
//! - [`at_once`]: statements of the program on one, which storage looks its objects up with.
//! - [`wire`]: one such connection, as messages.
//! - [`catalogue`]: reads the schema cache.
//! - [`listen`]: reloads it when the database says so.
//! - [`http`]: requests and answers as axum has them.
//! - [`routes`]: `/rest/v1` of the server.
//! - [`alone`]: the engine alone, on any database.
//! - `metrics`: what it tells those who watch it.

pub mod alone;
pub mod at_once;
pub mod catalogue;
pub mod engine;
pub mod http;
pub mod listen;
mod metrics;
pub mod routes;
mod run;
pub mod session;
pub mod token;
pub mod wire;
