//! One connection: the handshake, and what is read and written until it ends.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json,
    extract::{
        Query, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use futures_util::{SinkExt as _, StreamExt as _, stream::SplitSink};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Realtime,
    channel::Channels,
    frame::{Version, read_bytes, read_text},
    hub::{Line, Waiting, Waits},
};
use crate::{app::App, auth::token::Caller};

/// How long a client may be silent: it sends a heartbeat every 25 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long one frame may take to go out.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// How often tokens are looked at that may have expired.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a frame has beside its payload (bytes): names, references, quotes.
const FRAME_BYTES: usize = 4 * 1024;

/// A client that does not speak the protocol.
const UNSUPPORTED: u16 = 1003;

/// What the URL says.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    apikey: Option<String>,
    vsn: Option<String>,
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// Takes a client in.
pub(super) async fn upgrade(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let key = asked
        .apikey
        .as_deref()
        .or_else(|| headers.get("x-api-key").and_then(|key| key.to_str().ok()));
    let Some(key) = key else {
        return refused(StatusCode::UNAUTHORIZED, "No API key found in request");
    };
    let caller = match verified(&app, key) {
        Ok(caller) => caller,
        Err(why) => return refused(StatusCode::UNAUTHORIZED, &why),
    };
    let Ok(upgrade) = upgrade else {
        return refused(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket");
    };
    let realtime = app.realtime.clone();
    let Some(seat) = Seat::take(&realtime) else {
        return refused(
            StatusCode::TOO_MANY_REQUESTS,
            "ConnectionRateLimitReached: too many connections",
        );
    };
    let bytes_max = realtime.limits.payload.saturating_add(FRAME_BYTES);
    let version = Version::of(asked.vsn.as_deref());
    upgrade
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max)
        .on_upgrade(async move |socket| {
            // Boxed: a connection that waits takes what it needs, and not what every path of it could need at once.
            Box::pin(serve(app, socket, version, caller)).await;
            drop(seat);
        })
}

/// Whom a key or token proves. One without an end is none here, since a connection ends with it.
pub(super) fn verified(app: &App, shown: &str) -> Result<Caller, String> {
    let caller = app.keys.caller(shown, app.now()).map_err(|error| error.to_string())?;
    let is_opaque = shown.starts_with("sb_");
    if is_opaque || expiry(&caller).is_some() {
        Ok(caller)
    } else {
        Err("Fields `role` and `exp` are required in JWT".to_owned())
    }
}

/// When a caller's token ends.
pub(super) fn expiry(caller: &Caller) -> Option<DateTime<Utc>> {
    let claims: Value = serde_json::from_str(caller.claims()).ok()?;
    let seconds = claims.get("exp")?;
    // A fraction of a second is within what clocks may differ by.
    let whole = seconds.to_string();
    DateTime::from_timestamp(whole.split('.').next()?.parse().ok()?, 0)
}

/// A place among the connections, given back when it is dropped.
struct Seat(Arc<Realtime>);

impl Seat {
    fn take(realtime: &Arc<Realtime>) -> Option<Seat> {
        let before = realtime.hub.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(realtime.clone());
        (before < realtime.limits.connections).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.hub.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

type Out = SplitSink<WebSocket, Message>;

async fn serve(app: App, socket: WebSocket, version: Version, caller: Caller) {
    // Before anything else, so that nothing is missed from here on.
    app.realtime.cluster.start(&app.realtime);
    let (line, waits) = Line::new(version);
    let mut channels = Channels::new(app, line.clone(), caller);
    let (mut out, mut incoming) = socket.split();
    let end = talk(&mut channels, &line, waits, &mut out, &mut incoming).await;
    drop(channels);
    let frame = end.map(|(code, reason)| CloseFrame {
        code,
        reason: reason.into(),
    });
    let _ = tokio::time::timeout(WRITE_MAX, out.send(Message::Close(frame))).await;
}

/// Why a connection ends, where the client is told.
type End = Option<(u16, &'static str)>;

async fn talk(
    channels: &mut Channels,
    line: &Line,
    mut waits: Waits,
    out: &mut Out,
    incoming: &mut (impl futures_util::Stream<Item = Result<Message, axum::Error>> + Unpin),
) -> End {
    let mut silent_since = tokio::time::Instant::now();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = line.dropped() => return Some((1008, "too slow: more was said than was read")),
            waiting = waits.next() => match waiting? {
                Waiting::Frame(message) => {
                    let written = tokio::select! {
                        written = tokio::time::timeout(WRITE_MAX, out.send(message)) => written,
                        () = line.dropped() => return None,
                    };
                    if !matches!(written, Ok(Ok(()))) {
                        return None;
                    }
                }
                Waiting::Close { channel, reason, may_rejoin } => channels.end(channel, &reason, may_rejoin),
            },
            message = incoming.next() => {
                silent_since = tokio::time::Instant::now();
                let read = match message? {
                    Ok(Message::Text(text)) => read_text(channels.version(), &text),
                    Ok(Message::Binary(bytes)) => read_bytes(&bytes),
                    Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                    Ok(Message::Close(_)) | Err(_) => return None,
                };
                match read {
                    Ok(frame) => channels.hear(frame).await,
                    Err(_) => return Some((UNSUPPORTED, "not a frame of this version of the protocol")),
                }
            }
            _ = look.tick() => {
                if silent_since.elapsed() > SILENCE_MAX {
                    return Some((1000, "silent for too long"));
                }
                channels.look();
            }
        }
    }
}
