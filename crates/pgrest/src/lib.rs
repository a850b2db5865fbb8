//! PostgREST's protocol as pure functions: a request becomes a plan, a plan one SQL statement, and the one row that
//! it gives a response.
//!
//! [`request::read`] holds a request against the grammar; [`schema::Schema::plan`] holds it against the schema cache;
//! [`plan::StatementPlan`] carries the statement; [`response`] makes the answer. Nothing here does IO: the caller runs
//! the statement, in a transaction that has the caller's role.

pub mod body;
pub mod changes;
pub mod error;
mod fuzzy;
pub mod grammar;
pub mod media;
pub mod name;
pub mod openapi;
pub mod plan;
pub mod preferences;
pub mod query;
pub mod range;
pub mod request;
pub mod response;
pub mod schema;
pub mod sql;
