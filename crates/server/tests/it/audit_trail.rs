//! The audit trail: every change of an audited table leaves a row that is true, bound to its details, and never changed.

use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::callers::{Caller, asked, done, is_refused};
use crate::sales::Sale;
use crate::world::{Server, World};

/// The trail of one row, oldest first: operation, role, whether by `actor`, columns.
async fn trail_of(client: &Client, table: &str, key: Uuid, actor: Option<Uuid>) -> Vec<String> {
    let rows = client
        .query(
            "select format('%s by %s%s: %s', operation, actor_role, case when actor_id is not distinct from $3 then '' else ' of another' end,
               array_to_string(changed_columns, ' '))
             from public.audit_log where table_name = $1 and row_key = $2 order by id",
            &[&table, &key.to_string(), &actor],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_change_of_a_row_is_told_with_who_and_what() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let manager = world.person(&["property_manager"]).await;
        let caller = Caller::of(&manager);
        let sale = Sale::open(&client).await;
        client
            .execute(
                "insert into public.property_members (user_id, property_id, capacity) values ($1, $2, 'manager')",
                &[&manager.id, &sale.property],
            )
            .await
            .unwrap();
        let update = |change: &str| format!("update public.properties set {change} where id = '{}'", sale.property);
        for change in [
            "title = 'Palm villa', bedrooms = 4",
            "title = title, bedrooms = 4",
            "description = null",
            "amenities = '[ \"pool\" ]'",
            "amenities = '[\"pool\"]'",
        ] {
            done(&client, &caller, &update(change)).await.unwrap();
        }
        done(&client, &Caller::service(), &update("price = 13000"))
            .await
            .unwrap();
        let refused = done(&client, &caller, &update("price = 1")).await;
        assert!(is_refused(&refused, "42501"), "{refused:?}");
        let deletion = format!(
            "delete from public.property_members where property_id = '{0}'; delete from public.property_tokens where property_id = '{0}';
             delete from public.properties where id = '{0}'",
            sale.property
        );
        done(&client, &Caller::operator(), &deletion).await.unwrap();

        let trail = trail_of(&client, "public.properties", sale.property, Some(manager.id)).await;
        let columns = client
            .query_one(
                "select string_agg(attname, ' ' order by attname) from pg_attribute
                 where attrelid = 'public.properties'::regclass and attnum > 0 and not attisdropped",
                &[],
            )
            .await
            .unwrap()
            .get::<_, String>(0);
        assert_eq!(
            trail,
            [
                format!("INSERT by supabase_admin of another: {columns}"),
                "UPDATE by nexus_staff: bedrooms title".to_owned(),
                // What sets a value to itself, or updated_at alone, changes nothing and is not told.
                "UPDATE by nexus_staff: amenities".to_owned(),
                "UPDATE by service_role of another: price price_minor".to_owned(),
                format!("DELETE by supabase_admin of another: {columns}"),
            ],
            "on {server:?}"
        );
    }
}

#[tokio::test]
async fn a_statement_over_many_rows_tells_of_each() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let count = |what: &str| {
            format!(
                "select count(*) || ' ' || count(distinct row_key) || ' ' || count(distinct transaction_id) from public.audit_log where table_name = 'public.parties' and operation = '{what}'"
            )
        };
        let before = asked(&client, &Caller::operator(), &count("INSERT")).await;
        assert_eq!(before.as_deref(), Ok("0 0 0"), "a fresh database");
        for (statement, operation, expect) in [
            (
                "insert into public.parties (kind) select 'entity' from generate_series(1, 300)",
                "INSERT",
                "300 300 1",
            ),
            (
                "update public.parties set residency_country = 'AE' where id in (select id from public.parties limit 200)",
                "UPDATE",
                "200 200 1",
            ),
            (
                "update public.parties set residency_country = 'AE'",
                "UPDATE",
                "300 300 2",
            ),
            (
                "delete from public.parties where residency_country = 'FR'",
                "DELETE",
                "0 0 0",
            ),
            ("delete from public.parties", "DELETE", "300 300 1"),
        ] {
            done(&client, &Caller::operator(), statement).await.unwrap();
            let told = asked(&client, &Caller::operator(), &count(operation)).await;
            assert_eq!(told.as_deref(), Ok(expect), "{statement}");
        }
        // A key that moves is told as an end and a beginning.
        let moved = "insert into public.currencies (code, name, decimals) values ('ABC', 'Alpha', 2);
                     update public.currencies set code = 'ABD' where code = 'ABC'";
        done(&client, &Caller::operator(), moved).await.unwrap();
        let trail = "select a.row_key, a.operation, d.before ->> 'code', d.after ->> 'code'
                     from public.audit_log as a join nexus.audit_details as d on d.audit_id = a.id
                     where a.row_key in ('ABC', 'ABD') order by a.operation, a.row_key";
        let trail = asked(&client, &Caller::operator(), trail).await;
        assert_eq!(
            trail.as_deref(),
            Ok("ABC|INSERT|null|ABC\nABC|UPDATE|ABC|null\nABD|UPDATE|null|ABD")
        );

        done(&client, &Caller::operator(), "truncate public.payment_sessions cascade")
            .await
            .unwrap();
        let emptied = "select string_agg(table_name || ' ' || row_key || array_length(changed_columns, 1), ',' order by table_name)
                       from public.audit_log where operation = 'TRUNCATE'";
        let told = "select string_agg(table_name, ' ' order by table_name) from public.audit_log where operation = 'TRUNCATE' and row_key = '' and changed_columns = '{}'";
        assert_eq!(
            asked(&client, &Caller::operator(), emptied).await.as_deref(),
            Ok("null"),
            "no row and no column is named"
        );
        assert_eq!(
            asked(&client, &Caller::operator(), told).await.as_deref(),
            Ok("public.payment_sessions public.payments public.refunds"),
            "a table that was emptied is told, and so are those that it took along"
        );
    }
}

/// How many audit rows have details that recompute to their digest, that do not, and that have none.
const BOUND: &str = "select count(*) filter (where a.digest = sha256(d.salt || convert_to(coalesce(d.before::text, '') || chr(31) || coalesce(d.after::text, ''), 'UTF8'))),
    count(*) filter (where a.digest <> sha256(d.salt || convert_to(coalesce(d.before::text, '') || chr(31) || coalesce(d.after::text, ''), 'UTF8'))),
    count(*) filter (where d.audit_id is null)
  from public.audit_log as a left join nexus.audit_details as d on d.audit_id = a.id";

#[tokio::test]
async fn details_are_bound_by_their_digest_and_can_be_erased() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let person = world.person(&[]).await;
        let secret = "Zsófia Ünal";
        let change = format!(
            "update public.user_profiles set full_name = '{secret}', phone = '+43 1 234' where id = '{}'",
            person.id
        );
        done(&client, &Caller::of(&person), &change).await.unwrap();

        let total: i64 = client
            .query_one("select count(*) from public.audit_log", &[])
            .await
            .unwrap()
            .get(0);
        let all_bound = format!("{total}|0|0");
        assert_eq!(
            asked(&client, &Caller::operator(), BOUND).await.as_deref(),
            Ok(all_bound.as_str())
        );

        let after: Value = client
            .query_one(
                "select d.after from nexus.audit_details as d join public.audit_log as a on a.id = d.audit_id
                 where a.table_name = 'public.user_profiles' and a.operation = 'UPDATE' and a.row_key = $1",
                &[&person.id.to_string()],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(after["full_name"], secret, "the details say what was written");

        let forged = "begin; update nexus.audit_details set after = after || '{\"full_name\": \"Eve\"}' where after ->> 'full_name' is not null";
        client.batch_execute(forged).await.unwrap();
        let wrong: i64 = client.query_one(BOUND, &[]).await.unwrap().get(1);
        assert!(wrong > 0, "details that were altered no longer fit");
        client.batch_execute("rollback").await.unwrap();

        let trail = "select md5(string_agg(a::text, ',' order by a.id)) from public.audit_log as a";
        let before = asked(&client, &Caller::operator(), trail).await;
        let erased = client
            .execute(
                "delete from nexus.audit_details where audit_id in (select id from public.audit_log where table_name = 'public.user_profiles' and row_key = $1)",
                &[&person.id.to_string()],
            )
            .await
            .unwrap();
        assert_eq!(erased, 2, "the sign-up and the change");
        assert_eq!(
            asked(&client, &Caller::operator(), trail).await,
            before,
            "the trail itself stays as it was"
        );
        let rest = format!("{}|0|2", total - 2);
        assert_eq!(
            asked(&client, &Caller::operator(), BOUND).await.as_deref(),
            Ok(rest.as_str()),
            "and the rest stays bound"
        );
    }
}

#[tokio::test]
async fn the_trail_itself_holds_nothing_personal() {
    let world = World::own_database().await;
    let client = world.admin().await;
    let person = world.person(&[]).await;
    client
        .batch_execute(&format!(
            "update auth.users set email = 'marker@example.com' where id = '{0}';
             update public.user_profiles set full_name = 'marker', phone = 'marker', wallet_address = '0x' || repeat('ab', 20),
               kyc_data = '{{\"marker\": \"marker\"}}', avatar_url = 'user-avatars/{0}/marker' where id = '{0}';
             update public.parties set legal_name = 'marker' where id = (select party_id from public.user_profiles where id = '{0}');
             insert into public.kyc_cases (user_id, party_id, kyc_level, submission)
               select id, party_id, 'basic', '{{\"passport\": \"marker\"}}' from public.user_profiles where id = '{0}';
             insert into public.kyc_documents (user_id, document_type, file_name, file_url)
               values ('{0}', 'passport', 'marker.pdf', 'kyc-documents/{0}/marker.pdf');
             insert into public.payment_methods (user_id, method_type, details) values ('{0}', 'crypto', '{{\"label\": \"marker\"}}');",
            person.id
        ))
        .await
        .unwrap();
    let told = "select count(distinct table_name), count(*) filter (where a::text ~ 'marker|abababab|example\\.com') from public.audit_log as a
                where table_name in ('public.user_profiles', 'public.parties', 'public.kyc_cases', 'public.kyc_documents', 'public.payment_methods')";
    assert_eq!(
        asked(&client, &Caller::operator(), told).await.as_deref(),
        Ok("5|0"),
        "all five are told, and none says what of"
    );
    let details = "select count(*) > 5 from nexus.audit_details as d where d::text ~ 'marker'";
    assert_eq!(
        asked(&client, &Caller::operator(), details).await.as_deref(),
        Ok("t"),
        "the details do"
    );
}

#[tokio::test]
async fn the_trail_only_grows() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let admin = world.person(&["admin"]).await;
        let content = "select count(*), md5(string_agg(a::text, ',' order by a.id)) from public.audit_log as a";
        let before = asked(&client, &Caller::operator(), content).await;
        for attempt in [
            "update public.audit_log set actor_id = null",
            "update public.audit_log set actor_role = 'nobody' where id = 1",
            "delete from public.audit_log where id = 1",
            "delete from public.audit_log where false",
            "truncate public.audit_log cascade",
        ] {
            let answer = done(&client, &Caller::operator(), attempt).await;
            assert!(
                is_refused(&answer, "42501"),
                "not even the superuser by mistake: {attempt}: {answer:?}"
            );
        }
        for attempt in [
            "update public.audit_log set actor_id = null",
            "delete from public.audit_log",
            "truncate public.audit_log cascade",
            "insert into public.audit_log (actor_role, table_name, operation, row_key, changed_columns, digest)
             values ('nexus_engine', 'public.properties', 'INSERT', 'forged', '{}', sha256(''))",
            "select nexus.append_audit('public.properties', 'INSERT', 'forged', null, '{}')",
            "update nexus.audit_details set after = null",
            "delete from nexus.audit_details",
        ] {
            for caller in [
                Caller::service(),
                Caller::engine(),
                Caller::of(&admin),
                Caller::visitor(),
            ] {
                let answer = done(&client, &caller, attempt).await;
                assert!(is_refused(&answer, "42501"), "{attempt} by {caller:?}: {answer:?}");
            }
        }
        assert_eq!(
            asked(&client, &Caller::operator(), content).await,
            before,
            "on {server:?}"
        );
    }
}

#[tokio::test]
async fn sixteen_writers_at_once_are_all_told() {
    const WRITERS: usize = 16;
    const ROWS: usize = 20;
    let world = World::own_database().await;
    let client = world.admin().await;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (writer, person) = (world.admin().await, world.person(&[]).await);
        writers.push(tokio::spawn(async move {
            for row in 0..ROWS {
                let write = format!(
                    "insert into public.payment_methods (user_id, method_type, details) values ('{}', 'crypto', '{{\"label\": \"n{row}\"}}')",
                    person.id
                );
                done(&writer, &Caller::of(&person), &write).await.unwrap_or_else(|refusal| panic!("{refusal}"));
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let told = "select count(*), count(distinct a.row_key), count(distinct a.actor_id), count(distinct a.transaction_id),
                  count(*) filter (where m.user_id = a.actor_id and
                    sha256(d.salt || convert_to(coalesce(d.before::text, '') || E'\\x1f' || coalesce(d.after::text, ''), 'UTF8')) = a.digest)
                from public.payment_methods as m
                join public.audit_log as a on a.table_name = 'public.payment_methods' and a.row_key = m.id::text
                join nexus.audit_details as d on d.audit_id = a.id";
    let all = WRITERS * ROWS;
    assert_eq!(
        asked(&client, &Caller::operator(), told).await,
        Ok(format!("{all}|{all}|{WRITERS}|{all}|{all}")),
        "each change once, by its own actor, in its own transaction"
    );
}
