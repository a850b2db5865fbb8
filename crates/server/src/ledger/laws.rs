//! `nexus-mint ledger laws`: the laws of the domain asked of a whole database, in one snapshot.
//!
//! L14's replay is [`super::verify`]; L2 and L15 are said of what is done and not of what is there. docs/INVARIANTS.md has
//! where each law is enforced.

mod queries;

use std::fmt;

use tokio_postgres::Client;

pub use queries::LAWS;

/// One thing that must hold, and the query that finds what breaks it.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// The law of which it is a part, such as `L9`.
    pub law: &'static str,
    /// What holds.
    pub says: &'static str,
    /// Finds what breaks it: a column of text.
    pub sql: &'static str,
}

/// Something that breaks a law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The law.
    pub law: &'static str,
    /// What should hold.
    pub says: &'static str,
    /// What breaks it.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.law, self.says, self.what)
    }
}

/// What breaks the laws in a database, asked by a login that may become its owner, and so sees everything.
///
/// # Errors
/// What the database answered.
pub async fn breaches(client: &Client) -> Result<Vec<Breach>, tokio_postgres::Error> {
    let begin = "begin transaction isolation level repeatable read read only;
         set local role nexus_owner; set local statement_timeout = 0";
    client.batch_execute(begin).await?;
    let found = ask(client).await;
    let ended = client.batch_execute("rollback").await;
    let found = found?;
    ended?;
    Ok(found)
}

async fn ask(client: &Client) -> Result<Vec<Breach>, tokio_postgres::Error> {
    let mut breaches = Vec::new();
    for &Law { law, says, sql } in LAWS {
        for row in client.query(sql, &[]).await? {
            let what = row.try_get(0)?;
            breaches.push(Breach { law, says, what });
        }
    }
    Ok(breaches)
}
