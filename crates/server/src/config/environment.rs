//! Where settings come from: flags and environment variables, as values, so that tests have their own.

use std::collections::BTreeMap;

/// The values given on the command line, by the key of their setting.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Key of the setting to its text.
    pub values: BTreeMap<&'static str, String>,
    /// `--dev-keys`: use Supabase's well-known local secret.
    pub dev_keys: bool,
    /// `--demo`: the data folder's own demo.
    pub demo: bool,
}

/// The environment variables, as a value, so that tests have their own.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own.
    #[must_use]
    pub fn of_process() -> Environment {
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(std::env::vars_os().filter_map(readable).collect())
    }

    /// A made-up one.
    #[must_use]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Environment {
        Environment(
            variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// These variables, and before them the others'.
    pub(super) fn overlaid<'a>(&self, by: impl IntoIterator<Item = (String, &'a str)>) -> Environment {
        let mut all = self.0.clone();
        all.extend(by.into_iter().map(|(name, value)| (name, value.to_owned())));
        Environment(all)
    }

    /// An empty variable counts as not set: that is how container files spell "no value".
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that may be empty on purpose.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Variables whose names begin alike, by the rest of their names.
    pub(super) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let found = self.0.iter().filter(|(_, value)| !value.is_empty());
        found.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }
}
