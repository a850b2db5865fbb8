//! Everybody at work at once over HTTP: buyers, the provider, the landlord, holders, and who closes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use nexus_mint::{payments::sandbox, problem::AnyError};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    client,
    dice::Dice,
    history::{History, Outcome, Sent},
    world::{House, Person, World, id_of, session_of},
};

/// Buyers at work at once.
const BUYERS_AT_ONCE: u64 = 8;

/// Between two looks of who has nothing to do.
const PAUSE: Duration = Duration::from_millis(20);

/// Who is at work in a round.
pub(super) struct Load {
    pub(super) world: Arc<World>,
    pub(super) history: Arc<History>,
    pub(super) address: String,
    /// The round's own house, which is sold out and closed.
    pub(super) sale: House,
    /// A house of a round before: its offering fails.
    pub(super) failing: Option<House>,
    pub(super) stop: AtomicBool,
    pub(super) counters: Arc<Counters>,
}

/// What goes on from round to round.
#[derive(Debug, Default)]
pub(super) struct Counters {
    days: AtomicI64,
    buyer: AtomicUsize,
}

impl Load {
    /// Sets everybody to work until [`Load::stop`] is set; each ends with the request that he is at.
    pub(super) fn begin(self: &Arc<Self>, seed: u64) -> JoinSet<()> {
        let mut at_work = JoinSet::new();
        for number in 0..BUYERS_AT_ONCE {
            at_work.spawn(self.clone().buyer(Dice::new(seed ^ (number << 32))));
        }
        at_work.spawn(self.clone().provider(Dice::new(seed ^ (100 << 32))));
        at_work.spawn(self.clone().landlord());
        at_work.spawn(self.clone().holders(Dice::new(seed ^ (101 << 32))));
        at_work.spawn(self.clone().closer());
        at_work
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a command under a key of its own and notes what came of it: the answer, if it was done.
    async fn call(&self, who: &Person, name: &'static str, body: Value) -> Option<Value> {
        let sent = Sent {
            caller: who.id,
            token: who.token.clone(),
            name,
            key: Uuid::now_v7().to_string(),
            body: body.to_string(),
            outcome: Outcome::Unknown(0),
        };
        let outcome = send(&self.address, &sent).await;
        let answer = match &outcome {
            Outcome::Done(answer) => Some(answer.clone()),
            Outcome::Refused(_) => None,
            Outcome::Unknown(_) => {
                tokio::time::sleep(PAUSE).await;
                None
            }
        };
        self.history.add(Sent { outcome, ..sent });
        answer
    }

    async fn buyer(self: Arc<Self>, mut dice: Dice) {
        while !self.is_over() {
            // What somebody cannot go on with is left as it is.
            let _ = self.buy(&mut dice).await;
        }
    }

    async fn buy(&self, dice: &mut Dice) -> Result<(), AnyError> {
        let number = self.counters.buyer.fetch_add(1, Ordering::Relaxed);
        let buyers = &self.world.buyers;
        let buyer = buyers.get(number % buyers.len().max(1)).ok_or("nobody buys")?;
        let house = if dice.one_in(2) { self.sale } else { self.world.hot };
        let tokens = i64::try_from(dice.below(3))? + 1;
        let order = json!({ "propertyId": house.property_id, "tokenAmount": tokens, "paymentMethod": "sandbox" });
        let Some(row) = self.call(buyer, "create-investment", order).await else {
            return Ok(());
        };
        let body = json!({ "investmentId": id_of(Some(&row))? });
        if dice.one_in(8) {
            self.call(buyer, "cancel-investment", body).await;
            return Ok(());
        }
        let Some(page) = self.call(buyer, "pay-investment", body).await else {
            return Ok(());
        };
        let session = session_of(&page)?;
        if dice.one_in(3) {
            // Through the server, which may be killed between the provider and itself.
            let path = format!("/sandbox/checkout/{session}");
            let form = [("Content-Type", "application/x-www-form-urlencoded")];
            client::post(&self.address, &path, &form, "pay=exact&settle=now&refund=succeed").await?;
            return Ok(());
        }
        let refund = if dice.one_in(3) { "silent" } else { "succeed" };
        let times = if dice.one_in(6) { 2 } else { 1 };
        for _ in 0..times {
            self.world.pay(&session, house, tokens, refund).await?;
        }
        Ok(())
    }

    /// Sends what the provider has to say in any order, some of it twice, and some of it long after; the server's own jobs
    /// fetch the same once more.
    async fn provider(self: Arc<Self>, mut dice: Dice) {
        let mut said: Vec<String> = Vec::new();
        while !self.is_over() {
            let mut bodies = sandbox::undelivered(&self.world.app).await.unwrap_or_default();
            dice.shuffle(&mut bodies);
            bodies.truncate(20);
            bodies.extend(dice.pick(&said).cloned());
            for body in bodies {
                let times = if dice.one_in(2) { 2 } else { 1 };
                for _ in 0..times {
                    self.say(&body).await;
                }
                said.push(body);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn say(&self, body: &str) {
        let signed = sandbox::sign(&self.world.app, body.as_bytes());
        let headers: Vec<(&str, &str)> = signed
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let told = client::post(&self.address, "/functions/v1/process-payment-webhook", &headers, body).await;
        let message: Value = serde_json::from_str(body).unwrap_or_default();
        if matches!(told, Ok((200, _)))
            && let Some(id) = message.get("id").and_then(Value::as_str)
        {
            self.history.taken(id.to_owned());
        }
    }

    /// A month's rent after the other, each recorded, approved, declared and paid.
    async fn landlord(self: Arc<Self>) {
        while !self.is_over() {
            if self.month().await.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn month(&self) -> Option<()> {
        let World {
            manager,
            officer,
            admin,
            rented,
            ..
        } = &*self.world;
        let day = Utc::now().date_naive() - TimeDelta::days(self.counters.days.fetch_add(1, Ordering::Relaxed) + 1);
        let line = json!({ "accountRef": "operating", "bankReference": Uuid::now_v7(), "kind": "rent", "amount": "1203.07",
            "bookedOn": day, "paidFor": "the month" });
        let period = json!({ "propertyId": rented.property_id, "periodFrom": day, "periodTo": day, "lines": [line] });
        let recorded = self.call(manager, "record-performance", period).await?;
        let approve = json!({ "periodId": recorded.pointer("/period/id"), "decision": "approved" });
        self.call(officer, "approve-performance", approve).await?;
        let whole = json!({ "propertyId": rented.property_id });
        let asked = self.call(manager, "declare-distribution", whole).await?;
        let body = json!({ "distributionId": asked.pointer("/distribution/id") });
        self.call(officer, "approve-distribution", body.clone()).await?;
        self.call(admin, "pay-distribution", body).await?;
        Some(())
    }

    /// Gifts among holders.
    async fn holders(self: Arc<Self>, mut dice: Dice) {
        while !self.is_over() {
            if self.gift(&mut dice).await.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn gift(&self, dice: &mut Dice) -> Option<()> {
        let from = dice.pick(&self.world.holders)?;
        let to = dice.pick(&self.world.holders)?;
        if from.id == to.id {
            return None;
        }
        let wish = json!({ "propertyId": self.world.rented.property_id, "tokenAmount": 1, "kind": "gift", "toUserId": to.id,
            "price": null, "reason": "as agreed" });
        let asked = self.call(from, "request-transfer", wish).await?;
        let id = asked.pointer("/transfer/id")?;
        self.call(to, "accept-transfer", json!({ "transferId": id, "price": null }))
            .await?;
        let approved = json!({ "transferId": id, "decision": "approved" });
        self.call(&self.world.officer, "approve-transfer", approved).await?;
        Some(())
    }

    /// Fails the offering of the round before, and closes this round's as soon as it is sold out, beside the jobs.
    async fn closer(self: Arc<Self>) {
        let admin = &self.world.admin;
        let mut failing = self.failing;
        let mut is_closed = false;
        while !self.is_over() {
            if let Some(house) = failing {
                let body = json!({ "offeringId": house.offering_id, "reason": "the seller went away" });
                self.call(admin, "fail-offering", body).await;
                failing = None;
            }
            if !is_closed {
                let body = json!({ "offeringId": self.sale.offering_id });
                is_closed = self.call(admin, "close-offering", body).await.is_some();
            }
            tokio::time::sleep(PAUSE * 5).await;
        }
    }
}

/// Sends a command once more, or for the first time.
pub(super) async fn send(address: &str, sent: &Sent) -> Outcome {
    let authorization = format!("Bearer {}", sent.token);
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", authorization.as_str()),
        ("Idempotency-Key", sent.key.as_str()),
    ];
    let path = format!("/functions/v1/{}", sent.name);
    match client::post(address, &path, &headers, &sent.body).await {
        Ok((200, answer)) => Outcome::Done(answer),
        Ok((status, _)) if status < 500 => Outcome::Refused(status),
        Ok((status, _)) => Outcome::Unknown(status),
        Err(_) => Outcome::Unknown(0),
    }
}
