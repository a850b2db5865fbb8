//! The ledger's kernel: what it posts, what it refuses, and what `ledger verify` finds when somebody goes round it.

use chrono::NaiveDate;
use mint_core::account::{Account, Asset, Purpose};
use mint_core::money::Amount;
use mint_core::posting::Postings;
use nexus_mint::db::{Actor, Db, Login};
use nexus_mint::ledger::verify::{Fault, Verdict, verify};
use nexus_mint::ledger::{LedgerError, NewEntry, Posted, post, post_batch};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::world::{World, connect};

/// A book with a bank outside, and a property with an escrow account and fees.
struct Book {
    world: World,
    db: Db,
    property_id: Uuid,
}

impl Book {
    async fn new(world: World) -> Book {
        let property_id = Uuid::now_v7();
        let sql = "insert into public.properties (id, title) values ($1, 'A house')";
        world.admin().await.execute(sql, &[&property_id]).await.unwrap();
        let db = Db::new(&Login::local(&world.runtime_config())).unwrap();
        Book { world, db, property_id }
    }

    fn cash(&self, purpose: Purpose) -> Account {
        Account::new(purpose, usd(), Some(self.property_id), None).unwrap()
    }

    async fn post(&self, entry: NewEntry) -> Result<Posted, LedgerError> {
        let tx = self.db.as_engine(Actor::Program("test")).await.unwrap();
        let posted = post(&tx, entry).await?;
        tx.commit().await.unwrap();
        Ok(posted)
    }

    async fn balance(&self, account: &Account) -> i64 {
        let sql = "select coalesce((select b.balance from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
                     where a.purpose = $1 and a.property_id is not distinct from $2 and a.asset = 'USD'), 0)";
        let admin = self.world.admin().await;
        admin
            .query_one(sql, &[&account.purpose().name(), &account.property_id()])
            .await
            .unwrap()
            .get(0)
    }

    async fn verify(&self) -> Verdict {
        verify(&connect(&self.world.runtime_config()).await).await.unwrap()
    }
}

fn usd() -> Asset {
    Asset::Currency("USD".to_owned())
}

fn bank() -> Account {
    Account::new(Purpose::OutsideBank, usd(), None, None).unwrap()
}

fn entry(key: &str, units: i64, from: Account, to: Account) -> NewEntry {
    NewEntry {
        key: key.to_owned(),
        kind: "test.moved",
        business_date: NaiveDate::from_ymd_opt(2026, 1, 31).unwrap(),
        actor_id: None,
        cause: json!({}),
        postings: Postings::moving(Amount::try_from(units).unwrap(), from, to).unwrap(),
    }
}

#[tokio::test]
async fn a_retry_is_the_same_entry_and_another_entry_needs_another_key() {
    let book = Book::new(World::own_database().await).await;
    let escrow = book.cash(Purpose::EscrowBank);
    let first = book.post(entry("k", 100, bank(), escrow.clone())).await.unwrap();
    assert!(first.is_new);
    let again = book.post(entry("k", 100, bank(), escrow.clone())).await.unwrap();
    assert_eq!(
        again,
        Posted { is_new: false, ..first },
        "a retry answers with the same entry"
    );
    assert_eq!(book.balance(&escrow).await, 100, "and moves nothing");
    let mut other_cause = entry("k", 100, bank(), escrow.clone());
    other_cause.cause = json!({ "investment": 1 });
    let mut other_day = entry("k", 100, bank(), escrow.clone());
    other_day.business_date = NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
    for other in [
        entry("k", 101, bank(), escrow.clone()),
        entry("k", 100, bank(), book.cash(Purpose::Fees)),
        other_cause,
        other_day,
    ] {
        let refused = book.post(other.clone()).await;
        assert!(
            matches!(refused, Err(LedgerError::KeyReused(_))),
            "{other:?}: {refused:?}"
        );
    }
    assert_eq!(book.verify().await.faults, []);
}

#[tokio::test]
async fn nothing_leaves_an_account_that_is_not_in_it_not_even_for_a_moment() {
    let book = Book::new(World::own_database().await).await;
    let (escrow, fees) = (book.cash(Purpose::EscrowBank), book.cash(Purpose::Fees));
    book.post(entry("in", 100, bank(), escrow.clone())).await.unwrap();
    let refused = book.post(entry("out", 101, escrow.clone(), bank())).await;
    assert!(
        matches!(&refused, Err(LedgerError::BelowZero(said)) if said.contains("escrow_bank")),
        "{refused:?}"
    );
    let tx = book.db.as_engine(Actor::Program("test")).await.unwrap();
    let batch = [
        entry("a", 150, escrow.clone(), fees.clone()),
        entry("b", 60, bank(), escrow.clone()),
    ];
    let refused = post_batch(&tx, &batch).await;
    assert!(
        matches!(refused, Err(LedgerError::BelowZero(_))),
        "150 leave before 60 arrive: {refused:?}"
    );
    drop(tx);
    let tx = book.db.as_engine(Actor::Program("test")).await.unwrap();
    let [a, b] = batch;
    let posted = post_batch(&tx, &[b, a]).await.unwrap();
    tx.commit().await.unwrap();
    assert!(posted.iter().all(|entry| entry.is_new));
    assert_eq!((book.balance(&escrow).await, book.balance(&fees).await), (10, 150));
    assert_eq!(book.verify().await.faults, []);
}

#[tokio::test]
async fn a_batch_is_posted_whole_or_not_at_all() {
    let book = Book::new(World::own_database().await).await;
    let escrow = book.cash(Purpose::EscrowBank);
    let mut batch: Vec<NewEntry> = (0..100)
        .map(|n| entry(&format!("k{n}"), 1, bank(), escrow.clone()))
        .collect();
    batch.push(entry("too much", 1_000, escrow.clone(), bank()));
    let tx = book.db.as_engine(Actor::Program("test")).await.unwrap();
    assert!(post_batch(&tx, &batch).await.is_err());
    drop(tx);
    assert_eq!(book.verify().await.entries, 0, "nothing of a refused batch stays");
    batch.pop();
    for round in [true, false] {
        let tx = book.db.as_engine(Actor::Program("test")).await.unwrap();
        let posted = post_batch(&tx, &batch).await.unwrap();
        tx.commit().await.unwrap();
        assert!(
            posted.iter().all(|entry| entry.is_new == round),
            "a retried batch posts nothing"
        );
    }
    assert_eq!(book.balance(&escrow).await, 100);
    let twice = [
        entry("x", 1, bank(), escrow.clone()),
        entry("x", 1, bank(), escrow.clone()),
    ];
    let tx = book.db.as_engine(Actor::Program("test")).await.unwrap();
    assert!(
        matches!(post_batch(&tx, &twice).await, Err(LedgerError::KeyReused(_))),
        "a key names one entry"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_of_the_same_accounts_neither_lock_up_nor_lose_anything() {
    const WRITERS: usize = 16;
    const ENTRIES: usize = 25;
    let book = std::sync::Arc::new(Book::new(World::own_database().await).await);
    let purposes = [
        Purpose::EscrowBank,
        Purpose::Fees,
        Purpose::OperatingCash,
        Purpose::Reserve,
    ];
    for purpose in purposes {
        book.post(entry(purpose.name(), 1_000_000, bank(), book.cash(purpose)))
            .await
            .unwrap();
    }
    let writers = (0..WRITERS).map(|writer| {
        let book = book.clone();
        tokio::spawn(async move {
            for n in 0..ENTRIES {
                // Every pair of accounts in both directions, and every key by two writers.
                let (from, to) = (purposes[(writer + n) % 4], purposes[(writer + n + 1 + n % 3) % 4]);
                let key = format!("{}-{n}", writer / 2);
                let (from, to) = if writer / 2 % 2 == 0 { (from, to) } else { (to, from) };
                match book.post(entry(&key, 1, book.cash(from), book.cash(to))).await {
                    Ok(_) | Err(LedgerError::KeyReused(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let verdict = book.verify().await;
    assert_eq!(verdict.faults, []);
    let expected = (purposes.len() + WRITERS / 2 * ENTRIES) as u64;
    assert_eq!(
        (verdict.entries, verdict.postings),
        (expected, 2 * expected),
        "each key once, whoever came first"
    );
}

#[tokio::test]
async fn only_the_engine_posts_and_nobody_writes_the_tables() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    let refused = async |client: &Client, role: &str, sql: &str| {
        client.batch_execute("begin").await.unwrap();
        client.batch_execute(&format!("set local role {role}")).await.unwrap();
        let error = client.batch_execute(sql).await.expect_err(&format!("{role}: {sql}"));
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(error.code().unwrap().code(), "42501", "{role}: {sql}: {error:?}");
    };
    let post = "select ledger.post('k', 'test.moved', '2026-01-01', null, '{}', array[1, 2], array[-1, 1])";
    let open = "select ledger.open_accounts(array['outside_bank'], array['USD'], array[null::uuid], array[null::uuid])";
    for role in ["anon", "authenticated", "nexus_staff", "service_role", "authenticator"] {
        refused(&admin, role, post).await;
        refused(&admin, role, open).await;
    }
    for role in ["anon", "authenticated", "nexus_staff", "service_role", "nexus_engine"] {
        for table in ["entries", "postings", "balances", "accounts", "assets", "purposes"] {
            refused(&admin, role, &format!("insert into ledger.{table} default values")).await;
            refused(&admin, role, &format!("delete from ledger.{table}")).await;
            refused(&admin, role, &format!("truncate ledger.{table} cascade")).await;
        }
        refused(&admin, role, "update ledger.balances set balance = 1").await;
        refused(&admin, role, "update ledger.postings set amount = 1").await;
    }
    for table in ["entries", "postings", "accounts", "assets"] {
        let error = admin
            .batch_execute(&format!("delete from ledger.{table}"))
            .await
            .unwrap_err();
        let said = error.as_db_error().unwrap().message().to_owned();
        assert!(
            said.contains("append-only"),
            "not even the database's superuser by an ordinary statement: {said}"
        );
    }
}

#[tokio::test]
async fn verify_names_whatever_somebody_changed_behind_the_kernel() {
    let book = Book::new(World::own_database().await).await;
    let (escrow, fees) = (book.cash(Purpose::EscrowBank), book.cash(Purpose::Fees));
    for n in 0..5 {
        book.post(entry(&format!("in{n}"), 100, bank(), escrow.clone()))
            .await
            .unwrap();
    }
    let last = book
        .post(entry("fee", 30, escrow.clone(), fees.clone()))
        .await
        .unwrap()
        .entry_id;
    assert_eq!(book.verify().await.faults, []);
    let admin = book.world.admin().await;
    let id: i64 = admin
        .query_one("select id from ledger.accounts where purpose = 'escrow_bank'", &[])
        .await
        .unwrap()
        .get(0);
    let cases: [(&str, Fault); 6] = [
        (
            "update ledger.balances set balance = balance + 1 where account_id = {id}",
            Fault::Balance {
                account_id: id,
                replayed: 470,
                stored: Some(471),
            },
        ),
        (
            "delete from ledger.balances where account_id = {id}",
            Fault::Balance {
                account_id: id,
                replayed: 470,
                stored: None,
            },
        ),
        (
            "update ledger.postings set balance_after = 7 where account_id = {id} and account_seq = 3",
            Fault::RunningBalance {
                account_id: id,
                account_seq: 3,
                replayed: 300,
                stored: 7,
            },
        ),
        (
            "delete from ledger.postings where account_id = {id} and account_seq = 2",
            Fault::Gap {
                account_id: id,
                expected: 2,
                found: 3,
            },
        ),
        (
            "update ledger.postings set amount = 31 where entry_id = {last} and amount = 30",
            Fault::Unbalanced {
                entry_id: last,
                asset: Some("USD".to_owned()),
                off: "1".to_owned(),
            },
        ),
        (
            "insert into ledger.entries (key, kind, business_date, cause, digest) overriding system value
             values ('forged', 'test.moved', '2026-01-01', '{{}}', sha256(''))",
            Fault::Unbalanced {
                entry_id: last + 1,
                asset: None,
                off: String::new(),
            },
        ),
    ];
    for (tampering, fault) in cases {
        let sql = tampering
            .replace("{id}", &id.to_string())
            .replace("{last}", &last.to_string())
            .replace("{{}}", "{}");
        let world = &book.world;
        // Behind the triggers, as only the operator's own superuser can.
        admin
            .batch_execute(&format!("begin; set local session_replication_role = replica; {sql}"))
            .await
            .unwrap();
        admin.batch_execute("commit").await.unwrap();
        let found = book.verify().await.faults;
        assert!(found.contains(&fault), "{sql}: {found:#?}");
        restore(world, id, last).await;
        assert_eq!(book.verify().await.faults, [], "after {sql}");
    }
}

/// Puts back what the cases above change.
async fn restore(world: &World, id: i64, last: i64) {
    let sql = format!(
        "begin; set local session_replication_role = replica;
         delete from ledger.entries where key = 'forged';
         select setval(pg_get_serial_sequence('ledger.entries', 'id'), {last});
         insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
         select e.id, 2, {id}, 100, 2, 200 from ledger.entries as e where e.key = 'in1' on conflict do nothing;
         update ledger.postings set balance_after = 300 where account_id = {id} and account_seq = 3;
         update ledger.postings set amount = 30 where entry_id = {last} and amount = 31;
         insert into ledger.balances (account_id, balance, postings, is_outside) values ({id}, 470, 6, false)
         on conflict (account_id) do update set balance = 470;
         commit"
    );
    world.admin().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn the_chart_in_the_code_is_the_chart_in_the_database() {
    let world = World::shared().await;
    let rows = world
        .admin()
        .await
        .query("select name, asset_kind, scope, is_outside from ledger.purposes", &[])
        .await
        .unwrap();
    let mut stored: Vec<(String, String, String, bool)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    let mut known: Vec<_> = Purpose::ALL
        .iter()
        .map(|purpose| {
            let (kind, scope) = (purpose.asset_kind().name(), purpose.scope().name());
            (
                purpose.name().to_owned(),
                kind.to_owned(),
                scope.to_owned(),
                purpose.is_outside(),
            )
        })
        .collect();
    stored.sort();
    known.sort();
    assert_eq!(stored, known);
}
