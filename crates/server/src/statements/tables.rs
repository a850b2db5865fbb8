//! The tables of a statement's pages, one a section.

use std::collections::BTreeMap;

use super::{
    page::{called, day, day_of, figure, group, none, percent, plain, said, section, short, sum},
    record::{Answer, Statement},
};
use crate::paper::sheet::{Row, Sheet, figures, words};

pub(super) fn tokens(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Date", 0.18),
        words("What happened", 0.46),
        figures("Entry", 0.14),
        figures("Tokens", 0.22),
    ];
    let mut rows = Vec::new();
    for one in &statement.holdings {
        let units = |units| figure(units, one.token_decimals);
        rows.push(group(called(answer, one.property_id)));
        rows.push(plain([
            day(statement.from),
            "Held before".to_owned(),
            none(),
            units(one.opening_units),
        ]));
        for change in &one.movements {
            rows.push(plain([
                day_of(change.at),
                said(&change.kind),
                change.entry_id.to_string(),
                units(change.units),
            ]));
        }
        rows.push(sum([
            day(statement.to),
            "Held at the end".to_owned(),
            none(),
            units(one.closing_units),
        ]));
    }
    section(sheet, statement, "Tokens", &columns, &rows);
}

pub(super) fn lots(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Lot", 0.14),
        words("Acquired", 0.18),
        words("Counts for tax from", 0.22),
        figures("Tokens", 0.18),
        figures("Cost, fee included", 0.28),
    ];
    let mut rows = Vec::new();
    for one in statement.holdings.iter().filter(|one| !one.lots.is_empty()) {
        rows.push(group(called(answer, one.property_id)));
        let mut costs: BTreeMap<(&str, u8), i64> = BTreeMap::new();
        for lot in &one.lots {
            let cost = costs.entry((&lot.currency, lot.currency_decimals)).or_default();
            *cost = cost.saturating_add(lot.cost_minor);
            rows.push(plain([
                short(lot.lot_id),
                day_of(lot.acquired_at),
                day_of(lot.tax_acquired_at),
                figure(lot.units, one.token_decimals),
                format!("{} {}", figure(lot.cost_minor, lot.currency_decimals), lot.currency),
            ]));
        }
        let costs: Vec<String> = costs
            .iter()
            .map(|((currency, decimals), cost)| format!("{} {currency}", figure(*cost, *decimals)))
            .collect();
        let units = figure(one.closing_units, one.token_decimals);
        rows.push(sum(["All lots".to_owned(), none(), none(), units, costs.join(", ")]));
    }
    section(sheet, statement, "Lots at the end of the year", &columns, &rows);
}

pub(super) fn disposals(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Date", 0.13),
        words("What", 0.13),
        words("Out of lot", 0.11),
        words("Tax date", 0.13),
        figures("Tokens", 0.10),
        figures("Proceeds", 0.135),
        figures("Cost (FIFO)", 0.135),
        figures("Gain or loss", 0.13),
    ];
    let mut rows = Vec::new();
    let mut before = None;
    for one in &statement.disposals {
        let place = (one.property_id, one.currency.as_str());
        if before != Some(place) {
            rows.push(group(format!(
                "{}, in {}",
                called(answer, one.property_id),
                one.currency
            )));
        }
        before = Some(place);
        let money = |units: Option<i64>| units.map_or("–".to_owned(), |units| figure(units, one.currency_decimals));
        rows.push(plain([
            day_of(one.at),
            said(&one.kind),
            short(one.lot_id),
            day_of(one.tax_acquired_at),
            figure(one.units, one.token_decimals),
            money(one.proceeds_minor),
            money(Some(one.cost_minor)),
            money(one.gain_minor),
        ]));
    }
    section(sheet, statement, "Disposals", &columns, &rows);
}

pub(super) fn income(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Credited on", 0.14),
        words("Paid on", 0.13),
        figures("Tokens", 0.09),
        figures("Before tax", 0.14),
        figures("Rate", 0.08),
        figures("Withheld", 0.13),
        figures("Credited", 0.14),
        words("Form", 0.15),
    ];
    let mut rows = Vec::new();
    for one in &statement.income {
        let money = |units| figure(units, one.currency_decimals);
        rows.push(group(format!(
            "{}, in {}",
            called(answer, one.property_id),
            one.currency
        )));
        let decimals = statement
            .holdings
            .iter()
            .find(|held| held.property_id == one.property_id);
        let decimals = decimals.map_or(0, |held| held.token_decimals);
        for month in &one.months {
            for line in &month.lines {
                rows.push(plain([
                    day(line.credited_on),
                    line.paid_on
                        .map_or(if line.net_minor == 0 { "–" } else { "not yet" }.to_owned(), day),
                    figure(line.entitled_units, decimals),
                    money(line.gross_minor),
                    percent(line.rate_ppm),
                    money(line.withheld_minor),
                    money(line.net_minor),
                    format!("{} {}", line.form, line.form_version),
                ]));
            }
            if month.lines.len() > 1 {
                let name = month.month.format("%B %Y").to_string();
                rows.push(sum([
                    name,
                    none(),
                    none(),
                    money(month.gross_minor),
                    none(),
                    money(month.withheld_minor),
                    money(month.net_minor),
                    none(),
                ]));
            }
        }
        rows.push(sum([
            format!("All of {}", statement.year),
            none(),
            none(),
            money(one.gross_minor),
            none(),
            money(one.withheld_minor),
            money(one.net_minor),
            none(),
        ]));
    }
    section(sheet, statement, "Income", &columns, &rows);
}

pub(super) fn capital(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Date", 0.15),
        words("Property", 0.35),
        words("What", 0.22),
        figures("Entry", 0.1),
        figures("Amount", 0.18),
    ];
    let rows: Vec<Row> = statement
        .capital
        .iter()
        .map(|one| {
            plain([
                day(one.on),
                one.property_id.map_or(none(), |id| called(answer, id)),
                said(&one.kind),
                one.entry_id.to_string(),
                format!("{} {}", figure(one.amount_minor, one.currency_decimals), one.currency),
            ])
        })
        .collect();
    section(sheet, statement, "Return of capital", &columns, &rows);
}

pub(super) fn purchases(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Paid", 0.12),
        words("Property", 0.22),
        words("Closed", 0.12),
        figures("Tokens", 0.09),
        figures("Price", 0.11),
        figures("Total", 0.12),
        figures("Fee", 0.09),
        figures("Charge", 0.13),
    ];
    let rows: Vec<Row> = statement
        .purchases
        .iter()
        .map(|one| {
            let money = |units| figure(units, one.currency_decimals);
            plain([
                day(one.paid_on),
                called(answer, one.property_id),
                one.closed_on.map_or("not in the year".to_owned(), day),
                figure(one.units, one.token_decimals),
                money(one.price_minor),
                money(one.total_minor),
                money(one.fee_minor),
                format!("{} {}", money(one.charge_minor), one.currency),
            ])
        })
        .collect();
    section(sheet, statement, "Purchases and fees", &columns, &rows);
}

pub(super) fn refunds(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Date", 0.15),
        words("Property", 0.35),
        words("Why", 0.22),
        figures("Entry", 0.1),
        figures("Amount", 0.18),
    ];
    let rows: Vec<Row> = statement
        .refunds
        .iter()
        .map(|one| {
            plain([
                day(one.on),
                called(answer, one.property_id),
                said(&one.reason),
                one.entry_id.to_string(),
                format!("{} {}", figure(one.amount_minor, one.currency_decimals), one.currency),
            ])
        })
        .collect();
    section(sheet, statement, "Refunds", &columns, &rows);
}

pub(super) fn cash(sheet: &mut Sheet, statement: &Statement) {
    let columns = [words("", 0.7), figures("Amount", 0.3)];
    let mut rows = Vec::new();
    for one in &statement.cash {
        let money = |units| figure(units, one.currency_decimals);
        rows.push(group(one.currency.clone()));
        rows.push(plain(["Owed or under way before".to_owned(), money(one.opening_minor)]));
        rows.push(plain(["Income credited".to_owned(), money(one.income_minor)]));
        rows.push(plain(["Capital returned".to_owned(), money(one.capital_minor)]));
        rows.push(plain([
            "Paid, as the bank confirmed".to_owned(),
            money(-one.paid_minor),
        ]));
        rows.push(plain([
            "Of what is left: under way at the end".to_owned(),
            money(one.under_way_minor),
        ]));
        rows.push(plain([
            "Of what is left: owed at the end".to_owned(),
            money(one.payable_minor),
        ]));
        let left = one.payable_minor.saturating_add(one.under_way_minor);
        rows.push(sum(["Owed or under way at the end".to_owned(), money(left)]));
    }
    section(sheet, statement, "Money owed and paid", &columns, &rows);
}

pub(super) fn checks(sheet: &mut Sheet, answer: &Answer) {
    let statement = &answer.statement;
    let columns = [
        words("Compared", 0.2),
        words("Of", 0.26),
        figures("Before", 0.18),
        figures("Change in this statement", 0.18),
        figures("After, by the ledger", 0.18),
    ];
    let rows: Vec<Row> = statement
        .checks
        .iter()
        .map(|one| {
            let of = one.asset.parse().map_or(one.asset.clone(), |id| called(answer, id));
            let figure = |units| figure(units, one.decimals);
            plain([
                said(&one.what),
                of,
                figure(one.opening),
                figure(one.change),
                figure(one.closing),
            ])
        })
        .collect();
    section(
        sheet,
        statement,
        "How the figures re-add to the ledger",
        &columns,
        &rows,
    );
}
