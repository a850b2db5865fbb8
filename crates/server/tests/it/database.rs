//! What `db` promises: a role for every transaction, and nothing left behind by what was dropped.

use std::time::Duration;

use nexus_mint::attach::Postgres;
use nexus_mint::auth::token::Caller;
use nexus_mint::config::DatabaseUrl;
use nexus_mint::db::{Actor, CommitError, Db, Login, OnConstraint as _};
use nexus_mint::problem::Problem;

use crate::program::url_of;
use crate::world::World;

fn db(world: &World) -> Db {
    Db::new(&Login::local(&world.runtime_config())).unwrap()
}

async fn text(tx: &nexus_mint::db::Tx, sql: &'static str) -> String {
    tx.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_transaction_has_its_role_and_its_claims() {
    let world = World::shared().await;
    let db = db(&world);
    db.check_roles().await.unwrap();
    let who = "select concat_ws(' ', current_user, current_setting('statement_timeout'),
                                current_setting('request.jwt.claims', true))";
    let tx = db.as_caller(&Caller::visitor()).await.unwrap();
    assert_eq!(text(&tx, who).await, r#"anon 3s {"role":"anon"}"#);
    tx.commit().await.unwrap();
    let tx = db.as_engine(Actor::Person(uuid::Uuid::nil())).await.unwrap();
    let claims = r#"{"role":"nexus_engine","sub":"00000000-0000-0000-0000-000000000000"}"#;
    assert_eq!(text(&tx, who).await, format!("nexus_engine 30s {claims}"));
    tx.rollback().await.unwrap();
    let tx = db.as_engine(Actor::Program("test")).await.unwrap();
    assert_eq!(
        text(&tx, who).await,
        r#"nexus_engine 30s {"actor":"test","role":"nexus_engine"}"#
    );
    let tx = db.as_service(Actor::Program("test")).await.unwrap();
    assert_eq!(
        text(&tx, "select current_user || ' ' || auth.role()").await,
        "service_role service_role"
    );
    tx.commit().await.unwrap();
    let tx = db.as_auth().await.unwrap();
    assert_eq!(text(&tx, "select current_user::text").await, "supabase_auth_admin");
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing_behind() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    admin
        .batch_execute("create table notes (id int); grant all on notes to nexus_engine")
        .await
        .unwrap();
    let db = db(&world);
    for round in 0..50 {
        let tx = db.as_engine(Actor::Program("test")).await.unwrap();
        tx.execute("insert into notes values (1)", &[]).await.unwrap();
        if round % 2 == 0 {
            // A request that goes away while its statement runs: the future is dropped in the middle.
            let sleep = tx.execute("select pg_sleep(60)", &[]);
            let gone = tokio::time::timeout(Duration::from_millis(1), sleep).await;
            assert!(gone.is_err());
            let own = "select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()";
            admin.execute(own, &[]).await.unwrap();
        }
        drop(tx);
        let tx = db.as_engine(Actor::Program("test")).await.unwrap();
        assert_eq!(
            text(&tx, "select count(*)::text from notes").await,
            "0",
            "round {round}"
        );
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_after_an_error_is_an_error() {
    let world = World::shared().await;
    let db = db(&world);
    let tx = db.as_engine(Actor::Program("test")).await.unwrap();
    assert!(tx.execute("select 1 / 0", &[]).await.is_err());
    assert!(matches!(tx.commit().await, Err(CommitError::Failed)));
}

#[tokio::test]
async fn what_the_database_runs_out_of_is_nobodys_fault() {
    let world = World::shared().await;
    let db = db(&world);
    for code in ["53100", "53200", "53300"] {
        let tx = db.as_engine(Actor::Program("test")).await.unwrap();
        let raise = format!("do $$ begin raise exception 'used up' using errcode = '{code}'; end $$");
        let problem = Problem::from(tx.connection().batch_execute(&raise).await.unwrap_err());
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (503, "unavailable"),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_violated_constraint_becomes_the_refusal_that_it_means() {
    let world = World::own_database().await;
    let sql = "create table shares (left_over int, constraint shares_not_oversold check (left_over >= 0));
               grant all on shares to nexus_engine";
    world.admin().await.batch_execute(sql).await.unwrap();
    let db = db(&world);
    let insert = async |left: i32| {
        let tx = db.as_engine(Actor::Program("test")).await.unwrap();
        tx.execute("insert into shares values ($1)", &[&left])
            .await
            .on_constraint("other", || Problem::NotFound)
            .on_constraint("shares_not_oversold", || Problem::BodyTooLarge)
    };
    assert!(matches!(insert(1).await, Ok(1)));
    assert!(matches!(insert(-1).await, Err(Problem::BodyTooLarge)));
}

#[tokio::test]
async fn a_database_url_may_ask_for_more_than_the_server_has() {
    let world = World::shared().await;
    let url = url_of(&world.admin_config());
    assert!(
        Postgres::Url(Box::new(DatabaseUrl::parse(&url).unwrap()))
            .admin()
            .connect()
            .await
            .is_ok()
    );
    let encrypted = DatabaseUrl::parse(&format!("{url}&sslmode=require")).unwrap();
    assert!(
        Login::from(&encrypted).connect().await.is_err(),
        "require means that it is encrypted or fails"
    );
    let missing = DatabaseUrl::parse(&format!("{url}&sslmode=verify-full&sslrootcert=/nonexistent.pem")).unwrap();
    let error = Login::from(&missing)
        .connect()
        .await
        .err()
        .map(|error| nexus_mint::problem::chain(&error));
    assert!(
        error.as_ref().is_some_and(|error| error.contains("/nonexistent.pem")),
        "{error:?}"
    );
}
