//! Reading rows in the order of their numbers, a page at a time, as the digests that links are over.
//!
//! Each page is one statement with a limit, so that neither a snapshot nor much memory is held however long the whole
//! takes. Rows that are sealed never change, so pages may be read one after the other.

use std::collections::VecDeque;

use tokio_postgres::{Error, Row};

use super::chain::{Content, Hash, Source};
use crate::db::{Tx, sql};

/// Rows in one page: enough that round trips do not count, few enough that rows of any size fit in memory.
pub(super) const PAGE_ROWS: i64 = 1_000;

/// Postings in one page. An entry has fewer lines than this (they are numbered by a smallint), so a page holds at least
/// one entry whole.
const PAGE_POSTINGS: i64 = 70_000;

/// The rows of a source in a range of numbers.
pub(super) struct Page {
    /// The rows, by number.
    pub(super) rows: Vec<ChainedRow>,
    /// Everything up to here is in the page.
    pub(super) up_to: i64,
    /// Numbers of entries that have postings and do not exist.
    pub(super) without_entry: Vec<i64>,
}

/// A row, as the chain knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainedRow {
    /// Its number.
    pub(super) id: i64,
    /// What it says.
    pub(super) digest: Hash,
}

/// A page of the rows of `source` whose numbers are above `after` and at most `up_to`.
pub(super) async fn page(tx: &Tx, source: Source, after: i64, up_to: i64, rows_max: i64) -> Result<Page, Error> {
    match source {
        Source::Audit => audit_page(tx, after, up_to, rows_max).await,
        Source::Entry => entry_page(tx, after, up_to, rows_max).await,
    }
}

/// The end of a page that was read with a limit: all of what was asked for, or the last row that came.
pub(super) fn end_of(last: Option<i64>, count: usize, rows_max: i64, up_to: i64) -> i64 {
    match last {
        Some(last) if i64::try_from(count).is_ok_and(|count| count >= rows_max) => last,
        Some(_) | None => up_to,
    }
}

async fn audit_page(tx: &Tx, after: i64, up_to: i64, rows_max: i64) -> Result<Page, Error> {
    let text = sql!(
        "select a.id, extract(epoch from a.recorded_at)::text, a.transaction_id::text, a.actor_id::text, a.actor_role,
                a.table_name, a.operation, a.row_key, a.changed_columns, a.digest
           from public.audit_log as a where a.id > $1 and a.id <= $2 order by a.id limit $3"
    );
    let found = tx.query(text, &[&after, &up_to, &rows_max]).await?;
    let rows = found.iter().map(audit_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page {
        up_to: end_of(rows.last().map(|row| row.id), rows.len(), rows_max, up_to),
        rows,
        without_entry: Vec::new(),
    })
}

fn audit_row(row: &Row) -> Result<ChainedRow, Error> {
    let mut content = Content::of(Source::Audit);
    for field in 1..8 {
        content.text(row.try_get(field)?);
    }
    match row.try_get::<_, Vec<Option<String>>>(8) {
        Ok(columns) => content.list(&columns),
        // Not a plain list: nothing that was ever sealed.
        Err(_) => content.field(None),
    }
    content.field(row.try_get(9)?);
    Ok(ChainedRow {
        id: row.try_get(0)?,
        digest: content.digest(),
    })
}

async fn entry_page(tx: &Tx, after: i64, up_to: i64, rows_max: i64) -> Result<Page, Error> {
    let text = sql!(
        "select e.id, e.key, e.kind, to_jsonb(e.business_date) #>> '{}', extract(epoch from e.recorded_at)::text, e.transaction_id::text,
                e.actor_id::text, e.cause::text, e.digest
           from ledger.entries as e where e.id > $1 and e.id <= $2 order by e.id limit $3"
    );
    let entries = tx.query(text, &[&after, &up_to, &rows_max]).await?;
    let last = entries.last().map(|row| row.try_get(0)).transpose()?;
    let entries_up_to = end_of(last, entries.len(), rows_max, up_to);
    let text = sql!(
        "select p.entry_id, p.line::bigint, p.account_id, p.amount, p.account_seq, p.balance_after
           from ledger.postings as p where p.entry_id > $1 and p.entry_id <= $2 order by p.entry_id, p.line limit $3"
    );
    let postings = tx.query(text, &[&after, &entries_up_to, &PAGE_POSTINGS]).await?;
    let last = postings.last().map(|row| row.try_get::<_, i64>(0)).transpose()?;
    let page_end = match last {
        // The last entry's postings may go on behind the page. One that fills a page alone has more lines than there can
        // be: it is taken as it is, so that the reading goes on, and fits no digest.
        Some(last) if i64::try_from(postings.len()).is_ok_and(|count| count >= PAGE_POSTINGS) => {
            last.saturating_sub(1).max(after.saturating_add(1))
        }
        Some(_) | None => entries_up_to,
    };
    let postings = postings.iter().map(posting).collect::<Result<VecDeque<_>, _>>()?;
    with_postings(&entries, postings, page_end)
}

/// A posting's entry, and its line, account, amount, place among the account's postings, and balance after it.
type Posting = (i64, [i64; 5]);

fn posting(row: &Row) -> Result<Posting, Error> {
    let numbers = [
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
        row.try_get(4)?,
        row.try_get(5)?,
    ];
    Ok((row.try_get(0)?, numbers))
}

fn with_postings(entries: &[Row], mut postings: VecDeque<Posting>, up_to: i64) -> Result<Page, Error> {
    let mut page = Page {
        rows: Vec::new(),
        up_to,
        without_entry: Vec::new(),
    };
    for entry in entries {
        let id: i64 = entry.try_get(0)?;
        if id > up_to {
            break;
        }
        page.without_entry
            .extend(take_while(&mut postings, |entry_id| entry_id < id).map(|(entry_id, _)| entry_id));
        let mut content = Content::of(Source::Entry);
        for field in 1..8 {
            content.text(entry.try_get(field)?);
        }
        content.field(entry.try_get(8)?);
        take_while(&mut postings, |entry_id| entry_id == id).for_each(|(_, numbers)| content.numbers(numbers));
        page.rows.push(ChainedRow {
            id,
            digest: content.digest(),
        });
    }
    page.without_entry
        .extend(take_while(&mut postings, |entry_id| entry_id <= up_to).map(|(entry_id, _)| entry_id));
    page.without_entry.dedup();
    Ok(page)
}

/// Takes postings from the front as long as their entry fits.
fn take_while(postings: &mut VecDeque<Posting>, fits: impl Fn(i64) -> bool) -> impl Iterator<Item = Posting> {
    std::iter::from_fn(move || match postings.front() {
        Some((entry_id, _)) if fits(*entry_id) => postings.pop_front(),
        Some(_) | None => None,
    })
}
