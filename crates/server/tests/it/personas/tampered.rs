//! The matrix can fail: holes made in the wall show in exactly the lines that they open, and break the laws that no page
//! can loosen; what the fixture does not know is asked for by name.

use std::collections::BTreeSet;

use super::fixture::load;
use super::{lacks, matrix, never};
use crate::world::World;

const HOLES: &str = "
    alter table public.party_screenings disable row level security;
    grant update (kyc_status) on public.user_profiles to authenticated;
    create policy notifications_open on public.notifications for select to authenticated using (true);
    grant truncate on public.notifications to anon;
    create policy avatars_open on storage.objects for select to anon using (bucket_id = 'user-avatars');
    grant execute on function public.refresh_analytics_views() to anon;
    create or replace function nexus.is_trusted_caller() returns boolean language sql stable return true;
";

const PEOPLE: &[&str] = &[
    "investor",
    "another investor",
    "property_manager",
    "another property's manager",
    "compliance_officer",
    "admin",
];

const WITHOUT_ADMIN: &[&str] = PEOPLE.split_at(5).0;

/// What the holes above change: relation, personas, the line that goes, the line that comes.
const OPENED: &[(&str, &[&str], &str, &str)] = &[
    (
        "public.party_screenings",
        &["property_manager", "another property's manager", "admin"],
        "nothing",
        "read all",
    ),
    (
        "public.user_profiles",
        PEOPLE,
        "update own (full_name display_name phone avatar_url investment_experience risk_tolerance preferred_investment_size)",
        "update own (full_name display_name phone avatar_url kyc_status investment_experience risk_tolerance \
         preferred_investment_size)",
    ),
    ("public.notifications", PEOPLE, "read own", "read all"),
    ("public.notifications", &["visitor"], "nothing", "truncate"),
    ("storage.objects in user-avatars", &["visitor"], "nothing", "read all"),
    (
        "public.refresh_analytics_views()",
        &[
            "visitor",
            "property_manager",
            "another property's manager",
            "compliance_officer",
        ],
        "refresh: refused",
        "refresh: done",
    ),
    (
        "public.has_role(user_id uuid, role text)",
        WITHOUT_ADMIN,
        "another, investor: null",
        "another, investor: true",
    ),
    (
        "public.get_user_role(user_id uuid)",
        WITHOUT_ADMIN,
        "another's: null",
        "another's: investor",
    ),
    (
        "public.can_access_property(user_id uuid, property_id uuid)",
        WITHOUT_ADMIN,
        "another, an active property: null",
        "another, an active property: true",
    ),
    (
        "public.can_access_property(user_id uuid, property_id uuid)",
        WITHOUT_ADMIN,
        "another, nobody's: null",
        "another, nobody's: false",
    ),
];

#[tokio::test]
async fn a_hole_shows_in_the_lines_that_it_opens() {
    let world = World::own_database().await;
    let client = world.admin().await;
    load(&client).await;
    client.batch_execute(HOLES).await.unwrap();
    let tampered = matrix(&client).await;
    let (before, after) = (told(include_str!("../personas.txt")), told(&tampered.page()));
    let expected = |goes: bool| -> BTreeSet<String> {
        let lines = OPENED.iter().flat_map(|(title, personas, gone, come)| {
            let line = if goes { *gone } else { *come };
            personas
                .iter()
                .map(move |persona| format!("{title} | {persona} | {line}"))
        });
        lines.collect()
    };
    let difference = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        difference(&before, &after),
        expected(true),
        "these lines go and no others"
    );
    assert_eq!(
        difference(&after, &before),
        expected(false),
        "these lines come and no others"
    );

    let broken = never::broken_laws(&tampered);
    for law in [
        "public.party_screenings: admin sees what is secret",
        "public.user_profiles: investor writes kyc_status",
        "public.notifications: another investor sees another's rows",
        "public.notifications: visitor may truncate",
    ] {
        assert!(broken.iter().any(|said| said == law), "{law} is not among {broken:#?}");
    }
}

#[tokio::test]
async fn what_the_fixture_does_not_know_is_asked_for() {
    let world = World::own_database().await;
    let client = world.admin().await;
    load(&client).await;
    assert_eq!(lacks(&client).await, Vec::<String>::new());
    client
        .batch_execute(
            "create table public.strays (id uuid primary key);
             create view nexus.glimpses as select 1 as id;
             create function public.wonder() returns integer language sql return 1;
             insert into storage.buckets (id, name) values ('odds', 'odds');
             alter table public.notifications add column colour text;
             delete from public.kyc_documents where user_id = 'a0000000-0000-4000-8000-000000000002';
             delete from public.property_analytics where property_id = 'b0000000-0000-4000-8000-000000000003'",
        )
        .await
        .unwrap();
    let lacks = lacks(&client).await;
    let named = [
        "nexus.glimpses is new",
        "public.strays is new",
        "public.wonder() is new",
        "bucket odds is new",
        "public.kyc_documents has no row of person 2",
        "public.notifications.colour is null in every row",
        "public.property_analytics has no row of property 3",
    ];
    assert_eq!(lacks.len(), named.len(), "{lacks:#?}");
    for (said, name) in lacks.iter().zip(named) {
        assert!(said.starts_with(name), "{said:?} should begin with {name:?}");
    }
}

/// A page line by line, each with its relation and one persona.
fn told(page: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let (mut title, mut together) = (String::new(), Vec::new());
    let blocks = page
        .split("\n\n")
        .filter(|block| block.lines().nth(1).is_some_and(|line| line.starts_with("  visitor")));
    for line in blocks.flat_map(str::lines) {
        if let Some(said) = line.strip_prefix("    ") {
            told.extend(together.iter().map(|persona| format!("{title} | {persona} | {said}")));
        } else if let Some(names) = line.strip_prefix("  ") {
            let list = names.strip_suffix(": nothing").unwrap_or(names);
            together = list.split(", ").map(str::to_owned).collect();
            if list != names {
                told.extend(together.iter().map(|persona| format!("{title} | {persona} | nothing")));
            }
        } else {
            title = line.to_owned();
        }
    }
    told
}
