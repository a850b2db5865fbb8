//! The table of functions: the same in the program and on the page, and what every function asks before it does anything.

use std::collections::BTreeSet;

use axum::http::{Request, StatusCode};
use nexus_mint::functions::{BUILT, NOT_BUILT, PROOFS, UPLOADS, WEBHOOK};
use serde_json::{Value, json};

use crate::site::Site;

#[test]
fn the_page_names_every_function_and_no_other() {
    let page = include_str!("../../../../docs/API.md");
    let named: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let known: BTreeSet<&str> = BUILT
        .iter()
        .chain(NOT_BUILT)
        .chain(UPLOADS)
        .copied()
        .chain([WEBHOOK])
        .collect();
    assert_eq!(
        known.symmetric_difference(&named).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "docs/API.md has a row for each, beginning with | `name`"
    );
}

#[tokio::test]
async fn nobody_runs_a_function_without_a_persons_token() {
    let site = Site::new().await;
    let anon = site.app.keys.anon_key().to_owned();
    let service = site.app.keys.service_key().expose().to_owned();
    for name in BUILT {
        for (who, token) in [
            ("no token", None),
            ("a key", Some(&anon)),
            ("the service", Some(&service)),
            ("nonsense", Some(&"x.y.z".to_owned())),
        ] {
            let request = Request::post(format!("/functions/v1/{name}"));
            let request = match token {
                Some(token) => request.header("authorization", format!("Bearer {token}")),
                None => request,
            };
            let (status, headers, body) = site.send(None, request, "{}").await;
            assert!(
                [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
                "{name} with {who}: {status}"
            );
            assert_eq!(headers["content-type"], "application/problem+json");
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"], body["detail"], "{name}");
        }
    }
}

#[tokio::test]
async fn who_has_not_the_role_runs_no_function_that_asks_for_it() {
    let site = Site::new().await;
    let people = [
        ("person", site.person(&[]).await),
        ("manager", site.person(&["property_manager"]).await),
        ("officer", site.person(&["compliance_officer"]).await),
        ("admin", site.person(&["admin"]).await),
    ];
    for (name, proof) in PROOFS {
        for (who, signed) in &people {
            let (status, answer) = site.call(signed, name, json!({})).await;
            let may = match *proof {
                "person" => true,
                "overseer" => ["officer", "admin"].contains(who),
                role => role == *who,
            };
            assert_eq!(
                status == StatusCode::FORBIDDEN,
                !may,
                "{name} asks for {proof}, {who}: {status} {answer}"
            );
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{name}, {who}: {answer}");
        }
    }
}

#[tokio::test]
async fn names_that_are_not_built_say_so_and_others_do_not_exist() {
    let site = Site::new().await;
    let investor = site.person(&[]).await;
    for name in NOT_BUILT {
        let (status, answer) = site.call(&investor, name, json!({})).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::NOT_IMPLEMENTED, &json!("not_available")),
            "{name}"
        );
    }
    let (status, answer) = site.call(&investor, "no-such-function", json!({})).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let rates = site.done(&investor, "get-exchange-rates", json!({})).await;
    assert_eq!(
        (&rates["success"], &rates["rates"]["USD_TO_AED"]),
        (&json!(true), &json!(3.6725))
    );
    let health = site.done(&investor, "deployment-health-check", json!({})).await;
    assert_eq!(health["overall_status"], json!("healthy"), "{health}");
    assert_eq!(
        health["summary"]["total_services"],
        json!(health["services"].as_array().unwrap().len())
    );
}

#[tokio::test]
async fn what_only_looks_takes_a_key_and_keeps_no_answer() {
    let site = Site::new().await;
    let admin = site.person(&["admin"]).await;
    for name in ["list-jobs", "get-system-status"] {
        for _ in 0..2 {
            let (status, answer) = site.call_with_key(&admin, name, json!({}), Some("a key")).await;
            assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        }
        let (status, _) = site.call_with_key(&admin, name, json!({}), Some("")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
    }
    let kept = "select count(*) from nexus.command_keys where caller_id = $1";
    let row = site.world.admin().await.query_one(kept, &[&admin.id]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}
