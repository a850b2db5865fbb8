//! Settings of stored objects.

use super::{
    ConfigError, Loader, S3_ACCESS_KEY, S3_BUCKET, S3_ENDPOINT, S3_REGION, S3_SECRET_KEY, STORAGE_BYTES, Secret,
    Source, parse,
};

/// As much as the largest bucket of ours takes (bytes).
const BYTES_MAX: u64 = 500 * 1024 * 1024;

/// What services of one's own call their only region.
const REGION: &str = "us-east-1";

/// How `/storage/v1` is served.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The most bytes of one object.
    pub bytes_max: u64,
    /// Where files are kept, unless it is the data folder.
    pub s3: Option<S3Settings>,
}

/// A bucket of a service that speaks S3.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// URL of the service; none: Amazon's.
    pub endpoint: Option<String>,
    /// Who asks.
    pub access_key: Secret,
    /// What proves it.
    pub secret_key: Secret,
}

impl Loader<'_> {
    pub(super) fn storage(&self) -> Result<Storage, ConfigError> {
        Ok(Storage {
            bytes_max: self.get(&STORAGE_BYTES, parse::bytes)?.unwrap_or(BYTES_MAX),
            s3: self.s3()?,
        })
    }

    fn s3(&self) -> Result<Option<S3Settings>, ConfigError> {
        let text = |text: &str| Ok(text.to_owned());
        let Some(bucket) = self.get(&S3_BUCKET, text)? else {
            return Ok(None);
        };
        let needed = |spec: &'static super::Spec| ConfigError::Invalid {
            key: spec.key,
            from: Source::Default,
            expected: "a value, because storage_s3_bucket is set".to_owned(),
        };
        Ok(Some(S3Settings {
            bucket,
            region: self.get(&S3_REGION, text)?.unwrap_or_else(|| REGION.to_owned()),
            endpoint: self.get(&S3_ENDPOINT, text)?,
            access_key: self
                .get(&S3_ACCESS_KEY, parse::secret)?
                .ok_or_else(|| needed(&S3_ACCESS_KEY))?,
            secret_key: self
                .get(&S3_SECRET_KEY, parse::secret)?
                .ok_or_else(|| needed(&S3_SECRET_KEY))?,
        }))
    }
}
