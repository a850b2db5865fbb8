//! Paying: every holder is credited with his line less tax, part by part; the tax goes to the tax office.
//!
//! A part is one transaction: its entry in the ledger, its returns by lot, its payouts, and how far the distribution is.
//! Whatever ends the program in between, the next part begins where the last one that was committed ended.

use chrono::NaiveDate;
use mint_core::{account::Purpose, book::Move, refusal::Refusal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    declaring::{DistributionAnswer, DistributionId, lock, shown},
    house::{House, of},
};
use crate::{
    app::App,
    command::Command,
    db::{Actor, OnConstraint as _, sql},
    outbox,
    payments::{incidents, record::post},
    permission::Admin,
    problem::Problem,
};

const CREDITOR: Actor = Actor::Program("distributions");

/// Holders credited in one transaction: about a second of work, and few enough that nobody waits for their accounts long.
/// An entry's lines are counted in 16 bits.
const PART_LINES: i32 = 5_000;

/// Parts of one distribution in a turn of the jobs, so that payments of others go on meanwhile.
const PARTS_A_TURN: usize = 3;

/// Credits the first holders and makes their payouts due; the jobs credit the others and send the payouts.
///
/// # Errors
/// `distribution.status`, `property.incident`.
pub async fn pay(command: &Command, _admin: &Admin, body: DistributionId) -> Result<DistributionAnswer, Problem> {
    let id = body.distribution_id;
    let (house, _, _) = lock(command, id, "declared").await?;
    let open = incidents::count_open(command, house.property_id).await?;
    if open > 0 {
        let refusal = Refusal::new(
            "property.incident",
            "an open incident of the property stops its closing and payouts",
            "clear the incident: one person asks, another approves",
        );
        return Err(refusal.looking_at("open_incidents", open).into());
    }
    post_part(command, id).await?;
    let payload = json!({ "distributionId": id, "propertyId": house.property_id });
    outbox::emit(command, "distribution.paying", &id.to_string(), &payload).await?;
    shown(command, id).await
}

/// Credits the next part of the holders; answers whether it was the last. The distribution's row is locked.
async fn post_part(command: &Command, id: Uuid) -> Result<bool, Problem> {
    let text = sql!("select nexus.post_distribution_part($1, $2, $3, $4, $5)");
    let day = command.now.date_naive();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &PART_LINES, &day, &command.actor_id(), &command.now];
    let was_last: bool = command.tx.query_one(text, params).await?.try_get(0)?;
    if was_last {
        end_if_paid(command, id).await?;
    }
    Ok(was_last)
}

/// Goes on crediting the holders of distributions that are being paid; answers how many parts it posted.
///
/// # Errors
/// What the database answered; what was posted before stays.
pub async fn post_due(app: &App) -> Result<usize, Problem> {
    let command = Command::begin(app, CREDITOR).await?;
    let text = sql!("select id from public.distributions where status = 'paying' and posted_at is null order by id");
    let rows = command.tx.query(text, &[]).await?;
    command.commit().await?;
    let mut parts = 0;
    for row in &rows {
        let id: Uuid = row.try_get(0)?;
        for _ in 0..PARTS_A_TURN {
            if post_next(app, id).await? {
                break;
            }
            parts += 1;
        }
    }
    Ok(parts)
}

/// Credits the next part in a transaction of its own; answers whether nothing is left.
async fn post_next(app: &App, id: Uuid) -> Result<bool, Problem> {
    let command = Command::begin(app, CREDITOR).await?;
    let text = sql!(
        "select status = 'paying' and posted_at is null from public.distributions where id = $1 for no key update"
    );
    let is_open: bool = command.tx.query_one(text, &[&id]).await?.try_get(0)?;
    let was_last = !is_open || post_part(&command, id).await?;
    command.commit().await?;
    Ok(was_last)
}

/// Ends a distribution whose last line is paid. Its row is locked.
///
/// # Errors
/// What the database answered.
pub async fn end_if_paid(command: &Command, id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "update public.distributions as d set status = 'paid', paid_at = $2
         where d.id = $1 and d.status = 'paying' and d.posted_at is not null
           and not exists (select from public.distribution_lines as l where l.distribution_id = d.id and l.status <> 'paid')"
    );
    command.tx.execute(text, &[&id, &command.now]).await?;
    Ok(())
}

/// Records that withheld tax went to the tax office, from the bank's line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remit {
    property_id: Uuid,
    amount: String,
    bank_reference: String,
    booked_on: NaiveDate,
}

/// What is still owed to the tax office.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remitted {
    remittance_id: Uuid,
    still_withheld: String,
}

/// Records a remittance of withheld tax.
///
/// # Errors
/// `tax.withheld` where less is withheld, `tax.line_once` where the bank's line was recorded before.
pub async fn remit(command: &Command, admin: &Admin, body: Remit) -> Result<Remitted, Problem> {
    let house = House::lock(command, body.property_id).await?;
    let total = house.figure("amount", &body.amount)?;
    let withheld = of(&house.balances(command).await?, Purpose::Withheld);
    let left = withheld.minus(total).map_err(|_| {
        Refusal::new(
            "tax.withheld",
            "less than that is withheld",
            "remit what is withheld at most",
        )
        .looking_at("withheld", house.currency.show(withheld))
    })?;
    if body.booked_on > command.now.date_naive() {
        return Err(Problem::Invalid("bookedOn: the day is to come".to_owned()));
    }
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.tax_remittances (id, property_id, currency, currency_decimals, amount_minor, bank_reference, booked_on,
           remitted_by, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &house.property_id,
        &house.currency.code(),
        &house.decimals(),
        &total.get(),
        &body.bank_reference,
        &body.booked_on,
        &admin.user_id(),
        &command.now,
    ];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("tax_remittances_each_once", || {
            let remedy = "nothing to do, if it is the same";
            Refusal::new("tax.line_once", "this line of the bank was recorded before", remedy).into()
        })
        .on_constraint("tax_remittances_amount_is_an_amount", || {
            Problem::Invalid("amount: more than nothing".to_owned())
        })
        .on_constraint("tax_remittances_reference_is_bounded", || {
            Problem::Invalid("bankReference: 1 to 300 characters".to_owned())
        })?;
    let moves = [Move::of(total, Purpose::Withheld, Purpose::OutsideBank)];
    let why = json!({ "tax_remittance_id": id, "reference": body.bank_reference });
    let key = format!("tax_remittance:{id}");
    post(
        command,
        &house.book(),
        key,
        "tax.remitted",
        (why, body.booked_on),
        &moves,
    )
    .await?;
    Ok(Remitted {
        remittance_id: id,
        still_withheld: house.currency.show(left),
    })
}
