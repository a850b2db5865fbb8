//! Who is in which channel, and how what is said reaches them.
//!
//! A connection has a queue of its own, of a bounded number and size. Who reads more slowly than others speak is dropped:
//! nobody waits for him, and nothing piles up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use axum::extract::ws::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};

use super::frame::{Cast, Version, pushed};

/// Messages that may wait for one reader: a burst that a phone reads in a second.
const QUEUE_MAX: usize = 1024;

/// Bytes that may wait for one reader.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a channel is known by: a private one and a public one of the same name do not hear each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicKey {
    /// Without `realtime:`.
    pub name: String,
    /// Whether policies decide who may join.
    pub is_private: bool,
}

/// What waits for a connection.
#[derive(Debug)]
pub enum Waiting {
    /// A frame to write.
    Frame(Message),
    /// A channel that is to be closed, and why.
    Close {
        /// The channel.
        channel: u64,
        /// What its client is told.
        reason: String,
        /// Whether joining again may help at once.
        may_rejoin: bool,
    },
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Waiting::Frame(message) => size(message),
            Waiting::Close { reason, .. } => reason.len(),
        }
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

/// The sending end of a connection.
#[derive(Debug)]
pub struct Line {
    /// The serializer that the client speaks.
    pub version: Version,
    queue: mpsc::Sender<Waiting>,
    bytes: AtomicUsize,
    dropped: Notify,
}

/// The receiving end, which the connection's own task holds.
pub struct Waits {
    line: Arc<Line>,
    queue: mpsc::Receiver<Waiting>,
}

impl Waits {
    /// The next that waits; none when the line was dropped.
    pub async fn next(&mut self) -> Option<Waiting> {
        let waiting = self.queue.recv().await?;
        self.line.bytes.fetch_sub(waiting.bytes(), Ordering::Relaxed);
        Some(waiting)
    }
}

impl Line {
    /// Both ends.
    #[must_use]
    pub fn new(version: Version) -> (Arc<Line>, Waits) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let line = Arc::new(Line {
            version,
            queue: sender,
            bytes: AtomicUsize::new(0),
            dropped: Notify::new(),
        });
        let waits = Waits {
            line: line.clone(),
            queue: receiver,
        };
        (line, waits)
    }

    /// Sends, or drops the connection if too much waits already.
    pub fn push(&self, waiting: Waiting) {
        let bytes = waiting.bytes();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // One message goes whatever its size: limits on payloads are others'.
        if (before > 0 && before + bytes > QUEUE_BYTES_MAX) || self.queue.try_send(waiting).is_err() {
            self.dropped.notify_one();
        }
    }

    /// Sends a message.
    pub fn send(&self, message: Message) {
        self.push(Waiting::Frame(message));
    }

    /// Sends `payload` under a topic with `realtime:`.
    pub fn tell(&self, topic: &str, event: &str, payload: &str) {
        self.send(pushed(self.version, topic, event, payload));
    }

    /// Waits until the connection is to be dropped.
    pub async fn dropped(&self) {
        self.dropped.notified().await;
    }
}

/// A channel of a connection, as far as others reach it.
#[derive(Debug, Clone)]
struct Member {
    line: Arc<Line>,
    hears_presence: bool,
}

/// All channels of this process.
#[derive(Debug, Default)]
pub struct Hub {
    topics: Mutex<HashMap<TopicKey, HashMap<u64, Member>>>,
    channels: AtomicU64,
    /// Connections that are open.
    pub connections: AtomicUsize,
}

impl Hub {
    /// A number for a channel that no other channel of this process has.
    pub fn number(&self) -> u64 {
        self.channels.fetch_add(1, Ordering::Relaxed)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<TopicKey, HashMap<u64, Member>>> {
        // A panic while it was held leaves at worst a member too few.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel is heard from here on.
    pub fn enter(&self, topic: &TopicKey, channel: u64, line: &Arc<Line>, hears_presence: bool) {
        let member = Member {
            line: line.clone(),
            hears_presence,
        };
        self.topics().entry(topic.clone()).or_default().insert(channel, member);
    }

    /// A channel is gone.
    pub fn leave(&self, topic: &TopicKey, channel: u64) {
        let mut topics = self.topics();
        if let Some(members) = topics.get_mut(topic) {
            members.remove(&channel);
            if members.is_empty() {
                topics.remove(topic);
            }
        }
    }

    fn members(&self, topic: &TopicKey, except: Option<u64>) -> Vec<Member> {
        let topics = self.topics();
        let members = topics.get(topic).into_iter().flatten();
        let others = members.filter(|(channel, _)| Some(**channel) != except);
        others.map(|(_, member)| member.clone()).collect()
    }

    /// Sends a broadcast to everybody in a channel but one.
    pub fn cast(&self, topic: &TopicKey, cast: &Cast, except: Option<u64>) {
        for member in self.members(topic, except) {
            if let Some(message) = cast.form(member.line.version) {
                member.line.send(message);
            }
        }
    }

    /// Tells everybody in a channel who may hear of presences.
    pub fn tell_presence(&self, topic: &TopicKey, payload: &str) {
        let name = format!("realtime:{}", topic.name);
        let [one, two] = [Version::One, Version::Two].map(|version| pushed(version, &name, "presence_diff", payload));
        for member in self.members(topic, None) {
            if member.hears_presence {
                let message = match member.line.version {
                    Version::One => &one,
                    Version::Two => &two,
                };
                member.line.send(message.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_does_not_read_is_dropped_and_keeps_nobody_waiting() {
        let (line, mut waits) = Line::new(Version::Two);
        for _ in 0..QUEUE_MAX {
            line.send(Message::Text("x".into()));
        }
        assert!(
            futures_util::FutureExt::now_or_never(line.dropped()).is_none(),
            "so many may wait"
        );
        line.send(Message::Text("x".into()));
        line.dropped().await;
        assert!(waits.next().await.is_some());
        let (line, _waits) = Line::new(Version::Two);
        line.send(Message::Binary(vec![0; QUEUE_BYTES_MAX].into()));
        line.send(Message::Text("x".into()));
        line.dropped().await;
    }
}
