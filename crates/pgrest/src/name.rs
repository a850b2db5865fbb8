//! Names of things in PostgreSQL, and how they are written into SQL so that no name can end its quotes.

use std::fmt;

/// A name in a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct QualifiedName {
    /// The schema; empty where a name needs none.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl QualifiedName {
    /// `schema.name`.
    #[must_use]
    pub fn of(schema: &str, name: &str) -> QualifiedName {
        QualifiedName {
            schema: schema.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Both parts quoted, as SQL wants them.
    #[must_use]
    pub fn quoted(&self) -> String {
        if self.schema.is_empty() {
            quoted(&self.name)
        } else {
            format!("{}.{}", quoted(&self.schema), quoted(&self.name))
        }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.schema, self.name)
    }
}

/// An identifier in double quotes. What follows a NUL could never be part of a name.
#[must_use]
pub fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for letter in name.chars().take_while(|letter| *letter != '\0') {
        if letter == '"' {
            text.push('"');
        }
        text.push(letter);
    }
    text.push('"');
    text
}

/// A string literal that means the same whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 4);
    if value.contains('\\') {
        text.push_str(" E");
    }
    text.push('\'');
    for letter in value.chars().take_while(|letter| *letter != '\0') {
        if letter == '\'' || letter == '\\' {
            text.push(letter);
        }
        text.push(letter);
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_its_own_quotes() {
        let cases = [
            (r#"a"b"#, r#""a""b""#),
            ("a b", r#""a b""#),
            ("a\0; drop", r#""a""#),
            ("", r#""""#),
        ];
        for (name, expect) in cases {
            assert_eq!(quoted(name), expect);
        }
        let cases = [("a'b", "'a''b'"), (r"a\'b", r" E'a\\''b'"), ("a\0b", "'a'")];
        for (value, expect) in cases {
            assert_eq!(literal(value), expect);
        }
    }
}
