//! The tests of the program, through its real router and on real PostgreSQL: one file a feature.

// A panic in a test is its report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod auth;
mod cli;
mod cluster;
mod database;
mod migrations;
mod program;
mod schema_lint;
mod schema_sql;
mod seed;
mod serve;
mod tidy;
mod world;
