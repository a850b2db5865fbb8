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

/// Says of many things at once what [`emit`] says of one: keys and payloads.
pub(crate) const EMIT_ALL: &str = sql!(
    "insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id, created_at, available_at)
     select $1, n.dedupe_key, n.payload, $4, $5, $5 from unnest($2::text[], $3::jsonb[]) with ordinality as n (dedupe_key, payload, place)
     order by n.place on conflict on constraint outbox_events_once do nothing"
);

/// Says that the same happened to many things.
///
/// # Errors
/// What the database answered.
pub async fn emit_all(
    command: &Command,
    topic: &'static str,
    events: &[(String, Value)],
) -> Result<(), tokio_postgres::Error> {
    let (keys, payloads): (Vec<&str>, Vec<&Value>) =
        events.iter().map(|(key, payload)| (key.as_str(), payload)).unzip();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&topic, &keys, &payloads, &command.actor_id(), &command.now];
    command.tx.execute(EMIT_ALL, params).await?;
    Ok(())
}

/// Tells many people the same, each in the person's own list.
pub(crate) const NOTIFY_ALL: &str = sql!(
    "insert into public.notifications (user_id, title, message, type, created_at)
     select n.user_id, $2, $3, $4, $5 from unnest($1::uuid[]) as n (user_id)"
);

/// Tells people something.
///
/// # Errors
/// What the database answered.
pub async fn notify_all(
    command: &Command,
    user_ids: &[Uuid],
    kind: &'static str,
    title: &str,
    message: &str,
) -> Result<(), tokio_postgres::Error> {
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&user_ids, &title, &message, &kind, &command.now];
    command.tx.execute(NOTIFY_ALL, params).await?;
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
