//! The same statements, sent by pgbench: the same text and values under the same role, claims and search path, prepared and
//! with the transaction that a plain client would open around them.

use std::time::Duration;

use nexus_mint::{attach::Postgres, db::Login, problem::AnyError, rest::catalogue};
use pgrest::{
    plan::{Access, Plan},
    request::{self, Incoming, Options},
};

use super::{Case, client::Rate};
use crate::pgbench::{Script, variables, with_variables};

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
        let text = with_variables(&self.text, self.values.len());
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
        let mut values: Vec<String> = [
            "path=\"bench\", \"public\"",
            "claims={\"role\":\"anon\"}",
            "method=GET",
            "place=/items",
            "cookies={}",
            "headers={\"host\":\"bench\",\"accept\":\"application/json\",\"content-type\":\"application/json\",\"content-length\":\"0\"}",
        ]
        .map(str::to_owned)
        .to_vec();
        values.extend(variables(&self.values));
        let sent = Script {
            login: &self.login,
            role: "anon",
            file: &script,
            variables: values,
        };
        let reached = sent.send(clients, time).await?;
        std::fs::remove_file(&script)?;
        Ok(Rate {
            count: reached.count,
            each_second: reached.each_second,
            p99_us: 0,
        })
    }
}
