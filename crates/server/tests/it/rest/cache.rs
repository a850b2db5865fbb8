//! The schema cache and the connections: what changes is found, and what goes away costs nothing.

use super::*;

#[tokio::test]
async fn what_was_just_made_is_found_without_being_told() {
    let site = Site::over(World::own_database().await).await;
    let first = site.ask(Some(&site.service()), get("/just_made")).await;
    assert_eq!((first.status, first.code()), (404, "PGRST205"));
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create table public.just_made (id int primary key, name text);
             insert into public.just_made values (1, 'one');
             grant select on public.just_made to service_role",
        )
        .await
        .unwrap();
    site.app.rest.reload().await.unwrap();
    let found = site.ask(Some(&site.service()), get("/just_made")).await;
    assert_eq!((found.status, found.body), (200, json!([{ "id": 1, "name": "one" }])));
    admin
        .batch_execute(
            "alter table public.just_made rename column name to label; alter table public.just_made alter id type text",
        )
        .await
        .unwrap();
    let renamed = site
        .ask(Some(&site.service()), get("/just_made?select=id&label=eq.one&id=eq.1"))
        .await;
    assert_eq!(
        (renamed.status, renamed.body),
        (200, json!([{ "id": "1" }])),
        "a cache that is old is no reason to fail"
    );
}

#[tokio::test]
async fn whoever_changes_the_schema_tells_the_cache() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    let (client, mut connection) = world.runtime_config().connect(tokio_postgres::NoTls).await.unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let driving = tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = futures_util::StreamExt::next(&mut messages).await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                told.send(note.payload().to_owned()).unwrap();
            }
        }
    });
    client.batch_execute("listen pgrst").await.unwrap();
    let mut told_by = async |statement: &str| {
        admin.batch_execute(statement).await.unwrap();
        // One of our own behind it: what was told before it has come when it has come.
        admin.batch_execute("notify pgrst, 'end'").await.unwrap();
        let mut times = 0;
        while heard.recv().await.unwrap() != "end" {
            times += 1;
        }
        times
    };
    for (statement, times) in [
        ("create table public.told (id int)", 1),
        ("alter table public.told add column name text", 1),
        ("create view public.told_view as select id from public.told", 1),
        ("comment on table public.told is 'told'", 1),
        ("create temporary table hidden (id int)", 0),
        ("drop table hidden", 0),
        (
            "create materialized view public.told_kept as select id from public.told",
            1,
        ),
        ("refresh materialized view public.told_kept", 0),
        ("create index on public.told (id)", 0),
        ("drop table public.told cascade", 1),
    ] {
        assert_eq!(told_by(statement).await, times, "{statement}");
    }
    driving.abort();
}

#[tokio::test]
async fn a_login_without_rights_of_its_own_reads_the_cache() {
    let world = World::own_database().await;
    world
        .admin()
        .await
        .batch_execute("create schema hidden create table kept (id int generated always as identity primary key)")
        .await
        .unwrap();
    let client = Login::local(&world.runtime_config()).connect().await.unwrap();
    let schema = catalogue::load(&client, &["hidden".to_owned()], &[], Vec::new())
        .await
        .unwrap();
    let kept = schema.relation(&QualifiedName::of("hidden", "kept")).unwrap();
    let default = kept.column("id").unwrap().default.as_deref();
    assert_eq!(default, Some("nextval('hidden.kept_id_seq')"));
}

#[tokio::test]
async fn the_old_cache_serves_until_the_new_one_is_whole() {
    let site = Site::shared().await;
    let service = site.service();
    site.app.rest.reload().await.unwrap();
    let reloading = async {
        for _ in 0..5 {
            site.app.rest.reload().await.unwrap();
        }
    };
    let asking = async {
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(
                site.ask(Some(&service), get("/properties?limit=1&select=id"))
                    .await
                    .status,
            );
        }
        answers
    };
    let ((), answers) = tokio::join!(reloading, asking);
    assert_eq!(answers, [200; 20]);
}

#[tokio::test]
async fn a_client_that_goes_away_costs_no_connection() {
    let site = Site::over(World::own_database().await).await;
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create table public.visits (id int generated always as identity primary key, at timestamptz not null);
             create function public.linger() returns int language sql volatile security definer
               as $$ select pg_catalog.pg_sleep(0.2); insert into public.visits (at) values (now()) returning id $$;
             grant execute on function public.linger() to anon",
        )
        .await
        .unwrap();
    let linger = || get("/rpc/linger").method("POST").body(json!({}));
    assert_eq!(site.ask(None, linger()).await.status, 200);
    for _ in 0..10 {
        let gone = tokio::time::timeout(std::time::Duration::from_millis(30), site.ask(None, linger())).await;
        assert!(gone.is_err(), "nobody waited for it");
    }
    // The role has eight connections: this one waits until those that were left are through.
    assert_eq!(site.ask(None, linger()).await.status, 200);
    let row = admin
        .query_one(
            "select (select count(*) from public.visits), count(*) from pg_catalog.pg_stat_activity
             where datname = pg_catalog.current_database() and application_name = 'nexus-mint rest'",
            &[],
        )
        .await
        .unwrap();
    let (visits, connections): (i64, i64) = (row.get(0), row.get(1));
    assert!(connections <= 8, "{connections}");
    assert!(visits >= 3, "what was asked for goes on to its end: {visits}");
}
