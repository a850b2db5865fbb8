//! The console: pages that the server writes, for everybody who looks with a browser ([docs/CONSOLE.md](../../docs/CONSOLE.md)).
//!
//! - A page reads with the visitor's own role and claims, so that policies decide what is on it. A form calls the command that
//!   clients call by `/functions/v1` and `/auth/v1`, with the same proofs.
//! - Everything can be read, and every form be sent, without a script. A page loads from this server alone.
//! - All words are in the catalogue ([`language`]); all figures go through [`figures`].
//!
//! Absent on purpose: pages for what the platform cannot do.

mod account;
mod accreditation;
mod act;
mod administration;
mod assets;
mod buying;
mod call;
mod chart;
mod compliance;
mod cookies;
mod design;
mod entry;
mod fault;
mod figures;
mod form;
mod home;
mod investment;
mod language;
mod layout;
mod listing;
mod manage;
mod notices;
mod papers;
mod parts;
mod pictures;
mod plot;
mod portfolio;
mod preferences;
mod properties;
mod property;
mod reports;
mod tax_forms;
mod transfers;
mod verification;
mod visit;
mod wallet;
mod what_if;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use crate::{app::App, functions::uploads};

/// Every page, and the style sheet and script that they load.
pub fn routes(app: &App) -> Router<App> {
    let pages = Router::new()
        .route("/", get(home::home))
        .route("/properties", get(properties::list))
        .route("/properties/{id}", get(property::show))
        .route("/properties/{id}/documents/{document}", get(property::document))
        .route("/design", get(design::show))
        .route("/preferences", post(preferences::set))
        .merge(entrance())
        .merge(investors())
        .merge(staff());
    pages
        .layer(from_fn_with_state(app.clone(), visit::dress))
        .route("/assets/{name}", get(assets::serve))
}

/// Signing up and in, and a person's own login.
fn entrance() -> Router<App> {
    Router::new()
        .route("/sign-in", get(entry::sign_in_page).post(entry::sign_in))
        .route("/sign-in/second", get(entry::second_page).post(entry::second))
        .route("/sign-in/mail", post(entry::mail))
        .route("/sign-in/code", get(entry::code_page).post(entry::code))
        .route("/sign-in/link", get(entry::link_back))
        .route("/sign-in/wallet", post(wallet::sign_in))
        .route("/wallet/message", get(wallet::message))
        .route("/sign-up", get(entry::sign_up_page).post(entry::sign_up))
        .route("/recover", get(entry::recover_page).post(entry::recover))
        .route("/sign-out", post(entry::sign_out))
        .route("/account", get(account::show))
        .route("/profile", get(account::profile))
        .route("/account/profile", post(account::set_profile))
        .route("/account/password", post(account::set_password))
        .route("/account/factor", post(account::enroll))
        .route("/account/factor/verify", post(account::verify_factor))
        .route("/account/factor/remove", post(account::remove_factor))
        .route("/account/email", post(account::ways::set_address))
        .route("/account/wallets", post(wallet::link))
        .route("/account/ways/remove", post(account::ways::remove_way))
        .route("/account/sessions", post(account::ways::end_sessions))
        .route("/notices", get(notices::list))
        .route("/notices/read", post(notices::read))
        .route("/notices/count", get(notices::count))
}

/// Verification, buying, holding.
fn investors() -> Router<App> {
    Router::new()
        .route("/verification", get(verification::show).post(verification::submit))
        .route(
            "/papers",
            post(papers::file).layer(DefaultBodyLimit::max(uploads::FORM_BYTES_MAX)),
        )
        .route("/verification/documents/{id}", get(verification::own_document))
        .route("/verification/withdraw", post(verification::withdraw))
        .route("/accreditation", get(accreditation::show).post(accreditation::request))
        .route("/entry-test", get(accreditation::test).post(accreditation::answer))
        .route("/tax-forms", get(tax_forms::show).post(tax_forms::file))
        .route("/transfers", get(transfers::show).post(transfers::request))
        .route("/properties/{id}/buy", get(buying::show).post(buying::buy))
        .route("/payments/{session}", get(investment::returned))
        .route("/investments/{id}", get(investment::show))
        .route("/investments/{id}/pay", post(investment::pay))
        .route("/investments/{id}/cancel", post(investment::cancel))
        .route("/portfolio", get(portfolio::show))
        .route("/portfolio/statements/{year}", get(portfolio::statement))
}

/// Compliance officers, property managers, admins.
fn staff() -> Router<App> {
    let files = DefaultBodyLimit::max(uploads::FORM_BYTES_MAX);
    Router::new()
        .route("/act/{function}", post(act::act))
        .route("/compliance", get(compliance::overview))
        .route(
            "/compliance/identity/{case}",
            get(compliance::identity::ask).post(compliance::identity::show),
        )
        .route(
            "/compliance/identity/{case}/documents/{id}",
            get(compliance::identity::document),
        )
        .route(
            "/compliance/accreditation/{case}",
            get(compliance::requests::ask_accreditation).post(compliance::requests::accreditation),
        )
        .route(
            "/compliance/tax-forms/{form}",
            get(compliance::requests::ask_tax_form).post(compliance::requests::tax_form),
        )
        .route(
            "/compliance/custody",
            get(compliance::custody::list).post(compliance::custody::import),
        )
        .route("/compliance/rates", get(compliance::rates::list))
        .route("/compliance/decisions", get(compliance::decisions::list))
        .route("/compliance/evidence", get(compliance::evidence::list))
        .route("/compliance/gate", get(compliance::gate::list))
        .route(
            "/compliance/cases",
            get(compliance::cases::list).merge(post(compliance::cases::open).layer(files)),
        )
        .route("/compliance/reports", get(reports::list))
        .route("/reports/{function}", post(reports::give))
        .route("/compliance/trail", get(compliance::trail::list))
        .route("/compliance/trail/verify", post(compliance::trail::check))
        .route("/manage", get(manage::list).post(manage::create))
        .route("/manage/{id}", get(manage::house::show))
        .route("/manage/{id}/documents", post(manage::house::upload).layer(files))
        .merge(pictures_of_managers())
        .route("/manage/{id}/rent", get(manage::rent::show).post(manage::rent::record))
        .route("/manage/{id}/holders", get(manage::holders::list))
        .route("/administration", get(administration::people))
        .route("/administration/roles", post(administration::change_role))
        .route("/administration/offerings", get(administration::offerings::list))
        .route("/administration/money", get(administration::money::list))
        .route("/administration/ledger", get(administration::ledger::accounts))
        .route(
            "/administration/ledger/accounts/{id}",
            get(administration::ledger::account),
        )
        .route(
            "/administration/ledger/entries/{id}",
            get(administration::ledger::entry),
        )
        .route(
            "/administration/rules",
            get(administration::rules::list).post(administration::rules::publish),
        )
        .route(
            "/administration/fees",
            get(administration::fees::ask).post(administration::fees::publish),
        )
        .route("/administration/rules/{id}", get(administration::rules::version))
        .route("/administration/jobs", get(administration::jobs::list))
        .route("/administration/health", get(administration::health::show))
        .route("/administration/settings", get(administration::settings::list))
}

/// Pictures of a manager's property.
fn pictures_of_managers() -> Router<App> {
    let pictures = DefaultBodyLimit::max(manage::pictures::FORM_BYTES_MAX);
    Router::new()
        .route(
            "/manage/{id}/pictures",
            get(manage::pictures::show).merge(post(manage::pictures::add).layer(pictures)),
        )
        .route("/manage/{id}/pictures/arrange", post(manage::pictures::arrange))
}

pub use properties::list_query;
pub(crate) use visit::missing;
