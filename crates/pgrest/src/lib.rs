//! PostgREST's protocol as pure functions.
pub mod grammar;
pub mod name;
