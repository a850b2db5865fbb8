//! Feature tests.

mod cluster;
