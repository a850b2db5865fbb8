//! Files that pages load: one style sheet, one script, one icon. Each stands under a name with its hash, for ever, and is
//! compressed once, at the first request.

use std::sync::OnceLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use miniz_oxide::deflate::compress_to_vec;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// miniz's best.
const COMPRESSION: u8 = 9;

struct Asset {
    stem: &'static str,
    extension: &'static str,
    kind: &'static str,
    text: &'static str,
}

const CSS: Asset = Asset {
    stem: "console",
    extension: "css",
    kind: "text/css; charset=utf-8",
    text: concat!(
        include_str!("assets/base.css"),
        include_str!("assets/layout.css"),
        include_str!("assets/parts.css"),
        include_str!("assets/pages.css")
    ),
};
const JS: Asset = Asset {
    stem: "console",
    extension: "js",
    kind: "text/javascript; charset=utf-8",
    text: concat!(include_str!("assets/console.js"), include_str!("assets/wallet.js")),
};
const ICON: Asset = Asset {
    stem: "icon",
    extension: "svg",
    kind: "image/svg+xml",
    text: include_str!("assets/icon.svg"),
};

/// An asset as it is sent.
struct Ready {
    path: String,
    name: String,
    kind: &'static str,
    text: &'static str,
    gzip: Vec<u8>,
}

fn all() -> &'static [Ready; 3] {
    static READY: OnceLock<[Ready; 3]> = OnceLock::new();
    READY.get_or_init(|| [CSS, JS, ICON].map(|asset| ready(&asset)))
}

fn ready(asset: &Asset) -> Ready {
    let digest = Sha256::digest(asset.text.as_bytes());
    let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}.{hash}.{}", asset.stem, asset.extension);
    Ready {
        path: format!("/assets/{name}"),
        name,
        kind: asset.kind,
        text: asset.text,
        gzip: gzip(asset.text.as_bytes()),
    }
}

/// Where the style sheet is.
pub(crate) fn css_path() -> &'static str {
    let [css, _, _] = all();
    &css.path
}

/// Where the script is.
pub(crate) fn js_path() -> &'static str {
    let [_, js, _] = all();
    &js.path
}

/// Where the icon is.
pub(crate) fn icon_path() -> &'static str {
    let [_, _, icon] = all();
    &icon.path
}

/// `GET /assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = all().iter().find(|asset| asset.name == name).ok_or(Problem::NotFound)?;
    let accepts = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let takes_gzip = accepts.is_some_and(|accepts| accepts.split(',').any(|coding| coding.trim().starts_with("gzip")));
    let mut response = if takes_gzip {
        asset.gzip.as_slice().into_response()
    } else {
        asset.text.into_response()
    };
    let fields = response.headers_mut();
    if takes_gzip {
        fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    fields.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}

/// RFC 1952 around raw deflate.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    out.extend(compress_to_vec(bytes, COMPRESSION));
    out.extend(crc32(bytes).to_le_bytes());
    // Modulo 2^32, as the format has it; no asset is that long.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let lowest = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * lowest);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What everything that a first page loads beside itself may weigh on the wire (bytes).
    const WIRE_BYTES_MAX: usize = 24 * 1024;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn assets_are_small_and_ask_nobody_else() {
        let sum: usize = all().iter().map(|asset| asset.gzip.len()).sum();
        assert!(sum < WIRE_BYTES_MAX, "{sum} bytes");
        for asset in all() {
            let is_ours = |after: &str| after.starts_with("www.w3.org/");
            assert!(
                asset.text.split("://").skip(1).all(is_ours),
                "{} loads something from elsewhere",
                asset.name
            );
        }
    }
}
