//! Payments: how money comes in by a rail, what it pays, how it goes back, and the custodian's word on it.
//!
//! A rail's message is verified and kept as it came, then worked off: once, whatever their order and number. Where the money
//! is decides the account: with the provider (`psp_...`) until the rail has settled the payment, then with the custodian.

pub mod arrivals;
pub mod chargebacks;
pub mod custody;
pub mod incidents;
pub mod messages;
pub mod rail;
pub mod receiving;
pub mod record;
pub mod refunds;
pub mod sandbox;
pub mod sending;
pub mod sessions;
pub mod settling;
pub mod unmatched;
