//! Winding up: the property is sold; all its tokens are taken out, and everything that it has is owed to their holders.

use mint_core::{
    account::Purpose,
    allocation,
    book::{Move, Place},
    holding_case::{self, Pending},
    money::Amount,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    carrying_out::{Owed, SET_ASIDE, about, till, write_redemptions},
    cases::Case,
    register::{self, MovementKind},
};
use crate::{
    command::Command,
    db::sql,
    distributions::house::{House, of},
    ledger::{self, NewEntry},
    offerings::{
        record::amount,
        supply::{self, Shift},
    },
    outbox,
    payments::{incidents, record::post},
    problem::Problem,
};

/// Holders in one entry: its lines are counted in 16 bits, and each has three.
const PART_HOLDERS: usize = 5_000;

/// How long one statement over all holders may run. A request ends before; `nexus-mint call` waits for it.
const STATEMENT_TIME_MAX: &str = "10min";

/// Takes everybody's tokens out for everything that the property has: the price that it brought, which the bank booked, its
/// reserve, and what was set aside. Split by tokens, largest remainder first.
pub(super) async fn wind_up(command: &Command, case: &Case) -> Result<(), Problem> {
    let text = sql!("select set_config('statement_timeout', $1, true)");
    command.tx.query_one(text, &[&STATEMENT_TIME_MAX]).await?;
    let (property_id, token_id) = about(case.of)?;
    let house = House::lock(command, property_id).await?;
    let price = about(case.amount)?;
    let total = holding_case::wind_up(
        price,
        &till(command, &house).await?,
        &pending(command, property_id).await?,
    )?;
    collect(command, case, &house, price).await?;
    let holders = holders(command, token_id).await?;
    let first: Uuid = command
        .tx
        .query_one(sql!("select gen_random_uuid()"), &[])
        .await?
        .try_get(0)?;
    let parts = allocation::split(total, &holders, &first).map_err(Problem::internal)?;
    // Both are in the order of parties.
    let all: Vec<(Uuid, Amount, Amount)> = holders
        .iter()
        .zip(&parts)
        .map(|((party_id, units), (_, part))| (*party_id, *units, *part))
        .collect();
    for part in all.chunks(PART_HOLDERS) {
        take_out(command, case, &house, part).await?;
    }
    let units = Amount::sum(holders.iter().map(|(_, units)| *units)).map_err(Problem::internal)?;
    let shift = Shift {
        held: -units.get(),
        burned: units.get(),
        ..Shift::default()
    };
    supply::shift(command, token_id, shift).await?;
    end(command, &house).await?;
    tell(command, &holders).await?;
    let told = json!({ "caseId": case.id, "propertyId": property_id, "holders": all.len() });
    outbox::emit(command, "property.wound_up", &property_id.to_string(), &told).await?;
    Ok(())
}

async fn pending(command: &Command, property_id: Uuid) -> Result<Pending, Problem> {
    let text = sql!(
        "select (select count(*) from public.offerings as o where o.property_id = $1 and o.status in ('draft', 'open', 'funded')),
                (select count(*) from public.rent_periods as r where r.property_id = $1 and r.status = 'recorded'),
                (select count(*) from public.distributions as d where d.property_id = $1
                   and (d.status in ('proposed', 'declared') or (d.status = 'paying' and d.posted_at is null)))"
    );
    let row = command.tx.query_one(text, &[&property_id]).await?;
    Ok(Pending {
        offerings: row.try_get(0)?,
        rent_periods: row.try_get(1)?,
        distributions: row.try_get(2)?,
        incidents: incidents::count_open(command, property_id).await?,
    })
}

/// The price arrives, and everything that the property keeps becomes cash that it may spend.
async fn collect(command: &Command, case: &Case, house: &House, price: Amount) -> Result<(), Problem> {
    let (reference, booked_on) = about(case.booked.clone())?;
    let moves = [Move::of(price, Purpose::OutsideBank, Purpose::OperatingCash)];
    let why = (json!({ "case_id": case.id, "reference": reference }), booked_on);
    post(
        command,
        &house.book(),
        format!("case:{}:sold", case.id),
        "property.sold",
        why,
        &moves,
    )
    .await?;
    let balances = house.balances(command).await?;
    let kept = SET_ASIDE.into_iter().chain([Purpose::Reserve]);
    let moves: Vec<Move> = kept
        .map(|purpose| Move::of(of(&balances, purpose), purpose, Purpose::OperatingCash))
        .filter(|one| one.amount != Amount::ZERO)
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    let why = (json!({ "case_id": case.id }), command.now.date_naive());
    let key = format!("case:{}:kept", case.id);
    post(command, &house.book(), key, "property.emptied", why, &moves).await
}

/// Who holds how many, in the order of parties.
async fn holders(command: &Command, token_id: Uuid) -> Result<Vec<(Uuid, Amount)>, Problem> {
    let text = sql!(
        "select l.party_id, sum(l.units)::bigint from public.lots as l where l.property_token_id = $1 and l.units > 0
         group by l.party_id order by l.party_id"
    );
    let rows = command.tx.query(text, &[&token_id]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, amount(row.try_get(1)?)?)))
        .collect()
}

/// Takes some holders' tokens out and owes them their parts, in one entry.
async fn take_out(
    command: &Command,
    case: &Case,
    house: &House,
    part: &[(Uuid, Amount, Amount)],
) -> Result<(), Problem> {
    let Some((last, _, _)) = part.last() else { return Ok(()) };
    let mut moves = Vec::with_capacity(part.len() * 2);
    let mut owed = Owed::default();
    for (party_id, units, cash) in part {
        moves.push(Move {
            amount: *units,
            from: Place::Party(Purpose::Held, *party_id),
            to: Place::Of(Purpose::Burned),
        });
        moves.push(Move {
            amount: *cash,
            from: Place::Of(Purpose::OperatingCash),
            to: Place::Party(Purpose::Payable, *party_id),
        });
        owed.parties.push(*party_id);
        owed.units.push(units.get());
        owed.amounts.push(cash.get());
    }
    let entry = NewEntry {
        key: format!("case:{}:{last}", case.id),
        kind: "tokens.redeemed",
        business_date: command.now.date_naive(),
        actor_id: command.actor_id(),
        cause: json!({ "case_id": case.id, "up_to_party_id": last }),
        postings: house.book().entry(&moves).map_err(Problem::internal)?,
    };
    let entry_id = ledger::post(&command.tx, entry)
        .await
        .map_err(Problem::internal)?
        .entry_id;
    let moved_at = register::record(command, house.token_id, &[entry_id], MovementKind::Redeem).await?;
    // A holder's part is split over his lots as the whole is over the holders.
    let text = sql!(
        "with exact as (
           select l.id, l.party_id, l.units, n.amount, div(n.amount::numeric * l.units, sum(l.units) over holder)::bigint as whole,
                  mod(n.amount::numeric * l.units, sum(l.units) over holder) as fraction
           from unnest($1::uuid[], $2::bigint[]) as n (party_id, amount)
           join public.lots as l on l.party_id = n.party_id and l.property_token_id = $3 and l.units > 0
           window holder as (partition by l.party_id)
         ), given as (
           select e.id, e.whole + case when row_number() over (partition by e.party_id order by e.fraction desc, e.id)
                    <= e.amount - sum(e.whole) over (partition by e.party_id) then 1 else 0 end as proceeds
           from exact as e)
         insert into public.lot_disposals (id, from_lot_id, party_id, user_id, property_id, property_token_id, kind, token_decimals, units,
           currency, currency_decimals, cost_minor, proceeds_minor, moved_at, entry_id, created_at)
         select gen_random_uuid(), l.id, l.party_id, l.user_id, l.property_id, l.property_token_id, 'redemption', l.token_decimals, l.units,
                l.currency, l.currency_decimals, l.cost_minor, g.proceeds, $4, $5, $6
         from given as g join public.lots as l on l.id = g.id"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &owed.parties,
        &owed.amounts,
        &house.token_id,
        &moved_at,
        &entry_id,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    write_redemptions(command, case, house, entry_id, &owed).await?;
    let text = sql!(
        "update public.lots set units = 0, cost_minor = 0 where property_token_id = $1 and party_id = any ($2) and units > 0"
    );
    command.tx.execute(text, &[&house.token_id, &owed.parties]).await?;
    Ok(())
}

async fn tell(command: &Command, holders: &[(Uuid, Amount)]) -> Result<(), Problem> {
    let parties: Vec<Uuid> = holders.iter().map(|(party_id, _)| *party_id).collect();
    let text = sql!(
        "insert into public.notifications (user_id, title, message, type, action_url, created_at)
         select u.id, 'A property was wound up', 'It is sold. Your part is owed to you for your tokens, and is on its way.', 'wound_up', '/profile', $2
         from public.user_profiles as u where u.party_id = any ($1)"
    );
    command.tx.execute(text, &[&parties, &command.now]).await?;
    Ok(())
}

/// What nobody bought is taken out too, and the token is history.
async fn end(command: &Command, house: &House) -> Result<(), Problem> {
    let text = sql!("select available_units from public.property_token_supply where property_token_id = $1");
    let left = amount(command.tx.query_one(text, &[&house.token_id]).await?.try_get(0)?)?;
    if left != Amount::ZERO {
        let moves = [Move::of(left, Purpose::Available, Purpose::Burned)];
        let why = (json!({ "property_id": house.property_id }), command.now.date_naive());
        let key = format!("token:{}:wound_up", house.token_id);
        post(command, &house.book(), key, "tokens.withdrawn", why, &moves).await?;
        let shift = Shift {
            available: -left.get(),
            burned: left.get(),
            ..Shift::default()
        };
        supply::shift(command, house.token_id, shift).await?;
    }
    let text = sql!("update public.property_tokens set status = 'wound_up' where id = $1");
    supply::one(command.tx.execute(text, &[&house.token_id]).await?, "property_tokens")?;
    let text = sql!("update public.properties set tokenization_active = false where id = $1");
    supply::one(command.tx.execute(text, &[&house.property_id]).await?, "properties")
}
