//! What PostgREST's own cases ask about beside the ordinary: relationships named by column, domains with
//! representations, media types that the database makes.

use super::*;

const SCHEMA: &str = r#"
    create table public.lands (id int primary key, name text);
    create table public.seats (id int primary key, name text, land_id int unique references public.lands);
    insert into public.lands values (1, 'Norway'), (2, 'Chile');
    insert into public.seats values (1, 'Oslo', 1), (2, 'Santiago', 2);

    create table public.pupils (id int primary key, name text);
    create table public.courses (id int primary key, name text);
    create table public.visits_a (pupil_id int references public.pupils, course_id int references public.courses,
      primary key (pupil_id, course_id));
    create view public.visits_b as select * from public.visits_a;

    create domain public.tone as int;
    create function public.json(public.tone) returns json immutable language sql
      as $$ select to_json('#' || lpad(to_hex($1), 6, '0')) $$;
    create function public.tone(text) returns public.tone immutable language sql
      as $$ select ('x' || lpad($1, 8, '0'))::bit(32)::int::public.tone $$;
    create cast (public.tone as json) with function public.json(public.tone) as implicit;
    create cast (text as public.tone) with function public.tone(text) as implicit;
    create table public.paints (id int primary key, tone public.tone);
    insert into public.paints values (1, 255);

    create domain public."*/*" as text;
    create domain public."text/lines" as text;
    create function public.anything_next(text, public.lands) returns public."*/*" immutable language sql
      as $$ select ($1 || ($2).name)::public."*/*" $$;
    create aggregate public.anything (public.lands) (initcond = '', stype = public."*/*", sfunc = public.anything_next);
    create function public.lines_next(text, anyelement) returns public."text/lines" immutable language sql
      as $$ select ($1 || $2::text || E'\n')::public."text/lines" $$;
    create aggregate public.lines (anyelement) (initcond = '', stype = public."text/lines", sfunc = public.lines_next);

    create function public.one_record() returns record stable language sql as $$ select id, name from public.lands where id = 1 $$;
    create function public.some_records() returns setof record stable language sql
      as $$ select id, name from public.lands order by id $$;
    create function public.sums(a int, b int) returns int immutable language sql as $$ select a + b $$;
    create function public.sums(json) returns int immutable language sql as $$ select 0 $$;
    grant select on all tables in schema public to service_role;
    grant execute on all functions in schema public to service_role;
"#;

async fn site() -> Site {
    let site = Site::over(World::own_database().await).await;
    site.world.admin().await.batch_execute(SCHEMA).await.unwrap();
    site.app.rest.reload().await.unwrap();
    site
}

#[tokio::test]
async fn relationships_can_be_named_by_either_column() {
    let site = site().await;
    let service = site.service();
    let check = async |path: &str, expect: Value| {
        let answer = site.ask(Some(&service), get(path)).await;
        assert_eq!((answer.status, answer.body), (200, expect), "{path}");
    };
    let oslo = json!([{ "name": "Norway", "id": { "name": "Oslo" } }]);
    check("/lands?select=name,id(name)&name=eq.Norway", oslo).await;
    let by_hint = json!([{ "seats": { "name": "Oslo" } }]);
    for hint in ["id", "land_id", "seats_land_id_fkey"] {
        check(&format!("/lands?select=seats!{hint}(name)&id=eq.1"), by_hint.clone()).await;
    }
    check(
        "/seats?select=lands!id(name)&id=eq.1",
        json!([{ "lands": { "name": "Norway" } }]),
    )
    .await;
    let several = site.ask(Some(&service), get("/pupils?select=courses(id)")).await;
    let found: Vec<&str> = several.body["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| way["relationship"].as_str().unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!((several.status, found), (300, vec!["visits_a", "visits_b"]));
}

#[tokio::test]
async fn representations_come_before_casts_and_not_into_patterns() {
    let site = site().await;
    let service = site.service();
    let asked = async |path: &str| site.ask(Some(&service), get(path)).await;
    for path in [
        "/paints?select=tone&id=eq.1",
        "/paints?select=tone&tone=eq.ff",
        "/paints?select=tone&tone=in.(ff,aa)",
        "/paints?select=tone&tone=isdistinct.0",
    ] {
        let answer = asked(path).await;
        assert_eq!(
            (answer.status, answer.body),
            (200, json!([{ "tone": "#0000ff" }])),
            "{path}"
        );
    }
    let cast = asked("/paints?select=tone::text").await;
    assert_eq!(cast.body, json!([{ "tone": "\"#0000ff\"" }]));
    let summed = asked("/paints?select=tone.max()").await;
    assert_eq!(
        (summed.status, summed.code()),
        (400, "PGRST123"),
        "aggregates are off here"
    );
    let pattern = asked("/paints?select=id&tone=ilike.*f").await;
    assert_eq!((pattern.status, pattern.code()), (404, "42883"));
    assert_eq!(pattern.body["message"], "operator does not exist: tone ~~* unknown");
}

#[tokio::test]
async fn the_database_may_make_any_media_type() {
    let site = site().await;
    let service = site.service();
    let asked = async |path: &str, accept: &str| {
        let answer = site.ask(Some(&service), get(path).header("accept", accept)).await;
        let media = answer.header("content-type").unwrap_or_default().to_owned();
        (answer.status, media)
    };
    let bytes = (200, "application/octet-stream".to_owned());
    for accept in ["*/*", "application/json", "image/png", "text/csv"] {
        assert_eq!(
            asked("/lands", accept).await,
            bytes,
            "{accept}: a table's own for any type comes first"
        );
    }
    let json = (200, "application/json; charset=utf-8".to_owned());
    assert_eq!(
        asked("/lands?select=id", "application/json").await,
        json,
        "of whole rows only"
    );
    assert_eq!(asked("/lands?select=id", "image/png").await.0, 406);
    assert_eq!(asked("/seats", "image/png").await.0, 406, "and of no other table");
    assert_eq!(
        asked("/seats?select=name", "text/lines").await,
        (200, "text/lines".to_owned())
    );
    assert_eq!(asked("/seats", "*/*").await, json);
    // Without PostGIS there is nothing that makes features of rows.
    assert_eq!(asked("/seats", "application/geo+json").await.0, 404);
}

#[tokio::test]
async fn a_table_is_no_body_for_an_unnamed_parameter() {
    let site = site().await;
    let service = site.service();
    let call = async |body: &str, media: &str| {
        let request = Request::builder()
            .method("POST")
            .uri("/rest/v1/rpc/sums")
            .header("apikey", &service)
            .header("authorization", format!("Bearer {service}"))
            .header("content-type", media)
            .body(Body::from(body.to_owned()))
            .unwrap();
        site.send(request).await
    };
    assert_eq!(call("a,b\n1,2", "text/csv").await.body, json!(3));
    assert_eq!(call(r#"{"c":1}"#, "application/json").await.body, json!(0));
    for (body, media) in [("c\n1", "text/csv"), ("c=1", "application/x-www-form-urlencoded")] {
        let refused = call(body, media).await;
        assert_eq!((refused.status, refused.code()), (404, "PGRST202"), "{media}");
        let details = refused.body["details"].as_str().unwrap();
        assert!(details.contains("with parameter c, but no matches"), "{details}");
    }
}

#[tokio::test]
async fn records_of_unknown_columns_are_given_as_they_come() {
    let site = site().await;
    let service = site.service();
    let asked = async |path: &str| site.ask(Some(&service), get(path)).await.body;
    let (norway, chile) = (
        json!({ "id": 1, "name": "Norway" }),
        json!({ "id": 2, "name": "Chile" }),
    );
    assert_eq!(asked("/rpc/one_record").await, norway);
    assert_eq!(asked("/rpc/some_records").await, json!([norway, chile]));
}
