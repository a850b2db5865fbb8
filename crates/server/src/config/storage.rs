//! Settings of stored objects.

use super::{ConfigError, Loader, STORAGE_BYTES, parse};

/// As much as the largest bucket of ours takes (bytes).
const BYTES_MAX: u64 = 500 * 1024 * 1024;

/// How `/storage/v1` is served.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The most bytes of one object.
    pub bytes_max: u64,
}

impl Loader<'_> {
    pub(super) fn storage(&self) -> Result<Storage, ConfigError> {
        Ok(Storage {
            bytes_max: self.get(&STORAGE_BYTES, parse::bytes)?.unwrap_or(BYTES_MAX),
        })
    }
}
