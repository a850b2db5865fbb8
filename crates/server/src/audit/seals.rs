//! Seals as they stand in the database, believed in nothing.

use tokio_postgres::{Error, Row};

use super::{
    chain::{Batch, Hash},
    head::Head,
};
use crate::db::{Tx, sql};

/// A seal and the link that it ends with.
#[derive(Debug, Clone)]
pub(super) struct StoredSeal {
    /// What it says, with the link that stands at its end: zeros where there is none.
    pub(super) batch: Batch,
    /// The head that it says.
    pub(super) head: Hash,
    /// Its signature.
    pub(super) signature: [u8; 64],
}

impl StoredSeal {
    /// The seal as it leaves the database.
    pub(super) fn to_head(&self) -> Head {
        Head {
            batch: self.batch.clone(),
            signature: self.signature,
        }
    }
}

/// The newest seal.
pub(super) async fn newest(tx: &Tx) -> Result<Option<StoredSeal>, Error> {
    let text = sql!("select coalesce(max(number), 0) from nexus.seals");
    let number: i64 = tx.query_one(text, &[]).await?.try_get(0)?;
    Ok(page(tx, number.saturating_sub(1), number, 1).await?.pop())
}

/// Seals above one number and up to another, by number.
pub(super) async fn page(tx: &Tx, after: i64, up_to: i64, seals_max: i64) -> Result<Vec<StoredSeal>, Error> {
    let text = sql!(
        "select s.number, trunc(extract(epoch from s.sealed_at) * 1000000)::text, s.audit_up_to, s.entries_up_to,
                s.links_up_to, l.link, s.public_key, s.head, s.signature
           from nexus.seals as s left join nexus.chain_links as l on l.place = s.links_up_to
          where s.number > $1 and s.number <= $2 order by s.number limit $3"
    );
    let rows = tx.query(text, &[&after, &up_to, &seals_max]).await?;
    rows.iter().map(seal).collect()
}

fn seal(row: &Row) -> Result<StoredSeal, Error> {
    Ok(StoredSeal {
        batch: Batch {
            number: row.try_get(0)?,
            // An instant without end is none that was ever sealed, and neither is this.
            sealed_at_us: row.try_get::<_, &str>(1)?.parse().unwrap_or(i64::MIN),
            audit_up_to: row.try_get(2)?,
            entries_up_to: row.try_get(3)?,
            links_up_to: row.try_get(4)?,
            last_link: bytes(row, 5)?,
            public_key: bytes(row, 6)?,
        },
        head: bytes(row, 7)?,
        signature: bytes(row, 8)?,
    })
}

/// Bytes of a fixed length; zeros where there are others or none, which nothing true is equal to.
pub(super) fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], Error> {
    let found: Option<&[u8]> = row.try_get(column)?;
    Ok(found.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N]))
}
