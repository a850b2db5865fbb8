//! What becomes of a login: its profile, its roles, what it is told about itself and others, and its end.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::callers::{Caller, asked, done, is_refused};
use crate::sales::Sale;
use crate::world::{Server, World};

/// Signs somebody up as the auth service would.
async fn sign_up(client: &Client, email: Option<&str>, phone: Option<&str>, metadata: Option<Value>) -> Uuid {
    let id = Uuid::now_v7();
    client
        .execute(
            "insert into auth.users (id, aud, role, email, phone, is_anonymous, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
             values ($1, 'authenticated', 'authenticated', $2, $3, $4, '{}', $5, now(), now())",
            &[&id, &email, &phone, &(email.is_none() && phone.is_none()), &metadata],
        )
        .await
        .expect("nothing about a person stops a sign-up");
    id
}

/// What a new login must always have, whatever it said: an own unnamed party, the investor's role, nothing verified.
async fn assert_plain_investor(client: &Client, id: Uuid, case: &str) {
    let row = client
        .query_one(
            "select format('%s %s %s %s %s %s %s', y.kind, y.legal_name is null, p.kyc_status, p.kyc_level, p.kyc_data,
               p.accredited_investor, p.wallet_address is null),
               (select string_agg(format('%s %s %s', a.role, a.is_active, a.assigned_by is null), ',')
                from public.user_role_assignments as a where a.user_id = p.id),
               (select count(*) from public.user_profiles as o where o.party_id = p.party_id)
             from public.user_profiles as p join public.parties as y on y.id = p.party_id where p.id = $1",
            &[&id],
        )
        .await
        .unwrap();
    let (state, roles, logins): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(
        state, "person t not_started none {} f t",
        "{case}: nothing is verified yet"
    );
    assert_eq!(roles, "investor t t", "{case}: one role, given by nobody");
    assert_eq!(logins, 1, "{case}: a party of one's own");
}

async fn names_of(client: &Client, id: Uuid) -> (Option<String>, Option<String>) {
    let row = client
        .query_one(
            "select full_name, display_name from public.user_profiles where id = $1",
            &[&id],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn metadata_gives_a_name_and_nothing_else() {
    let long = "ä".repeat(10_000);
    let cases = [
        ("none", None, None),
        ("an empty object", Some(json!({})), None),
        ("null", Some(Value::Null), None),
        ("a list", Some(json!(["full_name"])), None),
        ("a text", Some(json!("Ada")), None),
        (
            "full_name",
            Some(json!({ "full_name": "  Ada Lovelace ", "name": "A" })),
            Some("Ada Lovelace"),
        ),
        ("name", Some(json!({ "name": "Ada" })), Some("Ada")),
        (
            "a blank full_name",
            Some(json!({ "full_name": " \n", "name": "Ada" })),
            Some("Ada"),
        ),
        ("null names", Some(json!({ "full_name": null, "name": null })), None),
        (
            "a number",
            Some(json!({ "full_name": 7, "name": { "first": "Ada" } })),
            None,
        ),
        ("a long name", Some(json!({ "name": long })), Some(&long[..400])),
        (
            "rights",
            Some(json!({
                "name": "Eve", "role": "admin", "roles": ["admin"], "kyc_status": "approved", "kyc_level": "enhanced",
                "is_admin": true, "is_super_admin": true, "accredited_investor": true, "id": Uuid::nil(), "party_id": Uuid::nil(),
                "wallet_address": "0x0000000000000000000000000000000000000001", "kyc_data": { "steps": ["all"] }
            })),
            Some("Eve"),
        ),
    ];
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        for (case, metadata, name) in &cases {
            let email = format!("{}@example.com", Uuid::now_v7().simple());
            let id = sign_up(&client, Some(&email), None, metadata.clone()).await;
            assert_plain_investor(&client, id, case).await;
            let shown = name.map(|name| name.chars().take(100).collect::<String>());
            assert_eq!(names_of(&client, id).await, (name.map(str::to_owned), shown), "{case}");
        }
    }
}

#[tokio::test]
async fn a_login_needs_no_address() {
    let world = World::shared().await;
    let client = world.admin().await;
    let number = format!("+{}", &Uuid::new_v4().as_u128().to_string()[..14]);
    for (case, phone) in [("anonymous", None), ("phone only", Some(number.as_str()))] {
        let id = sign_up(&client, None, phone, None).await;
        assert_plain_investor(&client, id, case).await;
        let row = client
            .query_one("select email, phone from public.user_profiles where id = $1", &[&id])
            .await
            .unwrap();
        let (email, known): (Option<String>, Option<String>) = (row.get(0), row.get(1));
        assert_eq!((email, known.as_deref()), (None, phone), "{case}");
    }
}

#[tokio::test]
async fn a_changed_address_reaches_the_profile() {
    let world = World::shared().await;
    let client = world.admin().await;
    let person = world.person(&[]).await;
    let changed = format!("new-{}@example.com", person.id.simple());
    for address in [Some(changed), None] {
        client
            .execute(
                "update auth.users set email = $2 where id = $1",
                &[&person.id, &address],
            )
            .await
            .unwrap();
        let kept: Option<String> = client
            .query_one("select email from public.user_profiles where id = $1", &[&person.id])
            .await
            .unwrap()
            .get(0);
        assert_eq!(kept, address, "the profile's copy follows the login");
    }
}

#[tokio::test]
async fn a_login_without_history_goes_and_leaves_its_party() {
    let world = World::shared().await;
    let client = world.admin().await;
    let (leaving, staying) = (world.person(&["property_manager"]).await, world.person(&[]).await);
    let party: Uuid = client
        .query_one(
            "select party_id from public.user_profiles where id = $1",
            &[&leaving.id],
        )
        .await
        .unwrap()
        .get(0);
    let room = format!(
        "with r as (insert into public.chat_rooms (name, created_by) values ('Lobby', '{0}') returning id)
         insert into public.chat_messages (room_id, user_id, message) select id, '{0}', 'Goodbye' from r returning id",
        leaving.id
    );
    let message = done(&client, &Caller::operator(), &room).await.unwrap();
    client
        .batch_execute(&format!(
            "insert into public.notifications (user_id, title, message) values ('{0}', 'Welcome', '');
             insert into public.payment_methods (user_id, method_type) values ('{0}', 'crypto');
             insert into public.user_role_assignments (user_id, role, assigned_by) values ('{1}', 'compliance_officer', '{0}')",
            leaving.id, staying.id
        ))
        .await
        .unwrap();

    client
        .execute("delete from auth.users where id = $1", &[&leaving.id])
        .await
        .unwrap();

    let left = format!(
        "select (select count(*) from public.user_profiles where id = '{0}'),
                (select count(*) from public.user_role_assignments where user_id = '{0}'),
                (select count(*) from public.notifications where user_id = '{0}'),
                (select count(*) from public.payment_methods where user_id = '{0}'),
                (select count(*) from public.parties where id = '{party}'),
                (select user_id from public.chat_messages where id = '{message}'),
                (select assigned_by from public.user_role_assignments where user_id = '{1}' and role = 'compliance_officer')",
        leaving.id, staying.id
    );
    assert_eq!(
        asked(&client, &Caller::operator(), &left).await.unwrap(),
        "0|0|0|0|1|null|null",
        "what was only his goes, the party stays, what others read or have stays without his name"
    );
}

#[tokio::test]
async fn a_login_with_history_stays() {
    let world = World::shared().await;
    let client = world.admin().await;
    let sale = Sale::open(&client).await;
    let history = [
        ("an investment, even a cancelled one", None),
        (
            "an identity case",
            Some(
                "insert into public.kyc_cases (user_id, party_id, kyc_level) select id, party_id, 'basic' from public.user_profiles where id = $1",
            ),
        ),
        (
            "an identity document",
            Some(
                "insert into public.kyc_documents (user_id, document_type, file_name, file_url) values ($1, 'passport', 'p.pdf', 'kyc-documents/' || $1 || '/p.pdf')",
            ),
        ),
        (
            "acting for a property",
            Some(
                "insert into public.property_members (user_id, property_id, capacity) select $1, id, 'agent' from public.properties limit 1",
            ),
        ),
    ];
    for (what, sql) in history {
        let person = world.person(&[]).await;
        if let Some(sql) = sql {
            let sql = sql.replace("$1", &format!("'{}'::uuid", person.id));
            client.batch_execute(&sql).await.unwrap();
        } else {
            sale.bought(&client, &person, 1, 1000, "cancelled").await;
        }
        let delete = format!("delete from auth.users where id = '{}'", person.id);
        let answer = done(&client, &Caller::operator(), &delete).await;
        // RESTRICT has a code of its own from PostgreSQL 18 on.
        let is_kept = is_refused(&answer, "23503") || is_refused(&answer, "23001");
        assert!(is_kept, "{what} keeps the login: {answer:?}");
        assert_plain_investor(&client, person.id, what).await;
    }
}

#[tokio::test]
async fn questions_about_roles_are_answered_to_whom_they_concern() {
    let world = World::shared().await;
    let client = world.admin().await;
    let manager = world.person(&["property_manager"]).await;
    let (other, admin) = (world.person(&[]).await, world.person(&["admin"]).await);
    let callers = [
        ("self", Caller::of(&manager), "t|f|f|property_manager"),
        ("another", Caller::of(&other), "null|null|null|null"),
        ("admin", Caller::of(&admin), "t|f|f|property_manager"),
        ("service", Caller::service(), "t|f|f|property_manager"),
        ("command", Caller::engine(), "t|f|f|property_manager"),
    ];
    let question = format!(
        "select public.has_role('{0}', 'property_manager'), public.has_role('{0}', 'admin'), public.has_role('{0}', 'emperor'), public.get_user_role('{0}')",
        manager.id
    );
    for (who, caller, expect) in callers {
        assert_eq!(
            asked(&client, &caller, &question).await.as_deref(),
            Ok(expect),
            "{who}: null is 'not told'"
        );
    }
    let answer = asked(&client, &Caller::visitor(), &question).await;
    assert!(is_refused(&answer, "42501"), "a visitor may not even ask: {answer:?}");
    let nobody = format!(
        "select public.has_role('{0}', 'admin'), public.get_user_role('{0}')",
        Uuid::new_v4()
    );
    assert_eq!(
        asked(&client, &Caller::of(&admin), &nobody).await.as_deref(),
        Ok("f|null"),
        "who does not exist has no role"
    );
}

#[tokio::test]
async fn questions_about_a_property_follow_who_may_see_it() {
    let world = World::shared().await;
    let client = world.admin().await;
    let (active, hidden) = (Sale::open(&client).await, Sale::open(&client).await);
    client
        .execute(
            "update public.properties set is_active = false where id = $1",
            &[&hidden.property],
        )
        .await
        .unwrap();
    let (stranger, investor, refunded) = (
        world.person(&[]).await,
        world.person(&[]).await,
        world.person(&[]).await,
    );
    let (manager, former) = (
        world.person(&["property_manager"]).await,
        world.person(&["property_manager"]).await,
    );
    let (officer, admin) = (
        world.person(&["compliance_officer"]).await,
        world.person(&["admin"]).await,
    );
    let member_without_role = world.person(&[]).await;
    hidden.bought(&client, &investor, 1, 1000, "paid").await;
    hidden.bought(&client, &refunded, 1, 1000, "refunded").await;
    for (who, is_active) in [(manager, true), (former, false), (member_without_role, true)] {
        client
            .execute(
                "insert into public.property_members (user_id, property_id, capacity, is_active) values ($1, $2, 'agent', $3)",
                &[&who.id, &hidden.property, &is_active],
            )
            .await
            .unwrap();
    }
    for (who, person, expect) in [
        ("stranger", stranger, "t|f|f"),
        ("investor", investor, "t|t|f"),
        ("somebody refunded", refunded, "t|f|f"),
        ("manager of it", manager, "t|t|f"),
        ("former manager of it", former, "t|f|f"),
        ("member who is no manager", member_without_role, "t|f|f"),
        ("compliance officer", officer, "t|t|f"),
        ("admin", admin, "t|t|f"),
    ] {
        let question = format!(
            "select public.can_access_property('{0}', '{1}'), public.can_access_property('{0}', '{2}'), public.can_access_property('{0}', '{3}')",
            person.id,
            active.property,
            hidden.property,
            Uuid::new_v4()
        );
        for caller in [Caller::of(&person), Caller::service(), Caller::of(&admin)] {
            assert_eq!(
                asked(&client, &caller, &question).await.as_deref(),
                Ok(expect),
                "{who}, asked by {caller:?}"
            );
        }
        let seen = format!(
            "select count(*) > 0 from public.properties where id = '{}'",
            hidden.property
        );
        let sees = asked(&client, &Caller::of(&person), &seen).await.unwrap();
        assert_eq!(sees, expect[2..3], "{who}: the policy gives the same answer");
        if person.id != stranger.id {
            let told = asked(&client, &Caller::of(&stranger), &question).await;
            assert_eq!(
                told.as_deref(),
                Ok("null|null|null"),
                "{who} is not a stranger's business"
            );
        }
    }
}
