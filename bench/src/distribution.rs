//! `distribution`: a house with many holders pays rent, by the product's own commands and jobs, against a plain
//! `INSERT ... SELECT` of the same rows into the same tables, in turns.
//!
//! The holders are written by SQL, past the sale: their logins, purchases, lots and `held` accounts. What is measured is
//! written by commands, with every constraint and trigger, and so is what it is compared with.

use std::time::Instant;

use chrono::{TimeDelta, Utc};
use nexus_mint::{
    app::{App, system_clock},
    attach::Postgres,
    auth::{
        session::{self, Ttl},
        token::{ApiRole, Caller},
        users,
    },
    config::{Environment, Flags, Settings},
    db::Db,
    distributions::paying,
    functions,
    problem::AnyError,
};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{
    cluster,
    measure::{median, memory_kib, number},
};

mod world;

/// Measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let holders = i64::try_from(number(arguments, "--holders", 100_000)?)?;
    let runs = number(arguments, "--runs", 3)?;
    cluster::with_cluster(async |postgres: &Postgres, db: &Db| measure(postgres, db, holders, runs).await)
}

/// The program, the house, and the people who run it.
struct House {
    app: App,
    admin: Client,
    property_id: Uuid,
    manager: Caller,
    officer: Caller,
    payer: Caller,
    days_used: i64,
}

async fn measure(postgres: &Postgres, db: &Db, holders: i64, runs: u64) -> Result<(), AnyError> {
    let admin = postgres.admin().connect().await?;
    let folder = std::env::temp_dir().join(format!("nexus-mint-bench-files-{}", std::process::id()));
    let environment = Environment::of([
        ("DATABASE_URL", "postgres://nobody@localhost/nothing"),
        ("NEXUS_MINT_DATA_DIR", folder.to_str().unwrap_or_default()),
        ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ]);
    let flags = Flags {
        dev_keys: true,
        ..Flags::default()
    };
    let config = Settings::load(&flags, &environment)?.into_config()?;
    let app = App::new(config, db.clone(), "127.0.0.1:54321".parse()?, system_clock())?;
    let begun = Instant::now();
    let property_id = world::make(&admin, holders).await?;
    println!("{holders} holders written in {:.1} s", begun.elapsed().as_secs_f64());
    let mut house = House {
        manager: person(&app, &admin, "property_manager", Some(property_id)).await?,
        officer: person(&app, &admin, "compliance_officer", None).await?,
        payer: person(&app, &admin, "admin", None).await?,
        app,
        admin,
        property_id,
        days_used: 0,
    };
    register(&house).await?;
    let memory = memory_kib("VmRSS")?;
    let first = house.distribute(holders).await?;
    println!(
        "the first distribution, which opens everybody's account: {first}; preview {:.1} s",
        first.preview
    );
    let mut ratios = Vec::new();
    let mut declares = Vec::new();
    let mut pays = Vec::new();
    for run in 1..=runs {
        let product = house.distribute(holders).await?;
        let plain = world::plain(&house.admin, product.id, run).await?;
        println!(
            "run {run}: {product}; plain INSERT ... SELECT of the same rows {plain}; ratio {:.2} (declaring {:.2}, paying {:.2})",
            product.total() / plain.total(),
            product.declare / plain.lines,
            product.pay / plain.rest,
        );
        ratios.push(product.total() / plain.total());
        declares.push(product.declare / plain.lines);
        pays.push(product.pay / plain.rest);
    }
    println!(
        "{holders} holders declared and paid: {:.2} times a plain INSERT ... SELECT (declaring {:.2}, paying {:.2}; medians of {runs})",
        median(ratios),
        median(declares),
        median(pays),
    );
    println!(
        "memory of this program: {} MiB before, {} MiB after, {} MiB at its peak",
        memory / 1024,
        memory_kib("VmRSS")? / 1024,
        memory_kib("VmHWM")? / 1024,
    );
    Ok(())
}

/// What a distribution took, in seconds.
struct Took {
    id: Uuid,
    preview: f64,
    declare: f64,
    pay: f64,
    /// The longest transaction of paying.
    longest: f64,
}

impl Took {
    fn total(&self) -> f64 {
        self.declare + self.pay
    }
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "declared in {:.1} s, paid in {:.1} s (a turn at most {:.1} s)",
            self.declare, self.pay, self.longest
        )
    }
}

impl House {
    async fn call(&self, who: &Caller, name: &'static str, body: Value) -> Result<Value, AnyError> {
        Ok(functions::run(&self.app, name, who, None, body.to_string().as_bytes()).await?)
    }

    /// A month's rent, declared and paid: every line is there, and every payout due.
    async fn distribute(&mut self, holders: i64) -> Result<Took, AnyError> {
        self.days_used += 1;
        let day = Utc::now().date_naive() - TimeDelta::days(self.days_used);
        let cents = holders * 13_700 + 11;
        let line = json!({ "accountRef": "operating", "bankReference": day.to_string(), "kind": "rent",
            "amount": format!("{}.{:02}", cents / 100, cents % 100), "bookedOn": day, "paidFor": "the month" });
        let body = json!({ "propertyId": self.property_id, "periodFrom": day, "periodTo": day, "lines": [line] });
        let recorded = self.call(&self.manager, "record-performance", body).await?;
        let approve = json!({ "periodId": recorded.pointer("/period/id"), "decision": "approved" });
        self.call(&self.officer, "approve-performance", approve).await?;
        let whole = json!({ "propertyId": self.property_id });
        let asked = self.call(&self.manager, "declare-distribution", whole.clone()).await?;
        let id = asked.pointer("/distribution/id").cloned().unwrap_or_default();
        let id: Uuid = serde_json::from_value(id)?;
        let begun = Instant::now();
        self.call(&self.officer, "preview-distribution", whole).await?;
        let preview = begun.elapsed().as_secs_f64();

        let body = json!({ "distributionId": id });
        let begun = Instant::now();
        self.call(&self.officer, "approve-distribution", body.clone()).await?;
        let declare = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        self.call(&self.payer, "pay-distribution", body).await?;
        let mut longest = begun.elapsed().as_secs_f64();
        loop {
            let turn = Instant::now();
            let parts = paying::post_due(&self.app).await?;
            longest = longest.max(turn.elapsed().as_secs_f64());
            if parts == 0 {
                break;
            }
        }
        let pay = begun.elapsed().as_secs_f64();
        let told = self
            .admin
            .query_one(
                "select (select count(*) from public.distribution_lines where distribution_id = $1),
                        (select count(*) from public.payouts as p join public.distribution_lines as l on l.id = p.line_id where l.distribution_id = $1),
                        (select posted_at is not null from public.distributions where id = $1)",
                &[&id],
            )
            .await?;
        let (lines, payouts, is_posted): (i64, i64, bool) = (told.get(0), told.get(1), told.get(2));
        if lines != holders || payouts != holders || !is_posted {
            return Err(format!("{lines} lines and {payouts} payouts of {holders} holders").into());
        }
        Ok(Took {
            id,
            preview,
            declare,
            pay,
            longest,
        })
    }
}

/// A page of the register now and in the past, and the whole of it in SQL.
async fn register(house: &House) -> Result<(), AnyError> {
    let ms = |begun: Instant| begun.elapsed().as_secs_f64() * 1_000.0;
    for (when, number) in [("now", 2_i64), ("in the past", 1)] {
        let row = house
            .admin
            .query_one(
                "select property_token_id, last_entry_id, moved_at from public.token_movements where number = $1",
                &[&number],
            )
            .await?;
        let (token_id, entry_id): (Uuid, i64) = (row.get(0), row.get(1));
        let at: chrono::DateTime<Utc> = row.get(2);
        let half: Uuid = "7fffffff-ffff-ffff-ffff-ffffffffffff".parse()?;
        let body = json!({ "propertyId": house.property_id, "at": at, "knownSeq": entry_id, "afterPartyId": half });
        let mut pages = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            house.call(&house.officer, "get-register", body.clone()).await?;
            pages.push(ms(begun));
        }
        let begun = Instant::now();
        let row = house
            .admin
            .query_one(
                "select count(*), sum(units)::bigint from ledger.register_at($1, $2, null, null)",
                &[&token_id, &entry_id],
            )
            .await?;
        let (holders, units): (i64, i64) = (row.get(0), row.get(1));
        println!(
            "the register {when}: a page of 1,000 in {:.1} ms, all {holders} holders of {units} tokens in {:.0} ms",
            median(pages),
            ms(begun)
        );
    }
    Ok(())
}

/// Somebody with a role, who acts for the house where one is named.
async fn person(app: &App, admin: &Client, role: &str, property_id: Option<Uuid>) -> Result<Caller, AnyError> {
    let id = Uuid::now_v7();
    let email = format!("{}@example.com", id.simple());
    admin
        .execute(
            "insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
             values ($1, 'authenticated', 'authenticated', $2, now(), '{}', '{}', now(), now())",
            &[&id, &email],
        )
        .await?;
    let sql = "insert into public.user_role_assignments (user_id, role) values ($1, $2) on conflict do nothing";
    admin.execute(sql, &[&id, &role]).await?;
    if let Some(property_id) = property_id {
        let sql = "insert into public.property_members (property_id, user_id, capacity) values ($1, $2, 'owner')";
        admin.execute(sql, &[&property_id, &id]).await?;
    }
    let now = app.now();
    let tx = app.db.as_auth().await?;
    let session = session::open(&tx, id, now).await?;
    let user = users::find(&tx, id).await?.ok_or("the login is gone")?;
    tx.commit().await?;
    let mut claims = session::claims(&user, session, ApiRole::Staff, &app.public_url, now, Ttl::default());
    if let Some(end) = claims.get_mut("exp") {
        *end = (now.timestamp() + 86_400).into();
    }
    Ok(app.keys.verify(&app.keys.sign(&claims)?, now)?)
}
