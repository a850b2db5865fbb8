//! The body of a request: rows to write, or the arguments of a call.

use std::{collections::BTreeSet, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use crate::{error::Refusal, media::MediaType, query};

/// Rows as JSON, and which columns they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// An object, or an array of objects.
    pub json: String,
    /// Whether it is an array.
    pub is_array: bool,
    /// How many rows.
    pub count: usize,
    /// The keys that every row has.
    pub keys: BTreeSet<String>,
}

/// What a call was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Names with JSON values, and the whole for a single unnamed parameter.
    Json {
        /// The members of the (first) object.
        members: Vec<(String, String)>,
        /// The body as it came, unless it was a table.
        whole: Option<String>,
    },
    /// Names with texts; a name may stand several times.
    Texts(Vec<(String, String)>),
    /// The body for a single unnamed parameter and no other.
    Whole(MediaType, Vec<u8>),
}

impl Arguments {
    /// Forgets the members that `columns=` does not name.
    pub fn keep_only(&mut self, columns: &[String]) {
        match self {
            Arguments::Json { members, .. } | Arguments::Texts(members) => {
                members.retain(|(name, _)| columns.contains(name));
            }
            Arguments::Whole(..) => {}
        }
    }

    /// The names given.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        match self {
            Arguments::Json { members, .. } => members.iter().map(|(name, _)| name.as_str()).collect(),
            Arguments::Texts(members) => members.iter().map(|(name, _)| name.as_str()).collect(),
            Arguments::Whole(..) => BTreeSet::new(),
        }
    }
}

fn invalid() -> Refusal {
    Refusal::Body("Empty or invalid json".to_owned())
}

fn text(body: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(body).map_err(|_| invalid())
}

/// Reads rows to write. With `declared` columns, rows may differ in their keys.
///
/// # Errors
/// When the body is not what its content type says.
pub fn rows(media: &MediaType, body: &[u8], declared: bool) -> Result<Rows, Refusal> {
    match media {
        MediaType::Json | MediaType::Any => json_rows(text(body)?, declared),
        MediaType::Csv => csv_rows(text(body)?),
        MediaType::Form => {
            let members: Map<String, Value> = query::pairs(text(body)?)
                .into_iter()
                .map(|(name, value)| (name, Value::from(value)))
                .collect();
            let keys = members.keys().cloned().collect();
            Ok(Rows {
                json: Value::Object(members).to_string(),
                is_array: false,
                count: 1,
                keys,
            })
        }
        MediaType::ArrayStripped
        | MediaType::Object { .. }
        | MediaType::GeoJson
        | MediaType::OpenApi
        | MediaType::Plan(_)
        | MediaType::Text
        | MediaType::Xml
        | MediaType::Bytes
        | MediaType::Other(_) => Err(not_acceptable(media)),
    }
}

/// Reads the arguments of a call.
///
/// # Errors
/// When the body is not what its content type says.
pub fn arguments(media: &MediaType, body: &[u8]) -> Result<Arguments, Refusal> {
    match media {
        MediaType::Json | MediaType::Any => {
            let whole = if body.is_empty() { "{}" } else { text(body)? };
            json_arguments(whole)
        }
        MediaType::Form => Ok(Arguments::Texts(query::pairs(text(body)?))),
        MediaType::Text | MediaType::Xml | MediaType::Bytes => Ok(Arguments::Whole(media.clone(), body.to_vec())),
        MediaType::Csv => {
            let rows = csv_rows(text(body)?)?;
            json_arguments(&rows.json).map(|arguments| match arguments {
                Arguments::Json { members, .. } => Arguments::Json { members, whole: None },
                Arguments::Texts(_) | Arguments::Whole(..) => arguments,
            })
        }
        MediaType::ArrayStripped
        | MediaType::Object { .. }
        | MediaType::GeoJson
        | MediaType::OpenApi
        | MediaType::Plan(_)
        | MediaType::Other(_) => Err(not_acceptable(media)),
    }
}

fn not_acceptable(media: &MediaType) -> Refusal {
    Refusal::Body(format!("Content-Type not acceptable: {}", media.name()))
}

/// The keys of an object; its values are passed over.
struct Keys(BTreeSet<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys, D::Error> {
        struct OfObject;
        impl<'de> Visitor<'de> for OfObject {
            type Value = Keys;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = BTreeSet::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.insert(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(OfObject)
    }
}

fn json_rows(text: &str, declared: bool) -> Result<Rows, Refusal> {
    let rows = |is_array, count, keys| Rows {
        json: text.to_owned(),
        is_array,
        count,
        keys,
    };
    if !text.trim_start().starts_with('[') {
        let Keys(keys) = serde_json::from_str(text).map_err(|_| invalid())?;
        return Ok(rows(false, 1, keys));
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| invalid())?;
    let uneven = || Refusal::Body("All object keys must match".to_owned());
    let mut keys: Option<BTreeSet<String>> = None;
    for item in &items {
        let Keys(own) = serde_json::from_str(item.get()).map_err(|_| uneven())?;
        match &keys {
            None => keys = Some(own),
            Some(first) if *first == own || declared => {}
            Some(_) => return Err(uneven()),
        }
    }
    Ok(rows(true, items.len(), keys.unwrap_or_default()))
}

fn json_arguments(text: &str) -> Result<Arguments, Refusal> {
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| invalid())?;
    let first = if whole.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(|_| invalid())?;
        items.first().map_or("{}", |item| item.get()).to_owned()
    } else {
        whole.get().to_owned()
    };
    // Anything but an object has no names; it may still be the value of a single unnamed parameter.
    let members: Vec<(String, String)> = if first.starts_with('{') {
        let members: std::collections::BTreeMap<String, &RawValue> =
            serde_json::from_str(&first).map_err(|_| invalid())?;
        members
            .into_iter()
            .map(|(name, value)| (name, value.get().to_owned()))
            .collect()
    } else {
        Vec::new()
    };
    Ok(Arguments::Json {
        members,
        whole: Some(whole.get().to_owned()),
    })
}

fn csv_rows(text: &str) -> Result<Rows, Refusal> {
    let mut lines = csv_lines(text).into_iter();
    let header = lines.next().unwrap_or_default();
    let mut rows = Vec::new();
    for line in lines {
        if line.len() != header.len() {
            return Err(Refusal::Body("All lines must have same number of fields".to_owned()));
        }
        let members: Map<String, Value> = header
            .iter()
            .cloned()
            .zip(line.into_iter().map(|value| {
                if value == "NULL" {
                    Value::Null
                } else {
                    Value::from(value)
                }
            }))
            .collect();
        rows.push(Value::Object(members));
    }
    Ok(Rows {
        count: rows.len(),
        json: Value::Array(rows).to_string(),
        is_array: true,
        keys: header.into_iter().collect(),
    })
}

/// Fields by RFC 4180: quotes around what holds commas, line ends or quotes, which are doubled.
fn csv_lines(text: &str) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut field = String::new();
    let mut in_quotes = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if in_quotes && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if in_quotes || field.is_empty() => in_quotes = !in_quotes,
            ',' if !in_quotes => line.push(std::mem::take(&mut field)),
            '\r' if !in_quotes && letters.peek() == Some(&'\n') => {}
            '\n' if !in_quotes => {
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            _ => field.push(letter),
        }
    }
    if !field.is_empty() || !line.is_empty() {
        line.push(field);
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_same_keys() {
        let check = |media: MediaType, body: &str, expect: Result<(usize, &[&str]), &str>| {
            let got = rows(&media, body.as_bytes(), false);
            let got = got.map(|rows| (rows.count, rows.keys.into_iter().collect::<Vec<_>>()));
            let expect = match expect {
                Ok((count, keys)) => Ok((count, keys.iter().map(ToString::to_string).collect())),
                Err(text) => Err(Refusal::Body(text.to_owned())),
            };
            assert_eq!(got, expect, "{body}");
        };
        check(MediaType::Json, r#"{"b":1,"a":{"x":[]}}"#, Ok((1, &["a", "b"])));
        check(MediaType::Json, "[]", Ok((0, &[])));
        check(MediaType::Json, r#"[{"a":1},{"a":2}]"#, Ok((2, &["a"])));
        check(
            MediaType::Json,
            r#"[{"a":1},{"b":2}]"#,
            Err("All object keys must match"),
        );
        check(MediaType::Json, "}{ x = 2", Err("Empty or invalid json"));
        check(MediaType::Json, "", Err("Empty or invalid json"));
        check(MediaType::Csv, "a,b\nNULL,\"x, \"\"y\"\"\"\n", Ok((1, &["a", "b"])));
        check(
            MediaType::Csv,
            "a,b\nfoo,bar\nbaz",
            Err("All lines must have same number of fields"),
        );
        check(MediaType::Form, "a=1&b=2", Ok((1, &["a", "b"])));
    }

    #[test]
    fn arguments_are_the_first_object() {
        let got = arguments(&MediaType::Json, br#"[{"a":1,"b":"x"},{"a":2}]"#).unwrap();
        assert_eq!(got.names().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        let got = arguments(&MediaType::Json, b"5").unwrap();
        assert!(got.names().is_empty());
        assert!(arguments(&MediaType::Json, b"").unwrap().names().is_empty());
        assert!(arguments(&MediaType::Json, b"{").is_err());
    }
}
