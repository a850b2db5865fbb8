//! Two months of rent, and their distribution.

use chrono::{NaiveDate, TimeDelta};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    cast::Staff,
    houses::Offered,
    sale::id_of,
    stage::{Stage, at},
};
use crate::{
    db::{Actor, sql},
    problem::AnyError,
};

/// How long a month is here.
const MONTH: TimeDelta = TimeDelta::days(30);

/// Two months, as the bank has them: recorded by the manager, approved by an officer.
pub(super) async fn earn(stage: &Stage, staff: &Staff, house: &Offered) -> Result<String, AnyError> {
    for month in 1..=2 {
        let from = stage.now().date_naive();
        stage.later(MONTH);
        let until = from + MONTH - TimeDelta::days(1);
        let lines = [
            line(month, "rent", "3150.00", from, "rent of both flats"),
            line(month, "insurance", "95.00", from, "building insurance"),
            line(month, "maintenance", "180.00", until, "gutters and garden"),
        ];
        let body = json!({
            "propertyId": house.id, "periodFrom": from, "periodTo": until, "lines": lines, "accrued": { "taxes": "420" },
        });
        let recorded = stage.done(&staff.manager, "record-performance", body).await?;
        let body = json!({ "periodId": id_of(at(&recorded, "/period"))?, "decision": "approved" });
        stage.done(&staff.officer, "approve-performance", body).await?;
    }
    Ok("two months, each line of the bank once; taxes, insurance, maintenance and the manager come first".to_owned())
}

fn line(month: i32, kind: &str, amount: &str, booked_on: NaiveDate, paid_for: &str) -> Value {
    json!({
        "accountRef": "operating", "bankReference": format!("demo-{month}-{kind}"), "kind": kind, "amount": amount,
        "bookedOn": booked_on, "paidFor": paid_for,
    })
}

/// The manager asks, an officer declares, an admin pays: each holder once, to the cent.
pub(super) async fn distribute(stage: &Stage, staff: &Staff, house: &Offered) -> Result<String, AnyError> {
    let body = json!({ "propertyId": house.id });
    let proposed = stage.done(&staff.manager, "declare-distribution", body).await?;
    let id = id_of(at(&proposed, "/distribution"))?;
    let body = json!({ "distributionId": id });
    stage.done(&staff.officer, "approve-distribution", body.clone()).await?;
    stage.done(&staff.admin, "pay-distribution", body).await?;
    stage
        .jobs_until("payouts", async |stage| Ok(status(stage, id).await?.0 == "paid"))
        .await?;
    let (_, amount, withheld, holders) = status(stage, id).await?;
    Ok(format!(
        "{amount} USD to {holders} holders by largest remainder, {withheld} of it withheld for tax; each is paid once"
    ))
}

async fn status(stage: &Stage, id: Uuid) -> Result<(String, String, String, i64), AnyError> {
    let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
    let text = sql!(
        "select status, nexus.from_minor(declared_minor, currency_decimals)::text, nexus.from_minor(withheld_minor, currency_decimals)::text,
                holders::bigint from public.distributions where id = $1"
    );
    let row = tx.query_one(text, &[&id]).await?;
    let answer = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    tx.commit().await?;
    Ok(answer)
}
