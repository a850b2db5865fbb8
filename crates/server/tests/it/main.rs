//! Feature tests.

#![allow(clippy::disallowed_methods)] // a test may read its environment
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail loudly

mod cluster;
mod schema_lint;
mod tidy;
