//! What the tests stand on: one throw-away cluster in memory a run and PostgreSQL version, one template database with
//! the migrations applied, and clones of it.
//!
//! - [`World::shared`] is one clone that many tests use at once: each makes its own people and counts only what it made.
//! - [`World::own_database`] is a clone for one test that tampers, runs DDL or looks at whole tables.
//! - [`World::own_empty_database_on`] has nothing in it.
//! - [`own_cluster`] is a cluster for one test, where not even the roles exist.
//!
//! Time is an argument, so nothing here waits for it.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock};

use nexus_mint::migrate::{self, Sources};
use nexus_mint::postgres::{Cluster, ClusterOptions, Durability, fetch_bundle, find_binaries};
use serde_json::{Value, json};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// Which PostgreSQL a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Server {
    /// The one that the program would choose on this machine.
    OfMachine,
    /// The bundle of PostgreSQL 18 that the program would fetch.
    Bundle,
}

impl Server {
    /// Every server that can be had here. Says so where the bundle cannot.
    pub(crate) fn all() -> Vec<Server> {
        match &*BUNDLE {
            Ok(_) => vec![Server::OfMachine, Server::Bundle],
            Err(_) => vec![Server::OfMachine],
        }
    }
}

/// Tells whoever reads the run that something was not tested. Written past libtest's capture on purpose.
pub(crate) fn skip(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

static BUNDLE: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgresql-bundle");
    let folder = if is_open_to_all(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        kept
    } else {
        run_folder().join("bundle")
    };
    fetch_bundle(&folder).map_err(|error| {
        let why = chain(&error);
        skip(&format!("everything on PostgreSQL 18: {why}"));
        why
    })
});

/// Whether the user that PostgreSQL runs as, when we are root, can reach a folder.
fn is_open_to_all(folder: &Path) -> bool {
    folder
        .ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|found| found.permissions().mode() & 0o001 != 0))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The folder of this run, in memory where that is possible. Removes what runs that were killed left behind.
fn run_folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        for left in fs::read_dir(&parent).into_iter().flatten().flatten() {
            let name = left.file_name();
            let pid = name.to_str().and_then(|name| name.strip_prefix("nexus-mint-tests-"));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_dir_all(left.path());
            }
        }
        let folder = parent.join(format!("nexus-mint-tests-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        // SAFETY: registers a function of ours that takes nothing and does not unwind.
        #[allow(unsafe_code)]
        let registered = unsafe { libc::atexit(stop_everything) };
        assert_eq!(registered, 0, "room for one more function at exit");
        folder
    });
    &FOLDER
}

static CLUSTERS: LazyLock<Mutex<HashMap<Server, &'static OnceLock<Template>>>> = LazyLock::new(Mutex::default);
static RUNNING: Mutex<Vec<Cluster>> = Mutex::new(Vec::new());

/// A static is never dropped, so this stops the clusters and empties the memory they took.
extern "C" fn stop_everything() {
    let _ = std::panic::catch_unwind(|| {
        if let Ok(mut running) = RUNNING.lock() {
            running.drain(..).for_each(|cluster| drop(cluster.stop()));
        }
        let _ = fs::remove_dir_all(run_folder());
    });
}

/// A running cluster whose template database is ready.
struct Template {
    admin: Config,
    name: String,
}

fn template(server: Server) -> &'static Template {
    let slot = *CLUSTERS
        .lock()
        .unwrap()
        .entry(server)
        .or_insert_with(|| Box::leak(Box::default()));
    slot.get_or_init(|| {
        // A thread of its own: tests run inside a runtime, and one runtime cannot wait for another.
        std::thread::spawn(move || {
            let cluster = start(server, run_folder().join(format!("{server:?}")));
            let admin = cluster.admin_config();
            RUNNING.lock().unwrap().push(cluster);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(make_template(admin))
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn start(server: Server, folder: PathBuf) -> Cluster {
    let mut options = ClusterOptions::new(folder, "only for tests");
    options.durability = Durability::Throwaway;
    if server == Server::Bundle || find_binaries(&options).is_err() {
        options.pg_bin = Some(BUNDLE.clone().unwrap());
    }
    Cluster::start(&options).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn make_template(admin: Config) -> Template {
    let sources = Sources::embedded();
    let name = format!("template_{}", &sources.fingerprint()[..16]);
    connect(&admin)
        .await
        .batch_execute(&format!("create database {name}"))
        .await
        .unwrap();
    let mut config = admin.clone();
    config.dbname(&name);
    let mut client = connect(&config).await;
    migrate::run(&mut client, &sources)
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    client
        .batch_execute(&format!("alter role authenticator password '{AUTHENTICATOR_PASSWORD}'"))
        .await
        .unwrap();
    Template { admin, name }
}

const AUTHENTICATOR_PASSWORD: &str = "only for tests as well";

/// Connects; the connection ends with the runtime.
pub(crate) async fn connect(config: &Config) -> Client {
    let (client, connection) = config
        .connect(NoTls)
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    tokio::spawn(connection);
    client
}

/// Makes the temporary tables that statements of the program name, so that those statements can be prepared.
pub(crate) async fn make_temporary_tables(client: &Client) {
    for statement in nexus_mint::db::registered_statements() {
        if statement.text.starts_with("create temporary table") {
            let text = statement.text.trim_end().trim_end_matches("on commit drop");
            client.batch_execute(text).await.unwrap();
        }
    }
}

/// A database with everything that a test needs to use it.
pub(crate) struct World {
    admin: Config,
    name: String,
    is_own: bool,
}

impl World {
    /// The database that tests share. Make your own people in it, and count only what you made.
    pub(crate) async fn shared() -> World {
        static NAME: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
        let template = template(Server::OfMachine);
        let name = NAME.get_or_init(|| clone_of(template)).await.clone();
        World {
            admin: template.admin.clone(),
            name,
            is_own: false,
        }
    }

    /// A database for this test alone, with the migrations applied.
    pub(crate) async fn own_database() -> World {
        World::own_database_on(Server::OfMachine).await
    }

    /// The same on a server of choice.
    pub(crate) async fn own_database_on(server: Server) -> World {
        let template = template(server);
        World {
            admin: template.admin.clone(),
            name: clone_of(template).await,
            is_own: true,
        }
    }

    /// A database for this test alone with nothing in it; its cluster has the roles.
    pub(crate) async fn own_empty_database_on(server: Server) -> World {
        empty_database(template(server).admin.clone()).await
    }

    /// How the superuser logs in to this database.
    pub(crate) fn admin_config(&self) -> Config {
        let mut config = self.admin.clone();
        config.dbname(&self.name);
        config
    }

    /// How the program logs in to this database when it serves.
    pub(crate) fn runtime_config(&self) -> Config {
        let mut config = self.admin_config();
        config.user("authenticator").password(AUTHENTICATOR_PASSWORD);
        config
    }

    /// A connection of the superuser: for fixtures, and for looking behind the wall.
    pub(crate) async fn admin(&self) -> Client {
        connect(&self.admin_config()).await
    }

    /// A login with these roles beside investor's.
    pub(crate) async fn person(&self, roles: &[&str]) -> Person {
        let person = Person {
            id: Uuid::now_v7(),
            is_staff: roles.iter().any(|role| *role != "investor"),
        };
        let client = self.admin().await;
        let email = format!("{}@example.com", person.id.simple());
        client
            .execute(
                "insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
                 values ($1, 'authenticated', 'authenticated', $2, now(), '{}', '{}', now(), now())",
                &[&person.id, &email],
            )
            .await
            .unwrap();
        for role in roles {
            client
                .execute(
                    "insert into public.user_role_assignments (user_id, role) values ($1, $2) on conflict do nothing",
                    &[&person.id, role],
                )
                .await
                .unwrap();
        }
        person
    }
}

async fn empty_database(admin: Config) -> World {
    let name = new_name();
    let sql = format!("create database {name} template template0");
    connect(&admin).await.batch_execute(&sql).await.unwrap();
    World {
        admin,
        name,
        is_own: true,
    }
}

async fn clone_of(template: &Template) -> String {
    let name = new_name();
    let sql = format!("create database {name} template {} strategy file_copy", template.name);
    connect(&template.admin).await.batch_execute(&sql).await.unwrap();
    name
}

fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("world_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Drop for World {
    /// An own database goes with its test, so that the run fits in memory.
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        let (admin, sql) = (
            self.admin.clone(),
            format!("drop database if exists {} with (force)", self.name),
        );
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { connect(&admin).await.batch_execute(&sql).await })
        });
        // What cannot be dropped now goes with the cluster.
        let _ = dropped.join();
    }
}

/// A cluster for one test, gone when it ends. Nothing was ever made in it, so roles can be made for the first time.
pub(crate) struct OwnCluster {
    cluster: Option<Cluster>,
    folder: PathBuf,
}

/// Starts a cluster of its own.
pub(crate) async fn own_cluster(server: Server) -> OwnCluster {
    let folder = run_folder().join(format!("own_{}", new_name()));
    let place = folder.clone();
    let cluster = tokio::task::spawn_blocking(move || start(server, place)).await.unwrap();
    OwnCluster {
        cluster: Some(cluster),
        folder,
    }
}

impl OwnCluster {
    /// A database with nothing in it. Drop it before its cluster.
    pub(crate) async fn empty_database(&self) -> World {
        let cluster = self.cluster.as_ref().expect("it runs until it is dropped");
        empty_database(cluster.admin_config()).await
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        drop(self.cluster.take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Somebody with a login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) is_staff: bool,
}

impl Person {
    /// The database role that the person's token carries.
    pub(crate) fn db_role(&self) -> &'static str {
        if self.is_staff { "nexus_staff" } else { "authenticated" }
    }

    /// The claims of the person's token, as far as policies read them.
    pub(crate) fn claims(&self) -> Value {
        json!({ "sub": self.id, "role": self.db_role() })
    }

    /// Lets a superuser's open transaction act as this person until it ends.
    pub(crate) async fn act(&self, client: &Client) {
        act_as(client, self.db_role(), &self.claims()).await;
    }
}

/// Lets a superuser's open transaction act as a role with claims until it ends.
pub(crate) async fn act_as(client: &Client, role: &str, claims: &Value) {
    client
        .execute(
            "select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)",
            &[&claims.to_string(), &role],
        )
        .await
        .unwrap();
}
