//! `create-investment` and `create-investment-payment`: orders of one property wait in its line, and a batch of them is one
//! transaction of two exchanges with PostgreSQL.
//!
//! One transaction of many commands, each with its own outcome: the exception to "one command, one transaction". What
//! PostgreSQL refuses undoes all of it; then it is run by halves, until what was refused stands alone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    ordering::CreateInvestment,
    reserving::{self, Asked, NewOrder, Opening, OrderKey, Ordered, Verdict},
};
use crate::{
    app::App,
    command::{Call, Command, RUNS_MAX, was_disturbed},
    db::{Actor, Db, Tx},
    offerings::record::CURRENT,
    payments::sessions,
    problem::{Problem, chain},
    queue::Queue,
};

/// Where orders wait, by property.
pub type Purchases = Queue<NewOrder, Result<Told, Problem>>;

/// What a batch says of an order that was not refused.
#[derive(Debug)]
pub enum Told {
    /// The answer.
    Answer(Value),
    /// The order is that for this reservation, which was pending before; its row.
    Same(Uuid, Value),
}

/// `create-investment`: waits in the line of the property, and answers with the investment's row.
///
/// # Errors
/// The rule that says no; [`Problem::NotFound`] for a property without an offering; [`Problem::TooBusy`].
pub async fn create(call: &Call<'_>) -> Result<Value, Problem> {
    match wait(call, Ordered::Investment).await? {
        Told::Answer(answer) | Told::Same(_, answer) => Ok(answer),
    }
}

/// `create-investment-payment`: the same, and answers with where to pay. `amount` in the body is a wish and never believed.
///
/// # Errors
/// As [`create`]; `offering.live`.
pub async fn checkout(call: &Call<'_>) -> Result<Value, Problem> {
    match wait(call, Ordered::Checkout).await? {
        Told::Answer(answer) => Ok(answer),
        // The client gave no key, or there would be an answer under it.
        Told::Same(id, _) => {
            let command = Command::begin(call.app, Actor::Person(call.user_id)).await?;
            let page = sessions::page_of(&command, call.user_id, id).await?;
            call.finish(command, page).await
        }
    }
}

fn lines(app: &App, ordered: Ordered) -> &Arc<Purchases> {
    match ordered {
        Ordered::Investment => &app.purchases,
        Ordered::Checkout => &app.checkouts,
    }
}

async fn wait(call: &Call<'_>, ordered: Ordered) -> Result<Told, Problem> {
    call.check_key()?;
    let key = call.key.map(|key| OrderKey {
        text: key.to_owned(),
        body_sha256: Sha256::digest(call.body).to_vec(),
    });
    let wish = call.body::<CreateInvestment>().map_err(|problem| problem.to_string());
    // A body that nobody can read waits as well: its key and its login are looked at first.
    let property_id = wish.as_ref().map_or(Uuid::nil(), |wish| wish.property_id);
    let order = NewOrder {
        id: Uuid::now_v7(),
        user_id: call.user_id,
        wish,
        reuses_identical: key.is_none(),
        key,
    };
    let app = call.app.clone();
    let work = move |mut offering_id: Option<Uuid>, orders: Vec<NewOrder>| {
        let app = app.clone();
        async move {
            let answers = run(&app, ordered, property_id, &mut offering_id, &orders).await;
            (offering_id, answers)
        }
    };
    lines(call.app, ordered).wait(property_id, order, work).await?
}

/// Looks whether an order may wait at all, before anything else is asked of it. Every other command may.
///
/// # Errors
/// [`Problem::TooBusy`].
pub fn check_line(app: &App, name: &str, body: &[u8]) -> Result<(), Problem> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(rename = "propertyId")]
        property_id: Uuid,
    }
    let Some(ordered) = Ordered::ALL.into_iter().find(|ordered| ordered.command() == name) else {
        return Ok(());
    };
    let line = serde_json::from_slice::<Line>(body);
    if line.is_ok_and(|line| lines(app, ordered).is_full(line.property_id)) {
        return Err(Problem::TooBusy);
    }
    Ok(())
}

/// Who acts where the orders are of several people; each row says whose it is.
const MANY: Actor = Actor::Program("purchases");

/// Why a batch has no outcomes.
enum Failure {
    /// Nothing of it stays.
    Undone(Problem),
    /// Nobody knows, or all of it stays: it must not be run again.
    Unknown(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Undone(problem)
    }
}

/// Runs orders of a property, and answers for each in order. `offering_id` is its offering as far as is known, and is set to
/// what was found.
pub async fn run(
    app: &App,
    ordered: Ordered,
    property_id: Uuid,
    offering_id: &mut Option<Uuid>,
    orders: &[NewOrder],
) -> Vec<Result<Told, Problem>> {
    let mut runs = 1;
    let problem = loop {
        match Box::pin(once(app, ordered, property_id, offering_id, orders)).await {
            Ok(answers) => return answers,
            Err(Failure::Undone(problem)) if runs < RUNS_MAX && may_pass(&problem) => runs += 1,
            Err(Failure::Undone(problem)) if is_of_an_order(&problem) && orders.len() > 1 => {
                tracing::warn!(cause = %chain(&problem), orders = orders.len(), "a batch of purchases was undone; its halves are tried");
                let (first, second) = orders.split_at(orders.len() / 2);
                let mut answers = Box::pin(run(app, ordered, property_id, offering_id, first)).await;
                answers.extend(Box::pin(run(app, ordered, property_id, offering_id, second)).await);
                return answers;
            }
            Err(Failure::Undone(problem) | Failure::Unknown(problem)) => break problem,
        }
    };
    let more = orders.iter().skip(1).map(|_| Err(same(&problem))).collect::<Vec<_>>();
    std::iter::once(Err(problem)).chain(more).collect()
}

/// Another transaction stood in the way; or it had just taken a client's key, and the next look finds the answer.
fn may_pass(problem: &Problem) -> bool {
    let constraint = problem.database_error().and_then(|error| error.constraint());
    was_disturbed(problem) || constraint == Some("command_keys_pkey")
}

/// Whether an order may be the reason, and not PostgreSQL, the network or a lock.
fn is_of_an_order(problem: &Problem) -> bool {
    !matches!(problem, Problem::Unavailable(_) | Problem::Timeout)
}

/// What the others of a batch are told.
fn same(problem: &Problem) -> Problem {
    if matches!(problem, Problem::Timeout) {
        return Problem::Timeout;
    }
    Problem::Unavailable(chain(problem).into())
}

async fn once(
    app: &App,
    ordered: Ordered,
    property_id: Uuid,
    offering_id: &mut Option<Uuid>,
    orders: &[NewOrder],
) -> Result<Vec<Result<Told, Problem>>, Failure> {
    let actor = match orders {
        [first, others @ ..] if others.iter().all(|other| other.user_id == first.user_id) => {
            Actor::Person(first.user_id)
        }
        _ => MANY,
    };
    let mut looks = 1;
    let (tx, mut loaded) = loop {
        let tx = app.db.engine_connection().await.map_err(Problem::from)?;
        reserving::prepare(&tx).await?;
        let opening = open(&tx, actor, property_id, offering_id).await?;
        let asked = Asked {
            property_id,
            offering_id: *offering_id,
            ordered,
            orders,
            set_time: app.set_time(),
        };
        let loaded = reserving::load(&tx, opening, asked).await?;
        // The wrong offering is locked where another one was opened since: look again.
        if loaded.is_current || looks == RUNS_MAX {
            break (tx, loaded);
        }
        looks += 1;
        *offering_id = None;
    };
    let (verdicts, accepted) = reserving::decide(&mut loaded, ordered, orders);
    let answers = match &loaded.offering {
        Some(offering) if !accepted.is_empty() => {
            let command = Command::over(app, tx, loaded.now, actor);
            let written = reserving::write(&command, offering, ordered, &accepted).await;
            let answers = written.map_err(|problem| match problem.database_error() {
                Some(_) => Failure::Undone(problem),
                None => Failure::Unknown(problem),
            })?;
            command.tx.ended();
            answers
        }
        Some(_) | None => Default::default(),
    };
    let answer = |verdict| match verdict {
        Verdict::Reserved(id) => {
            let answer = answers.get(&id).cloned().map(Told::Answer);
            answer.ok_or_else(|| Problem::internal(format!("investment {id} was written and not told")))
        }
        Verdict::Same(id, row) => Ok(Told::Same(id, row)),
        Verdict::Answered(answer) => Ok(Told::Answer(answer)),
        Verdict::Refused(problem) => Err(problem),
    };
    Ok(verdicts.into_iter().map(answer).collect())
}

/// How the exchange begins: where nobody knows the property's offering yet, it is looked up first.
async fn open(tx: &Tx, actor: Actor, property_id: Uuid, offering_id: &mut Option<Uuid>) -> Result<Opening, Problem> {
    let claims = Db::claims_of(actor);
    if offering_id.is_some() {
        return Ok(Opening::Claims(claims));
    }
    let property: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&property_id];
    let (now, row): (DateTime<Utc>, _) = tokio::try_join!(biased; tx.start(&claims), tx.query_opt(CURRENT, property))?;
    *offering_id = row.map(|row| row.try_get(0)).transpose()?;
    Ok(Opening::Begun(now))
}
