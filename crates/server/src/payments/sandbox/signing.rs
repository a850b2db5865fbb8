//! Signatures of the sandbox's messages: HMAC-SHA256 over `<seconds>.<body>`, in the header `sandbox-signature` as
//! `t=<seconds>,v1=<hex>`. The key is derived from the server's own secret.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::{app::App, problem::Problem};

/// The header that carries the signature.
pub(super) const HEADER: HeaderName = HeaderName::from_static("sandbox-signature");

/// Signs a body now.
#[must_use]
pub fn sign(app: &App, body: &[u8]) -> HeaderMap {
    let seconds = app.now().timestamp();
    let mut headers = HeaderMap::new();
    let text = format!(
        "t={seconds},v1={}",
        hex(&mac(app, seconds, body).finalize().into_bytes())
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(HEADER, value);
    }
    headers
}

/// That the sandbox signed this body; answers with the header's text. How long ago does not matter: a message counts once,
/// whenever it comes.
///
/// # Errors
/// [`Problem::NotPermitted`].
pub fn verify(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<String, Problem> {
    let refused = || Problem::NotPermitted("payment provider: the signature does not fit".to_owned());
    let text = headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(refused)?;
    let (seconds, signature) = text
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .ok_or_else(refused)?;
    let seconds: i64 = seconds.parse().map_err(|_| refused())?;
    let signature = bytes(signature).ok_or_else(refused)?;
    mac(app, seconds, body)
        .verify_slice(&signature)
        .map_err(|_| refused())?;
    Ok(text.to_owned())
}

fn mac(app: &App, seconds: i64, body: &[u8]) -> Hmac<Sha256> {
    // A key of any length will do for an HMAC; of this one there always is one.
    let derive = |key: &[u8], text: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        mac.update(text);
        mac
    };
    let key = derive(app.config.jwt_secret.expose().as_bytes(), b"nexus-mint sandbox webhook")
        .finalize()
        .into_bytes();
    let mut mac = derive(&key, seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}
