//! Quick reads of many callers on connections that they share: nobody gets what is another's, and nobody waits for what
//! another one waits for.

use futures_util::future::join_all;
use nexus_mint::rest::alone::Current;

use super::{
    alone::{current, set},
    *,
};

const SCHEMA: &str = "
    create schema shown;
    create table shown.things as select id, 'caller ' || id as owner from generate_series(1, 64) as id;
    create table shown.others as select id from generate_series(1, 8) as id;
    alter table shown.things enable row level security;
    create policy own on shown.things for select to anon
      using (owner = current_setting('request.headers')::json->>'x-caller');
    grant usage on schema shown to authenticator, anon;
    grant select on shown.things, shown.others to anon;
";

async fn alone(world: &World) -> Current {
    world.admin().await.batch_execute(SCHEMA).await.unwrap();
    set(world, "pgrst.db_schemas", "shown").await;
    let alone = current(world, ("PGRST_DB_POOL", "8")).await;
    alone.reconfigure().await;
    // What was never seen is not shared.
    assert_eq!(
        ask(&alone, 1, "/things?id=gt.0").await,
        (200, json!([{ "id": 1, "owner": "caller 1" }]))
    );
    assert_eq!(ask(&alone, 1, "/others?id=eq.1").await.0, 200);
    alone
}

async fn ask(alone: &Current, caller: usize, path: &str) -> (u16, Value) {
    let request = Request::builder()
        .uri(path)
        .header("x-caller", format!("caller {caller}"))
        .body(Body::empty())
        .unwrap();
    let answer = alone.routes().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn shared(alone: &Current) -> u64 {
    let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    let answer = alone.admin_routes().oneshot(request).await.unwrap();
    let text = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("nexus_mint_rest_shared_total "));
    line.unwrap().parse().unwrap()
}

/// All callers at once, each for what is his own.
async fn crowd(alone: &Current) {
    let all = join_all((1..=64).map(|caller| ask(alone, caller, "/things?id=gt.0"))).await;
    for (caller, answer) in (1..).zip(all) {
        let own = json!([{ "id": caller, "owner": format!("caller {caller}") }]);
        assert_eq!(answer, (200, own));
    }
}

#[tokio::test]
async fn everybody_gets_his_own_rows_and_his_own_refusal() {
    let world = World::own_database().await;
    let alone = alone(&world).await;
    for _ in 0..10 {
        let asked = (1..=64).map(|caller| {
            // Of the same text; every seventh has a value that PostgreSQL refuses.
            let path = if caller % 7 == 0 {
                "/things?id=gt.nothing"
            } else {
                "/things?id=gt.0"
            };
            ask(&alone, caller, path)
        });
        for (caller, (status, body)) in (1..).zip(join_all(asked).await) {
            if caller % 7 == 0 {
                assert_eq!((status, &body["code"]), (400, &json!("22P02")), "{body}");
            } else {
                let own = json!([{ "id": caller, "owner": format!("caller {caller}") }]);
                assert_eq!((status, body), (200, own));
            }
        }
    }
    assert_ne!(shared(&alone).await, 0);
}

#[tokio::test]
async fn a_read_that_waits_for_a_lock_holds_up_nobody_else() {
    let world = World::own_database().await;
    let alone = alone(&world).await;
    while shared(&alone).await == 0 {
        crowd(&alone).await;
    }
    let mut admin = world.admin().await;
    let locked = admin.transaction().await.unwrap();
    locked
        .batch_execute("lock table shown.others in access exclusive mode")
        .await
        .unwrap();
    let waiting = join_all((1..=4).map(|_| ask(&alone, 1, "/others?id=eq.1")));
    let going_on = async {
        for _ in 0..4 {
            let all = join_all((1..=4).map(|caller| ask(&alone, caller, "/things?id=gt.0"))).await;
            assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
        }
        locked.commit().await.unwrap();
    };
    let (waited, ()) = tokio::join!(waiting, going_on);
    assert!(
        waited.iter().all(|answer| *answer == (200, json!([{ "id": 1 }]))),
        "{waited:?}"
    );
}

#[tokio::test]
async fn connections_that_end_are_made_anew() {
    let world = World::own_database().await;
    let alone = alone(&world).await;
    let admin = world.admin().await;
    for _ in 0..3 {
        let before = shared(&alone).await;
        while shared(&alone).await == before {
            crowd(&alone).await;
        }
        let ended = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
                     where datname = current_database() and application_name = 'nexus-mint rest'";
        let count: i64 = admin.query_one(ended, &[]).await.unwrap().get(0);
        assert_ne!(count, 0);
        crowd(&alone).await;
    }
}
