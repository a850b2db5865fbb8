//! The program.

pub mod lint;
