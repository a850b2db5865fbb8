//! The document of the root.
use std::collections::HashSet;
use serde_json::Value;
use crate::{request::Options, schema::Schema};

/// What a role may use.
#[derive(Debug, Clone, Default)]
pub struct Privileges {
    /// Relations, by name.
    pub relations: HashSet<String>,
    /// Functions, by their identity.
    pub routines: HashSet<u32>,
}

/// The document of a schema.
#[must_use]
pub fn document(_: &Schema, _: &str, _: Option<&Privileges>, _: &Options) -> Value {
    Value::Null
}
