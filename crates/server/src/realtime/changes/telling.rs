//! From changes to those who may know of them: who asks for a change, whether he may read it, and what he is told.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use pgrest::changes::{Rows, array, comparing, readable, visible};
use serde_json::{Map, Value};

use super::{
    asking::{Answer, NoAnswer, Question, ask},
    filter::Term,
    payload,
    registry::{Group, Registry, Subscriber},
    tables::{Table, Tables, is_past_policies},
    wal::{Cell, Change, Kind},
};
use crate::{db::sql, realtime::hub::Waiting, rest::session::Sessions};

/// How long to wait until others see what was committed.
const SEEN_MAX: Duration = Duration::from_secs(10);

/// How long between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Who may know of a row of ours that is gone.
const RULE: &str = sql!(
    "select k.n from unnest($2::text[]) with ordinality as k (identity, n)
     where public.may_hear_of_removal($1::text, k.identity::jsonb)"
);

/// A channel that asks for a change.
struct Asking<'a> {
    change: usize,
    subscriber: &'a Arc<Subscriber>,
    group: Group,
    hits: Vec<Hit<'a>>,
}

/// A binding that a change fits, as far as is known here.
struct Hit<'a> {
    id: u64,
    select: Option<&'a [String]>,
    to_ask: Vec<&'a Term>,
}

/// What a question was about.
enum About {
    /// These changes, of which the numbers are those that may be told.
    Each(Vec<usize>),
    /// These changes, all of which may be told if it is answered at all.
    All(Vec<usize>),
    /// A condition, of these changes.
    Term(Term, Vec<usize>),
}

/// One form of a change: which, for which role, with which columns.
type Form<'a> = (usize, &'static str, Option<Vec<&'a str>>);

/// What is known of a group: changes that it may know of, and conditions that hold.
#[derive(Default)]
struct Known {
    may: HashSet<usize>,
    holds: HashSet<(Term, usize)>,
}

/// Tells changes.
pub(super) struct Teller<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) registry: &'a Registry,
    pub(super) tables: &'a mut Tables,
}

impl Teller<'_> {
    /// Tells some changes, in their order, to all who ask and may know.
    ///
    /// # Errors
    /// When the database cannot be asked: then nobody was told.
    pub(super) async fn tell(&mut self, changes: &[Change]) -> Result<(), NoAnswer> {
        let mut found: Vec<(usize, Vec<Arc<Subscriber>>)> = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let about = self.registry.about(change);
            if !about.is_empty() {
                found.push((at, about));
            }
        }
        let mut asking = Vec::new();
        for (at, subscribers) in &found {
            let Some(change) = changes.get(*at) else { continue };
            for subscriber in subscribers {
                let about = subscriber.bindings.iter().filter(|binding| binding.is_about(change));
                let hits: Vec<Hit<'_>> = about
                    .filter_map(|binding| {
                        Some(Hit {
                            id: binding.id,
                            select: binding.select.as_deref(),
                            to_ask: binding.lets_through(change)?,
                        })
                    })
                    .collect();
                if !hits.is_empty() {
                    asking.push(Asking {
                        change: *at,
                        subscriber,
                        group: subscriber.group(),
                        hits,
                    });
                }
            }
        }
        if asking.is_empty() {
            return Ok(());
        }
        self.make_sure(changes, &asking).await?;
        let mut known = HashMap::new();
        let roles: BTreeSet<&'static str> = asking.iter().map(|one| one.group.role).collect();
        for role in roles {
            known.extend(self.ask(role, changes, &asking).await?);
        }
        self.deliver(changes, &asking, &known);
        Ok(())
    }

    /// Makes sure of the tables, of rights, and that everybody sees what was committed.
    async fn make_sure(&mut self, changes: &[Change], asking: &[Asking<'_>]) -> Result<(), NoAnswer> {
        let (mut oids, mut xids, mut rights) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for one in asking {
            if let Some(change) = changes.get(one.change) {
                oids.insert(change.relation.oid);
                xids.insert(change.xid);
                rights.insert((change.relation.oid, one.group.role));
            }
        }
        let (oids, xids): (Vec<u32>, Vec<u32>) = (oids.into_iter().collect(), xids.into_iter().collect());
        let mut borrowed = self.sessions.borrow("service_role").await?;
        let session = borrowed.session()?;
        let seen = async {
            while !self.tables.make_sure(session, &oids, &xids).await? {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
            for (oid, role) in rights {
                self.tables.make_sure_of_rights(session, oid, role).await?;
            }
            Ok(())
        };
        let late = || crate::rest::wire::WireError::Lost(std::io::ErrorKind::TimedOut.into());
        tokio::time::timeout(SEEN_MAX, seen).await.map_err(|_| late())?
    }

    /// Asks for all groups of a role. Who has lost a right is asked again with what is left.
    async fn ask(
        &mut self,
        role: &'static str,
        changes: &[Change],
        asking: &[Asking<'_>],
    ) -> Result<HashMap<Group, Known>, NoAnswer> {
        let mut wanted: HashMap<Group, Vec<&Asking<'_>>> = HashMap::new();
        for one in asking.iter().filter(|one| one.group.role == role) {
            wanted.entry(one.group.clone()).or_default().push(one);
        }
        let mut known = HashMap::new();
        let mut is_second = false;
        while !wanted.is_empty() {
            let (mut groups, mut about) = (Vec::new(), HashMap::new());
            for (group, asking) in &wanted {
                let (questions, subjects): (Vec<Question>, Vec<About>) =
                    self.questions(group, changes, asking).into_iter().unzip();
                about.insert(group.clone(), subjects);
                groups.push((group.clone(), questions));
            }
            let answers = ask(self.sessions, role, &groups).await?;
            let mut again = HashMap::new();
            for (group, answer) in answers {
                let subjects = about.remove(&group).unwrap_or_default();
                match understood(answer, subjects) {
                    Ok(one) => {
                        known.insert(group, one);
                    }
                    Err(fault) => {
                        let Some(asking) = wanted.remove(&group) else { continue };
                        if !is_second && fault.code.starts_with("42") {
                            again.insert(group, asking);
                        } else {
                            refuse(&asking, &fault.message);
                        }
                    }
                }
            }
            if !again.is_empty() {
                self.tables.forget_rights(role);
                let mut borrowed = self.sessions.borrow("service_role").await?;
                let session = borrowed.session()?;
                for change in changes {
                    self.tables
                        .make_sure_of_rights(session, change.relation.oid, role)
                        .await?;
                }
            }
            wanted = again;
            is_second = true;
        }
        Ok(known)
    }

    /// What must be asked for a group.
    fn questions(&self, group: &Group, changes: &[Change], asking: &[&Asking<'_>]) -> Vec<(Question, About)> {
        let mut by_table: HashMap<u32, BTreeSet<usize>> = HashMap::new();
        let mut terms: HashMap<&Term, BTreeSet<usize>> = HashMap::new();
        for one in asking {
            let Some(change) = changes.get(one.change) else {
                continue;
            };
            by_table.entry(change.relation.oid).or_default().insert(one.change);
            for term in one.hits.iter().flat_map(|hit| &hit.to_ask) {
                terms.entry(term).or_default().insert(one.change);
            }
        }
        let mut questions = Vec::new();
        for (oid, at) in by_table {
            if let Some(table) = self.tables.get(oid) {
                self.about_table(group, changes, table, oid, &at, &mut questions);
            }
        }
        for (term, at) in terms {
            about_term(changes, term, &at, &mut questions);
        }
        questions
    }

    fn about_table(
        &self,
        group: &Group,
        changes: &[Change],
        table: &Table,
        oid: u32,
        at: &BTreeSet<usize>,
        questions: &mut Vec<(Question, About)>,
    ) {
        let read = self.tables.readable(oid, group.role);
        if read.is_empty() || !table.key.iter().all(|column| read.contains(column)) {
            return;
        }
        let decides = table.has_policies && !is_past_policies(group.role);
        if !decides {
            let text = readable(&table.name, &read);
            let binds = Vec::new();
            questions.push((Question { text, binds }, About::All(at.iter().copied().collect())));
            return;
        }
        if table.key.is_empty() || !table.policy_columns.iter().all(|column| read.contains(column)) {
            return;
        }
        let (gone, there): (Vec<usize>, Vec<usize>) = at
            .iter()
            .partition(|at| changes.get(**at).is_some_and(|change| change.kind == Kind::Delete));
        if !there.is_empty() {
            let rows = Rows {
                table: table.name.clone(),
                key: &table.typed_key(),
                same: &table.policy_columns,
                read: &read,
            };
            let columns = table.key.iter().chain(&table.policy_columns);
            let binds = columns.map(|name| {
                let cells = there
                    .iter()
                    .map(|at| changes.get(*at).and_then(|change| told(change, name)));
                array(cells)
            });
            let (text, binds) = (visible(&rows), binds.collect());
            questions.push((Question { text, binds }, About::Each(there)));
        }
        // A visitor has no rows of his own, and no rule says otherwise.
        if gone.is_empty() || (table.has_rule && group.role == "anon") {
            return;
        }
        if table.has_rule {
            let identities: Vec<String> = gone.iter().filter_map(|at| Some(identity(changes.get(*at)?))).collect();
            let binds = vec![
                table.name.name.clone(),
                array(identities.iter().map(|identity| Some(identity.as_str()))),
            ];
            let text = RULE.to_owned();
            questions.push((Question { text, binds }, About::Each(gone)));
        } else {
            let text = readable(&table.name, &read);
            let binds = Vec::new();
            questions.push((Question { text, binds }, About::All(gone)));
        }
    }

    fn deliver(&self, changes: &[Change], asking: &[Asking<'_>], known: &HashMap<Group, Known>) {
        let mut made: HashMap<Form<'_>, Arc<str>> = HashMap::new();
        for one in asking {
            let (Some(change), Some(known)) = (changes.get(one.change), known.get(&one.group)) else {
                continue;
            };
            if !known.may.contains(&one.change) {
                continue;
            }
            let holds = |hit: &&Hit<'_>| {
                hit.to_ask
                    .iter()
                    .all(|term| known.holds.contains(&((*term).clone(), one.change)))
            };
            let hits: Vec<&Hit<'_>> = one.hits.iter().filter(holds).collect();
            let Some(table) = self.tables.get(change.relation.oid).filter(|_| !hits.is_empty()) else {
                continue;
            };
            let select: Option<Vec<&str>> = hits
                .iter()
                .map(|hit| hit.select)
                .collect::<Option<Vec<_>>>()
                .map(|all| {
                    let names: BTreeSet<&str> = all
                        .into_iter()
                        .flatten()
                        .chain(&table.key)
                        .map(String::as_str)
                        .collect();
                    names.into_iter().collect()
                });
            let data = made
                .entry((one.change, one.group.role, select.clone()))
                .or_insert_with(|| {
                    let read = self.tables.readable(change.relation.oid, one.group.role);
                    let columns = change.relation.columns.iter().map(String::as_str);
                    let columns: Vec<&str> = columns
                        .filter(|name| read.iter().any(|known| known == name))
                        .filter(|name| select.as_ref().is_none_or(|select| select.contains(name)))
                        .collect();
                    payload::data(table, change, &columns).into()
                });
            let ids: Vec<String> = hits.iter().map(|hit| hit.id.to_string()).collect();
            let payload = format!(r#"{{"ids":[{}],"data":{data}}}"#, ids.join(","));
            let subscriber = one.subscriber;
            subscriber.line.tell(&subscriber.topic(), "postgres_changes", &payload);
        }
    }
}

/// The value of a column as it was told.
fn told<'a>(change: &'a Change, name: &str) -> Option<&'a str> {
    let at = change.relation.columns.iter().position(|column| column == name)?;
    match change.new.as_ref()?.get(at)? {
        Cell::Text(text) => Some(text),
        // A large value that did not change is not known here: it is like no other, so that nothing is told by mistake.
        Cell::Unchanged | Cell::Null => None,
    }
}

/// What is known of a row that is gone, as JSON.
fn identity(change: &Change) -> String {
    let cells = change.old.iter().flatten();
    let known = change
        .relation
        .columns
        .iter()
        .zip(cells)
        .filter_map(|(name, cell)| match cell {
            Cell::Text(text) => Some((name.clone(), Value::from(text.as_str()))),
            Cell::Null | Cell::Unchanged => None,
        });
    Value::Object(known.collect::<Map<_, _>>()).to_string()
}

fn about_term(changes: &[Change], term: &Term, at: &BTreeSet<usize>, questions: &mut Vec<(Question, About)>) {
    let at: Vec<usize> = at.iter().copied().collect();
    let cells: Vec<Option<&str>> = at.iter().map(|at| value_of(changes.get(*at)?, &term.column)).collect();
    for value in &term.values {
        let text = comparing(term.operator.sql(), &term.cast);
        let binds = vec![array(cells.iter().copied()), value.clone()];
        questions.push((Question { text, binds }, About::Term(term.clone(), at.clone())));
    }
}

fn value_of<'a>(change: &'a Change, name: &str) -> Option<&'a str> {
    let at = change.relation.columns.iter().position(|column| column == name)?;
    match change.new.as_ref().or(change.old.as_ref())?.get(at)? {
        Cell::Text(text) => Some(text),
        Cell::Unchanged | Cell::Null => None,
    }
}

/// What the answers to a group's questions say.
fn understood(answer: Answer, subjects: Vec<About>) -> Result<Known, Box<crate::rest::wire::Fault>> {
    let mut known = Known::default();
    let mut matched: HashMap<Term, (HashSet<usize>, Vec<usize>)> = HashMap::new();
    for (numbers, about) in answer?.into_iter().zip(subjects) {
        let picked = |all: &[usize]| -> Vec<usize> {
            let numbers = numbers.iter().filter_map(|number| usize::try_from(*number - 1).ok());
            numbers.filter_map(|at| all.get(at).copied()).collect()
        };
        match about {
            About::All(all) => known.may.extend(all),
            About::Each(all) => known.may.extend(picked(&all)),
            About::Term(term, all) => {
                let entry = matched.entry(term).or_insert_with(|| (HashSet::new(), all.clone()));
                entry.0.extend(picked(&all));
            }
        }
    }
    for (term, (matched, all)) in matched {
        for at in all {
            if matched.contains(&at) != term.is_negated {
                known.holds.insert((term.clone(), at));
            }
        }
    }
    Ok(known)
}

/// Ends what cannot be decided about, and says why.
fn refuse(asking: &[&Asking<'_>], reason: &str) {
    let mut told = HashSet::new();
    for one in asking {
        if told.insert(one.subscriber.channel) {
            one.subscriber.line.push(Waiting::Close {
                channel: one.subscriber.channel,
                reason: format!("changes cannot be decided about: {reason}"),
                may_rejoin: false,
            });
        }
    }
}
