//! Rule packs: read, and published by an admin.

use chrono::{DateTime, Utc};
use mint_core::{
    refusal::Refusal,
    rule_pack::{PackRule, RulePack},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::Admin,
    problem::Problem,
};

/// Reads the rules of a pack as the database has them.
///
/// # Errors
/// When they are none that this program knows.
pub fn parse(code: String, version: i32, rules: Value) -> Result<RulePack, Problem> {
    let rules: Vec<PackRule> = serde_json::from_value(rules)
        .map_err(|error| Problem::Invalid(format!("the rules of {code} version {version} do not fit: {error}")))?;
    Ok(RulePack { code, version, rules })
}

/// The newest version of a pack that may be used at the command's instant, with its id.
///
/// # Errors
/// `rule_pack.known`.
pub async fn newest(command: &Command, code: &str) -> Result<(Uuid, RulePack), Problem> {
    let text = sql!(
        "select id, version, rules from public.rule_packs where code = $1 and valid_from <= $2 order by version desc limit 1"
    );
    let Some(row) = command.tx.query_opt(text, &[&code, &command.now]).await? else {
        let text = sql!("select coalesce(string_agg(distinct code, ', ' order by code), '') from public.rule_packs");
        let known: String = command.tx.query_one(text, &[]).await?.try_get(0)?;
        return Err(Refusal::new(
            "rule_pack.known",
            format!("there is no rule pack {code:?} in force"),
            format!("choose one of {known}"),
        )
        .into());
    };
    Ok((
        row.try_get(0)?,
        parse(code.to_owned(), row.try_get(1)?, row.try_get(2)?)?,
    ))
}

/// A new version of a pack.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishRulePack {
    code: String,
    title: String,
    summary: String,
    rules: Value,
    valid_from: Option<DateTime<Utc>>,
}

/// The version that was published.
#[derive(Debug, Serialize)]
pub struct Published {
    id: Uuid,
    code: String,
    version: i32,
}

/// Publishes a new version of a rule pack. Offerings keep the version they were made under.
///
/// # Errors
/// When a rule is unknown or a parameter does not fit.
pub async fn publish(command: &Command, admin: &Admin, body: PublishRulePack) -> Result<Published, Problem> {
    let text = sql!("select coalesce(max(version), 0) + 1 from public.rule_packs where code = $1");
    let version: i32 = command.tx.query_one(text, &[&body.code]).await?.try_get(0)?;
    let pack = parse(body.code, version, body.rules)?;
    let rules = serde_json::to_value(&pack.rules).map_err(Problem::internal)?;
    let text = sql!(
        "insert into public.rule_packs (code, version, title, summary, rules, valid_from, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id"
    );
    let valid_from = body.valid_from.unwrap_or(command.now);
    let row = command
        .tx
        .query_one(
            text,
            &[
                &pack.code,
                &version,
                &body.title,
                &body.summary,
                &rules,
                &valid_from,
                &admin.user_id(),
                &command.now,
            ],
        )
        .await
        .on_constraint("rule_packs_once_a_version", || {
            let remedy = "look at the newest version, and publish what is still to be changed";
            Refusal::new("rule_pack.version", "somebody published this version meanwhile", remedy).into()
        })
        .on_constraint("rule_packs_code_is_a_name", || {
            Problem::Invalid("code has up to 50 small letters, digits and _, such as reg_d_506c".to_owned())
        })
        .on_constraint("rule_packs_title_is_not_blank", || {
            Problem::Invalid("title has 1 to 200 characters".to_owned())
        })
        .on_constraint("rule_packs_summary_is_bounded", || {
            Problem::Invalid("summary has 1 to 2000 characters".to_owned())
        })
        .on_constraint("rule_packs_rules_are_an_array", || {
            Problem::Invalid("rules: a list of at most 50,000 characters".to_owned())
        })?;
    let id: Uuid = row.try_get(0)?;
    outbox::emit(
        command,
        "rule_pack.published",
        &id.to_string(),
        &serde_json::json!({ "rulePackId": id }),
    )
    .await?;
    Ok(Published {
        id,
        code: pack.code,
        version,
    })
}
