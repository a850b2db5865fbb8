//! Changes of rows: nobody is sent what he may not read, and what goes wrong for one goes wrong for him alone.

use serde_json::json;

use super::{Listening, Talk};
use crate::site::{Signed, Site};
use crate::world::World;

/// A site over a database of its own with a table of people's notes.
async fn desk() -> (Site, Listening, tokio_postgres::Client) {
    let site = Site::over(World::own_database().await);
    let admin = site.world.admin().await;
    admin
        .batch_execute(
            "create table public.notes (id int primary key, owner_id uuid, word text, shown boolean not null default true);
             alter table public.notes enable row level security;
             grant select on public.notes to authenticated;
             create policy notes_own on public.notes for select to authenticated using (owner_id = (select auth.uid()) and shown);
             alter publication supabase_realtime add table public.notes",
        )
        .await
        .unwrap();
    let listening = Listening::over(&site.app).await;
    (site, listening, admin)
}

async fn followed(listening: &Listening, who: &Signed) -> Talk {
    let mut talk = listening.connect().await;
    let binding = json!({ "event": "*", "schema": "public", "table": "notes" });
    let told = talk.follow(binding, Some(&who.token)).await;
    assert_eq!(told["status"], "ok", "{told}");
    talk
}

async fn run(admin: &tokio_postgres::Client, sql: &str, people: &[&Signed]) {
    let mut text = sql.to_owned();
    for (at, person) in people.iter().enumerate() {
        text = text.replace(&format!("${}", at + 1), &format!("'{}'", person.id));
    }
    admin.batch_execute(&text).await.unwrap();
}

#[tokio::test]
async fn each_hears_of_his_own_rows_alone() {
    let (site, listening, admin) = desk().await;
    let (ann, ben) = (site.person(&[]).await, site.person(&[]).await);
    let (mut one, mut two) = (followed(&listening, &ann).await, followed(&listening, &ben).await);
    for round in 0..20 {
        let sql = format!("insert into notes values ({round}, $1, 'hers'), ({round} + 100, $2, 'his')");
        run(&admin, &sql, &[&ann, &ben]).await;
    }
    for round in 0..20 {
        let (_, hers, _) = one.change().await;
        assert_eq!(
            hers,
            json!({ "id": round, "owner_id": ann.id, "word": "hers", "shown": true })
        );
        let (_, his, _) = two.change().await;
        assert_eq!(his["id"], round + 100, "in order, and no other in between");
    }
    site.app.realtime.stop();
}

#[tokio::test]
async fn a_row_that_was_hidden_is_not_sent_as_it_was_then() {
    let (site, listening, admin) = desk().await;
    let ann = site.person(&[]).await;
    let mut talk = followed(&listening, &ann).await;
    // Both are committed before anybody can look at the first.
    run(
        &admin,
        "do $$ begin insert into notes values (1, $1, 'not yet fit to be seen', false); commit; update notes set shown = true, word = 'fit'; end $$",
        &[&ann],
    )
    .await;
    let (kind, row, _) = talk.change().await;
    assert_eq!((kind.as_str(), &row["word"]), ("UPDATE", &json!("fit")));
    site.app.realtime.stop();
}

#[tokio::test]
async fn rights_that_are_taken_away_hold_at_once() {
    let (site, listening, admin) = desk().await;
    let ann = site.person(&[]).await;
    let mut talk = followed(&listening, &ann).await;
    run(&admin, "insert into notes values (1, $1, 'a')", &[&ann]).await;
    assert_eq!(talk.change().await.1["word"], "a");
    let revoked =
        "revoke select on notes from authenticated; grant select (id, owner_id, shown) on notes to authenticated;
                   insert into notes values (2, $1, 'b')";
    run(&admin, revoked, &[&ann]).await;
    let (_, row, _) = talk.change().await;
    assert_eq!(
        row,
        json!({ "id": 2, "owner_id": ann.id, "shown": true }),
        "the column is not told any more"
    );
    let renewed =
        "drop policy notes_own on notes; create policy odd on notes for select to authenticated using (id % 2 = 1);
                   insert into notes values (4, $1, 'c'), (5, $1, 'd')";
    run(&admin, renewed, &[&ann]).await;
    assert_eq!(talk.change().await.1["id"], 5, "by the policy that holds now");
    let closed = "alter table notes disable row level security; revoke select on notes from authenticated;
                  grant select (word) on notes to authenticated; insert into notes values (6, null, 'e');
                  grant select on notes to authenticated; insert into notes values (7, null, 'f')";
    run(&admin, closed, &[]).await;
    loop {
        let (_, row, _) = talk.change().await;
        if row["id"] == 7 {
            break;
        }
        assert_eq!(
            row["id"], 6,
            "by the rights at the instant when it was decided about: none, or those of now"
        );
    }
    site.app.realtime.stop();
}

#[tokio::test]
async fn a_policy_that_fails_or_hangs_hurts_only_those_whom_it_fails() {
    let (site, listening, admin) = desk().await;
    let (ann, ben, cem) = (site.person(&[]).await, site.person(&[]).await, site.person(&[]).await);
    let sql = "create function public.trouble(whose uuid) returns boolean language plpgsql as $f$
               begin
                 if auth.uid() = $1 then raise exception 'trouble'; end if;
                 if auth.uid() = $2 then perform pg_sleep(60); end if;
                 return true;
               end $f$;
               create policy trouble on notes for select to authenticated using (trouble(owner_id))"
        .replace("$1", &format!("'{}'", ann.id))
        .replace("$2", &format!("'{}'", ben.id));
    admin.batch_execute(&sql).await.unwrap();
    let mut one = followed(&listening, &ann).await;
    let mut two = followed(&listening, &ben).await;
    let mut three = followed(&listening, &cem).await;
    run(&admin, "insert into notes values (1, $1, 'x')", &[&cem]).await;
    assert_eq!(three.change().await.1["id"], 1);
    for (talk, why) in [(&mut one, "trouble"), (&mut two, "statement timeout")] {
        let told = talk.until("system").await;
        assert_eq!(told["status"], "error");
        assert!(told["message"].as_str().unwrap().contains(why), "{told}");
        talk.until("phx_close").await;
    }
    run(&admin, "insert into notes values (2, $1, 'x')", &[&cem]).await;
    assert_eq!(three.change().await.1["id"], 2, "and on");
    site.app.realtime.stop();
}

#[tokio::test]
async fn when_the_stream_breaks_clients_are_told_and_it_goes_on() {
    let (site, listening, admin) = desk().await;
    let ann = site.person(&[]).await;
    let mut talk = followed(&listening, &ann).await;
    let slots = "select bool_and(temporary and active) from pg_replication_slots where database = current_database()";
    let goes_with_its_connection: Option<bool> = admin.query_one(slots, &[]).await.unwrap().get(0);
    assert_eq!(goes_with_its_connection, Some(true));
    let cut = "select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()";
    admin.execute(cut, &[]).await.unwrap();
    let told = talk.until("system").await;
    assert!(
        told["message"].as_str().unwrap().contains("may have been missed"),
        "{told}"
    );
    talk.until("phx_error").await;
    // As realtime-js does: the same channel again.
    let binding = json!({ "event": "*", "schema": "public", "table": "notes" });
    let mut told = talk.follow(binding, Some(&ann.token)).await;
    while told["status"] != "ok" {
        told = talk.until("system").await;
    }
    run(&admin, "insert into notes values (1, $1, 'after')", &[&ann]).await;
    assert_eq!(talk.change().await.1["word"], "after");
    site.app.realtime.stop();
}

#[tokio::test]
async fn many_with_different_rights_each_hear_all_of_theirs() {
    let (site, listening, admin) = desk().await;
    let mut people = Vec::new();
    for _ in 0..12 {
        let person = site.person(&[]).await;
        people.push((followed(&listening, &person).await, person));
    }
    let sql = "insert into notes select n, p.id, 'x' from unnest(string_to_array($1, ',')::uuid[]) with ordinality as p (id, at),
               lateral (select generate_series(1, 50) * 100 + p.at::int as n) as numbers";
    let ids: Vec<String> = people.iter().map(|(_, person)| person.id.to_string()).collect();
    admin.execute(sql, &[&ids.join(",")]).await.unwrap();
    for (talk, person) in &mut people {
        for _ in 0..50 {
            assert_eq!(talk.change().await.1["owner_id"], json!(person.id));
        }
    }
    site.app.realtime.stop();
}

#[tokio::test]
async fn a_transaction_that_stays_open_holds_nobody_up() {
    let (site, listening, admin) = desk().await;
    let ann = site.person(&[]).await;
    let mut talk = followed(&listening, &ann).await;
    let other = site.world.admin().await;
    admin.batch_execute("set synchronous_commit = on").await.unwrap();
    run(&other, "begin; insert into notes values (0, $1, 'late')", &[&ann]).await;
    for id in 1..=60 {
        let sql = format!(
            "insert into notes select {id}, $1, string_agg(md5(n::text), '') from generate_series(1, 1000) as n"
        );
        run(&admin, &sql, &[&ann]).await;
        assert_eq!(talk.change().await.1["id"], id);
    }
    run(&other, "commit", &[]).await;
    assert_eq!(talk.change().await.1["word"], "late");
    site.app.realtime.stop();
}

#[tokio::test]
async fn a_large_commit_is_told_whole_and_its_rows_are_found_by_their_keys() {
    let (site, listening, admin) = desk().await;
    let ann = site.person(&[]).await;
    let mut talk = followed(&listening, &ann).await;
    // More than is read at once, and of nobody, so that nothing of it waits for a reader.
    let many = "insert into notes select n, case when n % 10000 = 0 then $1::uuid end, 'many' from generate_series(1, 30000) as n";
    run(&admin, many, &[&ann]).await;
    run(&admin, "insert into notes values (40000, $1, 'next')", &[&ann]).await;
    for id in [10_000, 20_000, 30_000, 40_000] {
        assert_eq!(talk.change().await.1["id"], id);
    }
    let scans = "select coalesce(idx_scan, 0) > 0 from pg_stat_user_tables where relname = 'notes'";
    crate::seed::until(&admin, scans).await;
    let whole = "select seq_scan from pg_stat_user_tables where relname = 'notes'";
    let scans: i64 = admin.query_one(whole, &[]).await.unwrap().get(0);
    assert_eq!(scans, 1, "for its key, when it was made");
    site.app.realtime.stop();
}
