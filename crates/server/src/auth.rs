//! Who somebody is: tokens, sessions, users, in the tables and on the wire of GoTrue.
//!
//! A [`Caller`](token::Caller) is a proof that a token was verified; only [`token`] makes one. Time is an argument:
//! the clock is read in the handlers and in the command line. Absent so far: signing up, signing in, refreshing.

pub mod email;
pub mod jwks;
pub mod keys;
mod refusal;
pub mod routes;
pub mod session;
pub mod token;
pub mod users;

pub use refusal::AuthRefusal;
