//! What `doctor` looks at in the database: the login, the schema, replication, clocks, policies.

use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::{Client, Error};

use super::Report;
use crate::{
    attach::Postgres,
    db::{DbRole, sql},
    lint::{self, Kind},
    migrate::{self, Platform, Sources, Status},
    problem::chain,
};

/// Two clocks that differ by more make tokens begin too late or end too early.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// Write-ahead log that a slot may hold back before it is worth a word (bytes): 1 GiB.
const SLOT_BYTES_MAX: i64 = 1 << 30;

/// The schemas whose policies are ours to look at.
const SCHEMAS: [&str; 4] = ["public", "nexus", "nexus_storage", "ledger"];

/// Schemas that Supabase's conventions expect.
const SCHEMAS_EXPECTED: [&str; 4] = ["public", "auth", "storage", "realtime"];

/// Looks at the database and adds what was found. A check that cannot be made is a failed one.
pub async fn examine(report: &mut Report, postgres: &Postgres) {
    let admin = match postgres.admin().connect().await {
        Ok(admin) => admin,
        Err(error) => return report.failed("database", chain(&error), None),
    };
    report.ok("database", postgres.shown());
    if let Err(error) = checks(report, postgres, &admin).await {
        report.failed("database", format!("a question was refused: {}", chain(&error)), None);
    }
}

async fn checks(report: &mut Report, postgres: &Postgres, admin: &Client) -> Result<(), Error> {
    let version: String = admin
        .query_one(sql!("select current_setting('server_version')"), &[])
        .await?
        .try_get(0)?;
    report.ok("server version", version);
    if !may_read_the_history(report, admin).await? {
        return Ok(());
    }
    let status = match migrate::status(admin, &Sources::embedded()).await {
        Ok(status) => status,
        Err(error) => {
            report.failed("migrations", chain(&error), None);
            return Ok(());
        }
    };
    migrations(report, &status);
    schemas(report, admin).await?;
    if status.pending.is_empty() {
        runtime_login(report, postgres, admin).await?;
    } else {
        migrating_login(report, admin, status.platform).await?;
    }
    replication(report, admin).await?;
    clock(report, admin).await?;
    if status.pending.is_empty() {
        policies(report, admin).await?;
    }
    Ok(())
}

/// What is applied is known only to who may read it.
async fn may_read_the_history(report: &mut Report, admin: &Client) -> Result<bool, Error> {
    let text = sql!(
        "select session_user::text, schema.nspname || '.' || history.relname
         from pg_catalog.pg_class as history join pg_catalog.pg_namespace as schema on schema.oid = history.relnamespace
         where schema.nspname || '.' || history.relname = any ($1::text[])
           and not (pg_catalog.has_schema_privilege(schema.oid, 'usage')
                    and pg_catalog.has_table_privilege(history.oid, 'select'))
         order by 2"
    );
    let mut missing = Vec::new();
    for row in admin.query(text, &[&migrate::HISTORY_TABLES.as_slice()]).await? {
        let (login, table): (String, String) = (quoted(row.try_get(0)?), row.try_get(1)?);
        let schema = table.split('.').next().unwrap_or_default();
        missing.push(format!(
            "grant usage on schema {schema} to {login};\ngrant select on {table} to {login};"
        ));
    }
    if !missing.is_empty() {
        report.failed(
            "migrations",
            "this login may not see which are applied",
            Some(missing.join("\n")),
        );
    }
    Ok(missing.is_empty())
}

fn migrations(report: &mut Report, status: &Status) {
    let platform = match status.platform {
        Platform::Plain => "plain PostgreSQL; the platform files are ours",
        Platform::Supabase => "a Supabase project; auth and storage stay its own",
    };
    report.ok("platform", platform);
    if status.pending.is_empty() {
        report.ok("migrations", "all applied");
    } else {
        let remedy = Some("nexus-mint migrate".to_owned());
        report.failed("migrations", format!("missing: {}", status.pending.join(", ")), remedy);
    }
    if !status.unknown.is_empty() {
        let text = format!(
            "the database has versions that this program does not know: {}",
            status.unknown.join(", ")
        );
        report.warning("migrations", text, None);
    }
}

async fn schemas(report: &mut Report, admin: &Client) -> Result<(), Error> {
    let text = sql!(
        "select name from unnest($1::text[]) as wanted (name)
         where not exists (select from pg_catalog.pg_namespace where nspname = wanted.name)"
    );
    let missing: Vec<String> = names(admin.query(text, &[&SCHEMAS_EXPECTED.as_slice()]).await?)?;
    match missing.as_slice() {
        [] => report.ok("schemas", SCHEMAS_EXPECTED.join(", ")),
        missing => {
            let remedy = Some("nexus-mint migrate".to_owned());
            report.failed("schemas", format!("missing: {}", missing.join(", ")), remedy);
        }
    }
    Ok(())
}

/// Whether the login of `serve` can become every role that requests act as.
async fn runtime_login(report: &mut Report, postgres: &Postgres, admin: &Client) -> Result<(), Error> {
    let runtime = postgres.runtime();
    let client = match runtime.connect().await {
        Ok(client) => client,
        Err(error) => {
            let remedy = Some("nexus-mint migrate".to_owned());
            report.failed("login of the server", chain(&error), remedy);
            return Ok(());
        }
    };
    let login: String = client
        .query_one(sql!("select session_user::text"), &[])
        .await?
        .try_get(0)?;
    let text = sql!(
        "select wanted.name, known.rolname is not null
         from unnest($1::text[]) as wanted (name) left join pg_catalog.pg_roles as known on known.rolname = wanted.name
         where case when known.oid is null then true
                    else not pg_catalog.pg_has_role($2::text::regrole, known.oid,
                       case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
               end"
    );
    let roles = DbRole::ALL.map(DbRole::name);
    let quoted = quoted(&login);
    let mut missing = Vec::new();
    for row in admin.query(text, &[&roles.as_slice(), &quoted]).await? {
        let (role, exists): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        missing.push(if exists {
            format!("grant {role} to {quoted};")
        } else {
            format!("create role {role} nologin;")
        });
    }
    let name = format!("login {login}");
    if missing.is_empty() {
        report.ok(name.as_str(), format!("may act as {}", roles.join(", ")));
    } else {
        report.failed(
            name.as_str(),
            "lacks roles that requests act as",
            Some(missing.join("\n")),
        );
    }
    let text = sql!(
        "select rolsuper, rolbypassrls, rolsuper or rolreplication,
                pg_catalog.has_parameter_privilege(session_user, 'log_min_messages', 'set')
         from pg_catalog.pg_roles where rolname = session_user"
    );
    let row = client.query_one(text, &[]).await?;
    let (is_superuser, bypasses): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    for (column, what, remedy) in [
        (2, "may not follow changes", format!("alter role {quoted} replication;")),
        (
            3,
            "cannot follow changes without two lines in PostgreSQL's log at each reading",
            format!("grant set on parameter log_min_messages to {quoted};"),
        ),
    ] {
        if !row.try_get::<_, bool>(column)? {
            report.warning(name.as_str(), what, Some(remedy));
        }
    }
    if is_superuser || bypasses {
        let what = if is_superuser {
            "is a superuser"
        } else {
            "passes every policy"
        };
        report.warning(
            name,
            format!("{what}; the server needs much less"),
            Some(least_privilege(&roles)),
        );
    }
    Ok(())
}

fn least_privilege(roles: &[&str]) -> String {
    format!(
        "create role nexus_mint_server login noinherit password '...';\n\
         grant {} to nexus_mint_server;\n\
         -- as a superuser, so that it may follow changes:\n\
         alter role nexus_mint_server replication;\n\
         grant set on parameter log_min_messages to nexus_mint_server;\n\
         -- then: DATABASE_URL as this login for `nexus-mint migrate`, as nexus_mint_server for `serve --no-migrate`",
        roles.join(", ")
    )
}

/// Whether the login can apply what is missing.
async fn migrating_login(report: &mut Report, admin: &Client, platform: Platform) -> Result<(), Error> {
    let text = sql!(
        "select session_user::text, rolsuper, rolcreaterole,
                pg_catalog.has_database_privilege(current_database(), 'create'),
                pg_catalog.has_schema_privilege('public', 'create'), current_database()::text,
                exists (select from pg_catalog.pg_roles where rolname = 'service_role')
         from pg_catalog.pg_roles where rolname = session_user"
    );
    let row = admin.query_one(text, &[]).await?;
    let (login, is_superuser): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    let (login, database) = (quoted(&login), quoted(row.try_get(5)?));
    let mut missing = Vec::new();
    if !is_superuser {
        for (column, statement) in [
            (2, format!("alter role {login} createrole;")),
            (3, format!("grant create on database {database} to {login};")),
            (
                4,
                format!("grant usage, create on schema public to {login} with grant option;"),
            ),
        ] {
            if !row.try_get::<_, bool>(column)? {
                missing.push(statement);
            }
        }
    }
    let has_service_role: bool = row.try_get(6)?;
    if platform == Platform::Plain && !is_superuser && !has_service_role {
        missing.push("-- as a superuser, once a cluster: only he can make a role that passes policies".to_owned());
        missing.push("create role service_role nologin noinherit bypassrls;".to_owned());
        missing.push(format!("grant service_role to {login} with admin option;"));
    }
    let name = format!("login {login}");
    if missing.is_empty() {
        report.ok(name, "may migrate");
    } else {
        report.failed(name, "lacks rights that migrations need", Some(missing.join("\n")));
    }
    Ok(())
}

async fn replication(report: &mut Report, admin: &Client) -> Result<(), Error> {
    let text = sql!("select current_setting('wal_level'), current_setting('max_slot_wal_keep_size')");
    let row = admin.query_one(text, &[]).await?;
    let (level, cap): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    if level == "logical" {
        report.ok("wal_level", level.as_str());
    } else {
        let remedy = "alter system set wal_level = 'logical';\n-- then restart PostgreSQL".to_owned();
        report.warning(
            "wal_level",
            format!("{level}: changes cannot be sent to clients as they happen"),
            Some(remedy),
        );
    }
    let text = sql!(
        "select slot_name::text, active,
                coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), 0)::bigint
         from pg_catalog.pg_replication_slots order by slot_name"
    );
    let slots = admin.query(text, &[]).await?;
    for row in &slots {
        let (slot, active, kept): (String, bool, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let name = format!("replication slot {slot}");
        let state = if active { "in use" } else { "unused" };
        let found = format!("{state}, holds back {} MiB of write-ahead log", kept / (1 << 20));
        if kept <= SLOT_BYTES_MAX {
            report.ok(name, found);
        } else {
            let quoted = slot.replace('\'', "''");
            let remedy = format!(
                "-- if nobody needs it:
select pg_drop_replication_slot('{quoted}');"
            );
            report.warning(name, found, Some(remedy));
        }
    }
    if cap == "-1" && (level == "logical" || !slots.is_empty()) {
        let remedy = "alter system set max_slot_wal_keep_size = '4GB';\nselect pg_reload_conf();".to_owned();
        report.warning(
            "max_slot_wal_keep_size",
            "unlimited: a forgotten slot fills the disk",
            Some(remedy),
        );
    } else {
        report.ok("max_slot_wal_keep_size", cap);
    }
    Ok(())
}

async fn clock(report: &mut Report, admin: &Client) -> Result<(), Error> {
    let before: DateTime<Utc> = SystemTime::now().into();
    let row = admin.query_one(sql!("select clock_timestamp()"), &[]).await?;
    let after: DateTime<Utc> = SystemTime::now().into();
    let theirs: DateTime<Utc> = row.try_get(0)?;
    // The answer was given somewhere between: only what lies outside is certainly a difference.
    let skew = if theirs < before {
        before - theirs
    } else {
        (theirs - after).max(TimeDelta::zero())
    };
    let found = format!("program and database differ by {} ms", skew.num_milliseconds());
    if skew <= CLOCK_SKEW_MAX {
        report.ok("clock", found);
    } else {
        report.failed("clock", found, Some("timedatectl set-ntp true".to_owned()));
    }
    Ok(())
}

/// The part of the schema lint that is about who may see and do what, without what we accept knowingly.
async fn policies(report: &mut Report, admin: &Client) -> Result<(), Error> {
    let of_the_wall = |rule: &&lint::Rule| rule.kind == Kind::Wall;
    let rules: Vec<&str> = lint::rules().iter().filter(of_the_wall).map(|rule| rule.name).collect();
    // An acceptance shows as stale unless the rules of all kinds have run.
    let all = lint::run(admin, &SCHEMAS, &[Kind::Wall, Kind::House]).await?;
    let findings = lint::accept(all, lint::ACCEPTED)
        .into_iter()
        .filter(|finding| rules.contains(&finding.rule));
    let findings: Vec<_> = findings.collect();
    if findings.is_empty() {
        report.ok("policies", format!("nothing open or slow in {}", SCHEMAS.join(", ")));
    }
    for finding in findings {
        report.warning(
            format!("policies: {}", finding.rule),
            format!("{}: {}", finding.object, finding.message),
            None,
        );
    }
    Ok(())
}

fn names(rows: Vec<tokio_postgres::Row>) -> Result<Vec<String>, Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
