//! The tokenization process, walked through the router: by the people whose steps they are, and by those whose they are not.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, id_of};
use crate::site::{Signed, Site};

/// A process of a house whose evidence is complete, with a second officer, and nothing submitted yet.
pub(crate) struct Walk {
    pub(crate) house: House,
    pub(crate) id: Uuid,
    pub(crate) second: Signed,
}

impl Walk {
    pub(crate) async fn begin(site: &Site) -> Walk {
        let house = House::new(site).await;
        house.all_evidence(site).await;
        let second = site.person(&["compliance_officer"]).await;
        let body = json!({ "action": "create_process", "propertyId": house.id });
        let answer = site.done(&house.manager, "monitor-tokenization", body).await;
        Walk {
            id: id_of(&answer["process"]["id"]),
            house,
            second,
        }
    }

    fn body(&self, step: &str, data: Value) -> Value {
        json!({ "processId": self.id, "step": step, "data": data, "reason": "not good enough" })
    }

    pub(crate) async fn submit(&self, site: &Site, who: &Signed, step: &str, data: Value) -> Value {
        site.done(who, "submit-step", self.body(step, data)).await["process"].take()
    }

    pub(crate) async fn approve(&self, site: &Site, who: &Signed, step: &str) -> Value {
        site.done(who, "approve-step", self.body(step, json!({}))).await["process"].take()
    }

    /// Walks up to a step, which is then due.
    pub(crate) async fn up_to(&self, site: &Site, end: &str) {
        for step in [
            "submission",
            "valuation",
            "legal_structuring",
            "compliance_review",
            "token_configuration",
            "audit",
        ] {
            if step == end {
                return;
            }
            let (submitter, data) = match step {
                "compliance_review" => (&self.second, json!({})),
                "audit" => {
                    let body = json!({ "propertyId": self.house.id });
                    let audit = site.done(&self.house.officer, "audit-property-contract", body).await;
                    (&self.second, json!({ "auditId": audit["auditId"] }))
                }
                "token_configuration" => (&self.house.manager, configuration()),
                _ => (&self.house.manager, json!({})),
            };
            self.submit(site, submitter, step, data).await;
            site.advance(TimeDelta::hours(1));
            self.approve(site, &self.house.officer, step).await;
        }
    }
}

fn configuration() -> Value {
    json!({ "name": "Maple Street 1", "symbol": "MAPLE-1", "totalSupply": 1850, "tokenPrice": "53.59" })
}

#[tokio::test]
async fn a_property_walks_from_submission_to_launch() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    let house = &walk.house;
    let admin = site.world.admin().await;
    walk.up_to(&site, "token_configuration").await;
    let process = walk
        .submit(&site, &house.manager, "token_configuration", configuration())
        .await;
    assert_eq!(process["progress_percentage"], 50);
    let process = walk.approve(&site, &house.officer, "token_configuration").await;
    let steps = process["tokenization_steps"].as_array().unwrap();
    assert_eq!(steps[5]["status"], "not_required");
    assert!(
        steps[5]["error_details"]
            .as_str()
            .unwrap()
            .contains("settlement is 'register'")
    );
    assert_eq!(
        (&steps[6]["status"], &process["current_step"]),
        (&json!("in_progress"), &json!("audit"))
    );
    assert_eq!(steps[0]["duration_seconds"], 3600);

    // The token is a draft, all of it authorised and available, in the ledger and in its one row.
    let token = id_of(&process["property_token_id"]);
    let row = admin
        .query_one(
            "select t.status, t.total_supply::text, t.initial_price::text, t.settlement, s.available_units,
                    (select b.balance from ledger.balances as b join ledger.accounts as a on a.id = b.account_id
                     where a.name = 'available/token:' || t.id || '/' || t.property_id),
                    (select p.total_tokens::text || ' at ' || p.price_per_token::text from public.properties as p where p.id = t.property_id)
             from public.property_tokens as t join public.property_token_supply as s on s.property_token_id = t.id where t.id = $1",
            &[&token],
        )
        .await
        .unwrap();
    assert_eq!(
        (
            row.get::<_, &str>(0),
            row.get::<_, &str>(1),
            row.get::<_, &str>(2),
            row.get::<_, &str>(3)
        ),
        ("draft", "1850", "53.59", "register")
    );
    assert_eq!((row.get::<_, i64>(4), row.get::<_, i64>(5)), (1850, 1850));
    assert_eq!(row.get::<_, &str>(6), "1850 at 53.59");

    let body = json!({ "propertyId": house.id });
    let audit = site.done(&house.officer, "audit-property-contract", body.clone()).await;
    walk.submit(&site, &walk.second, "audit", json!({ "auditId": audit["auditId"] }))
        .await;
    let process = walk.approve(&site, &house.officer, "audit").await;
    assert_eq!(
        (&process["current_step"], &process["progress_percentage"]),
        (&json!("launch"), &json!(85))
    );

    let launched = site.done(&house.admin, "launch-tokenization", body).await;
    let process = &launched["process"];
    assert_eq!(
        (&process["status"], &process["progress_percentage"]),
        (&json!("completed"), &json!(100))
    );
    assert_eq!(process["current_step"], Value::Null);
    assert_eq!(process["steps_completed"].as_array().unwrap().len(), 7);
    assert_eq!(process["launch_pass_id"], launched["launchPassId"]);
    let row = admin
        .query_one(
            "select p.is_active, p.tokenization_active, p.tokenization_status, t.status, g.subject_id
             from public.properties as p join public.property_tokens as t on t.property_id = p.id
             join public.gate_passes as g on g.property_id = p.id where p.id = $1",
            &[&house.id],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1));
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("offered", "launched"));
    assert_eq!(row.get::<_, Uuid>(4), walk.id);
    let told = "select count(*) from nexus.outbox_events where topic = 'tokenization.launched' and dedupe_key = $1";
    assert_eq!(
        admin
            .query_one(told, &[&walk.id.to_string()])
            .await
            .unwrap()
            .get::<_, i64>(0),
        1
    );
}

#[tokio::test]
async fn a_rejected_step_says_why_and_is_submitted_again() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    let house = &walk.house;
    walk.submit(&site, &house.manager, "submission", json!({ "note": "first" }))
        .await;
    let body = json!({ "processId": walk.id, "step": "submission", "reason": " " });
    assert_eq!(
        site.call(&house.officer, "reject-step", body).await.0,
        StatusCode::BAD_REQUEST
    );
    let body = json!({ "processId": walk.id, "step": "submission", "reason": "the deed is not legible" });
    let process = site.done(&house.officer, "reject-step", body).await["process"].take();
    assert_eq!(
        (&process["status"], &process["current_step"]),
        (&json!("rejected"), &json!("submission"))
    );
    assert_eq!(
        process["tokenization_steps"][0]["error_details"],
        "the deed is not legible"
    );
    let process = walk
        .submit(&site, &house.manager, "submission", json!({ "note": "second" }))
        .await;
    assert_eq!(
        (&process["status"], &process["tokenization_steps"][0]["status"]),
        (&json!("in_progress"), &json!("submitted"))
    );
    assert_eq!(process["tokenization_steps"][0]["step_data"]["note"], "second");
    assert_eq!(process["tokenization_steps"][0]["decided_by"], Value::Null);
    let process = walk.approve(&site, &house.officer, "submission").await;
    assert_eq!(process["steps_completed"], json!(["submission"]));
}

#[tokio::test]
async fn steps_are_their_owners_and_nobody_approves_his_own() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    let house = &walk.house;
    let body = |step: &str| json!({ "processId": walk.id, "step": step });
    // Not the officer's, not another manager's, not anybody's.
    let stranger = site.person(&["property_manager"]).await;
    for (who, status) in [
        (&house.officer, StatusCode::FORBIDDEN),
        (&stranger, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(site.call(who, "submit-step", body("submission")).await.0, status);
    }
    assert_eq!(
        site.call(&house.manager, "submit-step", body("minting")).await.0,
        StatusCode::BAD_REQUEST
    );
    let (rule, _) = site.refused(&house.manager, "submit-step", body("valuation")).await;
    assert_eq!(rule, "tokenization.step_is_due");
    let (rule, _) = site.refused(&house.manager, "submit-step", body("launch")).await;
    assert_eq!(rule, "tokenization.nobody_submits");

    walk.submit(&site, &house.manager, "submission", json!({})).await;
    assert_eq!(
        site.call(&house.manager, "approve-step", body("submission")).await.0,
        StatusCode::FORBIDDEN
    );
    // The manager gets the role, and a second login that has it: it is the person who counts.
    let admin = site.world.admin().await;
    let twin = site.person(&["admin"]).await;
    admin
        .execute(
            "insert into public.user_role_assignments (user_id, role) values ($1, 'admin')",
            &[&house.manager.id],
        )
        .await
        .unwrap();
    let same = "update public.user_profiles set party_id = (select party_id from public.user_profiles where id = $1) where id = $2";
    admin.execute(same, &[&house.manager.id, &twin.id]).await.unwrap();
    for who in [&house.manager, &twin] {
        for command in ["approve-step", "reject-step"] {
            let mut body = body("submission");
            body["reason"] = "x".into();
            let (rule, _) = site.refused(who, command, body).await;
            assert_eq!(rule, "tokenization.four_eyes");
        }
    }
    // By SQL, even the engine: the database holds it.
    let by_sql = "update public.tokenization_steps set decided_by = submitted_by where process_id = $1 and step_name = 'submission'";
    let error = admin.execute(by_sql, &[&walk.id]).await.unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().constraint(),
        Some("tokenization_steps_need_four_eyes")
    );
    walk.approve(&site, &house.officer, "submission").await;

    // What needs evidence needs it accepted and current at the approval.
    walk.submit(&site, &house.manager, "valuation", json!({})).await;
    site.advance(TimeDelta::days(3 * 365));
    let (rule, answer) = site.refused(&house.officer, "approve-step", body("valuation")).await;
    assert_eq!(
        (rule.as_str(), &answer["inputs"]["missing"]),
        ("tokenization.evidence", &json!("appraisal"))
    );
}

#[tokio::test]
async fn a_launch_goes_through_the_gate_by_an_admin_who_had_no_part() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    let house = &walk.house;
    let body = json!({ "propertyId": house.id, "contractAddress": "0x0000000000000000000000000000000000000001" });
    let launch = async |who| site.refused(who, "launch-tokenization", body.clone()).await;
    assert_eq!(launch(&house.admin).await.0, "tokenization.step_is_due");
    walk.up_to(&site, "launch").await;
    assert_eq!(
        site.call(&house.officer, "launch-tokenization", body.clone()).await.0,
        StatusCode::FORBIDDEN
    );
    let admin = site.world.admin().await;
    for role in [&walk.second, &house.manager] {
        admin
            .execute(
                "insert into public.user_role_assignments (user_id, role) values ($1, 'admin')",
                &[&role.id],
            )
            .await
            .unwrap();
        assert_eq!(launch(role).await.0, "tokenization.four_eyes", "submitted a step of it");
    }
    admin
        .execute("update public.properties set city = ' ' where id = $1", &[&house.id])
        .await
        .unwrap();
    assert_eq!(launch(&house.admin).await.0, "tokenization.public_description");
    admin
        .execute(
            "update public.properties set city = 'Seattle' where id = $1",
            &[&house.id],
        )
        .await
        .unwrap();
    let now = site.now();
    site.set_now("2032-03-17T00:00:00Z".parse().unwrap());
    let (rule, answer) = launch(&house.admin).await;
    assert_eq!(rule, "gate.evidence_current");
    for requirement in ["title", "insurance", "appraisal", "entity_papers"] {
        assert_eq!(answer["inputs"][requirement], "expired", "{answer}");
    }
    assert!(answer["remedy"].as_str().unwrap().contains("deed"));

    // Behind the commands' back: the database lets no process be completed without a pass of its own property.
    site.set_now(now);
    let other = House::new(&site).await;
    other.all_evidence(&site).await;
    let pass = "select nexus.pass_gate($1, 'launch', $2, 'issuer_owns', $3)";
    let foreign: Uuid = admin
        .query_one(pass, &[&other.id, &walk.id, &now])
        .await
        .unwrap()
        .get(0);
    let close: Uuid = admin
        .query_one(
            "select nexus.pass_gate($1, 'close', $2, 'issuer_owns', $3)",
            &[&house.id, &walk.id, &now],
        )
        .await
        .unwrap()
        .get(0);
    let complete = "update public.tokenization_processes set status = 'completed', current_step = null, launch_pass_id = $2 where id = $1";
    for (pass, constraint) in [
        (None, "tokenization_processes_launch_passed_the_gate"),
        (Some(foreign), "tokenization_processes_launch_pass_fkey"),
        (Some(close), "tokenization_processes_launch_pass_fkey"),
    ] {
        let error = admin.execute(complete, &[&walk.id, &pass]).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().constraint(), Some(constraint));
    }
    site.done(&house.admin, "launch-tokenization", body.clone()).await;
    assert_eq!(launch(&house.admin).await.0, "tokenization.under_way");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_refused_when_it_is_submitted() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    walk.up_to(&site, "token_configuration").await;
    for (field, value, status) in [
        ("totalSupply", json!(0), StatusCode::BAD_REQUEST),
        ("totalSupply", json!("1.5"), StatusCode::BAD_REQUEST),
        ("totalSupply", json!("9007199254740991"), StatusCode::CONFLICT),
        ("tokenPrice", json!(53.595), StatusCode::BAD_REQUEST),
        ("tokenPrice", Value::Null, StatusCode::BAD_REQUEST),
        ("symbol", json!("A B"), StatusCode::BAD_REQUEST),
        ("name", json!(""), StatusCode::BAD_REQUEST),
        ("tokenDecimals", json!(7), StatusCode::BAD_REQUEST),
    ] {
        let mut data = configuration();
        data[field] = value.clone();
        let body = json!({ "processId": walk.id, "step": "token_configuration", "data": data });
        let (found, answer) = site.call(&walk.house.manager, "submit-step", body).await;
        assert_eq!(found, status, "{field} {value}: {answer}");
    }
}

#[tokio::test]
async fn processes_are_seen_by_those_who_may() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    let (investor, stranger) = (site.person(&[]).await, site.person(&["property_manager"]).await);
    let get = json!({ "action": "get_process", "processId": walk.id });
    for who in [&walk.house.manager, &walk.house.officer, &walk.house.admin] {
        let answer = site.done(who, "monitor-tokenization", get.clone()).await;
        assert_eq!(answer["process"]["properties"]["title"], "A house");
        assert_eq!(answer["process"]["tokenization_steps"].as_array().unwrap().len(), 8);
    }
    for who in [&investor, &stranger] {
        assert_eq!(
            site.call(who, "monitor-tokenization", get.clone()).await.0,
            StatusCode::NOT_FOUND
        );
        let answer = site
            .done(who, "monitor-tokenization", json!({ "action": "list_processes" }))
            .await;
        assert_eq!(answer["processes"], json!([]));
        let body = json!({ "processId": walk.id, "reportType": "summary" });
        assert_eq!(
            site.call(who, "generate-tokenization-report", body).await.0,
            StatusCode::NOT_FOUND
        );
    }
    let again = json!({ "action": "create_process", "propertyId": walk.house.id });
    let (rule, _) = site
        .refused(&walk.house.manager, "monitor-tokenization", again.clone())
        .await;
    assert_eq!(rule, "tokenization.can_begin");
    assert_eq!(
        site.call(&stranger, "monitor-tokenization", again).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn reports_are_kept_as_they_were_and_the_bundle_holds_what_decisions_rest_on() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    walk.up_to(&site, "launch").await;
    let body = json!({ "processId": walk.id, "reportType": "summary" });
    let first = site
        .done(&walk.house.manager, "generate-tokenization-report", body.clone())
        .await["report"]
        .take();
    assert_eq!(
        (&first["metrics"]["completed"], &first["status"]),
        (&json!(6), &json!("generated"))
    );
    assert_eq!(first["compliance_data"]["evidence"].as_array().unwrap().len(), 4);
    site.done(
        &walk.house.admin,
        "launch-tokenization",
        json!({ "propertyId": walk.house.id }),
    )
    .await;
    let second = site
        .done(&walk.house.manager, "generate-tokenization-report", body.clone())
        .await["report"]
        .take();
    assert_eq!(second["metrics"]["completed"], 7);
    let admin = site.world.admin().await;
    let kept = "select id, status, metrics from public.tokenization_reports where process_id = $1 order by id = $2";
    let rows = admin.query(kept, &[&walk.id, &id_of(&first["id"])]).await.unwrap();
    let statuses: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(statuses, ["generated", "superseded"]);
    assert_eq!(rows[1].get::<_, Value>(2), first["metrics"], "as it was");
    let wrong = json!({ "processId": walk.id, "reportType": "No word" });
    let (status, _) = site
        .call(&walk.house.manager, "generate-tokenization-report", wrong)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let body = json!({ "propertyId": walk.house.id, "includeTransactions": true });
    let (status, _) = site
        .call(&walk.house.manager, "regulatory-evidence-export", body.clone())
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let bundle = site.done(&walk.house.officer, "regulatory-evidence-export", body).await["bundle"].take();
    assert_eq!(bundle["documents"][0]["reviews"][0]["decision"], "accepted");
    assert_eq!(bundle["gate_passes"][0]["evidence"].as_array().unwrap().len(), 4);
    assert_eq!(bundle["transactions"]["entries"][0]["kind"], "token.authorised");
    assert_eq!(bundle["transactions"]["is_complete"], true);
}

#[tokio::test]
async fn a_property_is_filed_by_a_manager_and_members_are_added_by_an_admin() {
    let site = Site::new().await;
    let (manager, admin, investor) = (
        site.person(&["property_manager"]).await,
        site.person(&["admin"]).await,
        site.person(&[]).await,
    );
    let body = json!({ "title": "A house", "city": "Kuwait", "country": "KW", "currency": "KWD", "isActive": true });
    assert_eq!(
        site.call(&investor, "create-property", body.clone()).await.0,
        StatusCode::FORBIDDEN
    );
    let filed = site.done(&manager, "create-property", body).await;
    let id = id_of(&filed["propertyId"]);
    let row = site
        .world
        .admin()
        .await
        .query_one(
            "select is_active, currency_decimals from public.properties where id = $1",
            &[&id],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i16>(1)), (false, 3));
    let begun = json!({ "action": "create_process", "propertyId": id });
    let other = site.person(&["property_manager"]).await;
    assert_eq!(
        site.call(&other, "monitor-tokenization", begun.clone()).await.0,
        StatusCode::NOT_FOUND
    );
    let member = |who: &Signed| json!({ "propertyId": id, "userId": who.id, "capacity": "manager" });
    let (rule, _) = site.refused(&admin, "add-property-member", member(&admin)).await;
    assert_eq!(rule, "member.not_oneself");
    assert_eq!(
        site.call(&manager, "add-property-member", member(&other)).await.0,
        StatusCode::FORBIDDEN
    );
    site.done(&admin, "add-property-member", member(&other)).await;
    site.done(&other, "monitor-tokenization", begun).await;
    for wrong in [json!({ "title": " " }), json!({ "title": "A", "currency": "XXX" })] {
        assert_eq!(
            site.call(&manager, "create-property", wrong).await.0,
            StatusCode::BAD_REQUEST
        );
    }
}
