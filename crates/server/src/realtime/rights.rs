//! Private channels: what the policies on `realtime.messages` let somebody do in one.
//!
//! As on Supabase, the policies are asked about rows that are there for the length of the question and then undone: who may
//! read such a row may hear, who may write one may speak.

use crate::{
    app::App,
    auth::token::Caller,
    db::{Actor, Tx, sql},
    problem::Problem,
};

/// What somebody may do in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Hear broadcasts.
    pub hears: bool,
    /// Broadcast.
    pub speaks: bool,
    /// Hear of presences.
    pub sees: bool,
    /// Be present.
    pub shows: bool,
}

impl Rights {
    /// In a public channel.
    pub const ALL: Rights = Rights {
        hears: true,
        speaks: true,
        sees: true,
        shows: true,
    };
}

/// What `caller` may do in the private channel `topic`.
///
/// # Errors
/// When the database cannot be asked. A policy that fails admits nobody.
pub async fn of(app: &App, caller: &Caller, topic: &str) -> Result<Rights, Problem> {
    let tx = app.db.as_service(Actor::Program("realtime")).await?;
    let rights = asked(&tx, caller, topic).await;
    tx.rollback().await?;
    rights
}

async fn asked(tx: &Tx, caller: &Caller, topic: &str) -> Result<Rights, Problem> {
    let text = sql!(
        "insert into realtime.messages (topic, extension, private, event, payload)
         values ($1, 'broadcast', true, 'probe', '{}'), ($1, 'presence', true, 'probe', '{}')
         returning extension, id"
    );
    let rows = tx.query(text, &[&topic]).await?;
    let mut probes = Vec::new();
    for row in rows {
        let (extension, id): (String, uuid::Uuid) = (row.try_get(0)?, row.try_get(1)?);
        probes.push((extension, id));
    }
    let text = sql!(
        "select set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim.sub', coalesce($2, ''), true),
                set_config('request.jwt.claim.role', $3, true), set_config('realtime.topic', $4, true),
                set_config('statement_timeout', '3000', true), set_config('role', $3, true)"
    );
    let sub = caller.user_id().map(|id| id.to_string());
    tx.query(text, &[&caller.claims(), &sub, &caller.role().name(), &topic])
        .await?;
    let mut rights = Rights {
        hears: false,
        speaks: false,
        sees: false,
        shows: false,
    };
    for (extension, id) in &probes {
        let text = sql!("select from realtime.messages where id = $1 and extension = $2 and topic = $3");
        let may_read = within(tx, async {
            let found = tx.connection().query(text, &[id, extension, &topic]).await?;
            Ok(!found.is_empty())
        })
        .await?;
        let text = sql!("insert into realtime.messages (topic, extension, private) values ($1, $2, true)");
        let may_write = within(tx, async {
            tx.connection().execute(text, &[&topic, extension]).await?;
            Ok(true)
        })
        .await?;
        if extension == "broadcast" {
            (rights.hears, rights.speaks) = (may_read, may_write);
        } else {
            (rights.sees, rights.shows) = (may_read, may_write);
        }
    }
    Ok(rights)
}

/// What is refused is a no, and undone by itself.
async fn within(tx: &Tx, question: impl Future<Output = Result<bool, tokio_postgres::Error>>) -> Result<bool, Problem> {
    let connection = tx.connection();
    connection.batch_execute("savepoint question").await?;
    match question.await {
        Ok(answer) => {
            connection.batch_execute("release question").await?;
            Ok(answer)
        }
        Err(error) if error.as_db_error().is_some() => {
            connection.batch_execute("rollback to question").await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
