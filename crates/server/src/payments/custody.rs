//! The custodian's statement: imported whole or not at all, and compared with the ledger, line by line and in sum.
//!
//! The file is CSV with the header `kind,date,amount,reference`: a line of kind `opening` (the balance before the first
//! day), one of kind `line` for each booking (above zero: it came in), and one of kind `closing` (the balance after the last
//! day). What the ledger has with the custodian is in `escrow_bank`, `unmatched`, `refund_payable`, `proceeds` and `fees`.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use mint_core::money::{Amount, Currency};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::incidents::{self, Kind};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    import::csv::{Reader, Record},
    offerings::record::currency as currency_of,
    outbox,
    permission::Overseer,
    problem::Problem,
};

/// A statement to import.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportStatement {
    /// The property whose account it is.
    pub property_id: Uuid,
    /// Who keeps the money.
    pub custodian: String,
    /// The custodian's name of the account.
    pub account_ref: String,
    /// The account's currency.
    pub currency: String,
    /// The file.
    pub csv: String,
}

/// What the import found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The statement.
    pub statement_id: Uuid,
    /// Lines read.
    pub lines: usize,
    /// Balance after the last day, as the custodian says.
    pub closing_balance: String,
    /// The same, as the ledger says.
    pub ledger_balance: String,
    /// What differs, in words; empty where everything agrees.
    pub differences: Vec<String>,
}

struct Statement {
    from: NaiveDate,
    to: NaiveDate,
    opening: i64,
    closing: i64,
    lines: Vec<Line>,
}

struct Line {
    day: NaiveDate,
    amount: i64,
    reference: String,
}

/// Imports a statement and compares it; a difference opens an incident, which stops the property's closing and payouts.
///
/// # Errors
/// [`Problem::Invalid`] with the line when the file is no statement, or one of the same day is there.
pub async fn import(command: &Command, overseer: &Overseer, body: ImportStatement) -> Result<Imported, Problem> {
    import_for(command, Some(overseer.user_id()), body).await
}

/// The same for the operator of the machine.
///
/// # Errors
/// As [`import`].
pub async fn import_for(command: &Command, user_id: Option<Uuid>, body: ImportStatement) -> Result<Imported, Problem> {
    let text = sql!("select decimals from public.currencies where code = $1");
    let decimals: i16 = command
        .tx
        .query_opt(text, &[&body.currency])
        .await?
        .ok_or_else(|| Problem::Invalid(format!("nobody here knows the currency {}", body.currency)))?
        .try_get(0)?;
    let currency = currency_of(&body.currency, decimals)?;
    let statement = read(&body.csv, &currency)?;
    // One import of a property's account at a time, and no settlement in between.
    let text = sql!("select from public.properties where id = $1 for no key update");
    command
        .tx
        .query_opt(text, &[&body.property_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let ledger = ledger_balance(command, body.property_id, &body.currency, statement.to).await?;
    let text = sql!(
        "insert into public.custodian_statements (property_id, custodian, account_ref, currency, currency_decimals, period_from,
           period_to, opening_balance_minor, closing_balance_minor, ledger_balance_minor, sha256, imported_by, imported_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) returning id"
    );
    let digest = Sha256::digest(body.csv.as_bytes()).to_vec();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &body.property_id,
        &body.custodian,
        &body.account_ref,
        &body.currency,
        &decimals,
        &statement.from,
        &statement.to,
        &statement.opening,
        &statement.closing,
        &ledger,
        &digest,
        &user_id,
        &command.now,
    ];
    let again = || Problem::Invalid(format!("a statement up to {} was imported before", statement.to));
    let row = command
        .tx
        .query_one(text, params)
        .await
        .on_constraint("custodian_statements_once_a_day", again)
        .on_constraint("custodian_statements_texts_are_bounded", || {
            Problem::Invalid("custodian has 1 to 200 characters, accountRef 1 to 100".to_owned())
        })?;
    let id: Uuid = row.try_get(0)?;
    let mut differences = compare_lines(command, &body, &statement, &currency, id).await?;
    let text = sql!(
        "select closing_balance_minor from public.custodian_statements
         where property_id = $1 and currency = $2 and period_to < $3 order by period_to desc limit 1"
    );
    let before = command
        .tx
        .query_opt(text, &[&body.property_id, &body.currency, &statement.from])
        .await?;
    let before: i64 = before.map_or(Ok(0), |row| row.try_get(0))?;
    if before != statement.opening {
        differences.push(format!(
            "the statement opens with {}, the one before closed with {}",
            shown(&currency, statement.opening),
            shown(&currency, before)
        ));
    }
    if ledger != statement.closing {
        differences.push(format!(
            "the custodian has {}, the ledger {}",
            shown(&currency, statement.closing),
            shown(&currency, ledger)
        ));
    }
    if !differences.is_empty() {
        let details = json!({ "statement_id": id, "differences": differences });
        let subject = format!("statement:{id}");
        incidents::open(command, body.property_id, Kind::CustodyDifference, &subject, &details).await?;
    }
    let payload = json!({ "statementId": id, "differences": differences.len() });
    outbox::emit(command, "custody.statement_imported", &id.to_string(), &payload).await?;
    Ok(Imported {
        statement_id: id,
        lines: statement.lines.len(),
        closing_balance: shown(&currency, statement.closing),
        ledger_balance: shown(&currency, ledger),
        differences,
    })
}

fn shown(currency: &Currency, units: i64) -> String {
    let amount = Amount::try_from(units.abs()).unwrap_or(Amount::MAX);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}", currency.show(amount))
}

/// What the ledger has with the custodian at the end of a day.
async fn ledger_balance(command: &Command, property_id: Uuid, currency: &str, day: NaiveDate) -> Result<i64, Problem> {
    let text = sql!(
        "select coalesce(sum(p.amount), 0)::bigint from ledger.accounts as a
         join ledger.postings as p on p.account_id = a.id join ledger.entries as e on e.id = p.entry_id
         where a.property_id = $1 and a.asset = $2 and e.business_date <= $3
           and a.purpose in ('escrow_bank', 'unmatched', 'refund_payable', 'proceeds', 'fees')"
    );
    Ok(command
        .tx
        .query_one(text, &[&property_id, &currency, &day])
        .await?
        .try_get(0)?)
}

/// Compares bookings by their reference: the sum of the custodian's lines with the sum of the ledger's entries.
async fn compare_lines(
    command: &Command,
    body: &ImportStatement,
    statement: &Statement,
    currency: &Currency,
    statement_id: Uuid,
) -> Result<Vec<String>, Problem> {
    let text = sql!(
        "select e.cause ->> 'reference', sum(p.amount)::bigint, max(e.id) from ledger.accounts as a
         join ledger.postings as p on p.account_id = a.id join ledger.entries as e on e.id = p.entry_id
         where a.property_id = $1 and a.asset = $2 and e.business_date between $3 and $4 and e.cause ? 'reference'
           and a.purpose in ('escrow_bank', 'unmatched', 'refund_payable', 'proceeds', 'fees')
         group by 1 having sum(p.amount) <> 0"
    );
    let rows = command
        .tx
        .query(
            text,
            &[&body.property_id, &body.currency, &statement.from, &statement.to],
        )
        .await?;
    let mut known: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in &rows {
        known.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    let mut told: BTreeMap<&str, i64> = BTreeMap::new();
    for line in &statement.lines {
        *told.entry(&line.reference).or_default() += line.amount;
    }
    let mut differences = Vec::new();
    for (reference, amount) in &told {
        match known.get(*reference) {
            Some((expected, _)) if expected == amount => {}
            Some((expected, _)) => differences.push(format!(
                "{reference}: the custodian booked {}, the ledger {}",
                shown(currency, *amount),
                shown(currency, *expected)
            )),
            None => differences.push(format!(
                "{reference}: the custodian booked {}, the ledger knows nothing of it",
                shown(currency, *amount)
            )),
        }
    }
    for (reference, (expected, _)) in known
        .iter()
        .filter(|(reference, _)| !told.contains_key(reference.as_str()))
    {
        differences.push(format!(
            "{reference}: the ledger has {}, the custodian did not book it",
            shown(currency, *expected)
        ));
    }
    let mut used = std::collections::BTreeSet::new();
    let entries: Vec<Option<i64>> = statement
        .lines
        .iter()
        .map(|line| {
            let agrees = told.get(line.reference.as_str()) == known.get(&line.reference).map(|(amount, _)| amount);
            let entry = known.get(&line.reference).map(|(_, entry)| *entry);
            entry.filter(|entry| agrees && used.insert(*entry))
        })
        .collect();
    let numbers: Vec<i32> = (1..).take(statement.lines.len()).collect();
    let days: Vec<NaiveDate> = statement.lines.iter().map(|line| line.day).collect();
    let amounts: Vec<i64> = statement.lines.iter().map(|line| line.amount).collect();
    let references: Vec<&str> = statement.lines.iter().map(|line| line.reference.as_str()).collect();
    let text = sql!(
        "insert into public.custodian_statement_lines (statement_id, line, booked_on, amount_minor, reference, entry_id)
         select $1, l.line, l.day, l.amount, l.reference, l.entry_id
         from unnest($2::integer[], $3::date[], $4::bigint[], $5::text[], $6::bigint[]) as l (line, day, amount, reference, entry_id)"
    );
    command
        .tx
        .execute(text, &[&statement_id, &numbers, &days, &amounts, &references, &entries])
        .await?;
    Ok(differences)
}

/// Reads the file: opening, lines, closing, which add up.
fn read(csv: &str, currency: &Currency) -> Result<Statement, Problem> {
    let mut reader = Reader::new(csv.as_bytes());
    let mut record = Record::default();
    let mut statement = Statement {
        from: NaiveDate::MIN,
        to: NaiveDate::MIN,
        opening: 0,
        closing: 0,
        lines: Vec::new(),
    };
    let (mut has_opening, mut has_closing, mut is_first) = (false, false, true);
    loop {
        let more = reader
            .read(&mut record)
            .map_err(|error| Problem::Invalid(format!("the statement: {error}")))?;
        if !more {
            break;
        }
        let wrong = |what: &str| Problem::Invalid(format!("the statement, line {}: {what}", record.line));
        let fields: Vec<&str> = record.fields().collect();
        if is_first {
            if fields != ["kind", "date", "amount", "reference"] {
                return Err(wrong("the header is kind,date,amount,reference"));
            }
            is_first = false;
            continue;
        }
        let [kind, day, figure, reference] = fields.as_slice() else {
            return Err(wrong("four fields: kind,date,amount,reference"));
        };
        let day: NaiveDate = day.parse().map_err(|_| wrong("the date is like 2026-01-31"))?;
        let amount = signed(figure, currency).ok_or_else(|| wrong("the amount is a decimal figure of the currency"))?;
        if has_closing {
            return Err(wrong("nothing follows the closing balance"));
        }
        match *kind {
            "opening" if !has_opening => (has_opening, statement.from, statement.opening) = (true, day, amount),
            "line" if has_opening => {
                if amount == 0 || reference.is_empty() || reference.len() > 300 || day < statement.from {
                    return Err(wrong(
                        "a line moves something, on a day of the statement, with a reference",
                    ));
                }
                statement.lines.push(Line {
                    day,
                    amount,
                    reference: (*reference).to_owned(),
                });
            }
            "closing" if has_opening => (has_closing, statement.to, statement.closing) = (true, day, amount),
            _ => return Err(wrong("first the opening, then lines, then the closing")),
        }
    }
    let sum = statement
        .lines
        .iter()
        .try_fold(statement.opening, |sum, line| sum.checked_add(line.amount));
    let is_whole =
        has_closing && statement.to >= statement.from && statement.lines.iter().all(|line| line.day <= statement.to);
    if !is_whole {
        return Err(Problem::Invalid(
            "the statement: it needs an opening, a closing, and lines on days between them".to_owned(),
        ));
    }
    if sum != Some(statement.closing) {
        return Err(Problem::Invalid(
            "the statement: opening balance and lines do not add up to the closing balance".to_owned(),
        ));
    }
    Ok(statement)
}

fn signed(figure: &str, currency: &Currency) -> Option<i64> {
    let (sign, digits) = figure.strip_prefix('-').map_or((1, figure), |digits| (-1, digits));
    Amount::parse(digits, currency.decimals())
        .ok()
        .map(|amount| sign * amount.get())
}

/// All statements of a property, the newest first.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListStatements {
    property_id: Uuid,
}

/// The statements of a property that were imported.
///
/// # Errors
/// What the database answered.
pub async fn list(command: &Command, _overseer: &Overseer, body: ListStatements) -> Result<Value, Problem> {
    let text = sql!(
        "select coalesce(jsonb_agg(to_jsonb(s) - 'sha256' order by s.period_to desc), '[]') from public.custodian_statements as s
         where s.property_id = $1"
    );
    let statements: Value = command.tx.query_one(text, &[&body.property_id]).await?.try_get(0)?;
    Ok(json!({ "statements": statements }))
}

#[cfg(test)]
mod tests {
    use mint_core::money::Decimals;

    use super::*;

    #[test]
    fn a_file_is_a_statement_or_says_where_it_is_none() {
        let usd = Currency::new("USD", Decimals::CENTS).unwrap();
        let head = "kind,date,amount,reference\nopening,2026-01-01,10.00,\n";
        let read = |rest: &str| read(&format!("{head}{rest}"), &usd).map(|statement| statement.closing);
        assert_eq!(
            read("line,2026-01-02,5.50,po_1\nline,2026-01-03,-0.50,r\nclosing,2026-01-31,15.00,\n").ok(),
            Some(1_500)
        );
        for (rest, said) in [
            ("closing,2026-01-31,11.00,\n", "do not add up"),
            ("line,2026-01-02,5.50,\nclosing,2026-01-31,15.50,\n", "line 3"),
            ("line,2026-01-02,5.505,x\nclosing,2026-01-31,15.50,\n", "line 3"),
            ("line,2025-12-31,5.50,x\nclosing,2026-01-31,15.50,\n", "line 3"),
            ("line,2026-02-01,5.50,x\nclosing,2026-01-31,15.50,\n", "days between"),
            ("closing,2026-01-31,10.00,\nline,2026-01-02,5.50,x\n", "nothing follows"),
            ("opening,2026-01-01,1.00,\n", "first the opening"),
            ("line,2026-01-02,5.50\n", "four fields"),
            ("", "needs an opening"),
        ] {
            let error = read(rest).unwrap_err().to_string();
            assert!(error.contains(said), "{rest}: {error}");
        }
    }
}
