//! What sales need done without anybody's click: messages worked off, reservations that ran out, offerings that end, close
//! or fail, transfers that nobody went on with, refunds asked for, holders credited, payouts sent.

use uuid::Uuid;

use crate::{
    app::App,
    command::{Command, RUNS_MAX, was_disturbed},
    db::Actor,
    distributions::{paying, payouts},
    holdings::transfers,
    investments::expiry,
    offerings::{Offering, closing, ending},
    payments::{messages, rail::SANDBOX, sandbox, sending},
    problem::{Problem, chain},
};

const JOB: Actor = Actor::Program("sales");

/// How much of what is due is done in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// All of it.
    Everything,
    /// All but closing funded offerings, which reads every purchase of theirs.
    Ordinary,
    /// Messages alone: the clock jumped, and what cannot be undone waits.
    OnlyMessages,
}

/// One turn over what is due. What fails is logged and left for the next turn; the rest goes on.
///
/// # Errors
/// When the database cannot be reached at all.
pub async fn turn(app: &App, pace: Turn) -> Result<(), Problem> {
    noting(
        "a message of the sandbox was not delivered",
        Box::pin(sandbox::deliver(app)).await,
    );
    let payments = look(app, async |command| messages::with_due(command).await).await?;
    for payment in payments {
        noting(
            "payment messages wait",
            Box::pin(messages::work_off(app, SANDBOX, &payment)).await,
        );
    }
    if pace == Turn::OnlyMessages {
        return Ok(());
    }
    for id in look(app, async |command| expiry::with_due(command).await).await? {
        noting("reservations were not ended", each(app, id, Step::Expire).await);
    }
    for id in look(app, async |command| ending::with_due(command).await).await? {
        noting("an offering was not ended", each(app, id, Step::End).await);
    }
    if pace == Turn::Everything {
        for id in look(app, async |command| closing::waiting(command).await).await? {
            noting("an offering was not closed", each(app, id, Step::Close).await);
        }
    }
    noting("transfers were not ended", Box::pin(end_transfers(app)).await);
    noting("refunds were not sent", Box::pin(sending::send_due(app)).await);
    noting("holders were not credited", Box::pin(paying::post_due(app)).await);
    noting("payouts were not sent", Box::pin(payouts::send_due(app)).await);
    Ok(())
}

async fn end_transfers(app: &App) -> Result<(), Problem> {
    let command = Command::begin(app, JOB).await?;
    transfers::expire_due(&command).await?;
    command.commit().await
}

async fn look<T>(app: &App, read: impl AsyncFnOnce(&Command) -> Result<Vec<T>, Problem>) -> Result<Vec<T>, Problem> {
    let command = Command::begin(app, JOB).await?;
    let found = read(&command).await?;
    command.commit().await?;
    Ok(found)
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Expire,
    End,
    Close,
}

/// One offering, one command.
async fn each(app: &App, id: Uuid, step: Step) -> Result<(), Problem> {
    let mut runs = 1;
    loop {
        match Box::pin(once(app, id, step)).await {
            Err(problem) if runs < RUNS_MAX && was_disturbed(&problem) => runs += 1,
            // What it waits for is no failure: the gate's evidence, a right to withdraw, a settlement.
            Err(Problem::Refused(refusal)) => {
                tracing::debug!(offering.id = %id, rule = refusal.rule, "an offering waits");
                return Ok(());
            }
            outcome => return outcome,
        }
    }
}

async fn once(app: &App, id: Uuid, step: Step) -> Result<(), Problem> {
    let command = Command::begin(app, JOB).await?;
    match step {
        Step::Expire => {
            expiry::expire_due(&command, id).await?;
        }
        Step::End => ending::end_if_due(&command, id).await?,
        Step::Close => {
            let offering = Offering::lock(&command, id).await?;
            if offering.must_be(&[mint_core::states::OfferingStatus::Funded]).is_ok()
                && let Some(refusal) = closing::close_locked(&command, &offering).await?
            {
                return Err(refusal.into());
            }
        }
    }
    command.commit().await
}

fn noting<T>(what: &'static str, outcome: Result<T, Problem>) {
    if let Err(problem) = outcome {
        tracing::error!(cause = %chain(&problem), "{what}");
    }
}
