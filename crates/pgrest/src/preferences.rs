//! `Prefer`: what the client would like.

use crate::error::Refusal;

/// What is given back after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// The rows.
    Representation,
    /// Where the new row is.
    HeadersOnly,
    /// Nothing.
    Minimal,
}

/// How rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// One by one.
    Exact,
    /// As the planner thinks.
    Planned,
    /// One by one up to a limit, then as the planner thinks.
    Estimated,
}

/// What happens with a row whose key exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It is changed.
    Merge,
    /// It is passed over.
    Ignore,
}

/// What the client would like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `resolution`
    pub resolution: Option<Resolution>,
    /// `return`
    pub representation: Option<Return>,
    /// `count`
    pub count: Option<Count>,
    /// `tx`: whether to roll back.
    pub rollback: Option<bool>,
    /// `missing`: whether columns that a row lacks get their defaults.
    pub missing_default: Option<bool>,
    /// `handling`: whether unknown preferences are refused.
    pub strict: Option<bool>,
    /// `timezone`
    pub timezone: Option<String>,
    /// `max-affected`
    pub max_affected: Option<i64>,
    /// What is none of these.
    pub unknown: Vec<String>,
}

impl Preferences {
    /// Reads the headers; the first of a kind holds. `knows_timezone` says whether PostgreSQL has a timezone.
    #[must_use]
    pub fn of<'a>(
        headers: impl Iterator<Item = &'a str>,
        may_end: bool,
        knows_timezone: impl Fn(&str) -> bool,
    ) -> Preferences {
        let mut found = Preferences::default();
        for item in headers.flat_map(|header| header.split(',')).map(str::trim) {
            if !item.is_empty() && !found.take(item, may_end, &knows_timezone) {
                found.unknown.push(item.to_owned());
            }
        }
        found
    }

    fn take(&mut self, item: &str, may_end: bool, knows_timezone: &impl Fn(&str) -> bool) -> bool {
        fn first<T>(slot: &mut Option<T>, value: T) -> bool {
            slot.get_or_insert(value);
            true
        }
        match item {
            "resolution=merge-duplicates" => first(&mut self.resolution, Resolution::Merge),
            "resolution=ignore-duplicates" => first(&mut self.resolution, Resolution::Ignore),
            "return=representation" => first(&mut self.representation, Return::Representation),
            "return=headers-only" => first(&mut self.representation, Return::HeadersOnly),
            "return=minimal" => first(&mut self.representation, Return::Minimal),
            "count=exact" => first(&mut self.count, Count::Exact),
            "count=planned" => first(&mut self.count, Count::Planned),
            "count=estimated" => first(&mut self.count, Count::Estimated),
            "tx=commit" => !may_end || first(&mut self.rollback, false),
            "tx=rollback" => !may_end || first(&mut self.rollback, true),
            "missing=default" => first(&mut self.missing_default, true),
            "missing=null" => first(&mut self.missing_default, false),
            "handling=strict" => first(&mut self.strict, true),
            "handling=lenient" => first(&mut self.strict, false),
            _ => {
                if let Some(name) = item.strip_prefix("timezone=") {
                    return knows_timezone(name) && first(&mut self.timezone, name.to_owned());
                }
                match item.strip_prefix("max-affected=").map(str::parse) {
                    Some(Ok(rows)) => first(&mut self.max_affected, rows),
                    Some(Err(_)) | None => false,
                }
            }
        }
    }

    /// Refuses what is unknown, where that was asked for.
    ///
    /// # Errors
    /// [`Refusal::Preferences`].
    pub fn check(&self) -> Result<(), Refusal> {
        if self.strict == Some(true) && !self.unknown.is_empty() {
            return Err(Refusal::Preferences(self.unknown.clone()));
        }
        Ok(())
    }

    /// `max-affected`, where it is in force.
    #[must_use]
    pub fn max_affected_strict(&self) -> Option<i64> {
        self.max_affected.filter(|_| self.strict == Some(true))
    }

    /// `Preference-Applied`: those that were used. Each flag says whether its preference means something to the
    /// request.
    #[must_use]
    pub fn applied(&self, used: Used) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        let mut say = |name: Option<&str>| names.extend(name.map(str::to_owned));
        say(self
            .resolution
            .filter(|_| used.resolution)
            .map(|resolution| match resolution {
                Resolution::Merge => "resolution=merge-duplicates",
                Resolution::Ignore => "resolution=ignore-duplicates",
            }));
        say(self
            .missing_default
            .filter(|_| used.missing)
            .map(|is_default| if is_default { "missing=default" } else { "missing=null" }));
        say(self
            .representation
            .filter(|_| used.representation)
            .map(|wanted| match wanted {
                Return::Representation => "return=representation",
                Return::HeadersOnly => "return=headers-only",
                Return::Minimal => "return=minimal",
            }));
        say(self.count.map(|count| match count {
            Count::Exact => "count=exact",
            Count::Planned => "count=planned",
            Count::Estimated => "count=estimated",
        }));
        say(self
            .rollback
            .map(|rollback| if rollback { "tx=rollback" } else { "tx=commit" }));
        say(self
            .strict
            .map(|strict| if strict { "handling=strict" } else { "handling=lenient" }));
        names.extend(self.timezone.as_ref().map(|name| format!("timezone={name}")));
        names.extend(
            self.max_affected_strict()
                .filter(|_| used.max_affected)
                .map(|rows| format!("max-affected={rows}")),
        );
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// Which preferences mean something to a request.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Used {
    /// `resolution`
    pub resolution: bool,
    /// `missing`
    pub missing: bool,
    /// `return`
    pub representation: bool,
    /// `max-affected`
    pub max_affected: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_holds() {
        let headers = [
            "return=minimal, count=exact",
            "return=representation, foo, max-affected=3, timezone=Mars",
        ];
        let found = Preferences::of(headers.into_iter(), true, |name| name == "UTC");
        assert_eq!(found.representation, Some(Return::Minimal));
        assert_eq!(found.count, Some(Count::Exact));
        assert_eq!(found.unknown, ["foo", "timezone=Mars"]);
        assert_eq!(found.max_affected_strict(), None);
        assert!(found.check().is_ok(), "lenient unless said otherwise");
        let strict = Preferences::of(["handling=strict, anything"].into_iter(), true, |_| true);
        assert_eq!(strict.check(), Err(Refusal::Preferences(vec!["anything".to_owned()])));
    }

    #[test]
    fn what_was_used_is_told_in_order() {
        let header = "count=exact, return=representation, missing=default, resolution=ignore-duplicates, tx=rollback";
        let found = Preferences::of([header].into_iter(), true, |_| true);
        let all = Used {
            resolution: true,
            missing: true,
            representation: true,
            max_affected: true,
        };
        assert_eq!(
            found.applied(all).as_deref(),
            Some("resolution=ignore-duplicates, missing=default, return=representation, count=exact, tx=rollback")
        );
        assert_eq!(
            found.applied(Used::default()).as_deref(),
            Some("count=exact, tx=rollback")
        );
    }
}
