//! The tests of the program, through its real router and on real PostgreSQL: one file a feature.

// A panic in a test is its report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accreditation;
mod applicant;
mod attacks;
mod audit_chain;
mod audit_trail;
mod auth;
mod callers;
mod cli;
mod closing;
mod cluster;
mod database;
mod distributions;
mod evidence;
mod examples;
mod fees;
mod files;
mod functions;
mod gate;
mod house;
mod imports;
mod kyc;
mod laws;
mod ledger;
mod market_views;
mod migrations;
mod model;
mod parties;
mod paying;
mod people;
mod personas;
mod policy_plans;
mod program;
mod property_audits;
mod register;
mod reserving;
mod rest;
mod roles;
mod sales;
mod schema_lint;
mod schema_sql;
mod screening;
mod seed;
mod seed_surface;
mod serve;
mod shop;
mod site;
mod states;
mod storage_tables;
mod story;
mod tax;
mod tidy;
mod tokenization;
mod world;
