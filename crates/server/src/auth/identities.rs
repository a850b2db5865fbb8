//! The ways in which a person signs in: adding one and taking one away.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    AuthRefusal,
    events::{self, Event},
    request::{Asked, Person, bearer, person},
};
use crate::{app::App, db::sql, problem::Problem};

/// `GET /user/identities/authorize`: would begin the sign-in at another provider; none is configured.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn authorize(State(app): State<App>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    if !app.config.settings.logins.linking {
        return Err(AuthRefusal::LinkingDisabled.into());
    }
    Err(AuthRefusal::ProviderDisabled.into())
}

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
        .query(
            sql!("select id, provider from auth.identities where user_id = $1 order by created_at, id"),
            &[&user.id],
        )
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        found.push((row.try_get::<_, Uuid>(0)?, row.try_get::<_, String>(1)?));
    }
    if !found.iter().any(|(own, _)| *own == id) {
        return Err(AuthRefusal::IdentityNotFound.into());
    }
    if found.len() < 2 {
        return Err(AuthRefusal::LastIdentity.into());
    }
    let left: Vec<&str> = found
        .iter()
        .filter(|(own, _)| *own != id)
        .map(|(_, provider)| provider.as_str())
        .collect();
    tx.execute(sql!("delete from auth.identities where id = $1"), &[&id])
        .await?;
    tx.execute(
        sql!(
            "update auth.users set updated_at = $3, raw_app_meta_data = coalesce(raw_app_meta_data, '{}')
               || jsonb_build_object('providers', to_jsonb($2::text[]), 'provider', ($2::text[])[1])
             where id = $1"
        ),
        &[&user.id, &left, &asked.now],
    )
    .await?;
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
