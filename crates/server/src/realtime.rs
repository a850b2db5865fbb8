//! `/realtime/v1`: channels over a socket, in the protocol that realtime-js speaks ([docs/REALTIME.md]).
//!
//! - `frame` and `join` read and write what goes over the wire; `socket` is one connection, `channel` what one does in it.
//! - `hub` is who is in which channel of this process; `presence` who is there, in all of them; `cluster` carries both to other
//!   processes through PostgreSQL.
//! - `rights` asks the policies about a private channel. `changes` follows rows as they change, and sends each only to
//!   those who may read it.
//!
//! [docs/REALTIME.md]: ../../../docs/REALTIME.md

pub mod changes;
mod channel;
pub mod cluster;
pub mod frame;
mod http;
pub mod hub;
pub mod join;
pub mod presence;
pub mod replay;
pub mod rights;
mod socket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use uuid::Uuid;

use self::{
    changes::Changes,
    cluster::{Cluster, Said},
    frame::Cast,
    hub::{Hub, TopicKey},
    presence::{Entry, Presences},
};
use crate::{app::App, config::realtime::Limits, db::Db};

/// All of realtime in one process.
pub struct Realtime {
    /// What is allowed.
    pub limits: Limits,
    hub: Hub,
    presences: Mutex<Presences>,
    cluster: Cluster,
    changes: Changes,
}

impl Realtime {
    /// Realtime over a database. Nothing is connected until somebody comes.
    #[must_use]
    pub fn new(db: &Db, limits: Limits) -> Arc<Realtime> {
        let node = Uuid::new_v4().simple().to_string();
        Arc::new(Realtime {
            limits,
            hub: Hub::default(),
            presences: Mutex::default(),
            cluster: Cluster::new(db.login().clone(), node),
            changes: Changes::new(db.login().clone()),
        })
    }

    /// Lets go of the database. Those who are connected hear nothing of it any more.
    pub fn stop(&self) {
        self.cluster.stop();
        self.changes.stop();
    }

    fn presences(&self) -> MutexGuard<'_, Presences> {
        // A panic while it was held leaves at worst a presence that its owner says again.
        self.presences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a broadcast to everybody in a channel, in all processes.
    fn broadcast(&self, topic: &TopicKey, cast: &Cast, except: Option<u64>) {
        self.hub.cast(topic, cast, except);
        self.cluster.say(Said::cast(topic, cast));
    }

    fn track(&self, topic: &TopicKey, entry: Entry) {
        let node = self.cluster.node();
        // Under one lock, so that everybody hears of changes in their order.
        let mut presences = self.presences();
        let diff = presences.put(topic, node, entry.clone());
        if !diff.is_empty() {
            self.hub.tell_presence(topic, &diff.payload());
            self.cluster.say(Said::Put(topic.clone(), entry));
        }
    }

    fn untrack(&self, topic: &TopicKey, channel: u64) {
        let node = self.cluster.node();
        let mut presences = self.presences();
        let diff = presences.remove(topic, node, channel);
        if !diff.is_empty() {
            self.hub.tell_presence(topic, &diff.payload());
            self.cluster.say(Said::Gone(topic.clone(), channel));
        }
    }
}

/// The routes of `/realtime/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/websocket", get(socket::upgrade))
        .route("/api/broadcast", post(http::many))
        .route("/api/broadcast/{topic}/events/{event}", post(http::one))
        .layer(DefaultBodyLimit::max(http::BODY_BYTES_MAX))
}
