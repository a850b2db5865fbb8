//! Verification of identity: who submits, who decides, who never does, and until when it counts.

use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use mint_core::compliance::{Identity, Level, Screening};
use nexus_mint::command::Command;
use nexus_mint::compliance::jobs;
use nexus_mint::db::Actor;
use serde_json::json;
use uuid::Uuid;

use crate::applicant::{approval, approve, clear, file, party_of, profile, reads_of, standing_of, submit};
use crate::callers::{Caller, asked, is_refused};
use crate::site::{Signed, Site};
use crate::world::Person;

#[tokio::test]
async fn an_identity_counts_from_the_decision_until_the_instant_it_expires() {
    let site = Site::new().await;
    let (ada, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let party = party_of(&site, &ada).await;
    assert_eq!(standing_of(&site, party).await.identity, Identity::None);
    let case = submit(&site, &ada).await;
    assert_eq!(standing_of(&site, party).await.identity, Identity::Pending);
    assert_eq!(profile(&site, &ada).await, "pending none f f");

    let refused = site.refused(&officer, "verify-kyc", approval(case)).await;
    assert_eq!(refused.0, "case.step", "nobody took it yet");
    site.done(&officer, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await;
    let refused = site.refused(&officer, "verify-kyc", approval(case)).await;
    assert_eq!(refused.0, "kyc.screened", "who was never screened is not verified");
    clear(&site, &officer, party).await;
    let until = site.now() + TimeDelta::days(10);
    let mut body = approval(case);
    body["expiresAt"] = json!(site.now() + TimeDelta::days(731));
    assert_eq!(
        site.refused(&officer, "verify-kyc", body.clone()).await.0,
        "terms.until"
    );
    body["expiresAt"] = json!(site.now());
    assert_eq!(
        site.refused(&officer, "verify-kyc", body.clone()).await.0,
        "terms.until"
    );
    body["expiresAt"] = json!(until);
    site.done(&officer, "verify-kyc", body).await;

    let level = Level::Basic;
    assert_eq!(
        standing_of(&site, party).await.identity,
        Identity::Approved { level, until }
    );
    assert_eq!(standing_of(&site, party).await.residency.as_deref(), Some("GB"));
    assert_eq!(profile(&site, &ada).await, "approved basic t f");
    site.set_now(until - TimeDelta::microseconds(1));
    assert_eq!(standing_of(&site, party).await.identified(site.now()), Ok(Level::Basic));
    site.set_now(until);
    assert_eq!(
        standing_of(&site, party).await.identity,
        Identity::Expired,
        "at its instant, before any job ran"
    );
    let status = site.done(&ada, "verify-kyc", json!({})).await;
    assert_eq!(status["kycStatus"], "expired");

    expire(&site).await;
    assert_eq!(profile(&site, &ada).await, "expired none f f");
    let again = submit(&site, &ada).await;
    approve(&site, &officer, again).await;
    assert_eq!(profile(&site, &ada).await, "approved basic t f", "submitted again");
    let sql = "select count(*) from public.notifications where user_id = $1";
    let told: i64 = site
        .world
        .admin()
        .await
        .query_one(sql, &[&ada.id])
        .await
        .unwrap()
        .get(0);
    assert!(told >= 5, "each step was told: {told}");
}

async fn expire(site: &Site) {
    // Other tests' approvals may be due too: until nothing is.
    loop {
        let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
        let count = jobs::expire_due(&command).await.unwrap();
        command.commit().await.unwrap();
        if count == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn nobody_decides_about_himself_or_his_own_party() {
    let site = Site::new().await;
    let subject = site.person(&["compliance_officer", "admin"]).await;
    let (colleague, admin) = (
        site.person(&["compliance_officer"]).await,
        site.person(&["admin"]).await,
    );
    let (manager, person) = (site.person(&["property_manager"]).await, site.person(&[]).await);
    let case = submit(&site, &subject).await;
    let client = site.world.admin().await;
    let party = party_of(&site, &subject).await;
    let take = json!({ "action": "take", "caseId": case });
    assert_eq!(
        site.refused(&subject, "verify-kyc", take.clone()).await.0,
        "case.by_a_stranger"
    );
    for other in [&admin, &manager, &person] {
        for body in [take.clone(), approval(case), json!({ "action": "list" })] {
            let (status, answer) = site.call(other, "verify-kyc", body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        }
    }
    // Another login of the same party.
    let sql = "update public.user_profiles set party_id = $2 where id = $1";
    client.execute(sql, &[&colleague.id, &party]).await.unwrap();
    assert_eq!(
        site.refused(&colleague, "verify-kyc", take.clone()).await.0,
        "case.by_a_stranger"
    );
    let get = json!({ "caseId": case, "reason": "review" });
    assert_eq!(
        site.refused(&colleague, "get-kyc-case", get).await.0,
        "case.by_a_stranger"
    );
    let screen = json!({ "partyId": party, "status": "clear", "provider": "a provider" });
    assert_eq!(
        site.refused(&colleague, "record-screening", screen).await.0,
        "case.by_a_stranger"
    );

    // The engine itself cannot write such a row.
    for decided_by in [subject.id, colleague.id] {
        let sql = format!(
            "update public.kyc_cases set status = 'approved', decided_by = '{decided_by}', decided_at = now(),
               expires_at = now() + interval '1 day' where id = '{case}'"
        );
        assert!(is_refused(&asked(&client, &Caller::engine(), &sql).await, "23514"));
    }
    // And nobody else writes any.
    for who in [&subject, &admin, &person] {
        let caller = Caller::of(&Person {
            id: who.id,
            is_staff: who.id != person.id,
        });
        let sql = format!("update public.kyc_cases set status = 'approved' where id = '{case}'");
        assert!(is_refused(&asked(&client, &caller, &sql).await, "42501"));
    }
    assert!(is_refused(
        &asked(&client, &Caller::service(), "select from public.kyc_cases").await,
        "42501"
    ));
}

#[tokio::test]
async fn what_was_submitted_is_shown_to_its_owner_and_to_officers_one_noted_read_at_a_time() {
    let site = Site::new().await;
    let (ada, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let other = site.person(&[]).await;
    let case = submit(&site, &ada).await;
    let client = site.world.admin().await;
    let own = Caller::of(&Person {
        id: ada.id,
        is_staff: false,
    });
    let sql = format!("select submission ->> 'legalName' from public.kyc_cases where id = '{case}'");
    assert_eq!(asked(&client, &own, &sql).await, Ok("Ada Lovelace".to_owned()));
    let staff = Caller::of(&Person {
        id: officer.id,
        is_staff: true,
    });
    for table in ["kyc_cases", "kyc_documents"] {
        let sql = format!("select count(*) from public.{table} where user_id = '{}'", ada.id);
        assert_eq!(
            asked(&client, &staff, &sql).await,
            Ok("0".to_owned()),
            "{table}: no read without a note"
        );
    }
    let sql = format!(
        "select count(*) from storage.objects where bucket_id = 'kyc-documents' and owner_id = '{}'",
        ada.id
    );
    assert_eq!(asked(&client, &staff, &sql).await, Ok("0".to_owned()));

    let queue = site.done(&officer, "list-kyc-queue", json!({})).await;
    assert!(!queue.to_string().contains("Lovelace"), "the queue has no content");
    let (status, _) = site.call(&officer, "get-kyc-case", json!({ "caseId": case })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a read has a reason");
    assert_eq!(reads_of(&site, case).await, 0);
    let body = json!({ "caseId": case, "reason": "review of the case" });
    let mut document = Uuid::nil();
    for turn in 1..=2 {
        let (status, shown) = site
            .call_with_key(&officer, "get-kyc-case", body.clone(), Some("a key"))
            .await;
        assert_eq!(status, StatusCode::OK, "{shown}");
        assert_eq!(shown["case"]["submission"]["legalName"], "Ada Lovelace");
        assert_eq!(reads_of(&site, case).await, turn, "a retry is a read like any other");
        document = crate::house::id_of(&shown["case"]["documents"][0]["id"]);
    }
    let sql = "select count(*) from nexus.command_keys where caller_id = $1";
    let kept: i64 = client.query_one(sql, &[&officer.id]).await.unwrap().get(0);
    assert_eq!(kept, 0, "no copy of what was shown is kept");

    let read = async |who: &Signed, reason: Option<&str>| {
        let request = Request::get(format!("/functions/v1/kyc-document-content/{document}"));
        let request = match reason {
            Some(reason) => request.header("x-reason", reason),
            None => request,
        };
        let (status, _, body) = site.send(Some(who), request, "").await;
        (status, body.starts_with(b"%PDF"))
    };
    assert_eq!(read(&ada, None).await, (StatusCode::OK, true));
    assert_eq!(reads_of(&site, document).await, 0, "one's own needs no note");
    assert_eq!(read(&other, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(read(&officer, None).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(read(&officer, Some("review")).await, (StatusCode::OK, true));
    assert_eq!(reads_of(&site, document).await, 1);
}

#[tokio::test]
async fn two_officers_at_once_decide_once() {
    let site = Site::new().await;
    let (ada, one, two) = (
        site.person(&[]).await,
        site.person(&["compliance_officer"]).await,
        site.person(&["compliance_officer"]).await,
    );
    let case = submit(&site, &ada).await;
    clear(&site, &one, party_of(&site, &ada).await).await;
    site.done(&one, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await;
    let reject = json!({ "action": "reject", "caseId": case, "reason": "the copy cannot be read" });
    assert_eq!(
        site.refused(&two, "verify-kyc", reject.clone()).await.0,
        "case.by_who_took_it"
    );
    let body = approval(case);
    let (approved, rejected) = tokio::join!(
        site.call(&one, "verify-kyc", body),
        site.call(&one, "verify-kyc", reject)
    );
    let outcomes = [approved.0, rejected.0];
    assert!(
        outcomes.contains(&StatusCode::OK) && outcomes.contains(&StatusCode::CONFLICT),
        "{approved:?} {rejected:?}"
    );
    // Two submissions at once make one case.
    let bob = site.person(&[]).await;
    let (first, second) = (file(&site, &bob).await, file(&site, &bob).await);
    let body = |document: Uuid| json!({ "action": "submit", "level": "basic", "documentIds": [document] });
    let (first, second) = tokio::join!(
        site.call(&bob, "verify-kyc", body(first)),
        site.call(&bob, "verify-kyc", body(second))
    );
    let outcomes = [first.0, second.0];
    assert!(
        outcomes.contains(&StatusCode::OK) && outcomes.contains(&StatusCode::CONFLICT),
        "{first:?} {second:?}"
    );
}

#[tokio::test]
async fn what_an_officer_or_the_person_ends_counts_no_more() {
    let site = Site::new().await;
    let (ada, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let party = party_of(&site, &ada).await;
    let case = submit(&site, &ada).await;
    site.done(&ada, "verify-kyc", json!({ "action": "withdraw", "caseId": case }))
        .await;
    assert_eq!(profile(&site, &ada).await, "not_started none f f");
    let case = submit(&site, &ada).await;
    let (status, _) = site
        .call(&officer, "verify-kyc", json!({ "action": "reject", "caseId": case }))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a rejection says why");
    site.done(&officer, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await;
    let reject = json!({ "action": "reject", "caseId": case, "reason": "blurred" });
    site.done(&officer, "verify-kyc", reject).await;
    let status = site.done(&ada, "verify-kyc", json!({ "action": "status" })).await;
    assert_eq!(
        (&status["kycStatus"], &status["case"]["reason"]),
        (&json!("rejected"), &json!("blurred"))
    );

    clear(&site, &officer, party).await;
    let first = submit(&site, &ada).await;
    approve(&site, &officer, first).await;
    let second = submit(&site, &ada).await;
    assert_eq!(
        profile(&site, &ada).await,
        "approved basic t f",
        "asking again takes nothing away"
    );
    approve(&site, &officer, second).await;
    let revoke = |case: Uuid| json!({ "action": "revoke", "caseId": case, "reason": "a forged passport" });
    assert_eq!(
        site.refused(&officer, "verify-kyc", revoke(first)).await.0,
        "case.step",
        "superseded"
    );
    site.done(&officer, "verify-kyc", revoke(second)).await;
    assert_eq!(profile(&site, &ada).await, "rejected none f f");
    let standing = standing_of(&site, party).await;
    assert_eq!(standing.identity, Identity::Rejected);
    assert!(matches!(standing.screening, Screening::Clear { .. }));
    let (status, _) = site
        .call(
            &officer,
            "verify-kyc",
            json!({ "action": "withdraw", "caseId": second }),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another's case is not there");
}
