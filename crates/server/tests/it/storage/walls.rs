//! Every route of storage as every kind of caller, at somebody else's object.

use std::fmt::Write as _;
use std::path::Path;

use axum::http::{Method, Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use uuid::Uuid;

use super::{PNG, ask, at, put, service};
use crate::schema_sql::compare;
use crate::site::{Signed, Site};

/// Method and path, with `{kyc}`, `{avatar}` and `{evidence}`: private, public and private objects of others.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/status"),
    ("GET", "/bucket"),
    ("POST", "/bucket"),
    ("GET", "/bucket/kyc-documents"),
    ("PUT", "/bucket/kyc-documents"),
    ("POST", "/bucket/{bucket}/empty"),
    ("DELETE", "/bucket/{bucket}"),
    ("POST", "/object/list/kyc-documents"),
    ("POST", "/object/list-v2/kyc-documents"),
    ("POST", "/object/move"),
    ("POST", "/object/copy"),
    ("POST", "/object/sign/kyc-documents"),
    ("POST", "/object/sign/{kyc}"),
    ("GET", "/object/sign/{kyc}?token=none"),
    ("POST", "/object/upload/sign/{kyc}"),
    ("PUT", "/object/upload/sign/{kyc}?token=none"),
    ("GET", "/object/public/{kyc}"),
    ("GET", "/object/public/{avatar}"),
    ("GET", "/object/authenticated/{kyc}"),
    ("GET", "/object/authenticated/{avatar}"),
    ("GET", "/object/info/{kyc}"),
    ("GET", "/object/info/authenticated/{kyc}"),
    ("GET", "/object/info/public/{kyc}"),
    ("GET", "/object/info/public/{avatar}"),
    ("GET", "/render/image/public/{kyc}"),
    ("GET", "/render/image/public/{avatar}"),
    ("GET", "/render/image/authenticated/{kyc}"),
    ("GET", "/render/image/authenticated/{avatar}"),
    ("GET", "/render/image/authenticated/{evidence}"),
    ("GET", "/render/image/sign/{kyc}?token=none"),
    ("GET", "/object/{kyc}"),
    ("GET", "/object/{evidence}"),
    ("HEAD", "/object/{kyc}"),
    ("POST", "/object/{kyc}-new"),
    ("POST", "/object/{avatar}-new"),
    ("POST", "/object/{evidence}-new"),
    ("PUT", "/object/{kyc}"),
    ("PUT", "/object/{avatar}"),
    ("POST", "/upload/resumable"),
    ("POST", "/upload/resumable/sign"),
    ("HEAD", "/upload/resumable/bm9uZQ"),
    ("PATCH", "/upload/resumable/bm9uZQ"),
    ("DELETE", "/upload/resumable/bm9uZQ"),
    ("POST", "/upload/resumable/bm9uZQ"),
    ("HEAD", "/upload/resumable/sign/bm9uZQ"),
    ("DELETE", "/object/kyc-documents"),
    ("DELETE", "/object/{avatar}"),
    ("DELETE", "/object/{kyc}"),
];

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

#[tokio::test]
async fn every_caller_at_every_route() {
    let site = Site::new().await;
    let (owner, of_service) = (site.person(&[]).await, service(&site));
    let own = async |roles: &[&str]| Some(site.person(roles).await);
    let forged = {
        let (message, signature) = owner.token.rsplit_once('.').unwrap();
        Signed {
            id: owner.id,
            token: format!("{message}.{}", signature.chars().rev().collect::<String>()),
        }
    };
    let anon = Signed {
        id: Uuid::nil(),
        token: site.app.keys.anon_key().to_owned(),
    };
    let callers = [
        ("no token", None),
        ("a wrong signature", Some(forged)),
        ("visitor", Some(anon)),
        ("another investor", own(&[]).await),
        ("property_manager", own(&["property_manager"]).await),
        ("compliance_officer", own(&["compliance_officer"]).await),
        ("admin", own(&["admin"]).await),
        ("owner", Some(owner.clone())),
        ("service", Some(of_service.clone())),
    ];
    let pixel = STANDARD.decode(PIXEL).unwrap();
    let mut page =
        String::from("Every route of /storage/v1 as every caller, at objects of `owner` and of a property.\n");
    for (method, path) in ROUTES {
        let _ = writeln!(page, "\n{method} {path}");
        for (name, who) in &callers {
            // Made anew for each, so that what one removes is there for the next.
            let (mark, property) = (Uuid::now_v7(), Uuid::now_v7());
            let bucket = format!("walls-{mark}");
            let request = Request::post("/storage/v1/bucket");
            ask(&site, Some(&of_service), request, json!({ "name": bucket }).to_string())
                .await
                .ok();
            let file = format!("{}/{mark}.png", owner.id);
            put(&site, &of_service, "kyc-documents", &file, &pixel).await.ok();
            put(&site, &of_service, "user-avatars", &file, &pixel).await.ok();
            let evidence = format!("{property}/{mark}");
            put(&site, &of_service, "property-evidence", &evidence, &pixel)
                .await
                .ok();
            let path = path
                .replace("{bucket}", &bucket)
                .replace("{kyc}", &format!("kyc-documents/{file}"))
                .replace("{avatar}", &format!("user-avatars/{file}"))
                .replace("{evidence}", &format!("property-evidence/{evidence}"));
            let body = body_of(method, &path, &file, mark);
            let request = Request::builder()
                .method(Method::from_bytes(method.as_bytes()).unwrap())
                .uri(format!("/storage/v1{path}"))
                .header("content-type", "application/json")
                .header("tus-resumable", "1.0.0")
                .header("upload-length", 10)
                .header("upload-metadata", upload_of(&format!("{file}-new")));
            let heard = ask(&site, who.as_ref(), request, body).await;
            assert!(
                heard.status.as_u16() < 500,
                "{method} {path} as {name}: {}",
                heard.status
            );
            let told = heard.json();
            let code = told["code"].as_str().unwrap_or_default();
            // What lists and removals show of it.
            let shown = told
                .as_array()
                .map_or(String::new(), |found| format!("{} found", found.len().min(1)));
            let _ = writeln!(page, "  {name}: {} {code}{shown}", heard.status.as_u16());
            ask(
                &site,
                Some(&of_service),
                Request::delete(at("property-evidence", &evidence)),
                "",
            )
            .await;
        }
    }
    let page = page.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/storage/routes.txt"),
        &page,
    );
}

fn upload_of(name: &str) -> String {
    format!(
        "bucketName {},objectName {}",
        STANDARD.encode("kyc-documents"),
        STANDARD.encode(name)
    )
}

fn body_of(method: &str, path: &str, file: &str, mark: Uuid) -> Vec<u8> {
    let from_to = json!({ "bucketId": "kyc-documents", "sourceKey": file, "destinationKey": format!("{file}-{mark}") });
    let body = match (method, path) {
        ("POST", "/bucket") => json!({ "name": format!("made-{mark}") }),
        ("PUT", "/bucket/kyc-documents") => json!({ "file_size_limit": 20_971_520 }),
        ("POST", "/object/list/kyc-documents") => json!({ "prefix": file.split('/').next() }),
        ("POST", "/object/list-v2/kyc-documents") => json!({ "prefix": file }),
        ("POST", "/object/move" | "/object/copy") => from_to,
        ("POST", "/object/sign/kyc-documents") => json!({ "expiresIn": 60, "paths": [file] }),
        ("POST", path) if path.starts_with("/object/sign/") => json!({ "expiresIn": 60 }),
        ("DELETE", "/object/kyc-documents") => json!({ "prefixes": [file] }),
        ("POST" | "PUT", path) if path.starts_with("/object/") => return PNG.to_vec(),
        _ => return Vec::new(),
    };
    body.to_string().into_bytes()
}
