//! What comes by mail: confirming, recovering, signing in, another address; links, codes and PKCE.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Confirm, Desk, PASSWORD, address};

/// What follows `#` or `?` of an address.
fn pairs(place: &str, joint: char) -> Value {
    let part = place.split_once(joint).map(|(_, part)| part).unwrap_or_default();
    let part = part.split('#').next().unwrap_or_default();
    let pairs = url::form_urlencoded::parse(part.as_bytes());
    Value::Object(pairs.map(|(key, value)| (key.into_owned(), json!(value))).collect())
}

#[tokio::test]
async fn an_address_is_confirmed_by_a_link_and_once() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    assert!(
        up.body.get("access_token").is_none() && up.body["confirmation_sent_at"].is_string(),
        "{}",
        up.body
    );
    assert_eq!(
        desk.sign_in(&email, PASSWORD).await.told(),
        (400, "email_not_confirmed")
    );
    let (kind, _, link) = desk.mail(&email).await;
    assert_eq!(kind, "confirmation");
    let place = desk.follow(&link).await;
    assert!(place.starts_with("http://localhost:3000#access_token="), "{place}");
    let given = pairs(&place, '#');
    assert_eq!(
        (&given["type"], &given["token_type"]),
        (&json!("signup"), &json!("bearer"))
    );
    let seen = desk
        .by(given["access_token"].as_str().unwrap(), "GET", "/user", None)
        .await
        .ok();
    assert_eq!(seen.body["user_metadata"]["email_verified"], true);
    assert_eq!(seen.body["identities"][0]["identity_data"]["email_verified"], true);
    desk.refresh(given["refresh_token"].as_str().unwrap()).await.ok();
    let again = pairs(&desk.follow(&link).await, '#');
    assert_eq!(
        (&again["error"], &again["error_code"]),
        (&json!("access_denied"), &json!("otp_expired"))
    );
    desk.sign_in(&email, PASSWORD).await.ok();
}

#[tokio::test]
async fn codes_hold_an_hour_and_links_a_day() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let (_, code, link) = desk.mail(&email).await;
    desk.advance(TimeDelta::minutes(61));
    let late = desk
        .post("/verify", json!({ "type": "signup", "email": email, "token": code }))
        .await;
    assert_eq!(late.told(), (403, "otp_expired"));
    desk.advance(TimeDelta::hours(23));
    assert_eq!(pairs(&desk.follow(&link).await, '#')["error_code"], "otp_expired");
    desk.post("/resend", json!({ "type": "signup", "email": email }))
        .await
        .ok();
    let (_, code, _) = desk.mail(&email).await;
    let given = desk
        .post("/verify", json!({ "type": "signup", "email": email, "token": code }))
        .await
        .ok();
    assert!(given.body["refresh_token"].is_string());
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let (_, code, _) = desk.mail(&email).await;
    let mut last = 0;
    for guess in (0..1_000_000)
        .map(|number| format!("{number:06}"))
        .filter(|guess| *guess != code)
        .take(11)
    {
        last = desk
            .post("/verify", json!({ "type": "signup", "email": email, "token": guess }))
            .await
            .status;
    }
    assert_eq!(last, 429);
    let right = desk
        .post("/verify", json!({ "type": "signup", "email": email, "token": code }))
        .await;
    assert_eq!(
        right.told(),
        (429, "over_request_rate_limit"),
        "not even the right one now"
    );
}

#[tokio::test]
async fn whether_somebody_has_an_address_is_not_told() {
    let desk = Desk::new(Confirm::ByMail).await;
    let (known, unknown) = (address(), address());
    desk.sign_up(&known).await.ok();
    let (_, code, _) = desk.mail(&known).await;
    desk.post("/verify", json!({ "type": "signup", "email": known, "token": code }))
        .await
        .ok();
    desk.advance(TimeDelta::minutes(5));
    let shape = |body: &Value| {
        let mut keys: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let (a, b) = (desk.sign_up(&known).await.ok(), desk.sign_up(&unknown).await.ok());
    assert_eq!(shape(&a.body), shape(&b.body), "the fields of a newcomer");
    assert_ne!(a.body["id"], json!(null));
    assert_eq!(
        a.body["identities"],
        json!([]),
        "the protocol's way to tell the front end"
    );
    desk.advance(TimeDelta::minutes(5));
    for path in ["/recover", "/resend"] {
        let ask = async |email: &str| {
            let answer = desk.post(path, json!({ "type": "signup", "email": email })).await;
            (answer.status, answer.body)
        };
        let nobody = address();
        assert_eq!(ask(&known).await, ask(&nobody).await, "{path}");
        assert_eq!(ask(&known).await.0, 429, "{path}: the pause");
        assert_eq!(ask(&known).await, ask(&nobody).await, "{path}: the pause is the same");
        assert_eq!(desk.mails_to(&nobody).await, 0);
        desk.advance(TimeDelta::minutes(5));
    }
}

#[tokio::test]
async fn a_forgotten_password_is_set_again() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    desk.post(
        "/recover?redirect_to=https%3A%2F%2Fapp.example%2Freset",
        json!({ "email": email }),
    )
    .await
    .ok();
    let soon = desk.post("/recover", json!({ "email": email })).await;
    assert_eq!(soon.told(), (429, "over_email_send_rate_limit"));
    assert_eq!(
        soon.body["msg"],
        "For security purposes, you can only request this after 1 seconds."
    );
    let (kind, _, link) = desk.mail(&email).await;
    assert_eq!(kind, "recovery");
    let place = desk.follow(&link).await;
    assert!(place.starts_with("https://app.example/reset#"), "{place}");
    let token = pairs(&place, '#')["access_token"].as_str().unwrap().to_owned();
    desk.by(&token, "PUT", "/user", Some(json!({ "password": "another horse" })))
        .await
        .ok();
    desk.sign_in(&email, "another horse").await.ok();
}

#[tokio::test]
async fn nobody_is_let_in_by_a_password_that_somebody_else_chose() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    // Somebody signs up with another person's address, who later signs in by mail.
    desk.sign_up(&email).await.ok();
    desk.advance(TimeDelta::minutes(2));
    desk.post("/otp", json!({ "email": email })).await.ok();
    let (kind, code, _) = desk.mail(&email).await;
    assert_eq!(kind, "magic_link");
    desk.post("/verify", json!({ "type": "email", "email": email, "token": code }))
        .await
        .ok();
    assert_eq!(
        desk.sign_in(&email, PASSWORD).await.told(),
        (400, "invalid_credentials")
    );
}

#[tokio::test]
async fn a_link_signs_in_and_adds_who_may_be_added() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    let closed = desk.post("/otp", json!({ "email": email, "create_user": false })).await;
    assert_eq!(closed.told(), (422, "otp_disabled"));
    desk.advance(TimeDelta::minutes(2));
    desk.post("/magiclink", json!({ "email": email, "data": { "name": "Ann" } }))
        .await
        .ok();
    let (_, code, link) = desk.mail(&email).await;
    let hash = pairs(&link, '?')["token"].clone();
    let both = json!({ "type": "magiclink", "email": email, "token": code, "token_hash": hash });
    assert_eq!(desk.post("/verify", both).await.told(), (400, "validation_failed"));
    let other = json!({ "type": "recovery", "email": address(), "token": code });
    assert_eq!(
        desk.post("/verify", other).await.told(),
        (403, "otp_expired"),
        "another address"
    );
    let given = desk
        .post("/verify", json!({ "type": "magiclink", "token_hash": hash }))
        .await
        .ok();
    assert_eq!(given.body["user"]["user_metadata"]["name"], "Ann");
    let used = desk
        .post("/verify", json!({ "type": "magiclink", "token_hash": hash }))
        .await;
    assert_eq!(
        (used.told(), used.text("msg").as_str()),
        ((403, "otp_expired"), "Email link is invalid or has expired")
    );
    let used = desk
        .post("/verify", json!({ "type": "magiclink", "email": email, "token": code }))
        .await;
    assert_eq!(
        (used.told(), used.text("msg").as_str()),
        ((403, "otp_expired"), "Token has expired or is invalid")
    );
    for kind in ["sms", "phone_change"] {
        assert_eq!(
            desk.post("/verify", json!({ "type": kind, "phone": "1", "token": "1" }))
                .await
                .told(),
            (403, "otp_expired")
        );
    }
    assert_eq!(
        desk.post("/verify", json!({ "type": "other", "token_hash": "x" }))
            .await
            .told(),
        (400, "validation_failed")
    );
}

#[tokio::test]
async fn a_code_flow_ends_at_its_own_client_alone() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    let verifier = "a-verifier-that-is-long-enough-to-be-one-0123456789";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let body =
        json!({ "email": email, "password": PASSWORD, "code_challenge": challenge, "code_challenge_method": "s256" });
    desk.post("/signup", body).await.ok();
    let exchange = async |code: &str, verifier: &str| {
        desk.post(
            "/token?grant_type=pkce",
            json!({ "auth_code": code, "code_verifier": verifier }),
        )
        .await
    };
    let begun = async |path: &str| {
        desk.advance(TimeDelta::minutes(2));
        desk.post(
            path,
            json!({ "email": email, "code_challenge": challenge, "code_challenge_method": "s256" }),
        )
        .await
        .ok();
    };
    let code_of = async |kind: &str| {
        let (_, _, link) = desk.mail(&email).await;
        assert!(link.contains("token=pkce_"), "{link}");
        let place = desk.follow(&link).await;
        assert!(place.starts_with("http://localhost:3000?code="), "{kind}: {place}");
        pairs(&place, '?')["code"].as_str().unwrap().to_owned()
    };
    let code = code_of("signup").await;
    assert_eq!(exchange(&code, &challenge).await.told(), (400, "bad_code_verifier"));
    assert_eq!(
        exchange(&code, verifier).await.told(),
        (404, "flow_state_not_found"),
        "a code is tried once"
    );
    begun("/otp").await;
    let code = code_of("otp").await;
    let given = exchange(&code, verifier).await.ok();
    assert_eq!(given.body["user"]["email"], email);
    assert_eq!(exchange(&code, verifier).await.told(), (404, "flow_state_not_found"));
    begun("/recover").await;
    let code = code_of("recovery").await;
    desk.advance(TimeDelta::minutes(6));
    assert_eq!(exchange(&code, verifier).await.told(), (422, "flow_state_expired"));
    begun("/recover").await;
    let (_, _, link) = desk.mail(&email).await;
    desk.follow(&link).await;
    let place = desk.follow(&link).await;
    assert_eq!(
        pairs(&place, '?')["error_code"],
        "otp_expired",
        "in the query as well: {place}"
    );
    assert_eq!(exchange("", "").await.told(), (400, "validation_failed"));
}

#[tokio::test]
async fn both_addresses_agree_to_a_change() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (old, new, taken) = (address(), address(), address());
    desk.sign_up(&taken).await.ok();
    let up = desk.sign_up(&old).await.ok();
    let token = up.text("access_token");
    let put = async |email: &str| desk.by(&token, "PUT", "/user", Some(json!({ "email": email }))).await;
    assert_eq!(put(&taken).await.told(), (422, "email_exists"));
    assert_eq!(put("nobody").await.told(), (400, "validation_failed"));
    let asked = put(&new).await.ok();
    assert_eq!(
        (&asked.body["email"], &asked.body["new_email"]),
        (&json!(old), &json!(new))
    );
    let (_, code, _) = desk.mail(&new).await;
    let half = desk
        .post(
            "/verify",
            json!({ "type": "email_change", "email": new, "token": code }),
        )
        .await
        .ok();
    assert!(half.text("msg").starts_with("Confirmation link accepted."));
    let before = desk.by(&token, "GET", "/user", None).await.ok();
    assert_eq!(before.body["email"], old, "not yet");
    let (_, _, link) = desk.mail(&old).await;
    let place = desk.follow(&link).await;
    assert_eq!(pairs(&place, '#')["type"], "email_change");
    let after = desk.by(&token, "GET", "/user", None).await.ok();
    assert_eq!(after.body["email"], new);
    assert!(after.body.get("new_email").is_none());
    assert_eq!(after.body["identities"][0]["email"], new);
    desk.sign_in(&new, PASSWORD).await.ok();
    assert_eq!(desk.sign_in(&old, PASSWORD).await.told(), (400, "invalid_credentials"));
    let client = desk.world.admin().await;
    let id: uuid::Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
    let kept: String = client
        .query_one("select email from public.user_profiles where id = $1", &[&id])
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, new);
}

#[tokio::test]
async fn links_lead_to_the_front_end_alone() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    for evil in [
        "https://evil.example",
        "https%3A%2F%2Fevil.example%2F%23",
        "%2F%2Fevil.example",
        "https%3A%2F%2Fapp.example%40evil.example",
        "javascript%3Aalert(1)",
        "https%3A%2F%2Fapp.example%0d%0aset-cookie%3A%20a",
    ] {
        desk.advance(TimeDelta::minutes(2));
        desk.post(&format!("/recover?redirect_to={evil}"), json!({ "email": email }))
            .await
            .ok();
        let (_, _, link) = desk.mail(&email).await;
        let place = desk.follow(&link).await;
        assert!(place.starts_with("http://localhost:3000#"), "{evil}: {place}");
        // Whoever has a link cannot bend it either.
        let bent = format!("{}&redirect_to={evil}", link.split("&redirect_to").next().unwrap());
        let place = desk.follow(&bent).await;
        assert!(place.starts_with("http://localhost:3000#"), "{evil}: {place}");
    }
}

#[tokio::test]
async fn no_address_writes_into_the_head_of_a_mail() {
    let desk = Desk::new(Confirm::ByMail).await;
    for evil in [
        "a@example.com\r\nbcc: b@example.com",
        "a@example.com\nsubject: x",
        "a\u{0}@example.com",
        "a@example.com, b@example.com",
    ] {
        for path in ["/signup", "/otp", "/recover", "/magiclink"] {
            let answer = desk.post(path, json!({ "email": evil, "password": PASSWORD })).await;
            assert_eq!(answer.told(), (400, "validation_failed"), "{path} {evil:?}");
        }
    }
    let client = desk.world.admin().await;
    let put = client
        .execute(
            "insert into nexus.login_mails (kind, recipient, subject, body_text, body_html, created_at, due_at)
             values ('recovery', E'a@example.com\\r\\nbcc: b', 's', '', '', now(), now())",
            &[],
        )
        .await;
    assert!(put.is_err(), "the table takes one line alone");
}

#[tokio::test]
async fn the_developers_page_is_for_the_well_known_keys_alone() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let json = [("accept", "application/json")];
    let found = desk
        .send("GET", &format!("/dev/mails?to={email}"), &json, None)
        .await
        .ok();
    assert_eq!(found.body[0]["to"], email);
    let mut config = (*desk.app.config).clone();
    config.settings.dev_keys = false;
    let mut app = desk.app.clone();
    app.config = std::sync::Arc::new(config);
    let closed = Desk {
        app,
        world: crate::world::World::shared().await,
        clock: desk.clock.clone(),
    };
    assert_eq!(closed.send("GET", "/dev/mails", &json, None).await.status, 404);
}
