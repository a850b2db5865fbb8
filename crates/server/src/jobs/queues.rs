//! Work that waits: how much, since when, what failed; and what an admin does about it, each time with a note in the audit
//! trail: trying it now, setting it aside until somebody brings it back, letting paused work go on.
//!
//! What an item carries is never shown: no body, no recipient, no key. Failed refunds and payouts are decided by two people
//! (`retry-refund`, `retry-payout`), so they are counted here and not touched.

use chrono::{DateTime, TimeDelta, Utc};
use mint_core::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::{self, Pace};
use crate::{command::Command, db::sql, permission::Admin, problem::Problem};

/// Rows of one queue that are counted; more is said to be more.
const COUNTED_MAX: i64 = 10_000;

/// Items that are listed.
const ITEMS_MAX: i64 = 100;

/// What is due for longer than this is late: the jobs come round every few seconds.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(1);

/// Asks what waits.
#[derive(Debug, Deserialize)]
pub struct Ask {}

/// What waits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Whether deadlines, closings and payouts run.
    paused: Option<Paused>,
    /// Every queue, also the empty ones.
    queues: Value,
    /// What was tried in vain or was set aside: those set aside first, then the oldest.
    items: Value,
    /// Rows of a queue that are counted at most.
    counted_max: i64,
}

#[derive(Debug, Serialize)]
struct Paused {
    since: DateTime<Utc>,
    reason: String,
}

/// A queue whose items an admin can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Queue {
    PaymentMessages,
    Events,
    Mails,
}

impl Queue {
    fn table(self) -> &'static str {
        match self {
            Queue::PaymentMessages => "nexus.payment_messages",
            Queue::Events => "nexus.outbox_events",
            Queue::Mails => "nexus.login_mails",
        }
    }
}

/// Names an item.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    queue: Queue,
    id: String,
}

/// Names an item, and says why it is set aside.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    queue: Queue,
    id: String,
    reason: String,
}

/// Says why paused work may go on.
#[derive(Debug, Deserialize)]
pub struct Resume {
    reason: String,
}

/// It was done.
#[derive(Debug, Serialize)]
pub struct Done {
    success: bool,
}

const DONE: Done = Done { success: true };

/// One line a queue: waiting and when the next one is due, late, tried in vain, set aside. Refunds and payouts that failed
/// wait for two people. Changes to fold have no instant of their own.
const QUEUES: &str = sql!(
    "with queues (place, name, waits, late, failing, aside, oldest_at, next_at) as (
       select 1, 'payment_messages', count(*) filter (where m.dead_at is null), count(*) filter (where m.dead_at is null and m.due_at < $1),
              count(*) filter (where m.dead_at is null and m.last_error is not null), count(*) filter (where m.dead_at is not null),
              min(m.received_at) filter (where m.dead_at is null), min(m.due_at) filter (where m.dead_at is null)
       from (select m.received_at, m.due_at, m.dead_at, m.last_error from nexus.payment_messages as m where m.processed_at is null limit $2::bigint + 1) as m
       union all
       select 2, 'refunds', count(*) filter (where r.status <> 'failed'), count(*) filter (where r.status <> 'failed' and r.due_at < $1),
              count(*) filter (where r.status = 'failed'), 0, min(r.created_at) filter (where r.status <> 'failed'),
              min(r.due_at) filter (where r.status <> 'failed')
       from (select r.status, r.due_at, r.created_at from public.refunds as r where r.status in ('due', 'sent', 'failed') limit $2::bigint + 1) as r
       union all
       select 3, 'payouts', count(*) filter (where o.status <> 'failed'), count(*) filter (where o.status <> 'failed' and o.due_at < $1),
              count(*) filter (where o.status = 'failed'), 0, min(o.created_at) filter (where o.status <> 'failed'),
              min(o.due_at) filter (where o.status <> 'failed')
       from (select o.status, o.due_at, o.created_at from public.payouts as o where o.status in ('due', 'sent', 'failed') limit $2::bigint + 1) as o
       union all
       select 4, 'reservations', count(*), count(*) filter (where i.due_at < $1), 0, 0, min(i.created_at), min(i.due_at)
       from (select i.due_at, i.created_at from public.investments as i where i.status = 'pending' and i.due_at is not null limit $2::bigint + 1) as i
       union all
       select 5, 'transfers', count(*), count(*) filter (where t.due_at < $1), 0, 0, min(t.created_at), min(t.due_at)
       from (select t.due_at, t.created_at from public.transfers as t where t.status in ('requested', 'accepted') limit $2::bigint + 1) as t
       union all
       select 6, 'mails', count(*), count(*) filter (where m.due_at < $1), count(*) filter (where m.attempts > 0), 0, min(m.created_at), min(m.due_at)
       from nexus.waiting_mails() as m
       union all
       select 7, 'figures', count(*), 0, 0, 0, null, null from (select from nexus.figure_changes limit $2::bigint + 1) as f
       union all
       select 8, 'contents', count(*), 0, 0, 0, min(u.noted_at), null from (select u.noted_at from nexus.unnamed_files as u limit $2::bigint + 1) as u
       union all
       select 9, 'events', count(*), 0, count(*) filter (where e.attempts > 0),
              (select count(*) from nexus.outbox_events as d where d.dead_at is not null), min(e.created_at), null
       from (select e.attempts, e.created_at from nexus.outbox_events as e where e.done_at is null and e.dead_at is null
             order by e.available_at, e.id limit $2::bigint + 1) as e)
     select jsonb_agg(jsonb_build_object('queue', q.name, 'waiting', q.waits, 'late', q.late, 'failing', q.failing, 'aside', q.aside,
              'oldestAt', q.oldest_at, 'nextAt', q.next_at) order by q.place) from queues as q"
);

const ITEMS: &str = sql!(
    "with items (queue, id, kind, since, attempts, next_at, aside_at, error) as (
       (select 'payment_messages', m.id::text, m.kind, m.received_at, m.attempts, m.due_at, m.dead_at, m.last_error
        from nexus.payment_messages as m where m.processed_at is null and (m.attempts > 0 or m.dead_at is not null) order by m.id limit $1)
       union all
       (select 'events', e.id::text, e.topic, e.created_at, e.attempts, e.available_at, null, e.last_error
        from nexus.outbox_events as e where e.done_at is null and e.dead_at is null and e.attempts > 0 order by e.available_at, e.id limit $1)
       union all
       (select 'events', e.id::text, e.topic, e.created_at, e.attempts, e.available_at, e.dead_at, e.last_error
        from nexus.outbox_events as e where e.dead_at is not null order by e.dead_at limit $1)
       union all
       (select 'mails', m.id::text, m.kind, m.created_at, m.attempts, m.due_at, null, null
        from nexus.waiting_mails() as m where m.attempts > 0 order by m.created_at limit $1))
     select coalesce(jsonb_agg(jsonb_build_object('queue', i.queue, 'id', i.id, 'kind', i.kind, 'since', i.since, 'attempts', i.attempts,
              'nextAt', i.next_at, 'asideAt', i.aside_at, 'error', i.error) order by i.aside_at is null, i.since, i.id), '[]')
     from (select i.* from items as i order by i.aside_at is null, i.since, i.id limit $1) as i"
);

/// What waits, what failed and when it is tried again.
///
/// # Errors
/// What the database answered.
pub async fn list(command: &Command, _admin: &Admin, _body: Ask) -> Result<Waiting, Problem> {
    let late: DateTime<Utc> = command.now - LATE_AFTER;
    let queues = command.tx.query_one(QUEUES, &[&late, &COUNTED_MAX]).await?.try_get(0)?;
    let items = command.tx.query_one(ITEMS, &[&ITEMS_MAX]).await?.try_get(0)?;
    let paused = match clock::pace(command).await? {
        Pace::Paused(since, reason) => Some(Paused { since, reason }),
        Pace::Running => None,
    };
    Ok(Waiting {
        paused,
        queues,
        items,
        counted_max: COUNTED_MAX,
    })
}

/// Has an item tried at the jobs' next turn; one that was set aside is brought back by it.
///
/// # Errors
/// `job.waits` where it is done or gone.
pub async fn retry(command: &Command, _admin: &Admin, body: Item) -> Result<Done, Problem> {
    let was_aside = match body.queue {
        Queue::PaymentMessages => {
            let text = sql!(
                "with kept as (select m.id, m.dead_at from nexus.payment_messages as m where m.id = $1 and m.processed_at is null for no key update)
                 update nexus.payment_messages as m set due_at = $2, dead_at = null from kept where m.id = kept.id returning kept.dead_at"
            );
            changed(command, text, numbered(&body.id)?).await?
        }
        Queue::Events => {
            let text = sql!(
                "with kept as (select e.id, e.dead_at from nexus.outbox_events as e where e.id = $1 and e.done_at is null for no key update)
                 update nexus.outbox_events as e set available_at = $2, dead_at = null from kept where e.id = kept.id returning kept.dead_at"
            );
            changed(command, text, numbered(&body.id)?).await?
        }
        Queue::Mails => {
            let id: Uuid = body.id.parse().map_err(|_| gone())?;
            let text = sql!("select nexus.retry_mail($1, $2)");
            let is_there: bool = command.tx.query_one(text, &[&id, &command.now]).await?.try_get(0)?;
            is_there.then_some(None).ok_or_else(gone)?
        }
    };
    let (before, after) = (
        json!({ "set_aside_at": was_aside }),
        json!({ "set_aside_at": null, "tried_at": command.now }),
    );
    note(command, body.queue.table(), &body.id, &before, &after).await?;
    Ok(DONE)
}

/// Sets an item aside: no job looks at it until somebody brings it back with [`retry`].
///
/// # Errors
/// `job.waits` where it is done, gone or set aside; [`Problem::Invalid`] of a mail, which goes by itself.
pub async fn set_aside(command: &Command, _admin: &Admin, body: SetAside) -> Result<Done, Problem> {
    let reason = reason(&body.reason)?;
    let text = match body.queue {
        Queue::PaymentMessages => sql!(
            "update nexus.payment_messages as m set dead_at = $2 where m.id = $1 and m.processed_at is null and m.dead_at is null
             returning null::timestamptz"
        ),
        Queue::Events => sql!(
            "update nexus.outbox_events as e set dead_at = $2 where e.id = $1 and e.done_at is null and e.dead_at is null
             returning null::timestamptz"
        ),
        Queue::Mails => {
            let text = "queue: a mail is not set aside; it is removed a day after it was asked for";
            return Err(Problem::Invalid(text.to_owned()));
        }
    };
    changed(command, text, numbered(&body.id)?).await?;
    let after = json!({ "set_aside_at": command.now, "reason": reason });
    note(
        command,
        body.queue.table(),
        &body.id,
        &json!({ "set_aside_at": null }),
        &after,
    )
    .await?;
    Ok(DONE)
}

/// Lets what was paused when the clock jumped go on, from the clock as it is now.
///
/// # Errors
/// `jobs.paused` where nothing is paused.
pub async fn resume(command: &Command, _admin: &Admin, body: Resume) -> Result<Done, Problem> {
    let reason = reason(&body.reason)?;
    let Pace::Paused(since, why) = clock::pace(command).await? else {
        let remedy = "nothing is to be done: deadlines, closings and payouts run";
        return Err(Refusal::new("jobs.paused", "nothing is paused", remedy).into());
    };
    clock::resume(command).await?;
    let before = json!({ "paused_at": since, "reason": why });
    let after = json!({ "paused_at": null, "reason": reason });
    note(command, "nexus.clock_watch", "true", &before, &after).await?;
    Ok(DONE)
}

/// Runs an update of one row by its number, at the command's instant.
async fn changed(command: &Command, text: &'static str, id: i64) -> Result<Option<DateTime<Utc>>, Problem> {
    let row = command.tx.query_opt(text, &[&id, &command.now]).await?;
    Ok(row.ok_or_else(gone)?.try_get(0)?)
}

async fn note(command: &Command, table: &str, key: &str, before: &Value, after: &Value) -> Result<(), Problem> {
    let text = sql!("select nexus.note_change($1, $2, $3, $4)");
    command.tx.execute(text, &[&table, &key, before, after]).await?;
    Ok(())
}

fn numbered(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| gone())
}

fn gone() -> Problem {
    let remedy = "look at the list again: it was done, removed or set aside meanwhile";
    Refusal::new("job.waits", "this no longer waits", remedy).into()
}

fn reason(text: &str) -> Result<&str, Problem> {
    let reason = text.trim();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(Problem::Invalid(
            "say in reason, in at most 500 characters, why".to_owned(),
        ));
    }
    Ok(reason)
}
