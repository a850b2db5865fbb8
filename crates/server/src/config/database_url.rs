//! `DATABASE_URL`: a PostgreSQL address, with libpq's meaning of `sslmode` and `sslrootcert`.
//!
//! The driver knows `disable`, `prefer` and `require`; what `verify-ca` and `verify-full` mean is decided here and
//! done in `db/tls.rs`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_postgres::config::SslMode;

use super::Environment;

/// How long one attempt to reach the server may take when the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where PostgreSQL has its sockets unless it is told otherwise: on Debian and others, and by itself.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// A parsed `DATABASE_URL`. Its `Debug` hides the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// Where to connect, and as whom.
    pub pg: tokio_postgres::Config,
    /// Whether and how the connection is encrypted.
    pub tls: TlsMode,
}

/// libpq's `sslmode`, without `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server can; who it is is not checked.
    Prefer,
    /// Always encrypted; who it is is not checked.
    Require,
    /// The certificate must come from a trusted authority.
    VerifyCa(Roots),
    /// The certificate must come from a trusted authority and name this host.
    VerifyFull(Roots),
}

/// The authorities to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

impl DatabaseUrl {
    /// Reads a URL. The error says what is expected and never repeats the URL, which holds a password.
    ///
    /// # Errors
    /// A sentence that completes "expected ...".
    pub fn parse(text: &str) -> Result<DatabaseUrl, String> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("a URL such as postgres://user:password@host:5432/database".to_owned());
        }
        let (mut pg, tls) = of_url(text, (None, None))?;
        if pg.get_hosts().is_empty() {
            return Err("a URL with a host, or ?host=/folder/of/the/socket".to_owned());
        }
        finish(&mut pg, &tls);
        Ok(DatabaseUrl { pg, tls })
    }

    /// Reads what libpq would: a URL or `name=value` pairs, and `PGHOST` and its like for what they leave out.
    ///
    /// # Errors
    /// A sentence that completes "expected ...".
    pub(super) fn as_libpq(text: &str, environment: &Environment) -> Result<DatabaseUrl, String> {
        let usual = (
            environment.get("PGSSLMODE").map(str::to_owned),
            environment.get("PGSSLROOTCERT").map(str::to_owned),
        );
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let (mut pg, tls) = if is_url {
            of_url(text, usual)
        } else {
            of_pairs(text, usual)
        }?;
        fill(&mut pg, environment)?;
        finish(&mut pg, &tls);
        Ok(DatabaseUrl { pg, tls })
    }

    /// Where this leads, without the password: `user@host:port/database`.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.pg)
    }
}

/// `sslmode` and `sslrootcert`.
type Tls = (Option<String>, Option<String>);

fn of_url(text: &str, usual: Tls) -> Result<(tokio_postgres::Config, TlsMode), String> {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let mut kept = Vec::new();
    let (mut mode, mut roots) = usual;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => roots = Some(percent_decoded(value)?),
            Some(_) | None => kept.push(pair),
        }
    }
    let pg = driver(&format!("{address}?{}", kept.join("&")), "a PostgreSQL URL")?;
    Ok((pg, tls_mode(mode.as_deref(), roots)?))
}

fn of_pairs(text: &str, usual: Tls) -> Result<(tokio_postgres::Config, TlsMode), String> {
    let expected = || "a PostgreSQL URL, or name=value pairs".to_owned();
    let (mut mode, mut roots) = usual;
    let mut kept = String::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(expected)?;
        let (value, after) = value(after.trim_start()).ok_or_else(expected)?;
        match name.trim_end() {
            "sslmode" => mode = Some(value),
            "sslrootcert" => roots = Some(value),
            name => {
                let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
                kept.push_str(&format!("{name}='{escaped}' "));
            }
        }
        rest = after.trim_start();
    }
    Ok((driver(&kept, &expected())?, tls_mode(mode.as_deref(), roots)?))
}

/// A value as libpq has it: to the next white space, or in quotes; a backslash before what stands for itself.
fn value(text: &str) -> Option<(String, &str)> {
    let (text, is_quoted) = text.strip_prefix('\'').map_or((text, false), |inside| (inside, true));
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            '\'' if is_quoted => return Some((value, text.get(at + 1..)?)),
            letter if letter.is_whitespace() && !is_quoted => return Some((value, text.get(at..)?)),
            letter => value.push(letter),
        }
    }
    (!is_quoted).then_some((value, ""))
}

fn driver(text: &str, expected: &str) -> Result<tokio_postgres::Config, String> {
    text.parse().map_err(|error: tokio_postgres::Error| {
        let reason = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        format!("{expected} ({reason})")
    })
}

/// What was left out is taken from libpq's variables, and else the host is the usual folder of sockets.
fn fill(pg: &mut tokio_postgres::Config, environment: &Environment) -> Result<(), String> {
    if pg.get_hosts().is_empty() {
        let usual = SOCKET_FOLDERS.into_iter().find(|folder| Path::new(folder).exists());
        let hosts = environment.get("PGHOST").or(usual).unwrap_or("localhost");
        for host in hosts.split(',') {
            pg.host(host);
        }
    }
    if let (true, Some(port)) = (pg.get_ports().is_empty(), environment.get("PGPORT")) {
        pg.port(port.parse().map_err(|_| "PGPORT to be a port".to_owned())?);
    }
    if let (None, Some(user)) = (pg.get_user(), environment.get("PGUSER")) {
        pg.user(user);
    }
    if let (None, Some(password)) = (pg.get_password(), environment.get("PGPASSWORD")) {
        pg.password(password);
    }
    if let (None, Some(name)) = (pg.get_dbname(), environment.get("PGDATABASE")) {
        pg.dbname(name);
    }
    Ok(())
}

fn finish(pg: &mut tokio_postgres::Config, tls: &TlsMode) {
    pg.ssl_mode(match tls {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa(_) | TlsMode::VerifyFull(_) => SslMode::Require,
    });
    if pg.get_connect_timeout().is_none() {
        pg.connect_timeout(CONNECT_TIMEOUT);
    }
}

/// Where a connection leads, without its password.
#[must_use]
pub fn shown(pg: &tokio_postgres::Config) -> String {
    use tokio_postgres::config::Host;
    let hosts: Vec<String> = pg
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| match host {
            Host::Tcp(name) => {
                let port = pg
                    .get_ports()
                    .get(at)
                    .or(pg.get_ports().first())
                    .copied()
                    .unwrap_or(5432);
                format!("{name}:{port}")
            }
            Host::Unix(folder) => folder.display().to_string(),
        })
        .collect();
    let user = pg.get_user().unwrap_or("(you)");
    format!("{user}@{}/{}", hosts.join(","), pg.get_dbname().unwrap_or(user))
}

/// libpq: `require` with a root certificate is `verify-ca`; `sslrootcert=system` means the system's authorities.
fn tls_mode(mode: Option<&str>, roots: Option<String>) -> Result<TlsMode, String> {
    let roots = roots.map(|path| {
        if path == "system" {
            Roots::System
        } else {
            Roots::File(path.into())
        }
    });
    match (mode.unwrap_or("prefer"), roots) {
        ("disable", _) => Ok(TlsMode::Disable),
        ("prefer", _) => Ok(TlsMode::Prefer),
        ("require", None) => Ok(TlsMode::Require),
        ("require" | "verify-ca", Some(roots)) => Ok(TlsMode::VerifyCa(roots)),
        ("verify-ca", None) => Ok(TlsMode::VerifyCa(Roots::System)),
        ("verify-full", roots) => Ok(TlsMode::VerifyFull(roots.unwrap_or(Roots::System))),
        (other, _) => Err(format!(
            "sslmode to be disable, prefer, require, verify-ca or verify-full, and not {other:?}"
        )),
    }
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let wrong = || "sslrootcert to be a percent-encoded path".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .ok_or_else(wrong)
        };
        let code = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(code).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(query: &str) -> Result<TlsMode, String> {
        DatabaseUrl::parse(&format!("postgres://me:pw@db.example/mint{query}")).map(|url| url.tls)
    }

    #[test]
    fn sslmode_means_what_libpq_says() {
        let file = || Roots::File("/etc/my ca.pem".into());
        assert_eq!(mode_of(""), Ok(TlsMode::Prefer));
        assert_eq!(mode_of("?sslmode=disable"), Ok(TlsMode::Disable));
        assert_eq!(mode_of("?sslmode=require"), Ok(TlsMode::Require));
        assert_eq!(
            mode_of("?sslmode=require&sslrootcert=%2Fetc%2Fmy%20ca.pem"),
            Ok(TlsMode::VerifyCa(file()))
        );
        assert_eq!(
            mode_of("?sslrootcert=/etc/my%20ca.pem&sslmode=verify-ca"),
            Ok(TlsMode::VerifyCa(file()))
        );
        assert_eq!(mode_of("?sslmode=verify-full"), Ok(TlsMode::VerifyFull(Roots::System)));
        assert_eq!(
            mode_of("?sslmode=verify-full&sslrootcert=system"),
            Ok(TlsMode::VerifyFull(Roots::System))
        );
        assert!(mode_of("?sslmode=allow").unwrap_err().contains("verify-full"));
        assert!(mode_of("?sslmode=verify-ca&sslrootcert=%zz").is_err());
    }

    #[test]
    fn the_rest_of_the_url_reaches_the_driver() {
        let url = DatabaseUrl::parse("postgresql://me:pw@h1:6000/mint?sslmode=require&application_name=x").unwrap();
        assert_eq!(url.pg.get_application_name(), Some("x"));
        assert_eq!(url.pg.get_ssl_mode(), SslMode::Require);
        assert_eq!(url.shown(), "me@h1:6000/mint");
        assert!(!format!("{url:?}").contains("pw"));
    }

    #[test]
    fn pairs_and_variables_are_read_as_libpq_reads_them() {
        let environment = Environment::of([
            ("PGHOST", "h1,h2"),
            ("PGPORT", "6000"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "pw"),
            ("PGDATABASE", "mint"),
            ("PGSSLMODE", "require"),
        ]);
        let read = |text: &str| DatabaseUrl::as_libpq(text, &environment).map(|url| (url.shown(), url.tls));
        let variables = ("me@h1:6000,h2:6000/mint".to_owned(), TlsMode::Require);
        for text in ["postgresql://", "postgres://", ""] {
            assert_eq!(read(text), Ok(variables.clone()), "{text:?}");
        }
        assert_eq!(
            read(r"host = db  user='o\'brien' dbname=a\ b sslmode=disable port=5432"),
            Ok(("o'brien@db:5432/a b".to_owned(), TlsMode::Disable))
        );
        assert_eq!(
            read("postgresql://you@db/x?sslmode=disable"),
            Ok(("you@db:5432/x".to_owned(), TlsMode::Disable))
        );
        for wrong in ["mysql://me:pw@h/d", "host", "user='pw", "pw=1"] {
            assert!(!read(wrong).unwrap_err().contains("'pw"), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for text in [
            "host=x user=y",
            "postgres://me:pw@/mint",
            "postgres://me:pw@h/d?sslcert=x",
            "mysql://me:pw@h/d",
        ] {
            let error = DatabaseUrl::parse(text).unwrap_err();
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
