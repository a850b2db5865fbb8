//! PostgreSQL's logical replication messages (`pgoutput`, version 1), as bytes to values.
//!
//! Everything that is not a row's change is passed over. What cannot be read is an error, never a guess.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

/// The beginning of PostgreSQL's time: 2000-01-01 (s since 1970).
const EPOCH_S: i64 = 946_684_800;

/// A relation as the messages describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its oid.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Names of its columns, in the order of tuples.
    pub columns: Vec<String>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Null.
    Null,
    /// A large value that did not change, and was not sent.
    Unchanged,
    /// As text.
    Text(String),
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It is new.
    Insert,
    /// It changed.
    Update,
    /// It is gone.
    Delete,
}

impl Kind {
    /// Its name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Insert => "INSERT",
            Kind::Update => "UPDATE",
            Kind::Delete => "DELETE",
        }
    }
}

/// A row that changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Where.
    pub relation: Arc<Relation>,
    /// What happened.
    pub kind: Kind,
    /// The row now, in the order of the relation's columns.
    pub new: Option<Vec<Cell>>,
    /// The row before: whole, or the columns of its identity with nulls between.
    pub old: Option<Vec<Cell>>,
    /// Whether `old` is whole.
    pub is_old_whole: bool,
    /// The transaction.
    pub xid: u32,
    /// When it was committed.
    pub committed_at: DateTime<Utc>,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a replication message of another form")]
pub struct WalError;

/// Reads message after message of one stream.
#[derive(Debug, Default)]
pub struct Reader {
    relations: HashMap<u32, Arc<Relation>>,
    /// The transaction whose messages come now; none between two.
    open: Option<Transaction>,
    /// Where the commit of the last one whose messages are over stands in the log (bytes since its beginning).
    done: u64,
    /// Where that commit ends.
    end: u64,
}

#[derive(Debug, Clone, Copy)]
struct Transaction {
    xid: u32,
    committed_at: DateTime<Utc>,
    commit: u64,
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WalError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(WalError)?;
        self.0 = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, WalError> {
        let [byte] = self.take::<1>()?;
        Ok(byte)
    }

    fn u16(&mut self) -> Result<u16, WalError> {
        Ok(u16::from_be_bytes(self.take()?))
    }

    fn u32(&mut self) -> Result<u32, WalError> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, WalError> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    fn i64(&mut self) -> Result<i64, WalError> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], WalError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(WalError)?;
        self.0 = rest;
        Ok(head)
    }

    fn text(&mut self) -> Result<String, WalError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(WalError)?;
        let text = String::from_utf8(self.bytes(end)?.to_vec()).map_err(|_| WalError)?;
        self.byte()?;
        Ok(text)
    }

    fn tuple(&mut self) -> Result<Vec<Cell>, WalError> {
        let count = self.u16()?;
        let mut cells = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            cells.push(match self.byte()? {
                b'n' => Cell::Null,
                b'u' => Cell::Unchanged,
                b't' => {
                    let length = usize::try_from(self.u32()?).map_err(|_| WalError)?;
                    let text = self.bytes(length)?.to_vec();
                    Cell::Text(String::from_utf8(text).map_err(|_| WalError)?)
                }
                _ => return Err(WalError),
            });
        }
        Ok(cells)
    }
}

impl Reader {
    /// Reads a stream that begins anew: what another one has told already is passed over.
    #[must_use]
    pub fn after(other: &Reader) -> Reader {
        Reader {
            done: other.done,
            end: other.end,
            ..Reader::default()
        }
    }

    /// Whether no transaction is half read.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Where the last commit ends that was read whole: all that were before it are read as well.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Reads one message; gives the change that it tells of, if it does.
    ///
    /// # Errors
    /// [`WalError`].
    pub fn read(&mut self, message: &[u8]) -> Result<Option<Change>, WalError> {
        let mut cursor = Cursor(message);
        match cursor.byte()? {
            b'B' => {
                let commit = cursor.u64()?;
                let time = TimeDelta::microseconds(cursor.i64()?);
                let epoch = DateTime::from_timestamp(EPOCH_S, 0).ok_or(WalError)?;
                self.open = Some(Transaction {
                    committed_at: epoch.checked_add_signed(time).ok_or(WalError)?,
                    xid: cursor.u32()?,
                    commit,
                });
                Ok(None)
            }
            b'C' => {
                cursor.byte()?;
                let (commit, end) = (cursor.u64()?, cursor.u64()?);
                self.open = None;
                self.done = self.done.max(commit);
                self.end = self.end.max(end);
                Ok(None)
            }
            b'R' => {
                let oid = cursor.u32()?;
                let (schema, name) = (cursor.text()?, cursor.text()?);
                cursor.byte()?;
                let mut columns = Vec::new();
                for _ in 0..cursor.u16()? {
                    cursor.byte()?;
                    columns.push(cursor.text()?);
                    cursor.take::<8>()?;
                }
                let schema = if schema.is_empty() {
                    "pg_catalog".to_owned()
                } else {
                    schema
                };
                let relation = Relation {
                    oid,
                    schema,
                    name,
                    columns,
                };
                self.relations.insert(oid, Arc::new(relation));
                Ok(None)
            }
            b'I' => {
                let relation = self.relation(&mut cursor)?;
                cursor.byte()?;
                let new = cursor.tuple()?;
                self.change(relation, Kind::Insert, Some(new), None)
            }
            b'U' => {
                let relation = self.relation(&mut cursor)?;
                let old = match cursor.byte()? {
                    b'N' => None,
                    kind @ (b'K' | b'O') => {
                        let old = cursor.tuple()?;
                        cursor.byte()?;
                        Some((kind, old))
                    }
                    _ => return Err(WalError),
                };
                let new = cursor.tuple()?;
                self.change(relation, Kind::Update, Some(new), old)
            }
            b'D' => {
                let relation = self.relation(&mut cursor)?;
                let kind = cursor.byte()?;
                let old = cursor.tuple()?;
                self.change(relation, Kind::Delete, None, Some((kind, old)))
            }
            // Truncations, origins, types, messages of programs.
            b'T' | b'O' | b'Y' | b'M' => Ok(None),
            _ => Err(WalError),
        }
    }

    fn relation(&self, cursor: &mut Cursor<'_>) -> Result<Arc<Relation>, WalError> {
        self.relations.get(&cursor.u32()?).cloned().ok_or(WalError)
    }

    fn change(
        &self,
        relation: Arc<Relation>,
        kind: Kind,
        new: Option<Vec<Cell>>,
        old: Option<(u8, Vec<Cell>)>,
    ) -> Result<Option<Change>, WalError> {
        let Transaction {
            xid,
            committed_at,
            commit,
        } = self.open.ok_or(WalError)?;
        let fits = |cells: &Vec<Cell>| cells.len() == relation.columns.len();
        if !new.iter().all(fits) || !old.iter().all(|(_, cells)| fits(cells)) {
            return Err(WalError);
        }
        let is_new = commit > self.done;
        Ok(is_new.then(|| Change {
            relation,
            kind,
            new,
            is_old_whole: matches!(old, Some((b'O', _))),
            old: old.map(|(_, cells)| cells),
            xid,
            committed_at,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation() -> Vec<u8> {
        let mut bytes = vec![b'R', 0, 0, 0, 7];
        bytes.extend_from_slice(
            b"public\0t\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0name\0\0\0\0\x19\xff\xff\xff\xff",
        );
        bytes
    }

    fn begin(commit: u64) -> Vec<u8> {
        let mut bytes = vec![b'B'];
        bytes.extend_from_slice(&commit.to_be_bytes());
        bytes.extend_from_slice(&1_500_000_i64.to_be_bytes());
        bytes.extend_from_slice(&9_u32.to_be_bytes());
        bytes
    }

    fn commit(commit: u64) -> Vec<u8> {
        let mut bytes = vec![b'C', 0];
        bytes.extend_from_slice(&commit.to_be_bytes());
        bytes.extend_from_slice(&(commit + 8).to_be_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes
    }

    #[test]
    fn what_another_stream_has_told_is_passed_over() {
        let insert = [b'I', 0, 0, 0, 7, b'N', 0, 2, b'n', b'n'];
        let mut first = Reader::default();
        let told = |reader: &mut Reader, at: u64| {
            assert!(reader.is_between());
            reader.read(&begin(at)).unwrap();
            reader.read(&relation()).unwrap();
            let told = [reader.read(&insert).unwrap(), reader.read(&insert).unwrap()];
            assert!(!reader.is_between());
            reader.read(&commit(at)).unwrap();
            told.iter().flatten().count()
        };
        assert_eq!(told(&mut first, 100), 2);
        assert_eq!(told(&mut first, 200), 2);
        assert_eq!(first.end(), 208);
        let mut second = Reader::after(&first);
        assert_eq!([90, 100, 200, 300].map(|at| told(&mut second, at)), [0, 0, 0, 2]);
        assert_eq!(second.end(), 308);
        assert!(second.read(&insert).is_err(), "a change outside of any transaction");
    }

    #[test]
    fn changes_are_read() {
        let mut reader = Reader::default();
        assert!(reader.read(&begin(1)).unwrap().is_none());
        assert!(reader.read(&relation()).unwrap().is_none());
        let mut update = vec![b'U', 0, 0, 0, 7, b'K', 0, 2, b't', 0, 0, 0, 1, b'1', b'n', b'N', 0, 2];
        update.extend_from_slice(b"t\0\0\0\x012u");
        let change = reader.read(&update).unwrap().unwrap();
        assert_eq!(
            (change.kind, change.xid, change.relation.name.as_str()),
            (Kind::Update, 9, "t")
        );
        assert_eq!(change.new, Some(vec![Cell::Text("2".to_owned()), Cell::Unchanged]));
        assert_eq!(change.old, Some(vec![Cell::Text("1".to_owned()), Cell::Null]));
        assert!(!change.is_old_whole);
        assert_eq!(change.committed_at.to_rfc3339(), "2000-01-01T00:00:01.500+00:00");
        for cut in 1..update.len() {
            assert!(reader.read(&update[..cut]).is_err(), "{cut} bytes");
        }
        assert!(
            reader.read(&[b'I', 0, 0, 0, 8, b'N', 0, 0]).is_err(),
            "an unknown relation"
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_in_panics(kind in "[BRIUDCX]", bytes: Vec<u8>) {
            let mut reader = Reader::default();
            reader.read(&relation()).unwrap();
            let message: Vec<u8> = kind.bytes().chain([0, 0, 0, 7]).chain(bytes).collect();
            let _ = reader.read(&message);
        }
    }
}
