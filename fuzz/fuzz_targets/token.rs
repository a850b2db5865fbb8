//! Tokens that nobody signed: none is taken, whatever it says.
#![no_main]

use nexus_mint::rest::token::{Verifier, role_claim};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(path) = role_claim(".role") else { return };
    let secret = Some("a secret that the fuzzer cannot guess: 5f2b8c");
    let Ok(verifier) = Verifier::new(secret, false, Some("us".to_owned()), path, Some("anon")) else {
        return;
    };
    let shown = format!("Bearer {text}");
    assert!(verifier.identify(Some(&shown), 1_800_000_000.0).is_err());
    let _ = role_claim(text);
});
