//! `/auth/v1`: signing up, signing in and everything that belongs to a login, through the real router.

mod anything;
mod factors;
mod mails;
mod pages;
mod providers;
mod sending;
mod service;
mod sessions;
mod staff_pages;
mod tokens;
mod wallets;
mod walls;

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use chrono::{DateTime, TimeDelta, Utc};
use nexus_mint::app::App;
use nexus_mint::auth::mail;
use nexus_mint::config::{Environment, Flags, Settings};
use nexus_mint::db::{Db, Login};
use nexus_mint::router::router;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::program::url_of;
use crate::site::BEGIN;
use crate::world::World;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server whose clock the test sets.
pub(crate) struct Desk {
    pub(crate) app: App,
    pub(crate) world: World,
    clock: Arc<Mutex<DateTime<Utc>>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The status and, of a refusal, its code.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status, self.body["error_code"].as_str().unwrap_or_default())
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.body[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} in {}", self.body))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }
}

/// Whether an address counts at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    AtOnce,
    ByMail,
}

impl Desk {
    pub(crate) async fn new(confirm: Confirm) -> Desk {
        Desk::with(confirm, ("UNUSED", "")).await
    }

    pub(crate) async fn with(confirm: Confirm, setting: (&str, &str)) -> Desk {
        Desk::over(World::shared().await, confirm, setting)
    }

    pub(crate) fn over(world: World, confirm: Confirm, setting: (&str, &str)) -> Desk {
        Desk::over_with(world, confirm, [setting, ("UNUSED", "")])
    }

    pub(crate) fn over_with(world: World, confirm: Confirm, settings: [(&str, &str); 2]) -> Desk {
        let [setting, another] = settings;
        let autoconfirm = if confirm == Confirm::AtOnce { "true" } else { "false" };
        let environment = Environment::of([
            ("DATABASE_URL", &url_of(&world.runtime_config())),
            ("NEXUS_MINT_DATA_DIR", "/nonexistent"),
            ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("NEXUS_MINT_MAIL_AUTOCONFIRM", autoconfirm),
            ("NEXUS_MINT_SITE_URL", "http://localhost:3000"),
            ("NEXUS_MINT_REDIRECT_URLS", "https://app.example/**"),
            ("NEXUS_MINT_CLIENT_ADDRESS_HEADER", "x-forwarded-for"),
            setting,
            another,
        ]);
        let flags = Flags {
            dev_keys: true,
            ..Flags::default()
        };
        let config = Settings::load(&flags, &environment).unwrap().into_config().unwrap();
        let db = Db::new(&Login::local(&world.runtime_config())).unwrap();
        let clock = Arc::new(Mutex::new(DateTime::from_timestamp(BEGIN, 0).unwrap()));
        let hand = clock.clone();
        let now = Arc::new(move || *hand.lock().unwrap());
        let app = App::new(config, db, "127.0.0.1:54321".parse().unwrap(), now).unwrap();
        Desk {
            app: app.with_time_set(),
            world,
            clock,
        }
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *self.clock.lock().unwrap() += by;
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        *self.clock.lock().unwrap()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/auth/v1{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let response = router(self.app.clone())
            .oneshot(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], Some(body)).await
    }

    /// As a person with this access token.
    pub(crate) async fn by(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        self.send(method, path, &[("authorization", &bearer)], body).await
    }

    /// With the service's key.
    pub(crate) async fn service(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let key = self.app.keys.service_key().expose().to_owned();
        self.by(&key, method, path, body).await
    }

    pub(crate) async fn sign_up(&self, email: &str) -> Answer {
        self.post("/signup", json!({ "email": email, "password": PASSWORD }))
            .await
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/token?grant_type=password", body).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/token?grant_type=refresh_token", json!({ "refresh_token": token }))
            .await
    }

    /// The newest mail to an address: what it is about, its code, its link.
    pub(crate) async fn mail(&self, email: &str) -> (String, String, String) {
        let tx = self.app.db.as_auth().await.unwrap();
        let mails = mail::waiting(&tx, Some(email), 1).await.unwrap();
        tx.commit().await.unwrap();
        let mail = mails.first().unwrap_or_else(|| panic!("a mail to {email}"));
        let line = |begin: &str| {
            mail.text
                .lines()
                .find(|line| line.starts_with(begin))
                .unwrap_or_default()
        };
        let code = mail
            .text
            .split_whitespace()
            .find(|word| word.len() == 6 && word.parse::<u32>().is_ok());
        (mail.kind.clone(), code.unwrap().to_owned(), line("http").to_owned())
    }

    pub(crate) async fn mails_to(&self, email: &str) -> usize {
        let tx = self.app.db.as_auth().await.unwrap();
        let mails = mail::waiting(&tx, Some(email), 100).await.unwrap();
        tx.commit().await.unwrap();
        mails.len()
    }

    /// Follows a link of a mail, as a browser would: where it is sent.
    pub(crate) async fn follow(&self, link: &str) -> String {
        let path = link
            .strip_prefix("http://127.0.0.1:54321/auth/v1")
            .unwrap_or_else(|| panic!("{link}"));
        let answer = self.send("GET", path, &[], None).await;
        assert_eq!(answer.status, 303);
        answer.header("location").to_owned()
    }

    /// The events of a login, oldest first.
    pub(crate) async fn events(&self, user_id: &str) -> Vec<String> {
        let client = self.world.admin().await;
        let id: Uuid = user_id.parse().unwrap();
        let rows = client
            .query(
                "select event from nexus.login_events where user_id = $1 order by id",
                &[&id],
            )
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

pub(crate) fn address() -> String {
    format!("{}@example.com", Uuid::new_v4().simple())
}
