//! The grammar of the query string. Each parameter is read once, into the types of [`crate::request`]'s parts; what
//! does not fit is refused with the place and what would have fitted, in the words that clients know.

mod cursor;
pub mod filter;
pub mod logic;
pub mod order;
pub mod select;

pub use cursor::ParseError;
use cursor::{Cursor, Parsed};

/// A column with a path into it: `data->foo->>bar`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// The column.
    pub name: String,
    /// Where in its JSON.
    pub path: Vec<Step>,
}

impl Field {
    /// A column by itself.
    #[must_use]
    pub fn column(name: &str) -> Field {
        Field {
            name: name.to_owned(),
            path: Vec::new(),
        }
    }
}

/// One step into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `->>`: the value as text. Else `->`: as JSON.
    pub as_text: bool,
    /// Where to.
    pub to: Operand,
}

/// Where a step into JSON leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// The element with this number, from the end where it is negative.
    Index(String),
    /// The value of this key.
    Key(String),
}

/// Where in the tree of embeds a parameter belongs, and to which column: `clients.projects.id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePath {
    /// The embeds on the way.
    pub embeds: Vec<String>,
    /// The last part.
    pub field: Field,
}

const FIELD_NAME: &str = "field name (* or [a..z0..9_$])";

/// Reads the name of a filter parameter.
///
/// # Errors
/// When it is no path.
pub fn tree_path(text: &str) -> Result<TreePath, ParseError> {
    let mut cursor = Cursor::of(text);
    cursor.finish(format!("failed to parse tree path ({text})"), |cursor| {
        let mut embeds = Vec::new();
        let mut name = field_name(cursor)?;
        while cursor.take(".") {
            embeds.push(std::mem::replace(&mut name, field_name(cursor)?));
        }
        let path = json_path(cursor)?;
        Ok(TreePath {
            embeds,
            field: Field { name, path },
        })
    })
}

/// Reads `columns=` and `on_conflict=`.
///
/// # Errors
/// When it is no list of names.
pub fn columns(parameter: &str, text: &str) -> Result<Vec<String>, ParseError> {
    let mut cursor = Cursor::of(text);
    cursor.begin(&format!("failed to parse {parameter} parameter ({text})"), |cursor| {
        let mut names = vec![field_name(cursor)?];
        while cursor.take_lexeme(",") {
            names.push(field_name(cursor)?);
        }
        Ok(names)
    })
}

fn is_name_letter(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | ' ' | '$')
}

/// A name in double quotes, or words joined by `-`, which must not be the beginning of an arrow.
fn field_name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.skip_blanks();
    if cursor.peek() == Some('"') {
        return quoted_value(cursor);
    }
    let mut name = String::new();
    loop {
        let word = cursor.take_while(is_name_letter);
        if word.is_empty() {
            return cursor.unexpected(if name.is_empty() { FIELD_NAME } else { "letter or digit" });
        }
        name.push_str(word);
        if cursor.peek() == Some('-') && !cursor.looking_at("->") {
            cursor.take("-");
            name.push('-');
        } else {
            return Ok(name.trim().to_owned());
        }
    }
}

/// `"..."` with `\` before what is meant literally.
fn quoted_value(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.expect("\"", "\"\\\"\"")?;
    let mut value = String::new();
    loop {
        match cursor.next() {
            Some('"') => return Ok(value),
            Some('\\') => match cursor.next() {
                Some(letter) => value.push(letter),
                None => return cursor.unexpected("any character"),
            },
            Some(letter) => value.push(letter),
            None => return cursor.unexpected("\"\\\"\""),
        }
    }
}

/// A value in a list: in quotes, or as it stands up to the next `,` or `)`, blanks and all.
fn element(cursor: &mut Cursor<'_>) -> String {
    let mark = cursor.mark();
    if cursor.peek() == Some('"')
        && let Ok(value) = quoted_value(cursor)
    {
        cursor.skip_blanks();
        if matches!(cursor.peek(), Some(',' | ')')) {
            return value;
        }
    }
    cursor.reset(mark);
    cursor.take_while(|letter| !matches!(letter, ',' | ')')).to_owned()
}

fn json_path(cursor: &mut Cursor<'_>) -> Parsed<Vec<Step>> {
    let mut path = Vec::new();
    loop {
        let as_text = if cursor.take("->>") {
            true
        } else if cursor.take("->") {
            false
        } else {
            return Ok(path);
        };
        let to = operand(cursor)?;
        path.push(Step { as_text, to });
    }
}

fn operand(cursor: &mut Cursor<'_>) -> Parsed<Operand> {
    if cursor.peek() == Some('"') {
        return Ok(Operand::Key(quoted_value(cursor)?));
    }
    let mut key = String::new();
    if cursor.peek() == Some('-') && !cursor.looking_at("->") {
        cursor.take("-");
        let digits = cursor.take_while(|letter| letter.is_ascii_digit());
        if digits.is_empty() {
            return cursor.unexpected("digit");
        }
        return Ok(Operand::Index(format!("-{digits}")));
    }
    loop {
        key.push_str(cursor.take_while(|letter| !matches!(letter, '"' | '-' | '>' | ':' | '.' | ',' | '(' | ')')));
        if cursor.peek() == Some('-') && !cursor.looking_at("->") && !key.is_empty() {
            cursor.take("-");
            key.push('-');
        } else {
            break;
        }
    }
    if key.is_empty() {
        return cursor.unexpected("\"-\", digit or any non reserved character different from: .,>()");
    }
    if key.chars().all(|letter| letter.is_ascii_digit()) {
        Ok(Operand::Index(key))
    } else {
        Ok(Operand::Key(key.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_through_embeds_to_a_column() {
        let check = |text: &str, embeds: &[&str], name: &str, steps: usize| {
            let path = tree_path(text).unwrap();
            assert_eq!(path.embeds, embeds, "{text}");
            assert_eq!(path.field.name, name, "{text}");
            assert_eq!(path.field.path.len(), steps, "{text}");
        };
        check("id", &[], "id", 0);
        check("clients.projects.id", &["clients", "projects"], "id", 0);
        check("data->foo->>bar", &[], "data", 2);
        check("data->>-3", &[], "data", 1);
        check("field-with_sep", &[], "field-with_sep", 0);
        check("\"a.b\".\"c d\"", &["a.b"], "c d", 0);
        assert!(tree_path("a..b").is_err());
    }

    #[test]
    fn lists_of_columns() {
        assert_eq!(columns("columns", "id,\"a,b\", c").unwrap(), ["id", "a,b", "c"]);
        let error = columns("columns", "").unwrap_err();
        assert_eq!(
            error.message,
            "\"failed to parse columns parameter ()\" (line 1, column 1)"
        );
        assert_eq!(
            error.details,
            "unexpected end of input expecting field name (* or [a..z0..9_$])"
        );
    }
}
