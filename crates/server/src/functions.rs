//! `/functions/v1/<name>`: the names that front ends call, and the command behind each. Nothing else.
//!
//! A call is a POST with a JSON body and the access token of a person. `Idempotency-Key` makes a retry safe; where a body
//! has a `paymentId`, that is the key. Errors are `application/problem+json` with the same text under `error` as well,
//! where such front ends look for it.

mod content;
mod uploads;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::Value;

use crate::{
    app::App,
    auth::{routes::bearer, token::Caller},
    command::{Begun, Call, RUNS_MAX, was_disturbed},
    compliance, currencies, documents,
    permission::Person,
    problem::Problem,
};

/// Names of front ends whose work is not built: they answer 501 `not_available`.
pub const NOT_BUILT: &[&str] = &[
    "deploy-property-contract",
    "deploy-real-property-contract",
    "live-tokenization-deploy",
    "verify-contract",
    "toko-chat",
    "ai-buddy-chat",
];

/// Name: the proof that it asks for => the command.
macro_rules! functions {
    ($($name:literal: $proof:ident => $command:path;)*) => {
        /// The names that do something.
        pub const BUILT: &[&str] = &[$($name),*];

        async fn run_once(call: &Call<'_>, caller: &Caller) -> Result<Value, Problem> {
            match call.name {
                $($name => {
                    let body = call.body()?;
                    let command = match call.begin().await? {
                        Begun::New(command) => command,
                        Begun::Answered(answer) => return Ok(answer),
                    };
                    let person = Person::of(&command, caller).await?;
                    let answer = $command(&command, &person.$proof()?, body).await?;
                    call.finish(command, answer).await
                })*
                _ => Err(Problem::NotFound),
            }
        }
    };
}

functions! {
    "get-exchange-rates": person => currencies::rates;
    "review-document": officer => documents::review;
    "request-gate-override": overseer => documents::gate::ask;
    "approve-gate-override": overseer => documents::gate::approve;
    "verify-kyc": person => compliance::verify::verify;
    "list-kyc-queue": officer => compliance::kyc::queue;
    "get-kyc-case": officer => compliance::kyc::get;
    "register-entity": person => compliance::parties::register;
    "add-party-owner": person => compliance::parties::add_owner;
    "end-party-owner": person => compliance::parties::end_owner;
    "let-login-act": officer => compliance::parties::let_act;
    "record-screening": officer => compliance::screening::record;
    "screen-party": officer => compliance::screening::screen;
    "accreditation-status": person => compliance::accreditation::status;
    "request-accreditation": person => compliance::accreditation::request;
    "withdraw-accreditation": person => compliance::accreditation::withdraw;
    "list-accreditation-queue": officer => compliance::accreditation::queue;
    "get-accreditation-case": officer => compliance::accreditation::get;
    "take-accreditation-case": officer => compliance::accreditation::take;
    "approve-accreditation": officer => compliance::accreditation::approve;
    "reject-accreditation": officer => compliance::accreditation::reject;
    "revoke-accreditation": officer => compliance::accreditation::revoke;
    "get-entry-test": person => compliance::entry_test::ask;
    "answer-entry-test": person => compliance::entry_test::answer;
}

pub use uploads::UPLOADS;

/// The routes below `/functions/v1`.
pub fn routes() -> Router<App> {
    uploads::routes()
        .route("/{name}", post(invoke))
        .route("/document-content/{id}", get(content::read))
        .route("/kyc-document-content/{id}", get(content::read_personal))
        .layer(from_fn(in_functions_form))
}

async fn invoke(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    if NOT_BUILT.contains(&name.as_str()) {
        return Err(Problem::NotAvailable);
    }
    let known = BUILT.iter().find(|known| **known == name).ok_or(Problem::NotFound)?;
    let caller = bearer(&app, &headers)?;
    let key = retry_key(&headers)?;
    run(&app, known, &caller, key, &body).await.map(Json)
}

fn retry_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let key = headers.get("idempotency-key").map(|key| {
        key.to_str()
            .map_err(|_| Problem::Invalid("an Idempotency-Key is ASCII".to_owned()))
    });
    key.transpose()
}

/// Runs a function for a caller whose token was verified.
///
/// # Errors
/// What the command refuses.
pub async fn run(
    app: &App,
    name: &'static str,
    caller: &Caller,
    key: Option<&str>,
    body: &[u8],
) -> Result<Value, Problem> {
    let user_id = caller.user_id().ok_or(Problem::NotSignedIn)?;
    let payment_id = serde_json::from_slice::<PaymentId>(body)
        .ok()
        .and_then(|body| body.payment_id);
    let call = Call {
        app,
        name,
        user_id,
        // A read is made again, and noted again.
        key: key
            .or(payment_id.as_deref())
            .filter(|_| !compliance::is_read(name, body)),
        body,
    };
    let mut runs = 1;
    loop {
        match run_once(&call, caller).await {
            Err(problem) if runs < RUNS_MAX && was_disturbed(&problem) => runs += 1,
            outcome => return outcome,
        }
    }
}

/// The retry key that some bodies carry.
#[derive(serde::Deserialize)]
struct PaymentId {
    #[serde(rename = "paymentId")]
    payment_id: Option<String>,
}

/// Puts a problem's text under `error` too.
async fn in_functions_form(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() else {
        return response;
    };
    let mut body = problem.body();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("error".to_owned(), problem.to_string().into());
    }
    let mut response = (problem.status(), Json(body)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}
