//! What the service does about logins.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Confirm, Desk, PASSWORD, address};

#[tokio::test]
async fn the_service_alone_gets_in() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let up = desk.sign_up(&address()).await.ok();
    let anon = desk.app.keys.anon_key().to_owned();
    for (token, told) in [
        (up.text("access_token"), (403, "not_admin")),
        (anon, (403, "not_admin")),
        ("x".to_owned(), (403, "bad_jwt")),
        ("sb_secret_wrong".to_owned(), (403, "bad_jwt")),
    ] {
        assert_eq!(desk.by(&token, "GET", "/admin/users", None).await.told(), told);
    }
    assert_eq!(
        desk.send("GET", "/admin/users", &[], None).await.told(),
        (401, "no_authorization")
    );
    let key = desk.app.keys.service_key().expose().to_owned();
    desk.send("GET", "/admin/users", &[("apikey", &key)], None).await.ok();
    // Whoever has the secret signs keys of his own, as GoTrue's users do.
    for claims in [
        json!({ "role": "service_role" }),
        json!({ "role": "supabase_admin", "sub": "1234567890" }),
    ] {
        let signed = desk.app.keys.sign(&claims).unwrap();
        desk.by(&signed, "GET", "/admin/users", None).await.ok();
        let expired = desk
            .app
            .keys
            .sign(&with_end(claims, desk.now().timestamp() - 60))
            .unwrap();
        assert_eq!(
            desk.by(&expired, "GET", "/admin/users", None).await.told(),
            (403, "bad_jwt")
        );
    }
    for role in ["postgres", "nexus_engine", "supabase_auth_admin"] {
        let signed = desk.app.keys.sign(&json!({ "role": role })).unwrap();
        assert_eq!(
            desk.by(&signed, "GET", "/admin/users", None).await.told(),
            (403, "bad_jwt"),
            "{role}"
        );
    }
}

fn with_end(mut claims: Value, exp: i64) -> Value {
    claims["exp"] = json!(exp);
    claims
}

#[tokio::test]
async fn opaque_keys_are_keys() {
    let world = crate::world::World::shared().await;
    let environment = nexus_mint::config::Environment::of([
        ("DATABASE_URL", &crate::program::url_of(&world.runtime_config())),
        ("NEXUS_MINT_DATA_DIR", "/nonexistent"),
        (
            "NEXUS_MINT_JWT_SECRET",
            "super-secret-jwt-token-with-at-least-32-characters-long",
        ),
        ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("NEXUS_MINT_ANON_KEY", "sb_publishable_visitors"),
        ("NEXUS_MINT_SERVICE_KEY", "sb_secret_programs"),
    ]);
    let flags = nexus_mint::config::Flags::default();
    let settings = nexus_mint::config::Settings::load(&flags, &environment).unwrap();
    let other = Desk::new(Confirm::AtOnce).await;
    let bound = "127.0.0.1:54321".parse().unwrap();
    let hand = other.clock.clone();
    let now = std::sync::Arc::new(move || *hand.lock().unwrap());
    let app = nexus_mint::app::App::new(settings.into_config().unwrap(), other.app.db.clone(), bound, now).unwrap();
    let desk = Desk {
        app,
        world,
        clock: other.clock.clone(),
    };
    desk.by("sb_secret_programs", "GET", "/admin/users", None).await.ok();
    desk.send("GET", "/admin/users", &[("apikey", "sb_secret_programs")], None)
        .await
        .ok();
    assert_eq!(
        desk.by("sb_publishable_visitors", "GET", "/admin/users", None)
            .await
            .told(),
        (403, "not_admin")
    );
    assert_eq!(
        desk.by("sb_secret_other", "GET", "/admin/users", None).await.told(),
        (403, "bad_jwt")
    );
}

#[tokio::test]
async fn people_are_added_changed_and_locked_out() {
    let desk = Desk::new(Confirm::ByMail).await;
    let (email, id) = (address(), Uuid::new_v4());
    let body = json!({
        "id": id, "email": email, "password": PASSWORD, "email_confirm": true,
        "user_metadata": { "a": 1 }, "app_metadata": { "plan": "x" },
    });
    let made = desk.service("POST", "/admin/users", Some(body.clone())).await.ok();
    assert_eq!(made.body["id"], json!(id));
    assert_eq!(
        made.body["app_metadata"],
        json!({ "plan": "x", "provider": "email", "providers": ["email"] })
    );
    assert_eq!(
        desk.service("POST", "/admin/users", Some(body)).await.told(),
        (422, "conflict"),
        "an id that somebody has"
    );
    let taken = json!({ "email": email });
    assert_eq!(
        desk.service("POST", "/admin/users", Some(taken)).await.told(),
        (422, "email_exists")
    );
    assert_eq!(
        desk.service("POST", "/admin/users", Some(json!({}))).await.told(),
        (400, "validation_failed")
    );
    let weak = json!({ "email": address(), "password_hash": "plain" });
    assert_eq!(
        desk.service("POST", "/admin/users", Some(weak)).await.told(),
        (400, "validation_failed")
    );
    let session = desk.sign_in(&email, PASSWORD).await.ok();
    let path = format!("/admin/users/{id}");
    let new = address();
    let change = json!({ "email": new, "user_metadata": { "a": null, "b": 2 }, "app_metadata": { "plan": "y" } });
    let changed = desk.service("PUT", &path, Some(change)).await.ok();
    assert_eq!(changed.body["email"], new);
    assert_eq!(changed.body["user_metadata"]["b"], 2);
    assert!(changed.body["user_metadata"].get("a").is_none());
    desk.service("PUT", &path, Some(json!({ "ban_duration": "1h" })))
        .await
        .ok();
    assert_eq!(desk.sign_in(&new, PASSWORD).await.told(), (400, "user_banned"));
    assert_eq!(
        desk.sign_in(&new, "wrong horse").await.told(),
        (400, "invalid_credentials"),
        "told to who knows it alone"
    );
    let token = session.text("access_token");
    assert_eq!(desk.by(&token, "GET", "/user", None).await.told(), (403, "user_banned"));
    assert_eq!(
        desk.refresh(&session.text("refresh_token")).await.told(),
        (400, "refresh_token_not_found")
    );
    desk.service("PUT", &path, Some(json!({ "ban_duration": "none" })))
        .await
        .ok();
    desk.sign_in(&new, PASSWORD).await.ok();
    let shown = desk.service("GET", &path, None).await.ok();
    assert_eq!(shown.body["email"], new);
    assert_eq!(
        desk.service("GET", "/admin/users/x", None).await.told(),
        (404, "validation_failed")
    );
    assert_eq!(
        desk.service("GET", &format!("/admin/users/{}", Uuid::new_v4()), None)
            .await
            .told(),
        (404, "user_not_found")
    );
}

#[tokio::test]
async fn people_are_listed_by_the_page() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let mark = Uuid::new_v4().simple().to_string();
    for number in 0..5 {
        desk.sign_up(&format!("{number}-{mark}@example.com")).await.ok();
        desk.advance(TimeDelta::seconds(1));
    }
    let page = desk
        .service("GET", &format!("/admin/users?page=2&per_page=2&filter={mark}"), None)
        .await
        .ok();
    assert_eq!(page.body["aud"], "authenticated");
    let emails: Vec<&str> = page.body["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["email"].as_str().unwrap())
        .collect();
    assert_eq!(
        emails,
        [format!("2-{mark}@example.com"), format!("1-{mark}@example.com")],
        "newest first"
    );
    assert_eq!(page.header("x-total-count"), "5");
    assert_eq!(
        page.header("link"),
        "</admin/users?page=3&per_page=2>; rel=\"next\", </admin/users?page=3&per_page=2>; rel=\"last\""
    );
    desk.service("GET", "/admin/users?page=&per_page=", None).await.ok();
    let wrong = desk.service("GET", "/admin/users?page=one", None).await;
    assert_eq!(wrong.told(), (400, "validation_failed"));
    desk.service(
        "GET",
        "/admin/users?page=-9223372036854775808&per_page=9223372036854775807",
        None,
    )
    .await
    .ok();
}

#[tokio::test]
async fn whoever_has_a_history_is_made_nameless() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    let id: Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
    let client = desk.world.admin().await;
    client
        .execute(
            "insert into public.party_screenings (party_id, provider, status, screened_by, screened_at, due_at)
             select party_id, 'list', 'clear', $1, now(), now() + interval '1 day' from public.user_profiles where id = $1",
            &[&id],
        )
        .await
        .unwrap();
    desk.service("DELETE", &format!("/admin/users/{id}"), None).await.ok();
    let row = client
        .query_one(
            "select u.email is null and u.deleted_at is not null and u.encrypted_password = '' and u.raw_user_meta_data = '{}',
               p.email is null and p.full_name is null, (select count(*) from auth.sessions where user_id = u.id),
               (select count(*) from auth.identities where user_id = u.id)
             from auth.users as u join public.user_profiles as p on p.id = u.id where u.id = $1",
            &[&id],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1));
    assert_eq!((row.get::<_, i64>(2), row.get::<_, i64>(3)), (0, 0));
    assert_eq!(
        desk.by(&up.text("access_token"), "GET", "/user", None).await.told(),
        (403, "user_not_found")
    );
    desk.sign_up(&email).await.ok();
    let gone = desk.sign_up(&address()).await.ok();
    let path = format!("/admin/users/{}", gone.body["user"]["id"].as_str().unwrap());
    desk.service("DELETE", &path, None).await.ok();
    assert_eq!(
        desk.service("DELETE", &path, None).await.told(),
        (404, "user_not_found")
    );
}

#[tokio::test]
async fn links_are_made_for_the_service() {
    let desk = Desk::new(Confirm::ByMail).await;
    let make = async |body: Value| desk.service("POST", "/admin/generate_link", Some(body)).await;
    let email = address();
    let made = make(
        json!({ "type": "signup", "email": email, "password": PASSWORD, "redirect_to": "https://app.example/in" }),
    )
    .await
    .ok();
    assert_eq!(
        (&made.body["email"], &made.body["verification_type"]),
        (&json!(email), &json!("signup"))
    );
    assert_eq!(made.body["redirect_to"], "https://app.example/in");
    assert_eq!(made.text("email_otp").len(), 6);
    assert_eq!(desk.mails_to(&email).await, 0, "the service mails it itself");
    let place = desk.follow(&made.text("action_link")).await;
    assert!(place.starts_with("https://app.example/in#access_token="), "{place}");
    desk.sign_in(&email, PASSWORD).await.ok();
    let magic = make(json!({ "type": "magiclink", "email": email })).await.ok();
    desk.post(
        "/verify",
        json!({ "type": "magiclink", "token_hash": magic.text("hashed_token") }),
    )
    .await
    .ok();
    let recovery = make(json!({ "type": "recovery", "email": email })).await.ok();
    let code = json!({ "type": "recovery", "email": email, "token": recovery.text("email_otp") });
    desk.post("/verify", code).await.ok();
    let new = address();
    let change = |kind: &str| json!({ "type": kind, "email": email, "new_email": new });
    let current = make(change("email_change_current")).await.ok();
    let half = desk
        .post(
            "/verify",
            json!({ "type": "email_change", "token_hash": current.text("hashed_token") }),
        )
        .await
        .ok();
    assert_eq!(half.body["code"], "200");
    let other = make(change("email_change_new")).await.ok();
    desk.post(
        "/verify",
        json!({ "type": "email_change", "token_hash": other.text("hashed_token") }),
    )
    .await
    .ok();
    desk.sign_in(&new, PASSWORD).await.ok();
    assert_eq!(
        make(json!({ "type": "recovery", "email": address() })).await.told(),
        (404, "user_not_found")
    );
    assert_eq!(
        make(json!({ "type": "other", "email": email })).await.told(),
        (400, "validation_failed")
    );
    assert_eq!(
        make(json!({ "type": "invite", "email": new })).await.told(),
        (422, "email_exists")
    );
}

#[tokio::test]
async fn who_is_invited_comes_in_by_the_mail() {
    let desk = Desk::new(Confirm::ByMail).await;
    let email = address();
    let invited = desk
        .service(
            "POST",
            "/invite",
            Some(json!({ "email": email, "data": { "name": "Ann" } })),
        )
        .await
        .ok();
    assert!(invited.body["invited_at"].is_string());
    let (kind, code, _) = desk.mail(&email).await;
    assert_eq!(kind, "invite");
    let given = desk
        .post("/verify", json!({ "type": "invite", "email": email, "token": code }))
        .await
        .ok();
    assert_eq!(given.body["user"]["user_metadata"]["name"], "Ann");
    let again = desk.service("POST", "/invite", Some(json!({ "email": email }))).await;
    assert_eq!(again.told(), (422, "email_exists"));
    assert_eq!(
        desk.post("/invite", json!({ "email": address() })).await.told(),
        (401, "no_authorization")
    );
    let audit = desk.service("GET", "/admin/audit?per_page=1000", None).await.ok();
    let id = given.body["user"]["id"].clone();
    let told: Vec<&Value> = audit
        .body
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["payload"]["actor_id"] == id)
        .collect();
    assert_eq!(
        told.first().map(|entry| &entry["payload"]["action"]),
        Some(&json!("signed_in"))
    );
}
