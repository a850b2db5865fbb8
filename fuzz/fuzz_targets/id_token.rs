//! ID tokens that no provider signed: none is taken, whatever it says.
#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use nexus_mint::{
    auth::{
        jwks,
        providers::id_token::{Wanted, verify},
    },
    config::providers::Provider,
};

/// A public key whose private part nobody kept.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

libfuzzer_sys::fuzz_target!(|parts: (&str, &str, &str)| {
    let (header, payload, signature) = parts;
    let Ok(jwk) = serde_json::from_str(KEY) else { return };
    let Ok(key) = jwks::key_of(&jwk) else { return };
    let provider: Provider =
        serde_json::from_str(r#"{"issuer":"https://a.example","client_id":"mint"}"#).expect("a provider");
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let keys = [key];
    for token in [
        header.to_owned(),
        format!("{}.{}.{signature}", encoded(header), encoded(payload)),
        format!("{}.{}.{}", encoded(r#"{"alg":"ES256","kid":"a"}"#), encoded(payload), encoded(signature)),
    ] {
        assert!(verify(&token, &keys, &provider, &Wanted::default(), now).is_err());
    }
});
