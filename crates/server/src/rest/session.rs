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
    time::{Duration, Instant},
};

use pgrest::{plan::StatementPlan, response::Outcome};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_postgres::Error;

use super::{
    engine::Failed,
    pace::Key,
    role::{Permits, Role},
    run::{self, Failure, Setup},
    statements::Statements,
    wire::{self, Heard, Row, Wire, WireError},
};
use crate::db::{ConnectError, Login, sql};

/// How long a connection attempt may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a statement whose client went away may still take before its connection is given up.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// How long a request waits on a lane before it asks by itself.
const LANE_MAX: Duration = Duration::from_millis(50);

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
    /// How long a connection is kept.
    pub keep: Keep,
}

/// How long a connection is kept. What PostgreSQL remembers for one grows with what it was asked.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// At most, once nobody uses it.
    pub lifetime: Duration,
    /// While nobody uses it.
    pub idle: Duration,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep {
            lifetime: Duration::from_secs(30 * 60),
            idle: Duration::from_secs(5 * 60),
        }
    }
}

/// The sessions of all roles.
pub struct Sessions {
    login: Login,
    limits: Limits,
    /// Start-up options of a role's connections.
    options: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Connections of one role at most.
    share: Box<dyn Fn(&str) -> usize + Send + Sync>,
    /// Settings of every session.
    settings: Vec<(String, String)>,
    /// Settings that the database has for each role.
    role_settings: Mutex<HashMap<String, Vec<(String, String)>>>,
    all: Arc<Semaphore>,
    roles: Mutex<HashMap<Arc<str>, Arc<Role>>>,
    live: Arc<AtomicUsize>,
    /// Grows when connections from before are to be closed.
    age: Arc<AtomicUsize>,
    processors: usize,
    waiting: AtomicUsize,
    timeouts: AtomicUsize,
    shared: AtomicUsize,
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
    /// Requests that were answered on a lane, so far.
    pub shared: usize,
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

/// One connection.
pub struct Session {
    /// The connection itself.
    pub wire: Wire,
    /// What it has prepared.
    pub statements: Statements,
    pub(super) origin: Origin,
    /// When it was used last.
    pub(super) used: Instant,
    pub(super) live: Live,
}

/// When a connection was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Of which age of the sessions it is.
    pub(super) age: usize,
    pub(super) born: Instant,
}

/// Counts a connection while there is one.
pub(super) struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session that goes back to the others when it is dropped. One that was left in the midst of a statement goes back when
/// that has ended: a client that goes away costs no connection.
pub struct Borrowed {
    session: Option<Session>,
    role: Arc<Role>,
    permits: Option<Permits>,
    /// What it was borrowed for was done quickly, and could be asked on a lane.
    is_quick: bool,
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
            if self.is_quick {
                self.role.take_back_for_lane(session, permits);
            } else {
                self.role.take_back(session);
            }
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
            settings: Vec::new(),
            role_settings: Mutex::default(),
            roles: Mutex::default(),
            live: Arc::default(),
            age: Arc::default(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            waiting: AtomicUsize::default(),
            timeouts: AtomicUsize::default(),
            shared: AtomicUsize::default(),
        }
    }

    /// The same, with settings that every session begins with; those of its role come after them.
    #[must_use]
    pub fn with_settings(self, settings: Vec<(String, String)>) -> Sessions {
        Sessions { settings, ..self }
    }

    /// How much is in use now.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            connections_max: self.limits.connections_max,
            available: self.all.available_permits(),
            waiting: self.waiting.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            shared: self.shared.load(Ordering::Relaxed),
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
        self.borrow_of(name, self.role(name)).await
    }

    async fn borrow_of(&self, name: &str, role: Arc<Role>) -> Result<Borrowed, NoSession> {
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
            is_quick: false,
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

    async fn wait(&self, role: &Role, of_role: Option<OwnedSemaphorePermit>) -> Result<Permits, NoSession> {
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

    /// What a planned statement answers, for a request of a role: on a lane, where the statement is a quick read and many
    /// ask, and otherwise on a connection of its own.
    pub(super) async fn answer(&self, name: &str, setup: &Setup<'_>, plan: &StatementPlan) -> Result<Outcome, Failed> {
        let role = self.role(name);
        let _busy = role.begin();
        let key = Key::of(&plan.statement.text);
        let may_share = setup.can_be_asked_again() && run::can_share(plan);
        if may_share && let Some(outcome) = self.share(&role, key, setup, plan).await {
            return Ok(outcome?);
        }
        let mut borrowed = self.borrow_of(name, role.clone()).await?;
        let session = borrowed.session().map_err(Failure::Database)?;
        let begun = Instant::now();
        let outcome = run::run(session, setup, plan).await?;
        if may_share {
            role.paces.took(key, begun.elapsed());
            borrowed.is_quick = role.paces.is_quick(key);
        }
        Ok(outcome)
    }

    /// Asks on a lane; nothing where there is none, or nothing was to be had there in time.
    async fn share(
        &self,
        role: &Role,
        key: Key,
        setup: &Setup<'_>,
        plan: &StatementPlan,
    ) -> Option<Result<Outcome, Failure>> {
        let lane = role.lane(role.paces.on_lane(key)?)?;
        let answer = lane.ask(setup, plan)?;
        match tokio::time::timeout(LANE_MAX, answer).await {
            Ok(Ok((row, took))) => {
                role.paces.took_on_lane(key, took);
                self.shared.fetch_add(1, Ordering::Relaxed);
                let outcome = run::outcome_of(plan, None, row.as_slice());
                let verified = plan.verify(&outcome).map_err(Failure::Refused);
                Some(verified.map(|()| outcome))
            }
            Ok(Err(_)) => {
                lane.forget(&plan.statement.text);
                None
            }
            Err(_) => {
                role.paces.took_on_lane(key, LANE_MAX);
                None
            }
        }
    }

    /// Closes what nobody has used for long, and what is too old.
    pub fn close_unused(&self) {
        lock(&self.roles).values().for_each(|role| role.close_unused());
    }

    /// Closes every session that nobody uses, and the others when they are free.
    pub fn close(&self) {
        self.age.fetch_add(1, Ordering::Relaxed);
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
        let connections_max = (self.share)(name).min(self.limits.connections_max);
        let role = Arc::new(Role::new(
            connections_max,
            self.processors,
            self.limits.keep,
            self.age.clone(),
        ));
        roles.insert(Arc::from(name), role.clone());
        role
    }

    async fn connect(&self, role: &str) -> Result<Session, NoSession> {
        if self.live.load(Ordering::Relaxed) >= self.limits.connections_max {
            // Another role's idle connection makes room.
            let spare = lock(&self.roles).values().find_map(|role| role.idle());
            drop(spare);
        }
        let origin = Origin {
            age: self.age.load(Ordering::Relaxed),
            born: Instant::now(),
        };
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
            statements: Statements::default(),
            origin,
            used: origin.born,
            live: Live(self.live.clone()),
        };
        let mut settings = self.settings.clone();
        settings.extend(lock(&self.role_settings).get(role).into_iter().flatten().cloned());
        session.begin(&settings).await?;
        Ok(session)
    }
}

impl Session {
    async fn begin(&mut self, settings: &[(String, String)]) -> Result<(), WireError> {
        let wire = &mut self.wire;
        for (name, value) in settings {
            wire.pen
                .parse("", sql!("select pg_catalog.set_config($1::text, $2::text, false)"))?;
            wire.pen.run("", [Some(name.as_str()), Some(value.as_str())])?;
        }
        wire.pen.parse(
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
        wire.pen.sync();
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
        self.wire.pen.parse("", text)?;
        self.wire.pen.run("", values.iter().map(|value| Some(*value)))?;
        self.wire.pen.sync();
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
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while it was held leaves at worst a connection too few.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
