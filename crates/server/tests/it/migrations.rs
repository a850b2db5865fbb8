//! The migrations on a plain server, and on what stands for a stock Supabase project.

use nexus_mint::db::registered_statements;
use nexus_mint::migrate::{self, Sources};
use tokio_postgres::Config;

use crate::world::{Server, World, connect, make_temporary_tables};

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
/// triggers in schemas that it does not own.
#[tokio::test]
async fn a_login_that_is_no_superuser_can_apply_them_under_both_grant_defaults() {
    const OPEN: &str =
        "alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
        alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
        alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;";
    const CLOSED: &str =
        "alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;";
    for server in Server::all() {
        let mut rights = Vec::new();
        for defaults in [OPEN, CLOSED] {
            let world = stock_project(server, defaults).await;
            let mut developer = connect(&developer_of(&world)).await;
            let sources = Sources {
                platform: &[],
                ..Sources::embedded()
            };
            migrate::run(&mut developer, &sources)
                .await
                .unwrap_or_else(|error| panic!("{server:?}: {error} {error:?}"));
            rights.push(rights_of(&world).await);
        }
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

async fn stock_project(server: Server, defaults: &str) -> World {
    let world = World::own_empty_database_on(server).await;
    let admin = world.admin().await;
    for file in Sources::embedded().platform {
        admin.batch_execute(file.text).await.unwrap();
    }
    let name: String = admin
        .query_one("select quote_ident(current_database())", &[])
        .await
        .unwrap()
        .get(0);
    // Other tests of this cluster may have given the roles to one another; a second time is a notice.
    admin
        .batch_execute(&format!(
            "alter role postgres login createrole createdb bypassrls password 'postgres';
             alter database {name} owner to postgres;
             grant supabase_auth_admin, supabase_storage_admin to postgres;
             grant anon, authenticated, service_role, authenticator to postgres with admin option;
             do $$ begin
               if exists (select from pg_roles where rolname = 'nexus_owner') then
                 grant nexus_owner, nexus_engine, nexus_staff to postgres with admin option;
               end if;
             end $$;"
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
