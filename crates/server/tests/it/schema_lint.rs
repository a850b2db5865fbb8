//! The schema lint shown at work: each rule fires for the object made for it and for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use nexus_mint::lint::{self, Finding, Kind};

use crate::schema_sql::compare;
use crate::world::{Server, World};

/// Which objects of `bad_schema.sql` break which rule, and no others do.
const EXPECTED: &[(&str, &[&str])] = &[
    ("row_security_off", &["bad.walls"]),
    ("grant_without_policy", &["bad.silences"]),
    ("policy_to_public", &["bad.posts: posts_to_public"]),
    (
        "open_write_policy",
        &["bad.posts: posts_anybody_inserts", "bad.posts: posts_signed_in_updates"],
    ),
    ("open_read_of_people", &["bad.posts: posts_everybody_reads"]),
    ("write_policy_without_check", &["bad.posts: posts_unchecked"]),
    ("policy_trusts_user_metadata", &["bad.posts: posts_by_own_word"]),
    ("policy_reads_own_table", &["bad.posts: posts_read_themselves"]),
    (
        "policy_calls_per_row",
        &[
            "bad.calls: calls_bare",
            "bad.calls: calls_correlated",
            "bad.calls: calls_of_row",
            "bad.calls: calls_setting",
        ],
    ),
    (
        "policy_or_with_role",
        &["bad.hidden_indexes: hidden_indexes_own_or_role"],
    ),
    ("several_permissive_policies", &["bad.crowds"]),
    ("public_grant", &["bad.gifts", "bad.gifts.note"]),
    ("whole_table_write", &["bad.floodgates"]),
    ("excess_grant", &["bad.powers", "bad.powers_number_seq"]),
    ("default_privileges_open", &["nexus_owner on tables in bad"]),
    ("api_role_over_the_wall", &["anon"]),
    ("function_execute_public", &["bad.callable_by_all()"]),
    ("definer_search_path", &["bad.definer_elsewhere()"]),
    ("definer_for_anon", &["bad.definer_for_visitors()"]),
    ("function_search_path_open", &["bad.lost_path()"]),
    ("writable_owner_rights_view", &["bad.back_doors"]),
    ("owner_rights_view_unexplained", &["bad.shadows"]),
    ("view_exposes_auth_users", &["bad.phone_books"]),
    ("public_matview_unexplained", &["bad.posters"]),
    ("foreign_table_granted", &["bad.windows"]),
    ("extension_in_schema", &["moddatetime"]),
    ("policy_without_grant", &["bad.locked_doors: locked_doors_own"]),
    ("select_by_column", &["bad.keyholes"]),
    ("matview_without_unique_index", &["bad.statues"]),
    ("foreign_owner", &["bad.strays"]),
    ("ours_in_platform_schema", &["auth.squatters"]),
    ("foreign_key_into_platform", &["bad.tenants: tenants_squat_code_fkey"]),
    ("no_primary_key", &["bad.namelesses"]),
    ("id_type", &["bad.guessables.id"]),
    (
        "foreign_key_without_index",
        &[
            "bad.orphans: orphans_father_id_fkey",
            "bad.orphans: orphans_mother_id_fkey",
            "bad.orphans: orphans_uncle_id_fkey",
        ],
    ),
    ("value_cascades", &["bad.payouts: payouts_parent_id_fkey"]),
    ("constraint_not_valid", &["bad.promises: promises_are_kept"]),
    ("duplicate_index", &["bad.twins_second_idx"]),
    ("invalid_index", &["bad.halves_name_idx"]),
    ("trigger_disabled", &["bad.sleepers: sleepers_touch"]),
    ("updated_at_without_trigger", &["bad.timestamps"]),
    ("unlogged_table", &["bad.whispers"]),
    (
        "inexact_type",
        &[
            "bad.guesses.price",
            "bad.guesses.weight",
            "bad.guesses.weights",
            "bad.ratio",
            "bad.roughly(x integer)",
        ],
    ),
    ("time_without_zone", &["bad.clocks.struck_at", "bad.midnight(day date)"]),
    ("sized_text", &["bad.labels.padded", "bad.labels.short"]),
    ("serial_column", &["bad.tickets.number"]),
    ("amount_type", &["bad.purses.fee_minor"]),
    ("enum_type", &["bad.mood"]),
    ("json_column", &["bad.envelopes.letter"]),
    ("jsonb_without_shape", &["bad.boxes.contents"]),
    ("relation_without_comment", &["bad.mutes"]),
    ("column_without_comment", &["bad.mutes.id"]),
    ("function_without_comment", &["bad.mute()"]),
    ("type_without_comment", &["bad.mute"]),
    ("comment_repeats_name", &["bad.parrots", "bad.parrots.wing_span"]),
    (
        "check_auto_named",
        &["bad.strangers: strangers_a_check", "bad.strangers: strangers_check"],
    ),
    ("constraint_numbered", &["bad.strangers: strangers_c_a_key1"]),
    ("constraint_not_named_after_table", &["bad.strangers: positive_c"]),
    ("table_not_plural", &["bad.sheep"]),
    (
        "name_needs_quotes",
        &["bad.\"Shouts\"", "bad.\"Shouts\".\"order\"", "bad.\"Shouts_pkey\""],
    ),
];

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/bad_schema.findings.txt");

/// What the lint says about a schema, asked by a role that may do nothing. Nothing of it stays: roles belong to the
/// cluster, and other tests live there.
async fn findings_on(server: Server, sql: &str, schema: &str, kinds: &[Kind]) -> Vec<Finding> {
    let world = World::own_empty_database_on(server).await;
    let mut client = world.admin().await;
    let tx = client.transaction().await.unwrap();
    tx.batch_execute(sql).await.unwrap();
    tx.batch_execute("create role lint_reader; set local role lint_reader")
        .await
        .unwrap();
    let findings = lint::run(&tx, &[schema], kinds).await.unwrap();
    tx.rollback().await.unwrap();
    findings
}

/// The same on every server there is, which must agree.
async fn findings(sql: &str, schema: &str, kinds: &[Kind]) -> Vec<Finding> {
    let mut answers = Vec::new();
    for server in Server::all() {
        answers.push(findings_on(server, sql, schema, kinds).await);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    answers.swap_remove(0)
}

#[tokio::test]
async fn our_own_schema_breaks_no_rule_that_is_not_accepted() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let found = lint::run(
            &client,
            &["public", "nexus", "nexus_storage", "ledger"],
            &[Kind::Wall, Kind::House],
        )
        .await
        .unwrap();
        let open = lint::accept(found, lint::ACCEPTED);
        assert_eq!(open, [], "on {server:?}");
        // Of Supabase's tables only the policies are ours; in a bucket each kind of person has a policy of their own.
        let found = lint::run(&client, &["storage"], &[Kind::Wall]).await.unwrap();
        let policies = found
            .iter()
            .filter(|finding| finding.object.starts_with("storage.objects: "));
        assert_eq!(policies.collect::<Vec<_>>(), Vec::<&Finding>::new(), "on {server:?}");
    }
}

async fn findings_on_the_bad_schema(kinds: &[Kind]) -> Vec<Finding> {
    findings(include_str!("bad_schema.sql"), "bad", kinds).await
}

#[tokio::test]
async fn each_rule_fires_for_its_own_objects_and_for_nothing_else() {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in findings_on_the_bad_schema(&[Kind::Wall, Kind::House]).await {
        found.entry(finding.rule).or_default().push(finding.object);
    }
    let expected: BTreeMap<&str, Vec<String>> = EXPECTED
        .iter()
        .map(|(rule, objects)| (*rule, objects.iter().map(|&object| object.to_owned()).collect()))
        .collect();
    assert_eq!(found, expected);

    let proven: BTreeSet<&str> = found.into_keys().collect();
    let all: BTreeSet<&str> = lint::rules().iter().map(|rule| rule.name).collect();
    assert_eq!(all, proven, "a rule without a bad example proves nothing");
}

#[tokio::test]
async fn nothing_fires_on_a_good_schema() {
    let found = findings(include_str!("good_schema.sql"), "good", &[Kind::Wall, Kind::House]).await;
    assert_eq!(found, []);
}

#[tokio::test]
async fn a_schema_that_was_not_asked_about_is_left_alone() {
    let found = findings(include_str!("bad_schema.sql"), "elsewhere", &[Kind::Wall, Kind::House]).await;
    let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(
        rules,
        ["api_role_over_the_wall", "ours_in_platform_schema"],
        "roles and foreign schemas are everybody's"
    );
}

#[tokio::test]
async fn the_wall_can_be_looked_at_alone() {
    let found = findings_on_the_bad_schema(&[Kind::Wall]).await;
    let walls: BTreeSet<_> = lint::rules()
        .iter()
        .filter(|rule| rule.kind == Kind::Wall)
        .map(|rule| rule.name)
        .collect();
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<BTreeSet<_>>(), walls);
}

#[tokio::test]
async fn the_findings_read_as_they_did() {
    let found = findings_on_the_bad_schema(&[Kind::Wall, Kind::House]).await;
    let mut text =
        String::from("What the schema lint says about bad_schema.sql. UPDATE_SNAPSHOTS=1 writes this file.\n");
    for rule in lint::rules() {
        write!(text, "\n{} ({:?}): {}\n", rule.name, rule.kind, rule.why).unwrap();
        for finding in found.iter().filter(|finding| finding.rule == rule.name) {
            writeln!(text, "  {}\n    {}", finding.object, finding.message).unwrap();
        }
    }
    compare(SNAPSHOT.as_ref(), &text);
}
