//! `DATABASE_URL`: a PostgreSQL address, with libpq's meaning of `sslmode` and `sslrootcert`.
//!
//! The driver knows `disable`, `prefer` and `require`; what `verify-ca` and `verify-full` mean is decided here and
//! done in `db/tls.rs`.

use std::{path::PathBuf, time::Duration};

use tokio_postgres::config::SslMode;

/// How long one attempt to reach the server may take when the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut kept = Vec::new();
        let (mut mode, mut roots) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(percent_decoded(value)?),
                Some(_) | None => kept.push(pair),
            }
        }
        let tls = tls_mode(mode, roots)?;
        let mut pg: tokio_postgres::Config =
            format!("{address}?{}", kept.join("&"))
                .parse()
                .map_err(|error: tokio_postgres::Error| {
                    let reason = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
                    format!("a PostgreSQL URL ({reason})")
                })?;
        if pg.get_hosts().is_empty() {
            return Err("a URL with a host, or ?host=/folder/of/the/socket".to_owned());
        }
        pg.ssl_mode(match tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa(_) | TlsMode::VerifyFull(_) => SslMode::Require,
        });
        if pg.get_connect_timeout().is_none() {
            pg.connect_timeout(CONNECT_TIMEOUT);
        }
        Ok(DatabaseUrl { pg, tls })
    }

    /// Where this leads, without the password: `user@host:port/database`.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.pg)
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
