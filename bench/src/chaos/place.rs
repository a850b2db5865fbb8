//! A durable cluster with the schema, the program that serves from it, and what harms them.

use std::{
    collections::VecDeque,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use nexus_mint::{
    attach::Postgres,
    config::Secret,
    postgres::{Cluster, ClusterOptions},
    problem::AnyError,
};
use tokio_postgres::config::Host;

/// Longer than a start takes on a machine that does other things as well.
const START_MAX: Duration = Duration::from_secs(120);

/// Settings that the server and this program share.
pub(super) const SECRETS: [(&str, &str); 3] = [
    (
        "NEXUS_MINT_JWT_SECRET",
        "a secret of nobody's that is long enough for HS256",
    ),
    ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
];

/// A folder, gone afterwards.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn make(path: &Path) -> Result<Folder, AnyError> {
        fs::create_dir_all(path)?;
        // When we are root, PostgreSQL runs as somebody else and must get there.
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        Ok(Folder(path.to_owned()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever empties the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a cluster in a folder; whoever kills it sees it started again.
pub(super) fn cluster(folder: &Path) -> Result<Postgres, AnyError> {
    let cluster = Cluster::start(&ClusterOptions::new(folder, Secret::random()?.expose()))?;
    Ok(Postgres::Embedded {
        cluster: Box::new(cluster),
        password: Secret::random()?,
    })
}

/// The first process of PostgreSQL; nothing while it is being started again.
pub(super) fn postmaster(postgres: &Postgres) -> Option<u32> {
    match postgres {
        Postgres::Url(_) => None,
        Postgres::Embedded { cluster, .. } => Some(cluster.pid()).filter(|pid| *pid != 0),
    }
}

/// `kill -9`.
pub(super) fn kill(pid: u32) -> Result<(), AnyError> {
    let done = Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
    if done.success() {
        Ok(())
    } else {
        Err(format!("cannot kill {pid}").into())
    }
}

/// The program, as it is run on this cluster.
pub(crate) fn program(program: &Path, folder: &Path, postgres: &Postgres) -> Result<Command, AnyError> {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").envs(SECRETS);
    command.env("NEXUS_MINT_DATA_DIR", folder);
    command.env("DATABASE_URL", url_of(&postgres.runtime().pg)?);
    command.stdin(Stdio::null());
    Ok(command)
}

/// A server that runs. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Receiver<String>,
    /// Host and port.
    pub(crate) address: String,
}

impl Server {
    /// Starts the program and waits until it says that it is ready.
    pub(crate) fn start(mut command: Command) -> Result<Server, AnyError> {
        command.args(["serve", "--no-migrate", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stream = child.stderr.take().ok_or("the program has no log")?;
        let (send, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                // Nobody may listen any more, and the pipe must be emptied all the same.
                let _ = send.send(line);
            }
        });
        let mut server = Server {
            child,
            log,
            address: String::new(),
        };
        let mut said = Vec::new();
        while let Ok(line) = server.log.recv_timeout(START_MAX) {
            let ready = line.split_once(" ready at http://").map(|(_, rest)| rest);
            if let Some(address) = ready.and_then(|rest| rest.split_whitespace().next()) {
                address.clone_into(&mut server.address);
                return Ok(server);
            }
            said.push(line);
        }
        Err(format!("the server was never ready, but said:\n{}", said.join("\n")).into())
    }

    /// What it logged last.
    pub(super) fn said(&self) -> String {
        let mut last: VecDeque<String> = VecDeque::new();
        for line in self.log.try_iter() {
            if last.len() == 20 {
                last.pop_front();
            }
            last.push_back(line);
        }
        last.make_contiguous().join("\n")
    }

    /// `kill -9`, and waits for its end.
    pub(super) fn kill(&mut self) -> Result<(), AnyError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration as a DATABASE_URL.
pub(super) fn url_of(login: &tokio_postgres::Config) -> Result<String, AnyError> {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let Some(Host::Unix(folder)) = login.get_hosts().first() else {
        return Err("the cluster has no socket".into());
    };
    let password = String::from_utf8(login.get_password().unwrap_or_default().to_vec())?;
    Ok(format!(
        "postgres://{}:{}@/{}?host={}&port={}",
        encoded(login.get_user().unwrap_or_default()),
        encoded(&password),
        encoded(login.get_dbname().unwrap_or_default()),
        encoded(&folder.to_string_lossy()),
        login.get_ports().first().copied().unwrap_or(5432),
    ))
}
