//! Random sequences of commands against PostgreSQL, compared after each with a pure model.
//!
//! A run is a seed: who reserves, pays too much or too little, cancels, charges back, when messages of the rail arrive, in
//! which order and how often, when time goes on, when jobs run. [`book::Book`] says what must have become of it; the database
//! must agree in every investment, payment and refund, and all laws must hold at the end. `MODEL_RUNS=500` runs more seeds,
//! `MODEL_SEED=7` one.

mod book;

use std::collections::BTreeSet;

use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use nexus_mint::jobs;
use nexus_mint::jobs::sales::Turn;
use nexus_mint::payments::rail::Message;
use nexus_mint::payments::sandbox;
use serde_json::json;
use uuid::Uuid;

use crate::shop::{Plan, Shop, id_of};
use crate::site::Signed;
use book::Book;

const RUNS: u64 = 10;
const STEPS: usize = 60;

/// A small generator (xorshift64*): a run is its seed, on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let sides = u64::try_from(items.len()).unwrap();
        (sides > 0).then(|| &items[usize::try_from(self.roll(sides)).unwrap()])
    }
}

pub(crate) fn number(name: &str) -> Option<u64> {
    #[allow(
        clippy::disallowed_methods,
        reason = "a switch of the tests, not a setting of the program"
    )]
    let text = std::env::var(name).ok()?;
    text.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_in_whatever_order_the_database_agrees_with_the_model() {
    let seeds = match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("MODEL_RUNS").unwrap_or(RUNS) + 1,
    };
    let is_whole = number("MODEL_SEED").is_none();
    let mut reached = BTreeSet::new();
    for seed in seeds {
        reached.extend(Run::new(seed).await.play().await);
    }
    // Sequences that never got anywhere would agree about nothing.
    let wanted = [
        "offering closed",
        "offering failed",
        "investment confirmed",
        "investment expired",
        "investment cancelled",
        "investment refunded",
        "refund overpaid",
        "refund underpaid",
        "refund late",
        "refund duplicate",
        "refund withdrawn",
        "refund offering_failed",
        "charged back",
        "incident",
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
    buyers: Vec<Signed>,
    book: Book,
    /// Messages that the rail sent and nobody delivered yet, and those that were: they may come again.
    undelivered: Vec<String>,
    delivered: Vec<String>,
    sessions: Vec<(Uuid, String)>,
    last_order: Option<(Signed, i64, String, Uuid)>,
    history: Vec<String>,
}

impl Run {
    async fn new(seed: u64) -> Run {
        let mut dice = Dice::of(seed);
        let shop = Shop::new().await;
        let pack = json!({
            "code": "model", "title": "Model", "summary": "Some hours to think.",
            "rules": [{ "rule": "cooling_off", "days": 1, "source": "a law" }, { "rule": "holder_cap", "parties": 4, "source": "a law" }],
        });
        shop.site.done(&shop.admin, "publish-rule-pack", pack).await;
        let plan = Plan {
            pack: "model",
            soft_cap: 10,
            hard_cap: 40,
            maximum: Some(15),
            ..Plan::default()
        };
        let offering_id = shop.offer(&plan).await;
        if dice.roll(3) > 0 || seed.is_multiple_of(2) {
            shop.file_evidence().await;
        }
        let mut buyers = Vec::new();
        for _ in 0..5 {
            buyers.push(shop.buyer().await);
        }
        let book = Book::new(&shop, offering_id, &buyers).await;
        Run {
            seed,
            dice,
            shop,
            buyers,
            book,
            undelivered: Vec::new(),
            delivered: Vec::new(),
            sessions: Vec::new(),
            last_order: None,
            history: Vec::new(),
        }
    }

    /// Plays it, and tells what was reached.
    async fn play(mut self) -> BTreeSet<String> {
        for _ in 0..STEPS {
            self.step().await;
            self.collect().await;
            let found = self.book.differences(&self.shop).await;
            assert!(
                found.is_empty(),
                "seed {}: after\n  {}\n{}",
                self.seed,
                self.history.join("\n  "),
                found.join("\n")
            );
        }
        // Everything that is still on its way arrives, and the rest of the story happens.
        self.dice = Dice(1);
        for payment in self.book.unsettled() {
            sandbox::settle(&self.shop.site.app, &payment).await.unwrap();
            self.book.provider_settled(&payment);
        }
        for round in 0..7 {
            self.shop.site.advance(TimeDelta::days(2));
            self.history.push("two days pass".to_owned());
            if round == 6
                && let Some(payment) = self.book.payments().first().cloned()
            {
                self.history.push(format!("{payment} is charged back, long after"));
                sandbox::charge_back(&self.shop.site.app, &payment).await.unwrap();
                self.book.provider_charged_back(&payment);
            }
            self.deliver_all().await;
            self.turn().await;
            let found = self.book.differences(&self.shop).await;
            assert!(
                found.is_empty(),
                "seed {}: at the end\n  {}\n{}",
                self.seed,
                self.history.join("\n  "),
                found.join("\n")
            );
        }
        self.shop.check().await;
        self.book.reached()
    }

    /// In every other run nobody charges back and nothing is at once: those are the ones that get to a close.
    fn is_calm(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    async fn step(&mut self) {
        match self.dice.roll(20) {
            0..=4 => self.reserve().await,
            5 => self.reserve_again().await,
            6 if !self.is_calm() => self.reserve_at_once().await,
            6 => self.buy().await,
            7..=10 => self.pay().await,
            11..=13 => self.deliver_some().await,
            14 => self.settle().await,
            15 if !self.is_calm() => self.charge_back().await,
            15 => self.buy().await,
            16 => self.cancel().await,
            17 => {
                let minutes = *self.dice.pick(&[4, 11, 31, 60 * 13]).unwrap();
                self.history.push(format!("{minutes} minutes pass"));
                self.shop.site.advance(TimeDelta::minutes(minutes));
            }
            _ => self.turn().await,
        }
    }

    async fn reserve(&mut self) {
        let buyer = self.dice.pick(&self.buyers).unwrap().clone();
        let tokens = i64::try_from(self.dice.roll(9)).unwrap() + 1;
        let key = Uuid::now_v7().to_string();
        let (status, answer) = self
            .shop
            .site
            .call_with_key(&buyer, "create-investment", self.shop.order(tokens), Some(&key))
            .await;
        let expected = self.book.reserve(&buyer, tokens, self.shop.site.now());
        self.history.push(format!("{} reserves {tokens}: {status}", buyer.id));
        match expected {
            Ok(()) => {
                assert_eq!(status, StatusCode::OK, "seed {}: {answer}", self.seed);
                self.book.name(id_of(&answer));
                self.last_order = Some((buyer, tokens, key, id_of(&answer)));
            }
            Err(rule) => assert_eq!(answer["rule"], json!(rule), "seed {}: {answer}", self.seed),
        }
    }

    async fn reserve_again(&mut self) {
        let Some((buyer, tokens, key, id)) = self.last_order.clone() else {
            return;
        };
        self.history.push("the last order is sent again".to_owned());
        let (status, answer) = self
            .shop
            .site
            .call_with_key(&buyer, "create-investment", self.shop.order(tokens), Some(&key))
            .await;
        assert_eq!((status, id_of(&answer)), (StatusCode::OK, id), "seed {}", self.seed);
    }

    /// Several at the same instant: whatever order they took, each that succeeded must have been possible in that order.
    async fn reserve_at_once(&mut self) {
        let tokens = i64::try_from(self.dice.roll(6)).unwrap() + 3;
        let order = self.shop.order(tokens);
        let calls = self.buyers.iter().map(|buyer| {
            let (site, order) = (&self.shop.site, order.clone());
            let key = Uuid::now_v7().to_string();
            async move {
                let answer = site.call_with_key(buyer, "create-investment", order, Some(&key)).await;
                (buyer.clone(), answer)
            }
        });
        let answers = futures_util::future::join_all(calls).await;
        let mut made = Vec::new();
        for (buyer, (status, answer)) in answers {
            match status {
                StatusCode::OK => made.push((buyer, id_of(&answer))),
                StatusCode::CONFLICT | StatusCode::NOT_FOUND => {}
                other => panic!("seed {}: {other} {answer}", self.seed),
            }
        }
        let places = self.book.order_of_entries(&self.shop).await;
        made.sort_by_key(|(_, id)| places[id]);
        self.history
            .push(format!("{} of five reserve {tokens} at once", made.len()));
        for (buyer, id) in made {
            let outcome = self.book.reserve(&buyer, tokens, self.shop.site.now());
            assert_eq!(outcome, Ok(()), "seed {}: in the order of the ledger", self.seed);
            self.book.name(id);
        }
    }

    async fn pay(&mut self) {
        if let Some((id, buyer)) = self.dice.pick(&self.book.payable()).cloned() {
            self.pay_for(id, buyer, &[0, 0, 0, 0, -100, 7]).await;
        }
    }

    /// Reserves and pays at once what it costs.
    async fn buy(&mut self) {
        let before = self.book.investments().len();
        self.reserve().await;
        if let Some((id, buyer)) = self.book.investments().get(before).copied() {
            self.pay_for(id, buyer, &[0]).await;
            self.deliver_all().await;
        }
    }

    async fn pay_for(&mut self, id: Uuid, buyer: Uuid, more: &[i64]) {
        let session = match self.sessions.iter().find(|(investment, _)| *investment == id) {
            Some((_, session)) => session.clone(),
            None => {
                let buyer = self.buyers.iter().find(|signed| signed.id == buyer).unwrap();
                let (status, answer) = self
                    .shop
                    .site
                    .call(buyer, "pay-investment", json!({ "investmentId": id }))
                    .await;
                if status != StatusCode::OK {
                    assert!(
                        !self.book.is_pending(id, self.shop.site.now()),
                        "seed {}: {answer}",
                        self.seed
                    );
                    return;
                }
                let session = answer["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                self.book.open_session(&session, id);
                self.sessions.push((id, session.clone()));
                session
            }
        };
        let more = *self.dice.pick(more).unwrap();
        let outcome = *self.dice.pick(&["succeed", "succeed", "silent", "fail"]).unwrap();
        let settles_now = self.dice.roll(2) == 0;
        let units = self.book.charge(id) + more;
        let payment = self.shop.pay_for(&session, units, settles_now, outcome).await;
        self.history.push(format!(
            "{id} is paid {units}: {payment}, settles {settles_now}, refund {outcome}"
        ));
        self.book.provider_took(&payment, outcome, settles_now);
    }

    async fn settle(&mut self) {
        if let Some(payment) = self.dice.pick(&self.book.unsettled()).cloned() {
            self.history.push(format!("the rail settles {payment}"));
            sandbox::settle(&self.shop.site.app, &payment).await.unwrap();
            self.book.provider_settled(&payment);
        }
    }

    async fn charge_back(&mut self) {
        if self.dice.roll(2) == 0 {
            return;
        }
        if let Some(payment) = self.dice.pick(&self.book.payments()).cloned() {
            self.history.push(format!("{payment} is charged back"));
            sandbox::charge_back(&self.shop.site.app, &payment).await.unwrap();
            self.book.provider_charged_back(&payment);
        }
    }

    async fn cancel(&mut self) {
        let Some((id, owner)) = self.dice.pick(&self.book.investments()).cloned() else {
            return;
        };
        let buyer = self.buyers.iter().find(|signed| signed.id == owner).unwrap();
        let (status, answer) = self
            .shop
            .site
            .call(buyer, "cancel-investment", json!({ "investmentId": id }))
            .await;
        self.history.push(format!("{id} is given up: {status}"));
        let expected = self.book.cancel(id, self.shop.site.now());
        assert_eq!(status == StatusCode::OK, expected, "seed {}: {answer}", self.seed);
    }

    /// Takes what the rail has to say off its hands, so that this test decides when it arrives.
    async fn collect(&mut self) {
        let bodies = sandbox::undelivered(&self.shop.site.app).await.unwrap();
        if bodies.is_empty() {
            return;
        }
        let admin = self.shop.site.world.admin().await;
        admin
            .execute(
                "update nexus.sandbox_messages set delivered_at = now() where delivered_at is null",
                &[],
            )
            .await
            .unwrap();
        self.undelivered.extend(bodies);
    }

    async fn deliver_some(&mut self) {
        for _ in 0..=self.dice.roll(3) {
            if self.dice.roll(4) == 0
                && let Some(body) = self.dice.pick(&self.delivered).cloned()
            {
                self.hook(&body).await;
            }
            if self.undelivered.is_empty() {
                return;
            }
            let sides = u64::try_from(self.undelivered.len()).unwrap();
            let at = usize::try_from(self.dice.roll(sides)).unwrap();
            let body = self.undelivered.swap_remove(at);
            self.hook(&body).await;
            self.delivered.push(body);
        }
    }

    async fn deliver_all(&mut self) {
        self.collect().await;
        while let Some(body) = self.undelivered.pop() {
            self.hook(&body).await;
            self.delivered.push(body);
        }
    }

    async fn hook(&mut self, body: &str) {
        let signed = sandbox::sign(&self.shop.site.app, body.as_bytes());
        let mut request = Request::post("/functions/v1/process-payment-webhook");
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        let (status, _, _) = self.shop.site.send(None, request, body.to_owned()).await;
        assert_eq!(status, StatusCode::OK);
        let message: Message = serde_json::from_str(body).unwrap();
        self.history
            .push(format!("arrives: {} of {}", message.said.kind(), message.payment));
        self.book.arrive(message, self.shop.site.now());
        self.book.learn_refunds(&self.shop).await;
    }

    async fn turn(&mut self) {
        self.collect().await;
        self.history.push("jobs".to_owned());
        jobs::turn(&self.shop.site.app, Turn::Everything).await.unwrap();
        self.book.turn(&self.shop).await;
    }
}
