//! Who somebody is: signing up and in, tokens, sessions, users, in the tables and on the wire of GoTrue.
//!
//! A [`Caller`](token::Caller) is a proof that a token was verified; only [`token`] makes one. Time is an argument:
//! the clock is read in the handlers and in the command line. What is secret is kept as a keyed hash, or encrypted where
//! it must be read again. A password is hashed outside of every transaction, and a mail is sent by a job.
//!
//! Absent: SAML, telephones, passkeys.

pub mod account;
pub mod admin;
pub mod email;
pub mod email_change;
pub mod events;
pub mod factors;
pub mod grant;
pub mod hook;
pub mod identities;
pub mod jwks;
pub mod keys;
pub mod limits;
pub mod links;
pub mod mail;
pub mod newcomer;
pub mod one_time;
pub mod passwords;
pub mod pkce;
pub mod providers;
pub mod redirect;
pub mod refresh;
mod refusal;
pub mod request;
pub mod routes;
mod sealed;
pub mod session;
pub mod signing;
pub mod signup;
pub mod siwe;
pub mod strength;
pub mod token;
pub mod totp;
pub mod users;
pub mod verify;
pub mod web3;

pub use refusal::AuthRefusal;
