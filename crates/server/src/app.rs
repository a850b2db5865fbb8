//! What a request handler is given: the configuration, the database, the keys, the clock.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use crate::{
    auth::{
        keys::{KeyError, Keys},
        mail::templates::{TemplateError, Templates},
        passwords::Hashing,
        providers::Providers,
    },
    config::{BaseUrl, Config},
    db::Db,
    files::{Files, NoStore},
    investments::batch::Purchases,
    payments::arrivals::Arrivals,
    queue::{Limits, Queue},
    realtime::Realtime,
    rest::{self, engine::Engine},
    storage::{Pictures, resumable::Turns},
};

/// Tells the time. Tests set theirs.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The program's state, the same for every request: a clone costs one count. What is changed in one is changed in none of its
/// clones.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What the program's state consists of.
#[derive(Clone)]
pub struct Parts {
    /// What the program was told.
    pub config: Arc<Config>,
    /// The database.
    pub db: Db,
    /// Signs and verifies tokens.
    pub keys: Arc<Keys>,
    /// Hashes passwords, a few at a time.
    pub hashing: Arc<Hashing>,
    /// Other providers at which people sign in.
    pub providers: Arc<Providers>,
    /// The words of mails.
    pub mails: Arc<Templates>,
    /// Stored files.
    pub files: Files,
    /// Makes pictures smaller, a few at a time.
    pub pictures: Arc<Pictures>,
    /// Who writes which resumable upload.
    pub uploads: Arc<Turns>,
    /// Answers `/rest/v1`.
    pub rest: Arc<Engine>,
    /// Answers `/realtime/v1`.
    pub realtime: Arc<Realtime>,
    /// Where orders of `create-investment` wait.
    pub purchases: Arc<Purchases>,
    /// Where orders of `create-investment-payment` wait.
    pub checkouts: Arc<Purchases>,
    /// Where payments that arrived wait.
    pub arrivals: Arc<Arrivals>,
    /// How clients reach this server.
    pub public_url: BaseUrl,
    clock: Clock,
    is_time_set: bool,
}

/// What the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Those of tokens.
    #[error(transparent)]
    Tokens(#[from] KeyError),
    /// Those of files.
    #[error(transparent)]
    Files(#[from] NoStore),
    /// The words of mails.
    #[error(transparent)]
    Mails(#[from] TemplateError),
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for App {
    fn deref_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }
}

impl App {
    /// The state of a server that listens at `bound`.
    ///
    /// # Errors
    /// When the configured keys or words of mails do not fit.
    pub fn new(config: Config, db: Db, bound: SocketAddr, clock: Clock) -> Result<App, AppError> {
        let keys = Arc::new(Keys::of(&config, clock())?);
        let files = Files::of(&config)?;
        let public_url = config.settings.public_url(bound);
        let rest = Arc::new(rest::routes::engine(&db, config.settings.rest.clone()));
        let realtime = Realtime::new(&db, config.settings.realtime);
        let limits = Limits::default();
        let turns = Arc::new(Semaphore::new(limits.at_work_max));
        Ok(App(Arc::new(Parts {
            providers: Arc::new(Providers::of(&config.settings.logins.providers)),
            mails: Arc::new(Templates::load(config.settings.logins.mail_templates.as_deref())?),
            config: Arc::new(config),
            realtime,
            rest,
            purchases: Queue::new(limits, turns.clone()),
            checkouts: Queue::new(limits, turns.clone()),
            arrivals: Arrivals::new(limits, turns),
            db,
            keys,
            hashing: Arc::new(Hashing::of_machine()),
            files,
            pictures: Arc::new(Pictures::of_machine()),
            uploads: Arc::default(),
            public_url,
            clock,
            is_time_set: false,
        })))
    }

    /// The same program with the clock given to it as the only one, for commands as well: for tests, which set the time.
    #[must_use]
    pub fn with_time_set(mut self) -> App {
        self.is_time_set = true;
        self
    }

    /// The same program with lines of its own, as long as these.
    #[must_use]
    pub fn with_lines(mut self, limits: Limits) -> App {
        let turns = Arc::new(Semaphore::new(limits.at_work_max));
        self.purchases = Queue::new(limits, turns.clone());
        self.checkouts = Queue::new(limits, turns.clone());
        self.arrivals = Arrivals::new(limits, turns);
        self
    }

    /// The same program with this clock as the only one.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> App {
        self.clock = clock;
        self.with_time_set()
    }

    /// The instant that was set, which then holds in place of PostgreSQL's clock.
    #[must_use]
    pub fn set_time(&self) -> Option<DateTime<Utc>> {
        self.is_time_set.then(|| self.now())
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// The machine's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().into())
}
