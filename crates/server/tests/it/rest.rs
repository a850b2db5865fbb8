//! `/rest/v1`, through the real router, against our own schema: who sees and changes what is what policies say, and
//! the protocol around it is PostgREST's.

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

#[tokio::test]
async fn everybody_sees_what_policies_let_him_see() {
    let site = Site::shared().await;
    let (investor, other) = (
        site.world.person(&["investor"]).await,
        site.world.person(&["investor"]).await,
    );
    let officer = site.world.person(&["compliance_officer"]).await;
    let both = format!("/user_profiles?select=id&id=in.({},{})&order=id", investor.id, other.id);
    let ids = |ids: &[Uuid]| json!(ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>());

    let visitor = site.ask(None, get(&both)).await;
    assert_eq!(
        (visitor.status, visitor.code()),
        (401, "42501"),
        "a visitor has no right to the table"
    );
    assert_eq!(visitor.header("www-authenticate"), Some("Bearer"));
    let own = site.ask(Some(&site.token(&investor).await), get(&both)).await;
    assert_eq!(
        (own.status, own.body),
        (200, ids(&[investor.id])),
        "a person sees himself"
    );
    let staff = site.ask(Some(&site.token(&officer).await), get(&both)).await;
    assert_eq!(staff.body, ids(&[investor.id, other.id]), "an officer sees both");
    let service = site
        .ask(Some(&site.service()), get(&both).header("prefer", "count=exact"))
        .await;
    assert_eq!(service.body, ids(&[investor.id, other.id]), "the service sees both");
    assert_eq!(service.header("content-range"), Some("0-1/2"));
}

#[tokio::test]
async fn a_session_of_one_person_is_not_the_next_ones() {
    let site = Site::shared().await;
    let mut people = Vec::new();
    for _ in 0..3 {
        let person = site.world.person(&["investor"]).await;
        people.push((person.id, site.token(&person).await));
    }
    for round in 0..4 {
        let site = &site;
        let asked = people.iter().map(|(id, token)| async move {
            let answer = site.ask(Some(token), get("/user_profiles?select=id")).await;
            assert_eq!(answer.body, json!([{ "id": id }]), "round {round}");
        });
        futures_util::future::join_all(asked).await;
    }
}

#[tokio::test]
async fn a_person_changes_the_columns_that_are_his_to_change() {
    let site = Site::shared().await;
    let person = site.world.person(&["investor"]).await;
    let token = site.token(&person).await;
    let path = format!("/user_profiles?id=eq.{}&select=display_name", person.id);
    let change = |body: Value| {
        get(&path)
            .method("PATCH")
            .body(body)
            .header("prefer", "return=representation")
    };

    let changed = site
        .ask(
            Some(&token),
            change(json!({ "display_name": "Robert'); drop table x; --" })),
        )
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body, json!([{ "display_name": "Robert'); drop table x; --" }]));
    assert_eq!(changed.header("content-range"), Some("0-0/*"));
    let refused = site
        .ask(Some(&token), change(json!({ "kyc_status": "approved" })))
        .await;
    assert_eq!((refused.status, refused.code()), (403, "42501"));
    let unknown = site.ask(Some(&token), change(json!({ "no_such": 1 }))).await;
    assert_eq!((unknown.status, unknown.code()), (400, "PGRST204"));
    let strict = change(json!({ "display_name": "x" })).header("prefer", "handling=strict, max-affected=0");
    let strict = site.ask(Some(&token), strict).await;
    assert_eq!((strict.status, strict.code()), (400, "PGRST124"));
    let after = site.ask(Some(&token), get(&path)).await;
    assert_eq!(
        after.body,
        json!([{ "display_name": "Robert'); drop table x; --" }]),
        "what was refused is undone"
    );
}

#[tokio::test]
async fn nobody_writes_what_carries_value() {
    let site = Site::shared().await;
    let person = site.world.person(&["investor"]).await;
    let token = site.token(&person).await;
    for token in [None, Some(token.as_str()), Some(&site.service())] {
        for table in ["investments", "property_tokens"] {
            let path = format!("/{table}");
            let answer = site.ask(token, get(&path).method("POST").body(json!({}))).await;
            assert!(matches!(answer.status, 401 | 403), "{table}: {answer:?}");
            assert_eq!(answer.code(), "42501");
        }
    }
}

#[tokio::test]
async fn embeds_follow_the_schemas_own_keys_under_its_policies() {
    let site = Site::shared().await;
    let person = site.world.person(&["investor"]).await;
    let token = site.token(&person).await;
    let mine = site
        .ask(
            Some(&token),
            get("/investments?select=id,properties(title,property_tokens(id))"),
        )
        .await;
    assert_eq!(
        (mine.status, mine.body),
        (200, json!([])),
        "nothing bought, nothing seen"
    );
    let public = site
        .ask(None, get("/properties?select=id,title,property_tokens(id)&limit=1"))
        .await;
    assert_eq!(public.status, 200, "{public:?}");
}

#[tokio::test]
async fn tokens_and_keys_are_asked_for() {
    let site = Site::shared().await;
    let bare = Request::get("/rest/v1/properties").body(Body::empty()).unwrap();
    let answer = site.send(bare).await;
    assert_eq!(
        (answer.status, answer.body),
        (401, json!({ "message": "No API key found in request" }))
    );
    let by_key = Request::get("/rest/v1/properties?select=id&limit=1").header("apikey", site.app.keys.anon_key());
    assert_eq!(
        site.send(by_key.body(Body::empty()).unwrap()).await.status,
        200,
        "the key alone is a visitor"
    );
    let foreign = site.ask(Some("sb_secret_guess"), get("/properties")).await;
    assert_eq!(
        (foreign.status, foreign.code()),
        (401, ""),
        "an opaque key that is not ours"
    );
    let broken = site.ask(Some("a.b"), get("/properties")).await;
    assert_eq!((broken.status, broken.code()), (401, "PGRST301"));
    let expired = json!({ "role": "authenticated", "exp": (site.now - TimeDelta::minutes(5)).timestamp() });
    let expired = site
        .ask(Some(&site.app.keys.sign(&expired).unwrap()), get("/properties"))
        .await;
    assert_eq!((expired.status, expired.code()), (401, "PGRST303"));
    assert_eq!(
        expired.header("www-authenticate"),
        Some("Bearer error=\"invalid_token\", error_description=\"JWT expired\"")
    );
    let superuser = json!({ "role": "postgres", "exp": (site.now + TimeDelta::minutes(5)).timestamp() });
    let superuser = site
        .ask(Some(&site.app.keys.sign(&superuser).unwrap()), get("/properties"))
        .await;
    assert_eq!(
        superuser.status, 401,
        "no token makes anybody a role that is not for tokens"
    );
}

#[tokio::test]
async fn what_was_just_made_is_found_without_being_told() {
    let site = Site::over(World::own_database().await).await;
    let first = site.ask(Some(&site.service()), get("/just_made")).await;
    assert_eq!((first.status, first.code()), (404, "PGRST205"));
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create table public.just_made (id int primary key, name text);
             insert into public.just_made values (1, 'one');
             grant select on public.just_made to service_role",
        )
        .await
        .unwrap();
    site.app.rest.reload().await.unwrap();
    let found = site.ask(Some(&site.service()), get("/just_made")).await;
    assert_eq!((found.status, found.body), (200, json!([{ "id": 1, "name": "one" }])));
    admin
        .batch_execute(
            "alter table public.just_made rename column name to label; alter table public.just_made alter id type text",
        )
        .await
        .unwrap();
    let renamed = site
        .ask(Some(&site.service()), get("/just_made?select=id&label=eq.one&id=eq.1"))
        .await;
    assert_eq!(
        (renamed.status, renamed.body),
        (200, json!([{ "id": "1" }])),
        "a cache that is old is no reason to fail"
    );
}

#[tokio::test]
async fn whoever_changes_the_schema_tells_the_cache() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    let (client, mut connection) = world.runtime_config().connect(tokio_postgres::NoTls).await.unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let driving = tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = futures_util::StreamExt::next(&mut messages).await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                told.send(note.payload().to_owned()).unwrap();
            }
        }
    });
    client.batch_execute("listen pgrst").await.unwrap();
    let mut told_by = async |statement: &str| {
        admin.batch_execute(statement).await.unwrap();
        // One of our own behind it: what was told before it has come when it has come.
        admin.batch_execute("notify pgrst, 'end'").await.unwrap();
        let mut times = 0;
        while heard.recv().await.unwrap() != "end" {
            times += 1;
        }
        times
    };
    for (statement, times) in [
        ("create table public.told (id int)", 1),
        ("alter table public.told add column name text", 1),
        ("create view public.told_view as select id from public.told", 1),
        ("comment on table public.told is 'told'", 1),
        ("create temporary table hidden (id int)", 0),
        ("drop table hidden", 0),
        (
            "create materialized view public.told_kept as select id from public.told",
            1,
        ),
        ("refresh materialized view public.told_kept", 0),
        ("create index on public.told (id)", 0),
        ("drop table public.told cascade", 1),
    ] {
        assert_eq!(told_by(statement).await, times, "{statement}");
    }
    driving.abort();
}

#[tokio::test]
async fn a_login_without_rights_of_its_own_reads_the_cache() {
    let world = World::own_database().await;
    world
        .admin()
        .await
        .batch_execute("create schema hidden create table kept (id int generated always as identity primary key)")
        .await
        .unwrap();
    let client = Login::local(&world.runtime_config()).connect().await.unwrap();
    let schema = catalogue::load(&client, &["hidden".to_owned()], &[], Vec::new())
        .await
        .unwrap();
    let kept = schema.relation(&QualifiedName::of("hidden", "kept")).unwrap();
    let default = kept.column("id").unwrap().default.as_deref();
    assert_eq!(default, Some("nextval('hidden.kept_id_seq')"));
}

#[tokio::test]
async fn the_old_cache_serves_until_the_new_one_is_whole() {
    let site = Site::shared().await;
    let service = site.service();
    site.app.rest.reload().await.unwrap();
    let reloading = async {
        for _ in 0..5 {
            site.app.rest.reload().await.unwrap();
        }
    };
    let asking = async {
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(
                site.ask(Some(&service), get("/properties?limit=1&select=id"))
                    .await
                    .status,
            );
        }
        answers
    };
    let ((), answers) = tokio::join!(reloading, asking);
    assert_eq!(answers, [200; 20]);
}

#[tokio::test]
async fn a_client_that_goes_away_costs_no_connection() {
    let site = Site::over(World::own_database().await).await;
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create table public.visits (id int generated always as identity primary key, at timestamptz not null);
             create function public.linger() returns int language sql volatile security definer
               as $$ select pg_catalog.pg_sleep(0.2); insert into public.visits (at) values (now()) returning id $$;
             grant execute on function public.linger() to anon",
        )
        .await
        .unwrap();
    let linger = || get("/rpc/linger").method("POST").body(json!({}));
    assert_eq!(site.ask(None, linger()).await.status, 200);
    for _ in 0..10 {
        let gone = tokio::time::timeout(std::time::Duration::from_millis(30), site.ask(None, linger())).await;
        assert!(gone.is_err(), "nobody waited for it");
    }
    // The role has eight connections: this one waits until those that were left are through.
    assert_eq!(site.ask(None, linger()).await.status, 200);
    let row = admin
        .query_one(
            "select (select count(*) from public.visits), count(*) from pg_catalog.pg_stat_activity
             where datname = pg_catalog.current_database() and application_name = 'nexus-mint rest'",
            &[],
        )
        .await
        .unwrap();
    let (visits, connections): (i64, i64) = (row.get(0), row.get(1));
    assert!(connections <= 8, "{connections}");
    assert!(visits >= 3, "what was asked for goes on to its end: {visits}");
}

#[tokio::test]
async fn functions_are_called_as_the_caller() {
    let site = Site::over(World::own_database().await).await;
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create function public.who(greeting text default 'hello') returns text language sql stable
               as $$ select greeting || ' ' || current_user || ' ' || coalesce(auth.uid()::text, 'nobody') $$;
             create function public.teapot() returns json language plpgsql as $$
               begin
                 perform set_config('response.status', '418', true);
                 perform set_config('response.headers', '[{\"X-Short\": \"stout\"}]', true);
                 return '{\"tip\": true}'::json;
               end $$;
             create function public.pay() returns void language plpgsql as $$
               begin raise sqlstate 'PT402' using message = 'Pay first', hint = 'now'; end $$;
             grant execute on function public.who(text), public.teapot(), public.pay() to anon, authenticated",
        )
        .await
        .unwrap();
    let person = site.world.person(&["investor"]).await;
    let token = site.token(&person).await;
    let by_get = site.ask(None, get("/rpc/who?greeting=hi")).await;
    assert_eq!((by_get.status, by_get.body), (200, json!("hi anon nobody")));
    let by_post = site
        .ask(Some(&token), get("/rpc/who").method("POST").body(json!({})))
        .await;
    assert_eq!(by_post.body, json!(format!("hello authenticated {}", person.id)));
    let teapot = site.ask(None, get("/rpc/teapot").method("POST").body(json!({}))).await;
    assert_eq!(
        (teapot.status, teapot.header("x-short"), &teapot.body["tip"]),
        (418, Some("stout"), &json!(true))
    );
    let pay = site.ask(None, get("/rpc/pay").method("POST").body(json!({}))).await;
    assert_eq!(
        (pay.status, pay.code(), &pay.body["hint"]),
        (402, "PT402", &json!("now"))
    );
    let unknown = site.ask(None, get("/rpc/whos")).await;
    assert_eq!((unknown.status, unknown.code()), (404, "PGRST202"));
    assert_eq!(
        unknown.body["hint"],
        "Perhaps you meant to call the function public.who"
    );
}

#[tokio::test]
async fn nothing_that_is_asked_ends_in_a_fault_of_ours() {
    let site = Site::shared().await;
    let service = site.service();
    let evil = [
        "/properties?select=%22%3B%20drop%20table%20x%3B--%22",
        "/properties?title=eq.%00",
        "/properties?title=eq.%ff%fe",
        "/properties?select=id::text%29%3B--",
        "/properties?select=data-%3E%27%27%3B",
        "/properties?or=%28%28%28%28",
        "/properties?order=id.%27",
        "/properties?limit=99999999999999999999&offset=-5",
        "/properties?offset=9223372036854775807",
        "/properties?id=in.%28%22%5C%22%29",
        "/properties?title=fts%28nope%29.x",
        "/properties?title=match.%28",
        "/properties?title=like.%5C",
        "/properties?a.b.c.d=eq.1",
        "/%22%3B--",
        "/rpc/%27%3B--?a=1",
        "/properties?columns=id&on_conflict=%22",
    ];
    for path in evil {
        let answer = site.ask(Some(&service), get(path)).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    let headers = [
        ("accept-profile", "public\"; drop table x; --"),
        ("prefer", "timezone=UTC'; drop table x; --"),
        ("prefer", "count=exact, tx=rollback, handling=strict, max-affected=-1"),
        ("range", "9-'; --"),
        ("range", "18446744073709551616-"),
        (
            "accept",
            "application/vnd.pgrst.plan+json; for=\"'; --\"; options=analyze|'",
        ),
        ("accept", "*/*;q=x, ;;;"),
        ("cookie", "a='; drop table x; --; \"=\\; =;"),
        ("x-any", "\\\"'; select pg_sleep(9) --"),
        ("authorization", "Bearer '; --"),
    ];
    for (name, value) in headers {
        let request = Request::builder()
            .uri("/rest/v1/properties?limit=1")
            .header("apikey", site.app.keys.anon_key())
            .header(name, value);
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert!(answer.status < 500, "{name}: {value}: {answer:?}");
    }
    let bodies = [
        "",
        "{",
        "[",
        "null",
        "5",
        "[1]",
        "[[]]",
        "{\"a\":\"\\u0000\"}",
        "[{\"a\":1},{\"b\":1}]",
    ];
    for body in bodies {
        for method in ["POST", "PATCH", "PUT"] {
            let request = Request::builder()
                .method(method)
                .uri("/rest/v1/notifications?id=eq.1")
                .header("apikey", site.app.keys.anon_key())
                .header("authorization", format!("Bearer {service}"))
                .header("content-type", "application/json");
            let answer = site.send(request.body(Body::from(body)).unwrap()).await;
            assert!((400..500).contains(&answer.status), "{method} {body}: {answer:?}");
        }
    }
}
