//! The pure model: what must have become of every investment, payment and refund. It decides by `mint_core` alone and keeps
//! its own books; the database is only asked for the ids that it gave.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use mint_core::closing;
use mint_core::compliance::{Identity, Screening, Standing};
use mint_core::eligibility::{Buyer, Holders, Order, Sale};
use mint_core::fees::FeeSchedule;
use mint_core::money::{Amount, Currency, Decimals};
use mint_core::offering::{self, Kind, Sold, Terms};
use mint_core::payment::{self, Decision, Parts, Purchase, charge_back};
use mint_core::rule_pack::{PackRule, Rule, RulePack};
use mint_core::states::{InvestmentStatus as Status, OfferingStatus};
use nexus_mint::payments::rail::{Message, Said};
use uuid::Uuid;

use crate::shop::{LONG_STOP, Shop, WINDOW};
use crate::site::Signed;

const ASK_AGAIN: TimeDelta = TimeDelta::minutes(2);

fn amount(units: i64) -> Amount {
    Amount::try_from(units).unwrap()
}

#[derive(Debug, Clone)]
struct Investment {
    id: Option<Uuid>,
    user: Uuid,
    units: i64,
    charge: i64,
    status: Status,
    due_at: DateTime<Utc>,
    withdraw_until: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
struct Payment {
    investment: Option<Uuid>,
    amount: i64,
    matched: i64,
    unmatched: i64,
    settled: bool,
    charged_back: bool,
}

#[derive(Debug, Clone)]
struct Refund {
    id: Option<Uuid>,
    payment: String,
    of_purchase: bool,
    investment: Option<Uuid>,
    amount: i64,
    reason: &'static str,
    status: &'static str,
    settled: bool,
    by_rail: bool,
    due_at: DateTime<Utc>,
}

/// What the rail knows of a payment, whatever it said.
#[derive(Debug, Clone, Default)]
struct Provider {
    outcome: &'static str,
    settled: bool,
    charged_back: bool,
    refunds: HashMap<Uuid, (bool, bool)>,
}

pub(super) struct Book {
    terms: Terms,
    pack: RulePack,
    property_id: Uuid,
    offering_id: Uuid,
    status: OfferingStatus,
    has_evidence: bool,
    parties: HashMap<Uuid, Uuid>,
    investments: Vec<Investment>,
    payments: BTreeMap<String, Payment>,
    refunds: Vec<Refund>,
    provider: BTreeMap<String, Provider>,
    messages: Vec<Message>,
    seen: Vec<String>,
    sessions: HashMap<String, Uuid>,
    asked: Vec<(Uuid, i64, bool)>,
    incidents: usize,
}

impl Book {
    pub(super) async fn new(shop: &Shop, offering_id: Uuid, buyers: &[Signed]) -> Book {
        let now = shop.site.now();
        let admin = shop.site.world.admin().await;
        let mut parties = HashMap::new();
        for buyer in buyers {
            let sql = "select party_id from public.user_profiles where id = $1";
            parties.insert(buyer.id, admin.query_one(sql, &[&buyer.id]).await.unwrap().get(0));
        }
        let has_evidence: bool = admin
            .query_one(
                "select exists (select from public.property_documents where property_id = $1)",
                &[&shop.property_id],
            )
            .await
            .unwrap()
            .get(0);
        let rule = |rule| PackRule {
            rule,
            source: "a law".to_owned(),
            checked: false,
        };
        Book {
            terms: Terms {
                kind: Kind::IssuerOwns,
                price: amount(5_000),
                soft_cap: amount(10),
                hard_cap: amount(40),
                minimum: amount(1),
                maximum: Some(amount(15)),
                opens_at: now,
                closes_at: now + WINDOW,
                long_stop_at: now + LONG_STOP,
            },
            pack: RulePack {
                code: "model".to_owned(),
                version: 1,
                rules: vec![rule(Rule::CoolingOff { days: 1 }), rule(Rule::HolderCap { parties: 4 })],
            },
            property_id: shop.property_id,
            offering_id,
            status: OfferingStatus::Open,
            has_evidence,
            parties,
            investments: Vec::new(),
            payments: BTreeMap::new(),
            refunds: Vec::new(),
            provider: BTreeMap::new(),
            messages: Vec::new(),
            seen: Vec::new(),
            sessions: HashMap::new(),
            asked: Vec::new(),
            incidents: 0,
        }
    }

    fn sold(&self, status: &[Status]) -> impl Iterator<Item = &Investment> {
        let status = status.to_vec();
        self.investments.iter().filter(move |one| status.contains(&one.status))
    }

    fn sale(&self) -> Sale {
        const TAKEN: [Status; 3] = [Status::Pending, Status::Paid, Status::Confirmed];
        let taken: i64 = self.sold(&TAKEN).map(|one| one.units).sum();
        let buyers: BTreeMap<Uuid, Buyer> = self
            .parties
            .iter()
            .map(|(user, party)| {
                let mine: Vec<&Investment> = self.sold(&TAKEN).filter(|one| one.user == *user).collect();
                let open = mine.iter().filter(|one| one.status == Status::Pending).count();
                let buyer = Buyer {
                    standing: Standing {
                        party: *party,
                        identity: Identity::None,
                        screening: Screening::Never,
                        residency: None,
                        accredited_until: None,
                        sophisticated_until: None,
                        entry_test_until: None,
                        net_worth_minor: None,
                        insider_of: vec![],
                    },
                    units: amount(mine.iter().map(|one| one.units).sum()),
                    open_reservations: u32::try_from(open).unwrap(),
                    bought_in_year: amount(mine.iter().map(|one| one.units * 5_000).sum()),
                    own_yearly_limit: None,
                    is_holder: !mine.is_empty(),
                };
                (*party, buyer)
            })
            .collect();
        let holders = buyers.values().filter(|buyer| buyer.is_holder).count();
        Sale {
            status: self.status,
            terms: self.terms.clone(),
            pack: self.pack.clone(),
            currency: Currency::new("USD", Decimals::CENTS).unwrap(),
            token_decimals: Decimals::WHOLE,
            property_id: self.property_id,
            is_public: true,
            reservation: TimeDelta::minutes(30),
            fee: FeeSchedule {
                rate_ppm: 20_000,
                fixed: Amount::ZERO,
                minimum: Amount::ZERO,
                maximum: None,
            },
            left: amount(40 - taken),
            holders: Holders {
                all: u32::try_from(holders).unwrap(),
                non_accredited: u32::try_from(holders).unwrap(),
            },
            buyers,
        }
    }

    pub(super) fn reserve(&mut self, buyer: &Signed, tokens: i64, now: DateTime<Utc>) -> Result<(), String> {
        let order = Order {
            party_id: self.parties[&buyer.id],
            units: amount(tokens),
            accepts_warning: false,
            is_guest: false,
        };
        let reservation = self.sale().decide(&order, now).map_err(|refusal| refusal.rule)?;
        self.investments.push(Investment {
            id: None,
            user: buyer.id,
            units: tokens,
            charge: reservation.charge.sum().get(),
            status: Status::Pending,
            due_at: reservation.due_at,
            withdraw_until: now,
            created_at: now,
        });
        Ok(())
    }

    /// The id that the newest reservation was given.
    pub(super) fn name(&mut self, id: Uuid) {
        self.investments.last_mut().unwrap().id = Some(id);
    }

    pub(super) fn payable(&self) -> Vec<(Uuid, Uuid)> {
        self.investments()
    }

    pub(super) fn investments(&self) -> Vec<(Uuid, Uuid)> {
        self.investments.iter().map(|one| (one.id.unwrap(), one.user)).collect()
    }

    pub(super) fn is_pending(&self, id: Uuid, now: DateTime<Utc>) -> bool {
        let one = &self.investments[self.at(id)];
        one.status == Status::Pending && now < one.due_at
    }

    pub(super) fn charge(&self, id: Uuid) -> i64 {
        self.investments[self.at(id)].charge
    }

    fn at(&self, id: Uuid) -> usize {
        self.investments.iter().position(|one| one.id == Some(id)).unwrap()
    }

    pub(super) fn payments(&self) -> Vec<String> {
        self.provider.keys().cloned().collect()
    }

    pub(super) fn unsettled(&self) -> Vec<String> {
        let open = self
            .provider
            .iter()
            .filter(|(_, one)| !one.settled && !one.charged_back);
        open.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn provider_took(&mut self, payment: &str, outcome: &'static str, settled: bool) {
        let provider = Provider {
            outcome,
            settled,
            ..Provider::default()
        };
        self.provider.insert(payment.to_owned(), provider);
    }

    pub(super) fn provider_settled(&mut self, payment: &str) {
        self.provider.get_mut(payment).unwrap().settled = true;
    }

    pub(super) fn provider_charged_back(&mut self, payment: &str) {
        self.provider.get_mut(payment).unwrap().charged_back = true;
    }

    pub(super) fn cancel(&mut self, id: Uuid, now: DateTime<Utc>) -> bool {
        let at = self.at(id);
        match self.investments[at].status {
            Status::Pending => {
                self.release(at, Status::Cancelled, now);
                true
            }
            Status::Paid if now < self.investments[at].withdraw_until => {
                self.owe(at, "withdrawn", now);
                true
            }
            Status::Paid
            | Status::Confirmed
            | Status::Expired
            | Status::Cancelled
            | Status::RefundDue
            | Status::Refunded => false,
        }
    }

    fn release(&mut self, at: usize, status: Status, now: DateTime<Utc>) {
        self.investments[at].status = status;
        let id = self.investments[at].id;
        let waiting: Vec<String> = self
            .payments
            .iter()
            .filter(|(_, one)| one.investment == id && one.unmatched > 0)
            .map(|(name, _)| name.clone())
            .collect();
        for name in waiting {
            let one = self.payments.get_mut(&name).unwrap();
            let (units, settled) = (std::mem::take(&mut one.unmatched), one.settled);
            self.refund(&name, None, units, "underpaid", settled, now);
        }
    }

    fn owe(&mut self, at: usize, reason: &'static str, now: DateTime<Utc>) {
        self.investments[at].status = Status::RefundDue;
        let id = self.investments[at].id;
        let paying: Vec<String> = self
            .payments
            .iter()
            .filter(|(_, one)| one.investment == id && one.matched > 0)
            .map(|(name, _)| name.clone())
            .collect();
        for name in paying {
            let one = self.payments.get_mut(&name).unwrap();
            let (units, settled) = (std::mem::take(&mut one.matched), one.settled);
            self.refund(&name, id, units, reason, settled, now);
        }
    }

    fn refund(
        &mut self,
        payment: &str,
        of: Option<Uuid>,
        units: i64,
        reason: &'static str,
        settled: bool,
        now: DateTime<Utc>,
    ) {
        self.refunds.push(Refund {
            id: None,
            payment: payment.to_owned(),
            of_purchase: of.is_some(),
            investment: of,
            amount: units,
            reason,
            status: "due",
            settled,
            by_rail: false,
            due_at: now,
        });
    }

    fn close_refunded(&mut self, id: Option<Uuid>) {
        let Some(id) = id else { return };
        let at = self.at(id);
        let open = self
            .refunds
            .iter()
            .any(|one| one.investment == Some(id) && one.status != "confirmed");
        if self.investments[at].status == Status::RefundDue && !open {
            self.investments[at].status = Status::Refunded;
        }
    }

    /// A message of the rail arrives: everything about its payment that can be worked off is.
    pub(super) fn arrive(&mut self, message: Message, now: DateTime<Utc>) {
        if self.seen.contains(&message.id) {
            return;
        }
        self.seen.push(message.id.clone());
        let payment = message.payment.clone();
        self.messages.push(message);
        while let Some(at) = (0..self.messages.len()).find(|at| {
            let message = self.messages[*at].clone();
            message.payment == payment && self.apply(&message, now)
        }) {
            self.messages.remove(at);
        }
    }

    /// Whether a message could be worked off, and what it did.
    fn apply(&mut self, message: &Message, now: DateTime<Utc>) -> bool {
        let name = message.payment.as_str();
        match &message.said {
            Said::Paid { session, amount, .. } => {
                let id = session.as_ref().map(|session| self.sessions[session]);
                self.receive(name, id, *amount, now);
                true
            }
            Said::Settled { amount, .. } => self.settle(name, amount.get()),
            Said::Refunded {
                refund,
                amount,
                from_bank,
                ..
            } => self.confirm(*refund, amount.get(), *from_bank),
            Said::RefundFailed { refund, .. } => self.fail_refund(*refund),
            Said::ChargedBack { from_bank, .. } => self.take_back(name, *from_bank, now),
            // Sales pay nobody out.
            Said::PaidOut { .. } | Said::PayoutFailed { .. } => true,
        }
    }

    fn receive(&mut self, name: &str, id: Option<Uuid>, units: Amount, now: DateTime<Utc>) {
        let purchase = id.map(|id| {
            let one = &self.investments[self.at(id)];
            let waiting = self
                .payments
                .values()
                .filter(|paid| paid.investment == Some(id))
                .map(|paid| paid.unmatched);
            Purchase {
                status: one.status,
                charge: amount(one.charge),
                due_at: if one.status == Status::Pending {
                    one.due_at
                } else {
                    one.created_at
                },
                waiting: amount(waiting.sum()),
            }
        });
        let mut paid = Payment {
            investment: id,
            amount: units.get(),
            ..Payment::default()
        };
        match payment::receive(purchase.as_ref(), units, true, now) {
            Decision::Pays { matched, excess } => {
                paid.matched = matched.get();
                let waiting = self.payments.values_mut().filter(|waiting| waiting.investment == id);
                waiting.for_each(|waiting| waiting.matched += std::mem::take(&mut waiting.unmatched));
                let at = self.at(id.unwrap());
                self.investments[at].status = Status::Paid;
                self.investments[at].withdraw_until = now + TimeDelta::days(1);
                if excess > Amount::ZERO {
                    self.refund(name, None, excess.get(), "overpaid", false, now);
                }
            }
            Decision::Waits | Decision::NeedsAPerson => paid.unmatched = units.get(),
            Decision::GoesBack(reason) => self.refund(name, None, units.get(), reason.name(), false, now),
        }
        self.payments.insert(name.to_owned(), paid);
    }

    fn settle(&mut self, name: &str, units: i64) -> bool {
        let Some(paid) = self.payments.get_mut(name) else {
            return false;
        };
        paid.settled = true;
        let mut left = units - paid.matched - paid.unmatched;
        for refund in self
            .refunds
            .iter_mut()
            .filter(|one| one.payment == name && one.status != "confirmed" && !one.settled)
        {
            if left >= refund.amount {
                left -= refund.amount;
                refund.settled = true;
            }
        }
        assert_eq!(left, 0, "the rail settles what it took and has not given back: {name}");
        true
    }

    fn confirm(&mut self, id: Uuid, units: i64, from_bank: bool) -> bool {
        let Some(refund) = self.refunds.iter_mut().find(|one| one.id == Some(id)) else {
            return false;
        };
        assert_eq!(refund.amount, units);
        if refund.status == "confirmed" {
            if !refund.by_rail {
                refund.by_rail = true;
                self.incidents += 1;
            }
            return true;
        }
        if from_bank != refund.settled {
            return false;
        }
        (refund.status, refund.by_rail) = ("confirmed", true);
        let investment = refund.investment;
        self.close_refunded(investment);
        true
    }

    fn fail_refund(&mut self, id: Uuid) -> bool {
        match self.refunds.iter_mut().find(|one| one.id == Some(id)) {
            Some(refund) => {
                if refund.status != "confirmed" {
                    refund.status = "failed";
                }
                true
            }
            None => false,
        }
    }

    fn take_back(&mut self, name: &str, from_bank: bool, now: DateTime<Utc>) -> bool {
        let Some(paid) = self.payments.get(name).cloned() else {
            return false;
        };
        if from_bank != paid.settled {
            return false;
        }
        let at = paid.investment.map(|id| self.at(id));
        let is_in_escrow = at.is_some_and(|at| self.investments[at].status == Status::Paid);
        let refunding: i64 = self
            .refunds
            .iter()
            .filter(|one| one.payment == name && one.status != "confirmed")
            .map(|one| one.amount)
            .sum();
        let taken = charge_back(Parts {
            amount: amount(paid.amount),
            in_escrow: amount(if is_in_escrow { paid.matched } else { 0 }),
            unmatched: amount(paid.unmatched),
            refunding: amount(refunding),
        });
        let entry = self.payments.get_mut(name).unwrap();
        (entry.charged_back, entry.unmatched) = (true, 0);
        entry.matched -= taken.from_escrow.get();
        for refund in self
            .refunds
            .iter_mut()
            .filter(|one| one.payment == name && one.status != "confirmed")
        {
            refund.status = "confirmed";
        }
        if taken.from_escrow > Amount::ZERO {
            self.owe(at.unwrap(), "withdrawn", now);
        }
        self.close_refunded(paid.investment);
        if taken.owed > Amount::ZERO {
            self.incidents += 1;
        }
        true
    }

    pub(super) fn open_session(&mut self, session: &str, id: Uuid) {
        self.sessions.insert(session.to_owned(), id);
    }

    /// One turn of the jobs, with nothing of the rail left to deliver.
    pub(super) async fn turn(&mut self, shop: &Shop) {
        let now = shop.site.now();
        let due = |one: &Investment| one.status == Status::Pending && one.due_at <= now;
        for at in (0..self.investments.len())
            .filter(|at| due(&self.investments[*at]))
            .collect::<Vec<_>>()
        {
            self.release(at, Status::Expired, now);
        }
        self.end(now);
        self.close(now);
        self.learn_refunds(shop).await;
        self.send(now);
        self.learn_refunds(shop).await;
    }

    fn end(&mut self, now: DateTime<Utc>) {
        if self.status != OfferingStatus::Open {
            return;
        }
        let final_units = self
            .sold(&[Status::Paid])
            .filter(|one| one.withdraw_until <= now)
            .map(|one| one.units);
        let sold = amount(final_units.sum());
        let sold = Sold {
            counting: sold,
            settled_in_mind: sold,
        };
        match offering::next(&self.terms, None, sold, now) {
            offering::Next::Stay => {}
            offering::Next::Failed(_) => self.fail(now),
            offering::Next::Funded(_) => {
                self.cancel_pending(now);
                self.status = OfferingStatus::Funded;
            }
        }
    }

    fn cancel_pending(&mut self, now: DateTime<Utc>) {
        let pending = |at: &usize| self.investments[*at].status == Status::Pending;
        for at in (0..self.investments.len()).filter(pending).collect::<Vec<_>>() {
            self.release(at, Status::Cancelled, now);
        }
    }

    fn fail(&mut self, now: DateTime<Utc>) {
        self.cancel_pending(now);
        self.status = OfferingStatus::Failed;
        let paid = |at: &usize| self.investments[*at].status == Status::Paid;
        for at in (0..self.investments.len()).filter(paid).collect::<Vec<_>>() {
            self.owe(at, "offering_failed", now);
        }
    }

    fn close(&mut self, now: DateTime<Utc>) {
        if self.status != OfferingStatus::Funded {
            return;
        }
        let paid = self.sold(&[Status::Paid]).map(|one| closing::Paid {
            id: one.id.unwrap(),
            party_id: self.parties[&one.user],
            units: amount(one.units),
            total: amount(one.units * 5_000),
            fee: amount(one.charge - one.units * 5_000),
            withdraw_until: one.withdraw_until,
            is_settled: self
                .payments
                .values()
                .all(|paid| paid.investment != one.id || paid.matched == 0 || paid.settled),
            counts: true,
        });
        let funded = closing::Funded {
            kind: Kind::IssuerOwns,
            soft_cap: self.terms.soft_cap,
            long_stop_at: self.terms.long_stop_at,
            is_with_agent: false,
            incidents: u64::try_from(self.incidents).unwrap(),
            paid: paid.collect(),
        };
        match closing::next(&funded, now) {
            closing::Next::Wait(_) => {}
            closing::Next::Fail(_) => self.fail(now),
            closing::Next::Close(_) if !self.has_evidence => {}
            closing::Next::Close(_) => {
                self.status = OfferingStatus::Closed;
                let paid = self.investments.iter_mut().filter(|one| one.status == Status::Paid);
                paid.for_each(|one| one.status = Status::Confirmed);
            }
        }
    }

    /// Asks the rail for what is due, and about what was asked for and is silent.
    fn send(&mut self, now: DateTime<Utc>) {
        if self.incidents > 0 {
            return;
        }
        let due: Vec<usize> = (0..self.refunds.len())
            .filter(|at| ["due", "sent"].contains(&self.refunds[*at].status) && self.refunds[*at].due_at <= now)
            .collect();
        for at in due {
            let refund = &mut self.refunds[at];
            let (id, name, was_sent) = (refund.id.unwrap(), refund.payment.clone(), refund.status == "sent");
            (refund.status, refund.due_at) = ("sent", now + ASK_AGAIN);
            let units = refund.amount;
            let provider = self.provider.get_mut(&name).unwrap();
            if was_sent && let Some((succeeds, from_bank)) = provider.refunds.get(&id).copied() {
                if succeeds {
                    // It says so again, as a message of its own that arrives at once.
                    self.asked.push((id, units, from_bank));
                    self.settle_asked(&name);
                } else {
                    self.fail_refund(id);
                }
                continue;
            }
            let succeeds = provider.outcome != "fail" && !provider.charged_back;
            let from_bank = provider.settled;
            provider.refunds.entry(id).or_insert((succeeds, from_bank));
        }
    }

    /// What the rail answered when asked waits like any other message until it can be worked off.
    fn settle_asked(&mut self, name: &str) {
        let asked = std::mem::take(&mut self.asked);
        for (id, units, from_bank) in asked {
            if !self.confirm(id, units, from_bank) {
                let message = Message {
                    id: Uuid::now_v7().to_string(),
                    payment: name.to_owned(),
                    at: DateTime::UNIX_EPOCH,
                    said: Said::Refunded {
                        refund: id,
                        amount: amount(units),
                        from_bank,
                        booked_on: DateTime::UNIX_EPOCH.date_naive(),
                    },
                };
                self.messages.push(message);
            }
        }
    }

    /// The ids that the database gave to refunds.
    pub(super) async fn learn_refunds(&mut self, shop: &Shop) {
        let admin = shop.site.world.admin().await;
        let sql = "select r.id, p.provider_ref, r.amount_minor, r.reason, r.investment_id is not null from public.refunds as r
                   join public.payments as p on p.id = r.payment_id where r.property_id = $1 order by r.created_at, r.id";
        for row in admin.query(sql, &[&self.property_id]).await.unwrap() {
            let id: Uuid = row.get(0);
            if self.refunds.iter().any(|one| one.id == Some(id)) {
                continue;
            }
            let (payment, units, reason, of_purchase): (String, i64, String, bool) =
                (row.get(1), row.get(2), row.get(3), row.get(4));
            let fits = |one: &&mut Refund| {
                one.id.is_none()
                    && one.payment == payment
                    && one.amount == units
                    && one.reason == reason
                    && one.of_purchase == of_purchase
            };
            if let Some(refund) = self.refunds.iter_mut().find(fits) {
                refund.id = Some(id);
            }
        }
    }

    /// The place of each investment's reservation in the ledger.
    pub(super) async fn order_of_entries(&self, shop: &Shop) -> HashMap<Uuid, i64> {
        let admin = shop.site.world.admin().await;
        let sql = "select (cause ->> 'investment_id')::uuid, id from ledger.entries where kind = 'investment.reserved'";
        admin
            .query(sql, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect()
    }

    /// What became of everything, in words.
    pub(super) fn reached(&self) -> BTreeSet<String> {
        let mut reached = BTreeSet::from([format!("offering {}", self.status)]);
        reached.extend(self.investments.iter().map(|one| format!("investment {}", one.status)));
        reached.extend(self.refunds.iter().map(|one| format!("refund {}", one.reason)));
        if self.payments.values().any(|one| one.charged_back) {
            reached.insert("charged back".to_owned());
        }
        if self.incidents > 0 {
            reached.insert("incident".to_owned());
        }
        reached
    }

    /// Where the database says something else.
    pub(super) async fn differences(&self, shop: &Shop) -> Vec<String> {
        let admin = shop.site.world.admin().await;
        let mut found = Vec::new();
        let mut compare = |what: &str, model: Vec<String>, database: Vec<String>| {
            let (mut model, mut database) = (model, database);
            model.sort();
            database.sort();
            if model != database {
                found.push(format!("{what}:\n  model    {model:?}\n  database {database:?}"));
            }
        };
        let lines = async |sql: &str| -> Vec<String> {
            let rows = admin.query(sql, &[&self.property_id]).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        };
        compare(
            "investments",
            self.investments.iter().map(|one| format!("{} {} {}", one.id.unwrap(), one.units, one.status)).collect(),
            lines("select format('%s %s %s', id, token_amount_units, status) from public.investments where property_id = $1").await,
        );
        compare(
            "payments",
            self.payments
                .iter()
                .map(|(name, one)| format!("{name} {} {} {} {}", one.matched, one.unmatched, one.settled, one.charged_back))
                .collect(),
            lines(
                "select format('%s %s %s %s %s', provider_ref, matched_minor, unmatched_minor, (settled_at is not null)::text,
                   (charged_back_at is not null)::text) from public.payments where property_id = $1",
            )
            .await,
        );
        compare(
            "refunds",
            self.refunds
                .iter()
                .map(|one| format!("{} {} {} {} {}", one.payment, one.amount, one.reason, one.status, one.settled))
                .collect(),
            lines(
                "select format('%s %s %s %s %s', p.provider_ref, r.amount_minor, r.reason, r.status, r.is_settled::text)
                 from public.refunds as r join public.payments as p on p.id = r.payment_id where r.property_id = $1",
            )
            .await,
        );
        compare(
            "offering",
            vec![format!("{} {}", self.offering_id, self.status)],
            lines("select format('%s %s', id, status) from public.offerings where property_id = $1").await,
        );
        compare(
            "incidents",
            vec![(self.incidents > 0).to_string()],
            lines("select (count(*) > 0)::text from public.incidents where property_id = $1 and status = 'open'").await,
        );
        found
    }
}
