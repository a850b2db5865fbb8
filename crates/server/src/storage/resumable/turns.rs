//! Who writes which upload on this server: one at a time. Whoever comes later asks whoever writes to stop, since a client
//! whose network changed comes back while its old connection still seems to be there; what came over that one is kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

/// How long whoever writes may go on until he stops: one block to be written, or an object to be put in its place.
const PATIENCE: Duration = Duration::from_secs(5);

/// The uploads that are being written.
#[derive(Debug, Default)]
pub struct Turns {
    held: Mutex<HashMap<Uuid, Held>>,
}

#[derive(Debug, Clone)]
struct Held {
    stop: watch::Sender<bool>,
    /// Closed when the turn is over.
    over: watch::Receiver<()>,
}

/// The right to write one upload, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    id: Uuid,
    turns: Arc<Turns>,
    stop: watch::Receiver<bool>,
    _over: watch::Sender<()>,
}

impl Turns {
    /// Waits for the right to write an upload, after asking whoever has it to stop; none where he does not.
    pub(super) async fn take(self: &Arc<Self>, id: Uuid) -> Option<Turn> {
        self.take_for(id, PATIENCE).await
    }

    async fn take_for(self: &Arc<Self>, id: Uuid, patience: Duration) -> Option<Turn> {
        let taking = async {
            loop {
                match self.take_or_find(id) {
                    Ok(turn) => return turn,
                    Err(mut held) => {
                        held.stop.send_replace(true);
                        let _ = held.over.changed().await;
                    }
                }
            }
        };
        timeout(patience, taking).await.ok()
    }

    fn take_or_find(self: &Arc<Self>, id: Uuid) -> Result<Turn, Held> {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.get(&id) {
            return Err(held.clone());
        }
        let (stop, stopped) = watch::channel(false);
        let (over, is_over) = watch::channel(());
        all.insert(id, Held { stop, over: is_over });
        Ok(Turn {
            id,
            turns: self.clone(),
            stop: stopped,
            _over: over,
        })
    }
}

impl Turn {
    /// Comes back when somebody else wants to write the upload.
    pub(super) async fn is_wanted(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self.turns.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_later_has_his_turn_when_the_other_stops() {
        let (turns, id) = (Arc::new(Turns::default()), Uuid::new_v4());
        let first = turns.take(id).await.unwrap();
        let other = turns.take(Uuid::new_v4()).await.unwrap();
        let later = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(id).await.is_some() }
        });
        first.is_wanted().await;
        drop(first);
        assert!(later.await.unwrap());
        drop(other);
        assert!(
            turns.held.lock().unwrap().is_empty(),
            "nothing is left of those that are over"
        );
    }

    #[tokio::test]
    async fn whoever_does_not_stop_keeps_it() {
        let (turns, id) = (Arc::new(Turns::default()), Uuid::new_v4());
        let _first = turns.take(id).await.unwrap();
        assert!(turns.take_or_find(id).is_err());
        assert!(turns.take_for(id, Duration::ZERO).await.is_none());
    }
}
