//! Who holds what: the register of a token, now and at any past instant.
//!
//! What always holds: the register is the sum of the ledger's `held` postings; its answer to (token, instant, known entry)
//! is the same for ever (L16), since each change of it gets its instant and its place under the token's supply row lock,
//! and what is not yet committed is refused.
//!
//! Absent on purpose: a change that counts from an instant before the last one. docs/decisions/0016-register.md says why.

mod carrying_out;
pub mod cases;
pub mod freezes;
pub mod holders;
pub mod lots;
pub mod register;
pub mod transfers;
mod winding_up;
