//! Rent and what becomes of it: periods recorded from the bank's lines, distributions declared to the holders, paid once.
//!
//! What can be distributed is what lies in the property's operating cash; the ledger's kernel refuses to declare more (L9).
//! The split, the tax and the posting are set-based functions of the database; `mint_core` has their reference.

pub mod declaring;
pub mod house;
pub mod paying;
pub mod payouts;
mod performance;
pub mod rates;
pub mod rent;
