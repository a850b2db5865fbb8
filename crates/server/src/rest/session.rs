//! Connections that are one role from their first byte, kept for the next request of that role.
//!
//! They are apart from the pools of [`crate::db`], because statements are made at run time here: each connection keeps
//! those it used last prepared, and everything of a request is sent at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Client, Error, Statement};

use crate::db::{ConnectError, Login, sql};

/// Statements that stay prepared on a connection: a page of an application has a few dozen, and each costs PostgreSQL
/// some 10 - 100 KiB.
const STATEMENTS_MAX: usize = 256;

/// How long a connection attempt may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How many roles' connections are kept at most. Roles come from verified tokens, so there are as many as the
/// database has.
const ROLES_MAX: usize = 1000;

/// What sessions need to know.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of all roles together.
    pub connections_max: usize,
    /// How long a request may wait for one.
    pub wait: Duration,
}

/// The sessions of all roles.
pub struct Sessions {
    login: Login,
    limits: Limits,
    /// Start-up options of a role's connections.
    options: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Connections of one role at most.
    share: Box<dyn Fn(&str) -> usize + Send + Sync>,
    /// Settings that the database has for each role.
    role_settings: Mutex<HashMap<String, Vec<(String, String)>>>,
    all: Arc<Semaphore>,
    roles: Mutex<HashMap<String, Role>>,
    live: Arc<AtomicUsize>,
}

struct Role {
    free: Arc<Semaphore>,
    idle: Vec<Session>,
}

/// One connection.
pub struct Session {
    /// The driver's handle.
    pub client: Client,
    statements: HashMap<String, (Statement, u64)>,
    ticks: u64,
    /// Sets what every request sets.
    pub claims: Statement,
    live: Arc<AtomicUsize>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session that goes back to the others when it is given back, and to nobody when it is dropped.
pub struct Borrowed {
    /// The session.
    pub session: Session,
    role: String,
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum NoSession {
    /// None was free in time.
    #[error("no database connection was free in time")]
    Busy,
    /// PostgreSQL did not let us in, or not as this role.
    #[error("PostgreSQL did not let us in")]
    Refused(#[from] Error),
    /// The certificates cannot be read.
    #[error(transparent)]
    Certificates(ConnectError),
}

impl Sessions {
    /// Sessions by `login`, none yet.
    pub fn new(
        login: Login,
        limits: Limits,
        options: impl Fn(&str) -> String + Send + Sync + 'static,
        share: impl Fn(&str) -> usize + Send + Sync + 'static,
    ) -> Sessions {
        Sessions {
            all: Arc::new(Semaphore::new(limits.connections_max)),
            login,
            limits,
            options: Box::new(options),
            share: Box::new(share),
            role_settings: Mutex::default(),
            roles: Mutex::default(),
            live: Arc::default(),
        }
    }

    /// What the database says each role's connections have set. Those that are open are closed when it changed.
    pub fn set_role_settings(&self, settings: HashMap<String, Vec<(String, String)>>) {
        let mut known = lock(&self.role_settings);
        if *known != settings {
            *known = settings;
            drop(known);
            self.close();
        }
    }

    /// A session of a role.
    ///
    /// # Errors
    /// See [`NoSession`].
    pub async fn borrow(&self, role: &str) -> Result<Borrowed, NoSession> {
        let wait = self.limits.wait;
        let free = self.role(role);
        let permits = tokio::time::timeout(wait, async {
            let of_role = free.acquire_owned().await.map_err(|_| NoSession::Busy)?;
            let of_all = self.all.clone().acquire_owned().await.map_err(|_| NoSession::Busy)?;
            Ok::<_, NoSession>((of_role, of_all))
        });
        let permits = permits.await.map_err(|_| NoSession::Busy)??;
        let session = match self.idle(role) {
            Some(session) => session,
            None => self.connect(role).await?,
        };
        Ok(Borrowed {
            session,
            role: role.to_owned(),
            permits,
        })
    }

    /// Takes a session back whose transaction has ended.
    pub fn give_back(&self, borrowed: Borrowed) {
        let Borrowed { session, role, permits } = borrowed;
        if !session.client.is_closed()
            && let Some(role) = lock(&self.roles).get_mut(&role)
        {
            role.idle.push(session);
        }
        drop(permits);
    }

    /// Closes every session that nobody uses.
    pub fn close(&self) {
        lock(&self.roles).values_mut().for_each(|role| role.idle.clear());
    }

    fn role(&self, role: &str) -> Arc<Semaphore> {
        let mut roles = lock(&self.roles);
        if roles.len() >= ROLES_MAX && !roles.contains_key(role) {
            roles.retain(|_, role| !role.idle.is_empty());
        }
        let role = roles.entry(role.to_owned()).or_insert_with_key(|name| Role {
            free: Arc::new(Semaphore::new((self.share)(name).min(self.limits.connections_max))),
            idle: Vec::new(),
        });
        role.free.clone()
    }

    fn idle(&self, role: &str) -> Option<Session> {
        let mut roles = lock(&self.roles);
        let idle = &mut roles.get_mut(role)?.idle;
        while let Some(session) = idle.pop() {
            if !session.client.is_closed() {
                return Some(session);
            }
        }
        None
    }

    async fn connect(&self, role: &str) -> Result<Session, NoSession> {
        if self.live.load(Ordering::Relaxed) >= self.limits.connections_max {
            // Another role's idle connection makes room.
            let spare = lock(&self.roles).values_mut().find_map(|role| role.idle.pop());
            drop(spare);
        }
        let mut pg = self.login.pg.clone();
        let options = format!("{} {}", pg.get_options().unwrap_or_default(), (self.options)(role));
        pg.options(options.trim_start()).connect_timeout(CONNECT_MAX);
        let tls = self.login.connector().map_err(NoSession::Certificates)?;
        let (client, connection) = pg.connect(tls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        let settings = lock(&self.role_settings).get(role).cloned().unwrap_or_default();
        for (name, value) in settings {
            let set = sql!("select pg_catalog.set_config($1, $2, false)");
            client.execute(set, &[&name, &value]).await?;
        }
        let claims = client
            .prepare(sql!(
                "select pg_catalog.set_config('search_path', $1, true),
                        pg_catalog.set_config('request.jwt.claims', $2, true),
                        pg_catalog.set_config('request.method', $3, true),
                        pg_catalog.set_config('request.path', $4, true),
                        pg_catalog.set_config('request.headers', $5, true),
                        pg_catalog.set_config('request.cookies', $6, true)"
            ))
            .await?;
        self.live.fetch_add(1, Ordering::Relaxed);
        Ok(Session {
            client,
            statements: HashMap::new(),
            ticks: 0,
            claims,
            live: self.live.clone(),
        })
    }
}

impl Session {
    /// A statement that is prepared already.
    pub fn prepared(&mut self, text: &str) -> Option<Statement> {
        self.ticks += 1;
        let (statement, used) = self.statements.get_mut(text)?;
        *used = self.ticks;
        Some(statement.clone())
    }

    /// Keeps a statement prepared; the one that was not used for longest makes room.
    pub fn keep(&mut self, text: &str, statement: &Statement) {
        if self.statements.len() >= STATEMENTS_MAX {
            let oldest = self
                .statements
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(text, _)| text.clone());
            if let Some(oldest) = oldest {
                self.statements.remove(&oldest);
            }
        }
        self.statements.insert(text.to_owned(), (statement.clone(), self.ticks));
    }

    /// Forgets a statement, so that it is prepared again.
    pub fn forget(&mut self, text: &str) {
        self.statements.remove(text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while it was held leaves at worst a connection too few.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
