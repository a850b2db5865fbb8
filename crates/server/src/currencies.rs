//! Exchange rates to show amounts by. Nothing is ever exchanged by them: an offering is paid in its own currency.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::{command::Command, permission::Person, problem::Problem};

/// The dirham's official peg, dirhams for a dollar (Central Bank of the UAE, since 1997), and its inverse to ten places.
const USD_TO_AED: &str = "3.6725";
const AED_TO_USD: &str = "0.2722940776";

/// Asks for the rates.
#[derive(Debug, Deserialize)]
pub struct GetRates {}

/// The rates and where they are from.
#[derive(Debug, Serialize)]
pub struct Rates {
    success: bool,
    rates: RatesByName,
    source: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct RatesByName {
    usd_to_aed: Number,
    aed_to_usd: Number,
}

/// The rates to show amounts by: pegs only, since a market's rate would have to be fetched and dated.
///
/// # Errors
/// None; the signature is a command's.
#[allow(clippy::unused_async)] // a command's signature
pub async fn rates(_command: &Command, _person: &Person, _body: GetRates) -> Result<Rates, Problem> {
    let number = |text: &str| text.parse::<Number>().map_err(Problem::internal);
    Ok(Rates {
        success: true,
        rates: RatesByName {
            usd_to_aed: number(USD_TO_AED)?,
            aed_to_usd: number(AED_TO_USD)?,
        },
        source: "the dirham's official peg to the US dollar (Central Bank of the UAE)",
    })
}
