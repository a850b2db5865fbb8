//! The console's pages as every kind of visitor, and its sessions in cookies.

use std::fmt::Write as _;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use chrono::TimeDelta;
use nexus_mint::app::App;
use nexus_mint::router::router;
use serde_json::json;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::{Confirm, Desk, PASSWORD, address, factors};
use crate::schema_sql::compare;
use crate::site::Site;

/// A server that a browser asks.
pub(super) trait Served {
    fn app(&self) -> &App;
}

impl Served for Desk {
    fn app(&self) -> &App {
        &self.app
    }
}

impl Served for Site {
    fn app(&self) -> &App {
        &self.app
    }
}

/// Somebody's browser: what it keeps, and the token of the form that it saw last.
#[derive(Default)]
pub(super) struct Browser {
    cookies: Vec<(String, String)>,
    pub(super) form_token: String,
}

/// A page as it came.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) html: String,
}

impl Page {
    pub(super) fn location(&self) -> &str {
        self.headers
            .get("location")
            .map(|place| place.to_str().unwrap())
            .unwrap_or_default()
    }
}

impl Browser {
    pub(super) fn with_tokens(access: &str, refresh: &str) -> Browser {
        let cookies = [("mint-access", access), ("mint-refresh", refresh)];
        Browser {
            cookies: cookies
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            form_token: String::new(),
        }
    }

    async fn send(&mut self, desk: &impl Served, method: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let jar: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", "text/html");
        if !jar.is_empty() {
            request = request.header("cookie", jar.join("; "));
        }
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let response = router(desk.app().clone())
            .oneshot(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        for set in parts.headers.get_all("set-cookie") {
            let (name, value) = set
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .split_once('=')
                .unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let html = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((_, after)) = html.split_once("name=\"form_token\" value=\"") {
            self.form_token = after.split('"').next().unwrap().to_owned();
        }
        Page {
            status: parts.status.as_u16(),
            headers: parts.headers,
            html,
        }
    }

    pub(super) async fn get(&mut self, desk: &impl Served, path: &str) -> Page {
        self.send(desk, "GET", path, &[]).await
    }

    /// Sends a form of a page that was just opened.
    pub(super) async fn post(&mut self, desk: &impl Served, path: &str, fields: &[(&str, &str)]) -> Page {
        self.get(desk, "/design").await;
        let token = self.form_token.clone();
        let fields: Vec<_> = [("form_token", token.as_str())]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        self.send(desk, "POST", path, &fields).await
    }
}

/// Every route of the console, with the methods that it takes, as its table has them.
fn routes() -> Vec<(&'static str, String)> {
    let table = include_str!("../../../src/console.rs");
    let mut found = Vec::new();
    for part in table.split(".route(").skip(1) {
        let path = part.split('"').nth(1).unwrap();
        let rest = part.split('"').nth(2).unwrap().split(".route(").next().unwrap();
        for (mark, method) in [("get(", "GET"), ("post(", "POST")] {
            if rest.contains(mark) {
                found.push((method, path.to_owned()));
            }
        }
    }
    found
}

/// Somebody new with this role, at a browser.
pub(super) async fn signed_in_as(desk: &Desk, role: &str) -> Browser {
    let up = desk.sign_up(&address()).await.ok();
    let id: Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
    if role != "investor" {
        let text = "insert into public.user_role_assignments (user_id, role) values ($1, $2)";
        let client = desk.world.admin().await;
        client.execute(text, &[&id, &role]).await.unwrap();
    }
    let fresh = desk.refresh(&up.text("refresh_token")).await.ok();
    Browser::with_tokens(&fresh.text("access_token"), &fresh.text("refresh_token"))
}

#[tokio::test]
async fn settings_are_shown_and_no_secret() {
    let smtp = ("NEXUS_MINT_SMTP_URL", "smtp://mint:a-password-of-mail@127.0.0.1:1");
    let desk = Desk::with(Confirm::AtOnce, smtp).await;
    let page = signed_in_as(&desk, "admin")
        .await
        .get(&desk, "/administration/settings")
        .await;
    assert_eq!(page.status, 200);
    let config = &desk.app.config;
    for setting in &config.settings.in_force {
        assert!(page.html.contains(setting.spec.key), "{}", setting.spec.key);
    }
    assert!(page.html.contains("[secret]"), "it is said that there is one");
    for secret in [&config.jwt_secret, &config.file_key, &config.seal_key] {
        assert!(!page.html.contains(secret.expose()), "a secret is on the page");
    }
    for part in ["a-password-of-mail", desk.app.keys.service_key().expose()] {
        assert!(!page.html.contains(part), "a secret is on the page");
    }
}

#[tokio::test]
async fn every_visitor_at_every_page() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let mut browsers = vec![("visitor", Browser::default())];
    for role in ["investor", "property_manager", "compliance_officer", "admin"] {
        browsers.push((role, signed_in_as(&desk, role).await));
    }
    let mut page =
        String::from("Every page and form of the console as every kind of visitor, about things that are not there.\n");
    let routes = routes();
    assert!(routes.len() > 60, "the table is read: {}", routes.len());
    for (method, path) in routes {
        // This one ends the session that the others need.
        if path == "/sign-out" {
            continue;
        }
        let _ = writeln!(page, "\n{method} {path}");
        let place = path
            .replace("{year}", "2026")
            .replace("/act/{function}", "/act/open-offering")
            .replace("/reports/{function}", "/reports/generate-audit-report")
            .replace("{name}", "nothing.css");
        let place: String = place
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    "00000000-0000-4000-8000-000000000000"
                } else {
                    part
                }
            })
            .collect::<Vec<_>>()
            .join("/");
        for (name, browser) in &mut browsers {
            let answer = if method == "GET" {
                browser.get(&desk, &place).await
            } else {
                let bare = browser.send(&desk, method, &place, &[]).await;
                assert_eq!(
                    bare.status, 403,
                    "{place} as {name}: a form without a token of its own is not read"
                );
                browser.post(&desk, &place, &[]).await
            };
            assert!(answer.status < 500, "{method} {place} as {name}: {}", answer.html);
            if answer.status != 303 && !place.starts_with("/assets/") {
                let policy = answer.headers["content-security-policy"].to_str().unwrap();
                assert!(
                    policy.starts_with("default-src 'none'") && !policy.contains("script-src 'unsafe"),
                    "{policy}"
                );
            }
            let place = answer.location().split('?').next().unwrap();
            let _ = writeln!(page, "  {name}: {} {place}", answer.status);
        }
    }
    let page = page.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    assert!(
        page.contains("GET /portfolio\n  visitor: 303 /sign-in\n  investor: 200\n"),
        "nobody became somebody else on the way"
    );
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/logins/pages.txt"),
        &page,
    );
}

#[tokio::test]
async fn a_session_lives_in_cookies_that_are_renewed_and_ends_at_once() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let mut browser = Browser::default();
    let wrong = browser
        .post(&desk, "/sign-in", &[("email", &email), ("password", "wrong")])
        .await;
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.html.contains(&format!("value=\"{email}\"")),
        "what was typed stays"
    );
    let form = [
        ("email", email.as_str()),
        ("password", PASSWORD),
        ("next", "//evil.example"),
    ];
    let seen = browser.form_token.clone();
    let inside = browser.post(&desk, "/sign-in", &form).await;
    assert_eq!((inside.status, inside.location()), (303, "/"), "nobody is led away");
    for set in inside.headers.get_all("set-cookie") {
        let set = set.to_str().unwrap();
        assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
    }
    assert_eq!(browser.get(&desk, "/portfolio").await.status, 200);
    assert_ne!(browser.form_token, seen, "a form of before is of no use after");

    desk.advance(TimeDelta::hours(2));
    let before = browser.cookies.clone();
    assert_eq!(
        browser.get(&desk, "/portfolio").await.status,
        200,
        "the session goes on"
    );
    assert_ne!(browser.cookies, before, "with other tokens");

    let access = browser
        .cookies
        .iter()
        .find(|(name, _)| name == "mint-access")
        .unwrap()
        .1
        .clone();
    desk.by(&access, "POST", "/logout", None).await;
    let out = browser.get(&desk, "/portfolio").await;
    assert_eq!(
        (out.status, out.location()),
        (303, "/sign-in?next=%2Fportfolio"),
        "an ended session is over, whatever its tokens say"
    );
    assert!(
        !browser.cookies.iter().any(|(name, _)| name == "mint-access"),
        "and the browser forgets it"
    );
}

#[tokio::test]
async fn a_password_alone_opens_nothing_where_there_is_a_second_factor() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    let token = up.text("access_token");
    let factor = desk
        .by(&token, "POST", "/factors", Some(json!({ "factor_type": "totp" })))
        .await
        .ok();
    let secret = factor.body["totp"]["secret"].as_str().unwrap().to_owned();
    let id = factor.text("id");
    let challenge = desk
        .by(&token, "POST", &format!("/factors/{id}/challenge"), Some(json!({})))
        .await
        .ok();
    let body = json!({ "challenge_id": challenge.text("id"), "code": factors::code(&secret, desk.now()) });
    desk.by(&token, "POST", &format!("/factors/{id}/verify"), Some(body))
        .await
        .ok();
    desk.advance(TimeDelta::minutes(2));

    let mut browser = Browser::default();
    let half = browser
        .post(&desk, "/sign-in", &[("email", &email), ("password", PASSWORD)])
        .await;
    assert_eq!(
        (half.status, half.location()),
        (303, "/sign-in/second"),
        "the second factor is asked for"
    );
    assert_eq!(
        browser.get(&desk, "/portfolio").await.status,
        303,
        "nothing is open before"
    );
    assert_eq!(browser.get(&desk, "/account").await.status, 303);
    let wrong = browser.post(&desk, "/sign-in/second", &[("code", "000000")]).await;
    assert_eq!(wrong.status, 422);
    let code = factors::code(&secret, desk.now());
    let inside = browser.post(&desk, "/sign-in/second", &[("code", &code)]).await;
    assert_eq!((inside.status, inside.location()), (303, "/portfolio"));
    assert_eq!(browser.get(&desk, "/portfolio").await.status, 200);
}

#[tokio::test]
async fn a_browser_gets_a_page_where_nothing_is_and_a_client_a_problem() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let mut browser = Browser::default();
    let page = browser.get(&desk, "/no/such/page").await;
    assert_eq!(page.status, 404);
    assert!(page.html.contains("There is nothing here"), "{}", page.html);
    let of_protocol = browser.get(&desk, "/functions/v1/none/of/these").await;
    assert_eq!(of_protocol.headers["content-type"], "application/problem+json");
}
