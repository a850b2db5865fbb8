//! Whatever is asked, and wherever text enters: no fault of ours, and no text that becomes SQL.

use super::*;

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

/// A place of a request into which text enters: method, path and query, headers, body, with `@` where it goes.
type Place = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const PLACES: [Place; 44] = [
    ("GET", "/@", &[], ""),
    ("GET", "/wired?id=eq.@", &[], ""),
    ("GET", "/wired?name=neq.@", &[], ""),
    ("GET", "/wired?name=like.@", &[], ""),
    ("GET", "/wired?name=match.@", &[], ""),
    ("GET", "/wired?name=eq(any).@", &[], ""),
    ("GET", "/wired?name=isdistinct.@", &[], ""),
    ("GET", "/wired?name=in.(@)", &[], ""),
    ("GET", "/wired?name=in.(%22@%22,b)", &[], ""),
    ("GET", "/wired?name=is.@", &[], ""),
    ("GET", "/wired?name=fts(@).a", &[], ""),
    ("GET", "/wired?name=wfts(english).@", &[], ""),
    ("GET", "/wired?facts=cs.@", &[], ""),
    ("GET", "/wired?@=eq.1", &[], ""),
    ("GET", "/wired?%22@%22=eq.1", &[], ""),
    ("GET", "/wired?facts-%3E%3E@=eq.1", &[], ""),
    ("GET", "/wired?facts-%3E%22@%22-%3E%3Eb=eq.1", &[], ""),
    ("GET", "/wired?or=(id.eq.1,name.eq.@)", &[], ""),
    ("GET", "/wired?or=(id.eq.1,%22@%22.eq.1)", &[], ""),
    ("GET", "/wired?select=@", &[], ""),
    ("GET", "/wired?select=%22@%22", &[], ""),
    ("GET", "/wired?select=%22@%22:id", &[], ""),
    ("GET", "/wired?select=@:id", &[], ""),
    ("GET", "/wired?select=id::@", &[], ""),
    ("GET", "/wired?select=facts-%3E%22@%22", &[], ""),
    ("GET", "/wired?select=%22@%22(id)", &[], ""),
    ("GET", "/wired?select=kind:kinds!%22@%22(id)", &[], ""),
    (
        "GET",
        "/wired?select=%22@%22:kinds(%22@%22:id)&order=kinds(%22@%22)",
        &[],
        "",
    ),
    ("GET", "/wired?order=%22@%22", &[], ""),
    ("GET", "/wired?order=facts-%3E%3E@.desc", &[], ""),
    ("GET", "/wired?limit=@", &[], ""),
    ("GET", "/wired?offset=@", &[], ""),
    ("GET", "/wired", &[("accept", "text/@")], ""),
    ("GET", "/wired", &[("accept-profile", "@")], ""),
    ("GET", "/wired", &[("prefer", "timezone=@")], ""),
    (
        "GET",
        "/wired",
        &[("cookie", "a=@"), ("x-one", "@"), ("range", "0-@")],
        "",
    ),
    ("POST", "/wired?columns=%22@%22", &[], r#"{"id":9}"#),
    (
        "POST",
        "/wired?on_conflict=%22@%22",
        &[("prefer", "resolution=merge-duplicates")],
        r#"{"id":9}"#,
    ),
    (
        "POST",
        "/wired",
        &[("prefer", "return=headers-only")],
        r#"{"key":"@","name":"@"}"#,
    ),
    ("POST", "/wired", &[], r#"{"@":1}"#),
    ("POST", "/wired", &[("content-type", "text/csv")], "key,\"@\"\n1,2"),
    (
        "POST",
        "/wired",
        &[("content-type", "text/csv"), ("prefer", "return=representation")],
        "key,name\na@,\"@\"",
    ),
    ("GET", "/rpc/echo?@=1&a=@", &[], ""),
    ("POST", "/rpc/@?select=%22@%22", &[], r#"{"a":"@","@":1}"#),
];

/// What would call the function if it became SQL, from whichever bracket or quote it has to break out of.
const WAYS_OUT: [&str; 8] = [
    "'||tripped()||'",
    "\"||tripped()||\"",
    "1) or tripped() is not null or (1=1",
    "id\", tripped() as \"x",
    "text), (select tripped()",
    "'; select tripped(); --",
    "\\'||tripped()||\\'",
    "$1$||tripped()||$1$",
];

#[tokio::test]
async fn text_stays_text_wherever_it_enters() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    // A sequence remembers what a transaction that was undone took of it.
    admin
        .batch_execute(
            "create sequence public.tripwire;
             create function public.tripped() returns text security definer set search_path = '' language sql
               as $$ select nextval('public.tripwire')::text $$;
             create table public.kinds (id int primary key);
             create table public.wired (id int generated by default as identity, key text primary key default gen_random_uuid(),
               name text, facts jsonb, kind_id int references public.kinds (id));
             insert into public.wired (key, name, facts) values ('a', 'one', '{\"b\": 1}');
             create function public.echo(a text) returns text language sql as $$ select a $$;
             grant all on public.kinds, public.wired to service_role;
             grant execute on function public.echo, public.tripped to service_role",
        )
        .await
        .unwrap();
    let site = Site::over(world).await;
    let service = site.service();
    let mut asked = 0;
    for (method, path, headers, body) in PLACES {
        for way in WAYS_OUT {
            let in_path: String = way.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let quoted = Value::from(way).to_string();
            let in_body = if body.starts_with('{') {
                body.replace('@', quoted.trim_matches('"'))
            } else {
                body.replace('@', &way.replace('"', "\"\""))
            };
            let mut request = Request::builder()
                .method(method)
                .uri(format!("/rest/v1{}", path.replace('@', &in_path)))
                .header("apikey", site.app.keys.anon_key())
                .header("authorization", format!("Bearer {service}"));
            if !headers.iter().any(|(name, _)| *name == "content-type") {
                request = request.header("content-type", "application/json");
            }
            for (name, value) in headers {
                request = request.header(*name, value.replace('@', way));
            }
            let answer = site.send(request.body(Body::from(in_body)).unwrap()).await;
            assert!(answer.status < 500, "{method} {path} {way}: {answer:?}");
            asked += 1;
        }
    }
    let tripped: bool = admin
        .query_one("select is_called from public.tripwire", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!tripped, "one of {asked} texts was run");
    let called = site
        .ask(Some(&service), get("/rpc/tripped").method("POST").body(json!({})))
        .await;
    assert_eq!(
        (called.status, called.body),
        (200, json!("1")),
        "and the wire would have been felt"
    );
}
