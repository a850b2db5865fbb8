//! Payments that pay reservations exactly.

use std::sync::Arc;

use nexus_mint::{
    app::App,
    payments::{messages, sandbox},
    problem::AnyError,
};
use serde_json::json;
use tokio_postgres::Client;

use super::{
    load::{self, Pace, Taken},
    ways::share,
    world::World,
};

/// What a reservation costs, with its fee.
const CHARGE: i64 = 5_100;

/// A rail's message about a reservation: its name, the payment's, the session's, the bytes.
fn message(app: &App, world: &World) -> Result<[String; 4], AnyError> {
    let number = world.next_reservation()?;
    let [id, payment, session] = ["ev", "pi", "cs"].map(|kind| format!("{kind}_{number}"));
    let body = json!({
        "id": id, "payment": payment, "at": app.now(), "type": "payment.succeeded", "session": session, "amount": CHARGE,
        "currency": "USD", "property_id": null,
    });
    Ok([id, payment, session, body.to_string()])
}

/// The product's own way.
pub(super) async fn by_messages(app: &App, world: &Arc<World>, pace: Pace) -> Result<Taken, AnyError> {
    let (app, world) = (app.clone(), world.clone());
    load::run(pace, move |_| {
        let (app, world) = (app.clone(), world.clone());
        async move {
            let [.., body] = message(&app, &world)?;
            let headers = sandbox::sign(&app, body.as_bytes());
            messages::take(&app, &headers, body.as_bytes()).await?;
            Ok(())
        }
    })
    .await
}

/// One PL/pgSQL transaction a message.
pub(super) async fn one(clients: &[Arc<Client>], app: &App, world: &Arc<World>, pace: Pace) -> Result<Taken, AnyError> {
    let shared = share(clients, pace, &["select bench.pay($1, $2, $3, $4, $5)"]).await?;
    let (app, world) = (app.clone(), world.clone());
    load::run(pace, move |number| {
        let (shared, app, world) = (shared.clone(), app.clone(), world.clone());
        async move {
            let [id, payment, session, body] = message(&app, &world)?;
            let connection = shared.get(number % shared.len()).ok_or("no connection")?.lock().await;
            let statement = connection.1.first().ok_or("no statement")?;
            let row = connection
                .0
                .query_one(statement, &[&id, &payment, &session, &CHARGE, &body.as_bytes()])
                .await?;
            let said: String = row.get(0);
            if said == "paid" { Ok(()) } else { Err(said.into()) }
        }
    })
    .await
}
