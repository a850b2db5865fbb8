//! A provider of OpenID Connect whose answers the test spoils.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_mint::auth::signing::{self, SigningKey};
use serde_json::{Value, json};
use url::Url;

pub(super) const CLIENT: &str = "mint";

/// What the provider says of the person who comes next.
pub(super) type Spoil = fn(&mut Value);

pub(super) struct Issuer {
    pub(super) url: String,
    inside: Arc<Inside>,
}

struct Inside {
    key: SigningKey,
    /// The person whom the next code stands for, as claims; the address is left to `/userinfo` where it has `aside`.
    person: Mutex<Value>,
    /// Code to the nonce and challenge of its flow.
    codes: Mutex<BTreeMap<String, (String, String)>>,
    now: Mutex<i64>,
    url: Mutex<String>,
    /// How often anything was asked, by path.
    asked: Mutex<BTreeMap<&'static str, u32>>,
}

impl Issuer {
    pub(super) async fn start(now: i64) -> Issuer {
        let inside = Arc::new(Inside {
            key: key(),
            person: Mutex::default(),
            codes: Mutex::default(),
            now: Mutex::new(now),
            url: Mutex::default(),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(description))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(inside.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        inside.url.lock().unwrap().clone_from(&url);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Issuer { url, inside }
    }

    /// The configuration of a server that knows it as `oidc`, and by its addresses alone as `plain`.
    pub(super) fn setting(&self) -> String {
        let url = &self.url;
        json!({
            "oidc": { "issuer": url, "client_id": CLIENT, "client_secret": "a secret/+", "audiences": ["app"] },
            "plain": {
                "client_id": CLIENT, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"), "userinfo_endpoint": format!("{url}/userinfo"),
                "subject_claim": "id",
            },
        })
        .to_string()
    }

    pub(super) fn set_now(&self, now: i64) {
        *self.inside.now.lock().unwrap() = now;
    }

    pub(super) fn asked(&self, path: &str) -> u32 {
        self.inside.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// A person agrees at the address to which we sent the browser: the query with which it comes back.
    pub(super) fn agree(&self, address: &str, person: Value) -> String {
        let url = Url::parse(address).unwrap();
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(
            (
                pairs["response_type"].as_str(),
                pairs["client_id"].as_str(),
                pairs["code_challenge_method"].as_str()
            ),
            ("code", CLIENT, "S256")
        );
        assert_eq!(pairs["redirect_uri"], "http://127.0.0.1:54321/auth/v1/callback");
        *self.inside.person.lock().unwrap() = person;
        let code = uuid::Uuid::new_v4().to_string();
        let nonce = pairs.get("nonce").cloned().unwrap_or_default();
        let flow = (nonce, pairs["code_challenge"].clone());
        self.inside.codes.lock().unwrap().insert(code.clone(), flow);
        format!("state={}&code={code}", pairs["state"])
    }

    /// The ID token of somebody, spoilt.
    pub(super) fn id_token(&self, person: &Value, nonce: Option<&str>, spoil: Spoil) -> String {
        id_token(&self.inside, person, nonce, spoil)
    }
}

pub(super) fn key() -> SigningKey {
    signing::keys_of(signing::fresh().unwrap().expose()).unwrap().remove(0)
}

fn count(inside: &Inside, path: &'static str) {
    *inside.asked.lock().unwrap().entry(path).or_default() += 1;
}

async fn description(State(inside): State<Arc<Inside>>) -> Json<Value> {
    count(&inside, "description");
    let url = inside.url.lock().unwrap().clone();
    Json(json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"), "userinfo_endpoint": format!("{url}/userinfo"),
    }))
}

async fn keys(State(inside): State<Arc<Inside>>) -> Json<Value> {
    count(&inside, "keys");
    // A key of a kind that nobody knows, and a shared secret: both are passed over.
    let secret = URL_SAFE_NO_PAD.encode("a secret");
    Json(json!({ "keys": [{ "kty": "new" }, { "kty": "oct", "k": secret, "kid": "shared" }, inside.key.public] }))
}

async fn token(
    State(inside): State<Arc<Inside>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    count(&inside, "token");
    let refused = |why: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": why })));
    let Some((nonce, challenge)) = inside.codes.lock().unwrap().remove(&form["code"]) else {
        return refused("invalid_grant");
    };
    let verifier = URL_SAFE_NO_PAD.encode(<sha2::Sha256 as sha2::Digest>::digest(&form["code_verifier"]));
    if verifier != challenge || form["redirect_uri"] != "http://127.0.0.1:54321/auth/v1/callback" {
        return refused("invalid_grant");
    }
    // RFC 6749, 2.3.1, for the one that has a secret.
    let is_known = headers
        .get("authorization")
        .is_some_and(|value| value == "Basic bWludDphK3NlY3JldCUyRiUyQg==");
    if !nonce.is_empty() && !is_known {
        return refused("invalid_client");
    }
    let person = inside.person.lock().unwrap().clone();
    let token = id_token(&inside, &person, Some(&nonce), |_| {});
    let token = person["spoilt"].as_str().map_or(token, str::to_owned);
    (
        StatusCode::OK,
        Json(
            json!({ "access_token": "theirs", "refresh_token": "theirs too", "id_token": token, "token_type": "Bearer" }),
        ),
    )
}

async fn userinfo(State(inside): State<Arc<Inside>>, headers: HeaderMap) -> Json<Value> {
    count(&inside, "userinfo");
    assert_eq!(headers["authorization"], "Bearer theirs");
    let mut person = inside.person.lock().unwrap().clone();
    if let Some(aside) = person.get("aside").cloned() {
        for (key, value) in aside.as_object().unwrap() {
            person[key] = value.clone();
        }
    }
    Json(person)
}

fn id_token(inside: &Inside, person: &Value, nonce: Option<&str>, spoil: Spoil) -> String {
    let now = *inside.now.lock().unwrap();
    let mut claims = json!({ "iss": *inside.url.lock().unwrap(), "aud": CLIENT, "iat": now, "exp": now + 300 });
    for (key, value) in person.as_object().unwrap() {
        if !["aside", "spoilt"].contains(&key.as_str()) {
            claims[key] = value.clone();
        }
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    spoil(&mut claims);
    inside.key.sign(claims.to_string().as_bytes()).unwrap()
}
