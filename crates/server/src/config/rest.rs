//! Settings of `/rest/v1`.

use pgrest::request::Options;

use super::{ConfigError, Loader, REST_AGGREGATES, REST_PLANS, REST_ROWS_MAX, REST_SCHEMAS, parse};

impl Loader<'_> {
    /// How `/rest/v1` is served.
    pub(super) fn rest(&self) -> Result<Options, ConfigError> {
        Ok(Options {
            schemas: self
                .get(&REST_SCHEMAS, parse::names)?
                .unwrap_or_else(|| vec!["public".to_owned()]),
            rows_max: Some(self.get(&REST_ROWS_MAX, parse::rows)?.unwrap_or(1000)),
            aggregates: self.get(&REST_AGGREGATES, parse::boolean)?.unwrap_or(false),
            plans: self.get(&REST_PLANS, parse::boolean)?.unwrap_or(false),
            ..Options::default()
        })
    }
}
