//! What a read asks for beside the object: a part of it, or nothing where it has not changed. Pure.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, header};
use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};

/// How HTTP writes an instant.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// What is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything.
    Whole,
    /// Some bytes.
    Of(Range<u64>),
    /// The range has none of its bytes.
    Nothing,
}

/// An instant as HTTP writes it.
pub(super) fn http_date(at: DateTime<Utc>) -> String {
    at.format(HTTP_DATE).to_string()
}

/// Whether the client wants something else than this (`If-Match`, `If-Unmodified-Since`).
pub(super) fn is_another(headers: &HeaderMap, etag: &str, changed_at: DateTime<Utc>) -> bool {
    if let Some(wanted) = text(headers, header::IF_MATCH) {
        return !wanted
            .split(',')
            .map(str::trim)
            .any(|wanted| wanted == "*" || wanted == etag);
    }
    text(headers, header::IF_UNMODIFIED_SINCE)
        .and_then(instant)
        .is_some_and(|since| changed_at.trunc_subsecs(0) > since)
}

/// Whether the client has this already.
pub(super) fn is_unchanged(headers: &HeaderMap, etag: &str, changed_at: DateTime<Utc>) -> bool {
    if let Some(known) = text(headers, header::IF_NONE_MATCH) {
        return known
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == etag);
    }
    text(headers, header::IF_MODIFIED_SINCE)
        .and_then(instant)
        .is_some_and(|since| changed_at.trunc_subsecs(0) <= since)
}

/// The part that is asked for. One range of bytes counts; what is none is passed over, as HTTP has it, and several are
/// answered with the whole. A range of something that changed meanwhile (`If-Range`) is the whole.
pub(super) fn part(headers: &HeaderMap, size: u64, etag: &str, changed_at: DateTime<Utc>) -> Part {
    let Some(asked) = text(headers, header::RANGE) else {
        return Part::Whole;
    };
    let is_of_this = text(headers, header::IF_RANGE)
        .is_none_or(|known| known == etag || instant(known).is_some_and(|known| changed_at.trunc_subsecs(0) == known));
    if is_of_this { range_of(asked, size) } else { Part::Whole }
}

fn range_of(text: &str, size: u64) -> Part {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        (_, _) => return Part::Whole,
    };
    if range.start < range.end {
        Part::Of(range)
    } else {
        Part::Nothing
    }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let found = NaiveDateTime::parse_from_str(text, HTTP_DATE).ok()?;
    Some(found.and_utc())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (text, asked) in [
            ("bytes=0-0", Part::Of(0..1)),
            ("bytes=2-", Part::Of(2..10)),
            ("bytes=-3", Part::Of(7..10)),
            ("bytes=-30", Part::Of(0..10)),
            ("bytes=5-500", Part::Of(5..10)),
            ("bytes=5-18446744073709551615", Part::Of(5..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(range_of(text, 10), asked, "{text}");
        }
        assert_eq!(range_of("bytes=0-", 0), Part::Nothing);
    }

    #[test]
    fn what_has_not_changed_is_told_by_tag_or_instant() {
        let changed_at: DateTime<Utc> = "2026-03-04T05:06:07.89Z".parse().unwrap();
        assert_eq!(http_date(changed_at), "Wed, 04 Mar 2026 05:06:07 GMT");
        for (name, value, is_same) in [
            (header::IF_NONE_MATCH, "\"a\"", true),
            (header::IF_NONE_MATCH, "\"b\", W/\"a\"", true),
            (header::IF_NONE_MATCH, "*", true),
            (header::IF_NONE_MATCH, "\"b\"", false),
            (header::IF_MODIFIED_SINCE, "Wed, 04 Mar 2026 05:06:07 GMT", true),
            (header::IF_MODIFIED_SINCE, "Wed, 04 Mar 2026 05:06:06 GMT", false),
            (header::IF_MODIFIED_SINCE, "yesterday", false),
        ] {
            assert_eq!(
                is_unchanged(&headers(name, value), "\"a\"", changed_at),
                is_same,
                "{value}"
            );
        }
        for (name, value, is_other) in [
            (header::IF_MATCH, "\"a\"", false),
            (header::IF_MATCH, "\"b\", \"a\"", false),
            (header::IF_MATCH, "*", false),
            (header::IF_MATCH, "\"b\"", true),
            (header::IF_UNMODIFIED_SINCE, "Wed, 04 Mar 2026 05:06:07 GMT", false),
            (header::IF_UNMODIFIED_SINCE, "Wed, 04 Mar 2026 05:06:06 GMT", true),
            (header::IF_UNMODIFIED_SINCE, "yesterday", false),
        ] {
            assert_eq!(
                is_another(&headers(name, value), "\"a\"", changed_at),
                is_other,
                "{value}"
            );
        }
        let mut both = headers(header::RANGE, "bytes=1-2");
        for (if_range, asked) in [
            ("\"a\"", Part::Of(1..3)),
            ("\"b\"", Part::Whole),
            ("Wed, 04 Mar 2026 05:06:07 GMT", Part::Of(1..3)),
        ] {
            both.insert(header::IF_RANGE, if_range.parse().unwrap());
            assert_eq!(part(&both, 9, "\"a\"", changed_at), asked, "{if_range}");
        }
    }
}
