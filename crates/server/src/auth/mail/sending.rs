//! The job that hands mails to the mail server (SMTP with TLS).

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters},
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use uuid::Uuid;

use crate::{
    app::App,
    db::sql,
    problem::{AnyError, Problem},
};

/// How many mails are taken at once.
const BATCH: i64 = 20;
/// A mail that was taken and not sent is taken again after this: the server that took it may be gone.
const TAKEN_FOR: TimeDelta = TimeDelta::minutes(5);
/// After this nobody can use what a mail says.
const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// A connection to the mail server, made when it is needed.
pub struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl MailServer {
    /// The one that is configured, if there is one.
    ///
    /// # Errors
    /// When its URL cannot be used.
    pub fn of(app: &App) -> Result<Option<MailServer>, AnyError> {
        let settings = &app.config.settings;
        let Some(url) = &settings.smtp_url else {
            return Ok(None);
        };
        let url = url.expose();
        // A password in the clear, or a link that signs in, is not sent over a network without TLS.
        let url = if url.starts_with("smtp://") && !url.contains("tls=") && !is_here(url) {
            format!("{url}{}tls=required", if url.contains('?') { '&' } else { '?' })
        } else {
            url.to_owned()
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url)?;
        if let Some(path) = &settings.logins.smtp_ca {
            builder = builder.tls(known_by(path, &url)?);
        }
        Ok(Some(MailServer {
            transport: builder.build(),
            from: settings.logins.mail_from.parse()?,
        }))
    }

    async fn send(&self, mail: &Taken) -> Result<(), AnyError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(mail.recipient.parse()?)
            .subject(&mail.subject)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))?;
        self.transport.send(message).await?;
        Ok(())
    }
}

/// TLS with a server that authorities of the operator's own vouch for, and no others.
fn known_by(path: &Path, url: &str) -> Result<Tls, AnyError> {
    let host = url::Url::parse(url)?.host_str().unwrap_or_default().to_owned();
    let mut parameters = TlsParameters::builder(host).certificate_store(CertificateStore::None);
    for certificate in CertificateDer::pem_file_iter(path)? {
        parameters = parameters.add_root_certificate(Certificate::from_der(certificate?.to_vec())?);
    }
    let parameters = parameters.build_rustls()?;
    Ok(if url.starts_with("smtps://") {
        Tls::Wrapper(parameters)
    } else {
        Tls::Required(parameters)
    })
}

fn is_here(url: &str) -> bool {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]"))
}

struct Taken {
    id: Uuid,
    recipient: String,
    subject: String,
    text: String,
    html: String,
}

/// Sends what is due at `now`, and says how many mails that were.
///
/// # Errors
/// What the database answered. A mail that the server does not take waits, longer each time.
pub async fn send_due(app: &App, server: &MailServer, now: DateTime<Utc>) -> Result<usize, Problem> {
    let tx = app.db.as_auth().await?;
    let rows = tx
        .query(
            sql!(
                "update nexus.login_mails set due_at = $2 where id in (
                   select id from nexus.login_mails where due_at <= $1 order by due_at limit $3 for update skip locked)
                 returning id, recipient, subject, body_text, body_html"
            ),
            &[&now, &(now + TAKEN_FOR), &BATCH],
        )
        .await?;
    tx.commit().await?;
    let mut sent = 0;
    for row in &rows {
        let mail = Taken {
            id: row.try_get(0)?,
            recipient: row.try_get(1)?,
            subject: row.try_get(2)?,
            text: row.try_get(3)?,
            html: row.try_get(4)?,
        };
        let outcome = server.send(&mail).await;
        let tx = app.db.as_auth().await?;
        if outcome.is_ok() {
            sent += 1;
            tx.execute(sql!("delete from nexus.login_mails where id = $1"), &[&mail.id])
                .await?;
        } else {
            // The server's words may quote the address: they are not logged.
            tracing::warn!(mail.id = %mail.id, "the mail server did not take a mail; it is tried again");
            tx.execute(
                sql!(
                    "update nexus.login_mails set attempts = attempts + 1,
                       due_at = $2::timestamptz + least(attempts + 1, 30) * interval '1 minute' where id = $1"
                ),
                &[&mail.id, &now],
            )
            .await?;
        }
        tx.commit().await?;
    }
    Ok(sent)
}

/// Removes mails that nobody can use any more.
///
/// # Errors
/// What the database answered.
pub async fn remove_old(app: &App, now: DateTime<Utc>) -> Result<(), Problem> {
    let tx = app.db.as_auth().await?;
    tx.execute(
        sql!("delete from nexus.login_mails where created_at < $1"),
        &[&(now - KEPT_FOR)],
    )
    .await?;
    super::super::limits::sweep(&tx, now).await?;
    tx.commit().await?;
    Ok(())
}
