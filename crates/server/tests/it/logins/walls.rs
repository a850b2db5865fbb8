//! Every route of auth as every kind of caller, and what must never be seen.

use std::fmt::Write as _;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use chrono::TimeDelta;
use nexus_mint::functions::{BUILT, NOT_BUILT, UPLOADS, WEBHOOK};
use nexus_mint::router::router;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Confirm, Desk, PASSWORD, address};
use crate::schema_sql::compare;
use crate::world::World;

/// Every route: method and path, with `{user}` and `{factor}` of somebody else.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/health"),
    ("GET", "/settings"),
    ("GET", "/openapi.json"),
    ("GET", "/.well-known/jwks.json"),
    ("POST", "/signup"),
    ("POST", "/token?grant_type=password"),
    ("POST", "/token?grant_type=refresh_token"),
    ("POST", "/token?grant_type=pkce"),
    ("POST", "/token?grant_type=web3"),
    ("POST", "/token?grant_type=id_token"),
    ("POST", "/token?grant_type=other"),
    ("POST", "/otp"),
    ("POST", "/magiclink"),
    ("POST", "/recover"),
    ("POST", "/resend"),
    ("POST", "/verify"),
    ("GET", "/verify"),
    ("POST", "/invite"),
    ("GET", "/user"),
    ("PUT", "/user"),
    ("GET", "/reauthenticate"),
    ("GET", "/user/identities/authorize"),
    ("DELETE", "/user/identities/{user}"),
    ("POST", "/factors"),
    ("POST", "/factors/{factor}/challenge"),
    ("POST", "/factors/{factor}/verify"),
    ("DELETE", "/factors/{factor}"),
    ("GET", "/admin/users"),
    ("POST", "/admin/users"),
    ("GET", "/admin/users/{user}"),
    ("PUT", "/admin/users/{user}"),
    ("GET", "/admin/users/{user}/factors"),
    ("PUT", "/admin/users/{user}/factors/{factor}"),
    ("DELETE", "/admin/users/{user}/factors/{factor}"),
    ("DELETE", "/admin/users/{user}"),
    ("POST", "/admin/generate_link"),
    ("GET", "/admin/audit"),
    ("GET", "/authorize"),
    ("GET", "/callback"),
    ("POST", "/callback"),
    ("GET", "/dev/mails"),
    ("POST", "/sso"),
    ("GET", "/passkeys/list"),
    ("GET", "/oauth/authorize"),
    ("POST", "/logout"),
];

/// Every kind of caller with its token.
async fn callers(desk: &Desk) -> Vec<(&'static str, Option<String>)> {
    let client = desk.world.admin().await;
    let own = async |roles: &[&str]| {
        let up = desk.sign_up(&address()).await.ok();
        let id: uuid::Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
        for role in roles {
            let text = "insert into public.user_role_assignments (user_id, role) values ($1, $2)";
            client.execute(text, &[&id, role]).await.unwrap();
        }
        desk.refresh(&up.text("refresh_token")).await.ok().text("access_token")
    };
    let expired = own(&[]).await;
    desk.advance(TimeDelta::hours(2));
    let signed = own(&[]).await;
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    let out = own(&[]).await;
    desk.by(&out, "POST", "/logout", None).await;
    vec![
        ("no token", None),
        ("an expired token", Some(expired)),
        ("a wrong signature", Some(forged)),
        ("a session that ended", Some(out)),
        ("visitor", Some(desk.app.keys.anon_key().to_owned())),
        ("investor", Some(signed)),
        ("property_manager", Some(own(&["property_manager"]).await)),
        ("compliance_officer", Some(own(&["compliance_officer"]).await)),
        ("admin", Some(own(&["admin"]).await)),
        ("service", Some(desk.app.keys.service_key().expose().to_owned())),
    ]
}

fn compare_page(name: &str, page: &str) {
    let page = page.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/logins").join(name),
        &page,
    );
}

/// Every other route of the server, with an id that nothing has.
fn other_routes() -> Vec<(&'static str, String)> {
    let mut routes: Vec<(&str, String)> = [
        "/health",
        "/ready",
        "/rest/v1/",
        "/rest/v1/user_profiles?select=id",
        "/rest/v1/nothing",
    ]
    .map(|path| ("GET", path.to_owned()))
    .to_vec();
    routes.extend(["GET", "POST"].map(|method| (method, format!("/sandbox/checkout/{}", uuid::Uuid::nil()))));
    for name in ["document-content", "kyc-document-content"] {
        routes.push(("GET", format!("/functions/v1/{name}/{}", uuid::Uuid::nil())));
    }
    routes.push(("GET", "/functions/v1/openapi.json".to_owned()));
    routes.push(("GET", "/realtime/v1/websocket".to_owned()));
    routes.push(("POST", "/realtime/v1/api/broadcast".to_owned()));
    routes.push(("POST", "/realtime/v1/api/broadcast/a/events/b".to_owned()));
    let names = [BUILT, NOT_BUILT, UPLOADS, &[WEBHOOK, "no-such-function"]].concat();
    routes.extend(names.iter().map(|name| ("POST", format!("/functions/v1/{name}"))));
    routes
}

#[tokio::test]
async fn every_caller_at_every_other_route() {
    // A database of its own: what others made is not counted.
    let desk = Desk::over(World::own_database().await, Confirm::AtOnce, ("UNUSED", ""));
    let callers = callers(&desk).await;
    let mut page = String::from("Every route outside of /auth/v1 as every caller, with an empty body.\n");
    for (method, path) in other_routes() {
        let _ = writeln!(page, "\n{method} {path}");
        let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
        for (name, token) in &callers {
            let mut request = Request::builder().method(method).uri(&path);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let body = if method == "POST" { "{}" } else { "" };
            let request = request
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap();
            let response = router(desk.app.clone()).oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let code = body["rule"]
                .as_str()
                .or_else(|| body["code"].as_str())
                .unwrap_or_default();
            assert!(status < 500 || status == 501, "{method} {path} as {name}: {body}");
            let outcome = format!("{status} {code}");
            match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, names)) => names.push(name),
                None => outcomes.push((outcome, vec![name])),
            }
        }
        for (outcome, names) in outcomes {
            let _ = writeln!(page, "  {}: {}", outcome.trim_end(), names.join(", "));
        }
    }
    compare_page("elsewhere.txt", &page);
}

#[tokio::test]
async fn every_caller_at_every_route() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let callers = callers(&desk).await;
    let mut page = String::from(
        "Every route of /auth/v1 as every caller, with an empty body, at somebody else's login and factor.\n",
    );
    for (method, path) in ROUTES {
        let _ = writeln!(page, "\n{method} {path}");
        // The service comes last, so that what it removes is there for everybody else.
        let other = desk.sign_up(&address()).await.ok();
        let user = other.body["user"]["id"].as_str().unwrap();
        let enrolment = Some(json!({ "factor_type": "totp" }));
        let theirs = other.text("access_token");
        let factor = desk.by(&theirs, "POST", "/factors", enrolment).await.ok().text("id");
        for (name, token) in &callers {
            let path = path.replace("{user}", user).replace("{factor}", &factor);
            let body = (*method != "GET").then(|| json!({}));
            let answer = match token {
                Some(token) => desk.by(token, method, &path, body).await,
                None => desk.send(method, &path, &[], body).await,
            };
            let code = answer.header("x-sb-error-code");
            let _ = writeln!(page, "  {name}: {} {code}", answer.status);
            assert!(answer.status < 500, "{method} {path} as {name}: {}", answer.body);
        }
    }
    compare_page("routes.txt", &page);
}

#[tokio::test]
async fn events_say_nothing_personal_or_secret() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    let mut secrets = vec![email.clone(), PASSWORD.to_owned()];
    desk.sign_up(&email).await.ok();
    let (_, code, link) = desk.mail(&email).await;
    let token = link
        .split("token=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    desk.sign_in(&email, PASSWORD).await;
    let up = desk
        .post("/verify", json!({ "type": "signup", "email": email, "token": code }))
        .await
        .ok();
    secrets.extend([token, up.text("access_token"), up.text("refresh_token")]);
    desk.sign_in(&email, "a wrong password").await;
    desk.refresh(&up.text("refresh_token")).await.ok();
    desk.refresh("a forged token").await;
    desk.by(&up.text("access_token"), "GET", "/user", None).await.ok();
    desk.by("a forged access token", "GET", "/user", None).await;
    desk.send(
        "POST",
        "/signup",
        &[],
        Some(json!({ "email": { "a": email }, "password": 7 })),
    )
    .await;
    desk.post("/admin/users", json!({ "email": email })).await;
    secrets.extend(["a wrong password".to_owned(), "a forged".to_owned()]);
    let client = desk.world.admin().await;
    let id: uuid::Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
    let rows = client
        .query(
            "select row_to_json(e)::text from nexus.login_events as e where user_id = $1",
            &[&id],
        )
        .await
        .unwrap();
    assert!(rows.len() >= 3);
    for row in rows {
        let text: String = row.get(0);
        assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())), "{text}");
    }
}

#[tokio::test]
async fn who_reads_the_database_cannot_sign_in() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let (_, code, link) = desk.mail(&email).await;
    let token = link
        .split("token=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    let client = desk.world.admin().await;
    let kept: String = client
        .query_one("select t.token_hash from auth.one_time_tokens as t join auth.users as u on u.id = t.user_id where u.email = $1", &[&email])
        .await
        .unwrap()
        .get(0);
    assert!(kept != token && !kept.contains(&code));
    let shown = desk
        .post("/verify", json!({ "type": "signup", "token_hash": kept }))
        .await;
    assert_eq!(shown.told(), (403, "otp_expired"), "what is kept is no token");
    let up = desk
        .post("/verify", json!({ "type": "signup", "token_hash": token }))
        .await
        .ok();
    let row: String = client
        .query_one(
            "select row_to_json(s)::text from auth.sessions as s where user_id = $1",
            &[&up.body["user"]["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap()],
        )
        .await
        .unwrap()
        .get(0);
    assert!(!row.contains(&up.text("refresh_token")), "no refresh token is kept");
    let tokens: i64 = client
        .query_one("select count(*) from auth.refresh_tokens", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(tokens, 0);
}
