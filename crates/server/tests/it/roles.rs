//! Who gives and takes roles: not oneself, and what is taken ends at once.

use crate::callers::{Caller, asked, done, is_refused};
use crate::sales::Sale;
use crate::world::World;

#[tokio::test]
async fn a_revoked_role_ends_at_once_whatever_the_token_says() {
    let world = World::shared().await;
    let client = world.admin().await;
    let sale = Sale::open(&client).await;
    client
        .execute(
            "update public.properties set is_active = false where id = $1",
            &[&sale.property],
        )
        .await
        .unwrap();
    let (admin, manager) = (
        world.person(&["admin"]).await,
        world.person(&["property_manager"]).await,
    );
    client
        .execute(
            "insert into public.property_members (user_id, property_id, capacity) values ($1, $2, 'manager')",
            &[&manager.id, &sale.property],
        )
        .await
        .unwrap();
    let token = Caller::of(&manager);
    let rights = format!(
        "with changed as (update public.properties set title = 'Mine' where id = '{0}' returning id)
         select public.has_role('{1}', 'property_manager'), public.get_user_role('{1}'), public.can_access_property('{1}', '{0}'),
           (select count(*) from changed), (select count(*) from public.properties where id = '{0}')",
        sale.property, manager.id
    );
    let before = asked(&client, &token, &rights).await;
    assert_eq!(
        before.as_deref(),
        Ok("t|property_manager|t|1|1"),
        "a manager edits and sees the property"
    );

    let revoke = format!(
        "update public.user_role_assignments set is_active = false where user_id = '{}' and role = 'property_manager' returning role",
        manager.id
    );
    assert_eq!(
        done(&client, &Caller::of(&admin), &revoke).await.as_deref(),
        Ok("property_manager")
    );

    let after = asked(&client, &token, &rights).await;
    assert_eq!(
        after.as_deref(),
        Ok("f|investor|f|0|0"),
        "the token still says staff, and it means nothing"
    );
}

#[tokio::test]
async fn an_admin_gives_roles_to_others_in_the_own_name_only() {
    let world = World::shared().await;
    let client = world.admin().await;
    let (admin, other, somebody) = (
        world.person(&["admin"]).await,
        world.person(&["admin"]).await,
        world.person(&[]).await,
    );
    let give = |to: uuid::Uuid, by: uuid::Uuid| {
        format!(
            "insert into public.user_role_assignments (user_id, role, assigned_by) values ('{to}', 'compliance_officer', '{by}') returning role"
        )
    };
    let caller = Caller::of(&admin);
    let given = asked(&client, &caller, &give(somebody.id, admin.id)).await;
    assert_eq!(given.as_deref(), Ok("compliance_officer"));
    let signed_for_another = asked(&client, &caller, &give(somebody.id, other.id)).await;
    assert!(
        is_refused(&signed_for_another, "42501"),
        "who gave a role is not made up: {signed_for_another:?}"
    );
    let to_oneself = asked(&client, &caller, &give(admin.id, admin.id)).await;
    assert!(
        is_refused(&to_oneself, "42501"),
        "not even an admin takes a role: {to_oneself:?}"
    );
}

#[tokio::test]
async fn nobody_raises_the_own_role() {
    let world = World::shared().await;
    let client = world.admin().await;
    for roles in [&[][..], &["property_manager"], &["compliance_officer"], &["admin"]] {
        let person = world.person(roles).await;
        client
            .execute(
                "insert into public.user_role_assignments (user_id, role, is_active) values ($1, 'admin', false) on conflict do nothing",
                &[&person.id],
            )
            .await
            .unwrap();
        let caller = Caller::of(&person);
        let before = format!(
            "select string_agg(format('%s %s', role, is_active), ',' order by role) from public.user_role_assignments where user_id = '{}'",
            person.id
        );
        let had = asked(&client, &Caller::operator(), &before).await;
        for attempt in [
            "insert into public.user_role_assignments (user_id, role, assigned_by) values ($1, 'compliance_officer', $1) on conflict do nothing",
            "insert into public.user_role_assignments (user_id, role) values ($1, 'property_manager')",
            "update public.user_role_assignments set is_active = true where user_id = $1",
            "update public.user_role_assignments set is_active = not is_active where user_id = $1",
            "update public.user_role_assignments set role = 'admin' where user_id = $1",
            "update public.user_role_assignments set user_id = $1 where role = 'admin'",
            "delete from public.user_role_assignments where user_id = $1",
            "update public.user_profiles set kyc_status = 'approved' where id = $1",
            "update public.user_profiles set accredited_investor = true where id = $1",
            "update auth.users set raw_app_meta_data = '{\"role\": \"admin\"}' where id = $1",
        ] {
            let sql = attempt.replace("$1", &format!("'{}'", person.id));
            // A refusal and a change of no row are both fine; what counts is what is there afterwards.
            let _ = done(&client, &caller, &sql).await;
            assert_eq!(
                asked(&client, &Caller::operator(), &before).await,
                had,
                "{roles:?}: {attempt}"
            );
        }
        let verified = format!(
            "select kyc_status, accredited_investor from public.user_profiles where id = '{}'",
            person.id
        );
        let verified = asked(&client, &Caller::operator(), &verified).await;
        assert_eq!(verified.as_deref(), Ok("not_started|f"), "{roles:?}");
        let metadata = format!("select raw_app_meta_data from auth.users where id = '{}'", person.id);
        let metadata = asked(&client, &Caller::operator(), &metadata).await;
        assert_eq!(metadata.as_deref(), Ok("{}"), "{roles:?}");
    }
}
