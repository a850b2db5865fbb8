//! Messages of Sign-In with Ethereum, and signatures under them: whatever they say, they are read or refused, and a message
//! that nobody signed is nobody's.
#![no_main]

use chrono::DateTime;
use nexus_mint::auth::siwe::{Message, signer};

const EXAMPLE: &str = " wants you to sign in with your Ethereum account:\n0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\nURI: ";

libfuzzer_sys::fuzz_target!(|parts: (&str, &str)| {
    let (text, signature) = parts;
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    for text in [text.to_owned(), format!("example.com{EXAMPLE}{text}")] {
        if let Ok(message) = Message::parse(&text) {
            let _ = message.check_time(now);
            assert!(!message.domain.is_empty() && message.nonce.len() >= 8);
            assert_eq!(message.address.plain(), message.address.checksummed().to_lowercase());
        }
        let _ = signer(&text, signature);
    }
});
