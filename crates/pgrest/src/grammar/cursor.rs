//! A place in the text of one parameter, and the furthest place where reading failed with what was expected there.

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Which parameter, and where in it.
    pub message: String,
    /// What stands there, and what would have fitted.
    pub details: String,
}

/// Reading failed; the cursor knows where and why.
#[derive(Debug)]
pub(crate) struct Failed;

/// What a parser gives.
pub(crate) type Parsed<T> = Result<T, Failed>;

#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
    failed_at: usize,
    found: String,
    expected: Vec<String>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn of(text: &'a str) -> Cursor<'a> {
        Cursor {
            text,
            rest: text,
            failed_at: 0,
            found: String::new(),
            expected: Vec::new(),
        }
    }

    /// Runs a parser over the beginning of the text. What follows is passed over, as PostgREST does where brackets have
    /// closed.
    pub(crate) fn begin<T>(
        &mut self,
        what: &str,
        parser: impl FnOnce(&mut Cursor<'a>) -> Parsed<T>,
    ) -> Result<T, ParseError> {
        parser(self).map_err(|Failed| self.error(what))
    }

    fn error(&self, what: &str) -> ParseError {
        ParseError {
            message: format!("\"{what}\" (line 1, column {})", self.column()),
            details: format!("unexpected {} expecting {}", self.found, joined(&self.expected)),
        }
    }

    /// Runs a parser over the whole text.
    pub(crate) fn finish<T>(
        &mut self,
        what: String,
        parser: impl FnOnce(&mut Cursor<'a>) -> Parsed<T>,
    ) -> Result<T, ParseError> {
        let result = parser(self).and_then(|value| {
            if self.rest.is_empty() {
                return Ok(value);
            }
            let found = self
                .rest
                .chars()
                .next()
                .map_or(String::new(), |letter| format!("'{letter}'"));
            self.fail_at(self.offset(), found, "end of input")
        });
        result.map_err(|Failed| self.error(&what))
    }

    fn column(&self) -> usize {
        let before = self.text.get(..self.failed_at).unwrap_or(self.text);
        before.chars().count() + 1
    }

    fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn mark(&self) -> &'a str {
        self.rest
    }

    /// Goes back to where [`Cursor::mark`] was.
    pub(crate) fn reset(&mut self, mark: &'a str) {
        self.rest = mark;
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn looking_at(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next();
        self.rest = letters.as_str();
        letter
    }

    /// Passes over as many bytes, which are known to be whole letters.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    pub(crate) fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The text with blanks around it.
    pub(crate) fn take_lexeme(&mut self, text: &str) -> bool {
        let mark = self.rest;
        self.skip_blanks();
        if self.take(text) {
            self.skip_blanks();
            return true;
        }
        self.rest = mark;
        false
    }

    pub(crate) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|letter| !fits(letter)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    pub(crate) fn expect(&mut self, text: &str, label: &str) -> Parsed<()> {
        if self.take(text) {
            Ok(())
        } else {
            self.unexpected(label)
        }
    }

    /// What stands here does not fit.
    pub(crate) fn unexpected<T>(&mut self, expected: &str) -> Parsed<T> {
        let found = self.peek().map_or("end of input".to_owned(), shown);
        self.fail_at(self.offset(), found, expected)
    }

    /// The text should end here, or go on otherwise.
    pub(crate) fn unexpected_letter<T>(&mut self, expected: &str) -> Parsed<T> {
        let found = self
            .peek()
            .map_or("end of input".to_owned(), |letter| format!("'{letter}'"));
        self.fail_at(self.offset(), found, expected)
    }

    /// A word should stand here, and a letter of it is wrong: said of the word's beginning. Where several words would do,
    /// the first of them counts.
    pub(crate) fn unexpected_word<T>(&mut self, word: &str, expected: &str) -> Parsed<T> {
        let same = word.chars().zip(self.rest.chars()).take_while(|(a, b)| a == b);
        let found = self.rest.chars().nth(same.count());
        self.fail_at(self.offset(), found.map_or("end of input".to_owned(), shown), expected)
    }

    fn fail_at<T>(&mut self, at: usize, found: String, expected: &str) -> Parsed<T> {
        if at > self.failed_at || self.expected.is_empty() {
            self.failed_at = at;
            self.found = found;
            self.expected = vec![expected.to_owned()];
        } else if at == self.failed_at && !self.expected.iter().any(|known| known == expected) {
            self.expected.push(expected.to_owned());
        }
        Err(Failed)
    }
}

fn shown(letter: char) -> String {
    if letter == '"' {
        r#""\"""#.to_owned()
    } else {
        format!("\"{letter}\"")
    }
}

fn joined(labels: &[String]) -> String {
    match labels.split_last() {
        None => "end of input".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
    }
}
