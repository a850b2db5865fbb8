//! The only way in to PostgreSQL. Every statement of the program runs in a transaction that has a role.
//!
//! - One pool a role, because PostgreSQL plans a prepared statement again whenever the role differs. The role is a
//!   start-up option of the connection; of a request only its claims are set.
//! - A [`Tx`] that is dropped without [`Tx::commit`] is rolled back, whatever dropped it.
//! - A statement is a `sql!` literal: text that is made at run time comes from `pgrest` alone.
//!
//! Absent on purpose: a trait over the database. There is one, and tests use it.

pub mod login;
mod statement;
mod tls;
pub(crate) mod tx;

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};

use crate::auth::token::{ApiRole, Caller};
pub use login::{ConnectError, Login, SERVER_VERSION_MIN};
pub(crate) use statement::sql;
pub use statement::{RegisteredStatement, registered_statements};
pub use tx::{CommitError, Mode, OnConstraint, Tx};

/// A text as a pattern of `like` that stands for that text alone.
pub(crate) fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// How long a request may wait for a free connection: longer, and a busy server only collects requests that their
/// clients have given up.
pub(crate) const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);

/// A database role that the program acts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbRole {
    /// A visitor.
    Anon,
    /// A person.
    Authenticated,
    /// A person with a role in the company, whose policies are their own.
    Staff,
    /// Other programs, which policies do not hold back.
    Service,
    /// Commands: the only role that may move value.
    Engine,
    /// Logins and sessions.
    AuthAdmin,
}

impl DbRole {
    /// All of them, in the order of the pools.
    pub const ALL: [DbRole; 6] = [
        DbRole::Anon,
        DbRole::Authenticated,
        DbRole::Staff,
        DbRole::Service,
        DbRole::Engine,
        DbRole::AuthAdmin,
    ];

    /// Its name in PostgreSQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DbRole::Anon => "anon",
            DbRole::Authenticated => "authenticated",
            DbRole::Staff => "nexus_staff",
            DbRole::Service => "service_role",
            DbRole::Engine => "nexus_engine",
            DbRole::AuthAdmin => "supabase_auth_admin",
        }
    }

    /// Connections at most, and how long a statement may run (ms). Together they stay far below PostgreSQL's usual
    /// 100 connections, so that a second server fits beside this one. The visitors' and persons' times are Supabase's.
    pub(crate) fn limits(self) -> (usize, u32) {
        match self {
            DbRole::Anon => (8, 3_000),
            DbRole::Authenticated => (12, 8_000),
            DbRole::Staff => (4, 30_000),
            DbRole::Service | DbRole::Engine => (6, 30_000),
            DbRole::AuthAdmin => (4, 8_000),
        }
    }

    /// Start-up options of a connection of this role. A lock is not waited for longer than an ordinary statement may
    /// take; a transaction in which nothing happens belongs to a program that hangs.
    pub(crate) fn options(self) -> String {
        let (_, statement_timeout) = self.limits();
        let lock_timeout = statement_timeout.min(8_000);
        format!(
            "-c role={} -c statement_timeout={statement_timeout} -c lock_timeout={lock_timeout} \
             -c idle_in_transaction_session_timeout=30000",
            self.name()
        )
    }
}

impl From<ApiRole> for DbRole {
    fn from(role: ApiRole) -> DbRole {
        match role {
            ApiRole::Anon => DbRole::Anon,
            ApiRole::Authenticated => DbRole::Authenticated,
            ApiRole::Staff => DbRole::Staff,
            ApiRole::Service => DbRole::Service,
        }
    }
}

/// Whom the rows say that it was, when the program acts by itself or for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person, by the id of the login.
    Person(uuid::Uuid),
    /// A job or a command of the operator, by its name.
    Program(&'static str),
}

/// One pool at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// Whose.
    pub role: DbRole,
    /// Connections that somebody has.
    pub in_use: usize,
    /// Connections at most.
    pub size_max: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

/// The pools.
#[derive(Clone)]
pub struct Db {
    login: Login,
    pools: [Pool; DbRole::ALL.len()],
}

impl Db {
    /// Prepares the pools; connects to nothing yet.
    ///
    /// # Errors
    /// When the certificates that the login asks for cannot be read.
    pub fn new(login: &Login) -> Result<Db, ConnectError> {
        let tls = login.connector()?;
        let pool = |role: DbRole| {
            let mut pg = login.pg.clone();
            let options = format!("{} {}", pg.get_options().unwrap_or_default(), role.options());
            pg.options(options.trim_start())
                .application_name(format!("nexus-mint {}", role.name()));
            let recycling_method = RecyclingMethod::Fast;
            let manager = Manager::from_config(pg, tls.clone(), ManagerConfig { recycling_method });
            let wait = Some(WAIT_FOR_CONNECTION);
            Pool::builder(manager)
                .max_size(role.limits().0)
                .timeouts(Timeouts {
                    wait,
                    create: wait,
                    recycle: wait,
                })
                .runtime(Runtime::Tokio1)
                .build()
                .map_err(|error| ConnectError::Pool(error.to_string()))
        };
        let [anon, authenticated, staff, service, engine, auth] = DbRole::ALL.map(pool);
        Ok(Db {
            login: login.clone(),
            pools: [anon?, authenticated?, staff?, service?, engine?, auth?],
        })
    }

    /// Connects once as each role, so that a missing membership is found at the start and not by a client.
    ///
    /// # Errors
    /// The first role that cannot be had, with the reason.
    pub async fn check_roles(&self) -> Result<(), ConnectError> {
        for role in DbRole::ALL {
            self.begin(role, None)
                .await
                .map_err(|error| ConnectError::Role(role.name(), Box::new(error)))?;
        }
        Ok(())
    }

    /// Begins a transaction with the rights and the claims of somebody outside: policies decide.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn as_caller(&self, caller: &Caller) -> Result<Tx, DbError> {
        self.begin(caller.role().into(), Some(caller.claims())).await
    }

    /// Begins a transaction in which a command decides, for `actor`.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn as_engine(&self, actor: Actor) -> Result<Tx, DbError> {
        self.begin(DbRole::Engine, Some(&actor_claims(DbRole::Engine, actor)))
            .await
    }

    /// A transaction of the engine that has not begun: [`Tx::start`] does that, with [`Db::claims_of`], in one exchange
    /// with its first statements.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn engine_connection(&self) -> Result<Tx, DbError> {
        Ok(Tx::unbegun(self.pool(DbRole::Engine).get().await?))
    }

    /// The claims of a command of `actor`.
    #[must_use]
    pub fn claims_of(actor: Actor) -> String {
        actor_claims(DbRole::Engine, actor)
    }

    /// Begins a transaction in which a command only looks, at one instant.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn as_engine_snapshot(&self, actor: Actor) -> Result<Tx, DbError> {
        let claims = actor_claims(DbRole::Engine, actor);
        self.begin_in(DbRole::Engine, Some(&claims), Mode::Snapshot).await
    }

    /// Begins a transaction of the service, which no policy holds back, for `actor`.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn as_service(&self, actor: Actor) -> Result<Tx, DbError> {
        self.begin(DbRole::Service, Some(&actor_claims(DbRole::Service, actor)))
            .await
    }

    /// Begins a transaction over logins and sessions.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn as_auth(&self) -> Result<Tx, DbError> {
        self.begin(DbRole::AuthAdmin, None).await
    }

    /// How the pools connect.
    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// What the pools of this process have at work now.
    #[must_use]
    pub fn in_use(&self) -> Vec<InUse> {
        let look = |role: DbRole| {
            let status = self.pool(role).status();
            InUse {
                role,
                in_use: status.size.saturating_sub(status.available),
                size_max: status.max_size,
                waiting: status.waiting,
            }
        };
        DbRole::ALL.into_iter().map(look).collect()
    }

    /// Closes all connections; those in use close when they come back.
    pub fn close(&self) {
        self.pools.iter().for_each(Pool::close);
    }

    async fn begin(&self, role: DbRole, claims: Option<&str>) -> Result<Tx, DbError> {
        self.begin_in(role, claims, Mode::Ordinary).await
    }

    async fn begin_in(&self, role: DbRole, claims: Option<&str>, mode: Mode) -> Result<Tx, DbError> {
        Ok(Tx::begin(self.pool(role).get().await?, claims, mode).await?)
    }

    fn pool(&self, role: DbRole) -> &Pool {
        let [anon, authenticated, staff, service, engine, auth] = &self.pools;
        match role {
            DbRole::Anon => anon,
            DbRole::Authenticated => authenticated,
            DbRole::Staff => staff,
            DbRole::Service => service,
            DbRole::Engine => engine,
            DbRole::AuthAdmin => auth,
        }
    }
}

/// Why there is no transaction.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection was to be had in time, or the server refused it.
    #[error("no database connection")]
    Connection(#[from] PoolError),
    /// The server answered the beginning of the transaction with an error.
    #[error("the transaction could not begin")]
    Begin(#[from] tokio_postgres::Error),
}

fn actor_claims(role: DbRole, actor: Actor) -> String {
    match actor {
        Actor::Person(id) => serde_json::json!({ "role": role.name(), "sub": id }),
        Actor::Program(name) => serde_json::json!({ "role": role.name(), "actor": name }),
    }
    .to_string()
}
