//! The tokens of links: who has one may do the one thing that it names, until it expires. They are signed with a key of
//! their own, derived from the JWT secret, so that no link is a login and no login a link.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::{asked::MALFORMED, refusal::Refusal};
use crate::config::Secret;

/// What the key is for: another purpose has another key.
const PURPOSE: &[u8] = b"nexus-mint storage links 1";

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// What a link lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// Have an object.
    Download,
    /// Make one.
    Upload,
}

/// The claims of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// `bucket/name`.
    pub(super) url: String,
    /// What for.
    pub(super) scope: Scope,
    /// Who owns what is uploaded by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// Whether it may take the place of another object.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) upsert: bool,
    /// The person of the staff whose read is noted when it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reader: Option<uuid::Uuid>,
    /// How an image is changed on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transformations: Option<String>,
    /// When it was signed (s).
    pub(super) iat: i64,
    /// Until when it holds (s).
    pub(super) exp: i64,
}

// serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

fn key(secret: &Secret) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, PURPOSE).as_ref())
}

impl Link {
    /// Signs it.
    pub(super) fn sign(&self, secret: &Secret) -> Result<String, Refusal> {
        let payload = serde_json::to_vec(self).map_err(Refusal::internal)?;
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
        let signature = hmac::sign(&key(secret), message.as_bytes());
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Makes sure that a token is ours, holds now, and is for this place and purpose.
    pub(super) fn verify(
        token: &str,
        secret: &Secret,
        url: &str,
        scope: Scope,
        now: DateTime<Utc>,
    ) -> Result<Link, Refusal> {
        let refused = |text: &str| Refusal::Link(text.to_owned());
        let (message, signature) = token.rsplit_once('.').ok_or_else(|| refused(MALFORMED))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused(MALFORMED))?;
        hmac::verify(&key(secret), message.as_bytes(), &signature)
            .map_err(|_| refused("signature verification failed"))?;
        // Whatever has our signature has our header.
        let payload = message.split_once('.').map(|(_, payload)| payload).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| refused(MALFORMED))?;
        let link: Link = serde_json::from_slice(&payload).map_err(|_| refused(MALFORMED))?;
        if link.exp <= now.timestamp() {
            return Err(refused("\"exp\" claim timestamp check failed"));
        }
        if link.url != url || link.scope != scope {
            return Err(Refusal::OtherLink);
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_for_one_place_one_purpose_and_some_time() {
        let secret = Secret::new("a secret of more than thirty-two characters");
        let now = DateTime::from_timestamp(1_000, 0).unwrap();
        let link = Link {
            url: "bucket/a b".to_owned(),
            scope: Scope::Download,
            owner: None,
            upsert: false,
            reader: None,
            transformations: None,
            iat: 1_000,
            exp: 1_010,
        };
        let token = link.sign(&secret).unwrap();
        let verify = |token: &str, secret: &Secret, url, scope, now| Link::verify(token, secret, url, scope, now);
        assert_eq!(
            verify(&token, &secret, "bucket/a b", Scope::Download, now).unwrap(),
            link
        );
        let later = DateTime::from_timestamp(1_010, 0).unwrap();
        assert!(verify(&token, &secret, "bucket/a b", Scope::Download, later).is_err());
        assert!(verify(&token, &secret, "bucket/b", Scope::Download, now).is_err());
        assert!(verify(&token, &secret, "bucket/a b", Scope::Upload, now).is_err());
        assert!(verify(&token, &Secret::new("another one"), "bucket/a b", Scope::Download, now).is_err());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (head, payload) = message.split_once('.').unwrap();
        let forged = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap())
            .unwrap()
            .replace("1010", "9010");
        let forged = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(forged));
        for token in ["", "a", "a.b.c", "..", &forged, message] {
            assert!(
                verify(token, &secret, "bucket/a b", Scope::Download, now).is_err(),
                "{token}"
            );
        }
    }
}
