//! Lists: what the database walks is what a plain look at all names says.

use axum::http::Request;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ask, bucket, service};
use crate::site::Site;

/// One level by looking at everything: names as lists tell them, in order.
fn level(names: &[String], prefix: &str) -> Vec<String> {
    let below = names.iter().filter_map(|name| name.strip_prefix(prefix));
    let mut entries: Vec<String> = below
        .map(|rest| match rest.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => rest.to_owned(),
        })
        .collect();
    entries.sort();
    entries.dedup();
    entries
}

#[tokio::test]
async fn lists_are_those_of_a_plain_look() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, false).await);
    let mut names: Vec<String> = Vec::new();
    for folder in ["", "a/", "a/b/", "a.b/", "a b/", "a-/", "z/y/x/"] {
        for file in ["0", "a", "a%", "b.txt", "~", "Z", "a_c", "abc"] {
            names.push(format!("{folder}{file}"));
        }
    }
    names.sort();
    let client = site.world.admin().await;
    let text =
        "insert into storage.objects (bucket_id, name, metadata) select $1, n, '{}' from unnest($2::text[]) as n";
    client.execute(text, &[&name, &names]).await.unwrap();
    let list = async |version: &str, body: Value| {
        let request = Request::post(format!("/storage/v1/object/{version}/{name}"));
        ask(&site, Some(&who), request, body.to_string()).await.ok().json()
    };
    let told = |entries: &Value| -> Vec<String> {
        let entries = entries.as_array().unwrap().iter();
        entries
            .map(|entry| {
                let slash = if entry["id"].is_null() { "/" } else { "" };
                let name = entry["name"].as_str().unwrap();
                format!("{}{slash}", name.trim_end_matches('/'))
            })
            .collect()
    };
    for prefix in ["", "a/", "a/b/", "a b/", "z/", "z/y/", "none/"] {
        let expect = level(&names, prefix);
        for order in ["asc", "desc"] {
            let mut expect = expect.clone();
            if order == "desc" {
                expect.reverse();
            }
            let by = json!({ "column": "name", "order": order });
            let whole = list("list", json!({ "prefix": prefix, "sortBy": by })).await;
            assert_eq!(told(&whole), expect, "{prefix} {order}");
            let part = list(
                "list",
                json!({ "prefix": prefix, "sortBy": by, "limit": 3, "offset": 2 }),
            )
            .await;
            let part_expected: Vec<String> = expect.iter().skip(2).take(3).cloned().collect();
            assert_eq!(told(&part), part_expected, "{prefix} {order}");
            for limit in [1, 2, 5, 1000] {
                let (mut seen, mut cursor) = (Vec::new(), Value::Null);
                loop {
                    let body = json!({ "prefix": prefix, "with_delimiter": true, "limit": limit, "cursor": cursor, "sortBy": by });
                    let page = list("list-v2", body).await;
                    let mut entries = told(&page["folders"]);
                    entries.extend(told(&page["objects"]));
                    entries.sort();
                    if order == "desc" {
                        entries.reverse();
                    }
                    seen.extend(
                        entries
                            .iter()
                            .map(|entry| entry.strip_prefix(prefix).unwrap().to_owned()),
                    );
                    cursor = page["nextCursor"].clone();
                    assert_eq!(page["hasNext"], !cursor.is_null());
                    if cursor.is_null() {
                        break;
                    }
                }
                assert_eq!(seen, expect, "{prefix} {order} {limit}");
            }
        }
    }
    let found = list("list", json!({ "prefix": "a", "search": "A_" })).await;
    assert_eq!(told(&found), ["a_c"], "no sign of a search is special");
    let found = list("list", json!({ "prefix": "a", "search": "A%" })).await;
    assert_eq!(told(&found), ["a%"]);
    for column in ["created_at", "updated_at"] {
        for order in ["asc", "desc"] {
            let (mut seen, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let by = json!({ "column": column, "order": order });
                let page = list("list-v2", json!({ "limit": 5, "cursor": cursor, "sortBy": by })).await;
                seen.extend(told(&page["objects"]));
                cursor = page["nextCursor"].clone();
                if cursor.is_null() {
                    break;
                }
            }
            seen.sort();
            assert_eq!(seen, names, "{column} {order}: each once");
        }
    }
    // Folders have no instant: they come first, by name, whatever the order of the files.
    let instants = "update storage.objects set created_at = '2026-01-01'::timestamptz + ((hashtext(name) % 5) || ' days')::interval
                    where bucket_id = $1 returning name, created_at";
    let mut dated: Vec<(chrono::DateTime<chrono::Utc>, String)> = client
        .query(instants, &[&name])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(1), row.get(0)))
        .collect();
    dated.sort();
    for prefix in ["", "a", "a/"] {
        for order in ["asc", "desc"] {
            let mut expect: Vec<String> = level(&names, prefix)
                .into_iter()
                .filter(|entry| entry.ends_with('/'))
                .map(|folder| format!("{prefix}{folder}"))
                .collect();
            let files = dated.iter().map(|(_, name)| name.clone());
            let mut files: Vec<String> = files
                .filter(|name| name.strip_prefix(prefix).is_some_and(|rest| !rest.contains('/')))
                .collect();
            if order == "desc" {
                files.reverse();
            }
            expect.extend(files);
            for limit in [1, 2, 3, 1000] {
                let (mut seen, mut cursor) = (Vec::new(), Value::Null);
                loop {
                    let by = json!({ "column": "created_at", "order": order });
                    let body = json!({ "prefix": prefix, "with_delimiter": true, "limit": limit, "cursor": cursor, "sortBy": by });
                    let page = list("list-v2", body).await;
                    seen.extend(told(&page["folders"]));
                    seen.extend(told(&page["objects"]));
                    cursor = page["nextCursor"].clone();
                    if cursor.is_null() {
                        break;
                    }
                }
                assert_eq!(seen, expect, "{prefix} {order} {limit}");
            }
        }
    }
    for (version, body) in [
        ("list", json!({ "limit": -1 })),
        ("list", json!({ "offset": 1_000_000_000 })),
        ("list", json!({ "sortBy": { "column": "owner; drop table x" } })),
        ("list-v2", json!({ "limit": 1001 })),
        ("list-v2", json!({ "cursor": "x" })),
        ("list-v2", json!({ "prefix": "a\0" })),
    ] {
        let request = Request::post(format!("/storage/v1/object/{version}/{name}"));
        let heard = ask(&site, Some(&who), request, body.to_string()).await;
        assert_eq!(heard.told(), (400, "400".to_owned()), "{version} {body}");
    }
}

#[tokio::test]
async fn a_list_walks_the_index_for_whoever_lists() {
    let site = Site::over(crate::world::World::own_database().await);
    let client = site.world.admin().await;
    let folder = Uuid::now_v7();
    let text = "insert into storage.objects (bucket_id, name, metadata)
                select 'user-avatars', $1 || '/' || to_char(n, 'FM000000'), '{}' from generate_series(1, 20000) as n";
    client.execute(text, &[&folder.to_string()]).await.unwrap();
    client.batch_execute("analyze storage.objects").await.unwrap();
    for role in ["authenticated", "nexus_staff", "service_role"] {
        client
            .batch_execute(&format!("begin; set local role {role}"))
            .await
            .unwrap();
        let text = "explain select o.name from storage.objects as o
             where o.bucket_id = 'user-avatars' and o.name collate \"C\" >= 'a' collate \"C\" and o.name collate \"C\" < 'b' collate \"C\"
             order by o.name collate \"C\" limit 100";
        let rows = client.query(text, &[]).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        client.batch_execute("rollback").await.unwrap();
        assert!(plan.contains("idx_objects_bucket_id_name"), "{role}:\n{plan}");
        assert!(!plan.contains("Sort"), "{role}:\n{plan}");
    }
}
