//! The sealer among writers: nothing is passed by, nothing is sealed twice, and nobody waits for it.

use std::time::Duration;

use nexus_mint::audit::seal::{OtherKey, SealError};
use nexus_mint::audit::{Progress, Sealer};
use nexus_mint::db::{Db, Login};
use tokio::task::JoinSet;

use super::chained::{AUDIT, Chained, ENTRY, OTHER_KEY, OUR_KEY, key};
use crate::program::PATIENCE;
use crate::world::{Server, connect};

async fn clean(chained: &Chained) {
    let (findings, summary) = chained.verified(Vec::new()).await;
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(summary.unsealed, 0);
    let text = "select (select count(*) from public.audit_log) + (select count(*) from ledger.entries), count(*),
                  max(place), (select count(*) from nexus.seals), (select max(number) from nexus.seals) from nexus.chain_links";
    let row = chained.admin.query_one(text, &[]).await.unwrap();
    let [rows, links, last_place, seals, last_seal]: [i64; 5] = std::array::from_fn(|at| row.get(at));
    assert_eq!((rows, links), (links, last_place), "every row once, without a gap");
    assert_eq!(seals, last_seal);
}

/// A transaction takes a number early and commits late; another takes a later number and commits at once.
#[tokio::test]
async fn a_number_taken_early_and_committed_late_is_not_passed_by() {
    for source in [AUDIT, ENTRY] {
        let chained = Chained::empty().await;
        let sealer = chained.sealer(OUR_KEY);
        chained.seal_all(&sealer).await;
        let early = connect(&chained.world.admin_config()).await;
        early.batch_execute("begin").await.unwrap();
        let write = async |client, account| match source {
            AUDIT => chained.audit_row(client).await,
            _ => chained.entry(client, account).await,
        };
        let first = write(&early, 0).await;
        let second = write(&chained.admin, 2).await;
        assert!(first < second, "the early one has the smaller number");

        assert_eq!(
            sealer.step(&chained.db).await.unwrap(),
            Progress::Waiting,
            "the later row is visible, and what is before it is not decided"
        );
        // Nor does a sealer that has more patience pass it by: it seals both, after the commit.
        let patient = Sealer {
            patience: PATIENCE,
            ..sealer.clone()
        };
        let db = chained.db.clone();
        let sealing = tokio::spawn(async move { patient.step(&db).await });
        until_it_waits(&chained, &sealing).await;
        early.batch_execute("commit").await.unwrap();
        let progress = sealing.await.unwrap().unwrap();
        assert!(matches!(progress, Progress::Sealed(_)), "{progress:?}");
        let (sealed, _) = chained.numbers(source).await;
        assert_eq!(sealed[sealed.len() - 2..], [first, second]);
        clean(&chained).await;
    }
}

/// Until the sealer holds the lock, which it does as long as it waits for others.
async fn until_it_waits<T>(chained: &Chained, sealing: &tokio::task::JoinHandle<T>) {
    let text = "select count(*) from pg_locks where locktype = 'advisory'
                and database = (select oid from pg_database where datname = current_database())";
    while chained.admin.query_one(text, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!sealing.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn limits_are_refused_where_they_would_not_hold() {
    let chained = Chained::empty().await;
    for begin in [
        "begin; select pg_current_xact_id()",
        "begin isolation level repeatable read",
    ] {
        chained.admin.batch_execute(begin).await.unwrap();
        let refused = chained
            .admin
            .query("select nexus.seal_limits()", &[])
            .await
            .unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("25000"), "{begin}");
        chained.admin.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn thirty_two_writers_and_two_sealers() {
    for server in Server::all() {
        write_and_seal_at_once(&Chained::empty_on(server).await).await;
    }
}

async fn write_and_seal_at_once(chained: &Chained) {
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        let config = chained.world.admin_config();
        let accounts = chained.accounts.clone();
        writers.spawn(async move {
            let client = connect(&config).await;
            for turn in 0..12 {
                let first = (writer % 2) * 2;
                client.batch_execute("begin").await.unwrap();
                let insert = "insert into public.parties (legal_name) select 'Ada' from generate_series(1, $1::int)";
                client.execute(insert, &[&(turn % 3)]).await.unwrap();
                let post = "select ledger.post(gen_random_uuid()::text, 'test.moved', '2026-01-01', null, '{}', array[$1, $2]::bigint[], array[-1, 1])";
                client.query_one(post, &[&accounts[first], &accounts[first + 1]]).await.unwrap();
                let end = if turn % 5 == 4 { "rollback" } else { "commit" };
                client.batch_execute(end).await.unwrap();
            }
        });
    }
    let mut sealers = JoinSet::new();
    for _ in 0..2 {
        let sealer = Sealer {
            rows_max: 40,
            patience: PATIENCE,
            ..chained.sealer(OUR_KEY)
        };
        let db = chained.db.clone();
        sealers.spawn(async move {
            loop {
                sealer.step(&db).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    sealers.shutdown().await;
    chained.seal_all(&chained.sealer(OUR_KEY)).await;
    clean(chained).await;
    let (audit, _) = chained.numbers(AUDIT).await;
    let (entries, _) = chained.numbers(ENTRY).await;
    assert_eq!(entries.len(), 32 * 10);
    assert!(audit.len() >= 32 * 10, "{}", audit.len());
}

#[tokio::test]
async fn a_sealer_that_is_stopped_anywhere_is_continued() {
    let chained = Chained::empty().await;
    for _ in 0..60 {
        chained.audit_row(&chained.admin).await;
        chained.entry(&chained.admin, 0).await;
    }
    let sealer = Sealer {
        patience: PATIENCE,
        ..chained.sealer(OUR_KEY)
    };
    // Dropped after ever longer: before its first statement, between links and seal, after its commit.
    for ms in 0..25 {
        let _ = tokio::time::timeout(Duration::from_millis(ms), sealer.step(&chained.db)).await;
    }
    // Its connection is taken away while it waits.
    let writer = connect(&chained.world.admin_config()).await;
    writer.batch_execute("begin").await.unwrap();
    chained.audit_row(&writer).await;
    chained.audit_row(&chained.admin).await;
    let (patient, db) = (sealer.clone(), chained.db.clone());
    let sealing = tokio::spawn(async move { patient.step(&db).await });
    until_it_waits(&chained, &sealing).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and application_name = 'nexus-mint nexus_engine'";
    chained.admin.query(kill, &[]).await.unwrap();
    assert!(sealing.await.unwrap().is_err());
    writer.batch_execute("commit").await.unwrap();
    // Its other connections died too: each that the pool has not noticed yet fails a step, as it fails a turn of the job.
    let mut steps = 0;
    while sealer.step(&chained.db).await.is_err() {
        steps += 1;
        assert!(steps < 20, "there are fewer connections than that");
    }
    chained.seal_all(&sealer).await;
    clean(&chained).await;
}

/// Two servers on one database.
#[tokio::test]
async fn two_keys_do_not_mix_unless_the_operator_says_so() {
    let chained = Chained::sealed().await;
    chained.audit_row(&chained.admin).await;
    let mut other = chained.sealer(OTHER_KEY);
    let refused = other.step(&chained.db).await.unwrap_err();
    assert!(matches!(refused, SealError::OtherKey { .. }), "{refused}");
    other.other_key = OtherKey::Replace;
    chained.seal_all(&other).await;
    let newest = chained.head().await.batch.number;
    let (findings, _) = chained.verified(Vec::new()).await;
    let public = nexus_mint::audit::chain::hex(&key(OTHER_KEY).public());
    assert_eq!(
        findings,
        [format!(
            "unknown key: seal {newest} signed by {public}, which is not known here"
        )]
    );
    let (findings, summary) = chained.verified(vec![chained.head().await]).await;
    assert_eq!(findings, Vec::<String>::new(), "an exported head brings its key");
    assert_eq!(summary.anchored_to, Some(newest));
}

/// A database that was restored into another cluster: its rows carry transaction numbers of another life, some far ahead
/// of this cluster's. What is decided is asked of this cluster's own numbers and of the sequences, and of no row.
#[tokio::test]
async fn transaction_numbers_of_another_cluster_do_not_matter() {
    let chained = Chained::sealed().await;
    let before = chained.head().await.batch.number;
    for transaction in ["3", "9000000000000000000"] {
        chained
            .tamper(&format!(
                "insert into public.audit_log (transaction_id, actor_role, table_name, operation, row_key, changed_columns, digest)
                 values ('{transaction}', 'x', 'public.parties', 'INSERT', 'x', '{{}}', sha256(sha256('') || '\\x1f'::bytea));
                 insert into nexus.audit_details select max(id), sha256(''), null, null from public.audit_log"
            ))
            .await;
    }
    chained.entry(&chained.admin, 0).await;
    let elsewhere = Db::new(&Login::local(&chained.world.runtime_config())).unwrap();
    let sealer = Sealer {
        patience: PATIENCE,
        ..chained.sealer(OUR_KEY)
    };
    assert!(matches!(sealer.step(&elsewhere).await.unwrap(), Progress::Sealed(_)));
    assert_eq!(chained.head().await.batch.number, before + 1);
    let (findings, summary) = chained.verified(Vec::new()).await;
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(summary.unsealed, 0);
}
