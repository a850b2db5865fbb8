//! PostgREST's configuration file, as the environment variables that say the same.

use std::{fs, path::Path};

use super::super::{ConfigError, Environment};
use super::wrong;

impl Environment {
    /// These variables, and those of a configuration file of PostgREST's where none of them says otherwise. Its names and
    /// values are those of TOML.
    ///
    /// # Errors
    /// When the file cannot be read, or is none.
    pub fn with_postgrest_file(&self, path: &Path) -> Result<Environment, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| wrong(&format!("{}: {error}", path.display())))?;
        // What is wrong is not repeated: it may be a secret.
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let lines = error.span().map_or(0, |span| {
                text.get(..span.start).map_or(0, |before| before.lines().count())
            });
            wrong(&format!(
                "{}: expected lines such as db-uri = \"postgres://...\", near line {}",
                path.display(),
                lines.max(1)
            ))
        })?;
        let mut variables = Vec::new();
        collect("PGRST", &table, &mut variables);
        let file =
            Environment::default().overlaid(variables.iter().map(|(name, value)| (name.clone(), value.as_str())));
        Ok(file.overlaid(self.beginning_with("").map(|(name, value)| (name.to_owned(), value))))
    }
}

fn collect(prefix: &str, table: &toml::Table, variables: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{prefix}_{}", key.to_uppercase().replace('-', "_"));
        match value {
            toml::Value::Table(below) => collect(&name, below, variables),
            toml::Value::String(text) => variables.push((name, text.clone())),
            toml::Value::Integer(number) => variables.push((name, number.to_string())),
            toml::Value::Boolean(is_on) => variables.push((name, is_on.to_string())),
            // No setting is one of these.
            toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) => {}
        }
    }
}

/// What a setting says, or the file that it names behind an `@`, without white space around it.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn text_or_file(name: &str, value: &str) -> Result<String, ConfigError> {
    let Some(path) = value.strip_prefix('@') else {
        return Ok(value.to_owned());
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(&format!("{name}: {path}: {error}")))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::RestSettings;
    use super::*;

    fn file(name: &str, text: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("nexus-mint-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_file_says_what_the_environment_does_not() {
        let secret = file("secret", "a secret of at least thirty-two characters\n");
        let path = file(
            "rest.conf",
            &format!(
                "# a comment\ndb-uri = \"postgres://me@db/x\"\ndb-schemas = \"v1, v2\"\nserver-port = 3456\n\
                 db-plan-enabled = true\napp.settings.foo = \"bar\"\ndb-max-rows = 10\njwt-secret = \"@{}\"\n",
                secret.display()
            ),
        );
        let environment = Environment::of([("PGRST_DB_MAX_ROWS", "7"), ("PGRST_APP_SETTINGS_OTHER", "x")]);
        let environment = environment.with_postgrest_file(&path).unwrap();
        let settings = RestSettings::load(&environment).unwrap();
        assert_eq!(settings.options.schemas, ["v1", "v2"]);
        assert_eq!(settings.options.rows_max, Some(7), "the environment comes first");
        assert!(settings.options.plans);
        assert_eq!(
            settings.listen,
            super::super::Place::Tcp("0.0.0.0:3456".parse().unwrap())
        );
        assert_eq!(
            settings.jwt_secret.unwrap().expose(),
            "a secret of at least thirty-two characters"
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            settings.app_settings,
            [pair("app.settings.foo", "bar"), pair("app.settings.other", "x")]
        );
    }

    #[test]
    fn a_file_that_is_none_is_said_without_what_is_in_it() {
        let path = file("none.conf", "db-anon-role = \"anon\"\njwt-secret = hush hush\n");
        let error = Environment::default()
            .with_postgrest_file(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
        let error = text_or_file("PGRST_DB_URI", "@/nonexistent/file")
            .unwrap_err()
            .to_string();
        assert!(error.contains("PGRST_DB_URI: /nonexistent/file"), "{error}");
    }
}
