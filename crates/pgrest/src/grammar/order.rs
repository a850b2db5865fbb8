//! `order=`: by columns, and by columns of a related row.

use super::{Cursor, Field, ParseError, Parsed, field_name, json_path};

/// One term of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTerm {
    /// The related row that has the column; none: the row itself.
    pub relation: Option<String>,
    /// The column.
    pub field: Field,
    /// `asc` or `desc`, if it was said.
    pub direction: Option<Direction>,
    /// Where nulls stand, if it was said.
    pub nulls: Option<Nulls>,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Small ones first.
    Ascending,
    /// Large ones first.
    Descending,
}

/// Where nulls stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Before all else.
    First,
    /// After all else.
    Last,
}

/// Reads `order=`.
///
/// # Errors
/// When it does not follow the grammar.
pub fn order(text: &str) -> Result<Vec<OrderTerm>, ParseError> {
    let mut cursor = Cursor::of(text);
    cursor.finish(format!("failed to parse order ({text})"), |cursor| {
        let mut terms = vec![term(cursor)?];
        while cursor.take_lexeme(",") {
            terms.push(term(cursor)?);
        }
        Ok(terms)
    })
}

fn term(cursor: &mut Cursor<'_>) -> Parsed<OrderTerm> {
    let mut relation = None;
    let mut name = field_name(cursor)?;
    let mut path = Vec::new();
    if cursor.take("(") {
        relation = Some(std::mem::replace(&mut name, field_name(cursor)?));
        path = json_path(cursor)?;
        cursor.expect(")", "\")\"")?;
    } else {
        path.extend(json_path(cursor)?);
    }
    let mut term = OrderTerm {
        relation,
        field: Field { name, path },
        direction: None,
        nulls: None,
    };
    if !cursor.take(".") {
        if !cursor.rest().is_empty() && !cursor.rest().trim_start().starts_with(',') {
            return cursor.unexpected_letter("delimiter (.), \",\" or end of input");
        }
        return Ok(term);
    }
    if cursor.take("asc") {
        term.direction = Some(Direction::Ascending);
    } else if cursor.take("desc") {
        term.direction = Some(Direction::Descending);
    }
    if term.direction.is_some() {
        if cursor.take(".") {
            term.nulls = Some(nulls(cursor, "nullsfirst", "\"nullsfirst\" or \"nullslast\"")?);
        } else if !ends(cursor) {
            return cursor.unexpected_letter("delimiter (.), \",\" or end of input");
        }
    } else {
        term.nulls = Some(nulls(
            cursor,
            "asc",
            "\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"",
        )?);
    }
    if !ends(cursor) {
        return cursor.unexpected_letter("\",\" or end of input");
    }
    Ok(term)
}

fn ends(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest().trim_start();
    rest.is_empty() || rest.starts_with(',')
}

fn nulls(cursor: &mut Cursor<'_>, word: &str, expected: &str) -> Parsed<Nulls> {
    if cursor.take("nullsfirst") {
        Ok(Nulls::First)
    } else if cursor.take("nullslast") {
        Ok(Nulls::Last)
    } else {
        cursor.unexpected_word(word, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        let check = |text: &str, relation: Option<&str>, name: &str, direction, nulls| {
            let terms = order(text).unwrap();
            let term = terms.first().unwrap();
            assert_eq!(term.relation.as_deref(), relation, "{text}");
            assert_eq!(term.field.name, name, "{text}");
            assert_eq!((term.direction, term.nulls), (direction, nulls), "{text}");
        };
        check("id", None, "id", None, None);
        check("id.asc,x", None, "id", Some(Direction::Ascending), None);
        check(
            "a.desc.nullslast",
            None,
            "a",
            Some(Direction::Descending),
            Some(Nulls::Last),
        );
        check("a.nullsfirst", None, "a", None, Some(Nulls::First));
        check(
            "clients(name).desc",
            Some("clients"),
            "name",
            Some(Direction::Descending),
            None,
        );
        check("data->a->>b.desc", None, "data", Some(Direction::Descending), None);
        assert_eq!(order("a, b.desc").unwrap().len(), 2);
    }

    #[test]
    fn misspelled_words_are_told() {
        let check = |text: &str, column: usize, details: &str| {
            let error = order(text).unwrap_err();
            let message = format!("\"failed to parse order ({text})\" (line 1, column {column})");
            assert_eq!((error.message, error.details), (message, details.to_owned()));
        };
        check(
            "id.ac",
            4,
            "unexpected \"c\" expecting \"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"",
        );
        check(
            "id.descc",
            8,
            "unexpected 'c' expecting delimiter (.), \",\" or end of input",
        );
        check(
            "id.asc.nlslast",
            8,
            "unexpected \"l\" expecting \"nullsfirst\" or \"nullslast\"",
        );
        check(
            "id.nulsfist",
            4,
            "unexpected \"n\" expecting \"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"",
        );
        check(
            "id.asc.nullslasttt",
            17,
            "unexpected 't' expecting \",\" or end of input",
        );
    }
}
