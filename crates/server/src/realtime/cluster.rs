//! Several processes over one database: what is said in one is heard in all.
//!
//! Each holds a connection that listens and notifies. Who is there is what PostgreSQL sees connected: a process that was
//! killed is gone as soon as its connection is, with all presences that were its own. Without another process nothing is
//! sent. Where the connection breaks, each side goes on alone, and on its return both say all of their own again.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_postgres::{AsyncMessage, Client};

use super::{
    Realtime,
    frame::{Cast, Payload},
    hub::TopicKey,
    presence::{Entry, Node},
};
use crate::db::{Login, sql};

/// The channel of PostgreSQL.
const CHANNEL: &str = "nexus_mint_realtime";

/// What a connection of ours is called, before the name of its process.
const APPLICATION: &str = "nexus-mint realtime ";

/// Bytes of one notification: PostgreSQL takes fewer than 8,000.
const PART_BYTES_MAX: usize = 7_000;

/// Things that may wait to be said. Beyond it they are lost to other processes: the database cannot keep up.
const QUEUE_MAX: usize = 4096;

/// Things said in one transaction.
const BATCH_MAX: usize = 256;

/// How often to look who is there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long the first may wait until all others have said what they have.
const READY_MAX: Duration = Duration::from_secs(3);

/// How long to wait after the connection was lost.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Parts of things whose rest has not come.
const PARTIAL_MAX: usize = 1024;

/// What one process says to the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Said {
    /// A broadcast: topic, event, payload as JSON text or else as bytes in base64, whether it came as bytes.
    Cast(TopicKey, String, Option<String>, Option<String>, bool),
    /// A presence.
    Put(TopicKey, Entry),
    /// A presence that is over.
    Gone(TopicKey, u64),
    /// All presences of the sender; and whether the others are to say theirs.
    All(Vec<(TopicKey, Entry)>, bool),
}

impl Said {
    /// A broadcast.
    #[must_use]
    pub fn cast(topic: &TopicKey, cast: &Cast) -> Said {
        let (json, bytes) = match &cast.payload {
            Payload::Json(text) => (Some(text.clone()), None),
            Payload::Bytes(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        Said::Cast(topic.clone(), cast.event.clone(), json, bytes, cast.is_user)
    }
}

/// This process among the others.
pub struct Cluster {
    login: Login,
    node: Node,
    others: AtomicUsize,
    is_started: AtomicBool,
    sender: mpsc::Sender<Said>,
    queue: Mutex<Option<mpsc::Receiver<Said>>>,
    ready: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Cluster {
    /// A process that has not looked for others yet.
    #[must_use]
    pub fn new(login: Login, node: Node) -> Cluster {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        Cluster {
            login,
            node,
            others: AtomicUsize::new(0),
            is_started: AtomicBool::new(false),
            sender,
            queue: Mutex::new(Some(receiver)),
            ready: watch::Sender::new(false),
            task: Mutex::default(),
        }
    }

    /// The name of this process.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Looks for others, from the first call on.
    pub fn start(&self, realtime: &Arc<Realtime>) {
        if self.is_started.swap(true, Ordering::Relaxed) {
            return;
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(queue) = queue else { return };
        let task = tokio::spawn(run(Arc::downgrade(realtime), self.login.clone(), queue));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Leaves the others.
    pub fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }

    /// Waits until this process knows of the others, or long enough.
    pub async fn ready(&self) {
        let mut ready = self.ready.subscribe();
        let _ = tokio::time::timeout(READY_MAX, ready.wait_for(|ready| *ready)).await;
        // Waited for once: a database that is away must not slow every join.
        self.ready.send_replace(true);
    }

    /// Says something to the others, if there are any.
    pub fn say(&self, said: Said) {
        if self.others.load(Ordering::Relaxed) > 0 && self.sender.try_send(said).is_err() {
            tracing::warn!("too much to tell other processes: a message is lost to them");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

type Failure = Box<dyn Error + Send + Sync>;

async fn run(realtime: Weak<Realtime>, login: Login, mut queue: mpsc::Receiver<Said>) {
    let mut last_failure = None;
    loop {
        let failure = once(&realtime, &login, &mut queue)
            .await
            .err()
            .map(|error| error.to_string());
        let Some(failure) = failure else { return };
        if last_failure.as_ref() != Some(&failure) {
            tracing::warn!(cause = failure, "other processes are not heard; trying again");
        }
        last_failure = Some(failure);
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// Talks with the others until the connection breaks; ends well only with this process.
async fn once(realtime: &Weak<Realtime>, login: &Login, queue: &mut mpsc::Receiver<Said>) -> Result<(), Failure> {
    let node = match realtime.upgrade() {
        Some(realtime) => realtime.cluster.node.clone(),
        None => return Ok(()),
    };
    let mut pg = login.pg.clone();
    pg.application_name(format!("{APPLICATION}{node}"));
    let (client, mut connection) = pg.connect(login.connector()?).await?;
    let (told, mut heard) = mpsc::unbounded_channel();
    // Ends when `client` is dropped.
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = told.send(notification.payload().to_owned());
            }
        }
    });
    // Nobody waits for the disk to remember what was said.
    client
        .batch_execute(&format!("set synchronous_commit = off; listen {CHANNEL}"))
        .await?;
    let mut others = Others::default();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut number = 0;
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = look.tick() => {
                let Some(realtime) = realtime.upgrade() else { return Ok(()) };
                let found = found(&client, &node).await?;
                let is_first = others.is_unknown;
                others.see(&realtime, found);
                if is_first && !others.waited_for.is_empty() {
                    let all = realtime.presences().of_node(&node);
                    say(&client, &node, &mut number, &[Said::All(all, true)]).await?;
                }
                others.tell_ready(&realtime);
            }
            count = queue.recv_many(&mut batch, BATCH_MAX) => {
                if count == 0 { return Ok(()); }
                say(&client, &node, &mut number, &batch).await?;
                batch.clear();
            }
            text = heard.recv() => {
                let text = text.ok_or("the connection was lost")?;
                let Some(realtime) = realtime.upgrade() else { return Ok(()) };
                let Some((from, said)) = others.hear(&node, &text) else { continue };
                if let Said::All(_, true) = said {
                    others.count_in(&realtime, &from);
                    let all = realtime.presences().of_node(&node);
                    say(&client, &node, &mut number, &[Said::All(all, false)]).await?;
                }
                take(&realtime, &from, said);
                others.waited_for.retain(|name| *name != from || !others.has_all);
                others.tell_ready(&realtime);
            }
        }
    }
}

/// The other processes that PostgreSQL sees.
async fn found(client: &Client, node: &str) -> Result<Vec<Node>, tokio_postgres::Error> {
    let text = sql!(
        "select substr(a.application_name, length($1) + 1) from pg_catalog.pg_stat_activity as a
         where a.datname = current_database() and a.application_name like $1 || '%' and a.application_name <> $1 || $2"
    );
    let rows = client.query(text, &[&APPLICATION, &node]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Says things in one transaction, in parts that fit.
async fn say(client: &Client, node: &str, number: &mut u64, all: &[Said]) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for said in all {
        *number += 1;
        let text = serde_json::to_string(said)?;
        let pieces = pieces(&text);
        for (at, piece) in pieces.iter().enumerate() {
            parts.push(format!("{node} {number} {at} {} {piece}", pieces.len()));
        }
    }
    let text = sql!("select count(pg_catalog.pg_notify($1, p.part)) from unnest($2::text[]) as p (part)");
    for parts in parts.chunks(BATCH_MAX) {
        client.query_one(text, &[&CHANNEL, &parts]).await?;
    }
    Ok(())
}

fn pieces(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while rest.len() > PART_BYTES_MAX {
        let mut end = PART_BYTES_MAX;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// What is known of the others.
struct Others {
    is_unknown: bool,
    present: Vec<Node>,
    /// Who has not yet said what is his.
    waited_for: Vec<Node>,
    has_all: bool,
    partial: HashMap<(Node, u64), Vec<Option<String>>>,
}

impl Default for Others {
    fn default() -> Others {
        Others {
            is_unknown: true,
            present: Vec::new(),
            waited_for: Vec::new(),
            has_all: false,
            partial: HashMap::new(),
        }
    }
}

impl Others {
    /// Takes note of who is there, and takes away what those had who are not.
    fn see(&mut self, realtime: &Realtime, found: Vec<Node>) {
        for gone in self.present.iter().filter(|name| !found.contains(name)) {
            tracing::info!(node = %gone, "another process is gone");
            take(realtime, gone, Said::All(Vec::new(), false));
        }
        self.partial.retain(|(name, _), _| found.contains(name));
        self.waited_for.retain(|name| found.contains(name));
        if self.is_unknown {
            // Whoever went while nobody here was listening.
            let known = realtime.presences().nodes();
            let gone = known
                .iter()
                .filter(|name| **name != realtime.cluster.node && !found.contains(name));
            gone.for_each(|name| take(realtime, name, Said::All(Vec::new(), false)));
            self.waited_for.clone_from(&found);
            self.is_unknown = false;
        }
        self.present = found;
        realtime.cluster.others.store(self.present.len(), Ordering::Relaxed);
    }

    fn count_in(&mut self, realtime: &Realtime, name: &Node) {
        if !self.present.contains(name) {
            tracing::info!(node = %name, "another process is here");
            self.present.push(name.clone());
            realtime.cluster.others.store(self.present.len(), Ordering::Relaxed);
        }
    }

    fn tell_ready(&self, realtime: &Realtime) {
        if !self.is_unknown && self.waited_for.is_empty() {
            realtime.cluster.ready.send_replace(true);
        }
    }

    /// Reads a notification of another process; gives what it says once it is whole.
    fn hear(&mut self, own: &str, text: &str) -> Option<(Node, Said)> {
        let mut words = text.splitn(5, ' ');
        let (node, number, at, of, piece) = (
            words.next()?,
            words.next()?,
            words.next()?,
            words.next()?,
            words.next()?,
        );
        if node == own {
            return None;
        }
        let (number, at, of): (u64, usize, usize) = (number.parse().ok()?, at.parse().ok()?, of.parse().ok()?);
        let whole = if of == 1 {
            piece.to_owned()
        } else {
            if self.partial.len() > PARTIAL_MAX || of > QUEUE_MAX {
                self.partial.clear();
                return None;
            }
            let key = (node.to_owned(), number);
            let parts = self.partial.entry(key.clone()).or_insert_with(|| vec![None; of]);
            *parts.get_mut(at)? = Some(piece.to_owned());
            if parts.iter().any(Option::is_none) {
                return None;
            }
            self.partial.remove(&key)?.into_iter().flatten().collect()
        };
        let said: Said = serde_json::from_str(&whole).ok()?;
        self.has_all = matches!(said, Said::All(..));
        Some((node.to_owned(), said))
    }
}

/// Does here what was said there.
fn take(realtime: &Realtime, from: &Node, said: Said) {
    match said {
        Said::Cast(topic, event, json, bytes, is_user) => {
            let payload = match (json, bytes.map(|text| STANDARD.decode(text))) {
                (Some(text), _) => Payload::Json(text),
                (None, Some(Ok(bytes))) => Payload::Bytes(bytes.into()),
                (None, Some(Err(_)) | None) => return,
            };
            let cast = Cast::new(&topic.name, &event, payload, is_user);
            realtime.hub.cast(&topic, &cast, None);
        }
        Said::Put(topic, entry) => {
            let mut presences = realtime.presences();
            let diff = presences.put(&topic, from, entry);
            if !diff.is_empty() {
                realtime.hub.tell_presence(&topic, &diff.payload());
            }
        }
        Said::Gone(topic, channel) => {
            let mut presences = realtime.presences();
            let diff = presences.remove(&topic, from, channel);
            if !diff.is_empty() {
                realtime.hub.tell_presence(&topic, &diff.payload());
            }
        }
        Said::All(all, _) => {
            let mut presences = realtime.presences();
            for (topic, diff) in presences.replace(from, all) {
                realtime.hub.tell_presence(&topic, &diff.payload());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_arrives_whole_and_in_any_order() {
        let text = serde_json::to_string(&Said::Gone(
            TopicKey {
                name: "ä".repeat(20_000),
                is_private: true,
            },
            7,
        ))
        .unwrap();
        let pieces = pieces(&text);
        assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.len() <= PART_BYTES_MAX));
        let mut others = Others::default();
        let mut last = None;
        for (at, piece) in pieces.iter().enumerate().rev() {
            assert!(last.is_none());
            last = others.hear("me", &format!("you 1 {at} {} {piece}", pieces.len()));
        }
        let (node, said) = last.unwrap();
        assert!(node == "you" && matches!(said, Said::Gone(topic, 7) if topic.name.len() == 40_000));
        assert!(others.hear("you", "you 2 0 1 {}").is_none(), "not to itself");
        assert!(others.hear("me", "nonsense").is_none());
    }
}
