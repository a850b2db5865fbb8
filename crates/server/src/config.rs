//! What the program was told: the only place that reads the environment.
//!
//! A setting is looked for as a flag, in the environment, in `nexus-mint.toml` in the data folder; else its default
//! holds. Each is parsed once, here, into its own type; an error names the setting, where it came from and what was
//! expected. [`SETTINGS`] is the one list of them: flags, `--help`, `doctor` and docs/OPERATIONS.md follow it.
//!
//! Loading [`Settings`] writes nothing. [`Settings::into_config`] makes the secrets that are missing.

pub mod database_url;
pub mod environment;
pub mod logins;
mod parse;
pub mod postgrest;
pub mod providers;
pub mod realtime;
mod rest;
pub mod secret;
pub mod secrets_file;
pub mod storage;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use pgrest::request::Options;

use crate::postgres::is_root;
pub use database_url::DatabaseUrl;
pub use environment::{Environment, Flags};
pub use logins::Logins;
pub use parse::BaseUrl;
pub use secret::Secret;
use secrets_file::{SecretsError, SecretsFile};
pub use storage::Storage;

/// The name of the settings file inside the data folder.
pub const FILE_NAME: &str = "nexus-mint.toml";

/// Supabase's public local-development secret, which `--dev-keys` uses. It protects nothing.
pub const DEV_JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// One setting, as the user meets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its name in `nexus-mint.toml`.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Its flag without the dashes. Secrets have none: everybody on the machine can read a command line.
    pub flag: Option<&'static str>,
    /// What holds when nobody says anything, in words.
    pub default: &'static str,
    /// What it does.
    pub about: &'static str,
}

macro_rules! settings {
    ($($name:ident: $key:literal, $env:literal, $flag:expr, $default:literal, $about:literal;)*) => {
        $(static $name: Spec = Spec { key: $key, env: $env, flag: $flag, default: $default, about: $about };)*
        /// Every setting there is, in the order of the documentation.
        pub static SETTINGS: &[&Spec] = &[$(&$name),*];
    };
}

settings! {
    DATABASE: "database_url", "DATABASE_URL", Some("database-url"), "a private cluster in the data folder",
        "PostgreSQL (15 or later) to use, as a postgres:// URL";
    LISTEN: "listen", "NEXUS_MINT_LISTEN", Some("listen"), "127.0.0.1:54321",
        "Address and port to listen at";
    PUBLIC_URL: "public_url", "NEXUS_MINT_PUBLIC_URL", Some("public-url"), "http:// and the listen address",
        "URL under which clients reach this server; tokens carry it as issuer";
    SITE_URL: "site_url", "NEXUS_MINT_SITE_URL", Some("site-url"), "the public URL",
        "The front end: where buyers go back to after paying, and links in mails lead to";
    REDIRECT_URLS: "redirect_urls", "NEXUS_MINT_REDIRECT_URLS", Some("redirect-urls"), "none",
        "Further URLs (with * and **) that a login may return to, separated by commas";
    DATA_DIR: "data_dir", "NEXUS_MINT_DATA_DIR", Some("data-dir"), "/var/lib/nexus-mint as root, else ~/.local/share/nexus-mint",
        "Folder of the private cluster, the secrets and nexus-mint.toml (so not settable there)";
    PG_BIN: "pg_bin", "NEXUS_MINT_PG_BIN", Some("pg-bin"), "searched for",
        "Folder of initdb and postgres for the private cluster";
    JWT_SECRET: "jwt_secret", "NEXUS_MINT_JWT_SECRET", None, "made once",
        "Signs access tokens (HS256), at least 32 characters";
    JWT_JWKS: "jwt_jwks", "NEXUS_MINT_JWT_JWKS", None, "none",
        "Public keys of others whose access tokens count as well, as a JSON web key set";
    SIGNING_KEYS: "jwt_signing_keys", "NEXUS_MINT_JWT_SIGNING_KEYS", None, "none: the JWT secret signs",
        "Private keys (EC, P-256) as a JSON web key set: the first signs access tokens, all verify (`nexus-mint key signing` makes one)";
    ANON_KEY: "anon_key", "NEXUS_MINT_ANON_KEY", None, "signed with the JWT secret",
        "API key of visitors, if it must be a given one";
    SERVICE_KEY: "service_key", "NEXUS_MINT_SERVICE_KEY", None, "signed with the JWT secret",
        "API key of the service, if it must be a given one";
    FILE_KEY: "file_key", "NEXUS_MINT_FILE_KEY", None, "made once",
        "Encrypts stored files: 32 bytes in base64, the same for all servers of one file store";
    FILE_KEYS_OLD: "file_keys_old", "NEXUS_MINT_FILE_KEYS_OLD", None, "none",
        "Earlier file keys, separated by commas, until `nexus-mint files rotate` has let go of them";
    SEAL_KEY: "seal_key", "NEXUS_MINT_SEAL_KEY", None, "made once",
        "Signs the seals of the audit chain: 32 bytes in base64, the same for all servers of one database";
    SMTP_URL: "smtp_url", "NEXUS_MINT_SMTP_URL", None, "none",
        "Mail server, as smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465";
    MAIL_FROM: "mail_from", "NEXUS_MINT_MAIL_FROM", Some("mail-from"), "Nexus Mint <no-reply@localhost>",
        "Who mails are from, as an address or Name <address>";
    SMTP_CA: "smtp_ca", "NEXUS_MINT_SMTP_CA", Some("smtp-ca"), "those of the system",
        "PEM file of the certificate authorities by which the mail server is known";
    MAIL_TEMPLATES: "mail_templates", "NEXUS_MINT_MAIL_TEMPLATES", Some("mail-templates"), "words of ours",
        "Folder with the words of mails (docs/AUTH.md)";
    MAIL_INTERVAL: "mail_interval", "NEXUS_MINT_MAIL_INTERVAL", Some("mail-interval"), "60 (1 with --dev-keys)",
        "Seconds between two mails to one address";
    MAIL_AUTOCONFIRM: "mail_autoconfirm", "NEXUS_MINT_MAIL_AUTOCONFIRM", Some("mail-autoconfirm"), "true without a mail server, else false",
        "Whether a new e-mail address counts as confirmed at once";
    SIGN_UP: "sign_up", "NEXUS_MINT_SIGN_UP", Some("sign-up"), "true",
        "Whether anybody may sign up; otherwise people are added by the operator or invited";
    ANONYMOUS: "anonymous_sign_in", "NEXUS_MINT_ANONYMOUS_SIGN_IN", Some("anonymous-sign-in"), "false (true with --dev-keys)",
        "Whether somebody may sign in without saying who";
    LINKING: "manual_linking", "NEXUS_MINT_MANUAL_LINKING", Some("manual-linking"), "false (true with --dev-keys)",
        "Whether people may add and remove ways to sign in by themselves";
    ETHEREUM: "ethereum_sign_in", "NEXUS_MINT_ETHEREUM_SIGN_IN", Some("ethereum-sign-in"), "false (true with --dev-keys)",
        "Whether Ethereum wallets may sign in";
    PROVIDERS: "sign_in_providers", "NEXUS_MINT_SIGN_IN_PROVIDERS", None, "none",
        "Other providers at which people sign in (OpenID Connect, OAuth 2.0), as JSON by their names (docs/AUTH.md)";
    SCORE_MIN: "password_score_min", "NEXUS_MINT_PASSWORD_SCORE_MIN", Some("password-score-min"), "2 (0 with --dev-keys)",
        "How hard a new password must be to guess, from 0 (anything) to 4 (zxcvbn's score)";
    TOKEN_HOOK: "access_token_hook", "NEXUS_MINT_ACCESS_TOKEN_HOOK", Some("access-token-hook"), "none",
        "Function of the database, as schema.name, that adds claims to access tokens";
    CLIENT_ADDRESS_HEADER: "client_address_header", "NEXUS_MINT_CLIENT_ADDRESS_HEADER", Some("client-address-header"), "none",
        "Header in which the proxy before this server says who asks; its last address counts, and limits rest on it";
    STORAGE_BYTES: "storage_bytes_max", "NEXUS_MINT_STORAGE_BYTES_MAX", Some("storage-bytes-max"), "524288000",
        "The most bytes of one object of /storage/v1, where its bucket does not say less";
    S3_BUCKET: "storage_s3_bucket", "NEXUS_MINT_STORAGE_S3_BUCKET", Some("storage-s3-bucket"), "none: the data folder",
        "Bucket of a service that speaks S3 in which stored files are kept";
    S3_ENDPOINT: "storage_s3_endpoint", "NEXUS_MINT_STORAGE_S3_ENDPOINT", Some("storage-s3-endpoint"), "Amazon's",
        "URL of that service";
    S3_REGION: "storage_s3_region", "NEXUS_MINT_STORAGE_S3_REGION", Some("storage-s3-region"), "us-east-1",
        "Region of the bucket";
    S3_ACCESS_KEY: "storage_s3_access_key", "NEXUS_MINT_STORAGE_S3_ACCESS_KEY", None, "none",
        "Access key of the bucket";
    S3_SECRET_KEY: "storage_s3_secret_key", "NEXUS_MINT_STORAGE_S3_SECRET_KEY", None, "none",
        "Secret key of the bucket";
    REST_SCHEMAS: "rest_schemas", "NEXUS_MINT_REST_SCHEMAS", Some("rest-schemas"), "public",
        "Schemas that /rest/v1 shows, separated by commas; the first is the default";
    REST_ROWS_MAX: "rest_rows_max", "NEXUS_MINT_REST_ROWS_MAX", Some("rest-rows-max"), "1000",
        "The most rows of one read of /rest/v1, at every level";
    REST_AGGREGATES: "rest_aggregates", "NEXUS_MINT_REST_AGGREGATES", Some("rest-aggregates"), "false",
        "Whether clients of /rest/v1 may ask for sums, averages and the like";
    REST_PLANS: "rest_plans", "NEXUS_MINT_REST_PLANS", Some("rest-plans"), "false",
        "Whether clients of /rest/v1 may ask for PostgreSQL's plans, which tell more than rows";
    REALTIME_LIMITS: "realtime_limits", "NEXUS_MINT_REALTIME_LIMITS", Some("realtime-limits"), "connections=10000,channels=100,joins=100,events=100,payload=262144",
        "Of /realtime/v1: connections; of one connection channels, joins and events a second, and bytes of a payload";
    LOG: "log", "NEXUS_MINT_LOG", Some("log"), "info",
        "Log level (error, warn, info, debug, trace), or levels by module: info,nexus_mint::db=debug";
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag on the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The settings file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(name) => write!(out, "flag --{name}"),
            Source::Environment(name) => write!(out, "environment {name}"),
            Source::File(path) => write!(out, "{}", path.display()),
            Source::Default => out.write_str("default"),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value does not fit.
    #[error("{key} (from {from}): expected {expected}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// Where the value came from.
        from: Source,
        /// What it should have been.
        expected: String,
    },
    /// The settings file cannot be read.
    #[error("cannot read {0}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// The settings file is not TOML.
    #[error("{0} is not valid TOML")]
    NotToml(PathBuf, #[source] Box<toml::de::Error>),
    /// The settings file names a setting that does not exist.
    #[error("{path} has an unknown setting {key:?}; it may hold: {known}")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The name found in it.
        key: String,
        /// The names it may hold.
        known: String,
    },
    /// There is no home folder to put the data folder in.
    #[error("neither XDG_DATA_HOME nor HOME is set: say where the data folder is with --data-dir")]
    NoHome,
    /// Two settings exclude each other.
    #[error("{0}")]
    Contradiction(String),
    /// The secrets could not be had.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// A setting with the value that holds, fit to be shown.
#[derive(Debug, Clone)]
pub struct InForce {
    /// Which setting.
    pub spec: &'static Spec,
    /// Where its value came from.
    pub from: Source,
    /// The value; of a secret only that there is one.
    pub shown: String,
}

/// The settings as given, parsed; secrets that nobody gave are still missing.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server to use; without one, the program runs its own.
    pub database_url: Option<Box<DatabaseUrl>>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How clients reach this server, if it was said.
    pub public_url: Option<BaseUrl>,
    /// Where links in mails lead to, if it was said.
    pub site_url: Option<BaseUrl>,
    /// Patterns of further URLs that a login may return to.
    pub redirect_urls: Vec<String>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Folder of the PostgreSQL programs, if it was said.
    pub pg_bin: Option<PathBuf>,
    /// The secret for tokens, if it was said.
    pub jwt_secret: Option<Secret>,
    /// Public keys of others whose tokens count as well.
    pub jwt_jwks: Option<jsonwebtoken::jwk::JwkSet>,
    /// Private keys that sign access tokens, if there are any.
    pub jwt_signing_keys: Option<Secret>,
    /// The visitors' API key, if it must be a given one.
    pub anon_key: Option<Secret>,
    /// The service's API key, if it must be a given one.
    pub service_key: Option<Secret>,
    /// The key for stored files, if it was said.
    pub file_key: Option<Secret>,
    /// Earlier keys for stored files.
    pub file_keys_old: Vec<Secret>,
    /// The key that signs the audit chain's seals, if it was said.
    pub seal_key: Option<Secret>,
    /// The mail server.
    pub smtp_url: Option<Secret>,
    /// How people sign in.
    pub logins: Logins,
    /// Whether a new e-mail address counts as confirmed.
    pub mail_autoconfirm: bool,
    /// How `/storage/v1` is served.
    pub storage: Storage,
    /// How `/rest/v1` is served.
    pub rest: Options,
    /// What `/realtime/v1` allows.
    pub realtime: realtime::Limits,
    /// Which log lines to write.
    pub log: tracing_subscriber::filter::Targets,
    /// Whether the well-known keys are in use.
    pub dev_keys: bool,
    /// Every setting with its value and source, in the order of [`SETTINGS`].
    pub in_force: Vec<InForce>,
}

/// The settings with everything that the program needs to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings as given.
    pub settings: Settings,
    /// Signs access tokens.
    pub jwt_secret: Secret,
    /// Encrypts stored files: 32 bytes in base64.
    pub file_key: Secret,
    /// Signs the audit chain's seals: 32 bytes in base64.
    pub seal_key: Secret,
    /// Which PostgreSQL.
    pub database: Database,
}

/// Which PostgreSQL the program uses.
#[derive(Debug, Clone)]
pub enum Database {
    /// A server that somebody else runs.
    Url(Box<DatabaseUrl>),
    /// The private cluster in the data folder.
    Embedded {
        /// Password of its superuser.
        superuser_password: Secret,
        /// Password of the role as which the program serves.
        authenticator_password: Secret,
    },
}

/// Where the demo lives inside the data folder.
const DEMO_FOLDER: &str = "demo";

impl Settings {
    /// Reads flags, environment and settings file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Settings, ConfigError> {
        let mut loader = Loader::new(flags, environment);
        let data_dir = match loader.get(&DATA_DIR, parse::absolute_path)? {
            Some(folder) => folder,
            None => loader.default_data_dir()?,
        };
        let data_dir = if flags.demo {
            data_dir.join(DEMO_FOLDER)
        } else {
            data_dir
        };
        loader.read_file(&data_dir)?;
        let smtp_url = loader.get(&SMTP_URL, parse::smtp_url)?;
        let mut settings = Settings {
            database_url: loader.get(&DATABASE, DatabaseUrl::parse)?.map(Box::new),
            listen: loader.get(&LISTEN, parse::listen)?.unwrap_or(parse::DEFAULT_LISTEN),
            public_url: loader.get(&PUBLIC_URL, BaseUrl::parse)?,
            site_url: loader.get(&SITE_URL, BaseUrl::parse)?,
            redirect_urls: loader.get(&REDIRECT_URLS, parse::list)?.unwrap_or_default(),
            pg_bin: loader.get(&PG_BIN, parse::absolute_path)?,
            jwt_secret: loader.get(&JWT_SECRET, parse::jwt_secret)?,
            jwt_jwks: loader.get(&JWT_JWKS, crate::auth::jwks::public_set)?,
            jwt_signing_keys: loader.get(&SIGNING_KEYS, parse::secret)?,
            anon_key: loader.get(&ANON_KEY, parse::secret)?,
            service_key: loader.get(&SERVICE_KEY, parse::secret)?,
            file_key: loader.get(&FILE_KEY, parse::key_of_32_bytes)?,
            file_keys_old: loader.get(&FILE_KEYS_OLD, parse::keys_of_32_bytes)?.unwrap_or_default(),
            seal_key: loader.get(&SEAL_KEY, parse::key_of_32_bytes)?,
            mail_autoconfirm: loader
                .get(&MAIL_AUTOCONFIRM, parse::boolean)?
                .unwrap_or(smtp_url.is_none()),
            smtp_url,
            logins: loader.logins()?,
            storage: loader.storage()?,
            rest: loader.rest()?,
            realtime: loader.get(&REALTIME_LIMITS, realtime::limits)?.unwrap_or_default(),
            log: loader
                .get(&LOG, parse::log_targets)?
                .unwrap_or_else(parse::default_log_targets),
            dev_keys: flags.dev_keys,
            data_dir,
            in_force: Vec::new(),
        };
        settings.in_force = loader.in_force(&settings);
        settings.check_dev_keys()?;
        Ok(settings)
    }

    /// Adds the secrets that nobody gave, making them when the data folder has none yet. A server with a
    /// `DATABASE_URL` and the three secrets given needs no data folder at all.
    ///
    /// # Errors
    /// [`ConfigError::Secrets`].
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let jwt_secret = if self.dev_keys {
            Some(Secret::new(DEV_JWT_SECRET))
        } else {
            self.jwt_secret.clone()
        };
        if let (Some(url), Some(jwt_secret), Some(file_key), Some(seal_key)) =
            (&self.database_url, &jwt_secret, &self.file_key, &self.seal_key)
        {
            return Ok(Config {
                jwt_secret: jwt_secret.clone(),
                file_key: file_key.clone(),
                seal_key: seal_key.clone(),
                database: Database::Url(url.clone()),
                settings: self,
            });
        }
        let made: SecretsFile = secrets_file::load_or_make(&self.data_dir)?;
        let database = match &self.database_url {
            Some(url) => Database::Url(url.clone()),
            None => Database::Embedded {
                superuser_password: made.superuser_password,
                authenticator_password: made.authenticator_password,
            },
        };
        Ok(Config {
            jwt_secret: jwt_secret.unwrap_or(made.jwt_secret),
            file_key: self.file_key.clone().unwrap_or(made.file_key),
            seal_key: self.seal_key.clone().unwrap_or(made.seal_key),
            database,
            settings: self,
        })
    }

    /// The URL under which clients reach a server that listens at `bound`.
    #[must_use]
    pub fn public_url(&self, bound: SocketAddr) -> BaseUrl {
        self.public_url.clone().unwrap_or_else(|| BaseUrl::of_address(bound))
    }

    /// The well-known keys open everything to everybody: only this machine may be able to use them.
    fn check_dev_keys(&self) -> Result<(), ConfigError> {
        if !self.dev_keys {
            return Ok(());
        }
        if !self.listen.ip().is_loopback() {
            return Err(ConfigError::Contradiction(format!(
                "--dev-keys are keys that everybody knows: they need a loopback address such as 127.0.0.1:54321, not {}",
                self.listen
            )));
        }
        if self.jwt_secret.is_some() || self.anon_key.is_some() || self.service_key.is_some() {
            return Err(ConfigError::Contradiction(
                "--dev-keys brings its own jwt_secret, anon_key and service_key: take away those that are set"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

struct Loader<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    file: BTreeMap<String, String>,
    file_path: PathBuf,
}

impl<'a> Loader<'a> {
    fn new(flags: &'a Flags, environment: &'a Environment) -> Loader<'a> {
        Loader {
            flags,
            environment,
            file: BTreeMap::new(),
            file_path: PathBuf::new(),
        }
    }

    fn default_data_dir(&self) -> Result<PathBuf, ConfigError> {
        if is_root() {
            return Ok(PathBuf::from("/var/lib/nexus-mint"));
        }
        let shared = self
            .environment
            .get("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = || {
            self.environment
                .get("HOME")
                .map(|home| Path::new(home).join(".local/share"))
        };
        Ok(shared.or_else(home).ok_or(ConfigError::NoHome)?.join("nexus-mint"))
    }

    fn read_file(&mut self, data_dir: &Path) -> Result<(), ConfigError> {
        let path = data_dir.join(FILE_NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ConfigError::Unreadable(path, error)),
        };
        let table: toml::Table = text
            .parse()
            .map_err(|error| ConfigError::NotToml(path.clone(), Box::new(error)))?;
        self.file_path = path;
        for (key, value) in table {
            let Some(spec) = SETTINGS.iter().find(|spec| spec.key == key && **spec != &DATA_DIR) else {
                let known: Vec<&str> = SETTINGS
                    .iter()
                    .map(|spec| spec.key)
                    .filter(|key| *key != "data_dir")
                    .collect();
                return Err(ConfigError::UnknownKey {
                    path: self.file_path.clone(),
                    key,
                    known: known.join(", "),
                });
            };
            let from = Source::File(self.file_path.clone());
            let text = parse::toml_text(&value).map_err(|expected| ConfigError::Invalid {
                key: spec.key,
                from,
                expected,
            })?;
            self.file.insert(key, text);
        }
        Ok(())
    }

    fn find(&self, spec: &Spec) -> (Source, Option<&str>) {
        if let (Some(flag), Some(text)) = (spec.flag, self.flags.values.get(spec.key)) {
            return (Source::Flag(flag), Some(text));
        }
        if let Some(text) = self.environment.get(spec.env) {
            return (Source::Environment(spec.env), Some(text));
        }
        match self.file.get(spec.key) {
            Some(text) => (Source::File(self.file_path.clone()), Some(text)),
            None => (Source::Default, None),
        }
    }

    fn get<T>(&self, spec: &'static Spec, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, ConfigError> {
        let (from, Some(text)) = self.find(spec) else {
            return Ok(None);
        };
        parse(text).map(Some).map_err(|expected| ConfigError::Invalid {
            key: spec.key,
            from,
            expected,
        })
    }

    fn in_force(&self, settings: &Settings) -> Vec<InForce> {
        let shown = |spec: &'static Spec, text: Option<&str>| match (spec.key, text) {
            ("data_dir", _) => settings.data_dir.display().to_string(),
            ("mail_autoconfirm", _) => settings.mail_autoconfirm.to_string(),
            ("mail_interval", _) => settings.logins.mail_interval.as_secs().to_string(),
            ("anonymous_sign_in", _) => settings.logins.anonymous.to_string(),
            ("manual_linking", _) => settings.logins.linking.to_string(),
            ("ethereum_sign_in", _) => settings.logins.ethereum.to_string(),
            ("password_score_min", _) => settings.logins.score_min.to_string(),
            (_, None) => spec.default.to_owned(),
            ("database_url", Some(_)) => settings
                .database_url
                .as_ref()
                .map(|url| url.shown())
                .unwrap_or_default(),
            (
                "jwt_secret"
                | "jwt_signing_keys"
                | "anon_key"
                | "service_key"
                | "file_key"
                | "file_keys_old"
                | "seal_key"
                | "smtp_url"
                | "sign_in_providers"
                | "storage_s3_access_key"
                | "storage_s3_secret_key",
                Some(_),
            ) => "[secret]".to_owned(),
            (_, Some(text)) => text.to_owned(),
        };
        let row = |spec: &&'static Spec| {
            let (from, text) = self.find(spec);
            InForce {
                spec,
                from,
                shown: shown(spec, text),
            }
        };
        SETTINGS.iter().map(row).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
