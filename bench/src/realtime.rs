//! `realtime`: subscribers with different rights follow a table, each change is one's own: what is delivered, how long after
//! its commit, what it costs, and what writers notice of it.
//!
//! The server is the program, in a process of its own; subscribers and writers are here.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use nexus_mint::{
    app::{App, system_clock},
    attach::Postgres,
    config::{Environment, Flags, Settings},
    db::{Db, Login},
    problem::AnyError,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_tungstenite::{client_async, tungstenite::Message};
use uuid::Uuid;

use crate::{cluster::with_cluster, measure::number, rest::server::url_of};

const SUBSCRIBERS: u64 = 1_000;
const SECONDS: u64 = 10;
const ROUNDS: u64 = 5;
const RATES: [u64; 3] = [10, 100, 1_000];
const WRITERS: usize = 4;
const LISTEN: &str = "127.0.0.1:55399";
/// How long what was committed may take to arrive before it counts as lost.
const LATE: Duration = Duration::from_secs(30);

const TABLE: &str = "create table public.ticks (id bigint primary key, owner_id uuid not null, note text not null);
    alter table public.ticks enable row level security;
    grant select on public.ticks to authenticated;
    create policy ticks_own on public.ticks for select to authenticated using (owner_id = (select auth.uid()));
    alter publication supabase_realtime add table public.ticks";

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let subscribers = number(arguments, "--subscribers", SUBSCRIBERS)?;
    let seconds = number(arguments, "--seconds", SECONDS)?;
    let rounds = number(arguments, "--rounds", ROUNDS)?;
    let filters = arguments.iter().any(|argument| argument == "--filters");
    println!(
        "{subscribers} subscribers with different rights, {} of their own",
        if filters { "a filter" } else { "no filter" }
    );
    with_cluster(async |postgres, _| {
        postgres.admin().connect().await?.batch_execute(TABLE).await?;
        let bench = Bench {
            postgres,
            app: signer()?,
            people: (0..subscribers).map(|_| Uuid::new_v4()).collect(),
            filters,
            next: AtomicU64::new(1),
        };
        if !arguments.iter().any(|argument| argument == "--writers") {
            bench.rates(seconds).await?;
        }
        bench.writers(seconds, rounds).await
    })
}

/// The program's keys, to sign tokens with.
fn signer() -> Result<App, AnyError> {
    let environment = Environment::of([
        ("DATABASE_URL", "postgres://nobody@localhost/nothing"),
        ("NEXUS_MINT_DATA_DIR", "/nonexistent"),
        ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ]);
    let flags = Flags {
        dev_keys: true,
        ..Flags::default()
    };
    let config = Settings::load(&flags, &environment)?.into_config()?;
    let login = Login::local(&"postgres://nobody@localhost/nothing".parse()?);
    Ok(App::new(config, Db::new(&login)?, LISTEN.parse()?, system_clock())?)
}

struct Bench<'a> {
    postgres: &'a Postgres,
    app: App,
    people: Vec<Uuid>,
    filters: bool,
    next: AtomicU64,
}

/// The program, killed when it is dropped.
struct Program {
    process: Child,
}

impl Program {
    /// Ends it, and waits until its place is free.
    async fn end(mut self) -> Result<(), AnyError> {
        Ok(self.process.kill().await?)
    }

    fn figure(&self, file: &str) -> Result<String, AnyError> {
        let pid = self.process.id().ok_or("the program ended")?;
        Ok(fs::read_to_string(format!("/proc/{pid}/{file}"))?)
    }

    /// CPU time so far (ms), at the kernel's 100 ticks a second.
    fn cpu_ms(&self) -> Result<u64, AnyError> {
        let stat = self.figure("stat")?;
        let after = stat.rsplit_once(')').ok_or("no stat")?.1;
        let times: Vec<u64> = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|text| text.parse().ok())
            .collect();
        Ok(times.iter().sum::<u64>() * 10)
    }

    fn memory_kib(&self) -> Result<u64, AnyError> {
        let status = self.figure("status")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS")?;
        Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
    }
}

/// When each row was committed, and what arrived.
#[derive(Default)]
struct Log {
    committed: Mutex<HashMap<u64, Instant>>,
}

struct Arrival {
    id: u64,
    at: Instant,
    is_own: bool,
}

impl Bench<'_> {
    async fn program(&self) -> Result<Program, AnyError> {
        let path: PathBuf = std::env::current_exe()?.with_file_name("nexus-mint");
        let process = Command::new(path)
            .args(["serve", "--dev-keys", "--no-migrate"])
            .env("DATABASE_URL", url_of(&self.postgres.runtime())?)
            .env(
                "NEXUS_MINT_DATA_DIR",
                std::env::temp_dir().join("nexus-mint-bench-realtime"),
            )
            .env("NEXUS_MINT_LISTEN", LISTEN)
            .env("NEXUS_MINT_LOG", "warn")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let ready = async {
            while TcpStream::connect(LISTEN).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LATE, ready).await?;
        Ok(Program { process })
    }

    /// Connects everybody; gives what arrives.
    async fn subscribe(&self, matching: bool) -> Result<(JoinSet<()>, mpsc::UnboundedReceiver<Arrival>), AnyError> {
        let (told, heard) = mpsc::unbounded_channel();
        let mut all = JoinSet::new();
        for person in &self.people {
            let expires = chrono::Utc::now().timestamp() + 3_600;
            let token = self
                .app
                .keys
                .sign(&json!({ "role": "authenticated", "sub": person, "exp": expires }))?;
            let stream = TcpStream::connect(LISTEN).await?;
            stream.set_nodelay(true)?;
            let url = format!(
                "ws://{LISTEN}/realtime/v1/websocket?vsn=2.0.0&apikey={}",
                self.app.keys.anon_key()
            );
            let (mut socket, _) = client_async(url, stream).await?;
            let whose = if matching { *person } else { Uuid::new_v4() };
            let filter = (self.filters || !matching).then(|| format!("owner_id=eq.{whose}"));
            let binding = match filter {
                Some(filter) => json!({ "event": "INSERT", "schema": "public", "table": "ticks", "filter": filter }),
                None => json!({ "event": "INSERT", "schema": "public", "table": "ticks" }),
            };
            let join = json!(["1", "1", "realtime:ticks", "phx_join",
                { "config": { "postgres_changes": [binding] }, "access_token": token }]);
            socket.send(Message::Text(join.to_string().into())).await?;
            loop {
                let frame = timeout(LATE, socket.next()).await?.ok_or("closed")??;
                let Message::Text(text) = frame else { continue };
                if text.contains("Subscribed to PostgreSQL") {
                    break;
                }
                if text.contains("\"status\":\"error\"") {
                    return Err(text.to_string().into());
                }
            }
            let (told, person) = (told.clone(), person.to_string());
            all.spawn(async move {
                while let Some(Ok(frame)) = socket.next().await {
                    let at = Instant::now();
                    let Message::Text(text) = frame else { continue };
                    let Ok(frame) = serde_json::from_str::<Value>(&text) else {
                        continue;
                    };
                    let record = frame.get(4).and_then(|payload| payload.get("data")?.get("record"));
                    let Some(record) = record else { continue };
                    let id = record.get("id").and_then(Value::as_u64).unwrap_or_default();
                    let is_own = record.get("owner_id").and_then(Value::as_str) == Some(&person);
                    let _ = told.send(Arrival { id, at, is_own });
                }
            });
        }
        Ok((all, heard))
    }

    /// Writes one row a turn at a rate, or as fast as it can, until the time is over; gives how many.
    async fn write(&self, rate: Option<u64>, time: Duration, log: &Arc<Log>) -> Result<u64, AnyError> {
        let begin = Instant::now();
        let written = AtomicU64::new(0);
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            let client = self.postgres.admin().connect().await?;
            let insert = client
                .prepare("insert into public.ticks values ($1, $2, 'a note of some length, as people write')")
                .await?;
            writers.push((client, insert));
        }
        let one =
            async |(client, insert): &(tokio_postgres::Client, tokio_postgres::Statement)| -> Result<(), AnyError> {
                while begin.elapsed() < time {
                    let turn = written.fetch_add(1, Ordering::Relaxed);
                    if let Some(rate) = rate {
                        let due = begin + Duration::from_nanos(turn.saturating_mul(1_000_000_000) / rate);
                        tokio::time::sleep_until(due.into()).await;
                    }
                    let id = self.next.fetch_add(1, Ordering::Relaxed);
                    let count = u64::try_from(self.people.len())?;
                    let person = usize::try_from(id.wrapping_mul(7919) % count)?;
                    let person = self.people.get(person).ok_or("a person")?;
                    client.execute(insert, &[&i64::try_from(id)?, person]).await?;
                    if rate.is_some() {
                        log.committed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .insert(id, Instant::now());
                    }
                }
                Ok(())
            };
        futures_util::future::try_join_all(writers.iter().map(one)).await?;
        Ok(written.load(Ordering::Relaxed))
    }

    /// What is delivered at some rates.
    async fn rates(&self, seconds: u64) -> Result<(), AnyError> {
        let program = self.program().await?;
        let before = program.memory_kib()?;
        let (_all, mut heard) = self.subscribe(true).await?;
        let after = program.memory_kib()?;
        let count = u64::try_from(self.people.len())?.max(1);
        println!("memory a subscriber: {} KiB", after.saturating_sub(before) / count);
        for rate in RATES {
            let log = Arc::new(Log::default());
            let cpu = program.cpu_ms()?;
            self.write(Some(rate), Duration::from_secs(seconds), &log).await?;
            let mut committed = std::mem::take(&mut *log.committed.lock().unwrap_or_else(PoisonError::into_inner));
            let (sent, mut times, mut foreign) = (committed.len(), Vec::new(), 0);
            while !committed.is_empty() {
                let Ok(Some(arrival)) = timeout(LATE, heard.recv()).await else {
                    break;
                };
                foreign += u64::from(!arrival.is_own);
                if let Some(at) = committed.remove(&arrival.id) {
                    times.push(arrival.at.saturating_duration_since(at).as_secs_f64() * 1e3);
                }
            }
            let cpu = program.cpu_ms()?.saturating_sub(cpu);
            times.sort_by(f64::total_cmp);
            let at = |part: usize| {
                times
                    .get(times.len().saturating_mul(part) / 1000)
                    .copied()
                    .unwrap_or_default()
            };
            println!(
                "{rate} a second: {sent} committed, {} delivered, {} lost, {foreign} to others; ms after the commit: p50 {:.1}, p99 {:.1}, max {:.1}; CPU {:.2} ms a delivery; memory {} MiB",
                times.len(),
                committed.len(),
                at(500),
                at(990),
                times.last().copied().unwrap_or_default(),
                cpu as f64 / times.len().max(1) as f64,
                program.memory_kib()? / 1024,
            );
        }
        program.end().await
    }

    /// What writers notice, who write as fast as they can: with a log that is followed and concerns nobody, and with everything
    /// delivered; before and after each, with the program running and nobody connected.
    async fn writers(&self, seconds: u64, rounds: u64) -> Result<(), AnyError> {
        let time = Duration::from_secs(seconds);
        let log = Arc::new(Log::default());
        let (mut followed, mut delivered) = ((0.0, 0.0), (0.0, 0.0));
        let without = async || {
            let program = self.program().await?;
            let count = self.write(None, time, &log).await?;
            program.end().await?;
            Ok::<u64, AnyError>(count)
        };
        let mut before = without().await?;
        for round in 1..=rounds {
            for (is_delivered, sums) in [(false, &mut followed), (true, &mut delivered)] {
                let program = self.program().await?;
                let all = self.subscribe(is_delivered).await?;
                let with = self.write(None, time, &log).await?;
                program.end().await?;
                drop(all);
                let after = without().await?;
                let without_it = (before + after) as f64 / 2.0;
                println!(
                    "round {round}, {}: {:.0} rows a second, {:.0} without",
                    if is_delivered { "delivered" } else { "followed" },
                    with as f64 / seconds as f64,
                    without_it / seconds as f64
                );
                sums.0 += with as f64;
                sums.1 += without_it;
                before = after;
            }
        }
        println!(
            "rate of writers: followed {:.3}, delivered {:.3} of that without",
            followed.0 / followed.1,
            delivered.0 / delivered.1
        );
        Ok(())
    }
}
