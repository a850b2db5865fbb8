//! What a client does in the channels of its connection.

use std::{collections::HashMap, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use uuid::Uuid;

use super::{
    changes::Subscription,
    frame::{Body, Cast, Incoming, Payload, Version, quoted, reply, written},
    hub::{Line, TopicKey},
    join::Join,
    presence::Entry,
    replay,
    rights::{self, Rights},
    socket::{expiry, verified},
};
use crate::{
    app::App,
    auth::token::Caller,
    problem::{Problem, chain},
};

/// What every topic begins with.
const PREFIX: &str = "realtime:";

/// How far two clocks may differ (s), as where tokens are verified.
const LEEWAY_S: i64 = 30;

/// The longest name of a channel or of a presence (bytes).
const NAME_BYTES_MAX: usize = 1024;

/// The channels of one connection.
pub(super) struct Channels {
    app: App,
    line: Arc<Line>,
    caller: Caller,
    joined: HashMap<String, Channel>,
    joins: Pace,
    events: Pace,
}

struct Channel {
    number: u64,
    topic: TopicKey,
    join_ref: String,
    caller: Caller,
    expires: Option<DateTime<Utc>>,
    rights: Rights,
    acks: bool,
    hears_itself: bool,
    presence_key: String,
    /// Kept alive: what is asked of changes ends with it.
    changes: Option<Subscription>,
}

/// So many a second.
struct Pace {
    max: u32,
    since: Instant,
    count: u32,
}

impl Pace {
    fn new(max: u32) -> Pace {
        Pace {
            max,
            since: Instant::now(),
            count: 0,
        }
    }

    fn is_kept(&mut self) -> bool {
        if self.since.elapsed().as_secs() >= 1 {
            (self.since, self.count) = (Instant::now(), 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.max
    }
}

/// Why something is refused: a word that clients match, and a sentence.
struct No(&'static str, String);

impl No {
    fn text(&self) -> String {
        format!("{}: {}", self.0, self.1)
    }

    fn response(&self) -> String {
        json!({ "reason": self.text() }).to_string()
    }
}

/// `{"access_token":...}`
#[derive(Deserialize)]
struct NewToken {
    access_token: Option<String>,
}

/// A broadcast as text.
#[derive(Deserialize)]
struct Spoken<'a> {
    event: Option<String>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// A presence message.
#[derive(Deserialize)]
struct Shown {
    event: Option<String>,
    payload: Option<Value>,
}

impl Channels {
    pub(super) fn new(app: App, line: Arc<Line>, caller: Caller) -> Channels {
        let limits = app.realtime.limits;
        Channels {
            app,
            line,
            caller,
            joined: HashMap::new(),
            joins: Pace::new(limits.joins),
            events: Pace::new(limits.events),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.line.version
    }

    /// Does what a frame asks for.
    pub(super) async fn hear(&mut self, frame: Incoming) {
        if frame.topic == "phoenix" {
            self.look();
            self.answer(&frame, frame.event == "heartbeat", "{}");
            return;
        }
        match frame.event.as_str() {
            "phx_join" => self.join(&frame).await,
            "phx_leave" => {
                self.answer(&frame, true, "{}");
                if let Some(channel) = self.joined.remove(&frame.topic) {
                    self.quit(&frame.topic, &channel, "phx_close");
                }
            }
            "access_token" => self.renew(&frame).await,
            "broadcast" => self.broadcast(&frame),
            "presence" => self.presence(&frame),
            _ if self.joined.contains_key(&frame.topic) => {}
            _ => self.answer(&frame, false, r#"{"reason":"unmatched topic"}"#),
        }
    }

    fn answer(&self, to: &Incoming, is_ok: bool, response: &str) {
        self.line.send(reply(self.line.version, to, is_ok, response));
    }

    fn refuse(&self, to: &Incoming, no: &No) {
        self.answer(to, false, &no.response());
    }

    async fn join(&mut self, frame: &Incoming) {
        if let Some(before) = self.joined.remove(&frame.topic) {
            self.quit(&frame.topic, &before, "phx_close");
        }
        match self.admit(frame).await {
            Err(no) => self.refuse(frame, &no),
            Ok((channel, join)) => self.enter(frame, channel, join).await,
        }
    }

    /// Decides about a join.
    async fn admit(&mut self, frame: &Incoming) -> Result<(Channel, Join), No> {
        let limits = self.app.realtime.limits;
        if !self.joins.is_kept() {
            return Err(No(
                "ClientJoinRateLimitReached",
                format!("Too many joins: {} a second are allowed", limits.joins),
            ));
        }
        if self.joined.len() >= limits.channels {
            return Err(No(
                "ChannelRateLimitReached",
                format!("Too many channels: {} are allowed on a connection", limits.channels),
            ));
        }
        let name = frame.topic.strip_prefix(PREFIX).unwrap_or_default();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(No(
                "TopicNameRequired",
                "a topic is realtime: and a name of at most 1024 bytes".to_owned(),
            ));
        }
        let wrong = |text: &str| No("MalformedJoinPayload", text.to_owned());
        let Body::Json(text) = &frame.body else {
            return Err(wrong("the payload of a join is JSON"));
        };
        let join: Join = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
        let token = join.access_token.as_deref().or(join.user_token.as_deref());
        let caller = match token {
            Some(token) => self.caller_of(token)?,
            None => self.caller.clone(),
        };
        let expires = expiry(&caller);
        if let Some(text) = self.is_over(expires) {
            return Err(No("InvalidJWTToken", text));
        }
        let topic = TopicKey {
            name: name.to_owned(),
            is_private: join.config.private,
        };
        let rights = self.rights(&caller, &topic).await?;
        let presence_key = match join.config.presence.key.as_str() {
            "" => Uuid::new_v4().to_string(),
            key if key.len() > NAME_BYTES_MAX => return Err(wrong("a presence key has at most 1024 bytes")),
            key => key.to_owned(),
        };
        let channel = Channel {
            number: self.app.realtime.hub.number(),
            topic,
            join_ref: frame.join_ref.clone(),
            caller,
            expires,
            rights,
            acks: join.config.broadcast.ack,
            hears_itself: join.config.broadcast.to_self,
            presence_key,
            changes: None,
        };
        Ok((channel, join))
    }

    fn caller_of(&self, token: &str) -> Result<Caller, No> {
        verified(&self.app, token).map_err(|why| No("InvalidJWTToken", why))
    }

    /// What a caller may do; who may not hear may not join.
    async fn rights(&self, caller: &Caller, topic: &TopicKey) -> Result<Rights, No> {
        if !topic.is_private {
            return Ok(Rights::ALL);
        }
        match rights::of(&self.app, caller, &topic.name).await {
            Ok(rights) if rights.hears => Ok(rights),
            Ok(_) => Err(No(
                "Unauthorized",
                format!(
                    "You do not have permissions to read from this Channel topic: {}",
                    topic.name
                ),
            )),
            Err(problem) => Err(unavailable(&problem)),
        }
    }

    async fn enter(&mut self, frame: &Incoming, mut channel: Channel, join: Join) {
        let app = self.app.clone();
        let realtime = &app.realtime;
        let asked = match realtime.changes.read(&join.config.postgres_changes) {
            Ok(asked) => asked,
            Err(text) => return self.refuse(frame, &No("MalformedJoinPayload", text)),
        };
        realtime.cluster.ready().await;
        realtime
            .hub
            .enter(&channel.topic, channel.number, &self.line, channel.rights.sees);
        self.answer(frame, true, &json!({ "postgres_changes": asked.echo() }).to_string());
        if let (Some(asked), true) = (join.config.broadcast.replay, channel.topic.is_private) {
            match replay::messages(&app, &channel.caller, &channel.topic.name, asked).await {
                Ok(casts) => {
                    let forms = casts.iter().filter_map(|cast| cast.form(self.line.version));
                    forms.for_each(|message| self.line.send(message));
                }
                Err(problem) => tracing::warn!(cause = %chain(&problem), "earlier broadcasts cannot be read"),
            }
        }
        if join.config.presence.enabled && channel.rights.sees {
            let presences = realtime.presences();
            let state = presences.state(&channel.topic);
            self.line.tell(&frame.topic, "presence_state", &state);
        }
        if join.config.broadcast.replication_ready {
            let text = system(
                "system",
                true,
                "Replication connection established",
                &channel.topic.name,
            );
            let (line, topic) = (self.line.clone(), frame.topic.clone());
            realtime.changes.when_live(move || line.tell(&topic, "system", &text));
        }
        // The database's own broadcasts come with the changes of rows.
        realtime.changes.start(realtime);
        if !asked.is_empty() {
            let subscription =
                realtime
                    .changes
                    .subscribe(asked, &channel.caller, channel.number, &channel.topic.name, &self.line);
            channel.changes = Some(subscription);
        }
        self.joined.insert(frame.topic.clone(), channel);
    }

    /// Takes the token that a client has from now on.
    async fn renew(&mut self, frame: &Incoming) {
        let Body::Json(text) = &frame.body else { return };
        let token = serde_json::from_str::<NewToken>(text).ok();
        let Some(token) = token.and_then(|new| new.access_token) else {
            return;
        };
        let Some(channel) = self.joined.get(&frame.topic) else {
            return;
        };
        // A key says less than the token that is there already.
        if token.starts_with("sb_") {
            return;
        }
        let renewed = async {
            let caller = self.caller_of(&token)?;
            if caller.claims() == channel.caller.claims() {
                return Ok::<_, No>(None);
            }
            let rights = self.rights(&caller, &channel.topic).await?;
            Ok(Some((caller, rights)))
        };
        match renewed.await {
            Ok(None) => {}
            Ok(Some((caller, rights))) => {
                let realtime = self.app.realtime.clone();
                let line = self.line.clone();
                if let Some(channel) = self.joined.get_mut(&frame.topic) {
                    if let Some(subscription) = channel.changes.as_ref() {
                        subscription.renew(&caller);
                    }
                    channel.expires = expiry(&caller);
                    if rights.sees != channel.rights.sees {
                        realtime.hub.enter(&channel.topic, channel.number, &line, rights.sees);
                    }
                    (channel.caller, channel.rights) = (caller, rights);
                }
            }
            Err(no) => self.fail(&frame.topic, &no.text(), "phx_close"),
        }
    }

    fn broadcast(&mut self, frame: &Incoming) {
        let Some(channel) = self.joined.get(&frame.topic) else {
            return self.answer(frame, false, r#"{"reason":"unmatched topic"}"#);
        };
        let limits = self.app.realtime.limits;
        if !self.events.is_kept() {
            let text = format!(
                "Too many messages per second: {} are allowed on a connection",
                limits.events
            );
            return self.fail(&frame.topic, &text, "phx_close");
        }
        let (event, payload, is_user) = match &frame.body {
            Body::User(event, payload) => (event.clone(), payload.clone(), true),
            Body::Json(text) => {
                let Ok(spoken) = serde_json::from_str::<Spoken<'_>>(text) else {
                    return self.answer(frame, false, r#"{"reason":"a broadcast has an event and a payload"}"#);
                };
                let payload = spoken.payload.map_or("{}", RawValue::get).to_owned();
                (spoken.event.unwrap_or_default(), Payload::Json(payload), false)
            }
        };
        let no = if !channel.rights.speaks {
            Some(No(
                "Unauthorized",
                "You do not have permissions to write to this Channel topic".to_owned(),
            ))
        } else if payload.size() > limits.payload {
            Some(No(
                "PayloadSizeExceeded",
                format!("a payload has at most {} bytes", limits.payload),
            ))
        } else {
            None
        };
        if no.is_none() {
            let cast = Cast::new(&channel.topic.name, &event, payload, is_user);
            let except = (!channel.hears_itself).then_some(channel.number);
            self.app.realtime.broadcast(&channel.topic, &cast, except);
        }
        if channel.acks {
            match no {
                None => self.answer(frame, true, "{}"),
                Some(no) => self.refuse(frame, &no),
            }
        }
    }

    fn presence(&mut self, frame: &Incoming) {
        let Some(channel) = self.joined.get(&frame.topic) else {
            return self.answer(frame, false, r#"{"reason":"unmatched topic"}"#);
        };
        if !self.events.is_kept() {
            let text = "Client presence rate limit exceeded";
            return self.fail(&frame.topic, text, "phx_close");
        }
        let shown = match &frame.body {
            Body::Json(text) => serde_json::from_str::<Shown>(text).ok(),
            Body::User(..) => None,
        };
        let Some(shown) = shown else {
            return self.answer(frame, false, r#"{"reason":"Presence message must be a map"}"#);
        };
        if !channel.rights.shows {
            let text = "You do not have permissions to be present in this Channel topic";
            return self.refuse(frame, &No("Unauthorized", text.to_owned()));
        }
        let event = shown.event.unwrap_or_default().to_lowercase();
        match (event.as_str(), shown.payload) {
            ("track", payload) => match payload.unwrap_or_else(|| Map::new().into()) {
                Value::Object(payload) => self.track(frame, payload),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    self.answer(frame, false, r#"{"reason":"Presence track payload must be a map"}"#);
                }
            },
            ("untrack", _) => {
                self.app.realtime.untrack(&channel.topic, channel.number);
                self.answer(frame, true, "{}");
            }
            _ => self.answer(frame, false, r#"{"reason":"Unknown presence event"}"#),
        }
    }

    fn track(&mut self, frame: &Incoming, payload: Map<String, Value>) {
        let Some(channel) = self.joined.get(&frame.topic) else {
            return;
        };
        let realtime = &self.app.realtime;
        let size = match &frame.body {
            Body::Json(text) => text.len(),
            Body::User(_, payload) => payload.size(),
        };
        if size > realtime.limits.payload {
            return self.fail(&frame.topic, "Track message size exceeded", "phx_close");
        }
        let before = {
            let presences = realtime.presences();
            let before = presences.of(&channel.topic, realtime.cluster.node(), channel.number);
            before.map(|entry| (entry.phx_ref.clone(), entry.payload == payload))
        };
        if !matches!(before, Some((_, true))) {
            let entry = Entry {
                channel: channel.number,
                key: channel.presence_key.clone(),
                phx_ref: Uuid::new_v4().simple().to_string(),
                phx_ref_prev: before.map(|(phx_ref, _)| phx_ref),
                payload,
            };
            realtime.track(&channel.topic, entry);
        }
        self.answer(frame, true, "{}");
    }

    /// Ends every channel whose token has expired.
    pub(super) fn look(&mut self) {
        let over: Vec<(String, String)> = self
            .joined
            .iter()
            .filter_map(|(topic, channel)| Some((topic.clone(), self.is_over(channel.expires)?)))
            .collect();
        for (topic, text) in over {
            self.fail(&topic, &No("InvalidJWTToken", text).text(), "phx_close");
        }
    }

    fn is_over(&self, expires: Option<DateTime<Utc>>) -> Option<String> {
        let over_s = self.app.now().signed_duration_since(expires?).num_seconds();
        (over_s > LEEWAY_S).then(|| format!("Token has expired {over_s} seconds ago"))
    }

    /// Ends the channel of a number.
    pub(super) fn end(&mut self, number: u64, reason: &str, may_rejoin: bool) {
        let found = self.joined.iter().find(|(_, channel)| channel.number == number);
        let Some(topic) = found.map(|(topic, _)| topic.clone()) else {
            return;
        };
        self.fail(&topic, reason, if may_rejoin { "phx_error" } else { "phx_close" });
    }

    /// Says why, and ends a channel.
    fn fail(&mut self, topic: &str, reason: &str, event: &str) {
        let Some(channel) = self.joined.remove(topic) else {
            return;
        };
        let text = system("system", false, reason, &channel.topic.name);
        self.line.tell(topic, "system", &text);
        self.quit(topic, &channel, event);
    }

    fn quit(&self, topic: &str, channel: &Channel, event: &str) {
        let realtime = &self.app.realtime;
        realtime.hub.leave(&channel.topic, channel.number);
        realtime.untrack(&channel.topic, channel.number);
        let frame = written(
            self.line.version,
            &channel.join_ref,
            &channel.join_ref,
            topic,
            event,
            "{}",
        );
        self.line.send(axum::extract::ws::Message::Text(frame));
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        let realtime = &self.app.realtime;
        for channel in self.joined.values() {
            realtime.hub.leave(&channel.topic, channel.number);
            realtime.untrack(&channel.topic, channel.number);
        }
    }
}

fn unavailable(problem: &Problem) -> No {
    tracing::warn!(cause = %chain(problem), "the policies of a channel cannot be asked");
    No("DatabaseUnavailable", "try again later".to_owned())
}

/// The text of a system message.
pub(super) fn system(extension: &str, is_ok: bool, message: &str, channel: &str) -> String {
    let status = if is_ok { "ok" } else { "error" };
    format!(
        r#"{{"extension":{},"status":"{status}","message":{},"channel":{}}}"#,
        quoted(extension),
        quoted(message),
        quoted(channel)
    )
}
