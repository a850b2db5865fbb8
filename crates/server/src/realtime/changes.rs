//! Rows as they change, told to those who ask for them and may read them ([decision 26]).
//!
//! One connection of this process follows the write-ahead log. Of each change, who asks for it is decided here, by filters in
//! memory; who may read it is decided by PostgreSQL, with the role and claims of each group of those who ask, after the
//! commit. What cannot be decided is not told.
//!
//! [decision 26]: ../../../../docs/decisions/0026-realtime.md

pub mod asking;
mod audience;
pub mod checking;
pub mod feed;
pub mod filter;
pub mod log;
pub mod payload;
pub mod registry;
pub mod stream;
pub mod tables;
pub mod telling;
pub mod wal;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use self::{
    checking::NotSo,
    feed::{Failure, Feed},
    registry::{Binding, Echo, Group, Registry, Subscriber},
    tables::Tables,
    telling::Teller,
    wal::{Cell, Change, Kind},
};
use super::{
    Realtime,
    channel::system,
    frame::{Cast, Payload},
    hub::{Line, TopicKey, Waiting},
};
use crate::{
    auth::token::{ApiRole, Caller},
    db::{DbRole, Login, sql},
    problem::chain,
    rest::session::{Keep, Limits, Sessions},
};

/// Connections that ask about rights, of all roles, and of one.
const CONNECTIONS: (usize, usize) = (6, 2);

/// How long to wait for one of them: a crowd that joins at once is served one after the other.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long one question may take (ms). A policy that takes longer would hold up everybody.
const QUESTION_MS_MAX: u32 = 1_000;

/// How often whether anybody is still there is looked at, and PostgreSQL hears from us while changes are told.
const TICK: Duration = Duration::from_secs(5);

/// How long the log is followed when nobody is connected.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long to wait after the stream broke.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long to wait until what could not be had is tried again.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Publications that are followed: rows that clients ask for, and broadcasts of the database.
const PUBLICATIONS: [&str; 2] = ["supabase_realtime", "supabase_realtime_messages_publication"];

/// How following goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Starting,
    Live,
    Failed(String),
}

/// Follows changes.
pub struct Changes {
    inner: Arc<Inner>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    login: Login,
    sessions: Arc<Sessions>,
    registry: Registry,
    stage: watch::Sender<Stage>,
    is_running: Mutex<bool>,
    bindings: AtomicU64,
}

/// What a channel asks for, until it is dropped.
pub struct Subscription {
    inner: Arc<Inner>,
    subscriber: Arc<Subscriber>,
    is_alive: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.is_alive.store(false, Ordering::SeqCst);
        self.task.abort();
        self.inner.registry.remove(self.subscriber.channel);
    }
}

/// What a client asks for.
pub struct AskedFor(Vec<Binding>);

impl AskedFor {
    /// What it is answered: its own words, with numbers.
    #[must_use]
    pub fn echo(&self) -> Vec<Echo> {
        self.0.iter().map(|binding| binding.echo.clone()).collect()
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn group_of(caller: &Caller) -> Group {
    Group {
        role: caller.role().name(),
        claims: Arc::from(caller.claims()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held leaves what it held as it was.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    /// Follows nothing yet.
    #[must_use]
    pub fn new(login: Login) -> Changes {
        let (connections_max, share) = CONNECTIONS;
        let role_of = |name: &str| {
            ApiRole::ALL
                .into_iter()
                .find(|role| role.name() == name)
                .map(DbRole::from)
        };
        let sessions = Sessions::new(
            login.clone(),
            Limits {
                connections_max,
                wait: WAIT_MAX,
                keep: Keep::default(),
            },
            move |name| {
                let role = role_of(name).map_or_else(|| "-c role=none_of_ours".to_owned(), DbRole::options);
                // As the log is written, and as policies find what they name; and always by index, one row after the other, also
                // where a statement was planned while its table was empty.
                format!(
                    "{role} -c statement_timeout={QUESTION_MS_MAX} -c search_path=public,extensions -c datestyle=iso \
                     -c intervalstyle=postgres -c timezone=utc -c extra_float_digits=1 -c bytea_output=hex \
                     -c default_transaction_read_only=on -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
                     -c plan_cache_mode=force_generic_plan"
                )
            },
            move |_| share,
        );
        Changes {
            inner: Arc::new(Inner {
                login,
                sessions: Arc::new(sessions),
                registry: Registry::default(),
                stage: watch::Sender::new(Stage::Starting),
                is_running: Mutex::new(false),
                bindings: AtomicU64::new(1),
            }),
            task: Mutex::default(),
        }
    }

    /// Follows no more.
    pub fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        *lock(&self.inner.is_running) = false;
        self.inner.sessions.close();
    }

    /// Reads what a client asks for.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn read(&self, all: &[Box<RawValue>]) -> Result<AskedFor, String> {
        let number = || self.inner.bindings.fetch_add(1, Ordering::Relaxed);
        registry::read(all, number).map(AskedFor)
    }

    /// Follows changes, unless it does already.
    pub fn start(&self, realtime: &Arc<Realtime>) {
        let mut is_running = lock(&self.inner.is_running);
        if !*is_running {
            *is_running = true;
            self.inner.stage.send_replace(Stage::Starting);
            let task = tokio::spawn(run(Arc::downgrade(realtime), self.inner.clone()));
            *lock(&self.task) = Some(task);
        }
    }

    /// Does something once changes are followed.
    pub fn when_live(&self, then: impl FnOnce() + Send + 'static) {
        let mut stage = self.inner.stage.subscribe();
        tokio::spawn(async move {
            if stage.wait_for(|stage| *stage == Stage::Live).await.is_ok() {
                then();
            }
        });
    }

    /// Tells a channel of what it asks for, as soon as that was made sure of.
    #[must_use]
    pub fn subscribe(
        &self,
        asked: AskedFor,
        caller: &Caller,
        channel: u64,
        name: &str,
        line: &Arc<Line>,
    ) -> Subscription {
        let subscriber = Subscriber::new(channel, name, line.clone(), asked.0, group_of(caller));
        let subscriber = Arc::new(subscriber);
        let is_alive = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(set_up(self.inner.clone(), subscriber.clone(), is_alive.clone()));
        Subscription {
            inner: self.inner.clone(),
            subscriber,
            is_alive,
            task,
        }
    }
}

impl Subscription {
    /// Has the rights of `caller` from now on.
    pub fn renew(&self, caller: &Caller) {
        self.subscriber.renew(group_of(caller));
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes sure of what a channel asks for, and says so; tries again as long as it cannot be had.
async fn set_up(inner: Arc<Inner>, subscriber: Arc<Subscriber>, is_alive: Arc<AtomicBool>) {
    const EXTENSION: &str = "postgres_changes";
    let mut stage = inner.stage.subscribe();
    let mut last = String::new();
    let tell = |is_ok: bool, text: &str| {
        let payload = system(EXTENSION, is_ok, text, &subscriber.name);
        subscriber.line.tell(&subscriber.topic(), "system", &payload);
    };
    loop {
        let found = stage.wait_for(|stage| *stage != Stage::Starting).await;
        let Ok(now) = found.map(|stage| stage.clone()) else {
            return;
        };
        let wrong = match now {
            Stage::Failed(text) => text,
            Stage::Live | Stage::Starting => {
                match checking::check(&inner.sessions, &subscriber.group(), &subscriber.bindings).await {
                    Ok(bindings) => {
                        let ready = Arc::new(subscriber.with(bindings));
                        inner.registry.add(&ready);
                        if !is_alive.load(Ordering::SeqCst) {
                            inner.registry.remove(ready.channel);
                        }
                        return tell(true, "Subscribed to PostgreSQL");
                    }
                    Err(NotSo::Refused(text)) => text,
                    Err(NotSo::Unknown(error)) => {
                        tracing::warn!(cause = %chain(&error), "what a client asks for cannot be made sure of");
                        "the database cannot be asked; trying again".to_owned()
                    }
                }
            }
        };
        if wrong != last {
            tell(false, &wrong);
            last = wrong;
        }
        tokio::time::sleep(CHECK_AGAIN_AFTER).await;
    }
}

async fn run(realtime: Weak<Realtime>, inner: Arc<Inner>) {
    let mut last_failure = None;
    loop {
        let ended = once(&realtime, &inner).await;
        // Those who were told changes until now may have missed some: they join again and look.
        for subscriber in inner.registry.all() {
            inner.registry.remove(subscriber.channel);
            subscriber.line.push(Waiting::Close {
                channel: subscriber.channel,
                reason: "changes may have been missed: the database's log is followed anew".to_owned(),
                may_rejoin: true,
            });
        }
        let Err(failure) = ended else { return };
        let failure = failure.to_string();
        if last_failure.as_ref() != Some(&failure) {
            tracing::warn!(cause = failure, "changes are not followed; trying again");
        }
        let told = format!("changes cannot be followed: {failure}");
        inner.stage.send_replace(Stage::Failed(told));
        last_failure = Some(failure);
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// The publications that there are.
async fn publications(inner: &Inner) -> Result<Vec<String>, Failure> {
    let mut borrowed = inner.sessions.borrow("service_role").await?;
    let session = borrowed.session()?;
    let names = pgrest::changes::array(PUBLICATIONS.map(Some));
    let text = sql!("select p.pubname::text from pg_catalog.pg_publication as p where p.pubname = any ($1::text[])");
    let rows = session.rows(text, &[&names]).await?;
    let found: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(String::from_utf8_lossy(row.columns().next()??).into_owned()))
        .collect();
    if found.is_empty() {
        return Err("there is no publication supabase_realtime: create publication supabase_realtime".into());
    }
    Ok(found)
}

/// Follows until the connection breaks, or nobody is there any more.
async fn once(realtime: &Weak<Realtime>, inner: &Inner) -> Result<(), Failure> {
    let publications = publications(inner).await?;
    let mut feed = Feed::begin(&inner.login, &inner.sessions, publications).await?;
    tracing::info!("changes are followed");
    inner.stage.send_replace(Stage::Live);
    let mut tables = Tables::default();
    let mut last_seen = Instant::now();
    let mut looked_at = Instant::now();
    loop {
        if looked_at.elapsed() > TICK {
            looked_at = Instant::now();
            let Some(realtime) = realtime.upgrade() else {
                return Ok(());
            };
            // Under the lock that a new client starts with: either it is seen here, or it starts anew.
            let mut is_running = lock(&inner.is_running);
            if realtime.hub.connections.load(Ordering::SeqCst) > 0 {
                last_seen = Instant::now();
            } else if last_seen.elapsed() > IDLE_MAX {
                *is_running = false;
                return Ok(());
            }
        }
        let changes = feed.next().await?;
        if changes.is_empty() {
            continue;
        }
        if let Some(realtime) = realtime.upgrade() {
            let messages = changes.iter().filter(|change| is_message(change));
            messages.for_each(|change| say(&realtime, change));
        }
        let mut teller = Teller {
            sessions: &inner.sessions,
            registry: &inner.registry,
            tables: &mut tables,
        };
        let telling = teller.tell(&changes);
        tokio::pin!(telling);
        loop {
            tokio::select! {
                told = &mut telling => break told?,
                () = tokio::time::sleep(TICK) => feed.stay().await?,
            }
        }
    }
}

fn is_message(change: &Change) -> bool {
    let relation = &change.relation;
    change.kind == Kind::Insert && relation.schema == "realtime" && relation.name == "messages"
}

/// Sends a broadcast of the database to those who are connected here: every process hears of it by itself.
fn say(realtime: &Realtime, change: &Change) {
    let value = |name: &str| {
        let at = change.relation.columns.iter().position(|column| column == name)?;
        match change.new.as_ref()?.get(at)? {
            Cell::Text(text) => Some(text.as_str()),
            Cell::Null | Cell::Unchanged => None,
        }
    };
    let (Some(topic), Some("broadcast")) = (value("topic"), value("extension")) else {
        return;
    };
    let payload = match value("binary_payload").and_then(|text| text.strip_prefix("\\x")) {
        Some(hex) => Payload::Bytes(bytes_of(hex).into()),
        None => Payload::Json(value("payload").unwrap_or("{}").to_owned()),
    };
    let mut cast = Cast::new(topic, value("event").unwrap_or_default(), payload, false);
    cast.meta = value("id").map(|id| format!(r#"{{"id":"{id}"}}"#));
    let topic = TopicKey {
        name: topic.to_owned(),
        is_private: value("private") == Some("t"),
    };
    realtime.hub.cast(&topic, &cast, None);
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.filter_map(byte).collect()
}
