//! Investments: reserved, given up, withdrawn, expired. Paying them is in `payments`, closing them in `offerings`.

pub mod batch;
pub mod expiry;
pub mod ordering;
pub mod quoting;
pub mod reserving;
pub mod withdrawing;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{command::Command, db::sql, problem::Problem};

/// An investment's row, as clients read the table.
///
/// # Errors
/// [`Problem::NotFound`].
pub async fn row(command: &Command, id: Uuid) -> Result<Value, Problem> {
    let text = sql!("select to_jsonb(i) from public.investments as i where i.id = $1");
    let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
    Ok(row.try_get(0)?)
}

/// An answer about one investment.
#[derive(Debug, Serialize)]
pub struct InvestmentAnswer {
    pub(crate) investment: Value,
}
