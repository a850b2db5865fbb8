//! A database of a test's own with audit rows and ledger entries, and gaps among their numbers.

use std::time::Duration;

use nexus_mint::audit::{Head, Progress, SealKey, Sealer, Summary, Trusted, verify};
use nexus_mint::config::Secret;
use nexus_mint::db::{Db, Login};
use tokio_postgres::Client;

use crate::program::PATIENCE;
use crate::world::World;

/// Base64 of 32 bytes.
pub(super) const OUR_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
pub(super) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// The rows of one kind, as a chain names them.
pub(super) const AUDIT: &str = "audit";
pub(super) const ENTRY: &str = "entry";

pub(super) struct Chained {
    pub(super) world: World,
    pub(super) admin: Client,
    pub(super) db: Db,
    /// Two accounts in USD and two in EUR: who posts in one currency does not wait for who posts in the other.
    pub(super) accounts: Vec<i64>,
}

impl Chained {
    pub(super) async fn empty() -> Chained {
        let world = World::own_database().await;
        let admin = world.admin().await;
        let db = Db::new(&Login::local(&world.runtime_config())).unwrap();
        let open = "select unnest(ledger.open_accounts(array['outside_bank', 'platform_fees', 'outside_bank', 'platform_fees'],
                      array['USD', 'USD', 'EUR', 'EUR'], array_fill(null::uuid, array[4]), array_fill(null::uuid, array[4])))";
        let accounts = admin.query(open, &[]).await.unwrap();
        Chained {
            accounts: accounts.iter().map(|row| row.get(0)).collect(),
            world,
            admin,
            db,
        }
    }

    /// Rows of both kinds under several seals, with gaps among their numbers before, in and between the seals.
    pub(super) async fn sealed() -> Chained {
        let chained = Chained::empty().await;
        for round in 0..12 {
            chained.gap().await;
            for _ in 0..2 {
                chained.audit_row(&chained.admin).await;
                chained.entry(&chained.admin, 0).await;
            }
            if round % 4 == 3 {
                chained.seal_all(&chained.sealer(OUR_KEY)).await;
            }
        }
        chained
    }

    pub(super) fn sealer(&self, key: &str) -> Sealer {
        let mut sealer = Sealer::new(self::key(key), Duration::ZERO);
        sealer.rows_max = 5;
        sealer
    }

    /// Writes an audited row and returns the number of its audit row.
    pub(super) async fn audit_row(&self, client: &Client) -> i64 {
        client
            .execute("insert into public.parties (legal_name) values ('Ada')", &[])
            .await
            .unwrap();
        let last = "select currval('public.audit_log_id_seq')";
        client.query_one(last, &[]).await.unwrap().get(0)
    }

    /// Posts an entry in the currency whose accounts begin at `first`, and returns its number.
    pub(super) async fn entry(&self, client: &Client, first: usize) -> i64 {
        let post = "select ledger.post(gen_random_uuid()::text, 'test.moved', '2026-01-01', null, '{\"a\": 1}', array[$1, $2]::bigint[], array[-100, 100])";
        client
            .query_one(post, &[&self.accounts[first], &self.accounts[first + 1]])
            .await
            .unwrap()
            .get(0)
    }

    /// A transaction that takes a number of each kind and comes to nothing.
    async fn gap(&self) {
        self.admin.batch_execute("begin").await.unwrap();
        self.audit_row(&self.admin).await;
        self.entry(&self.admin, 0).await;
        self.admin.batch_execute("rollback").await.unwrap();
    }

    /// Seals until nothing is left. Other tests' transactions in the same cluster are waited for.
    pub(super) async fn seal_all(&self, sealer: &Sealer) {
        let mut sealer = sealer.clone();
        sealer.patience = PATIENCE;
        loop {
            match sealer.step(&self.db).await.unwrap() {
                Progress::Sealed(_) => {}
                Progress::Nothing => return,
                Progress::Busy => tokio::time::sleep(Duration::from_millis(5)).await,
                Progress::Waiting => panic!("a transaction ran for longer than {PATIENCE:?}"),
            }
        }
    }

    pub(super) async fn head(&self) -> Head {
        let head = nexus_mint::audit::seal::newest_head(&self.db).await.unwrap().unwrap();
        Head::parse(&head.to_json().to_string()).unwrap()
    }

    /// What verifying says with our key and these heads, and its summary.
    pub(super) async fn verified(&self, heads: Vec<Head>) -> (Vec<String>, Summary) {
        let keys = vec![key(OUR_KEY).public()];
        let mut findings = Vec::new();
        let summary = verify(&self.db, &Trusted { keys, heads }, &mut |finding| {
            findings.push(finding.to_string());
        })
        .await
        .unwrap();
        (findings, summary)
    }

    /// The numbers that are sealed, and those below the last of them that are not.
    pub(super) async fn numbers(&self, source: &str) -> (Vec<i64>, Vec<i64>) {
        let text = "select source_id from nexus.chain_links where source = $1 order by place";
        let rows = self.admin.query(text, &[&source]).await.unwrap();
        let sealed: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let gaps = (1..*sealed.last().unwrap()).filter(|id| !sealed.contains(id)).collect();
        (sealed, gaps)
    }

    /// The seal that covers a row.
    pub(super) async fn seal_of(&self, source: &str, id: i64) -> i64 {
        let text = "select min(s.number) from nexus.seals s, nexus.chain_links l
                    where l.source = $1 and l.source_id = $2 and s.links_up_to >= l.place";
        self.admin.query_one(text, &[&source, &id]).await.unwrap().get(0)
    }

    /// Does what the append-only triggers and foreign keys would refuse.
    pub(super) async fn tamper(&self, sql: &str) {
        let text = format!("set session_replication_role = replica; {sql}; set session_replication_role = origin");
        self.admin
            .batch_execute(&text)
            .await
            .unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }
}

pub(super) fn key(base64: &str) -> SealKey {
    SealKey::parse(&Secret::new(base64)).unwrap()
}
