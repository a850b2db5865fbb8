//! Where in a token's claims the role stands: `.role`, `.app."my role"[0]`, `.roles[?(@ ^== "pg_")]`, as PostgREST has it.

use serde_json::{Map, Value};

/// A path to the claim that names the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleClaim(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A member.
    Key(String),
    /// An element.
    Index(usize),
    /// The first element that compares so with a text.
    First(Comparison, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Different,
    BeginsWith,
    EndsWith,
    Contains,
}

impl Comparison {
    /// None is the beginning of one after it.
    const ALL: [(&'static str, Comparison); 5] = [
        ("==^", Comparison::EndsWith),
        ("==", Comparison::Equal),
        ("!=", Comparison::Different),
        ("^==", Comparison::BeginsWith),
        ("*==", Comparison::Contains),
    ];

    fn holds(self, element: &str, text: &str) -> bool {
        match self {
            Comparison::Equal => element == text,
            Comparison::Different => element != text,
            Comparison::BeginsWith => element.starts_with(text),
            Comparison::EndsWith => element.ends_with(text),
            Comparison::Contains => element.contains(text),
        }
    }
}

impl RoleClaim {
    /// Reads a path. A comparison is its last step.
    ///
    /// # Errors
    /// A sentence that completes "expected ...".
    pub fn parse(text: &str) -> Result<RoleClaim, String> {
        let wrong = || "a path such as .role, .app.\"my role\"[0] or .roles[?(@ == \"mine\")]".to_owned();
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(wrong)?;
            if matches!(step, Step::First(..)) && !after.is_empty() {
                return Err(wrong());
            }
            steps.push(step);
            rest = after;
        }
        if steps.is_empty() {
            Err(wrong())
        } else {
            Ok(RoleClaim(steps))
        }
    }

    /// What the claims have there.
    #[must_use]
    pub fn of<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, steps) = self.0.split_first()?;
        let first = match first {
            Step::Key(key) => claims.get(key)?,
            Step::Index(_) | Step::First(..) => return None,
        };
        steps.iter().try_fold(first, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
            Step::First(comparison, text) => {
                let is_it = |element: &&Value| element.as_str().is_some_and(|element| comparison.holds(element, text));
                value.as_array()?.iter().find(is_it)
            }
        })
    }
}

/// The step with which a text begins, and what follows it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix("[?(") {
        let rest = rest.trim_start().strip_prefix('@')?.trim_start();
        let (sign, comparison) = Comparison::ALL.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
        let (value, rest) = rest
            .strip_prefix(sign)?
            .trim_start()
            .strip_prefix('"')?
            .split_once('"')?;
        let rest = rest.trim_start().strip_prefix(")]")?;
        return Some((Step::First(comparison, value.to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (index, rest) = rest.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), rest));
    }
    if let Some(rest) = text.strip_prefix(".\"") {
        let (key, rest) = rest.split_once('"')?;
        return Some((Step::Key(key.to_owned()), rest));
    }
    let rest = text.strip_prefix('.')?;
    let (key, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
    (!key.is_empty()).then(|| (Step::Key(key.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_the_role() {
        let claims = serde_json::json!({
            "role": "plain",
            "a": { "b.c": ["one", "two"] },
            "roles": [1, "other", "pg_reader", "pg_writer", "an_editor"],
        });
        let check = |path: &str, expect: Option<&str>| {
            let found = RoleClaim::parse(path).unwrap();
            let found = found.of(claims.as_object().unwrap());
            assert_eq!(found.and_then(Value::as_str), expect, "{path}");
        };
        check(".role", Some("plain"));
        check("$.a.\"b.c\"[1]", Some("two"));
        check(".a.missing", None);
        check("[0]", None);
        check(".roles[?(@ == \"pg_writer\")]", Some("pg_writer"));
        check(".roles[?(@ != \"other\")]", Some("pg_reader"));
        check(".roles[?(@ ^== \"pg_\")]", Some("pg_reader"));
        check(".roles[?(@ ==^ \"writer\")]", Some("pg_writer"));
        check(".roles[?( @ *== \"edit\" )]", Some("an_editor"));
        check(".roles[?(@ == \"nobody\")]", None);
        check(".role[?(@ == \"plain\")]", None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in [
            "role",
            "",
            ".",
            ".a[x]",
            "role.other",
            ".a[?(@ = \"x\")]",
            ".a[?(@ == x)]",
            ".a[?(@ == \"x\")].b",
        ] {
            assert!(RoleClaim::parse(wrong).is_err(), "{wrong}");
        }
    }
}
