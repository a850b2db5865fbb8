//! One connection outside the pools: how migrations, `doctor` and the pools themselves reach the server.

use std::error::Error;

use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::config::{
    DatabaseUrl,
    database_url::{TlsMode, shown},
};

/// The oldest PostgreSQL that has what the schema uses, as `server_version_num` counts.
pub const SERVER_VERSION_MIN: u32 = 150_000;

/// Where to connect, as whom, and how encrypted.
#[derive(Debug, Clone)]
pub struct Login {
    /// The driver's settings.
    pub pg: tokio_postgres::Config,
    /// Whether and how the connection is encrypted.
    pub tls: TlsMode,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server did not answer or did not let us in.
    #[error("cannot connect to PostgreSQL as {to}; check DATABASE_URL and that the server runs")]
    Refused {
        /// `user@host:port/database`.
        to: String,
        /// The reason.
        source: tokio_postgres::Error,
    },
    /// The server is too old.
    #[error("PostgreSQL {found} at {to} is too old: 15 or later is needed")]
    TooOld {
        /// `user@host:port/database`.
        to: String,
        /// The version found.
        found: String,
    },
    /// The certificates to trust cannot be used.
    #[error("the certificates to trust cannot be used")]
    Certificates(#[source] Box<dyn Error + Send + Sync>),
    /// The login may not act as a role.
    #[error("the database login cannot act as {0}; `nexus-mint doctor` says what is missing and how to mend it")]
    Role(&'static str, #[source] Box<super::DbError>),
    /// The pool was built wrongly.
    #[error("{0}")]
    Pool(String),
}

impl Login {
    /// A login over a socket: nothing to encrypt.
    #[must_use]
    pub fn local(pg: &tokio_postgres::Config) -> Login {
        Login {
            pg: pg.clone(),
            tls: TlsMode::Disable,
        }
    }

    /// `user@host:port/database`.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.pg)
    }

    /// Connects, and refuses a server that is too old.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self) -> Result<tokio_postgres::Client, ConnectError> {
        let refused = |source| ConnectError::Refused {
            to: self.shown(),
            source,
        };
        let mut pg = self.pg.clone();
        if pg.get_application_name().is_none() {
            pg.application_name("nexus-mint");
        }
        let (client, connection) = pg.connect(self.connector()?).await.map_err(refused)?;
        let found = connection.parameter("server_version").unwrap_or("unknown").to_owned();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        let major = found
            .split(|letter: char| !letter.is_ascii_digit())
            .next()
            .and_then(|major| major.parse().ok());
        match major {
            Some(major) if u32::saturating_mul(major, 10_000) < SERVER_VERSION_MIN => Err(ConnectError::TooOld {
                to: self.shown(),
                found,
            }),
            Some(_) | None => Ok(client),
        }
    }

    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, ConnectError> {
        tls::connector(&self.tls).map_err(ConnectError::Certificates)
    }
}

impl From<&DatabaseUrl> for Login {
    fn from(url: &DatabaseUrl) -> Login {
        Login {
            pg: url.pg.clone(),
            tls: url.tls.clone(),
        }
    }
}
