//! `nexus-mint rest`: settings that the database has, and what those ask who watch a server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nexus_mint::config::postgrest::RestSettings;
use nexus_mint::rest::alone::Current;

use super::*;

const SCHEMA: &str = "
    create schema shown;
    create table shown.things as select id from generate_series(1, 3) as id;
    create function shown.settings() returns void language sql
      as $$ select set_config('pgrst.db_max_rows', '1', true) $$;
    grant usage on schema shown to authenticator, anon;
    grant select on shown.things to anon;
";

async fn ask(app: axum::Router, path: &str) -> (u16, Value) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let answer = app.oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

pub(super) async fn current(world: &World, more: (&str, &str)) -> Current {
    let environment = Environment::of([
        ("PGRST_DB_URI", &url_of(&world.runtime_config())),
        ("PGRST_DB_ANON_ROLE", "anon"),
        ("PGRST_DB_SCHEMAS", "public"),
        more,
    ]);
    Current::new(&environment, RestSettings::load(&environment).unwrap()).unwrap()
}

pub(super) async fn set(world: &World, name: &str, value: &str) {
    let config = world.admin_config();
    let database = config.get_dbname().unwrap();
    let text = format!("alter role authenticator in database {database} set {name} = '{value}'");
    world.admin().await.batch_execute(&text).await.unwrap();
}

#[tokio::test]
async fn what_the_database_says_comes_first() {
    let world = World::own_database().await;
    world.admin().await.batch_execute(SCHEMA).await.unwrap();
    let alone = current(&world, ("PGRST_DB_MAX_ROWS", "2")).await;
    assert_eq!(ask(alone.admin_routes(), "/live").await.0, 200);
    assert_eq!(
        ask(alone.admin_routes(), "/ready").await.0,
        503,
        "nothing is loaded yet"
    );
    assert_ne!(ask(alone.routes(), "/things").await.0, 200);

    set(&world, "pgrst.db_schemas", "shown").await;
    alone.reconfigure().await;
    assert_eq!(ask(alone.admin_routes(), "/ready").await.0, 200);
    assert_eq!(
        ask(alone.routes(), "/things?order=id").await,
        (200, json!([{ "id": 1 }, { "id": 2 }]))
    );

    set(&world, "pgrst.db_max_rows", "3").await;
    alone.reconfigure().await;
    assert_eq!(ask(alone.routes(), "/things").await.1.as_array().unwrap().len(), 3);

    set(&world, "pgrst.db_tx_end", "maybe").await;
    set(&world, "pgrst.db_max_rows", "1").await;
    alone.reconfigure().await;
    assert_eq!(
        ask(alone.routes(), "/things").await.1.as_array().unwrap().len(),
        3,
        "settings of which one is wrong change nothing"
    );
}

#[tokio::test]
async fn a_function_may_say_it_too_unless_the_database_is_not_asked() {
    let world = World::own_database().await;
    world.admin().await.batch_execute(SCHEMA).await.unwrap();
    set(&world, "pgrst.db_schemas", "shown").await;
    let alone = current(&world, ("PGRST_DB_PRE_CONFIG", "shown.settings")).await;
    alone.reconfigure().await;
    assert_eq!(
        ask(alone.routes(), "/things?order=id").await,
        (200, json!([{ "id": 1 }]))
    );

    let alone = current(&world, ("PGRST_DB_CONFIG", "false")).await;
    alone.reconfigure().await;
    assert_ne!(ask(alone.routes(), "/things").await.0, 200);
}

#[tokio::test]
async fn figures_are_told_under_postgrests_names() {
    let world = World::own_database().await;
    let alone = current(&world, ("PGRST_DB_POOL", "3")).await;
    let figures = async || {
        let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
        let answer = alone.admin_routes().oneshot(request).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind, "text/plain; charset=utf-8");
        let text = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    };
    let before = figures().await;
    for line in [
        "pgrst_schema_cache_loads_total{status=\"SUCCESS\"} 0",
        "pgrst_db_pool_max 3",
        "pgrst_db_pool_available 3",
        "pgrst_db_pool_waiting 0",
        "pgrst_db_pool_timeouts_total 0",
        "pgrst_jwt_cache_requests_total 0",
    ] {
        assert!(before.lines().any(|other| other == line), "{line}: {before}");
    }
    assert_eq!(ask(alone.routes(), "/").await.0, 200);
    let after = figures().await;
    assert!(
        after.contains("pgrst_schema_cache_loads_total{status=\"SUCCESS\"} 1\n"),
        "{after}"
    );
    assert!(!after.contains("pgrst_schema_cache_query_time_seconds 0\n"), "{after}");
}

#[tokio::test]
async fn a_role_has_the_settings_of_the_server_and_its_own_unless_only_a_superuser_may_make_them() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let role = format!("visitor_{}", uuid::Uuid::new_v4().simple());
    let made = format!(
        "create role {role} login; grant {role} to authenticator; grant usage on schema shown to {role};
         alter role {role} set log_statement = 'none'; alter role {role} set statement_timeout = '7s';
         create function shown.setting(name text) returns text stable language sql
           as $$ select current_setting(name, true) $$;"
    );
    admin.batch_execute(&made).await.unwrap();
    set(&world, "pgrst.db_schemas", "shown").await;
    set(&world, "pgrst.db_anon_role", &role).await;
    let alone = current(&world, ("PGRST_APP_SETTINGS_HOST", "here")).await;
    alone.reconfigure().await;
    for (name, value) in [("app.settings.host", "here"), ("statement_timeout", "7s")] {
        let answer = ask(alone.routes(), &format!("/rpc/setting?name={name}")).await;
        assert_eq!(answer, (200, json!(value)), "{name}");
    }
    let gone = format!("drop owned by {role}; drop role {role}");
    admin.batch_execute(&gone).await.unwrap();
}

#[tokio::test]
async fn names_may_be_of_any_script() {
    const SCHEMA: &str = r#"
        create schema "تست";
        create table "تست"."موارد" ("هویت" bigint primary key, "名" text);
        grant usage on schema "تست" to authenticator, anon;
        grant select, insert, update, delete on "تست"."موارد" to anon;
    "#;
    let world = World::own_database().await;
    world.admin().await.batch_execute(SCHEMA).await.unwrap();
    set(&world, "pgrst.db_schemas", "تست").await;
    let alone = current(&world, ("PGRST_DB_POOL", "2")).await;
    alone.reconfigure().await;
    let ask = async |method: &str, query: &[(&str, &str)], body: Value| {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={value}", encoded(name)))
            .collect();
        let request = Request::builder()
            .method(method)
            .uri(format!("/{}?{}", encoded("موارد"), query.join("&")))
            .header("content-type", "application/json")
            .header("prefer", "return=representation")
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = alone.routes().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let row = json!([{ "هویت": 1, "名": "甲" }]);
    assert_eq!(ask("GET", &[], Value::Null).await, (200, json!([])));
    assert_eq!(ask("POST", &[], row.clone()).await, (201, row.clone()));
    assert_eq!(ask("GET", &[("هویت", "eq.1")], Value::Null).await, (200, row));
    let changed = json!([{ "名": "乙" }]);
    let patched = ask(
        "PATCH",
        &[("هویت", "eq.1"), ("select", &encoded("名"))],
        json!({ "名": "乙" }),
    )
    .await;
    assert_eq!(patched, (200, changed.clone()));
    let gone = ask(
        "DELETE",
        &[("名", &format!("eq.{}", encoded("乙"))), ("select", &encoded("名"))],
        Value::Null,
    )
    .await;
    assert_eq!(gone, (200, changed));
    let refused = ask("GET", &[("جا", "eq.1")], Value::Null).await;
    assert_eq!((refused.0, &refused.1["code"]), (400, &json!("42703")), "{}", refused.1);
}

#[tokio::test]
async fn the_program_serves_by_a_file_at_a_socket_and_writes_a_line_for_each_request() {
    let world = World::own_database().await;
    world.admin().await.batch_execute(SCHEMA).await.unwrap();
    let folder = std::env::temp_dir().join(format!("nexus-mint-alone-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (uri, file, socket) = (folder.join("uri"), folder.join("rest.conf"), folder.join("socket"));
    std::fs::write(&uri, format!("{}\n", url_of(&world.runtime_config()))).unwrap();
    let settings = format!(
        "db-uri = \"@{}\"\ndb-anon-role = \"anon\"\ndb-schemas = \"shown\"\nlog-level = \"info\"\n\
         server-unix-socket = \"{}\"\n",
        uri.display(),
        socket.display()
    );
    std::fs::write(&file, settings).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_nexus-mint"))
        .arg("rest")
        .arg(&file)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
    while !log.next().unwrap().unwrap().contains("schema cache loaded") {}
    let mut client = UnixStream::connect(&socket).unwrap();
    let request = b"GET /things?id=eq.2 HTTP/1.1\r\nhost: x\r\nuser-agent: test\r\nconnection: close\r\n\r\n";
    client.write_all(request).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"[{"id":2}]"#),
        "{answer}"
    );

    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let rest = r#"] "GET /things?id=eq.2 HTTP/1.1" 200 10 "" "test""#;
    assert!(line.starts_with("- - anon [") && line.ends_with(rest), "{line}");

    let stopped = Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(stopped.success() && program.wait().unwrap().success());
    assert!(!socket.exists(), "it takes its socket away");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Percent-encoded, as browsers do.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
