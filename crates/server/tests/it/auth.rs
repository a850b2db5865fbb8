//! `/auth/v1`, through the real router: who the server takes somebody for.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use nexus_mint::app::App;
use nexus_mint::auth::session::{self, Ttl};
use nexus_mint::auth::token::ApiRole;
use nexus_mint::auth::users;
use nexus_mint::config::{BaseUrl, Environment, Flags, Settings};
use nexus_mint::db::{Db, Login};
use nexus_mint::router::router;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::program::url_of;
use crate::world::World;

/// A server over the shared database whose clock stands still.
struct Site {
    app: App,
    world: World,
    now: DateTime<Utc>,
}

impl Site {
    async fn new() -> Site {
        let world = World::shared().await;
        let now = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
        let environment = Environment::of([
            ("DATABASE_URL", &url_of(&world.runtime_config())),
            ("NEXUS_MINT_DATA_DIR", "/nonexistent"),
            ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ]);
        let flags = Flags {
            dev_keys: true,
            ..Flags::default()
        };
        let config = Settings::load(&flags, &environment).unwrap().into_config().unwrap();
        let db = Db::new(&Login::local(&world.runtime_config())).unwrap();
        let app = App::new(config, db, "127.0.0.1:54321".parse().unwrap(), Arc::new(move || now)).unwrap();
        Site { app, world, now }
    }

    /// A person with an open session: their id, the session's, and a token of it.
    async fn somebody(&self) -> (Uuid, Uuid, String) {
        let person = self.world.person(&[]).await;
        let tx = self.app.db.as_auth().await.unwrap();
        let session = session::open(&tx, person.id, self.now).await.unwrap();
        let user = users::find(&tx, person.id).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let issuer = BaseUrl::parse("http://127.0.0.1:54321").unwrap();
        let role = ApiRole::Authenticated;
        let claims = session::claims(&user, session, role, &issuer, self.now, Ttl::default());
        (person.id, session.id, self.app.keys.sign(&claims).unwrap())
    }

    /// Asks who we are, the old way and the new way.
    async fn user(&self, token: Option<&str>) -> (StatusCode, Value, Value) {
        let mut answers = Vec::new();
        for version in [None, Some("2024-01-01")] {
            let mut request = Request::get("/auth/v1/user");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if let Some(version) = version {
                request = request.header("x-supabase-api-version", version);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = router(self.app.clone()).oneshot(request).await.unwrap();
            let status = response.status();
            if !status.is_success() {
                let named = response
                    .headers()
                    .get("x-supabase-api-version")
                    .map(|value| value.to_str().unwrap());
                assert_eq!(named, version, "clients read the code by this header");
                assert!(response.headers().contains_key("x-sb-error-code"));
            }
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            answers.push((status, serde_json::from_slice::<Value>(&body).unwrap()));
        }
        let (new, old) = (answers.pop().unwrap(), answers.pop().unwrap());
        assert_eq!(old.0, new.0);
        (old.0, old.1, new.1)
    }

    async fn refused(&self, token: Option<&str>, status: u16, code: &str, message: &str) {
        let (found, old, new) = self.user(token).await;
        assert_eq!(found.as_u16(), status, "{old}");
        assert_eq!(old, json!({ "code": status, "error_code": code, "msg": message }));
        assert_eq!(new, json!({ "code": code, "message": message }));
    }
}

#[tokio::test]
async fn a_session_is_a_person_until_it_is_ended() {
    let site = Site::new().await;
    let (id, session_id, token) = site.somebody().await;
    let (status, user, _) = site.user(Some(&token)).await;
    assert_eq!(status, StatusCode::OK, "{user}");
    assert_eq!(user["id"], json!(id));
    assert_eq!(
        (&user["aud"], &user["phone"], &user["is_anonymous"]),
        (&json!("authenticated"), &json!(""), &json!(false))
    );
    assert_eq!(user["identities"], json!([]));
    assert!(user.get("invited_at").is_none(), "what never happened is left out");
    assert!(user["created_at"].as_str().unwrap().ends_with('Z'));

    let admin = site.world.admin().await;
    admin
        .execute("delete from auth.sessions where id = $1", &[&session_id])
        .await
        .unwrap();
    let message = "Session from session_id claim in JWT does not exist";
    site.refused(Some(&token), 403, "session_not_found", message).await;
    admin
        .execute("delete from auth.users where id = $1", &[&id])
        .await
        .unwrap();
    site.refused(
        Some(&token),
        403,
        "user_not_found",
        "User from sub claim in JWT does not exist",
    )
    .await;
}

#[tokio::test]
async fn who_is_locked_out_stays_out_until_then() {
    let site = Site::new().await;
    let (id, _, token) = site.somebody().await;
    let admin = site.world.admin().await;
    let ban = "update auth.users set banned_until = $2 where id = $1";
    admin
        .execute(ban, &[&id, &(site.now + TimeDelta::seconds(1))])
        .await
        .unwrap();
    site.refused(Some(&token), 403, "user_banned", "User is banned").await;
    admin.execute(ban, &[&id, &site.now]).await.unwrap();
    assert_eq!(site.user(Some(&token)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_session_is_refused() {
    let site = Site::new().await;
    site.refused(
        None,
        401,
        "no_authorization",
        "This endpoint requires a valid Bearer token",
    )
    .await;
    site.refused(
        Some(""),
        401,
        "no_authorization",
        "This endpoint requires a valid Bearer token",
    )
    .await;
    let anon_key = site.app.keys.anon_key().to_owned();
    site.refused(Some(&anon_key), 403, "bad_jwt", "invalid claim: missing sub claim")
        .await;
    let (_, _, token) = site.somebody().await;
    let broken = format!("{token}x");
    let message = "invalid JWT: unable to parse or verify signature, JWT cryptographic operation failed";
    site.refused(Some(&broken), 403, "bad_jwt", message).await;
    let expired = site
        .app
        .keys
        .sign(&json!({ "sub": Uuid::nil(), "role": "authenticated", "exp": 1 }))
        .unwrap();
    let message = "invalid JWT: unable to parse or verify signature, JWT expired";
    site.refused(Some(&expired), 403, "bad_jwt", message).await;
}

#[tokio::test]
async fn the_rest_of_the_server_answers_as_itself() {
    let site = Site::new().await;
    for (method, path, status, code) in [
        ("GET", "/nothing/here", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router(site.app.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
        assert_eq!(
            (&body["code"], &body["status"]),
            (&json!(code), &json!(status)),
            "{path}"
        );
    }
    let request = Request::get("/auth/v1/nothing").body(Body::empty()).unwrap();
    let response = router(site.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    assert_eq!(
        (&body["code"], &body["error_code"]),
        (&json!(404), &json!("validation_failed")),
        "auth has a form of its own"
    );
    let request = Request::builder().method("OPTIONS").uri("/auth/v1/user");
    let request = request
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET");
    let request = request
        .header("access-control-request-headers", "apikey,x-client-info")
        .body(Body::empty())
        .unwrap();
    let response = router(site.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "a preflight needs no key");
    assert_eq!(
        response.headers()["access-control-allow-headers"],
        "apikey,x-client-info"
    );
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let request = Request::get("/auth/v1/.well-known/jwks.json")
        .body(Body::empty())
        .unwrap();
    let response = router(site.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["cache-control"], "public, max-age=600");
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(&body[..], br#"{"keys":[]}"#, "a shared secret has no public key");
}
