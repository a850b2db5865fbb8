//! What a client asks for when it joins a channel.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

/// The payload of `phx_join`. Every part may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Join {
    /// What the channel is to do.
    pub config: Config,
    /// Who joins, where it is not the one who connected.
    pub access_token: Option<String>,
    /// The same, as old clients call it.
    pub user_token: Option<String>,
}

/// What a channel is to do.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Of broadcasts.
    #[serde(deserialize_with = "or_default")]
    pub broadcast: Broadcast,
    /// Of presences.
    #[serde(deserialize_with = "or_default")]
    pub presence: Presence,
    /// Changes of rows that are asked for.
    #[serde(deserialize_with = "or_default")]
    pub postgres_changes: Vec<Box<RawValue>>,
    /// Whether policies decide who may join.
    #[serde(deserialize_with = "flag")]
    pub private: bool,
}

/// How broadcasts go.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Broadcast {
    /// Whether each is answered.
    #[serde(deserialize_with = "flag")]
    pub ack: bool,
    /// Whether the sender hears it.
    #[serde(rename = "self", deserialize_with = "flag")]
    pub to_self: bool,
    /// Whether to say when the database's own broadcasts are heard.
    #[serde(deserialize_with = "flag")]
    pub replication_ready: bool,
    /// Earlier ones that are wanted.
    pub replay: Option<Replay>,
}

/// Earlier broadcasts of a private channel.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Replay {
    /// Since when (ms).
    pub since: i64,
    /// How many at most.
    #[serde(default = "replay_limit")]
    pub limit: i64,
}

fn replay_limit() -> i64 {
    25
}

/// How presences go.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Presence {
    /// What this client's presence is known by; empty: a name of its own.
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    /// Whether to hear of presences.
    #[serde(deserialize_with = "flag")]
    pub enabled: bool,
}

/// Clients of some languages write `"true"`.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(flag) => flag,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    })
}

/// Clients of some languages write null for nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_are_read_as_clients_write_them() {
        let join: Join = serde_json::from_str(
            r#"{"config":{"broadcast":{"ack":"true","self":true},"presence":{"key":null},"postgres_changes":null,"private":"false"},"access_token":null}"#,
        )
        .unwrap();
        assert!(join.config.broadcast.ack && join.config.broadcast.to_self && !join.config.private);
        assert!(join.access_token.is_none());
        assert!(serde_json::from_str::<Join>("{}").is_ok());
    }
}
