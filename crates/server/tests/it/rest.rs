//! `/rest/v1`, through the real router, against our own schema: who sees and changes what is what policies say, and
//! the protocol around it is PostgREST's.

mod alone;
mod at_once;
mod cache;
mod faults;
mod filters;
mod protocol;
mod rights;
mod sharing;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use chrono::{DateTime, TimeDelta, Utc};
use nexus_mint::app::App;
use nexus_mint::auth::session::{self, Ttl};
use nexus_mint::auth::token::ApiRole;
use nexus_mint::auth::users;
use nexus_mint::config::{BaseUrl, Environment, Flags, Settings};
use nexus_mint::db::{Db, Login};
use nexus_mint::rest::catalogue;
use nexus_mint::router::router;
use pgrest::name::QualifiedName;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::program::url_of;
use crate::world::{Person, World};

/// A server over a database, whose clock stands still.
struct Site {
    app: App,
    world: World,
    now: DateTime<Utc>,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// What is asked: method, path, headers, body.
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<Value>,
}

fn get(path: &str) -> Ask<'_> {
    Ask {
        method: "GET",
        path,
        headers: Vec::new(),
        body: None,
    }
}

impl<'a> Ask<'a> {
    fn method(self, method: &'a str) -> Ask<'a> {
        Ask { method, ..self }
    }

    fn header(mut self, name: &'a str, value: &'a str) -> Ask<'a> {
        self.headers.push((name, value));
        self
    }

    fn body(self, body: Value) -> Ask<'a> {
        Ask {
            body: Some(body),
            ..self
        }
        .header("content-type", "application/json")
    }
}

impl Site {
    async fn over(world: World) -> Site {
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

    async fn shared() -> Site {
        Site::over(World::shared().await).await
    }

    async fn token(&self, person: &Person) -> String {
        let tx = self.app.db.as_auth().await.unwrap();
        let session = session::open(&tx, person.id, self.now).await.unwrap();
        let user = users::find(&tx, person.id).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let issuer = BaseUrl::parse("http://127.0.0.1:54321").unwrap();
        let role = if person.is_staff {
            ApiRole::Staff
        } else {
            ApiRole::Authenticated
        };
        let claims = session::claims(&user, session, role, &issuer, self.now, Ttl::default());
        self.app.keys.sign(&claims).unwrap()
    }

    fn service(&self) -> String {
        self.app.keys.service_key().expose().to_owned()
    }

    /// Asks with a token; without one, as a visitor with the public key.
    async fn ask(&self, token: Option<&str>, ask: Ask<'_>) -> Answer {
        let key = self.app.keys.anon_key().to_owned();
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("/rest/v1{}", ask.path))
            .header("apikey", &key)
            .header("authorization", format!("Bearer {}", token.unwrap_or(&key)));
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let body = ask.body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(self.app.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }
}
