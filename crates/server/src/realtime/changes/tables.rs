//! What must be known of a table before a change of it may be told.

use std::{collections::HashMap, sync::Arc};

use pgrest::name::QualifiedName;

use crate::{
    db::sql,
    rest::{
        session::Session,
        wire::{Row, WireError},
    },
};

/// Who owns the tables of this platform: of those with policies, a row that is gone is told by a rule of their own.
const OWNER: &str = "nexus_owner";

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The name of its type, as clients know it.
    pub kind: String,
    /// Its type, as SQL writes it.
    pub cast: String,
}

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Its name.
    pub name: QualifiedName,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The primary key, in order; empty: there is none.
    pub key: Vec<String>,
    /// Whether policies decide who reads its rows.
    pub has_policies: bool,
    /// Columns by which policies decide.
    pub policy_columns: Vec<String>,
    /// Whether a row that is gone is told by the platform's own rule.
    pub has_rule: bool,
    /// Changes whenever one of these may have.
    print: String,
    /// What each role may read.
    readable: HashMap<&'static str, Arc<[String]>>,
}

impl Table {
    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The key with its types.
    #[must_use]
    pub fn typed_key(&self) -> Vec<(String, String)> {
        let typed = self.key.iter().filter_map(|name| self.column(name));
        typed.map(|column| (column.name.clone(), column.cast.clone())).collect()
    }
}

/// The tables that were asked about, by oid.
#[derive(Debug, Default)]
pub struct Tables(HashMap<u32, Table>);

/// Whether somebody acts past all policies.
#[must_use]
pub fn is_past_policies(role: &str) -> bool {
    role == "service_role"
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .unwrap_or_default()
}

fn texts<const N: usize>(row: &Row) -> [String; N] {
    let mut columns = row.columns();
    std::array::from_fn(|_| text(columns.next().flatten()))
}

impl Tables {
    /// A table that was made sure of before.
    #[must_use]
    pub fn get(&self, oid: u32) -> Option<&Table> {
        self.0.get(&oid)
    }

    /// What a role may read of it, as made sure of before.
    #[must_use]
    pub fn readable(&self, oid: u32, role: &str) -> Arc<[String]> {
        let found = self.0.get(&oid).and_then(|table| table.readable.get(role));
        found.cloned().unwrap_or_default()
    }

    /// Forgets what a role may read.
    pub fn forget_rights(&mut self, role: &str) {
        self.0.values_mut().for_each(|table| {
            table.readable.remove(role);
        });
    }

    /// Makes sure of these tables, and that all of these transactions are over for everybody who looks now. False: not
    /// yet. PostgreSQL tells of a commit a moment before others see it.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn make_sure(&mut self, session: &mut Session, oids: &[u32], xids: &[u32]) -> Result<bool, WireError> {
        let list = pgrest::changes::array(
            oids.iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .iter()
                .map(|oid| Some(oid.as_str())),
        );
        let rows = session
            .rows(
                sql!(
                    "select pg_catalog.pg_current_snapshot()::text, o.oid::text,
                            coalesce(concat_ws(' ', c.xmin, c.relrowsecurity, (
                              select pg_catalog.string_agg(p.oid || ':' || p.xmin, ' ' order by p.oid)
                              from pg_catalog.pg_policy as p where p.polrelid = c.oid)), '')
                     from unnest($1::text[]) as o (oid) left join pg_catalog.pg_class as c on c.oid = o.oid::oid"
                ),
                &[&list],
            )
            .await?;
        let mut stale = Vec::new();
        for row in &rows {
            let [snapshot, oid, print] = texts::<3>(row);
            if xids.iter().any(|xid| is_under_way(&snapshot, *xid)) {
                return Ok(false);
            }
            if let Ok(oid) = oid.parse::<u32>()
                && self.0.get(&oid).is_none_or(|known| known.print != print)
            {
                stale.push((oid, print));
            }
        }
        for (oid, print) in stale {
            match load(session, oid).await? {
                Some(table) => {
                    self.0.insert(oid, Table { print, ..table });
                }
                None => {
                    self.0.remove(&oid);
                }
            }
        }
        Ok(true)
    }

    /// Makes sure what a role may read of a table.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn make_sure_of_rights(
        &mut self,
        session: &mut Session,
        oid: u32,
        role: &'static str,
    ) -> Result<(), WireError> {
        let Some(table) = self.0.get_mut(&oid) else {
            return Ok(());
        };
        if !table.readable.contains_key(role) {
            let rows = session
                .rows(
                    sql!(
                        "select a.attname::text from pg_catalog.pg_attribute as a join pg_catalog.pg_class as c on c.oid = a.attrelid
                         where a.attrelid = $1::text::oid and a.attnum > 0 and not a.attisdropped
                           and pg_catalog.has_schema_privilege($2::text, c.relnamespace, 'usage')
                           and pg_catalog.has_column_privilege($2::text, a.attrelid, a.attnum, 'select')
                         order by a.attnum"
                    ),
                    &[&oid.to_string(), role],
                )
                .await?;
            let names: Vec<String> = rows
                .iter()
                .map(|row| {
                    let [name] = texts::<1>(row);
                    name
                })
                .collect();
            table.readable.insert(role, names.into());
        }
        Ok(())
    }
}

/// Whether a transaction of a snapshot (`xmin:xmax:xip,...`) is still under way. Snapshots count past 32 bits.
fn is_under_way(snapshot: &str, xid: u32) -> bool {
    let short = |text: &str| {
        text.parse::<u64>()
            .ok()
            .and_then(|full| u32::try_from(full & 0xffff_ffff).ok())
    };
    let mut parts = snapshot.split(':');
    let (_, end, list) = (parts.next(), parts.next(), parts.next());
    let is_listed = list
        .into_iter()
        .flat_map(|list| list.split(','))
        .any(|one| short(one) == Some(xid));
    // Numbers go round: what is less than half of them ahead is ahead.
    let is_ahead = end
        .and_then(short)
        .is_none_or(|end| xid.wrapping_sub(end) < u32::MAX / 2);
    is_listed || is_ahead
}

async fn load(session: &mut Session, oid: u32) -> Result<Option<Table>, WireError> {
    let oid = oid.to_string();
    let found = session
        .rows(
            sql!(
                "select n.nspname::text, c.relname::text, c.relrowsecurity::text, (o.rolname = $2::text)::text,
                        exists (select from pg_catalog.pg_policy as p
                                where p.polrelid = c.oid and p.polqual::text ~ ':varattno 0 ')::text
                 from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                   join pg_catalog.pg_roles as o on o.oid = c.relowner
                 where c.oid = $1::text::oid"
            ),
            &[&oid, OWNER],
        )
        .await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let [schema, name, has_policies, is_ours, reads_all] = texts::<5>(row);
    let rows = session
        .rows(
            sql!(
                "select a.attname::text, t.typname::text, pg_catalog.format_type(a.atttypid, -1),
                        coalesce(pg_catalog.array_position(i.indkey::int2[], a.attnum)::text, ''),
                        exists (select from pg_catalog.pg_depend as d join pg_catalog.pg_policy as p on p.oid = d.objid
                                where d.classid = 'pg_catalog.pg_policy'::regclass and p.polrelid = a.attrelid and p.polcmd in ('r', '*')
                                  and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum)::text
                 from pg_catalog.pg_attribute as a join pg_catalog.pg_type as t on t.oid = a.atttypid
                   left join pg_catalog.pg_index as i on i.indrelid = a.attrelid and i.indisprimary
                 where a.attrelid = $1::text::oid and a.attnum > 0 and not a.attisdropped
                 order by a.attnum"
            ),
            &[&oid],
        )
        .await?;
    let mut table = Table {
        name: QualifiedName::of(&schema, &name),
        has_policies: has_policies == "true",
        has_rule: is_ours == "true" && has_policies == "true",
        ..Table::default()
    };
    let mut key: Vec<(usize, String)> = Vec::new();
    for row in &rows {
        let [name, kind, cast, at, decides] = texts::<5>(row);
        if let Ok(at) = at.parse() {
            key.push((at, name.clone()));
        }
        if decides == "true" || reads_all == "true" {
            table.policy_columns.push(name.clone());
        }
        table.columns.push(Column { name, kind, cast });
    }
    key.sort_unstable();
    table.key = key.into_iter().map(|(_, name)| name).collect();
    // The key is looked up by: it needs no second look.
    let key = table.key.clone();
    table.policy_columns.retain(|name| !key.contains(name));
    Ok(Some(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_under_way() {
        assert!(!is_under_way("10:10:", 9));
        assert!(is_under_way("10:10:", 10), "not begun when the snapshot was taken");
        assert!(is_under_way("8:12:8,10", 10));
        assert!(!is_under_way("8:12:8,10", 9));
        // Past 32 bits: 4294967296 + 5.
        assert!(!is_under_way("4294967301:4294967301:", 4));
        assert!(!is_under_way("4294967301:4294967301:", u32::MAX - 3));
        assert!(is_under_way("4294967301:4294967310:4294967303", 7));
    }
}
