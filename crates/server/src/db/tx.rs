//! A transaction on a pooled connection of one role.

use std::{
    future::Future as _,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Waker},
};

use chrono::{DateTime, Utc};
use deadpool_postgres::Client;
use futures_util::future::try_join_all;
use tokio_postgres::{Error, Row, types::ToSql};

use super::statement::sql;
use crate::problem::Problem;

/// A parameter list, as the driver wants it.
type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Sets the claims of a transaction, and tells its instant.
const CLAIMS: &str = sql!("select now(), pg_catalog.set_config('request.jwt.claims', $1, true)");

/// The same of a transaction that looks up many rows at once in long tables: by index, by one plan for every number of
/// rows, whatever the tables' statistics were. Plans made for the numbers at hand are made again each time, which takes
/// longer than running them.
pub(crate) const START: &str = sql!(
    "select now(), pg_catalog.set_config('request.jwt.claims', $1, true),
            pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true), pg_catalog.set_config('enable_seqscan', 'off', true)"
);

/// What a transaction may do, and what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Reads and writes; each statement sees what was committed before it.
    Ordinary,
    /// Reads alone, all of one instant.
    Snapshot,
}

impl Mode {
    fn begin(self) -> &'static str {
        match self {
            Mode::Ordinary => "begin",
            Mode::Snapshot => "begin isolation level repeatable read, read only",
        }
    }
}

/// A transaction that has a role. Dropping it rolls back.
pub struct Tx {
    client: Client,
    open: bool,
    failed: AtomicBool,
    began: Option<DateTime<Utc>>,
}

impl Tx {
    /// Begins a transaction and sets the claims for it: one round trip.
    pub(super) async fn begin(client: Client, claims: Option<&str>, mode: Mode) -> Result<Tx, Error> {
        // Made first: when the request goes away while we wait, dropping this rolls back.
        let mut tx = Tx {
            client,
            open: true,
            failed: AtomicBool::new(false),
            began: None,
        };
        match claims {
            None => tx.client.batch_execute(mode.begin()).await?,
            Some(claims) => {
                let set = tx.client.prepare_cached(CLAIMS).await?;
                // Polled together, in this order, the two leave in one packet.
                let params: Params<'_> = &[&claims];
                let ((), row) =
                    tokio::try_join!(biased; tx.client.batch_execute(mode.begin()), tx.client.query_one(&set, params))?;
                tx.began = Some(row.try_get(0)?);
            }
        }
        Ok(tx)
    }

    /// A transaction that [`Tx::start`] begins together with the first statements of it.
    pub(super) fn unbegun(client: Client) -> Tx {
        Tx {
            client,
            open: true,
            failed: AtomicBool::new(false),
            began: None,
        }
    }

    /// Has statements prepared on this connection, so that those which are then polled together leave together, in the
    /// order in which they are polled. A connection that has them already is asked nothing.
    ///
    /// # Errors
    /// What PostgreSQL answered.
    pub async fn prepare(&self, statements: &[&'static str]) -> Result<(), Error> {
        let prepared = statements.iter().map(|sql| self.client.prepare_cached(sql));
        self.noting(try_join_all(prepared).await.map(drop))
    }

    /// Begins with these claims; the instant is PostgreSQL's. For a transaction that has not begun, polled before
    /// everything else of its first exchange.
    ///
    /// # Errors
    /// What PostgreSQL answered.
    pub async fn start(&self, claims: &str) -> Result<DateTime<Utc>, Error> {
        let params: Params<'_> = &[&claims];
        let began = async {
            let ((), row) = tokio::try_join!(biased;
                self.client.batch_execute(Mode::Ordinary.begin()), self.query_one(START, params))?;
            row.try_get(0)
        };
        self.noting(began.await)
    }

    /// Makes it last, together with the statements that are polled before: where one of them fails, PostgreSQL undoes
    /// everything, and the statement's error says so.
    ///
    /// # Errors
    /// What PostgreSQL answered.
    pub async fn end(&self) -> Result<(), Error> {
        self.noting(self.client.batch_execute("commit").await)
    }

    /// Gives the connection back after [`Tx::end`].
    pub fn ended(mut self) {
        self.open = false;
    }

    /// PostgreSQL's clock when it began; of a transaction with claims.
    #[must_use]
    pub fn began(&self) -> Option<DateTime<Utc>> {
        self.began
    }

    /// Runs a statement and returns its rows. Statements are prepared once a connection.
    ///
    /// # Errors
    /// What PostgreSQL answered.
    pub async fn query(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.noting(async { self.client.query(&self.client.prepare_cached(sql).await?, params).await }.await)
    }

    /// Runs a statement that gives exactly one row.
    ///
    /// # Errors
    /// What PostgreSQL answered, or that it was not one row.
    pub async fn query_one(&self, sql: &'static str, params: Params<'_>) -> Result<Row, Error> {
        self.noting(
            async {
                self.client
                    .query_one(&self.client.prepare_cached(sql).await?, params)
                    .await
            }
            .await,
        )
    }

    /// Runs a statement that gives a row or none.
    ///
    /// # Errors
    /// What PostgreSQL answered, or that there were more rows.
    pub async fn query_opt(&self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>, Error> {
        self.noting(
            async {
                self.client
                    .query_opt(&self.client.prepare_cached(sql).await?, params)
                    .await
            }
            .await,
        )
    }

    /// Runs a statement and returns how many rows it touched.
    ///
    /// # Errors
    /// What PostgreSQL answered.
    pub async fn execute(&self, sql: &'static str, params: Params<'_>) -> Result<u64, Error> {
        self.noting(
            async {
                self.client
                    .execute(&self.client.prepare_cached(sql).await?, params)
                    .await
            }
            .await,
        )
    }

    /// The connection itself, for what the methods above cannot do: COPY, pipelines, statements that `pgrest` made.
    /// An error that it gives must reach the caller: PostgreSQL would turn a later commit into a rollback.
    #[must_use]
    pub fn connection(&self) -> &tokio_postgres::Client {
        &self.client
    }

    /// Makes it last.
    ///
    /// # Errors
    /// What PostgreSQL answered (constraints may be checked only now), and [`CommitError::Failed`] when a statement
    /// had failed before: PostgreSQL would answer such a commit with a silent rollback.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(CommitError::Failed);
        }
        self.client.batch_execute("commit").await?;
        self.open = false;
        Ok(())
    }

    /// Undoes everything and waits until that is done.
    ///
    /// # Errors
    /// When the connection is lost, which undoes everything as well.
    pub async fn rollback(mut self) -> Result<(), Error> {
        self.client.batch_execute("rollback").await?;
        self.open = false;
        Ok(())
    }

    fn noting<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Drop for Tx {
    /// Sends ROLLBACK without waiting for the answer: the first poll puts it on the wire behind whatever is running,
    /// and before anything that the connection's next user sends.
    fn drop(&mut self) {
        if self.open {
            let rollback = pin!(self.client.batch_execute("rollback"));
            let _ = rollback.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Why a transaction did not become permanent.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// PostgreSQL refused.
    #[error("the transaction could not be committed")]
    Refused(#[from] Error),
    /// A statement had failed and the error was not passed on.
    #[error("a statement of the transaction had failed before its commit")]
    Failed,
}

/// Turns the violation of a named constraint into the refusal that it means.
pub trait OnConstraint<T> {
    /// Where `name` was violated, `refusal()` is the error; everything else stays what it is.
    ///
    /// # Errors
    /// `refusal()`, or [`Problem::Internal`] and its like for other errors.
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Problem) -> Result<T, Problem>;
}

impl<T> OnConstraint<T> for Result<T, Error> {
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Problem) -> Result<T, Problem> {
        self.map_err(Problem::from).on_constraint(name, refusal)
    }
}

/// So that several constraints can be named one after the other.
impl<T> OnConstraint<T> for Result<T, Problem> {
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Problem) -> Result<T, Problem> {
        self.map_err(
            |problem| match problem.database_error().and_then(|error| error.constraint()) {
                Some(violated) if violated == name => refusal(),
                Some(_) | None => problem,
            },
        )
    }
}
