//! The program.

pub mod postgres;
