//! The statements of a page, sent by pgbench: what `/rest/v1` plans for the list, and what its cards are read by, under the
//! visitor's role, prepared and in one transaction.

use std::time::Duration;

use nexus_mint::{
    attach::Postgres,
    console::list_query,
    db::{Login, registered_statements},
    problem::AnyError,
    rest::catalogue,
};
use pgrest::{
    plan::Plan,
    request::{self, Incoming, Options},
};
use tokio_postgres::config::Host;

use super::reader::Reader;

/// What a page asks the database.
pub(super) struct Page {
    login: Login,
    list: String,
    values: Vec<String>,
    cards: String,
    ids: String,
}

impl Page {
    /// Plans as the program does, for the properties that the page shows.
    pub(super) async fn of(postgres: &Postgres, reader: &Reader) -> Result<Page, AnyError> {
        let client = postgres.admin().connect().await?;
        let options = Options {
            schemas: vec!["public".to_owned()],
            ..Options::default()
        };
        let schema = catalogue::load(&client, &options.schemas, &[], Vec::new()).await?;
        let query = list_query(&reader.place).ok_or("not an address of the list")?;
        let incoming = Incoming {
            method: "GET",
            path: "/public_properties",
            query: &query,
            headers: &[("prefer".to_owned(), "count=exact".to_owned())],
            body: b"",
        };
        let request = request::read(&incoming, &options, &schema).map_err(|refusal| format!("{refusal:?}"))?;
        let plan = schema
            .plan(&request, &options)
            .map_err(|refusal| format!("{refusal:?}"))?;
        let Plan::Statement(plan) = plan else {
            return Err("a request without a statement".into());
        };
        let cards = registered_statements()
            .find(|statement| statement.file.ends_with("console/listing.rs"))
            .ok_or("the cards have no statement")?;
        Ok(Page {
            login: postgres.runtime(),
            list: plan.statement.text.clone(),
            values: plan.statement.binds.iter().flatten().cloned().collect(),
            cards: cards.text.to_owned(),
            ids: format!("{{{}}}", shown(&reader.page().await?)?.join(",")),
        })
    }

    fn script(&self) -> String {
        let mut list = self.list.clone();
        for at in (1..=self.values.len()).rev() {
            list = list.replace(&format!("${at}"), &format!(":v{at}"));
        }
        format!(
            "begin read only;\n\
             select set_config('search_path', :path, true), set_config('request.jwt.claims', :claims, true);\n\
             {list};\n{};\ncommit;\n",
            self.cards.replace("$1", ":ids")
        )
    }

    /// Sends it again and again by so many clients: how many pages a second.
    pub(super) async fn send(&self, clients: usize, time: Duration) -> Result<f64, AnyError> {
        let script = std::env::temp_dir().join(format!("nexus-mint-bench-console-{}.sql", std::process::id()));
        std::fs::write(&script, self.script())?;
        let pg = &self.login.pg;
        let Some(Host::Unix(folder)) = pg.get_hosts().first() else {
            return Err("the cluster has no socket".into());
        };
        let mut command = tokio::process::Command::new(crate::rest::direct::pgbench()?);
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
            .args(["-D", "path=\"public\", \"extensions\""])
            .args(["-D", "claims={\"role\":\"anon\"}", "-D", &format!("ids={}", self.ids)]);
        for (at, value) in self.values.iter().enumerate() {
            command.arg("-D").arg(format!("v{}={value}", at + 1));
        }
        let done = command.arg(pg.get_dbname().unwrap_or_default()).output().await?;
        std::fs::remove_file(&script)?;
        let said = String::from_utf8_lossy(&done.stdout);
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        match rate.and_then(|rest| rest.split(' ').next()) {
            Some(rate) if done.status.success() => Ok(rate.parse()?),
            Some(_) | None => Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&done.stderr)).into()),
        }
    }
}

/// The ids of the properties on a page, in its order.
fn shown(page: &str) -> Result<Vec<String>, AnyError> {
    let mut ids = Vec::new();
    for part in page.split("<h3><a href=\"/properties/").skip(1) {
        ids.extend(part.split('"').next().map(str::to_owned));
    }
    if ids.is_empty() {
        return Err("the page shows no property".into());
    }
    Ok(ids)
}
