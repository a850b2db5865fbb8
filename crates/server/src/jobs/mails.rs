//! Mails to logins: sent as they come, removed when nobody can use them any more.

use std::time::Duration;

use crate::{
    app::App,
    auth::mail::sending::{MailServer, remove_old, send_due},
    problem::{AnyError, chain},
};

/// How often the outbox is looked at: somebody waits for the mail.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// Every so many turns old rows are removed.
const REMOVE_EVERY: u64 = 600;

/// Never ends by itself.
pub(super) async fn run(app: &App) {
    let mut last_failure = None;
    let mut count: u64 = 0;
    loop {
        let failure = turn(app, count).await.err().map(|error| chain(error.as_ref()));
        if failure != last_failure {
            match &failure {
                Some(cause) => tracing::error!(%cause, "mails are not sent; trying again"),
                None => tracing::info!("mails are sent again"),
            }
        }
        last_failure = failure;
        count += 1;
        tokio::time::sleep(SEND_EVERY).await;
    }
}

async fn turn(app: &App, count: u64) -> Result<(), AnyError> {
    if let Some(server) = MailServer::of(app)? {
        send_due(app, &server, app.now()).await?;
    }
    if count.is_multiple_of(REMOVE_EVERY) {
        remove_old(app, app.now()).await?;
    }
    Ok(())
}
