//! People before the law: parties and their owners, identity, screening, accreditation.
//!
//! What always holds: only a compliance officer decides, and never about the party that his login acts for or owns a part
//! of; what a person submitted is shown to staff by a command alone, which notes each read in the audit trail; a profile's
//! summary follows in the transaction of the decision, for every login of the party.

pub mod standing;
