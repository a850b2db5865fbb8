//! A period of rent: recorded by the manager line by line from the bank, posted when an overseer of another party agreed.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use mint_core::{
    account::Purpose,
    book::Move,
    distribution::{Claim, Sources, USES, Use, Waterfall, waterfall},
    money::Amount,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::{
    house::{House, of},
    performance::{self, Approved},
};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    offerings::{preparing::four_eyes, record::amount},
    outbox,
    payments::record::post,
    permission::{Overseer, Person},
    problem::Problem,
};

/// Lines of one period at most: a house with a thousand tenants, and few enough for one command.
const LINES_MAX: usize = 2_000;

/// A period, as the manager records it. Figures are decimal texts in the token's currency.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordPeriod {
    property_id: Uuid,
    period_from: NaiveDate,
    period_to: NaiveDate,
    lines: Vec<NewLine>,
    /// What the period is to carry for a use, paid in it or not.
    #[serde(default)]
    accrued: Accrued,
    reserve_draw: Option<String>,
    /// On how many of the period's days the property was let, where the manager says so.
    let_days: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
struct Accrued {
    taxes: Option<String>,
    insurance: Option<String>,
    maintenance: Option<String>,
    reserve: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewLine {
    account_ref: String,
    bank_reference: String,
    kind: String,
    amount: String,
    booked_on: NaiveDate,
    paid_for: String,
    document_id: Option<Uuid>,
}

/// A period as it is, with its lines.
#[derive(Debug, Serialize)]
pub struct PeriodAnswer {
    period: Value,
}

/// Records a period. Nothing is posted before another person approves it.
///
/// # Errors
/// `rent.period` where it overlaps another, `rent.line_once` where a line of the bank was recorded before.
pub async fn record(command: &Command, person: &Person, body: RecordPeriod) -> Result<PeriodAnswer, Problem> {
    let manager = person.manager_of(command, body.property_id).await?;
    let house = House::lock(command, body.property_id).await?;
    let today = command.now.date_naive();
    if body.lines.is_empty() || body.lines.len() > LINES_MAX {
        return Err(Problem::Invalid(format!("lines: a period has 1 to {LINES_MAX} lines")));
    }
    if body.period_to < body.period_from || body.period_to > today {
        return Err(Problem::Invalid(
            "periodTo: a period ends after it began, and is over".to_owned(),
        ));
    }
    let days = (body.period_to - body.period_from).num_days() + 1;
    if body
        .let_days
        .is_some_and(|let_days| let_days < 0 || i64::from(let_days) > days)
    {
        return Err(Problem::Invalid(format!("letDays: the period has {days} days")));
    }
    let outside = |line: &NewLine| line.booked_on < body.period_from || line.booked_on > body.period_to;
    if body.lines.iter().any(outside) {
        return Err(Problem::Invalid(
            "bookedOn: a line is booked on a day of its period".to_owned(),
        ));
    }
    let text = sql!(
        "select id from public.rent_periods where property_id = $1 and currency = $2 and status <> 'rejected'
           and period_from <= $4 and period_to >= $3 limit 1"
    );
    let code = house.currency.code();
    let found = command
        .tx
        .query_opt(text, &[&body.property_id, &code, &body.period_from, &body.period_to])
        .await?;
    if let Some(row) = found {
        let refusal = Refusal::new(
            "rent.period",
            "some of these days are in another period already",
            "record the days that are missing, or have the other period rejected",
        );
        return Err(refusal.looking_at("period", row.try_get::<_, Uuid>(0)?).into());
    }
    let figure = |field: &str, text: &Option<String>| match text {
        Some(text) => house.figure(field, text),
        None => Ok(Amount::ZERO),
    };
    let accrued = [
        figure("accrued.taxes", &body.accrued.taxes)?.get(),
        figure("accrued.insurance", &body.accrued.insurance)?.get(),
        figure("accrued.maintenance", &body.accrued.maintenance)?.get(),
        0,
        0,
        figure("accrued.reserve", &body.accrued.reserve)?.get(),
    ];
    let draw = figure("reserveDraw", &body.reserve_draw)?;
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.rent_periods (id, property_id, currency, currency_decimals, period_from, period_to, aside_minor, draw_minor,
           recorded_by, created_at, let_days) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &body.property_id,
        &code,
        &house.decimals(),
        &body.period_from,
        &body.period_to,
        &accrued.as_slice(),
        &draw.get(),
        &manager.user_id(),
        &command.now,
        &body.let_days,
    ];
    command.tx.execute(text, params).await?;
    write_lines(command, &house, id, &body.lines).await?;
    let payload = json!({ "periodId": id, "propertyId": body.property_id });
    outbox::emit(command, "rent.recorded", &id.to_string(), &payload).await?;
    shown(command, id).await
}

async fn write_lines(command: &Command, house: &House, period_id: Uuid, lines: &[NewLine]) -> Result<(), Problem> {
    let amounts = lines
        .iter()
        .map(|line| Ok(house.figure("amount", &line.amount)?.get()))
        .collect::<Result<Vec<i64>, Problem>>()?;
    let ids: Vec<Uuid> = lines.iter().map(|_| Uuid::now_v7()).collect();
    let accounts: Vec<&str> = lines.iter().map(|line| line.account_ref.as_str()).collect();
    let references: Vec<&str> = lines.iter().map(|line| line.bank_reference.as_str()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
    let days: Vec<NaiveDate> = lines.iter().map(|line| line.booked_on).collect();
    let words: Vec<&str> = lines.iter().map(|line| line.paid_for.as_str()).collect();
    let documents: Vec<Option<Uuid>> = lines.iter().map(|line| line.document_id).collect();
    let text = sql!(
        "insert into public.rent_lines (id, period_id, property_id, account_ref, bank_reference, kind, amount_minor, booked_on, paid_for,
           document_id, created_at)
         select l.id, $1, $2, l.account, l.reference, l.kind, l.amount, l.day, l.words, l.document, $11
         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::date[], $9::text[], $10::uuid[])
           as l (id, account, reference, kind, amount, day, words, document)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &period_id,
        &house.property_id,
        &ids,
        &accounts,
        &references,
        &kinds,
        &amounts,
        &days,
        &words,
        &documents,
        &command.now,
    ];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("rent_lines_each_once_key", || {
            let remedy = "leave out what another period or a case has";
            Refusal::new("rent.line_once", "a line of the bank was recorded before", remedy).into()
        })
        .on_constraint("rent_lines_kind_is_known", || {
            Problem::Invalid("kind: rent, taxes, insurance, maintenance or manager".to_owned())
        })
        .on_constraint("rent_lines_amount_is_an_amount", || {
            Problem::Invalid("amount: a line moves something".to_owned())
        })
        .on_constraint("rent_lines_texts_are_bounded", || {
            Problem::Invalid("a line has its account, the bank's reference, and says what it paid for".to_owned())
        })
        .on_constraint("rent_lines_document_fkey", || {
            Problem::Invalid("documentId: the property has no such document".to_owned())
        })?;
    Ok(())
}

/// An overseer's decision about a period.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decide {
    period_id: Uuid,
    decision: Decision,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approved,
    Rejected,
}

/// Posts a period, or rejects it.
///
/// # Errors
/// `four_eyes`; `rent.decided`; `rent.cash` where the bank paid more than the property has.
pub async fn decide(command: &Command, overseer: &Overseer, body: Decide) -> Result<PeriodAnswer, Problem> {
    let text = sql!("select property_id from public.rent_periods where id = $1");
    let row = command
        .tx
        .query_opt(text, &[&body.period_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let house = House::lock(command, row.try_get(0)?).await?;
    let text = sql!(
        "select status, recorded_by, aside_minor, draw_minor, period_from, period_to, let_days from public.rent_periods where id = $1 for no key update"
    );
    let row = command.tx.query_one(text, &[&body.period_id]).await?;
    let status: String = row.try_get(0)?;
    if status != "recorded" {
        let refusal = Refusal::new("rent.decided", "the period was decided about before", "nothing to do");
        return Err(refusal.looking_at("status", status).into());
    }
    if overseer.is_same_party(command, row.try_get(1)?).await? {
        return Err(four_eyes("a period is approved by another person than who recorded it").into());
    }
    match body.decision {
        Decision::Rejected => reject(command, overseer, &body).await?,
        Decision::Approved => {
            let aside: Vec<i64> = row.try_get(2)?;
            let draw = amount(row.try_get(3)?)?;
            let period = Recorded {
                from: row.try_get(4)?,
                to: row.try_get(5)?,
                let_days: row.try_get(6)?,
            };
            approve(command, overseer, &house, &body, (&aside, draw, period)).await?;
        }
    }
    shown(command, body.period_id).await
}

async fn reject(command: &Command, overseer: &Overseer, body: &Decide) -> Result<(), Problem> {
    let reason = body.reason.as_deref().filter(|reason| !reason.trim().is_empty());
    let reason = reason.ok_or_else(|| Problem::Invalid("reason: say what is wrong with the period".to_owned()))?;
    let text = sql!(
        "update public.rent_periods set status = 'rejected', decided_by = $2, decided_at = $3, reject_reason = $4 where id = $1"
    );
    command
        .tx
        .execute(text, &[&body.period_id, &overseer.user_id(), &command.now, &reason])
        .await?;
    let text = sql!("update public.rent_lines set is_void = true where period_id = $1");
    command.tx.execute(text, &[&body.period_id]).await?;
    Ok(())
}

/// The days of a period as they were recorded.
#[derive(Debug, Clone, Copy)]
struct Recorded {
    from: NaiveDate,
    to: NaiveDate,
    let_days: Option<i32>,
}

async fn approve(
    command: &Command,
    overseer: &Overseer,
    house: &House,
    body: &Decide,
    (aside, draw, period): (&[i64], Amount, Recorded),
) -> Result<(), Problem> {
    let lines = lines_of(command, body.period_id).await?;
    let sum_of = |kind: &str| Amount::sum(lines.iter().filter(|line| line.kind == kind).map(|line| line.amount));
    let rent = sum_of("rent").map_err(Problem::internal)?;
    let balances = house.balances(command).await?;
    if draw > of(&balances, Purpose::Reserve) {
        let refusal = Refusal::new("rent.reserve", "the reserve has less than that", "draw less");
        let has = house.currency.show(of(&balances, Purpose::Reserve));
        return Err(refusal.looking_at("reserve", has).into());
    }
    let fees = [
        fee(command, house, rent, "rent_manager").await?,
        fee(command, house, rent, "rent_platform").await?,
    ];
    let carried = carried(command, house).await?;
    let mut claims = [Claim::default(); USES];
    for (place, (one, claim)) in Use::ALL.into_iter().zip(claims.iter_mut()).enumerate() {
        let asked = match one {
            Use::Manager => fees[0],
            Use::Platform => fees[1],
            Use::Taxes | Use::Insurance | Use::Maintenance | Use::Reserve => {
                amount(aside.get(place).copied().unwrap_or(0))?
            }
        };
        let short = amount(carried.get(place).copied().unwrap_or(0))?;
        claim.accrued = asked.plus(short).map_err(Problem::internal)?;
        if let Some(account) = cost_account(one) {
            claim.paid = sum_of(one.name()).map_err(Problem::internal)?;
            claim.set_aside_before = of(&balances, account);
        }
    }
    let sources = Sources {
        rent,
        undistributed: of(&balances, Purpose::OperatingCash),
        draw,
    };
    let flow = waterfall(&sources, &claims).map_err(Refusal::from)?;
    post_period(command, house, body.period_id, (period.to, rent, draw), &lines, &flow).await?;
    let numbers = |amounts: [Amount; USES]| amounts.map(Amount::get).to_vec();
    let text = sql!(
        "update public.rent_periods set status = 'approved', decided_by = $2, decided_at = $3, rent_minor = $4, given_minor = $5,
           short_minor = $6, distributable_minor = $7 where id = $1"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &body.period_id,
        &overseer.user_id(),
        &command.now,
        &rent.get(),
        &numbers(flow.given),
        &numbers(flow.short),
        &flow.distributable.get(),
    ];
    command.tx.execute(text, params).await?;
    let approved = Approved {
        from: period.from,
        to: period.to,
        let_days: period.let_days,
        rent,
        maintenance: sum_of("maintenance").map_err(Problem::internal)?,
        flow: &flow,
        carried: &carried,
    };
    performance::write(command, house, &approved).await?;
    let payload = json!({ "periodId": body.period_id, "propertyId": house.property_id });
    outbox::emit(command, "rent.approved", &body.period_id.to_string(), &payload).await?;
    Ok(())
}

struct Line {
    id: Uuid,
    kind: String,
    amount: Amount,
    booked_on: NaiveDate,
    reference: String,
}

async fn lines_of(command: &Command, period_id: Uuid) -> Result<Vec<Line>, Problem> {
    let text = sql!(
        "select id, kind, amount_minor, booked_on, bank_reference from public.rent_lines where period_id = $1 order by booked_on, id"
    );
    let rows = command.tx.query(text, &[&period_id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Line {
                id: row.try_get(0)?,
                kind: row.try_get(1)?,
                amount: amount(row.try_get(2)?)?,
                booked_on: row.try_get(3)?,
                reference: row.try_get(4)?,
            })
        })
        .collect()
}

/// What the period before lacked.
async fn carried(command: &Command, house: &House) -> Result<Vec<i64>, Problem> {
    let text = sql!(
        "select short_minor from public.rent_periods where property_id = $1 and currency = $2 and status = 'approved'
         order by decided_at desc, id desc limit 1"
    );
    let row = command
        .tx
        .query_opt(text, &[&house.property_id, &house.currency.code()])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

async fn fee(command: &Command, house: &House, rent: Amount, kind: &str) -> Result<Amount, Problem> {
    let text = sql!("select nexus.fee_minor($1, $2, $3, $4)");
    let code = house.currency.code();
    match command
        .tx
        .query_one(text, &[&rent.get(), &kind, &code, &command.now])
        .await
    {
        Ok(row) => amount(row.try_get(0)?),
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            let remedy = "add a fee schedule for this currency";
            let refusal = Refusal::new("rent.fee_schedule", "no fee is set for rent in this currency", remedy);
            Err(refusal.looking_at("fee_type", kind).looking_at("currency", code).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn cost_account(one: Use) -> Option<Purpose> {
    match one {
        Use::Taxes => Some(Purpose::CostTaxes),
        Use::Insurance => Some(Purpose::CostInsurance),
        Use::Maintenance => Some(Purpose::CostMaintenance),
        Use::Manager => Some(Purpose::CostManager),
        Use::Platform | Use::Reserve => None,
    }
}

/// The entries of a period: each line of the bank once, the draw, the assignment in the order of uses, the reserve.
async fn post_period(
    command: &Command,
    house: &House,
    period_id: Uuid,
    (period_to, rent, draw): (NaiveDate, Amount, Amount),
    lines: &[Line],
    flow: &Waterfall,
) -> Result<(), Problem> {
    let book = house.book();
    let why = |line: &Line| {
        let cause = json!({ "period_id": period_id, "rent_line_id": line.id, "reference": line.reference });
        (cause, line.booked_on)
    };
    for line in lines.iter().filter(|line| line.kind == "rent") {
        let moves = [Move::of(line.amount, Purpose::OutsideBank, Purpose::RentIncome)];
        let key = format!("rent_line:{}", line.id);
        post(command, &book, key, "rent.received", why(line), &moves).await?;
    }
    let of_period = || (json!({ "period_id": period_id }), period_to);
    let moves = [Move::of(draw, Purpose::Reserve, Purpose::OperatingCash)];
    let key = format!("rent_period:{period_id}:drawn");
    post(command, &book, key, "reserve.drawn", of_period(), &moves).await?;

    let mut left = rent;
    let mut moves = Vec::new();
    let mut top_up = Amount::ZERO;
    for (one, given) in Use::ALL.into_iter().zip(flow.given) {
        let account = match (one, cost_account(one)) {
            (_, Some(account)) => account,
            (Use::Reserve, None) => {
                top_up = given;
                continue;
            }
            (_, None) => Purpose::Fees,
        };
        let of_rent = given.min(left);
        left = left.minus(of_rent).map_err(Problem::internal)?;
        moves.push(Move::of(of_rent, Purpose::RentIncome, account));
        let rest = given.minus(of_rent).map_err(Problem::internal)?;
        moves.push(Move::of(rest, Purpose::OperatingCash, account));
    }
    moves.push(Move::of(left, Purpose::RentIncome, Purpose::OperatingCash));
    let key = format!("rent_period:{period_id}:assigned");
    post(command, &book, key, "rent.assigned", of_period(), &moves).await?;
    let moves = [Move::of(top_up, Purpose::OperatingCash, Purpose::Reserve)];
    let key = format!("rent_period:{period_id}:topped_up");
    post(command, &book, key, "reserve.topped_up", of_period(), &moves).await?;

    let accounts: BTreeMap<&str, Purpose> = Use::ALL
        .into_iter()
        .filter_map(|one| Some((one.name(), cost_account(one)?)))
        .collect();
    for line in lines {
        let Some(account) = accounts.get(line.kind.as_str()) else {
            continue;
        };
        let moves = [Move::of(line.amount, *account, Purpose::OutsideBank)];
        let key = format!("rent_line:{}", line.id);
        post(command, &book, key, "cost.paid", why(line), &moves).await?;
    }
    Ok(())
}

async fn shown(command: &Command, id: Uuid) -> Result<PeriodAnswer, Problem> {
    let text = sql!(
        "select to_jsonb(p) || jsonb_build_object('lines', (select jsonb_agg(to_jsonb(l) order by l.booked_on, l.id)
                                                          from public.rent_lines as l where l.period_id = p.id))
         from public.rent_periods as p where p.id = $1"
    );
    Ok(PeriodAnswer {
        period: command.tx.query_one(text, &[&id]).await?.try_get(0)?,
    })
}
