//! The tokens of a statement: holdings, lots, what went; what was bought and what was given back.

use std::collections::BTreeMap;

use mint_core::{
    lots::DisposalKind,
    statement::{Left, LotContent, content_before, gain},
};
use uuid::Uuid;

use super::{
    figures::{LINES_MAX, Look, Sums, add, bounded, digits, roll},
    record::{Disposal, Holding, Lot, Movement, Purchase, Refund},
};
use crate::{db::sql, offerings::record::amount, problem::Problem};

impl Look<'_> {
    /// Tokens by property: what there was, what changed it, the lots that are left.
    ///
    /// # Errors
    /// What the database answered, `statement.length`.
    pub async fn holdings(&self, sums: &mut Sums) -> Result<Vec<Holding>, Problem> {
        let text = sql!(
            "select a.property_id, s.property_token_id, s.decimals, p.entry_id, p.amount, p.balance_after, e.kind, m.moved_at
             from ledger.accounts as a
             join ledger.assets as s on s.code = a.asset
             join ledger.postings as p on p.account_id = a.id
             join ledger.entries as e on e.id = p.entry_id
             join lateral (
               select t.moved_at, t.last_entry_id from public.token_movements as t
               where t.property_token_id = s.property_token_id and t.last_entry_id >= p.entry_id order by t.number limit 1) as m on true
             where a.party_id = $1 and a.purpose = 'held' and m.last_entry_id <= $2 and m.moved_at < $3
             order by a.id, p.account_seq limit $4"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&self.party_id, &self.known_seq, &self.year.ends_at(), &(LINES_MAX + 1)];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let mut holdings: Vec<Holding> = Vec::new();
        for row in &rows {
            let token_id: Uuid = row.try_get(1)?;
            let is_new = holdings.last().is_none_or(|last| last.property_token_id != token_id);
            if is_new {
                holdings.push(Holding {
                    property_id: row.try_get(0)?,
                    property_token_id: token_id,
                    token_decimals: digits(row, 2)?,
                    opening_units: 0,
                    movements: Vec::new(),
                    closing_units: 0,
                    lots: Vec::new(),
                });
            }
            let Some(holding) = holdings.last_mut() else { continue };
            holding.closing_units = row.try_get(5)?;
            let movement = Movement {
                at: row.try_get(7)?,
                kind: row.try_get(6)?,
                units: row.try_get(4)?,
                entry_id: row.try_get(3)?,
            };
            if movement.at < self.year.begins_at() {
                holding.opening_units = holding.closing_units;
            } else {
                holding.movements.push(movement);
            }
        }
        let mut lots = self.lots().await?;
        for holding in &mut holdings {
            holding.lots = lots.remove(&holding.property_token_id).unwrap_or_default();
            let asset = holding.property_id.to_string();
            let changes = holding.movements.iter().map(|movement| movement.units);
            let tokens = roll(holding.opening_units, changes, holding.closing_units)?;
            sums.check("tokens", &asset, holding.token_decimals, &tokens);
            let of_lots = roll(0, holding.lots.iter().map(|lot| lot.units), holding.closing_units)?;
            sums.check("lots", &asset, holding.token_decimals, &of_lots);
            for lot in &holding.lots {
                let totals = sums.of(&lot.currency, lot.currency_decimals);
                add(&mut totals.held_cost_minor, lot.cost_minor)?;
            }
        }
        // What was gone before the year is not of the year.
        holdings.retain(|one| one.opening_units != 0 || one.closing_units != 0 || !one.movements.is_empty());
        Ok(holdings)
    }

    /// The lots at the year's last instant, by token, the oldest first.
    async fn lots(&self) -> Result<BTreeMap<Uuid, Vec<Lot>>, Problem> {
        // A lot is known by what made it: a change of the register, or what went out of another lot. What is not known yet to
        // have gone is there.
        let text = sql!(
            "select l.property_token_id, l.id, l.investment_id, l.acquired_at, l.tax_acquired_at, l.units, l.cost_minor, l.currency,
                    l.currency_decimals, gone.units, gone.cost
             from public.lots as l
             cross join lateral (
               select coalesce(sum(d.units), 0)::bigint as units, coalesce(sum(d.cost_minor), 0)::bigint as cost
               from public.lot_disposals as d where d.from_lot_id = l.id and (d.moved_at >= $2 or d.entry_id > $3)) as gone
             where l.party_id = $1 and l.acquired_at < $2 and l.units + gone.units > 0
               and case when l.parent_lot_id is null
                   then exists (select from public.token_movements as m where m.property_token_id = l.property_token_id
                                and m.moved_at = l.acquired_at and m.kind = 'close' and m.last_entry_id <= $3)
                   else exists (select from public.lot_disposals as d where d.to_lot_id = l.id and d.entry_id <= $3) end
             order by l.property_token_id, l.tax_acquired_at, l.id limit $4"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&self.party_id, &self.year.ends_at(), &self.known_seq, &(LINES_MAX + 1)];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let mut lots: BTreeMap<Uuid, Vec<Lot>> = BTreeMap::new();
        for row in &rows {
            let content = |units: usize, cost: usize| -> Result<LotContent, Problem> {
                Ok(LotContent {
                    units: amount(row.try_get(units)?)?,
                    cost: amount(row.try_get(cost)?)?,
                })
            };
            let left = Left {
                content: content(9, 10)?,
                at: self.year.ends_at(),
            };
            let then = content_before(content(5, 6)?, &[left], self.year.ends_at()).map_err(Problem::internal)?;
            lots.entry(row.try_get(0)?).or_default().push(Lot {
                lot_id: row.try_get(1)?,
                investment_id: row.try_get(2)?,
                acquired_at: row.try_get(3)?,
                tax_acquired_at: row.try_get(4)?,
                units: then.units.get(),
                cost_minor: then.cost.get(),
                currency: row.try_get(7)?,
                currency_decimals: digits(row, 8)?,
            });
        }
        Ok(lots)
    }

    /// What went out of lots within the year, first in first out, compared with what the ledger took from the holdings.
    ///
    /// # Errors
    /// What the database answered, `statement.length`.
    pub async fn disposals(&self, holdings: &[Holding], sums: &mut Sums) -> Result<Vec<Disposal>, Problem> {
        let text = sql!(
            "select d.property_id, d.from_lot_id, d.kind, l.tax_acquired_at, d.moved_at, d.units, d.token_decimals, d.cost_minor,
                    d.proceeds_minor, d.currency, d.currency_decimals, d.property_token_id
             from public.lot_disposals as d join public.lots as l on l.id = d.from_lot_id
             where d.party_id = $1 and d.moved_at >= $2 and d.moved_at < $3 and d.entry_id <= $4
             order by d.moved_at, d.entry_id, l.tax_acquired_at, d.from_lot_id limit $5"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &self.party_id,
            &self.year.begins_at(),
            &self.year.ends_at(),
            &self.known_seq,
            &(LINES_MAX + 1),
        ];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let mut disposals = Vec::new();
        let mut gone: BTreeMap<Uuid, i64> = BTreeMap::new();
        for row in &rows {
            let kind: String = row.try_get(2)?;
            let for_money = kind.parse::<DisposalKind>().is_ok_and(DisposalKind::starts_anew);
            let (cost, proceeds) = (amount(row.try_get(7)?)?, amount(row.try_get(8)?)?);
            let (currency, decimals): (String, u8) = (row.try_get(9)?, digits(row, 10)?);
            let units: i64 = row.try_get(5)?;
            add(gone.entry(row.try_get(11)?).or_default(), units)?;
            if for_money {
                let totals = sums.of(&currency, decimals);
                add(&mut totals.proceeds_minor, proceeds.get())?;
                add(&mut totals.cost_minor, cost.get())?;
                add(&mut totals.gain_minor, gain(proceeds, cost))?;
            }
            disposals.push(Disposal {
                property_id: row.try_get(0)?,
                lot_id: row.try_get(1)?,
                kind,
                tax_acquired_at: row.try_get(3)?,
                at: row.try_get(4)?,
                units,
                token_decimals: digits(row, 6)?,
                cost_minor: cost.get(),
                proceeds_minor: for_money.then_some(proceeds.get()),
                gain_minor: for_money.then(|| gain(proceeds, cost)),
                currency,
                currency_decimals: decimals,
            });
        }
        for holding in holdings {
            let went = holding
                .movements
                .iter()
                .filter(|one| one.units < 0)
                .map(|one| -one.units);
            let of_ledger = roll(0, went, 0)?.change;
            let of_lots = gone.remove(&holding.property_token_id).unwrap_or(0);
            if (of_ledger, of_lots) != (0, 0) {
                let asset = holding.property_id.to_string();
                sums.check(
                    "disposals",
                    &asset,
                    holding.token_decimals,
                    &roll(0, [of_lots], of_ledger)?,
                );
            }
        }
        match gone.keys().next() {
            None => Ok(disposals),
            Some(token_id) => Err(Problem::internal(format!(
                "tokens of {token_id} went that were not held"
            ))),
        }
    }

    /// Purchases whose charge arrived in the year, compared with what the ledger took into escrow for them.
    ///
    /// # Errors
    /// What the database answered, `statement.length`.
    pub async fn purchases(&self, sums: &mut Sums) -> Result<Vec<Purchase>, Problem> {
        let text = sql!(
            "select i.id, i.property_id, e.business_date, c.business_date, i.token_amount_units, i.token_decimals, i.price_per_token_minor,
                    i.total_amount_minor, i.fee_amount_minor, i.payment_currency, i.currency_decimals, e.id,
                    (select sum(p.amount)::bigint from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
                     where p.entry_id = e.id and a.purpose in ('escrow_bank', 'psp_clearing'))
             from public.investments as i
             join ledger.entries as e on e.key = 'investment:' || i.id || ':paid' and e.id <= $2
             left join ledger.entries as c on c.key = 'investment:' || i.id || ':close' and c.id <= $2 and c.business_date < $4
             where i.party_id = $1 and e.business_date >= $3 and e.business_date < $4
             order by e.business_date, e.id limit $5"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &self.party_id,
            &self.known_seq,
            &self.year.first_day(),
            &self.year.day_after(),
            &(LINES_MAX + 1),
        ];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let mut purchases = Vec::new();
        let mut received: BTreeMap<(String, u8), (i64, i64)> = BTreeMap::new();
        for row in &rows {
            let (total, fee): (i64, i64) = (row.try_get(7)?, row.try_get(8)?);
            let (currency, decimals): (String, u8) = (row.try_get(9)?, digits(row, 10)?);
            let charge = total + fee;
            let totals = sums.of(&currency, decimals);
            add(&mut totals.purchases_minor, total)?;
            add(&mut totals.fees_minor, fee)?;
            let both = received.entry((currency.clone(), decimals)).or_default();
            add(&mut both.0, charge)?;
            add(&mut both.1, row.try_get::<_, Option<i64>>(12)?.unwrap_or_default())?;
            purchases.push(Purchase {
                investment_id: row.try_get(0)?,
                property_id: row.try_get(1)?,
                paid_on: row.try_get(2)?,
                closed_on: row.try_get(3)?,
                units: row.try_get(4)?,
                token_decimals: digits(row, 5)?,
                price_minor: row.try_get(6)?,
                total_minor: total,
                fee_minor: fee,
                charge_minor: charge,
                currency,
                currency_decimals: decimals,
                entry_id: row.try_get(11)?,
            });
        }
        for ((currency, decimals), (charges, escrow)) in received {
            sums.check("purchases", &currency, decimals, &roll(0, [charges], escrow)?);
        }
        Ok(purchases)
    }

    /// What the rail confirmed to have given back within the year.
    ///
    /// # Errors
    /// What the database answered, `statement.length`.
    pub async fn refunds(&self, sums: &mut Sums) -> Result<Vec<Refund>, Problem> {
        let text = sql!(
            "select r.id, r.investment_id, r.property_id, r.reason, e.business_date, r.amount_minor, r.currency, r.currency_decimals, e.id
             from public.refunds as r
             join ledger.entries as e on e.key = 'refund:' || r.id || ':confirmed' and e.id <= $2
             where e.business_date >= $3 and e.business_date < $4 and r.id in (
               select f.id from public.investments as i join public.refunds as f on f.investment_id = i.id where i.party_id = $1
               union all
               select f.id from public.user_profiles as u join public.refunds as f on f.user_id = u.id
               where u.party_id = $1 and f.investment_id is null)
             order by e.business_date, e.id limit $5"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &self.party_id,
            &self.known_seq,
            &self.year.first_day(),
            &self.year.day_after(),
            &(LINES_MAX + 1),
        ];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let mut refunds = Vec::new();
        for row in &rows {
            let refund = Refund {
                refund_id: row.try_get(0)?,
                investment_id: row.try_get(1)?,
                property_id: row.try_get(2)?,
                reason: row.try_get(3)?,
                on: row.try_get(4)?,
                amount_minor: row.try_get(5)?,
                currency: row.try_get(6)?,
                currency_decimals: digits(row, 7)?,
                entry_id: row.try_get(8)?,
            };
            let totals = sums.of(&refund.currency, refund.currency_decimals);
            add(&mut totals.refunds_minor, refund.amount_minor)?;
            refunds.push(refund);
        }
        Ok(refunds)
    }
}
