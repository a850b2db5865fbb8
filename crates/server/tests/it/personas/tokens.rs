//! Tokens that say more than is true: a role that was taken back, no person at all, a seat that only looks on.

use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::fixture::{Persona, load, nobody, person, persona};
use super::matrix::{Matrix, subjects};
use crate::world::{Person, World};

/// A token of the person that says staff, and one that does not.
async fn staff_and_plain(client: &Client, number: u8) -> [Persona; 2] {
    let with = async |is_staff: bool| {
        let login = Person {
            id: person(number),
            is_staff,
        };
        persona(client, "somebody", login).await
    };
    [with(true).await, with(false).await]
}

/// What each of these personas can do, a page of lines each; the visitor comes first and says what is public.
async fn can_do(client: &Client, personas: Vec<Persona>) -> Vec<String> {
    let mut all = vec![nobody("visitor", "anon", json!({ "role": "anon" }))];
    all.extend(personas);
    let matrix = Matrix::of(client, all, subjects(client).await).await;
    let of = |at: usize| {
        matrix
            .blocks
            .iter()
            .map(move |block| block.text_of(at))
            .collect::<String>()
    };
    (1..matrix.personas.len()).map(of).collect()
}

/// The same wall, stood before as the program stands before it: a login of its own, a transaction, a role.
#[tokio::test]
async fn nobody_raises_himself() {
    let world = World::shared().await;
    let client = world.admin().await;
    for roles in [&["investor"][..], &["admin"]] {
        let person = world.person(roles).await;
        for raise in [
            "update public.user_profiles set kyc_status = 'approved'",
            "update public.user_profiles set accredited_investor = true",
            "insert into public.user_role_assignments (user_id, role) values (auth.uid(), 'compliance_officer')",
        ] {
            client.batch_execute("begin").await.unwrap();
            person.act(&client).await;
            let refused = client.batch_execute(raise).await.unwrap_err();
            client.batch_execute("rollback").await.unwrap();
            assert_eq!(
                refused.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{roles:?}: {raise}"
            );
        }
    }
}

#[tokio::test]
async fn a_role_ends_at_once_and_a_plain_token_never_had_it() {
    let world = World::own_database().await;
    let client = world.admin().await;
    load(&client).await;
    let staff = [3, 5, 6];
    let mut before = Vec::new();
    for number in staff {
        before.extend(staff_and_plain(&client, number).await);
    }
    let before = can_do(&client, before).await;
    client
        .execute(
            "update public.user_role_assignments set is_active = false where role <> 'investor'",
            &[],
        )
        .await
        .unwrap();
    let mut after = Vec::new();
    for number in staff {
        let [staff, _] = staff_and_plain(&client, number).await;
        after.push(staff);
    }
    let after = can_do(&client, after).await;
    for (at, number) in staff.into_iter().enumerate() {
        let (with_role, plain, without_role) = (&before[2 * at], &before[2 * at + 1], &after[at]);
        assert_ne!(with_role, plain, "person {number} has a role that gives something");
        assert_eq!(
            without_role, plain,
            "person {number}: the same staff token without the role is an ordinary person's"
        );
    }
}

#[tokio::test]
async fn a_token_without_a_person_owns_nothing() {
    let world = World::own_database().await;
    let client = world.admin().await;
    load(&client).await;
    let personas = ["authenticated", "nexus_staff"].map(|role| nobody("no person", role, json!({ "role": role })));
    let mut all = vec![nobody("visitor", "anon", json!({ "role": "anon" }))];
    all.extend(personas);
    let matrix = Matrix::of(&client, all, subjects(&client).await).await;
    for block in &matrix.blocks {
        let open_rooms = block.subject.title() == "public.chat_rooms";
        for cell in &block.cells[1..] {
            let public = &block.cells[0].read.rows;
            let title = block.subject.title();
            assert!(
                open_rooms || cell.read.rows.is_subset(public),
                "{title}: who is nobody sees what a visitor does not"
            );
            assert!(cell.writes_nothing(), "{title}: who is nobody writes");
        }
    }
}

#[tokio::test]
async fn an_agent_looks_on() {
    let world = World::own_database().await;
    let client = world.admin().await;
    load(&client).await;
    let manager = staff_and_plain(&client, 3).await.into_iter().next().unwrap();
    let as_manager = can_do(&client, vec![manager]).await;
    client
        .execute(
            "update public.property_members set capacity = 'agent' where user_id = $1",
            &[&person(3)],
        )
        .await
        .unwrap();
    let agent = staff_and_plain(&client, 3).await.into_iter().next().unwrap();
    let as_agent = can_do(&client, vec![agent]).await;
    let changes = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("read "));
        lines.filter(|line| line.contains("assigned")).count()
    };
    let reads = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.contains("read ") || !line.starts_with(' '));
        lines.map(str::to_owned).collect()
    };
    assert_ne!(changes(&as_manager[0]), 0, "a manager changes what is assigned");
    assert_eq!(changes(&as_agent[0]), 0, "an agent changes nothing of it");
    assert_eq!(reads(&as_agent[0]), reads(&as_manager[0]), "and sees all of it");
}
