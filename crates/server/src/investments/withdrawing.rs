//! `cancel-investment`: a buyer gives up a reservation, or withdraws within the time that the rules give.

use chrono::{DateTime, Utc};
use mint_core::{payment::Reason, refusal::Refusal, states::InvestmentStatus};
use uuid::Uuid;

use super::{
    InvestmentAnswer,
    expiry::{self, Ending},
    ordering::InvestmentId,
};
use crate::{command::Command, db::sql, offerings::Offering, payments::refunds, permission::Person, problem::Problem};

/// Gives up a reservation, or withdraws from a paid purchase while the right to do so lasts. Then everything that was
/// received goes back, fee included.
///
/// # Errors
/// `cooling_off` when the right has ended; `investment.status` when there is nothing to give up.
pub async fn cancel(command: &Command, person: &Person, body: InvestmentId) -> Result<InvestmentAnswer, Problem> {
    let text = sql!("select offering_id from public.investments where id = $1 and user_id = $2");
    let row = command
        .tx
        .query_opt(text, &[&body.investment_id, &person.user_id()])
        .await?
        .ok_or(Problem::NotFound)?;
    let offering_id: Option<Uuid> = row.try_get(0)?;
    let offering = Offering::lock(command, offering_id.ok_or(Problem::NotFound)?).await?;
    let text = sql!("select status, withdraw_until from public.investments where id = $1 for no key update");
    let row = command.tx.query_one(text, &[&body.investment_id]).await?;
    let status: InvestmentStatus = row.try_get::<_, String>(0)?.parse().map_err(Problem::internal)?;
    let until: Option<DateTime<Utc>> = row.try_get(1)?;
    match status {
        InvestmentStatus::Pending => {
            expiry::release(command, &offering, &[body.investment_id], Ending::GivenUp).await?;
        }
        InvestmentStatus::Paid if until.is_some_and(|until| command.now < until) => {
            refunds::owe(command, &offering, &[body.investment_id], Reason::Withdrawn).await?;
        }
        InvestmentStatus::Paid => {
            return Err(Refusal::new(
                "cooling_off",
                "the time in which you could withdraw has ended",
                "nothing: the purchase is binding now, and ends only with the offering",
            )
            .looking_at(
                "withdraw_until",
                until.map_or("never".to_owned(), |until| until.to_string()),
            )
            .looking_at("now", command.now)
            .by(format!("{} version {}", offering.pack.code, offering.pack.version))
            .into());
        }
        InvestmentStatus::Confirmed
        | InvestmentStatus::Expired
        | InvestmentStatus::Cancelled
        | InvestmentStatus::RefundDue
        | InvestmentStatus::Refunded => {
            return Err(Refusal::new(
                "investment.status",
                "there is nothing to give up any more",
                "give up purchases that are pending, or paid and still within their time to withdraw",
            )
            .looking_at("status", status)
            .into());
        }
    }
    Ok(InvestmentAnswer {
        investment: super::row(command, body.investment_id).await?,
    })
}
