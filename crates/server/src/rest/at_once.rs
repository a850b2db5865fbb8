//! Statements of the program on a session: sent at once, in one transaction, and kept prepared.

use std::io;

use super::{
    session::Session,
    wire::{Heard, Row, WireError},
};

/// A statement, and its values as texts of no type.
pub type Step<'a> = (&'static str, &'a [&'a str]);

impl Session {
    /// Runs statements that only look, one after the other in a transaction of their own: the rows of the last. One round trip,
    /// also the first time.
    ///
    /// # Errors
    /// See [`WireError`]; afterwards the session can be used again, unless the connection is lost.
    pub async fn look(&mut self, steps: &[Step<'_>]) -> Result<Vec<Row>, WireError> {
        match self.look_once(steps).await {
            Err(WireError::Refused(fault)) if fault.is_of_outdated_statement() => self.look_once(steps).await,
            outcome => outcome,
        }
    }

    async fn look_once(&mut self, steps: &[Step<'_>]) -> Result<Vec<Row>, WireError> {
        let mut new = Vec::new();
        if let Err(error) = self.write_all(steps, &mut new) {
            self.wire.abandon();
            return Err(error.into());
        }
        let outcome = self.rows_of_last(steps.len()).await;
        match &outcome {
            Ok(_) => {
                for (text, name) in new {
                    self.statements.keep(text, name);
                }
            }
            Err(error) => {
                if matches!(error, WireError::Refused(fault) if fault.is_of_outdated_statement()) {
                    steps.iter().for_each(|(text, _)| self.statements.forget(text));
                }
                new.into_iter().for_each(|(_, name)| self.statements.let_go(name));
            }
        }
        self.wire.settle().await?;
        outcome
    }

    fn write_all(&mut self, steps: &[Step<'_>], new: &mut Vec<(&'static str, String)>) -> io::Result<()> {
        let (statements, pen) = (&mut self.statements, &mut self.wire.pen);
        statements.tidy(pen)?;
        for (text, values) in steps {
            let name = match statements.prepared(text) {
                Some(name) => name.to_owned(),
                None => {
                    let name = statements.new_name();
                    pen.parse(&name, text)?;
                    new.push((*text, name.clone()));
                    name
                }
            };
            pen.run(&name, values.iter().map(|value| Some(*value)))?;
        }
        pen.sync();
        Ok(())
    }

    async fn rows_of_last(&mut self, count: usize) -> Result<Vec<Row>, WireError> {
        self.wire.send().await?;
        let (mut done, mut rows) = (0, Vec::new());
        loop {
            match self.wire.hear().await? {
                Heard::Row(row) if done + 1 == count => rows.push(row),
                Heard::Row(_) => {}
                Heard::Done => done += 1,
                Heard::Ready => return Ok(rows),
            }
        }
    }
}
