//! Trying: statements that run as a persona and are undone.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::fixture::Persona;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The wall said no before it looked at any row.
    NoPrivilege,
    /// The wall said no: no policy lets it through, or a trigger guards the table.
    Refused,
    /// So many rows were reached.
    Hit(i64),
    /// The wall let it through, and a constraint on the data stopped it (class 23), which comes after the wall.
    LetThrough,
}

impl Outcome {
    pub(super) fn is_let_through(&self) -> bool {
        match self {
            Outcome::NoPrivilege | Outcome::Refused | Outcome::Hit(0) => false,
            Outcome::Hit(_) | Outcome::LetThrough => true,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Outcome::NoPrivilege | Outcome::Refused)
    }
}

/// Tries statements as a persona, each by itself.
pub(super) async fn tries(client: &Client, who: &Persona, statements: &[String]) -> Vec<Outcome> {
    let numbered: Vec<(usize, String)> = statements.iter().cloned().enumerate().collect();
    let outcomes = run(client, who, &numbered).await;
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// The numbers of which one statement at least is let through.
pub(super) async fn any_let_through(client: &Client, who: &Persona, numbered: &[(usize, String)]) -> BTreeSet<usize> {
    let outcomes = run(client, who, numbered).await.into_iter();
    outcomes
        .filter(|(_, outcome)| outcome.is_let_through())
        .map(|(number, _)| number)
        .collect()
}

/// What is neither refused nor stopped by a constraint is a mistake of the test.
async fn run(client: &Client, who: &Persona, numbered: &[(usize, String)]) -> Vec<(usize, Outcome)> {
    if numbered.is_empty() {
        return Vec::new();
    }
    let statements: Vec<&str> = numbered.iter().map(|(_, statement)| statement.as_str()).collect();
    let numbers: Vec<i32> = numbered
        .iter()
        .map(|(number, _)| i32::try_from(*number).unwrap())
        .collect();
    let rows = client
        .query(
            "select number, state, hits, said from probe.tries($1, $2, $3, $4)",
            &[&who.role, &who.claims, &statements, &numbers],
        )
        .await
        .unwrap();
    let outcome = |row: &tokio_postgres::Row| {
        let said = row.get::<_, Option<&str>>(3).unwrap_or_default();
        match row.get(1) {
            "ZZ000" => Outcome::Hit(row.get(2)),
            // A policy or constraint whose function the role may not call is no wall but a broken door.
            "42501" if said.starts_with("permission denied for function") => {
                panic!("{}: {said}\n{statements:#?}", who.name)
            }
            "42501" if said.starts_with("permission denied for") => Outcome::NoPrivilege,
            "42501" => Outcome::Refused,
            // What nobody can write: a view that is no window, a generated column seen through one.
            "42809" | "55000" | "428C9" => Outcome::Refused,
            // 0A000: a TRUNCATE that was allowed, of a table that others refer to.
            "0A000" => Outcome::LetThrough,
            state if state.starts_with("23") => Outcome::LetThrough,
            state => panic!("{}: {state} {said}\n{statements:#?}", who.name),
        }
    };
    let number = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i32>(0)).unwrap();
    rows.iter().map(|row| (number(row), outcome(row))).collect()
}

/// What an expression answers: its text, null, or that it is refused.
pub(super) async fn answer(client: &Client, who: &Persona, expression: &str) -> String {
    let row = client
        .query_one(
            "select state, answer from probe.answer($1, $2, $3)",
            &[&who.role, &who.claims, &format!("select {expression}")],
        )
        .await
        .unwrap();
    match row.get::<_, &str>(0) {
        "ZZ000" => match row.get::<_, Option<String>>(1) {
            None => "null".to_owned(),
            // What a function without a result answers.
            Some(text) if text.is_empty() => "done".to_owned(),
            Some(text) => text,
        },
        "42501" => "refused".to_owned(),
        state => panic!("{}: {state} {expression}", who.name),
    }
}

/// The digests of the rows that `select *` shows, or none where it is refused.
pub(super) async fn digests_seen(client: &Client, who: &Persona, relation: &str, filter: &str) -> Vec<String> {
    let query = format!("select array_agg(md5(to_jsonb(t)::text)) from {relation} as t where {filter}");
    let row = client
        .query_one(
            "select state, string_to_array(btrim(answer, '{}'), ',') from probe.answer($1, $2, $3)",
            &[&who.role, &who.claims, &query],
        )
        .await
        .unwrap();
    match row.get::<_, &str>(0) {
        "ZZ000" => row.get::<_, Option<Vec<String>>>(1).unwrap_or_default(),
        "42501" => Vec::new(),
        state => panic!("{} reading {relation}: {state}", who.name),
    }
}
