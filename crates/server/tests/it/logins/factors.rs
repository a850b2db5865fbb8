//! Second factors, and the ways to sign in.

use chrono::{DateTime, TimeDelta, Utc};
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Confirm, Desk, PASSWORD, address};

/// What an authenticator shows.
pub(super) fn code(secret: &str, now: DateTime<Utc>) -> String {
    let mut bits = String::new();
    for letter in secret.chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap();
        bits.push_str(&format!("{value:05b}"));
    }
    let bytes: Vec<u8> = (0..bits.len() / 8)
        .map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &(now.timestamp() / 30).to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

async fn enroll(desk: &Desk, token: &str, name: &str) -> Answer {
    let body = json!({ "factor_type": "totp", "friendly_name": name, "issuer": "Mint" });
    desk.by(token, "POST", "/factors", Some(body)).await
}

async fn verify(desk: &Desk, token: &str, factor: &str, code: &str) -> Answer {
    let challenge = desk
        .by(token, "POST", &format!("/factors/{factor}/challenge"), Some(json!({})))
        .await
        .ok();
    assert_eq!(challenge.body["expires_at"], desk.now().timestamp() + 300);
    let body = json!({ "challenge_id": challenge.body["id"], "code": code });
    desk.by(token, "POST", &format!("/factors/{factor}/verify"), Some(body))
        .await
}

fn claims(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_second_factor_is_shown_and_then_wanted() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    let token = up.text("access_token");
    let before = desk.sign_in(&email, PASSWORD).await.ok();
    let made = enroll(&desk, &token, "phone").await.ok();
    assert!(made.body["totp"]["qr_code"].as_str().unwrap().starts_with("<svg "));
    let uri = made.body["totp"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/Mint:"), "{uri}");
    assert_eq!(
        enroll(&desk, &token, "phone").await.told(),
        (422, "mfa_factor_name_conflict")
    );
    let (factor, secret) = (
        made.text("id"),
        made.body["totp"]["secret"].as_str().unwrap().to_owned(),
    );
    let client = desk.world.admin().await;
    let kept: String = client
        .query_one(
            "select secret from auth.mfa_factors where id = $1",
            &[&factor.parse::<Uuid>().unwrap()],
        )
        .await
        .unwrap()
        .get(0);
    assert!(kept.starts_with("v1.") && !kept.contains(&secret), "encrypted at rest");
    assert_eq!(
        verify(&desk, &token, &factor, "000000").await.told(),
        (422, "mfa_verification_failed")
    );
    let shown = code(&secret, desk.now());
    let given = verify(&desk, &token, &factor, &shown).await.ok();
    let now_says = claims(&given.text("access_token"));
    assert_eq!(now_says["aal"], "aal2");
    assert_eq!(now_says["amr"].as_array().unwrap().len(), 2);
    assert_eq!(now_says["session_id"], claims(&token)["session_id"]);
    assert_eq!(given.body["user"]["factors"][0]["status"], "verified");
    assert_ne!(given.text("refresh_token"), up.text("refresh_token"));
    let kept = desk.refresh(&given.text("refresh_token")).await.ok();
    assert_eq!(claims(&kept.text("access_token"))["aal"], "aal2", "a refresh keeps it");
    assert_eq!(
        desk.by(&before.text("access_token"), "GET", "/user", None).await.told(),
        (403, "session_not_found")
    );
    assert_eq!(
        verify(&desk, &token, &factor, &shown).await.told(),
        (422, "mfa_verification_failed"),
        "a code counts once"
    );

    let again = desk.sign_in(&email, PASSWORD).await.ok();
    let weak = again.text("access_token");
    assert_eq!(claims(&weak)["aal"], "aal1");
    let put = desk
        .by(&weak, "PUT", "/user", Some(json!({ "password": "another horse" })))
        .await;
    assert_eq!(put.told(), (401, "insufficient_aal"));
    assert_eq!(enroll(&desk, &weak, "other").await.told(), (403, "insufficient_aal"));
    let path = format!("/factors/{factor}");
    assert_eq!(
        desk.by(&weak, "DELETE", &path, None).await.told(),
        (422, "insufficient_aal")
    );
    let strong = kept.text("access_token");
    desk.by(&strong, "DELETE", &path, None).await.ok();
    let fallen = desk.refresh(&kept.text("refresh_token")).await.ok();
    assert_eq!(claims(&fallen.text("access_token"))["aal"], "aal1");
}

#[tokio::test]
async fn challenges_end_and_belong_to_their_factor() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let up = desk.sign_up(&address()).await.ok();
    let token = up.text("access_token");
    let made = enroll(&desk, &token, "").await.ok();
    let factor = made.text("id");
    let secret = made.body["totp"]["secret"].as_str().unwrap().to_owned();
    let challenge = desk
        .by(&token, "POST", &format!("/factors/{factor}/challenge"), None)
        .await
        .ok();
    let show = async |from: &str| {
        let body = json!({ "challenge_id": challenge.body["id"], "code": code(&secret, desk.now()) });
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", from)];
        desk.send("POST", &format!("/factors/{factor}/verify"), &headers, Some(body))
            .await
    };
    assert_eq!(show("198.51.100.7").await.told(), (422, "mfa_ip_address_mismatch"));
    desk.advance(TimeDelta::seconds(301));
    assert_eq!(show("0.0.0.0").await.told(), (422, "mfa_challenge_expired"));
    let other = desk.sign_up(&address()).await.ok();
    let theirs = verify_path(&desk, &other.text("access_token"), &factor).await;
    assert_eq!(theirs.told(), (422, "mfa_factor_not_found"), "somebody else's");
    for (body, told) in [
        (json!({ "factor_type": "phone" }), (422, "mfa_phone_enroll_not_enabled")),
        (
            json!({ "factor_type": "webauthn" }),
            (422, "mfa_webauthn_enroll_not_enabled"),
        ),
        (json!({}), (400, "validation_failed")),
    ] {
        assert_eq!(desk.by(&token, "POST", "/factors", Some(body)).await.told(), told);
    }
    let id = up.body["user"]["id"].as_str().unwrap();
    let listed = desk
        .service("GET", &format!("/admin/users/{id}/factors"), None)
        .await
        .ok();
    assert_eq!(listed.body[0]["id"], json!(factor));
    desk.service("DELETE", &format!("/admin/users/{id}/factors/{factor}"), None)
        .await
        .ok();
    assert_eq!(
        desk.service("GET", &format!("/admin/users/{id}/factors"), None)
            .await
            .ok()
            .body,
        json!([])
    );
}

async fn verify_path(desk: &Desk, token: &str, factor: &str) -> Answer {
    desk.by(token, "POST", &format!("/factors/{factor}/challenge"), None)
        .await
}

#[tokio::test]
async fn codes_of_a_factor_are_not_guessed() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let up = desk.sign_up(&address()).await.ok();
    let token = up.text("access_token");
    let made = enroll(&desk, &token, "x").await.ok();
    let mut last = 0;
    for _ in 0..11 {
        last = verify(&desk, &token, &made.text("id"), "00000").await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let up = desk.sign_up(&address()).await.ok();
    let token = up.text("access_token");
    let id = up.body["user"]["identities"][0]["identity_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let unlink = async |id: &str| desk.by(&token, "DELETE", &format!("/user/identities/{id}"), None).await;
    assert_eq!(unlink(&id).await.told(), (422, "single_identity_not_deletable"));
    assert_eq!(
        unlink(&Uuid::new_v4().to_string()).await.told(),
        (422, "identity_not_found")
    );
    let client = desk.world.admin().await;
    let user: Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
    client
        .execute(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at)
             values ($2, $1, '{}', 'web3', now())",
            &[&user, &format!("web3:ethereum:{user}")],
        )
        .await
        .unwrap();
    unlink(&id).await.ok();
    let left = desk.by(&token, "GET", "/user", None).await.ok();
    assert_eq!(left.body["app_metadata"]["providers"], json!(["web3"]));
    let asked = desk
        .by(&token, "GET", "/user/identities/authorize?provider=github", None)
        .await;
    assert_eq!(asked.told(), (400, "validation_failed"));
    let closed = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_MANUAL_LINKING", "false")).await;
    let refused = closed
        .by(&token, "DELETE", &format!("/user/identities/{id}"), None)
        .await;
    assert_eq!(refused.told(), (404, "manual_linking_disabled"));
}
