//! The audit chain: what makes a change to the past of the audit trail or the ledger visible.
//!
//! Writers append unchained. [`seal`] follows behind them, gives every decided row its link and signs each batch;
//! [`verify`] recomputes all of it and names what differs; a [`head`] kept outside of the database is what makes the whole
//! unforgeable for whoever has the database and the key. docs/AUDIT.md says to the byte what is hashed and signed.
//!
//! What rows say is put into bytes here and by no function of the database, because whoever can change rows can change
//! functions. Absent on purpose: anything that a writer would wait for.

pub mod chain;
pub mod erase;
pub mod head;
pub mod key;
mod rows;
pub mod seal;
mod seals;
pub mod verify;

pub use chain::Source;
pub use head::Head;
pub use key::SealKey;
pub use seal::{Progress, Sealer};
pub use verify::{Finding, Summary, Trusted, verify};
