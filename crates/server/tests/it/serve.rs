//! `nexus-mint serve` with its private cluster, from the first start to the last signal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::program::{Program, get};
use crate::world::World;

#[test]
fn the_first_start_makes_everything_and_the_second_finds_it() {
    let program = Program::embedded();
    let mut server = program.serve(&[]);
    assert!(
        server.ready_line.contains("embedded PostgreSQL"),
        "{}",
        server.ready_line
    );
    assert!(server.ready_line.contains("anon key: eyJ"), "{}", server.ready_line);
    assert!(
        server.ready_line.contains("service key: nexus-mint key service"),
        "the service key is not logged"
    );
    assert_eq!(server.get("/health"), (200, r#"{"status":"ok"}"#.to_owned()));
    assert_eq!(server.get("/ready").0, 200);
    let mode = fs::metadata(program.data_dir().join("secrets.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let id = program.answer(&[
        "user",
        "create",
        "--email",
        "Ada@Example.com",
        "--password",
        "secret123",
    ]);
    let token = program.answer(&["user", "token", "ada@example.com"]);
    let bearer = format!("Bearer {token}");
    let (status, body) = get(&server.url, "/auth/v1/user", &[("Authorization", bearer.as_str())]);
    assert_eq!(
        status, 200,
        "a command reaches the cluster of the running server: {body}"
    );
    assert!(body.contains(&id) && body.contains("ada@example.com"), "{body}");

    server.signal(libc::SIGTERM);
    assert_eq!(server.wait(), Some(0), "a server that is told to stop ends well");
    let server = program.serve(&[]);
    let (status, _) = get(&server.url, "/auth/v1/user", &[("Authorization", bearer.as_str())]);
    assert_eq!(status, 200, "people, sessions and keys outlive a restart");
}

#[test]
fn it_survives_the_kill_of_its_database_and_of_itself() {
    let program = Program::embedded();
    let mut server = program.serve(&[]);
    program.answer(&[
        "user",
        "create",
        "--email",
        "ada@example.com",
        "--password",
        "secret123",
    ]);

    let postmaster = || -> Option<i32> {
        let text = fs::read_to_string(program.data_dir().join("postgres/data/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok()
    };
    let first = postmaster().unwrap();
    kill(first);
    server.get_until("/ready", 503);
    server.get_until("/ready", 200);
    assert_ne!(postmaster(), Some(first), "the cluster was started anew");

    server.signal(libc::SIGKILL);
    assert_eq!(server.wait(), None);
    let server = program.serve(&[]);
    assert_eq!(server.get("/ready").0, 200);
    assert!(
        program.answer(&["user", "list"]).contains("ada@example.com"),
        "what was acknowledged is there"
    );
}

#[test]
fn a_second_server_says_what_is_in_its_way() {
    let program = Program::embedded();
    let server = program.serve(&[]);
    let address = server.url.strip_prefix("http://").unwrap();
    let taken = program.run(&["serve", "--listen", address]);
    assert_eq!(taken.code, 1);
    assert!(
        taken.stderr.contains("another program listens there"),
        "{}",
        taken.stderr
    );
    let second = program.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("already serves"), "{}", second.stderr);
}

#[tokio::test]
async fn readiness_follows_the_database() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let server = program.serve(&["--dev-keys"]);
    assert!(
        server
            .ready_line
            .contains("EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU"),
        "dev keys are shown"
    );
    assert_eq!(server.get("/ready").0, 200);

    let admin = world.admin().await;
    let forget = "delete from supabase_migrations.schema_migrations where version = '0900'";
    admin.batch_execute(forget).await.unwrap();
    let (status, body) = server.get("/ready");
    assert_eq!((status, body.contains("1 pending")), (503, true), "{body}");
    admin
        .batch_execute("alter table supabase_migrations.schema_migrations rename to moved")
        .await
        .unwrap();
    let (status, body) = server.get("/ready");
    assert_eq!((status, body.contains("failed")), (503, true), "{body}");
    assert_eq!(server.get("/health").0, 200, "the process is alive all the same");
}

fn kill(pid: i32) {
    // SAFETY: sends a signal to the server that the pid file of our own cluster names.
    #[allow(unsafe_code)]
    let sent = unsafe { libc::kill(pid, libc::SIGKILL) };
    assert_eq!(sent, 0);
}
