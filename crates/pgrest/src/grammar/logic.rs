//! `and=(...)`, `or=(...)`: conditions joined by words.

use super::{
    Cursor, FIELD_NAME, Field, ParseError, Parsed, element, field_name,
    filter::{self, Condition},
    json_path,
};

/// How deep brackets may be nested.
const DEPTH_MAX: usize = 64;

/// Conditions, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logic {
    /// All or one of them.
    Group {
        /// Turned around.
        negated: bool,
        /// One suffices.
        is_or: bool,
        /// What is joined.
        of: Vec<Logic>,
    },
    /// One condition on one column.
    Filter(Field, Condition),
}

/// Which group a parameter's last name means: `and`, `not.or`, ...
#[must_use]
pub fn group_name(name: &str) -> Option<(bool, bool)> {
    match name {
        "and" => Some((false, false)),
        "or" => Some((false, true)),
        "not.and" => Some((true, false)),
        "not.or" => Some((true, true)),
        _ => None,
    }
}

/// Reads the value of a logic parameter whose name ended with `group`.
///
/// # Errors
/// When it does not follow the grammar.
pub fn logic(group: &str, text: &str) -> Result<Logic, ParseError> {
    // Places are counted in the name and the value together, as clients have always been told.
    let whole = format!("{group}{text}");
    let mut cursor = Cursor::of(&whole);
    cursor.begin(&format!("failed to parse logic tree ({text})"), |cursor| {
        tree(cursor, 0)
    })
}

fn tree(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Logic> {
    if depth > DEPTH_MAX {
        return cursor.unexpected("fewer brackets");
    }
    cursor.skip_blanks();
    if let Some((negated, is_or)) = group(cursor) {
        cursor.skip_blanks();
        cursor.expect("(", "\"(\"")?;
        let mut of = vec![tree(cursor, depth + 1)?];
        while cursor.take_lexeme(",") {
            of.push(tree(cursor, depth + 1)?);
        }
        cursor.skip_blanks();
        cursor.expect(")", "\",\" or \")\"")?;
        cursor.skip_blanks();
        return Ok(Logic::Group { negated, is_or, of });
    }
    condition(cursor)
}

/// A word that begins a group, if a bracket follows: a column may have its name.
fn group(cursor: &mut Cursor<'_>) -> Option<(bool, bool)> {
    let mark = cursor.mark();
    let negated = cursor.take("not.");
    let is_or = if cursor.take("and") {
        false
    } else if cursor.take("or") {
        true
    } else {
        cursor.reset(mark);
        return None;
    };
    let follows = cursor.rest().trim_start_matches([' ', '\t']);
    if follows.starts_with('(')
        || !follows.starts_with(|letter: char| letter.is_alphanumeric() || letter == '.' || letter == '_')
    {
        return Some((negated, is_or));
    }
    cursor.reset(mark);
    None
}

fn condition(cursor: &mut Cursor<'_>) -> Parsed<Logic> {
    if !matches!(cursor.peek(), Some(letter) if letter.is_alphanumeric() || matches!(letter, '_' | '$' | '"')) {
        return cursor.unexpected(&format!(
            "{FIELD_NAME}, negation operator (not) or logic operator (and, or)"
        ));
    }
    let name = field_name(cursor)?;
    let path = json_path(cursor)?;
    cursor.expect(".", "\".\"")?;
    let condition = filter::read(cursor, &value)?;
    cursor.skip_blanks();
    Ok(Logic::Filter(Field { name, path }, condition))
}

/// A value ends at `,` or `)` unless it is quoted, or an array in braces.
fn value(cursor: &mut Cursor<'_>) -> Parsed<String> {
    if cursor.peek() == Some('{')
        && let Some(end) = cursor.rest().find('}')
    {
        let array = cursor.rest().get(..=end).unwrap_or_default();
        cursor.take(array);
        return Ok(array.to_owned());
    }
    if matches!(cursor.peek(), Some('(' | '[')) {
        let open = cursor.rest();
        if let Some(end) = open.find([')', ']'])
            && open.get(..end).is_some_and(|range| range.matches(',').count() == 1)
        {
            let range = open.get(..=end).unwrap_or_default();
            cursor.take(range);
            return Ok(range.to_owned());
        }
    }
    Ok(element(cursor))
}

#[cfg(test)]
mod tests {
    use super::super::filter::{Operator, Test};
    use super::*;

    fn eq(name: &str, value: &str) -> Logic {
        Logic::Filter(
            Field::column(name),
            Condition {
                negated: false,
                test: Test::Compare(Operator::Eq, None, value.to_owned()),
            },
        )
    }

    #[test]
    fn groups_nest() {
        let check = |group: &str, text: &str, expect: Logic| assert_eq!(logic(group, text).unwrap(), expect, "{text}");
        let of = |is_or, negated, of| Logic::Group { negated, is_or, of };
        check(
            "or",
            "(id.eq.1,id.eq.2)",
            of(true, false, vec![eq("id", "1"), eq("id", "2")]),
        );
        check("not.or", "(id.eq.1)", of(true, true, vec![eq("id", "1")]));
        check(
            "and",
            "( and ( id.eq.3 , a.eq.{1,2} ) , not.or ( id.eq.\"x,y\" ) )",
            of(
                false,
                false,
                vec![
                    of(false, false, vec![eq("id", "3 "), eq("a", "{1,2}")]),
                    of(true, true, vec![eq("id", "x,y")]),
                ],
            ),
        );
        check(
            "or",
            "(order.eq.1,android.eq.2)",
            of(true, false, vec![eq("order", "1"), eq("android", "2")]),
        );
        check(
            "or",
            "(r.eq.[1,3),s.eq.2)",
            of(true, false, vec![eq("r", "[1,3)"), eq("s", "2")]),
        );
    }

    #[test]
    fn refusals_say_where() {
        let check = |group: &str, text: &str, column: usize, details: &str| {
            let error = logic(group, text).unwrap_err();
            let message = format!("\"failed to parse logic tree ({text})\" (line 1, column {column})");
            assert_eq!((error.message, error.details), (message, details.to_owned()));
        };
        check(
            "or",
            "()",
            4,
            "unexpected \")\" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)",
        );
        check("or", ")(", 3, "unexpected \")\" expecting \"(\"");
        check(
            "and",
            "(ord(id.eq.1,id.eq.1),id.eq.2)",
            8,
            "unexpected \"(\" expecting \".\"",
        );
        assert!(logic("or", &"(and".repeat(200)).is_err());
    }
}
