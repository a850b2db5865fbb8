//! Round after round: load, a fault after so many acknowledged answers, recovery, and every question that there is.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use nexus_mint::{
    attach::{Migrate, Postgres},
    db::Db,
    problem::{AnyError, chain},
};
use tokio_postgres::Client;

use super::{
    checks::{self, Found, QUIET, check},
    client,
    dice::Dice,
    history::{History, Outcome, Sent},
    load::{Counters, Load, send},
    place::{self, Folder, Server},
    world::{Caps, House, World},
};

/// Longer than anything takes that comes by itself; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const TICK: Duration = Duration::from_millis(5);

/// Buyers, each of whom may have five reservations open.
const BUYERS: usize = 150;

/// What is done to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// `kill -9` of the server.
    Server,
    /// `kill -9` of PostgreSQL's first process.
    Postgres,
    /// Both at once.
    Both,
    /// `kill -9` of one of the server's sessions: PostgreSQL ends all others and recovers.
    Session,
    /// Every connection is cut by PostgreSQL.
    Connections,
    /// The clock is two hours before what the server saw last.
    Clock,
    /// The disk of PostgreSQL is full for a while.
    Disk,
}

impl Fault {
    /// All of them, in the order of rounds.
    pub(super) const ALL: [Fault; 7] = [
        Fault::Server,
        Fault::Postgres,
        Fault::Connections,
        Fault::Both,
        Fault::Clock,
        Fault::Session,
        Fault::Disk,
    ];

    /// Whether it takes a file system of the run's own.
    pub(super) fn needs_a_disk(self) -> bool {
        self == Fault::Disk
    }
}

/// How a run goes.
pub(super) struct Plan {
    /// The program `nexus-mint`.
    pub(super) program: PathBuf,
    /// Where the cluster and everything else of the run is.
    pub(super) folder: PathBuf,
    /// Repeats the choices of a run, though not the scheduler's.
    pub(super) seed: u64,
    /// What is done, one a round.
    pub(super) faults: Vec<Fault>,
}

/// What a run found when nothing was wrong.
#[derive(Debug, Default)]
pub(super) struct Report(pub(super) BTreeMap<Fault, (u32, Found)>);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, (rounds, found)) in &self.0 {
            writeln!(
                f,
                "{:<11}  {rounds:>6}  {:>6}  {:>7}  {:>8}  {:>5}  {:>9}  {:>4}",
                format!("{fault:?}").to_lowercase(),
                found.done,
                found.refused,
                found.messages,
                found.there,
                found.not_there,
                found.internal
            )?;
        }
        Ok(())
    }
}

/// Runs it all, and answers with what was found; what is wrong is an error.
pub(super) fn run(plan: &Plan) -> Result<Report, AnyError> {
    let folder = Folder::make(&plan.folder)?;
    let postgres = place::cluster(&folder.0)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let db = postgres.open(Migrate::Yes).await?;
        let outcome = rounds(plan, &postgres, &db).await;
        db.close();
        outcome
    });
    postgres.stop()?;
    outcome
}

struct Run<'a> {
    plan: &'a Plan,
    postgres: &'a Postgres,
    world: Arc<World>,
    history: Arc<History>,
    counters: Arc<Counters>,
    dice: Dice,
    server: Server,
    before: Option<House>,
    all: Vec<Sent>,
}

async fn rounds(plan: &Plan, postgres: &Postgres, db: &Db) -> Result<Report, AnyError> {
    let shown = plan.folder.to_string_lossy();
    let world = Arc::new(World::make(postgres, db, &shown, BUYERS).await?);
    let mut run = Run {
        plan,
        postgres,
        world,
        history: Arc::default(),
        counters: Arc::default(),
        dice: Dice::new(plan.seed),
        server: start(plan, postgres).await?,
        before: None,
        all: Vec::new(),
    };
    let mut report = Report::default();
    for (number, fault) in plan.faults.iter().enumerate() {
        let mut wrong = Vec::new();
        let found = run.round(number, *fault, &mut wrong).await;
        let found = found.map_err(|error| {
            let what = chain(error.as_ref());
            format!("round {number}, {fault:?}: {what}\n{}", run.server.said())
        })?;
        told(plan, number, *fault, &wrong)?;
        let sums = report.0.entry(*fault).or_default();
        sums.0 += 1;
        sums.1 += found;
    }
    let mut wrong = Vec::new();
    let settled = run.settle(&mut wrong).await;
    settled.map_err(|error| format!("at the end: {}", chain(error.as_ref())))?;
    told(plan, plan.faults.len(), Fault::Server, &wrong)?;
    Ok(report)
}

fn told(plan: &Plan, number: usize, fault: Fault, wrong: &[String]) -> Result<(), AnyError> {
    if wrong.is_empty() {
        return Ok(());
    }
    let text = wrong.join("\n");
    Err(format!("seed {}, round {number}, {fault:?}:\n{text}", plan.seed).into())
}

async fn start(plan: &Plan, postgres: &Postgres) -> Result<Server, AnyError> {
    let command = place::program(&plan.program, &plan.folder, postgres)?;
    tokio::task::spawn_blocking(move || Server::start(command)).await?
}

impl Run<'_> {
    async fn round(&mut self, number: usize, fault: Fault, wrong: &mut Vec<String>) -> Result<Found, AnyError> {
        let client = self.connect().await?;
        // Some are sold out and close, the others fail in the round after.
        let is_small = number.is_multiple_of(2);
        let caps = if is_small { Caps(1, 12) } else { Caps(1, 400) };
        let sale = self.world.sale(&client, caps).await?;
        let load = Arc::new(Load {
            world: self.world.clone(),
            history: self.history.clone(),
            address: self.server.address.clone(),
            sale,
            failing: self.before.take(),
            stop: false.into(),
            counters: self.counters.clone(),
        });
        self.before = (!is_small).then_some(sale);
        let mut at_work = load.begin(self.dice.below(u64::MAX));
        let answers = usize::try_from(self.dice.below(90))? + 10;
        self.acknowledged(answers).await?;
        self.strike(fault, &client).await?;
        match fault {
            Fault::Server | Fault::Both => {}
            Fault::Postgres | Fault::Session | Fault::Connections | Fault::Clock | Fault::Disk => {
                self.acknowledged(20).await?;
            }
        }
        load.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = at_work.join_next().await {
            ended?;
        }
        let client = self.connect().await?;
        until(&client, QUIET).await?;
        match fault {
            Fault::Server | Fault::Both => self.server = start(self.plan, self.postgres).await?,
            Fault::Postgres | Fault::Session | Fault::Connections | Fault::Disk => self.ready().await?,
            Fault::Clock => self.resume(&client, wrong).await?,
        }
        let (mut commands, messages) = self.history.take();
        let found = check(&client, &self.server.address, &mut commands, &messages, wrong).await?;
        self.all.extend(commands);
        Ok(found)
    }

    async fn strike(&mut self, fault: Fault, client: &Client) -> Result<(), AnyError> {
        match fault {
            Fault::Server => self.server.kill(),
            Fault::Postgres => self.kill_postgres(),
            Fault::Both => {
                self.server.kill()?;
                self.kill_postgres()
            }
            Fault::Session => {
                let sql = "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'
                             and application_name = 'nexus-mint nexus_engine'
                           order by state = 'active' desc, random() limit 1";
                let pid: i32 = client.query_one(sql, &[]).await?.get(0);
                place::kill(pid.try_into()?)
            }
            Fault::Connections => {
                let sql = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
                client.query(sql, &[]).await?;
                Ok(())
            }
            Fault::Clock => {
                // As the server sees it when the machine's clock was set back.
                let sql = "update nexus.clock_watch set last_seen_at = last_seen_at + interval '2 hours'";
                client.batch_execute(sql).await?;
                until(client, "select paused_at is not null from nexus.clock_watch").await
            }
            Fault::Disk => fill(&self.plan.folder).await,
        }
    }

    fn kill_postgres(&self) -> Result<(), AnyError> {
        place::kill(place::postmaster(self.postgres).ok_or("PostgreSQL does not run")?)
    }

    /// While it was paused, nothing was sent that cannot be undone; then somebody looks, and it goes on.
    async fn resume(&self, client: &Client, wrong: &mut Vec<String>) -> Result<(), AnyError> {
        let sql = "select count(*) from (select sent_at from public.payouts union all select sent_at from public.refunds) as s, nexus.clock_watch as w
                   where s.sent_at > w.paused_at";
        let sent: i64 = client.query_one(sql, &[]).await?.get(0);
        if sent > 0 {
            wrong.push(format!(
                "{sent} payouts and refunds were sent while the clock was in doubt"
            ));
        }
        let mut command = place::program(&self.plan.program, &self.plan.folder, self.postgres)?;
        let done = tokio::task::spawn_blocking(move || command.args(["jobs", "resume"]).output()).await??;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
        }
        until(client, "select paused_at is null from nexus.clock_watch").await
    }

    /// Everything that is under way arrives, and everybody has what is his.
    async fn settle(&mut self, wrong: &mut Vec<String>) -> Result<(), AnyError> {
        let client = self.connect().await?;
        let open = "select id::text, status from public.distributions where status in ('proposed', 'declared')";
        for row in client.query(open, &[]).await? {
            let (id, status): (String, String) = (row.get(0), row.get(1));
            let body = serde_json::json!({ "distributionId": id }).to_string();
            let mut steps = vec![("pay-distribution", &self.world.admin)];
            if status == "proposed" {
                steps.insert(0, ("approve-distribution", &self.world.officer));
            }
            for (name, who) in steps {
                let sent = Sent {
                    caller: who.id,
                    token: who.token.clone(),
                    name,
                    key: format!("settle {id}"),
                    body: body.clone(),
                    outcome: Outcome::Unknown(0),
                };
                let outcome = send(&self.server.address, &sent).await;
                // A proposal may ask for what another one has had meanwhile.
                if status == "declared" && !matches!(outcome, Outcome::Done(_)) {
                    wrong.push(format!("distribution {id} cannot be paid: {outcome:?}"));
                }
            }
        }
        // What is silent is asked about after minutes; they pass.
        // One statement a transaction, and none waits for a row that the server has: it would wait for one of ours.
        let minutes = [
            "update public.payouts set due_at = now() where id in
               (select id from public.payouts where status = 'sent' for update skip locked)",
            "update public.refunds set due_at = now() where id in
               (select id from public.refunds where status = 'sent' for update skip locked)",
            "update nexus.payment_messages set due_at = now() where id in
               (select id from nexus.payment_messages where processed_at is null for update skip locked)",
        ];
        let arrived = "select not exists (select from public.payouts where status <> 'confirmed')
             and not exists (select from public.refunds where status <> 'confirmed')
             and not exists (select from public.distributions where status in ('declared', 'paying'))
             and not exists (select from nexus.sandbox_messages where delivered_at is null)
             and not exists (select from nexus.payment_messages where processed_at is null)";
        let begun = Instant::now();
        loop {
            for minute in minutes {
                client.batch_execute(minute).await?;
            }
            if client.query_one(arrived, &[]).await?.get(0) {
                break;
            }
            if begun.elapsed() > PATIENCE {
                wrong.push(format!("something never arrives: {}", left(&client).await?));
                break;
            }
            tokio::time::sleep(TICK * 50).await;
        }
        let unpaid = "select l.id::text from public.distribution_lines as l join public.distributions as d on d.id = l.distribution_id
             where d.status = 'paid' and l.amount_minor - l.withheld_minor <> coalesce((select sum(s.amount_minor) from public.payouts as p
               join nexus.sandbox_payouts as s on s.id = p.rail_key and s.status = 'succeeded' where p.line_id = l.id), 0)";
        for row in client.query(unpaid, &[]).await? {
            wrong.push(format!(
                "a line that was not paid exactly once: {}",
                row.get::<_, String>(0)
            ));
        }
        // Everything that was ever acknowledged is answered the same at the very end.
        let mut all = std::mem::take(&mut self.all);
        all.retain(|sent| matches!(sent.outcome, Outcome::Done(_)));
        checks::check(&client, &self.server.address, &mut all, &[], wrong).await?;
        Ok(())
    }

    /// Waits for so many more answers.
    async fn acknowledged(&self, more: usize) -> Result<(), AnyError> {
        let enough = self.history.acknowledged() + more;
        let begun = Instant::now();
        while self.history.acknowledged() < enough {
            if begun.elapsed() > PATIENCE {
                return Err("nothing is acknowledged any more".into());
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    async fn ready(&self) -> Result<(), AnyError> {
        let begun = Instant::now();
        while !client::is_ready(&self.server.address).await {
            if begun.elapsed() > PATIENCE {
                return Err("the server is never ready again".into());
            }
            tokio::time::sleep(TICK * 4).await;
        }
        Ok(())
    }

    /// A connection, as soon as there can be one.
    async fn connect(&self) -> Result<Client, AnyError> {
        let begun = Instant::now();
        loop {
            match self.postgres.admin().connect().await {
                Ok(client) => return Ok(client),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(TICK * 4).await,
            }
        }
    }
}

async fn left(client: &Client) -> Result<String, AnyError> {
    let sql = "select concat_ws(', ',
         (select 'payouts ' || string_agg(distinct status, ' ') from public.payouts where status <> 'confirmed'),
         (select 'refunds ' || string_agg(distinct status, ' ') from public.refunds where status <> 'confirmed'),
         (select 'distributions ' || string_agg(distinct status, ' ') from public.distributions where status in ('declared', 'paying')),
         (select count(*) || ' messages not delivered' from nexus.sandbox_messages where delivered_at is null),
         (select count(*) || ' messages not processed: ' || string_agg(distinct kind, ' ') from nexus.payment_messages where processed_at is null))";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Waits until a query says yes.
async fn until(client: &Client, sql: &str) -> Result<(), AnyError> {
    let begun = Instant::now();
    while !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("never: {sql}").into());
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}

/// Fills the file system of a folder to its last byte for some seconds.
async fn fill(folder: &Path) -> Result<(), AnyError> {
    let path = folder.join("filler");
    let mut file = File::create(&path)?;
    let block = vec![0_u8; 1 << 20];
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        // What others give back is taken as well.
        if file.write_all(&block).is_err() {
            tokio::time::sleep(TICK).await;
        }
    }
    fs::remove_file(&path)?;
    Ok(())
}
