//! The console: pages that the server writes, for everybody who looks with a browser ([docs/CONSOLE.md](../../docs/CONSOLE.md)).
//!
//! - A page reads with the visitor's own role and claims, so that policies decide what is on it. A form calls the command that
//!   clients call by `/functions/v1` and `/auth/v1`, with the same proofs.
//! - Everything can be read, and every form be sent, without a script. A page loads from this server alone.
//! - All words are in the catalogue ([`language`]); all figures go through [`figures`].
//!
//! Absent on purpose: pages for what the platform cannot do.

mod assets;
mod chart;
mod cookies;
mod design;
mod fault;
mod figures;
mod form;
mod home;
mod language;
mod layout;
mod listing;
mod parts;
mod plot;
mod preferences;
mod properties;
mod property;
mod visit;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use crate::app::App;

/// Every page, and the style sheet and script that they load.
pub fn routes(app: &App) -> Router<App> {
    let pages = Router::new()
        .route("/", get(home::home))
        .route("/properties", get(properties::list))
        .route("/properties/{id}", get(property::show))
        .route("/properties/{id}/documents/{document}", get(property::document))
        .route("/design", get(design::show))
        .route("/preferences", post(preferences::set));
    pages
        .layer(from_fn_with_state(app.clone(), visit::dress))
        .route("/assets/{name}", get(assets::serve))
}

pub(crate) use visit::missing;
