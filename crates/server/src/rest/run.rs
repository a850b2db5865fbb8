//! Runs one planned statement in one transaction, and reads its row.
//!
//! BEGIN, the claims, the statement and COMMIT are sent at once where the statement is prepared and nothing has to be
//! looked at before it may last: one round trip.

use std::error::Error as StdError;

use bytes::BytesMut;
use pgrest::{
    plan::{Access, StatementPlan},
    response::{self, Outcome},
    sql::Statement as Sql,
};
use tokio_postgres::{
    Client, Error, Row, Statement,
    types::{Format, FromSql, IsNull, ToSql, Type},
};

use super::session::Session;
use crate::db::sql;

/// What a transaction has set before its statement runs.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// `search_path`
    pub(super) search_path: String,
    /// `request.jwt.claims`
    pub(super) claims: String,
    /// `request.method`
    pub(super) method: String,
    /// `request.path`
    pub(super) path: String,
    /// `request.headers`
    pub(super) headers: String,
    /// `request.cookies`
    pub(super) cookies: String,
    /// Whatever else.
    pub(super) more: Vec<(String, String)>,
    /// A call before all else.
    pub(super) before: Option<String>,
}

/// Why there is no outcome.
#[derive(Debug)]
pub(super) enum Failure {
    /// PostgreSQL refused, or is gone.
    Database(Error),
    /// The outcome must not last.
    Refused(pgrest::error::Refusal),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Database(error)
    }
}

/// Runs a plan. Afterwards the session has no transaction open, unless the connection is lost.
pub(super) async fn run(session: &mut Session, setup: &Setup, plan: &StatementPlan) -> Result<Outcome, Failure> {
    let begin = begin(plan);
    let main = session.prepared(&plan.statement.text);
    let estimate = plan.estimate.as_ref().map(|estimate| session.prepared(&estimate.text));
    let ready = match (main, estimate) {
        (Some(main), None) => Some((main, None)),
        (Some(main), Some(Some(estimate))) => Some((main, Some(estimate))),
        _ => None,
    };
    // Where something else has to be set first, the statement cannot be sent behind it unseen.
    let at_once = !plan.has_checks() && setup.more.is_empty() && setup.before.is_none();
    if let (Some((main, estimate)), true) = (&ready, at_once) {
        let client = &session.client;
        let (begun, set, estimated, rows, ended) = tokio::join!(
            biased;
            client.batch_execute(&begin),
            prepare_transaction(client, &session.claims, setup),
            estimated(client, estimate.as_ref(), plan),
            query(client, main, &plan.statement),
            end(client, plan.rollback),
        );
        let outcome = first(begun, set, estimated, rows);
        if outcome.is_err() {
            session.forget(&plan.statement.text);
        }
        let (estimate, rows) = outcome?;
        ended?;
        return Ok(outcome_of(plan, estimate, &rows)?);
    }
    let result = step_by_step(session, &begin, setup, plan, ready).await;
    let ended = if result.is_ok() {
        end(&session.client, plan.rollback).await
    } else {
        // What failed is undone; its own error is the one to tell.
        let _ = session.client.batch_execute("rollback").await;
        Ok(())
    };
    let outcome = result?;
    ended?;
    Ok(outcome)
}

async fn step_by_step(
    session: &mut Session,
    begin: &str,
    setup: &Setup,
    plan: &StatementPlan,
    ready: Option<(Statement, Option<Statement>)>,
) -> Result<Outcome, Failure> {
    let client = &session.client;
    let (begun, set) = tokio::join!(
        biased;
        client.batch_execute(begin),
        prepare_transaction(client, &session.claims, setup),
    );
    begun.and(set)?;
    let (main, estimate) = match ready {
        Some(ready) => ready,
        None => {
            let main = client.prepare(&plan.statement.text).await?;
            let estimate = match &plan.estimate {
                Some(estimate) => Some((client.prepare(&estimate.text).await?, &estimate.text)),
                None => None,
            };
            // A question for a plan names its options in its text; it is not worth keeping.
            if !plan.is_explain {
                session.keep(&plan.statement.text, &main);
            }
            if let Some((statement, text)) = &estimate {
                session.keep(text, statement);
            }
            (main, estimate.map(|(statement, _)| statement))
        }
    };
    let client = &session.client;
    let (estimated, rows) = tokio::join!(
        biased;
        estimated(client, estimate.as_ref(), plan),
        query(client, &main, &plan.statement),
    );
    let outcome = estimated.and_then(|estimate| Ok((estimate, rows?)));
    if outcome.is_err() {
        session.forget(&plan.statement.text);
    }
    let (estimate, rows) = outcome?;
    let outcome = outcome_of(plan, estimate, &rows)?;
    plan.verify(&outcome).map_err(Failure::Refused)?;
    Ok(outcome)
}

fn first<A, B, C, D>(
    begun: Result<A, Error>,
    set: Result<B, Error>,
    estimated: Result<C, Error>,
    rows: Result<D, Error>,
) -> Result<(C, D), Error> {
    begun?;
    set?;
    Ok((estimated?, rows?))
}

fn begin(plan: &StatementPlan) -> String {
    let access = match plan.access {
        Access::ReadOnly => "read only",
        Access::ReadWrite => "read write",
    };
    let level = plan.isolation.as_deref().and_then(|asked| {
        ["serializable", "repeatable read", "read committed"]
            .into_iter()
            .find(|level| *level == asked)
    });
    match level {
        Some(level) => format!("begin isolation level {level} {access}"),
        None => format!("begin {access}"),
    }
}

async fn end(client: &Client, rollback: bool) -> Result<(), Error> {
    if !rollback {
        return client.batch_execute("commit").await;
    }
    // What would have been refused at the end is to be refused now.
    let (checked, ended) = tokio::join!(
        biased;
        client.batch_execute("set constraints all immediate"),
        client.batch_execute("rollback"),
    );
    // In a transaction that only reads, there is nothing to check; in one that failed, its own error is told.
    match checked {
        Err(error) if error.code().is_some_and(|code| code.code() == "25P02") => ended,
        Err(error) => Err(error),
        Ok(()) => ended,
    }
}

async fn prepare_transaction(client: &Client, claims: &Statement, setup: &Setup) -> Result<(), Error> {
    let params: [&(dyn ToSql + Sync); 6] = [
        &setup.search_path,
        &setup.claims,
        &setup.method,
        &setup.path,
        &setup.headers,
        &setup.cookies,
    ];
    if setup.more.is_empty() && setup.before.is_none() {
        client.execute(claims, &params).await?;
        return Ok(());
    }
    let more = async {
        for (name, value) in &setup.more {
            let set = sql!("select pg_catalog.set_config($1, $2, true)");
            client.execute(set, &[name, value]).await?;
        }
        match &setup.before {
            Some(before) => client.batch_execute(before).await,
            None => Ok(()),
        }
    };
    client.execute(claims, &params).await?;
    more.await
}

async fn estimated(client: &Client, statement: Option<&Statement>, plan: &StatementPlan) -> Result<Option<i64>, Error> {
    let (Some(statement), Some(sql)) = (statement, &plan.estimate) else {
        return Ok(None);
    };
    let rows = query(client, statement, sql).await?;
    let json = rows
        .first()
        .map(|row| row.try_get::<_, Option<Raw>>(0))
        .transpose()?
        .flatten();
    Ok(json.and_then(|json| response::planned_rows(&String::from_utf8_lossy(&json.0))))
}

async fn query(client: &Client, statement: &Statement, sql: &Sql) -> Result<Vec<Row>, Error> {
    let texts: Vec<Text<'_>> = sql.binds.iter().map(|bind| Text(bind.as_deref())).collect();
    let params: Vec<&(dyn ToSql + Sync)> = texts.iter().map(|text| text as &(dyn ToSql + Sync)).collect();
    client.query(statement, &params).await
}

/// The one row, or the lines of a plan.
fn outcome_of(plan: &StatementPlan, estimate: Option<i64>, rows: &[Row]) -> Result<Outcome, Error> {
    if plan.is_explain {
        let lines = rows
            .iter()
            .map(|row| row.try_get::<_, Option<Raw>>(0))
            .collect::<Result<Vec<_>, _>>()?;
        let lines: Vec<Vec<u8>> = lines.into_iter().flatten().map(|line| line.0).collect();
        return Ok(Outcome {
            body: lines.join(&b'\n'),
            ..Outcome::default()
        });
    }
    let Some(row) = rows.first() else {
        return Ok(Outcome::default());
    };
    Ok(Outcome {
        total: response::total_of(plan, row.try_get(0)?, estimate),
        rows: row.try_get(1)?,
        body: row.try_get::<_, Option<Raw>>(2)?.map_or(Vec::new(), |raw| raw.0),
        headers: row.try_get(3)?,
        status: row.try_get(4)?,
        location: row.try_get(5)?,
        inserted: row.try_get(6)?,
    })
}

/// A value of any type, as text.
#[derive(Debug)]
struct Text<'a>(Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let Some(text) = self.0 else {
            return Ok(IsNull::Yes);
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(ty, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
}

/// A value of any type as PostgreSQL sent it.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
