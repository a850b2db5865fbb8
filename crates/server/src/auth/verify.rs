//! `/verify`: what a mailed code or link shows. By POST it gives tokens; by GET, from a mail, it sends the browser on.

use axum::{
    Json,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    AuthRefusal,
    email::Email,
    email_change,
    events::{self, Event},
    limits,
    one_time::{self, PKCE_PREFIX, Purpose, Redeemed},
    pkce, redirect,
    request::{Asked, Body},
    session::{self, Method},
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// What was shown, as body or query.
#[derive(Deserialize)]
pub struct Proof {
    #[serde(rename = "type")]
    kind: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    token: Option<String>,
    token_hash: Option<String>,
    redirect_to: Option<String>,
}

/// What came of it.
enum Outcome {
    /// The person is signed in.
    SignedIn(Uuid, Uuid),
    /// The other address must agree as well.
    HalfAgreed,
}

const HALF_AGREED: &str = "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/// `POST /verify`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn post(State(app): State<App>, asked: Asked, Body(proof): Body<Proof>) -> Result<Json<Value>, Problem> {
    let purposes = purposes(proof.kind.as_deref())?;
    if proof.phone.as_deref().is_some_and(|phone| !phone.is_empty()) {
        return Err(AuthRefusal::CodeExpired.into());
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let tx = app.db.as_auth().await?;
    let redeemed = match (given(&proof.token_hash), given(&proof.email), given(&proof.token)) {
        (Some(token), None, None) => one_time::redeem_token(&tx, &token, purposes, asked.now).await?,
        (None, Some(email), Some(code)) => {
            let email = Email::parse(&email).map_err(|_| AuthRefusal::EmailInvalid)?;
            return by_code(&app, tx, &email, &code, purposes, &asked).await.map(Json);
        }
        (Some(_), _, _) => {
            return Err(AuthRefusal::Invalid("Only the token_hash and type should be provided".into()).into());
        }
        (None, _, _) => {
            return Err(AuthRefusal::Invalid("Verify requires a token and an email, or a token_hash".into()).into());
        }
    };
    let outcome = accept(&tx, &redeemed, &asked, Begin::Session).await?;
    finish(&app, tx, outcome, &asked).await.map(Json)
}

/// A code can be guessed, so tries are counted, whatever comes of them.
async fn by_code(
    app: &App,
    tx: Tx,
    email: &Email,
    code: &str,
    purposes: &[Purpose],
    asked: &Asked,
) -> Result<Value, Problem> {
    limits::CODES.check(&tx, &app.keys, email.as_str(), asked.now).await?;
    tx.commit().await?;
    let tx = app.db.as_auth().await?;
    let redeemed = match one_time::redeem_code(&tx, &app.keys, email.as_str(), code, purposes, asked.now).await {
        Ok(redeemed) => redeemed,
        Err(refusal) => {
            drop(tx);
            let tx = app.db.as_auth().await?;
            events::note(&tx, Event::SignInRefused, None, None, asked.now).await?;
            tx.commit().await?;
            return Err(refusal);
        }
    };
    limits::CODES.forget(&tx, &app.keys, email.as_str()).await?;
    let outcome = accept(&tx, &redeemed, asked, Begin::Session).await?;
    finish(app, tx, outcome, asked).await
}

async fn finish(app: &App, tx: Tx, outcome: Outcome, asked: &Asked) -> Result<Value, Problem> {
    let answer = match outcome {
        Outcome::SignedIn(user_id, session_id) => session::tokens(app, &tx, user_id, session_id, asked.now).await?,
        Outcome::HalfAgreed => json!({ "msg": HALF_AGREED, "code": "200" }),
    };
    tx.commit().await?;
    Ok(answer)
}

/// `GET /verify`: always sends the browser on, with what it may know.
///
/// # Errors
/// What the database answered; a refusal goes to the front end.
pub async fn get(State(app): State<App>, asked: Asked, Query(proof): Query<Proof>) -> Result<Response, Problem> {
    let target = redirect::target(&app, proof.redirect_to.as_deref(), &asked);
    let token = proof.token_hash.or(proof.token).unwrap_or_default();
    let is_pkce = token.starts_with(PKCE_PREFIX);
    let kind = proof.kind.unwrap_or_default();
    let place = match followed(&app, &asked, &token, &kind, &target).await {
        Ok(place) => place,
        Err(Problem::Auth(refusal)) => {
            let text = refusal.to_string();
            let pairs = [
                ("error", "access_denied"),
                ("error_code", refusal.code()),
                ("error_description", text.as_str()),
            ];
            let base = if is_pkce {
                redirect::with_query(&target, &pairs)
            } else {
                target
            };
            redirect::with_fragment(&base, &pairs)
        }
        Err(other) => return Err(other),
    };
    let headers = [
        (header::LOCATION, place),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

async fn followed(app: &App, asked: &Asked, token: &str, kind: &str, target: &str) -> Result<String, Problem> {
    let purposes = purposes(Some(kind))?;
    let tx = app.db.as_auth().await?;
    let redeemed = one_time::redeem_token(&tx, token, purposes, asked.now).await?;
    if token.starts_with(PKCE_PREFIX) {
        let outcome = accept(&tx, &redeemed, asked, Begin::Nothing).await?;
        let place = match outcome {
            Outcome::SignedIn(user_id, _) => {
                let code = pkce::code(&tx, user_id, asked.now).await?;
                redirect::with_query(target, &[("code", &code)])
            }
            Outcome::HalfAgreed => redirect::with_query(target, &[("message", HALF_AGREED)]),
        };
        tx.commit().await?;
        return Ok(place);
    }
    let outcome = accept(&tx, &redeemed, asked, Begin::Session).await?;
    let answer = finish(app, tx, outcome, asked).await?;
    let text = |key: &str| {
        let value = answer.get(key).unwrap_or(&Value::Null);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    if answer.get("access_token").is_none() {
        return Ok(redirect::with_fragment(target, &[("message", HALF_AGREED)]));
    }
    Ok(redirect::with_fragment(
        target,
        &[
            ("access_token", &text("access_token")),
            ("expires_at", &text("expires_at")),
            ("expires_in", &text("expires_in")),
            ("refresh_token", &text("refresh_token")),
            ("token_type", "bearer"),
            ("type", kind),
        ],
    ))
}

fn purposes(kind: Option<&str>) -> Result<&'static [Purpose], AuthRefusal> {
    match kind {
        Some("signup" | "invite" | "magiclink" | "recovery" | "email") => {
            Ok(&[Purpose::Confirmation, Purpose::Recovery])
        }
        Some("email_change") => Ok(&[Purpose::EmailChangeNew, Purpose::EmailChangeCurrent]),
        // Nobody has one: no message was ever sent.
        Some("sms" | "phone_change") => Err(AuthRefusal::CodeExpired),
        Some("") | None => Err(AuthRefusal::Invalid("Verify requires a verification type".into())),
        Some(_) => Err(AuthRefusal::Invalid("Unsupported verification type".into())),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Session,
    Nothing,
}

/// Does what a code or link that held was for.
async fn accept(tx: &Tx, redeemed: &Redeemed, asked: &Asked, begin: Begin) -> Result<Outcome, Problem> {
    let user_id = redeemed.user_id;
    let row = tx
        .query_opt(
            sql!(
                "select email_confirmed_at is not null, coalesce(banned_until > $2, false), coalesce(email, '')
                 from auth.users where id = $1 and deleted_at is null for update"
            ),
            &[&user_id, &asked.now],
        )
        .await?
        .ok_or(AuthRefusal::LinkExpired)?;
    let (is_confirmed, is_banned, email): (bool, bool, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if is_banned {
        return Err(AuthRefusal::UserBanned.into());
    }
    match redeemed.purpose {
        Purpose::EmailChangeNew | Purpose::EmailChangeCurrent => {
            if !email_change::agree(tx, user_id, redeemed.purpose, asked).await? {
                return Ok(Outcome::HalfAgreed);
            }
        }
        Purpose::Confirmation | Purpose::Recovery | Purpose::Reauthentication => {
            // The address was changed after the mail was sent.
            if email != redeemed.email {
                return Err(AuthRefusal::LinkExpired.into());
            }
            if !is_confirmed {
                confirm(tx, user_id, redeemed.purpose, asked).await?;
            }
        }
    }
    let session_id = match begin {
        Begin::Session => session::begin(tx, user_id, Method::Otp, asked).await?.id,
        Begin::Nothing => Uuid::nil(),
    };
    Ok(Outcome::SignedIn(user_id, session_id))
}

/// The address is the person's. A password that was set before anybody had shown that goes, unless this very mail was
/// sent for it: somebody else may have chosen it, to be let in now.
async fn confirm(tx: &Tx, user_id: Uuid, purpose: Purpose, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    let keeps_password = purpose == Purpose::Confirmation;
    tx.execute(
        sql!(
            "update auth.users set email_confirmed_at = $2, updated_at = $2,
               raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{\"email_verified\": true}',
               encrypted_password = case when $3 then encrypted_password else '' end
             where id = $1"
        ),
        &[&user_id, &asked.now, &keeps_password],
    )
    .await?;
    tx.execute(
        sql!(
            "update auth.identities set identity_data = identity_data || '{\"email_verified\": true}', updated_at = $2
             where user_id = $1 and provider = 'email'"
        ),
        &[&user_id, &asked.now],
    )
    .await?;
    events::note(tx, Event::EmailConfirmed, Some(user_id), None, asked.now).await
}
