//! Offerings: prepared, opened, ended, closed or failed.
//!
//! Whatever changes an offering or its tokens locks the token's row in `property_token_supply` first, then the offering, then
//! investments, then parties; so that nothing waits in a circle.

pub mod closing;
pub mod ending;
pub mod packs;
pub mod preparing;
pub mod record;
pub mod supply;

pub use record::Offering;
