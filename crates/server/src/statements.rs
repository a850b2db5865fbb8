//! Statements: an investor's calendar year, with figures that re-add to the ledger to the smallest unit.
//!
//! What always holds: a statement is refused rather than wrong, since each is checked against the ledger's own sums before it
//! is given ([`record::Check`]); with the year and the known entry as answered, the same question has the same answer for ever.
//!
//! Absent on purpose: advice, and what a figure means in a country's tax return.

pub mod figures;
pub mod page;
pub mod record;
mod tables;
mod tokens;

use chrono::Datelike as _;
use mint_core::{
    refusal::Refusal,
    role::Role,
    statement::{Roll, Year},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::{
    figures::{Look, Sums},
    record::{Answer, Check, Names, Statement},
};
use crate::{command::Command, db::sql, permission::Person, problem::Problem};

/// How a statement is laid out; a change of its fields is another version.
const VERSION: u32 = 1;

/// Whose statement, of which year.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetStatement {
    year: i32,
    party_id: Option<Uuid>,
    known_seq: Option<i64>,
}

/// The statement of one's own party; of any party for overseers.
///
/// # Errors
/// [`Problem::NotFound`] for another party than one's own, `statement.year` and `statement.sequence` for what is not known
/// yet, `statement.length`.
pub async fn get(command: &Command, person: &Person, body: GetStatement) -> Result<Answer, Problem> {
    let party_id = body.party_id.unwrap_or(person.party_id());
    let may_see = party_id == person.party_id() || person.has(Role::Admin) || person.has(Role::ComplianceOfficer);
    let year =
        Year::of(body.year).ok_or_else(|| Problem::Invalid("year is a calendar year, such as 2031".to_owned()))?;
    if !may_see {
        return Err(Problem::NotFound);
    }
    let mut names = party_names(command, party_id).await?;
    if year.begins_at() > command.now {
        return Err(Refusal::new(
            "statement.year",
            "that year has not begun",
            format!("ask for {} or an earlier year", command.now.year()),
        )
        .looking_at("year", year.number())
        .into());
    }
    let look = Look::at(command, party_id, year, body.known_seq).await?;
    let statement = assemble(&look).await?;
    names.properties = look.titles(&statement).await?;
    let sha256 = digest(&statement)?;
    Ok(Answer {
        statement,
        sha256,
        names,
    })
}

async fn party_names(command: &Command, party_id: Uuid) -> Result<Names, Problem> {
    let text = sql!(
        "select coalesce(p.legal_name, u.full_name, u.display_name), p.legal_name is not null
         from public.parties as p
         left join lateral (select u.full_name, u.display_name from public.user_profiles as u where u.party_id = p.id
                            order by u.created_at, u.id limit 1) as u on true
         where p.id = $1"
    );
    let row = command
        .tx
        .query_opt(text, &[&party_id])
        .await?
        .ok_or(Problem::NotFound)?;
    Ok(Names {
        party: row.try_get(0)?,
        is_verified: row.try_get(1)?,
        properties: std::collections::BTreeMap::new(),
    })
}

async fn assemble(look: &Look<'_>) -> Result<Statement, Problem> {
    let mut book = Sums::default();
    let holdings = look.holdings(&mut book).await?;
    let disposals = look.disposals(&holdings, &mut book).await?;
    let credits = look.credits().await?;
    let income = look.income(&credits, &mut book).await?;
    let capital = look.capital(&credits, &mut book)?;
    let purchases = look.purchases(&mut book).await?;
    let refunds = look.refunds(&mut book).await?;
    let cash = look.cash(&credits, &mut book).await?;
    let mut statement = Statement {
        version: VERSION,
        party_id: look.party_id,
        year: look.year.number(),
        from: look.year.first_day(),
        to: look.year.last_day(),
        known_seq: look.known_seq,
        is_simulated: false,
        holdings,
        disposals,
        income,
        capital,
        purchases,
        refunds,
        cash,
        totals: book.totals.into_values().collect(),
        checks: book.checks,
    };
    statement.is_simulated = look.is_simulated(&statement).await?;
    match statement.checks.iter().find(|check| !adds_up(check)) {
        None => Ok(statement),
        Some(check) => Err(Problem::internal(format!(
            "the statement {} of {} does not add up: {check:?}",
            look.year.number(),
            look.party_id
        ))),
    }
}

fn adds_up(check: &Check) -> bool {
    let roll = Roll {
        opening: check.opening,
        change: check.change,
        closing: check.closing,
    };
    roll.adds_up()
}

/// SHA-256 of a statement as compact JSON with its fields in the order of the alphabet.
///
/// # Errors
/// None that a statement has.
pub fn digest(statement: &Statement) -> Result<String, Problem> {
    // serde_json's own objects are in the order of the alphabet.
    let value = serde_json::to_value(statement).map_err(Problem::internal)?;
    let digest = Sha256::digest(value.to_string().as_bytes());
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
