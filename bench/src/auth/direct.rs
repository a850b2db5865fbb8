//! The statements of a request as the program has them, sent by pgbench in one transaction: each client a session of its own.

use std::{path::PathBuf, time::Duration};

use nexus_mint::{
    attach::Postgres,
    db::{Login, registered_statements},
    problem::AnyError,
};
use tokio_postgres::config::Host;

use super::{What, client::Who};

/// Statements by the file that they stand in and by what they begin with, and the values of their parameters.
type Step = (&'static str, &'static str, &'static [&'static str]);

const USER: [Step; 4] = [
    ("auth/users.rs", "select id, aud, role, email", &[":user"]),
    ("auth/session.rs", "select coalesce(s.aal::text", &[":session", "now()"]),
    ("auth/users.rs", "select id, provider_id, user_id", &[":user"]),
    ("auth/users.rs", "select id, created_at, updated_at, status", &[":user"]),
];

const REFRESH: [Step; 7] = [
    (
        "auth/refresh.rs",
        "select s.user_id, s.refresh_token_counter",
        &[":session"],
    ),
    (
        "auth/refresh.rs",
        "update auth.sessions set refresh_token_counter",
        &[":session", "now()", "'bench'", "'127.0.0.1'"],
    ),
    ("auth/users.rs", "select id, aud, role, email", &[":user"]),
    ("auth/session.rs", "select coalesce(s.aal::text", &[":session", "now()"]),
    ("auth/session.rs", "select nexus.api_role_of", &[":user"]),
    ("auth/users.rs", "select id, provider_id, user_id", &[":user"]),
    ("auth/users.rs", "select id, created_at, updated_at, status", &[":user"]),
];

/// The way to the database as the auth role.
pub(super) struct Direct(Login);

impl Direct {
    pub(super) fn new(postgres: &Postgres) -> Direct {
        Direct(postgres.runtime())
    }

    /// Sends a request's statements again and again, one pgbench for each person: how many requests a second.
    pub(super) async fn send(&self, people: &[Who], what: What, time: Duration) -> Result<f64, AnyError> {
        let steps: &[Step] = match what {
            What::User => &USER,
            What::Refresh => &REFRESH,
            What::SignIn | What::Read => return Err("pgbench hashes no passwords".into()),
        };
        let script = std::env::temp_dir().join(format!("nexus-mint-bench-auth-{}.sql", std::process::id()));
        std::fs::write(&script, script_of(steps)?)?;
        let mut running = tokio::task::JoinSet::new();
        for who in people {
            let command = self.command(&script, who, time)?;
            running.spawn(one(command));
        }
        let mut sum = 0.0;
        while let Some(rate) = running.join_next().await {
            sum += rate??;
        }
        std::fs::remove_file(&script)?;
        Ok(sum)
    }

    fn command(&self, script: &PathBuf, who: &Who, time: Duration) -> Result<tokio::process::Command, AnyError> {
        let pg = &self.0.pg;
        let Some(Host::Unix(folder)) = pg.get_hosts().first() else {
            return Err("the cluster has no socket".into());
        };
        let mut command = tokio::process::Command::new(crate::rest::direct::pgbench()?);
        command
            .env("PGOPTIONS", "-c role=supabase_auth_admin")
            .env(
                "PGPASSWORD",
                String::from_utf8(pg.get_password().unwrap_or_default().to_vec())?,
            )
            .args(["-n", "-M", "prepared", "-h"])
            .arg(folder)
            .args(["-p", &pg.get_ports().first().copied().unwrap_or(5432).to_string()])
            .args(["-U", pg.get_user().unwrap_or_default(), "-c", "1", "-j", "1"])
            .args(["-T", &time.as_secs().max(1).to_string(), "-f"])
            .arg(script)
            .args([
                "-D",
                &format!("user={}", who.user_id),
                "-D",
                &format!("session={}", who.session_id),
            ])
            .arg(pg.get_dbname().unwrap_or_default());
        Ok(command)
    }
}

fn script_of(steps: &[Step]) -> Result<String, AnyError> {
    let mut script = String::from("begin;\n");
    for (file, begin, values) in steps {
        let statement = registered_statements()
            .find(|statement| statement.file.ends_with(file) && statement.text.trim_start().starts_with(begin))
            .ok_or_else(|| format!("{file} has no statement that begins with {begin}"))?;
        let mut text = statement.text.to_owned();
        for (at, value) in values.iter().enumerate().rev() {
            text = text.replace(&format!("${}", at + 1), value);
        }
        // pgbench ends a statement at a line's end only where there is a semicolon.
        script.push_str(&text);
        script.push_str(";\n");
    }
    script.push_str("commit;\n");
    Ok(script)
}

async fn one(mut command: tokio::process::Command) -> Result<f64, AnyError> {
    let done = command.output().await?;
    let said = String::from_utf8_lossy(&done.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next());
    match rate {
        Some(rate) if done.status.success() => Ok(rate.parse()?),
        Some(_) | None => Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&done.stderr)).into()),
    }
}
