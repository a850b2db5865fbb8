//! Of a row that is gone only those hear who could read it: the rule of each table says what its policy said.

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::Listening;
use crate::site::Site;
use crate::world::{Person, World, act_as};

/// Rows of each table that has a rule, for some people.
async fn rows(client: &Client, people: &[Person]) {
    let [ann, ben, cem] = people else {
        panic!("three people")
    };
    for (owner, guest, is_public) in [(ann, ben, false), (ben, cem, false), (cem, ann, true)] {
        let room: Uuid = client
            .query_one(
                "insert into chat_rooms (name, is_public, created_by) values ('room', $1, $2) returning id",
                &[&is_public, &owner.id],
            )
            .await
            .unwrap()
            .get(0);
        for (person, is_active) in [(owner, true), (guest, owner.id == ann.id)] {
            client
                .execute(
                    "insert into chat_room_participants (room_id, user_id, is_active) values ($1, $2, $3)",
                    &[&room, &person.id, &is_active],
                )
                .await
                .unwrap();
        }
        client
            .execute(
                "insert into chat_messages (room_id, user_id, message) values ($1, $2, 'x')",
                &[&room, &owner.id],
            )
            .await
            .unwrap();
        client
            .execute(
                "insert into notifications (user_id, title, message) values ($1, 'x', 'x')",
                &[&owner.id],
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn each_rule_says_what_its_policy_says() {
    let world = World::own_database().await;
    let mut client = world.admin().await;
    let people = [
        world.person(&[]).await,
        world.person(&[]).await,
        world.person(&["admin"]).await,
    ];
    rows(&client, &people).await;
    let callers: Vec<(&str, serde_json::Value)> = people
        .iter()
        .map(|person| (person.db_role(), person.claims()))
        .collect();
    for table in ["notifications", "chat_rooms", "chat_room_participants", "chat_messages"] {
        let all = format!("select t.id, to_jsonb(t) from {table} as t order by t.id");
        let all = client.query(&all, &[]).await.unwrap();
        assert!(all.len() >= 3, "{table} has rows");
        let (mut yes, mut no) = (0, 0);
        for (role, claims) in &callers {
            let tx = client.transaction().await.unwrap();
            act_as(tx.client(), role, claims).await;
            let may_look: bool = tx
                .query_one(
                    "select has_table_privilege($1, 'select')",
                    &[&format!("public.{table}")],
                )
                .await
                .unwrap()
                .get(0);
            for row in &all {
                let (id, whole): (Uuid, serde_json::Value) = (row.get(0), row.get(1));
                let reads = may_look
                    && !tx
                        .query(&format!("select from {table} where id = $1"), &[&id])
                        .await
                        .unwrap()
                        .is_empty();
                // As the log has a row: texts.
                let texts: serde_json::Map<String, serde_json::Value> = whole
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| {
                        (
                            name.clone(),
                            json!(value.as_str().map_or(value.to_string(), str::to_owned)),
                        )
                    })
                    .collect();
                let hears: bool = tx
                    .query_one(
                        "select may_hear_of_removal($1, $2)",
                        &[&table, &serde_json::Value::Object(texts)],
                    )
                    .await
                    .unwrap()
                    .get(0);
                assert_eq!(hears, reads, "{table} {whole} for {role} {claims}");
                if hears { yes += 1 } else { no += 1 }
            }
        }
        assert!(yes > 0 && no > 0, "{table}: both were seen");
    }
}

#[tokio::test]
async fn a_table_that_is_followed_and_has_no_rule_tells_nobody_what_is_gone() {
    let world = World::shared().await;
    let client = world.admin().await;
    let followed = client
        .query(
            "select tablename from pg_publication_tables where pubname = 'supabase_realtime' and schemaname = 'public'",
            &[],
        )
        .await
        .unwrap();
    let with_rule = ["notifications", "chat_rooms", "chat_room_participants", "chat_messages"];
    assert!(followed.len() > with_rule.len());
    let person = world.person(&[]).await;
    for row in followed {
        let table: String = row.get(0);
        if with_rule.contains(&table.as_str()) {
            continue;
        }
        client.batch_execute("begin").await.unwrap();
        person.act(&client).await;
        let hears: bool = client
            .query_one(
                "select may_hear_of_removal($1, $2)",
                &[&table, &json!({ "user_id": person.id, "id": person.id })],
            )
            .await
            .unwrap()
            .get(0);
        client.batch_execute("rollback").await.unwrap();
        assert!(!hears, "{table}");
    }
}

#[tokio::test]
async fn who_could_read_it_hears_that_it_is_gone_and_of_its_key_alone() {
    let site = Site::new().await;
    let listening = Listening::over(&site.app).await;
    let (ann, ben) = (site.person(&[]).await, site.person(&[]).await);
    let admin = site.world.admin().await;
    let mut talks = Vec::new();
    for person in [&ann, &ben] {
        let mut talk = listening.connect().await;
        let binding = json!({ "event": "*", "schema": "public", "table": "notifications" });
        assert_eq!(talk.follow(binding, Some(&person.token)).await["status"], "ok");
        talks.push(talk);
    }
    let mut ids = Vec::new();
    for person in [&ann, &ben] {
        let text = "insert into notifications (user_id, title, message) values ($1, 'secret', 'x') returning id";
        let id: Uuid = admin.query_one(text, &[&person.id]).await.unwrap().get(0);
        ids.push(id);
    }
    for (talk, id) in talks.iter_mut().zip(&ids) {
        let (kind, row, _) = talk.change().await;
        assert_eq!((kind.as_str(), &row["id"]), ("INSERT", &json!(id)));
    }
    for id in &ids {
        admin
            .execute("delete from notifications where id = $1", &[id])
            .await
            .unwrap();
    }
    for (talk, id) in talks.iter_mut().zip(&ids) {
        let (kind, row, old) = talk.change().await;
        assert_eq!((kind.as_str(), row, old), ("DELETE", json!(null), json!({ "id": id })));
    }
    listening.kill();
}
