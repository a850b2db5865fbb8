//! Lines of the bank: typed into the form, pasted, or out of a file as a spreadsheet writes it. Each that does not fit says why; then
//! nothing is recorded, and all of it stays as it was typed.

use std::collections::HashSet;

use chrono::NaiveDate;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::{
    form::Fields,
    parts::{self, Field},
    visit::Visit,
};

/// Columns of a line: the bank's account, its reference, what it was for, amount, day, and words.
const COLUMNS: usize = 6;

const KINDS: [&str; 5] = ["rent", "taxes", "insurance", "maintenance", "manager"];

/// Lines that the form has room for; more are pasted or come in a file.
const ROWS: usize = 3;

/// Lines that fit, or what is wrong with which.
pub(super) fn read(fields: &Fields) -> Result<Vec<Value>, Vec<String>> {
    let mut found = Found {
        period: fields
            .get("periodFrom")
            .parse()
            .ok()
            .zip(fields.get("periodTo").parse().ok()),
        ..Found::default()
    };
    found.typed(fields);
    found.pasted(fields.get("lines"));
    found.end()
}

#[derive(Default)]
struct Found {
    period: Option<(NaiveDate, NaiveDate)>,
    known: HashSet<(String, String)>,
    lines: Vec<Value>,
    wrong: Vec<String>,
}

impl Found {
    fn end(mut self) -> Result<Vec<Value>, Vec<String>> {
        if self.lines.is_empty() && self.wrong.is_empty() {
            self.wrong
                .push("type, paste or choose a file with at least one line of the bank's statement".to_owned());
        }
        if self.wrong.is_empty() {
            Ok(self.lines)
        } else {
            Err(self.wrong)
        }
    }

    /// The form's own rows; one in which nothing was typed is none.
    fn typed(&mut self, fields: &Fields) {
        for number in 1..=ROWS {
            let get = |name: &str| fields.get(&format!("row{number}-{name}"));
            let typed = [get("reference"), get("amount"), get("day"), get("for")];
            if typed.iter().all(|cell| cell.is_empty()) {
                continue;
            }
            let [reference, amount, day, words] = typed;
            self.take(
                &format!("row {number}"),
                [fields.get("account"), reference, get("kind"), amount, day, words],
            );
        }
    }

    fn pasted(&mut self, text: &str) {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let name = format!("line {number}");
            let Some(cells) = cells(line) else {
                self.wrong.push(format!("{name}: a quote is not closed"));
                continue;
            };
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let &[account, reference, kind, amount, day, words] = cells.as_slice() else {
                self.wrong.push(format!(
                    "{name}: {} columns, and {COLUMNS} are wanted: account, reference, kind, amount, day, what for",
                    cells.len()
                ));
                continue;
            };
            // The names of columns, as a spreadsheet writes them above.
            if number == 1 && kind.eq_ignore_ascii_case("kind") {
                continue;
            }
            self.take(&name, [account, reference, kind, amount, day, words]);
        }
    }

    fn take(&mut self, name: &str, [account, reference, kind, amount, day, words]: [&str; COLUMNS]) {
        let before = self.wrong.len();
        let mut say = |text: String| self.wrong.push(format!("{name}: {text}"));
        if !KINDS.contains(&kind) {
            say(format!("kind {kind:?} is none of {}", KINDS.join(", ")));
        }
        match (day.parse::<NaiveDate>(), self.period) {
            (Err(_), _) => say(format!("{day:?} is no day such as 2026-09-03")),
            (Ok(on), Some((from, to))) if on < from || on > to => say(format!("{day} is not a day of the period")),
            (Ok(_), _) => {}
        }
        if amount.is_empty() || !amount.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
            say(format!("{amount:?} is no amount such as 3150.00"));
        }
        if account.is_empty() || reference.is_empty() || words.is_empty() {
            say("account, reference and what it is for are not empty".to_owned());
        } else if !self.known.insert((account.to_owned(), reference.to_owned())) {
            say(format!("{reference:?} of {account:?} is here twice"));
        }
        if self.wrong.len() == before {
            self.lines.push(json!({ "accountRef": account, "bankReference": reference, "kind": kind, "amount": amount, "bookedOn": day, "paidFor": words }));
        }
    }
}

/// The cells of a line, by the separator that it has: tabs before semicolons before commas. A cell may be quoted, a quote in it is
/// doubled; the words at the end may have separators of their own. Nothing where a quote stays open.
fn cells(line: &str) -> Option<Vec<String>> {
    let separator = ['\t', ';'].into_iter().find(|mark| line.contains(*mark)).unwrap_or(',');
    let mut cells = Vec::new();
    let mut rest = line;
    while cells.len() + 1 < COLUMNS {
        let (cell, after) = cell(rest, separator)?;
        cells.push(cell);
        match after {
            Some(after) => rest = after,
            None => return Some(cells),
        }
    }
    let last = rest.trim();
    let last = match last.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => last.to_owned(),
    };
    cells.push(last);
    Some(cells)
}

/// The next cell, and what stands behind its separator.
fn cell(text: &str, separator: char) -> Option<(String, Option<&str>)> {
    let begun = text.trim_start_matches(|letter: char| letter.is_whitespace() && letter != separator);
    let Some(mut inside) = begun.strip_prefix('"') else {
        let (cell, after) = match text.split_once(separator) {
            Some((cell, after)) => (cell, Some(after)),
            None => (text, None),
        };
        return Some((cell.trim().to_owned(), after));
    };
    let mut cell = String::new();
    loop {
        let (part, after) = inside.split_once('"')?;
        cell.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                inside = more;
            }
            None => return Some((cell, after.split_once(separator).map(|(_, after)| after))),
        }
    }
}

/// Fields for lines: rows of the form, a text, a file.
pub(super) fn form(visit: &Visit, typed: &Fields) -> Markup {
    let kinds = KINDS.map(|kind| (kind, visit.word("line", kind)));
    let row = |number: usize| {
        let name = |field: &str| format!("row{number}-{field}");
        let (kind, reference, amount, day, words) = (
            name("kind"),
            name("reference"),
            name("amount"),
            name("day"),
            name("for"),
        );
        html! {
            fieldset {
                legend.field-label { (visit.tv("rent-line", &[("number", i64::try_from(number).unwrap_or(0).into())])) }
                div.form-grid {
                    (parts::select(&kind, &visit.t("rent-line-kind"), &kinds, typed.get(&kind)))
                    (Field::text(&amount, visit.t("column-amount")).value(typed.get(&amount)).bare().with("inputmode", "decimal").show(visit))
                    (Field::text(&day, visit.t("rent-line-day")).kind("date").value(typed.get(&day)).bare().show(visit))
                    (Field::text(&reference, visit.t("rent-line-reference")).value(typed.get(&reference)).bare().with("maxlength", "200").show(visit))
                }
                (Field::text(&words, visit.t("rent-line-for")).value(typed.get(&words)).bare().with("maxlength", "300").show(visit))
            }
        }
    };
    html! {
        (Field::text("account", visit.t("rent-line-account")).value(typed.get("account")).hint(visit.t("rent-line-account-hint")).bare().with("maxlength", "200").show(visit))
        @for number in 1..=ROWS { (row(number)) }
        (Field::text("lines", visit.t("rent-lines-more")).kind("textarea").value(typed.get("lines")).hint(visit.t("rent-lines-hint")).bare().with("rows", "7").show(visit))
        p.fine dir="ltr" lang="en" { code { "ops-1, 2026-09-1, rent, 3150.00, 2026-09-03, rent of September" } }
        (Field::text("file", visit.t("rent-file")).kind("file").hint(visit.t("rent-file-hint")).bare().with("accept", ".csv,.tsv,.txt,text/csv,text/plain").show(visit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pasted(text: &str) -> Result<Vec<Value>, Vec<String>> {
        let mut found = Found {
            period: "2026-09-01".parse().ok().zip("2026-09-30".parse().ok()),
            ..Found::default()
        };
        found.pasted(text);
        found.end()
    }

    #[test]
    fn each_line_says_what_is_wrong_with_it() {
        let good = "account,reference,Kind,amount,day,for\nops-1, r-1, rent, 3150.00, 2026-09-03, rent, and parking\n\nops-1;r-2;taxes;10;2026-09-04;tax\n\"ops, 1\",\"r \"\"3\"\"\",rent,1,2026-09-05,\"a, b\"";
        let lines = pasted(good).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["paidFor"], "rent, and parking");
        assert_eq!(
            [
                &lines[2]["accountRef"],
                &lines[2]["bankReference"],
                &lines[2]["paidFor"]
            ],
            ["ops, 1", "r \"3\"", "a, b"]
        );
        let wrong = pasted("a,b\nops-1, r-1, gift, 1e3, soon, x").unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].starts_with("line 1: 2 columns") && wrong[1].starts_with("line 2: kind \"gift\""));
        let twice = "ops-1,r-1,rent,1,2026-09-03,x\nops-1,r-1,rent,1,2026-10-03,x\n\"open,r,rent,1,2026-09-03,x";
        let wrong = pasted(twice).unwrap_err();
        assert_eq!(
            wrong,
            [
                "line 2: 2026-10-03 is not a day of the period",
                "line 2: \"r-1\" of \"ops-1\" is here twice",
                "line 3: a quote is not closed"
            ]
        );
        assert_eq!(pasted(" \n").unwrap_err().len(), 1);
    }
}
