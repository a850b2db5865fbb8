//! The entry test: questions that are data, asked without their answers, and passed by counting the right ones.

use std::collections::BTreeMap;

use mint_core::{compliance::case::CaseStatus, refusal::Refusal};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    accreditation::{NetWorth, supersede, worth_fits},
    parties, profile, until,
};
use crate::{command::Command, db::sql, outbox, permission::Person, problem::Problem};

/// Asks for the questions.
#[derive(Debug, Deserialize)]
pub struct Ask {
    #[serde(default = "ecspr")]
    code: String,
}

fn ecspr() -> String {
    "ecspr".to_owned()
}

/// Answers the questions of one version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    test_id: Uuid,
    answers: BTreeMap<String, String>,
    net_worth: Option<NetWorth>,
}

/// The questions of the version in force, without the right answers.
///
/// # Errors
/// [`Problem::NotFound`] for a test that there is not.
pub async fn ask(command: &Command, _: &Person, body: Ask) -> Result<Value, Problem> {
    let text = sql!(
        "select jsonb_build_object('testId', t.id, 'code', t.code, 'version', t.version, 'rightMin', t.right_min, 'source', t.source,
                  'questions', (select jsonb_agg(q.question - 'right' order by q.place)
                                from jsonb_array_elements(t.questions) with ordinality as q (question, place)))
         from public.entry_tests as t where t.code = $1 and t.valid_from <= $2 order by t.valid_from desc, t.version desc limit 1"
    );
    let row = command.tx.query_opt(text, &[&body.code, &command.now]).await?;
    let test: Value = row.ok_or(Problem::NotFound)?.try_get(0)?;
    Ok(json!({ "success": true, "test": test }))
}

/// A question with its right answer.
#[derive(Debug, Deserialize)]
struct Question {
    key: String,
    right: String,
}

/// Records the answers, and whether they pass. Who does not pass is told how many were right and not which.
///
/// # Errors
/// A refusal where the version is not in force or the tries of a day are used up.
pub async fn answer(command: &Command, person: &Person, body: Answer) -> Result<Value, Problem> {
    parties::lock(command, person.party_id()).await?;
    let text = sql!(
        "select t.questions, t.right_min, t.tries_max, t.source,
                t.id = (select n.id from public.entry_tests as n where n.code = t.code and n.valid_from <= $2
                        order by n.valid_from desc, n.version desc limit 1),
                (select count(*) from public.accreditation_cases as a
                 where a.party_id = $3 and a.kind = 'entry_test' and a.created_at > $2 - interval '24 hours')
         from public.entry_tests as t where t.id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&body.test_id, &command.now, &person.party_id()];
    let row = command.tx.query_opt(text, params).await?.ok_or(Problem::NotFound)?;
    let (right_min, tries_max, source): (i32, i32, String) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    if !row.try_get::<_, bool>(4)? {
        let reason = "these questions are not asked any more";
        return Err(
            Refusal::new("entry_test.in_force", reason, "ask for the questions again")
                .by(source)
                .into(),
        );
    }
    let tries: i64 = row.try_get(5)?;
    if tries >= i64::from(tries_max) {
        return Err(Refusal::new(
            "entry_test.tries",
            "you have used the tries of 24 hours",
            "read about what you want to buy, and try again later",
        )
        .looking_at("tries", tries)
        .looking_at("tries_max", tries_max)
        .by(source)
        .into());
    }
    let questions: Vec<Question> = serde_json::from_value(row.try_get(0)?).map_err(Problem::internal)?;
    if body.answers.len() > questions.len() || body.answers.values().any(|letter| letter.len() > 10) {
        return Err(Problem::Invalid(
            "answers is {key: letter} of the questions asked".to_owned(),
        ));
    }
    let right = questions
        .iter()
        .filter(|question| body.answers.get(&question.key) == Some(&question.right))
        .count();
    let right = i32::try_from(right).map_err(Problem::internal)?;
    let has_passed = right >= right_min;
    let case_id = record(command, person, body, right, has_passed).await?;
    let answer = json!({ "success": true, "caseId": case_id, "passed": has_passed, "answersRight": right, "rightMin": right_min });
    Ok(answer)
}

async fn record(
    command: &Command,
    person: &Person,
    body: Answer,
    right: i32,
    has_passed: bool,
) -> Result<Uuid, Problem> {
    let (status, reason, ended_at, expires_at) = if has_passed {
        supersede(command, person.party_id(), "entry_test").await?;
        (
            CaseStatus::Approved,
            None,
            None,
            Some(until(command, "entry_test", None).await?),
        )
    } else {
        (
            CaseStatus::Rejected,
            Some("too few right answers"),
            Some(command.now),
            None,
        )
    };
    let (amount, currency) = body.net_worth.map(|worth| (worth.minor, worth.currency)).unzip();
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.accreditation_cases (id, user_id, party_id, kind, method, submission, entry_test_id, answers_right,
           net_worth_minor, net_worth_currency, status, reason, decided_at, ended_at, expires_at, created_at)
         values ($1, $2, $3, 'entry_test', 'knowledge_test', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $11)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &person.user_id(),
        &person.party_id(),
        &json!({ "answers": body.answers }),
        &body.test_id,
        &right,
        &amount,
        &currency,
        &status.name(),
        &reason,
        &command.now,
        &ended_at,
        &expires_at,
    ];
    worth_fits(command.tx.execute(text, params).await)?;
    profile::follow(command, person.party_id()).await?;
    let topic = if has_passed {
        "entry_test.passed"
    } else {
        "entry_test.failed"
    };
    outbox::emit(
        command,
        topic,
        &id.to_string(),
        &json!({ "case_id": id, "party_id": person.party_id() }),
    )
    .await?;
    let title = if has_passed {
        "You passed the entry test"
    } else {
        "You did not pass the entry test"
    };
    profile::tell(
        command,
        person.party_id(),
        "entry_test",
        title,
        "Your answers are recorded.",
    )
    .await?;
    Ok(id)
}
