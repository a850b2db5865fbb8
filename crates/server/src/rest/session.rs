//! Connections that are one role from their first byte, kept for the next request of that role.
//!
//! They are apart from the pools of [`crate::db`], because statements are made at run time here: each connection keeps
//! those it used last prepared, and everything of a request is sent at once.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_postgres::Error;

use super::wire::{self, Heard, Row, Wire, WireError};
use crate::db::{ConnectError, Login, sql};

/// Statements that stay prepared on a connection: a page of an application has a few dozen, and each costs PostgreSQL
/// some 10 - 100 KiB.
const STATEMENTS_MAX: usize = 256;

/// How long a connection attempt may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a statement whose client went away may still take before its connection is given up.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// How many roles' connections are kept at most. Roles come from verified tokens, so there are as many as the
/// database has.
const ROLES_MAX: usize = 1000;

/// The statement that sets what every request sets.
pub(super) const CLAIMS: &str = "claims";

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
    roles: Mutex<HashMap<Arc<str>, Arc<Role>>>,
    live: Arc<AtomicUsize>,
    waiting: AtomicUsize,
    timeouts: AtomicUsize,
}

/// How much of the connections is in use.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections of all roles at most.
    pub connections_max: usize,
    /// How many more requests could be served right away, if their roles may.
    pub available: usize,
    /// Requests that wait for one.
    pub waiting: usize,
    /// Requests that waited in vain, so far.
    pub timeouts: usize,
}

/// Counts one who waits, whether or not he stays to the end.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Waiting<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Role {
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
}

/// One connection.
pub struct Session {
    /// The connection itself.
    pub wire: Wire,
    statements: HashMap<String, Kept>,
    /// Statements that PostgreSQL has and nobody needs any more.
    unneeded: Vec<String>,
    ticks: u64,
    live: Arc<AtomicUsize>,
}

struct Kept {
    name: String,
    used: u64,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session that goes back to the others when it is dropped. One that was left in the midst of a statement goes back when
/// that has ended: a client that goes away costs no connection.
pub struct Borrowed {
    session: Option<Session>,
    role: Arc<Role>,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Borrowed {
    /// The session.
    ///
    /// # Errors
    /// Never, while it is borrowed.
    pub fn session(&mut self) -> Result<&mut Session, WireError> {
        let gone = || WireError::Lost(io::ErrorKind::NotConnected.into());
        self.session.as_mut().ok_or_else(gone)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let (Some(mut session), Some(permits)) = (self.session.take(), self.permits.take()) else {
            return;
        };
        if session.wire.is_settled() {
            self.role.take_back(session);
            return;
        }
        let (Ok(runtime), false) = (Handle::try_current(), session.wire.is_lost()) else {
            return;
        };
        let role = self.role.clone();
        runtime.spawn(async move {
            let settled = tokio::time::timeout(SETTLE_MAX, session.wire.settle()).await;
            if let Ok(Ok(())) = settled {
                role.take_back(session);
            }
            drop(permits);
        });
    }
}

impl Role {
    fn take_back(&self, session: Session) {
        lock(&self.idle).push(session);
    }
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
    /// PostgreSQL could not be reached.
    #[error("PostgreSQL cannot be reached")]
    Unreachable(#[source] io::Error),
    /// PostgreSQL let us in, but refused what every connection begins with.
    #[error("a connection could not begin")]
    Begin(#[from] WireError),
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
            waiting: AtomicUsize::default(),
            timeouts: AtomicUsize::default(),
        }
    }

    /// How much is in use now.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            connections_max: self.limits.connections_max,
            available: self.all.available_permits(),
            waiting: self.waiting.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
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
    pub async fn borrow(&self, name: &str) -> Result<Borrowed, NoSession> {
        let role = self.role(name);
        let permits = match (
            role.free.clone().try_acquire_owned(),
            self.all.clone().try_acquire_owned(),
        ) {
            (Ok(of_role), Ok(of_all)) => (of_role, of_all),
            (of_role, _) => self.wait(&role, of_role.ok()).await?,
        };
        let mut borrowed = Borrowed {
            session: None,
            role,
            permits: Some(permits),
        };
        while let Some(mut session) = borrowed.role.idle() {
            if session.wire.is_alive().await {
                borrowed.session = Some(session);
                return Ok(borrowed);
            }
        }
        borrowed.session = Some(self.connect(name).await?);
        Ok(borrowed)
    }

    async fn wait(
        &self,
        role: &Role,
        of_role: Option<OwnedSemaphorePermit>,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), NoSession> {
        let _waiting = Waiting::begin(&self.waiting);
        let permits = tokio::time::timeout(self.limits.wait, async {
            let of_role = match of_role {
                Some(permit) => permit,
                None => role.free.clone().acquire_owned().await.map_err(|_| NoSession::Busy)?,
            };
            let of_all = self.all.clone().acquire_owned().await.map_err(|_| NoSession::Busy)?;
            Ok((of_role, of_all))
        });
        permits.await.map_err(|_| {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
            NoSession::Busy
        })?
    }

    /// Closes every session that nobody uses.
    pub fn close(&self) {
        lock(&self.roles).values().for_each(|role| lock(&role.idle).clear());
    }

    fn role(&self, name: &str) -> Arc<Role> {
        let mut roles = lock(&self.roles);
        if let Some(role) = roles.get(name) {
            return role.clone();
        }
        if roles.len() >= ROLES_MAX {
            roles.retain(|_, role| !lock(&role.idle).is_empty());
        }
        let role = Arc::new(Role {
            free: Arc::new(Semaphore::new((self.share)(name).min(self.limits.connections_max))),
            idle: Mutex::default(),
        });
        roles.insert(Arc::from(name), role.clone());
        role
    }

    async fn connect(&self, role: &str) -> Result<Session, NoSession> {
        if self.live.load(Ordering::Relaxed) >= self.limits.connections_max {
            // Another role's idle connection makes room.
            let spare = lock(&self.roles).values().find_map(|role| role.idle());
            drop(spare);
        }
        let mut pg = self.login.pg.clone();
        let options = format!("{} {}", pg.get_options().unwrap_or_default(), (self.options)(role));
        pg.options(options.trim_start());
        if pg.get_application_name().is_none() {
            pg.application_name("nexus-mint rest");
        }
        let tls = self.login.connector().map_err(NoSession::Certificates)?;
        let wire = wire::connect(&pg, &tls, CONNECT_MAX).await?;
        self.live.fetch_add(1, Ordering::Relaxed);
        let mut session = Session {
            wire,
            statements: HashMap::new(),
            unneeded: Vec::new(),
            ticks: 0,
            live: self.live.clone(),
        };
        let settings = lock(&self.role_settings).get(role).cloned().unwrap_or_default();
        session.begin(&settings).await?;
        Ok(session)
    }
}

impl Role {
    fn idle(&self) -> Option<Session> {
        lock(&self.idle).pop()
    }
}

impl Session {
    async fn begin(&mut self, settings: &[(String, String)]) -> Result<(), WireError> {
        let wire = &mut self.wire;
        for (name, value) in settings {
            wire.parse("", sql!("select pg_catalog.set_config($1::text, $2::text, false)"))?;
            wire.run("", [Some(name.as_str()), Some(value.as_str())])?;
        }
        wire.parse(
            CLAIMS,
            sql!(
                "select pg_catalog.set_config('search_path', $1::text, true),
                        pg_catalog.set_config('request.jwt.claims', $2::text, true),
                        pg_catalog.set_config('request.method', $3::text, true),
                        pg_catalog.set_config('request.path', $4::text, true),
                        pg_catalog.set_config('request.headers', $5::text, true),
                        pg_catalog.set_config('request.cookies', $6::text, true),
                        pg_catalog.set_config('transaction_read_only', $7::text, true)"
            ),
        )?;
        wire.sync();
        wire.send().await?;
        while !matches!(wire.hear().await?, Heard::Ready) {}
        Ok(())
    }

    /// The rows of a statement that is run once, in a transaction of its own.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn rows(&mut self, text: &'static str, values: &[&str]) -> Result<Vec<Row>, WireError> {
        self.rows_of(text, values).await
    }

    /// The same of a statement that `pgrest` made.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn rows_of(&mut self, text: &str, values: &[&str]) -> Result<Vec<Row>, WireError> {
        self.wire.parse("", text)?;
        self.wire.run("", values.iter().map(|value| Some(*value)))?;
        self.wire.sync();
        self.wire.send().await?;
        let mut rows = Vec::new();
        loop {
            match self.wire.hear().await {
                Ok(Heard::Row(row)) => rows.push(row),
                Ok(Heard::Done) => {}
                Ok(Heard::Ready) => return Ok(rows),
                Err(error) => {
                    self.wire.settle().await?;
                    return Err(error);
                }
            }
        }
    }

    /// The name of a statement that is prepared already.
    pub fn prepared(&mut self, text: &str) -> Option<&str> {
        self.ticks += 1;
        let kept = self.statements.get_mut(text)?;
        kept.used = self.ticks;
        Some(&kept.name)
    }

    /// A name for a statement that is about to be prepared.
    pub fn new_name(&mut self) -> String {
        self.ticks += 1;
        format!("s{}", self.ticks)
    }

    /// Keeps a statement that was prepared under a name; the one that was not used for longest makes room.
    pub fn keep(&mut self, text: &str, name: String) {
        if self.statements.len() >= STATEMENTS_MAX {
            let oldest = self.statements.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(text, _)| text.clone()) {
                self.forget(&oldest);
            }
        }
        let used = self.ticks;
        self.statements.insert(text.to_owned(), Kept { name, used });
    }

    /// Forgets a statement, so that it is prepared again.
    pub fn forget(&mut self, text: &str) {
        if let Some(kept) = self.statements.remove(text) {
            self.unneeded.push(kept.name);
        }
    }

    /// PostgreSQL may forget a name, whether or not it came to know it.
    pub fn let_go(&mut self, name: String) {
        self.unneeded.push(name);
    }

    /// Writes what PostgreSQL may forget.
    ///
    /// # Errors
    /// When a name is none.
    pub fn tidy(&mut self) -> io::Result<()> {
        for name in self.unneeded.drain(..) {
            self.wire.close(&name)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while it was held leaves at worst a connection too few.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
