//! What must be true after a fault, asked of the whole database and of the server.

use std::collections::HashMap;

use nexus_mint::{
    ledger::{laws::breaches, verify::verify},
    problem::AnyError,
};
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    history::{Outcome, Sent},
    load::send,
};

/// What was found besides what is wrong.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found {
    /// Commands that were acknowledged.
    pub(super) done: usize,
    /// Commands that were refused.
    pub(super) refused: usize,
    /// Commands that nobody knew of, and that are there.
    pub(super) there: usize,
    /// Commands that nobody knew of, and of which nothing is there.
    pub(super) not_there: usize,
    /// Those of them that were answered with 500.
    pub(super) internal: usize,
    /// Payment messages that were acknowledged.
    pub(super) messages: usize,
}

impl std::ops::AddAssign for Found {
    fn add_assign(&mut self, other: Found) {
        self.done += other.done;
        self.refused += other.refused;
        self.there += other.there;
        self.not_there += other.not_there;
        self.internal += other.internal;
        self.messages += other.messages;
    }
}

/// Whoever still does what a server began that is no more.
pub(super) const QUIET: &str = "select not exists (select from pg_stat_activity
    where datname = current_database() and application_name = 'nexus-mint nexus_engine' and state <> 'idle')";

/// What must not be there, in words, whatever was killed.
const NEVER: &[(&str, &str)] = &[
    (
        "a purchase without the order that made it",
        "select i.id::text from public.investments as i where i.offering_id is not null and not exists (
           select from nexus.command_keys as k where k.command = 'create-investment' and k.answer ->> 'id' = i.id::text)",
    ),
    (
        "an order that was answered, without its purchase",
        "select k.key from nexus.command_keys as k where k.command = 'create-investment' and not exists (
           select from public.investments as i where i.id::text = k.answer ->> 'id')",
    ),
    (
        "two orders with one purchase",
        "select k.answer ->> 'id' from nexus.command_keys as k where k.command = 'create-investment' group by 1 having count(*) > 1",
    ),
    (
        "a key without an answer",
        "select k.command || ' ' || k.key from nexus.command_keys as k where k.answer is null",
    ),
    (
        "something that happened and that the outbox does not say",
        "select h.topic || ' ' || h.id from (
           select 'investment.reserved' as topic, i.id from public.investments as i where i.offering_id is not null
           union all select 'investment.paid', i.id from public.investments as i where i.paid_at is not null
           union all select 'offering.opened', o.id from public.offerings as o where o.opened_at is not null
           union all select 'offering.closed', o.id from public.offerings as o where o.status = 'closed'
           union all select 'offering.failed', o.id from public.offerings as o where o.status = 'failed'
           union all select 'rent.recorded', p.id from public.rent_periods as p
           union all select 'rent.approved', p.id from public.rent_periods as p where p.status = 'approved'
           union all select 'distribution.declared', d.id from public.distributions as d where d.status in ('declared', 'paying', 'paid')
           union all select 'distribution.paying', d.id from public.distributions as d where d.status in ('paying', 'paid')
           union all select 'transfer.requested', t.id from public.transfers as t
           union all select 'transfer.completed', t.id from public.transfers as t where t.status = 'completed') as h
         where not exists (select from nexus.outbox_events as e where e.topic = h.topic and e.dedupe_key = h.id::text)",
    ),
    (
        "something that the outbox says and that did not happen",
        "select e.topic || ' ' || e.dedupe_key from nexus.outbox_events as e
         where (e.topic = 'investment.reserved' and not exists (select from public.investments as i where i.id::text = e.dedupe_key))
            or (e.topic = 'investment.paid' and not exists (select from public.investments as i where i.id::text = e.dedupe_key and i.paid_at is not null))
            or (e.topic = 'offering.closed' and not exists (select from public.offerings as o where o.id::text = e.dedupe_key and o.status = 'closed'))
            or (e.topic = 'transfer.completed' and not exists (
              select from public.transfers as t where t.id::text = e.dedupe_key and t.status = 'completed'))",
    ),
    (
        "a payout at the rail that nobody here asked for, or of another amount",
        "select s.id::text from nexus.sandbox_payouts as s where not exists (
           select from public.payouts as p where p.rail_key = s.id and p.party_id = s.party_id and p.amount_minor = s.amount_minor)",
    ),
    (
        "a line of a distribution that was paid more than is due",
        "select l.id::text from public.distribution_lines as l join public.payouts as p on p.line_id = l.id
           join nexus.sandbox_payouts as s on s.id = p.rail_key and s.status = 'succeeded'
         group by l.id, l.amount_minor, l.withheld_minor having sum(s.amount_minor) > l.amount_minor - l.withheld_minor",
    ),
    (
        "a refund at the rail that nobody here asked for, or of another amount",
        "select s.id::text from nexus.sandbox_refunds as s where not exists (
           select from public.refunds as r where r.id = s.id and r.amount_minor = s.amount_minor)",
    ),
    (
        "a payment of which more went back than came",
        "select p.ref from nexus.sandbox_payments as p join nexus.sandbox_refunds as r on r.payment_ref = p.ref and r.status = 'succeeded'
         group by p.ref, p.amount_minor having sum(r.amount_minor) > p.amount_minor",
    ),
];

/// Compares what is there with the laws, and with what clients were told; asks for each command once more. What is wrong is
/// added in words.
pub(super) async fn check(
    client: &Client,
    address: &str,
    commands: &mut [Sent],
    messages: &[String],
    wrong: &mut Vec<String>,
) -> Result<Found, AnyError> {
    laws(client, wrong).await?;
    let mut found = Found {
        messages: messages.len(),
        ..Found::default()
    };
    let sql = "select m from unnest($1::text[]) as m
               where not exists (select from nexus.payment_messages as k where k.rail = 'sandbox' and k.message_id = m)";
    for row in client.query(sql, &[&messages]).await? {
        wrong.push(format!("a message that was taken is gone: {}", row.get::<_, String>(0)));
    }
    let kept = answers(client, commands).await?;
    for sent in commands.iter_mut() {
        let kept = kept.get(&(sent.caller, sent.key.clone()));
        let again = send(address, sent).await;
        let what = format!("{} {}", sent.name, sent.key);
        match &sent.outcome {
            Outcome::Done(told) => {
                found.done += 1;
                if kept != Some(told) {
                    wrong.push(format!(
                        "{what} was acknowledged with {told}, and what is kept is {kept:?}"
                    ));
                }
                if again != sent.outcome {
                    wrong.push(format!("{what} was acknowledged with {told}, and then with {again:?}"));
                }
            }
            Outcome::Refused(_) => {
                found.refused += 1;
                if let Some(kept) = kept {
                    wrong.push(format!("{what} was refused, and answered with {kept}"));
                }
            }
            Outcome::Unknown(status) => {
                found.internal += usize::from(*status == 500);
                match (kept, &again) {
                    (Some(kept), Outcome::Done(told)) if kept == told => found.there += 1,
                    (None, Outcome::Done(_) | Outcome::Refused(_)) => found.not_there += 1,
                    (kept, again) => wrong.push(format!(
                        "{what}, of which nobody knew ({status}), was kept as {kept:?}, and answered with {again:?}"
                    )),
                }
            }
        }
        sent.outcome = again;
    }
    laws(client, wrong).await?;
    Ok(found)
}

/// The laws, the replay, and what never is.
async fn laws(client: &Client, wrong: &mut Vec<String>) -> Result<(), AnyError> {
    wrong.extend(breaches(client).await?.iter().map(ToString::to_string));
    wrong.extend(verify(client).await?.faults.iter().map(|fault| format!("L14: {fault}")));
    for (what, sql) in NEVER {
        for row in client.query(*sql, &[]).await? {
            wrong.push(format!(
                "{what}: {}",
                row.get::<_, Option<String>>(0).unwrap_or_default()
            ));
        }
    }
    Ok(())
}

/// What is kept under the keys of these commands.
async fn answers(client: &Client, commands: &[Sent]) -> Result<HashMap<(Uuid, String), Value>, AnyError> {
    let callers: Vec<Uuid> = commands.iter().map(|sent| sent.caller).collect();
    let names: Vec<&str> = commands.iter().map(|sent| sent.name).collect();
    let keys: Vec<&str> = commands.iter().map(|sent| sent.key.as_str()).collect();
    let sql = "select k.caller_id, k.key, k.answer from unnest($1::uuid[], $2::text[], $3::text[]) as s (caller_id, command, key)
               join nexus.command_keys as k using (caller_id, command, key)";
    let rows = client.query(sql, &[&callers, &names, &keys]).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}
