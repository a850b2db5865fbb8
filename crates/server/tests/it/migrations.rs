//! The migrations on a plain server, on what stands for a stock Supabase project, and when something is in their way.

use nexus_mint::db::registered_statements;
use nexus_mint::migrate::{self, Sources, SqlFile};
use tokio_postgres::{Client, Config};

use crate::callers::{Caller, asked};
use crate::world::{OwnCluster, Server, World, connect, make_temporary_tables, own_cluster};

/// What a Supabase project is given: its own platform, our schema.
fn without_platform() -> Sources<'static> {
    Sources {
        platform: &[],
        ..Sources::embedded()
    }
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let mut client = world.admin().await;
        let again = migrate::run(&mut client, &Sources::embedded()).await.unwrap();
        assert!(again.is_empty(), "{again:?} on {server:?}");
    }
}

/// An emulation of a stock project, not one: Supabase's schemas by our platform files, the login `postgres` that is no
/// superuser, and of Supabase's own extension the one thing that matters here, that `postgres` may write policies and
/// triggers in schemas that it does not own. In a cluster of its own, where our roles are yet to be made.
#[tokio::test]
async fn a_login_that_is_no_superuser_can_apply_them_under_both_grant_defaults() {
    const OPEN: &str =
        "alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
        alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
        alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;";
    const CLOSED: &str =
        "alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;";
    for server in Server::all() {
        let cluster = own_cluster(server).await;
        let mut rights = Vec::new();
        for (defaults, roles_before) in [(OPEN, ""), (CLOSED, "nexus_engine,nexus_owner,nexus_staff")] {
            let world = stock_project(&cluster, defaults).await;
            let mut developer = connect(&developer_of(&world)).await;
            assert_eq!(
                roles_of_ours(&developer).await,
                roles_before,
                "first ours to make, then there ({server:?})"
            );
            migrate::run(&mut developer, &without_platform())
                .await
                .unwrap_or_else(|error| panic!("{server:?}: {error} {error:?}"));
            assert_eq!(roles_of_ours(&developer).await, "nexus_engine,nexus_owner,nexus_staff");
            rights.push(rights_of(&world).await);
        }
        assert!(
            rights[0].len() > 500,
            "there are rights to compare: {}",
            rights[0].len()
        );
        assert_eq!(
            rights[0], rights[1],
            "a project's defaults must not change who may do what ({server:?})"
        );
        let plain = World::own_database_on(server).await;
        assert_eq!(
            rights[0],
            rights_of(&plain).await,
            "nor may it matter who applied the files ({server:?})"
        );
    }
}

async fn roles_of_ours(client: &Client) -> String {
    let roles = "select coalesce(string_agg(rolname, ',' order by rolname), '') from pg_roles
                 where starts_with(rolname, 'nexus_') and not rolsuper and not rolbypassrls and not rolcanlogin";
    client.query_one(roles, &[]).await.unwrap().get(0)
}

async fn stock_project(cluster: &OwnCluster, defaults: &str) -> World {
    let world = cluster.empty_database().await;
    let admin = world.admin().await;
    for file in Sources::embedded().platform {
        admin.batch_execute(file.text).await.unwrap();
    }
    let name: String = admin
        .query_one("select quote_ident(current_database())", &[])
        .await
        .unwrap()
        .get(0);
    admin
        .batch_execute(&format!(
            "alter role postgres login createrole createdb bypassrls password 'postgres';
             alter database {name} owner to postgres;
             grant supabase_auth_admin, supabase_storage_admin to postgres;
             grant anon, authenticated, service_role, authenticator to postgres with admin option;"
        ))
        .await
        .unwrap();
    connect(&developer_of(&world))
        .await
        .batch_execute(defaults)
        .await
        .unwrap();
    world
}

fn developer_of(world: &World) -> Config {
    let mut config = world.admin_config();
    config.user("postgres").password("postgres");
    config
}

/// Every right that anybody but its owner has on an object of ours, and every policy, as sorted lines.
async fn rights_of(world: &World) -> Vec<String> {
    let rows = world
        .admin()
        .await
        .query(
            "select format('%s %s: %s %s', n.nspname, c.relname, a.grantee::regrole, a.privilege_type)
             from pg_class as c join pg_namespace as n on n.oid = c.relnamespace, aclexplode(c.relacl) as a
             where n.nspname in ('public', 'nexus') and c.relkind in ('r', 'p', 'v', 'm', 'S') and a.grantee <> c.relowner
             union all
             select format('%s %s.%s: %s %s', n.nspname, c.relname, t.attname, a.grantee::regrole, a.privilege_type)
             from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
             join pg_attribute as t on t.attrelid = c.oid, aclexplode(t.attacl) as a
             where n.nspname in ('public', 'nexus')
             union all
             select format('%s: %s', p.oid::regprocedure, a.grantee::regrole)
             from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace,
               aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
             where n.nspname in ('public', 'nexus') and a.grantee <> p.proowner
             union all
             select format('%s %s owner %s', n.nspname, c.relname, c.relowner::regrole)
             from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
             where n.nspname in ('public', 'nexus')
             union all
             select format('%s.%s %s %s %s', schemaname, tablename, policyname, cmd, roles) from pg_policies
             order by 1",
            &[],
        )
        .await
        .unwrap();
    rows.into_iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn two_that_migrate_at_once_apply_each_file_once() {
    for server in Server::all() {
        let world = World::own_empty_database_on(server).await;
        let (mut first, mut second) = (world.admin().await, world.admin().await);
        let sources = Sources::embedded();
        let both = tokio::join!(migrate::run(&mut first, &sources), migrate::run(&mut second, &sources));
        let (one, other) = (both.0.unwrap(), both.1.unwrap());
        let files: Vec<&str> = sources
            .platform
            .iter()
            .chain(sources.migrations)
            .map(|file| file.name)
            .collect();
        assert!(
            one.is_empty() || other.is_empty(),
            "who waited found nothing to do: {one:?} {other:?}"
        );
        assert_eq!([one, other].concat(), files, "and all is there, in order ({server:?})");
        let recorded: i64 = first
            .query_one("select count(*) from supabase_migrations.schema_migrations", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(usize::try_from(recorded).unwrap(), sources.migrations.len());
    }
}

/// Advisory locks are a database's own and roles are the cluster's: nothing but the files themselves can help here.
#[tokio::test]
async fn two_databases_of_a_new_cluster_can_be_migrated_at_once() {
    for server in Server::all() {
        let cluster = own_cluster(server).await;
        let (one, other) = (cluster.empty_database().await, cluster.empty_database().await);
        let (slow, watcher) = (one.admin().await, one.admin().await);
        let roles = [&Sources::embedded().platform[0], &Sources::embedded().migrations[0]];
        assert!(roles.iter().all(|file| file.text.contains("create role")), "{roles:?}");

        slow.batch_execute(&format!("begin; {}", roles[0].text)).await.unwrap();
        let quick = migrate_meanwhile(&other, &watcher).await;
        // Whoever is first holds the other's first role until the commit; then the other goes on to its end.
        slow.batch_execute("commit").await.unwrap();
        quick.await.unwrap();
        let applied = migrate::run(&mut one.admin().await, &Sources::embedded())
            .await
            .unwrap();
        assert_eq!(
            applied.len(),
            Sources::embedded().platform.len() + Sources::embedded().migrations.len()
        );

        // The same for our own roles, where they are new: in a third database, once they are gone.
        drop((one, other));
        let (one, other) = (cluster.empty_database().await, cluster.empty_database().await);
        let (slow, watcher) = (one.admin().await, one.admin().await);
        slow.batch_execute("drop role nexus_owner, nexus_engine, nexus_staff")
            .await
            .unwrap();
        for file in Sources::embedded().platform {
            slow.batch_execute(file.text).await.unwrap();
        }
        slow.batch_execute(&format!("begin; {}", roles[1].text)).await.unwrap();
        let quick = migrate_meanwhile(&other, &watcher).await;
        slow.batch_execute("commit").await.unwrap();
        quick.await.unwrap();
    }
}

/// Begins to migrate a database, and returns once that waits for somebody's lock.
async fn migrate_meanwhile(world: &World, watcher: &Client) -> tokio::task::JoinHandle<()> {
    let mut client = world.admin().await;
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let running = tokio::spawn(async move {
        migrate::run(&mut client, &Sources::embedded())
            .await
            .unwrap_or_else(|error| panic!("{error} {error:?}"));
    });
    watcher
        .batch_execute(&format!(
            "set statement_timeout = '30s';
             do $$ begin while cardinality(pg_blocking_pids({pid})) = 0 loop null; end loop; end $$;
             reset statement_timeout"
        ))
        .await
        .expect("it waits for the roles that another makes");
    running
}

const FIRST: SqlFile = SqlFile {
    name: "0010_first.sql",
    text: "create table public.firsts (id integer);\n",
};

#[tokio::test]
async fn a_file_that_was_edited_after_it_was_applied_is_refused_by_name() {
    const EDITED: SqlFile = SqlFile {
        text: "create table public.firsts (id bigint);\n",
        ..FIRST
    };
    const SECOND: SqlFile = SqlFile {
        name: "0020_second.sql",
        text: "create table public.seconds (id integer);\n",
    };
    let world = World::own_empty_database_on(Server::OfMachine).await;
    let mut client = world.admin().await;
    let first = Sources {
        platform: &[],
        migrations: &[FIRST],
    };
    assert_eq!(migrate::run(&mut client, &first).await.unwrap(), ["0010_first.sql"]);

    let edited = Sources {
        platform: &[],
        migrations: &[EDITED, SECOND],
    };
    let refused = migrate::run(&mut client, &edited).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "0010_first.sql is not what was applied to this database under version 0010; put back the file as it was and make the change in a new one"
    );
    let made = "select to_regclass('public.seconds')";
    assert_eq!(
        asked(&client, &Caller::operator(), made).await.as_deref(),
        Ok("null"),
        "nothing else is applied either"
    );

    let whole = Sources {
        platform: &[],
        migrations: &[FIRST, SECOND],
    };
    assert_eq!(
        migrate::run(&mut client, &whole).await.unwrap(),
        ["0020_second.sql"],
        "put back, all goes on"
    );
}

#[tokio::test]
async fn every_statement_of_the_program_fits_the_schema() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        make_temporary_tables(&client).await;
        let mut count = 0;
        for statement in registered_statements() {
            if let Err(error) = client.prepare(statement.text).await {
                panic!("{}:{}: {error:?}\n{}", statement.file, statement.line, statement.text);
            }
            count += 1;
        }
        assert!(count > 10, "the program has statements: {count}");
    }
}

#[tokio::test]
async fn a_statement_that_fails_is_named_by_file_and_line_and_leaves_nothing() {
    static GOOD: SqlFile = SqlFile {
        name: "0001_good.sql",
        text: "create table public.good (id int);",
    };
    for (text, line, said) in [
        (
            "create table public.half (id int);\n\n-- why\nselect 1,\n  nonsense;\n",
            5,
            "nonsense",
        ),
        (
            "create table public.half (id int);\ncreate table public.good (id int);",
            2,
            "public.good",
        ),
        (
            "create table public.half (id int);\ndo $$ begin\n  perform 1 / 0;\nend $$;",
            2,
            "line 2 at PERFORM",
        ),
    ] {
        let world = World::own_empty_database_on(Server::OfMachine).await;
        let mut client = world.admin().await;
        let bad = SqlFile {
            name: "0002_bad.sql",
            text,
        };
        let migrations = [GOOD, bad];
        let sources = Sources {
            platform: &[],
            migrations: &migrations,
        };
        let error = migrate::run(&mut client, &sources).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("0002_bad.sql:{line}:")) && error.contains(said),
            "{error}"
        );
        let there = client.query_one(
            "select to_regclass('public.good') is not null, to_regclass('public.half') is null",
            &[],
        );
        let there = there.await.unwrap();
        assert!(there.get::<_, bool>(0), "what came before stays");
        assert!(there.get::<_, bool>(1), "the file is undone as a whole");
    }
}
