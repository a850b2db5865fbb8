//! The rules of Nexus Mint: pure functions over values, without IO, clock or randomness.
//!
//! What always holds: an amount is an integer of its asset's smallest unit, arithmetic on it is checked, and what is split
//! adds up again. Time and ids are arguments.

pub mod account;
pub mod allocation;
pub mod analytics;
pub mod book;
pub mod clock;
pub mod closing;
pub mod compliance;
pub mod distribution;
pub mod eligibility;
pub mod entitlement;
pub mod fees;
pub mod holding_case;
pub mod lots;
pub mod money;
pub mod offering;
pub mod payment;
pub mod posting;
pub mod property_audit;
pub mod refusal;
pub mod role;
pub mod rule_pack;
pub mod statement;
pub mod states;
pub mod tokenization;
pub mod transfer;
