//! The chain against heads that were kept where nobody who can change the database can change them.

use super::{Finding, Report, VerifyError, begin};
use crate::{
    audit::{head::Head, seals},
    db::Db,
};

/// Holds each head against the seal of its number. Returns the largest number that agrees.
///
/// A head is over the last link, which is over all links and heads before it: where it agrees, so does everything up to
/// it, given that the chain itself is unbroken.
pub(super) async fn compare(
    db: &Db,
    heads: &[Head],
    newest: i64,
    report: &mut Report<'_>,
) -> Result<Option<i64>, VerifyError> {
    let mut agreed = None;
    for head in heads {
        let seal = head.batch.number;
        if seal > newest {
            report.found(&Finding::Cut { seal, newest });
            continue;
        }
        let tx = begin(db).await?;
        let there = seals::page(&tx, seal.saturating_sub(1), seal, 1).await?.pop();
        if there.is_some_and(|there| there.head == head.batch.head() && there.batch == head.batch) {
            agreed = agreed.max(Some(seal));
        } else {
            report.found(&Finding::Rewritten { seal });
        }
    }
    Ok(agreed)
}
