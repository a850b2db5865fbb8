//! Two real houses of King County, from the list to an offering. What is filed about them is simulated, and says so.

use chrono::TimeDelta;
use mint_core::money::{Amount, Decimals};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    cast::{Staff, paper},
    stage::{Stage, at},
};
use crate::{
    db::{Actor, sql},
    import::{CARRIED, Dataset, load as load_file},
    problem::AnyError,
    progress::Progress,
};

/// A house of the story.
pub(super) struct Plot {
    /// How the county's record names it.
    origin_key: &'static str,
    name: &'static str,
    symbol: &'static str,
    tokens: i64,
    /// In USD: tokens times this is what it was last sold for.
    price: String,
    soft_cap: i64,
    /// How long its offering lasts.
    window: TimeDelta,
}

/// Sold for 625,000 USD in August 2016. Five tokens for each buyer; four of five must be sold.
pub(super) fn that_sells(buyers: usize) -> Result<Plot, AnyError> {
    let tokens = 5 * i64::try_from(buyers)?;
    let cents = 62_500_000_i64.checked_div(tokens).unwrap_or_default();
    Ok(Plot {
        origin_key: "seattle:..0007600057",
        name: "Parcel 0007600057 (simulated)",
        symbol: "SEA-57",
        tokens,
        price: Amount::try_from(cents)?.to_decimal(Decimals::try_from(2)?),
        soft_cap: tokens / 5 * 4,
        window: TimeDelta::days(14),
    })
}

/// Sold for 465,000 USD in June 2014.
pub(super) fn that_does_not() -> Plot {
    Plot {
        origin_key: "seattle:..0007600065",
        name: "Parcel 0007600065 (simulated)",
        symbol: "SEA-65",
        tokens: 3_000,
        price: "155.00".to_owned(),
        soft_cap: 1_500,
        window: TimeDelta::days(7),
    }
}

/// A house with evidence.
pub(super) struct House {
    pub(super) id: Uuid,
    plot: Plot,
}

/// A house whose tokens are on offer.
pub(super) struct Offered {
    pub(super) id: Uuid,
    pub(super) offering_id: Uuid,
    pub(super) window: TimeDelta,
    pub(super) tokens: i64,
    pub(super) soft_cap: i64,
}

/// Loads all houses.
pub(super) async fn load(stage: &Stage) -> Result<(), AnyError> {
    for file in CARRIED.iter().filter(|file| file.dataset == Dataset::Seattle) {
        let mut progress = Progress::to_stderr("houses", u64::try_from(file.bytes.len()).ok());
        load_file(&stage.app.db, file.dataset, file.name, file.bytes, &mut progress).await?;
    }
    Ok(())
}

impl House {
    /// A house of the list gets its manager, its address and its evidence.
    pub(super) async fn prepare(stage: &Stage, staff: &Staff, plot: Plot) -> Result<House, AnyError> {
        let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
        let text = sql!("select id from public.properties where origin_key = $1");
        let id: Uuid = tx.query_one(text, &[&plot.origin_key]).await?.try_get(0)?;
        tx.commit().await?;
        let body = json!({ "propertyId": id, "userId": staff.manager.id, "capacity": "manager" });
        stage.done(&staff.admin, "add-property-member", body).await?;
        // The county's list has no city: its manager says it, with his own rights.
        let tx = stage.app.db.as_caller(staff.manager.caller()).await?;
        let text = sql!("update public.properties set city = 'Seattle', country = 'US' where id = $1");
        tx.execute(text, &[&id]).await?;
        tx.commit().await?;
        let until = stage.now() + TimeDelta::days(365);
        for kind in ["deed", "insurance", "appraisal", "entity_papers"] {
            let fields: Map<String, Value> = [
                ("propertyId", id.to_string()),
                ("documentType", kind.to_owned()),
                ("documentName", format!("Simulated: {kind}")),
                ("source", "simulated".to_owned()),
                ("issuedOn", stage.now().date_naive().to_string()),
                ("expiresAt", until.to_rfc3339()),
            ]
            .map(|(field, value)| (field.to_owned(), json!(value)))
            .into_iter()
            .collect();
            let page = paper(&["Simulated", kind, plot.name]);
            let filed = stage.filed(&staff.manager, "upload-document", fields, page).await?;
            let body = json!({ "documentId": at(&filed, "/document/id"), "decision": "accepted" });
            stage.done(&staff.officer, "review-document", body).await?;
        }
        Ok(House { id, plot })
    }

    /// Walks it through the steps and launches it; then the manager prepares an offering, and an admin opens it.
    pub(super) async fn launch(self, stage: &Stage, staff: &Staff) -> Result<Offered, AnyError> {
        let House { id, plot } = self;
        let body = json!({ "action": "create_process", "propertyId": id });
        let made = stage.done(&staff.manager, "monitor-tokenization", body).await?;
        let process = at(&made, "/process/id");
        for step in [
            "submission",
            "valuation",
            "legal_structuring",
            "compliance_review",
            "token_configuration",
            "audit",
        ] {
            let (who, data) = match step {
                "compliance_review" => (&staff.second_officer, json!({})),
                "audit" => {
                    let body = json!({ "propertyId": id });
                    let audit = stage.done(&staff.officer, "audit-property-contract", body).await?;
                    (&staff.second_officer, json!({ "auditId": at(&audit, "/auditId") }))
                }
                "token_configuration" => {
                    let token = json!({
                        "name": plot.name, "symbol": plot.symbol, "totalSupply": plot.tokens, "tokenPrice": plot.price,
                    });
                    (&staff.manager, token)
                }
                _ => (&staff.manager, json!({})),
            };
            let body = json!({ "processId": process, "step": step, "data": data });
            stage.done(who, "submit-step", body).await?;
            stage.later(TimeDelta::hours(1));
            let body = json!({ "processId": process, "step": step });
            stage.done(&staff.officer, "approve-step", body).await?;
        }
        stage
            .done(&staff.admin, "launch-tokenization", json!({ "propertyId": id }))
            .await?;
        let now = stage.now();
        let terms = json!({
            "propertyId": id, "rulePack": "simulated_standard", "kind": "issuer_owns", "softCap": plot.soft_cap,
            "hardCap": plot.tokens, "opensAt": now, "closesAt": now + plot.window, "longStopAt": now + plot.window * 2,
        });
        let made = stage.done(&staff.manager, "create-offering", terms).await?;
        let offering_id: Uuid = serde_json::from_value(at(&made, "/offering/id").clone())?;
        stage
            .done(
                &staff.second_admin,
                "open-offering",
                json!({ "offeringId": offering_id }),
            )
            .await?;
        Ok(Offered {
            id,
            offering_id,
            window: plot.window,
            tokens: plot.tokens,
            soft_cap: plot.soft_cap,
        })
    }
}
