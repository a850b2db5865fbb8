//! The register on both axes of time: who held how many at an instant, as known at an entry of the ledger.

use chrono::{DateTime, Utc};
use mint_core::{money::Amount, refusal::Refusal};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{command::Command, db::sql, offerings::record::amount, permission::Person, problem::Problem};

/// Holders in one answer at most: a page of a register of any length.
pub const HOLDERS_MAX: i32 = 1_000;

/// A change of who holds a token, as the register knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// The last ledger entry of it: what `ledger.register_at` is asked with.
    pub entry_id: i64,
    /// From when on it holds.
    pub moved_at: DateTime<Utc>,
    /// All tokens held after it.
    pub units: Amount,
    /// Parties that hold any after it.
    pub holders: i64,
}

/// What changed who holds a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovementKind {
    /// An offering closed.
    Close,
    /// Tokens went from one holder to another.
    Transfer,
    /// Tokens were taken back and burned.
    Redeem,
}

impl MovementKind {
    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MovementKind::Close => "close",
            MovementKind::Transfer => "transfer",
            MovementKind::Redeem => "redeem",
        }
    }
}

/// Notes that entries which the command just posted changed who holds a token, and answers with the instant from which
/// that holds: the command's, or that of the change before where that is later. The command holds the supply row's lock.
///
/// # Errors
/// When the entries move nothing that is held, which is a fault of ours.
pub async fn record(
    command: &Command,
    token_id: Uuid,
    entry_ids: &[i64],
    kind: MovementKind,
) -> Result<DateTime<Utc>, Problem> {
    let text = sql!("select ledger.record_movement($1, $2, $3, $4)");
    let row = command
        .tx
        .query_one(text, &[&token_id, &entry_ids, &kind.name(), &command.now])
        .await?;
    Ok(row.try_get(0)?)
}

/// The last change of a token that is committed: how far its register is known.
///
/// # Errors
/// What the database answered.
pub async fn watermark(command: &Command, token_id: Uuid) -> Result<Option<Movement>, Problem> {
    change_before(command, token_id, None, None).await
}

/// The last change of a token at or before an instant and a ledger entry; nothing where nobody held any yet.
///
/// # Errors
/// `register.instant` and `register.sequence` for what is beyond the watermark.
pub async fn movement_at(
    command: &Command,
    token_id: Uuid,
    at: DateTime<Utc>,
    known_entry_id: i64,
) -> Result<Option<Movement>, Problem> {
    if at > command.now {
        return Err(Refusal::new(
            "register.instant",
            "nobody knows yet who will hold tokens then",
            "ask for an instant that is not in the future",
        )
        .looking_at("at", at.to_rfc3339())
        .looking_at("now", command.now.to_rfc3339())
        .into());
    }
    let last = watermark(command, token_id).await?.map_or(0, |last| last.entry_id);
    if known_entry_id > last {
        return Err(Refusal::new(
            "register.sequence",
            "the register is not known up to there yet",
            format!("ask for {last} or an earlier entry"),
        )
        .looking_at("known_seq", known_entry_id)
        .looking_at("last_seq", last)
        .into());
    }
    change_before(command, token_id, Some(at), Some(known_entry_id)).await
}

async fn change_before(
    command: &Command,
    token_id: Uuid,
    at: Option<DateTime<Utc>>,
    known_entry_id: Option<i64>,
) -> Result<Option<Movement>, Problem> {
    let text = sql!(
        "select last_entry_id, moved_at, held_units, holders from public.token_movements
         where property_token_id = $1 and ($2::timestamptz is null or moved_at <= $2) and ($3::bigint is null or last_entry_id <= $3)
         order by number desc limit 1"
    );
    let Some(row) = command.tx.query_opt(text, &[&token_id, &at, &known_entry_id]).await? else {
        return Ok(None);
    };
    Ok(Some(Movement {
        entry_id: row.try_get(0)?,
        moved_at: row.try_get(1)?,
        units: amount(row.try_get(2)?)?,
        holders: row.try_get(3)?,
    }))
}

/// Which register, and which page of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRegister {
    property_id: Uuid,
    at: Option<DateTime<Utc>>,
    known_seq: Option<i64>,
    after_party_id: Option<Uuid>,
    limit: Option<i32>,
}

/// A register, or a page of it. With `at` and `knownSeq` as answered, the same question has the same answer for ever.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    property_token_id: Uuid,
    at: DateTime<Utc>,
    known_seq: i64,
    changed_at: Option<DateTime<Utc>>,
    held_units: Amount,
    holder_count: i64,
    holders: Vec<Holder>,
    /// Where the next page begins; nothing after the last.
    next_after_party_id: Option<Uuid>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    party_id: Uuid,
    units: Amount,
}

/// The register of a property's token, for those who manage the property and for overseers.
///
/// # Errors
/// [`Problem::NotFound`] for a property that is not the caller's or has no launched token; what is not known yet.
pub async fn get(command: &Command, person: &Person, body: GetRegister) -> Result<Register, Problem> {
    if person.overseer().is_err() {
        person.manager_of(command, body.property_id).await?;
    }
    let limit = body.limit.unwrap_or(HOLDERS_MAX);
    if !(1..=HOLDERS_MAX).contains(&limit) {
        return Err(Problem::Invalid(format!("limit: 1 to {HOLDERS_MAX} holders")));
    }
    let token_id = token_of(command, body.property_id).await?;
    let at = body.at.unwrap_or(command.now);
    let known_seq = match body.known_seq {
        Some(known) => known,
        None => watermark(command, token_id).await?.map_or(0, |last| last.entry_id),
    };
    let movement = movement_at(command, token_id, at, known_seq).await?;
    let holders = match movement {
        Some(movement) => page(command, token_id, movement.entry_id, body.after_party_id, limit).await?,
        None => Vec::new(),
    };
    let is_full = usize::try_from(limit).is_ok_and(|limit| holders.len() == limit);
    Ok(Register {
        property_token_id: token_id,
        at,
        known_seq,
        changed_at: movement.map(|movement| movement.moved_at),
        held_units: movement.map_or(Amount::ZERO, |movement| movement.units),
        holder_count: movement.map_or(0, |movement| movement.holders),
        next_after_party_id: holders.last().filter(|_| is_full).map(|holder| holder.party_id),
        holders,
    })
}

/// The launched token of a property.
///
/// # Errors
/// [`Problem::NotFound`] when it has none.
pub async fn token_of(command: &Command, property_id: Uuid) -> Result<Uuid, Problem> {
    let text = sql!(
        "select s.property_token_id from public.property_token_supply as s
         join public.property_tokens as t on t.id = s.property_token_id
         where t.property_id = $1 order by t.created_at desc, t.id limit 1"
    );
    let row = command.tx.query_opt(text, &[&property_id]).await?;
    Ok(row.ok_or(Problem::NotFound)?.try_get(0)?)
}

async fn page(
    command: &Command,
    token_id: Uuid,
    entry_id: i64,
    after: Option<Uuid>,
    limit: i32,
) -> Result<Vec<Holder>, Problem> {
    let text = sql!("select party_id, units from ledger.register_at($1, $2, $3, $4)");
    let rows = command.tx.query(text, &[&token_id, &entry_id, &after, &limit]).await?;
    let holder = |row: &tokio_postgres::Row| {
        Ok(Holder {
            party_id: row.try_get(0)?,
            units: amount(row.try_get(1)?)?,
        })
    };
    rows.iter().map(holder).collect()
}
