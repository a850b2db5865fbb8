//! Declaring: asked for by one person, declared by another, from the register at that instant or the token-seconds of a
//! period that is over, through the evidence gate.

use chrono::{DateTime, Utc};
use mint_core::{
    account::Purpose, book::Move, distribution::can_declare, entitlement::can_count, money::Amount, refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::house::{House, acts_for, of};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    documents::gate::{self, Action, OfferingKind},
    offerings::{preparing::four_eyes, record::amount, supply::one},
    outbox,
    payments::record::post,
    permission::{Overseer, Person},
    problem::Problem,
};

/// Lines that a preview shows at most.
const PREVIEW_LINES_MAX: i64 = 1_000;

/// How long the one statement over all holders may run. A request ends before; `nexus-mint call` waits for it.
const STATEMENT_TIME_MAX: &str = "10min";

async fn take_time(command: &Command) -> Result<(), Problem> {
    let text = sql!("select set_config('statement_timeout', $1, true)");
    command.tx.query_one(text, &[&STATEMENT_TIME_MAX]).await?;
    Ok(())
}

/// What is to be distributed: a decimal figure, or everything that can be; to whom: by the register when it is declared, or by
/// the token-seconds of a period.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    property_id: Uuid,
    amount: Option<String>,
    seconds_from: Option<DateTime<Utc>>,
    seconds_to: Option<DateTime<Utc>>,
}

/// From when until when token-seconds count; nothing where the register does.
type Period = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Wish {
    /// The period whose token-seconds decide, if they do.
    fn period(&self, command: &Command) -> Result<Period, Problem> {
        let (from, to) = match (self.seconds_from, self.seconds_to) {
            (None, None) => return Ok((None, None)),
            (Some(from), Some(to)) => (from, to),
            (Some(_), None) | (None, Some(_)) => {
                let text = "secondsFrom and secondsTo: a period has both";
                return Err(Problem::Invalid(text.to_owned()));
            }
        };
        if from.timestamp_subsec_nanos() != 0 || to.timestamp_subsec_nanos() != 0 {
            return Err(Problem::Invalid("secondsFrom, secondsTo: whole seconds".to_owned()));
        }
        can_count(from.timestamp(), to.timestamp(), command.now.timestamp())?;
        Ok((Some(from), Some(to)))
    }
}

/// A distribution, by its id.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionId {
    /// Its id.
    pub distribution_id: Uuid,
}

/// A distribution as it is.
#[derive(Debug, Serialize)]
pub struct DistributionAnswer {
    distribution: Value,
}

/// Asks for a distribution. Another person declares it.
///
/// # Errors
/// `distribution.nothing`, `distribution.cash`, `distribution.period`.
pub async fn propose(command: &Command, person: &Person, body: Wish) -> Result<DistributionAnswer, Problem> {
    acts_for(command, person, body.property_id).await?;
    let house = House::lock(command, body.property_id).await?;
    let total = wished(command, &house, body.amount.as_deref()).await?;
    let (seconds_from, seconds_to) = body.period(command)?;
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.distributions (id, property_id, property_token_id, currency, currency_decimals, declared_minor, proposed_by, created_at,
           seconds_from, seconds_to)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &house.property_id,
        &house.token_id,
        &house.currency.code(),
        &house.decimals(),
        &total.get(),
        &person.user_id(),
        &command.now,
        &seconds_from,
        &seconds_to,
    ];
    command.tx.execute(text, params).await?;
    shown(command, id).await
}

async fn wished(command: &Command, house: &House, figure: Option<&str>) -> Result<Amount, Problem> {
    let has = of(&house.balances(command).await?, Purpose::OperatingCash);
    let total = match figure {
        Some(figure) => house.figure("amount", figure)?,
        None => has,
    };
    can_declare(total, has)?;
    Ok(total)
}

/// Declares a distribution: from then on it is owed to whoever holds the token at this instant, or held it in its period.
///
/// # Errors
/// `four_eyes`, what the gate misses, `distribution.cash`, `distribution.holders`.
pub async fn declare(
    command: &Command,
    overseer: &Overseer,
    body: DistributionId,
) -> Result<DistributionAnswer, Problem> {
    let (house, total, proposed_by) = lock(command, body.distribution_id, "proposed").await?;
    if overseer.is_same_party(command, proposed_by).await? {
        return Err(four_eyes("a distribution is declared by another person than who asked for it").into());
    }
    can_declare(total, of(&house.balances(command).await?, Purpose::OperatingCash))?;
    let id = body.distribution_id;
    let text = sql!(
        "select kind from public.offerings where property_id = $1 and status = 'closed' order by closed_at desc limit 1"
    );
    let kind: Option<String> = command
        .tx
        .query_opt(text, &[&house.property_id])
        .await?
        .map(|row| row.try_get(0))
        .transpose()?;
    let kind = if kind.as_deref() == Some(OfferingKind::Acquisition.name()) {
        OfferingKind::Acquisition
    } else {
        OfferingKind::IssuerOwns
    };
    let pass_id = gate::pass(command, house.property_id, Action::Declare, id, kind, None).await?;
    let tie_first: Uuid = command
        .tx
        .query_one(sql!("select gen_random_uuid()"), &[])
        .await?
        .try_get(0)?;
    take_time(command).await?;
    let text = sql!("select holders, withheld_minor from nexus.write_distribution_lines($1, $2, $3)");
    let row = command
        .tx
        .query_one(text, &[&id, &tie_first, &command.now])
        .await
        .on_constraint("distribution_lines_entitled_is_exact", || {
            let reason = "a holder's token-seconds are too many to be exact";
            Refusal::new("distribution.period", reason, "name a shorter period").into()
        })?;
    let (holders, withheld): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
    if holders == 0 {
        let remedy = "close an offering first";
        return Err(Refusal::new("distribution.holders", "nobody holds the token", remedy).into());
    }
    let moves = [Move::of(total, Purpose::OperatingCash, Purpose::PayableToInvestors)];
    let why = json!({ "distribution_id": id, "gate_pass_id": pass_id });
    let key = format!("distribution:{id}:declared");
    let why = (why, command.now.date_naive());
    post(command, &house.book(), key, "distribution.declared", why, &moves).await?;
    let text = sql!(
        "update public.distributions set status = 'declared', record_at = $2, register_entry_id = (select max(e.id) from ledger.entries as e),
           tie_first = $3, declare_pass_id = $4, declared_by = $5, holders = $6, withheld_minor = $7 where id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &command.now,
        &tie_first,
        &pass_id,
        &overseer.user_id(),
        &holders,
        &withheld,
    ];
    one(command.tx.execute(text, params).await?, "distributions")?;
    let payload = json!({ "distributionId": id, "propertyId": house.property_id, "holders": holders });
    outbox::emit(command, "distribution.declared", &id.to_string(), &payload).await?;
    shown(command, id).await
}

/// Gives up a distribution that was not declared.
///
/// # Errors
/// `distribution.status`.
pub async fn cancel(command: &Command, person: &Person, body: DistributionId) -> Result<DistributionAnswer, Problem> {
    let text = sql!("select property_id from public.distributions where id = $1");
    let row = command
        .tx
        .query_opt(text, &[&body.distribution_id])
        .await?
        .ok_or(Problem::NotFound)?;
    acts_for(command, person, row.try_get(0)?).await?;
    lock(command, body.distribution_id, "proposed").await?;
    let text = sql!("update public.distributions set status = 'cancelled' where id = $1");
    one(
        command.tx.execute(text, &[&body.distribution_id]).await?,
        "distributions",
    )?;
    shown(command, body.distribution_id).await
}

/// A distribution with its token's supply and its own row locked: its property, its amount, who asked for it.
///
/// # Errors
/// [`Problem::NotFound`], `distribution.status`.
pub async fn lock(command: &Command, id: Uuid, must_be: &str) -> Result<(House, Amount, Uuid), Problem> {
    let text = sql!("select property_id from public.distributions where id = $1");
    let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
    let house = House::lock(command, row.try_get(0)?).await?;
    let text =
        sql!("select status, declared_minor, proposed_by from public.distributions where id = $1 for no key update");
    let row = command.tx.query_one(text, &[&id]).await?;
    let status: String = row.try_get(0)?;
    if status != must_be {
        let refusal = Refusal::new(
            "distribution.status",
            format!("the distribution is {status}"),
            "look at it again: somebody was here before",
        );
        return Err(refusal
            .looking_at("status", status)
            .looking_at("must_be", must_be)
            .into());
    }
    Ok((house, amount(row.try_get(1)?)?, row.try_get(2)?))
}

/// What a distribution at this instant would give to whom.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    amount: String,
    distributable: String,
    refusal: Option<Refusal>,
    holders: i64,
    withheld: String,
    /// The largest lines.
    lines: Value,
    currency: String,
    decimals: i16,
}

/// A what-if, computed on one snapshot without any lock. Who gets a unit that equal fractions compete for may differ when it
/// is declared.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotPermitted`] where the caller neither oversees nor manages the property,
/// `distribution.period`.
pub async fn preview(command: &Command, person: &Person, body: Wish) -> Result<Preview, Problem> {
    if person.overseer().is_err() {
        person.manager_of(command, body.property_id).await?;
    }
    let house = House::load(command, body.property_id).await?;
    let has = of(&house.balances(command).await?, Purpose::OperatingCash);
    let total = match &body.amount {
        Some(figure) => house.figure("amount", figure)?,
        None => has,
    };
    take_time(command).await?;
    let (seconds_from, seconds_to) = body.period(command)?;
    let text = sql!(
        "with parts as materialized (select p.* from nexus.distribution_parts($1, $2, $3, $4, $6, $7) as p)
         select (select count(*) from parts), (select coalesce(sum(p.withheld_minor), 0)::bigint from parts as p),
                (select coalesce(jsonb_agg(to_jsonb(l)), '[]') from (select p.* from parts as p order by p.amount_minor desc, p.party_id limit $5) as l)"
    );
    let row = command
        .tx
        .query_one(
            text,
            &[
                &house.token_id,
                &total.get(),
                &Uuid::nil(),
                &command.now,
                &PREVIEW_LINES_MAX,
                &seconds_from,
                &seconds_to,
            ],
        )
        .await?;
    Ok(Preview {
        amount: house.currency.show(total),
        distributable: house.currency.show(has),
        refusal: can_declare(total, has).err(),
        holders: row.try_get(0)?,
        withheld: house.currency.show(amount(row.try_get(1)?)?),
        lines: row.try_get(2)?,
        currency: house.currency.code().to_owned(),
        decimals: house.decimals(),
    })
}

/// A distribution, to be answered with.
///
/// # Errors
/// What the database answered.
pub async fn shown(command: &Command, id: Uuid) -> Result<DistributionAnswer, Problem> {
    let text = sql!("select to_jsonb(d) from public.distributions as d where d.id = $1");
    Ok(DistributionAnswer {
        distribution: command.tx.query_one(text, &[&id]).await?.try_get(0)?,
    })
}
