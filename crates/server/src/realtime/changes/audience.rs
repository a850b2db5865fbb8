//! Who asks for the changes of one table. A change finds those whom it may concern by its values: who follows rows of one
//! value costs nothing while others change.

use std::{collections::HashMap, sync::Arc};

use super::{
    registry::{Binding, Subscriber},
    wal::{Cell, Change},
};

/// Channels by their numbers.
pub(super) type Channels = HashMap<u64, Arc<Subscriber>>;

/// Those who ask for changes of a table.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// Those with a binding whose filter asks for no value.
    any: Channels,
    /// By a column and the value that a binding's filter wants it to have.
    by_value: HashMap<String, HashMap<String, Channels>>,
}

/// A column and the value without which a binding is not about a row.
fn wanted(binding: &Binding) -> Option<(&str, &str)> {
    binding.filter.iter().find_map(|term| term.only())
}

impl Audience {
    pub(super) fn add(&mut self, binding: &Binding, subscriber: &Arc<Subscriber>) {
        let channels = match wanted(binding) {
            None => &mut self.any,
            Some((column, value)) => {
                let values = self.by_value.entry(column.to_owned()).or_default();
                values.entry(value.to_owned()).or_default()
            }
        };
        channels.insert(subscriber.channel, subscriber.clone());
    }

    pub(super) fn remove(&mut self, binding: &Binding, channel: u64) {
        let Some((column, value)) = wanted(binding) else {
            self.any.remove(&channel);
            return;
        };
        let Some(values) = self.by_value.get_mut(column) else {
            return;
        };
        if let Some(channels) = values.get_mut(value) {
            channels.remove(&channel);
            if channels.is_empty() {
                values.remove(value);
            }
        }
        if values.is_empty() {
            self.by_value.remove(column);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.any.is_empty() && self.by_value.is_empty()
    }

    /// Adds those whom a change may concern; whether it does is for their filters to say.
    pub(super) fn find(&self, change: &Change, found: &mut Channels) {
        let add = |channels: &Channels, found: &mut Channels| {
            found.extend(
                channels
                    .iter()
                    .map(|(channel, subscriber)| (*channel, subscriber.clone())),
            );
        };
        add(&self.any, found);
        // A row that is gone is known by what identified it.
        let Some(cells) = change.new.as_ref().or(change.old.as_ref()) else {
            return;
        };
        for (column, values) in &self.by_value {
            let place = change.relation.columns.iter().position(|name| name == column);
            if let Some(Cell::Text(text)) = place.and_then(|place| cells.get(place))
                && let Some(channels) = values.get(text)
            {
                add(channels, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::{
        filter,
        registry::{Group, Registry},
        wal::{Kind, Relation},
    };
    use super::*;
    use crate::realtime::{frame::Version, hub::Line};

    fn subscriber(channel: u64, filters: &[(&str, &str)]) -> Arc<Subscriber> {
        let texts: Vec<Box<serde_json::value::RawValue>> = filters
            .iter()
            .map(|(filter, _)| {
                let asked = serde_json::json!({ "event": "*", "schema": "public", "table": "t", "filter": filter });
                serde_json::value::to_raw_value(&asked).unwrap()
            })
            .collect();
        let mut number = 0;
        let mut bindings = super::super::registry::read(&texts, || {
            number += 1;
            number
        })
        .unwrap();
        for (binding, (_, kind)) in bindings.iter_mut().zip(filters) {
            for term in &mut binding.filter {
                (*kind).clone_into(&mut term.kind);
            }
        }
        let group = Group {
            role: "authenticated",
            claims: Arc::from("{}"),
        };
        let (line, _) = Line::new(Version::Two);
        Arc::new(Subscriber::new(channel, "c", line, bindings, group))
    }

    fn change(id: &str, word: Option<&str>) -> Change {
        let relation = Relation {
            oid: 1,
            schema: "public".to_owned(),
            name: "t".to_owned(),
            columns: vec!["id".to_owned(), "word".to_owned()],
        };
        let word = word.map_or(Cell::Null, |word| Cell::Text(word.to_owned()));
        Change {
            relation: Arc::new(relation),
            kind: Kind::Insert,
            new: Some(vec![Cell::Text(id.to_owned()), word]),
            old: None,
            is_old_whole: false,
            xid: 1,
            committed_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn whoever_a_change_concerns_is_found_and_others_are_not_asked() {
        let registry = Registry::default();
        let all = [
            subscriber(1, &[("", "")]),
            subscriber(2, &[("id=eq.7", "int4")]),
            subscriber(3, &[("id=eq.8", "int4"), ("word=eq.a", "text")]),
            subscriber(4, &[("id=gt.5", "int4")]),
            subscriber(5, &[("id=not.eq.7", "int4")]),
            subscriber(6, &[("id=eq.7.0", "numeric")]),
            subscriber(7, &[("word=neq.a,id=eq.7", "int4")]),
        ];
        all.iter().for_each(|one| registry.add(one));
        let found = |id: &str, word: Option<&str>| {
            let found = registry.about(&change(id, word));
            let mut channels: Vec<u64> = found.iter().map(|one| one.channel).collect();
            channels.sort_unstable();
            channels
        };
        // Those whom only a comparison can tell apart are asked each time.
        assert_eq!(found("7", None), [1, 2, 4, 5, 6, 7]);
        assert_eq!(found("8", Some("a")), [1, 3, 4, 5, 6]);
        assert_eq!(found("9", Some("a")), [1, 3, 4, 5, 6]);
        assert_eq!(found("9", Some("b")), [1, 4, 5, 6]);
        // Nobody whose filter lets it through is left out.
        for (id, word) in [("7", None), ("8", Some("a")), ("7", Some("a")), ("9", Some("b"))] {
            let change = change(id, word);
            let wanted = all.iter().filter(|one| {
                let mut bindings = one.bindings.iter();
                bindings.any(|binding| binding.is_about(&change) && binding.lets_through(&change).is_some())
            });
            for one in wanted {
                assert!(found(id, word).contains(&one.channel), "{} of {id}", one.channel);
            }
        }
        (1..=7).for_each(|channel| registry.remove(channel));
        assert!(found("7", Some("a")).is_empty() && registry.is_empty());
        assert!(
            filter::parse("id=eq.7").unwrap()[0].only().is_none(),
            "while its type is not known"
        );
    }
}
