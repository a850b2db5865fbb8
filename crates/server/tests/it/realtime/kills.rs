//! The server and PostgreSQL ended by force while somebody follows what is written: whoever joins again misses nothing from
//! then on, and whoever stopped reading keeps nobody's log. And much is written meanwhile: whoever stays misses nothing.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_postgres::Client;
use tokio_tungstenite::client_async;

use super::Talk;
use crate::program::{PATIENCE, Program, Server};
use crate::seed::until;

/// What is looked at after each fault: so many rows one after the other.
const ROWS: usize = 100;

/// Between two looks whether PostgreSQL runs again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

const TABLE: &str = "create table public.notes (id bigint primary key, owner_id uuid, word text);
    alter table public.notes enable row level security;
    grant select on public.notes to authenticated;
    create policy notes_own on public.notes for select to authenticated using (owner_id = (select auth.uid()));
    alter publication supabase_realtime add table public.notes";

/// The program with its private cluster, and somebody who is signed in.
struct House {
    program: Program,
    id: String,
    token: String,
}

impl House {
    async fn new() -> (House, Server, Client) {
        let program = Program::embedded();
        let server = program.serve(&[]);
        let id = program.answer(&[
            "user",
            "create",
            "--email",
            "ada@example.com",
            "--password",
            "secret123",
        ]);
        let token = program.answer(&["user", "token", "ada@example.com"]);
        let house = House { program, id, token };
        let admin = house.admin().await.unwrap();
        admin.batch_execute(TABLE).await.unwrap();
        (house, server, admin)
    }

    fn postmaster(&self) -> Option<(i32, String)> {
        let text = fs::read_to_string(self.program.data_dir().join("postgres/data/postmaster.pid")).ok()?;
        let lines: Vec<&str> = text.lines().collect();
        (lines.get(7)?.trim() == "ready").then_some(())?;
        Some((lines.first()?.parse().ok()?, (*lines.get(4)?).to_owned()))
    }

    /// The superuser's connection, once PostgreSQL runs.
    async fn admin(&self) -> Option<Client> {
        let (_, socket) = self.postmaster()?;
        let secrets = fs::read_to_string(self.program.data_dir().join("secrets.toml")).ok()?;
        let password = secrets
            .lines()
            .find_map(|line| line.strip_prefix("superuser_password = "))?;
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(socket)
            .port(5432)
            .user("supabase_admin")
            .password(password.trim_matches('"'))
            .dbname(nexus_mint::attach::DATABASE_NAME);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    fn kill_postgres(&self, signal: libc::c_int) {
        let (pid, _) = self.postmaster().unwrap();
        // SAFETY: sends a signal to the server that the pid file of our own cluster names.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0);
    }

    async fn connect(&self, server: &Server) -> Talk {
        let address = server.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/realtime/v1/websocket?vsn=2.0.0&apikey={}", self.token);
        let (socket, _) = client_async(url, stream).await.unwrap();
        Talk { socket }
    }

    /// Follows the notes, until it is said that they are.
    async fn follow(&self, talk: &mut Talk) {
        let binding = json!({ "event": "INSERT", "schema": "public", "table": "notes" });
        let mut told = talk.follow(binding, Some(&self.token)).await;
        while told["status"] != "ok" {
            told = talk.until("system").await;
        }
    }

    /// Lets a server that was stopped go on: whoever followed joins again, and hears what is written then.
    async fn goes_on(&self, server: &Server, talk: &mut Talk, admin: &Client, id: i64) {
        server.signal(libc::SIGCONT);
        talk.until("phx_error").await;
        self.follow(talk).await;
        let text = format!("insert into public.notes values ({id}, '{}', 'after')", self.id);
        admin.batch_execute(&text).await.unwrap();
        while talk.change().await.1["id"] != id {}
    }

    /// Writes notes one after the other, whatever ends meanwhile.
    fn write(self: &Arc<Self>) -> Writing {
        let (known, acknowledged) = watch::channel(Vec::new());
        let house = self.clone();
        let task = tokio::spawn(async move {
            let mut id = 0;
            while !known.is_closed() {
                let Some(client) = house.admin().await else {
                    tokio::time::sleep(AGAIN_AFTER).await;
                    continue;
                };
                loop {
                    id += 1;
                    let text = format!("insert into public.notes values ({id}, '{}', 'a note')", house.id);
                    if known.is_closed() || client.batch_execute(&text).await.is_err() {
                        break;
                    }
                    known.send_modify(|ids: &mut Vec<i64>| ids.push(id));
                    // Slower than somebody who only reads now and then can bear.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        Writing { acknowledged, task }
    }
}

/// Notes that are written until it is dropped.
struct Writing {
    /// Those that are there for certain, in their order.
    acknowledged: watch::Receiver<Vec<i64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Writing {
    async fn end(self) {
        drop(self.acknowledged);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// Everything that is written from now on arrives, each once and in its order.
    async fn is_heard_whole(&mut self, talk: &mut Talk, after: &str) {
        // The next one may have been committed before now, while its writer was not yet told.
        let from = self.acknowledged.borrow().len() + 1;
        let enough = self.acknowledged.wait_for(|ids| ids.len() >= from + ROWS);
        let ids = tokio::time::timeout(PATIENCE, enough).await.unwrap().unwrap().clone();
        let expected = &ids[from..from + ROWS];
        let mut heard = Vec::new();
        while heard.last() != expected.last() {
            let id = talk.change().await.1["id"].as_i64().unwrap();
            if id >= expected[0] {
                heard.push(id);
            }
            assert!(heard.len() <= ROWS, "{after}: more than was written");
        }
        assert_eq!(heard, expected, "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_again_misses_nothing_that_is_committed_from_then_on() {
    let (house, mut server, admin) = House::new().await;
    drop(admin);
    let house = Arc::new(house);
    let mut writing = house.write();
    let mut talk = house.connect(&server).await;
    house.follow(&mut talk).await;
    writing.is_heard_whole(&mut talk, "from the beginning").await;

    // Whoever is killed says nothing; its slot goes with its connection.
    server.signal(libc::SIGKILL);
    server.wait();
    while talk.next().await.get("closed").is_none() {}
    server = house.program.serve(&[]);
    talk = house.connect(&server).await;
    house.follow(&mut talk).await;
    writing.is_heard_whole(&mut talk, "the server's kill").await;

    // A restart waits for whoever follows to have everything, and not for longer; a kill waits for nobody.
    for (signal, fault) in [
        (libc::SIGINT, "PostgreSQL's restart"),
        (libc::SIGKILL, "PostgreSQL's kill"),
    ] {
        house.kill_postgres(signal);
        let told = talk.until("system").await;
        let said = told["message"].as_str().unwrap_or_default();
        assert!(said.contains("may have been missed"), "{fault}: {told}");
        talk.until("phx_error").await;
        // The socket stays: the same client joins again, as realtime-js does.
        house.follow(&mut talk).await;
        writing.is_heard_whole(&mut talk, fault).await;
    }
    writing.end().await;
    let slots = "select count(*) = 1 and bool_and(temporary and active) from pg_replication_slots";
    until(&house.admin().await.unwrap(), slots).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_told_twice_when_much_is_written_and_then_little() {
    // Each round has ten transactions' numbers of its own.
    const BUSTLE: &str = "do $$ begin
        for n in 1..1000 loop
          for m in 1..9 loop
            begin insert into public.bustle values (n); exception when unique_violation then null; end;
          end loop;
          commit;
        end loop;
      end $$";
    const FOLLOWED: &str = "select coalesce(string_agg(a.backend_type, ' '), '')
        from pg_replication_slots as s join pg_stat_activity as a on a.pid = s.active_pid where s.slot_name !~ '_step$'";
    let (house, server, admin) = House::new().await;
    let busy = house.admin().await.unwrap();
    let made = "create table public.bustle (n int); set synchronous_commit = off";
    busy.batch_execute(made).await.unwrap();
    let house = Arc::new(house);
    let writing = house.write();
    let mut talk = house.connect(&server).await;
    house.follow(&mut talk).await;
    let mut last = talk.change().await.1["id"].as_i64().unwrap();
    for (way, is_much) in [("walsender", false), ("client backend", true), ("walsender", false)] {
        while admin.query_one(FOLLOWED, &[]).await.unwrap().get::<_, String>(0) != way {
            let hear = async {
                for _ in 0..ROWS {
                    let id = talk.change().await.1["id"].as_i64().unwrap();
                    assert_eq!(id, last + 1, "until changes are followed by a {way}");
                    last = id;
                }
            };
            let bustle = async {
                if is_much {
                    busy.batch_execute(BUSTLE).await.unwrap();
                }
            };
            tokio::join!(hear, bustle);
        }
    }
    writing.end().await;
    let log = fs::read_to_string(house.program.data_dir().join("postgres/server.log")).unwrap();
    assert!(log.contains("database system is ready"));
    let decoded = log.lines().filter(|line| line.contains("starting logical decoding"));
    assert!(decoded.count() <= 4, "a line for each reading");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_read_keeps_no_more_log_than_is_allowed() {
    let (house, server, admin) = House::new().await;
    let set = "alter system set max_slot_wal_keep_size = '48MB'; alter system set max_wal_size = '64MB'; alter system set min_wal_size = '32MB'";
    for text in set.split("; ") {
        admin.batch_execute(text).await.unwrap();
    }
    admin.batch_execute("select pg_reload_conf()").await.unwrap();
    until(&admin, "select current_setting('max_slot_wal_keep_size') = '48MB'").await;
    admin
        .batch_execute("create table public.others (n int, word text)")
        .await
        .unwrap();
    let mut talk = house.connect(&server).await;
    house.follow(&mut talk).await;

    // Somebody writes what nobody follows: past what is allowed the slot is gone.
    let slot = slot_of(&admin).await;
    server.signal(libc::SIGSTOP);
    let mut rounds = 0;
    while !is_gone(&admin, &slot).await {
        assert!(rounds < 40, "the slot holds the log of {rounds} rounds of 16 MB");
        let others = "insert into public.others select n, repeat(md5(n::text), 1000) from generate_series(1, 500) as n; truncate public.others";
        admin.batch_execute(others).await.unwrap();
        admin.batch_execute("select pg_switch_wal()").await.unwrap();
        admin.batch_execute("checkpoint").await.unwrap();
        rounds += 1;
    }
    house.goes_on(&server, &mut talk, &admin, 1_000_000).await;

    // What is followed, and more of it than a socket takes: PostgreSQL gives up whoever says nothing, writers do not wait.
    admin
        .batch_execute("alter system reset max_slot_wal_keep_size")
        .await
        .unwrap();
    admin.batch_execute("select pg_reload_conf()").await.unwrap();
    until(&admin, "select current_setting('max_slot_wal_keep_size') = '1GB'").await;
    let slot = slot_of(&admin).await;
    server.signal(libc::SIGSTOP);
    for round in 1..=4 {
        let text = format!(
            "insert into public.notes select {round} * 1000 + n, '{}', string_agg(md5(n::text || k::text), '') from generate_series(1, 500) as n,
               generate_series(1, 1000) as k group by n",
            house.id
        );
        admin.batch_execute(&text).await.unwrap();
    }
    until(&admin, &gone(&slot)).await;
    admin.batch_execute("checkpoint").await.unwrap();
    let kept = "select sum(size) < 256 * 1024 * 1024 from pg_ls_waldir()";
    assert!(admin.query_one(kept, &[]).await.unwrap().get::<_, bool>(0));
    house.goes_on(&server, &mut talk, &admin, 2_000_000).await;
}

async fn slot_of(admin: &Client) -> String {
    let text = "select slot_name::text from pg_replication_slots where active";
    admin.query_one(text, &[]).await.unwrap().get(0)
}

fn gone(slot: &str) -> String {
    format!(
        "select not exists (select from pg_replication_slots where slot_name = '{slot}' and wal_status is distinct from 'lost')"
    )
}

async fn is_gone(admin: &Client, slot: &str) -> bool {
    admin.query_one(&gone(slot), &[]).await.unwrap().get(0)
}
