//! Paying: every holder is credited with his line less tax, set by set; the tax goes to the tax office.

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
    command::Command,
    db::{OnConstraint as _, sql},
    offerings::supply::one,
    outbox,
    payments::{incidents, record::post},
    permission::Admin,
    problem::Problem,
};

/// Credits every holder and makes the payouts due; the jobs send them.
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
    let text = sql!("select nexus.post_distribution($1, $2, $3, $4)");
    let day = command.now.date_naive();
    command
        .tx
        .query_one(text, &[&id, &day, &command.actor_id(), &command.now])
        .await?;
    let text = sql!("update public.distributions set status = 'paying', posted_at = $2 where id = $1");
    one(command.tx.execute(text, &[&id, &command.now]).await?, "distributions")?;
    end_if_paid(command, id).await?;
    let payload = json!({ "distributionId": id, "propertyId": house.property_id });
    outbox::emit(command, "distribution.paying", &id.to_string(), &payload).await?;
    shown(command, id).await
}

/// Ends a distribution whose last line is paid. Its row is locked.
///
/// # Errors
/// What the database answered.
pub async fn end_if_paid(command: &Command, id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "update public.distributions as d set status = 'paid', paid_at = $2
         where d.id = $1 and d.status = 'paying'
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
