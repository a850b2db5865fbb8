//! The settings of `nexus-mint rest`: PostgREST's own environment variables, so that it can take the place of one.

mod file;
mod place;

use std::{net::SocketAddr, num::NonZero, thread::available_parallelism, time::Duration};

use axum::http::StatusCode;
use pgrest::{
    name::QualifiedName,
    request::{Options, Root},
};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{ConfigError, DatabaseUrl, Environment, Secret};
pub use place::{Listener, Place};

/// Settings that the database may have as well, as `pgrst.NAME` of the role that logs in; there they come first.
pub const IN_DATABASE: [&str; 20] = [
    "db_aggregates_enabled",
    "db_anon_role",
    "db_extra_search_path",
    "db_hoisted_tx_settings",
    "db_max_rows",
    "db_plan_enabled",
    "db_pre_request",
    "db_root_spec",
    "db_schemas",
    "db_tx_end",
    "jwt_aud",
    "jwt_role_claim_key",
    "jwt_secret",
    "jwt_secret_is_base64",
    "openapi_mode",
    "openapi_security_active",
    "openapi_server_proxy_uri",
    "server_cors_allowed_origins",
    "server_timing_enabled",
    "server_trace_header",
];

/// Settings of the engine alone.
#[derive(Debug, Clone)]
pub struct RestSettings {
    /// `PGRST_DB_URI`
    pub database: Box<DatabaseUrl>,
    /// `PGRST_SERVER_HOST`, `PGRST_SERVER_PORT`, or `PGRST_SERVER_UNIX_SOCKET`, `PGRST_SERVER_UNIX_SOCKET_MODE`
    pub listen: Place,
    /// `PGRST_ADMIN_SERVER_HOST`, `PGRST_ADMIN_SERVER_PORT`; without a port there is none.
    pub admin: Option<SocketAddr>,
    /// Whether the database's own settings count: `PGRST_DB_CONFIG`.
    pub in_database: bool,
    /// `PGRST_DB_PRE_CONFIG`, as SQL has its name.
    pub pre_config: Option<String>,
    /// The protocol's own.
    pub options: Options,
    /// `PGRST_DB_EXTRA_SEARCH_PATH`
    pub extra_search_path: Vec<String>,
    /// `PGRST_DB_PRE_REQUEST`, as SQL has its name.
    pub pre_request: Option<String>,
    /// `PGRST_DB_HOISTED_TX_SETTINGS`
    pub hoisted: Vec<String>,
    /// `PGRST_APP_SETTINGS_*`
    pub app_settings: Vec<(String, String)>,
    /// `PGRST_DB_ANON_ROLE`
    pub anonymous_role: Option<String>,
    /// `PGRST_DB_POOL`
    pub connections_max: usize,
    /// `PGRST_DB_POOL_ACQUISITION_TIMEOUT`
    pub wait: Duration,
    /// `PGRST_DB_POOL_MAX_LIFETIME`: how old a connection may become.
    pub lifetime: Duration,
    /// `PGRST_DB_POOL_MAX_IDLETIME`: how long one is kept that nobody uses.
    pub idle: Duration,
    /// `PGRST_DB_CHANNEL`, unless `PGRST_DB_CHANNEL_ENABLED` is false.
    pub channel: Option<String>,
    /// `PGRST_JWT_SECRET`
    pub jwt_secret: Option<Secret>,
    /// `PGRST_JWT_SECRET_IS_BASE64`
    pub jwt_secret_is_base64: bool,
    /// `PGRST_JWT_AUD`
    pub jwt_audience: Option<String>,
    /// `PGRST_JWT_ROLE_CLAIM_KEY`
    pub jwt_role_claim: String,
    /// `PGRST_SERVER_CORS_ALLOWED_ORIGINS`; empty: all.
    pub origins: Vec<String>,
    /// `PGRST_SERVER_TIMING_ENABLED`
    pub has_timing: bool,
    /// `PGRST_SERVER_TRACE_HEADER`, in lower case.
    pub trace_header: Option<String>,
    /// `PGRST_LOG_LEVEL`
    pub log: Targets,
    /// Of which requests there is a line: `PGRST_LOG_LEVEL` as well.
    pub requests: Wanted,
    /// `NEXUS_MINT_REST_THREADS`: threads that serve.
    pub threads: NonZero<usize>,
}

/// Requests that are logged, by the status of their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// None.
    None,
    /// From 500.
    ServerErrors,
    /// From 400.
    Errors,
    /// Every one.
    All,
}

impl Wanted {
    /// Whether an answer of this status is logged.
    #[must_use]
    pub fn has(self, status: StatusCode) -> bool {
        match self {
            Wanted::None => false,
            Wanted::ServerErrors => status.is_server_error(),
            Wanted::Errors => status.is_server_error() || status.is_client_error(),
            Wanted::All => true,
        }
    }
}

/// Half the processors: the others are PostgreSQL's, and with fewer threads fewer requests wake one.
fn usual_threads() -> NonZero<usize> {
    let processors = available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    NonZero::new(processors.get().div_ceil(2)).unwrap_or(processors)
}

impl RestSettings {
    /// Reads them where the database has some of them: names of [`IN_DATABASE`] and values.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn with_database(environment: &Environment, has: &[(String, String)]) -> Result<RestSettings, ConfigError> {
        let named = has
            .iter()
            .map(|(name, value)| (format!("PGRST_{}", name.to_uppercase()), value.as_str()));
        RestSettings::load(&environment.overlaid(named))
    }

    /// Reads them.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(environment: &Environment) -> Result<RestSettings, ConfigError> {
        let get = |names: &[&str]| names.iter().find_map(|name| environment.get(name));
        let flag = |name: &str| environment.get(name).and_then(truth) == Some(true);
        let is_left_on = |name: &str| environment.get(name).and_then(truth) != Some(false);
        let seconds = |names: &[&str], usual: u64| {
            let given = get(names).and_then(|text| text.parse().ok());
            Duration::from_secs(given.unwrap_or(usual))
        };
        let list = |text: &str| {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>()
        };
        let schemas = get(&["PGRST_DB_SCHEMAS", "PGRST_DB_SCHEMA"]).map_or(vec!["public".to_owned()], list);
        let rows_max = get(&["PGRST_DB_MAX_ROWS", "PGRST_MAX_ROWS"]).and_then(|text| text.parse().ok());
        let (rollback, rollback_override) = tx_end(environment.get("PGRST_DB_TX_END").unwrap_or("commit"))?;
        let root = match (
            get(&["PGRST_DB_ROOT_SPEC", "PGRST_ROOT_SPEC"]),
            environment.get("PGRST_OPENAPI_MODE"),
        ) {
            (Some(function), _) => Root::Function(qualified(function)),
            (None, None | Some("follow-privileges")) => Root::FollowPrivileges,
            (None, Some("ignore-privileges")) => Root::IgnorePrivileges,
            (None, Some("disabled")) => Root::Disabled,
            (None, Some(_)) => return Err(wrong("Invalid openapi-mode. Check your configuration.")),
        };
        let (log, requests) = level(environment.get("PGRST_LOG_LEVEL").unwrap_or("error"))?;
        let extra = environment.given("PGRST_DB_EXTRA_SEARCH_PATH").unwrap_or("public");
        if let Some(name) = schemas
            .iter()
            .find(|name| ["pg_catalog", "information_schema"].contains(&name.as_str()))
        {
            return Err(wrong(&format!("db-schemas does not allow schema: '{name}'")));
        }
        let url = file::text_or_file("PGRST_DB_URI", get(&["PGRST_DB_URI"]).unwrap_or("postgresql://"))?;
        let secret = environment.get("PGRST_JWT_SECRET");
        let secret = secret
            .map(|secret| file::text_or_file("PGRST_JWT_SECRET", secret))
            .transpose()?;
        let hoisted = environment
            .given("PGRST_DB_HOISTED_TX_SETTINGS")
            .unwrap_or("statement_timeout, plan_filter.statement_cost_limit, default_transaction_isolation");
        Ok(RestSettings {
            database: Box::new(
                DatabaseUrl::as_libpq(&url, environment)
                    .map_err(|expected| wrong(&format!("PGRST_DB_URI: expected {expected}")))?,
            ),
            listen: Place::of(environment)?,
            admin: place::admin(environment)?,
            in_database: is_left_on("PGRST_DB_CONFIG"),
            pre_config: environment
                .get("PGRST_DB_PRE_CONFIG")
                .map(|name| qualified(name).quoted()),
            options: Options {
                schemas,
                rows_max,
                aggregates: flag("PGRST_DB_AGGREGATES_ENABLED"),
                plans: flag("PGRST_DB_PLAN_ENABLED"),
                rollback,
                rollback_override,
                root,
                openapi_security: flag("PGRST_OPENAPI_SECURITY_ACTIVE"),
                openapi_server: proxy(environment.get("PGRST_OPENAPI_SERVER_PROXY_URI"))?
                    .unwrap_or_else(|| own_url(environment)),
            },
            extra_search_path: list(extra),
            pre_request: get(&["PGRST_DB_PRE_REQUEST", "PGRST_PRE_REQUEST"]).map(|name| qualified(name).quoted()),
            hoisted: list(hoisted),
            app_settings: environment
                .beginning_with("PGRST_APP_SETTINGS_")
                .map(|(name, value)| (format!("app.settings.{}", name.to_lowercase()), value.to_owned()))
                .collect(),
            anonymous_role: environment.get("PGRST_DB_ANON_ROLE").map(str::to_owned),
            connections_max: environment
                .get("PGRST_DB_POOL")
                .and_then(|text| text.parse().ok())
                .unwrap_or(10)
                .max(1),
            wait: seconds(&["PGRST_DB_POOL_ACQUISITION_TIMEOUT"], 10),
            lifetime: seconds(&["PGRST_DB_POOL_MAX_LIFETIME"], 1800),
            idle: seconds(&["PGRST_DB_POOL_TIMEOUT", "PGRST_DB_POOL_MAX_IDLETIME"], 30),
            threads: environment
                .get("NEXUS_MINT_REST_THREADS")
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(usual_threads),
            channel: is_left_on("PGRST_DB_CHANNEL_ENABLED")
                .then(|| environment.get("PGRST_DB_CHANNEL").unwrap_or("pgrst").to_owned()),
            jwt_secret: secret.map(Secret::new),
            jwt_secret_is_base64: flag("PGRST_JWT_SECRET_IS_BASE64") || flag("PGRST_SECRET_IS_BASE64"),
            jwt_audience: audience(environment.get("PGRST_JWT_AUD"))?,
            jwt_role_claim: get(&["PGRST_JWT_ROLE_CLAIM_KEY", "PGRST_ROLE_CLAIM_KEY"])
                .unwrap_or(".role")
                .to_owned(),
            origins: environment
                .get("PGRST_SERVER_CORS_ALLOWED_ORIGINS")
                .map(list)
                .unwrap_or_default(),
            has_timing: flag("PGRST_SERVER_TIMING_ENABLED"),
            trace_header: environment.get("PGRST_SERVER_TRACE_HEADER").map(str::to_lowercase),
            log: Targets::new().with_default(log),
            requests,
        })
    }
}

/// As PostgREST reads what is on or off: by its letters, whatever stands around them, or a number.
fn truth(text: &str) -> Option<bool> {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    match letters.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => text.trim().parse::<i64>().ok().map(|number| number > 0),
    }
}

/// A name, or a URI where it has a colon.
fn audience(text: Option<&str>) -> Result<Option<String>, ConfigError> {
    match text {
        Some(text) if text.contains(':') && url::Url::parse(text).is_err() => {
            Err(wrong("jwt-aud should be a string or a valid URI"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn wrong(text: &str) -> ConfigError {
    ConfigError::Contradiction(text.to_owned())
}

fn qualified(text: &str) -> QualifiedName {
    let plain = |part: &str| part.trim().trim_matches('"').to_owned();
    match text.split_once('.') {
        Some((schema, name)) => QualifiedName {
            schema: plain(schema),
            name: plain(name),
        },
        None => QualifiedName {
            schema: String::new(),
            name: plain(text),
        },
    }
}

fn tx_end(text: &str) -> Result<(bool, bool), ConfigError> {
    match text {
        "commit" => Ok((false, false)),
        "commit-allow-override" => Ok((false, true)),
        "rollback" => Ok((true, false)),
        "rollback-allow-override" => Ok((true, true)),
        _ => Err(wrong("Invalid transaction termination. Check your configuration.")),
    }
}

fn level(text: &str) -> Result<(LevelFilter, Wanted), ConfigError> {
    match text {
        "crit" => Ok((LevelFilter::ERROR, Wanted::None)),
        "error" => Ok((LevelFilter::ERROR, Wanted::ServerErrors)),
        "warn" => Ok((LevelFilter::WARN, Wanted::Errors)),
        "info" => Ok((LevelFilter::INFO, Wanted::All)),
        "debug" => Ok((LevelFilter::DEBUG, Wanted::All)),
        _ => Err(wrong("Invalid logging level. Check your configuration.")),
    }
}

fn proxy(text: Option<&str>) -> Result<Option<String>, ConfigError> {
    match text {
        None => Ok(None),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(Some(url.to_owned())),
        Some(_) => Err(wrong(
            "Malformed proxy uri, a correct example: https://example.com:8443/basePath",
        )),
    }
}

/// Where the server is, as its settings have it.
fn own_url(environment: &Environment) -> String {
    let host = match environment.get("PGRST_SERVER_HOST").unwrap_or("!4") {
        "!4" | "*4" | "*" | "!6" | "*6" => "0.0.0.0",
        host => host,
    };
    format!(
        "http://{host}:{}/",
        environment.get("PGRST_SERVER_PORT").unwrap_or("3000")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgrests_variables_are_read() {
        let environment = Environment::of([
            ("PGRST_DB_URI", "postgres://me@db/x"),
            ("PGRST_DB_SCHEMAS", "v1, v2,SPECIAL \"@/\\#~_-"),
            ("PGRST_DB_TX_END", "rollback-allow-override"),
            ("PGRST_SERVER_HOST", "127.0.0.1"),
            ("PGRST_DB_PRE_REQUEST", "test.switch_role"),
            ("PGRST_APP_SETTINGS_FOO", "bar"),
            ("PGRST_LOG_LEVEL", ""),
        ]);
        let settings = RestSettings::load(&environment).unwrap();
        assert_eq!(settings.options.schemas, ["v1", "v2", "SPECIAL \"@/\\#~_-"]);
        assert!(settings.options.rollback && settings.options.rollback_override);
        assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(settings.options.openapi_server, "http://127.0.0.1:3000/");
        assert_eq!(settings.pre_request.as_deref(), Some("\"test\".\"switch_role\""));
        assert_eq!(
            settings.app_settings,
            [("app.settings.foo".to_owned(), "bar".to_owned())]
        );
        assert_eq!(settings.extra_search_path, ["public"]);
        assert_eq!(settings.channel.as_deref(), Some("pgrst"));
    }

    #[test]
    fn the_databases_settings_come_first() {
        let environment = Environment::of([
            ("PGRST_DB_URI", "postgres://me@db/x"),
            ("PGRST_DB_SCHEMAS", "one"),
            ("PGRST_DB_MAX_ROWS", "7"),
        ]);
        let has = [("db_schemas".to_owned(), "two".to_owned())];
        let settings = RestSettings::with_database(&environment, &has).unwrap();
        assert_eq!(settings.options.schemas, ["two"]);
        assert_eq!(settings.options.rows_max, Some(7));
        let wrong = [("db_tx_end".to_owned(), "maybe".to_owned())];
        assert!(RestSettings::with_database(&environment, &wrong).is_err());
    }

    #[test]
    fn on_and_off_are_read_as_postgrest_reads_them() {
        for (text, is_on) in [
            ("True", true),
            ("\"true\"", true),
            ("2", true),
            ("0", false),
            ("yes", false),
            ("FALSE", false),
        ] {
            let environment = Environment::of([("PGRST_DB_PLAN_ENABLED", text), ("PGRST_DB_CONFIG", text)]);
            let settings = RestSettings::load(&environment).unwrap();
            assert_eq!(settings.options.plans, is_on, "{text}");
            assert_eq!(
                settings.in_database,
                is_on || text == "yes",
                "{text}: what is neither leaves it as it is"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |name: &str, value: &str| {
            let environment = Environment::of([("PGRST_DB_URI", "postgres://me@db/x"), (name, value)]);
            assert!(RestSettings::load(&environment).is_err(), "{name}={value}");
        };
        check("PGRST_DB_TX_END", "maybe");
        check("PGRST_OPENAPI_MODE", "follow-");
        check("PGRST_LOG_LEVEL", "never");
        check("PGRST_SERVER_PORT", "x");
        check("PGRST_ADMIN_SERVER_PORT", "3000");
        check("PGRST_DB_SCHEMAS", "public, pg_catalog");
        check("PGRST_JWT_AUD", "http://%%localhorst.invalid");
        check("PGRST_JWT_SECRET", "@/nonexistent/file");
        check("PGRST_OPENAPI_SERVER_PROXY_URI", "htp:/@@localhorst.invalid");
    }
}
