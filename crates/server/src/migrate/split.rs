//! Cuts a SQL file into its statements, each with the line it begins on.
//!
//! It knows what can hide a semicolon: quotes, dollar quotes, comments, and `begin atomic ... end` bodies.

/// A statement without its semicolon, and the line on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its text, from its first word (comments before it included) to its last.
    pub text: &'a str,
    /// The line of its first character, from 1.
    pub line: usize,
}

/// The statements of a file, in order. What is only space and comments is none.
#[must_use]
pub fn split(text: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut scanner = Scanner { text, at: 0 };
    let (mut start, mut has_code, mut body) = (0, false, Body::default());
    while let Some(token) = scanner.next_token() {
        match token {
            Token::Blank => {}
            Token::Word(word) => {
                has_code = true;
                body.see(word);
            }
            Token::Other => has_code = true,
            Token::Semicolon if body.depth > 0 => {}
            Token::Semicolon => {
                if has_code {
                    statements.push(cut(text, start, scanner.at - 1));
                }
                (start, has_code, body) = (scanner.at, false, Body::default());
            }
        }
    }
    if has_code {
        statements.push(cut(text, start, text.len()));
    }
    statements
}

fn cut(text: &str, start: usize, end: usize) -> Statement<'_> {
    let whole = text.get(start..end).unwrap_or_default();
    let blank = whole.len() - whole.trim_start().len();
    let before = text.get(..start + blank).unwrap_or_default();
    Statement {
        text: whole.trim(),
        line: 1 + before.matches('\n').count(),
    }
}

/// How deep we are in `begin atomic`. `case ... end` inside it nests as well.
#[derive(Default)]
struct Body {
    depth: usize,
    after_begin: bool,
}

impl Body {
    fn see(&mut self, word: &str) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if self.depth == 0 {
            if self.after_begin && is("atomic") {
                self.depth = 1;
            }
            self.after_begin = is("begin");
        } else if is("case") {
            self.depth += 1;
        } else if is("end") {
            self.depth -= 1;
        }
    }
}

enum Token<'a> {
    Blank,
    Word(&'a str),
    Semicolon,
    Other,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next_token(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let (length, token) = match first {
            ';' => (1, Token::Semicolon),
            '-' if rest.starts_with("--") => (rest.find('\n').map_or(rest.len(), |end| end + 1), Token::Blank),
            '/' if rest.starts_with("/*") => (comment_length(rest), Token::Blank),
            '\'' => (quoted_length(rest, '\'', Backslash::Plain), Token::Other),
            'e' | 'E' if rest.get(1..).is_some_and(|rest| rest.starts_with('\'')) => (
                1 + quoted_length(rest.get(1..).unwrap_or_default(), '\'', Backslash::Escapes),
                Token::Other,
            ),
            '"' => (quoted_length(rest, '"', Backslash::Plain), Token::Other),
            '$' => (dollar_quoted_length(rest).unwrap_or(1), Token::Other),
            letter if letter.is_whitespace() => (letter.len_utf8(), Token::Blank),
            letter if letter.is_alphabetic() || letter == '_' => {
                let in_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
                let length = rest.find(|letter| !in_word(letter)).unwrap_or(rest.len());
                (length, Token::Word(rest.get(..length).unwrap_or_default()))
            }
            letter => (letter.len_utf8(), Token::Other),
        };
        self.at += length;
        Some(token)
    }
}

/// Comments nest in PostgreSQL.
fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[derive(PartialEq, Eq)]
enum Backslash {
    Plain,
    Escapes,
}

/// A doubled quote ends one quotation and begins the next, which comes to the same for finding semicolons.
fn quoted_length(text: &str, quote: char, backslash: Backslash) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return at + letter.len_utf8();
        }
        if letter == '\\' && backslash == Backslash::Escapes {
            letters.next();
        }
    }
    text.len()
}

/// `$tag$ ... $tag$`; `None` where the dollar does not begin one.
fn dollar_quoted_length(text: &str) -> Option<usize> {
    let tag_length = text.get(1..)?.find('$')? + 2;
    let tag = text.get(..tag_length)?;
    let name = tag.trim_matches('$');
    let fits = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    if !fits || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let body = text.get(tag_length..)?;
    Some(body.find(tag).map_or(text.len(), |end| tag_length + end + tag_length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(usize, &str)]) {
        let found: Vec<_> = split(text)
            .into_iter()
            .map(|statement| (statement.line, statement.text))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn statements_and_their_lines() {
        check("select 1;\nselect 2", &[(1, "select 1"), (2, "select 2")]);
        check(
            "\n\n  -- why\nselect 1;\n\n/* only /* a */ comment; */\n;;",
            &[(3, "-- why\nselect 1")],
        );
        check("", &[]);
    }

    #[test]
    fn what_hides_a_semicolon() {
        for whole in [
            "select 'a;''b;'",
            "select e'a\\';b', 'c\\'",
            "select \"a;b\"",
            "select 1 /* ; /* ; */ ; */ + 1",
            "do $$ begin perform 1; end $$",
            "do $body$ begin perform $$;$$; end $body$",
            "create function f(int) returns int begin atomic select case when $1 > 0 then 1 end; select 2; end",
            "select $1, 'ä;ö', U&'d;'",
        ] {
            check(&format!("{whole};\nselect 2"), &[(1, whole), (2, "select 2")]);
        }
    }

    #[test]
    fn a_line_comment_hides_one_to_the_end_of_its_line() {
        check(
            "select 1 -- ; not here\n  , 2;",
            &[(1, "select 1 -- ; not here\n  , 2")],
        );
    }

    #[test]
    fn an_ordinary_begin_is_a_statement() {
        check("begin; select 1; end;", &[(1, "begin"), (1, "select 1"), (1, "end")]);
    }

    #[test]
    fn what_is_never_closed_reaches_to_the_end() {
        for open in ["select 'a;", "select \"a;", "/* a;", "do $$ a;", "select e'\\"] {
            assert!(split(open).len() <= 1, "{open}");
        }
    }
}
