//! `rest`: what a request of the REST engine costs beside the statement that it sends.
//!
//! `nexus-mint rest` runs as a process of its own; clients at once ask it over kept connections, and then send the same
//! statements to PostgreSQL themselves, with the same transaction and claims, in one packet each. Every figure is of one
//! run: the ratio is what counts.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nexus_mint::{attach::Postgres, db::Login, problem::AnyError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{cluster, measure::number};

const SECONDS: u64 = 4;
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Connections that the engine may have: as many as the direct clients need at most to be busy on a few cores.
const CONNECTIONS: usize = 16;

const TABLES: &str = "
    create schema bench;
    grant usage on schema bench to anon;
    create table bench.clients (id int primary key, name text not null);
    create table bench.items (
      id int primary key, client_id int not null references bench.clients (id), name text not null, price bigint not null,
      note text, created_at timestamptz not null default now());
    create index on bench.items (client_id);
    create index on bench.items (price);
    insert into bench.clients select n, 'client ' || n from generate_series(1, 1000) n;
    insert into bench.items select n, n % 1000 + 1, 'item ' || n, n * 7919 % 100000, repeat('x', 40)
      from generate_series(1, 100000) n;
    alter table bench.clients enable row level security;
    alter table bench.items enable row level security;
    create policy clients_read on bench.clients for select to anon using (true);
    create policy items_read on bench.items for select to anon using (id > 0);
    grant select on bench.clients, bench.items to anon;
    analyze bench.clients, bench.items";

/// A request, and the statement that answers it.
struct Case {
    name: &'static str,
    path: &'static str,
    statement: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        name: "one row by key",
        path: "/items?id=eq.4711",
        statement: "select coalesce(json_agg(t), '[]')::text from (select * from bench.items where id = 4711) t",
    },
    Case {
        name: "20 rows, sorted",
        path: "/items?order=price.desc&limit=20",
        statement: "select coalesce(json_agg(t), '[]')::text
                    from (select * from bench.items order by price desc limit 20) t",
    },
    Case {
        name: "20 rows with an embed",
        path: "/items?select=id,name,clients(name)&order=price.desc&limit=20",
        statement: "select coalesce(json_agg(t), '[]')::text
                    from (select i.id, i.name, row_to_json(c.*) as clients from bench.items i
                          left join lateral (select name from bench.clients where id = i.client_id) c on true
                          order by i.price desc limit 20) t",
    },
];

/// How many a second, and how long the slowest hundredth took at least (us).
struct Rate {
    each_second: f64,
    p99_us: u128,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let seconds = number(arguments, "--seconds", SECONDS)?;
    cluster::with_cluster(async |postgres, _| {
        postgres.admin().connect().await?.batch_execute(TABLES).await?;
        let server = Server::start(postgres).await?;
        println!("clients  request                 a second  of the statement  p99 us (statement)  own CPU us");
        for clients in CLIENTS {
            for case in &CASES {
                compare(&server, postgres, case, clients, Duration::from_secs(seconds)).await?;
            }
        }
        Ok(())
    })
}

async fn compare(
    server: &Server,
    postgres: &Postgres,
    case: &Case,
    clients: usize,
    time: Duration,
) -> Result<(), AnyError> {
    let address = server.address.clone();
    // Statements are prepared and files are read before anything counts.
    measured(clients, time / 4, |stop| ask(address.clone(), case.path, stop)).await?;
    let before = server.cpu_us()?;
    let asked = measured(clients, time, |stop| ask(address.clone(), case.path, stop)).await?;
    let cpu = server.cpu_us()?.saturating_sub(before);
    let login = postgres.runtime();
    let direct = measured(clients.min(CONNECTIONS), time, |stop| {
        send(login.clone(), case.statement, stop)
    })
    .await?;
    let requests = asked.each_second * time.as_secs_f64();
    println!(
        "{clients:7}  {:22}  {:8.0}  {:16.2}  {:8} ({:8})  {:10.0}",
        case.name,
        asked.each_second,
        asked.each_second / direct.each_second,
        asked.p99_us,
        direct.p99_us,
        f64::from(u32::try_from(cpu)?) / requests.max(1.0),
    );
    Ok(())
}

/// Runs clients at once until the time is over; each gives how long its requests took.
async fn measured<F>(clients: usize, time: Duration, client: impl Fn(Arc<AtomicBool>) -> F) -> Result<Rate, AnyError>
where
    F: Future<Output = Result<Vec<u128>, AnyError>> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    for _ in 0..clients {
        running.spawn(client(stop.clone()));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    while let Some(took) = running.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    Ok(Rate {
        each_second: f64::from(u32::try_from(all.len())?) / time.as_secs_f64(),
        p99_us: all.get(all.len() * 99 / 100).copied().unwrap_or_default(),
    })
}

async fn ask(address: String, path: &'static str, stop: Arc<AtomicBool>) -> Result<Vec<u128>, AnyError> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n");
    let mut took = Vec::new();
    let mut answer = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        while !is_whole(&answer)? {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        took.push(begun.elapsed().as_micros());
    }
    Ok(took)
}

fn is_whole(answer: &[u8]) -> Result<bool, AnyError> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(false);
    };
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("the server answered {text}").into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.ok_or("an answer without a length")?.parse()?;
    Ok(body.len() >= length)
}

/// The same transaction by a client of PostgreSQL.
async fn send(login: Login, statement: &'static str, stop: Arc<AtomicBool>) -> Result<Vec<u128>, AnyError> {
    let mut login = login;
    login.pg.options("-c role=anon");
    let client = login.connect().await?;
    let claims = client
        .prepare("select set_config('request.jwt.claims', $1, true)")
        .await?;
    let statement = client.prepare(statement).await?;
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        tokio::try_join!(
            biased;
            client.batch_execute("begin read only"),
            client.execute(&claims, &[&r#"{"role":"anon"}"#]),
            client.query_one(&statement, &[]),
            client.batch_execute("commit"),
        )?;
        took.push(begun.elapsed().as_micros());
    }
    Ok(took)
}

/// The engine as a process of its own, ended with the measurement.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement then said.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    async fn start(postgres: &Postgres) -> Result<Server, AnyError> {
        let program: PathBuf = std::env::current_exe()?.with_file_name("nexus-mint");
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(&program)
            .arg("rest")
            .env("PGRST_DB_URI", url_of(&postgres.runtime())?)
            .env("PGRST_DB_SCHEMAS", "bench")
            .env("PGRST_DB_ANON_ROLE", "anon")
            .env("PGRST_DB_POOL", CONNECTIONS.to_string())
            .env("PGRST_SERVER_HOST", "127.0.0.1")
            .env("PGRST_SERVER_PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}; build it first, with the same profile", program.display()))?;
        let server = Server {
            process,
            address: format!("127.0.0.1:{port}"),
        };
        for _ in 0..100 {
            let stop = Arc::new(AtomicBool::new(true));
            if TcpStream::connect(&server.address).await.is_ok()
                && ask(server.address.clone(), "/items?limit=1", stop).await.is_ok()
            {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the engine does not answer".into())
    }

    /// CPU time so far: two numbers of `/proc`, in hundredths of a second.
    fn cpu_us(&self) -> Result<u64, AnyError> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|field| field.parse::<u64>().ok())
                .ok_or("no CPU time in /proc")
        };
        Ok((ticks(11)? + ticks(12)?) * 10_000)
    }
}

fn url_of(login: &Login) -> Result<String, AnyError> {
    use tokio_postgres::config::Host;
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let Some(Host::Unix(folder)) = login.pg.get_hosts().first() else {
        return Err("the cluster has no socket".into());
    };
    let password = String::from_utf8(login.pg.get_password().unwrap_or_default().to_vec())?;
    Ok(format!(
        "postgres://{}:{}@/{}?host={}&port={}",
        encoded(login.pg.get_user().unwrap_or_default()),
        encoded(&password),
        encoded(login.pg.get_dbname().unwrap_or_default()),
        encoded(&folder.to_string_lossy()),
        login.pg.get_ports().first().copied().unwrap_or(5432),
    ))
}
