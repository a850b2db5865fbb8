//! The evidence gate, attacked: nothing passes without current evidence, by whatever door and at whatever instant.

use std::sync::Arc;

use chrono::TimeDelta;
use nexus_mint::command::Command;
use nexus_mint::db::Actor;
use nexus_mint::documents::gate::{self, Action, OfferingKind};
use nexus_mint::problem::Problem;
use serde_json::json;
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::house::{EVIDENCE, House, id_of};
use crate::site::Site;
use crate::world::act_as;

async fn pass(site: &Site, house: &House, action: Action, kind: OfferingKind) -> Result<Uuid, Problem> {
    pass_for(site, house, action, kind, Uuid::now_v7()).await
}

async fn pass_for(
    site: &Site,
    house: &House,
    action: Action,
    kind: OfferingKind,
    subject: Uuid,
) -> Result<Uuid, Problem> {
    let command = Command::begin(&site.app, Actor::Person(house.admin.id)).await.unwrap();
    let pass = gate::pass(&command, house.id, action, subject, kind, None).await?;
    command.commit().await?;
    Ok(pass)
}

/// The refusal's rule, and what it says was found of a requirement.
fn refusal(outcome: Result<Uuid, Problem>, requirement: &str) -> (String, Option<String>) {
    match outcome {
        Err(Problem::Refused(refusal)) => (refusal.rule.clone(), refusal.inputs.get(requirement).cloned()),
        other => panic!("not refused: {other:?}"),
    }
}

fn lacks(outcome: Result<Uuid, Problem>, requirement: &str, found: &str) {
    assert_eq!(
        refusal(outcome, requirement),
        ("gate.evidence_current".to_owned(), Some(found.to_owned())),
        "{requirement}"
    );
}

#[tokio::test]
async fn a_launch_asks_for_each_kind_of_evidence() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let launch = async || pass(&site, &house, Action::Launch, OfferingKind::IssuerOwns).await;
    for kind in EVIDENCE {
        let requirement = if kind == "deed" { "title" } else { kind };
        lacks(launch().await, requirement, "missing");
        let document = house.file(&site, kind, &[]).await;
        lacks(launch().await, requirement, "pending");
        house.accept(&site, document).await;
    }
    let pass = launch().await.unwrap();
    let rests = "select count(*), count(distinct document_id) from public.gate_pass_evidence where pass_id = $1";
    let row = site.world.admin().await.query_one(rests, &[&pass]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (4, 4));
}

#[tokio::test]
async fn title_may_be_a_search_before_the_house_is_bought_and_is_a_deed_after() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    for kind in ["title_search", "insurance", "appraisal", "entity_papers"] {
        house.evidence(&site, kind, &[]).await;
    }
    lacks(
        pass(&site, &house, Action::Launch, OfferingKind::IssuerOwns).await,
        "title",
        "missing",
    );
    // The seller's deed, from before, is no deed of the buyer.
    house.evidence(&site, "deed", &[("issuedOn", "2020-01-01")]).await;
    pass(&site, &house, Action::Launch, OfferingKind::Acquisition)
        .await
        .unwrap();
    lacks(
        pass(&site, &house, Action::Close, OfferingKind::Acquisition).await,
        "title",
        "too early",
    );
    site.advance(TimeDelta::days(10));
    house.evidence(&site, "deed", &[("issuedOn", "2030-03-20")]).await;
    pass(&site, &house, Action::Close, OfferingKind::Acquisition)
        .await
        .unwrap();
}

#[tokio::test]
async fn evidence_holds_until_the_instant_at_which_it_ends() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    house.evidence(&site, "deed", &[]).await;
    let ends = site.now() + TimeDelta::days(3);
    house
        .evidence(&site, "insurance", &[("expiresAt", &ends.to_rfc3339())])
        .await;
    let declare = async || pass(&site, &house, Action::Declare, OfferingKind::IssuerOwns).await;
    site.set_now(ends - TimeDelta::microseconds(1));
    declare().await.unwrap();
    site.set_now(ends);
    lacks(declare().await, "insurance", "expired");
    // The clock is put back, or jumps: the instant alone decides.
    site.set_now(ends - TimeDelta::days(1));
    declare().await.unwrap();
    // What is issued tomorrow is no evidence today.
    let other = House::new(&site).await;
    other.evidence(&site, "deed", &[("issuedOn", "2030-03-25")]).await;
    other.evidence(&site, "insurance", &[]).await;
    lacks(
        pass(&site, &other, Action::Declare, OfferingKind::IssuerOwns).await,
        "title",
        "too early",
    );
}

#[tokio::test]
async fn an_incident_stops_closing_and_declaring() {
    let site = Site::over(crate::world::World::own_database().await);
    let house = House::new(&site).await;
    house.all_evidence(&site).await;
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create or replace function nexus.has_open_incident(property_id uuid) returns boolean
             language sql stable security definer set search_path = '' as 'select true'",
        )
        .await
        .unwrap();
    pass(&site, &house, Action::Launch, OfferingKind::IssuerOwns)
        .await
        .unwrap();
    for action in [Action::Close, Action::Declare] {
        let outcome = pass(&site, &house, action, OfferingKind::IssuerOwns).await;
        assert_eq!(refusal(outcome, "").0, "gate.no_open_incident");
    }
}

#[tokio::test]
async fn an_override_needs_two_persons_waives_once_and_never_waives_title() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let subject = Uuid::now_v7();
    house.evidence(&site, "deed", &[]).await;
    let close = async |subject| pass_for(&site, &house, Action::Close, OfferingKind::IssuerOwns, subject).await;
    let body = |requirements: &[&str]| json!({ "propertyId": house.id, "action": "close", "subjectId": subject, "requirements": requirements, "reason": "the policy is being issued" });
    let (rule, _) = site
        .refused(&house.admin, "request-gate-override", body(&["title", "insurance"]))
        .await;
    assert_eq!(rule, "gate.title_is_never_waived");
    let asked = site
        .done(&house.admin, "request-gate-override", body(&["insurance"]))
        .await;
    let id = json!({ "overrideId": asked["overrideId"] });
    lacks(close(subject).await, "insurance", "missing");
    let (rule, _) = site.refused(&house.admin, "approve-gate-override", id.clone()).await;
    assert_eq!(rule, "gate.override_four_eyes");
    site.done(&house.officer, "approve-gate-override", id.clone()).await;
    let (rule, _) = site.refused(&house.officer, "approve-gate-override", id).await;
    assert_eq!(rule, "gate.override_open");

    lacks(close(Uuid::now_v7()).await, "insurance", "missing");
    let pass = close(subject).await.unwrap();
    let used = "select override_id from public.gate_passes where id = $1";
    let row = site.world.admin().await.query_one(used, &[&pass]).await.unwrap();
    assert_eq!(row.get::<_, Uuid>(0), id_of(&asked["overrideId"]), "it stays visible");
    lacks(close(subject).await, "insurance", "missing");

    // One that is over waives nothing.
    let asked = site
        .done(&house.officer, "request-gate-override", body(&["insurance"]))
        .await;
    site.done(
        &house.admin,
        "approve-gate-override",
        json!({ "overrideId": asked["overrideId"] }),
    )
    .await;
    site.advance(TimeDelta::days(7));
    lacks(close(subject).await, "insurance", "missing");
}

/// A revocation and a pass at the same instant: whoever comes second sees what the first did. Never both a pass that was
/// given after the revocation, nor a pass that rests on what was revoked before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_race_gets_through() {
    let site = Arc::new(Site::new().await);
    for _ in 0..25 {
        let house = Arc::new(House::new(&site).await);
        house.evidence(&site, "deed", &[]).await;
        let insurance = house.evidence(&site, "insurance", &[]).await;
        let barrier = Arc::new(Barrier::new(2));
        let revoking = {
            let (site, house, barrier) = (site.clone(), house.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let body = json!({ "documentId": insurance, "decision": "revoked", "reason": "cancelled" });
                site.done(&house.officer, "review-document", body).await;
            })
        };
        let closing = {
            let (site, house, barrier) = (site.clone(), house.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                pass(&site, &house, Action::Close, OfferingKind::IssuerOwns).await
            })
        };
        revoking.await.unwrap();
        let outcome = closing.await.unwrap();
        let admin = site.world.admin().await;
        // The trail tells who was first: rows get their numbers under the lock.
        let order = "select (select min(id) from public.audit_log where table_name = 'public.gate_passes' and row_key = $1::text),
                            (select max(id) from public.audit_log where table_name = 'public.property_documents' and row_key = $2::text)";
        match outcome {
            Ok(pass) => {
                let row = admin
                    .query_one(order, &[&pass.to_string(), &insurance.to_string()])
                    .await
                    .unwrap();
                assert!(
                    row.get::<_, Option<i64>>(0) < row.get::<_, Option<i64>>(1),
                    "the pass was given first"
                );
            }
            refused => lacks(refused, "insurance", "revoked"),
        }
        lacks(
            pass(&site, &house, Action::Close, OfferingKind::IssuerOwns).await,
            "insurance",
            "revoked",
        );
    }
}

/// Whoever asks by SQL, and whatever they claim: what decides is written by the owner's functions alone.
#[tokio::test]
async fn no_role_goes_round_the_gate_by_sql() {
    let site = Site::new().await;
    let (house, other) = (House::new(&site).await, House::new(&site).await);
    house.all_evidence(&site).await;
    let pass_id = pass(&site, &house, Action::Launch, OfferingKind::IssuerOwns)
        .await
        .unwrap();
    let document = house.file(&site, "insurance", &[]).await;
    let statements = [
        format!(
            "insert into public.gate_passes (property_id, action, subject_id, offering_kind, passed_at) values ('{}', 'close', gen_random_uuid(), 'issuer_owns', now())",
            other.id
        ),
        format!(
            "update public.gate_passes set property_id = '{}' where id = '{pass_id}'",
            other.id
        ),
        format!("delete from public.gate_passes where id = '{pass_id}'"),
        format!(
            "insert into public.gate_pass_evidence (pass_id, property_id, action, requirement, document_id, sha256) values ('{pass_id}', '{}', 'launch', 'more', '{document}', sha256('x'))",
            house.id
        ),
        format!(
            "insert into public.property_document_reviews (document_id, reviewer_id, decision) values ('{document}', '{}', 'accepted')",
            house.officer.id
        ),
        format!("update public.property_documents set review_status = 'accepted' where id = '{document}'"),
        format!(
            "update public.property_documents set expires_at = null where property_id = '{}'",
            house.id
        ),
        format!(
            "insert into public.gate_overrides (property_id, action, subject_id, requirements, reason, requested_by, requested_at, approved_by, approved_at, valid_until) values ('{}', 'close', gen_random_uuid(), '{{insurance}}', 'x', '{}', now(), '{}', now(), now() + interval '1 day')",
            other.id, house.admin.id, house.officer.id
        ),
        "update public.gate_requirements set document_types = '{other}'".to_owned(),
        "delete from public.gate_requirements".to_owned(),
        format!("delete from public.property_gates where property_id = '{}'", house.id),
    ];
    let mut admin = site.world.admin().await;
    for (role, who) in [
        ("anon", None),
        ("authenticated", Some(&house.manager)),
        ("nexus_staff", Some(&house.manager)),
        ("nexus_staff", Some(&house.officer)),
        ("nexus_staff", Some(&house.admin)),
        ("service_role", None),
        ("nexus_engine", Some(&house.officer)),
        ("nexus_engine", None),
    ] {
        let claims = json!({ "role": role, "sub": who.map(|who| who.id) });
        for statement in &statements {
            let tx = admin.transaction().await.unwrap();
            act_as(tx.client(), role, &claims).await;
            let outcome = tx.execute(statement.as_str(), &[]).await;
            let code = outcome
                .as_ref()
                .err()
                .and_then(|error| error.code())
                .map(|code| code.code().to_owned());
            assert_eq!(code.as_deref(), Some("42501"), "{role}: {statement}: {outcome:?}");
        }
        if role != "nexus_engine" {
            let tx = admin.transaction().await.unwrap();
            act_as(tx.client(), role, &claims).await;
            let call = format!(
                "select nexus.pass_gate('{}', 'launch', gen_random_uuid(), 'issuer_owns', now())",
                house.id
            );
            let outcome = tx.execute(call.as_str(), &[]).await;
            assert!(outcome.is_err(), "{role} may not pass");
        }
    }
    // Even the owner's functions ask who it is: the engine without an officer reviews nothing.
    for (who, constraint) in [
        (None, "reviews_are_by_officers"),
        (Some(&house.admin), "reviews_are_by_officers"),
        (Some(&house.manager), "reviews_are_by_officers"),
    ] {
        let tx = admin.transaction().await.unwrap();
        act_as(
            tx.client(),
            "nexus_engine",
            &json!({ "role": "nexus_engine", "sub": who.map(|who| who.id) }),
        )
        .await;
        let call = format!("select nexus.review_document('{document}', 'accepted', null, now())");
        let error = tx.execute(call.as_str(), &[]).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().constraint(), Some(constraint));
    }
}

/// The evidence of one house opens nothing of another, and a pass is of its own property and action.
#[tokio::test]
async fn a_pass_is_of_one_property_and_one_action() {
    let site = Site::new().await;
    let (house, other) = (House::new(&site).await, House::new(&site).await);
    house.all_evidence(&site).await;
    lacks(
        pass(&site, &other, Action::Launch, OfferingKind::IssuerOwns).await,
        "title",
        "missing",
    );
    let pass = pass(&site, &house, Action::Launch, OfferingKind::IssuerOwns)
        .await
        .unwrap();
    let mut admin = site.world.admin().await;
    for (property, action, fits) in [
        (house.id, "launch", true),
        (other.id, "launch", false),
        (house.id, "close", false),
    ] {
        let tx = admin.transaction().await.unwrap();
        let found = "select exists (select from public.gate_passes where (id, property_id, action) = ($1, $2, $3))";
        let row = tx.query_one(found, &[&pass, &property, &action]).await.unwrap();
        assert_eq!(row.get::<_, bool>(0), fits);
    }
}
