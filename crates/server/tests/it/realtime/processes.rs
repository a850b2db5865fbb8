//! Several processes over one database.

use serde_json::{Value, json};

use super::{Listening, Talk};
use crate::site::Site;
use crate::world::World;

/// Two servers over one database, as two processes have them.
async fn two() -> (Site, Listening, Listening) {
    let site = Site::over(World::own_database().await);
    let second = nexus_mint::app::App::new(
        (*site.app.config).clone(),
        site.app.db.clone(),
        "127.0.0.1:54322".parse().unwrap(),
        {
            let now = site.now();
            std::sync::Arc::new(move || now)
        },
    )
    .unwrap();
    let (here, there) = (Listening::over(&site.app).await, Listening::over(&second).await);
    (site, here, there)
}

async fn joined(listening: &Listening, name: &str, key: &str) -> Talk {
    let mut talk = listening.connect().await;
    let config = json!({ "presence": { "key": key, "enabled": true } });
    let reply = talk.join(name, config, None).await;
    assert_eq!(reply["status"], "ok");
    talk
}

async fn speak(talk: &mut Talk, name: &str, event: &str, payload: Value) {
    let topic = format!("realtime:{name}");
    talk.send(json!(["1", "2", topic, "broadcast", { "type": "broadcast", "event": event, "payload": payload }]))
        .await;
}

async fn track(talk: &mut Talk, name: &str, payload: Value) {
    let topic = format!("realtime:{name}");
    talk.send(json!(["1", "3", topic, "presence", { "type": "presence", "event": "track", "payload": payload }]))
        .await;
    talk.until("phx_reply").await;
}

#[tokio::test]
async fn what_is_said_in_one_is_heard_in_the_other() {
    let (_site, here, there) = two().await;
    let (mut ann, mut ben) = (joined(&here, "room", "ann").await, joined(&there, "room", "ben").await);
    speak(&mut ben, "room", "hi", json!({ "n": 1 })).await;
    assert_eq!(ann.until("broadcast").await["payload"], json!({ "n": 1 }));
    // Longer than PostgreSQL carries at once, and not in ASCII.
    let long = "ä".repeat(50_000);
    speak(&mut ann, "room", "long", json!({ "long": long })).await;
    assert_eq!(ben.until("broadcast").await["payload"]["long"], json!(long));
    for n in 0..200 {
        speak(&mut ann, "room", "count", json!(n)).await;
        // Fewer than are allowed in a second.
        if n == 80 {
            break;
        }
    }
    for n in 0..=80 {
        assert_eq!(ben.until("broadcast").await["payload"], json!(n), "in order");
    }
    here.kill();
    there.kill();
}

#[tokio::test]
async fn presences_are_those_of_all_and_go_with_their_process() {
    let (_site, here, there) = two().await;
    let mut ann = joined(&here, "lobby", "ann").await;
    track(&mut ann, "lobby", json!({ "at": "door" })).await;
    let mut ben = joined(&there, "lobby", "ben").await;
    let state = ben.until("presence_state").await;
    assert_eq!(
        state["ann"]["metas"][0]["at"], "door",
        "who was there before the process was"
    );
    track(&mut ben, "lobby", json!({ "at": "bar" })).await;
    while ann.until("presence_diff").await["joins"].get("ben").is_none() {}
    track(&mut ben, "lobby", json!({ "at": "exit" })).await;
    let moved = ann.until("presence_diff").await;
    assert_eq!(moved["joins"]["ben"]["metas"][0]["at"], "exit");
    assert_eq!(moved["leaves"]["ben"]["metas"][0]["at"], "bar", "one diff for both");
    there.kill();
    let gone = ann.until("presence_diff").await;
    assert_eq!(
        gone["leaves"]["ben"]["metas"][0]["at"], "exit",
        "as soon as its connection is gone"
    );
    here.kill();
}

#[tokio::test]
async fn both_follow_changes_and_hear_the_databases_broadcasts() {
    let (site, here, there) = two().await;
    let (ann, admin) = (site.person(&[]).await, site.world.admin().await);
    let mut heard = Vec::new();
    for listening in [&here, &there] {
        let mut talk = listening.connect().await;
        let binding = json!({ "event": "INSERT", "schema": "public", "table": "notifications" });
        assert_eq!(talk.follow(binding, Some(&ann.token)).await["status"], "ok");
        talk.send(json!(["2", "2", "realtime:news", "phx_join", {}])).await;
        talk.until("phx_reply").await;
        heard.push(talk);
    }
    let told = "insert into notifications (user_id, title, message) values ($1, 'hello', 'there')";
    admin.execute(told, &[&ann.id]).await.unwrap();
    for talk in &mut heard {
        assert_eq!(talk.change().await.1["title"], "hello");
    }
    admin
        .execute("select realtime.send('{\"a\":1}', 'tick', 'news', false)", &[])
        .await
        .unwrap();
    for talk in &mut heard {
        assert_eq!(talk.until("broadcast").await["payload"], json!({ "a": 1 }));
    }
    here.kill();
    there.kill();
}

#[tokio::test]
async fn a_connection_between_them_that_breaks_is_made_again_and_all_agree() {
    let (site, here, there) = two().await;
    let mut ann = joined(&here, "lobby", "ann").await;
    let mut ben = joined(&there, "lobby", "ben").await;
    track(&mut ann, "lobby", json!({})).await;
    while ben.until("presence_diff").await["joins"].get("ann").is_none() {}
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name ~ '^nexus-mint realtime [0-9a-f]{32}$'";
    assert_eq!(site.world.admin().await.execute(cut, &[]).await.unwrap(), 2);
    // While nobody hears the other.
    track(&mut ann, "lobby", json!({ "at": "bar" })).await;
    loop {
        let diff = ben.until("presence_diff").await;
        if diff["joins"]["ann"]["metas"][0]["at"] == "bar" {
            break;
        }
    }
    here.kill();
    there.kill();
}
