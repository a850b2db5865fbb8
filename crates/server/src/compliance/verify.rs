//! `verify-kyc`: the name under which front ends know the verification of identity. It holds no rule of its own.

use serde::Deserialize;
use serde_json::Value;

use super::kyc::{self, Nothing};
use crate::{command::Command, permission::Person, problem::Problem};

/// What is asked for. Without an action it is `status`.
#[derive(Debug, Deserialize)]
pub struct Verify {
    #[serde(default)]
    action: Action,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Start,
    #[default]
    Status,
    Submit,
    Withdraw,
    List,
    Get,
    Take,
    Approve,
    Reject,
    Revoke,
}

/// Does what the action names, with the proof that it asks for.
///
/// # Errors
/// What the action's command refuses.
pub async fn verify(command: &Command, person: &Person, body: Verify) -> Result<Value, Problem> {
    let rest = Value::Object(body.rest);
    match body.action {
        Action::Start | Action::Status => shown(kyc::status(command, person, Nothing {}).await?),
        Action::Submit => shown(kyc::submit(command, person, read(rest)?).await?),
        Action::Withdraw => shown(kyc::withdraw(command, person, read(rest)?).await?),
        Action::List => kyc::queue(command, &person.officer()?, Nothing {}).await,
        Action::Get => kyc::get(command, &person.officer()?, read(rest)?).await,
        Action::Take => shown(kyc::take(command, &person.officer()?, read(rest)?).await?),
        Action::Approve => shown(kyc::approve(command, &person.officer()?, read(rest)?).await?),
        Action::Reject => shown(kyc::reject(command, &person.officer()?, read(rest)?).await?),
        Action::Revoke => shown(kyc::revoke(command, &person.officer()?, read(rest)?).await?),
    }
}

fn read<B: serde::de::DeserializeOwned>(body: Value) -> Result<B, Problem> {
    serde_json::from_value(body).map_err(|error| Problem::Invalid(format!("the body does not fit: {error}")))
}

fn shown(answer: impl serde::Serialize) -> Result<Value, Problem> {
    serde_json::to_value(answer).map_err(Problem::internal)
}
