//! Downloads: what is kept in memory is given to whoever may have it and to nobody else, and a file that was changed to nobody.

use std::fs;
use std::path::{Path, PathBuf};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use nexus_mint::files::cache::ENTRY_BYTES_MAX;
use nexus_mint::files::sealed::{CHUNK, HEADER};
use nexus_mint::files::{BLOCK, collect_unnamed};
use nexus_mint::router::router;
use serde_json::json;
use tower::ServiceExt as _;

use super::{Heard, PNG, ask, at, bucket, get, picture, put, service};
use crate::site::{Signed, Site};
use crate::world::World;

/// A picture of so many bytes that no other test stores.
fn large(length: usize) -> Vec<u8> {
    let mut content = picture();
    content.extend((content.len()..length).map(|at| u8::try_from(at % 251).unwrap()));
    content
}

async fn open(site: &Site, bucket: &str, name: &str) -> Heard {
    let request = Request::get(format!("/storage/v1/object/public/{bucket}/{name}"));
    ask(site, None, request, "").await
}

fn taken(site: &Site) -> usize {
    site.app.files.cache().taken()
}

/// Asks until it is in memory.
async fn warmed(site: &Site, bucket: &str, name: &str, content: &[u8]) {
    for _ in 0..3 {
        assert_eq!(open(site, bucket, name).await.ok().bytes, content);
    }
    assert!(taken(site) >= content.len(), "it is kept");
}

async fn set_public(site: &Site, bucket: &str, is_public: bool) {
    let request = Request::put(format!("/storage/v1/bucket/{bucket}"));
    let body = json!({ "public": is_public }).to_string();
    ask(site, Some(&service(site)), request, body).await.ok();
}

#[tokio::test]
async fn what_is_in_memory_is_had_by_nobody_who_may_not_have_it() {
    let site = Site::over(World::own_database().await);
    let (who, name) = (service(&site), bucket(&site, true).await);
    let content = large(10_000);
    put(&site, &who, &name, "a", &content).await.ok();
    warmed(&site, &name, "a", &content).await;

    // By a client, who lets it go as well, and behind the server's back.
    set_public(&site, &name, false).await;
    assert_eq!(open(&site, &name, "a").await.told(), (400, "404".to_owned()));
    assert_eq!(taken(&site), 0, "nothing private is kept");
    assert_eq!(get(&site, &who, &name, "a").await.ok().bytes, content);
    set_public(&site, &name, true).await;
    warmed(&site, &name, "a", &content).await;
    let client = site.world.admin().await;
    let close = "update storage.buckets set public = false where id = $1";
    client.execute(close, &[&name]).await.unwrap();
    assert_eq!(open(&site, &name, "a").await.told(), (400, "404".to_owned()));
    let stranger = site.person(&[]).await;
    assert_eq!(get(&site, &stranger, &name, "a").await.told(), (400, "404".to_owned()));
    let open_again = "update storage.buckets set public = true where id = $1";
    client.execute(open_again, &[&name]).await.unwrap();
    assert_eq!(get(&site, &stranger, &name, "a").await.ok().bytes, content);

    // What takes its place is what everybody has from then on.
    let other = large(10_000);
    let upsert = Request::post(at(&name, "a")).header("x-upsert", "true");
    ask(&site, Some(&who), upsert, other.clone()).await.ok();
    warmed(&site, &name, "a", &other).await;
    ask(&site, Some(&who), Request::delete(at(&name, "a")), "").await.ok();
    assert_eq!(open(&site, &name, "a").await.told(), (400, "404".to_owned()));
    collect_unnamed(&site.app.db, &site.app.files).await.unwrap();
    assert_eq!(taken(&site), 0, "what is collected is not kept either");
}

#[tokio::test]
async fn what_is_private_is_never_kept_in_memory() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, false).await);
    let content = large(10_000);
    put(&site, &who, &name, "a", &content).await.ok();
    let sign = Request::post(format!("/storage/v1/object/sign/{name}/a"));
    let signed = ask(&site, Some(&who), sign, r#"{"expiresIn": 60}"#).await.ok().json();
    let link = format!("/storage/v1{}", signed["signedURL"].as_str().unwrap());
    for _ in 0..4 {
        assert_eq!(get(&site, &who, &name, "a").await.ok().bytes, content);
        let heard = ask(&site, None, Request::get(&link), "").await.ok();
        assert_eq!(heard.bytes, content);
    }
    assert_eq!(taken(&site), 0);
    // Nor is what is too large.
    let (name, content) = (bucket(&site, true).await, large(ENTRY_BYTES_MAX + 1));
    put(&site, &who, &name, "a", &content).await.ok();
    for _ in 0..3 {
        assert!(open(&site, &name, "a").await.ok().bytes == content);
    }
    assert_eq!(taken(&site), 0);
}

#[tokio::test]
async fn a_policy_holds_from_the_next_request_on() {
    let site = Site::over(World::own_database().await);
    let (who, person) = (service(&site), site.person(&[]).await);
    let (name, content) = (bucket(&site, false).await, picture());
    put(&site, &who, &name, "a", &content).await.ok();
    let client = site.world.admin().await;
    let see = async || get(&site, &person, &name, "a").await;
    assert_eq!(see().await.told(), (400, "404".to_owned()));
    for condition in [
        "(select auth.uid()) = 'PERSON'",
        "current_setting('storage.operation', true) = 'storage.object.get_authenticated'",
        "current_setting('request.method', true) = 'GET'",
        "current_setting('request.path', true) like '%/a'",
        "current_setting('request.headers', true)::json ->> 'x-case' = 'BUCKET'",
        "current_setting('request.headers', true)::json ->> 'authorization' is null",
        "current_setting('request.jwt.claim.sub', true) = 'PERSON'",
        "current_setting('request.jwt.claim.role', true) = 'authenticated'",
    ] {
        let condition = condition
            .replace("PERSON", &person.id.to_string())
            .replace("BUCKET", &name);
        let make = format!(
            "create policy a_case on storage.objects for select to authenticated using (bucket_id = '{name}' and {condition})"
        );
        client.batch_execute(&make).await.unwrap();
        let request = Request::get(at(&name, "a")).header("x-case", &name);
        assert_eq!(
            ask(&site, Some(&person), request, "").await.ok().bytes,
            content,
            "{condition}"
        );
        client
            .batch_execute("drop policy a_case on storage.objects")
            .await
            .unwrap();
        assert_eq!(see().await.told(), (400, "404".to_owned()), "{condition}");
    }
    // What a policy itself refuses is a refusal and no fault, and the next request is as good as any.
    let refuse = format!(
        "create function public.refuse() returns boolean language plpgsql as $$ begin raise insufficient_privilege; end $$;
         create policy a_case on storage.objects for select to authenticated using (bucket_id = '{name}' and public.refuse())"
    );
    client.batch_execute(&refuse).await.unwrap();
    assert_eq!(see().await.told(), (400, "403".to_owned()));
    client
        .batch_execute("drop policy a_case on storage.objects")
        .await
        .unwrap();
    assert_eq!(see().await.told(), (400, "404".to_owned()));
}

/// What an answer says, and its bytes.
fn told(heard: &Heard) -> (u16, Vec<(String, String)>, &[u8]) {
    let mut headers: Vec<(String, String)> = heard
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (heard.status.as_u16(), headers, &heard.bytes)
}

#[tokio::test]
async fn an_answer_from_memory_is_the_answer_from_the_file() {
    let site = Site::new().await;
    let who = service(&site);
    let (name, hidden) = (bucket(&site, true).await, bucket(&site, false).await);
    let etag = async |of: &str| get(&site, &who, of, "a").await.header("etag").to_owned();
    for length in [PNG.len() + 16, CHUNK, BLOCK, BLOCK + 1, BLOCK + 3 * CHUNK + 7] {
        let content = large(length);
        let upsert = |of: &str| Request::post(at(of, "a")).header("x-upsert", "true");
        for of in [&name, &hidden] {
            ask(&site, Some(&who), upsert(of), content.clone()).await.ok();
        }
        warmed(&site, &name, "a", &content).await;
        let tag = etag(&name).await;
        assert_eq!(tag, etag(&hidden).await);
        let end = length + 1;
        for (header, value) in [
            ("range", "bytes=0-0".to_owned()),
            ("range", "bytes=5-".to_owned()),
            ("range", "bytes=-7".to_owned()),
            ("range", format!("bytes=3-{}", length - 2)),
            ("range", format!("bytes={}-{end}", length - 1)),
            ("range", format!("bytes={end}-")),
            ("if-none-match", tag.clone()),
            ("x-none", String::new()),
        ] {
            for method in ["GET", "HEAD"] {
                let request = |of: &str| {
                    Request::builder()
                        .method(method)
                        .uri(at(of, "a"))
                        .header(header, &value)
                };
                let from_file = ask(&site, Some(&who), request(&hidden), "").await;
                let from_memory = ask(&site, Some(&who), request(&name), "").await;
                let (mut one, mut other) = (told(&from_file), told(&from_memory));
                for headers in [&mut one.1, &mut other.1] {
                    headers.retain(|(name, _)| name != "last-modified");
                }
                assert!(
                    one == other,
                    "{length} {method} {header}: {value}: {:?} {:?}",
                    one.1,
                    other.1
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_public_needs_no_token_and_conditions_must_hold() {
    let site = Site::new().await;
    let who = service(&site);
    let (name, hidden) = (bucket(&site, true).await, bucket(&site, false).await);
    for of in [&name, &hidden] {
        ask(&site, Some(&who), Request::post(at(of, "a")), PNG).await.ok();
    }
    let tag = ask(&site, None, Request::get(at(&name, "a")), "")
        .await
        .ok()
        .header("etag")
        .to_owned();
    let refused = ask(&site, None, Request::get(at(&hidden, "a")), "").await;
    assert_eq!(
        refused.json()["message"],
        "headers must have required property 'authorization'"
    );
    for (header, value, status) in [
        ("if-match", tag.as_str(), 200),
        ("if-match", "\"other\"", 412),
        ("if-unmodified-since", "Thu, 01 Jan 2099 00:00:00 GMT", 200),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ] {
        let request = Request::get(at(&name, "a")).header(header, value);
        assert_eq!(ask(&site, None, request, "").await.status, status, "{header}: {value}");
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// Changes a byte of the file that holds some content, by its length, which no other file has.
fn damage(site: &Site, content: &[u8], at: usize) {
    let at_rest = HEADER + content.len() + 16 * content.len().div_ceil(CHUNK);
    let files = files_below(&site.app.config.settings.data_dir.join("files"));
    let found: Vec<PathBuf> = files
        .into_iter()
        .filter(|path| fs::metadata(path).unwrap().len() == at_rest as u64)
        .collect();
    let [path] = found.as_slice() else {
        panic!("{found:?}");
    };
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The bytes that came, and whether that was all.
async fn received(site: &Site, who: &Signed, bucket: &str) -> (u16, Option<Vec<u8>>) {
    let request = Request::get(at(bucket, "a")).header("authorization", format!("Bearer {}", who.token));
    let response = router(site.app.clone())
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    (
        parts.status.as_u16(),
        to_bytes(body, usize::MAX).await.ok().map(Vec::from),
    )
}

#[tokio::test]
async fn a_file_that_was_changed_is_refused_or_broken_off() {
    let site = Site::new().await;
    let who = service(&site);
    for is_public in [false, true] {
        // Where the first block has the damage, the answer says so; behind it, the answer breaks off.
        for (length, place, status) in [
            (10_000, HEADER + 5_000, 500),
            (BLOCK + CHUNK, HEADER + 5_000, 500),
            (3 * BLOCK + 5, HEADER + 2 * BLOCK, if is_public { 500 } else { 200 }),
        ] {
            let length = length + usize::from(is_public);
            let (name, content) = (bucket(&site, is_public).await, large(length));
            put(&site, &who, &name, "a", &content).await.ok();
            assert_eq!(received(&site, &who, &name).await, (200, Some(content.clone())));
            damage(&site, &content, place);
            for _ in 0..3 {
                let (answered, bytes) = received(&site, &who, &name).await;
                assert_eq!(answered, status, "{length}");
                assert!(answered == 500 || bytes.is_none(), "{length}");
            }
        }
    }
    assert_eq!(taken(&site), 0, "nothing of it is kept");
}

#[tokio::test]
async fn downloads_of_many_at_once_are_whole() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    let content = large(5 * BLOCK + 3);
    put(&site, &who, &name, "a", &content).await.ok();
    let all = (0..8).map(|_| received(&site, &who, &name));
    for heard in futures_util::future::join_all(all).await {
        assert!(heard == (200, Some(content.clone())));
    }
    assert!(taken(&site) <= nexus_mint::files::cache::BYTES_MAX);
}
