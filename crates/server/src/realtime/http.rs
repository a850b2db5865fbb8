//! Broadcasts by HTTP, for who has no connection.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    Realtime,
    frame::{Cast, Payload},
    hub::TopicKey,
    rights,
};
use crate::{
    app::App,
    auth::token::Caller,
    problem::{Problem, chain},
};

/// The largest body (bytes): some messages of the largest payload.
pub(super) const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Messages of one request.
const MESSAGES_MAX: usize = 100;

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    messages: Vec<One<'a>>,
}

#[derive(Deserialize)]
struct One<'a> {
    topic: String,
    event: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(default)]
    private: bool,
}

/// `?private=true`
#[derive(Deserialize)]
pub(super) struct Kind {
    private: Option<String>,
}

fn refused(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text, "message": text }))).into_response()
}

fn who(app: &App, headers: &HeaderMap) -> Result<Caller, Box<Response>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(shown) = bearer.or_else(|| text("apikey")).or_else(|| text("x-api-key")) else {
        return Err(Box::new(refused(
            StatusCode::UNAUTHORIZED,
            "No API key found in request",
        )));
    };
    let caller = app.keys.caller(shown, app.now());
    caller.map_err(|error| Box::new(refused(StatusCode::UNAUTHORIZED, &error.to_string())))
}

/// Sends one broadcast, unless the caller may not speak there: then it is passed over in silence, as the protocol has it.
async fn send(app: &App, caller: &Caller, topic: TopicKey, event: &str, payload: Payload) -> Result<(), Problem> {
    let may_speak = !topic.is_private || rights::of(app, caller, &topic.name).await?.speaks;
    if may_speak {
        let realtime: &Arc<Realtime> = &app.realtime;
        realtime.cluster.start(realtime);
        realtime.cluster.ready().await;
        let cast = Cast::new(&topic.name, event, payload, true);
        realtime.broadcast(&topic, &cast, None);
    }
    Ok(())
}

fn answered(sent: Result<(), Problem>) -> Response {
    match sent {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(problem) => {
            tracing::warn!(cause = %chain(&problem), "the policies of a channel cannot be asked");
            refused(StatusCode::SERVICE_UNAVAILABLE, "try again later")
        }
    }
}

fn is_too_large(app: &App, payload: &Payload) -> Option<Response> {
    let max = app.realtime.limits.payload;
    (payload.size() > max).then(|| {
        let text = format!("PayloadSizeExceeded: a payload has at most {max} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, &text)
    })
}

/// Several broadcasts.
pub(super) async fn many(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let caller = match who(&app, &headers) {
        Ok(caller) => caller,
        Err(response) => return *response,
    };
    let Ok(Messages { messages }) = serde_json::from_slice::<Messages<'_>>(&body) else {
        let text = "a body is {\"messages\":[{\"topic\",\"event\",\"payload\",\"private\"}]}";
        return refused(StatusCode::UNPROCESSABLE_ENTITY, text);
    };
    if messages.len() > MESSAGES_MAX {
        let text = format!("Too many messages: {MESSAGES_MAX} are allowed in a request");
        return refused(StatusCode::TOO_MANY_REQUESTS, &text);
    }
    let mut ready = Vec::new();
    for one in messages {
        if one.topic.is_empty() {
            return refused(StatusCode::UNPROCESSABLE_ENTITY, "a topic is not empty");
        }
        let payload = Payload::Json(one.payload.get().to_owned());
        if let Some(response) = is_too_large(&app, &payload) {
            return response;
        }
        let topic = TopicKey {
            name: one.topic,
            is_private: one.private,
        };
        ready.push((topic, one.event, payload));
    }
    let mut sent = Ok(());
    for (topic, event, payload) in ready {
        sent = sent.and(send(&app, &caller, topic, &event, payload).await);
    }
    answered(sent)
}

/// One broadcast: the body is its payload.
pub(super) async fn one(
    State(app): State<App>,
    Path((name, event)): Path<(String, String)>,
    Query(kind): Query<Kind>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = match who(&app, &headers) {
        Ok(caller) => caller,
        Err(response) => return *response,
    };
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let payload = if content.is_some_and(|content| content.starts_with("application/octet-stream")) {
        Payload::Bytes(body)
    } else {
        match serde_json::from_slice::<&RawValue>(&body) {
            Ok(json) => Payload::Json(json.get().to_owned()),
            Err(_) => {
                return refused(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "the body is JSON, or application/octet-stream",
                );
            }
        }
    };
    if let Some(response) = is_too_large(&app, &payload) {
        return response;
    }
    let topic = TopicKey {
        name,
        is_private: kind.private.as_deref() == Some("true"),
    };
    answered(send(&app, &caller, topic, &event, payload).await)
}
