//! The document of the root.
