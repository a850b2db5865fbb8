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
    wire::{Fault, Heard, Row, WireError},
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
    let was_prepared = session.prepared(&plan.statement.text).is_some();
    let outcome = once(session, setup, plan).await;
    match outcome {
        // A statement that was prepared before the schema changed: nothing has happened yet.
        Err(Failure::Database(WireError::Refused(fault)))
            if was_prepared && ["0A000", "26000"].contains(&fault.code.as_str()) =>
        {
            once(session, setup, plan).await
        }
        outcome => outcome,
    }
}

/// How many commands of a transaction have been heard of, and which of them are asked for their rows.
#[derive(Default)]
struct Expected {
    commands: u32,
    estimate: Option<u32>,
    main: u32,
    /// Texts that are prepared under a new name if all goes well.
    new: Vec<(String, String)>,
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
    let written = write(session, setup, plan, is_explicit.then_some(level), &mut expected);
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
                session.keep(&text, name);
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
                session.forget(&plan.statement.text);
            }
            for (_, name) in expected.new {
                session.let_go(name);
            }
        }
    }
    // Buffers are given back, and what an error left open is ended.
    session.wire.settle().await?;
    outcome
}

/// Writes everything up to the statement's own end.
fn write(
    session: &mut Session,
    setup: &Setup<'_>,
    plan: &StatementPlan,
    begin: Option<Option<&'static str>>,
    expected: &mut Expected,
) -> io::Result<()> {
    session.tidy()?;
    if let Some(level) = begin {
        session.wire.command(&begin_text(plan, level))?;
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
    session.wire.run(CLAIMS, claims.map(Some))?;
    expected.commands += 1;
    for (name, value) in &setup.more {
        let set = sql!("select pg_catalog.set_config($1::text, $2::text, true)");
        session.wire.parse("", set)?;
        session.wire.run("", [Some(*name), Some(*value)])?;
        expected.commands += 1;
    }
    if let Some(before) = &setup.before {
        session.wire.command(before)?;
        expected.commands += 1;
    }
    if let Some(estimate) = &plan.estimate {
        expected.estimate = Some(expected.commands);
        statement(session, estimate, true, expected)?;
    }
    expected.main = expected.commands;
    // A plan that is asked for is not worth keeping.
    statement(session, &plan.statement, !plan.is_explain, expected)
}

fn statement(
    session: &mut Session,
    statement: &pgrest::sql::Statement,
    keeps: bool,
    expected: &mut Expected,
) -> io::Result<()> {
    let values = statement.binds.iter().map(Option::as_deref);
    expected.commands += 1;
    if !keeps {
        session.wire.parse("", &statement.text)?;
        return session.wire.run("", values);
    }
    if let Some(name) = session.prepared(&statement.text) {
        let name = name.to_owned();
        return session.wire.run(&name, values);
    }
    let name = session.new_name();
    session.wire.parse(&name, &statement.text)?;
    session.wire.run(&name, values)?;
    expected.new.push((statement.text.clone(), name));
    Ok(())
}

async fn at_once(session: &mut Session, plan: &StatementPlan, expected: &Expected) -> Result<Outcome, Failure> {
    let wire = &mut session.wire;
    if plan.rollback {
        // What would have been refused at the end is to be refused now.
        wire.command("set constraints all immediate")?;
        wire.command("rollback")?;
    } else if isolation(plan).is_some() {
        wire.command("commit")?;
    }
    wire.sync();
    wire.send().await?;
    let outcome = hear(session, plan, expected, None).await?;
    plan.verify(&outcome).map_err(Failure::Refused)?;
    Ok(outcome)
}

async fn with_checks(session: &mut Session, plan: &StatementPlan, expected: &Expected) -> Result<Outcome, Failure> {
    session.wire.flush();
    session.wire.send().await?;
    let outcome = hear(session, plan, expected, Some(expected.commands)).await?;
    // What is not ended here is undone when the session settles.
    plan.verify(&outcome).map_err(Failure::Refused)?;
    let wire = &mut session.wire;
    if plan.rollback {
        wire.command("set constraints all immediate")?;
        wire.command("rollback")?;
    } else {
        wire.command("commit")?;
    }
    wire.sync();
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
fn outcome_of(plan: &StatementPlan, estimate: Option<i64>, rows: &[Row]) -> Outcome {
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
