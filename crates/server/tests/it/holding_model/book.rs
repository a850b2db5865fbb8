//! The model: whose lots there are, what is owed to whom, what the property has. Nothing of it is the program's own reckoning.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use mint_core::lots::DisposalKind;
use uuid::Uuid;

use crate::distributions::party;
use crate::shop::Shop;
use crate::site::Signed;

/// A lot: whose, tokens, cost, date for tax.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lot {
    owner: usize,
    parent: Option<Uuid>,
    units: i64,
    cost: i64,
    tax_at: DateTime<Utc>,
}

/// Money on its way to a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Debt {
    owner: usize,
    amount: i64,
    status: &'static str,
}

/// Tokens that are to move.
#[derive(Debug, Clone)]
pub(super) struct Moves {
    pub(super) from: usize,
    pub(super) to: Option<usize>,
    pub(super) units: i64,
    pub(super) kind: DisposalKind,
    pub(super) proceeds: i64,
}

pub(super) struct Book {
    pub(super) parties: Vec<Uuid>,
    lots: BTreeMap<Uuid, Lot>,
    /// Lots that must be there now, whose ids are not known yet.
    new: Vec<Lot>,
    /// What must be owed now, whose payouts' ids are not known yet.
    owed: Vec<Debt>,
    debts: BTreeMap<Uuid, Debt>,
    /// Freezes: id, whose, how many; all where nothing is said.
    pub(super) freezes: Vec<(Uuid, usize, Option<i64>)>,
    /// Whose bank refuses.
    pub(super) fails: Vec<bool>,
    pub(super) cash: i64,
    pub(super) manager_fee: i64,
    burned: i64,
    disposals: i64,
}

impl Book {
    pub(super) async fn new(shop: &Shop, holders: &[Signed]) -> Book {
        let mut parties = Vec::new();
        for holder in holders {
            parties.push(party(shop, holder).await);
        }
        let mut book = Book {
            fails: vec![false; parties.len()],
            parties,
            lots: BTreeMap::new(),
            new: Vec::new(),
            owed: Vec::new(),
            debts: BTreeMap::new(),
            freezes: Vec::new(),
            cash: 0,
            manager_fee: 0,
            burned: 0,
            disposals: 0,
        };
        book.lots = book.lots_there(shop).await;
        book
    }

    fn owner(&self, party_id: Uuid) -> usize {
        self.parties.iter().position(|one| *one == party_id).unwrap()
    }

    async fn lots_there(&self, shop: &Shop) -> BTreeMap<Uuid, Lot> {
        let sql = "select id, party_id, parent_lot_id, units, cost_minor, tax_acquired_at from public.lots";
        let rows = shop.site.world.admin().await.query(sql, &[]).await.unwrap();
        let lot = |row: &tokio_postgres::Row| Lot {
            owner: self.owner(row.get(1)),
            parent: row.get(2),
            units: row.get(3),
            cost: row.get(4),
            tax_at: row.get(5),
        };
        rows.iter().map(|row| (row.get(0), lot(row))).collect()
    }

    async fn debts_there(&self, shop: &Shop) -> BTreeMap<Uuid, Debt> {
        let sql = "select id, party_id, amount_minor, status from public.payouts";
        let rows = shop.site.world.admin().await.query(sql, &[]).await.unwrap();
        let debt = |row: &tokio_postgres::Row| Debt {
            owner: self.owner(row.get(1)),
            amount: row.get(2),
            status: match row.get::<_, &str>(3) {
                "due" => "due",
                "confirmed" => "confirmed",
                "failed" => "failed",
                other => panic!("a payout is {other}"),
            },
        };
        rows.iter().map(|row| (row.get(0), debt(row))).collect()
    }

    pub(super) fn held(&self) -> i64 {
        self.lots.values().chain(&self.new).map(|lot| lot.units).sum()
    }

    fn holds(&self, who: usize) -> i64 {
        self.lots
            .values()
            .filter(|lot| lot.owner == who)
            .map(|lot| lot.units)
            .sum()
    }

    /// The manager has 8 % and the platform 2 % of the rent, each rounded half up; the rest can be distributed.
    pub(super) fn rent(&mut self, minor: i64) {
        let manager = (minor * 8 + 50) / 100;
        self.manager_fee += manager;
        self.cash += minor - manager - (minor * 2 + 50) / 100;
    }

    /// The lines of a distribution of everything: near enough to the exact shares, in all what there was, 30 % tax of each.
    pub(super) async fn distributed(&mut self, shop: &Shop, id: Uuid) -> Vec<i64> {
        let sql = "select party_id, amount_minor, withheld_minor from public.distribution_lines where distribution_id = $1 order by party_id";
        let rows = shop.site.world.admin().await.query(sql, &[&id]).await.unwrap();
        let amounts: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
        assert_eq!(amounts.iter().sum::<i64>(), self.cash, "everything is distributed");
        let held = self.held();
        for row in &rows {
            let (owner, amount, withheld): (usize, i64, i64) = (self.owner(row.get(0)), row.get(1), row.get(2));
            let share = self.cash * self.holds(owner);
            assert!(
                (share / held..=share / held + 1).contains(&amount),
                "{amount} of {share} / {held}"
            );
            assert_eq!(withheld, (amount * 3 + 5) / 10, "30 % of {amount}");
            if amount > withheld {
                self.owe(owner, amount - withheld);
            }
        }
        let holders = (0..self.parties.len()).filter(|who| self.holds(*who) > 0).count();
        assert_eq!(rows.len(), holders, "each holder has one line");
        self.cash = 0;
        amounts
    }

    fn owe(&mut self, owner: usize, amount: i64) {
        let status = "due";
        self.owed.push(Debt { owner, amount, status });
    }

    pub(super) fn redeemed(&mut self, who: usize, price: i64) {
        self.cash -= price;
        self.owe(who, price);
    }

    /// What is due and not frozen goes out; what his bank refuses comes back. Answers how many were refused.
    pub(super) fn pay_out(&mut self) -> usize {
        let mut failed = 0;
        for debt in self.debts.values_mut().chain(&mut self.owed) {
            let is_frozen = self.freezes.iter().any(|(_, who, _)| *who == debt.owner);
            if debt.status == "due" && !is_frozen {
                debt.status = if self.fails[debt.owner] { "failed" } else { "confirmed" };
                failed += usize::from(self.fails[debt.owner]);
            }
        }
        failed
    }

    pub(super) fn any_failed(&self) -> Option<Uuid> {
        let mut failed = self.debts.iter().filter(|(_, debt)| debt.status == "failed");
        failed.next().map(|(id, _)| *id)
    }

    pub(super) fn tried_again(&mut self, payout: Uuid) {
        self.debts.get_mut(&payout).unwrap().status = "due";
    }

    fn frozen(&self, who: usize) -> i64 {
        let his = self.freezes.iter().filter(|(_, whose, _)| *whose == who);
        his.map(|(_, _, units)| units.unwrap_or(i64::MAX / 1_000)).sum()
    }

    /// Whether tokens may move so.
    pub(super) fn can(&self, moves: &Moves) -> bool {
        let frozen = if moves.kind == DisposalKind::Forced {
            0
        } else {
            self.frozen(moves.from)
        };
        moves.units <= self.holds(moves.from) - frozen
    }

    /// First in, first out by the date for tax.
    pub(super) fn moved(&mut self, moves: &Moves, now: DateTime<Utc>) {
        let mut his: Vec<(DateTime<Utc>, Uuid)> = self
            .lots
            .iter()
            .filter(|(_, lot)| lot.owner == moves.from && lot.units > 0)
            .map(|(id, lot)| (lot.tax_at, *id))
            .collect();
        his.sort();
        let (mut left, mut taken) = (moves.units, Vec::new());
        for (_, id) in his {
            let lot = self.lots.get_mut(&id).unwrap();
            let units = left.min(lot.units);
            if units == 0 {
                break;
            }
            let cost = if units == lot.units {
                lot.cost
            } else {
                lot.cost * units / lot.units
            };
            taken.push((id, units, cost, lot.tax_at));
            lot.units -= units;
            lot.cost -= cost;
            left -= units;
        }
        self.disposals += i64::try_from(taken.len()).unwrap();
        let Some(to) = moves.to else {
            self.burned += moves.units;
            return;
        };
        let shares: Vec<(Uuid, i64)> = taken.iter().map(|(id, units, _, _)| (*id, *units)).collect();
        let proceeds = split(moves.proceeds, &shares);
        for (id, units, cost, tax_at) in taken {
            let is_sale = moves.kind == DisposalKind::Sale;
            self.new.push(Lot {
                owner: to,
                parent: Some(id),
                units,
                cost: if is_sale { proceeds[&id] } else { cost },
                tax_at: if is_sale { now } else { tax_at },
            });
        }
    }

    /// Everybody's tokens are burned for what the house brought; what each gets is near enough to his exact share.
    pub(super) async fn wound_up(&mut self, shop: &Shop, price: i64) {
        let sql = "select r.party_id, r.amount_minor, r.units from public.redemptions as r join public.holding_cases as h on h.id = r.case_id
                   where h.kind = 'wind_up'";
        let rows = shop.site.world.admin().await.query(sql, &[]).await.unwrap();
        let held = self.held();
        assert_eq!(rows.iter().map(|row| row.get::<_, i64>(1)).sum::<i64>(), price);
        for row in &rows {
            let (owner, amount, units): (usize, i64, i64) = (self.owner(row.get(0)), row.get(1), row.get(2));
            assert_eq!(units, self.holds(owner));
            let share = i128::from(price) * i128::from(units) / i128::from(held);
            assert!((share..=share + 1).contains(&i128::from(amount)));
            if amount > 0 {
                self.owe(owner, amount);
            }
        }
        for lot in self.lots.values_mut().filter(|lot| lot.units > 0) {
            self.disposals += 1;
            (lot.units, lot.cost) = (0, 0);
        }
        // What nobody bought is taken out as well.
        self.burned = 1_000;
    }

    /// Where the database differs. What the model waited for gets its ids.
    pub(super) async fn differences(&mut self, shop: &Shop) -> Vec<String> {
        let mut found = Vec::new();
        let lots = self.lots_there(shop).await;
        for (id, lot) in &lots {
            if let Some(expected) = self.lots.get(id) {
                if expected != lot {
                    found.push(format!("lot {id} is {lot:?}, not {expected:?}"));
                }
            } else if let Some(at) = self.new.iter().position(|expected| expected == lot) {
                self.new.swap_remove(at);
            } else {
                found.push(format!("nobody expects the lot {id}: {lot:?}"));
            }
        }
        found.extend(self.new.drain(..).map(|lot| format!("there is no lot {lot:?}")));
        self.lots = lots;
        let debts = self.debts_there(shop).await;
        for (id, debt) in &debts {
            if let Some(expected) = self.debts.get(id) {
                if expected != debt {
                    found.push(format!("payout {id} is {debt:?}, not {expected:?}"));
                }
            } else if let Some(at) = self.owed.iter().position(|expected| expected == debt) {
                self.owed.swap_remove(at);
            } else {
                found.push(format!("nobody expects the payout {id}: {debt:?}"));
            }
        }
        found.extend(self.owed.drain(..).map(|debt| format!("nobody is owed {debt:?}")));
        self.debts = debts;
        for (purpose, expected) in [
            ("operating_cash", self.cash),
            ("held", self.held()),
            ("burned", self.burned),
        ] {
            let there = shop.balance(purpose).await;
            if there != expected {
                found.push(format!("{purpose} is {there}, not {expected}"));
            }
        }
        let sql = "select count(*) from public.lot_disposals";
        let there: i64 = shop.site.world.admin().await.query_one(sql, &[]).await.unwrap().get(0);
        if there != self.disposals {
            found.push(format!("{there} disposals, not {}", self.disposals));
        }
        found
    }
}

/// Largest remainder, equal fractions in the order of ids.
fn split(total: i64, shares: &[(Uuid, i64)]) -> BTreeMap<Uuid, i64> {
    let all: i64 = shares.iter().map(|(_, units)| units).sum();
    let mut parts: Vec<(i64, Uuid, i64)> = shares
        .iter()
        .map(|(id, units)| (-(total * units % all), *id, total * units / all))
        .collect();
    parts.sort();
    let mut left = total - parts.iter().map(|(_, _, whole)| whole).sum::<i64>();
    let mut given = BTreeMap::new();
    for (_, id, whole) in parts {
        let more = i64::from(left > 0);
        left -= more;
        given.insert(id, whole + more);
    }
    given
}
