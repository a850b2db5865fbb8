//! Figures that are derived: sums folded from changes, and what a property's periods and valuations say.
//!
//! Triggers write what changed, in the transaction that changes it (`0147_figures`); a worker folds it into sums and computes the
//! rows of `property_analytics` that rest on it. Everything here can be dropped and computed again, and runs on several servers at
//! once: what one has locked, the others leave. Formulas are [`mint_core::analytics`]'s, their sources in docs/ANALYTICS.md.

pub mod asked;
mod deriving;

use crate::{
    app::App,
    command::Command,
    db::{Actor, sql},
    problem::Problem,
};

const JOB: Actor = Actor::Program("analytics");

/// Changes folded in one transaction: some milliseconds, so that nobody waits for a row of it.
const CHANGES_MAX: i32 = 1_000;

/// Transactions of one turn, so that what others hold locked is not tried without end.
const STEPS_MAX: usize = 100;

/// Folds what waits and computes what is due. Answers how many changes and properties there were.
///
/// # Errors
/// What the database answered.
pub async fn fold(app: &App) -> Result<(i64, usize), Problem> {
    let mut changes = 0;
    for _ in 0..STEPS_MAX {
        let command = Command::begin(app, JOB).await?;
        let text = sql!("select nexus.fold_figures($1, $2)");
        let folded: i32 = command
            .tx
            .query_one(text, &[&CHANGES_MAX, &command.now])
            .await?
            .try_get(0)?;
        command.commit().await?;
        changes += i64::from(folded);
        if folded < CHANGES_MAX {
            break;
        }
    }
    let mut properties = 0;
    for _ in 0..STEPS_MAX {
        let command = Command::begin(app, JOB).await?;
        let derived = deriving::derive_due(&command).await?;
        command.commit().await?;
        properties += derived;
        if derived == 0 {
            break;
        }
    }
    Ok((changes, properties))
}

/// Refreshes the two market views when what they show has changed, once a minute at most: whether it did.
///
/// # Errors
/// What the database answered.
pub async fn refresh_if_stale(app: &App) -> Result<bool, Problem> {
    let command = Command::begin(app, JOB).await?;
    let text =
        sql!("select is_stale and coalesce(refreshed_at < now() - interval '1 minute', true) from nexus.market_views");
    let is_due: bool = command.tx.query_one(text, &[]).await?.try_get(0)?;
    if is_due {
        command
            .tx
            .execute(sql!("select public.refresh_analytics_views()"), &[])
            .await?;
    }
    command.commit().await?;
    Ok(is_due)
}
