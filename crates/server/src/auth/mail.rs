//! Mails to logins: written into a table in the transaction that makes them, sent by a job.
//!
//! Without a mail server they stay in the table, for the operator (`nexus-mint user mail`) and, with `--dev-keys` alone,
//! for the developer's page.

pub mod page;
pub mod sending;
pub mod templates;

use chrono::{DateTime, Utc};

use self::templates::Said;
use super::{redirect, request::Asked};
use crate::{
    app::App,
    db::{Tx, sql},
};

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody signed up with the address.
    Confirmation,
    /// Somebody forgot the password.
    Recovery,
    /// Somebody signs in without one.
    MagicLink,
    /// The address is to be another one.
    EmailChange,
    /// A change wants a fresh proof.
    Reauthentication,
    /// Somebody was invited.
    Invite,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] = [
        Kind::Confirmation,
        Kind::Recovery,
        Kind::MagicLink,
        Kind::EmailChange,
        Kind::Reauthentication,
        Kind::Invite,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Confirmation => "confirmation",
            Kind::Recovery => "recovery",
            Kind::MagicLink => "magic_link",
            Kind::EmailChange => "email_change",
            Kind::Reauthentication => "reauthentication",
            Kind::Invite => "invite",
        }
    }

    /// The subject, and the sentence above the link. Nothing that anybody else chose stands in either: a name or a link
    /// in them would make a mail of ours somebody else's.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Kind::Confirmation => ("Confirm your address", "Follow this link to confirm your address:"),
            Kind::Recovery => ("Reset your password", "Follow this link to set another password:"),
            Kind::MagicLink => ("Your sign-in link", "Follow this link to sign in:"),
            Kind::EmailChange => (
                "Confirm the change of your address",
                "Follow this link to confirm the change of your address:",
            ),
            Kind::Reauthentication => ("Your code", "Enter this code to confirm that it is you:"),
            Kind::Invite => ("You are invited", "Follow this link to accept the invitation:"),
        }
    }
}

/// The link that a mail carries.
#[must_use]
pub fn link(app: &App, token: &str, kind: &str, asked: &Asked) -> String {
    link_to(app, token, kind, &redirect::target(app, None, asked))
}

/// The same with a place to go to that was checked before.
#[must_use]
pub fn link_to(app: &App, token: &str, kind: &str, target: &str) -> String {
    let base = format!("{}/auth/v1/verify", app.public_url);
    let link = redirect::with_query(&base, &[("token", token), ("type", kind)]);
    // A plain address stands as it is, so that people and programs can read it in the link.
    let is_plain = target
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b":/.-_~".contains(&byte));
    if is_plain {
        format!("{link}&redirect_to={target}")
    } else {
        redirect::with_query(&link, &[("redirect_to", target)])
    }
}

/// Writes a mail into the outbox. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn put(
    app: &App,
    tx: &Tx,
    kind: Kind,
    recipient: &str,
    (code, link): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), tokio_postgres::Error> {
    let site = redirect::home(app);
    let mail = app.mails.write(kind, Said { code, link, site });
    tx.execute(
        sql!(
            "insert into nexus.login_mails (kind, recipient, subject, body_text, body_html, created_at, due_at)
             values ($1, $2, $3, $4, $5, $6, $6)"
        ),
        &[&kind.name(), &recipient, &mail.subject, &mail.text, &mail.html, &now],
    )
    .await?;
    Ok(())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A mail that waits.
#[derive(Debug)]
pub struct Waiting {
    /// What it is about.
    pub kind: String,
    /// To whom.
    pub recipient: String,
    /// The subject line.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// The mails that wait, newest first; at most `rows_max`, of one recipient where one is named. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn waiting(tx: &Tx, recipient: Option<&str>, rows_max: i64) -> Result<Vec<Waiting>, tokio_postgres::Error> {
    let rows = tx
        .query(
            sql!(
                "select kind, recipient, subject, body_text, body_html, created_at from nexus.login_mails
                 where coalesce(recipient = $1, true) order by created_at desc, id limit $2"
            ),
            &[&recipient, &rows_max],
        )
        .await?;
    let mail = |row: &tokio_postgres::Row| {
        Ok(Waiting {
            kind: row.try_get(0)?,
            recipient: row.try_get(1)?,
            subject: row.try_get(2)?,
            text: row.try_get(3)?,
            html: row.try_get(4)?,
            created_at: row.try_get(5)?,
        })
    };
    rows.iter().map(mail).collect()
}
