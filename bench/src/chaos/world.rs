//! Houses, those who run them, buyers and holders: put there by the program's own commands wherever there is one.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use nexus_mint::{
    app::{App, system_clock},
    attach::Postgres,
    command::Command,
    config::{Environment, Flags, Settings},
    db::{Actor, Db},
    functions,
    jobs::{self, sales::Turn},
    offerings::supply,
    payments::sandbox,
    problem::AnyError,
};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::place::{self, SECRETS};

/// A token's charge in cents: 50.00 and the fee of 2 %.
const CHARGE_MINOR: i64 = 5_100;

/// Tokens of a house.
const SUPPLY: i64 = 1_000_000;

/// Those who hold the house that pays rent, and their tokens.
const HOLDERS: i64 = 12;
const HOLDS: i64 = 10;

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) token: String,
}

/// A house, and its offering.
#[derive(Debug, Clone, Copy)]
pub(super) struct House {
    pub(super) property_id: Uuid,
    pub(super) offering_id: Uuid,
}

/// What the load works with.
pub(super) struct World {
    pub(super) app: App,
    pub(super) manager: Person,
    pub(super) admin: Person,
    pub(super) officer: Person,
    pub(super) buyers: Vec<Person>,
    pub(super) holders: Vec<Person>,
    /// On sale without an end.
    pub(super) hot: House,
    /// Sold, and pays rent.
    pub(super) rented: House,
}

/// How many tokens an offering sells at least and at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps(pub(super) i64, pub(super) i64);

impl World {
    /// A house on sale, a house that was sold to its holders by the way that every sale goes, and so many buyers.
    pub(super) async fn make(postgres: &Postgres, db: &Db, folder: &str, buyers: usize) -> Result<World, AnyError> {
        let client = postgres.admin().connect().await?;
        let url = place::url_of(&postgres.runtime().pg)?;
        let [jwt, file, seal] = SECRETS;
        let environment = Environment::of([("DATABASE_URL", &url), ("NEXUS_MINT_DATA_DIR", folder), jwt, file, seal]);
        let config = Settings::load(&Flags::default(), &environment)?.into_config()?;
        let app = App::new(config, db.clone(), "127.0.0.1:54321".parse()?, system_clock())?;
        let mut world = World {
            manager: person(&app, &client, Some("property_manager")).await?,
            admin: person(&app, &client, Some("admin")).await?,
            officer: person(&app, &client, Some("compliance_officer")).await?,
            buyers: Vec::new(),
            holders: Vec::new(),
            hot: nowhere(),
            rented: nowhere(),
            app,
        };
        for _ in 0..buyers {
            world.buyers.push(person(&world.app, &client, None).await?);
        }
        for _ in 0..HOLDERS {
            world.holders.push(person(&world.app, &client, None).await?);
        }
        world.hot = world.sale(&client, Caps(1, SUPPLY)).await?;
        world.rented = world.sale(&client, Caps(1, HOLDERS * HOLDS)).await?;
        world.sell_out(&client).await?;
        Ok(world)
    }

    /// A house with an offering that is open.
    pub(super) async fn sale(&self, client: &Client, Caps(soft, hard): Caps) -> Result<House, AnyError> {
        let property_id = self.house(client).await?;
        let now = Utc::now();
        let body = json!({
            "propertyId": property_id, "rulePack": "open", "kind": "issuer_owns", "softCap": soft, "hardCap": hard, "maximumTokens": null,
            "opensAt": now, "closesAt": now + TimeDelta::days(2), "longStopAt": now + TimeDelta::days(10),
        });
        let prepared = self.run(&self.manager, "create-offering", body).await?;
        let offering_id = id_of(prepared.get("offering"))?;
        self.run(&self.admin, "open-offering", json!({ "offeringId": offering_id }))
            .await?;
        Ok(House {
            property_id,
            offering_id,
        })
    }

    /// A house with a launched token as the tokenization process leaves it, and the evidence that a close asks for.
    async fn house(&self, client: &Client) -> Result<Uuid, AnyError> {
        let (property_id, token_id) = (Uuid::now_v7(), Uuid::now_v7());
        let manager = self.manager.id;
        client
            .batch_execute(&format!(
                "insert into public.properties (id, title, city, country, is_active, total_tokens, price_per_token, tokenization_active, tokenization_status)
                   values ('{property_id}', 'A house', 'Seattle', 'US', true, {SUPPLY}, 50, true, 'offered');
                 insert into public.property_members (property_id, user_id, capacity) values ('{property_id}', '{manager}', 'owner');
                 insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor,
                     current_price_minor, status)
                   values ('{token_id}', '{property_id}', {SUPPLY}, {SUPPLY}, 5000, 5000, 'launched')"
            ))
            .await?;
        let command = Command::begin(&self.app, Actor::Program("chaos")).await?;
        supply::open(&command, token_id, SUPPLY).await?;
        command.commit().await?;
        client
            .batch_execute(&format!(
                "select ledger.post('token:{token_id}:authorise', 'token.authorised', current_date, null, '{{}}',
                   ledger.open_accounts(array['authorised', 'available'], array_fill('token:{token_id}'::text, array[2]),
                     array_fill('{property_id}'::uuid, array[2]), array[null, null]::uuid[]),
                   array[-{SUPPLY}, {SUPPLY}]::bigint[]);
                 begin;
                 set local session_replication_role = replica;
                 insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, issued_on, expires_at,
                     review_status, uploaded_by)
                   select '{property_id}', kind, kind, 'property-evidence/{property_id}/' || kind, sha256('x'), current_date,
                          now() + interval '1 year', 'accepted', '{manager}'
                   from unnest(array['deed', 'insurance', 'appraisal', 'entity_papers', 'title_search']) as kind;
                 commit"
            ))
            .await?;
        Ok(property_id)
    }

    /// Sells the house that is to pay rent to its holders, and closes its offering.
    async fn sell_out(&self, client: &Client) -> Result<(), AnyError> {
        for holder in &self.holders {
            let order =
                json!({ "propertyId": self.rented.property_id, "tokenAmount": HOLDS, "paymentMethod": "sandbox" });
            let bought = self.run(holder, "create-investment", order).await?;
            let body = json!({ "investmentId": id_of(Some(&bought))? });
            let page = self.run(holder, "pay-investment", body).await?;
            self.pay(&session_of(&page)?, self.rented, HOLDS, "succeed").await?;
        }
        for _ in 0..100 {
            jobs::turn(&self.app, Turn::Everything).await?;
            let sql = "select status from public.offerings where id = $1";
            let status: String = client.query_one(sql, &[&self.rented.offering_id]).await?.get(0);
            if status == "closed" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the house that is to pay rent was not closed".into())
    }

    /// Pays at the provider, which is not the server: it settles at once, and its messages wait to be sent.
    pub(super) async fn pay(
        &self,
        session: &str,
        house: House,
        tokens: i64,
        refund_outcome: &'static str,
    ) -> Result<(), AnyError> {
        let payment = sandbox::Payment {
            session: Some(session.to_owned()),
            property_id: house.property_id,
            amount: (tokens * CHARGE_MINOR).try_into()?,
            currency: "USD".to_owned(),
            refund_outcome,
            settles_now: true,
        };
        sandbox::pay(&self.app, &payment).await?;
        Ok(())
    }

    /// Runs a function before anything is harmed.
    async fn run(&self, who: &Person, name: &'static str, body: Value) -> Result<Value, AnyError> {
        let caller = self.app.keys.verify(&who.token, self.app.now())?;
        let key = Uuid::now_v7().to_string();
        Ok(functions::run(&self.app, name, &caller, Some(&key), body.to_string().as_bytes()).await?)
    }
}

fn nowhere() -> House {
    House {
        property_id: Uuid::nil(),
        offering_id: Uuid::nil(),
    }
}

/// The id of a row that was answered.
pub(super) fn id_of(row: Option<&Value>) -> Result<Uuid, AnyError> {
    let id = row.and_then(|row| row.get("id")).and_then(Value::as_str);
    Ok(id.ok_or("an answer without an id")?.parse()?)
}

/// The provider's name of the session behind a payment page.
pub(super) fn session_of(page: &Value) -> Result<String, AnyError> {
    let url = page.get("url").and_then(Value::as_str).ok_or("no page to pay at")?;
    Ok(url.rsplit('/').next().unwrap_or_default().to_owned())
}

async fn person(app: &App, client: &Client, role: Option<&str>) -> Result<Person, AnyError> {
    let id = Uuid::now_v7();
    let email = format!("{}@example.com", id.simple());
    let sql = "insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
               values ($1, 'authenticated', 'authenticated', $2, now(), '{}', '{}', now(), now())";
    client.execute(sql, &[&id, &email]).await?;
    if let Some(role) = role {
        let sql = "insert into public.user_role_assignments (user_id, role) values ($1, $2) on conflict do nothing";
        client.execute(sql, &[&id, &role]).await?;
    }
    let now = app.now().timestamp();
    let database_role = if role.is_some() { "nexus_staff" } else { "authenticated" };
    let claims =
        json!({ "sub": id, "aud": "authenticated", "role": database_role, "exp": now + 86_400, "iat": now - 60 });
    Ok(Person {
        id,
        token: app.keys.sign(&claims)?,
    })
}
