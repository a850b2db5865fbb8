//! A command under way: one transaction as the engine, one instant, one actor.
//!
//! A command is a function of a proof of permission ([`crate::permission`]), the [`Command`] and its own body. It locks and
//! loads, lets `core` decide, and writes; whoever runs it commits. [`Call`] does that for what comes from outside, with the
//! client's key: the same key and body again is answered with the first answer and does nothing.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::{
    app::App,
    config::BaseUrl,
    db::{Actor, Tx, sql},
    problem::Problem,
};

/// How often a command that PostgreSQL broke off, because two of them stood in each other's way, is run in all.
pub const RUNS_MAX: usize = 4;

/// The longest key that a client may choose (characters).
pub const KEY_LENGTH_MAX: usize = 200;

/// A command under way.
pub struct Command {
    /// Its transaction, as the engine.
    pub tx: Tx,
    /// Its instant: PostgreSQL's clock, and in tests the one they set.
    pub now: DateTime<Utc>,
    /// Who acts.
    pub actor: Actor,
    /// Whether the client gave a key, so that a retry of it is told from a second wish for the same.
    pub has_key: bool,
    /// How clients reach this server.
    pub public_url: BaseUrl,
    /// The front end to which people go back, where one was named.
    pub site_url: Option<BaseUrl>,
}

impl Command {
    /// Begins a command of `actor`.
    ///
    /// # Errors
    /// When there is no transaction to be had.
    pub async fn begin(app: &App, actor: Actor) -> Result<Command, Problem> {
        Command::on(app, app.db.as_engine(actor).await?, actor).await
    }

    /// Begins a command that only looks: everything it reads is of one instant, and it takes no lock.
    ///
    /// # Errors
    /// When there is no transaction to be had.
    pub async fn look(app: &App, actor: Actor) -> Result<Command, Problem> {
        Command::on(app, app.db.as_engine_snapshot(actor).await?, actor).await
    }

    async fn on(app: &App, tx: Tx, actor: Actor) -> Result<Command, Problem> {
        let now = match app.set_time().or(tx.began()) {
            Some(now) => now,
            None => tx.query_one(sql!("select now()"), &[]).await?.try_get(0)?,
        };
        Ok(Command::over(app, tx, now, actor))
    }

    /// A command whose transaction began already, at this instant.
    #[must_use]
    pub fn over(app: &App, tx: Tx, now: DateTime<Utc>, actor: Actor) -> Command {
        Command {
            tx,
            now,
            actor,
            has_key: false,
            public_url: app.public_url.clone(),
            site_url: app.config.settings.site_url.clone(),
        }
    }

    /// The login that acts; none for a job.
    #[must_use]
    pub fn actor_id(&self) -> Option<Uuid> {
        match self.actor {
            Actor::Person(id) => Some(id),
            Actor::Program(_) => None,
        }
    }

    /// Makes it last.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn commit(self) -> Result<(), Problem> {
        Ok(self.tx.commit().await?)
    }
}

/// What came in: the command's name, who asks, the client's key if it gave one, and the body.
pub struct Call<'a> {
    /// The program.
    pub app: &'a App,
    /// The command's public name.
    pub name: &'static str,
    /// The person who asks.
    pub user_id: Uuid,
    /// The client's key.
    pub key: Option<&'a str>,
    /// The body as it came.
    pub body: &'a [u8],
    /// Whether the command only looks: then it needs no key and keeps no answer.
    pub only_looks: bool,
}

impl Call<'_> {
    /// Begins the command, and looks whether its key was answered before.
    ///
    /// # Errors
    /// [`Problem::KeyReused`] when the key came with another body.
    pub async fn begin(&self) -> Result<Begun, Problem> {
        if self.only_looks {
            self.check_key()?;
            return Ok(Begun::New(Box::new(
                Command::look(self.app, Actor::Person(self.user_id)).await?,
            )));
        }
        let mut command = Command::begin(self.app, Actor::Person(self.user_id)).await?;
        command.has_key = self.key.is_some();
        let Some(key) = self.key else {
            return Ok(Begun::New(Box::new(command)));
        };
        self.check_key()?;
        let digest = Sha256::digest(self.body).to_vec();
        // Waits where a command with the same key is just running.
        let text = sql!(
            "insert into nexus.command_keys (caller_id, command, key, body_sha256, created_at) values ($1, $2, $3, $4, $5)
             on conflict on constraint command_keys_pkey do nothing"
        );
        let taken = command
            .tx
            .execute(text, &[&self.user_id, &self.name, &key, &digest, &command.now])
            .await?;
        if taken == 1 {
            return Ok(Begun::New(Box::new(command)));
        }
        let text = sql!(
            "select body_sha256 = $4, answer from nexus.command_keys where caller_id = $1 and command = $2 and key = $3"
        );
        let row = command
            .tx
            .query_one(text, &[&self.user_id, &self.name, &key, &digest])
            .await?;
        if row.try_get(0)? {
            Ok(Begun::Answered(row.try_get(1)?))
        } else {
            Err(Problem::KeyReused)
        }
    }

    /// Whether the client's key can be one.
    ///
    /// # Errors
    /// [`Problem::Invalid`].
    pub fn check_key(&self) -> Result<(), Problem> {
        match self.key {
            Some(key) if key.is_empty() || key.chars().count() > KEY_LENGTH_MAX => Err(Problem::Invalid(format!(
                "an Idempotency-Key has 1 to {KEY_LENGTH_MAX} characters"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// The body as the command reads it. Fields that it does not know are passed over: clients send figures of their own,
    /// which nobody believes.
    ///
    /// # Errors
    /// [`Problem::Invalid`] with what is wrong where.
    pub fn body<B: DeserializeOwned>(&self) -> Result<B, Problem> {
        let body = if self.body.is_empty() { b"{}" } else { self.body };
        serde_json::from_slice(body).map_err(|error| Problem::Invalid(format!("the body does not fit: {error}")))
    }

    /// Keeps the answer for a retry and makes everything last.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn finish(&self, command: Command, answer: impl Serialize) -> Result<Value, Problem> {
        let answer = serde_json::to_value(answer).map_err(Problem::internal)?;
        // What only looks keeps no answer: asked again, it says what is true then.
        if let Some(key) = self.key.filter(|_| !self.only_looks) {
            let text =
                sql!("update nexus.command_keys set answer = $4 where caller_id = $1 and command = $2 and key = $3");
            command
                .tx
                .execute(text, &[&self.user_id, &self.name, &key, &answer])
                .await?;
        }
        command.commit().await?;
        Ok(answer)
    }
}

/// A command that can run, or the answer that it gave before.
pub enum Begun {
    /// Nobody used this key yet.
    New(Box<Command>),
    /// The first answer.
    Answered(Value),
}

/// Whether PostgreSQL broke a command off because another stood in its way: run again, it may pass.
#[must_use]
pub fn was_disturbed(problem: &Problem) -> bool {
    let code = problem.database_error().map(|error| error.code());
    code == Some(&SqlState::T_R_SERIALIZATION_FAILURE) || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}
