//! The documents that programs read say what there is, and nothing else.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use nexus_mint::functions::{BUILT, NOT_BUILT, UPLOADS, WEBHOOK};
use nexus_mint::router::router;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::logins::{Confirm, Desk};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Below these paths everything is refused alike.
const WHOLE: [&str; 2] = ["/passkeys/{*rest}", "/oauth/{*rest}"];

async fn document(desk: &Desk, place: &str) -> Value {
    let request = Request::get(format!("{place}/openapi.json"))
        .body(Body::empty())
        .unwrap();
    let response = router(desk.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{place}");
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The codes with which a path or method that is not there is refused.
async fn is_there(desk: &Desk, place: &str, path: &str, method: &str) -> bool {
    let id = uuid::Uuid::new_v4().to_string();
    let path = path.replace("{id}", &id).replace("{factor}", &id);
    let method: Method = method.to_uppercase().parse().unwrap();
    let request = Request::builder().method(method).uri(format!("{place}{path}"));
    let response = router(desk.app.clone())
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    response.status() != StatusCode::METHOD_NOT_ALLOWED
}

async fn check(desk: &Desk, place: &str, document: &Value) {
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let expect = operations.get(method).is_some();
            assert_eq!(
                is_there(desk, place, path, method).await,
                expect,
                "{method} {place}{path}"
            );
        }
    }
}

#[tokio::test]
async fn the_document_of_auth_has_every_route() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let document = document(&desk, "/auth/v1").await;
    check(&desk, "/auth/v1", &document).await;
    let text = include_str!("../../src/auth/routes.rs");
    let routes: BTreeSet<&str> = text
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .filter(|path| !WHOLE.contains(path))
        .collect();
    let named: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(routes, named);
}

#[tokio::test]
async fn the_document_of_functions_has_every_function() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let document = document(&desk, "/functions/v1").await;
    check(&desk, "/functions/v1", &document).await;
    let named: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter_map(|path| path.strip_prefix('/'))
        .collect();
    let known = [BUILT, NOT_BUILT, UPLOADS].concat();
    for name in known.iter().chain(&[WEBHOOK]) {
        assert!(named.contains(name), "{name}");
    }
    assert_eq!(
        named.len(),
        known.len() + 1 + 3,
        "and the two contents and the document itself"
    );
}
