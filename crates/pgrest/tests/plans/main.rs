//! From a request to SQL, without a database: what is asked becomes this one statement and no other.

// A panic in a test is its report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod anything;
mod refusals;
mod shop;
mod statements;
