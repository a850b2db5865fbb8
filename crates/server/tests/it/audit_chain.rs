//! The audit chain: what is sealed, when, and what a change to the past looks like.

mod chained;
mod commands;
mod sealing;
mod tampering;
