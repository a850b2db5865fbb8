//! Who sees and changes what, who is turned away, and as whom functions run.

use super::*;

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
