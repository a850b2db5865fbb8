//! An order of one person: what it says. How it is decided: [`reserving`](super::reserving).

use mint_core::money::{Amount, Decimals};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use uuid::Uuid;

use super::InvestmentAnswer;
use crate::{command::Command, db::sql, offerings::Offering, permission::Person, problem::Problem};

/// An order. Prices, fees and statuses that a client sends as well are passed over.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateInvestment {
    pub(crate) property_id: Uuid,
    pub(crate) token_amount: TokenAmount,
    pub(crate) payment_method: Option<String>,
    #[serde(default)]
    pub(crate) accepts_warning: bool,
}

/// How many tokens, as people write them: `2`, `"2"` or, of a token with decimals, `2.5`.
#[derive(Debug, Clone)]
pub struct TokenAmount(String);

impl<'de> Deserialize<'de> for TokenAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenAmount, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(Number),
            Text(String),
        }
        Ok(TokenAmount(match Given::deserialize(deserializer)? {
            // 2.0 is how some clients write 2.
            Given::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
            Given::Text(text) => text,
        }))
    }
}

impl TokenAmount {
    /// The amount in the smallest unit of an offering's token.
    ///
    /// # Errors
    /// [`Problem::Invalid`] when it is no amount, or zero.
    pub fn of(&self, offering: &Offering) -> Result<Amount, Problem> {
        self.units(offering.token_decimals)
    }

    /// The amount in the smallest unit of a token with so many decimals.
    ///
    /// # Errors
    /// As [`TokenAmount::of`].
    pub fn units(&self, decimals: Decimals) -> Result<Amount, Problem> {
        match Amount::parse(&self.0, decimals) {
            Ok(Amount::ZERO) => Err(Problem::Invalid("tokenAmount: at least one".to_owned())),
            Ok(units) => Ok(units),
            Err(error) => Err(Problem::Invalid(format!("tokenAmount {}: {error}", self.0))),
        }
    }
}

/// Names an investment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvestmentId {
    pub(crate) investment_id: Uuid,
}

/// An investment of the caller.
///
/// # Errors
/// [`Problem::NotFound`] when it is not his.
pub async fn show(command: &Command, person: &Person, body: InvestmentId) -> Result<InvestmentAnswer, Problem> {
    let text = sql!("select from public.investments where id = $1 and user_id = $2");
    command
        .tx
        .query_opt(text, &[&body.investment_id, &person.user_id()])
        .await?
        .ok_or(Problem::NotFound)?;
    Ok(InvestmentAnswer {
        investment: super::row(command, body.investment_id).await?,
    })
}
