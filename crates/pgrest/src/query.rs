//! The query string: which parameter means what.

use std::collections::BTreeMap;

use crate::{
    error::Refusal,
    grammar::{
        self, Field, TreePath,
        filter::{self, Condition},
        logic::{self, Logic},
        order::{self, OrderTerm},
        select::{self, SelectItem},
    },
    range::Range,
};

/// Where in the tree of embeds something belongs: the names on the way, none for the resource itself.
pub type Place = Vec<String>;

/// A query string, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// `select`
    pub select: Vec<SelectItem>,
    /// Filters.
    pub filters: Vec<(Place, Field, Condition)>,
    /// `and`, `or`
    pub logic: Vec<(Place, Logic)>,
    /// `order`
    pub orders: Vec<(Place, Vec<OrderTerm>)>,
    /// `limit` and `offset`
    pub ranges: BTreeMap<Place, Range>,
    /// `columns`
    pub columns: Option<Vec<String>>,
    /// `on_conflict`
    pub on_conflict: Option<Vec<String>>,
    /// On calls: what is no filter.
    pub arguments: Vec<(String, String)>,
    /// All of it, sorted by name and encoded.
    pub canonical: String,
}

/// Names and values, decoded. A name without `=` says nothing.
#[must_use]
pub fn pairs(text: &str) -> Vec<(String, String)> {
    parameters(text)
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn parameters(text: &str) -> impl Iterator<Item = (String, Option<String>)> {
    let all = text.split('&').filter(|pair| !pair.is_empty());
    all.map(|pair| match pair.split_once('=') {
        Some((name, value)) => (decoded(name), Some(decoded(value))),
        None => (decoded(pair), None),
    })
}

/// Percent-encoding and `+` undone. What is not UTF-8 after that becomes the replacement character.
#[must_use]
pub fn decoded(text: &str) -> String {
    unescaped(&text.replace('+', " "))
}

/// Percent-encoding undone.
#[must_use]
pub fn unescaped(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, after @ ..] if *first == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Percent-encodes what may not stand in a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            let digit = |value: u8| {
                char::from_digit(u32::from(value), 16)
                    .unwrap_or('0')
                    .to_ascii_uppercase()
            };
            out.push(digit(byte >> 4));
            out.push(digit(byte & 15));
        }
    }
    out
}

impl Query {
    /// Reads a query string. On calls by GET, what does not look like a filter is an argument.
    ///
    /// # Errors
    /// When a parameter does not follow the grammar.
    pub fn of(text: &str, is_call: bool) -> Result<Query, Refusal> {
        let all: Vec<(String, Option<String>)> = parameters(text).collect();
        let mut query = Query::default();
        let mut bounds: BTreeMap<Place, (Option<&str>, Option<&str>)> = BTreeMap::new();
        let mut has_select = false;
        let said = all.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        for (name, value) in said {
            match name.as_str() {
                // Of what is said twice, the first counts.
                "select" if has_select => {}
                "columns" if query.columns.is_some() => {}
                "on_conflict" if query.on_conflict.is_some() => {}
                "select" => {
                    has_select = true;
                    query.select = select::select(value).map_err(Refusal::Parameter)?;
                }
                "columns" => {
                    query.columns = Some(grammar::columns("columns", value).map_err(Refusal::Parameter)?);
                }
                "on_conflict" => {
                    query.on_conflict = Some(grammar::columns("on_conflict", value).map_err(Refusal::Parameter)?);
                }
                _ => query.take(name, value, is_call, &mut bounds)?,
            }
        }
        for (place, (limit, offset)) in bounds {
            query.ranges.insert(place, Range::of(limit, offset)?);
        }
        let mut sorted: Vec<&(String, Option<String>)> = all.iter().collect();
        // What has one name stays in its order.
        sorted.sort_by_key(|(name, _)| name);
        let sorted = sorted.into_iter().map(|(name, value)| {
            let value = value.as_deref().unwrap_or_default();
            format!("{}={}", encoded(name), encoded(value))
        });
        query.canonical = sorted.collect::<Vec<_>>().join("&");
        Ok(query)
    }

    fn take<'a>(
        &mut self,
        name: &str,
        value: &'a str,
        is_call: bool,
        bounds: &mut BTreeMap<Place, (Option<&'a str>, Option<&'a str>)>,
    ) -> Result<(), Refusal> {
        let (before, last) = split_last(name);
        if let Some((place, group)) = logic_place(name) {
            let tree = logic::logic(group, value).map_err(Refusal::Parameter)?;
            self.logic.push((path_of(place)?, tree));
            return Ok(());
        }
        match last {
            "order" => {
                let (place, terms) = (path_of(before)?, order::order(value).map_err(Refusal::Parameter)?);
                if !self.orders.iter().any(|(known, _)| *known == place) {
                    self.orders.push((place, terms));
                }
            }
            "limit" => bounds.entry(path_of(before)?).or_default().0 = Some(value),
            "offset" => bounds.entry(path_of(before)?).or_default().1 = Some(value),
            _ if is_call && !filter::has_operator(value) => {
                self.arguments.push((name.to_owned(), value.to_owned()));
            }
            _ => {
                let TreePath { embeds, field } = grammar::tree_path(name).map_err(Refusal::Parameter)?;
                let condition = filter::condition(value).map_err(Refusal::Parameter)?;
                self.filters.push((embeds, field, condition));
            }
        }
        Ok(())
    }
}

fn split_last(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// The place and the word of a logic parameter: `a.b.not.or`.
fn logic_place(name: &str) -> Option<(&str, &str)> {
    ["not.and", "not.or", "and", "or"].into_iter().find_map(|group| {
        let place = name.strip_suffix(group)?;
        logic::group_name(group)?;
        if place.is_empty() {
            return Some(("", group));
        }
        Some((place.strip_suffix('.')?, group))
    })
}

fn path_of(text: &str) -> Result<Place, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let TreePath { mut embeds, field } = grammar::tree_path(text).map_err(Refusal::Parameter)?;
    embeds.push(field.name);
    Ok(embeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_find_their_place() {
        let query = Query::of(
            "select=id&tasks.users.order=name.desc&tasks.limit=2&tasks.offset=1&tasks.id=gt.1&a.not.or=(x.eq.1)&limit=3&foo",
            false,
        )
        .unwrap();
        assert_eq!(query.select.len(), 1);
        assert_eq!(query.orders[0].0, ["tasks", "users"]);
        assert_eq!(
            query.ranges[&vec!["tasks".to_owned()]],
            Range {
                offset: 1,
                limit: Some(2)
            }
        );
        assert_eq!(
            query.ranges[&Vec::new()],
            Range {
                offset: 0,
                limit: Some(3)
            }
        );
        assert_eq!(query.filters[0].0, ["tasks"]);
        assert_eq!(query.logic[0].0, ["a"]);
        assert!(matches!(
            query.logic[0].1,
            Logic::Group {
                negated: true,
                is_or: true,
                ..
            }
        ));
    }

    #[test]
    fn calls_have_arguments() {
        let query = Query::of("a=1&b=eq.2&c=x.y&a=3", true).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(query.arguments, [pair("a", "1"), pair("c", "x.y"), pair("a", "3")]);
        assert_eq!(query.filters.len(), 1);
        assert!(Query::of("a=1", false).is_err(), "a relation has only filters");
    }

    #[test]
    fn encoding_goes_both_ways() {
        assert_eq!(decoded("a+b%20c%C3%A4%"), "a b cä%");
        assert_eq!(encoded("a b/ä"), "a%20b%2F%C3%A4");
        let check = |text: &str, canonical: &str| {
            assert_eq!(Query::of(text, false).unwrap().canonical, canonical, "{text}");
        };
        check("b=eq.2&a=eq.%22x%22", "a=eq.%22x%22&b=eq.2");
        check("b=lt.5&b=gt.2&foo&", "b=lt.5&b=gt.2&foo=");
        check("p=eq.1&p.order=id", "p=eq.1&p.order=id");
    }

    #[test]
    fn of_what_is_said_twice_the_first_counts() {
        let query = Query::of(
            "select=id&select=name&order=id.desc&order=id.asc&columns=a&columns=b",
            false,
        )
        .unwrap();
        assert_eq!(query.select, select::select("id").unwrap());
        assert_eq!(query.orders, [(Vec::new(), order::order("id.desc").unwrap())]);
        assert_eq!(query.columns, Some(vec!["a".to_owned()]));
        let last = Query::of("limit=1&limit=2", false).unwrap();
        assert_eq!(last.ranges[&Vec::new()].limit, Some(2), "but of limits, the last");
        assert!(Query::of("order=", false).is_err());
    }
}
