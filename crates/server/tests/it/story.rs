//! The whole story of one real house: loaded from the sales of King County, tokenized, sold to verified people, closed; all of
//! it through the functions. What the ledger then says is in `story.txt`. The evidence and the sale are simulated, and say so.

use std::path::Path;

use axum::http::StatusCode;
use chrono::TimeDelta;
use nexus_mint::jobs;
use nexus_mint::jobs::sales::Turn;
use nexus_mint::payments::sandbox;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::applicant;
use crate::house::{EVIDENCE, House, id_of};
use crate::laws;
use crate::program::Program;
use crate::schema_sql::compare;
use crate::site::{Signed, Site};
use crate::tokenization::Walk;
use crate::world::World;

/// A house of King County as `nexus-mint seed` loads it, given to a manager: parcel 0007600057.
async fn a_house_of_seattle(site: &Site) -> House {
    Program::with(&site.world.admin_config()).answer(&["seed", "--only", "seattle"]);
    let client = site.world.admin().await;
    let manager = site.person(&["property_manager"]).await;
    let sql = "insert into public.property_members (property_id, user_id, capacity)
               select id, $1, 'manager' from public.properties where origin_key = 'seattle:..0007600057' returning property_id";
    let id: Uuid = client.query_one(sql, &[&manager.id]).await.unwrap().get(0);
    House {
        id,
        manager,
        officer: site.person(&["compliance_officer"]).await,
        admin: site.person(&["admin"]).await,
    }
}

async fn verified(site: &Site, officer: &Signed) -> Signed {
    let person = site.person(&[]).await;
    applicant::clear(site, officer, applicant::party_of(site, &person).await).await;
    let case = applicant::submit(site, &person).await;
    applicant::approve(site, officer, case).await;
    person
}

async fn buy(site: &Site, buyer: &Signed, property_id: Uuid, tokens: i64) -> Value {
    let body = json!({ "propertyId": property_id, "tokenAmount": tokens, "paymentId": Uuid::now_v7() });
    let page = site.done(buyer, "create-investment-payment", body).await;
    let session = page["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let charge = page["investment"]["charge_amount"].as_f64().unwrap();
    let payment = sandbox::Payment {
        session: Some(session),
        property_id,
        amount: mint_core::money::Amount::try_from((charge * 100.0).round() as i64).unwrap(),
        currency: "USD".to_owned(),
        refund_outcome: "succeed",
        settles_now: true,
    };
    sandbox::pay(&site.app, &payment).await.unwrap();
    sandbox::deliver(&site.app).await.unwrap();
    let body = json!({ "sessionId": page["sessionId"] });
    let verified = site.done(buyer, "verify-investment-payment", body).await;
    assert_eq!(verified["success"], json!(true), "{verified}");
    page["investment"].clone()
}

/// The journal of the property, without ids: kind, then each account with what moved and what it had afterwards.
async fn journal(site: &Site, property_id: Uuid) -> String {
    let sql = "select e.kind, a.purpose, p.amount, p.balance_after, s.kind = 'token', p.line = 1
               from ledger.entries as e join ledger.postings as p on p.entry_id = e.id join ledger.accounts as a on a.id = p.account_id
               join ledger.assets as s on s.code = a.asset
               where exists (select from ledger.postings as q join ledger.accounts as b on b.id = q.account_id
                             where q.entry_id = e.id and b.property_id = $1)
               order by e.id, p.line";
    let client = site.world.admin().await;
    let mut text = String::new();
    for row in client.query(sql, &[&property_id]).await.unwrap() {
        let (kind, purpose): (String, String) = (row.get(0), row.get(1));
        let (amount, after, is_token): (i64, i64, bool) = (row.get(2), row.get(3), row.get(4));
        if row.get(5) {
            text += &format!("{kind}\n");
        }
        let figure = |units: i64| {
            if is_token {
                format!("{units}")
            } else {
                format!("{}.{:02}", units / 100, (units % 100).abs())
            }
        };
        let unit = if is_token { "tokens" } else { "USD" };
        text += &format!(
            "  {purpose:<20} {:>12} {unit:<6} -> {:>12}\n",
            figure(amount),
            figure(after)
        );
    }
    text
}

#[tokio::test]
async fn a_house_of_seattle_goes_from_submission_to_confirmed_holders() {
    let site = Site::over(World::own_database().await);
    let house = a_house_of_seattle(&site).await;
    let client = site.world.admin().await;
    // The file has no city: the manager says it, in the columns that describe the building.
    let sql = "update public.properties set city = 'Seattle', country = 'US' where id = $1";
    client.execute(sql, &[&house.id]).await.unwrap();
    for kind in EVIDENCE {
        let until = [
            ("issuedOn", "2030-01-05"),
            ("expiresAt", "2032-03-17T00:00:00Z"),
            ("source", "simulated"),
        ];
        house.evidence(&site, kind, &until).await;
    }
    let body = json!({ "action": "create_process", "propertyId": house.id });
    let process = site.done(&house.manager, "monitor-tokenization", body).await;
    let walk = Walk {
        id: id_of(&process["process"]["id"]),
        second: site.person(&["compliance_officer"]).await,
        house,
    };
    walk.up_to(&site, "launch").await;
    let body = json!({ "propertyId": walk.house.id });
    site.done(&walk.house.admin, "launch-tokenization", body).await;

    let now = site.now();
    let terms = json!({
        "propertyId": walk.house.id, "rulePack": "simulated_standard", "kind": "issuer_owns", "softCap": 1000, "hardCap": 1850,
        "opensAt": now, "closesAt": now + TimeDelta::days(10), "longStopAt": now + TimeDelta::days(20),
    });
    let offering = site.done(&walk.house.manager, "create-offering", terms).await;
    let id = id_of(&offering["offering"]["id"]);
    let opener = site.person(&["admin"]).await;
    site.done(&opener, "open-offering", json!({ "offeringId": id })).await;

    let stranger = site.person(&[]).await;
    let order = json!({ "propertyId": walk.house.id, "tokenAmount": 10 });
    assert_eq!(
        site.refused(&stranger, "create-investment", order).await.0,
        "identity_verified"
    );
    let [one, two, three] = [
        verified(&site, &walk.house.officer).await,
        verified(&site, &walk.house.officer).await,
        verified(&site, &walk.house.officer).await,
    ];
    let first = buy(&site, &one, walk.house.id, 900).await;
    buy(&site, &two, walk.house.id, 500).await;
    let given_up = buy(&site, &three, walk.house.id, 100).await;
    site.advance(TimeDelta::hours(20));
    site.done(&three, "cancel-investment", json!({ "investmentId": given_up["id"] }))
        .await;
    for _ in 0..4 {
        jobs::turn(&site.app, Turn::Everything).await.unwrap();
    }
    site.set_now(now + TimeDelta::days(10));
    for _ in 0..4 {
        jobs::turn(&site.app, Turn::Everything).await.unwrap();
    }
    let answer = site
        .done(&one, "get-investment", json!({ "investmentId": first["id"] }))
        .await;
    assert_eq!(answer["investment"]["status"], json!("confirmed"), "{answer}");
    let (status, export) = site
        .call(
            &walk.house.officer,
            "regulatory-evidence-export",
            json!({ "propertyId": walk.house.id, "includeTransactions": true }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{export}");
    laws::hold(&site.world).await;
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/story.txt"),
        &journal(&site, walk.house.id).await,
    );
}
