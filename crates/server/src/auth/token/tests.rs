use serde_json::json;

use super::*;
use crate::auth::keys::tests::keys_with;

const NOW: i64 = 1_800_000_000;

fn keys() -> Keys {
    keys_with(true, [("UNUSED", ""), ("UNUSED", "")]).unwrap()
}

fn verify(token: &str) -> Result<Caller, TokenError> {
    keys().verify(token, DateTime::from_timestamp(NOW, 0).unwrap())
}

fn check(claims: Value, expect: Result<ApiRole, &str>) {
    let token = keys().sign(&claims).unwrap();
    let found = verify(&token)
        .map(|caller| caller.role())
        .map_err(|error| error.to_string());
    assert_eq!(found, expect.map_err(str::to_owned), "{claims}");
}

/// A token with any header, signed with the right secret.
fn with_header(header: &Value, claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = jsonwebtoken::EncodingKey::from_secret(crate::config::DEV_JWT_SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn times_have_half_a_minute_of_leeway() {
    let role = Ok(ApiRole::Authenticated);
    let with = |claim: &str, value: Value| {
        let mut claims = json!({ "role": "authenticated", "exp": NOW + 60 });
        claims[claim] = value;
        claims
    };
    check(with("exp", json!(NOW - 30)), role);
    check(with("exp", json!(NOW - 31)), Err("JWT expired"));
    check(with("exp", json!(-1)), Err("JWT expired"));
    check(with("nbf", json!(NOW + 30)), role);
    check(with("nbf", json!(NOW + 31)), Err("JWT not yet valid"));
    check(with("iat", json!(NOW + 30)), role);
    check(with("iat", json!(NOW + 31)), Err("JWT issued at future"));
    check(with("exp", json!(f64::from(u32::MAX) + 0.5)), role);
    check(with("exp", json!(u64::MAX)), role);
    check(with("exp", json!(1e300)), role);
}

#[test]
fn a_wrong_type_is_refused() {
    let with = |claim: &str, value: Value| {
        let mut claims = json!({ "role": "authenticated", "exp": NOW + 60 });
        claims[claim] = value;
        claims
    };
    for claim in ["exp", "nbf", "iat"] {
        for wrong in [json!("1900000000"), json!(true), json!(null), json!([NOW])] {
            check(
                with(claim, wrong),
                Err(&format!("The JWT '{claim}' claim must be a number")),
            );
        }
    }
    check(
        with("aud", json!(["a", 1])),
        Err("The JWT 'aud' claim must be a string or an array of strings"),
    );
    check(with("aud", json!([])), Ok(ApiRole::Authenticated));
    check(
        with("role", json!(["service_role"])),
        Err("The JWT 'role' claim must be a string"),
    );
    check(with("sub", json!("jdoe")), Err("The JWT 'sub' claim must be a UUID"));
    check(
        with("session_id", json!(1)),
        Err("The JWT 'session_id' claim must be a string"),
    );
    check(json!({ "role": "authenticated" }), Err("JWT has no exp claim"));
    check(json!({ "role": "nexus_staff" }), Err("JWT has no exp claim"));
    // Keys of programs, as GoTrue's and PostgREST's own tests sign them.
    check(
        json!({ "role": "service_role", "sub": "backend" }),
        Ok(ApiRole::Service),
    );
    check(json!({ "role": "anon" }), Ok(ApiRole::Anon));
}

#[test]
fn only_known_roles() {
    check(json!({ "exp": NOW }), Ok(ApiRole::Anon));
    check(json!({ "exp": NOW, "role": "nexus_staff" }), Ok(ApiRole::Staff));
    for role in [
        "postgres",
        "supabase_admin",
        "nexus_engine",
        "authenticator",
        "ANON",
        "",
    ] {
        check(
            json!({ "exp": NOW, "role": role }),
            Err(&format!("role {role:?} does not exist")),
        );
    }
}

#[test]
fn the_algorithm_is_the_keys() {
    let claims = json!({ "role": "service_role", "exp": NOW + 60 });
    assert!(verify(&with_header(&json!({ "alg": "HS256", "kid": "any" }), &claims)).is_ok());
    for alg in [
        "none", "None", "NONE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256",
    ] {
        let token = with_header(&json!({ "alg": alg }), &claims);
        assert_eq!(verify(&token).unwrap_err(), TokenError::Algorithm, "{alg}");
        let unsigned = &token[..=token.rfind('.').unwrap()];
        assert_eq!(verify(unsigned).unwrap_err(), TokenError::Algorithm, "{alg}, unsigned");
    }
    let critical = with_header(&json!({ "alg": "HS256", "crit": ["exp"] }), &claims);
    assert_eq!(verify(&critical).unwrap_err(), TokenError::Algorithm);
}

#[test]
fn any_change_breaks_the_signature() {
    let token = keys().sign(&json!({ "role": "anon", "exp": NOW + 60 })).unwrap();
    let forged = URL_SAFE_NO_PAD.encode(json!({ "role": "service_role", "exp": NOW + 60 }).to_string());
    let parts: Vec<&str> = token.split('.').collect();
    let exchanged = format!("{}.{forged}.{}", parts[0], parts[2]);
    assert_eq!(verify(&exchanged).unwrap_err(), TokenError::Signature);
    assert_eq!(
        verify(&format!("{}.{}.", parts[0], parts[1])).unwrap_err(),
        TokenError::Signature
    );
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn what_is_no_token() {
    assert_eq!(verify("").unwrap_err(), TokenError::Empty);
    assert_eq!(verify("a.b").unwrap_err(), TokenError::Parts(2));
    assert_eq!(verify("a.b.c.d").unwrap_err(), TokenError::Parts(4));
    assert_eq!(verify("a.b.c").unwrap_err(), TokenError::Malformed);
    let huge = r#"{"role":"anon","exp":1e400}"#;
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
        URL_SAFE_NO_PAD.encode(huge)
    );
    let key = jsonwebtoken::EncodingKey::from_secret(crate::config::DEV_JWT_SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    assert_eq!(
        verify(&format!("{message}.{signature}")).unwrap_err(),
        TokenError::Malformed
    );
}

#[test]
fn the_caller_carries_what_was_checked() {
    let (person, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let claims = json!({ "sub": person, "session_id": session, "exp": NOW, "role": "authenticated", "x": "é" });
    let caller = verify(&keys().sign(&claims).unwrap()).unwrap();
    assert_eq!((caller.user_id(), caller.session_id()), (Some(person), Some(session)));
    assert_eq!(serde_json::from_str::<Value>(caller.claims()).unwrap(), claims);
    let visitor = verify(&keys().sign(&json!({ "exp": NOW })).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(visitor.claims()).unwrap()["role"], "anon");
}

#[test]
fn a_token_that_is_remembered_ends_all_the_same() {
    let keys = keys();
    let token = keys.sign(&json!({ "role": "authenticated", "exp": NOW + 60 })).unwrap();
    let at = |seconds: i64| keys.verify(&token, DateTime::from_timestamp(NOW + seconds, 0).unwrap());
    assert_eq!(at(0).unwrap().role(), ApiRole::Authenticated);
    assert_eq!(at(90).unwrap().role(), ApiRole::Authenticated, "with the leeway");
    assert_eq!(at(91).unwrap_err(), TokenError::Expired);
    assert_eq!(keys.remembered.lock().unwrap().len(), 1);
    let forged = format!("{token}A");
    assert!(keys.verify(&forged, DateTime::from_timestamp(NOW, 0).unwrap()).is_err());
    assert_eq!(
        keys.remembered.lock().unwrap().len(),
        1,
        "what is not genuine is not remembered"
    );
}

/// The keys and tokens of RFC 7515, A.3 (ES256), and of RFC 8037, A.4 (EdDSA, whose payload is no object).
#[test]
fn public_keys_of_others_count_where_they_are_configured() {
    let set = json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "kid": "joe", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
        { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    ] })
    .to_string();
    let joe = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb2\
               90Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let ed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhij\
              cNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let now = DateTime::from_timestamp(1_300_819_000, 0).unwrap();
    let keys = keys_with(true, [("NEXUS_MINT_JWT_JWKS", &set), ("UNUSED", "")]).unwrap();
    assert_eq!(keys.verify(joe, now).unwrap().role(), ApiRole::Anon, "it has no role");
    assert_eq!(
        keys.verify(ed, now).unwrap_err(),
        TokenError::Malformed,
        "genuine, but no claims"
    );
    let changed = joe.replace("DtEh", "DtEi");
    assert_eq!(keys.verify(&changed, now).unwrap_err(), TokenError::Signature);
    assert_eq!(verify(joe).unwrap_err(), TokenError::Algorithm, "without the key");
    let as_secret = with_header(&json!({ "alg": "HS256", "kid": "joe" }), &json!({ "exp": NOW }));
    assert!(keys.verify(&as_secret, now).is_ok(), "our own secret has no id");
    assert_eq!(
        json!(keys.public())["keys"][0]["kid"],
        "joe",
        "and everybody may know them"
    );
}

#[test]
fn only_public_keys_are_taken() {
    use crate::auth::jwks::public_set;
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    assert!(public_set("").is_err());
    assert!(public_set("{}").is_err());
    assert!(public_set(&json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "a" }] }).to_string()).is_err());
    let with = |more: Value| {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        public_set(&json!({ "keys": [key] }).to_string())
    };
    assert!(with(json!({ "kid": "a", "d": x })).unwrap_err().contains("public"));
    assert!(with(json!({})).unwrap_err().contains("kid"));
    assert_eq!(with(json!({ "kid": "a" })).unwrap().keys.len(), 1);
}

proptest::proptest! {
    #[test]
    fn nothing_but_our_own_word_counts(
        text in proptest::prelude::any::<String>(),
        parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,60}",
        at in 0_usize..1000,
        letter in "[A-Za-z0-9_.-]",
    ) {
        let keys = keys_with(true, [("UNUSED", ""), ("UNUSED", "")]).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for shown in [&text, &parts] {
            proptest::prop_assert!(keys.verify(shown, now).is_err());
            proptest::prop_assert!(keys.caller(shown, now).is_err());
        }
        let genuine = keys.anon_key().to_owned();
        let at = at % genuine.len();
        let mut changed = genuine.clone();
        changed.replace_range(at..=at, &letter);
        proptest::prop_assert!(changed == genuine || keys.verify(&changed, now).is_err());
    }
}
