//! Rows against their links, and details against their rows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Report, Scope, VerifyError, begin};
use crate::{
    audit::{
        chain::{Hash, Source},
        rows::{self, ChainedRow, PAGE_ROWS, end_of},
        seals,
    },
    db::{Db, Tx, sql},
};

/// How often to ask whether what stands in a wrong place belongs to another row. Each time reads the whole table, and
/// where so much was changed, it no longer matters from where.
const SEARCHES_MAX: u32 = 100;

/// A row that is not as it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    Altered(i64, Hash),
    Removed(i64),
    Inserted(i64, Hash),
}

/// Holds every sealed row of a source against its link.
pub(super) async fn compare(
    db: &Db,
    source: Source,
    scope: &Scope,
    report: &mut Report<'_>,
) -> Result<(), VerifyError> {
    let up_to = scope.up_to(source);
    let mut after = 0;
    let mut searches_left = SEARCHES_MAX;
    while after < up_to {
        let tx = begin(db).await?;
        let page = rows::page(&tx, source, after, up_to, PAGE_ROWS).await?;
        let links = links(&tx, source, after, page.up_to, scope.links_up_to).await?;
        // What both pages hold to their ends.
        let end = end_of(links.last().map(|link| link.id), links.len(), PAGE_ROWS, page.up_to);
        let differences = differences(&within(&page.rows, end), &within(&links, end));
        tell(&tx, source, &differences, &mut searches_left, report).await?;
        for entry_id in page.without_entry.iter().filter(|entry_id| **entry_id <= end) {
            report.found(&Finding::PostingsWithoutEntry(*entry_id));
        }
        if source == Source::Audit {
            details(&tx, (after, end), &differences, &mut searches_left, report).await?;
        }
        after = end;
    }
    Ok(())
}

fn within(rows: &[ChainedRow], end: i64) -> Vec<ChainedRow> {
    rows.iter().copied().filter(|row| row.id <= end).collect()
}

/// A page of what was sealed, by number.
async fn links(
    tx: &Tx,
    source: Source,
    after: i64,
    up_to: i64,
    links_up_to: i64,
) -> Result<Vec<ChainedRow>, tokio_postgres::Error> {
    let text = sql!(
        "select source_id, row_digest from nexus.chain_links
          where source = $1 and source_id > $2 and source_id <= $3 and place <= $4 order by source_id limit $5"
    );
    let rows = tx
        .query(text, &[&source.name(), &after, &up_to, &links_up_to, &PAGE_ROWS])
        .await?;
    let link = |row: &tokio_postgres::Row| {
        Ok(ChainedRow {
            id: row.try_get(0)?,
            digest: seals::bytes(row, 1)?,
        })
    };
    rows.iter().map(link).collect()
}

/// Walks along rows and links, both by number.
fn differences(rows: &[ChainedRow], links: &[ChainedRow]) -> Vec<Difference> {
    let (mut rows, mut links) = (rows.iter().peekable(), links.iter().peekable());
    let mut found = Vec::new();
    loop {
        match (rows.peek(), links.peek()) {
            (None, None) => return found,
            (Some(row), Some(link)) if row.id == link.id => {
                if row.digest != link.digest {
                    found.push(Difference::Altered(row.id, row.digest));
                }
                rows.next();
                links.next();
            }
            (Some(row), link) if link.is_none_or(|link| row.id < link.id) => {
                found.push(Difference::Inserted(row.id, row.digest));
                rows.next();
            }
            (_, Some(link)) => {
                found.push(Difference::Removed(link.id));
                links.next();
            }
            (Some(_), None) => return found,
        }
    }
}

async fn tell(
    tx: &Tx,
    source: Source,
    differences: &[Difference],
    searches_left: &mut u32,
    report: &mut Report<'_>,
) -> Result<(), VerifyError> {
    let digests = differences.iter().filter_map(|difference| match difference {
        Difference::Altered(_, digest) | Difference::Inserted(_, digest) => Some(digest.to_vec()),
        Difference::Removed(_) => None,
    });
    let digests: Vec<Vec<u8>> = digests.collect();
    let mut sealed_as = BTreeMap::new();
    if !digests.is_empty() && *searches_left > 0 {
        *searches_left = searches_left.saturating_sub(1);
        let text =
            sql!("select row_digest, source_id from nexus.chain_links where source = $1 and row_digest = any ($2)");
        for row in tx.query(text, &[&source.name(), &digests]).await? {
            sealed_as.insert(seals::bytes::<32>(&row, 0)?, row.try_get::<_, i64>(1)?);
        }
    }
    for difference in differences {
        report.found(&match *difference {
            Difference::Removed(id) => Finding::Removed(source, id),
            Difference::Altered(id, digest) | Difference::Inserted(id, digest)
                if sealed_as.get(&digest).is_some_and(|other| *other != id) =>
            {
                let sealed_as = sealed_as.get(&digest).copied().unwrap_or(id);
                Finding::Reordered { source, id, sealed_as }
            }
            Difference::Altered(id, _) => Finding::Altered(source, id),
            Difference::Inserted(id, _) => Finding::Inserted(source, id),
        });
    }
    Ok(())
}

/// The details of a range of audit rows. Those of rows that were found different already say nothing more.
async fn details(
    tx: &Tx,
    (after, up_to): (i64, i64),
    differences: &[Difference],
    searches_left: &mut u32,
    report: &mut Report<'_>,
) -> Result<(), VerifyError> {
    let different: BTreeSet<i64> = differences
        .iter()
        .map(|difference| match difference {
            Difference::Altered(id, _) | Difference::Removed(id) | Difference::Inserted(id, _) => *id,
        })
        .collect();
    let text = sql!(
        "select coalesce(a.id, d.audit_id), a.id is not null, a.digest, d.audit_id is not null, d.digest, e.id,
                exists (select from public.audit_log as r left join nexus.audit_details as s on s.audit_id = r.id
                         where r.table_name = 'nexus.audit_erasures' and r.operation = 'INSERT' and r.row_key = e.id::text
                           and (s.audit_id is null or (s.after ->> 'audit_id', s.after ->> 'reason') = (e.audit_id::text, e.reason)))
           from (select id, digest from public.audit_log where id > $1 and id <= $2) as a
           full join (select audit_id,
                             sha256(salt || convert_to(coalesce(before::text, '') || E'\\x1f' || coalesce(after::text, ''), 'UTF8')) as digest
                        from nexus.audit_details where audit_id > $1 and audit_id <= $2) as d on d.audit_id = a.id
           left join nexus.audit_erasures as e on e.audit_id = coalesce(a.id, d.audit_id)
          order by 1"
    );
    let mut wrong = Vec::new();
    for row in tx.query(text, &[&after, &up_to]).await? {
        let id: i64 = row.try_get(0)?;
        let (has_row, has_details): (bool, bool) = (row.try_get(1)?, row.try_get(3)?);
        let (bound, found): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get(2)?, row.try_get(4)?);
        let (case, is_recorded): (Option<i64>, bool) = (row.try_get(5)?, row.try_get(6)?);
        if different.contains(&id) {
            continue;
        }
        match (has_details, case.filter(|_| is_recorded)) {
            (true, None) if has_row && bound == found => {}
            (true, None) if has_row => wrong.push((id, found)),
            (true, _) => report.found(&Finding::InsertedDetails(id)),
            (false, Some(case_id)) => report.found(&Finding::Erased { audit_id: id, case_id }),
            (false, None) => report.found(&Finding::RemovedDetails(id)),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    tell_details(tx, wrong, searches_left, report).await
}

async fn tell_details(
    tx: &Tx,
    wrong: Vec<(i64, Option<Vec<u8>>)>,
    searches_left: &mut u32,
    report: &mut Report<'_>,
) -> Result<(), VerifyError> {
    let mut belong_to: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    if *searches_left > 0 {
        *searches_left = searches_left.saturating_sub(1);
        let digests: Vec<&Vec<u8>> = wrong.iter().filter_map(|(_, digest)| digest.as_ref()).collect();
        let text = sql!("select digest, id from public.audit_log where digest = any ($1)");
        for row in tx.query(text, &[&digests]).await? {
            belong_to.insert(row.try_get(0)?, row.try_get(1)?);
        }
    }
    for (audit_id, digest) in wrong {
        report.found(&match digest.and_then(|digest| belong_to.get(&digest).copied()) {
            Some(belong_to) => Finding::ReorderedDetails { audit_id, belong_to },
            None => Finding::AlteredDetails(audit_id),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(i64, u8)]) -> Vec<ChainedRow> {
        of.iter()
            .map(|(id, byte)| ChainedRow {
                id: *id,
                digest: [*byte; 32],
            })
            .collect()
    }

    #[test]
    fn rows_and_links_are_walked_along_together() {
        use Difference::{Altered, Inserted, Removed};
        let sealed = rows(&[(2, 2), (4, 4), (6, 6)]);
        for (found, expected) in [
            (rows(&[(2, 2), (4, 4), (6, 6)]), vec![]),
            (rows(&[(4, 4), (6, 6)]), vec![Removed(2)]),
            (rows(&[(2, 2), (4, 4)]), vec![Removed(6)]),
            (rows(&[]), vec![Removed(2), Removed(4), Removed(6)]),
            (
                rows(&[(1, 1), (2, 2), (4, 9), (6, 6), (7, 7)]),
                vec![Inserted(1, [1; 32]), Altered(4, [9; 32]), Inserted(7, [7; 32])],
            ),
            (rows(&[(2, 2), (5, 4), (6, 6)]), vec![Removed(4), Inserted(5, [4; 32])]),
        ] {
            assert_eq!(differences(&found, &sealed), expected, "{found:?}");
        }
        assert_eq!(differences(&rows(&[(1, 1)]), &[]), [Inserted(1, [1; 32])]);
    }
}
