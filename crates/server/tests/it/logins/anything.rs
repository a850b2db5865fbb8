//! Whatever a request says, it is answered in auth's own form, and never by a fault of ours.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::{Answer, Confirm, Desk};

/// Requests of each test: enough to meet each field with each kind of value several times.
const REQUESTS: usize = 400;

const PATHS: [(&str, &str); 22] = [
    ("POST", "/signup"),
    ("POST", "/token?grant_type=password"),
    ("POST", "/token?grant_type=refresh_token"),
    ("POST", "/token?grant_type=pkce"),
    ("POST", "/token?grant_type=web3"),
    ("POST", "/token?grant_type=id_token"),
    ("POST", "/otp"),
    ("POST", "/magiclink"),
    ("POST", "/recover"),
    ("POST", "/resend"),
    ("POST", "/verify"),
    ("POST", "/invite"),
    ("PUT", "/user"),
    ("POST", "/factors"),
    ("POST", "/factors/x/challenge"),
    ("POST", "/factors/5f0f8f5c-3b1c-4b39-9d3d-0d5a3e6a0b11/verify"),
    ("POST", "/admin/users"),
    ("PUT", "/admin/users/5f0f8f5c-3b1c-4b39-9d3d-0d5a3e6a0b11"),
    ("DELETE", "/admin/users/5f0f8f5c-3b1c-4b39-9d3d-0d5a3e6a0b11"),
    ("POST", "/admin/generate_link"),
    ("POST", "/sso"),
    ("POST", "/callback"),
];
const FIELDS: [&str; 30] = [
    "email",
    "phone",
    "password",
    "data",
    "code_challenge",
    "code_challenge_method",
    "refresh_token",
    "auth_code",
    "code_verifier",
    "chain",
    "message",
    "signature",
    "provider",
    "id_token",
    "nonce",
    "type",
    "token",
    "token_hash",
    "create_user",
    "current_password",
    "factor_type",
    "friendly_name",
    "challenge_id",
    "code",
    "ban_duration",
    "user_metadata",
    "app_metadata",
    "id",
    "password_hash",
    "redirect_to",
];
const QUERIES: [&str; 13] = [
    "provider",
    "redirect_to",
    "scopes",
    "code_challenge",
    "code_challenge_method",
    "skip_http_redirect",
    "state",
    "code",
    "token",
    "type",
    "page",
    "per_page",
    "filter",
];

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{1,8}@example\\.com".prop_map(Value::from),
        "[a-zA-Z0-9._-]{0,130}".prop_map(Value::from),
        Just(json!("a\u{0}b")),
        Just(json!("9999999999999999999999h")),
        Just(json!("signup")),
        Just(json!("s256")),
        Just(json!("ethereum")),
        Just(json!("totp")),
        Just(json!(uuid::Uuid::nil())),
    ];
    plain.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn check(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.body);
    if answer.status >= 400 {
        let body = &answer.body;
        let is_ours = body["error_code"].is_string() && body["msg"].is_string() && body["code"] == answer.status;
        assert!(
            is_ours || body["error_description"].is_string(),
            "{what}: {} {body}",
            answer.status
        );
    }
}

#[tokio::test]
async fn bodies() {
    let desk = Desk::new(Confirm::ByMail).await;
    let mut runner = TestRunner::deterministic();
    let body = prop_oneof![
        8 => prop::collection::vec((prop::sample::select(&FIELDS[..]), value()), 0..8)
            .prop_map(|fields| Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        1 => value(),
    ];
    let asked = (prop::sample::select(&PATHS[..]), body, 0..3_usize);
    let service = desk.app.keys.service_key().expose().to_owned();
    for _ in 0..REQUESTS {
        let ((method, path), body, who) = asked.new_tree(&mut runner).unwrap().current();
        // A person of its own, since a request may end it.
        let token = match who {
            0 => None,
            1 => Some(service.clone()),
            _ => Some(desk.post("/signup", json!({})).await.ok().text("access_token")),
        };
        let answer = match &token {
            Some(token) => desk.by(token, method, path, Some(body.clone())).await,
            None => desk.send(method, path, &[], Some(body.clone())).await,
        };
        check(&answer, &format!("{method} {path} {body}"));
    }
}

#[tokio::test]
async fn queries_and_paths() {
    let desk = Desk::new(Confirm::ByMail).await;
    let mut runner = TestRunner::deterministic();
    let token = desk.post("/signup", json!({})).await.ok().text("access_token");
    let service = desk.app.keys.service_key().expose().to_owned();
    const PATHS: [&str; 13] = [
        "/authorize",
        "/callback",
        "/verify",
        "/user/identities/authorize",
        "/admin/users",
        "/admin/audit",
        "/dev/mails",
        "/user",
        "/nothing",
        "/admin/users/%ff",
        "/admin/users/%00",
        "/factors/%ff/verify",
        "/user/identities/%c3%28",
    ];
    let text = prop_oneof![any::<String>(), "[-]?[0-9]{1,25}", Just("\u{0}".to_owned())];
    let pairs = prop::collection::vec((prop::sample::select(&QUERIES[..]), text), 0..4);
    let asked = (prop::sample::select(&PATHS[..]), pairs, any::<bool>());
    for _ in 0..REQUESTS {
        let (path, pairs, is_service) = asked.new_tree(&mut runner).unwrap().current();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .finish();
        let path = format!("{path}?{query}");
        let token = if is_service { &service } else { &token };
        for method in ["GET", "POST", "DELETE"] {
            check(&desk.by(token, method, &path, None).await, &format!("{method} {path}"));
        }
    }
    for (path, body) in [
        ("/signup", "{"),
        ("/token", "[]"),
        ("/otp", "\u{feff}{}"),
        ("/verify", "{\"type\":1e999}"),
    ] {
        let request = axum::http::Request::post(format!("/auth/v1{path}"))
            .body(axum::body::Body::from(body.to_owned()))
            .unwrap();
        let response = tower::ServiceExt::oneshot(nexus_mint::router::router(desk.app.clone()), request)
            .await
            .unwrap();
        assert_eq!(response.status(), 400, "{path} {body}");
        assert!(response.headers().contains_key("x-sb-error-code"));
    }
}
