//! shim
pub mod gate;
