//! What is already applied: two tables, one of Supabase's CLI and one of ours.

use tokio_postgres::{Client, types::ToSql};

use super::{MigrateError, Platform};
use crate::db::sql;

/// A row of Supabase's history.
pub(super) struct Applied {
    pub(super) version: String,
    statements: Option<Vec<String>>,
}

impl Applied {
    /// Whether this row came from `text`. Supabase's CLI cuts a file its own way, so ends of statements and blank
    /// space do not count; a row without statements (the CLI's `repair` leaves one) is believed.
    pub(super) fn is_of(&self, text: &str) -> bool {
        let essence = |text: &str| -> String {
            text.chars()
                .filter(|letter| !letter.is_whitespace() && *letter != ';')
                .collect()
        };
        match &self.statements {
            None => true,
            Some(statements) => essence(&statements.concat()) == essence(text),
        }
    }
}

/// Runs statements without parameters.
pub(super) async fn command(client: &Client, doing: &'static str, text: &str) -> Result<(), MigrateError> {
    client
        .batch_execute(text)
        .await
        .map_err(|source| MigrateError::Bookkeeping { doing, source })
}

/// Waits until nobody else migrates this database.
pub(super) async fn lock(client: &Client, key: i64) -> Result<(), MigrateError> {
    let waiting = |source| MigrateError::Bookkeeping {
        doing: "wait for another process that migrates",
        source,
    };
    client
        .execute(sql!("select pg_catalog.pg_advisory_lock($1)"), &[&key])
        .await
        .map_err(waiting)?;
    Ok(())
}

/// Lets others migrate, and leaves the session as it began.
pub(super) async fn unlock(client: &Client, key: i64) -> Result<(), MigrateError> {
    query(client, sql!("select pg_catalog.pg_advisory_unlock($1)"), &[&key]).await?;
    command(client, "reset the session", "reset all").await
}

/// Makes the tables of the bookkeeping: Supabase's as its CLI makes it, and ours where the platform is ours.
pub(super) async fn make_tables(client: &Client) -> Result<(), MigrateError> {
    if platform(client).await? == Platform::Plain {
        command(client, "create the schema nexus_platform", PLATFORM_TABLE).await?;
    }
    if !exists(client, "supabase_migrations.schema_migrations").await? {
        command(client, "create the schema supabase_migrations", MIGRATIONS_TABLE).await?;
    }
    Ok(())
}

const PLATFORM_TABLE: &str = "
    create schema if not exists nexus_platform;
    comment on schema nexus_platform is 'Which platform files a plain PostgreSQL has; a Supabase project has no such schema.';
    create table if not exists nexus_platform.files (
        name text constraint files_pkey primary key,
        sha256 text not null,
        applied_at timestamptz not null default now()
    )";

const MIGRATIONS_TABLE: &str = "
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
    alter table supabase_migrations.schema_migrations add column if not exists statements text[];
    alter table supabase_migrations.schema_migrations add column if not exists name text";

/// A database is a Supabase project when it has Supabase's tables and not our mark.
pub(super) async fn platform(client: &Client) -> Result<Platform, MigrateError> {
    let ours = exists(client, "nexus_platform.files").await?;
    let has_auth = exists(client, "auth.users").await?;
    Ok(if has_auth && !ours {
        Platform::Supabase
    } else {
        Platform::Plain
    })
}

/// Name and hash of the platform files that were applied.
pub(super) async fn platform_files(client: &Client) -> Result<Vec<(String, String)>, MigrateError> {
    if !exists(client, "nexus_platform.files").await? {
        return Ok(Vec::new());
    }
    let rows = query(client, sql!("select name, sha256 from nexus_platform.files"), &[]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, _>>()
        .map_err(reading)
}

/// The migrations that were applied, in order.
pub(super) async fn migrations(client: &Client) -> Result<Vec<Applied>, MigrateError> {
    if !exists(client, "supabase_migrations.schema_migrations").await? {
        return Ok(Vec::new());
    }
    let text = sql!("select version, statements from supabase_migrations.schema_migrations order by version");
    let rows = query(client, text, &[]).await?;
    let applied = |row: &tokio_postgres::Row| {
        Ok(Applied {
            version: row.try_get(0)?,
            statements: row.try_get(1)?,
        })
    };
    rows.iter().map(applied).collect::<Result<_, _>>().map_err(reading)
}

/// Ends the transaction of a platform file.
pub(super) async fn record_platform_file(client: &Client, name: &str, sha256: &str) -> Result<(), MigrateError> {
    let text = sql!(
        "insert into nexus_platform.files (name, sha256) values ($1, $2)
         on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()"
    );
    query(client, text, &[&name, &sha256]).await?;
    command(client, "commit a platform file", "commit").await
}

/// Ends the transaction of a migration.
pub(super) async fn record_migration(
    client: &Client,
    version: &str,
    name: &str,
    statements: &[&str],
) -> Result<(), MigrateError> {
    let text =
        sql!("insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)");
    query(client, text, &[&version, &name, &statements]).await?;
    command(client, "commit a migration", "commit").await
}

/// `/ready` compares versions with the rights of the engine. Roles that do not exist yet get nothing.
pub(super) async fn let_the_program_read(client: &Client) -> Result<(), MigrateError> {
    let known = query(
        client,
        sql!("select 1 from pg_catalog.pg_roles where rolname = 'nexus_engine'"),
        &[],
    )
    .await?;
    if known.is_empty() {
        return Ok(());
    }
    let grants = "grant usage on schema supabase_migrations to nexus_engine;
                  grant select (version) on supabase_migrations.schema_migrations to nexus_engine";
    command(client, "let nexus_engine read the history", grants).await
}

/// Asks the catalogue itself: `to_regclass` needs usage of the schema, which a login that may look need not have.
async fn exists(client: &Client, relation: &str) -> Result<bool, MigrateError> {
    let text = sql!(
        "select from pg_catalog.pg_class as relation
         join pg_catalog.pg_namespace as schema on schema.oid = relation.relnamespace
         where schema.nspname || '.' || relation.relname = $1::text"
    );
    Ok(!query(client, text, &[&relation]).await?.is_empty())
}

async fn query(
    client: &Client,
    text: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, MigrateError> {
    client.query(text, params).await.map_err(reading)
}

fn reading(source: tokio_postgres::Error) -> MigrateError {
    MigrateError::Bookkeeping {
        doing: "read or write which files are applied",
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognised_however_it_was_cut() {
        let text = "create table a (b int);\n\n-- why\ncreate index on a (b);\n";
        let row = |statements: &[&str]| Applied {
            version: "1".to_owned(),
            statements: Some(statements.iter().map(|&text| text.to_owned()).collect()),
        };
        assert!(row(&[text]).is_of(text));
        assert!(row(&["create table a (b int)", "-- why\ncreate index on a (b)"]).is_of(text));
        assert!(!row(&["create table a (b int)"]).is_of(text));
        assert!(
            Applied {
                version: "1".to_owned(),
                statements: None
            }
            .is_of(text)
        );
    }
}
