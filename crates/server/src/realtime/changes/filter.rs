//! Filters of changes: `column=op.value`, several with commas between, of which all must hold.
//!
//! What can be compared here exactly as PostgreSQL would is compared here; everything else is asked of PostgreSQL.

use std::cmp::Ordering;

use super::wal::Cell;

/// Values of one `in`.
const VALUES_MAX: usize = 100;

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Eq,
    /// `<>`
    Neq,
    /// `<`
    Lt,
    /// `<=`
    Lte,
    /// `>`
    Gt,
    /// `>=`
    Gte,
    /// One of several.
    In,
    /// A pattern.
    Like,
    /// A pattern, in whatever case.
    Ilike,
    /// A regular expression.
    Match,
    /// A regular expression, in whatever case.
    Imatch,
    /// Null, true, false.
    Is,
    /// `<>`, where null is a value.
    IsDistinct,
}

impl Operator {
    const NAMED: [(&'static str, Operator, &'static str); 13] = [
        ("eq", Operator::Eq, "="),
        ("neq", Operator::Neq, "<>"),
        ("lt", Operator::Lt, "<"),
        ("lte", Operator::Lte, "<="),
        ("gt", Operator::Gt, ">"),
        ("gte", Operator::Gte, ">="),
        ("in", Operator::In, "="),
        ("like", Operator::Like, "~~"),
        ("ilike", Operator::Ilike, "~~*"),
        ("match", Operator::Match, "~"),
        ("imatch", Operator::Imatch, "~*"),
        ("is", Operator::Is, "="),
        ("isdistinct", Operator::IsDistinct, "is distinct from"),
    ];

    fn named(name: &str) -> Option<Operator> {
        let found = Self::NAMED.iter().find(|(known, ..)| *known == name);
        found.map(|(_, operator, _)| *operator)
    }

    /// As SQL writes it.
    #[must_use]
    pub fn sql(self) -> &'static str {
        let found = Self::NAMED.iter().find(|(_, operator, _)| *operator == self);
        found.map_or("=", |(.., sql)| sql)
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// The column.
    pub column: String,
    /// `not.`
    pub is_negated: bool,
    /// How.
    pub operator: Operator,
    /// With what; once the column's type is known, as that type writes it.
    pub values: Vec<String>,
    /// The name of the column's type, once it is known.
    pub kind: String,
    /// The type as SQL writes it, once it is known.
    pub cast: String,
}

/// What is known of a row and a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not hold, or nothing is known.
    No,
    /// PostgreSQL knows.
    Ask,
}

/// Reads a filter.
///
/// # Errors
/// A sentence about what is wrong.
pub fn parse(text: &str) -> Result<Vec<Term>, String> {
    let mut terms: Vec<String> = Vec::new();
    for part in split(text) {
        match terms.last_mut() {
            // A comma inside of a value.
            Some(before) if term(part).is_err() => {
                before.push(',');
                before.push_str(part);
            }
            Some(_) | None => terms.push(part.to_owned()),
        }
    }
    terms.iter().map(|part| term(part)).collect()
}

/// At commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut is_quoted, mut begin) = (0_i32, false, 0);
    let (mut before, mut is_escaped) = (None, false);
    for (at, letter) in text.char_indices() {
        // A quote begins where a value does.
        let begins = !is_quoted && matches!(before, None | Some('.' | '(' | ',' | ' '));
        before = Some(letter);
        if std::mem::take(&mut is_escaped) {
            continue;
        }
        match letter {
            '\\' if is_quoted => is_escaped = true,
            '"' if is_quoted || begins => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth <= 0 => {
                parts.extend(text.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(begin..));
    parts
}

fn term(text: &str) -> Result<Term, String> {
    let wrong = || format!("a filter is column=op.value, not {text:?}");
    let (column, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (is_negated, rest) = rest.strip_prefix("not.").map_or((false, rest), |rest| (true, rest));
    let (name, value) = rest.split_once('.').ok_or_else(wrong)?;
    let operator = Operator::named(name).ok_or_else(wrong)?;
    let column = column.trim();
    if column.is_empty() {
        return Err(wrong());
    }
    let values = match operator {
        Operator::In => {
            let inner = value.strip_prefix('(').and_then(|value| value.strip_suffix(')'));
            let values: Vec<String> = split(inner.ok_or_else(wrong)?)
                .into_iter()
                .map(|value| unquoted(value.trim()))
                .collect();
            if values.len() > VALUES_MAX {
                return Err(format!("in takes at most {VALUES_MAX} values"));
            }
            values
        }
        Operator::Is => {
            let value = value.to_lowercase();
            if !["null", "not_null", "true", "false", "unknown"].contains(&value.as_str()) {
                return Err(wrong());
            }
            vec![value]
        }
        Operator::Eq
        | Operator::Neq
        | Operator::Lt
        | Operator::Lte
        | Operator::Gt
        | Operator::Gte
        | Operator::Like
        | Operator::Ilike
        | Operator::Match
        | Operator::Imatch
        | Operator::IsDistinct => vec![unquoted(value)],
    };
    Ok(Term {
        column: column.to_owned(),
        is_negated,
        operator,
        values,
        kind: String::new(),
        cast: String::new(),
    })
}

/// What stands in quotes, where a backslash stands before what is meant as it is; anything else as it stands.
fn unquoted(value: &str) -> String {
    let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let Some(inside) = inside else {
        return value.to_owned();
    };
    let mut letters = inside.chars();
    let mut text = String::with_capacity(inside.len());
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' {
            letters.next().unwrap_or(letter)
        } else {
            letter
        });
    }
    text
}

impl Term {
    /// Whether it holds of a value of its column.
    #[must_use]
    pub fn holds(&self, cell: Option<&Cell>) -> Verdict {
        let text = match cell {
            None | Some(Cell::Unchanged) => return Verdict::No,
            Some(Cell::Null) => None,
            Some(Cell::Text(text)) => Some(text.as_str()),
        };
        let verdict = |is_so: bool| {
            if is_so == self.is_negated {
                Verdict::No
            } else {
                Verdict::Yes
            }
        };
        let first = self.values.first().map_or("", String::as_str);
        match (self.operator, text) {
            (Operator::Is, text) => verdict(match first {
                "null" | "unknown" => text.is_none(),
                "not_null" => text.is_some(),
                "true" => text == Some("t"),
                _ => text == Some("f"),
            }),
            (Operator::IsDistinct, None) => verdict(true),
            (Operator::IsDistinct, Some(text)) => self.equal(text, first).map_or(Verdict::Ask, |same| verdict(!same)),
            (_, None) => Verdict::No,
            (Operator::Eq, Some(text)) => self.equal(text, first).map_or(Verdict::Ask, verdict),
            (Operator::Neq, Some(text)) => self.equal(text, first).map_or(Verdict::Ask, |same| verdict(!same)),
            (Operator::In, Some(text)) => {
                let all: Option<Vec<bool>> = self.values.iter().map(|value| self.equal(text, value)).collect();
                all.map_or(Verdict::Ask, |all| verdict(all.contains(&true)))
            }
            (Operator::Lt, Some(text)) => self.ordered(text, first, Ordering::is_lt),
            (Operator::Lte, Some(text)) => self.ordered(text, first, Ordering::is_le),
            (Operator::Gt, Some(text)) => self.ordered(text, first, Ordering::is_gt),
            (Operator::Gte, Some(text)) => self.ordered(text, first, Ordering::is_ge),
            (Operator::Like | Operator::Ilike | Operator::Match | Operator::Imatch, Some(_)) => Verdict::Ask,
        }
    }

    /// The column and the one text that it must hold, where values that are equal are the same text.
    #[must_use]
    pub fn only(&self) -> Option<(&str, &str)> {
        const SAME_TEXT: [&str; 8] = ["text", "varchar", "name", "uuid", "bool", "int2", "int4", "int8"];
        let is_one = self.operator == Operator::Eq && !self.is_negated && SAME_TEXT.contains(&self.kind.as_str());
        let value = self.values.first().filter(|_| is_one)?;
        Some((&self.column, value))
    }

    fn equal(&self, a: &str, b: &str) -> Option<bool> {
        match self.kind.as_str() {
            "text" | "varchar" | "name" => Some(a == b),
            // What it is filled up with says nothing.
            "bpchar" => Some(a.trim_end_matches(' ') == b.trim_end_matches(' ')),
            kind => compare(kind, a, b).map(Ordering::is_eq),
        }
    }

    fn ordered(&self, a: &str, b: &str, is_so: impl Fn(Ordering) -> bool) -> Verdict {
        match compare(&self.kind, a, b) {
            None => Verdict::Ask,
            Some(order) if is_so(order) != self.is_negated => Verdict::Yes,
            Some(_) => Verdict::No,
        }
    }
}

/// The order of two values of a type as it writes them; none where only PostgreSQL knows.
fn compare(kind: &str, a: &str, b: &str) -> Option<Ordering> {
    match kind {
        "int2" | "int4" | "int8" => Some(a.parse::<i64>().ok()?.cmp(&b.parse().ok()?)),
        "numeric" => numeric(a, b),
        "bool" | "uuid" => Some(a.cmp(b)),
        "date" | "timestamp" | "timestamptz" => {
            let plain = |text: &str| {
                let text = text.strip_suffix("+00").unwrap_or(text);
                let is_plain =
                    text.as_bytes().get(4) == Some(&b'-') && text.bytes().all(|byte| !byte.is_ascii_alphabetic());
                is_plain.then(|| text.to_owned())
            };
            Some(plain(a)?.cmp(&plain(b)?))
        }
        _ => None,
    }
}

/// The order of two decimal numbers.
fn numeric(a: &str, b: &str) -> Option<Ordering> {
    let parts = |text: &str| {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = !whole.is_empty() && whole.bytes().chain(rest.bytes()).all(|byte| byte.is_ascii_digit());
        let (whole, rest) = (whole.trim_start_matches('0'), rest.trim_end_matches('0'));
        let is_zero = whole.is_empty() && rest.is_empty();
        is_number.then(|| (is_negative && !is_zero, whole.to_owned(), rest.to_owned()))
    };
    let ((a_negative, a_whole, a_rest), (b_negative, b_whole, b_rest)) = (parts(a)?, parts(b)?);
    let size = (a_whole.len().cmp(&b_whole.len()))
        .then_with(|| a_whole.cmp(&b_whole))
        .then_with(|| a_rest.cmp(&b_rest));
    Some(match (a_negative, b_negative) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_stand_in_quotes() {
        let values = |text: &str| {
            parse(text)
                .unwrap()
                .into_iter()
                .map(|term| term.values)
                .collect::<Vec<_>>()
        };
        for (text, expect) in [
            (r#"a=eq."(a.b)""#, vec![vec!["(a.b)"]]),
            (r#"a=eq." a ",b=eq.1"#, vec![vec![" a "], vec!["1"]]),
            (r#"a=match."^(a|b),$",b=eq.2"#, vec![vec!["^(a|b),$"], vec!["2"]]),
            (
                r#"a=in.("say \"hi\"","e\\f",plain)"#,
                vec![vec![r#"say "hi""#, r"e\f", "plain"]],
            ),
            (r#"a=eq.6" pipe,b=eq.1"#, vec![vec![r#"6" pipe"#], vec!["1"]]),
        ] {
            assert_eq!(values(text), expect, "{text}");
        }
    }

    fn check(filter: &str, kind: &str, cell: &str, expect: Verdict) {
        let mut terms = parse(filter).unwrap();
        let term = &mut terms[0];
        term.kind = kind.to_owned();
        let cell = if cell == "NULL" {
            Cell::Null
        } else {
            Cell::Text(cell.to_owned())
        };
        assert_eq!(term.holds(Some(&cell)), expect, "{filter} of {cell:?}");
    }

    #[test]
    fn filters_are_read() {
        let terms = parse("a=eq.x,y,b=in.(1,\"2,3\"),c=not.is.null").unwrap();
        let read: Vec<(&str, Operator, bool, Vec<&str>)> = terms
            .iter()
            .map(|t| {
                (
                    t.column.as_str(),
                    t.operator,
                    t.is_negated,
                    t.values.iter().map(String::as_str).collect(),
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                ("a", Operator::Eq, false, vec!["x,y"]),
                ("b", Operator::In, false, vec!["1", "2,3"]),
                ("c", Operator::Is, true, vec!["null"]),
            ]
        );
        for wrong in ["", "a", "a=eq", "a=noop.1", "=eq.1", "a=in.1", "a=is.odd"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        assert!(parse(&format!("a=in.({})", many.join(","))).is_err());
    }

    #[test]
    fn values_are_compared_as_their_types_are() {
        use Verdict::{Ask, No, Yes};
        check("a=eq.10", "int4", "10", Yes);
        check("a=lt.9", "int4", "10", No);
        check("a=gt.9", "int4", "10", Yes);
        check("a=eq.1.50", "numeric", "1.5", Yes);
        check("a=lt.-1", "numeric", "-1.5", Yes);
        check("a=gte.0", "numeric", "-0.0", Yes);
        check("a=gt.1", "numeric", "NaN", Ask);
        check("a=eq.x", "text", "x", Yes);
        check("a=eq.x", "bpchar", "x   ", Yes);
        check("a=gt.x", "text", "y", Ask);
        check("a=like.x%", "text", "xy", Ask);
        check(
            "a=gt.2026-01-01 00:00:00+00",
            "timestamptz",
            "2026-01-01 00:00:00.5+00",
            Yes,
        );
        check("a=gt.2026-01-01", "date", "infinity", Ask);
        check("a=in.(1,2)", "int8", "2", Yes);
        check("a=not.in.(1,2)", "int8", "2", No);
        check("a=neq.1", "int8", "NULL", No);
        check("a=not.eq.1", "int8", "NULL", No);
        check("a=isdistinct.1", "int8", "NULL", Yes);
        check("a=is.null", "int8", "NULL", Yes);
        check("a=not.is.null", "int8", "NULL", No);
        check("a=is.true", "bool", "t", Yes);
        check("a=eq.1", "float8", "1", Ask);
    }

    #[test]
    fn what_is_not_known_does_not_hold() {
        let term = parse("a=neq.1").unwrap().remove(0);
        assert_eq!(term.holds(None), Verdict::No);
        assert_eq!(term.holds(Some(&Cell::Unchanged)), Verdict::No);
    }

    proptest::proptest! {
        #[test]
        fn numbers_have_the_order_of_numbers(a in -10_000_i64..10_000, b in -10_000_i64..10_000, zeros in 0_usize..3) {
            let text = |n: i64, zeros: usize| {
                let sign = if n < 0 { "-" } else { "" };
                format!("{sign}{}.{:02}{}", n.abs() / 100, n.abs() % 100, "0".repeat(zeros))
            };
            proptest::prop_assert_eq!(numeric(&text(a, zeros), &text(b, 0)), Some(a.cmp(&b)));
        }

        #[test]
        fn nothing_that_comes_in_panics(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }
}
