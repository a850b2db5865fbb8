//! Wallets: signing in by one, and giving a login one more. A script asks the wallet; what it is asked to sign is written here.

use axum::{
    extract::{Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    account,
    call::beside_form,
    entry::{made, sent_on, sign_in_form},
    form::Fields,
    layout::token,
    visit::Visit,
};
use crate::{
    app::App,
    auth::{AuthRefusal, grant, request::Body, siwe::Address, web3},
    problem::Problem,
};

/// Which wallet is about to sign.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asking {
    #[serde(default)]
    address: String,
    #[serde(default)]
    chain: String,
}

/// `GET /wallet/message`: what the wallet shows its owner and signs.
pub(crate) async fn message(
    State(app): State<App>,
    visit: Visit,
    Query(asking): Query<Asking>,
) -> Result<String, Problem> {
    if !app.config.settings.logins.ethereum {
        return Err(AuthRefusal::Web3Disabled.into());
    }
    let address = Address::parse(&asking.address)
        .ok_or_else(|| Problem::Invalid("an address is 0x and 40 hexadecimal digits".to_owned()))?;
    let chain = asking
        .chain
        .parse()
        .map_err(|_| Problem::Invalid("a chain is a whole number".to_owned()))?;
    Ok(web3::message(&app, address, chain, visit.asked.now)?.text())
}

/// A form that a wallet fills in. Without a script or a wallet it says what is missing, and has no button.
pub(crate) fn form(visit: &Visit, action: &str, next: &str, label: &str) -> Markup {
    html! {
        form.form method="post" action=(action) data-wallet="/wallet/message"
            data-refused=(visit.t("wallet-refused")) data-failed=(visit.t("wallet-failed")) {
            (token(visit))
            input type="hidden" name="next" value=(next);
            input type="hidden" name="message";
            input type="hidden" name="signature";
            button.button.secondary.full hidden { (label) }
            p.fine data-wallet-none="" { (visit.t("wallet-none")) }
            p.wallet-said role="status" {}
        }
    }
}

/// What the wallet signed. A browser sends each end of a line as two characters.
fn signed(fields: &Fields) -> Value {
    let message = fields.exact("message").replace("\r\n", "\n");
    json!({ "chain": "ethereum", "message": message, "signature": fields.get("signature") })
}

/// `POST /sign-in/wallet`.
pub(crate) async fn sign_in(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let next = fields.get("next");
    let by_wallet = made(json!({ "grant_type": "web3" }))?;
    let asked = visit.asked.clone();
    match grant::token(State(app.clone()), Query(by_wallet), asked, Body(signed(&fields))).await {
        Ok((_, axum::Json(answer))) => Ok(sent_on(&visit, &answer, next)),
        Err(problem) => Ok(sign_in_form(&app, &visit, next, "", Some(&beside_form(problem)?))),
    }
}

/// `POST /account/wallets`: the login signs in by this wallet too.
pub(crate) async fn link(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let body = made(signed(&fields))?;
    match web3::link(&app, &visit.bearer(), &visit.asked, &body).await {
        Ok(()) => Ok(Redirect::to("/account?done=wallet").into_response()),
        Err(problem) => account::refused(&app, &visit, "ways", None, problem).await,
    }
}
