//! Every route of auth as every kind of caller, and what must never be seen.

use std::fmt::Write as _;
use std::path::Path;

use chrono::TimeDelta;
use serde_json::json;

use super::{Confirm, Desk, PASSWORD, address};
use crate::schema_sql::compare;

/// Every route: method and path, with `{user}` and `{factor}` of somebody else.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/health"),
    ("GET", "/settings"),
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
    ("POST", "/sso"),
    ("GET", "/passkeys/list"),
    ("GET", "/oauth/authorize"),
    ("POST", "/logout"),
];

#[tokio::test]
async fn every_caller_at_every_route() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let client = desk.world.admin().await;
    let mut callers = Vec::new();
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
    callers.push(("no token", None));
    callers.push(("an expired token", Some(expired)));
    callers.push(("a wrong signature", Some(forged)));
    callers.push(("a session that ended", Some(out)));
    callers.push(("visitor", Some(desk.app.keys.anon_key().to_owned())));
    callers.push(("investor", Some(signed)));
    callers.push(("property_manager", Some(own(&["property_manager"]).await)));
    callers.push(("compliance_officer", Some(own(&["compliance_officer"]).await)));
    callers.push(("admin", Some(own(&["admin"]).await)));
    callers.push(("service", Some(desk.app.keys.service_key().expose().to_owned())));
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
    let page = page.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/logins/routes.txt"),
        &page,
    );
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
