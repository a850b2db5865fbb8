//! The rules of Nexus Mint.
