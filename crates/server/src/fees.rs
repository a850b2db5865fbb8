//! Fees: a new version of what is charged, published by an admin for an instant that is to come. Nothing that was published is
//! changed, and what was charged before stays as it was: a purchase keeps the fee of its own instant.
//!
//! Absent on purpose: a second approval, as rule packs need none, and taking back what is announced. Another version takes its
//! place.

use chrono::{DateTime, Utc};
use mint_core::{
    fees::{FeeSchedule, holds_from},
    money::{Amount, Currency},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Number, json};
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    offerings::record::{self, amount},
    outbox,
    permission::Admin,
    problem::Problem,
};

/// Amounts, in whole units of the currency, on which a preview says what is charged.
const EXAMPLES: [i64; 3] = [100, 1_000, 100_000];

/// A new version of a fee. Figures are decimal texts in its currency.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishFee {
    fee_type: String,
    currency: String,
    rate_ppm: u32,
    fixed: Option<String>,
    minimum: Option<String>,
    maximum: Option<String>,
    valid_from: Option<DateTime<Utc>>,
    note: String,
}

/// What a version would charge.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    fee_type: String,
    currency: String,
    currency_decimals: u8,
    valid_from: DateTime<Utc>,
    /// From when on one that is announced already takes its place.
    valid_until: Option<DateTime<Utc>>,
    examples: Vec<Example>,
}

/// The fee on an amount.
#[derive(Debug, Serialize)]
struct Example {
    amount: Number,
    /// By the version that holds until then; none where there is none.
    before: Option<Number>,
    /// By the new one.
    then: Number,
}

/// The version that was published.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    id: Uuid,
    fee_type: String,
    currency: String,
    valid_from: DateTime<Utc>,
}

/// A version that may be published.
struct Version {
    currency: Currency,
    schedule: FeeSchedule,
    valid_from: DateTime<Utc>,
}

/// Says what a version would charge, beside what is charged until then.
///
/// # Errors
/// What [`publish`] would refuse.
pub async fn preview(command: &Command, _admin: &Admin, body: PublishFee) -> Result<Preview, Problem> {
    let version = check(command, &body).await?;
    let decimals = version.currency.decimals();
    let text = sql!(
        "select s.valid_from, s.rate_ppm, s.fixed_minor, s.minimum_minor, s.maximum_minor from public.fee_schedules as s
         where s.fee_type = $1 and s.currency = $2 and s.valid_from <= $3 order by s.valid_from desc limit 1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&body.fee_type, &version.currency.code(), &version.valid_from];
    let before = match command.tx.query_opt(text, params).await? {
        Some(row) if row.try_get::<_, DateTime<Utc>>(0)? == version.valid_from => return Err(taken().into()),
        Some(row) => Some(FeeSchedule {
            rate_ppm: u32::try_from(row.try_get::<_, i32>(1)?).map_err(Problem::internal)?,
            fixed: amount(row.try_get(2)?)?,
            minimum: amount(row.try_get(3)?)?,
            maximum: row.try_get::<_, Option<i64>>(4)?.map(amount).transpose()?,
        }),
        None => None,
    };
    let text = sql!(
        "select min(s.valid_from) from public.fee_schedules as s where s.fee_type = $1 and s.currency = $2 and s.valid_from > $3"
    );
    let valid_until: Option<DateTime<Utc>> = command.tx.query_one(text, params).await?.try_get(0)?;
    let shown = |amount: Amount| {
        let number: Result<Number, _> = amount.to_decimal(decimals).parse();
        number.map_err(Problem::internal)
    };
    let examples = EXAMPLES.map(|units| {
        let whole = Amount::parse(&units.to_string(), decimals).map_err(Problem::internal)?;
        let fee = |schedule: &FeeSchedule| {
            let fee = schedule.fee_on(whole);
            shown(fee.map_err(|error| Problem::Invalid(format!("the fee on {units}: {error}")))?)
        };
        Ok(Example {
            amount: shown(whole)?,
            before: before.as_ref().map(fee).transpose()?,
            then: fee(&version.schedule)?,
        })
    });
    Ok(Preview {
        fee_type: body.fee_type,
        currency: version.currency.code().to_owned(),
        currency_decimals: decimals.get(),
        valid_from: version.valid_from,
        valid_until,
        examples: examples.into_iter().collect::<Result<_, Problem>>()?,
    })
}

/// Publishes a version. It holds from its instant on, for what is reserved and approved from then on.
///
/// # Errors
/// `fee.notice`, `fee.one_at_an_instant`, [`Problem::Invalid`].
pub async fn publish(command: &Command, _admin: &Admin, body: PublishFee) -> Result<Published, Problem> {
    let version = check(command, &body).await?;
    let schedule = &version.schedule;
    let text = sql!(
        "insert into public.fee_schedules (fee_type, currency, currency_decimals, rate_ppm, fixed_minor, minimum_minor, maximum_minor, valid_from, note)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &body.fee_type,
        &version.currency.code(),
        &i16::from(version.currency.decimals().get()),
        &i32::try_from(schedule.rate_ppm).map_err(Problem::internal)?,
        &schedule.fixed.get(),
        &schedule.minimum.get(),
        &schedule.maximum.map(Amount::get),
        &version.valid_from,
        &body.note.trim(),
    ];
    let row = command
        .tx
        .query_one(text, params)
        .await
        .on_constraint("fee_schedules_one_at_an_instant", || taken().into())?;
    let id: Uuid = row.try_get(0)?;
    outbox::emit(
        command,
        "fee.published",
        &id.to_string(),
        &json!({ "feeScheduleId": id }),
    )
    .await?;
    Ok(Published {
        id,
        fee_type: body.fee_type,
        currency: version.currency.code().to_owned(),
        valid_from: version.valid_from,
    })
}

async fn check(command: &Command, body: &PublishFee) -> Result<Version, Problem> {
    let invalid = |text: &str| Problem::Invalid(text.to_owned());
    let is_word = body.fee_type.starts_with(|first: char| first.is_ascii_lowercase())
        && body.fee_type.len() <= 50
        && body
            .fee_type
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_word {
        return Err(invalid(
            "feeType has up to 50 small letters, digits and _, such as platform",
        ));
    }
    if body.note.trim().is_empty() || body.note.chars().count() > 1000 {
        return Err(invalid("note says why, in 1 to 1000 characters"));
    }
    let text = sql!("select decimals from public.currencies where code = $1");
    let decimals = command.tx.query_opt(text, &[&body.currency]).await?;
    let decimals: i16 = decimals
        .ok_or_else(|| invalid("currency: there is none of this code"))?
        .try_get(0)?;
    let currency = record::currency(&body.currency, decimals)?;
    let decimals = currency.decimals();
    let figure = |field: &str, text: &Option<String>| {
        let amount = text.as_deref().map(|text| Amount::parse(text, decimals));
        let amount = amount.transpose();
        amount.map_err(|error| Problem::Invalid(format!("{field}: {error}")))
    };
    let schedule = FeeSchedule {
        rate_ppm: body.rate_ppm,
        fixed: figure("fixed", &body.fixed)?.unwrap_or_default(),
        minimum: figure("minimum", &body.minimum)?.unwrap_or_default(),
        maximum: figure("maximum", &body.maximum)?,
    };
    schedule.check().map_err(|error| Problem::Invalid(error.to_string()))?;
    Ok(Version {
        currency,
        schedule,
        valid_from: holds_from(body.valid_from, command.now)?,
    })
}

fn taken() -> Refusal {
    Refusal::new(
        "fee.one_at_an_instant",
        "there is a version of this fee from that instant on",
        "publish it from another instant on",
    )
}
