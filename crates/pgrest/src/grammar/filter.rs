//! `column=op.value`: operators with their values.

use super::{Cursor, ParseError, Parsed, element};

const OPERATOR: &str = "operator (eq, gt, ...)";

/// What a column is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Turned around.
    pub negated: bool,
    /// What is asked.
    pub test: Test,
}

/// A question to one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// An operator with one value, or with any or all of an array's.
    Compare(Operator, Option<Quantifier>, String),
    /// One of these.
    In(Vec<String>),
    /// `IS`.
    Is(Is),
    /// Different, where null is a value like any other.
    IsDistinct(String),
    /// Full-text search with an optional configuration.
    Search(Search, Option<String>, String),
}

/// For how many elements of an array it must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// One suffices.
    Any,
    /// Every one.
    All,
}

/// What may stand after `is.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// `is.null`
    Null,
    /// `is.not_null`
    NotNull,
    /// `is.true`
    True,
    /// `is.false`
    False,
    /// `is.unknown`
    Unknown,
}

impl Is {
    const ALL: [(&'static str, Is); 5] = [
        ("not_null", Is::NotNull),
        ("null", Is::Null),
        ("true", Is::True),
        ("false", Is::False),
        ("unknown", Is::Unknown),
    ];

    /// As SQL has it.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Is::Null => "NULL",
            Is::NotNull => "NOT NULL",
            Is::True => "TRUE",
            Is::False => "FALSE",
            Is::Unknown => "UNKNOWN",
        }
    }
}

/// A full-text search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// `fts`
    Query,
    /// `plfts`
    Plain,
    /// `phfts`
    Phrase,
    /// `wfts`
    Web,
}

impl Search {
    const ALL: [(&'static str, Search); 4] = [
        ("fts", Search::Query),
        ("plfts", Search::Plain),
        ("phfts", Search::Phrase),
        ("wfts", Search::Web),
    ];

    /// The function that makes the query of the text.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Search::Query => "to_tsquery",
            Search::Plain => "plainto_tsquery",
            Search::Phrase => "phraseto_tsquery",
            Search::Web => "websearch_to_tsquery",
        }
    }
}

macro_rules! operators {
    ($($(#[$doc:meta])* $variant:ident $name:literal $sql:literal $quantified:literal,)*) => {
        /// An operator between a column and a value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operator { $($(#[$doc])* $variant,)* }

        impl Operator {
            const ALL: &'static [Operator] = &[$(Operator::$variant,)*];

            /// Its name in requests.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Operator::$variant => $name,)* }
            }

            /// Its sign in SQL.
            #[must_use]
            pub fn sql(self) -> &'static str {
                match self { $(Operator::$variant => $sql,)* }
            }

            fn takes_quantifier(self) -> bool {
                match self { $(Operator::$variant => $quantified,)* }
            }
        }
    };
}

operators! {
    /// Equal.
    Eq "eq" "=" true,
    /// Not equal.
    Neq "neq" "<>" false,
    /// At least.
    Gte "gte" ">=" true,
    /// Greater.
    Gt "gt" ">" true,
    /// At most.
    Lte "lte" "<=" true,
    /// Less.
    Lt "lt" "<" true,
    /// A pattern.
    Like "like" "LIKE" true,
    /// A pattern, whatever the case.
    Ilike "ilike" "ILIKE" true,
    /// A regular expression.
    Match "match" "~" true,
    /// A regular expression, whatever the case.
    Imatch "imatch" "~*" true,
    /// Contains.
    Contains "cs" "@>" false,
    /// Is contained in.
    ContainedIn "cd" "<@" false,
    /// Overlaps.
    Overlaps "ov" "&&" false,
    /// Lies left of.
    LeftOf "sl" "<<" false,
    /// Lies right of.
    RightOf "sr" ">>" false,
    /// Does not reach right of.
    NotRightOf "nxr" "&<" false,
    /// Does not reach left of.
    NotLeftOf "nxl" "&>" false,
    /// Touches.
    Adjacent "adj" "-|-" false,
}

impl Operator {
    /// Whether its value is a pattern, in which `*` stands for `%`.
    #[must_use]
    pub fn is_pattern(self) -> bool {
        matches!(self, Operator::Like | Operator::Ilike)
    }
}

/// Reads the value of a filter parameter.
///
/// # Errors
/// When it has no operator, or a value that the operator cannot take.
pub fn condition(text: &str) -> Result<Condition, ParseError> {
    let mut cursor = Cursor::of(text);
    cursor.begin(&format!("failed to parse filter ({text})"), |cursor| {
        read(cursor, &|cursor| {
            let value = cursor.rest();
            cursor.take(value);
            Ok(value.to_owned())
        })
    })
}

/// Whether a parameter's value begins like a filter: on calls by GET, everything else is an argument.
#[must_use]
pub fn has_operator(text: &str) -> bool {
    let Some((head, _)) = text.split_once('.') else {
        return false;
    };
    let (word, in_brackets) = match head.split_once('(') {
        Some((word, _)) => (word, true),
        None => (head, false),
    };
    let is_operator = Operator::ALL
        .iter()
        .any(|operator| operator.name() == word && (!in_brackets || operator.takes_quantifier()));
    let is_search = Search::ALL.iter().any(|(name, _)| *name == word);
    is_operator || is_search || (!in_brackets && ["not", "in", "is", "isdistinct"].contains(&word))
}

/// `["not."] operator "." value`, where `value` reads what the surroundings allow.
pub(super) fn read(cursor: &mut Cursor<'_>, value: &dyn Fn(&mut Cursor<'_>) -> Parsed<String>) -> Parsed<Condition> {
    let negated = cursor.take("not.");
    let test = test(cursor, value, negated)?;
    Ok(Condition { negated, test })
}

fn test(cursor: &mut Cursor<'_>, value: &dyn Fn(&mut Cursor<'_>) -> Parsed<String>, negated: bool) -> Parsed<Test> {
    let start = cursor.mark();
    let word = cursor.take_while(|letter| letter.is_ascii_alphabetic());
    if let Some(operator) = Operator::ALL.iter().copied().find(|operator| operator.name() == word) {
        let quantifier = if operator.takes_quantifier() {
            quantifier(cursor)?
        } else {
            None
        };
        delimiter(cursor)?;
        return Ok(Test::Compare(operator, quantifier, value(cursor)?));
    }
    if let Some((_, search)) = Search::ALL.into_iter().find(|(name, _)| *name == word) {
        let config = configuration(cursor)?;
        delimiter(cursor)?;
        return Ok(Test::Search(search, config, value(cursor)?));
    }
    match word {
        "in" => {
            delimiter(cursor)?;
            Ok(Test::In(list(cursor)?))
        }
        "is" => {
            delimiter(cursor)?;
            Ok(Test::Is(is(cursor)?))
        }
        "isdistinct" => {
            delimiter(cursor)?;
            Ok(Test::IsDistinct(value(cursor)?))
        }
        _ => {
            cursor.reset(start);
            if negated {
                return cursor.unexpected(OPERATOR);
            }
            let _ = cursor.unexpected_word::<()>("not.", "\"not\"");
            cursor.unexpected_word("not.", OPERATOR)
        }
    }
}

fn delimiter(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.expect(".", OPERATOR)
}

fn quantifier(cursor: &mut Cursor<'_>) -> Parsed<Option<Quantifier>> {
    if cursor.take("(any)") {
        Ok(Some(Quantifier::Any))
    } else if cursor.take("(all)") {
        Ok(Some(Quantifier::All))
    } else if cursor.take("(") {
        cursor.unexpected_word("any", OPERATOR)
    } else {
        Ok(None)
    }
}

fn configuration(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    if !cursor.take("(") {
        return Ok(None);
    }
    let name = cursor.take_while(|letter| letter.is_alphanumeric() || letter == '_');
    if name.is_empty() {
        return cursor.unexpected(OPERATOR);
    }
    cursor.expect(")", OPERATOR)?;
    Ok(Some(name.to_owned()))
}

fn is(cursor: &mut Cursor<'_>) -> Parsed<Is> {
    let lower = cursor.rest().to_ascii_lowercase();
    match Is::ALL.into_iter().find(|(name, _)| lower.starts_with(name)) {
        Some((name, found)) => {
            cursor.skip(name.len());
            Ok(found)
        }
        None => {
            // Said of the first letter that no word has.
            let same = |name: &str| name.bytes().zip(lower.bytes()).take_while(|(a, b)| a == b).count();
            let most = Is::ALL.into_iter().map(|(name, _)| same(name)).max();
            cursor.skip(most.unwrap_or_default());
            cursor.unexpected("isVal: (null, not_null, true, false, unknown)")
        }
    }
}

fn list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.skip_blanks();
    cursor.expect("(", "\"(\"")?;
    cursor.skip_blanks();
    let mut values = Vec::new();
    if cursor.take(")") {
        return Ok(values);
    }
    loop {
        values.push(element(cursor));
        if !cursor.take(",") {
            break;
        }
    }
    cursor.expect(")", "\",\" or \")\"")?;
    cursor.skip_blanks();
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, negated: bool, test: Test) {
        assert_eq!(condition(text).unwrap(), Condition { negated, test }, "{text}");
    }

    fn compare(operator: Operator, quantifier: Option<Quantifier>, value: &str) -> Test {
        Test::Compare(operator, quantifier, value.to_owned())
    }

    #[test]
    fn operators_and_values() {
        check("eq.5", false, compare(Operator::Eq, None, "5"));
        check("eq.", false, compare(Operator::Eq, None, ""));
        check("not.lt.14", true, compare(Operator::Lt, None, "14"));
        check("eq.a.b,c)(", false, compare(Operator::Eq, None, "a.b,c)("));
        check(
            "like(any).{%a,%b}",
            false,
            compare(Operator::Like, Some(Quantifier::Any), "{%a,%b}"),
        );
        check(
            "gte(all).{1}",
            false,
            compare(Operator::Gte, Some(Quantifier::All), "{1}"),
        );
        check("cs.{1,2}", false, compare(Operator::Contains, None, "{1,2}"));
        check("adj.(3,10]", false, compare(Operator::Adjacent, None, "(3,10]"));
        check("isdistinct.2", false, Test::IsDistinct("2".to_owned()));
        check("is.null", false, Test::Is(Is::Null));
        check("not.is.NOT_NULL", true, Test::Is(Is::NotNull));
        check(
            "fts(french).amusant",
            false,
            Test::Search(Search::Query, Some("french".to_owned()), "amusant".to_owned()),
        );
    }

    #[test]
    fn lists_hold_quoted_and_bare_values() {
        let check = |text: &str, values: &[&str]| {
            let values = values.iter().map(ToString::to_string).collect();
            check(text, false, Test::In(values));
        };
        check("in.()", &[]);
        check("in.( 1,2, 3 )", &["1", "2", " 3 "]);
        check(r#"in.("a" ,"b"c)"#, &["a", r#""b"c"#]);
        check("in.( )", &[]);
        check("in.(David White,\"Hebdon, John\")", &["David White", "Hebdon, John"]);
        check(r#"in.("a\"b","c\\d")"#, &["a\"b", "c\\d"]);
        check(r#"in.(Double O "Seven")"#, &[r#"Double O "Seven""#]);
    }

    #[test]
    fn refusals_say_what_was_expected() {
        let check = |text: &str, column: usize, details: &str| {
            let error = condition(text).unwrap_err();
            let message = format!("\"failed to parse filter ({text})\" (line 1, column {column})");
            assert_eq!((error.message, error.details), (message, details.to_owned()));
        };
        check(
            "noop.0",
            1,
            "unexpected \"o\" expecting \"not\" or operator (eq, gt, ...)",
        );
        check("0", 1, "unexpected \"0\" expecting \"not\" or operator (eq, gt, ...)");
        let is = "isVal: (null, not_null, true, false, unknown)";
        check("is.nil", 5, &format!("unexpected \"i\" expecting {is}"));
        check("is.not.null", 7, &format!("unexpected \".\" expecting {is}"));
        check("is.nul", 7, &format!("unexpected end of input expecting {is}"));
        check("is.x", 4, &format!("unexpected \"x\" expecting {is}"));
        check("in().1", 3, "unexpected \"(\" expecting operator (eq, gt, ...)");
        check("eq().1", 4, "unexpected \")\" expecting operator (eq, gt, ...)");
        check("fts().1", 5, "unexpected \")\" expecting operator (eq, gt, ...)");
        check("in.(1", 6, "unexpected end of input expecting \",\" or \")\"");
    }

    #[test]
    fn arguments_are_told_from_filters() {
        for text in ["eq.1", "not.eq.1", "fts(english).x", "eq(any).{1}", "in.(1)", "is.null"] {
            assert!(has_operator(text), "{text}");
        }
        for text in ["1", "3.5", "equal.x", "", "a b", "neq(any).1"] {
            assert!(!has_operator(text), "{text}");
        }
    }
}
