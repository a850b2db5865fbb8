//! What the platform files give a plain PostgreSQL: the functions of auth, storage and realtime behave as Supabase's.

use crate::callers::{Caller, as_text, asked, is_refused};
use crate::world::{Server, World};

#[tokio::test]
async fn the_parts_of_a_path_are_told_apart() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        for (name, expect) in [
            ("a/b/c.tar.gz", "{a,b}|c.tar.gz|gz|{a,b,c.tar.gz}"),
            ("picture.jpg", "{}|picture.jpg|jpg|{picture.jpg}"),
            ("folder/README", "{folder}|README|README|{folder,README}"),
            ("a//b.txt", "{a,\"\"}|b.txt|txt|{a,\"\",b.txt}"),
            ("folder/", "{folder}|||{folder,\"\"}"),
            (".hidden", "{}|.hidden|hidden|{.hidden}"),
        ] {
            let sql = format!(
                "insert into storage.objects (bucket_id, name) values ('chat-attachments', '{name}');
                 select storage.foldername(name), storage.filename(name), storage.extension(name), path_tokens from storage.objects where name = '{name}'"
            );
            assert_eq!(
                asked(&client, &Caller::operator(), &sql).await.as_deref(),
                Ok(expect),
                "{name} on {server:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_stored_object_is_not_deleted_behind_the_storage_services_back() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        client
            .batch_execute("insert into storage.objects (bucket_id, name) values ('chat-attachments', 'a/b.txt')")
            .await
            .unwrap();
        for table in ["storage.objects", "storage.buckets"] {
            for (setting, is_refusal) in [
                (None, true),
                (Some(""), true),
                (Some("false"), true),
                (Some("TRUE"), true),
                (Some("true"), false),
            ] {
                let allow = setting
                    .map(|value| format!("set local storage.allow_delete_query = '{value}';"))
                    .unwrap_or_default();
                for condition in ["false", "name = 'a/b.txt'"] {
                    let sql = format!("{allow} delete from {table} where {condition} returning 1");
                    let answer = asked(&client, &Caller::operator(), &sql).await;
                    assert_eq!(is_refused(&answer, "42501"), is_refusal, "{sql}: {answer:?}");
                    assert!(is_refusal || answer.is_ok(), "{sql}: {answer:?}");
                }
            }
        }
        let kept = "select count(*) from storage.objects where name = 'a/b.txt'";
        assert_eq!(asked(&client, &Caller::operator(), kept).await.as_deref(), Ok("1"));
    }
}

#[tokio::test]
async fn a_stored_object_tells_when_it_changed() {
    let world = World::own_database().await;
    let client = world.admin().await;
    let sql = "insert into storage.objects (bucket_id, name, updated_at) values ('chat-attachments', 'a/b.txt', '2001-01-01');
               update storage.objects set name = 'a/c.txt', updated_at = '2002-02-02' where name = 'a/b.txt' returning updated_at = now(), path_tokens";
    assert_eq!(
        asked(&client, &Caller::operator(), sql).await.as_deref(),
        Ok("t|{a,c.txt}")
    );
    let twice = "insert into storage.objects (bucket_id, name) values ('chat-attachments', 'x'), ('user-avatars', 'x'), ('chat-attachments', 'x')";
    assert!(
        is_refused(&asked(&client, &Caller::operator(), twice).await, "23505"),
        "a name is one object in its bucket"
    );
    let nowhere = "insert into storage.objects (bucket_id, name) values ('no-such-bucket', 'x')";
    assert!(
        is_refused(&asked(&client, &Caller::operator(), nowhere).await, "23503"),
        "a bucket must exist"
    );
}

#[tokio::test]
async fn who_asks_is_read_from_either_kind_of_setting() {
    const ID: &str = "11111111-2222-4333-8444-555555555555";
    const OTHER: &str = "99999999-2222-4333-8444-555555555555";
    let claims = format!(
        "set local request.jwt.claims = '{{\"sub\": \"{ID}\", \"role\": \"authenticated\", \"email\": \"a@b.c\"}}';"
    );
    let empty = "set local request.jwt.claims = ''; set local request.jwt.claim.sub = ''; set local request.jwt.claim.role = '';
                 set local request.jwt.claim.email = ''; set local request.jwt.claim = '';";
    let legacy = format!(
        "set local request.jwt.claims = ''; set local request.jwt.claim.sub = '{OTHER}'; set local request.jwt.claim.role = 'anon';
         set local request.jwt.claim.email = 'd@e.f'; set local request.jwt.claim = '{{\"sub\": \"{OTHER}\"}}';"
    );
    let nobody = "null|null|null|null".to_owned();
    let somebody =
        format!("{ID}|authenticated|a@b.c|{{\"sub\": \"{ID}\", \"role\": \"authenticated\", \"email\": \"a@b.c\"}}");
    let by_legacy = format!("{OTHER}|anon|d@e.f|{{\"sub\": \"{OTHER}\"}}");
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        for (what, settings, expect) in [
            ("nothing was ever set", String::new(), &nobody),
            ("one object of claims", claims.clone(), &somebody),
            (
                "a transaction later, when settings read back as ''",
                String::new(),
                &nobody,
            ),
            ("everything ''", empty.to_owned(), &nobody),
            (
                "claims beside '' of the old kind",
                format!("{empty}{claims}"),
                &somebody,
            ),
            ("one setting a claim", legacy.clone(), &by_legacy),
            (
                "both: the old kind wins, as on Supabase",
                format!("{claims}{}", legacy.split_once(';').unwrap().1),
                &by_legacy,
            ),
            (
                "claims without a person",
                "set local request.jwt.claims = '{\"role\": \"anon\"}';".to_owned(),
                &"null|anon|null|{\"role\": \"anon\"}".to_owned(),
            ),
        ] {
            client.batch_execute("begin").await.unwrap();
            let sql = format!("{settings} select auth.uid(), auth.role(), auth.email(), auth.jwt()");
            let told = as_text(&client.simple_query(&sql).await.unwrap());
            client.batch_execute("commit").await.unwrap();
            assert_eq!(&told, expect, "{what} on {server:?}");
        }
    }
}

#[tokio::test]
async fn a_message_is_stored_and_never_fails_who_sends_it() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let person = world.person(&[]).await;
        let count = "(select count(*) from realtime.messages)";
        let sent = "select realtime.send('{\"n\": 1}', 'tick', 'room:1');
                    select topic, event, extension, private, payload, inserted_at::date = now()::date, id is not null, realtime.topic() from realtime.messages";
        let stored = "\nroom:1|tick|broadcast|t|{\"n\": 1}|t|t|room:1";
        for caller in [Caller::operator(), Caller::service()] {
            assert_eq!(
                asked(&client, &caller, sent).await.as_deref(),
                Ok(stored),
                "{caller:?} on {server:?}"
            );
        }
        for (what, caller, call) in [
            (
                "a person, whom no policy lets send",
                Caller::of(&person),
                "realtime.send('{}', 'tick', 'room:1')",
            ),
            (
                "a visitor",
                Caller::visitor(),
                "realtime.send('{}', 'tick', 'room:1', false)",
            ),
            ("no topic", Caller::service(), "realtime.send('{}', 'tick', null)"),
        ] {
            let sql = format!(
                "create temporary table work (n integer); insert into work values (1); select {call};
                 select (select n from work), {count}"
            );
            assert_eq!(
                asked(&client, &caller, &sql).await.as_deref(),
                Ok("\n1|0"),
                "{what}: the message is lost, the work is not"
            );
        }
        let later = "select realtime.send('{}', 'tick', 'room:2', false);
                     update realtime.messages set inserted_at = '2031-05-05' where topic = 'room:2' returning tableoid::regclass, private";
        assert_eq!(
            asked(&client, &Caller::operator(), later).await.as_deref(),
            Ok("\nrealtime.messages_default|f"),
            "no day is without a place"
        );
    }
}
