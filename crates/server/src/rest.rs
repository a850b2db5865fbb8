//! `/rest/v1`, PostgREST's protocol. What a request means and which statement answers it is decided by the crate
//! `pgrest`; this is the part with IO: sessions of the caller's role, the schema cache, HTTP.
//!
//! - [`engine`]: answers one request; the schema cache and its reload.
//! - [`session`]: connections of a role, with statements that stay prepared.
//! - [`statements`]: which those are.
//! - `role`: those of one role; `lane`: one that quick reads share; `pace`: which reads are quick.
//! - [`at_once`]: statements of the program on one, with which storage looks its objects up.
//! - [`wire`]: one such connection, as messages.
//! - [`catalogue`]: reads the schema cache.
//! - [`listen`]: reloads it when the database says so.
//! - [`http`]: requests and answers as axum has them.
//! - [`routes`]: `/rest/v1` of the server.
//! - [`alone`]: the engine alone, on any database.
//! - [`access_log`]: the lines of its requests.
//! - `role_claim`: where in a token its role stands.
//! - `metrics`: what it tells those who watch it.

pub mod access_log;
pub mod alone;
pub mod at_once;
pub mod catalogue;
pub mod engine;
pub mod http;
mod lane;
pub mod listen;
mod metrics;
mod pace;
mod role;
mod role_claim;
pub mod routes;
mod run;
pub mod session;
pub mod statements;
pub mod token;
pub mod wire;
