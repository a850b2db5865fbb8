//! What is asked for: bindings of channels, and which of them a change concerns.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    audience::{Audience, Channels},
    filter::{self, Term, Verdict},
    wal::{Change, Kind},
};
use crate::realtime::hub::Line;

/// Bindings of one channel.
const BINDINGS_MAX: usize = 100;

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Binding {
    /// A number of its own.
    pub id: u64,
    /// None: all.
    pub event: Option<Kind>,
    /// None: all.
    pub schema: Option<String>,
    /// None: all.
    pub table: Option<String>,
    /// All of which must hold.
    pub filter: Vec<Term>,
    /// None: all.
    pub select: Option<Vec<String>>,
    /// What the client is answered: its own words, with the number.
    pub echo: Echo,
}

/// A binding in the client's own words.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Echo {
    id: u64,
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    select: Option<Vec<String>>,
}

/// Reads what a client asks for.
///
/// # Errors
/// A sentence about what is wrong.
pub fn read(all: &[Box<RawValue>], mut number: impl FnMut() -> u64) -> Result<Vec<Binding>, String> {
    if all.len() > BINDINGS_MAX {
        return Err(format!("a channel has at most {BINDINGS_MAX} bindings"));
    }
    let mut read = |text: &RawValue| {
        let asked: Asked = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
        let event = asked.event.clone().unwrap_or_else(|| "*".to_owned());
        let kind = match event.to_uppercase().as_str() {
            "*" => None,
            "INSERT" => Some(Kind::Insert),
            "UPDATE" => Some(Kind::Update),
            "DELETE" => Some(Kind::Delete),
            _ => return Err(format!("an event is *, INSERT, UPDATE or DELETE, not {event:?}")),
        };
        let named = |name: &Option<String>| name.clone().filter(|name| name != "*" && !name.is_empty());
        let filter = match asked.filter.as_deref() {
            None | Some("") => Vec::new(),
            Some(text) => filter::parse(text)?,
        };
        let id = number();
        Ok(Binding {
            id,
            event: kind,
            schema: named(&asked.schema),
            table: named(&asked.table),
            filter,
            select: asked.select.clone(),
            echo: Echo {
                id,
                event,
                schema: asked.schema,
                table: asked.table,
                filter: asked.filter,
                select: asked.select,
            },
        })
    };
    all.iter().map(|text| read(text)).collect()
}

impl Binding {
    /// Whether it is about this kind of change of this table.
    #[must_use]
    pub fn is_about(&self, change: &Change) -> bool {
        let fits = |asked: &Option<String>, is: &str| asked.as_deref().is_none_or(|asked| asked == is);
        self.event.is_none_or(|event| event == change.kind)
            && fits(&self.schema, &change.relation.schema)
            && fits(&self.table, &change.relation.name)
    }

    /// Whether its filter lets a change through; with the terms about which PostgreSQL must be asked.
    #[must_use]
    pub fn lets_through<'a>(&'a self, change: &Change) -> Option<Vec<&'a Term>> {
        // A row that is gone is known by what identified it.
        let cells = change.new.as_ref().or(change.old.as_ref())?;
        let mut to_ask = Vec::new();
        for term in &self.filter {
            let at = change.relation.columns.iter().position(|name| *name == term.column)?;
            match term.holds(cells.get(at)) {
                Verdict::Yes => {}
                Verdict::No => return None,
                Verdict::Ask => to_ask.push(term),
            }
        }
        Some(to_ask)
    }
}

/// Those who have the same rights: the same role and claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// The database role.
    pub role: &'static str,
    /// The claims as JSON.
    pub claims: Arc<str>,
}

/// What one channel asks for.
#[derive(Debug)]
pub struct Subscriber {
    /// The channel.
    pub channel: u64,
    /// Its name, without `realtime:`.
    pub name: String,
    /// Where it hears.
    pub line: Arc<Line>,
    /// What it asks for.
    pub bindings: Vec<Binding>,
    group: Arc<Mutex<Group>>,
}

impl Subscriber {
    /// A channel that asks for changes.
    #[must_use]
    pub fn new(channel: u64, name: &str, line: Arc<Line>, bindings: Vec<Binding>, group: Group) -> Subscriber {
        Subscriber {
            channel,
            name: name.to_owned(),
            line,
            bindings,
            group: Arc::new(Mutex::new(group)),
        }
    }

    /// The same channel with what it asks for made sure of.
    #[must_use]
    pub fn with(&self, bindings: Vec<Binding>) -> Subscriber {
        Subscriber {
            channel: self.channel,
            name: self.name.clone(),
            line: self.line.clone(),
            bindings,
            group: self.group.clone(),
        }
    }

    /// Whose rights it has.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has other rights from now on.
    pub fn renew(&self, group: Group) {
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = group;
    }

    /// The topic, as the client names it.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("realtime:{}", self.name)
    }
}

/// All that is asked for in this process.
#[derive(Debug, Default)]
pub struct Registry {
    by_channel: Mutex<HashMap<u64, Arc<Subscriber>>>,
    by_table: Mutex<HashMap<TableKey, Audience>>,
}

/// A table that is asked for by name; none: whoever asks for all of something.
type TableKey = Option<(String, String)>;

fn key(binding: &Binding) -> TableKey {
    binding.schema.clone().zip(binding.table.clone())
}

impl Registry {
    fn tables(&self) -> MutexGuard<'_, HashMap<TableKey, Audience>> {
        self.by_table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<u64, Arc<Subscriber>>> {
        self.by_channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes reach it from now on.
    pub fn add(&self, subscriber: &Arc<Subscriber>) {
        self.channels().insert(subscriber.channel, subscriber.clone());
        let mut tables = self.tables();
        for binding in &subscriber.bindings {
            tables.entry(key(binding)).or_default().add(binding, subscriber);
        }
    }

    /// Changes reach it no more.
    pub fn remove(&self, channel: u64) {
        let Some(subscriber) = self.channels().remove(&channel) else {
            return;
        };
        let mut tables = self.tables();
        for binding in &subscriber.bindings {
            let key = key(binding);
            if let Some(audience) = tables.get_mut(&key) {
                audience.remove(binding, channel);
                if audience.is_empty() {
                    tables.remove(&key);
                }
            }
        }
    }

    /// Everybody.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Subscriber>> {
        self.channels().values().cloned().collect()
    }

    /// Those whom a change may concern.
    #[must_use]
    pub fn about(&self, change: &Change) -> Vec<Arc<Subscriber>> {
        let tables = self.tables();
        let named = Some((change.relation.schema.clone(), change.relation.name.clone()));
        let mut found = Channels::new();
        for key in [&named, &None] {
            if let Some(audience) = tables.get(key) {
                audience.find(change, &mut found);
            }
        }
        found.into_values().collect()
    }

    /// Whether nobody asks for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables().is_empty()
    }
}
