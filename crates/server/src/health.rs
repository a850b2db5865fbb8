//! `/health` says that the process is alive; `/ready` says whether it can do its work now.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use crate::{
    app::App,
    db::{Actor, sql},
    migrate::Sources,
    problem::{Problem, chain},
};

/// Alive: this answer proves it.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Ready when the database answers now and has every migration of this program. Says which of the two is missing; why
/// is in the log.
pub async fn ready(State(app): State<App>) -> Response {
    let (database, migrations) = match pending(&app).await {
        Ok(0) => ("ok", "ok".to_owned()),
        Ok(count) => ("ok", format!("{count} pending")),
        Err(problem) => {
            tracing::warn!(cause = %chain(&problem), "not ready");
            ("failed", "unknown".to_owned())
        }
    };
    let ready = migrations == "ok";
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let word = if ready { "ready" } else { "not ready" };
    let body = json!({ "status": word, "checks": { "database": database, "migrations": migrations } });
    (status, Json(body)).into_response()
}

/// How many migrations of this program the database lacks.
async fn pending(app: &App) -> Result<usize, Problem> {
    let tx = app.db.as_engine(Actor::Program("ready")).await?;
    let text = sql!("select version from supabase_migrations.schema_migrations");
    let applied: Vec<String> = tx
        .query(text, &[])
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(Sources::embedded()
        .versions()
        .filter(|version| !applied.iter().any(|row| row == version))
        .count())
}
