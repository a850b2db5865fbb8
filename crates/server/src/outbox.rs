//! What must happen outside the database because of a command: written in the command's own transaction, done by a job.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{Actor, sql},
};

/// Says that something happened. The same topic and key again says nothing new.
///
/// # Errors
/// What the database answered.
pub async fn emit(
    command: &Command,
    topic: &'static str,
    dedupe_key: &str,
    payload: &Value,
) -> Result<(), tokio_postgres::Error> {
    let text = sql!(
        "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id, created_at, available_at)
         values ($1, $2, $3, $4, $5, $5) on conflict on constraint outbox_events_once do nothing"
    );
    let actor_id: Option<Uuid> = match command.actor {
        Actor::Person(id) => Some(id),
        Actor::Program(_) => None,
    };
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&topic, &dedupe_key, payload, &actor_id, &command.now];
    command.tx.execute(text, params).await?;
    Ok(())
}

/// Tells a person something, in the person's own list.
///
/// # Errors
/// What the database answered.
pub async fn notify(
    command: &Command,
    user_id: Uuid,
    kind: &'static str,
    title: &str,
    message: &str,
    action_url: Option<&str>,
) -> Result<(), tokio_postgres::Error> {
    let text = sql!(
        "insert into public.notifications (user_id, title, message, type, action_url, created_at)
         values ($1, $2, $3, $4, $5, $6)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&user_id, &title, &message, &kind, &action_url, &command.now];
    command.tx.execute(text, params).await?;
    Ok(())
}
