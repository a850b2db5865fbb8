//! The program: one server over PostgreSQL that speaks Supabase's conventions.

pub mod app;
pub mod attach;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod command;
pub mod config;
pub mod currencies;
pub mod db;
pub mod doctor;
pub mod functions;
pub mod health;
pub mod import;
pub mod jobs;
pub mod ledger;
pub mod lint;
pub mod migrate;
pub mod outbox;
pub mod permission;
pub mod postgres;
pub mod problem;
pub mod rest;
pub mod router;
pub mod serve;
