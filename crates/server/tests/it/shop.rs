//! A property with a launched token, the people who sell it, and offerings of it: what tests of sales stand on.
//!
//! The property and its token are put there as the tokenization process leaves them; everything from the offering on goes
//! through the functions. A shop has a database of its own, since its jobs look at everything that is due.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use mint_core::account::Purpose;
use mint_core::book::{Book, Move};
use mint_core::money::Amount;
use nexus_mint::command::Command;
use nexus_mint::db::Actor;
use nexus_mint::jobs::sales::Turn;
use nexus_mint::ledger::{self, NewEntry};
use nexus_mint::offerings::supply;
use nexus_mint::payments::sandbox;
use nexus_mint::{investments, jobs};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::laws;
use crate::site::{Signed, Site};
use crate::world::World;

pub(crate) struct Shop {
    pub(crate) site: Site,
    pub(crate) manager: Signed,
    pub(crate) admin: Signed,
    pub(crate) second_admin: Signed,
    pub(crate) officer: Signed,
    pub(crate) property_id: Uuid,
}

/// What an offering is made of; the defaults sell 100 tokens at 50.00 for a day and a half.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) pack: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) soft_cap: i64,
    pub(crate) hard_cap: i64,
    pub(crate) maximum: Option<i64>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            pack: "open",
            kind: "issuer_owns",
            soft_cap: 10,
            hard_cap: 100,
            maximum: None,
        }
    }
}

pub(crate) const WINDOW: TimeDelta = TimeDelta::hours(36);
pub(crate) const LONG_STOP: TimeDelta = TimeDelta::days(10);

impl Shop {
    /// A property with 1,000 tokens at 50.00 USD that nobody has.
    pub(crate) async fn new() -> Shop {
        Shop::on(Site::over(World::own_database().await)).await
    }

    /// The same at another instant than tests begin at, such as the one that a real server would see.
    pub(crate) async fn at(now: DateTime<Utc>) -> Shop {
        let site = Site::over(World::own_database().await);
        site.set_now(now);
        Shop::on(site).await
    }

    async fn on(site: Site) -> Shop {
        let [manager, admin, second_admin, officer] = [
            site.person(&["property_manager"]).await,
            site.person(&["admin"]).await,
            site.person(&["admin"]).await,
            site.person(&["compliance_officer"]).await,
        ];
        let (property_id, _) = property(&site, &manager).await;
        Shop {
            site,
            manager,
            admin,
            second_admin,
            officer,
            property_id,
        }
    }

    /// The same with an offering that is open.
    pub(crate) async fn selling(plan: Plan) -> (Shop, Uuid) {
        let shop = Shop::new().await;
        let offering_id = shop.offer(&plan).await;
        (shop, offering_id)
    }

    /// Prepares an offering that opens now.
    pub(crate) async fn prepare(&self, plan: &Plan) -> Uuid {
        let now = self.site.now();
        let body = json!({
            "propertyId": self.property_id, "rulePack": plan.pack, "kind": plan.kind, "softCap": plan.soft_cap,
            "hardCap": plan.hard_cap, "maximumTokens": plan.maximum, "opensAt": now, "closesAt": now + WINDOW,
            "longStopAt": now + LONG_STOP,
        });
        let answer = self.site.done(&self.manager, "create-offering", body).await;
        id_of(&answer["offering"])
    }

    /// Prepares and opens an offering.
    pub(crate) async fn offer(&self, plan: &Plan) -> Uuid {
        let offering_id = self.prepare(plan).await;
        self.site
            .done(&self.admin, "open-offering", json!({ "offeringId": offering_id }))
            .await;
        offering_id
    }

    pub(crate) async fn buyer(&self) -> Signed {
        self.site.person(&[]).await
    }

    pub(crate) fn order(&self, tokens: i64) -> Value {
        json!({ "propertyId": self.property_id, "tokenAmount": tokens, "paymentMethod": "sandbox" })
    }

    /// Reserves tokens under a key of its own.
    pub(crate) async fn reserve(&self, buyer: &Signed, tokens: i64) -> Uuid {
        let key = Uuid::now_v7().to_string();
        let (status, answer) = self
            .site
            .call_with_key(buyer, "create-investment", self.order(tokens), Some(&key))
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        id_of(&answer)
    }

    /// Opens a checkout session for a reservation: the provider's name of it.
    pub(crate) async fn checkout(&self, buyer: &Signed, investment_id: Uuid) -> (Uuid, String) {
        let answer = self
            .site
            .done(buyer, "pay-investment", json!({ "investmentId": investment_id }))
            .await;
        let path = answer["url"].as_str().unwrap().to_owned();
        let session = path.rsplit('/').next().unwrap().to_owned();
        (answer["sessionId"].as_str().unwrap().parse().unwrap(), session)
    }

    /// Pays at the sandbox: so much more or less than the charge, settled at once or not; answers with the payment's name.
    /// Its messages are not delivered yet.
    pub(crate) async fn pay(&self, session: &str, charge: i64, more: i64, settles_now: bool) -> String {
        self.pay_for(session, charge + more, settles_now, "succeed").await
    }

    pub(crate) async fn pay_for(
        &self,
        session: &str,
        units: i64,
        settles_now: bool,
        refund_outcome: &'static str,
    ) -> String {
        let payment = sandbox::Payment {
            session: Some(session.to_owned()),
            property_id: self.property_id,
            amount: Amount::try_from(units).unwrap(),
            currency: "USD".to_owned(),
            refund_outcome,
            settles_now,
        };
        sandbox::pay(&self.site.app, &payment).await.unwrap()
    }

    /// Reserves and pays exactly, settled, all messages delivered.
    pub(crate) async fn buy(&self, buyer: &Signed, tokens: i64) -> Uuid {
        let id = self.reserve(buyer, tokens).await;
        let (_, session) = self.checkout(buyer, id).await;
        self.pay(&session, tokens * 5_100, 0, true).await;
        self.deliver().await;
        id
    }

    pub(crate) async fn deliver(&self) {
        sandbox::deliver(&self.site.app).await.unwrap();
    }

    /// One turn of the jobs.
    pub(crate) async fn turn(&self) {
        jobs::turn(&self.site.app, Turn::Everything).await.unwrap();
    }

    /// Turns until nothing moves any more: what one turn made due, the next does.
    pub(crate) async fn settle_down(&self) {
        for _ in 0..4 {
            self.turn().await;
        }
    }

    pub(crate) async fn status(&self, investment_id: Uuid) -> String {
        self.investment(investment_id).await["status"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn investment(&self, investment_id: Uuid) -> Value {
        let command = Command::begin(&self.site.app, Actor::Program("test")).await.unwrap();
        investments::row(&command, investment_id).await.unwrap()
    }

    pub(crate) async fn offering(&self, offering_id: Uuid) -> Value {
        let admin = self.site.world.admin().await;
        let sql = "select to_jsonb(o) from public.offerings as o where id = $1";
        admin.query_one(sql, &[&offering_id]).await.unwrap().get(0)
    }

    /// The balance of one of the property's accounts, in smallest units of USD, or of the token.
    pub(crate) async fn balance(&self, purpose: &str) -> i64 {
        let admin = self.site.world.admin().await;
        let sql = "select coalesce(sum(b.balance), 0)::bigint from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
                   where a.property_id = $1 and a.purpose = $2";
        admin
            .query_one(sql, &[&self.property_id, &purpose])
            .await
            .unwrap()
            .get(0)
    }

    /// The evidence that a close asks for, accepted and current; put there as reviewed.
    pub(crate) async fn file_evidence(&self) {
        let admin = self.site.world.admin().await;
        admin
            .batch_execute("begin; set local session_replication_role = replica")
            .await
            .unwrap();
        for kind in ["deed", "insurance", "appraisal", "entity_papers", "title_search"] {
            let day = self.site.now().date_naive();
            admin
                .execute(
                    "insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, issued_on, expires_at,
                       review_status, uploaded_by)
                     values ($1::uuid, $2, $2, 'property-evidence/' || $1::uuid || '/' || $2::text, sha256('x'), $3, $4, 'accepted', $5)",
                    &[&self.property_id, &kind, &day, &(self.site.now() + TimeDelta::days(3650)), &self.manager.id],
                )
                .await
                .unwrap();
        }
        admin.batch_execute("commit").await.unwrap();
    }

    /// All laws hold.
    pub(crate) async fn check(&self) {
        laws::hold(&self.site.world).await;
    }
}

pub(crate) fn id_of(row: &Value) -> Uuid {
    row["id"].as_str().unwrap_or_else(|| panic!("{row}")).parse().unwrap()
}

/// A property with a launched token, as the tokenization process leaves them.
pub(crate) async fn property(site: &Site, manager: &Signed) -> (Uuid, Uuid) {
    let (property_id, token_id) = (Uuid::now_v7(), Uuid::now_v7());
    let admin = site.world.admin().await;
    admin
        .execute(
            "insert into public.properties (id, title, city, country, is_active, total_tokens, price_per_token, tokenization_active, tokenization_status)
             values ($1, 'A house', 'Seattle', 'US', true, 1000, 50, true, 'offered')",
            &[&property_id],
        )
        .await
        .unwrap();
    admin
        .execute(
            "insert into public.property_members (property_id, user_id, capacity) values ($1, $2, 'owner')",
            &[&property_id, &manager.id],
        )
        .await
        .unwrap();
    admin
        .execute(
            "insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor,
               current_price_minor, status)
             values ($1, $2, 1000, 1000, 5000, 5000, 'launched')",
            &[&token_id, &property_id],
        )
        .await
        .unwrap();
    let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
    supply::open(&command, token_id, 1_000).await.unwrap();
    let book = Book {
        property_id,
        token_id,
        currency: "USD".to_owned(),
    };
    let all = Amount::try_from(1_000).unwrap();
    let entry = NewEntry {
        key: format!("token:{token_id}:authorise"),
        kind: "token.authorised",
        business_date: site.now().date_naive(),
        actor_id: None,
        cause: json!({}),
        postings: book
            .entry(&[Move::of(all, Purpose::Authorised, Purpose::Available)])
            .unwrap(),
    };
    ledger::post(&command.tx, entry).await.unwrap();
    command.commit().await.unwrap();
    (property_id, token_id)
}
