//! `/storage/v1` through the router: who may do what, what is served how, and that bytes and rows stay together.

mod crashes;
mod downloads;
mod listing;
mod pictures;
mod resuming;
mod walls;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, request::Builder};
use nexus_mint::files::sealed::{Digest, digest_of};
use nexus_mint::files::{self, Unnamed};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::{Signed, Site};

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a picture";

/// An answer.
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The status in the body, which is the real one.
    pub(crate) fn told(&self) -> (u16, String) {
        let body = self.json();
        (
            self.status.as_u16(),
            body["statusCode"].as_str().unwrap_or_default().to_owned(),
        )
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn ok(self) -> Heard {
        assert!(
            self.status.is_success(),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
}

pub(crate) async fn ask(site: &Site, who: Option<&Signed>, request: Builder, body: impl Into<Body>) -> Heard {
    let (status, headers, bytes) = site.send(who, request, body).await;
    Heard { status, headers, bytes }
}

pub(crate) fn service(site: &Site) -> Signed {
    Signed {
        id: Uuid::nil(),
        token: site.app.keys.service_key().expose().to_owned(),
    }
}

pub(crate) fn at(bucket: &str, name: &str) -> String {
    format!("/storage/v1/object/{bucket}/{name}")
}

pub(crate) async fn put(site: &Site, who: &Signed, bucket: &str, name: &str, bytes: &[u8]) -> Heard {
    ask(site, Some(who), Request::post(at(bucket, name)), bytes.to_vec()).await
}

pub(crate) async fn get(site: &Site, who: &Signed, bucket: &str, name: &str) -> Heard {
    ask(site, Some(who), Request::get(at(bucket, name)), "").await
}

/// A bucket of the service, by its name.
pub(crate) async fn bucket(site: &Site, is_public: bool) -> String {
    let name = format!("case-{}", Uuid::now_v7());
    let body = json!({ "id": name, "name": name, "public": is_public });
    let request = Request::post("/storage/v1/bucket");
    ask(site, Some(&service(site)), request, body.to_string()).await.ok();
    name
}

/// Content that no other test stores.
pub(crate) fn picture() -> Vec<u8> {
    [PNG, Uuid::now_v7().as_bytes()].concat()
}

pub(crate) async fn is_kept(site: &Site, bytes: &[u8]) -> bool {
    let digest: Digest = digest_of(bytes);
    site.app
        .files
        .blocking(move |store| store.exists(&digest))
        .await
        .unwrap()
}

async fn collected(site: &Site) -> Unnamed {
    files::collect_unnamed(&site.app.db, &site.app.files).await.unwrap()
}

#[tokio::test]
async fn what_is_replaced_or_removed_is_collected_unless_it_has_another_name() {
    let site = Site::over(crate::world::World::own_database().await);
    let (who, name) = (service(&site), bucket(&site, false).await);
    let (one, two) = (picture(), picture());
    put(&site, &who, &name, "a", &one).await.ok();
    put(&site, &who, &name, "b", &one).await.ok();
    let upsert = || Request::post(at(&name, "a")).header("x-upsert", "true");
    ask(&site, Some(&who), upsert(), two.clone()).await.ok();
    let one_kept = Unnamed { removed: 0, kept: 1 };
    assert_eq!(collected(&site).await, one_kept, "b has the same content");
    // The same content again takes nothing away.
    ask(&site, Some(&who), upsert(), two.clone()).await.ok();
    assert_eq!(collected(&site).await, Unnamed::default());
    let remove = |path| ask(&site, Some(&who), Request::delete(at(&name, path)), "");
    remove("a").await.ok();
    remove("b").await.ok();
    assert!(is_kept(&site, &one).await && is_kept(&site, &two).await);
    assert_eq!(collected(&site).await, Unnamed { removed: 2, kept: 0 });
    assert!(!is_kept(&site, &one).await && !is_kept(&site, &two).await);
    assert_eq!(get(&site, &who, &name, "a").await.told(), (400, "404".to_owned()));

    put(&site, &who, &name, "a", &one).await.ok();
    let body = json!({ "bucketId": name, "sourceKey": "a", "destinationKey": "c" });
    let request = Request::post("/storage/v1/object/copy");
    ask(&site, Some(&who), request, body.to_string()).await.ok();
    remove("a").await.ok();
    collected(&site).await;
    assert_eq!(get(&site, &who, &name, "c").await.ok().bytes, one, "a copy is its own");
}

#[tokio::test]
async fn bytes_that_somebody_is_storing_again_stay() {
    let site = Site::over(crate::world::World::own_database().await);
    let (who, name) = (service(&site), bucket(&site, false).await);
    let content = picture();
    put(&site, &who, &name, "a", &content).await.ok();
    ask(&site, Some(&who), Request::delete(at(&name, "a")), "").await.ok();
    // Somebody has the content's lock, as whoever stores it has.
    let client = site.world.admin().await;
    let lock = "begin; select pg_advisory_xact_lock_shared(nexus.file_lock(decode('DIGEST', 'hex')))";
    let hex: String = digest_of(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    client.batch_execute(&lock.replace("DIGEST", &hex)).await.unwrap();
    assert_eq!(collected(&site).await, Unnamed { removed: 0, kept: 1 });
    assert!(is_kept(&site, &content).await);
    client.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn what_staff_read_of_private_buckets_is_noted() {
    let site = Site::new().await;
    let (admin, investor) = (site.person(&["admin"]).await, site.person(&[]).await);
    let name = format!("{}/statement.pdf", investor.id);
    let content = [b"%PDF-1.7 ".as_slice(), Uuid::now_v7().as_bytes()].concat();
    put(&site, &service(&site), "investment-documents", &name, &content)
        .await
        .ok();
    let client = site.world.admin().await;
    let noted = async || {
        let text = "select count(*), min(bucket_id) from public.file_reads where object_name = $1 and reader_id = $2";
        let row = client.query_one(text, &[&name, &admin.id]).await.unwrap();
        row.get::<_, i64>(0)
    };
    let own = get(&site, &investor, "investment-documents", &name).await.ok();
    assert_eq!(own.bytes, content);
    let info = Request::get(format!("/storage/v1/object/info/investment-documents/{name}"));
    ask(&site, Some(&admin), info, "").await.ok();
    let head = Request::head(at("investment-documents", &name));
    ask(&site, Some(&admin), head, "").await.ok();
    assert_eq!(noted().await, 0, "nobody of the staff had a byte of it");
    get(&site, &admin, "investment-documents", &name).await.ok();
    assert_eq!(noted().await, 1);
    let range = Request::get(at("investment-documents", &name)).header("range", "bytes=0-3");
    assert_eq!(ask(&site, Some(&admin), range, "").await.ok().bytes, b"%PDF");
    assert_eq!(noted().await, 2);
    // A link is a read each time, by whoever signed it.
    let sign = Request::post(format!("/storage/v1/object/sign/investment-documents/{name}"));
    let signed = ask(&site, Some(&admin), sign, r#"{"expiresIn": 60}"#).await.ok().json();
    assert_eq!(noted().await, 2);
    let link = format!("/storage/v1{}", signed["signedURL"].as_str().unwrap());
    assert_eq!(ask(&site, None, Request::get(link), "").await.ok().bytes, content);
    assert_eq!(noted().await, 3);
    let sign = Request::post("/storage/v1/object/sign/investment-documents");
    let body = json!({ "expiresIn": 60, "paths": [name] }).to_string();
    let signed = ask(&site, Some(&admin), sign, body).await.ok().json();
    let link = format!("/storage/v1{}", signed[0]["signedURL"].as_str().unwrap());
    ask(&site, None, Request::get(link), "").await.ok();
    assert_eq!(noted().await, 4);
}

#[tokio::test]
async fn what_was_uploaded_runs_nothing_and_forges_no_header() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    for (path, kind, bytes, served, is_sandboxed) in [
        (
            "a.html",
            "text/html",
            &b"<script>alert(1)</script>"[..],
            "text/plain; charset=utf-8",
            false,
        ),
        (
            "a.xhtml",
            "application/xhtml+xml",
            b"<html/>",
            "text/plain; charset=utf-8",
            false,
        ),
        ("a.svg", "image/svg+xml", b"<svg/>", "image/svg+xml", true),
        ("a.xml", "text/xml", b"<a/>", "text/xml", true),
        ("a.js", "text/javascript", b"alert(1)", "text/javascript", true),
        ("a.png", "text/html", PNG, "image/png", false),
        ("b.html", "image/png", b"<script>alert(1)</script>", "text/plain", false),
    ] {
        let request = Request::post(at(&name, path))
            .header("content-type", kind)
            .header("cache-control", "max-age=1");
        ask(&site, Some(&who), request, bytes.to_vec()).await.ok();
        let request = Request::get(format!(
            "/storage/v1/object/public/{name}/{path}?download=a%0d%0ax-a:%20b"
        ));
        let heard = ask(&site, None, request, "").await.ok();
        assert_eq!(heard.header("content-type"), served, "{path}");
        assert_eq!(heard.header("x-content-type-options"), "nosniff");
        let policy = heard.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert_eq!(policy.contains("sandbox"), is_sandboxed, "{path}");
        assert_eq!(
            heard.header("content-disposition"),
            "attachment; filename=\"a__x-a: b\"; filename*=UTF-8''a%0D%0Ax-a%3A%20b"
        );
        assert!(!heard.headers.contains_key("x-a"));
        assert_eq!(heard.bytes, bytes);
    }
    // A form may say what no header could.
    let boundary = "b";
    let form = "--b\r\nContent-Disposition: form-data; name=\"contentType\"\r\n\r\ntext/plain\r\nset-cookie: a=b\r\n\
                --b\r\nContent-Disposition: form-data; name=\"cacheControl\"\r\n\r\n1\r\nset-cookie: a=b\r\n\
                --b\r\nContent-Disposition: form-data; name=\"\"; filename=\"../../x\"\r\nContent-Type: text/csv\r\n\r\na,b\r\n--b--\r\n";
    let request =
        Request::post(at(&name, "form")).header("content-type", format!("multipart/form-data; boundary={boundary}"));
    ask(&site, Some(&who), request, form).await.ok();
    let heard = get(&site, &who, &name, "form").await.ok();
    assert_eq!(
        (heard.header("content-type"), heard.header("cache-control")),
        ("text/plain", "no-cache")
    );
    assert!(!heard.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn no_name_leads_out_of_its_bucket() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, false).await);
    let long = "a".repeat(1025);
    for path in [
        "..",
        "../a",
        "a/../b",
        "%2e%2e/a",
        "a%2f..%2fb",
        "a//b",
        "%2fa",
        "a/",
        "a%00b",
        "a%0ab",
        "a%5cb",
        "%ff",
        "%c3%a9",
        "a%25b",
        &long,
    ] {
        let heard = put(&site, &who, &name, path, b"text").await;
        assert!(
            heard.status.is_client_error(),
            "{path}: {} {}",
            heard.status,
            String::from_utf8_lossy(&heard.bytes)
        );
        let heard = get(&site, &who, &name, path).await;
        assert!(heard.status.is_client_error(), "{path}: {}", heard.status);
    }
    for (from, to) in [("a", "../b"), ("../a", "b"), ("a", ""), ("a", "b\0"), ("a", "é")] {
        for what in ["move", "copy"] {
            let body = json!({ "bucketId": name, "sourceKey": from, "destinationKey": to });
            let request = Request::post(format!("/storage/v1/object/{what}"));
            let heard = ask(&site, Some(&who), request, body.to_string()).await;
            assert_eq!(heard.told(), (400, "400".to_owned()), "{from} {to}");
        }
    }
    let body = json!({ "prefixes": ["../../a", "a\0b"] });
    let request = Request::delete(format!("/storage/v1/object/{name}"));
    let heard = ask(&site, Some(&who), request, body.to_string()).await;
    assert!(heard.status.is_client_error(), "{}", heard.status);
}

#[tokio::test]
async fn a_body_is_refused_for_its_size_before_it_is_kept_and_by_the_bytes_that_came() {
    let site = Site::new().await;
    let (who, name) = (service(&site), format!("case-{}", Uuid::now_v7()));
    let body = json!({ "name": name, "file_size_limit": 300_000, "allowed_mime_types": ["image/png"] });
    ask(&site, Some(&who), Request::post("/storage/v1/bucket"), body.to_string())
        .await
        .ok();
    let content = [PNG, &vec![7; 299_000]].concat();
    put(&site, &who, &name, "fits", &content).await.ok();
    assert_eq!(get(&site, &who, &name, "fits").await.ok().bytes, content);
    let large = [PNG, &vec![7; 300_000]].concat();
    assert_eq!(
        put(&site, &who, &name, "large", &large).await.told(),
        (400, "413".to_owned())
    );
    // No length is told here.
    let pieces = large
        .chunks(10_000)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let body = Body::from_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>()));
    let heard = ask(&site, Some(&who), Request::post(at(&name, "large")), body).await;
    assert_eq!(heard.told(), (400, "413".to_owned()));
    let heard = put(&site, &who, &name, "text", &vec![b'x'; 200_000]).await;
    assert_eq!(heard.told(), (400, "415".to_owned()));
    // A client that breaks off leaves nothing.
    let broken = [Ok(PNG.to_vec()), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(broken));
    let heard = ask(&site, Some(&who), Request::post(at(&name, "broken")), body).await;
    assert_eq!(heard.told(), (400, "400".to_owned()));
    let left = site
        .app
        .files
        .blocking(|store| store.sweep(std::time::SystemTime::now() + std::time::Duration::from_secs(60)))
        .await
        .unwrap();
    assert_eq!(left, 0, "nothing is left among the incoming");
    assert!(!is_kept(&site, &large).await);
}
