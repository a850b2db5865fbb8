//! Who asks, and what is answered, as text: the shortest way to tell a story about rights.

use serde_json::{Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::world::{Person, act_as};

/// Somebody as the database knows him: a role and the claims of a token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    role: &'static str,
    claims: Value,
}

impl Caller {
    pub(crate) fn of(person: &Person) -> Caller {
        Caller {
            role: person.db_role(),
            claims: person.claims(),
        }
    }

    /// Without a sign-in.
    pub(crate) fn visitor() -> Caller {
        Caller::of_role("anon")
    }

    /// With the service's key.
    pub(crate) fn service() -> Caller {
        Caller::of_role("service_role")
    }

    /// A command of the program.
    pub(crate) fn engine() -> Caller {
        Caller::of_role("nexus_engine")
    }

    /// The database's superuser.
    pub(crate) fn operator() -> Caller {
        Caller {
            role: "none",
            claims: json!({}),
        }
    }

    /// Lets a superuser's open transaction act as this caller until it ends.
    pub(crate) async fn act(&self, client: &Client) {
        act_as(client, self.role, &self.claims).await;
    }

    fn of_role(role: &'static str) -> Caller {
        Caller {
            role,
            claims: json!({ "role": role }),
        }
    }
}

/// What a caller is answered in a transaction that is then rolled back: a line a row, `|` between columns, `null` for
/// null; or SQLSTATE and message of the refusal.
pub(crate) async fn asked(client: &Client, caller: &Caller, sql: &str) -> Result<String, String> {
    client.batch_execute("begin").await.unwrap();
    let answer = asked_within(client, caller, sql).await;
    client.batch_execute("rollback").await.unwrap();
    answer
}

/// The same, and kept where it was not refused.
pub(crate) async fn done(client: &Client, caller: &Caller, sql: &str) -> Result<String, String> {
    client.batch_execute("begin").await.unwrap();
    let answer = asked_within(client, caller, sql).await;
    let end = if answer.is_ok() { "commit" } else { "rollback" };
    client.batch_execute(end).await.unwrap();
    answer
}

/// The same in a transaction that is open already; the caller stays who is acting.
pub(crate) async fn asked_within(client: &Client, caller: &Caller, sql: &str) -> Result<String, String> {
    caller.act(client).await;
    let messages = client.simple_query(sql).await.map_err(|error| refusal(&error))?;
    Ok(as_text(&messages))
}

/// Rows as text: a line a row, `|` between columns, `null` for null.
pub(crate) fn as_text(messages: &[SimpleQueryMessage]) -> String {
    let mut lines = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cells = (0..row.len()).map(|column| row.get(column).unwrap_or("null"));
            lines.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    lines.join("\n")
}

/// SQLSTATE, message and hint of what PostgreSQL refused.
pub(crate) fn refusal(error: &tokio_postgres::Error) -> String {
    let said = error
        .as_db_error()
        .unwrap_or_else(|| panic!("not PostgreSQL's: {error:?}"));
    let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{} {}{hint}", said.code().code(), said.message())
}

/// Whether an answer is a refusal with this SQLSTATE.
pub(crate) fn is_refused(answer: &Result<String, String>, sqlstate: &str) -> bool {
    answer.as_ref().is_err_and(|said| said.starts_with(sqlstate))
}
