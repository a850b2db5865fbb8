//! Rust source taken apart as far as the tidiness tests need it: code, string literals, comments.

/// A string literal and what stands before it.
pub(super) struct Literal {
    pub(super) line: usize,
    pub(super) text: String,
    /// The last characters of the code before it, without blanks at their end.
    pub(super) before: String,
}

/// Source in which nobody mistakes a string or a comment for code.
pub(super) struct RustText {
    /// The code, with comments and the contents of literals replaced by nothing; lines stay lines.
    pub(super) code: String,
    pub(super) literals: Vec<Literal>,
    /// Each comment with the line it begins on.
    pub(super) comments: Vec<(usize, String)>,
}

impl RustText {
    /// Takes source apart. Source that the compiler would refuse gives something, and no panic.
    pub(super) fn of(source: &str) -> RustText {
        let mut text = RustText {
            code: String::new(),
            literals: Vec::new(),
            comments: Vec::new(),
        };
        let mut rest = source;
        while let Some(first) = rest.chars().next() {
            let taken = if rest.starts_with("//") {
                text.comment(&rest[..rest.find('\n').unwrap_or(rest.len())])
            } else if rest.starts_with("/*") {
                text.comment(&rest[..block_comment_length(rest)])
            } else if let Some(opening) = literal_opening(rest, &text.code) {
                text.literal(rest, opening)
            } else if first == '\'' {
                text.quote(rest)
            } else {
                text.code.push(first);
                first.len_utf8()
            };
            rest = &rest[taken..];
        }
        text
    }

    fn line(&self) -> usize {
        self.code.matches('\n').count() + 1
    }

    fn keep_lines_of(&mut self, skipped: &str) {
        self.code
            .extend(std::iter::repeat_n('\n', skipped.matches('\n').count()));
    }

    fn comment(&mut self, comment: &str) -> usize {
        self.comments.push((self.line(), comment.to_owned()));
        self.keep_lines_of(comment);
        comment.len()
    }

    fn literal(&mut self, rest: &str, opening: Opening) -> usize {
        let body = &rest[opening.length..];
        let closing = format!("\"{}", "#".repeat(opening.hashes));
        let end = match opening.raw {
            true => body.find(&closing).unwrap_or(body.len()),
            false => quoted_length(body),
        };
        let before: String = self.code.trim_end().chars().rev().take(20).collect();
        self.literals.push(Literal {
            line: self.line(),
            text: body[..end].to_owned(),
            before: before.chars().rev().collect(),
        });
        self.code.push_str("\"\"");
        self.keep_lines_of(&body[..end]);
        (opening.length + end + closing.len()).min(rest.len())
    }

    /// A character literal is left out; the quote of a lifetime is code.
    fn quote(&mut self, rest: &str) -> usize {
        let mut letters = rest.char_indices().skip(1);
        let end = match letters.next() {
            Some((_, '\\')) => rest[3..].find('\'').map(|at| at + 4),
            Some(_) => letters
                .next()
                .filter(|(_, letter)| *letter == '\'')
                .map(|(at, _)| at + 1),
            None => None,
        };
        self.code.push('\'');
        end.unwrap_or(1)
    }
}

struct Opening {
    length: usize,
    hashes: usize,
    raw: bool,
}

/// Does a string literal begin here? `r`, `b`, `c` before the quote count unless they end a longer word.
fn literal_opening(rest: &str, code: &str) -> Option<Opening> {
    let prefix = rest.len() - rest.trim_start_matches(['b', 'r', 'c']).len();
    let in_word = code.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    if prefix > 2 || (prefix > 0 && in_word) {
        return None;
    }
    let raw = rest[..prefix].contains('r');
    let after = &rest[prefix..];
    let hashes = if raw {
        after.len() - after.trim_start_matches('#').len()
    } else {
        0
    };
    after[hashes..].starts_with('"').then_some(Opening {
        length: prefix + hashes + 1,
        hashes,
        raw,
    })
}

fn quoted_length(body: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in body.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    body.len()
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

#[test]
fn strings_and_comments_are_told_from_code() {
    let text = RustText::of(
        "let a = \"f64 \\\" // no\"; // f64, a comment\nlet b: &'a str = r#\"x \"y\" \"#; /* f32 /* */ */ let q = '\"'; sql!(b\"z\")",
    );
    assert_eq!(
        text.code,
        "let a = \"\"; \nlet b: &'a str = \"\";  let q = '; sql!(\"\")"
    );
    let literals: Vec<_> = text
        .literals
        .iter()
        .map(|literal| (literal.line, literal.text.as_str()))
        .collect();
    assert_eq!(literals, [(1, "f64 \\\" // no"), (2, "x \"y\" "), (2, "z")]);
    assert!(text.literals[2].before.ends_with("sql!("));
    let comments: Vec<_> = text
        .comments
        .iter()
        .map(|(line, comment)| (*line, comment.as_str()))
        .collect();
    assert_eq!(comments, [(1, "// f64, a comment"), (2, "/* f32 /* */ */")]);
}
