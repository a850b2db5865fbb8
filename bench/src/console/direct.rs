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

use super::reader::Reader;
use crate::pgbench::{Script, variables, with_variables};

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
        let list = with_variables(&self.list, self.values.len());
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
        let mut values: Vec<String> = ["path=\"public\", \"extensions\"", "claims={\"role\":\"anon\"}"]
            .map(str::to_owned)
            .to_vec();
        values.push(format!("ids={}", self.ids));
        values.extend(variables(&self.values));
        let sent = Script {
            login: &self.login,
            role: "anon",
            file: &script,
            variables: values,
        };
        let reached = sent.send(clients, time).await?;
        std::fs::remove_file(&script)?;
        Ok(reached.each_second)
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
