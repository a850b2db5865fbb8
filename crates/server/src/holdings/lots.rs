//! Moving tokens that somebody holds, by lots: what every command does that changes who holds them after a close.
//!
//! What always holds: ledger, lots, disposals, register and supply change together, under the lock of the token's supply row;
//! a lot is what it began as less its disposals (L13). Absent on purpose: money. What is paid for tokens is only recorded here;
//! whoever pays it through the platform posts that himself, in the same command.

use chrono::{DateTime, Utc};
use mint_core::{
    account::Purpose,
    book::{Book, Move, Place},
    lots::{self, Disposal, DisposalKind, HeldBack, Lot, NewLot, Wish},
    money::{Amount, Currency, Decimals},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    freezes::frozen_units,
    register::{self, MovementKind},
};
use crate::{
    command::Command,
    db::sql,
    ledger::{self, NewEntry},
    offerings::{
        record::{amount, currency},
        supply::{self, Shift},
    },
    problem::Problem,
};

/// Who gets tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// The party that will hold them.
    pub party_id: Uuid,
    /// The login of it that will see the lots.
    pub user_id: Uuid,
}

/// Tokens that are to move.
#[derive(Debug, Clone)]
pub struct Moving {
    /// The token.
    pub token_id: Uuid,
    /// The party that holds them.
    pub from_party_id: Uuid,
    /// Who gets them; nobody where they are burned.
    pub to: Option<Receiver>,
    /// How many, in smallest units.
    pub units: Amount,
    /// Why. Tokens are burned by a redemption, and by nothing else.
    pub kind: DisposalKind,
    /// What is paid for all of them, in smallest units of the token's currency; 0 where nothing is.
    pub proceeds: Amount,
    /// What the holder has promised in other open transfers, in smallest units.
    pub promised: Amount,
    /// The ledger entry's key, such as `transfer:<id>`: the same move is never posted twice.
    pub key: String,
    /// What the entry is about: a JSON object of ids.
    pub cause: Value,
}

/// Tokens that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The ledger entry.
    pub entry_id: i64,
    /// From when on the register has it.
    pub moved_at: DateTime<Utc>,
    /// What went out of each lot, in the order in which they were taken.
    pub disposals: Vec<Disposal>,
    /// The lots that came of them, in the same order; none where they were burned.
    pub new_lot_ids: Vec<Uuid>,
}

/// What moving needs to know of a token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its property.
    pub property_id: Uuid,
    /// Decimals of the token.
    pub decimals: Decimals,
    /// The currency of its prices, and so of its lots' cost.
    pub currency: Currency,
}

impl Token {
    /// A token by its id.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn load(command: &Command, token_id: Uuid) -> Result<Token, Problem> {
        let text = sql!(
            "select property_id, token_decimals, currency, currency_decimals from public.property_tokens where id = $1"
        );
        let row = command
            .tx
            .query_opt(text, &[&token_id])
            .await?
            .ok_or(Problem::NotFound)?;
        let digits = u8::try_from(row.try_get::<_, i16>(1)?).map_err(Problem::internal)?;
        Ok(Token {
            property_id: row.try_get(0)?,
            decimals: Decimals::try_from(digits).map_err(Problem::internal)?,
            currency: currency(&row.try_get::<_, String>(2)?, row.try_get(3)?)?,
        })
    }
}

/// Moves or burns tokens that a party holds, first in first out by lots, in one ledger entry. Locks the token's supply row
/// and the party's lots.
///
/// # Errors
/// `lots.free` when so many are not free; what the database answered.
pub async fn move_units(command: &Command, moving: &Moving) -> Result<Moved, Problem> {
    let is_burned = moving.to.is_none();
    if is_burned != (moving.kind == DisposalKind::Redemption)
        || moving.to.is_some_and(|to| to.party_id == moving.from_party_id)
    {
        return Err(Problem::internal(
            "tokens are burned by a redemption alone, and move to another party",
        ));
    }
    supply::lock(command, moving.token_id).await?;
    let token = Token::load(command, moving.token_id).await?;
    let disposals = plan(command, moving, &token).await?;
    let entry_id = post(command, moving, &token).await?;
    let kind = if is_burned {
        MovementKind::Redeem
    } else {
        MovementKind::Transfer
    };
    let moved_at = register::record(command, moving.token_id, &[entry_id], kind).await?;
    take_out(command, &disposals).await?;
    let new_lot_ids: Vec<Uuid> = moving
        .to
        .iter()
        .flat_map(|_| disposals.iter().map(|_| Uuid::now_v7()))
        .collect();
    if let Some(to) = moving.to {
        let new: Vec<NewLot> = disposals
            .iter()
            .map(|disposal| lots::new_lot(moving.kind, disposal, moved_at))
            .collect();
        write_lots(command, to, &disposals, &new_lot_ids, &new, moved_at).await?;
    }
    let moved = Moved {
        entry_id,
        moved_at,
        disposals,
        new_lot_ids,
    };
    write_disposals(command, moving.kind, &moved).await?;
    if is_burned {
        let shift = Shift {
            held: -moving.units.get(),
            burned: moving.units.get(),
            ..Shift::default()
        };
        supply::shift(command, moving.token_id, shift).await?;
    }
    Ok(moved)
}

/// What would go out of which lots. The command holds the supply row's lock.
///
/// # Errors
/// `lots.free` when so many are not free; what the database answered.
pub async fn plan(command: &Command, moving: &Moving, token: &Token) -> Result<Vec<Disposal>, Problem> {
    let held = lots_of(command, moving.token_id, moving.from_party_id).await?;
    let in_all = Amount::sum(held.iter().map(|lot| lot.units)).map_err(Problem::internal)?;
    let held_back = HeldBack {
        frozen: frozen_units(command, moving.token_id, moving.from_party_id, in_all).await?,
        promised: moving.promised,
    };
    let wish = Wish {
        kind: moving.kind,
        units: moving.units,
        proceeds: moving.proceeds,
        token_decimals: token.decimals,
    };
    Ok(lots::dispose(&held, &wish, held_back, command.now)?)
}

/// A party's lots of a token that have anything, locked until the command ends.
///
/// # Errors
/// What the database answered.
pub async fn lots_of(command: &Command, token_id: Uuid, party_id: Uuid) -> Result<Vec<Lot>, Problem> {
    let text = sql!(
        "select id, units, cost_minor, tax_acquired_at, restricted_since, restricted_until
         from public.lots where party_id = $1 and property_token_id = $2 and units > 0 order by id for no key update"
    );
    let rows = command.tx.query(text, &[&party_id, &token_id]).await?;
    let lot = |row: &tokio_postgres::Row| {
        let (since, until): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) = (row.try_get(4)?, row.try_get(5)?);
        Ok(Lot {
            id: row.try_get(0)?,
            units: amount(row.try_get(1)?)?,
            cost: amount(row.try_get(2)?)?,
            tax_acquired_at: row.try_get(3)?,
            restricted: since.zip(until),
        })
    };
    rows.iter().map(lot).collect()
}

async fn post(command: &Command, moving: &Moving, token: &Token) -> Result<i64, Problem> {
    let book = Book {
        property_id: token.property_id,
        token_id: moving.token_id,
        currency: token.currency.code().to_owned(),
    };
    let (event, to) = match moving.to {
        Some(to) => ("tokens.transferred", Place::Party(Purpose::Held, to.party_id)),
        None => ("tokens.redeemed", Place::Of(Purpose::Burned)),
    };
    let one = Move {
        amount: moving.units,
        from: Place::Party(Purpose::Held, moving.from_party_id),
        to,
    };
    let entry = NewEntry {
        key: moving.key.clone(),
        kind: event,
        business_date: command.now.date_naive(),
        actor_id: command.actor_id(),
        cause: moving.cause.clone(),
        postings: book.entry(&[one]).map_err(Problem::internal)?,
    };
    let posted = ledger::post(&command.tx, entry).await.map_err(Problem::internal)?;
    if !posted.is_new {
        return Err(Problem::internal(format!("{} was posted before", moving.key)));
    }
    Ok(posted.entry_id)
}

async fn take_out(command: &Command, disposals: &[Disposal]) -> Result<(), Problem> {
    let (ids, units, costs) = columns(disposals);
    let text = sql!(
        "update public.lots as l set units = l.units - t.units, cost_minor = l.cost_minor - t.cost
         from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as t (id, units, cost) where l.id = t.id"
    );
    let taken = command.tx.execute(text, &[&ids, &units, &costs]).await?;
    if taken == disposals.len() as u64 {
        Ok(())
    } else {
        Err(Problem::internal(format!(
            "{taken} of {} lots could be taken from",
            disposals.len()
        )))
    }
}

fn columns(disposals: &[Disposal]) -> (Vec<Uuid>, Vec<i64>, Vec<i64>) {
    let ids = disposals.iter().map(|one| one.lot.id).collect();
    let units = disposals.iter().map(|one| one.units.get()).collect();
    let costs = disposals.iter().map(|one| one.cost.get()).collect();
    (ids, units, costs)
}

async fn write_lots(
    command: &Command,
    to: Receiver,
    disposals: &[Disposal],
    ids: &[Uuid],
    new: &[NewLot],
    moved_at: DateTime<Utc>,
) -> Result<(), Problem> {
    let from: Vec<Uuid> = disposals.iter().map(|one| one.lot.id).collect();
    let units: Vec<i64> = new.iter().map(|lot| lot.units.get()).collect();
    let costs: Vec<i64> = new.iter().map(|lot| lot.cost.get()).collect();
    let tax_dates: Vec<DateTime<Utc>> = new.iter().map(|lot| lot.tax_acquired_at).collect();
    let since: Vec<Option<DateTime<Utc>>> = new.iter().map(|lot| lot.restricted.map(|(since, _)| since)).collect();
    let until: Vec<Option<DateTime<Utc>>> = new.iter().map(|lot| lot.restricted.map(|(_, until)| until)).collect();
    let text = sql!(
        "insert into public.lots (id, party_id, user_id, property_id, property_token_id, investment_id, parent_lot_id, token_decimals, units,
           currency, currency_decimals, cost_minor, acquired_at, tax_acquired_at, restricted_since, restricted_until, created_at)
         select n.id, $3, $4, l.property_id, l.property_token_id, l.investment_id, l.id, l.token_decimals, n.units,
                l.currency, l.currency_decimals, n.cost, $10, n.tax_acquired_at, n.since, n.until, $11
         from unnest($1::uuid[], $2::uuid[], $5::bigint[], $6::bigint[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
           as n (id, from_id, units, cost, tax_acquired_at, since, until)
         join public.lots as l on l.id = n.from_id"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &ids,
        &from,
        &to.party_id,
        &to.user_id,
        &units,
        &costs,
        &tax_dates,
        &since,
        &until,
        &moved_at,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}

async fn write_disposals(command: &Command, kind: DisposalKind, moved: &Moved) -> Result<(), Problem> {
    let ids: Vec<Uuid> = moved.disposals.iter().map(|_| Uuid::now_v7()).collect();
    let (from, units, costs) = columns(&moved.disposals);
    let proceeds: Vec<i64> = moved.disposals.iter().map(|one| one.proceeds.get()).collect();
    // Shorter where tokens were burned: then no disposal has a new lot.
    let text = sql!(
        "insert into public.lot_disposals (id, from_lot_id, to_lot_id, party_id, user_id, property_id, property_token_id, kind, token_decimals,
           units, currency, currency_decimals, cost_minor, proceeds_minor, moved_at, entry_id, created_at)
         select n.id, l.id, n.to_id, l.party_id, l.user_id, l.property_id, l.property_token_id, $7, l.token_decimals,
                n.units, l.currency, l.currency_decimals, n.cost, n.proceeds, $8, $9, $10
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[])
           as n (id, from_id, to_id, units, cost, proceeds)
         join public.lots as l on l.id = n.from_id"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &ids,
        &from,
        &moved.new_lot_ids,
        &units,
        &costs,
        &proceeds,
        &kind.name(),
        &moved.moved_at,
        &moved.entry_id,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}
