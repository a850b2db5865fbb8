//! Money that a rail says arrived, many payments at once: kept, and worked off where it simply pays what it was meant for.
//!
//! A message finds the offering of its checkout session, then waits in that offering's line; a batch is one transaction of two
//! exchanges with PostgreSQL. What is anything but a reservation paid exactly (a second payment, too much, too little, too
//! late, a message that something else rests on) is kept and left to [`super::messages`], which works off one by one. Both
//! write by the same functions of [`super::receiving`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mint_core::{
    money::Amount,
    payment::{self, Decision},
};
use tokio::sync::Semaphore;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    messages::WORKER,
    rail::{Message, SANDBOX, Said},
    receiving::{self, Arrival, NewPayment, PAID, Paying, Target, pay, read_target},
};
use crate::{
    app::App,
    command::{Command, RUNS_MAX, was_disturbed},
    db::{Db, sql, tx::START},
    offerings::{
        Offering,
        record::{self, LOCK_OFFERING, LOCK_SUPPLY},
    },
    problem::{Problem, chain},
    queue::{Limits, Queue},
};

/// The lines.
pub struct Arrivals {
    /// Checkout sessions, by the rail's name, whose offering is looked for.
    sessions: Arc<Queue<String, Option<Uuid>>>,
    /// Messages, by offering.
    messages: Arc<Queue<Told, Kept>>,
}

/// A message that was verified.
#[derive(Debug, Clone)]
pub struct Told {
    /// What it says.
    pub message: Message,
    /// The bytes that were signed.
    pub body: Vec<u8>,
    /// Their signature.
    pub signature: String,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is worked off.
    Done,
    /// It is kept; whoever brought it works it off.
    Open,
    /// It is not kept.
    No,
}

impl Arrivals {
    /// Empty lines, whose workers take these turns.
    #[must_use]
    pub fn new(limits: Limits, turns: Arc<Semaphore>) -> Arc<Arrivals> {
        Arc::new(Arrivals {
            sessions: Queue::new(limits, turns.clone()),
            messages: Queue::new(limits, turns),
        })
    }

    /// How many wait for their offering, or are at work.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.messages.waiting()
    }
}

/// Keeps a message, and works it off with others where it can.
///
/// # Errors
/// [`Problem::TooBusy`].
pub async fn keep(app: &App, told: Told) -> Result<Kept, Problem> {
    let Said::Paid {
        session: Some(session), ..
    } = &told.message.said
    else {
        return Ok(Kept::No);
    };
    let with = app.clone();
    let find = move |_, sessions: Vec<String>| {
        let app = with.clone();
        async move { (None, offerings_of(&app, &sessions).await) }
    };
    let found = app.arrivals.sessions.wait(Uuid::nil(), session.clone(), find).await?;
    let Some(offering_id) = found else {
        return Ok(Kept::No);
    };
    let with = app.clone();
    let work = move |_, batch: Vec<Told>| {
        let app = with.clone();
        async move { (None, run(&app, offering_id, &batch).await) }
    };
    app.arrivals.messages.wait(offering_id, told, work).await
}

/// The offerings whose reservations sessions pay. What cannot be found out is left to the messages' own way.
async fn offerings_of(app: &App, sessions: &[String]) -> Vec<Option<Uuid>> {
    let look = async {
        let command = Command::begin(app, WORKER).await?;
        let text = sql!(
            "select s.provider_ref, i.offering_id from public.payment_sessions as s join public.investments as i on i.id = s.investment_id
             where s.rail = $1 and s.provider_ref = any ($2)"
        );
        let rows = command.tx.query(text, &[&SANDBOX, &sessions]).await?;
        let found = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        found.collect::<Result<HashMap<String, Option<Uuid>>, Problem>>()
    };
    match look.await {
        Ok(found) => sessions
            .iter()
            .map(|session| found.get(session).copied().flatten())
            .collect(),
        Err(problem) => {
            tracing::warn!(cause = %chain(&problem), "what payments are for is looked up one by one");
            vec![None; sessions.len()]
        }
    }
}

/// Runs a batch; by halves, where it is refused. Everything it does happens once, however often it is run.
async fn run(app: &App, offering_id: Uuid, batch: &[Told]) -> Vec<Kept> {
    let mut runs = 1;
    loop {
        match Box::pin(once(app, offering_id, batch)).await {
            Ok(kept) => return kept,
            Err(problem) if runs < RUNS_MAX && was_disturbed(&problem) => runs += 1,
            Err(problem) => {
                tracing::warn!(cause = %chain(&problem), messages = batch.len(), "a batch of payments was undone");
                if batch.len() == 1 || matches!(problem, Problem::Unavailable(_) | Problem::Timeout) {
                    return vec![Kept::No; batch.len()];
                }
                let (first, second) = batch.split_at(batch.len() / 2);
                let mut kept = Box::pin(run(app, offering_id, first)).await;
                kept.extend(Box::pin(run(app, offering_id, second)).await);
                return kept;
            }
        }
    }
}

const KEEP: &str = sql!(
    "insert into nexus.payment_messages (rail, message_id, kind, payment_ref, body, signature, received_at, due_at)
     select $1, n.message_id, n.kind, n.payment_ref, n.body, n.signature, coalesce($7::timestamptz, now()), coalesce($7::timestamptz, now())
     from unnest($2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[]) with ordinality
       as n (message_id, kind, payment_ref, body, signature, place)
     order by n.place on conflict on constraint payment_messages_once do nothing"
);

/// One worker a payment at a time; the token's row is locked after this.
const LOCK_PAYMENTS: &str = sql!(
    "select pg_advisory_xact_lock(hashtextextended($1 || '/' || p.ref, 7))
     from (select distinct n.ref from unnest($2::text[]) as n (ref) order by n.ref) as p"
);

const OPEN: &str = sql!(
    "select m.id, m.message_id, m.payment_ref, m.body from nexus.payment_messages as m
     where m.rail = $1 and m.payment_ref = any ($2) and m.processed_at is null and m.dead_at is null order by m.id for no key update"
);

const RECORDED: &str =
    sql!("select p.provider_ref from public.payments as p where p.rail = $1 and p.provider_ref = any ($2)");

const WORKED_OFF: &str = sql!(
    "update nexus.payment_messages set processed_at = $2, outcome = $3, attempts = attempts + 1 where id = any ($1)"
);

const STATEMENTS: &[&str] = &[
    START,
    KEEP,
    LOCK_PAYMENTS,
    LOCK_SUPPLY,
    LOCK_OFFERING,
    record::LOAD,
    OPEN,
    RECORDED,
    receiving::TARGETS,
    WORKED_OFF,
];

async fn once(app: &App, offering_id: Uuid, batch: &[Told]) -> Result<Vec<Kept>, Problem> {
    let ids: Vec<&str> = batch.iter().map(|told| told.message.id.as_str()).collect();
    let kinds: Vec<&str> = batch.iter().map(|told| told.message.said.kind()).collect();
    let refs: Vec<&str> = batch.iter().map(|told| told.message.payment.as_str()).collect();
    let bodies: Vec<&[u8]> = batch.iter().map(|told| told.body.as_slice()).collect();
    let signatures: Vec<&str> = batch.iter().map(|told| told.signature.as_str()).collect();
    let sessions: Vec<&str> = batch.iter().filter_map(session_of).collect();
    let at = app.set_time();
    let tx = app.db.engine_connection().await?;
    tx.prepare(STATEMENTS).await?;
    tx.prepare(receiving::STATEMENTS).await?;
    let claims = Db::claims_of(WORKER);
    let of_messages: &[&(dyn ToSql + Sync)] = &[&SANDBOX, &ids, &kinds, &refs, &bodies, &signatures, &at];
    let (of_refs, of_sessions): (&[&(dyn ToSql + Sync)], &[&(dyn ToSql + Sync)]) =
        (&[&SANDBOX, &refs], &[&SANDBOX, &sessions]);
    let of_offering: &[&(dyn ToSql + Sync)] = &[&offering_id];
    let exchange = async {
        // Polled in this order, they leave in this order and at once: all of them are prepared.
        tokio::try_join!(biased;
            tx.start(&claims),
            tx.execute(KEEP, of_messages),
            tx.query(LOCK_PAYMENTS, of_refs),
            tx.query_opt(LOCK_SUPPLY, of_offering),
            tx.query_opt(LOCK_OFFERING, of_offering),
            tx.query_one(record::LOAD, of_offering),
            tx.query(OPEN, of_refs),
            tx.query(RECORDED, of_refs),
            tx.query(receiving::TARGETS, of_sessions),
        )
    };
    let (began, _, _, _, _, offering, open, recorded, targets) = Box::pin(exchange).await?;
    let offering = record::read(&offering)?;
    let targets = targets.iter().map(read_target).collect::<Result<HashMap<_, _>, _>>()?;
    let recorded = recorded
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<HashSet<String>, _>>()?;
    let open = open.iter().map(read_open).collect::<Result<Vec<Open>, Problem>>()?;
    let known = Known {
        offering: &offering,
        open: by_payment(&open),
        recorded: &recorded,
        targets: &targets,
    };
    let command = Command::over(app, tx, at.unwrap_or(began), WORKER);
    let mut taken = HashSet::new();
    let mut simple = Vec::new();
    let kept = batch
        .iter()
        .map(|told| known.look_at(told, &command, &mut taken, &mut simple));
    let kept: Vec<Kept> = kept.collect();
    write(&command, &offering, &simple).await?;
    command.tx.ended();
    Ok(kept)
}

fn session_of(told: &Told) -> Option<&str> {
    match &told.message.said {
        Said::Paid { session, .. } => session.as_deref(),
        Said::Settled { .. }
        | Said::Refunded { .. }
        | Said::RefundFailed { .. }
        | Said::PaidOut { .. }
        | Said::PayoutFailed { .. }
        | Said::ChargedBack { .. } => None,
    }
}

/// A message that is not worked off, as it was kept.
struct Open {
    id: i64,
    message_id: String,
    payment_ref: String,
    body: Vec<u8>,
}

fn read_open(row: &Row) -> Result<Open, Problem> {
    Ok(Open {
        id: row.try_get(0)?,
        message_id: row.try_get(1)?,
        payment_ref: row.try_get(2)?,
        body: row.try_get(3)?,
    })
}

fn by_payment(open: &[Open]) -> HashMap<&str, Vec<&Open>> {
    let mut by_payment: HashMap<&str, Vec<&Open>> = HashMap::new();
    for one in open {
        by_payment.entry(&one.payment_ref).or_default().push(one);
    }
    by_payment
}

/// What is known behind the locks.
struct Known<'a> {
    offering: &'a Offering,
    open: HashMap<&'a str, Vec<&'a Open>>,
    recorded: &'a HashSet<String>,
    targets: &'a HashMap<String, Target>,
}

/// A payment that pays its reservation exactly.
struct Simple<'a> {
    message_id: i64,
    payment_id: Uuid,
    arrival: Arrival<'a>,
    target: &'a Target,
}

impl<'a> Known<'a> {
    fn look_at(
        &self,
        told: &'a Told,
        command: &Command,
        taken: &mut HashSet<Uuid>,
        simple: &mut Vec<Simple<'a>>,
    ) -> Kept {
        let open = match self.open.get(told.message.payment.as_str()).map(Vec::as_slice) {
            // It came before, and nothing about its payment is open.
            None | Some([]) => return Kept::Done,
            Some([only]) if only.message_id == told.message.id && only.body == told.body => only,
            Some(_) => return Kept::Open,
        };
        match self.simple(told, open, command) {
            Some(one) if taken.insert(one.target.investment_id) => {
                simple.push(one);
                Kept::Done
            }
            Some(_) | None => Kept::Open,
        }
    }

    fn simple(&self, told: &'a Told, open: &Open, command: &Command) -> Option<Simple<'a>>
    where
        Self: 'a,
    {
        let Said::Paid {
            session,
            amount,
            currency,
            property_id,
        } = &told.message.said
        else {
            return None;
        };
        let target = self.targets.get(session.as_deref()?)?;
        let is_of_offering = target.offering_id == Some(self.offering.id);
        let fits = self.offering.currency.code() == currency;
        let is_new = !self.recorded.contains(&told.message.payment);
        let decision = payment::receive(Some(&target.purchase), *amount, fits, command.now);
        let is_exact = matches!(decision, Decision::Pays { matched, excess } if matched == *amount && excess == Amount::ZERO)
            && target.purchase.waiting == Amount::ZERO;
        (is_of_offering && is_new && is_exact).then(|| Simple {
            message_id: open.id,
            payment_id: Uuid::now_v7(),
            arrival: Arrival {
                rail: SANDBOX,
                provider_ref: &told.message.payment,
                session: session.as_deref(),
                amount: *amount,
                currency,
                property_id: *property_id,
                at: told.message.at,
            },
            target,
        })
    }
}

/// Writes what was paid, and commits what was kept.
async fn write(command: &Command, offering: &Offering, simple: &[Simple<'_>]) -> Result<(), Problem> {
    if simple.is_empty() {
        return Ok(command.tx.end().await?);
    }
    let payments = simple.iter().map(|one| NewPayment {
        id: one.payment_id,
        arrival: &one.arrival,
        target: Some(one.target),
        property_id: Some(offering.property_id),
        decimals: i16::from(u8::from(offering.currency.decimals())),
        matched: one.arrival.amount,
        unmatched: Amount::ZERO,
        returned: Amount::ZERO,
    });
    let paying = simple.iter().map(|one| Paying {
        payment_id: one.payment_id,
        target: one.target,
        matched: one.arrival.amount,
        excess: Amount::ZERO,
        waited: Vec::new(),
    });
    let (payments, paying): (Vec<NewPayment<'_>>, Vec<Paying<'_>>) = (payments.collect(), paying.collect());
    let messages: Vec<i64> = simple.iter().map(|one| one.message_id).collect();
    let of_messages: &[&(dyn ToSql + Sync)] = &[&messages, &command.now, &PAID];
    let exchange = async {
        // Polled in this order, they leave in this order and at once: all of them are prepared.
        tokio::try_join!(biased;
            receiving::record(command, &payments),
            pay(command, offering, &paying),
            async { Ok(command.tx.execute(WORKED_OFF, of_messages).await?) },
            async { Ok(command.tx.end().await?) },
        )
    };
    Box::pin(exchange).await?;
    Ok(())
}
