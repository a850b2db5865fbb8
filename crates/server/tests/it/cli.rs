//! The command line: answers on stdout, everything else on stderr, exit codes that scripts can use.

use std::fs;

use nexus_mint::config::{SETTINGS, Spec};
use nexus_mint::migrate::Sources;
use serde_json::Value;

use crate::program::Program;
use crate::world::{Server, World};

#[tokio::test]
async fn migrate_applies_what_is_missing_and_says_so() {
    let world = World::own_empty_database_on(Server::OfMachine).await;
    let program = Program::with(&world.admin_config());
    let sources = Sources::embedded();
    let all: Vec<&str> = sources
        .platform
        .iter()
        .chain(sources.migrations)
        .map(|file| file.name)
        .collect();

    let check = program.run(&["migrate", "--check"]);
    assert_eq!((check.code, check.stdout.lines().collect::<Vec<_>>()), (1, all.clone()));
    assert_eq!(program.answer(&["migrate"]).lines().collect::<Vec<_>>(), all);
    assert_eq!(program.answer(&["migrate"]), "", "again changes nothing");
    assert_eq!(program.answer(&["migrate", "--check"]), "");
}

#[tokio::test]
async fn a_changed_migration_is_named_and_a_foreign_one_is_left_alone() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let admin = world.admin().await;
    let foreign = "insert into supabase_migrations.schema_migrations (version, name) values ('99990101', 'theirs')";
    admin.batch_execute(foreign).await.unwrap();
    assert_eq!(program.run(&["migrate"]).code, 0);
    let change = "update supabase_migrations.schema_migrations set statements = '{select 1}' where version = '0020'";
    admin.batch_execute(change).await.unwrap();
    let outcome = program.run(&["migrate"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.stderr.contains("0020_currencies.sql is not what was applied"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn people_are_made_found_promoted_and_demoted() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let create = [
        "user",
        "create",
        "--email",
        "Ada@Example.com",
        "--password-stdin",
        "--name",
        "Ada L.",
    ];
    let made = program.run_with_stdin(&create, "correct horse\n");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let id = made.stdout;

    let row = world.admin().await;
    let row = row.query_one(
        "select u.id::text, u.encrypted_password, u.email_confirmed_at is not null, i.provider, i.email, p.full_name
         from auth.users u join auth.identities i on i.user_id = u.id join public.user_profiles p on p.id = u.id
         where u.email = 'ada@example.com'",
        &[],
    );
    let row = row.await.unwrap();
    assert_eq!(row.get::<_, String>(0), id);
    assert!(row.get::<_, String>(1).starts_with("$argon2id$"));
    assert!(row.get::<_, bool>(2));
    assert_eq!(
        (row.get::<_, &str>(3), row.get::<_, &str>(4)),
        ("email", "ada@example.com")
    );
    assert_eq!(row.get::<_, String>(5), "Ada L.");

    let twice = program.run_with_stdin(&create, "correct horse\n");
    assert_eq!(twice.code, 1);
    assert!(
        twice.stderr.contains("already a user with the address ada@example.com"),
        "{}",
        twice.stderr
    );

    assert_eq!(role_in_token(&program), "authenticated");
    program.answer(&["user", "grant", "ada@example.com", "property_manager"]);
    program.answer(&["user", "grant", "ada@example.com", "property_manager"]);
    assert_eq!(role_in_token(&program), "nexus_staff");
    let listed: Value = serde_json::from_str(&program.answer(&["user", "list", "--json"])).unwrap();
    assert_eq!(listed["roles"], serde_json::json!(["investor", "property_manager"]));
    program.answer(&["user", "revoke", "ada@example.com", "property_manager"]);
    assert_eq!(role_in_token(&program), "authenticated");
    assert_eq!(
        program
            .run(&["user", "revoke", "ada@example.com", "property_manager"])
            .code,
        1
    );
    assert_eq!(program.run(&["user", "token", "nobody@example.com"]).code, 1);
}

fn role_in_token(program: &Program) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = program.answer(&["user", "token", "ada@example.com", "--ttl", "5m"]);
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    for claim in [
        "iss",
        "sub",
        "aud",
        "email",
        "phone",
        "app_metadata",
        "user_metadata",
        "aal",
        "amr",
        "session_id",
    ] {
        assert!(!claims[claim].is_null(), "{claim}");
    }
    claims["role"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_is_all_that_is_printed() {
    let program = Program::embedded();
    let anon = program.answer(&["key", "anon"]);
    assert_eq!(anon.split('.').count(), 3);
    assert_eq!(anon, program.answer(&["key", "anon"]), "a key stays what it is");
    assert_ne!(anon, program.answer(&["key", "service"]));
    assert!(
        program
            .answer(&["key", "anon", "--dev-keys"])
            .ends_with("CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0")
    );
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let program = Program::embedded();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["user", "grant", "ada@example.com", "king"],
            2,
            "choose admin, compliance_officer",
        ),
        (&["user", "grant", "ada", "admin"], 2, "an e-mail address"),
        (&["serve", "--nonsense"], 2, "--nonsense"),
        (
            &["serve", "--listen", "here"],
            1,
            "listen (from flag --listen): expected an IP address and a port",
        ),
        (&["serve", "--listen", "0.0.0.0:1", "--dev-keys"], 1, "loopback"),
        (
            &["migrate", "--database-url", "postgres://u:hunter2@127.0.0.1:1/d"],
            1,
            "cannot connect to PostgreSQL as u@",
        ),
        (
            &[
                "migrate",
                "--database-url",
                "postgres://u:hunter2@127.0.0.1:1/d?sslmode=never",
            ],
            1,
            "verify-full",
        ),
    ];
    for (arguments, code, said) in cases {
        let outcome = program.run(arguments);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (*code, ""),
            "{arguments:?}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(said), "{arguments:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("hunter2"), "no password is shown");
    }
    assert_eq!(program.run(&[]).code, 2, "without a command there is help");
}

#[tokio::test]
async fn the_doctor_finds_what_is_missing_and_its_remedy_mends_it() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    let login = format!("limited_{}", std::process::id());
    admin
        .batch_execute(&format!("create role {login} login noinherit password 'pw'"))
        .await
        .unwrap();
    let mut config = world.admin_config();
    config.user(&login).password("pw");
    let program = Program::with(&config);

    // Each visit mends what the one before it found: first what the doctor himself needs, then what the server needs.
    for said in [
        "grant select on supabase_migrations.schema_migrations",
        "grant nexus_engine",
    ] {
        let found = program.run(&["doctor", "--json"]);
        assert_eq!(found.code, 1, "{}", found.stdout);
        let remedies = remedies(&found.stdout);
        assert!(remedies.contains(said), "{}", found.stdout);
        admin.batch_execute(&remedies).await.unwrap();
    }
    let after = program.run(&["doctor"]);
    assert_eq!(after.code, 0, "{}", after.stdout);
    let server = program.serve(&["--no-migrate"]);
    assert_eq!(
        server.get("/ready").0,
        200,
        "a login with these memberships and nothing else can serve"
    );
    drop(server);
    admin
        .batch_execute(&format!("drop owned by {login}; drop role {login}"))
        .await
        .unwrap();
}

/// The SQL of the failed checks.
fn remedies(json: &str) -> String {
    let report: Value = serde_json::from_str(json).unwrap();
    let failed = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == "failed");
    failed
        .filter_map(|check| check["remedy"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_documentation_lists_every_setting() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("<!-- settings -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of settings -->").unwrap();
    let row = |spec: &&Spec| {
        let flag = spec.flag.map_or(String::new(), |flag| format!("`--{flag}`"));
        let key = if spec.key == "data_dir" {
            String::new()
        } else {
            format!("`{}`", spec.key)
        };
        format!(
            "| `{}` | {flag} | {key} | {} | {} |\n",
            spec.env, spec.about, spec.default
        )
    };
    let expected = format!(
        "| environment | flag | nexus-mint.toml | what | default |\n| --- | --- | --- | --- | --- |\n{}",
        SETTINGS.iter().map(row).collect::<String>()
    );
    assert_eq!(table, expected, "docs/OPERATIONS.md and config.rs say the same");
}
