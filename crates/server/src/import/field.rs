//! What a field of a file may be, and how it goes to PostgreSQL. Amounts become integers of the smallest unit here, once.

use std::{borrow::Cow, fmt};

use chrono::NaiveDate;
use mint_core::money::{Amount, Decimals};

/// Column of a file: its name in the header, and what its fields are.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// As the header writes it.
    pub name: &'static str,
    /// What a field is.
    pub kind: Kind,
}

/// What a field is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Some text, at most so many characters.
    Text(usize),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `True` or `False`.
    Flag,
    /// An amount of a currency; stored in its smallest units.
    Amount(&'static str, Decimals),
    /// A whole number from one to another.
    Whole(i64, i64),
    /// A decimal number from one whole number to another, with at most so many digits after the point; kept as written.
    Decimal(i64, i64, u32),
    /// A day, as 2016-12-31.
    Day,
    /// A month, as 2026-01; stored as its first day.
    Month,
    /// An EVM address.
    Address,
    /// An EVM address or nothing.
    AddressOrNothing,
}

/// For an error: what was expected.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text(max) => write!(f, "a text of 1 to {max} characters"),
            Kind::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Kind::Flag => f.write_str("True or False"),
            Kind::Amount(currency, decimals) => {
                let largest = Amount::MAX.to_decimal(*decimals);
                write!(
                    f,
                    "an amount of {currency} from 0 to {largest} with at most {} digits after the point",
                    decimals.get()
                )
            }
            Kind::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Kind::Decimal(min, max, digits) => {
                write!(
                    f,
                    "a number from {min} to {max} with at most {digits} digits after the point"
                )
            }
            Kind::Day => f.write_str("a day such as 2016-12-31"),
            Kind::Month => f.write_str("a month such as 2026-01"),
            Kind::Address => f.write_str("an address: 0x and 40 hexadecimal digits"),
            Kind::AddressOrNothing => f.write_str("an address (0x and 40 hexadecimal digits) or nothing"),
        }
    }
}

/// A field as PostgreSQL gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Its text.
    Text(Cow<'a, str>),
    /// Null.
    Nothing,
}

impl Kind {
    /// Reads a field; `None` where it is not what it should be.
    #[must_use]
    pub fn parse(self, field: &str) -> Option<Value<'_>> {
        let as_it_is = |is_right: bool| is_right.then_some(Value::Text(Cow::Borrowed(field)));
        match self {
            Kind::Text(max) => as_it_is(!field.trim().is_empty() && field.chars().count() <= max),
            Kind::OneOf(words) => as_it_is(words.contains(&field)),
            Kind::Flag => as_it_is(matches!(field, "True" | "False")),
            Kind::Amount(_, decimals) => {
                let amount = Amount::parse(field, decimals).ok()?;
                Some(Value::Text(Cow::Owned(amount.get().to_string())))
            }
            Kind::Whole(min, max) => as_it_is(scaled(field, 0).is_some_and(|found| within(found, min, max, 0))),
            Kind::Decimal(min, max, digits) => {
                as_it_is(scaled(field, digits).is_some_and(|found| within(found, min, max, digits)))
            }
            Kind::Day => as_it_is(day(field).is_some()),
            Kind::Month => {
                let first = format!("{field}-01");
                day(&first).map(|_| Value::Text(Cow::Owned(first)))
            }
            Kind::Address => as_it_is(is_address(field)),
            Kind::AddressOrNothing if field.is_empty() => Some(Value::Nothing),
            Kind::AddressOrNothing => as_it_is(is_address(field)),
        }
    }
}

/// A plain decimal number times ten to the power of `digits`, which are the most that may follow its point.
fn scaled(field: &str, digits: u32) -> Option<i128> {
    let (is_negative, number) = field.strip_prefix('-').map_or((false, field), |rest| (true, rest));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let places = u32::try_from(fraction.len()).ok()?;
    if whole.is_empty() || number.ends_with('.') || !is_plain(whole) || !is_plain(fraction) || places > digits {
        return None;
    }
    let magnitude = format!("{whole}{fraction}").parse::<i128>().ok()?;
    let magnitude = magnitude.checked_mul(10_i128.checked_pow(digits - places)?)?;
    Some(if is_negative { -magnitude } else { magnitude })
}

fn within(scaled: i128, min: i64, max: i64, digits: u32) -> bool {
    let unit = 10_i128.pow(digits);
    (i128::from(min) * unit..=i128::from(max) * unit).contains(&scaled)
}

/// A day as ISO writes it: chrono alone would also take 2016-1-1 and the year 30000.
pub fn day(field: &str) -> Option<NaiveDate> {
    let is_written_out = field.len() == 10 && field.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !is_written_out {
        return None;
    }
    NaiveDate::parse_from_str(field, "%Y-%m-%d")
        .ok()
        .filter(|day| *day >= NaiveDate::from_ymd_opt(1800, 1, 1).unwrap_or_default())
}

fn is_address(field: &str) -> bool {
    let digits = field.strip_prefix("0x");
    digits.is_some_and(|digits| digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The beginning of a field for an error: quoted, escaped, short.
pub(super) fn shown(field: &[u8]) -> String {
    const SHOWN_MAX: usize = 60;
    let text = String::from_utf8_lossy(field);
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Appends a field to a line of COPY's text format.
pub(super) fn push_copied(line: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Nothing => line.extend_from_slice(b"\\N"),
        Value::Text(text) => {
            for byte in text.bytes() {
                match byte {
                    b'\\' => line.extend_from_slice(b"\\\\"),
                    b'\t' => line.extend_from_slice(b"\\t"),
                    b'\n' => line.extend_from_slice(b"\\n"),
                    b'\r' => line.extend_from_slice(b"\\r"),
                    other => line.push(other),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_its_column_says_or_nothing() {
        let check = |kind: Kind, field: &str, expect: Option<&str>| {
            let got = kind.parse(field).map(|value| match value {
                Value::Text(text) => text.into_owned(),
                Value::Nothing => "null".to_owned(),
            });
            assert_eq!(got.as_deref(), expect, "{field:?} as {kind}");
        };
        let usd = Kind::Amount("USD", Decimals::CENTS);
        check(usd, "308900", Some("30890000"));
        check(usd, "51.5", Some("5150"));
        for wrong in ["", "-1", "1.005", "1e3", "1,000", "99999999999999999999", " 1"] {
            check(usd, wrong, None);
        }
        let latitude = Kind::Decimal(-90, 90, 15);
        for right in ["47.6039129139299", "-90", "90.000", "0", "-0.5"] {
            check(latitude, right, Some(right));
        }
        for wrong in [
            "90.000000000000001",
            "-91",
            "",
            ".5",
            "5.",
            "1e1",
            "NaN",
            "0.1234567890123456",
            "--1",
            "+1",
        ] {
            check(latitude, wrong, None);
        }
        check(Kind::Whole(0, 50), "50", Some("50"));
        for wrong in [
            "51",
            "-1",
            "1.0",
            "",
            "0x1",
            "99999999999999999999999999999999999999999",
        ] {
            check(Kind::Whole(0, 50), wrong, None);
        }
        check(Kind::Day, "2016-02-29", Some("2016-02-29"));
        for wrong in [
            "2015-02-29",
            "2016-2-1",
            "29.02.2016",
            "2016-02-29 ",
            "1799-12-31",
            "+016-02-29",
        ] {
            check(Kind::Day, wrong, None);
        }
        check(Kind::Month, "2026-08", Some("2026-08-01"));
        check(Kind::Month, "2026-13", None);
        check(Kind::Month, "2026-8", None);
        check(Kind::Text(3), "日本語", Some("日本語"));
        check(Kind::Text(3), "abcd", None);
        check(Kind::Text(3), " ", None);
        check(Kind::OneOf(&["sfr", "townhouse"]), "castle", None);
        check(Kind::Flag, "True", Some("True"));
        check(Kind::Flag, "true", None);
        let address = "0xe5f7ef61443fc36ae040650aa585b0395aef77c8";
        check(Kind::Address, address, Some(address));
        check(Kind::Address, "", None);
        check(Kind::AddressOrNothing, "", Some("null"));
        check(Kind::AddressOrNothing, "0x1", None);
    }

    #[test]
    fn copy_reads_back_what_was_written() {
        let mut line = Vec::new();
        push_copied(&mut line, &Value::Text(Cow::Borrowed("a\\N\tb\n\r.")));
        assert_eq!(line, b"a\\\\N\\tb\\n\\r.");
        line.clear();
        push_copied(&mut line, &Value::Nothing);
        assert_eq!(line, b"\\N");
    }
}
