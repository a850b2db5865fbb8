//! The ways in which a person signs in: taking one away. Adding one begins in [`flow`](super::providers::flow).

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    AuthRefusal,
    events::{self, Event},
    request::{Asked, Person, bearer, person},
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// `DELETE /user/identities/{id}`. The last one stays.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn unlink(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    if !app.config.settings.logins.linking {
        return Err(AuthRefusal::LinkingDisabled.into());
    }
    let id = Uuid::parse_str(&id).map_err(|_| AuthRefusal::IdentityNotFound)?;
    let tx = app.db.as_auth().await?;
    let Person { user, standing } = person(&app, &headers, &tx, asked.now).await?;
    // Two that are taken away at once would each see the other: the login's row is locked first.
    tx.query_opt(sql!("select from auth.users where id = $1 for update"), &[&user.id])
        .await?;
    let rows = tx
        .query(sql!("select id from auth.identities where user_id = $1"), &[&user.id])
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        found.push(row.try_get::<_, Uuid>(0)?);
    }
    if !found.contains(&id) {
        return Err(AuthRefusal::IdentityNotFound.into());
    }
    if found.len() < 2 {
        return Err(AuthRefusal::LastIdentity.into());
    }
    tx.execute(sql!("delete from auth.identities where id = $1"), &[&id])
        .await?;
    note_providers(&tx, user.id, asked.now).await?;
    events::note(
        &tx,
        Event::IdentityUnlinked,
        Some(user.id),
        Some(standing.session_id),
        asked.now,
    )
    .await?;
    tx.commit().await?;
    Ok(Json(serde_json::json!({})))
}

/// Writes down at the login in which ways it signs in. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn note_providers(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "update auth.users as u set updated_at = $2, raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}')
               || jsonb_build_object('providers', to_jsonb(own.names), 'provider', own.names[1])
             from (select array_agg(i.provider order by i.since) as names
                   from (select provider, min(created_at) as since from auth.identities where user_id = $1 group by provider) as i) as own
             where u.id = $1"
        ),
        &[&user_id, &now],
    )
    .await?;
    Ok(())
}
