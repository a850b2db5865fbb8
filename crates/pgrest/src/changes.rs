//! Statements about rows that changed: which of them somebody may read.

use std::fmt::Write as _;

use crate::name::{QualifiedName, quoted};

/// A table whose rows are asked about.
#[derive(Debug, Clone, Default)]
pub struct Rows<'a> {
    /// The table.
    pub table: QualifiedName,
    /// Columns of the primary key, and their types as SQL writes them.
    pub key: &'a [(String, String)],
    /// Columns that must be as they were told: those by which policies decide.
    pub same: &'a [String],
    /// Columns that are to be read.
    pub read: &'a [String],
}

/// A statement that gives the numbers, from 1, of those rows that the one who asks can read in all the columns. Its binds are
/// arrays as texts: one a column of the key, then one a column that must be the same, as text.
///
/// The key is cast before it is compared: a row is found by its index only by what cannot tell of rows that policies hide, and
/// a cast may fail.
#[must_use]
pub fn visible(rows: &Rows<'_>) -> String {
    let count = rows.key.len() + rows.same.len();
    let mut text = String::from("select k.n from unnest(");
    // An array of arrays would come apart.
    let cast_later = |kind: &str| kind.ends_with(']');
    for at in 0..count {
        let comma = if at == 0 { "" } else { ", " };
        let kind = rows.key.get(at).map(|(_, kind)| kind.as_str());
        let kind = kind.filter(|kind| !cast_later(kind)).unwrap_or("text");
        let _ = write!(text, "{comma}${}::{kind}[]", at + 1);
    }
    text.push_str(") with ordinality as k (");
    for at in 1..=count {
        let _ = write!(text, "c{at}, ");
    }
    text.push_str("n) where exists (select ");
    text.push_str(&columns(rows.read));
    let _ = write!(text, " from {} as t where true", rows.table.quoted());
    for (at, (name, kind)) in rows.key.iter().enumerate() {
        let _ = write!(text, " and t.{} = k.c{}", quoted(name), at + 1);
        if cast_later(kind) {
            let _ = write!(text, "::{kind}");
        }
    }
    for (at, name) in rows.same.iter().enumerate() {
        let _ = write!(
            text,
            " and case when t.{0} is not null then pg_catalog.concat(t.{0}) end is not distinct from k.c{1}",
            quoted(name),
            rows.key.len() + at + 1
        );
    }
    text.push(')');
    text
}

/// A statement that gives nothing, or an error where the one who asks may not read the columns of the table at all.
#[must_use]
pub fn readable(table: &QualifiedName, read: &[String]) -> String {
    format!("select {} from {} as t limit 0", columns(read), table.quoted())
}

fn columns(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("t.{}", quoted(name))).collect();
    names.join(", ")
}

/// A comparison of values of one type that only PostgreSQL can make: the numbers, from 1, of the texts in `$1` that compare
/// so with `$2`. `operator` is one of ours and `kind` a type as SQL writes it.
#[must_use]
pub fn comparing(operator: &str, kind: &str) -> String {
    format!(
        "select k.n from unnest($1::text[]) with ordinality as k (value, n) where k.value::{kind} {operator} $2::text::{kind}"
    )
}

/// A text as a value of a type, written as that type writes it.
#[must_use]
pub fn canonical(kind: &str) -> String {
    // A cast to text is not what every type writes.
    format!("select pg_catalog.concat($1::text::{kind})")
}

/// An array of texts, some of them null, as SQL reads it.
#[must_use]
pub fn array<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut text = String::from("{");
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match value {
            None => text.push_str("NULL"),
            Some(value) => {
                text.push('"');
                for letter in value.chars() {
                    if matches!(letter, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(letter);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let rows = Rows {
            table: QualifiedName::of("public", "a\"b"),
            key: &[("id".to_owned(), "uuid".to_owned())],
            same: &["owner_id".to_owned()],
            read: &["id".to_owned(), "word".to_owned()],
        };
        assert_eq!(
            visible(&rows),
            "select k.n from unnest($1::uuid[], $2::text[]) with ordinality as k (c1, c2, n) where exists (select t.\"id\", t.\"word\" \
             from \"public\".\"a\"\"b\" as t where true and t.\"id\" = k.c1 and case when t.\"owner_id\" is not null \
             then pg_catalog.concat(t.\"owner_id\") end is not distinct from k.c2)"
        );
        let of_arrays = Rows {
            key: &[("path".to_owned(), "text[]".to_owned())],
            ..rows.clone()
        };
        assert!(visible(&of_arrays).contains("unnest($1::text[], $2::text[])"));
        assert!(visible(&of_arrays).contains("t.\"path\" = k.c1::text[]"));
        assert_eq!(
            readable(&rows.table, rows.read),
            "select t.\"id\", t.\"word\" from \"public\".\"a\"\"b\" as t limit 0"
        );
        assert_eq!(array([Some("a\"b\\"), None, Some("")]), r#"{"a\"b\\",NULL,""}"#);
    }
}
