//! Which PostgreSQL the program works with: the server behind `DATABASE_URL`, or the private cluster in the data folder.
//!
//! Attaching blocks and spawns processes, so it comes before the async runtime. The private cluster's superuser only
//! makes the database and migrates; the program itself logs in as `authenticator`, as on Supabase.

use crate::{
    config::{Config, Database, DatabaseUrl, Secret},
    db::{ConnectError, Db, Login, sql},
    migrate::{self, MigrateError, Sources},
    postgres::{Cluster, ClusterError, ClusterOptions, Mode},
};

/// The database inside the private cluster.
pub const DATABASE_NAME: &str = "nexus_mint";

/// The role as which the program serves from the private cluster.
pub const RUNTIME_LOGIN: &str = "authenticator";

/// Any number, as long as nobody else uses it: who sets the password of [`RUNTIME_LOGIN`].
const PASSWORD_LOCK: i64 = 0x6e78_6d69_6e74_0002;

/// A PostgreSQL that runs, for as long as this value lives.
pub enum Postgres {
    /// Somebody else's.
    Url(Box<DatabaseUrl>),
    /// Ours.
    Embedded {
        /// Runs it, or is attached to the process that does.
        cluster: Box<Cluster>,
        /// Password of [`RUNTIME_LOGIN`].
        password: Secret,
    },
}

/// Whether to apply what is missing before use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Yes.
    Yes,
    /// Not on a server that somebody else runs. The private cluster is always brought up to date.
    OnlyEmbedded,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The private cluster does not run.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// Only the private cluster's database is dropped.
    #[error("the database behind DATABASE_URL is somebody's: drop it yourself, or name an empty one")]
    NotOurs,
    /// The private cluster's database could not be made.
    #[error("cannot prepare the database {DATABASE_NAME} in the private cluster")]
    Prepare(#[source] tokio_postgres::Error),
}

impl Postgres {
    /// Starts the private cluster or attaches to it; with `DATABASE_URL` there is nothing to do. Blocks: seconds when a
    /// cluster is made.
    ///
    /// # Errors
    /// When the cluster cannot run.
    pub fn attach(config: &Config, mode: Mode) -> Result<Postgres, ClusterError> {
        match &config.database {
            Database::Url(url) => Ok(Postgres::Url(url.clone())),
            Database::Embedded {
                superuser_password,
                authenticator_password,
            } => {
                let mut options = ClusterOptions::new(&config.settings.data_dir, superuser_password.expose());
                options.pg_bin.clone_from(&config.settings.pg_bin);
                options.mode = mode;
                let cluster = Box::new(Cluster::start(&options)?);
                Ok(Postgres::Embedded {
                    cluster,
                    password: authenticator_password.clone(),
                })
            }
        }
    }

    /// Whose it is and where, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Postgres::Url(url) => url.shown(),
            Postgres::Embedded { cluster, .. } => format!("embedded {}", cluster.binaries()),
        }
    }

    /// The login that may change the schema.
    #[must_use]
    pub fn admin(&self) -> Login {
        match self {
            Postgres::Url(url) => url.as_ref().into(),
            Postgres::Embedded { cluster, .. } => {
                let mut login = Login::local(&cluster.admin_config());
                login.pg.dbname(DATABASE_NAME);
                login
            }
        }
    }

    /// The login as which the program serves.
    #[must_use]
    pub fn runtime(&self) -> Login {
        match self {
            Postgres::Url(url) => url.as_ref().into(),
            Postgres::Embedded { cluster, password } => {
                let mut login = Login::local(&cluster.admin_config());
                login
                    .pg
                    .user(RUNTIME_LOGIN)
                    .password(password.expose())
                    .dbname(DATABASE_NAME);
                login
            }
        }
    }

    /// Makes the database where it is ours to make, and applies what is missing. Returns the files applied.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn migrate(&self) -> Result<Vec<&'static str>, AttachError> {
        if let Postgres::Embedded { cluster, .. } = self {
            make_database(&Login::local(&cluster.admin_config())).await?;
        }
        let mut admin = self.admin().connect().await?;
        let applied = migrate::run(&mut admin, &Sources::embedded()).await?;
        if let Postgres::Embedded { password, .. } = self
            && self.runtime().connect().await.is_err()
        {
            set_password(&admin, password).await.map_err(AttachError::Prepare)?;
        }
        Ok(applied)
    }

    /// Drops the private cluster's database with everything in it. Refused for a server that somebody else runs.
    ///
    /// # Errors
    /// [`AttachError::NotOurs`], or what the server answered.
    pub async fn drop_database(&self) -> Result<(), AttachError> {
        let Postgres::Embedded { cluster, .. } = self else {
            return Err(AttachError::NotOurs);
        };
        let superuser = Login::local(&cluster.admin_config()).connect().await?;
        let text = format!("drop database if exists {DATABASE_NAME} with (force)");
        superuser.batch_execute(&text).await.map_err(AttachError::Prepare)
    }

    /// Brings the database up to date where that is asked for, and opens the pools.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn open(&self, migrate: Migrate) -> Result<Db, AttachError> {
        match (self, migrate) {
            (Postgres::Embedded { .. }, _) | (Postgres::Url(_), Migrate::Yes) => {
                self.migrate().await?;
            }
            (Postgres::Url(_), Migrate::OnlyEmbedded) => {}
        }
        // Says why there is no connection before the pools only say that there is none.
        drop(self.runtime().connect().await?);
        let db = Db::new(&self.runtime())?;
        db.check_roles().await?;
        Ok(db)
    }

    /// Stops the private cluster if we run it. Blocks for a moment.
    ///
    /// # Errors
    /// When it did not stop in order.
    pub fn stop(self) -> Result<(), ClusterError> {
        match self {
            Postgres::Url(_) => Ok(()),
            Postgres::Embedded { cluster, .. } => cluster.stop(),
        }
    }
}

/// Two processes may get here at once: who comes second finds the database, or a row of the catalogue that is just
/// being written.
async fn make_database(superuser: &Login) -> Result<(), AttachError> {
    use tokio_postgres::error::SqlState;
    let client = superuser.connect().await?;
    let text = sql!("select from pg_catalog.pg_database where datname = $1");
    let found = client
        .query(text, &[&DATABASE_NAME])
        .await
        .map_err(AttachError::Prepare)?;
    if !found.is_empty() {
        return Ok(());
    }
    match client.batch_execute(&format!("create database {DATABASE_NAME}")).await {
        Err(error)
            if !matches!(
                error.code(),
                Some(&SqlState::DUPLICATE_DATABASE | &SqlState::UNIQUE_VIOLATION)
            ) =>
        {
            Err(AttachError::Prepare(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Passwords cannot be parameters of ALTER ROLE, so it is quoted here, and kept out of the server's log.
async fn set_password(admin: &tokio_postgres::Client, password: &Secret) -> Result<(), tokio_postgres::Error> {
    let quoted = password.expose().replace('\'', "''").replace('\\', "\\\\");
    let text = format!(
        "begin;
         set local log_statement = 'none';
         set local log_min_error_statement = 'panic';
         select pg_catalog.pg_advisory_xact_lock({PASSWORD_LOCK});
         alter role {RUNTIME_LOGIN} login password E'{quoted}';
         commit"
    );
    admin.batch_execute(&text).await
}
