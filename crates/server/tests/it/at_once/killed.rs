//! The server killed with -9 while buyers are at it: what was answered is there, everything else wholly or not at all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::channel;

use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::laws;
use crate::program::{PATIENCE, Program};
use crate::seed::until;
use crate::shop::{Plan, Shop, id_of};

const GONE: &str = "select not exists (select from pg_stat_activity
    where datname = current_database() and application_name = 'nexus-mint nexus_engine' and state <> 'idle')";

const BLOCKED: &str = "select exists (select from pg_stat_activity
    where datname = current_database() and application_name = 'nexus-mint nexus_engine' and wait_event_type = 'Lock')";

/// Orders a token under a key: the investment, if the server lived to say so.
fn order(url: &str, token: &str, property_id: Uuid, key: &str) -> Option<Uuid> {
    let address = url.strip_prefix("http://").unwrap();
    let body = json!({ "propertyId": property_id, "tokenAmount": 1 }).to_string();
    let request = format!(
        "POST /functions/v1/create-investment HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    // A server that is killed says nothing more.
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let row: Value = serde_json::from_str(body).ok()?;
    assert!(head.contains(" 200 "), "{answer}");
    Some(id_of(&row))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_among_buyers_keeps_what_it_answered() {
    let shop = Shop::at(Utc::now()).await;
    shop.offer(&Plan {
        hard_cap: 1_000,
        ..Plan::default()
    })
    .await;
    let program = Program::with(&shop.site.world.admin_config());
    let mut tokens = Vec::new();
    for _ in 0..8 {
        let buyer = shop.buyer().await;
        tokens.push(program.answer(&["user", "token", &format!("{}@example.com", buyer.id.simple())]));
    }
    let client = shop.site.world.admin().await;
    let mut known: Vec<(usize, String, Uuid)> = Vec::new();
    // Killed after so many answers; the last time while a batch waits for a lock.
    for (round, answers) in [1, 3, 7].into_iter().enumerate() {
        let mut server = program.serve(&[]);
        let (tell, told) = channel();
        let buyers: Vec<_> = tokens
            .iter()
            .cloned()
            .enumerate()
            .map(|(buyer, token)| {
                let (url, property_id, tell) = (server.url.clone(), shop.property_id, tell.clone());
                // Each stays below the five reservations that one party may have open.
                std::thread::spawn(move || {
                    let key = format!("{round}");
                    if let Some(id) = order(&url, &token, property_id, &key) {
                        let _ = tell.send((buyer, key, id));
                    }
                })
            })
            .collect();
        drop(tell);
        let answered: Vec<_> = told.iter().take(answers).collect();
        server.signal(libc::SIGKILL);
        server.wait();
        buyers.into_iter().for_each(|buyer| buyer.join().unwrap());
        known.extend(answered);
        known.extend(told.try_iter());
        until(&client, GONE).await;
        laws::hold(&shop.site.world).await;
    }
    let gate = shop.site.world.admin().await;
    gate.batch_execute("begin; select from public.property_token_supply for update")
        .await
        .unwrap();
    let count = "select count(*) from public.investments";
    let before: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    let mut server = program.serve(&[]);
    let (url, token, property_id) = (server.url.clone(), tokens[0].clone(), shop.property_id);
    let waiting = std::thread::spawn(move || order(&url, &token, property_id, "in the midst"));
    until(&client, BLOCKED).await;
    server.signal(libc::SIGKILL);
    server.wait();
    assert_eq!(waiting.join().unwrap(), None);
    gate.batch_execute("rollback").await.unwrap();
    until(&client, GONE).await;
    let after: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(after, before, "what was under way left nothing");

    let server = program.serve(&[]);
    for (buyer, key, id) in known {
        let again = order(&server.url, &tokens[buyer], shop.property_id, &key);
        assert_eq!(again, Some(id), "what was answered is answered again");
    }
    laws::hold(&shop.site.world).await;
}
