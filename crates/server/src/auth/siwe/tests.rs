use k256::ecdsa::SigningKey;
use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = "example.com wants you to sign in with your Ethereum account:\n\
    0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\
    \n\
    I accept the ExampleOrg Terms of Service: https://example.com/tos\n\
    \n\
    URI: https://example.com/login\n\
    Version: 1\n\
    Chain ID: 1\n\
    Nonce: 32891756\n\
    Issued At: 2021-09-30T16:25:24Z\n\
    Resources:\n\
    - ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n\
    - https://example.com/my-web2-claim.json";

#[test]
fn the_example_of_the_standard() {
    let read = Message::parse(EXAMPLE).unwrap();
    assert_eq!(read.domain, "example.com");
    assert_eq!(read.address.checksummed(), "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2");
    assert_eq!(
        read.statement.as_deref(),
        Some("I accept the ExampleOrg Terms of Service: https://example.com/tos")
    );
    assert_eq!((read.chain_id, read.nonce.as_str()), (1, "32891756"));
    let plain = EXAMPLE.replace(
        "I accept the ExampleOrg Terms of Service: https://example.com/tos\n\n",
        "\n",
    );
    assert_eq!(Message::parse(&plain).unwrap().statement, None);
}

#[test]
fn what_is_not_of_the_form_is_refused() {
    for (from, to) in [
        ("example.com wants", "example.com@evil.example wants"),
        ("example.com wants", "example.com/x wants"),
        ("0xC02a", "0xC02A"),
        ("0xC02a", "C02a"),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: one"),
        ("32891756", "3289175"),
        ("32891756", "3289 1756"),
        ("Nonce: 32891756\n", ""),
        ("2021-09-30T16:25:24Z", "yesterday"),
        (
            "Issued At: 2021-09-30T16:25:24Z\n",
            "Issued At: 2021-09-30T16:25:24Z\nURI: https://evil.example\n",
        ),
        ("\nVersion", "\r\nVersion"),
        ("Resources:", "Resources"),
    ] {
        let changed = EXAMPLE.replacen(from, to, 1);
        assert_ne!(changed, EXAMPLE);
        assert!(matches!(Message::parse(&changed), Err(SiweError::Form(_))), "{to}");
    }
}

#[test]
fn a_message_holds_for_ten_minutes() {
    let read = Message::parse(EXAMPLE).unwrap();
    let at = |seconds: i64| read.check_time(read.issued_at + TimeDelta::seconds(seconds)).is_ok();
    assert!(at(-30) && at(0) && at(600));
    assert!(!at(-31) && !at(601));
    let ends = EXAMPLE.replace("24Z\n", "24Z\nExpiration Time: 2021-09-30T16:26:24Z\n");
    let read = Message::parse(&ends).unwrap();
    assert!(read.check_time(read.issued_at + TimeDelta::seconds(59)).is_ok());
    assert!(read.check_time(read.issued_at + TimeDelta::seconds(60)).is_err());
}

/// Signs as a wallet does.
fn sign(key: &SigningKey, text: &str) -> String {
    let mut hash = Keccak256::new();
    hash.update(format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len()));
    let (signature, recovery) = key.sign_prehash_recoverable(&hash.finalize()).unwrap();
    format!("0x{}{:02x}", hex(&signature.to_bytes()), recovery.to_byte() + 27)
}

#[test]
fn a_known_key_has_its_known_address() {
    // The first account that Hardhat and Anvil hand out.
    let secret = bytes_of("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").unwrap();
    let key = SigningKey::from_slice(&secret).unwrap();
    let address = address_of(key.verifying_key()).unwrap();
    assert_eq!(address.checksummed(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    assert_eq!(signer(EXAMPLE, &sign(&key, EXAMPLE)), Ok(address));
    assert_ne!(signer("another text", &sign(&key, EXAMPLE)), Ok(address));
    for wrong in ["", "0x", "0x00", &"0".repeat(130), &"f".repeat(130), "zz"] {
        assert_eq!(signer(EXAMPLE, wrong), Err(SiweError::Signature), "{wrong}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,300}", signature in "[0-9a-fx]{0,140}") {
        let _ = Message::parse(&text);
        let _ = signer(&text, &signature);
    }

    #[test]
    fn lines_in_any_order_do_not_make_it_panic(lines in proptest::collection::vec(0_usize..14, 0..20)) {
        let known: Vec<&str> = EXAMPLE.split('\n').collect();
        let text: Vec<&str> = lines.iter().map(|at| known[at % known.len()]).collect();
        let _ = Message::parse(&text.join("\n"));
    }

    #[test]
    fn what_was_written_is_read(
        address in proptest::array::uniform20(any::<u8>()), nonce in "[0-9a-zA-Z]{8,40}", chain_id in any::<u64>(),
        statement in proptest::option::of("[ -~&&[^\n]]{1,80}"), second in 0_i64..4_000_000_000,
    ) {
        let address = Address(address);
        let issued_at = DateTime::from_timestamp(second, 0).unwrap();
        let said = statement.as_ref().map(|statement| format!("{statement}\n")).unwrap_or_default();
        let text = format!(
            "https://mint.example:3000 wants you to sign in with your Ethereum account:\n{}\n\n{said}\nURI: https://mint.example:3000/\n\
             Version: 1\nChain ID: {chain_id}\nNonce: {nonce}\nIssued At: {}",
            address.checksummed(), issued_at.to_rfc3339(),
        );
        let read = Message::parse(&text).unwrap();
        prop_assert_eq!(Message::parse(&read.text()), Ok(read.clone()));
        prop_assert_eq!(read.address, address);
        prop_assert_eq!(read.domain.as_str(), "mint.example:3000");
        prop_assert_eq!((read.nonce, read.chain_id, read.statement, read.issued_at), (nonce, chain_id, statement, issued_at));
    }

    #[test]
    fn a_signature_is_its_keys_alone(secret in proptest::array::uniform32(1_u8..=254), text in "\\PC{0,60}") {
        let key = SigningKey::from_slice(&secret).unwrap();
        let address = address_of(key.verifying_key()).unwrap();
        prop_assert_eq!(signer(&text, &sign(&key, &text)), Ok(address));
        prop_assert_ne!(signer(&format!("{text}."), &sign(&key, &text)), Ok(address));
    }
}
