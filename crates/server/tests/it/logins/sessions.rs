//! Passwords, refresh tokens, and the ends of sessions.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Answer, Confirm, Desk, PASSWORD, address};
use crate::world::{self, World};

const NEW_PASSWORD: &str = "another horse battery";

#[tokio::test]
async fn who_signs_up_is_signed_in_and_may_come_back() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    let up = desk
        .post(
            "/signup",
            json!({ "email": email.to_uppercase(), "password": PASSWORD, "data": { "full_name": "Ann" } }),
        )
        .await
        .ok();
    assert_eq!(up.body["token_type"], "bearer");
    assert_eq!(up.body["expires_in"], 3600);
    assert_eq!(up.body["expires_at"], desk.now().timestamp() + 3600);
    let user = &up.body["user"];
    assert_eq!(user["email"], email, "in lower case");
    assert_eq!(
        user["app_metadata"],
        json!({ "provider": "email", "providers": ["email"] })
    );
    assert_eq!(user["user_metadata"]["full_name"], "Ann");
    assert_eq!(user["user_metadata"]["sub"], user["id"]);
    assert_eq!(user["identities"][0]["provider"], "email");
    assert!(user["email_confirmed_at"].is_string() && user["is_anonymous"] == false);
    let seen = desk.by(&up.text("access_token"), "GET", "/user", None).await.ok();
    assert_eq!(seen.body["id"], user["id"]);
    let again = desk.sign_up(&email).await;
    assert_eq!(again.told(), (422, "user_already_exists"));
    let back = desk.sign_in(&email, PASSWORD).await.ok();
    assert_eq!(back.body["user"]["id"], user["id"]);
    assert!(back.body["user"]["last_sign_in_at"].is_string());
    let id = user["id"].as_str().unwrap();
    assert_eq!(desk.events(id).await, ["signed_up", "signed_in", "signed_in"]);
    let client = desk.world.admin().await;
    let row = client
        .query_one(
            "select p.full_name, (select count(*) from public.user_role_assignments as a where a.user_id = p.id and a.role = 'investor')
             from public.user_profiles as p where p.id = $1",
            &[&id.parse::<uuid::Uuid>().unwrap()],
        )
        .await
        .unwrap();
    assert_eq!(
        (row.get::<_, String>(0).as_str(), row.get::<_, i64>(1)),
        ("Ann", 1),
        "the first row everywhere"
    );
}

#[tokio::test]
async fn what_a_sign_up_needs() {
    let desk = Desk::new(Confirm::AtOnce).await;
    for (body, status, code) in [
        (
            json!({ "email": "nobody", "password": PASSWORD }),
            400,
            "validation_failed",
        ),
        (json!({ "email": address() }), 400, "validation_failed"),
        (json!({ "email": address(), "password": "short" }), 422, "weak_password"),
        (
            json!({ "email": address(), "password": "x".repeat(73) }),
            400,
            "validation_failed",
        ),
        (
            json!({ "phone": "+4912345", "password": PASSWORD }),
            400,
            "phone_provider_disabled",
        ),
        (json!({ "email": 7, "password": PASSWORD }), 400, "validation_failed"),
    ] {
        let answer = desk.post("/signup", body.clone()).await;
        assert_eq!(answer.told(), (status, code), "{body}");
    }
    let weak = desk
        .post("/signup", json!({ "email": address(), "password": "short" }))
        .await;
    assert_eq!(weak.body["weak_password"]["reasons"], json!(["length"]));
    let headers = [("x-supabase-api-version", "2024-01-01")];
    let new = desk
        .send("POST", "/signup", &headers, Some(json!({ "email": "x" })))
        .await;
    assert_eq!(
        (new.body["code"].as_str(), new.header("x-supabase-api-version")),
        (Some("validation_failed"), "2024-01-01")
    );
    let closed = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_SIGN_UP", "false")).await;
    assert_eq!(closed.sign_up(&address()).await.told(), (422, "signup_disabled"));
    let settings = closed.send("GET", "/settings", &[], None).await.ok();
    assert_eq!(settings.body["disable_signup"], true);
    assert_eq!(settings.body["mailer_autoconfirm"], true);
}

#[tokio::test]
async fn wrong_passwords_and_nobody_are_answered_alike_and_end() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    let mut told = Vec::new();
    for who in [email.clone(), address()] {
        let answer = desk.sign_in(&who, "wrong horse").await;
        told.push((answer.status, answer.body));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(
        told[0].1,
        json!({ "code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials" })
    );
    for who in [&email, &address()] {
        let mut codes = Vec::new();
        for _ in 0..12 {
            codes.push(desk.sign_in(who, "wrong horse").await.status);
        }
        assert_eq!(codes.last(), Some(&429), "the same for nobody: {codes:?}");
    }
    assert_eq!(
        desk.sign_in(&email, PASSWORD).await.told(),
        (429, "over_request_rate_limit"),
        "locked out"
    );
    desk.advance(TimeDelta::seconds(61));
    desk.sign_in(&email, PASSWORD).await.ok();
    desk.sign_in(&email, PASSWORD).await.ok();
}

#[tokio::test]
async fn an_address_that_tries_everybody_is_stopped() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let from = format!("2001:db8:{:x}:1::", std::process::id() & 0xffff);
    let mut last = 0;
    for at in 0..101 {
        // Spoofed in front, and any address of one household at the end.
        let header = format!("203.0.113.{}, {from}{at}", at % 250);
        let body = json!({ "email": "not an address that has a password", "password": "x" });
        let mut body = body;
        body["email"] = json!(address());
        body["password"] = json!("x".repeat(2000));
        let answer = desk
            .send(
                "POST",
                "/token?grant_type=password",
                &[("x-forwarded-for", &header)],
                Some(body),
            )
            .await;
        last = answer.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn an_imported_hash_signs_in_and_is_replaced() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let email = address();
    let hash = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";
    let body = json!({ "email": email, "password_hash": hash, "email_confirm": true });
    let made = desk.service("POST", "/admin/users", Some(body)).await.ok();
    assert_eq!(
        desk.sign_in(&email, "rasmuslerdort").await.told(),
        (400, "invalid_credentials")
    );
    desk.sign_in(&email, "rasmuslerdorf").await.ok();
    let client = desk.world.admin().await;
    let kept: String = client
        .query_one("select encrypted_password from auth.users where email = $1", &[&email])
        .await
        .unwrap()
        .get(0);
    assert!(kept.starts_with("$argon2id$"), "{kept}");
    desk.sign_in(&email, "rasmuslerdorf").await.ok();
    assert!(
        desk.events(&made.text("id"))
            .await
            .contains(&"password_rehashed".to_owned())
    );
}

/// Who signed up, and the first refresh token.
async fn somebody(desk: &Desk) -> (String, Answer) {
    let email = address();
    let up = desk.sign_up(&email).await.ok();
    (email, up)
}

#[tokio::test]
async fn a_refresh_replaces_the_token_and_keeps_the_session() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (_, up) = somebody(&desk).await;
    desk.advance(TimeDelta::seconds(3500));
    let first = desk.refresh(&up.text("refresh_token")).await.ok();
    assert_ne!(first.text("refresh_token"), up.text("refresh_token"));
    assert_eq!(first.body["expires_at"], desk.now().timestamp() + 3600);
    desk.advance(TimeDelta::seconds(200));
    assert_eq!(
        desk.by(&up.text("access_token"), "GET", "/user", None).await.told(),
        (403, "bad_jwt"),
        "expired"
    );
    desk.by(&first.text("access_token"), "GET", "/user", None).await.ok();
    let empty = desk.refresh("").await;
    assert_eq!(
        (empty.status, empty.body),
        (
            400,
            json!({ "error": "invalid_request", "error_description": "refresh_token required" })
        )
    );
    let forged = format!("A{}", &first.text("refresh_token")[1..].replace('b', "c"));
    assert_eq!(
        desk.refresh(&format!("{forged}x")).await.told(),
        (400, "refresh_token_not_found")
    );
}

#[tokio::test]
async fn a_database_that_is_away_signs_nobody_out() {
    let desk = Desk::over(World::own_database().await, Confirm::AtOnce, ("UNUSED", ""));
    let (email, up) = somebody(&desk).await;
    let (access, refresh) = (up.text("access_token"), up.text("refresh_token"));
    let name = desk.world.admin_config().get_dbname().unwrap().to_owned();
    let beside = world::connect(desk.world.admin_config().dbname("postgres")).await;
    beside
        .batch_execute(&format!(
            "alter database {name} allow_connections false;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        ))
        .await
        .unwrap();
    // Clients give up a session at a 4xx, and keep it and come again at these.
    for _ in 0..2 {
        assert_eq!(desk.refresh(&refresh).await.told(), (503, "unexpected_failure"));
        assert_eq!(
            desk.by(&access, "GET", "/user", None).await.told(),
            (503, "unexpected_failure")
        );
        assert_eq!(desk.sign_in(&email, PASSWORD).await.told(), (503, "unexpected_failure"));
    }
    beside
        .batch_execute(&format!("alter database {name} allow_connections true"))
        .await
        .unwrap();
    let back = desk.refresh(&refresh).await.ok();
    desk.by(&back.text("access_token"), "GET", "/user", None).await.ok();
}

#[tokio::test]
async fn tabs_and_lost_answers_sign_nobody_out() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (_, up) = somebody(&desk).await;
    let zero = up.text("refresh_token");
    // Many tabs at once.
    let tabs = futures_util::future::join_all((0..8).map(|_| desk.refresh(&zero))).await;
    let given: Vec<String> = tabs.into_iter().map(|tab| tab.ok().text("refresh_token")).collect();
    assert!(
        given.iter().all(|token| *token == given[0]),
        "all go on with the same token"
    );
    // The answer was lost, and the client sleeps for a night before it asks again.
    desk.advance(TimeDelta::hours(8));
    let tabs = futures_util::future::join_all((0..3).map(|_| desk.refresh(&zero))).await;
    let again: Vec<String> = tabs.into_iter().map(|tab| tab.ok().text("refresh_token")).collect();
    assert!(
        again.iter().all(|token| *token == again[0]),
        "all go on with the same token"
    );
    // An old tab comes right after another one.
    let two = desk.refresh(&again[0]).await.ok().text("refresh_token");
    desk.advance(TimeDelta::seconds(9));
    assert_eq!(desk.refresh(&zero).await.ok().text("refresh_token"), two);
    let three = desk.refresh(&two).await.ok();
    desk.by(&three.text("access_token"), "GET", "/user", None).await.ok();
}

#[tokio::test]
async fn a_copied_token_ends_the_session_for_both() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (email, up) = somebody(&desk).await;
    let stolen = up.text("refresh_token");
    let other = desk.sign_in(&email, PASSWORD).await.ok();
    let mut token = stolen.clone();
    for _ in 0..2 {
        desk.advance(TimeDelta::hours(1));
        token = desk.refresh(&token).await.ok().text("refresh_token");
    }
    desk.advance(TimeDelta::hours(1));
    assert_eq!(desk.refresh(&stolen).await.told(), (400, "refresh_token_already_used"));
    assert_eq!(
        desk.refresh(&token).await.told(),
        (400, "refresh_token_not_found"),
        "the session has ended"
    );
    desk.refresh(&other.text("refresh_token")).await.ok();
    let events = desk.events(up.body["user"]["id"].as_str().unwrap()).await;
    assert!(events.contains(&"token_reused".to_owned()), "{events:?}");
}

#[tokio::test]
async fn answers_that_are_lost_again_and_again_sign_nobody_out() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (_, up) = somebody(&desk).await;
    let mut token = up.text("refresh_token");
    for lost in [1, 1, 1, 3, 1, 2, 1, 1] {
        for _ in 0..lost {
            desk.advance(TimeDelta::hours(1));
            desk.refresh(&token).await.ok();
        }
        desk.advance(TimeDelta::hours(1));
        token = desk.refresh(&token).await.ok().text("refresh_token");
    }
    desk.refresh(&token).await.ok();
}

#[tokio::test]
async fn two_holders_who_take_turns_are_found_out() {
    let desk = Desk::new(Confirm::AtOnce).await;
    for pause in [TimeDelta::minutes(30), TimeDelta::seconds(11)] {
        let (_, up) = somebody(&desk).await;
        let zero = up.text("refresh_token");
        let thief = desk.refresh(&zero).await.ok().text("refresh_token");
        desk.advance(pause);
        // Nobody can tell yet: the owner could have lost an answer.
        let owner = desk.refresh(&zero).await.ok().text("refresh_token");
        assert_ne!(owner, thief);
        desk.advance(pause);
        let next = desk.refresh(&thief).await.ok().text("refresh_token");
        desk.advance(TimeDelta::seconds(1));
        assert_eq!(desk.refresh(&owner).await.told(), (400, "refresh_token_already_used"));
        assert_eq!(
            desk.refresh(&next).await.told(),
            (400, "refresh_token_not_found"),
            "neither goes on"
        );
    }
}

#[tokio::test]
async fn signing_out_ends_what_was_said() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (email, first) = somebody(&desk).await;
    let second = desk.sign_in(&email, PASSWORD).await.ok();
    let third = desk.sign_in(&email, PASSWORD).await.ok();
    let open = async |who: &Answer| desk.by(&who.text("access_token"), "GET", "/user", None).await.status == 200;
    let out = async |who: &Answer, scope: &str| {
        desk.by(&who.text("access_token"), "POST", &format!("/logout{scope}"), None)
            .await
    };
    assert_eq!(
        out(&first, "?scope=everything").await.told(),
        (400, "validation_failed")
    );
    assert_eq!(out(&first, "?scope=local").await.status, 204);
    assert_eq!(
        (open(&first).await, open(&second).await, open(&third).await),
        (false, true, true)
    );
    assert_eq!(out(&first, "").await.told(), (403, "session_not_found"));
    assert_eq!(
        desk.refresh(&first.text("refresh_token")).await.told(),
        (400, "refresh_token_not_found")
    );
    assert_eq!(out(&second, "?scope=others").await.status, 204);
    assert_eq!((open(&second).await, open(&third).await), (true, false));
    let fourth = desk.sign_in(&email, PASSWORD).await.ok();
    assert_eq!(out(&second, "").await.status, 204);
    assert_eq!((open(&second).await, open(&fourth).await), (false, false));
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (email, first) = somebody(&desk).await;
    let second = desk.sign_in(&email, PASSWORD).await.ok();
    let token = second.text("access_token");
    let put = async |body: Value| desk.by(&token, "PUT", "/user", Some(body)).await;
    assert_eq!(
        put(json!({ "password": PASSWORD })).await.told(),
        (422, "same_password")
    );
    assert_eq!(put(json!({ "password": "short" })).await.told(), (422, "weak_password"));
    let wrong = json!({ "password": NEW_PASSWORD, "current_password": "wrong horse" });
    assert_eq!(put(wrong).await.told(), (400, "current_password_invalid"));
    put(json!({ "password": NEW_PASSWORD })).await.ok();
    assert_eq!(
        desk.by(&first.text("access_token"), "GET", "/user", None).await.told(),
        (403, "session_not_found")
    );
    desk.by(&token, "GET", "/user", None).await.ok();
    assert_eq!(
        desk.sign_in(&email, PASSWORD).await.told(),
        (400, "invalid_credentials")
    );
    desk.sign_in(&email, NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn an_old_session_shows_once_more_who_it_is() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (email, up) = somebody(&desk).await;
    desk.advance(TimeDelta::hours(25));
    let token = desk.refresh(&up.text("refresh_token")).await.ok().text("access_token");
    let put = async |body: Value| desk.by(&token, "PUT", "/user", Some(body)).await;
    assert_eq!(
        put(json!({ "password": NEW_PASSWORD })).await.told(),
        (400, "reauthentication_needed")
    );
    desk.by(&token, "GET", "/reauthenticate", None).await.ok();
    let (kind, code, link) = desk.mail(&email).await;
    assert_eq!((kind.as_str(), link.as_str()), ("reauthentication", ""), "a code alone");
    let wrong = if code == "000000" { "111111" } else { "000000" };
    assert_eq!(
        put(json!({ "password": NEW_PASSWORD, "nonce": wrong })).await.told(),
        (422, "reauthentication_not_valid")
    );
    put(json!({ "password": NEW_PASSWORD, "nonce": code })).await.ok();
    assert_eq!(
        put(json!({ "password": PASSWORD, "nonce": code })).await.told(),
        (422, "reauthentication_not_valid"),
        "once"
    );
    put(json!({ "password": PASSWORD, "current_password": NEW_PASSWORD }))
        .await
        .ok();
}

#[tokio::test]
async fn what_a_person_says_of_itself_is_merged() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (_, up) = somebody(&desk).await;
    let token = up.text("access_token");
    let data = json!({ "data": { "city": "Lyon", "role": "admin" }, "app_metadata": { "role": "admin" } });
    desk.by(&token, "PUT", "/user", Some(data)).await.ok();
    let changed = desk
        .by(
            &token,
            "PUT",
            "/user",
            Some(json!({ "data": { "city": null, "age": 7 } })),
        )
        .await
        .ok();
    assert_eq!(changed.body["user_metadata"]["age"], 7);
    assert!(changed.body["user_metadata"].get("city").is_none());
    assert!(
        changed.body["app_metadata"].get("role").is_none(),
        "that is the service's"
    );
    let claims = desk.app.keys.verify(
        &desk.refresh(&up.text("refresh_token")).await.ok().text("access_token"),
        desk.now(),
    );
    assert_eq!(
        claims.unwrap().role().name(),
        "authenticated",
        "no metadata makes anybody staff"
    );
}

#[tokio::test]
async fn whoever_works_for_the_company_acts_as_staff() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let (_, up) = somebody(&desk).await;
    let client = desk.world.admin().await;
    let id: uuid::Uuid = up.body["user"]["id"].as_str().unwrap().parse().unwrap();
    client
        .execute(
            "insert into public.user_role_assignments (user_id, role) values ($1, 'admin')",
            &[&id],
        )
        .await
        .unwrap();
    let token = desk.refresh(&up.text("refresh_token")).await.ok().text("access_token");
    assert_eq!(
        desk.app.keys.verify(&token, desk.now()).unwrap().role().name(),
        "nexus_staff"
    );
}

#[tokio::test]
async fn somebody_without_a_name_becomes_a_person() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let up = desk.post("/signup", json!({ "data": { "theme": "dark" } })).await.ok();
    assert_eq!(up.body["user"]["is_anonymous"], true);
    assert_eq!(up.body["user"]["email"], "");
    let token = up.text("access_token");
    let email = address();
    let named = desk
        .by(
            &token,
            "PUT",
            "/user",
            Some(json!({ "email": email, "password": PASSWORD })),
        )
        .await
        .ok();
    assert_eq!(
        (&named.body["email"], &named.body["is_anonymous"]),
        (&json!(email), &json!(false))
    );
    assert_eq!(named.body["identities"][0]["provider"], "email");
    assert_eq!(named.body["app_metadata"]["providers"], json!(["email"]));
    let back = desk.sign_in(&email, PASSWORD).await.ok();
    assert_eq!(back.body["user"]["id"], up.body["user"]["id"]);
    let closed = Desk::with(Confirm::AtOnce, ("NEXUS_MINT_ANONYMOUS_SIGN_IN", "false")).await;
    assert_eq!(
        closed.post("/signup", json!({})).await.told(),
        (422, "anonymous_provider_disabled")
    );
}
