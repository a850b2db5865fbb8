//! Reloads the schema cache when the database says so: `notify pgrst`, with `reload schema` or nothing; and settings that
//! the database has, with `reload config`.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio_postgres::AsyncMessage;

use super::engine::Engine;
use crate::{db::Login, problem::chain};

/// Whose schema cache is reloaded.
pub(crate) trait Follows: Send + Sync {
    /// The engine as it is now.
    fn engine(&self) -> Arc<Engine>;

    /// The database's settings may have changed.
    fn reconfigure(&self) -> impl Future<Output = ()> + Send;
}

impl Follows for Arc<Engine> {
    fn engine(&self) -> Arc<Engine> {
        self.clone()
    }

    async fn reconfigure(&self) {}
}

/// A migration notifies once a statement: wait until it is through.
const SETTLE: Duration = Duration::from_millis(100);

/// How long to wait after the connection was lost.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How often connections are looked at that nobody uses.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Closes connections that nobody uses any more, until it is dropped.
pub(crate) async fn tidy(follows: impl Follows) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        follows.engine().sessions().close_unused();
    }
}

/// Listens until it is dropped. What was notified while the connection was lost is made up for by a reload.
pub(crate) async fn listen(follows: impl Follows, channel: String) {
    let mut last_failure = None;
    loop {
        let failure = listen_once(&follows, &channel)
            .await
            .err()
            .map(|error| error.to_string());
        if failure.is_some() && failure != last_failure {
            tracing::warn!(cause = failure, "not listening to {channel}; trying again");
        }
        last_failure = failure;
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

async fn listen_once(follows: &impl Follows, channel: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let login: Login = follows.engine().login().clone();
    let mut pg = login.pg.clone();
    pg.application_name("nexus-mint rest listener");
    let (client, mut connection) = pg.connect(login.connector()?).await?;
    let (told, mut heard) = tokio::sync::mpsc::channel(256);
    let driving = tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                // A full channel means that a reload is due anyway; only what was asked of it may be lost.
                let _ = told.try_send(notification.payload().to_owned());
            }
        }
    });
    client
        .batch_execute(&format!("listen {}", pgrest::name::quoted(channel)))
        .await?;
    follows.reconfigure().await;
    reload(&follows.engine()).await;
    while let Some(mut payload) = heard.recv().await {
        let (mut schema, mut settings) = (false, false);
        tokio::time::sleep(SETTLE).await;
        loop {
            settings |= payload == "reload config";
            schema |= matches!(payload.as_str(), "" | "reload schema" | "reload config");
            match heard.try_recv() {
                Ok(next) => payload = next,
                Err(_) => break,
            }
        }
        if settings {
            follows.reconfigure().await;
        }
        if schema {
            reload(&follows.engine()).await;
        }
    }
    driving.abort();
    Ok(())
}

async fn reload(engine: &Arc<Engine>) {
    if let Err(error) = engine.reload().await {
        tracing::warn!(cause = %chain(&error), "the schema cache cannot be loaded");
    }
}
