//! `/health` says that the process is alive; `/ready` says whether it can do its work now.

pub mod measured;

use std::time::Instant;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    app::App,
    command::Command,
    db::{Actor, Tx, sql},
    jobs::clock::{self, Pace},
    migrate::Sources,
    permission::Person,
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
    let missing = missing(&tx).await?;
    tx.commit().await?;
    Ok(missing)
}

async fn missing(tx: &Tx) -> Result<usize, Problem> {
    let text = sql!("select version from supabase_migrations.schema_migrations");
    let applied: Vec<String> = tx
        .query(text, &[])
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    Ok(Sources::embedded()
        .versions()
        .filter(|version| !applied.iter().any(|row| row == version))
        .count())
}

/// Asks how the parts of the platform do.
#[derive(Debug, Deserialize)]
pub struct CheckHealth {}

/// How the parts do, as `deployment-health-check` tells it.
#[derive(Debug, Serialize)]
pub struct Deployment {
    overall_status: &'static str,
    average_response_time: u64,
    services: Vec<Part>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Part {
    service: &'static str,
    status: &'static str,
    #[serde(rename = "responseTime")]
    response_time: u64,
    message: String,
}

#[derive(Debug, Serialize)]
struct Summary {
    total_services: usize,
    healthy: usize,
    degraded: usize,
    down: usize,
}

/// Outbox events and payment messages older than this are late.
const LATE_AFTER: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// Database, schema, jobs and payment messages, each asked now and timed in milliseconds.
///
/// # Errors
/// When the database cannot be asked at all.
pub async fn deployment(command: &Command, _person: &Person, _body: CheckHealth) -> Result<Deployment, Problem> {
    let mut services = Vec::new();
    let mut note = |service, begun: Instant, status, message: String| {
        let response_time = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        services.push(Part {
            service,
            status,
            response_time,
            message,
        });
    };
    let begun = Instant::now();
    command.tx.query_one(sql!("select 1"), &[]).await?;
    note("database", begun, "healthy", "answers".to_owned());
    let begun = Instant::now();
    match missing(&command.tx).await? {
        0 => note("schema", begun, "healthy", "up to date".to_owned()),
        count => note(
            "schema",
            begun,
            "degraded",
            format!("{count} migrations are not applied"),
        ),
    }
    let begun = Instant::now();
    match clock::pace(command).await? {
        Pace::Running => note(
            "jobs",
            begun,
            "healthy",
            "deadlines, closings and payouts run".to_owned(),
        ),
        Pace::Paused(since, reason) => note("jobs", begun, "down", format!("paused since {since}: {reason}")),
    }
    let begun = Instant::now();
    let text = sql!(
        "select count(*) filter (where m.dead_at is null and m.received_at < $1), count(*) filter (where m.dead_at is not null)
         from nexus.payment_messages as m where m.processed_at is null"
    );
    let row = command.tx.query_one(text, &[&(command.now - LATE_AFTER)]).await?;
    let (late, aside): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    match (late, aside) {
        (0, 0) => note("payments", begun, "healthy", "every message is worked off".to_owned()),
        (late, aside) => note(
            "payments",
            begun,
            "degraded",
            format!("{late} messages wait for more than ten minutes, {aside} are set aside"),
        ),
    }
    let count = |status| services.iter().filter(|part| part.status == status).count();
    let summary = Summary {
        total_services: services.len(),
        healthy: count("healthy"),
        degraded: count("degraded"),
        down: count("down"),
    };
    let total: u64 = services.iter().map(|part| part.response_time).sum();
    Ok(Deployment {
        overall_status: match (summary.down, summary.degraded) {
            (0, 0) => "healthy",
            (0, _) => "degraded",
            (_, _) => "down",
        },
        average_response_time: total / u64::try_from(services.len().max(1)).unwrap_or(1),
        services,
        summary,
    })
}
