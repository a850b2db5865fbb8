//! A function of the operator's own that adds claims to access tokens: Supabase's custom access token hook.
//!
//! It may add claims. It may not say who somebody is, as whom he acts, or for how long: those claims stay as they are.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    db::{Tx, sql},
    problem::Problem,
};

/// Claims that are not the function's to change.
const OURS: [&str; 12] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "role",
    "aal",
    "amr",
    "session_id",
    "is_anonymous",
    "email",
];

/// Asks the function `hook` for the claims of a token. `tx` is the auth role's.
///
/// # Errors
/// When the function fails, or gives no claims: nobody gets a token that lacks what the operator wanted in it.
pub async fn with_custom_claims(tx: &Tx, hook: &str, user_id: Uuid, claims: Value) -> Result<Value, Problem> {
    let method = claims.pointer("/amr/0/method").cloned();
    let event = json!({ "user_id": user_id, "claims": claims, "authentication_method": method });
    let answer: Option<Value> = tx
        .query_one(sql!("select nexus.call_hook($1, $2)"), &[&hook, &event])
        .await?
        .try_get(0)?;
    let answer = answer.unwrap_or_default();
    let Some(wanted) = answer.get("claims").and_then(Value::as_object) else {
        return Err(Problem::internal("the access token hook gave no claims"));
    };
    let mut merged = wanted.clone();
    for name in OURS {
        match claims.get(name) {
            Some(value) => merged.insert(name.to_owned(), value.clone()),
            None => merged.remove(name),
        };
    }
    Ok(Value::Object(merged))
}
