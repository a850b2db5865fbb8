//! Audits: the score follows from findings that rest on documents, and nobody audits what he has a part in.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::house::House;
use crate::site::Site;
use crate::tokenization::Walk;

async fn audit(site: &Site, house: &House, findings: Value) -> Value {
    // A score and an auditor of the client's own are wishes.
    let body = json!({ "propertyId": house.id, "propertyData": {}, "auditorId": house.admin.id, "score": 100, "findings": findings });
    site.done(&house.officer, "audit-property-contract", body).await
}

fn severity_of(audit: &Value, check: &str) -> String {
    let found = audit["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["check"] == check);
    found.unwrap()["severity"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_score_follows_from_the_evidence_and_the_findings() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let empty = audit(&site, &house, json!([])).await;
    assert_eq!(
        (&empty["score"], &empty["riskLevel"]),
        (&json!(0), &json!("critical")),
        "nothing is on file"
    );
    assert_eq!(empty["complianceStatus"], "non_compliant");

    house.all_evidence(&site).await;
    let some = audit(&site, &house, json!([])).await;
    assert_eq!(
        (&some["score"], &some["complianceStatus"]),
        (&json!(78), &json!("conditional"))
    );
    for kind in ["lien_status", "tax_status", "permit", "inspection"] {
        house.evidence(&site, kind, &[]).await;
    }
    let whole = audit(&site, &house, json!([])).await;
    assert_eq!(
        (&whole["score"], &whole["riskLevel"], &whole["complianceStatus"]),
        (&json!(100), &json!("low"), &json!("compliant"))
    );
    assert_eq!(whole["nextReviewDate"], "2031-03-17");
    assert!(
        whole["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|finding| finding["document_id"].is_string())
    );

    let finding = json!([{ "check": "condition", "severity": "major", "finding": "the roof leaks" }]);
    let found = audit(&site, &house, finding).await;
    assert_eq!((&found["score"], &found["riskLevel"]), (&json!(80), &json!("high")));

    // Evidence grows old: soon over is a finding, over is a worse one, at the very instant.
    let ends = "2032-03-17T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    for (instant, severity) in [
        (ends - TimeDelta::days(30) - TimeDelta::seconds(1), "none"),
        (ends - TimeDelta::days(30), "minor"),
        (ends - TimeDelta::seconds(1), "minor"),
        (ends, "major"),
    ] {
        site.set_now(instant);
        assert_eq!(
            severity_of(&audit(&site, &house, json!([])).await, "insurance"),
            severity,
            "{instant}"
        );
    }

    let row = site
        .world
        .admin()
        .await
        .query_one(
            "select auditor_id, audit_results from public.property_audits where property_id = $1 order by created_at, id limit 1",
            &[&house.id],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, uuid::Uuid>(0), house.officer.id, "whoever the body names");
    assert_eq!(row.get::<_, Value>(1)["rule"]["from"], 100);
    let report = site
        .done(
            &house.manager,
            "generate-audit-report",
            json!({ "propertyId": house.id }),
        )
        .await;
    assert_eq!(report["report"]["earlier_audits"], 7);
    assert_eq!(report["report"]["evidence"].as_array().unwrap().len(), 8);
    let stranger = site.person(&["property_manager"]).await;
    let (status, _) = site
        .call(&stranger, "generate-audit-report", json!({ "propertyId": house.id }))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_auditor_has_no_part_and_rests_on_this_propertys_documents() {
    let site = Site::new().await;
    let (house, other) = (House::new(&site).await, House::new(&site).await);
    let foreign = other.evidence(&site, "deed", &[]).await;
    let body = |findings: Value| json!({ "propertyId": house.id, "findings": findings });
    let finding = json!([{ "check": "title", "severity": "none", "finding": "seen", "documentId": foreign }]);
    let (rule, _) = site
        .refused(&house.officer, "audit-property-contract", body(finding))
        .await;
    assert_eq!(rule, "audit.document_of_property");
    let finding = json!([{ "check": "title", "severity": "none", "finding": "I believe it" }]);
    let (rule, _) = site
        .refused(&house.officer, "audit-property-contract", body(finding))
        .await;
    assert_eq!(rule, "audit.rests_on_evidence");
    let finding = json!([{ "check": "weather", "severity": "minor", "finding": "rain" }]);
    let (rule, _) = site
        .refused(&house.officer, "audit-property-contract", body(finding))
        .await;
    assert_eq!(rule, "audit.check_is_known");
    for who in [&house.admin, &house.manager] {
        let (status, _) = site.call(who, "audit-property-contract", body(json!([]))).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    let admin = site.world.admin().await;
    admin
        .execute(
            "insert into public.property_members (property_id, user_id, capacity, is_active) values ($1, $2, 'agent', false)",
            &[&house.id, &house.officer.id],
        )
        .await
        .unwrap();
    let (rule, _) = site
        .refused(&house.officer, "audit-property-contract", body(json!([])))
        .await;
    assert_eq!(rule, "audit.independent", "a part that has ended was a part");
}

#[tokio::test]
async fn the_audit_step_rests_on_the_newest_audit_that_let_it_pass() {
    let site = Site::new().await;
    let walk = Walk::begin(&site).await;
    let house = &walk.house;
    walk.up_to(&site, "audit").await;
    let submit =
        |audit: &Value| json!({ "processId": walk.id, "step": "audit", "data": { "auditId": audit["auditId"] } });
    let bad = json!([{ "check": "title", "severity": "critical", "finding": "another claims it" }]);
    let failed = audit(&site, house, bad).await;
    let (rule, _) = site.refused(&walk.second, "submit-step", submit(&failed)).await;
    assert_eq!(rule, "tokenization.audit_passed");
    let (status, _) = site.call(&walk.second, "submit-step", submit(&json!({}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    site.advance(TimeDelta::seconds(1));
    let passed = audit(&site, house, json!([])).await;
    site.done(&walk.second, "submit-step", submit(&passed)).await;
    // Before it is approved, a newer audit finds something.
    site.advance(TimeDelta::seconds(1));
    audit(
        &site,
        house,
        json!([{ "check": "title", "severity": "critical", "finding": "another claims it" }]),
    )
    .await;
    let (rule, _) = site
        .refused(
            &house.officer,
            "approve-step",
            json!({ "processId": walk.id, "step": "audit" }),
        )
        .await;
    assert_eq!(rule, "tokenization.audit_passed");
}
