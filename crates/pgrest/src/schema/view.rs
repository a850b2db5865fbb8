//! Where the columns of a view come from, read from the rule that PostgreSQL keeps for it.

/// One column of a view that is a column of something else, by numbers of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// Its number in the view.
    pub(super) column: i16,
    /// What it comes from.
    pub(super) relation: u32,
    /// Its number there.
    pub(super) relation_column: i16,
}

/// The columns of the outermost query. Queries inside have target lists as well, at greater depth.
pub(super) fn origins(rule: &str) -> Vec<Origin> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    let mut entry = Entry::default();
    let mut key = "";
    for token in (Tokens { rest: rule }) {
        match token {
            "{" => {
                depth += 1;
                if depth == 2 {
                    entry = Entry::default();
                }
                key = "{";
            }
            "}" => {
                if depth == 2 {
                    found.extend(entry.origin());
                }
                depth = depth.saturating_sub(1);
                key = "";
            }
            word if depth == 2 => {
                match key {
                    "{" => entry.is_target = word == "TARGETENTRY",
                    ":resno" => entry.column = word.parse().ok(),
                    ":resorigtbl" => entry.relation = word.parse().ok(),
                    ":resorigcol" => entry.relation_column = word.parse().ok(),
                    _ => {}
                }
                key = word;
            }
            _ => key = "",
        }
    }
    found
}

#[derive(Default)]
struct Entry {
    is_target: bool,
    column: Option<i16>,
    relation: Option<u32>,
    relation_column: Option<i16>,
}

impl Entry {
    fn origin(&self) -> Option<Origin> {
        let origin = Origin {
            column: self.column?,
            relation: self.relation?,
            relation_column: self.relation_column?,
        };
        (self.is_target && origin.relation != 0 && origin.relation_column > 0).then_some(origin)
    }
}

/// Words, and braces by themselves. A backslash makes the next letter part of a word.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\t', '(', ')']);
        let first = self.rest.chars().next()?;
        if matches!(first, '{' | '}') {
            let (token, rest) = self.rest.split_at(1);
            self.rest = rest;
            return Some(token);
        }
        let mut escaped = false;
        let end = self
            .rest
            .find(|letter: char| {
                if escaped {
                    escaped = false;
                    return false;
                }
                escaped = letter == '\\';
                matches!(letter, ' ' | '\n' | '\t' | '(' | ')' | '{' | '}')
            })
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_targets_count() {
        let rule = r"({QUERY :commandType 1 :rtable ({RTE :alias <> :subquery {QUERY :targetList ({TARGETENTRY :expr {VAR
            :varno 1} :resno 1 :resname x :resorigtbl 5 :resorigcol 5 :resjunk false})} :lateral false}) :targetList
            ({TARGETENTRY :expr {VAR :varno 1 :varattno 2} :resno 1 :resname a\ \{b :ressortgroupref 0 :resorigtbl 16389
            :resorigcol 2 :resjunk false} {TARGETENTRY :expr {FUNCEXPR :args ({VAR :varno 1})} :resno 2 :resname c
            :resorigtbl 0 :resorigcol 0 :resjunk false}) :returningList <>})";
        let expect = Origin {
            column: 1,
            relation: 16389,
            relation_column: 2,
        };
        assert_eq!(origins(rule), [expect]);
    }
}
