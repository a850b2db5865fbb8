//! Pictures made smaller: what comes out, what is refused before it is drawn, and that nobody gets more than the object's
//! own policies and links give him.

use std::io::Cursor;

use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Heard, ask, at, bucket, put, service};
use crate::site::{Signed, Site};

/// Red on the left, blue on the right, and nothing that another test stores.
fn halves(width: u32, height: u32) -> DynamicImage {
    let mark = Uuid::now_v7();
    let mut picture = RgbImage::from_fn(width, height, |x, y| {
        let side = if x < width / 2 { [230, 20, 20] } else { [20, 20, 230] };
        Rgb(side.map(|light: u8| light.wrapping_add((y % 7) as u8)))
    });
    for (place, byte) in mark.as_bytes().iter().enumerate() {
        picture.put_pixel(place as u32, 0, Rgb([*byte, *byte, *byte]));
    }
    DynamicImage::ImageRgb8(picture)
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG that says how it is to be turned (EXIF).
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
    exif[29] = orientation;
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

async fn render(site: &Site, who: Option<&Signed>, place: &str, accept: &str) -> Heard {
    let request = Request::get(format!("/storage/v1/render/image/{place}")).header("accept", accept);
    ask(site, who, request, "").await
}

fn drawn(heard: &Heard) -> (String, DynamicImage) {
    let picture = image::load_from_memory(&heard.bytes).unwrap();
    (heard.header("content-type").to_owned(), picture)
}

fn sides(heard: &Heard) -> (String, u32, u32) {
    let (kind, picture) = drawn(heard);
    (kind, picture.width(), picture.height())
}

fn is_red(pixel: Rgba<u8>) -> bool {
    pixel[0] > 180 && pixel[2] < 80
}

fn is_blue(pixel: Rgba<u8>) -> bool {
    pixel[2] > 180 && pixel[0] < 80
}

#[tokio::test]
async fn a_picture_has_the_sides_and_the_format_that_are_asked_for() {
    use image::GenericImageView as _;
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    let photo = halves(300, 200);
    for (path, format) in [
        ("a.jpg", ImageFormat::Jpeg),
        ("a.png", ImageFormat::Png),
        ("a.gif", ImageFormat::Gif),
        ("a.webp", ImageFormat::WebP),
    ] {
        put(&site, &who, &name, path, &written(&photo, format)).await.ok();
    }
    for (asked, accept, kind, width, height) in [
        ("a.jpg?width=100", "*/*", "image/jpeg", 100, 67),
        ("a.jpg?height=100", "*/*", "image/jpeg", 150, 100),
        ("a.jpg?width=100&height=100", "*/*", "image/jpeg", 100, 100),
        (
            "a.jpg?width=100&height=100&resize=contain",
            "*/*",
            "image/jpeg",
            100,
            67,
        ),
        ("a.jpg?width=100&height=100&resize=fill", "*/*", "image/jpeg", 100, 100),
        ("a.jpg?width=2500", "*/*", "image/jpeg", 300, 200),
        ("a.jpg", "*/*", "image/jpeg", 300, 200),
        ("a.jpg?width=100", "image/webp", "image/jpeg", 100, 67),
        ("a.jpg?width=100&format=webp", "*/*", "image/webp", 100, 67),
        ("a.png?width=100", "*/*", "image/png", 100, 67),
        ("a.png?width=100", "image/avif,image/webp", "image/webp", 100, 67),
        ("a.png?width=100&format=origin", "image/webp", "image/png", 100, 67),
        ("a.gif?width=100", "*/*", "image/gif", 100, 67),
        ("a.gif?width=100", "image/webp", "image/webp", 100, 67),
        ("a.webp?width=100", "*/*", "image/webp", 100, 67),
    ] {
        let heard = render(&site, None, &format!("public/{name}/{asked}"), accept)
            .await
            .ok();
        assert_eq!(sides(&heard), (kind.to_owned(), width, height), "{asked} {accept}");
        assert_eq!(heard.header("content-length"), heard.bytes.len().to_string(), "{asked}");
        assert!(heard.header("content-security-policy").contains("default-src 'none'"));
        assert!(!heard.headers.contains_key("accept-ranges"));
        let (_, picture) = drawn(&heard);
        let row = picture.height() / 2;
        assert!(is_red(picture.get_pixel(picture.width() / 8, row)), "{asked}");
        assert!(is_blue(picture.get_pixel(picture.width() * 7 / 8, row)), "{asked}");
    }
    let length = async |quality| {
        let place = format!("public/{name}/a.jpg?width=250&quality={quality}");
        render(&site, None, &place, "*/*").await.ok().bytes.len()
    };
    let (low, default, high) = (length("20").await, length("").await, length("100").await);
    assert!(low < default && default < high, "{low} {default} {high}");
    // What has no pixels is given as it is.
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    let request = Request::post(at(&name, "a.svg")).header("content-type", "image/svg+xml");
    ask(&site, Some(&who), request, svg.to_vec()).await.ok();
    let heard = render(&site, None, &format!("public/{name}/a.svg?width=9"), "*/*")
        .await
        .ok();
    assert_eq!(
        (heard.bytes.as_slice(), heard.header("content-type")),
        (&svg[..], "image/svg+xml")
    );
    assert!(heard.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn a_photograph_lies_as_its_camera_says() {
    use image::GenericImageView as _;
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    let jpeg = written(&halves(300, 200), ImageFormat::Jpeg);
    for (orientation, sides_expected, red_at) in [
        (1, (100, 67), (12, 33)),
        (2, (100, 67), (87, 33)),
        (3, (100, 67), (87, 33)),
        (6, (100, 150), (50, 18)),
        (8, (100, 150), (50, 131)),
    ] {
        let path = format!("{orientation}.jpg");
        put(&site, &who, &name, &path, &turned(&jpeg, orientation)).await.ok();
        let heard = render(&site, None, &format!("public/{name}/{path}?width=100"), "*/*")
            .await
            .ok();
        let (_, picture) = drawn(&heard);
        assert_eq!((picture.width(), picture.height()), sides_expected, "{orientation}");
        assert!(is_red(picture.get_pixel(red_at.0, red_at.1)), "{orientation}");
        assert!(
            !heard.bytes.windows(4).any(|bytes| bytes == b"Exif"),
            "where it was taken is nobody's business"
        );
    }
}

#[tokio::test]
async fn what_shines_through_still_does() {
    use image::GenericImageView as _;
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    // White where nothing is to be seen: it must not bleed into the red.
    let picture = RgbaImage::from_fn(200, 200, |x, _| {
        if x < 99 {
            Rgba([230, 20, 20, 255])
        } else {
            Rgba([255, 255, 255, 0])
        }
    });
    let bytes = written(&DynamicImage::ImageRgba8(picture), ImageFormat::Png);
    put(&site, &who, &name, "a.png", &bytes).await.ok();
    for accept in ["*/*", "image/webp"] {
        let heard = render(&site, None, &format!("public/{name}/a.png?width=50"), accept)
            .await
            .ok();
        let (_, picture) = drawn(&heard);
        assert_eq!(picture.get_pixel(40, 20)[3], 0, "{accept}");
        let border = (0..50).map(|x| picture.get_pixel(x, 20)).filter(|pixel| pixel[3] > 30);
        for pixel in border {
            assert!(pixel[1] < 80, "{accept}: {pixel:?} is lighter than what it was made of");
        }
    }
    // Deep colours, and none.
    for (path, picture) in [
        ("deep.png", DynamicImage::ImageRgba16(halves(60, 40).into_rgba16())),
        ("grey.png", DynamicImage::ImageLuma8(halves(60, 40).into_luma8())),
    ] {
        put(&site, &who, &name, path, &written(&picture, ImageFormat::Png))
            .await
            .ok();
        let heard = render(&site, None, &format!("public/{name}/{path}?width=30"), "*/*")
            .await
            .ok();
        assert_eq!(sides(&heard), ("image/png".to_owned(), 30, 20), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_drawn_is_refused_before_it_is() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    let png = written(&halves(300, 200), ImageFormat::Png);
    let jpeg = written(&halves(300, 200), ImageFormat::Jpeg);
    // 50,000 x 50,000 pixels of one bit in 57 bytes: who tried to draw it would miss the pixels, and say that.
    let bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xc3\x50\0\0\xc3\x50\x01\0\0\0\0\x63\xd4\0\x67\0\0\0\0IDAT\x35\xaf\x06\x1e";
    let gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;";
    for (path, kind, bytes, message) in [
        ("bomb.png", "image/png", &bomb[..], "50000 x 50000"),
        ("bomb.gif", "image/gif", gif, "65535 x 65535"),
        ("half.png", "image/png", &png[..png.len() / 2], "can't be read"),
        ("head.jpg", "image/jpeg", &jpeg[..30], "can't be read"),
        (
            "noise.webp",
            "image/webp",
            b"RIFF\x20\0\0\0WEBPVP8 \xff\xff\xff\xff\xff\xff\xff\xff",
            "can't be read",
        ),
        ("a.pdf", "application/pdf", b"%PDF-1.7 a page", "not supported"),
        ("a.bmp", "image/bmp", b"BM\x10\0\0\0\0\0\0\0 and so on", "not supported"),
    ] {
        let content = [bytes, Uuid::now_v7().as_bytes()].concat();
        let request = Request::post(at(&name, path)).header("content-type", kind);
        ask(&site, Some(&who), request, content).await.ok();
        let heard = render(&site, None, &format!("public/{name}/{path}?width=10"), "*/*").await;
        assert_eq!(heard.told(), (400, "422".to_owned()), "{path}");
        let said = heard.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(message), "{path}: {said}");
    }
    // A photograph that breaks off is shown as far as it came, or refused; it is no fault of the server.
    put(&site, &who, &name, "half.jpg", &jpeg[..jpeg.len() / 2]).await.ok();
    let heard = render(&site, None, &format!("public/{name}/half.jpg?width=10"), "*/*").await;
    assert!(
        heard.status == StatusCode::OK || heard.told().1 == "422",
        "{}",
        heard.status
    );
    put(&site, &who, &name, "a.png", &png).await.ok();
    for asked in [
        "width=-1",
        "height=x",
        "quality=10",
        "quality=101",
        "resize=none",
        "format=avif",
    ] {
        let heard = render(&site, None, &format!("public/{name}/a.png?{asked}"), "*/*").await;
        assert_eq!(heard.told(), (400, "400".to_owned()), "{asked}");
    }
}

#[tokio::test]
async fn others_may_keep_a_picture_until_it_changes() {
    let site = Site::new().await;
    let (who, name) = (service(&site), bucket(&site, true).await);
    let request = Request::post(at(&name, "a.png")).header("cache-control", "max-age=60");
    let bytes = written(&halves(60, 40), ImageFormat::Png);
    ask(&site, Some(&who), request, bytes).await.ok();
    let tag = async |asked: &str, accept: &str| {
        let heard = render(&site, None, &format!("public/{name}/a.png?{asked}"), accept)
            .await
            .ok();
        assert_eq!(heard.header("cache-control"), "max-age=60");
        heard.header("etag").to_owned()
    };
    let known = tag("width=30", "*/*").await;
    assert_eq!(tag("width=30&", "*/*").await, known);
    for (asked, accept) in [
        ("width=31", "*/*"),
        ("width=30", "image/webp"),
        ("width=30&quality=30", "*/*"),
    ] {
        assert_ne!(tag(asked, accept).await, known, "{asked} {accept}");
    }
    let place = format!("/storage/v1/render/image/public/{name}/a.png?width=30");
    let request = Request::get(&place).header("if-none-match", &known);
    let heard = ask(&site, None, request, "").await;
    assert_eq!((heard.status, heard.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    assert!(
        heard
            .headers
            .get_all("vary")
            .iter()
            .any(|vary| vary.to_str().unwrap().contains("accept"))
    );
    let request = Request::post(at(&name, "a.png")).header("x-upsert", "true");
    ask(&site, Some(&who), request, written(&halves(60, 40), ImageFormat::Png))
        .await
        .ok();
    let request = Request::get(&place).header("if-none-match", &known);
    ask(&site, None, request, "").await.ok();
    let head = ask(&site, None, Request::head(&place), "").await.ok();
    assert_eq!((head.bytes.len(), head.header("content-type")), (0, "image/png"));
}

#[tokio::test]
async fn a_picture_is_for_whoever_may_have_its_object() {
    let site = Site::new().await;
    let (owner, other, admin) = (
        site.person(&[]).await,
        site.person(&[]).await,
        site.person(&["admin"]).await,
    );
    let file = format!("{}/{}.png", owner.id, Uuid::now_v7());
    let bytes = written(&halves(300, 200), ImageFormat::Png);
    put(&site, &owner, "kyc-documents", &file, &bytes).await.ok();
    let own = format!("authenticated/kyc-documents/{file}?width=30");
    assert_eq!(sides(&render(&site, Some(&owner), &own, "*/*").await.ok()).1, 30);
    assert_eq!(render(&site, Some(&other), &own, "*/*").await.told().1, "404");
    assert_eq!(render(&site, None, &own, "*/*").await.told().1, "400");
    let public = format!("public/kyc-documents/{file}?width=30");
    assert_eq!(render(&site, Some(&owner), &public, "*/*").await.told().1, "404");

    // A link gives its picture and no other one, and not the object.
    let sign = async |who: &Signed, wish: Value| {
        let request = Request::post(format!("/storage/v1/object/sign/kyc-documents/{file}"));
        let body = json!({ "expiresIn": 60, "transform": wish }).to_string();
        ask(&site, Some(who), request, body).await
    };
    assert_eq!(sign(&other, json!({ "width": 30 })).await.told().1, "404");
    assert_eq!(sign(&owner, json!({ "width": "x" })).await.told().1, "400");
    let signed = sign(&owner, json!({ "width": 30, "format": "origin" }))
        .await
        .ok()
        .json();
    let link = signed["signedURL"].as_str().unwrap();
    let place = link.strip_prefix("/render/image/").unwrap();
    let heard = render(&site, None, &format!("{place}&width=300&quality=100"), "image/webp")
        .await
        .ok();
    assert_eq!(sides(&heard), ("image/png".to_owned(), 30, 20), "the token says how");
    let whole = format!("/storage/v1{}", link.replace("/render/image/sign/", "/object/sign/"));
    assert_eq!(
        ask(&site, None, Request::get(whole), "").await.json()["error"],
        "InvalidSignature"
    );
    let elsewhere = place.replace(".png", ".jpg");
    assert_eq!(
        render(&site, None, &elsewhere, "*/*").await.json()["error"],
        "InvalidSignature"
    );
    let plain = sign(&owner, json!({})).await.ok().json();
    assert!(
        plain["signedURL"].as_str().unwrap().starts_with("/object/sign/"),
        "{plain}"
    );
    let by_link = place.split_once("?token=").unwrap().0;
    assert_eq!(render(&site, None, by_link, "*/*").await.told().1, "400");

    // What staff see of one is noted.
    let file = format!("{}/{}", Uuid::now_v7(), Uuid::now_v7());
    put(&site, &service(&site), "property-evidence", &file, &bytes)
        .await
        .ok();
    let place = format!("property-evidence/{file}");
    let client = site.world.admin().await;
    let noted = async || {
        let text = "select count(*) from public.file_reads where object_name = $1 and reader_id = $2";
        let row = client.query_one(text, &[&file, &admin.id]).await.unwrap();
        row.get::<_, i64>(0)
    };
    render(&site, Some(&owner), &format!("authenticated/{place}?width=30"), "*/*").await;
    let head = Request::head(format!("/storage/v1/render/image/authenticated/{place}?width=30"));
    ask(&site, Some(&admin), head, "").await.ok();
    assert_eq!(noted().await, 0);
    render(&site, Some(&admin), &format!("authenticated/{place}?width=30"), "*/*")
        .await
        .ok();
    assert_eq!(noted().await, 1);
    let request = Request::post(format!("/storage/v1/object/sign/{place}"));
    let body = json!({ "expiresIn": 60, "transform": { "width": 30 } }).to_string();
    let signed = ask(&site, Some(&admin), request, body).await.ok().json();
    let link = signed["signedURL"].as_str().unwrap();
    let place = link.strip_prefix("/render/image/").unwrap();
    render(&site, None, place, "*/*").await.ok();
    assert_eq!(noted().await, 2);
    site.advance(TimeDelta::seconds(61));
    assert_eq!(render(&site, None, place, "*/*").await.json()["error"], "InvalidJWT");
}
