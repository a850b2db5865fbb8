//! Rows, links and heads as bytes: pure functions. docs/AUDIT.md describes them; the tests hold its example.
//!
//! Every hash begins with a byte or a field that says what it is over, so that none can be taken for another.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// What the first link goes on from.
pub const START: Hash = [0; 32];

/// The first byte of what a head is over. Links begin with their source's.
const HEAD: u8 = 0;

/// What is chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Rows of `public.audit_log`.
    Audit,
    /// Rows of `ledger.entries`, each with its postings.
    Entry,
}

impl Source {
    /// Both, in the order in which a batch takes them.
    pub const ALL: [Source; 2] = [Source::Audit, Source::Entry];

    /// Its name in `nexus.chain_links`, and the first field of its rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Audit => "audit",
            Source::Entry => "entry",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn named(name: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.name() == name)
    }

    /// The first byte of what its links are over.
    fn tag(self) -> u8 {
        match self {
            Source::Audit => 1,
            Source::Entry => 2,
        }
    }
}

/// What a row says, taken in field by field: the source's name first, then each field as its length in bytes (32 bits,
/// the highest first) and its bytes. Null has the length 2^32 - 1 and no bytes.
pub struct Content(Sha256);

impl Content {
    /// Nothing said yet.
    #[must_use]
    pub fn of(source: Source) -> Content {
        let mut content = Content(Sha256::new());
        content.field(Some(source.name().as_bytes()));
        content
    }

    /// Takes in a field.
    pub fn field(&mut self, value: Option<&[u8]>) {
        // PostgreSQL has no value of 4 GB, so only null has this length.
        let length = value.map_or(u32::MAX, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1));
        self.0.update(length.to_be_bytes());
        self.0.update(value.unwrap_or_default());
    }

    /// Takes in a text.
    pub fn text(&mut self, value: Option<&str>) {
        self.field(value.map(str::as_bytes));
    }

    /// Takes in numbers as one field: 64 bits each, the highest first.
    pub fn numbers<const N: usize>(&mut self, values: [i64; N]) {
        let bytes: Vec<u8> = values.into_iter().flat_map(i64::to_be_bytes).collect();
        self.field(Some(&bytes));
    }

    /// Takes in a list as one field, which holds the items' fields.
    pub fn list(&mut self, items: &[Option<String>]) {
        let mut bytes = Vec::new();
        for item in items {
            let length = item
                .as_ref()
                .map_or(u32::MAX, |text| u32::try_from(text.len()).unwrap_or(u32::MAX - 1));
            bytes.extend(length.to_be_bytes());
            bytes.extend(item.as_deref().unwrap_or_default().as_bytes());
        }
        self.field(Some(&bytes));
    }

    /// The row's digest.
    #[must_use]
    pub fn digest(self) -> Hash {
        self.0.finalize().into()
    }
}

/// The link of row `number` of `source`, behind `previous`.
#[must_use]
pub fn link(source: Source, previous: &Hash, number: i64, row_digest: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([source.tag()]);
    hash.update(previous);
    hash.update(number.to_be_bytes());
    hash.update(row_digest);
    hash.finalize().into()
}

/// What a seal says about its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The seal's number, from 1.
    pub number: i64,
    /// When it was sealed: microseconds since 1970 began in UTC.
    pub sealed_at_us: i64,
    /// The largest id of `audit_log` up to which everything is sealed.
    pub audit_up_to: i64,
    /// The same of `ledger.entries`.
    pub entries_up_to: i64,
    /// Place of the batch's last link.
    pub links_up_to: i64,
    /// Its last link.
    pub last_link: Hash,
    /// The key that signs.
    pub public_key: Hash,
}

impl Batch {
    /// What is signed, exported, and what the next link goes on from.
    #[must_use]
    pub fn head(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update([HEAD]);
        hash.update(self.last_link);
        for number in [
            self.number,
            self.sealed_at_us,
            self.audit_up_to,
            self.entries_up_to,
            self.links_up_to,
        ] {
            hash.update(number.to_be_bytes());
        }
        hash.update(self.public_key);
        hash.finalize().into()
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal of exactly `N` bytes.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(2)? || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(at.checked_mul(2)?..)?.get(..2)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of docs/AUDIT.md. When this changes, every chain that exists is broken.
    #[test]
    fn the_encoding_is_the_documented_one() {
        let mut audit = Content::of(Source::Audit);
        audit.text(Some("1767225600.000000"));
        audit.text(Some("751"));
        audit.text(None);
        audit.text(Some("nexus_engine"));
        audit.text(Some("public.parties"));
        audit.text(Some("UPDATE"));
        audit.text(Some("7"));
        audit.list(&[Some("kind".to_owned()), Some("legal_name".to_owned())]);
        audit.field(Some(&[0xab; 32]));
        let audit = audit.digest();
        let first = link(Source::Audit, &START, 17, &audit);

        let mut entry = Content::of(Source::Entry);
        entry.text(Some("investment:1:reserve"));
        entry.text(Some("investment.reserved"));
        entry.text(Some("2026-01-01"));
        entry.text(Some("1767225600.000000"));
        entry.text(Some("752"));
        entry.text(Some("00000000-0000-0000-0000-000000000001"));
        entry.text(Some("{}"));
        entry.field(Some(&[0xcd; 32]));
        entry.numbers([1, 5, -100, 1, -100]);
        entry.numbers([2, 6, 100, 1, 100]);
        let entry = entry.digest();
        let second = link(Source::Entry, &first, 3, &entry);

        let batch = Batch {
            number: 1,
            sealed_at_us: 1_767_225_601_000_000,
            audit_up_to: 17,
            entries_up_to: 3,
            links_up_to: 2,
            last_link: second,
            public_key: [0xef; 32],
        };
        let found = [audit, first, entry, second, batch.head()].map(|hash| hex(&hash));
        assert_eq!(found.join("\n"), include_str!("vector.txt").trim_end());
    }

    #[test]
    fn fields_cannot_run_into_one_another() {
        let of = |fields: &[Option<&str>]| {
            let mut content = Content::of(Source::Audit);
            fields.iter().for_each(|field| content.text(*field));
            content.digest()
        };
        let lists = |items: &[&str]| {
            let mut content = Content::of(Source::Audit);
            content.list(&items.iter().map(|item| Some((*item).to_owned())).collect::<Vec<_>>());
            content.digest()
        };
        let all = [
            of(&[Some("ab"), Some("c")]),
            of(&[Some("a"), Some("bc")]),
            of(&[Some("abc")]),
            of(&[Some(""), None]),
            of(&[None, Some("")]),
            of(&[None]),
            lists(&[]),
            lists(&["a", "b"]),
            lists(&["ab"]),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn hexadecimal_goes_there_and_back_and_nothing_else_does() {
        assert_eq!(unhex::<3>(&hex(&[0, 0xab, 0xff])), Some([0, 0xab, 0xff]));
        for wrong in ["", "00", "00abf", "00abfg", "+0abff", "00ab\u{e9}", "00abff00"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
        }
    }
}
