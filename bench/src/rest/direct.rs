//! The same statements, sent by pgbench: the same text and values under the same role, claims and search path, prepared and
//! with the transaction that a plain client would open around them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nexus_mint::{attach::Postgres, db::Login, problem::AnyError, rest::catalogue};
use pgrest::{
    plan::{Access, Plan},
    request::{self, Incoming, Options},
};
use tokio_postgres::config::Host;

use super::{Case, client::Rate};

/// What the engine sends for a request.
pub(super) struct Statement {
    login: Login,
    access: &'static str,
    text: String,
    values: Vec<String>,
}

impl Statement {
    /// Plans as the engine does.
    pub(super) async fn of(postgres: &Postgres, case: &Case) -> Result<Statement, AnyError> {
        let client = postgres.admin().connect().await?;
        let options = Options {
            schemas: vec!["bench".to_owned()],
            ..Options::default()
        };
        let schema = catalogue::load(&client, &options.schemas, &[], Vec::new()).await?;
        let (path, query) = case.path.split_once('?').unwrap_or((case.path, ""));
        let incoming = Incoming {
            method: case.method,
            path,
            query,
            headers: &[("content-type".to_owned(), "application/json".to_owned())],
            body: case.body.as_bytes(),
        };
        let request = request::read(&incoming, &options, &schema).map_err(|refusal| format!("{refusal:?}"))?;
        let plan = schema
            .plan(&request, &options)
            .map_err(|refusal| format!("{refusal:?}"))?;
        let Plan::Statement(plan) = plan else {
            return Err("a request without a statement".into());
        };
        Ok(Statement {
            login: postgres.runtime(),
            access: match plan.access {
                Access::ReadOnly => "read only",
                Access::ReadWrite => "read write",
            },
            text: plan.statement.text.clone(),
            values: plan.statement.binds.iter().flatten().cloned().collect(),
        })
    }

    fn script(&self, at_once: bool) -> String {
        let (open, close) = if at_once {
            ("\\startpipeline\n", "\\endpipeline\n")
        } else {
            ("", "")
        };
        let mut text = self.text.clone();
        for at in (1..=self.values.len()).rev() {
            text = text.replace(&format!("${at}"), &format!(":v{at}"));
        }
        format!(
            "{open}begin {};\n\
             select set_config('search_path', :path, true), set_config('request.jwt.claims', :claims, true),
             set_config('request.method', :method, true), set_config('request.path', :place, true),
             set_config('request.headers', :headers, true), set_config('request.cookies', :cookies, true);\n\
             {text};\ncommit;\n{close}",
            self.access
        )
    }

    /// Sends it again and again by so many clients.
    pub(super) async fn send(&self, clients: usize, time: Duration, at_once: bool) -> Result<Rate, AnyError> {
        let script = std::env::temp_dir().join(format!("nexus-mint-bench-{}.sql", std::process::id()));
        std::fs::write(&script, self.script(at_once))?;
        let pg = &self.login.pg;
        let Some(Host::Unix(folder)) = pg.get_hosts().first() else {
            return Err("the cluster has no socket".into());
        };
        let mut command = tokio::process::Command::new(pgbench()?);
        command
            .env("PGOPTIONS", "-c role=anon")
            .env(
                "PGPASSWORD",
                String::from_utf8(pg.get_password().unwrap_or_default().to_vec())?,
            )
            .args(["-n", "-M", "prepared", "-h"])
            .arg(folder)
            .args(["-p", &pg.get_ports().first().copied().unwrap_or(5432).to_string()])
            .args(["-U", pg.get_user().unwrap_or_default()])
            .args(["-c", &clients.to_string(), "-j", &clients.min(2).to_string()])
            .args(["-T", &time.as_secs().max(1).to_string(), "-f"])
            .arg(&script)
            .args([
                "-D",
                "path=\"bench\", \"public\"",
                "-D",
                "claims={\"role\":\"anon\"}",
                "-D",
                "method=GET",
            ])
            .args(["-D", "place=/items", "-D", "cookies={}"])
            .args(["-D", "headers={\"host\":\"bench\",\"accept\":\"application/json\",\"content-type\":\"application/json\",\"content-length\":\"0\"}"]);
        for (at, value) in self.values.iter().enumerate() {
            command.arg("-D").arg(format!("v{}={value}", at + 1));
        }
        let done = command.arg(pg.get_dbname().unwrap_or_default()).output().await?;
        std::fs::remove_file(&script)?;
        let said = String::from_utf8_lossy(&done.stdout);
        let after = |label: &str| said.lines().find_map(|line| line.strip_prefix(label));
        let rate = after("tps = ").and_then(|rest| rest.split(' ').next());
        let count = after("number of transactions actually processed: ");
        let (Some(rate), Some(count), true) = (rate, count, done.status.success()) else {
            return Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&done.stderr)).into());
        };
        Ok(Rate {
            count: count.trim().parse()?,
            each_second: rate.parse()?,
            p99_us: 0,
        })
    }
}

/// Where pgbench is: Debian keeps it off the path.
#[allow(
    clippy::disallowed_methods,
    reason = "a program of the machine, not a setting of ours"
)]
pub(crate) fn pgbench() -> Result<PathBuf, AnyError> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|folder| folder.path().join("bin/pgbench"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&on_path).map(|folder| folder.join("pgbench")));
    found
        .into_iter()
        .rfind(|path| Path::new(path).exists())
        .ok_or_else(|| "pgbench is not installed".into())
}
