//! Who is there: presences of all processes, merged without anybody in charge.
//!
//! Each presence belongs to one channel of one process, and only that process says that it came, changed or went. So what
//! two processes know is merged by taking each one's word about its own, in whatever order it comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::hub::TopicKey;

/// A process, by a name of its own.
pub type Node = String;

/// One presence: what somebody tracks in one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The channel, unique in its process.
    pub channel: u64,
    /// Whose it is, as the client says.
    pub key: String,
    /// A new one at each change.
    pub phx_ref: String,
    /// The one before.
    pub phx_ref_prev: Option<String>,
    /// What is tracked.
    pub payload: Map<String, Value>,
}

impl Entry {
    fn meta(&self) -> Value {
        let mut meta = self.payload.clone();
        meta.insert("phx_ref".to_owned(), self.phx_ref.as_str().into());
        if let Some(before) = &self.phx_ref_prev {
            meta.insert("phx_ref_prev".to_owned(), before.as_str().into());
        }
        Value::Object(meta)
    }
}

/// What changed in a topic.
#[derive(Debug, Default, Clone)]
pub struct Diff {
    joins: Vec<Entry>,
    leaves: Vec<Entry>,
}

impl Diff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joins.is_empty() && self.leaves.is_empty()
    }

    /// `{"joins":{...},"leaves":{...}}`.
    #[must_use]
    pub fn payload(&self) -> String {
        json!({ "joins": by_key(&self.joins), "leaves": by_key(&self.leaves) }).to_string()
    }
}

fn by_key<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Value {
    let mut keys: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for entry in entries {
        keys.entry(&entry.key).or_default().push(entry.meta());
    }
    let state: Map<String, Value> = keys
        .into_iter()
        .map(|(key, metas)| (key.to_owned(), json!({ "metas": metas })))
        .collect();
    Value::Object(state)
}

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Presences {
    topics: HashMap<TopicKey, BTreeMap<(Node, u64), Entry>>,
}

impl Presences {
    /// What a joiner is told: `{"<key>":{"metas":[...]}}`.
    #[must_use]
    pub fn state(&self, topic: &TopicKey) -> String {
        let entries = self.topics.get(topic).into_iter().flat_map(BTreeMap::values);
        by_key(entries).to_string()
    }

    /// The presence of a channel.
    #[must_use]
    pub fn of(&self, topic: &TopicKey, node: &str, channel: u64) -> Option<&Entry> {
        self.topics.get(topic)?.get(&(node.to_owned(), channel))
    }

    /// Takes a process's word for a presence.
    pub fn put(&mut self, topic: &TopicKey, node: &str, entry: Entry) -> Diff {
        let entries = self.topics.entry(topic.clone()).or_default();
        let before = entries.insert((node.to_owned(), entry.channel), entry.clone());
        if before.as_ref() == Some(&entry) {
            return Diff::default();
        }
        Diff {
            joins: vec![entry],
            leaves: before.into_iter().collect(),
        }
    }

    /// Takes a process's word that a presence is over.
    pub fn remove(&mut self, topic: &TopicKey, node: &str, channel: u64) -> Diff {
        let Some(entries) = self.topics.get_mut(topic) else {
            return Diff::default();
        };
        let gone = entries.remove(&(node.to_owned(), channel));
        if entries.is_empty() {
            self.topics.remove(topic);
        }
        Diff {
            joins: Vec::new(),
            leaves: gone.into_iter().collect(),
        }
    }

    /// Whose presences there are.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<Node> {
        let owners = self.topics.values().flat_map(BTreeMap::keys);
        owners.map(|(owner, _)| owner.clone()).collect()
    }

    /// Everything of one process, as it says it to others.
    #[must_use]
    pub fn of_node(&self, node: &str) -> Vec<(TopicKey, Entry)> {
        let mut all = Vec::new();
        for (topic, entries) in &self.topics {
            for ((owner, _), entry) in entries {
                if owner == node {
                    all.push((topic.clone(), entry.clone()));
                }
            }
        }
        all
    }

    /// Takes a process's word for all that is its; without any, it is gone.
    pub fn replace(&mut self, node: &str, all: Vec<(TopicKey, Entry)>) -> Vec<(TopicKey, Diff)> {
        let mut new: HashMap<TopicKey, HashMap<u64, Entry>> = HashMap::new();
        for (topic, entry) in all {
            new.entry(topic).or_default().insert(entry.channel, entry);
        }
        let mut diffs = Vec::new();
        let known: Vec<TopicKey> = self.topics.keys().cloned().collect();
        for topic in known {
            let kept = new.remove(&topic).unwrap_or_default();
            let Some(entries) = self.topics.get_mut(&topic) else {
                continue;
            };
            let mut diff = Diff::default();
            entries.retain(|(owner, channel), entry| {
                let stays = owner != node || kept.contains_key(channel);
                if !stays {
                    diff.leaves.push(entry.clone());
                }
                stays
            });
            if entries.is_empty() {
                self.topics.remove(&topic);
            }
            for entry in kept.into_values() {
                let one = self.put(&topic, node, entry);
                diff.joins.extend(one.joins);
                diff.leaves.extend(one.leaves);
            }
            diffs.push((topic, diff));
        }
        for (topic, entries) in new {
            let mut diff = Diff::default();
            for entry in entries.into_values() {
                diff.joins.extend(self.put(&topic, node, entry).joins);
            }
            diffs.push((topic, diff));
        }
        diffs.retain(|(_, diff)| !diff.is_empty());
        diffs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicKey {
        TopicKey {
            name: name.to_owned(),
            is_private: false,
        }
    }

    fn entry(channel: u64, key: &str, phx_ref: &str) -> Entry {
        Entry {
            channel,
            key: key.to_owned(),
            phx_ref: phx_ref.to_owned(),
            phx_ref_prev: None,
            payload: Map::new(),
        }
    }

    #[test]
    fn a_change_is_one_diff_and_the_same_again_is_none() {
        let mut all = Presences::default();
        let room = topic("room");
        assert_eq!(
            all.put(&room, "a", entry(1, "ann", "r1")).payload(),
            r#"{"joins":{"ann":{"metas":[{"phx_ref":"r1"}]}},"leaves":{}}"#
        );
        assert!(all.put(&room, "a", entry(1, "ann", "r1")).is_empty());
        assert_eq!(
            all.put(&room, "a", entry(1, "ann", "r2")).payload(),
            r#"{"joins":{"ann":{"metas":[{"phx_ref":"r2"}]}},"leaves":{"ann":{"metas":[{"phx_ref":"r1"}]}}}"#
        );
        all.put(&room, "b", entry(1, "ann", "r3"));
        assert_eq!(
            all.state(&room),
            r#"{"ann":{"metas":[{"phx_ref":"r2"},{"phx_ref":"r3"}]}}"#,
            "one person at two places"
        );
        assert!(!all.remove(&room, "a", 1).is_empty());
        assert!(all.remove(&room, "a", 1).is_empty(), "once");
    }

    #[test]
    fn a_process_that_died_takes_its_own_away() {
        let mut all = Presences::default();
        all.put(&topic("x"), "a", entry(1, "ann", "r1"));
        all.put(&topic("x"), "b", entry(1, "ben", "r2"));
        all.put(&topic("y"), "a", entry(2, "ann", "r3"));
        let diffs = all.replace("a", Vec::new());
        assert_eq!(diffs.len(), 2);
        assert_eq!(all.state(&topic("x")), r#"{"ben":{"metas":[{"phx_ref":"r2"}]}}"#);
        assert_eq!(all.state(&topic("y")), "{}");
    }

    proptest::proptest! {
        /// Whatever of each process's words came in between, its whole word at the end makes everybody agree.
        #[test]
        fn all_agree_after_each_ones_whole_word(words in proptest::collection::vec((0..3_u8, 0..3_u64, 0..3_u8, 0..4_u8), 0..40), order: bool) {
            let names = ["a", "b", "c"];
            // What each process knows of itself.
            let mut own: Vec<Presences> = names.iter().map(|_| Presences::default()).collect();
            let mut others = [Presences::default(), Presences::default()];
            for (at, (node, channel, room, kind)) in words.into_iter().enumerate() {
                let name = names[usize::from(node)];
                let room = topic(&room.to_string());
                let mut hearing: Vec<&mut Presences> = vec![&mut own[usize::from(node)]];
                // Others miss some words.
                let [one, two] = &mut others;
                if at % 2 == 0 { hearing.push(one) } else { hearing.push(two) }
                for all in hearing {
                    if kind == 0 {
                        all.remove(&room, name, channel);
                    } else {
                        all.put(&room, name, entry(channel, name, &at.to_string()));
                    }
                }
            }
            let mut at = [0, 1, 2];
            if order { at.reverse(); }
            for node in at {
                let word = own[node].of_node(names[node]);
                let [one, two] = &mut others;
                one.replace(names[node], word.clone());
                two.replace(names[node], word);
            }
            for room in 0..3 {
                let room = topic(&room.to_string());
                proptest::prop_assert_eq!(others[0].state(&room), others[1].state(&room));
            }
        }
    }
}
