//! What the load asked for, and what it was told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use uuid::Uuid;

/// What a client knows of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// It was done, and this was answered.
    Done(Value),
    /// It was refused: nothing of it is there.
    Refused(u16),
    /// An answer that says nothing, or none.
    Unknown(u16),
}

/// A command that a client sent under a key of its own.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) caller: Uuid,
    pub(super) token: String,
    pub(super) name: &'static str,
    pub(super) key: String,
    pub(super) body: String,
    pub(super) outcome: Outcome,
}

/// Everything that was sent so far.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    commands: Vec<Sent>,
    messages: Vec<String>,
    acknowledged: usize,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, sent: Sent) {
        let mut told = self.lock();
        told.acknowledged += usize::from(matches!(sent.outcome, Outcome::Done(_)));
        told.commands.push(sent);
    }

    /// A payment message that was taken.
    pub(super) fn taken(&self, message: String) {
        let mut told = self.lock();
        told.acknowledged += 1;
        told.messages.push(message);
    }

    /// Answers that said that something was done.
    pub(super) fn acknowledged(&self) -> usize {
        self.lock().acknowledged
    }

    /// What was sent, and what messages were taken, since the last call.
    pub(super) fn take(&self) -> (Vec<Sent>, Vec<String>) {
        let mut told = self.lock();
        (std::mem::take(&mut told.commands), std::mem::take(&mut told.messages))
    }
}
