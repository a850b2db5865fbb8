//! Questions to PostgreSQL, many in one packet: each group's are a transaction of its own, so that an error of one stops no other.

use std::collections::HashMap;

use super::registry::Group;
use crate::{
    db::sql,
    rest::{
        session::{NoSession, Session, Sessions},
        wire::{Fault, Heard, WireError},
    },
};

/// Groups whose questions are on their way at once. Their answers must fit where PostgreSQL writes them while nobody reads.
const GROUPS_AT_ONCE: usize = 64;

/// The statement that sets whose rights hold.
const CLAIMS: &str = sql!("select pg_catalog.set_config('request.jwt.claims', $1::text, true)");

/// One question: a statement that gives numbers, and its binds.
#[derive(Debug, Clone)]
pub struct Question {
    /// The statement.
    pub text: String,
    /// Its binds.
    pub binds: Vec<String>,
}

/// The numbers that each question of a group gave, or why there are none.
pub type Answer = Result<Vec<Vec<i64>>, Box<Fault>>;

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection was to be had.
    #[error("no database connection")]
    Session(#[from] NoSession),
    /// The connection was lost.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Asks the questions of groups of one role, with the rights of each.
///
/// # Errors
/// When the database cannot be reached; a group whose question failed has its own error.
pub async fn ask(
    sessions: &Sessions,
    role: &str,
    groups: &[(Group, Vec<Question>)],
) -> Result<HashMap<Group, Answer>, NoAnswer> {
    let mut answers = HashMap::new();
    let mut borrowed = sessions.borrow(role).await?;
    let session = borrowed.session()?;
    for some in groups.chunks(GROUPS_AT_ONCE) {
        let mut known = Vec::new();
        let mut texts = vec![CLAIMS];
        for (_, questions) in some {
            texts.extend(questions.iter().map(|question| question.text.as_str()));
        }
        for text in texts {
            if session.statements.prepared(text).is_none() {
                prepare(session, text).await?;
            }
            known.push(session.statements.prepared(text).unwrap_or_default().to_owned());
        }
        let mut names = known.into_iter();
        let claims = names.next().unwrap_or_default();
        for (group, questions) in some {
            session
                .wire
                .pen
                .run(&claims, [Some(&*group.claims)])
                .map_err(WireError::from)?;
            for question in questions {
                let name = names.next().unwrap_or_default();
                let binds = question.binds.iter().map(|bind| Some(bind.as_str()));
                session.wire.pen.run(&name, binds).map_err(WireError::from)?;
            }
            session.wire.pen.sync();
        }
        session.wire.send().await?;
        for (group, questions) in some {
            let answer = hear(session, questions.len()).await?;
            if matches!(&answer, Err(fault) if is_outdated(fault)) {
                questions
                    .iter()
                    .for_each(|question| session.statements.forget(&question.text));
            }
            answers.insert(group.clone(), answer);
        }
        session
            .statements
            .tidy(&mut session.wire.pen)
            .map_err(WireError::from)?;
    }
    session.wire.settle().await?;
    Ok(answers)
}

/// A statement that was made for a table as it was.
fn is_outdated(fault: &Fault) -> bool {
    ["0A", "26", "42"].iter().any(|class| fault.code.starts_with(class))
}

/// Prepares a statement; one that cannot be is asked without a name, and refused in its turn.
async fn prepare(session: &mut Session, text: &str) -> Result<(), WireError> {
    let name = session.statements.new_name();
    session.wire.pen.parse(&name, text)?;
    session.wire.pen.sync();
    session.wire.send().await?;
    let mut is_refused = false;
    loop {
        match session.wire.hear().await {
            Ok(Heard::Ready) => break,
            Ok(Heard::Row(_) | Heard::Done) => {}
            Err(WireError::Refused(_)) => is_refused = true,
            Err(error @ WireError::Lost(_)) => return Err(error),
        }
    }
    // Under a name that PostgreSQL does not know, its run is refused, and that is its answer.
    session.statements.keep(text, name);
    if is_refused {
        session.wire.settle().await?;
    }
    Ok(())
}

async fn hear(session: &mut Session, count: usize) -> Result<Answer, WireError> {
    let mut numbers: Vec<Vec<i64>> = vec![Vec::new(); count];
    let mut refused = None;
    // The first command sets the claims.
    let mut at = 0_usize;
    loop {
        match session.wire.hear().await {
            Ok(Heard::Row(row)) => {
                let first = row.columns().next().flatten();
                let number = first.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
                let question = at.checked_sub(1).and_then(|at| numbers.get_mut(at));
                if let (Some(question), Some(number)) = (question, number) {
                    question.push(number);
                }
            }
            Ok(Heard::Done) => at += 1,
            Ok(Heard::Ready) => break,
            Err(WireError::Refused(fault)) => refused = Some(fault),
            Err(error @ WireError::Lost(_)) => return Err(error),
        }
    }
    Ok(match refused {
        Some(fault) => Err(fault),
        None => Ok(numbers),
    })
}
