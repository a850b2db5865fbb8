//! Amounts, counts, shares, dates and instants as a person of a language reads them.
//!
//! Arabic pages write western digits, as the Gulf's banks do (CLDR: ar-AE), so that a figure is the same figure in both
//! languages. Nothing here rounds an amount: what is shown is what is held.

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc};
use maud::{Markup, html};

use super::language::Language;

const MONTHS_ENGLISH: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const MONTHS_ARABIC: [&str; 12] = [
    "يناير",
    "فبراير",
    "مارس",
    "أبريل",
    "مايو",
    "يونيو",
    "يوليو",
    "أغسطس",
    "سبتمبر",
    "أكتوبر",
    "نوفمبر",
    "ديسمبر",
];

/// An amount in smallest units as a decimal figure with its thousands apart, all its decimals shown.
pub(crate) fn decimal(units: i64, decimals: i16) -> String {
    let digits = usize::try_from(decimals).unwrap_or(0);
    let text = units.unsigned_abs().to_string();
    let text = format!("{text:0>width$}", width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    let sign = if units < 0 { "−" } else { "" };
    if part.is_empty() {
        format!("{sign}{}", grouped(whole))
    } else {
        format!("{sign}{}.{part}", grouped(whole))
    }
}

/// Tokens: as [`decimal`], without decimals that say nothing.
pub(crate) fn tokens(units: i64, decimals: i16) -> String {
    let text = decimal(units, decimals);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// An amount with its currency, kept on one line and from left to right in every language.
pub(crate) fn money(units: i64, currency: &str, decimals: i16) -> Markup {
    html! { bdi.money { span.currency { (currency) } "\u{a0}" (decimal(units, decimals)) } }
}

/// The same as plain text, for sentences and attributes.
pub(crate) fn money_text(units: i64, currency: &str, decimals: i16) -> String {
    format!("{currency}\u{a0}{}", decimal(units, decimals))
}

/// A count.
pub(crate) fn count(number: i64) -> String {
    decimal(number, 0)
}

/// What part `part` is of `whole`, in whole per cent, rounded down: nothing is full before it is.
pub(crate) fn percent(part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let share = i128::from(part.max(0)) * 100 / i128::from(whole);
    i64::try_from(share).unwrap_or(100).min(100)
}

/// A day.
pub(crate) fn day(day: NaiveDate, language: Language) -> Markup {
    let text = day_text(day, language);
    html! { time datetime=(day.format("%Y-%m-%d").to_string()) { (text) } }
}

/// A day as plain text.
pub(crate) fn day_text(day: NaiveDate, language: Language) -> String {
    let months = match language {
        Language::English => MONTHS_ENGLISH,
        Language::Arabic => MONTHS_ARABIC,
    };
    let month = months
        .get(usize::try_from(day.month0()).unwrap_or(0))
        .copied()
        .unwrap_or("");
    format!("{} {month} {}", day.day(), day.year())
}

/// A month as plain text.
pub(crate) fn month_text(day: NaiveDate, language: Language) -> String {
    let text = day_text(day.with_day(1).unwrap_or(day), language);
    text.trim_start_matches("1 ").to_owned()
}

/// The day of an instant, in UTC.
pub(crate) fn date(at: DateTime<Utc>, language: Language) -> Markup {
    day(at.date_naive(), language)
}

/// An instant, in UTC and to the minute.
pub(crate) fn instant(at: DateTime<Utc>, language: Language) -> Markup {
    let text = instant_text(at, language);
    html! { time datetime=(at.format("%Y-%m-%dT%H:%M:%SZ").to_string()) { (text) } }
}

/// An instant as plain text.
pub(crate) fn instant_text(at: DateTime<Utc>, language: Language) -> String {
    let clock = format!("{:02}:{:02}\u{a0}UTC", at.hour(), at.minute());
    format!("{}, \u{2066}{clock}\u{2069}", day_text(at.date_naive(), language))
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lose_nothing() {
        for (units, decimals, shown) in [
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-123_456, 2, "−1,234.56"),
            (1_000_000, 0, "1,000,000"),
            (123, 3, "0.123"),
            (i64::MIN, 2, "−92,233,720,368,547,758.08"),
        ] {
            assert_eq!(decimal(units, decimals), shown);
        }
        assert_eq!(tokens(2_500_000, 6), "2.5");
        assert_eq!(tokens(100, 0), "100");
        assert_eq!((percent(999, 1000), percent(1, 0), percent(5, 5)), (99, 0, 100));
    }

    #[test]
    fn dates_are_read_in_both_languages() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 8).unwrap();
        assert_eq!(day_text(day, Language::English), "8 Nov 2026");
        assert_eq!(day_text(day, Language::Arabic), "8 نوفمبر 2026");
        assert_eq!(month_text(day, Language::English), "Nov 2026");
    }
}
