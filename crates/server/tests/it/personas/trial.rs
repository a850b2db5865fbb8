//! One persona before one relation: each operation is tried, on each row and with each column.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::fixture::{Column, Persona, Row, Subject, filter, other_than};
use super::matrix::Cell;
use super::reach::Reach;
use super::relations::RELATIONS;
use super::tries::{Outcome, any_let_through, digests_seen, tries};

/// Values that a column is changed to, at most: as many as tell a policy's refusal of one from its refusal of all.
const OTHER_VALUES_MAX: usize = 8;

/// Who has no login owns no row, so that what his changes may become can be asked of a few of the rows that he reaches.
const ROWS_CHANGED_MAX: usize = 3;

/// The rows whose minimal columns alone make a valid row: a superuser's insert succeeds or meets the row itself.
pub(super) async fn sound_templates(client: &Client, subject: &Subject) -> Vec<usize> {
    if !subject.is_table {
        return Vec::new();
    }
    let statements: Vec<String> = subject.rows.iter().map(|row| subject.insert(row, &[])).collect();
    let numbers: Vec<i32> = (0..).take(statements.len()).collect();
    let rows = client
        .query(
            "select state, said from probe.tries(current_user, '', $1, $2)",
            &[&statements, &numbers],
        )
        .await
        .unwrap();
    let states: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let sound: Vec<usize> = (0..states.len())
        .filter(|at| ["ZZ000", "23505"].contains(&states[*at]) || states[*at] == GUARDED)
        .collect();
    assert!(
        !sound.is_empty(),
        "no row of {} makes a valid insert: {} {}",
        subject.title(),
        states[0],
        rows[0].get::<_, String>(1),
    );
    sound
}

/// A trigger may refuse even the superuser; then any row will do, since nobody passes.
const GUARDED: &str = "42501";

impl Subject {
    /// An insert of a row's needed and class-deciding columns, with others added.
    fn insert(&self, row: &Row, added: &[(&str, &str)]) -> String {
        let minimal = self.columns.iter().zip(&row.literals);
        let minimal = minimal.filter(|(column, _)| self.is_minimal(column));
        let all: Vec<(&str, &str)> = minimal
            .map(|(column, literal)| (column.name.as_str(), literal.as_str()))
            .chain(added.iter().copied())
            .collect();
        self.insert_of(&all)
    }

    fn insert_of(&self, all: &[(&str, &str)]) -> String {
        if all.is_empty() {
            return format!("insert into {} default values", self.relation.name);
        }
        let names: Vec<String> = all.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let values: Vec<&str> = all.iter().map(|(_, value)| *value).collect();
        format!(
            "insert into {} ({}) values ({})",
            self.relation.name,
            names.join(", "),
            values.join(", ")
        )
    }

    fn is_minimal(&self, column: &Column) -> bool {
        column.is_needed || self.decides_class(column)
    }

    /// A literal of a column from any row that has one.
    fn any_literal(&self, at: usize) -> &str {
        let some = self.rows.iter().map(|row| row.literals[at].as_str());
        some.into_iter().find(|literal| *literal != "NULL").unwrap_or("NULL")
    }

    /// Other values of a column than a row has: those of other rows, a longer text, both truths, every bucket, and null.
    fn other_literals(&self, row: &Row, at: usize) -> Vec<String> {
        let (column, own) = (&self.columns[at], row.literals[at].as_str());
        let mut values: Vec<String> = Vec::new();
        if let (true, Some(text)) = (column.is_text, own.strip_suffix('\'')) {
            values.push(format!("{text}x'"));
        }
        let mut others: BTreeSet<&str> = self.rows.iter().map(|row| row.literals[at].as_str()).collect();
        if others.contains("'true'") || others.contains("'false'") {
            others.extend(["'true'", "'false'"]);
        }
        others.remove(own);
        values.extend(others.into_iter().take(OTHER_VALUES_MAX).map(str::to_owned));
        if column.name == "bucket_id" {
            let buckets = RELATIONS.iter().map(|relation| relation.bucket);
            let other = buckets.filter(|bucket| !bucket.is_empty() && *bucket != self.relation.bucket);
            values.extend(other.map(|bucket| format!("'{bucket}'")));
        }
        if own != "NULL" {
            values.push("NULL".to_owned());
        }
        values
    }
}

/// One persona before one relation.
pub(super) struct Trial<'a> {
    pub(super) client: &'a Client,
    pub(super) who: &'a Persona,
    pub(super) subject: &'a Subject,
    /// What a visitor reads.
    pub(super) public: BTreeSet<usize>,
}

impl Trial<'_> {
    pub(super) async fn cell(&self, sound: &[usize]) -> Cell {
        let truncate = format!("truncate {}", self.subject.relation.name);
        let mut cell = Cell {
            read: self.read().await,
            can_truncate: !self.is_refused(truncate).await,
            ..Cell::default()
        };
        if self.subject.is_table {
            (cell.insert, cell.insert_columns) = self.insert(sound).await;
            cell.update = self.update().await;
            cell.delete = self.delete().await;
        } else {
            self.write_through_view(&mut cell).await;
        }
        cell
    }

    async fn tries(&self, statements: &[String]) -> Vec<Outcome> {
        tries(self.client, self.who, statements).await
    }

    /// The same for statements that need one privilege: where the first lacks it, so do the others.
    async fn tries_alike(&self, statements: &[String]) -> Vec<Outcome> {
        let first = self.tries(&statements[..1]).await;
        if first == [Outcome::NoPrivilege] {
            return vec![Outcome::NoPrivilege; statements.len()];
        }
        self.tries(statements).await
    }

    async fn is_refused(&self, statement: String) -> bool {
        self.tries(&[statement]).await.iter().all(Outcome::is_refused)
    }

    fn reach(&self, rows: BTreeSet<usize>, all: &BTreeSet<usize>) -> Reach {
        let classes = |at: usize| self.who.classes(self.subject.relation, &self.subject.rows[at]);
        Reach::of(rows, all, &self.public, classes)
    }

    fn every_row(&self) -> BTreeSet<usize> {
        (0..self.subject.rows.len()).collect()
    }

    async fn read(&self) -> Reach {
        let relation = self.subject.relation;
        let seen = digests_seen(self.client, self.who, relation.name, &filter(relation)).await;
        let all = self.every_row();
        let rows: BTreeSet<usize> = all
            .iter()
            .copied()
            .filter(|at| seen.contains(&self.subject.rows[*at].digest))
            .collect();
        if self.who.role == "anon" {
            return Reach::of(rows.clone(), &all, &rows, |_| Vec::new());
        }
        self.reach(rows, &all)
    }

    async fn write_through_view(&self, cell: &mut Cell) {
        let view = self.subject.relation.name;
        let mut statements = vec![
            format!("insert into {view} default values"),
            format!("delete from {view}"),
        ];
        let names = self.subject.columns.iter().map(|column| &column.name);
        statements.extend(names.map(|name| format!("update {view} set \"{name}\" = null")));
        let outcomes = self.tries(&statements).await;
        let reach = |at: usize| Reach::default().and_blind(usize::from(outcomes[at].is_let_through()));
        cell.insert = reach(0);
        cell.delete = reach(1);
        for (at, column) in self.subject.columns.iter().enumerate() {
            if !reach(at + 2).is_none() {
                cell.update.insert(column.name.clone(), reach(at + 2));
            }
        }
    }

    async fn insert(&self, sound: &[usize]) -> (Reach, Vec<String>) {
        let templates = sound.iter().map(|at| &self.subject.rows[*at]);
        let statements: Vec<String> = templates.map(|row| self.subject.insert(row, &[])).collect();
        let taken = let_through(sound, &self.tries_alike(&statements).await);
        let Some(first) = taken.first().copied() else {
            return (self.insert_by_default(sound).await, Vec::new());
        };
        let columns = self.insertable_columns(&self.subject.rows[first]).await;
        (self.reach(taken, &sound.iter().copied().collect()), columns)
    }

    /// Where the caller may not say whose the row is, the default may still let him insert one.
    async fn insert_by_default(&self, sound: &[usize]) -> Reach {
        let subject = self.subject;
        let statements = sound.iter().map(|at| {
            let pairs = subject.columns.iter().zip(&subject.rows[*at].literals);
            let named: Vec<(&str, &str)> = pairs
                .filter(|(column, _)| subject.is_minimal(column) && !column.is_callers_by_default)
                .map(|(column, literal)| (column.name.as_str(), literal.as_str()))
                .collect();
            subject.insert_of(&named)
        });
        let statements: Vec<String> = statements.collect();
        Reach::default().and_blind(let_through(sound, &self.tries_alike(&statements).await).len())
    }

    /// The columns that may be given with a row that may be inserted, one after the other.
    async fn insertable_columns(&self, row: &Row) -> Vec<String> {
        let me = self.who.login.map(|id| format!("'{id}'"));
        let another = format!("'{}'", other_than(self.who));
        let mut given = Vec::new();
        for (at, column) in self.subject.columns.iter().enumerate() {
            if self.subject.is_minimal(column) {
                given.push(column.name.clone());
                continue;
            }
            let (value, is_mine) = match &me {
                Some(me) if column.is_callers_by_default => (me.as_str(), true),
                _ if row.literals[at] == "NULL" => (self.subject.any_literal(at), false),
                _ => (row.literals[at].as_str(), false),
            };
            let with = |value: &str| self.subject.insert(row, &[(column.name.as_str(), value)]);
            if self.is_refused(with(value)).await {
                continue;
            }
            let is_bound = is_mine && self.is_refused(with(&another)).await;
            given.push(format!("{}{}", column.name, if is_bound { "=caller" } else { "" }));
        }
        given
    }

    async fn update(&self) -> BTreeMap<String, Reach> {
        let (subject, table) = (self.subject, self.subject.relation.name);
        let names: Vec<&str> = subject.columns.iter().map(|column| column.name.as_str()).collect();
        let privileges = names
            .iter()
            .map(|name| format!("update {table} set \"{name}\" = null where false"));
        let outcomes = self.tries(&privileges.collect::<Vec<_>>()).await;
        let granted = (0..names.len()).filter(|at| !outcomes[*at].is_refused());
        let granted: Vec<usize> = granted.collect();
        let Some(first) = granted.first() else {
            return BTreeMap::new();
        };
        // What USING hides is hidden whatever is changed; what WITH CHECK refuses may pass with another value.
        let unchanged = subject.rows.iter().map(|row| {
            let name = names[*first];
            format!(
                "update {table} set \"{name}\" = \"{name}\" where ctid = '{}'",
                row.place
            )
        });
        let outcomes = self.tries(&unchanged.collect::<Vec<_>>()).await;
        let reached: Vec<usize> = (0..outcomes.len())
            .filter(|at| ![Outcome::Hit(0), Outcome::NoPrivilege].contains(&outcomes[*at]))
            .collect();
        let mut found = BTreeMap::new();
        for at in granted {
            let reach = self.update_of(at, names[at], &reached).await;
            if !reach.is_none() {
                found.insert(names[at].to_owned(), reach);
            }
        }
        found
    }

    /// The rows, of those that are not hidden, whose column can be changed to something else.
    async fn update_of(&self, column: usize, name: &str, reached: &[usize]) -> Reach {
        let (subject, table) = (self.subject, self.subject.relation.name);
        let asked = if self.who.login.is_some() || reached.len() <= ROWS_CHANGED_MAX {
            reached.to_vec()
        } else {
            reached
                .iter()
                .copied()
                .step_by(reached.len() / ROWS_CHANGED_MAX)
                .collect()
        };
        let changes = asked.iter().flat_map(|row| {
            let Row { place, .. } = &subject.rows[*row];
            let values = subject.other_literals(&subject.rows[*row], column).into_iter();
            values.map(move |value| {
                let change = format!("update {table} set \"{name}\" = {value} where ctid = '{place}'");
                (*row, change)
            })
        });
        let mut changed = any_let_through(self.client, self.who, &changes.collect::<Vec<_>>()).await;
        if changed.len() == asked.len() {
            changed.extend(reached);
        }
        let blindly = format!("update {table} set \"{name}\" = {}", subject.any_literal(column));
        let more = self.blindly(blindly, reached.len()).await;
        self.reach(changed, &self.every_row()).and_blind(more)
    }

    async fn delete(&self) -> Reach {
        let table = self.subject.relation.name;
        let rows = self.subject.rows.iter();
        let statements = rows.map(|row| format!("delete from {table} where ctid = '{}'", row.place));
        let outcomes = self.tries_alike(&statements.collect::<Vec<_>>()).await;
        let all = self.every_row();
        let gone = let_through(&all.iter().copied().collect::<Vec<_>>(), &outcomes);
        let more = self.blindly(format!("delete from {table}"), gone.len()).await;
        self.reach(gone, &all).and_blind(more)
    }

    /// How many rows more than `known` a statement without WHERE reaches. It cannot be kept to one bucket.
    async fn blindly(&self, statement: String, known: usize) -> usize {
        if !self.subject.relation.bucket.is_empty() {
            return 0;
        }
        match self.tries(&[statement]).await.as_slice() {
            [Outcome::Hit(hits)] => usize::try_from(*hits).unwrap().saturating_sub(known),
            [Outcome::LetThrough] if known == 0 => 1,
            _ => 0,
        }
    }
}

fn let_through(of: &[usize], outcomes: &[Outcome]) -> BTreeSet<usize> {
    let pairs = of.iter().zip(outcomes);
    pairs
        .filter(|(_, outcome)| outcome.is_let_through())
        .map(|(at, _)| *at)
        .collect()
}
