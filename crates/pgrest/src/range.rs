//! Which rows: `limit`, `offset`, `Range`, and what is told about them afterwards.

use crate::error::Refusal;

/// A stretch of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// How many to pass over.
    pub offset: i64,
    /// How many at most.
    pub limit: Option<i64>,
}

impl Range {
    /// Of `limit=` and `offset=`; what is no number counts as not said.
    ///
    /// # Errors
    /// A negative limit.
    pub fn of(limit: Option<&str>, offset: Option<&str>) -> Result<Range, Refusal> {
        let number = |text: &str| text.trim().parse::<i64>().ok();
        let limit = limit.and_then(number);
        if limit.is_some_and(|limit| limit < 0) {
            return Err(Refusal::NegativeLimit);
        }
        let offset = offset.and_then(number).unwrap_or(0).max(0);
        Ok(Range { offset, limit })
    }

    /// Both this and what the `Range` header says. A header that is no range counts as none, and none counts where no row
    /// is asked for.
    ///
    /// # Errors
    /// A range that ends before it begins, and two that have no row in common.
    pub fn within_header(self, header: Option<&str>) -> Result<Range, Refusal> {
        if self.limit == Some(0) {
            return Ok(self);
        }
        let Some((first, last)) = header.and_then(|text| text.trim().split_once('-')) else {
            return Ok(self);
        };
        let Ok(first) = first.parse::<i64>() else {
            return Ok(self);
        };
        let limit = match last {
            "" => None,
            last => match last.parse::<i64>() {
                Ok(last) if last < first => return Err(Refusal::BackwardRange),
                Ok(last) => Some(last - first + 1),
                Err(_) => return Ok(self),
            },
        };
        let end = |range: Range| range.limit.map(|limit| range.offset.saturating_add(limit));
        let other = Range { offset: first, limit };
        let offset = self.offset.max(other.offset);
        let end = match (end(self), end(other)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match end {
            Some(end) if end <= offset => Err(Refusal::NegativeLimit),
            end => Ok(Range {
                offset,
                limit: end.map(|end| end - offset),
            }),
        }
    }

    /// No more than the server gives at once.
    #[must_use]
    pub fn at_most(self, rows_max: Option<i64>) -> Range {
        let limit = match (self.limit, rows_max) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Range { limit, ..self }
    }
}

/// `Content-Range`.
#[must_use]
pub fn content_range(offset: i64, rows: i64, total: Option<i64>) -> String {
    let total = total.map_or("*".to_owned(), |total| total.to_string());
    if rows == 0 {
        format!("*/{total}")
    } else {
        format!("{offset}-{}/{total}", offset + rows - 1)
    }
}

/// The status of a page.
///
/// # Errors
/// When it begins behind the last row.
pub fn page_status(offset: i64, rows: i64, total: Option<i64>) -> Result<u16, Refusal> {
    match total {
        Some(total) if offset > total => Err(Refusal::OffsetOutOfBounds { offset, total }),
        Some(total) if rows < total => Ok(206),
        Some(_) | None => Ok(200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_headers_meet() {
        let check = |limit, offset, header, expect: Result<(i64, Option<i64>), Refusal>| {
            let got = Range::of(limit, offset).and_then(|range| range.within_header(header));
            assert_eq!(
                got.map(|range| (range.offset, range.limit)),
                expect,
                "{limit:?} {offset:?} {header:?}"
            );
        };
        check(None, None, None, Ok((0, None)));
        check(Some("3"), Some("2"), None, Ok((2, Some(3))));
        check(Some("-1"), None, None, Err(Refusal::NegativeLimit));
        check(Some("x"), None, None, Ok((0, None)));
        check(Some("3"), None, Some("0-1"), Ok((0, Some(2))));
        check(None, None, Some("10-"), Ok((10, None)));
        check(None, None, Some("1-0"), Err(Refusal::BackwardRange));
        check(None, None, Some("rubbish"), Ok((0, None)));
        check(Some("2"), None, Some("5-6"), Err(Refusal::NegativeLimit));
        check(None, Some("5"), Some("0-1"), Err(Refusal::NegativeLimit));
        check(Some("0"), None, Some("1-0"), Ok((0, Some(0))));
    }

    #[test]
    fn pages_are_told() {
        assert_eq!(content_range(0, 15, None), "0-14/*");
        assert_eq!(content_range(100, 0, Some(15)), "*/15");
        assert_eq!(page_status(0, 15, Some(15)), Ok(200));
        assert_eq!(page_status(0, 2, Some(15)), Ok(206));
        assert_eq!(
            page_status(1, 0, Some(0)),
            Err(Refusal::OffsetOutOfBounds { offset: 1, total: 0 })
        );
    }
}
