//! The sandbox's checkout page: what a buyer sees at a payment provider, with everything that can happen there to choose.

use axum::{
    Form, Router,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use mint_core::money::Amount;
use serde::Deserialize;
use uuid::Uuid;

use super::{PROVIDER, Payment, deliver, pay};
use crate::{
    app::App,
    command::Command,
    db::sql,
    offerings::record::{amount, currency},
    problem::Problem,
};

/// The page's own style is all that it may load; it sends its form to this server alone and stands in nobody's frame.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The route of the page.
pub fn routes() -> Router<App> {
    Router::new().route("/checkout/{session}", get(page).post(choose))
}

struct Session {
    id: String,
    charge: Amount,
    shown: String,
    currency: String,
    description: String,
    return_url: String,
    property_id: Uuid,
    is_paid: bool,
}

async fn find(app: &App, id: &str) -> Result<Session, Problem> {
    let command = Command::begin(app, PROVIDER).await?;
    let text = sql!(
        "select s.ref, s.amount_minor, s.currency, s.description, s.return_url, s.property_id, c.decimals,
                exists (select from nexus.sandbox_payments as p where p.session_ref = s.ref)
         from nexus.sandbox_sessions as s join public.currencies as c on c.code = s.currency where s.ref = $1"
    );
    let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
    let charge = amount(row.try_get(1)?)?;
    let code: String = row.try_get(2)?;
    let session = Session {
        id: row.try_get(0)?,
        charge,
        shown: currency(&code, row.try_get(6)?)?.show(charge),
        currency: code,
        description: row.try_get(3)?,
        return_url: row.try_get(4)?,
        property_id: row.try_get(5)?,
        is_paid: row.try_get(7)?,
    };
    command.commit().await?;
    Ok(session)
}

async fn page(State(app): State<App>, Path(session): Path<String>) -> Result<Response, Problem> {
    let session = find(&app, &session).await?;
    Ok(with_policy(Html(html(&session))))
}

fn with_policy(page: Html<String>) -> Response {
    let mut response = page.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    response
}

fn html(session: &Session) -> String {
    let paid = if session.is_paid {
        "<p class=note>Paid. Paying again would be a duplicate, and goes back.</p>"
    } else {
        ""
    };
    format!(
        "<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>
<title>Sandbox checkout</title>
<style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:2rem auto;padding:0 1rem;color:#1c2330;background:#f6f7f9}}
main{{background:#fff;border:1px solid #d9dee7;border-radius:12px;padding:1.5rem}}
h1{{font-size:1.1rem;margin:0 0 .25rem}} .amount{{font-size:2rem;font-weight:600;margin:.25rem 0 1rem}}
.note{{background:#fff6e0;border-radius:8px;padding:.5rem .75rem;margin:0 0 1rem}}
fieldset{{border:0;padding:0;margin:0 0 1rem}} legend{{font-weight:600;padding:0}} label{{display:block;padding:.2rem 0}}
button{{font:inherit;width:100%;padding:.75rem;border:0;border-radius:8px;background:#1f5fd0;color:#fff;font-weight:600}}
small{{color:#5b6577}}
</style>
<main>
<h1>Sandbox checkout</h1>
<p class=note>No real money. This page stands for a payment provider.</p>
{paid}
<p>{description}</p>
<p class=amount>{shown}</p>
<form method=post>
<fieldset><legend>Pay</legend>
<label><input type=radio name=pay value=exact checked> exactly {shown}</label>
<label><input type=radio name=pay value=less> one unit less</label>
<label><input type=radio name=pay value=more> one unit more</label>
<label><input type=radio name=pay value=twice> twice</label>
</fieldset>
<fieldset><legend>The provider pays the custodian</legend>
<label><input type=radio name=settle value=now checked> at once</label>
<label><input type=radio name=settle value=later> later</label>
</fieldset>
<fieldset><legend>If it is refunded, the refund</legend>
<label><input type=radio name=refund value=succeed checked> succeeds</label>
<label><input type=radio name=refund value=fail> fails</label>
<label><input type=radio name=refund value=silent> succeeds, and nobody says so until asked</label>
</fieldset>
<button>Pay</button>
</form>
<p><small>Session {id}</small></p>
</main>
</html>",
        description = escaped(&session.description),
        shown = escaped(&session.shown),
        id = escaped(&session.id),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pay {
    Exact,
    Less,
    More,
    Twice,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Settle {
    Now,
    Later,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Refund {
    Succeed,
    Fail,
    Silent,
}

#[derive(Debug, Deserialize)]
struct Choice {
    pay: Pay,
    settle: Settle,
    refund: Refund,
}

async fn choose(
    State(app): State<App>,
    Path(session): Path<String>,
    Form(choice): Form<Choice>,
) -> Result<Response, Problem> {
    let session = find(&app, &session).await?;
    let one = Amount::try_from(1).map_err(Problem::internal)?;
    let refused = |error: mint_core::money::AmountRefused| Problem::Invalid(error.to_string());
    let (amount, times) = match choice.pay {
        Pay::Exact => (session.charge, 1),
        Pay::Less => (session.charge.minus(one).map_err(refused)?, 1),
        Pay::More => (session.charge.plus(one).map_err(refused)?, 1),
        Pay::Twice => (session.charge, 2),
    };
    if amount == Amount::ZERO {
        return Err(Problem::Invalid("one unit less than this is nothing".to_owned()));
    }
    let payment = Payment {
        session: Some(session.id),
        property_id: session.property_id,
        amount,
        currency: session.currency,
        refund_outcome: match choice.refund {
            Refund::Succeed => "succeed",
            Refund::Fail => "fail",
            Refund::Silent => "silent",
        },
        settles_now: choice.settle == Settle::Now,
    };
    for _ in 0..times {
        pay(&app, &payment).await?;
    }
    deliver(&app).await?;
    Ok(Redirect::to(&session.return_url).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_on_the_page() {
        assert_eq!(escaped("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
