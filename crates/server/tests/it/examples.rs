//! `supabase/examples/*.sql` with what they print, so that the documents that quote them cannot go stale. Run with
//! `UPDATE_SNAPSHOTS=1` to write the `.out` files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use nexus_mint::migrate::split;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::schema_sql::compare;
use crate::world::{Server, World};

#[tokio::test]
async fn the_examples_print_what_they_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../supabase/examples");
    let mut count = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let script = fs::read_to_string(&path).unwrap();
        for server in Server::all() {
            let world = World::own_database_on(server).await;
            compare(
                &path.with_extension("out"),
                &printed(&world.admin().await, &script).await,
            );
        }
        count += 1;
    }
    assert!(count >= 2, "the examples are found: {count}");
}

/// Each statement's comment and its answer, one after the other.
async fn printed(client: &Client, script: &str) -> String {
    let mut text = String::new();
    let mut told_up_to = 0;
    let lines: Vec<&str> = script.lines().collect();
    for statement in split(script) {
        // The comments between the statement before and this one.
        let comments = lines[told_up_to..statement.line - 1 + statement.text.lines().count()].iter();
        for comment in comments.take_while(|line| line.is_empty() || line.starts_with("--")) {
            writeln!(text, "{comment}").unwrap();
        }
        told_up_to = statement.line - 1 + statement.text.lines().count();
        answer(client, statement.text, &mut text).await;
    }
    text
}

async fn answer(client: &Client, statement: &str, text: &mut String) {
    match client.simple_query(statement).await {
        Ok(messages) => table(&messages, text),
        Err(error) => {
            let refusal = error.as_db_error().unwrap_or_else(|| panic!("{error}: {statement}"));
            writeln!(text, "ERROR: {}", refusal.message()).unwrap();
            if let Some(hint) = refusal.hint() {
                writeln!(text, "HINT: {hint}").unwrap();
            }
        }
    }
}

fn table(messages: &[SimpleQueryMessage], text: &mut String) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            if rows.is_empty() {
                rows.push(row.columns().iter().map(|column| column.name().to_owned()).collect());
            }
            rows.push(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or_default().to_owned())
                    .collect(),
            );
        }
    }
    let Some(columns) = rows.first().map(Vec::len) else {
        return;
    };
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for (place, row) in rows.iter().enumerate() {
        let cells: Vec<String> = (0..columns)
            .map(|column| format!("{:<1$}", row[column], width(column)))
            .collect();
        writeln!(text, "  {}", cells.join("  ").trim_end()).unwrap();
        if place == 0 {
            let rules: Vec<String> = (0..columns).map(|column| "-".repeat(width(column))).collect();
            writeln!(text, "  {}", rules.join("  ")).unwrap();
        }
    }
}
