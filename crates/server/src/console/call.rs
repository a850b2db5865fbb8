//! Forms run commands: by their public name, as `/functions/v1` runs them.

use mint_core::money::{Amount, Decimals};
use serde_json::Value;

use super::visit::Visit;
use crate::{app::App, functions, problem::Problem};

/// Runs a function for whoever visits. A key makes a second sending of the same form harmless.
///
/// # Errors
/// What the command refuses.
pub(crate) async fn call(
    app: &App,
    visit: &Visit,
    name: &'static str,
    key: Option<&str>,
    body: Value,
) -> Result<Value, Problem> {
    visit.person()?;
    let body = body.to_string();
    functions::run(app, name, &visit.caller, key, body.as_bytes()).await
}

/// What a form shows beside what was typed: a refusal, or what does not fit. Everything else has a page of its own.
///
/// # Errors
/// Those others.
pub(crate) fn beside_form(problem: Problem) -> Result<Problem, Problem> {
    match problem {
        Problem::Invalid(_)
        | Problem::Refused(_)
        | Problem::KeyReused
        | Problem::TooBusy
        | Problem::Timeout
        | Problem::Auth(_)
        | Problem::BodyTooLarge => Ok(problem),
        Problem::NotFound
        | Problem::MethodNotAllowed
        | Problem::Unavailable(_)
        | Problem::NotSignedIn
        | Problem::NotPermitted(_)
        | Problem::NotAvailable
        | Problem::Internal(_) => Err(problem),
    }
}

/// The same of a form into which names of things are typed: one that is not there is beside the form too.
///
/// # Errors
/// Those others.
pub(crate) fn beside_ids(problem: Problem) -> Result<Problem, Problem> {
    if matches!(problem, Problem::NotFound) {
        let text = "something of what was named is not there, or is not yours to name";
        return Ok(Problem::Invalid(text.to_owned()));
    }
    beside_form(problem)
}

/// A text of an answer.
pub(crate) fn text<'a>(answer: &'a Value, place: &str) -> &'a str {
    answer.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// An instant of an answer.
pub(crate) fn instant(answer: &Value, place: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    text(answer, place).parse().ok()
}

/// An amount of an answer, in smallest units.
pub(crate) fn minor(answer: &Value, name: &str, decimals: i16) -> i64 {
    let shown = answer.get(name).map(ToString::to_string).unwrap_or_default();
    let decimals = u8::try_from(decimals)
        .ok()
        .and_then(|digits| Decimals::try_from(digits).ok());
    decimals
        .and_then(|decimals| Amount::parse(&shown, decimals).ok())
        .map_or(0, Amount::get)
}
