//! Random sequences of what happens to tokens that are held and to their rent, compared after each step with a pure model.
//!
//! A run is a seed: rent, distributions, payouts that arrive or fail and are tried again, freezes and releases, tokens that are
//! transferred, forced, redeemed, and the winding up at the end. [`book::Book`] says what must have become of every lot, debt
//! and account; what the register answered is asked again later (L16); a statement must re-add at any moment.
//! `HOLDING_MODEL_RUNS=200` runs more seeds, `HOLDING_MODEL_SEED=7` one.

mod book;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use chrono::TimeDelta;
use mint_core::lots::DisposalKind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::applicant;
use crate::distributions::{behaves, declare, earn, line, party, pay, period, sold};
use crate::model::{Dice, number};
use crate::shop::{Shop, id_of};
use crate::site::Signed;
use book::{Book, Moves};

const RUNS: u64 = 6;
const STEPS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_holders_the_database_agrees_with_the_model() {
    let seeds = match number("HOLDING_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("HOLDING_MODEL_RUNS").unwrap_or(RUNS) + 1,
    };
    let is_whole = number("HOLDING_MODEL_SEED").is_none();
    let mut reached = BTreeSet::new();
    for seed in seeds {
        reached.extend(Box::pin(Run::new(seed)).await.play().await);
    }
    // Sequences that never got anywhere would agree about nothing.
    let wanted = [
        "rent",
        "distributed",
        "payout failed",
        "payout tried again",
        "frozen",
        "released",
        "forced",
        "transferred",
        "redeemed",
        "redemption.cash",
        "lots.free",
        "wound up",
    ];
    let missed: Vec<&str> = wanted.into_iter().filter(|what| !reached.contains(*what)).collect();
    assert!(
        !is_whole || missed.is_empty(),
        "no sequence reached {missed:?}: {reached:?}"
    );
}

struct Run {
    seed: u64,
    dice: Dice,
    shop: Shop,
    holders: Vec<Signed>,
    book: Book,
    /// What the register answered, to be answered again.
    registers: Vec<(Value, Value)>,
    history: Vec<String>,
    reached: BTreeSet<String>,
}

impl Run {
    async fn new(seed: u64) -> Run {
        let (shop, mut holders) = sold(&[10, 23, 7]).await;
        holders.push(shop.buyer().await);
        for holder in &holders {
            let case = applicant::submit(&shop.site, holder).await;
            applicant::clear(&shop.site, &shop.officer, party(&shop, holder).await).await;
            applicant::approve(&shop.site, &shop.officer, case).await;
        }
        let book = Book::new(&shop, &holders).await;
        Run {
            seed,
            dice: Dice::of(seed),
            shop,
            holders,
            book,
            registers: Vec::new(),
            history: Vec::new(),
            reached: BTreeSet::new(),
        }
    }

    /// Plays it, and tells what was reached.
    async fn play(mut self) -> BTreeSet<String> {
        for _ in 0..STEPS {
            Box::pin(self.step()).await;
            self.agree().await;
        }
        Box::pin(self.wind_up()).await;
        self.agree().await;
        Box::pin(self.ask_again()).await;
        self.shop.check().await;
        self.reached
    }

    async fn agree(&mut self) {
        let found = self.book.differences(&self.shop).await;
        assert!(
            found.is_empty(),
            "seed {}: after\n  {}\n{}",
            self.seed,
            self.history.join("\n  "),
            found.join("\n")
        );
    }

    fn did(&mut self, what: &str, more: String) {
        self.history.push(format!("{what}: {more}"));
        self.reached.insert(what.to_owned());
    }

    fn any_holder(&mut self) -> usize {
        usize::try_from(self.dice.roll(u64::try_from(self.holders.len()).unwrap())).unwrap()
    }

    fn number(&mut self, most: i64) -> i64 {
        i64::try_from(self.dice.roll(u64::try_from(most).unwrap())).unwrap() + 1
    }

    async fn step(&mut self) {
        match self.dice.roll(22) {
            0..=2 => self.rent().await,
            3..=4 => self.distribute().await,
            5 => self.freeze().await,
            6 => self.release().await,
            7..=8 => self.force().await,
            9..=10 => self.redeem().await,
            11 => self.retry().await,
            12 => {
                let who = self.any_holder();
                let outcome = *self.dice.pick(&["succeed", "succeed", "fail"]).unwrap();
                behaves(&self.shop, &self.holders[who], outcome).await;
                self.book.fails[who] = outcome == "fail";
                self.did("behaves", format!("{who} {outcome}"));
            }
            13 => {
                let hours = *self.dice.pick(&[1, 5, 30]).unwrap();
                self.shop.site.advance(TimeDelta::hours(hours));
                self.did("later", format!("{hours} hours"));
            }
            14 => self.look().await,
            16..=17 => self.transfer().await,
            15 => self.state().await,
            _ => {
                self.shop.settle_down().await;
                let failed = self.book.pay_out();
                self.did("paid out", format!("{failed} failed"));
                if failed > 0 {
                    self.did("payout failed", String::new());
                }
            }
        }
    }

    async fn rent(&mut self) {
        let minor = self.number(90_000);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let approved = earn(&self.shop, period(&self.shop, &[line(&self.shop, "rent", &amount)])).await;
        assert_eq!(approved["rent_minor"], json!(minor));
        self.book.rent(minor);
        self.did("rent", amount);
    }

    async fn distribute(&mut self) {
        if self.book.cash == 0 || self.book.held() == 0 {
            return;
        }
        let id = declare(&self.shop).await;
        pay(&self.shop, id).await;
        let lines = self.book.distributed(&self.shop, id).await;
        self.did("distributed", format!("{lines:?}"));
    }

    /// Opens a case and approves it, which a rule may refuse: then the case is rejected.
    async fn case(&mut self, body: Value) -> Result<Value, String> {
        let site = &self.shop.site;
        let opened = site.done(&self.shop.officer, "open-holding-case", body).await["case"].clone();
        let id = json!({ "caseId": opened["id"] });
        let (status, answer) = site.call(&self.shop.admin, "approve-holding-case", id).await;
        if status == StatusCode::OK {
            return Ok(answer["case"].clone());
        }
        assert_eq!(status, StatusCode::CONFLICT, "{answer}");
        let body = json!({ "caseId": opened["id"], "reason": "it cannot be done" });
        site.done(&self.shop.admin, "reject-holding-case", body).await;
        Err(answer["rule"].as_str().unwrap().to_owned())
    }

    fn about(&self, kind: &str, who: usize, units: Option<i64>) -> Value {
        json!({ "kind": kind, "reason": "the model says so", "propertyId": self.shop.property_id, "partyId": self.book.parties[who],
                "tokenAmount": units })
    }

    async fn freeze(&mut self) {
        let who = self.any_holder();
        let units = (self.dice.roll(2) == 0).then(|| self.number(12));
        let body = self.about("freeze", who, units);
        let case = self.case(body).await.unwrap();
        self.book
            .freezes
            .push((id_of(&json!({ "id": case["freezes"][0] })), who, units));
        self.did("frozen", format!("{who} {units:?}"));
    }

    async fn release(&mut self) {
        let Some(&(id, who, _)) = self.dice.pick(&self.book.freezes) else {
            return;
        };
        let body = json!({ "kind": "release", "reason": "the model says so", "freezeId": id });
        self.case(body).await.unwrap();
        self.book.freezes.retain(|(freeze, _, _)| *freeze != id);
        self.did("released", who.to_string());
    }

    async fn force(&mut self) {
        let (from, to) = (self.any_holder(), self.any_holder());
        if from == to {
            return;
        }
        let units = self.number(15);
        let mut body = self.about("forced_transfer", from, Some(units));
        body["toUserId"] = json!(self.holders[to].id);
        body["documentIds"] = json!([applicant::file(&self.shop.site, &self.shop.officer).await]);
        let moves = Moves {
            from,
            to: Some(to),
            units,
            kind: DisposalKind::Forced,
            proceeds: 0,
        };
        let done = self.case(body).await.map(|_| ());
        self.follow(&moves, done, "forced").await;
    }

    /// Asked for, agreed, approved; a rule may refuse it when it is asked for.
    async fn transfer(&mut self) {
        let (from, to) = (self.any_holder(), self.any_holder());
        if from == to {
            return;
        }
        let units = self.number(11);
        let price = (self.dice.roll(2) == 0).then(|| self.number(70_000));
        let (kind, name) = match price {
            Some(_) => (DisposalKind::Sale, "sale"),
            None => (DisposalKind::Gift, "gift"),
        };
        let figure = price.map(|price| format!("{}.{:02}", price / 100, price % 100));
        let moves = Moves {
            from,
            to: Some(to),
            units,
            kind,
            proceeds: price.unwrap_or_default(),
        };
        let body = json!({ "propertyId": self.shop.property_id, "tokenAmount": units, "kind": name, "toUserId": self.holders[to].id,
                           "price": figure, "reason": "the model says so" });
        let site = &self.shop.site;
        let (status, asked) = site.call(&self.holders[from], "request-transfer", body).await;
        if status != StatusCode::OK {
            assert_eq!(status, StatusCode::CONFLICT, "{asked}");
            let rule = asked["rule"].as_str().unwrap().to_owned();
            self.follow(&moves, Err(rule), "transferred").await;
            return;
        }
        let id = asked["transfer"]["id"].clone();
        let body = json!({ "transferId": id, "price": figure });
        site.done(&self.holders[to], "accept-transfer", body).await;
        let body = json!({ "transferId": id, "decision": "approved" });
        site.done(&self.shop.admin, "approve-transfer", body).await;
        self.follow(&moves, Ok(()), "transferred").await;
    }

    async fn redeem(&mut self) {
        let from = self.any_holder();
        let (units, price) = (self.number(9), self.number(30_000));
        let mut body = self.about("redemption", from, Some(units));
        body["amount"] = json!(format!("{}.{:02}", price / 100, price % 100));
        let done = self.case(body).await.map(|_| ());
        if price > self.book.cash {
            assert_eq!(done, Err("redemption.cash".to_owned()), "{price} of {}", self.book.cash);
            self.did("redemption.cash", String::new());
            return;
        }
        let moves = Moves {
            from,
            to: None,
            units,
            kind: DisposalKind::Redemption,
            proceeds: price,
        };
        if self.follow(&moves, done, "redeemed").await {
            self.book.redeemed(from, price);
        }
    }

    /// What must have become of a move; whether it was made.
    async fn follow(&mut self, moves: &Moves, done: Result<(), String>, what: &str) -> bool {
        let can = self.book.can(moves);
        let told = format!("{moves:?}");
        match done {
            Ok(()) => {
                assert!(can, "seed {}: {told} should have been refused", self.seed);
                self.book.moved(moves, self.shop.site.now());
                self.did(what, told);
            }
            Err(rule) => {
                assert_eq!((rule.as_str(), can), ("lots.free", false), "seed {}: {told}", self.seed);
                self.did("lots.free", told);
            }
        }
        can
    }

    async fn retry(&mut self) {
        let Some(payout) = self.book.any_failed() else { return };
        for overseer in [&self.shop.officer, &self.shop.admin] {
            let body = json!({ "payoutId": payout });
            self.shop.site.done(overseer, "retry-payout", body).await;
        }
        self.book.tried_again(payout);
        self.did("payout tried again", String::new());
    }

    /// The register now, to be asked for again.
    async fn look(&mut self) {
        let body = json!({ "propertyId": self.shop.property_id });
        let answer = self.shop.site.done(&self.shop.officer, "get-register", body).await;
        let again = json!({ "propertyId": self.shop.property_id, "at": answer["at"], "knownSeq": answer["knownSeq"] });
        assert_eq!(answer["heldUnits"], json!(self.book.held()));
        self.registers.push((again, answer));
        self.did("looked", String::new());
    }

    /// What the register answered is its answer for ever.
    async fn ask_again(&mut self) {
        for (question, answer) in &self.registers {
            let again = self
                .shop
                .site
                .done(&self.shop.officer, "get-register", question.clone())
                .await;
            assert_eq!(&again, answer, "seed {}", self.seed);
        }
    }

    /// A statement is refused rather than wrong: that it is given says that it re-adds to the ledger.
    async fn state(&mut self) {
        let who = self.any_holder();
        let year = self.shop.site.now().format("%Y").to_string().parse::<i32>().unwrap();
        let body = json!({ "year": year });
        self.shop.site.done(&self.holders[who], "get-statement", body).await;
        self.did("stated", who.to_string());
    }

    /// Everything is finished, and the house is sold.
    async fn wind_up(&mut self) {
        if self.book.held() == 0 {
            return;
        }
        self.distribute().await;
        if self.book.manager_fee > 0 {
            let fee = self.book.manager_fee;
            let amount = format!("{}.{:02}", fee / 100, fee % 100);
            earn(&self.shop, period(&self.shop, &[line(&self.shop, "manager", &amount)])).await;
            self.book.manager_fee = 0;
        }
        let price = self.number(900_000);
        let body = json!({ "kind": "wind_up", "reason": "the house is sold", "propertyId": self.shop.property_id,
            "amount": format!("{}.{:02}", price / 100, price % 100), "accountRef": "operating",
            "bankReference": Uuid::now_v7().to_string(), "bookedOn": self.shop.site.now().date_naive() });
        self.case(body).await.unwrap();
        self.book.wound_up(&self.shop, price).await;
        self.did("wound up", price.to_string());
        self.agree().await;
        self.shop.settle_down().await;
        self.book.pay_out();
    }
}
