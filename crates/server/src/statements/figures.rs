//! The figures of a statement, read on one snapshot: every row is one of the ledger up to the known entry, or hangs on one.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use mint_core::{
    refusal::Refusal,
    statement::{Income, Roll, Year, by_month},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::record::{Capital, Cash, Check, IncomeLine, MonthIncome, PropertyIncome, Statement, Totals};
use crate::{command::Command, db::sql, offerings::record::amount, problem::Problem};

/// Lines of one kind in a statement, at most: a year of daily distributions of fifty properties.
pub(super) const LINES_MAX: i64 = 20_000;

/// Entries below the newest among which a gap is looked for that somebody is still filling.
const RECENT_ENTRIES: i64 = 1_000;

/// Kinds of entries that move a party's money and are no capital.
const ALLOCATED: &str = "distribution.allocated";
const PAYOUTS: [&str; 3] = ["payout.sent", "payout.failed", "payout.confirmed"];

/// Who looks at what.
pub struct Look<'a> {
    pub(super) command: &'a Command,
    /// Whose statement.
    pub party_id: Uuid,
    /// Of which year.
    pub year: Year,
    /// Up to which ledger entry.
    pub known_seq: i64,
}

/// Sums and checks, while they grow.
#[derive(Default)]
pub struct Sums {
    /// By currency.
    pub totals: BTreeMap<String, Totals>,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

/// A line with its day and its income.
type Credited = (NaiveDate, Income, IncomeLine);

/// A posting to what a party is owed, or to what is on its way to it.
pub struct Credit {
    currency: String,
    decimals: u8,
    is_payable: bool,
    entry_id: i64,
    kind: String,
    on: NaiveDate,
    units: i64,
    line_id: Option<Uuid>,
    property_id: Option<Uuid>,
}

impl Sums {
    pub(super) fn of(&mut self, currency: &str, decimals: u8) -> &mut Totals {
        self.totals.entry(currency.to_owned()).or_insert_with(|| Totals {
            currency: currency.to_owned(),
            currency_decimals: decimals,
            ..Totals::default()
        })
    }

    pub(super) fn check(&mut self, what: &str, asset: &str, decimals: u8, roll: &Roll) {
        self.checks.push(Check {
            what: what.to_owned(),
            asset: asset.to_owned(),
            decimals,
            opening: roll.opening,
            change: roll.change,
            closing: roll.closing,
        });
    }
}

pub(super) fn digits(row: &Row, column: usize) -> Result<u8, Problem> {
    u8::try_from(row.try_get::<_, i16>(column)?).map_err(Problem::internal)
}

pub(super) fn add(sum: &mut i64, units: i64) -> Result<(), Problem> {
    *sum = sum
        .checked_add(units)
        .ok_or_else(|| Problem::internal("a sum of a statement is past what an amount can be"))?;
    Ok(())
}

pub(super) fn roll(opening: i64, changes: impl IntoIterator<Item = i64>, closing: i64) -> Result<Roll, Problem> {
    Roll::of(opening, changes, closing).map_err(Problem::internal)
}

/// Rows, unless there are more than a statement can have.
pub(super) fn bounded(rows: Vec<Row>) -> Result<Vec<Row>, Problem> {
    if i64::try_from(rows.len()).is_ok_and(|count| count <= LINES_MAX) {
        return Ok(rows);
    }
    Err(Refusal::new(
        "statement.length",
        format!("the year has more than {LINES_MAX} lines of a kind"),
        "read the tables themselves by /rest/v1",
    )
    .into())
}

impl<'a> Look<'a> {
    /// Looks at everything up to an entry of the ledger: by default the last that is decided.
    ///
    /// # Errors
    /// `statement.sequence` for an entry that is not known yet.
    pub async fn at(
        command: &'a Command,
        party_id: Uuid,
        year: Year,
        known_seq: Option<i64>,
    ) -> Result<Look<'a>, Problem> {
        // Numbers are given before entries are committed. Where somebody is posting just now and a number is missing among
        // the newest, it may be his: the answer goes up to there.
        let text = sql!(
            "with newest as (select e.id, lead(e.id) over (order by e.id) as next from ledger.entries as e order by e.id desc limit $1)
             select coalesce(case when exists (
               select from pg_catalog.pg_locks as l where l.locktype = 'relation' and l.relation = 'ledger.entries'::regclass
                 and l.mode = 'RowExclusiveLock' and l.pid <> pg_backend_pid()
                 and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
               then (select min(n.id) from newest as n where n.next > n.id + 1) end, (select max(n.id) from newest as n), 0)"
        );
        let last: i64 = command.tx.query_one(text, &[&RECENT_ENTRIES]).await?.try_get(0)?;
        let known_seq = known_seq.unwrap_or(last);
        if known_seq > last || known_seq < 0 {
            return Err(Refusal::new(
                "statement.sequence",
                "the ledger is not known up to there yet",
                format!("ask for {last} or an earlier entry"),
            )
            .looking_at("known_seq", known_seq)
            .looking_at("last_seq", last)
            .into());
        }
        Ok(Look {
            command,
            party_id,
            year,
            known_seq,
        })
    }

    /// Every posting to what the party is owed or is on its way to it, from the year's first day on: a payout of the year
    /// may be confirmed after it.
    ///
    /// # Errors
    /// What the database answered, `statement.length`.
    pub async fn credits(&self) -> Result<Vec<Credit>, Problem> {
        let text = sql!(
            "select a.asset, s.decimals, a.purpose = 'payable', e.id, e.kind, e.business_date, p.amount, (e.cause ->> 'line_id')::uuid,
                    case when e.kind <> all ($5) then (
                      select x.property_id from ledger.postings as q join ledger.accounts as x on x.id = q.account_id
                      where q.entry_id = e.id and x.property_id is not null order by q.line limit 1) end
             from ledger.accounts as a
             join ledger.assets as s on s.code = a.asset
             join ledger.postings as p on p.account_id = a.id
             join ledger.entries as e on e.id = p.entry_id
             where a.party_id = $1 and a.purpose in ('payable', 'payout_clearing') and e.id <= $2 and e.business_date >= $3
             order by e.id, p.line limit $4"
        );
        let plain: Vec<&str> = PAYOUTS.into_iter().chain([ALLOCATED]).collect();
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &self.party_id,
            &self.known_seq,
            &self.year.first_day(),
            &(LINES_MAX + 1),
            &plain,
        ];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let credit = |row: &Row| {
            Ok(Credit {
                currency: row.try_get(0)?,
                decimals: digits(row, 1)?,
                is_payable: row.try_get(2)?,
                entry_id: row.try_get(3)?,
                kind: row.try_get(4)?,
                on: row.try_get(5)?,
                units: row.try_get(6)?,
                line_id: row.try_get(7)?,
                property_id: row.try_get(8)?,
            })
        };
        rows.iter().map(credit).collect()
    }

    /// Distributions by property and month, each line counted on the day on which it was credited. Their sums are compared
    /// with what the ledger credited.
    ///
    /// # Errors
    /// What the database answered, `statement.length`.
    pub async fn income(&self, credits: &[Credit], sums: &mut Sums) -> Result<Vec<PropertyIncome>, Problem> {
        let paid_on: BTreeMap<Uuid, NaiveDate> = credits
            .iter()
            .filter(|credit| credit.kind == "payout.confirmed")
            .filter_map(|credit| Some((credit.line_id?, credit.on)))
            .collect();
        // A line of which all is withheld credits nobody: the entry of its part says when. A part is named by its last party.
        let text = sql!(
            "with credited as (
               select (e.cause ->> 'distribution_id')::uuid as distribution_id, e.id, e.business_date
               from ledger.accounts as a join ledger.postings as p on p.account_id = a.id join ledger.entries as e on e.id = p.entry_id
               where a.party_id = $1 and a.purpose = 'payable' and e.kind = $5 and e.id <= $2)
             select d.property_id, d.currency, d.currency_decimals, d.id, l.id, d.record_at, c.business_date, l.entitled_units, l.amount_minor,
                    l.withheld_minor, l.rate_ppm, l.form, l.form_version, c.id
             from public.distribution_lines as l
             join public.distributions as d on d.id = l.distribution_id
             join lateral (
               select x.id, x.business_date from credited as x where x.distribution_id = d.id
               union all
               (select e.id, e.business_date from ledger.entries as e
                where l.amount_minor = l.withheld_minor and l.amount_minor > 0 and e.id <= $2
                  and e.key between 'distribution:' || d.id || ':allocated:' || l.party_id
                                and 'distribution:' || d.id || ':allocated:ffffffff-ffff-ffff-ffff-ffffffffffff'
                order by e.key limit 1)
             ) as c on true
             where l.party_id = $1 and c.business_date < $3
             order by d.property_id, d.currency, c.business_date, c.id, l.id limit $4"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &self.party_id,
            &self.known_seq,
            &self.year.day_after(),
            &(LINES_MAX + 1),
            &ALLOCATED,
        ];
        let rows = bounded(self.command.tx.query(text, params).await?)?;
        let mut before: BTreeMap<String, (u8, Income)> = BTreeMap::new();
        let mut lines: BTreeMap<(Uuid, String, u8), Vec<Credited>> = BTreeMap::new();
        for row in &rows {
            let (currency, decimals): (String, u8) = (row.try_get(1)?, digits(row, 2)?);
            let income = Income::of(amount(row.try_get(8)?)?, amount(row.try_get(9)?)?).map_err(Problem::internal)?;
            let credited_on: NaiveDate = row.try_get(6)?;
            let sum = &mut before
                .entry(currency.clone())
                .or_insert((decimals, Income::default()))
                .1;
            if credited_on < self.year.first_day() {
                *sum = sum.plus(income).map_err(Problem::internal)?;
                continue;
            }
            let line_id: Uuid = row.try_get(4)?;
            let line = IncomeLine {
                distribution_id: row.try_get(3)?,
                line_id,
                record_at: row.try_get(5)?,
                credited_on,
                paid_on: paid_on.get(&line_id).copied(),
                entitled_units: row.try_get(7)?,
                gross_minor: income.gross.get(),
                withheld_minor: income.withheld.get(),
                net_minor: income.net.get(),
                rate_ppm: row.try_get(10)?,
                form: row.try_get(11)?,
                form_version: row.try_get(12)?,
                entry_id: row.try_get(13)?,
            };
            let key = (row.try_get(0)?, currency, decimals);
            lines.entry(key).or_default().push((credited_on, income, line));
        }
        let mut properties = Vec::new();
        for ((property_id, currency, decimals), lines) in lines {
            let one = property_income(property_id, currency, decimals, lines)?;
            let totals = sums.of(&one.currency, decimals);
            add(&mut totals.gross_minor, one.gross_minor)?;
            add(&mut totals.withheld_minor, one.withheld_minor)?;
            add(&mut totals.net_minor, one.net_minor)?;
            properties.push(one);
        }
        self.check_income(&before, sums).await?;
        Ok(properties)
    }

    /// What the ledger credited by distributions until the year's end is what the lines say, less what was withheld.
    async fn check_income(&self, before: &BTreeMap<String, (u8, Income)>, sums: &mut Sums) -> Result<(), Problem> {
        let text = sql!(
            "select coalesce(sum(p.amount), 0)::bigint
             from ledger.accounts as a join ledger.postings as p on p.account_id = a.id join ledger.entries as e on e.id = p.entry_id
             where a.party_id = $1 and a.purpose = 'payable' and a.asset = $2 and e.kind = $3 and e.id <= $4 and e.business_date < $5"
        );
        for (currency, (decimals, before)) in before {
            let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
                &self.party_id,
                currency,
                &ALLOCATED,
                &self.known_seq,
                &self.year.day_after(),
            ];
            let credited: i64 = self.command.tx.query_one(text, params).await?.try_get(0)?;
            let (gross, withheld, net) = {
                let totals = sums.of(currency, *decimals);
                (totals.gross_minor, totals.withheld_minor, totals.net_minor)
            };
            let income = roll(before.net.get(), [net], credited)?;
            sums.check("income", currency, *decimals, &income);
            let all = roll(before.gross.get(), [gross], 0)?;
            let kept = all.opening + all.change - credited;
            let tax = roll(before.withheld.get(), [withheld], kept)?;
            sums.check("withheld", currency, *decimals, &tax);
        }
        Ok(())
    }

    /// Money credited that is neither a distribution nor a payout that came back.
    ///
    /// # Errors
    /// When a sum is past what an amount can be.
    pub fn capital(&self, credits: &[Credit], sums: &mut Sums) -> Result<Vec<Capital>, Problem> {
        let mut capital = Vec::new();
        for credit in credits.iter().filter(|credit| self.is_capital(credit)) {
            let totals = sums.of(&credit.currency, credit.decimals);
            add(&mut totals.capital_minor, credit.units)?;
            capital.push(Capital {
                property_id: credit.property_id,
                kind: credit.kind.clone(),
                on: credit.on,
                amount_minor: credit.units,
                currency: credit.currency.clone(),
                currency_decimals: credit.decimals,
                entry_id: credit.entry_id,
            });
        }
        Ok(capital)
    }

    fn is_capital(&self, credit: &Credit) -> bool {
        let kind = credit.kind.as_str();
        credit.is_payable && kind != ALLOCATED && !PAYOUTS.contains(&kind) && self.year.has(credit.on)
    }

    /// What was owed and what was paid, by currency. Payments to the party pass through what is under way to it.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn cash(&self, credits: &[Credit], sums: &mut Sums) -> Result<Vec<Cash>, Problem> {
        let text = sql!(
            "select a.asset, s.decimals,
                    coalesce(sum(p.amount) filter (where e.business_date < $3), 0)::bigint,
                    coalesce(sum(p.amount) filter (where a.purpose = 'payable'), 0)::bigint,
                    coalesce(sum(p.amount) filter (where a.purpose = 'payout_clearing'), 0)::bigint
             from ledger.accounts as a
             join ledger.assets as s on s.code = a.asset
             join ledger.postings as p on p.account_id = a.id
             join ledger.entries as e on e.id = p.entry_id
             where a.party_id = $1 and a.purpose in ('payable', 'payout_clearing') and e.id <= $2 and e.business_date < $4
             group by a.asset, s.decimals order by a.asset"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &self.party_id,
            &self.known_seq,
            &self.year.first_day(),
            &self.year.day_after(),
        ];
        let rows = self.command.tx.query(text, params).await?;
        let mut cash = Vec::new();
        for row in &rows {
            let mut one = Cash {
                currency: row.try_get(0)?,
                currency_decimals: digits(row, 1)?,
                opening_minor: row.try_get(2)?,
                income_minor: 0,
                capital_minor: 0,
                paid_minor: 0,
                payable_minor: row.try_get(3)?,
                under_way_minor: row.try_get(4)?,
            };
            let of_year = credits
                .iter()
                .filter(|credit| credit.currency == one.currency && self.year.has(credit.on));
            for credit in of_year {
                if self.is_capital(credit) {
                    add(&mut one.capital_minor, credit.units)?;
                } else if credit.kind == ALLOCATED {
                    add(&mut one.income_minor, credit.units)?;
                } else if credit.kind == "payout.confirmed" {
                    add(&mut one.paid_minor, -credit.units)?;
                }
            }
            let changes = [one.income_minor, one.capital_minor, -one.paid_minor];
            let owed = one.payable_minor + one.under_way_minor;
            let owed = roll(one.opening_minor, changes, owed)?;
            sums.check("payable", &one.currency, one.currency_decimals, &owed);
            cash.push(one);
        }
        Ok(cash)
    }

    /// Whether something of the statement was sold in an offering that takes no real money.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn is_simulated(&self, statement: &Statement) -> Result<bool, Problem> {
        let text = sql!(
            "select exists (select from public.offerings as o where o.property_id = any ($1) and not o.is_live and o.opened_at < $2)"
        );
        let properties = properties(statement);
        let row = self
            .command
            .tx
            .query_one(text, &[&properties, &self.year.ends_at()])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// The titles of the properties in a statement, with their places.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn titles(&self, statement: &Statement) -> Result<BTreeMap<Uuid, String>, Problem> {
        let text =
            sql!("select p.id, concat_ws(', ', p.title, p.city) from public.properties as p where p.id = any ($1)");
        let rows = self.command.tx.query(text, &[&properties(statement)]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

fn property_income(
    property_id: Uuid,
    currency: String,
    currency_decimals: u8,
    lines: Vec<Credited>,
) -> Result<PropertyIncome, Problem> {
    let sums = by_month(lines.iter().map(|(day, income, _)| (*day, *income))).map_err(Problem::internal)?;
    let all = sums
        .values()
        .try_fold(Income::default(), |sum, one| sum.plus(*one))
        .map_err(Problem::internal)?;
    let mut months: Vec<MonthIncome> = sums
        .into_iter()
        .map(|(month, income)| MonthIncome {
            month,
            gross_minor: income.gross.get(),
            withheld_minor: income.withheld.get(),
            net_minor: income.net.get(),
            lines: Vec::new(),
        })
        .collect();
    for (day, _, line) in lines {
        // Months are in order, and each line's is among them: the last that is not after it.
        if let Some(month) = months.iter_mut().rev().find(|month| month.month <= day) {
            month.lines.push(line);
        }
    }
    Ok(PropertyIncome {
        property_id,
        currency,
        currency_decimals,
        months,
        gross_minor: all.gross.get(),
        withheld_minor: all.withheld.get(),
        net_minor: all.net.get(),
    })
}

fn properties(statement: &Statement) -> Vec<Uuid> {
    let held = statement.holdings.iter().map(|one| one.property_id);
    let paid = statement.income.iter().map(|one| one.property_id);
    let bought = statement.purchases.iter().map(|one| one.property_id);
    let back = statement.refunds.iter().map(|one| one.property_id);
    let gone = statement.disposals.iter().map(|one| one.property_id);
    let capital = statement.capital.iter().filter_map(|one| one.property_id);
    let mut all: Vec<Uuid> = held
        .chain(paid)
        .chain(bought)
        .chain(back)
        .chain(gone)
        .chain(capital)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
