//! Stored files: rows and bytes stay together, whatever is cut off in between.

use std::time::{Duration, SystemTime};

use nexus_mint::command::Command;
use nexus_mint::db::Actor;
use nexus_mint::files::{self, sealed::digest_of};
use nexus_mint::problem::Problem;
use serde_json::Value;
use uuid::Uuid;

use crate::site::Site;
use crate::world::World;

const PDF: &[u8] = b"%PDF-1.7 a deed";

/// Content that no other test stores.
fn pdf() -> Vec<u8> {
    [PDF, Uuid::now_v7().as_bytes()].concat()
}

async fn command(site: &Site, who: Uuid) -> Command {
    Command::begin(&site.app, Actor::Person(who)).await.unwrap()
}

#[tokio::test]
async fn a_stored_file_has_the_row_that_storage_clients_read() {
    let site = Site::new().await;
    let who = site.person(&[]).await;
    let bytes = pdf();
    let name = format!("{}/passport.pdf", who.id);
    let staged = site.app.files.stage(bytes.clone()).await.unwrap();
    let command = command(&site, who.id).await;
    let stored = files::store(&command, &staged, "kyc-documents", &name, who.id)
        .await
        .unwrap();
    let found = files::find(&command, "kyc-documents", &name).await.unwrap().unwrap();
    assert_eq!((found.object_id, found.sha256), (stored.object_id, digest_of(&bytes)));
    command.commit().await.unwrap();
    assert_eq!(site.app.files.read(stored.sha256, 0..8).await.unwrap(), b"%PDF-1.7");

    let row = site
        .world
        .admin()
        .await
        .query_one(
            "select metadata, owner_id, version, owner from storage.objects where id = $1",
            &[&stored.object_id],
        )
        .await
        .unwrap();
    let metadata: Value = row.get(0);
    assert_eq!(metadata["mimetype"], "application/pdf", "its content decides");
    assert_eq!(
        (metadata["size"].as_u64(), metadata["httpStatusCode"].as_u64()),
        (Some(bytes.len() as u64), Some(200))
    );
    assert_eq!(metadata["contentLength"], metadata["size"]);
    assert_eq!(metadata["lastModified"], "2030-03-17T17:46:40.000Z");
    assert_eq!(row.get::<_, String>(1), who.id.to_string());
    assert!(row.get::<_, String>(2).parse::<Uuid>().is_ok());
}

#[tokio::test]
async fn what_a_bucket_does_not_take_is_refused_and_leaves_nothing() {
    let site = Site::new().await;
    let who = site.person(&[]).await;
    let taken = format!("{}/taken", who.id);
    for (bytes, bucket, name, rule) in [
        (b"<html></html>".to_vec(), "kyc-documents", "a", Some("files.kind")),
        (b"GIF89a".repeat(400_000), "user-avatars", "a", Some("files.size")),
        (pdf(), "no-bucket", "a", Some("files.bucket")),
        (pdf(), "kyc-documents", taken.as_str(), None),
        (pdf(), "kyc-documents", taken.as_str(), Some("files.name")),
    ] {
        let digest = digest_of(&bytes);
        let staged = site.app.files.stage(bytes).await.unwrap();
        let command = command(&site, who.id).await;
        let outcome = files::store(&command, &staged, bucket, name, who.id).await;
        match (outcome, rule) {
            (Ok(_), None) => command.commit().await.unwrap(),
            (Err(Problem::Refused(refusal)), Some(rule)) => {
                assert_eq!(refusal.rule, rule);
                assert!(!refusal.remedy.is_empty());
                drop(staged);
                let is_there = site
                    .app
                    .files
                    .blocking(move |store| store.exists(&digest))
                    .await
                    .unwrap();
                assert!(!is_there, "{rule}: nothing is left");
            }
            (outcome, rule) => panic!("{rule:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_crash_leaves_is_collected_and_what_a_row_names_is_not() {
    let site = Site::over(World::own_database().await);
    let who = site.person(&[]).await;
    let (orphan, kept) = (pdf(), pdf());
    let store = async |bytes: &[u8]| {
        let staged = site.app.files.stage(bytes.to_vec()).await.unwrap();
        let command = command(&site, who.id).await;
        let name = format!("{}/{}", who.id, Uuid::now_v7());
        files::store(&command, &staged, "kyc-documents", &name, who.id)
            .await
            .unwrap();
        command
    };
    drop(store(&orphan).await);
    store(&kept).await.commit().await.unwrap();
    std::mem::forget(site.app.files.stage(pdf()).await.unwrap());

    let (earlier, later) = (
        SystemTime::now() - Duration::from_secs(3600),
        SystemTime::now() + Duration::from_secs(3600),
    );
    let collected = files::collect(&site.app.db, &site.app.files, earlier).await.unwrap();
    assert_eq!(
        collected,
        files::Collected::default(),
        "young bytes may still get their row"
    );

    // Somebody is just storing the same content: it is left alone.
    let storing = store(&orphan).await;
    let collected = files::collect(&site.app.db, &site.app.files, later).await.unwrap();
    assert_eq!((collected.removed, collected.swept), (0, 1));
    drop(storing);
    // The rollback was sent and not waited for.
    for _ in 0..100 {
        if files::collect(&site.app.db, &site.app.files, later)
            .await
            .unwrap()
            .removed
            == 1
        {
            break;
        }
    }
    let (gone, there) = (digest_of(&orphan), digest_of(&kept));
    let exists = async |digest| {
        site.app
            .files
            .blocking(move |store| store.exists(&digest))
            .await
            .unwrap()
    };
    assert_eq!((exists(gone).await, exists(there).await), (false, true));
    let left = site.app.files.blocking(|store| Ok(store.files()?.len())).await.unwrap();
    assert_eq!(left, 1);
}
