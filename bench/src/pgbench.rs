//! pgbench: the same statements as the program's, sent by nobody of ours.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nexus_mint::{db::Login, problem::AnyError};
use tokio::process::Command;
use tokio_postgres::config::Host;

/// What pgbench reached.
pub(crate) struct Reached {
    /// Transactions.
    pub(crate) count: u32,
    /// Transactions a second.
    pub(crate) each_second: f64,
}

/// A script that pgbench sends again and again, prepared, under a role.
pub(crate) struct Script<'a> {
    pub(crate) login: &'a Login,
    pub(crate) role: &'a str,
    pub(crate) file: &'a Path,
    /// Variables of the script, each as `name=value`.
    pub(crate) variables: Vec<String>,
}

impl Script<'_> {
    /// Sends it by so many clients.
    pub(crate) async fn send(&self, clients: usize, time: Duration) -> Result<Reached, AnyError> {
        let pg = &self.login.pg;
        let Some(Host::Unix(folder)) = pg.get_hosts().first() else {
            return Err("the cluster has no socket".into());
        };
        let mut command = Command::new(pgbench()?);
        command
            .env("PGOPTIONS", format!("-c role={}", self.role))
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
            .arg(self.file);
        for variable in &self.variables {
            command.args(["-D", variable]);
        }
        let done = command.arg(pg.get_dbname().unwrap_or_default()).output().await?;
        let said = String::from_utf8_lossy(&done.stdout);
        let after = |label: &str| said.lines().find_map(|line| line.strip_prefix(label));
        let rate = after("tps = ").and_then(|rest| rest.split(' ').next());
        let count = after("number of transactions actually processed: ");
        let (Some(rate), Some(count), true) = (rate, count, done.status.success()) else {
            return Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&done.stderr)).into());
        };
        Ok(Reached {
            count: count.trim().parse()?,
            each_second: rate.parse()?,
        })
    }
}

/// A statement's text with the values of its parameters as variables `v1`, `v2` ...
pub(crate) fn with_variables(text: &str, count: usize) -> String {
    (1..=count).rev().fold(text.to_owned(), |text, at| {
        text.replace(&format!("${at}"), &format!(":v{at}"))
    })
}

/// The variables that [`with_variables`] names.
pub(crate) fn variables(values: &[String]) -> impl Iterator<Item = String> {
    values
        .iter()
        .enumerate()
        .map(|(at, value)| format!("v{}={value}", at + 1))
}

/// Where pgbench is: Debian keeps it off the path.
#[allow(
    clippy::disallowed_methods,
    reason = "a program of the machine, not a setting of ours"
)]
fn pgbench() -> Result<PathBuf, AnyError> {
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
