//! A server over the shared database whose clock the test sets, and people who call it.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use nexus_mint::app::App;
use nexus_mint::auth::session::{self, Ttl};
use nexus_mint::auth::token::ApiRole;
use nexus_mint::auth::users;
use nexus_mint::config::{BaseUrl, Environment, Flags, Settings};
use nexus_mint::db::{Db, Login};
use nexus_mint::router::router;
use serde_json::Value;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::laws;
use crate::program::url_of;
use crate::world::{World, connect};

/// The instant at which every site begins.
pub(crate) const BEGIN: i64 = 1_900_000_000;

pub(crate) struct Site {
    pub(crate) app: App,
    pub(crate) world: World,
    clock: Arc<Mutex<DateTime<Utc>>>,
    folder: std::path::PathBuf,
}

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) id: Uuid,
    pub(crate) token: String,
}

impl Site {
    pub(crate) async fn new() -> Site {
        Site::over(World::shared().await)
    }

    /// A site over a database of choice, with a data folder of its own.
    pub(crate) fn over(world: World) -> Site {
        let folder = std::env::temp_dir().join(format!("nexus-mint-site-{}", Uuid::now_v7()));
        let environment = Environment::of([
            ("DATABASE_URL", &url_of(&world.runtime_config())),
            ("NEXUS_MINT_DATA_DIR", folder.to_str().unwrap()),
            ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
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
        Site {
            app: app.with_time_set(),
            world,
            clock,
            folder,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        *self.clock.lock().unwrap()
    }

    pub(crate) fn set_now(&self, now: DateTime<Utc>) {
        *self.clock.lock().unwrap() = now;
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *self.clock.lock().unwrap() += by;
    }

    /// A person with these roles beside investor's, signed in until a year from now.
    pub(crate) async fn person(&self, roles: &[&str]) -> Signed {
        let person = self.world.person(roles).await;
        let tx = self.app.db.as_auth().await.unwrap();
        let session = session::open(&tx, person.id, self.now()).await.unwrap();
        let user = users::find(&tx, person.id).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let issuer = BaseUrl::parse("http://127.0.0.1:54321").unwrap();
        let role = if person.is_staff {
            ApiRole::Staff
        } else {
            ApiRole::Authenticated
        };
        let mut claims = session::claims(&user, session, role, &issuer, self.now(), Ttl::default());
        claims["exp"] = (BEGIN + 10 * 365 * 86_400).into();
        Signed {
            id: person.id,
            token: self.app.keys.sign(&claims).unwrap(),
        }
    }

    /// Calls a function.
    pub(crate) async fn call(&self, who: &Signed, name: &str, body: Value) -> (StatusCode, Value) {
        self.call_with_key(who, name, body, None).await
    }

    /// The same with an `Idempotency-Key`.
    pub(crate) async fn call_with_key(
        &self,
        who: &Signed,
        name: &str,
        body: Value,
        key: Option<&str>,
    ) -> (StatusCode, Value) {
        let request = Request::post(format!("/functions/v1/{name}")).header("content-type", "application/json");
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let (status, _, body) = self.send(Some(who), request, body.to_string()).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Calls a function that must succeed.
    pub(crate) async fn done(&self, who: &Signed, name: &str, body: Value) -> Value {
        let (status, answer) = self.call(who, name, body).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        answer
    }

    /// Calls a function that a rule must refuse: the rule's name and the whole answer.
    pub(crate) async fn refused(&self, who: &Signed, name: &str, body: Value) -> (String, Value) {
        let (status, answer) = self.call(who, name, body).await;
        assert_eq!(status, StatusCode::CONFLICT, "{name}: {answer}");
        assert!(
            answer["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
            "{answer}"
        );
        (answer["rule"].as_str().unwrap().to_owned(), answer)
    }

    /// Sends fields and a file as a form, as `functions.invoke(name, { body: formData })` does.
    pub(crate) async fn upload(
        &self,
        who: &Signed,
        name: &str,
        fields: &[(&str, &str)],
        file: &[u8],
    ) -> (StatusCode, Value) {
        let boundary = "----a-boundary";
        let mut body = Vec::new();
        for (field, value) in fields {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
                    .as_bytes(),
            );
        }
        body.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a file.pdf\"\r\n\
                 Content-Type: text/html\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let request = Request::post(format!("/functions/v1/{name}"))
            .header("content-type", format!("multipart/form-data; boundary={boundary}"));
        let (status, _, body) = self.send(Some(who), request, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Sends a request through the router.
    pub(crate) async fn send(
        &self,
        who: Option<&Signed>,
        request: Builder,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = match who {
            Some(who) => request.header("authorization", format!("Bearer {}", who.token)),
            None => request,
        };
        let response = router(self.app.clone())
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, body.to_vec())
    }
}

impl Drop for Site {
    /// Every test that ran the program ends with the laws: whatever it did, nothing was lost or invented.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        if std::thread::panicking() {
            return;
        }
        let admin = self.world.admin_config();
        // A thread of its own: this one is inside a runtime, which cannot wait.
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { laws::broken(&connect(&admin).await).await })
        });
        let found = asked.join().unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
