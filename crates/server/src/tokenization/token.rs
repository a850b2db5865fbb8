//! What `token_configuration` makes: the property's token, all of it authorised and available.

use mint_core::{
    account::{Account, Asset, Purpose},
    money::{Amount, Decimals},
    posting::Postings,
    refusal::Refusal,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::process::Process;
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    ledger::{self, NewEntry},
    offerings::supply,
    outbox,
    problem::Problem,
};

/// A token as its manager wants it.
#[derive(Debug)]
pub(super) struct Configuration {
    name: String,
    symbol: String,
    supply: Amount,
    price: Amount,
    decimals: Decimals,
}

impl Configuration {
    /// Reads `name`, `symbol`, `totalSupply`, `tokenPrice` (in the property's currency) and `tokenDecimals` (0 unless said).
    pub(super) fn parse(data: &Map<String, Value>, process: &Process) -> Result<Configuration, Problem> {
        let text = |name: &str| match data.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(_) | None => Err(Problem::Invalid(format!("data.{name} is missing"))),
        };
        let wrong = |name: &str, error: &dyn std::fmt::Display| Problem::Invalid(format!("data.{name}: {error}"));
        let decimals = match data.get("tokenDecimals") {
            None | Some(Value::Null) => Decimals::WHOLE,
            Some(digits) => digits
                .as_u64()
                .and_then(|digits| Decimals::try_from(u8::try_from(digits).ok()?).ok())
                .ok_or_else(|| wrong("tokenDecimals", &"0 to 6"))?,
        };
        let currency_decimals = u8::try_from(process.currency_decimals)
            .ok()
            .and_then(|digits| Decimals::try_from(digits).ok())
            .ok_or_else(|| Problem::internal("a currency with decimals out of range"))?;
        let amount = |name: &str, decimals| Amount::parse(&text(name)?, decimals).map_err(|error| wrong(name, &error));
        let configuration = Configuration {
            name: text("name")?,
            symbol: text("symbol")?,
            supply: amount("totalSupply", decimals)?,
            price: amount("tokenPrice", currency_decimals)?,
            decimals,
        };
        if configuration.supply == Amount::ZERO || configuration.price == Amount::ZERO {
            return Err(Problem::Invalid(
                "data.totalSupply and data.tokenPrice are above 0".to_owned(),
            ));
        }
        if configuration.name.trim().is_empty() || configuration.name.chars().count() > 200 {
            return Err(Problem::Invalid("data.name has 1 to 200 characters".to_owned()));
        }
        let is_symbol = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !(1..=64).contains(&configuration.symbol.len()) || !configuration.symbol.chars().all(is_symbol) {
            return Err(Problem::Invalid(
                "data.symbol is 1 to 64 letters, digits, . _ -".to_owned(),
            ));
        }
        if let Err(error) = configuration.supply.at_price(configuration.price, decimals) {
            return Err(Refusal::new(
                "token.value_is_exact",
                format!("all tokens at their price are no exact amount: {error}"),
                "choose a supply and a price whose product is one",
            )
            .looking_at("supply", configuration.supply.to_decimal(decimals))
            .looking_at("price", configuration.price.to_decimal(currency_decimals))
            .into());
        }
        Ok(configuration)
    }
}

/// Makes the token that was submitted: its row, its supply, and the entry that authorises it.
pub(super) async fn authorise(command: &Command, process: &Process) -> Result<(), Problem> {
    let data = process.data_of(mint_core::tokenization::Step::TokenConfiguration);
    let configuration = Configuration::parse(&data, process)?;
    let token_id = Uuid::now_v7();
    let (units, price) = (configuration.supply.get(), configuration.price.get());
    let decimals = i16::from(configuration.decimals.get());
    let text = sql!(
        "insert into public.property_tokens (id, property_id, name, symbol, token_decimals, total_supply_units,
           available_supply_units, currency, currency_decimals, initial_price_minor, current_price_minor, created_at)
         values ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $9, $10)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &token_id,
        &process.property_id,
        &configuration.name,
        &configuration.symbol,
        &decimals,
        &units,
        &process.currency,
        &process.currency_decimals,
        &price,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    supply::open(command, token_id, units).await?;
    let account = |purpose| Account::new(purpose, Asset::Token(token_id), Some(process.property_id), None);
    let (from, to) = (
        account(Purpose::Authorised).map_err(Problem::internal)?,
        account(Purpose::Available).map_err(Problem::internal)?,
    );
    let entry = NewEntry {
        key: format!("token:{token_id}:authorised"),
        kind: "token.authorised",
        business_date: command.now.date_naive(),
        actor_id: command.actor_id(),
        cause: json!({ "property_token_id": token_id, "process_id": process.id }),
        postings: Postings::moving(configuration.supply, from, to).map_err(Problem::internal)?,
    };
    ledger::post(&command.tx, entry).await.map_err(Problem::internal)?;
    let text = sql!("update public.tokenization_processes set property_token_id = $2 where id = $1");
    command.tx.execute(text, &[&process.id, &token_id]).await?;
    let text = sql!(
        "update public.properties set total_tokens = nexus.from_minor($2, $3::smallint), price_per_token = nexus.from_minor($4, $5::smallint)
         where id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &process.property_id,
        &units,
        &decimals,
        &price,
        &process.currency_decimals,
    ];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("properties_tokens_issued_within_total", || {
            Refusal::new(
                "token.one_class",
                "more tokens of the property are held than this supply",
                "configure a larger supply",
            )
            .into()
        })?;
    let told = json!({ "property_token_id": token_id, "property_id": process.property_id });
    outbox::emit(command, "token.authorised", &token_id.to_string(), &told).await?;
    Ok(())
}
