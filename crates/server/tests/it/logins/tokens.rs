//! Access tokens: keys that others can verify, and claims of the operator's own.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use nexus_mint::auth::signing;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Confirm, Desk, PASSWORD, address};

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn keys_are_shown_and_change_without_signing_anybody_out() {
    let old: Value = serde_json::from_str(signing::fresh().unwrap().expose()).unwrap();
    let new: Value = serde_json::from_str(signing::fresh().unwrap().expose()).unwrap();
    let before = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_JWT_SIGNING_KEYS", &old.to_string())).await;
    let up = before.sign_up(&address()).await.ok();
    let token = up.text("access_token");
    assert_eq!(
        part(&token, 0),
        json!({ "alg": "ES256", "typ": "JWT", "kid": old["keys"][0]["kid"] })
    );
    let shown = before.send("GET", "/.well-known/jwks.json", &[], None).await.ok();
    assert_eq!(shown.body["keys"][0]["x"], old["keys"][0]["x"]);
    assert!(
        shown.body["keys"][0].get("d").is_none(),
        "the private part is not shown"
    );
    let both = json!({ "keys": [new["keys"][0], old["keys"][0]] }).to_string();
    let after = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_JWT_SIGNING_KEYS", &both)).await;
    after.by(&token, "GET", "/user", None).await.ok();
    let next = after.refresh(&up.text("refresh_token")).await.ok().text("access_token");
    assert_eq!(part(&next, 0)["kid"], new["keys"][0]["kid"]);
    assert_eq!(
        before.by(&next, "GET", "/user", None).await.told(),
        (403, "bad_jwt"),
        "a key that it does not know"
    );
    let plain = Desk::new(Confirm::AtOnce).await;
    assert_eq!(plain.by(&token, "GET", "/user", None).await.told(), (403, "bad_jwt"));
    assert_eq!(
        part(&plain.sign_up(&address()).await.ok().text("access_token"), 0)["alg"],
        "HS256"
    );
}

#[tokio::test]
async fn a_function_of_the_operator_adds_claims_and_changes_none_of_ours() {
    let name = format!("claims_{}", Uuid::new_v4().simple());
    let hook = format!("public.{name}");
    let desk = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_ACCESS_TOKEN_HOOK", &hook)).await;
    let missing = desk.sign_up(&address()).await;
    assert_eq!(
        missing.told(),
        (500, "unexpected_failure"),
        "no token without what the operator wanted in it"
    );
    let client = desk.world.admin().await;
    // Not in a migration, so that others' tests of the whole schema, which have databases of their own, do not see it.
    client
        .batch_execute(&format!(
            "create function {hook}(event jsonb) returns jsonb language sql stable as $$
               select jsonb_build_object('claims', event -> 'claims' || jsonb_build_object(
                 'plan', event ->> 'authentication_method', 'role', 'service_role', 'sub', gen_random_uuid(), 'exp', 9999999999, 'aal', 'aal2'))
             $$;
             revoke execute on function {hook}(jsonb) from public;
             grant execute on function {hook}(jsonb) to supabase_auth_admin"
        ))
        .await
        .unwrap();
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    let claims = part(&up.text("access_token"), 1);
    assert_eq!(claims["plan"], "password");
    assert_eq!(claims["role"], "authenticated");
    assert_eq!(claims["sub"], up.body["user"]["id"]);
    assert_eq!(claims["exp"], (desk.now() + TimeDelta::hours(1)).timestamp());
    assert_eq!(claims["aal"], "aal1");
    desk.sign_in(&email, PASSWORD).await.ok();
    client
        .batch_execute(&format!("drop function {hook}(jsonb)"))
        .await
        .unwrap();
}
