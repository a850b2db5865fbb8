//! `ledger`: how long `ledger verify` takes over a long journal, and how much memory of ours.
//!
//! The journal is written by SQL, past the kernel and its foreign keys: only reading it is measured.

use std::time::Instant;

use nexus_mint::{attach::Postgres, db::Db, ledger::verify, problem::AnyError};
use tokio_postgres::Client;

use crate::{
    cluster,
    measure::{memory_kib, number},
};

/// How many accounts take turns beside the bank.
const ACCOUNTS: i64 = 10_000;
/// Entries written by one statement.
const CHUNK: i64 = 250_000;

/// Measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let entries = i64::try_from(number(arguments, "--entries", 1_000_000)?)?;
    cluster::with_cluster(async |postgres: &Postgres, _: &Db| measure(postgres, entries).await)
}

async fn measure(postgres: &Postgres, entries: i64) -> Result<(), AnyError> {
    let admin = postgres.admin().connect().await?;
    let begun = Instant::now();
    write_journal(&admin, entries).await?;
    println!("{entries} entries written in {:.1} s", begun.elapsed().as_secs_f64());
    let client = postgres.runtime().connect().await?;
    let before = memory_kib("VmHWM")?;
    let begun = Instant::now();
    let verdict = verify::verify(&client).await?;
    let took = begun.elapsed().as_secs_f64();
    println!(
        "verify: {} entries, {} postings, {} accounts, {} faults in {took:.1} s ({:.0} entries a second); \
         peak memory of this program {} MiB, {} MiB before",
        verdict.entries,
        verdict.postings,
        verdict.accounts,
        verdict.faults_count,
        rate(verdict.entries, took),
        memory_kib("VmHWM")? / 1024,
        before / 1024,
    );
    if verdict.faults_count == 0 {
        Ok(())
    } else {
        Err("the journal is not as it was written".into())
    }
}

fn rate(count: u64, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
}

/// Entry n moves a cent from the bank to account n modulo their number.
async fn write_journal(admin: &Client, entries: i64) -> Result<(), AnyError> {
    admin
        .batch_execute(&format!(
            "set synchronous_commit = off; set session_replication_role = replica;
             insert into public.parties (kind) select 'person' from generate_series(1, {ACCOUNTS});
             select count(ledger.open_accounts(array['payable'], array['USD'], array[null::uuid], array[id])) from public.parties;
             select ledger.open_accounts(array['outside_bank'], array['USD'], array[null::uuid], array[null::uuid]);
             create temporary table account as
               select id, row_number() over (order by id) - 1 as turn from ledger.accounts where purpose = 'payable';
             create unique index on account (turn);
             analyze account"
        ))
        .await?;
    for first in (0..entries).step_by(usize::try_from(CHUNK)?) {
        let end = (first + CHUNK).min(entries);
        admin
            .batch_execute(&format!(
                "insert into ledger.entries (id, key, kind, business_date, cause, digest) overriding system value
                   select n + 1, 'bench:' || n, 'bench.moved', '2026-01-01', '{{}}', sha256('') from generate_series({first}, {end} - 1) as n;
                 insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
                   select n + 1, l.line, case l.line when 1 then bank.id else a.id end, l.amount,
                          case l.line when 1 then n + 1 else n / {ACCOUNTS} + 1 end,
                          case l.line when 1 then -(n + 1) else n / {ACCOUNTS} + 1 end
                     from generate_series({first}, {end} - 1) as n
                     join account as a on a.turn = n % {ACCOUNTS}
                     cross join (select id from ledger.accounts where purpose = 'outside_bank') as bank
                     cross join (values (1, -1), (2, 1)) as l (line, amount)"
            ))
            .await?;
    }
    admin
        .batch_execute(
            "update ledger.balances as b set balance = s.balance, postings = s.postings
               from (select account_id, sum(amount) as balance, count(*) as postings from ledger.postings group by 1) as s
              where s.account_id = b.account_id",
        )
        .await?;
    let vacuum = "vacuum analyze ledger.postings, ledger.entries, ledger.balances, ledger.accounts";
    Ok(admin.batch_execute(vacuum).await?)
}
