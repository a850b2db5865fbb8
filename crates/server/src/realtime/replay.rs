//! Earlier broadcasts of a private channel, for who comes a little later.

use super::{
    frame::{Cast, Payload},
    join::Replay,
};
use crate::{
    app::App,
    auth::token::Caller,
    db::{Actor, sql},
    problem::Problem,
};

/// How many at most: the protocol's own limit.
const MESSAGES_MAX: i64 = 25;

/// How long messages are kept (h).
const KEPT_H: i32 = 72;

/// The last broadcasts of a channel since an instant, oldest first, as far as the policies let the caller read them.
///
/// # Errors
/// When the database cannot be asked.
pub(super) async fn messages(
    app: &App,
    caller: &Caller,
    topic: &str,
    Replay { since, limit }: Replay,
) -> Result<Vec<Cast>, Problem> {
    let tx = app.db.as_caller(caller).await?;
    tx.query(sql!("select set_config('realtime.topic', $1, true)"), &[&topic])
        .await?;
    let text = sql!(
        "select m.id, coalesce(m.event, ''), coalesce(m.payload::text, '{}'), m.binary_payload from realtime.messages as m
         where m.topic = $1 and m.extension = 'broadcast' and m.private
           and m.inserted_at > to_timestamp($2::bigint / 1000.0) at time zone 'utc'
         order by m.inserted_at desc limit $3"
    );
    let limit = limit.clamp(0, MESSAGES_MAX);
    let rows = tx.query(text, &[&topic, &since, &limit]).await?;
    tx.commit().await?;
    let mut casts = Vec::new();
    for row in rows.iter().rev() {
        let (id, event, payload): (uuid::Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let bytes: Option<Vec<u8>> = row.try_get(3)?;
        let payload = bytes.map_or(Payload::Json(payload), |bytes| Payload::Bytes(bytes.into()));
        let mut cast = Cast::new(topic, &event, payload, false);
        cast.meta = Some(format!(r#"{{"id":"{id}","replayed":true}}"#));
        casts.push(cast);
    }
    Ok(casts)
}

/// Removes messages that nobody can ask for any more.
///
/// # Errors
/// When the database cannot be asked.
pub async fn forget(app: &App) -> Result<i64, Problem> {
    let tx = app.db.as_service(Actor::Program("realtime")).await?;
    let text = sql!("select realtime.forget_messages(now() - make_interval(hours => $1))");
    let gone: i64 = tx.query_one(text, &[&KEPT_H]).await?.try_get(0)?;
    tx.commit().await?;
    Ok(gone)
}
