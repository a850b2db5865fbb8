//! Runs one planned statement in one transaction, and reads its row.
//!
//! What a request sets, its statement and the end are sent at once: one round trip, also for a statement that was never
//! seen before. Only where a write must be looked at before it may last, its end is a round trip of its own.

use std::{io, sync::Arc};

use pgrest::{
    plan::{Access, StatementPlan},
    response::{self, Outcome},
};

use super::{
    session::{CLAIMS, Session},
    statements::Statements,
    wire::{Fault, Heard, Pen, Row, WireError},
};
use crate::db::sql;

/// What a transaction has set before its statement runs.
#[derive(Debug, Clone)]
pub(super) struct Setup<'a> {
    /// `search_path`
    pub(super) search_path: String,
    /// `request.jwt.claims`
    pub(super) claims: Arc<str>,
    /// `request.method`
    pub(super) method: &'a str,
    /// `request.path`
    pub(super) path: &'a str,
    /// `request.headers`
    pub(super) headers: String,
    /// `request.cookies`
    pub(super) cookies: String,
    /// Whatever else.
    pub(super) more: Vec<(&'a str, &'a str)>,
    /// A call before all else.
    pub(super) before: Option<String>,
}

impl Setup<'_> {
    /// Whether nothing is changed by asking twice: a function may do what no transaction undoes.
    pub(super) fn can_be_asked_again(&self) -> bool {
        ["GET", "HEAD"].contains(&self.method) && !self.path.starts_with("/rpc/") && self.before.is_none()
    }
}

/// Why there is no outcome.
#[derive(Debug)]
pub(super) enum Failure {
    /// PostgreSQL refused, or is gone.
    Database(WireError),
    /// The outcome must not last.
    Refused(pgrest::error::Refusal),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Failure {
        Failure::Database(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Database(error.into())
    }
}

/// Runs a plan. Afterwards the session has no transaction open, unless the connection is lost.
pub(super) async fn run(session: &mut Session, setup: &Setup<'_>, plan: &StatementPlan) -> Result<Outcome, Failure> {
    let was_prepared = session.statements.prepared(&plan.statement.text).is_some();
    let outcome = once(session, setup, plan).await;
    match outcome {
        Err(Failure::Database(WireError::Refused(fault))) if was_prepared && fault.is_of_outdated_statement() => {
            once(session, setup, plan).await
        }
        outcome => outcome,
    }
}

/// How many commands of a transaction have been heard of, and which of them are asked for their rows.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) commands: u32,
    estimate: Option<u32>,
    pub(super) main: u32,
    /// Texts that are prepared under a new name if all goes well.
    pub(super) new: Vec<(String, String)>,
}

async fn once(session: &mut Session, setup: &Setup<'_>, plan: &StatementPlan) -> Result<Outcome, Failure> {
    // No message can carry it; PostgreSQL would say so of a value.
    if plan.statement.text.contains('\0') {
        let fault = Fault {
            code: "22021".to_owned(),
            message: "invalid byte sequence for encoding \"UTF8\": 0x00".to_owned(),
            ..Fault::default()
        };
        return Err(WireError::Refused(Box::new(fault)).into());
    }
    let is_write = plan.access == Access::ReadWrite;
    // A read that must be one row may as well be looked at when it is over.
    let waits = is_write && plan.has_checks();
    let level = isolation(plan);
    let is_explicit = waits || plan.rollback || level.is_some();
    let mut expected = Expected::default();
    let written = write(
        &mut session.wire.pen,
        &mut session.statements,
        setup,
        plan,
        is_explicit.then_some(level),
        &mut expected,
    );
    let outcome = match written {
        Ok(()) if waits => with_checks(session, plan, &expected).await,
        Ok(()) => at_once(session, plan, &expected).await,
        Err(error) => {
            session.wire.abandon();
            Err(error.into())
        }
    };
    match &outcome {
        Ok(_) => {
            for (text, name) in expected.new {
                session.statements.keep(&text, name);
            }
        }
        Err(failure) => {
            let is_outdated = match failure {
                // Syntax errors and missing names, among them those of a schema that changed.
                Failure::Database(WireError::Refused(fault)) => ["42", "0A", "26", "XX"]
                    .iter()
                    .any(|class| fault.code.starts_with(class)),
                Failure::Database(WireError::Lost(_)) | Failure::Refused(_) => false,
            };
            if is_outdated {
                session.statements.forget(&plan.statement.text);
            }
            for (_, name) in expected.new {
                session.statements.let_go(name);
            }
        }
    }
    // Buffers are given back, and what an error left open is ended.
    session.wire.settle().await?;
    outcome
}

/// Writes everything up to the statement's own end.
pub(super) fn write(
    pen: &mut Pen,
    statements: &mut Statements,
    setup: &Setup<'_>,
    plan: &StatementPlan,
    begin: Option<Option<&'static str>>,
    expected: &mut Expected,
) -> io::Result<()> {
    statements.tidy(pen)?;
    if let Some(level) = begin {
        pen.command(&begin_text(plan, level))?;
        expected.commands += 1;
    }
    let read_only = match plan.access {
        Access::ReadOnly => "on",
        Access::ReadWrite => "off",
    };
    let claims = [
        &setup.search_path,
        &*setup.claims,
        setup.method,
        setup.path,
        &setup.headers,
        &setup.cookies,
        read_only,
    ];
    pen.run(CLAIMS, claims.map(Some))?;
    expected.commands += 1;
    for (name, value) in &setup.more {
        let set = sql!("select pg_catalog.set_config($1::text, $2::text, true)");
        pen.parse("", set)?;
        pen.run("", [Some(*name), Some(*value)])?;
        expected.commands += 1;
    }
    if let Some(before) = &setup.before {
        pen.command(before)?;
        expected.commands += 1;
    }
    if let Some(estimate) = &plan.estimate {
        expected.estimate = Some(expected.commands);
        statement(pen, statements, estimate, true, expected)?;
    }
    expected.main = expected.commands;
    // A plan that is asked for is not worth keeping.
    statement(pen, statements, &plan.statement, !plan.is_explain, expected)
}

fn statement(
    pen: &mut Pen,
    statements: &mut Statements,
    statement: &pgrest::sql::Statement,
    keeps: bool,
    expected: &mut Expected,
) -> io::Result<()> {
    let values = statement.binds.iter().map(Option::as_deref);
    expected.commands += 1;
    if !keeps {
        pen.parse("", &statement.text)?;
        return pen.run("", values);
    }
    if let Some(name) = statements.prepared(&statement.text) {
        let name = name.to_owned();
        return pen.run(&name, values);
    }
    let name = statements.new_name();
    pen.parse(&name, &statement.text)?;
    pen.run(&name, values)?;
    expected.new.push((statement.text.clone(), name));
    Ok(())
}

async fn at_once(session: &mut Session, plan: &StatementPlan, expected: &Expected) -> Result<Outcome, Failure> {
    let wire = &mut session.wire;
    if plan.rollback {
        // What would have been refused at the end is to be refused now.
        wire.pen.command("set constraints all immediate")?;
        wire.pen.command("rollback")?;
    } else if isolation(plan).is_some() {
        wire.pen.command("commit")?;
    }
    wire.pen.sync();
    wire.send().await?;
    let outcome = hear(session, plan, expected, None).await?;
    plan.verify(&outcome).map_err(Failure::Refused)?;
    Ok(outcome)
}

async fn with_checks(session: &mut Session, plan: &StatementPlan, expected: &Expected) -> Result<Outcome, Failure> {
    session.wire.pen.flush();
    session.wire.send().await?;
    let outcome = hear(session, plan, expected, Some(expected.commands)).await?;
    // What is not ended here is undone when the session settles.
    plan.verify(&outcome).map_err(Failure::Refused)?;
    let wire = &mut session.wire;
    if plan.rollback {
        wire.pen.command("set constraints all immediate")?;
        wire.pen.command("rollback")?;
    } else {
        wire.pen.command("commit")?;
    }
    wire.pen.sync();
    wire.send().await?;
    while !matches!(wire.hear().await?, Heard::Ready) {}
    Ok(outcome)
}

/// Hears until everything is through, or so many commands.
async fn hear(
    session: &mut Session,
    plan: &StatementPlan,
    expected: &Expected,
    until: Option<u32>,
) -> Result<Outcome, Failure> {
    let mut done = 0;
    let mut estimate = None;
    let mut rows = Vec::new();
    loop {
        match session.wire.hear().await? {
            Heard::Row(row) if done == expected.main => rows.push(row),
            Heard::Row(row) if Some(done) == expected.estimate => {
                let json = row.columns().next().flatten();
                estimate = json.and_then(|json| response::planned_rows(&String::from_utf8_lossy(json)));
            }
            Heard::Row(_) => {}
            Heard::Done => done += 1,
            Heard::Ready => break,
        }
        if Some(done) == until {
            break;
        }
    }
    Ok(outcome_of(plan, estimate, &rows))
}

/// Whether a plan is one statement that only reads, in a transaction without more.
pub(super) fn can_share(plan: &StatementPlan) -> bool {
    let only_reads = plan.access == Access::ReadOnly && !plan.rollback && isolation(plan).is_none();
    only_reads && !plan.is_explain && plan.estimate.is_none()
}

/// The isolation that a role or a function asks for, where it is one.
fn isolation(plan: &StatementPlan) -> Option<&'static str> {
    let asked = plan.isolation.as_deref()?;
    ["serializable", "repeatable read", "read committed"]
        .into_iter()
        .find(|level| *level == asked)
}

fn begin_text(plan: &StatementPlan, level: Option<&str>) -> String {
    let access = match plan.access {
        Access::ReadOnly => "read only",
        Access::ReadWrite => "read write",
    };
    match level {
        Some(level) => format!("begin isolation level {level} {access}"),
        None => format!("begin {access}"),
    }
}

/// The one row, or the lines of a plan.
pub(super) fn outcome_of(plan: &StatementPlan, estimate: Option<i64>, rows: &[Row]) -> Outcome {
    if plan.is_explain {
        let lines: Vec<&[u8]> = rows.iter().filter_map(|row| row.columns().next().flatten()).collect();
        return Outcome {
            body: lines.join(&b'\n'),
            ..Outcome::default()
        };
    }
    let Some(row) = rows.first() else {
        return Outcome::default();
    };
    let mut columns = row.columns();
    let mut next = || columns.next().flatten();
    Outcome {
        total: response::total_of(plan, next().and_then(number), estimate),
        rows: next().and_then(number).unwrap_or_default(),
        body: next().map_or(Vec::new(), <[u8]>::to_vec),
        headers: next().map(text),
        status: next().map(text),
        location: next().map(text),
        inserted: next().and_then(number),
    }
}

fn number(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
