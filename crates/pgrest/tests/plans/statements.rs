//! What SQL a request becomes.

use crate::shop::{planned, statement};

/// The rows that a read reads, and its values.
fn check(asked: &str, rows: &str, binds: &[&str]) {
    let statement = statement(asked, &[], "").statement;
    let inner = statement.text.split_once("pgrst_source AS (").unwrap().1;
    let inner = inner.split_once(") SELECT NULL::bigint").unwrap().0;
    assert_eq!(inner, rows, "{asked}");
    let found: Vec<&str> = statement.binds.iter().map(|bind| bind.as_deref().unwrap()).collect();
    assert_eq!(found, binds, "{asked}");
}

#[test]
fn filters_orders_and_pages() {
    let from = r#"SELECT "clients".* FROM "api"."clients""#;
    check("GET /clients", from, &[]);
    check(
        "GET /clients?id=eq.1",
        &format!(r#"{from} WHERE ("clients"."id" = $1)"#),
        &["1"],
    );
    check(
        "GET /clients?id=not.in.(1,2)&name=like.a*",
        &format!(r#"{from} WHERE NOT ("clients"."id" = ANY ($1)) AND ("clients"."name" LIKE $2)"#),
        &[r#"{"1","2"}"#, "a%"],
    );
    check(
        "GET /clients?or=(id.eq.1,not.and(name.is.null,id.gt.5))",
        &format!(
            r#"{from} WHERE (("clients"."id" = $1) OR NOT (("clients"."name" IS NULL) AND ("clients"."id" > $2)))"#
        ),
        &["1", "5"],
    );
    check(
        "GET /clients?order=name.desc.nullslast,id&limit=3&offset=2",
        &format!(r#"{from} ORDER BY "clients"."name" DESC NULLS LAST, "clients"."id" LIMIT 3 OFFSET $1"#),
        &["2"],
    );
    check(
        "GET /projects?select=n:name::varchar,data->a->>0&data->>b=eq.c",
        r#"SELECT CAST("projects"."name" AS varchar) AS "n", "projects"."data"->'a'->>(0) AS "a" FROM "api"."projects" WHERE ("projects"."data"->>'b' = $1)"#,
        &["c"],
    );
    check(
        "GET /clients?and=(id.eq.1,id.neq.2))&id=in.(1)x",
        &format!(r#"{from} WHERE ("clients"."id" = ANY ($1)) AND (("clients"."id" = $2) AND ("clients"."id" <> $3))"#),
        &[r#"{"1"}"#, "1", "2"],
    );
    check(
        "GET /clients?name=wfts(english).x",
        &format!(
            r#"{from} WHERE (to_tsvector($1::regconfig, "clients"."name") @@ websearch_to_tsquery($2::regconfig, $3))"#
        ),
        &["english", "english", "x"],
    );
}

#[test]
fn embeds_are_lateral_joins() {
    check(
        "GET /projects?select=id,clients(name)",
        r#"SELECT "projects"."id" AS "id", row_to_json("pgrst_1_0".*) AS "clients" FROM "api"."projects" LEFT JOIN LATERAL (SELECT "clients_1"."name" AS "name" FROM "api"."clients" AS "clients_1" WHERE "clients_1"."id" = "projects"."client_id") AS "pgrst_1_0" ON TRUE"#,
        &[],
    );
    check(
        "GET /clients?select=p:projects!inner(id)&p.id=gt.1",
        r#"SELECT COALESCE("pgrst_1_0".pgrst_rows, '[]') AS "p" FROM "api"."clients" INNER JOIN LATERAL (SELECT json_agg("pgrst_1_0".*) AS pgrst_rows FROM (SELECT "projects_1"."id" AS "id" FROM "api"."projects" AS "projects_1" WHERE "projects_1"."client_id" = "clients"."id" AND ("projects_1"."id" > $1)) AS "pgrst_1_0") AS "pgrst_1_0" ON "pgrst_1_0".pgrst_rows IS NOT NULL"#,
        &["1"],
    );
    check(
        "GET /users?select=tasks(id)",
        r#"SELECT COALESCE("pgrst_1_0".pgrst_rows, '[]') AS "tasks" FROM "api"."users" LEFT JOIN LATERAL (SELECT json_agg("pgrst_1_0".*) AS pgrst_rows FROM (SELECT "tasks_1"."id" AS "id" FROM "api"."tasks" AS "tasks_1", "api"."users_tasks" AS "pgrst_junction_1" WHERE "pgrst_junction_1"."user_id" = "users"."id" AND "pgrst_junction_1"."task_id" = "tasks_1"."id") AS "pgrst_1_0") AS "pgrst_1_0" ON TRUE"#,
        &[],
    );
    check(
        "GET /users?select=id,boss_id(name)",
        r#"SELECT "users"."id" AS "id", row_to_json("pgrst_1_0".*) AS "boss_id" FROM "api"."users" LEFT JOIN LATERAL (SELECT "users_1"."name" AS "name" FROM "api"."users" AS "users_1" WHERE "users_1"."id" = "users"."boss_id") AS "pgrst_1_0" ON TRUE"#,
        &[],
    );
    check(
        "GET /clients?select=name,projects()&projects=is.null",
        r#"SELECT "clients"."name" AS "name" FROM "api"."clients" WHERE NOT EXISTS (SELECT 1 FROM "api"."projects" AS "projects_1" WHERE "projects_1"."client_id" = "clients"."id")"#,
        &[],
    );
    // A name that is asked for more than its being there is a column's, and so is one that the embed does not go by.
    check(
        "GET /users?select=id,boss_id()&boss_id=eq.2",
        r#"SELECT "users"."id" AS "id" FROM "api"."users" WHERE ("users"."boss_id" = $1)"#,
        &["2"],
    );
    check(
        "GET /users?select=id,boss:boss_id()&boss_id=is.null&boss=not.is.null",
        r#"SELECT "users"."id" AS "id" FROM "api"."users" WHERE ("users"."boss_id" IS NULL) AND EXISTS (SELECT 1 FROM "api"."users" AS "users_1" WHERE "users_1"."id" = "users"."boss_id")"#,
        &[],
    );
    check(
        "GET /projects?select=...clients(client:name)",
        r#"SELECT "pgrst_1_0"."client" AS "client" FROM "api"."projects" LEFT JOIN LATERAL (SELECT "clients_1"."name" AS "client" FROM "api"."clients" AS "clients_1" WHERE "clients_1"."id" = "projects"."client_id") AS "pgrst_1_0" ON TRUE"#,
        &[],
    );
    check(
        "GET /named_projects?select=title,clients(name)&limit=1",
        r#"SELECT "named_projects"."title" AS "title", row_to_json("pgrst_1_0".*) AS "clients" FROM "api"."named_projects" LEFT JOIN LATERAL (SELECT "clients_1"."name" AS "name" FROM "api"."clients" AS "clients_1" WHERE "clients_1"."id" = "named_projects"."client") AS "pgrst_1_0" ON TRUE LIMIT 1"#,
        &[],
    );
}

#[test]
fn features_are_made_by_postgis() {
    let text = statement("GET /clients", &[("accept", "application/geo+json")], "")
        .statement
        .text;
    let body = "json_build_object('type', 'FeatureCollection', 'features', \
                coalesce(json_agg(ST_AsGeoJSON(pgrst_rows)::json), '[]')) AS \"body\"";
    assert!(text.contains(body), "{text}");
}

#[test]
fn aggregates_group_by_the_rest() {
    check(
        "GET /projects?select=client_id,count(),id.max()",
        r#"SELECT "projects"."client_id" AS "client_id", count(*) AS "count", max("projects"."id") AS "max" FROM "api"."projects" GROUP BY "projects"."client_id""#,
        &[],
    );
    check(
        "GET /projects?select=...clients(name,id.count())",
        r#"SELECT "pgrst_1_0"."name" AS "name", count("pgrst_1_0"."count") AS "count" FROM "api"."projects" LEFT JOIN LATERAL (SELECT "clients_1"."name" AS "name", "clients_1"."id" AS "count" FROM "api"."clients" AS "clients_1" WHERE "clients_1"."id" = "projects"."client_id") AS "pgrst_1_0" ON TRUE GROUP BY "pgrst_1_0"."name""#,
        &[],
    );
}

#[test]
fn writes_are_one_statement() {
    let check = |asked: &str, prefer: &str, body: &str, begins: &str| {
        let text = statement(asked, &[("prefer", prefer)], body).statement.text;
        assert!(text.starts_with(begins), "{asked}\n{text}\n{begins}");
    };
    check(
        "POST /clients",
        "",
        r#"[{"id":1,"name":"a"}]"#,
        r#"WITH pgrst_source AS (INSERT INTO "api"."clients"("id", "name") SELECT pgrst_body."id", pgrst_body."name" FROM json_to_recordset($1::json) AS pgrst_body("id" integer, "name" text) RETURNING 1) SELECT"#,
    );
    check(
        "POST /clients",
        "",
        "{}",
        r#"WITH pgrst_source AS (INSERT INTO "api"."clients" DEFAULT VALUES RETURNING 1) SELECT"#,
    );
    check(
        "POST /clients",
        "resolution=merge-duplicates, return=headers-only",
        r#"{"id":1}"#,
        r#"WITH pgrst_source AS (INSERT INTO "api"."clients"("id") SELECT pgrst_body."id" FROM json_to_record($1::json) AS pgrst_body("id" integer) ON CONFLICT("id") DO UPDATE SET "id" = EXCLUDED."id" RETURNING "clients"."id", (xmax = 0) AS pgrst_inserted) SELECT"#,
    );
    check(
        "PATCH /clients?id=eq.1&select=name",
        "return=representation",
        r#"{"name":"b"}"#,
        r#"WITH pgrst_source AS (UPDATE "api"."clients" SET "name" = pgrst_body."name" FROM (SELECT * FROM json_to_record($1::json) AS pgrst_set("name" text) LIMIT 1) AS pgrst_body WHERE ("clients"."id" = $2) RETURNING "clients"."name"), pgrst_answer AS (SELECT "clients"."name" AS "name" FROM pgrst_source AS "clients") SELECT"#,
    );
    check(
        "DELETE /clients?id=eq.1",
        "",
        "",
        r#"WITH pgrst_source AS (DELETE FROM "api"."clients" WHERE ("clients"."id" = $1) RETURNING 1) SELECT"#,
    );
    check(
        "PUT /clients?id=eq.1",
        "",
        r#"{"id":1,"name":"x"}"#,
        r#"WITH pgrst_source AS (INSERT INTO "api"."clients"("id", "name") SELECT pgrst_body."id", pgrst_body."name" FROM json_to_record($1::json) AS pgrst_body("id" integer, "name" text) WHERE pgrst_body."id" = $2 ON CONFLICT("id") DO UPDATE"#,
    );
}

#[test]
fn calls_name_their_arguments() {
    let plan = statement("GET /rpc/add?a=1&b=2", &[], "");
    assert!(plan.statement.text.starts_with(
        r#"WITH pgrst_source AS MATERIALIZED (SELECT "api"."add"("a" := $1::integer, "b" := $2::integer) AS pgrst_scalar) SELECT"#
    ));
    assert_eq!(plan.statement.binds, [Some("1".to_owned()), Some("2".to_owned())]);
}

#[test]
fn calls_take_what_is_meant_for_them() {
    let check = |asked: &str, body: &str, part: &str, binds: &[&str]| {
        let statement = statement(asked, &[], body).statement;
        assert!(statement.text.contains(part), "{asked}\n{}\n{part}", statement.text);
        let found: Vec<&str> = statement.binds.iter().map(|bind| bind.as_deref().unwrap()).collect();
        assert_eq!(found, binds, "{asked}");
    };
    let add = r#""api"."add"("a" := $1::integer, "b" := $2::integer)"#;
    check("POST /rpc/add", r#"{"b":2,"a":1}"#, add, &["1", "2"]);
    check("POST /rpc/add?columns=a,b", r#"{"a":1,"b":2,"c":3}"#, add, &["1", "2"]);
    check("GET /rpc/add?a=1&b=2&a=3", "", add, &["3", "2"]);
    let body = r#"{"":"louder"}"#;
    check("POST /rpc/shout", body, r#""api"."shout"($1::text)"#, &[body]);
    check(
        "GET /rpc/numbers?below=9&limit=2&offset=1",
        "",
        "FROM (SELECT * FROM pgrst_source LIMIT 2 OFFSET $2) AS pgrst_rows",
        &["9", "1"],
    );
}

#[test]
fn a_relation_in_itself_is_named_by_columns_alone() {
    let ways = |select: &str| {
        planned(&format!("GET /users?select={select}"), &[], b"")
            .map(drop)
            .map_err(|error| error.reply().status)
    };
    for select in ["users(id)", "users!boss_id(id)", "boss_id(id)"] {
        assert_eq!(ways(select), Ok(()), "{select}");
    }
    for select in ["users!users_boss_fkey(id)", "users_boss_fkey(id)", "users!id(id)"] {
        assert_eq!(ways(select), Err(400), "{select}");
    }
}

#[test]
fn embeds_are_jsonb_only_where_rows_are_no_json() {
    let text = |accept: &str| {
        let asked = "GET /projects?select=id,clients(id)";
        statement(asked, &[("accept", accept)], "").statement.text
    };
    let row = |text: &str| text.contains("::jsonb");
    assert!(row(&text("text/csv")));
    assert!(!row(&text("application/json")) && !row(&text("application/vnd.pgrst.object+json")));
}
