//! Resumable uploads: what was acknowledged is there whatever happens, and nothing is left of what is given up.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use nexus_mint::files;
use nexus_mint::storage::resumable::forget_expired;
use uuid::Uuid;

use super::crashes::mortal;
use super::{Heard, ask, bucket, get, service};
use crate::site::{Signed, Site};
use crate::world::World;

const PART: usize = 8 * 1024 * 1024;

/// Content that no other test stores, of two parts and a stretch.
fn content() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..2 * PART + 1000).map(|at| (at % 251) as u8).collect();
    bytes[..16].copy_from_slice(Uuid::now_v7().as_bytes());
    bytes
}

async fn begin(site: &Site, who: &Signed, bucket: &str, name: &str, length: usize) -> Heard {
    let told = format!(
        "bucketName {},objectName {}",
        STANDARD.encode(bucket),
        STANDARD.encode(name)
    );
    let request = Request::post("/storage/v1/upload/resumable")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", length)
        .header("upload-metadata", told);
    ask(site, Some(who), request, "").await
}

fn place(heard: &Heard) -> String {
    let location = heard.headers["location"].to_str().unwrap();
    location.strip_prefix("http://127.0.0.1:54321").unwrap().to_owned()
}

async fn patch(site: &Site, who: &Signed, place: &str, offset: usize, body: impl Into<Body>) -> Heard {
    let request = Request::patch(place)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", offset)
        .header("content-type", "application/offset+octet-stream");
    ask(site, Some(who), request, body).await
}

async fn stands(site: &Site, who: &Signed, place: &str) -> (StatusCode, usize) {
    let request = Request::head(place).header("tus-resumable", "1.0.0");
    let heard = ask(site, Some(who), request, "").await;
    let offset = heard
        .headers
        .get("upload-offset")
        .map(|offset| offset.to_str().unwrap());
    (heard.status, offset.map_or(0, |offset| offset.parse().unwrap()))
}

#[tokio::test]
async fn a_body_that_breaks_off_is_kept_as_far_as_it_came() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, false).await);
    let content = content();
    let place = place(&begin(&site, &who, &name, "a", content.len()).await.ok());
    // One part whole and some of the next, then the connection is gone.
    let came = PART + 300_000;
    let pieces: Vec<_> = content[..came]
        .chunks(100_000)
        .map(|piece| Ok(piece.to_vec()))
        .chain([Err(std::io::Error::other("gone"))])
        .collect();
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    assert!(!patch(&site, &who, &place, 0, body).await.status.is_success());
    assert_eq!(stands(&site, &who, &place).await, (StatusCode::OK, came));
    assert_eq!(
        get(&site, &who, &name, "a").await.told().1,
        "404",
        "it is no object yet"
    );
    // Another program goes on: nothing was held in the first one's memory.
    let folder = site.app.config.settings.data_dir.clone();
    assert!(folder.exists());
    let wrong = patch(&site, &who, &place, PART, content[PART..].to_vec()).await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    let done = patch(&site, &who, &place, came, content[came..].to_vec()).await.ok();
    assert_eq!(done.headers["tus-complete"], "1");
    assert_eq!(stands(&site, &who, &place).await, (StatusCode::OK, content.len()));
    assert_eq!(get(&site, &who, &name, "a").await.ok().bytes, content);
    let more = patch(&site, &who, &place, content.len(), "more").await;
    assert_eq!(more.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn bodies_may_end_anywhere() {
    let site = Site::over(World::own_database().await);
    let (who, name) = (service(&site), bucket(&site, false).await);
    let content = content();
    // A first body that fills a part or not, then pieces within the last stretch.
    for first in [0, 1, PART - 1, PART, PART + 1, content.len() - PART, content.len() - 1] {
        let object = format!("a-{first}");
        let place = place(&begin(&site, &who, &name, &object, content.len()).await.ok());
        let mut offset = 0;
        for until in [first, content.len() - 900, content.len() - 1, content.len()] {
            if until < offset {
                continue;
            }
            let heard = patch(&site, &who, &place, offset, content[offset..until].to_vec())
                .await
                .ok();
            assert_eq!(heard.headers["upload-offset"], until.to_string().as_str(), "{first}");
            assert_eq!(heard.headers.contains_key("tus-complete"), until == content.len());
            offset = until;
        }
        assert_eq!(get(&site, &who, &name, &object).await.ok().bytes, content, "{first}");
    }
    files::collect_unnamed(&site.app.db, &site.app.files).await.unwrap();
    let kept = site.app.files.blocking(|store| Ok(store.files()?.len())).await.unwrap();
    assert_eq!(kept, 1, "of all parts nothing is left");
}

#[tokio::test]
async fn wherever_the_program_ends_the_upload_goes_on() {
    let mut site = Site::over(World::own_database().await);
    let (who, name) = (service(&site), bucket(&site, false).await);
    let content = content();
    let immortal = site.app.clone();
    // Steps of the store around every border: parts begun, written, flushed, kept, and the object itself.
    for steps in [
        1, 2, 30, 34, 35, 36, 37, 38, 69, 70, 71, 72, 73, 74, 75, 100, 145, 146, 147,
    ] {
        let object = format!("a-{steps}");
        let place = place(&begin(&site, &who, &name, &object, content.len()).await.ok());
        site.app = mortal(&immortal, steps, steps % 2 == 0);
        let cut = patch(&site, &who, &place, 0, content.clone()).await;
        site.app = immortal.clone();
        let (status, offset) = stands(&site, &who, &place).await;
        assert_eq!(status, StatusCode::OK);
        let is_there = get(&site, &who, &name, &object).await.status.is_success();
        if cut.status.is_success() || is_there {
            assert!(is_there, "step {steps}: what was said to be done is done");
        }
        if !is_there {
            assert!(
                offset < content.len(),
                "step {steps}: an upload is done when its object is there"
            );
            patch(&site, &who, &place, offset, content[offset..].to_vec())
                .await
                .ok();
        }
        assert_eq!(
            get(&site, &who, &name, &object).await.ok().bytes,
            content,
            "step {steps}"
        );
    }
    // Nothing is left but the one content that all of them have.
    site.advance(TimeDelta::days(2));
    forget_expired(&site.app).await.unwrap();
    files::collect_unnamed(&site.app.db, &site.app.files).await.unwrap();
    let later = SystemTime::now() + Duration::from_secs(3600);
    files::collect(&site.app.db, &site.app.files, later).await.unwrap();
    let kept = site.app.files.blocking(|store| Ok(store.files()?.len())).await.unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn an_upload_is_its_owners_and_expires() {
    let site = Site::over(World::own_database().await);
    let (ann, bob) = (site.person(&[]).await, site.person(&[]).await);
    let object = format!("{}/me.png", ann.id);
    let refused = begin(&site, &bob, "user-avatars", &object, 100).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let large = begin(&site, &ann, "user-avatars", &object, PART).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "the bucket takes 2 MiB");
    let chat = bucket(&site, false).await;
    let who = service(&site);
    let content = content();
    let theirs = place(&begin(&site, &ann, "user-avatars", &object, 100).await.ok());
    for other in [&bob, &who] {
        assert_eq!(stands(&site, other, &theirs).await.0, StatusCode::NOT_FOUND);
        assert_eq!(patch(&site, other, &theirs, 0, "x").await.status, StatusCode::NOT_FOUND);
    }
    let given_up = place(&begin(&site, &who, &chat, "a", content.len()).await.ok());
    patch(&site, &who, &given_up, 0, content[..PART].to_vec()).await.ok();
    let left = async || site.app.files.blocking(|store| Ok(store.files()?.len())).await.unwrap();
    assert_eq!(left().await, 1);
    // A part that waits is not collected.
    files::collect(
        &site.app.db,
        &site.app.files,
        SystemTime::now() + Duration::from_secs(3600),
    )
    .await
    .unwrap();
    assert_eq!(stands(&site, &who, &given_up).await, (StatusCode::OK, PART));
    assert_eq!(left().await, 1);
    site.advance(TimeDelta::hours(25));
    assert_eq!(stands(&site, &who, &given_up).await.0, StatusCode::GONE);
    assert_eq!(forget_expired(&site.app).await.unwrap(), 2);
    files::collect_unnamed(&site.app.db, &site.app.files).await.unwrap();
    assert_eq!(left().await, 0);
    assert_eq!(stands(&site, &who, &given_up).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_two_who_go_on_with_an_upload_the_later_one_does() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, false).await);
    let content = content();
    let place = place(&begin(&site, &who, &name, "a", content.len()).await.ok());
    // The first connection has sent something, and seems to be there still.
    let came = PART + 300_000;
    let (pieces, coming) = tokio::sync::mpsc::channel(1);
    let body = Body::from_stream(futures_util::stream::unfold(coming, |mut coming| async {
        coming
            .recv()
            .await
            .map(|piece: Vec<u8>| (Ok::<_, std::io::Error>(piece), coming))
    }));
    let silent = patch(&site, &who, &place, 0, body);
    let later = async {
        pieces.send(content[..came].to_vec()).await.unwrap();
        // It is taken in when there is room for the next.
        pieces.send(Vec::new()).await.unwrap();
        pieces.send(Vec::new()).await.unwrap();
        let lost = patch(&site, &who, &place, 0, content.clone()).await;
        assert_eq!(lost.status, StatusCode::CONFLICT, "more has come than it knows");
        let (status, offset) = stands(&site, &who, &place).await;
        assert_eq!(
            (status, offset),
            (StatusCode::OK, came),
            "what came over the old one is kept"
        );
        patch(&site, &who, &place, offset, content[offset..].to_vec())
            .await
            .ok()
    };
    let (silent, done) = futures_util::future::join(silent, later).await;
    assert_eq!(silent.status, StatusCode::LOCKED);
    assert_eq!(silent.headers["tus-resumable"], "1.0.0");
    assert_eq!(done.headers["tus-complete"], "1");
    assert_eq!(get(&site, &who, &name, "a").await.ok().bytes, content);
}

#[tokio::test]
async fn an_upload_tells_what_it_was_told_and_takes_other_methods() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, false).await);
    let place = place(&begin(&site, &who, &name, "a", 4).await.ok());
    let told = format!(
        "bucketName {},objectName {}",
        STANDARD.encode(&name),
        STANDARD.encode("a")
    );
    let by_post = |method: &'static str| {
        Request::post(&place)
            .header("tus-resumable", "1.0.0")
            .header("x-http-method-override", method)
            .header("content-type", "application/offset+octet-stream")
    };
    let head = ask(&site, Some(&who), by_post("HEAD"), "").await.ok();
    assert_eq!(head.headers["upload-metadata"], told.as_str());
    assert_eq!(
        (&head.headers["upload-length"], &head.headers["upload-offset"]),
        (&"4".parse().unwrap(), &"0".parse().unwrap())
    );
    let done = by_post("PATCH").header("upload-offset", 0);
    assert_eq!(
        ask(&site, Some(&who), done, "text").await.ok().headers["tus-complete"],
        "1"
    );
    assert_eq!(get(&site, &who, &name, "a").await.ok().bytes, b"text");
    assert_eq!(
        ask(&site, Some(&who), by_post("PUT"), "").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    ask(&site, Some(&who), by_post("DELETE"), "").await.ok();
    assert_eq!(stands(&site, &who, &place).await.0, StatusCode::NOT_FOUND);
}
