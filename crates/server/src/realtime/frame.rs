//! Frames of the socket: what a client sends is read, what it is sent is written, in the version that it speaks.
//!
//! Version 1 is a JSON object, version 2 an array; with version 2 a broadcast may come and go as bytes. Payloads are
//! carried as the text that they came in, so that no number or order of keys changes on the way.

use std::{borrow::Cow, fmt::Write as _, sync::OnceLock};

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A client's broadcast as bytes.
const USER_PUSH: u8 = 3;

/// A broadcast to a client as bytes.
const USER_BROADCAST: u8 = 4;

/// What every reply and every message of the server that belongs to nothing has as a reference.
const NONE: &str = "null";

/// The serializer that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Objects.
    One,
    /// Arrays, and bytes for broadcasts.
    Two,
}

impl Version {
    /// What `vsn` asks for; nothing is 1.
    #[must_use]
    pub fn of(vsn: Option<&str>) -> Version {
        match vsn {
            Some(text) if text.starts_with("2.") => Version::Two,
            Some(_) | None => Version::One,
        }
    }
}

/// A frame that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Which join it belongs to, as JSON.
    pub join_ref: String,
    /// What a reply names, as JSON.
    pub reference: String,
    /// The topic, with `realtime:`.
    pub topic: String,
    /// What it is.
    pub event: String,
    /// What it carries.
    pub body: Body,
}

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// JSON text.
    Json(String),
    /// A broadcast as bytes: the client's own event, and its payload.
    User(String, Payload),
}

/// The payload of a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON text.
    Json(String),
    /// Anything.
    Bytes(Bytes),
}

impl Payload {
    /// How large it is (bytes).
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Payload::Json(text) => text.len(),
            Payload::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Why a frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not the JSON that the version has.
    #[error("not a frame of this version")]
    Json,
    /// Bytes of another kind, or cut off.
    #[error("not a frame of bytes")]
    Bytes,
}

#[derive(Deserialize)]
struct Object<'a> {
    topic: String,
    event: String,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "ref")]
    reference: Option<&'a RawValue>,
    #[serde(borrow, default)]
    join_ref: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Array<'a>(
    #[serde(borrow)] Option<&'a RawValue>,
    #[serde(borrow)] Option<&'a RawValue>,
    String,
    String,
    #[serde(borrow)] &'a RawValue,
);

fn text_of(value: Option<&RawValue>) -> String {
    value.map_or(NONE, RawValue::get).to_owned()
}

/// Reads a text frame.
///
/// # Errors
/// [`FrameError::Json`].
pub fn read_text(version: Version, text: &str) -> Result<Incoming, FrameError> {
    match version {
        Version::One => {
            // An array of as many elements would do for serde.
            if !text.trim_start().starts_with('{') {
                return Err(FrameError::Json);
            }
            let Object {
                topic,
                event,
                payload,
                reference,
                join_ref,
            } = serde_json::from_str(text).map_err(|_| FrameError::Json)?;
            Ok(Incoming {
                join_ref: text_of(join_ref),
                reference: text_of(reference),
                topic,
                event,
                body: Body::Json(payload.map_or("{}", RawValue::get).to_owned()),
            })
        }
        Version::Two => {
            let Array(join_ref, reference, topic, event, payload) =
                serde_json::from_str(text).map_err(|_| FrameError::Json)?;
            Ok(Incoming {
                join_ref: text_of(join_ref),
                reference: text_of(reference),
                topic,
                event,
                body: Body::Json(payload.get().to_owned()),
            })
        }
    }
}

/// Reads a frame of bytes: a broadcast of the client.
///
/// # Errors
/// [`FrameError::Bytes`].
pub fn read_bytes(bytes: &Bytes) -> Result<Incoming, FrameError> {
    let wrong = || FrameError::Bytes;
    let (head, mut rest) = bytes.split_first_chunk::<7>().ok_or_else(wrong)?;
    let [kind, join_ref, reference, topic, event, metadata, encoding] = *head;
    if kind != USER_PUSH {
        return Err(FrameError::Bytes);
    }
    let mut take = |length: u8| {
        let (text, after) = rest.split_at_checked(usize::from(length)).ok_or(FrameError::Bytes)?;
        rest = after;
        std::str::from_utf8(text).map_err(|_| FrameError::Bytes)
    };
    let (join_ref, reference, topic, event) = (take(join_ref)?, take(reference)?, take(topic)?, take(event)?);
    take(metadata)?;
    let as_json = |text: &str| if text.is_empty() { NONE.to_owned() } else { quoted(text) };
    let payload = match encoding {
        1 => {
            let text = std::str::from_utf8(rest).map_err(|_| FrameError::Bytes)?;
            serde_json::from_str::<&RawValue>(text).map_err(|_| FrameError::Bytes)?;
            Payload::Json(text.to_owned())
        }
        0 => Payload::Bytes(bytes.slice_ref(rest)),
        _ => return Err(FrameError::Bytes),
    };
    Ok(Incoming {
        join_ref: as_json(join_ref),
        reference: as_json(reference),
        topic: topic.to_owned(),
        event: "broadcast".to_owned(),
        body: Body::User(event.to_owned(), payload),
    })
}

/// A string as JSON.
#[must_use]
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text frame to a client. References and payload are JSON.
#[must_use]
pub fn written(
    version: Version,
    join_ref: &str,
    reference: &str,
    topic: &str,
    event: &str,
    payload: &str,
) -> Utf8Bytes {
    let (topic, event) = (quoted(topic), quoted(event));
    let mut text = String::with_capacity(payload.len() + topic.len() + event.len() + 64);
    let _ = match version {
        Version::One => write!(
            text,
            r#"{{"topic":{topic},"event":{event},"payload":{payload},"ref":{reference}}}"#
        ),
        Version::Two => write!(text, "[{join_ref},{reference},{topic},{event},{payload}]"),
    };
    text.into()
}

/// A text frame that answers nothing.
#[must_use]
pub fn pushed(version: Version, topic: &str, event: &str, payload: &str) -> Message {
    Message::Text(written(version, NONE, NONE, topic, event, payload))
}

/// A reply to `incoming`.
#[must_use]
pub fn reply(version: Version, to: &Incoming, is_ok: bool, response: &str) -> Message {
    let status = if is_ok { "ok" } else { "error" };
    let payload = format!(r#"{{"status":"{status}","response":{response}}}"#);
    Message::Text(written(
        version,
        &to.join_ref,
        &to.reference,
        &to.topic,
        "phx_reply",
        &payload,
    ))
}

/// One broadcast on its way to many: each form of it is made once, when the first needs it.
pub struct Cast {
    /// The topic without `realtime:`.
    pub name: String,
    /// The client's own event.
    pub event: String,
    /// What it carries.
    pub payload: Payload,
    /// `{"id":...,"replayed":true}`, if there is anything to say.
    pub meta: Option<String>,
    /// Whether it came in as bytes, and goes to those who can read them as such.
    pub is_user: bool,
    forms: [OnceLock<Option<Message>>; 2],
}

impl Cast {
    /// A broadcast.
    #[must_use]
    pub fn new(name: &str, event: &str, payload: Payload, is_user: bool) -> Cast {
        Cast {
            name: name.to_owned(),
            event: event.to_owned(),
            payload,
            meta: None,
            is_user,
            forms: Default::default(),
        }
    }

    /// The frame of a version; none where the version has no form for it.
    #[must_use]
    pub fn form(&self, version: Version) -> Option<Message> {
        let [one, two] = &self.forms;
        let form = match version {
            Version::One => one.get_or_init(|| self.as_text(version)),
            Version::Two => two.get_or_init(|| match (&self.payload, self.is_user) {
                (Payload::Json(_), false) => self.as_text(version),
                (Payload::Json(_), true) | (Payload::Bytes(_), _) => self.as_bytes().or_else(|| self.as_text(version)),
            }),
        };
        form.clone()
    }

    fn topic(&self) -> String {
        format!("realtime:{}", self.name)
    }

    fn as_text(&self, version: Version) -> Option<Message> {
        let Payload::Json(payload) = &self.payload else {
            return None;
        };
        let event = quoted(&self.event);
        let meta = self
            .meta
            .as_ref()
            .map_or(Cow::Borrowed(""), |meta| format!(r#","meta":{meta}"#).into());
        let payload = format!(r#"{{"type":"broadcast","event":{event},"payload":{payload}{meta}}}"#);
        Some(pushed(version, &self.topic(), "broadcast", &payload))
    }

    /// None where a name is longer than the form can say.
    fn as_bytes(&self) -> Option<Message> {
        let (topic, meta) = (self.topic(), self.meta.as_deref().unwrap_or_default());
        let length = |text: &str| u8::try_from(text.len()).ok();
        let (encoding, payload) = match &self.payload {
            Payload::Bytes(bytes) => (0, bytes.as_ref()),
            Payload::Json(text) => (1, text.as_bytes()),
        };
        let head = [
            USER_BROADCAST,
            length(&topic)?,
            length(&self.event)?,
            length(meta)?,
            encoding,
        ];
        let mut out = BytesMut::with_capacity(payload.len() + topic.len() + 64);
        out.put_slice(&head);
        for part in [topic.as_bytes(), self.event.as_bytes(), meta.as_bytes(), payload] {
            out.put_slice(part);
        }
        Some(Message::Binary(out.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(topic: &str, event: &str, body: Body) -> Incoming {
        Incoming {
            join_ref: "\"1\"".to_owned(),
            reference: "\"2\"".to_owned(),
            topic: topic.to_owned(),
            event: event.to_owned(),
            body,
        }
    }

    #[test]
    fn both_versions_are_read() {
        let expect = incoming("realtime:a", "phx_join", Body::Json(r#"{"b":1.50,"a":1}"#.to_owned()));
        let one = r#"{"topic":"realtime:a","event":"phx_join","payload":{"b":1.50,"a":1},"ref":"2","join_ref":"1"}"#;
        let two = r#"["1","2","realtime:a","phx_join",{"b":1.50,"a":1}]"#;
        assert_eq!(read_text(Version::One, one).unwrap(), expect);
        assert_eq!(read_text(Version::Two, two).unwrap(), expect);
        let bare = read_text(Version::One, r#"{"topic":"phoenix","event":"heartbeat"}"#).unwrap();
        assert_eq!((bare.reference.as_str(), bare.join_ref.as_str()), ("null", "null"));
        for (version, wrong) in [
            (Version::One, two),
            (Version::Two, one),
            (Version::One, ""),
            (Version::Two, "[]"),
        ] {
            assert_eq!(read_text(version, wrong), Err(FrameError::Json), "{wrong}");
        }
    }

    #[test]
    fn a_broadcast_as_bytes_is_read_and_written() {
        let mut sent = vec![3, 1, 1, 10, 1, 2, 1];
        sent.extend_from_slice(b"12realtime:ae{}{\"x\":1}");
        let expect = incoming(
            "realtime:a",
            "broadcast",
            Body::User("e".to_owned(), Payload::Json(r#"{"x":1}"#.to_owned())),
        );
        assert_eq!(read_bytes(&Bytes::from(sent.clone())).unwrap(), expect);
        for cut in 0..sent.len() - 1 {
            assert_eq!(
                read_bytes(&Bytes::copy_from_slice(&sent[..cut])),
                Err(FrameError::Bytes),
                "{cut} bytes"
            );
        }
        let cast = Cast::new("a", "e", Payload::Json(r#"{"x":1}"#.to_owned()), true);
        let mut expect = vec![4, 10, 1, 0, 1];
        expect.extend_from_slice(b"realtime:ae{\"x\":1}");
        assert_eq!(cast.form(Version::Two), Some(Message::Binary(expect.into())));
        let text = r#"{"topic":"realtime:a","event":"broadcast","payload":{"type":"broadcast","event":"e","payload":{"x":1}},"ref":null}"#;
        assert_eq!(cast.form(Version::One), Some(Message::Text(text.into())));
        let bytes = Cast::new("a", "e", Payload::Bytes(Bytes::from_static(b"\xff")), true);
        assert_eq!(bytes.form(Version::One), None, "version 1 has no form for bytes");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_in_panics(bytes: Vec<u8>, text in ".{0,80}") {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = USER_PUSH;
            }
            let _ = read_bytes(&Bytes::from(bytes));
            let _ = (read_text(Version::One, &text), read_text(Version::Two, &text));
        }
    }
}
