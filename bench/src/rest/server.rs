//! The servers that are asked, each a process of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nexus_mint::{attach::Postgres, db::Login, problem::AnyError};
use tokio::net::TcpStream;

use super::{CASES, client};

/// A process that serves, ended with the measurement.
pub(super) struct Server {
    process: Option<Child>,
    pub(super) address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself, which the measurement then said.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Server {
    /// `nexus-mint rest` over the cluster.
    pub(super) async fn engine(postgres: &Postgres, connections: usize) -> Result<Server, AnyError> {
        let program: PathBuf = std::env::current_exe()?.with_file_name("nexus-mint");
        let port = free_port()?;
        let process = Command::new(&program)
            .arg("rest")
            .env("PGRST_DB_URI", url_of(&postgres.runtime())?)
            .env("PGRST_DB_SCHEMAS", "bench")
            .env("PGRST_DB_ANON_ROLE", "anon")
            .env("PGRST_DB_POOL", connections.to_string())
            .env("PGRST_SERVER_HOST", "127.0.0.1")
            .env("PGRST_SERVER_PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}; build it first, with the same profile", program.display()))?;
        let server = Server {
            process: Some(process),
            address: format!("127.0.0.1:{port}"),
        };
        server.answers().await?;
        Ok(server)
    }

    /// A server that answers a constant.
    pub(super) async fn constant() -> Result<Server, AnyError> {
        let port = free_port()?;
        let process = Command::new(std::env::current_exe()?)
            .args(["rest", "constant", "--port", &port.to_string()])
            .spawn()?;
        let server = Server {
            process: Some(process),
            address: format!("127.0.0.1:{port}"),
        };
        server.answers().await?;
        Ok(server)
    }

    /// A server that somebody else starts over the same cluster: says how, and waits for it.
    pub(super) async fn other(postgres: &Postgres, address: &str, connections: usize) -> Result<Server, AnyError> {
        println!(
            "waiting for {address}; start it with PGRST_DB_URI='{}' PGRST_DB_SCHEMAS=bench PGRST_DB_ANON_ROLE=anon \
             PGRST_DB_POOL={connections}",
            url_of(&postgres.runtime())?
        );
        let server = Server {
            process: None,
            address: address.to_owned(),
        };
        server.answers().await?;
        Ok(server)
    }

    async fn answers(&self) -> Result<(), AnyError> {
        let [case, ..] = &CASES;
        for _ in 0..600 {
            if TcpStream::connect(&self.address).await.is_ok()
                && client::ask(&self.address, case, 1, Duration::from_millis(10))
                    .await
                    .is_ok()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("{} does not answer", self.address).into())
    }

    /// CPU time so far.
    pub(super) fn cpu_us(&self) -> Result<u64, AnyError> {
        let process = self.process.as_ref().ok_or("a process of somebody else")?;
        Ok(cpu_us(process.id(), 0..2)?.1)
    }

    /// Memory that is its own or shared, now.
    pub(super) fn memory_mib(&self) -> Result<f64, AnyError> {
        let process = self.process.as_ref().ok_or("a process of somebody else")?;
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u32 = line
            .and_then(|line| line.trim().split(' ').next())
            .ok_or("no VmRSS")?
            .parse()?;
        Ok(f64::from(kib) / 1024.0)
    }
}

/// Serves a constant as long as a row, or as the rows of `limit=`, until it is killed.
pub(super) fn constant(port: u64) -> Result<(), AnyError> {
    const ROW: &str = r#"{"id":4711,"client_id":712,"name":"item 4711","price":6409,"note":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","created_at":"2026-01-01T00:00:00.000000+00:00"}"#;
    const KIND: [(&str, &str); 1] = [("content-type", "application/json; charset=utf-8")];
    let rows = |count: usize| bytes::Bytes::from(format!("[{}]", vec![ROW; count].join(", \n ")));
    let all = [1, 20, 100].map(|count| (format!("limit={count}"), rows(count)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", u16::try_from(port)?)).await?;
        let one = rows(1);
        let app = axum::Router::new().fallback(move |uri: axum::http::Uri| {
            let limit = uri.query().and_then(|query| query.rsplit('&').next());
            let found = all.iter().find(|(name, _)| limit == Some(name.as_str()));
            let body = found.map_or(&one, |(_, body)| body).clone();
            async move { (KIND, body) }
        });
        axum::serve(listener, app).await?;
        Ok(())
    })
}

pub(crate) fn free_port() -> Result<u16, AnyError> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The process whose children serve the cluster's connections.
pub(crate) async fn postmaster(postgres: &Postgres) -> Result<u32, AnyError> {
    let client = postgres.admin().connect().await?;
    let child: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
    Ok(cpu_us(u32::try_from(child)?, 0..2)?.0)
}

/// CPU time of this process so far.
pub(crate) fn cpu_of_this_us() -> Result<u64, AnyError> {
    Ok(cpu_us(std::process::id(), 0..2)?.1)
}

/// CPU time of a process's children, those that ended among them.
pub(crate) fn cpu_of_children_us(parent: u32) -> Result<u64, AnyError> {
    let mut all = cpu_us(parent, 2..4)?.1;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ended meanwhile counts with its parent.
        if let Ok((its_parent, us)) = cpu_us(id, 0..2)
            && its_parent == parent
        {
            all += us;
        }
    }
    Ok(all)
}

/// The parent, and CPU times of `/proc/ID/stat`: own ones at 0 and 1, those of ended children at 2 and 3; they are in
/// hundredths of a second.
fn cpu_us(id: u32, which: std::ops::Range<usize>) -> Result<(u32, u64), AnyError> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or("a process without a name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let parent = number(1).ok_or("a process without a parent")?;
    let ticks: u64 = which.filter_map(|at| number(11 + at)).sum();
    Ok((u32::try_from(parent)?, ticks * 10_000))
}

pub(crate) fn url_of(login: &Login) -> Result<String, AnyError> {
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
