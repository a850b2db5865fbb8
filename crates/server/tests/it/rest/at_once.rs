//! Statements that are sent at once on a session, which storage looks its objects up with.

use std::time::Duration;

use nexus_mint::db::Login;
use nexus_mint::rest::session::{Keep, Limits, Sessions};
use nexus_mint::rest::wire::{Row, WireError};

use crate::world::World;

const SET: &str = "select pg_catalog.set_config('looked.at', $1::text, true)";
const ROWS: &str = "select * from public.looked_at where a = current_setting('looked.at', true)";
const LEFT: &str = "select coalesce(current_setting('looked.at', true), '')";

fn texts(rows: &[Row]) -> Vec<Vec<String>> {
    let text = |column: Option<&[u8]>| String::from_utf8(column.unwrap_or(b"null").to_vec()).unwrap();
    rows.iter().map(|row| row.columns().map(text).collect()).collect()
}

#[tokio::test]
async fn a_look_is_one_transaction_and_goes_on_after_refusals_and_changes_of_the_schema() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    let made = "create table public.looked_at (a text); insert into public.looked_at values ('one'); grant select on public.looked_at to anon";
    admin.batch_execute(made).await.unwrap();
    let limits = Limits {
        connections_max: 1,
        wait: Duration::from_secs(5),
        keep: Keep::default(),
    };
    let login = Login::local(&world.runtime_config());
    let sessions = Sessions::new(login, limits, |_| "-c role=anon".to_owned(), |_| 1);
    let mut borrowed = sessions.borrow("anon").await.unwrap();
    let session = borrowed.session().unwrap();
    for _ in 0..2 {
        let rows = session.look(&[(SET, &["one"]), (ROWS, &[])]).await.unwrap();
        assert_eq!(texts(&rows), [["one"]]);
        let rows = session.look(&[(SET, &["two"]), (ROWS, &[])]).await.unwrap();
        assert!(rows.is_empty());
        let rows = session.look(&[(LEFT, &[])]).await.unwrap();
        assert_eq!(texts(&rows), [[""]], "what was set ends with it");
    }
    // A prepared statement whose rows look otherwise now.
    let changed = "alter table public.looked_at add column b text not null default 'more'";
    admin.batch_execute(changed).await.unwrap();
    let rows = session.look(&[(SET, &["one"]), (ROWS, &[])]).await.unwrap();
    assert_eq!(texts(&rows), [["one", "more"]]);

    let refused = session.look(&[(SET, &["one"]), ("select 1 / $1::int", &["0"])]).await;
    assert!(matches!(&refused, Err(WireError::Refused(fault)) if fault.code == "22012"));
    let refused = session
        .look(&[("select from public.none_such", &[]), (LEFT, &[])])
        .await;
    assert!(matches!(&refused, Err(WireError::Refused(fault)) if fault.code == "42P01"));
    assert!(session.wire.is_settled());
    let rows = session.look(&[(SET, &["one"]), (ROWS, &[])]).await.unwrap();
    assert_eq!(texts(&rows), [["one", "more"]]);

    // What is revoked is gone at once.
    let revoked = "revoke select on public.looked_at from anon";
    admin.batch_execute(revoked).await.unwrap();
    let refused = session.look(&[(SET, &["one"]), (ROWS, &[])]).await;
    assert!(matches!(&refused, Err(WireError::Refused(fault)) if fault.code == "42501"));
}

#[tokio::test]
async fn a_connection_ends_when_it_is_too_old_or_was_not_used_for_long() {
    let world = World::own_database().await;
    let backends = async |lifetime: u64, idle: u64| {
        let limits = Limits {
            connections_max: 1,
            wait: Duration::from_secs(5),
            keep: Keep {
                lifetime: Duration::from_secs(lifetime),
                idle: Duration::from_secs(idle),
            },
        };
        let login = Login::local(&world.runtime_config());
        let sessions = Sessions::new(login, limits, |_| "-c role=anon".to_owned(), |_| 1);
        let mut found = Vec::new();
        for _ in 0..2 {
            let mut borrowed = sessions.borrow("anon").await.unwrap();
            let session = borrowed.session().unwrap();
            let rows = session.look(&[("select pg_backend_pid()::text", &[])]).await.unwrap();
            found.push(texts(&rows));
            drop(borrowed);
            sessions.close_unused();
        }
        found[0] == found[1]
    };
    assert!(backends(60, 60).await, "it is used again");
    assert!(!backends(0, 60).await, "it was too old");
    assert!(!backends(60, 0).await, "nobody used it");
}
