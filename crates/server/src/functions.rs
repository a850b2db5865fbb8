//! `/functions/v1/<name>`: the names that front ends call, and the command behind each. Nothing else.
//!
//! A call is a POST with a JSON body and the access token of a person. `Idempotency-Key` makes a retry safe; of
//! `create-investment-payment` the body's `paymentId` does as well. Errors are `application/problem+json` with the same text under `error` as well,
//! where such front ends look for it.

pub(crate) mod content;
mod openapi;
pub(crate) mod papers;
pub mod uploads;

use std::{pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    analytics,
    app::App,
    auth::{routes::bearer, token::Caller},
    command::{Begun, Call, RUNS_MAX, was_disturbed},
    compliance, currencies, distributions, documents, fees, health, holdings, investments, jobs, offerings, payments,
    permission::Person,
    problem::Problem,
    properties, property_audits, reports, statements, tokenization,
};

/// Names of front ends whose work is not built: they answer 501 `not_available`.
pub const NOT_BUILT: &[&str] = &[
    "deploy-property-contract",
    "deploy-real-property-contract",
    "send-email",
    "live-tokenization-deploy",
    "verify-contract",
    "toko-chat",
    "ai-buddy-chat",
];

/// A command that runs.
type Running<'a> = Pin<Box<dyn Future<Output = Result<Value, Problem>> + Send + 'a>>;

/// Name: the proof that it asks for => the command; or the queue in which it waits, which asks for it itself.
macro_rules! functions {
    ($(queued $waits:literal: $waits_proof:ident => $queue:path;)* $($name:literal: $proof:ident => $command:path;)*) => {
        /// The names that do something.
        pub const BUILT: &[&str] = &[$($waits,)* $($name),*];

        /// The proof that each asks for before anything else: `person` is anybody signed in.
        pub const PROOFS: &[(&str, &str)] = &[$(($waits, stringify!($waits_proof)),)* $(($name, stringify!($proof))),*];

        async fn run_once(call: &Call<'_>, caller: &Caller) -> Result<Value, Problem> {
            match call.name {
                $($waits => $queue(call).await,)*
                $($name => {
                    // A function of its own, on the heap: otherwise every call needs room for all commands at once.
                    fn one<'a>(call: &'a Call<'_>, caller: &'a Caller) -> Running<'a> {
                        Box::pin(async move {
                            let command = match call.begin().await? {
                                Begun::New(command) => *command,
                                Begun::Answered(answer) => return Ok(answer),
                            };
                            let person = Person::of(&command, caller).await?;
                            // The right to run it before its body: who may not run it learns nothing of it.
                            let proof = person.$proof()?;
                            let answer = Box::pin($command(&command, &proof, call.body()?)).await?;
                            call.finish(command, answer).await
                        })
                    }
                    one(call, caller).await
                })*
                _ => Err(Problem::NotFound),
            }
        }
    };
}

functions! {
    queued "create-investment": person => investments::batch::create;
    queued "create-investment-payment": person => investments::batch::checkout;
    "approve-distribution": overseer => distributions::declaring::declare;
    "approve-performance": overseer => distributions::rent::decide;
    "cancel-distribution": person => distributions::declaring::cancel;
    "declare-distribution": person => distributions::declaring::propose;
    "pay-distribution": admin => distributions::paying::pay;
    "preview-distribution": person => distributions::declaring::preview;
    "record-performance": person => distributions::rent::record;
    "remit-tax": admin => distributions::paying::remit;
    "retry-payout": overseer => distributions::payouts::retry;
    "accept-transfer": person => holdings::transfers::accept;
    "approve-transfer": overseer => holdings::transfers::decide;
    "cancel-transfer": person => holdings::transfers::cancel;
    "decline-transfer": person => holdings::transfers::decline;
    "request-transfer": person => holdings::transfers::request;
    "accreditation-status": person => compliance::accreditation::status;
    "add-party-owner": person => compliance::parties::add_owner;
    "add-property-member": admin => properties::add_member;
    "announce-early-close": admin => offerings::preparing::announce_early_close;
    "answer-entry-test": person => compliance::entry_test::answer;
    "approve-accreditation": officer => compliance::accreditation::approve;
    "approve-gate-override": overseer => documents::gate::approve;
    "approve-withholding-rate": overseer => distributions::rates::decide;
    "approve-holding-case": overseer => holdings::cases::approve;
    "approve-step": overseer => tokenization::approve;
    "audit-property-contract": officer => property_audits::audit;
    "calculate-analytics": person => analytics::asked::calculate;
    "cancel-holding-case": person => holdings::cases::cancel;
    "cancel-investment": person => investments::withdrawing::cancel;
    "cancel-offering": person => offerings::preparing::cancel;
    "check-tax-form": officer => compliance::tax_forms::decide;
    "clear-incident": overseer => payments::incidents::clear;
    "close-offering": admin => offerings::closing::close;
    "create-offering": person => offerings::preparing::create;
    "create-property": person => properties::create;
    "deployment-health-check": person => health::deployment;
    "end-party-owner": person => compliance::parties::end_owner;
    "extend-offering": admin => offerings::preparing::extend;
    "fail-offering": admin => offerings::ending::fail_by_admin;
    "file-tax-form": person => compliance::tax_forms::file;
    "generate-audit-report": person => property_audits::report;
    "generate-tokenization-report": person => tokenization::report::generate;
    "get-accreditation-case": officer => compliance::accreditation::get;
    "get-entry-test": person => compliance::entry_test::ask;
    "get-exchange-rates": person => currencies::rates;
    "get-investment": person => investments::ordering::show;
    "get-kyc-case": officer => compliance::kyc::get;
    "get-register": person => holdings::register::get;
    "get-statement": person => statements::get;
    "get-system-status": admin => health::measured::measure;
    "get-tax-form": officer => compliance::tax_forms::get;
    "import-custodian-statement": overseer => payments::custody::import;
    "invite-to-offering": person => offerings::preparing::invite;
    "launch-tokenization": admin => tokenization::launch;
    "let-login-act": officer => compliance::parties::let_act;
    "list-accreditation-queue": officer => compliance::accreditation::queue;
    "list-custodian-statements": overseer => payments::custody::list;
    "list-jobs": admin => jobs::queues::list;
    "list-kyc-queue": officer => compliance::kyc::queue;
    "list-tax-forms": officer => compliance::tax_forms::queue;
    "monitor-tokenization": person => tokenization::monitor;
    "move-escrow-to-agent": admin => offerings::closing::move_to_agent;
    "open-holding-case": person => holdings::cases::open;
    "open-offering": admin => offerings::preparing::open;
    "pay-investment": person => payments::sessions::pay;
    "preview-close": admin => offerings::closing::preview;
    "propose-withholding-rate": admin => distributions::rates::propose;
    "preview-fee": admin => fees::preview;
    "publish-fee": admin => fees::publish;
    "publish-rule-pack": admin => offerings::packs::publish;
    "quote-investment": person => investments::quoting::quote;
    "record-screening": officer => compliance::screening::record;
    "register-entity": person => compliance::parties::register;
    "regulatory-evidence-export": overseer => reports::regulatory_evidence;
    "reject-accreditation": officer => compliance::accreditation::reject;
    "reject-holding-case": overseer => holdings::cases::reject;
    "reject-step": overseer => tokenization::reject;
    "request-accreditation": person => compliance::accreditation::request;
    "request-gate-override": overseer => documents::gate::ask;
    "resume-jobs": admin => jobs::queues::resume;
    "retry-job": admin => jobs::queues::retry;
    "retry-refund": overseer => payments::unmatched::retry_refund;
    "return-escrow-from-agent": admin => offerings::closing::return_from_agent;
    "return-payment": overseer => payments::unmatched::return_payment;
    "review-document": officer => documents::review;
    "revoke-accreditation": officer => compliance::accreditation::revoke;
    "screen-party": officer => compliance::screening::screen;
    "set-aside-job": admin => jobs::queues::set_aside;
    "submit-step": person => tokenization::submit;
    "sync-property-data": admin => analytics::asked::sync;
    "take-accreditation-case": officer => compliance::accreditation::take;
    "verify-investment-payment": person => payments::sessions::verify;
    "verify-kyc": person => compliance::verify::verify;
    "withdraw-accreditation": person => compliance::accreditation::withdraw;
}

/// Names of functions that only look: they run on one snapshot and take no lock.
const ONLY_LOOK: &[&str] = &[
    "get-register",
    "get-statement",
    "get-system-status",
    "list-jobs",
    "preview-close",
    "preview-distribution",
    "preview-fee",
    "quote-investment",
];

/// The name under which a rail's messages come: raw, signed, without a login.
pub const WEBHOOK: &str = "process-payment-webhook";

pub use uploads::UPLOADS;

/// The routes below `/functions/v1`.
pub fn routes() -> Router<App> {
    uploads::routes()
        .route("/{name}", post(invoke))
        .route("/openapi.json", get(openapi::show))
        .route("/document-content/{id}", get(content::read))
        .route("/kyc-document-content/{id}", get(content::read_personal))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn(in_functions_form))
}

async fn invoke(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if NOT_BUILT.contains(&name.as_str()) {
        return Err(Problem::NotAvailable);
    }
    if name == WEBHOOK {
        payments::messages::take(&app, &headers, &body).await?;
        return Ok(Json(json!({ "received": true })).into_response());
    }
    let known = BUILT.iter().find(|known| **known == name).ok_or(Problem::NotFound)?;
    // Who is turned away for the length of the line costs as little as can be: it is where there is least to spare.
    investments::batch::check_line(&app, known, &body)?;
    let caller = bearer(&app, &headers)?;
    let key = retry_key(&headers)?;
    let answer = run(&app, known, &caller, key, &body).await?;
    if papers::is_asked(known, &headers, &body) {
        return papers::written(answer).await;
    }
    Ok(Json(answer).into_response())
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
    // Front ends send this one's retry key in the body.
    let payment_id = (name == "create-investment-payment")
        .then(|| serde_json::from_slice::<PaymentId>(body).ok()?.payment_id)
        .flatten();
    let call = Call {
        app,
        name,
        user_id,
        // A read is made again, and noted again.
        key: key
            .or(payment_id.as_deref())
            .filter(|_| !compliance::is_read(name, body)),
        body,
        only_looks: ONLY_LOOK.contains(&name),
    };
    let mut runs = 1;
    loop {
        match run_once(&call, caller).await {
            Err(problem) if runs < RUNS_MAX && was_disturbed(&problem) => runs += 1,
            outcome => return outcome,
        }
    }
}

/// The retry key that a body carries.
#[derive(serde::Deserialize)]
struct PaymentId {
    #[serde(rename = "paymentId")]
    payment_id: Option<String>,
}

/// Puts a problem's text under `error` too.
async fn in_functions_form(request: Request, next: Next) -> Response {
    let response = Problem::in_place_of_text(next.run(request).await);
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() else {
        return response;
    };
    // A token that is none is the caller's to renew: 401 here, where auth itself says 403.
    let status = match problem.code() {
        "bad_jwt" => StatusCode::UNAUTHORIZED,
        _ => problem.status(),
    };
    let mut body = problem.body();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("error".to_owned(), problem.to_string().into());
        fields.insert("status".to_owned(), status.as_u16().into());
    }
    let after = response.headers().get(header::RETRY_AFTER).cloned();
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(after) = after {
        response.headers_mut().insert(header::RETRY_AFTER, after);
    }
    response
}
