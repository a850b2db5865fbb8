//! Accreditation: requests that an officer decides, for as long as their terms allow, and the entry test.

use axum::http::StatusCode;
use chrono::TimeDelta;
use nexus_mint::command::Command;
use nexus_mint::compliance::jobs;
use nexus_mint::db::Actor;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::applicant::{party_of, profile, reads_of, standing_of};
use crate::callers::{Caller, asked, is_refused};
use crate::house::id_of;
use crate::site::{Signed, Site};
use crate::world::Person;

async fn request(site: &Site, who: &Signed, kind: &str) -> Uuid {
    let body = json!({ "kind": kind, "method": "third_party_letter", "submission": { "lawyer": "A Lawyer" },
                       "netWorth": { "minor": 120_000_000, "currency": "USD" } });
    id_of(&site.done(who, "request-accreditation", body).await["caseId"])
}

#[tokio::test]
async fn an_accreditation_holds_for_its_terms_and_no_longer() {
    let site = Site::new().await;
    let (ada, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let party = party_of(&site, &ada).await;
    let case = request(&site, &ada, "accredited").await;
    let (status, _) = site
        .call(
            &ada,
            "request-accreditation",
            json!({ "kind": "accredited", "method": "income" }),
        )
        .await;
    assert_eq!(status, StatusCode::CONFLICT, "one is open");
    site.done(&officer, "take-accreditation-case", json!({ "caseId": case }))
        .await;
    let late = json!({ "caseId": case, "expiresAt": site.now() + TimeDelta::days(90) + TimeDelta::microseconds(1) });
    let (rule, answer) = site.refused(&officer, "approve-accreditation", late).await;
    assert_eq!(rule, "terms.until");
    assert!(answer["source"].as_str().unwrap().contains("506(c)"), "{answer}");
    site.done(&officer, "approve-accreditation", json!({ "caseId": case }))
        .await;
    let until = site.now() + TimeDelta::days(90);
    let standing = standing_of(&site, party).await;
    assert_eq!(standing.accredited_until, Some(until));
    assert_eq!(standing.net_worth_minor, Some((120_000_000, "USD".to_owned())));
    assert!(standing.is_accredited(until - TimeDelta::microseconds(1)) && !standing.is_accredited(until));
    assert_eq!(profile(&site, &ada).await, "not_started none f t");
    site.set_now(until);
    let status = site.done(&ada, "accreditation-status", json!({})).await;
    assert_eq!(status["cases"][0]["status"], "expired", "before any job ran");
    loop {
        let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
        let count = jobs::expire_due(&command).await.unwrap();
        command.commit().await.unwrap();
        if count == 0 {
            break;
        }
    }
    assert_eq!(profile(&site, &ada).await, "not_started none f f");
    assert_eq!(standing_of(&site, party).await.accredited_until, None);
}

#[tokio::test]
async fn only_a_stranger_who_is_an_officer_decides_and_each_read_is_noted() {
    let site = Site::new().await;
    let (subject, officer) = (
        site.person(&["compliance_officer"]).await,
        site.person(&["compliance_officer"]).await,
    );
    let admin = site.person(&["admin"]).await;
    let case = request(&site, &subject, "sophisticated").await;
    let body = json!({ "caseId": case, "reason": "review" });
    for name in ["take-accreditation-case", "get-accreditation-case"] {
        assert_eq!(site.refused(&subject, name, body.clone()).await.0, "case.by_a_stranger");
    }
    for name in [
        "take-accreditation-case",
        "get-accreditation-case",
        "approve-accreditation",
        "reject-accreditation",
        "revoke-accreditation",
        "list-accreditation-queue",
    ] {
        let (status, answer) = site.call(&admin, name, body.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {answer}");
    }
    assert_eq!(reads_of(&site, case).await, 0);
    let shown = site.done(&officer, "get-accreditation-case", body).await;
    assert_eq!(shown["case"]["submission"]["lawyer"], "A Lawyer");
    assert_eq!(reads_of(&site, case).await, 1);
    let client = site.world.admin().await;
    let staff = Caller::of(&Person {
        id: officer.id,
        is_staff: true,
    });
    let sql = format!("select count(*) from public.accreditation_cases where id = '{case}'");
    assert_eq!(asked(&client, &staff, &sql).await, Ok("0".to_owned()));
    assert!(is_refused(
        &asked(&client, &staff, "select from public.entry_tests").await,
        "42501"
    ));

    site.done(&officer, "take-accreditation-case", json!({ "caseId": case }))
        .await;
    site.done(&officer, "approve-accreditation", json!({ "caseId": case }))
        .await;
    let party = party_of(&site, &subject).await;
    assert!(standing_of(&site, party).await.is_sophisticated(site.now()));
    let revoke = json!({ "caseId": case, "reason": "the letter was withdrawn" });
    assert_eq!(
        site.refused(&subject, "revoke-accreditation", revoke.clone()).await.0,
        "case.by_a_stranger"
    );
    site.done(&officer, "revoke-accreditation", revoke).await;
    assert!(!standing_of(&site, party).await.is_sophisticated(site.now()));
}

#[tokio::test]
async fn an_entry_test_is_passed_by_right_answers_and_not_by_guessing() {
    let site = Site::new().await;
    let ada = site.person(&[]).await;
    let party = party_of(&site, &ada).await;
    let asked = site.done(&ada, "get-entry-test", json!({})).await;
    assert!(
        !asked.to_string().contains("right\":"),
        "the answers are not told: {asked}"
    );
    let test = id_of(&asked["test"]["testId"]);
    let answers = |letters: &[&str]| -> Value {
        let questions = asked["test"]["questions"].as_array().unwrap();
        let pairs = questions.iter().zip(letters);
        let answers: serde_json::Map<String, Value> = pairs
            .map(|(question, letter)| (question["key"].as_str().unwrap().to_owned(), json!(letter)))
            .collect();
        json!({ "testId": test, "answers": answers, "netWorth": { "minor": 5_000_000, "currency": "EUR" } })
    };
    let failed = site
        .done(&ada, "answer-entry-test", answers(&["b", "b", "a", "c", "b", "a"]))
        .await;
    assert_eq!((&failed["passed"], &failed["answersRight"]), (&json!(false), &json!(4)));
    assert!(!standing_of(&site, party).await.has_passed_entry_test(site.now()));
    let passed = site
        .done(&ada, "answer-entry-test", answers(&["b", "b", "a", "c", "a", "a"]))
        .await;
    assert_eq!((&passed["passed"], &passed["answersRight"]), (&json!(true), &json!(5)));
    let until = site.now() + TimeDelta::days(730);
    let standing = standing_of(&site, party).await;
    assert_eq!(standing.entry_test_until, Some(until));
    assert_eq!(standing.net_worth_minor, Some((5_000_000, "EUR".to_owned())));

    site.done(&ada, "answer-entry-test", answers(&[])).await;
    let standing = standing_of(&site, party).await;
    assert_eq!(
        standing.entry_test_until,
        Some(until),
        "failing later takes nothing away"
    );
    let all = answers(&["b", "b", "a", "c", "a", "b"]);
    assert_eq!(
        site.refused(&ada, "answer-entry-test", all.clone()).await.0,
        "entry_test.tries"
    );
    site.advance(TimeDelta::hours(24));
    site.done(&ada, "answer-entry-test", all).await;
    site.advance(TimeDelta::days(365));
    assert_eq!(
        standing_of(&site, party).await.net_worth_minor,
        None,
        "a year after it was stated"
    );
    let (status, _) = site
        .call(
            &ada,
            "answer-entry-test",
            json!({ "testId": Uuid::now_v7(), "answers": {} }),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
