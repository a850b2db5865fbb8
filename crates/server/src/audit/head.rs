//! A head as it leaves the database: one line of JSON, to be kept where nobody who can change the database can change it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    chain::{Batch, Hash, hex, unhex},
    key::is_signed,
};

/// A seal: what it says of its batch, and who signed that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What is signed.
    pub batch: Batch,
    /// The signature over the batch's head.
    pub signature: [u8; 64],
}

/// Why a text is not a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It is no JSON, or not with what a head has.
    #[error("this is not a head that `nexus-mint audit head` prints: {0}")]
    Malformed(String),
    /// What it says does not lead to the head that it names.
    #[error("this head was altered: what it says does not hash to it")]
    Altered,
    /// The signature is not one over this head by this key.
    #[error("this head was altered: its signature is wrong")]
    WrongSignature,
}

impl Head {
    /// The head as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "seal": self.batch.number,
            "sealed_at": instant(self.batch.sealed_at_us),
            "audit_up_to": self.batch.audit_up_to,
            "entries_up_to": self.batch.entries_up_to,
            "links": self.batch.links_up_to,
            "last_link": hex(&self.batch.last_link),
            "head": hex(&self.batch.head()),
            "public_key": hex(&self.batch.public_key),
            "signature": hex(&self.signature),
        })
    }

    /// Reads a head, and believes it only when its signature holds.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn parse(text: &str) -> Result<Head, HeadError> {
        let value: Value = serde_json::from_str(text).map_err(|error| HeadError::Malformed(error.to_string()))?;
        let missing = |name: &str| HeadError::Malformed(format!("`{name}` is missing or not as it should be"));
        let number = |name: &str| value.get(name).and_then(Value::as_i64).ok_or_else(|| missing(name));
        let text = |name: &str| value.get(name).and_then(Value::as_str).ok_or_else(|| missing(name));
        let hash = |name: &str| -> Result<Hash, HeadError> { unhex(text(name)?).ok_or_else(|| missing(name)) };
        let sealed_at: DateTime<Utc> = text("sealed_at")?.parse().map_err(|_| missing("sealed_at"))?;
        let head = Head {
            batch: Batch {
                number: number("seal")?,
                sealed_at_us: sealed_at.timestamp_micros(),
                audit_up_to: number("audit_up_to")?,
                entries_up_to: number("entries_up_to")?,
                links_up_to: number("links")?,
                last_link: hash("last_link")?,
                public_key: hash("public_key")?,
            },
            signature: unhex(text("signature")?).ok_or_else(|| missing("signature"))?,
        };
        if head.batch.head() != hash("head")? {
            return Err(HeadError::Altered);
        }
        if !head.is_signed() {
            return Err(HeadError::WrongSignature);
        }
        Ok(head)
    }

    /// Whether the signature holds.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        is_signed(&self.batch.public_key, &self.batch.head(), &self.signature)
    }
}

/// An instant as everybody writes it, exact to the microsecond.
fn instant(us: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(us).map_or_else(
        || format!("{us} us"),
        |at| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::SealKey, config::Secret};

    #[test]
    fn a_head_is_read_back_and_no_part_of_it_can_be_changed() {
        let key = SealKey::parse(&Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap();
        let batch = Batch {
            number: 3,
            sealed_at_us: 1_767_225_600_123_456,
            audit_up_to: 40,
            entries_up_to: 12,
            links_up_to: 50,
            last_link: [9; 32],
            public_key: key.public(),
        };
        let signature = key.sign(&batch.head());
        let head = Head { batch, signature };
        let json = head.to_json();
        assert_eq!(Head::parse(&json.to_string()), Ok(head));
        for (name, value) in json.as_object().unwrap() {
            let mut changed = json.clone();
            changed[name] = match value {
                Value::Number(number) => json!(number.as_i64().unwrap() + 1),
                Value::String(text) if name == "sealed_at" => json!(text.replace("2026", "2027")),
                Value::String(text) => {
                    let other = if text.starts_with('0') { "1" } else { "0" };
                    json!(format!("{other}{}", &text[1..]))
                }
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => panic!("{value}"),
            };
            assert!(Head::parse(&changed.to_string()).is_err(), "{name}");
            changed.as_object_mut().unwrap().remove(name);
            let error = Head::parse(&changed.to_string()).unwrap_err().to_string();
            assert!(error.contains(name.as_str()), "{error}");
        }
        assert!(Head::parse("not json").is_err());
    }
}
