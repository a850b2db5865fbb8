//! A connection that quick reads of a role share: each writes its messages behind those of the others, up to a Sync of its
//! own, and gets its row when PostgreSQL comes to it. Between two Syncs is a transaction, so that nobody sees what another
//! one has set, and what one is refused ends at its Sync.
//!
//! What it saves is system calls and processes that are woken: while PostgreSQL is busy with one request the next ones
//! gather, and go out together. A lane promises nothing: whoever gets no row from it asks by a connection of his own, which
//! is safe because all that is asked here only reads.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use pgrest::plan::StatementPlan;
use tokio::sync::oneshot;

use super::{
    run::{self, Expected, Setup},
    session::Origin,
    statements::Statements,
    wire::{Heard, Pen, Row, Wire, WireError},
};

/// Requests that a lane takes at once.
const WAITING_MAX: usize = 32;

/// With so many on their way PostgreSQL is busy for now: what comes meanwhile is sent with the next answer.
const BUSY_WITH: usize = 2;

/// A lane whose first request has waited for so long gets no more of them.
const STUCK_AFTER: Duration = Duration::from_millis(10);

/// A lane that nobody used for so long ends.
const LINGERS: Duration = Duration::from_millis(100);

/// A connection that has answered nothing for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// What a request gets: its row, if there is one, and how long PostgreSQL had it. Nothing at all where it was refused.
pub(super) type Answer = oneshot::Receiver<(Option<Row>, Duration)>;

/// The side on which requests are written.
pub(super) struct Lane {
    /// Its session's.
    pub(super) origin: Origin,
    desk: Mutex<Desk>,
}

struct Desk {
    pen: Pen,
    statements: Statements,
    waiting: VecDeque<Asked>,
    /// How many of those that wait were not sent yet: the last ones.
    unsent: usize,
    /// Since when the first one of them is the first.
    first_since: Instant,
    driver: Option<Waker>,
    is_over: bool,
}

struct Asked {
    /// The command whose row is wanted, counted from 0.
    main: u32,
    reply: oneshot::Sender<(Option<Row>, Duration)>,
}

/// How a lane ended.
pub(super) enum End {
    /// Nobody asks: the connection can be used for something else.
    Unused(Box<(Wire, Statements)>),
    /// The connection is of no more use.
    Lost,
}

impl Lane {
    pub(super) fn new(statements: Statements, origin: Origin) -> Lane {
        Lane {
            origin,
            desk: Mutex::new(Desk {
                pen: Pen::default(),
                statements,
                waiting: VecDeque::new(),
                unsent: 0,
                first_since: Instant::now(),
                driver: None,
                is_over: false,
            }),
        }
    }

    /// How many wait; none where it takes no more.
    pub(super) fn waiting(&self) -> Option<usize> {
        let desk = self.desk();
        let takes = !desk.is_over
            && desk.waiting.len() < WAITING_MAX
            && (desk.waiting.is_empty() || desk.first_since.elapsed() < STUCK_AFTER);
        takes.then_some(desk.waiting.len())
    }

    /// Writes a request. Nothing where the lane is over, or a message would be too large.
    pub(super) fn ask(&self, setup: &Setup<'_>, plan: &StatementPlan) -> Option<Answer> {
        let mut desk = self.desk();
        if desk.is_over {
            return None;
        }
        let Desk { pen, statements, .. } = &mut *desk;
        let before = pen.written();
        let mut expected = Expected::default();
        if run::write(pen, statements, setup, plan, None, &mut expected).is_err() {
            pen.back_to(before);
            return None;
        }
        pen.sync();
        for (text, name) in expected.new {
            statements.keep(&text, name);
        }
        if desk.waiting.is_empty() {
            desk.first_since = Instant::now();
        }
        let (reply, answer) = oneshot::channel();
        desk.waiting.push_back(Asked {
            main: expected.main,
            reply,
        });
        desk.unsent += 1;
        if desk.waiting.len() - desk.unsent < BUSY_WITH
            && let Some(driver) = desk.driver.take()
        {
            drop(desk);
            driver.wake();
        }
        Some(answer)
    }

    /// A statement that was refused is prepared again by whoever asks next.
    pub(super) fn forget(&self, text: &str) {
        self.desk().statements.forget(text);
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries what is written to PostgreSQL and the answers back, until nobody asks any more.
    pub(super) async fn drive(&self, wire: Wire) -> End {
        let mut driver = Driver {
            wire,
            out: BytesMut::new(),
            is_sending: false,
            done: 0,
            row: None,
            is_refused: false,
        };
        loop {
            let turn = poll_fn(|context| driver.turn(self, context));
            let is_lost = tokio::time::timeout(LINGERS, turn).await.is_ok();
            let mut desk = self.desk();
            let quiet = desk.first_since.elapsed();
            if is_lost || quiet > GIVEN_UP_AFTER {
                desk.is_over = true;
                desk.waiting.clear();
                return End::Lost;
            }
            if desk.waiting.is_empty() && quiet > LINGERS {
                desk.is_over = true;
                let statements = std::mem::take(&mut desk.statements);
                drop(desk);
                return End::Unused(Box::new((driver.wire, statements)));
            }
        }
    }
}

/// The side that has the connection.
struct Driver {
    wire: Wire,
    /// What is being sent.
    out: BytesMut,
    is_sending: bool,
    /// Commands of the first request that are through.
    done: u32,
    row: Option<Row>,
    is_refused: bool,
}

impl Driver {
    /// Hears what is there, sends what was written, and waits for more of either; ready only when the connection is lost.
    fn turn(&mut self, lane: &Lane, context: &mut Context<'_>) -> Poll<Result<Infallible, WireError>> {
        loop {
            while let Poll::Ready(heard) = self.wire.poll_hear(context) {
                self.note(lane, heard)?;
            }
            if !self.is_sending {
                let mut desk = lane.desk();
                desk.driver = Some(context.waker().clone());
                if desk.unsent == 0 {
                    return Poll::Pending;
                }
                desk.unsent = 0;
                self.out = desk.pen.take();
                self.is_sending = true;
            }
            match self.wire.poll_send(context, &mut self.out) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => return Poll::Pending,
            }
            self.is_sending = false;
        }
    }

    fn note(&mut self, lane: &Lane, heard: Result<Heard, WireError>) -> Result<(), WireError> {
        match heard {
            Ok(Heard::Row(row)) => {
                let desk = lane.desk();
                if self.row.is_none() && desk.waiting.front().is_some_and(|asked| asked.main == self.done) {
                    self.row = Some(row);
                }
            }
            Ok(Heard::Done) => self.done += 1,
            Err(WireError::Refused(_)) => self.is_refused = true,
            Err(error @ WireError::Lost(_)) => return Err(error),
            Ok(Heard::Ready) => {
                let row = self.row.take();
                let asked = {
                    let mut desk = lane.desk();
                    let now = Instant::now();
                    let took = now.duration_since(desk.first_since);
                    desk.first_since = now;
                    desk.waiting.pop_front().map(|asked| (asked, took))
                };
                if let (Some((asked, took)), false) = (asked, self.is_refused) {
                    // Whoever asked may have gone away.
                    let _ = asked.reply.send((row, took));
                }
                (self.done, self.is_refused) = (0, false);
            }
        }
        Ok(())
    }
}
