//! What the seed document promises by name, typed in from it: a name that goes missing breaks somebody's front end.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::world::{Server, World};

/// Every column that the seed lists or draws, then (after `+`) those that clients of such a platform know. `id uuid` is
/// every table's primary key.
const TABLES: &str = "
properties: id uuid, title text, location text, price numeric, bedrooms integer, bathrooms integer, sqft integer, images jsonb, amenities jsonb, tokenization_active boolean, tokens_issued numeric, total_tokens numeric, price_per_token numeric, created_at timestamptz, updated_at timestamptz, is_active boolean, city text, property_type text, funding_target numeric
  + description text, address text, state_province text, country text, postal_code text, coordinates jsonb, year_built integer, lot_size number, min_investment numeric, funding_deadline time, is_featured boolean, virtual_tour_url text, tokenization_status text
property_tokens: id uuid, property_id uuid, contract_address text, token_address text, total_supply numeric, available_supply numeric, current_price numeric, initial_price numeric, status text, created_at timestamptz
investments: id uuid, user_id uuid, property_id uuid, property_token_id uuid, token_amount numeric, price_per_token numeric, total_amount numeric, status text, payment_method text, created_at timestamptz
  + payment_method_id uuid, fee_amount numeric, net_amount numeric, payment_currency text, confirmed_at time, blockchain_tx_hash text, current_value numeric
user_profiles: id uuid, email text, full_name text, wallet_address text, kyc_data jsonb, created_at timestamptz
  + phone text, display_name text, avatar_url text, kyc_status text, kyc_level text, accredited_investor boolean, investment_experience text, risk_tolerance text, preferred_investment_size numeric, total_invested numeric, total_returns numeric
ai_interactions: id uuid, user_id uuid, session_id text, user_message text, ai_response text, intent_detected text, confidence_score numeric, recommendation_type text
tokenization_processes: id uuid, property_id uuid, user_id uuid, status text, current_step text, progress_percentage integer, steps_completed jsonb
user_role_assignments: + id uuid, user_id uuid, role text, assigned_by uuid, assigned_at time, is_active boolean
property_analytics: + id uuid, property_id uuid, report_date time, market_value numeric, rental_yield numeric, cap_rate numeric, appreciation_rate numeric, total_invested numeric, number_of_investors number, funding_percentage numeric, average_investment_size numeric
property_performance: + id uuid, property_id uuid, report_date time, valuation numeric, rental_income numeric, occupancy_rate numeric, maintenance_costs numeric, market_performance numeric, roi_percentage numeric
property_audits: + id uuid, property_id uuid, auditor_id uuid, audit_score number, risk_level text, compliance_status text, audit_results jsonb, audit_date time, next_review_date time
property_documents: + id uuid, property_id uuid, document_name text, document_type text, file_url text, file_type text, file_size number, is_public boolean, requires_kyc boolean, expires_at time, uploaded_by uuid
property_returns: + id uuid, property_id uuid, investment_id uuid, user_id uuid, return_type text, amount numeric, return_date time, description text, status text
payment_methods: + id uuid, user_id uuid, method_type text, details jsonb, is_verified boolean, is_default boolean
tokenization_steps: + id uuid, process_id uuid, step_name text, step_order number, status text, started_at time, completed_at time, duration_seconds number, step_data jsonb, error_details text
tokenization_reports: + id uuid, process_id uuid, property_id uuid, report_type text, report_data jsonb, metrics jsonb, performance_data jsonb, compliance_data jsonb, generated_at time, generated_by uuid, status text
notifications: + id uuid, user_id uuid, title text, message text, type text, action_url text, read boolean
kyc_documents: + id uuid, user_id uuid, document_type text, file_name text, file_url text, file_size number, status text, notes text
smart_contract_events: + id uuid, contract_address text, event_name text, event_data jsonb, transaction_hash text, block_number number, processed boolean
chat_rooms: + id uuid, name text, description text, property_id uuid, is_public boolean, created_by uuid
chat_messages: + id uuid, room_id uuid, user_id uuid, message text, message_type text, attachments jsonb, reply_to uuid, edited_at time
chat_room_participants: + id uuid, room_id uuid, user_id uuid, is_active boolean, joined_at time, last_read_at time
";

/// The lines of the seed's diagram, and its references to auth.users.
const FOREIGN_KEYS: &[&str] = &[
    "user_profiles.id -> auth.users",
    "user_role_assignments.user_id -> auth.users",
    "investments.user_id -> auth.users",
    "ai_interactions.user_id -> auth.users",
    "tokenization_processes.user_id -> auth.users",
    "property_tokens.property_id -> public.properties",
    "investments.property_id -> public.properties",
    "property_analytics.property_id -> public.properties",
    "property_performance.property_id -> public.properties",
    "property_audits.property_id -> public.properties",
    "property_documents.property_id -> public.properties",
    "tokenization_processes.property_id -> public.properties",
    "property_returns.investment_id -> public.investments",
    "investments.payment_method_id -> public.payment_methods",
    "investments.property_token_id -> public.property_tokens",
    "tokenization_steps.process_id -> public.tokenization_processes",
    "tokenization_reports.process_id -> public.tokenization_processes",
];

/// Tables whose changes are not told, each for a reason. A new table is audited or stands here.
const NOT_AUDITED: &[(&str, &str)] = &[
    ("ai_interactions", "is itself a record, and personal"),
    ("audit_log", "is the trail"),
    ("chat_messages", "is what people say"),
    ("chat_room_participants", "follows what people do in a room"),
    ("chat_rooms", "is what people make to talk"),
    (
        "custodian_statement_lines",
        "belongs to a statement, which is, and only grows",
    ),
    ("entry_tests", "comes with a migration, and nobody writes it"),
    ("notifications", "is told to a person, and decides nothing"),
    ("property_analytics", "is derived and can be computed again"),
    ("property_gates", "is a row to lock, and says nothing"),
    (
        "property_token_supply",
        "is what the ledger says of a token, narrow because every purchase changes it",
    ),
    ("smart_contract_events", "is a chain's own record"),
];

fn fits(family: &str, actual: &str) -> bool {
    match family {
        "integer" => ["integer", "smallint"].contains(&actual),
        "number" => ["integer", "smallint", "bigint", "numeric"].contains(&actual),
        "timestamptz" => actual == "timestamp with time zone",
        "time" => ["timestamp with time zone", "date"].contains(&actual),
        exact => exact == actual,
    }
}

/// The rows of a one-column query.
async fn lines(client: &Client, sql: &str) -> Vec<String> {
    client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[tokio::test]
async fn tables_have_the_seeds_columns() {
    let promised: Vec<(&str, Vec<(&str, &str)>)> = TABLES
        .trim()
        .replace("\n  +", ", ")
        .leak()
        .lines()
        .map(|line| {
            let (table, columns) = line.split_once(": ").unwrap();
            let columns = columns.trim_start_matches("+ ").split(',');
            (
                table,
                columns.map(|column| column.trim().split_once(' ').unwrap()).collect(),
            )
        })
        .collect();
    assert_eq!(promised.len(), 21, "the seed's tables and those of its clients");
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let rows = client
            .query(
                "select c.relname::text, a.attname::text, format_type(a.atttypid, null)
                 from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'",
                &[],
            )
            .await
            .unwrap();
        let mut actual: BTreeMap<(String, String), String> = BTreeMap::new();
        for row in rows {
            actual.insert((row.get(0), row.get(1)), row.get(2));
        }
        for (table, columns) in &promised {
            for (column, family) in columns {
                let found = actual.get(&((*table).to_owned(), (*column).to_owned()));
                assert!(
                    found.is_some_and(|found| fits(family, found)),
                    "{table}.{column} is promised as {family}: {found:?} ({server:?})"
                );
            }
        }
        let keys = lines(
            &client,
            "select c.conrelid::regclass::text from pg_constraint as c join pg_attribute as a on a.attrelid = c.conrelid and a.attname = 'id'
             where c.contype = 'p' and c.conkey = array[a.attnum] and c.connamespace = 'public'::regnamespace",
        )
        .await;
        for (table, _) in &promised {
            assert!(keys.iter().any(|key| key == table), "{table}.id is its primary key");
        }
    }
}

#[tokio::test]
async fn relations_are_those_of_the_diagram() {
    let world = World::shared().await;
    let drawn = lines(
        &world.admin().await,
        "select format('%s.%s -> %s.%s', c.relname, a.attname, fn.nspname, f.relname)
         from pg_constraint as k join pg_class as c on c.oid = k.conrelid join pg_class as f on f.oid = k.confrelid
         join pg_namespace as fn on fn.oid = f.relnamespace
         join pg_attribute as a on a.attrelid = c.oid and a.attnum = any (k.conkey)
         where k.contype = 'f' and k.convalidated and c.relnamespace = 'public'::regnamespace",
    )
    .await;
    for key in FOREIGN_KEYS {
        assert!(drawn.iter().any(|line| line == key), "the diagram draws {key}");
    }
}

#[tokio::test]
async fn policies_have_the_seeds_names() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let policies = lines(
            &client,
            "select format('%s: %s for %s %s', tablename, policyname, cmd, permissive) from pg_policies where schemaname = 'public'",
        )
        .await;
        for policy in [
            "properties: Public properties are viewable by everyone for SELECT PERMISSIVE",
            "investments: Users can view own investments for SELECT PERMISSIVE",
            "ai_interactions: Users can view own AI interactions for SELECT PERMISSIVE",
        ] {
            assert!(policies.iter().any(|line| line == policy), "{policy} ({server:?})");
        }
        let open = lines(
            &client,
            "select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relrowsecurity
             and relnamespace in ('public'::regnamespace, 'nexus'::regnamespace)",
        )
        .await;
        assert_eq!(open, [""; 0], "every table has row-level security");
    }
}

#[tokio::test]
async fn views_have_the_seeds_columns_in_its_order() {
    let world = World::shared().await;
    let views = lines(
        &world.admin().await,
        "select format('%s: %s', c.relname, string_agg(a.attname, ' ' order by a.attnum))
         from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
         where c.relkind = 'm' and c.relnamespace = 'public'::regnamespace group by c.relname order by c.relname",
    )
    .await;
    assert_eq!(
        views,
        [
            "investment_opportunities_mv: property_id title city property_type price_per_token total_investors total_invested funding_percentage",
            "property_market_insights_mv: property_id title price price_per_token tokens_issued funding_percentage avg_investor_price",
        ]
    );
}

#[tokio::test]
async fn indexes_have_the_seeds_names_and_columns() {
    let world = World::shared().await;
    let indexes = lines(
        &world.admin().await,
        "select format('%s on %s(%s)', i.relname, t.relname,
           (select string_agg(a.attname, ', ' order by k.place) from unnest(x.indkey::int2[]) with ordinality as k (attnum, place)
            join pg_attribute as a on a.attrelid = t.oid and a.attnum = k.attnum))
         from pg_index as x join pg_class as i on i.oid = x.indexrelid join pg_class as t on t.oid = x.indrelid
         where x.indisvalid and x.indpred is null and x.indexprs is null",
    )
    .await;
    for index in [
        "properties_location_idx on properties(location)",
        "investments_user_property_idx on investments(user_id, property_id)",
        "ai_interactions_user_session_idx on ai_interactions(user_id, session_id)",
        "tokenization_processes_status_idx on tokenization_processes(status)",
    ] {
        assert!(indexes.iter().any(|line| line == index), "the seed names {index}");
    }
}

#[tokio::test]
async fn buckets_are_as_visible_as_the_seed_says() {
    let world = World::own_database().await;
    let buckets = lines(
        &world.admin().await,
        "select format('%s %s', id, case when public then 'public' else 'private' end) from storage.buckets order by id",
    )
    .await;
    assert_eq!(
        buckets,
        [
            "chat-attachments private",
            "investment-documents private",
            "kyc-documents private",
            "property-evidence private",
            "property-images public",
            "property-media public",
            "user-avatars public",
        ]
    );
}

#[tokio::test]
async fn functions_have_the_seeds_parameters() {
    let world = World::shared().await;
    let functions = lines(
        &world.admin().await,
        "select format('%s(%s) %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid))
         from pg_proc where pronamespace = 'public'::regnamespace order by 1",
    )
    .await;
    for function in [
        "has_role(user_id uuid, role text) boolean",
        "can_access_property(user_id uuid, property_id uuid) boolean",
        "calculate_investment_fees(amount numeric, fee_type text) numeric",
        "refresh_analytics_views() void",
        "handle_new_user() trigger",
        "log_data_modification() trigger",
        "update_updated_at_column() trigger",
    ] {
        let same_name = functions
            .iter()
            .filter(|line| line.split('(').next() == function.split('(').next());
        assert_eq!(
            same_name.collect::<Vec<_>>(),
            [function],
            "RPC finds it by name and parameters, so there is one"
        );
    }
}

#[tokio::test]
async fn triggers_are_where_they_must_be() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let sign_up = lines(
            &client,
            "select pg_get_triggerdef(oid) from pg_trigger where tgenabled = 'O' and tgfoid = 'public.handle_new_user'::regproc",
        )
        .await;
        let expect = "CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION handle_new_user()";
        assert_eq!(sign_up, [expect], "{server:?}");

        let unstamped = lines(
            &client,
            "select c.relname::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attname = 'updated_at'
             where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'nexus'::regnamespace)
               and not exists (select from pg_trigger as t where t.tgrelid = c.oid and t.tgenabled = 'O' and t.tgqual is null
                 and t.tgfoid = 'public.update_updated_at_column'::regproc and pg_get_triggerdef(t.oid) like '% BEFORE UPDATE ON % FOR EACH ROW %')",
        )
        .await;
        assert_eq!(unstamped, [""; 0], "every updated_at is kept by the database");

        let audited = lines(
            &client,
            "select format('%s %s', c.relname, (select string_agg(distinct e.event, ' ' order by e.event) from pg_trigger as t,
               lateral (select substring(pg_get_triggerdef(t.oid) from 'AFTER (INSERT|UPDATE|DELETE|TRUNCATE) ON') as event) as e
               where t.tgrelid = c.oid and t.tgenabled = 'O' and t.tgfoid = 'public.log_data_modification'::regproc
                 and pg_get_triggerdef(t.oid) like '%FOR EACH STATEMENT%'))
             from pg_class as c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1",
        )
        .await;
        let is_excused = |table: &str| NOT_AUDITED.iter().find(|(excused, _)| *excused == table);
        for line in &audited {
            let (table, events) = line.split_once(' ').unwrap();
            match is_excused(table) {
                Some((_, why)) => assert_eq!(events, "", "{table} is not audited, for it {why}"),
                None => assert_eq!(
                    events, "DELETE INSERT TRUNCATE UPDATE",
                    "{table} is audited ({server:?})"
                ),
            }
        }
        assert!(
            audited.len() > NOT_AUDITED.len() + 15,
            "most tables are audited: {audited:?}"
        );
    }
}

#[tokio::test]
async fn whoever_writes_a_row_may_run_what_its_checks_call() {
    let world = World::shared().await;
    let missing = lines(
        &world.admin().await,
        "with calls as (
           select d.refobjid as function, coalesce(c.conrelid, f.adrelid) as relation
           from pg_depend as d
           left join pg_constraint as c on d.classid = 'pg_constraint'::regclass and c.oid = d.objid
           left join pg_attrdef as f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
           where d.refclassid = 'pg_proc'::regclass and (c.oid is not null or f.oid is not null)
         ), writers as (
           select r.oid as relation, a.grantee from pg_class as r, aclexplode(r.relacl) as a
           where a.privilege_type in ('INSERT', 'UPDATE') and a.grantee <> r.relowner
           union
           select t.attrelid, a.grantee from pg_attribute as t, aclexplode(t.attacl) as a where a.privilege_type in ('INSERT', 'UPDATE')
         )
         select distinct format('%s: %s for %s', relation::regclass, function::regprocedure, grantee::regrole)
         from calls join writers using (relation) where not has_function_privilege(grantee, function, 'execute') order by 1",
    )
    .await;
    assert_eq!(missing, [""; 0], "else every write is refused");
}
