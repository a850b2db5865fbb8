use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::{
    jwks,
    signing::{self, SigningKey},
};

const NOW: i64 = 1_900_000_000;

/// What a case does to claims.
type Spoil = fn(&mut Value);

fn key() -> SigningKey {
    signing::keys_of(signing::fresh().unwrap().expose()).unwrap().remove(0)
}

fn provider() -> Provider {
    serde_json::from_value(json!({ "issuer": "https://a.example", "client_id": "mint", "audiences": ["app"] })).unwrap()
}

fn check(token: &str, key: &SigningKey, wanted: &Wanted<'_>) -> Result<(), IdTokenError> {
    let keys = [jwks::key_of(&key.public).unwrap()];
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    verify(token, &keys, &provider(), wanted, now).map(|_| ())
}

fn claims() -> Value {
    json!({ "iss": "https://a.example", "aud": "mint", "sub": "s", "exp": NOW + 60, "iat": NOW })
}

#[test]
fn what_holds_and_what_does_not() {
    let key = key();
    let cases: [(Spoil, Result<(), IdTokenError>); 13] = [
        (|_| {}, Ok(())),
        (|claims| claims["aud"] = json!("app"), Ok(())),
        (|claims| claims["aud"] = json!(["mint"]), Ok(())),
        (
            |claims| {
                claims["aud"] = json!(["x", "mint"]);
                claims["azp"] = json!("mint");
            },
            Ok(()),
        ),
        (
            |claims| claims["aud"] = json!(["x", "mint"]),
            Err(IdTokenError::Audience),
        ),
        (
            |claims| {
                claims["aud"] = json!(["x", "mint"]);
                claims["azp"] = json!("x");
            },
            Err(IdTokenError::Audience),
        ),
        (|claims| claims["aud"] = json!([]), Err(IdTokenError::Audience)),
        (
            |claims| claims["iss"] = json!("https://a.example/"),
            Err(IdTokenError::Issuer),
        ),
        (|claims| claims["exp"] = json!(NOW - 30), Ok(())),
        (|claims| claims["exp"] = json!(NOW - 31), Err(IdTokenError::Expired)),
        (|claims| claims["iat"] = json!(NOW + 31), Err(IdTokenError::TooEarly)),
        (|claims| claims["nonce"] = json!("n"), Err(IdTokenError::Nonce)),
        (|claims| claims["exp"] = json!(i64::MAX), Ok(())),
    ];
    for (spoil, expect) in cases {
        let mut claims = claims();
        spoil(&mut claims);
        let token = key.sign(claims.to_string().as_bytes()).unwrap();
        assert_eq!(check(&token, &key, &Wanted::default()), expect, "{claims}");
    }
}

/// OpenID Connect Core 1.0, the example of its part A.3.
#[test]
fn the_hash_of_an_access_token() {
    let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    assert_eq!(half_hash(Algorithm::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
}

proptest! {
    #[test]
    fn nothing_but_the_providers_word_counts(text in any::<String>(), parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}") {
        let key = key();
        prop_assert!(check(&text, &key, &Wanted::default()).is_err());
        prop_assert!(check(&parts, &key, &Wanted::default()).is_err());
    }

    #[test]
    fn a_changed_token_is_refused(at in 0_usize..1000, letter in "[A-Za-z0-9_.-]") {
        let key = key();
        let token = key.sign(claims().to_string().as_bytes()).unwrap();
        let at = at % token.len();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &letter);
        // The last letter of a part has bits that say nothing: strict base64 refuses those as well.
        prop_assume!(changed != token);
        prop_assert!(check(&changed, &key, &Wanted::default()).is_err());
    }
}
