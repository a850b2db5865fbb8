//! Signing in with an Ethereum wallet.

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use k256::ecdsa::SigningKey;
use nexus_mint::{
    auth::{AuthRefusal, request::Asked, siwe::Address, web3},
    problem::Problem,
};
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};

use super::{Answer, Confirm, Desk, address};

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

/// What the account page does: the wallet signs what the server wrote, and the login has it.
async fn link(desk: &Desk, token: &str, text: &str, signature: &str) -> Result<(), Problem> {
    let headers = HeaderMap::from_iter([(
        "authorization".parse().unwrap(),
        format!("Bearer {token}").parse().unwrap(),
    )]);
    let asked = Asked {
        now: desk.now(),
        address: None,
        agent: None,
        redirect_to: None,
        referer: None,
    };
    let body = json!({ "chain": "ethereum", "message": text, "signature": signature });
    web3::link(&desk.app, &headers, &asked, &serde_json::from_value(body).unwrap()).await
}

#[tokio::test]
async fn a_login_gets_one_more_wallet_and_nobody_elses() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let wallet = Wallet::new();
    let written = || {
        let wallet = Address::parse(&wallet.address()).unwrap();
        web3::message(&desk.app, wallet, 1, desk.now()).unwrap().text()
    };
    let up = desk.sign_up(&address()).await.ok();
    let text = written();
    link(&desk, &up.text("access_token"), &text, &wallet.sign(&text))
        .await
        .unwrap();
    let again = link(&desk, &up.text("access_token"), &text, &wallet.sign(&text)).await;
    assert!(
        matches!(again, Err(Problem::Auth(AuthRefusal::Invalid(_)))),
        "a message is taken once: {again:?}"
    );
    let text = written();
    let inside = show(&desk, &text, &wallet.sign(&text)).await.ok();
    assert_eq!(
        inside.body["user"]["id"], up.body["user"]["id"],
        "the wallet opens the login"
    );
    assert_eq!(
        inside.body["user"]["app_metadata"]["providers"],
        json!(["email", "web3"])
    );

    let stranger = desk.sign_up(&address()).await.ok();
    let text = written();
    let taken = link(&desk, &stranger.text("access_token"), &text, &wallet.sign(&text)).await;
    assert!(
        matches!(taken, Err(Problem::Auth(AuthRefusal::IdentityExists))),
        "{taken:?}"
    );
    let unsigned = link(
        &desk,
        &stranger.text("access_token"),
        &written(),
        &Wallet::new().sign(&text),
    )
    .await;
    assert!(
        matches!(unsigned, Err(Problem::Auth(AuthRefusal::Web3Invalid))),
        "{unsigned:?}"
    );
}
