//! Signing in at other providers: what they say counts under their signature, for this flow, once.

mod issuer;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::Uuid;

use self::issuer::{Issuer, Spoil, key};
use super::{Answer, Confirm, Desk, PASSWORD, address};

const HOME: &str = "http://localhost:3000";

async fn desk_with(confirm: Confirm) -> (Desk, Issuer) {
    let issuer = Issuer::start(crate::site::BEGIN).await;
    let desk = Desk::with(confirm, ("NEXUS_MINT_SIGN_IN_PROVIDERS", &issuer.setting())).await;
    (desk, issuer)
}

fn somebody(email: &str, is_verified: bool) -> Value {
    json!({ "sub": Uuid::new_v4().to_string(), "email": email, "email_verified": is_verified, "name": "Ann", "picture": "https://p.example/a" })
}

/// A browser: it keeps the cookies of its flow.
struct Browser<'a> {
    desk: &'a Desk,
    address: String,
    cookie: String,
}

impl Browser<'_> {
    async fn begin<'a>(desk: &'a Desk, query: &str) -> Browser<'a> {
        let answer = desk.send("GET", &format!("/authorize?{query}"), &[], None).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        let cookie = answer
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        Browser {
            desk,
            address: answer.header("location").to_owned(),
            cookie,
        }
    }

    /// Comes back with a query: where it is sent.
    async fn back(&self, query: &str) -> String {
        let headers = [("cookie", self.cookie.as_str())];
        let answer = self
            .desk
            .send("GET", &format!("/callback?{query}"), &headers, None)
            .await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        answer.header("location").to_owned()
    }
}

fn fragment(place: &str) -> Value {
    let pairs = url::form_urlencoded::parse(place.split('#').nth(1).unwrap_or_default().as_bytes());
    Value::Object(pairs.map(|(key, value)| (key.into_owned(), json!(value))).collect())
}

/// Signs somebody in without a code: the fragment with the tokens, or with what went wrong.
async fn sign_in(desk: &Desk, issuer: &Issuer, person: &Value) -> Value {
    let browser = Browser::begin(desk, "provider=oidc").await;
    let query = issuer.agree(&browser.address, person.clone());
    fragment(&browser.back(&query).await)
}

async fn user_of(desk: &Desk, given: &Value) -> Value {
    let token = given["access_token"].as_str().unwrap_or_else(|| panic!("{given}"));
    desk.by(token, "GET", "/user", None).await.ok().body
}

#[tokio::test]
async fn somebody_new_signs_in_and_is_known_the_next_time() {
    let (desk, issuer) = desk_with(Confirm::ByMail).await;
    let email = address();
    let person = somebody(&email, true);
    let given = sign_in(&desk, &issuer, &person).await;
    assert_eq!(
        (
            given["provider_token"].as_str(),
            given["provider_refresh_token"].as_str(),
            given["token_type"].as_str()
        ),
        (Some("theirs"), Some("theirs too"), Some("bearer"))
    );
    let user = user_of(&desk, &given).await;
    assert_eq!(user["email"], email);
    assert!(user["email_confirmed_at"].is_string());
    assert_eq!(
        user["app_metadata"],
        json!({ "provider": "oidc", "providers": ["oidc"] })
    );
    assert_eq!(
        (
            &user["user_metadata"]["full_name"],
            &user["user_metadata"]["avatar_url"],
            &user["user_metadata"]["provider_id"]
        ),
        (&json!("Ann"), &json!("https://p.example/a"), &person["sub"])
    );
    let identity = &user["identities"][0];
    assert_eq!(
        (&identity["provider"], &identity["id"]),
        (&json!("oidc"), &person["sub"])
    );
    let claims: Value = serde_json::from_slice(
        &URL_SAFE_NO_PAD
            .decode(given["access_token"].as_str().unwrap().split('.').nth(1).unwrap())
            .unwrap(),
    )
    .unwrap();
    assert_eq!(claims["amr"][0]["method"], "oauth");
    // The provider's address for the person changed: the person did not.
    let mut moved = person.clone();
    moved["email"] = json!(address());
    let again = sign_in(&desk, &issuer, &moved).await;
    let seen = user_of(&desk, &again).await;
    assert_eq!((&seen["id"], &seen["email"]), (&user["id"], &json!(email)));
    assert_eq!(
        (issuer.asked("description"), issuer.asked("keys")),
        (1, 1),
        "what was found out is remembered"
    );
    let events = desk.events(user["id"].as_str().unwrap()).await;
    assert_eq!(events, ["signed_up", "signed_in", "signed_in"]);
}

#[tokio::test]
async fn a_client_with_a_challenge_gets_a_code_and_with_it_the_tokens_once() {
    let (desk, issuer) = desk_with(Confirm::ByMail).await;
    let verifier = "a-verifier-that-is-long-enough-to-be-one-0123456789";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let query = format!(
        "provider=oidc&code_challenge={challenge}&code_challenge_method=s256&redirect_to={HOME}/in&scopes=calendar+email&prompt=consent&client_id=evil&redirect_uri=https://evil.example"
    );
    let browser = Browser::begin(&desk, &query).await;
    assert_eq!(browser.cookie, "", "the verifier tells the client apart");
    let sent: std::collections::BTreeMap<String, String> = Url::parse(&browser.address)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    assert_eq!(
        (sent["scope"].as_str(), sent["prompt"].as_str()),
        ("openid email profile calendar", "consent")
    );
    let back = issuer.agree(&browser.address, somebody(&address(), true));
    let place = browser.back(&back).await;
    let code = place
        .strip_prefix(&format!("{HOME}/in?code="))
        .unwrap_or_else(|| panic!("{place}"));
    let kept = desk.world.admin().await;
    let rows = kept
        .query("select row_to_json(f)::text from auth.flow_state as f", &[])
        .await
        .unwrap();
    assert!(
        rows.iter().all(|row| !row.get::<_, String>(0).contains("theirs")),
        "the provider's tokens are not kept as they are"
    );
    let exchange = async |verifier: &str| {
        let body = json!({ "auth_code": code, "code_verifier": verifier });
        desk.post("/token?grant_type=pkce", body).await
    };
    let given = exchange(verifier).await.ok();
    assert_eq!(
        (given.text("provider_token"), given.text("provider_refresh_token")),
        ("theirs".to_owned(), "theirs too".to_owned())
    );
    assert_eq!(exchange(verifier).await.told(), (404, "flow_state_not_found"));
    let again = browser.back(&back).await;
    assert_eq!(fragment(&again)["error_code"], "bad_oauth_state", "a state counts once");
}

#[tokio::test]
async fn a_verified_address_joins_the_login_that_has_it_and_an_unverified_one_does_not() {
    let (desk, issuer) = desk_with(Confirm::ByMail).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let (_, code, _) = desk.mail(&email).await;
    let own = desk
        .post("/verify", json!({ "type": "signup", "email": email, "token": code }))
        .await
        .ok();
    // Somebody who only says that the address is his gets a login of his own, without the address.
    let stranger = sign_in(&desk, &issuer, &somebody(&email, false)).await;
    let stranger = user_of(&desk, &stranger).await;
    assert_ne!(stranger["id"], own.body["user"]["id"]);
    assert_eq!(stranger["email"], "");
    let joined = sign_in(&desk, &issuer, &somebody(&email, true)).await;
    let joined = user_of(&desk, &joined).await;
    assert_eq!(joined["id"], own.body["user"]["id"]);
    assert_eq!(
        joined["app_metadata"],
        json!({ "provider": "email", "providers": ["email", "oidc"] })
    );
    desk.sign_in(&email, PASSWORD).await.ok();
    desk.by(&own.text("access_token"), "GET", "/user", None).await.ok();
}

#[tokio::test]
async fn who_signed_up_with_somebody_elses_address_is_locked_out_when_its_owner_comes() {
    for confirm in [Confirm::ByMail, Confirm::AtOnce] {
        let (desk, issuer) = desk_with(confirm).await;
        let email = address();
        let early = desk.sign_up(&email).await.ok();
        let owner = sign_in(&desk, &issuer, &somebody(&email, true)).await;
        let owner = user_of(&desk, &owner).await;
        assert_eq!(owner["email"], email);
        assert_eq!(
            desk.sign_in(&email, PASSWORD).await.told(),
            (400, "invalid_credentials")
        );
        if confirm == Confirm::AtOnce {
            assert_eq!(desk.refresh(&early.text("refresh_token")).await.status, 400);
        }
    }
}

#[tokio::test]
async fn an_address_that_nobody_verified_is_confirmed_by_mail_first() {
    let (desk, issuer) = desk_with(Confirm::ByMail).await;
    let email = address();
    let person = somebody(&email, false);
    for _ in 0..2 {
        let refused = sign_in(&desk, &issuer, &person).await;
        assert_eq!(
            (&refused["error"], &refused["error_code"]),
            (&json!("access_denied"), &json!("provider_email_needs_verification"))
        );
    }
    assert_eq!(desk.mails_to(&email).await, 1, "one mail is enough for a minute");
    let (_, _, link) = desk.mail(&email).await;
    assert!(desk.follow(&link).await.contains("access_token="));
    let given = sign_in(&desk, &issuer, &person).await;
    assert_eq!(user_of(&desk, &given).await["email"], email);
}

#[tokio::test]
async fn what_the_provider_did_not_sign_for_this_flow_signs_nobody_in() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let forged = key()
        .sign(
            json!({ "iss": issuer.url, "aud": "mint", "sub": "x", "exp": 4_000_000_000_u64 })
                .to_string()
                .as_bytes(),
        )
        .unwrap();
    let person = somebody(&address(), true);
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(person.to_string())
    );
    for spoilt in [
        forged,
        none,
        issuer.id_token(&person, Some("another flow's"), |_| {}),
        issuer.id_token(&person, None, |_| {}),
    ] {
        let mut person = person.clone();
        person["spoilt"] = json!(spoilt);
        let refused = sign_in(&desk, &issuer, &person).await;
        assert_eq!(refused["error_code"], "bad_oauth_callback", "{refused}");
    }
    let client = desk.world.admin().await;
    let text = "select count(*) from auth.users where email = $1";
    let count: i64 = client
        .query_one(text, &[&person["email"].as_str()])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_flow_ends_in_the_browser_that_began_it_in_time_and_nowhere_else() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let ends = async |browser: &Browser<'_>, query: &str| fragment(&browser.back(query).await)["error_code"].clone();
    let mut other = Browser::begin(&desk, "provider=oidc").await;
    let query = issuer.agree(&other.address, somebody(&address(), true));
    other.cookie = Browser::begin(&desk, "provider=oidc").await.cookie;
    assert_eq!(ends(&other, &query).await, "bad_oauth_state", "another browser");
    let late = Browser::begin(&desk, "provider=oidc").await;
    let query = issuer.agree(&late.address, somebody(&address(), true));
    desk.advance(TimeDelta::minutes(11));
    assert_eq!(ends(&late, &query).await, "bad_oauth_state", "too late");
    issuer.set_now(desk.now().timestamp());
    let browser = Browser::begin(&desk, "provider=oidc").await;
    assert_eq!(ends(&browser, "state=made-up&code=x").await, "bad_oauth_state");
    assert_eq!(ends(&browser, "code=x").await, "bad_oauth_state");
    let state = issuer.agree(&browser.address, somebody(&address(), true));
    let state = state.split('&').next().unwrap();
    assert_eq!(
        ends(&browser, &format!("{state}&code=made-up")).await,
        "bad_oauth_callback"
    );
    let browser = Browser::begin(&desk, "provider=oidc").await;
    let query = issuer.agree(&browser.address, somebody(&address(), true));
    let sender = format!("{query}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(
        ends(&browser, &sender).await,
        "bad_oauth_state",
        "an answer of another provider"
    );
    let browser = Browser::begin(&desk, "provider=oidc").await;
    let query = issuer.agree(&browser.address, somebody(&address(), true));
    let state = query.split('&').next().unwrap();
    let refused = browser
        .back(&format!("{state}&error=access_denied&error_description=%3Cscript%3E"))
        .await;
    assert!(
        refused.starts_with(HOME) && !refused.to_lowercase().contains("3cscript"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_browser_is_never_sent_elsewhere() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    for (wanted, expect) in [
        ("https://evil.example", HOME),
        ("http://localhost:3000@evil.example", HOME),
        ("javascript:alert(1)", HOME),
        ("//evil.example", HOME),
        ("https://app.example/x", "https://app.example/x"),
        (
            "http://localhost:3000/%0d%0aset-cookie:a=b",
            "http://localhost:3000/%0d%0aset-cookie:a=b",
        ),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        let browser = Browser::begin(&desk, &format!("provider=oidc&redirect_to={encoded}")).await;
        let query = issuer.agree(&browser.address, somebody(&address(), true));
        let place = browser.back(&query).await;
        assert!(
            place.starts_with(&format!("{expect}#access_token=")),
            "{wanted}: {place}"
        );
        let refused = browser.back("state=x").await;
        assert!(refused.starts_with(&format!("{HOME}?error=")), "{refused}");
    }
    let posted = desk
        .send(
            "POST",
            "/callback",
            &[("content-type", "application/x-www-form-urlencoded")],
            None,
        )
        .await;
    assert_eq!(
        (posted.status, posted.header("location")),
        (303, "http://127.0.0.1:54321/auth/v1/callback?")
    );
}

#[tokio::test]
async fn a_provider_without_an_issuer_is_asked_who_it_is() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let browser = Browser::begin(&desk, "provider=plain").await;
    let email = address();
    let person = json!({ "id": 4711, "email": email, "email_verified": true, "login": "ann" });
    let query = issuer.agree(&browser.address, person);
    let given = fragment(&browser.back(&query).await);
    let user = user_of(&desk, &given).await;
    assert_eq!(
        (
            &user["identities"][0]["id"],
            &user["user_metadata"]["preferred_username"]
        ),
        (&json!("4711"), &json!("ann"))
    );
    // An issuer's token without an address is completed by what the issuer says besides, of the same person alone.
    let email = address();
    let aside = json!({ "email": email, "email_verified": true });
    let given = sign_in(&desk, &issuer, &json!({ "sub": "s1", "aside": aside })).await;
    assert_eq!(user_of(&desk, &given).await["email"], email);
    let aside = json!({ "sub": "somebody else", "email": address(), "email_verified": true });
    let given = sign_in(&desk, &issuer, &json!({ "sub": "s2", "aside": aside })).await;
    assert_eq!(user_of(&desk, &given).await["email"], "");
}

async fn show(desk: &Desk, token: &str, nonce: Option<&str>) -> Answer {
    let body = json!({ "provider": "oidc", "id_token": token, "nonce": nonce });
    desk.post("/token?grant_type=id_token", body).await
}

#[tokio::test]
async fn an_id_token_signs_in_and_with_a_nonce_once() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let person = somebody(&address(), true);
    let hash: String = Sha256::digest("n").iter().map(|byte| format!("{byte:02x}")).collect();
    let token = issuer.id_token(&person, Some(&hash), |_| {});
    let given = show(&desk, &token, Some("n")).await.ok();
    assert_eq!(given.body["user"]["email"], person["email"]);
    let again = show(&desk, &token, Some("n")).await;
    assert_eq!(
        (again.status, again.text("error_description")),
        (400, "id_token was used before".to_owned())
    );
    let plain = issuer.id_token(&person, None, |claims| claims["aud"] = json!("app"));
    show(&desk, &plain, None).await.ok();
    show(&desk, &plain, None).await.ok();
    let cases: [(&str, Spoil, Option<&str>); 12] = [
        ("Nonces mismatch", |_| {}, Some("n")),
        ("Nonces mismatch", |claims| claims["nonce"] = json!("x"), None),
        ("Nonces mismatch", |claims| claims["nonce"] = json!("n"), Some("n")),
        (
            "Unacceptable audience in id_token",
            |claims| claims["aud"] = json!("another"),
            None,
        ),
        (
            "Unacceptable audience in id_token",
            |claims| claims["aud"] = json!(["mint", "another"]),
            None,
        ),
        (
            "Unacceptable audience in id_token",
            |claims| claims["aud"] = json!(7),
            None,
        ),
        ("id_token has expired", |claims| claims["exp"] = json!(1), None),
        (
            "id_token has expired",
            |claims| {
                claims.as_object_mut().unwrap().remove("exp");
            },
            None,
        ),
        (
            "Bad ID token",
            |claims| claims["iss"] = json!("https://another.example"),
            None,
        ),
        ("Bad ID token", |claims| claims["iat"] = json!(4_000_000_000_u64), None),
        ("Bad ID token", |claims| claims["nbf"] = json!(4_000_000_000_u64), None),
        ("Bad ID token", |claims| claims["exp"] = json!("soon"), None),
    ];
    for (expect, spoil, nonce) in cases {
        let refused = show(&desk, &issuer.id_token(&person, None, spoil), nonce).await;
        assert_eq!(
            (refused.status, refused.text("error_description")),
            (400, expect.to_owned()),
            "{}",
            refused.body
        );
    }
    let (message, signature) = plain.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    for wrong in [forged.as_str(), "x", "a.b.c", "..", message] {
        assert_eq!(show(&desk, wrong, None).await.text("error_description"), "Bad ID token");
    }
    let body = json!({ "provider": "oidc", "id_token": plain, "access_token": "another" });
    assert_eq!(
        desk.post("/token?grant_type=id_token", body).await.status,
        200,
        "without at_hash nothing is said of it"
    );
    let bound = issuer.id_token(&person, None, |claims| {
        claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")
    });
    let body = json!({ "provider": "oidc", "id_token": bound, "access_token": "another" });
    assert_eq!(
        desk.post("/token?grant_type=id_token", body)
            .await
            .text("error_description"),
        "Bad ID token"
    );
    let unknown = desk
        .post(
            "/token?grant_type=id_token",
            json!({ "provider": "google", "id_token": plain }),
        )
        .await;
    assert_eq!(unknown.told(), (400, "provider_disabled"));
    assert_eq!(
        unknown.text("msg"),
        "Provider (issuer \"https://accounts.google.com\") is not enabled"
    );
}

#[tokio::test]
async fn a_person_adds_a_way_to_sign_in_and_takes_one_away() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    let token = up.text("access_token");
    let path = "/user/identities/authorize?provider=oidc&skip_http_redirect=true";
    let begun = async || desk.by(&token, "GET", path, None).await.ok().text("url");
    let other = somebody(&address(), true);
    let person = somebody(&address(), false);
    let browser = Browser {
        desk: &desk,
        address: begun().await,
        cookie: String::new(),
    };
    let query = issuer.agree(&browser.address, person.clone());
    let given = fragment(&browser.back(&query).await);
    let user = user_of(&desk, &given).await;
    assert_eq!((&user["id"], &user["email"]), (&up.body["user"]["id"], &json!(email)));
    assert_eq!(user["app_metadata"]["providers"], json!(["email", "oidc"]));
    // Somebody's identity is nobody else's.
    sign_in(&desk, &issuer, &other).await;
    for taken in [&other, &person] {
        let query = issuer.agree(&begun().await, taken.clone());
        assert_eq!(
            fragment(&browser.back(&query).await)["error_code"],
            "identity_already_exists"
        );
    }
    let identity = user["identities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["provider"] == "oidc")
        .unwrap();
    let path = format!("/user/identities/{}", identity["identity_id"].as_str().unwrap());
    desk.by(&token, "DELETE", &path, None).await.ok();
    let alone = sign_in(&desk, &issuer, &person).await;
    assert_ne!(
        user_of(&desk, &alone).await["id"],
        user["id"],
        "it is the provider's person again, and another login"
    );
    // Who has signed out meanwhile adds nothing.
    let query = issuer.agree(&begun().await, somebody(&address(), true));
    desk.by(&token, "POST", "/logout", None).await;
    assert_eq!(
        fragment(&browser.back(&query).await)["error_code"],
        "bad_oauth_state",
        "the flow went with the session"
    );
}

#[tokio::test]
async fn somebody_without_a_name_becomes_a_person_by_a_provider() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let up = desk.post("/signup", json!({})).await.ok();
    let token = up.text("access_token");
    let person = somebody(&address(), true);
    let body = json!({ "provider": "oidc", "id_token": issuer.id_token(&person, None, |_| {}), "link_identity": true });
    let linked = desk
        .by(&token, "POST", "/token?grant_type=id_token", Some(body))
        .await
        .ok();
    let user = &linked.body["user"];
    assert_eq!(
        (&user["id"], &user["email"], &user["is_anonymous"]),
        (&up.body["user"]["id"], &person["email"], &json!(false))
    );
}

#[tokio::test]
async fn settings_tell_what_there_is_and_what_is_not_is_refused() {
    let (desk, issuer) = desk_with(Confirm::AtOnce).await;
    let external = desk.send("GET", "/settings", &[], None).await.ok().body["external"].clone();
    assert_eq!(
        (&external["oidc"], &external["google"], &external["email"]),
        (&json!(true), &json!(false), &json!(true))
    );
    for path in ["/authorize?provider=google", "/authorize", "/authorize?provider=email"] {
        assert_eq!(
            desk.send("GET", path, &[], None).await.told(),
            (400, "validation_failed"),
            "{path}"
        );
    }
    let url = desk
        .send("GET", "/authorize?provider=oidc&skip_http_redirect=true", &[], None)
        .await
        .ok()
        .text("url");
    assert!(url.starts_with(&format!("{}/authorize?", issuer.url)), "{url}");
    let setting = json!({ "oidc": { "issuer": "http://127.0.0.1:9", "client_id": "x" } }).to_string();
    let alone = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_SIGN_IN_PROVIDERS", &setting)).await;
    assert_eq!(
        alone.send("GET", "/authorize?provider=oidc", &[], None).await.status,
        503,
        "a client tries again"
    );
    let closed = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_SIGN_UP", "false")).await;
    assert_eq!(
        closed.send("GET", "/authorize?provider=oidc", &[], None).await.status,
        400
    );
}
