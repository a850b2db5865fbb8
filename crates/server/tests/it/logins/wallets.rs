//! Signing in with an Ethereum wallet.

use chrono::{DateTime, TimeDelta, Utc};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};

use super::{Answer, Confirm, Desk};

struct Wallet(SigningKey);

impl Wallet {
    fn new() -> Wallet {
        let seed = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
        Wallet(SigningKey::from_slice(&seed).unwrap())
    }

    fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        let hash = Keccak256::digest(&point.as_bytes()[1..]);
        format!(
            "0x{}",
            hash[12..].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        )
    }

    fn sign(&self, text: &str) -> String {
        let hash = Keccak256::digest(format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len()));
        let (signature, recovery) = self.0.sign_prehash_recoverable(&hash).unwrap();
        let digits: String = signature.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("0x{digits}{:02x}", recovery.to_byte() + 27)
    }

    fn message(&self, place: &str, nonce: &str, at: DateTime<Utc>) -> String {
        let domain = place.split("://").nth(1).unwrap();
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n{}\n\nSign in to Mint\n\nURI: {place}\nVersion: 1\n\
             Chain ID: 1\nNonce: {nonce}\nIssued At: {}",
            self.address(),
            at.to_rfc3339()
        )
    }
}

async fn show(desk: &Desk, message: &str, signature: &str) -> Answer {
    let body: Value = json!({ "chain": "ethereum", "message": message, "signature": signature });
    desk.post("/token?grant_type=web3", body).await
}

#[tokio::test]
async fn a_wallet_signs_in_by_each_message_once() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let wallet = Wallet::new();
    let site = "http://localhost:3000";
    let message = wallet.message(site, "abcdefgh1", desk.now());
    let first = show(&desk, &message, &wallet.sign(&message)).await.ok();
    let user = &first.body["user"];
    assert_eq!(user["app_metadata"]["provider"], "web3");
    assert_eq!(
        user["identities"][0]["id"],
        format!("web3:ethereum:{}", wallet.address())
    );
    let replayed = show(&desk, &message, &wallet.sign(&message)).await;
    assert_eq!(
        replayed.told(),
        (400, "validation_failed"),
        "a message that somebody saw is no use"
    );
    let message = wallet.message(site, "abcdefgh2", desk.now());
    let second = show(&desk, &message, &wallet.sign(&message)).await.ok();
    assert_eq!(second.body["user"]["id"], user["id"], "the same login");
}

#[tokio::test]
async fn a_message_that_does_not_hold_is_refused() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (wallet, other) = (Wallet::new(), Wallet::new());
    let site = "http://localhost:3000";
    let message = wallet.message(site, "abcdefgh", desk.now());
    assert_eq!(
        show(&desk, &message, &other.sign(&message)).await.told(),
        (400, "invalid_credentials")
    );
    assert_eq!(show(&desk, &message, "0x00").await.told(), (400, "validation_failed"));
    for text in [
        wallet.message("https://evil.example", "abcdefgh", desk.now()),
        message.replace("localhost:3000 wants", "evil.example wants"),
        wallet.message(site, "abcdefgh", desk.now() - TimeDelta::minutes(11)),
        wallet.message(site, "abcdefgh", desk.now() + TimeDelta::minutes(1)),
        wallet.message(site, "short", desk.now()),
    ] {
        let answer = show(&desk, &text, &wallet.sign(&text)).await;
        assert_eq!(answer.told(), (400, "validation_failed"), "{text}");
    }
    let solana = json!({ "chain": "solana", "message": message, "signature": "x" });
    assert_eq!(
        desk.post("/token?grant_type=web3", solana).await.told(),
        (400, "web3_unsupported_chain")
    );
    let closed = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_ETHEREUM_SIGN_IN", "false")).await;
    assert_eq!(
        show(&closed, &message, &wallet.sign(&message)).await.told(),
        (422, "web3_provider_disabled")
    );
}
