//! A change as clients are told it.

use chrono::SecondsFormat;

use super::{
    tables::Table,
    wal::{Cell, Change, Kind},
};
use crate::realtime::frame::quoted;

/// A change larger than this (bytes) is told without its long values: the protocol's own limit.
const CHANGE_BYTES_MAX: usize = 1024 * 1024;

/// What counts as long then (bytes).
const LONG_BYTES: usize = 64;

/// `data` of a change, with these columns and no other. A table without a key has none of its values told.
#[must_use]
pub fn data(table: &Table, change: &Change, columns: &[&str]) -> String {
    let size: usize = change.new.iter().chain(&change.old).flatten().map(size_of).sum();
    let is_large = size > CHANGE_BYTES_MAX;
    let mut text = format!(
        r#"{{"schema":{},"table":{},"commit_timestamp":"{}","type":"{}""#,
        quoted(&change.relation.schema),
        quoted(&change.relation.name),
        change.committed_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        change.kind.name(),
    );
    text.push_str(",\"columns\":[");
    let mut comma = "";
    for name in columns {
        if let Some(column) = table.column(name) {
            text.push_str(&format!(
                r#"{comma}{{"name":{},"type":{}}}"#,
                quoted(name),
                quoted(&column.kind)
            ));
            comma = ",";
        }
    }
    text.push(']');
    if table.key.is_empty() {
        text.push_str(r#","errors":["Error 400: Bad Request, no primary key"]}"#);
        return text;
    }
    let key = |name: &str| table.key.iter().any(|known| known == name);
    if let Some(new) = &change.new {
        // A value that was too long to be written again is the old row's, where that is known.
        let old = change.old.as_ref().filter(|_| change.is_old_whole);
        text.push_str(",\"record\":");
        text.push_str(&record(table, change, columns, is_large, |at| {
            match (new.get(at), old) {
                (Some(Cell::Unchanged), Some(old)) => old.get(at),
                (cell, _) => cell,
            }
        }));
    }
    if change.kind != Kind::Insert {
        // Before it was changed or removed: the key alone, unless everybody may read the whole table.
        let whole = change.is_old_whole && !table.has_policies;
        let before = change.old.as_ref().or(change.new.as_ref());
        text.push_str(",\"old_record\":");
        let named: Vec<&str> = columns.iter().copied().filter(|name| whole || key(name)).collect();
        text.push_str(&record(table, change, &named, is_large, |at| {
            before.and_then(|cells| cells.get(at))
        }));
    }
    text.push_str(if is_large {
        r#","errors":["Error 413: Payload Too Large"]}"#
    } else {
        r#","errors":null}"#
    });
    text
}

fn size_of(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Unchanged => 4,
        Cell::Text(text) => text.len(),
    }
}

fn record<'a>(
    table: &Table,
    change: &Change,
    columns: &[&str],
    is_large: bool,
    cell: impl Fn(usize) -> Option<&'a Cell>,
) -> String {
    let mut text = String::from("{");
    let mut comma = "";
    for name in columns {
        let at = change.relation.columns.iter().position(|known| known == name);
        let value = match at.and_then(&cell) {
            None | Some(Cell::Unchanged) => continue,
            Some(Cell::Null) => "null".to_owned(),
            Some(Cell::Text(text)) if is_large && text.len() > LONG_BYTES => continue,
            Some(Cell::Text(text)) => json(table.column(name).map_or("text", |column| column.kind.as_str()), text),
        };
        text.push_str(comma);
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(&value);
        comma = ",";
    }
    text.push('}');
    text
}

/// A value of a type as JSON, as `to_jsonb` writes it.
fn json(kind: &str, text: &str) -> String {
    match kind {
        "int2" | "int4" | "int8" | "oid" | "float4" | "float8" | "numeric" if is_number(text) => text.to_owned(),
        "bool" => (if text == "t" { "true" } else { "false" }).to_owned(),
        "json" | "jsonb" => text.to_owned(),
        "timestamp" => quoted(&text.replacen(' ', "T", 1)),
        "timestamptz" => match text.strip_suffix("+00") {
            Some(plain) => quoted(&format!("{}+00:00", plain.replacen(' ', "T", 1))),
            None => quoted(text),
        },
        array if array.starts_with('_') => {
            let inner = array.trim_start_matches('_');
            elements(inner, text).unwrap_or_else(|| quoted(text))
        }
        _ => quoted(text),
    }
}

fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// An array as JSON; none where it has bounds of its own.
fn elements(kind: &str, text: &str) -> Option<String> {
    let mut letters = text.chars().peekable();
    let mut out = String::new();
    let mut comma = false;
    while let Some(letter) = letters.next() {
        match letter {
            '{' => {
                out.push_str(if std::mem::take(&mut comma) { ",[" } else { "[" });
            }
            '}' => {
                out.push(']');
            }
            ',' => comma = true,
            '"' => {
                let mut value = String::new();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' => value.push(letters.next()?),
                        other => value.push(other),
                    }
                }
                out.push_str(if std::mem::take(&mut comma) { "," } else { "" });
                out.push_str(&json(kind, &value));
            }
            '[' => return None,
            other => {
                let mut value = String::from(other);
                while let Some(next) = letters.next_if(|next| !matches!(next, ',' | '}')) {
                    value.push(next);
                }
                out.push_str(if std::mem::take(&mut comma) { "," } else { "" });
                let written = if value == "NULL" {
                    "null".to_owned()
                } else {
                    json(kind, &value)
                };
                out.push_str(&written);
            }
        }
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_rest_writes_them() {
        let check = |kind: &str, text: &str, expect: &str| assert_eq!(json(kind, text), expect, "{kind} {text}");
        check("int8", "9007199254740993", "9007199254740993");
        check("numeric", "1.50", "1.50");
        check("numeric", "NaN", "\"NaN\"");
        check("bool", "t", "true");
        check("jsonb", "{\"a\": 1}", "{\"a\": 1}");
        check(
            "timestamptz",
            "2026-01-02 03:04:05.678+00",
            "\"2026-01-02T03:04:05.678+00:00\"",
        );
        check("timestamp", "2026-01-02 03:04:05", "\"2026-01-02T03:04:05\"");
        check("text", "a\"b", "\"a\\\"b\"");
        check(
            "_text",
            "{a,\"b,\\\"c\",NULL,\"NULL\"}",
            "[\"a\",\"b,\\\"c\",null,\"NULL\"]",
        );
        check("_int4", "{{1,2},{3,4}}", "[[1,2],[3,4]]");
        check("_int4", "{}", "[]");
        check("_int4", "[0:1]={1,2}", "\"[0:1]={1,2}\"");
    }

    proptest::proptest! {
        #[test]
        fn an_array_is_json_or_text(text in "[{}\",a1\\\\ \\[]{0,20}") {
            let json = json("_text", &text);
            proptest::prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok(), "{}", json);
        }
    }
}
