//! Which statements a connection has prepared.

use std::{collections::HashMap, io};

use super::wire::Pen;

/// Statements that stay prepared on a connection: a page of an application has a few dozen, and each costs PostgreSQL
/// some 10 - 100 KiB.
const STATEMENTS_MAX: usize = 256;

/// Statements of one connection, by their text.
#[derive(Default)]
pub struct Statements {
    known: HashMap<String, Kept>,
    /// Statements that PostgreSQL has and nobody needs any more.
    unneeded: Vec<String>,
    ticks: u64,
}

struct Kept {
    name: String,
    used: u64,
}

impl Statements {
    /// The name of a statement that is prepared already.
    pub fn prepared(&mut self, text: &str) -> Option<&str> {
        self.ticks += 1;
        let kept = self.known.get_mut(text)?;
        kept.used = self.ticks;
        Some(&kept.name)
    }

    /// A name for a statement that is about to be prepared.
    pub fn new_name(&mut self) -> String {
        self.ticks += 1;
        format!("s{}", self.ticks)
    }

    /// Keeps a statement that was prepared under a name; the one that was not used for longest makes room.
    pub fn keep(&mut self, text: &str, name: String) {
        if self.known.len() >= STATEMENTS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(text, _)| text.clone()) {
                self.forget(&oldest);
            }
        }
        let used = self.ticks;
        self.known.insert(text.to_owned(), Kept { name, used });
    }

    /// Forgets a statement, so that it is prepared again.
    pub fn forget(&mut self, text: &str) {
        if let Some(kept) = self.known.remove(text) {
            self.unneeded.push(kept.name);
        }
    }

    /// PostgreSQL may forget a name, whether or not it came to know it.
    pub fn let_go(&mut self, name: String) {
        self.unneeded.push(name);
    }

    /// Writes what PostgreSQL may forget.
    ///
    /// # Errors
    /// When a name is none.
    pub fn tidy(&mut self, pen: &mut Pen) -> io::Result<()> {
        for name in self.unneeded.drain(..) {
            pen.close(&name)?;
        }
        Ok(())
    }
}
