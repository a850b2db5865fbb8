//! The statements of a request as the program has them, sent by pgbench in one transaction: each client a session of its own.

use std::time::Duration;

use nexus_mint::{
    attach::Postgres,
    db::{Login, registered_statements},
    problem::AnyError,
};

use super::{What, client::Who};
use crate::pgbench::Script;

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
            let (login, file) = (self.0.clone(), script.clone());
            let variables = vec![format!("user={}", who.user_id), format!("session={}", who.session_id)];
            running.spawn(async move {
                let sent = Script {
                    login: &login,
                    role: "supabase_auth_admin",
                    file: &file,
                    variables,
                };
                sent.send(1, time).await
            });
        }
        let mut sum = 0.0;
        while let Some(rate) = running.join_next().await {
            sum += rate??.each_second;
        }
        std::fs::remove_file(&script)?;
        Ok(sum)
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
