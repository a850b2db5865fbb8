//! A statement as a PDF: the same figures as its JSON, laid out to be kept.

use chrono::{DateTime, NaiveDate, Utc};
use mint_core::money::{Amount, Decimals};
use uuid::Uuid;

use super::{
    record::{Answer, Statement, Totals},
    tables::{capital, cash, checks, disposals, income, lots, purchases, refunds, tokens},
};
use crate::{
    paper::{
        bytes::{self, Colour, Document},
        sheet::{A4, Column, GREY, INK, Kind, MARGIN, NAVY, RIGHT, RULE, Row, Sheet, Side, WIDTH, figures, words},
        type_setting::{Fonts, Weight},
    },
    problem::Problem,
};

/// Behind what says that nothing of it is real.
const AMBER: Colour = (1.0, 0.945, 0.835);
const BROWN: Colour = (0.48, 0.29, 0.0);

/// A row of the summary: what it says, the sum that it shows, how it looks.
type Summed = (&'static str, fn(&Totals) -> i64, Kind);

const SMALL: (f32, Weight) = (7.5, Weight::Regular);

/// The file, the same bytes for the same statement and names.
///
/// # Errors
/// When it cannot be written, which is a fault of ours.
pub fn write(answer: &Answer) -> Result<Vec<u8>, Problem> {
    let statement = &answer.statement;
    let mut sheet = Sheet::new(Fonts::open().map_err(Problem::internal)?);
    title(&mut sheet, answer);
    summary(&mut sheet, statement);
    tokens(&mut sheet, answer);
    lots(&mut sheet, answer);
    disposals(&mut sheet, answer);
    income(&mut sheet, answer);
    capital(&mut sheet, answer);
    purchases(&mut sheet, answer);
    refunds(&mut sheet, answer);
    cash(&mut sheet, statement);
    checks(&mut sheet, answer);
    notes(&mut sheet, answer);
    let year = statement.year;
    let (pages, fonts) = sheet.finish(|sheet, number, count| foot(sheet, answer, number, count));
    let document = Document {
        title: format!("Statement {year}"),
        subject: format!("Party {}, SHA-256 {}", statement.party_id, answer.sha256),
        author: "Nexus Mint".to_owned(),
        id: id(&answer.sha256),
        size: A4,
        pages,
    };
    bytes::write(&document, &fonts).map_err(Problem::internal)
}

/// The first sixteen bytes of a digest in hexadecimal.
fn id(sha256: &str) -> [u8; 16] {
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().enumerate() {
        let digits = sha256.get(2 * place..2 * place + 2).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    id
}

/// Smallest units as a figure for people: thousands set apart, a minus that is one.
#[must_use]
pub fn figure(units: i64, decimals: u8) -> String {
    let size = Amount::try_from(units.saturating_abs()).unwrap_or(Amount::MAX);
    let plain = size.to_decimal(Decimals::try_from(decimals).unwrap_or(Decimals::WHOLE));
    let (whole, fraction) = plain
        .split_once('.')
        .map_or((plain.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    let sign = if units < 0 { "−" } else { "" };
    fraction.map_or_else(
        || format!("{sign}{apart}"),
        |fraction| format!("{sign}{apart}.{fraction}"),
    )
}

pub(super) fn day(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

pub(super) fn day_of(at: DateTime<Utc>) -> String {
    day(at.date_naive())
}

/// A name of an entry's kind that people read: `offering.closed` is "Offering closed".
pub(super) fn said(kind: &str) -> String {
    let plain = kind.replace(['.', '_'], " ");
    let mut letters = plain.chars();
    letters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

pub(super) fn short(id: Uuid) -> String {
    // Ids begin with their time; their end tells them apart.
    let id = id.simple().to_string();
    id.get(id.len() - 8..).unwrap_or_default().to_owned()
}

pub(super) fn percent(rate_ppm: i32) -> String {
    format!(
        "{} %",
        figure(i64::from(rate_ppm), 4)
            .trim_end_matches('0')
            .trim_end_matches('.')
    )
}

pub(super) fn called(answer: &Answer, property_id: Uuid) -> String {
    let title = answer.names.properties.get(&property_id).cloned();
    title.unwrap_or_else(|| format!("Property {}", short(property_id)))
}

pub(super) fn plain<const N: usize>(cells: [String; N]) -> Row {
    let cells = cells.to_vec();
    Row {
        kind: Kind::Plain,
        cells,
    }
}

pub(super) fn sum<const N: usize>(cells: [String; N]) -> Row {
    let cells = cells.to_vec();
    Row { kind: Kind::Sum, cells }
}

pub(super) fn group(text: String) -> Row {
    let cells = vec![text];
    Row {
        kind: Kind::Group,
        cells,
    }
}

pub(super) fn none() -> String {
    String::new()
}

/// A section with a table, or a word that there was nothing.
pub(super) fn section(sheet: &mut Sheet, statement: &Statement, heading: &str, columns: &[Column], rows: &[Row]) {
    sheet.heading(heading);
    if rows.is_empty() {
        sheet.paragraph(
            &format!("None in {}.", statement.year),
            (8.5, Weight::Regular),
            GREY,
            WIDTH,
        );
    } else {
        sheet.table(columns, rows);
    }
}

fn title(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let (bold, regular) = (Weight::SemiBold, Weight::Regular);
    sheet.fill((MARGIN, sheet.y - 2.0), (18.0, 4.0), NAVY);
    sheet.y -= 18.0;
    sheet.put((MARGIN, sheet.y), Side::Left, (11.0, bold), NAVY, WIDTH, "Nexus Mint");
    sheet.put(
        (RIGHT, sheet.y),
        Side::Right,
        (8.5, regular),
        GREY,
        WIDTH,
        "Statement of holdings, income and tax withheld",
    );
    sheet.y -= 42.0;
    sheet.put(
        (MARGIN, sheet.y),
        Side::Left,
        (25.0, bold),
        NAVY,
        WIDTH,
        &format!("Annual statement {}", statement.year),
    );
    sheet.y -= 17.0;
    let period = format!("{} to {}", day(statement.from), day(statement.to));
    sheet.put((MARGIN, sheet.y), Side::Left, (10.0, regular), GREY, WIDTH, &period);
    sheet.y -= 20.0;
    sheet.rule(sheet.y, RULE);
    let name = answer
        .names
        .party
        .clone()
        .unwrap_or_else(|| "Name not verified".to_owned());
    let verified = if answer.names.is_verified {
        "Name as verified"
    } else {
        "Name as stated, not verified"
    };
    let facts = [
        ("For", name, verified.to_owned()),
        (
            "Party",
            statement.party_id.to_string(),
            "The party in law whose statement this is".to_owned(),
        ),
        (
            "As known at",
            format!("Ledger entry {}", statement.known_seq),
            "Later entries change nothing here".to_owned(),
        ),
    ];
    for (label, text, note) in facts {
        sheet.y -= 16.0;
        sheet.put((MARGIN, sheet.y), Side::Left, (8.5, regular), GREY, 80.0, label);
        let size = if label == "For" { 11.0 } else { 9.0 };
        sheet.put((MARGIN + 82.0, sheet.y), Side::Left, (size, bold), INK, 240.0, &text);
        sheet.put((RIGHT, sheet.y), Side::Right, (7.5, regular), GREY, 160.0, &note);
    }
    sheet.y -= 10.0;
    sheet.rule(sheet.y, RULE);
    if statement.is_simulated {
        sheet.y -= 36.0;
        sheet.fill((MARGIN, sheet.y), (WIDTH, 26.0), AMBER);
        let text = "SIMULATED. Offerings in this statement take no real money; its amounts are not real.";
        sheet.put(
            (MARGIN + 10.0, sheet.y + 9.5),
            Side::Left,
            (9.0, bold),
            BROWN,
            WIDTH - 20.0,
            text,
        );
    }
}

fn summary(sheet: &mut Sheet, statement: &Statement) {
    const FIRST: f32 = 0.34;
    /// Currencies side by side, at most; others stand below them.
    const BESIDE: usize = 4;
    let figures_of: [Summed; 11] = [
        ("Income before tax", |one| one.gross_minor, Kind::Plain),
        ("Tax withheld", |one| one.withheld_minor, Kind::Plain),
        ("Income credited", |one| one.net_minor, Kind::Sum),
        ("Capital returned", |one| one.capital_minor, Kind::Plain),
        ("Purchases", |one| one.purchases_minor, Kind::Plain),
        ("Fees of purchases", |one| one.fees_minor, Kind::Plain),
        ("Refunds", |one| one.refunds_minor, Kind::Plain),
        ("Proceeds of disposals", |one| one.proceeds_minor, Kind::Plain),
        ("Cost of what was disposed of", |one| one.cost_minor, Kind::Plain),
        ("Realised gain or loss", |one| one.gain_minor, Kind::Sum),
        (
            "Cost of tokens held at the end of the year",
            |one| one.held_cost_minor,
            Kind::Plain,
        ),
    ];
    if statement.totals.is_empty() {
        section(sheet, statement, "Summary", &[], &[]);
        return;
    }
    for (place, totals) in statement.totals.chunks(BESIDE).enumerate() {
        let shares = [1.0, 2.0, 3.0, 4.0];
        let part = (1.0 - FIRST) / shares.get(totals.len() - 1).copied().unwrap_or(1.0);
        let mut columns = vec![words("", FIRST)];
        columns.extend(totals.iter().map(|one| figures(&one.currency, part)));
        // Of what there was nothing, nothing is said, but for income.
        let is_said = |value: &fn(&Totals) -> i64| totals.iter().any(|one| value(one) != 0);
        let rows: Vec<Row> = figures_of
            .iter()
            .enumerate()
            .filter(|(place, (_, value, _))| *place < 3 || is_said(value))
            .map(|(_, row)| row)
            .map(|(label, value, kind)| {
                let mut cells = vec![(*label).to_owned()];
                cells.extend(totals.iter().map(|one| figure(value(one), one.currency_decimals)));
                Row { kind: *kind, cells }
            })
            .collect();
        let heading = if place == 0 {
            "Summary"
        } else {
            "Summary, further currencies"
        };
        section(sheet, statement, heading, &columns, &rows);
    }
}

fn notes(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    sheet.need(130.0);
    sheet.heading("Notes");
    let check = format!(
        "To check this statement, ask the platform for get-statement with year {} and knownSeq {}: its figures have the SHA-256 {}.",
        statement.year, statement.known_seq, answer.sha256
    );
    let texts = [
        "Days are those of UTC. Income counts on the day on which it was credited; purchases on the day on which their money was in \
         escrow. The cost of a token is its part of the price and of the fee of its purchase; what is disposed of leaves the oldest lot \
         first. Every row follows from entries of the platform's ledger, and the figures were compared with the ledger's own sums before \
         this statement was given.",
        "This statement is no tax advice. What a figure means in a tax return depends on the law of the countries concerned. Rates of \
         withholding, forms and their versions are those that stood on each payment.",
        &check,
    ];
    for text in texts {
        sheet.paragraph(text, (8.0, Weight::Regular), GREY, WIDTH);
        sheet.y -= 5.0;
    }
}

fn foot(sheet: &mut Sheet, answer: &Answer, number: usize, count: usize) {
    let statement = &answer.statement;
    sheet.rule(52.0, RULE);
    let simulated = if statement.is_simulated { "SIMULATED · " } else { "" };
    let left = format!(
        "{simulated}Annual statement {} · Party {}",
        statement.year, statement.party_id
    );
    sheet.put((MARGIN, 40.0), Side::Left, SMALL, GREY, WIDTH * 0.8, &left);
    let page = format!("Page {number} of {count}");
    sheet.put(
        (RIGHT, 40.0),
        Side::Right,
        (7.5, Weight::SemiBold),
        INK,
        WIDTH * 0.2,
        &page,
    );
    let digest = format!("Ledger entry {} · SHA-256 {}", statement.known_seq, answer.sha256);
    sheet.put(
        (MARGIN, 29.0),
        Side::Left,
        (6.5, Weight::Regular),
        GREY,
        WIDTH * 0.82,
        &digest,
    );
    sheet.put(
        (RIGHT, 29.0),
        Side::Right,
        (6.5, Weight::Regular),
        GREY,
        WIDTH * 0.18,
        "No tax advice",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_people() {
        for (units, decimals, text) in [
            (0, 2, "0.00"),
            (105_950, 2, "1,059.50"),
            (-105_950, 2, "−1,059.50"),
            (1_234_567, 0, "1,234,567"),
            (999, 3, "0.999"),
            (1_000_000, 0, "1,000,000"),
        ] {
            assert_eq!(figure(units, decimals), text);
        }
        assert_eq!(
            (percent(300_000), percent(0), percent(123_400)),
            ("30 %".to_owned(), "0 %".to_owned(), "12.34 %".to_owned())
        );
        assert_eq!(said("offering.closed"), "Offering closed");
        assert_eq!(id("00ff"), [0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
