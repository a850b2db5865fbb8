//! `nexus-mint audit`, as an operator uses it, and the job of the server.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{PATIENCE, Program};
use crate::world::World;

#[tokio::test]
async fn heads_are_exported_and_verified_against() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    let program = Program::with(&world.admin_config());
    let nothing = program.run(&["audit", "head"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (1, ""));
    assert!(nothing.stderr.contains("nothing is sealed yet"), "{}", nothing.stderr);

    let person = world.person(&[]).await;
    let email = format!("{}@example.com", person.id.simple());
    let heads = program.data_dir().join("heads");
    let first = program.answer(&["audit", "seal"]);
    let party = "insert into public.parties (legal_name) values ('Ada')";
    admin.batch_execute(party).await.unwrap();
    let second = program.answer(&["audit", "seal"]);
    assert_eq!(program.answer(&["audit", "head"]), second);
    fs::write(&heads, format!("{first}\n\n{second}\n")).unwrap();
    let file = heads.to_str().unwrap();
    let told = program.answer(&["audit", "verify", "--against", file]);
    assert!(told.contains("externally anchored up to seal 2\nno problems"), "{told}");
    let told = program.answer(&["audit", "verify", "--against", &first]);
    assert!(told.contains("externally anchored up to seal 1"), "{told}");
    let told = program.answer(&["audit", "verify"]);
    assert!(told.contains("not externally anchored"), "{told}");

    // The person's data goes, and the chain stays true.
    let erased = program.answer(&["audit", "erase", "--login", &email, "--reason", "request 17"]);
    assert_eq!(erased, "erased the details of 1 audit rows");
    let again = program.answer(&["audit", "erase", "--login", &email, "--reason", "request 17"]);
    assert_eq!(again, "erased the details of 0 audit rows");
    let told = program.answer(&["audit", "verify", "--against", file]);
    assert!(
        told.contains(": details erased by case 1\n") && told.contains("no problems"),
        "{told}"
    );
    let left = "select count(*) from nexus.audit_details where before::text || after::text like '%' || $1 || '%'";
    let left: i64 = admin.query_one(left, &[&email]).await.unwrap().get(0);
    assert_eq!(left, 0);

    admin
        .batch_execute(
            "set session_replication_role = replica; update public.audit_log set actor_role = 'x' where id = 2",
        )
        .await
        .unwrap();
    let told = program.run(&["audit", "verify"]);
    assert_eq!(told.code, 1);
    assert!(
        told.stdout.starts_with("altered: audit row 2\n") && told.stdout.ends_with("\n1 problem"),
        "{}",
        told.stdout
    );
    let told = program.run(&["audit", "verify", "--json"]);
    let lines: Vec<Value> = told
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["what"], "audit row 2");
    assert_eq!(lines[lines.len() - 1]["summary"]["problems"], 1);

    let forged = second.replace("\"seal\":2", "\"seal\":3");
    let told = program.run(&["audit", "verify", "--against", &forged]);
    assert!(
        told.code == 1 && told.stderr.contains("this head was altered"),
        "{}",
        told.stderr
    );
}

#[tokio::test]
async fn the_server_seals_by_itself() {
    let world = World::own_database().await;
    let program = Program::with(&world.admin_config());
    let _server = program.serve(&[]);
    let admin = world.admin().await;
    let party = "insert into public.parties (legal_name) values ('Ada')";
    admin.batch_execute(party).await.unwrap();
    let begin = Instant::now();
    let unsealed =
        "select count(*) from public.audit_log where id > coalesce((select max(audit_up_to) from nexus.seals), 0)";
    while admin.query_one(unsealed, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(begin.elapsed() < PATIENCE, "nothing was sealed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    program.answer(&["audit", "verify"]);
}
