//! `/properties/{id}/buy`: whether the visitor may buy, what it costs, and the way to the payment.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{beside_form, call, minor, text},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    listing::{self, Card},
    parts::{self, Field, Tone},
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

/// How many tokens somebody thinks of.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Thought {
    #[serde(default)]
    tokens: String,
    #[serde(default)]
    accepts_warning: String,
}

/// What the form needs to know of the offering.
struct Terms {
    minimum_units: i64,
    token_decimals: i16,
    currency_decimals: i16,
    pack: String,
    summary: String,
}

/// What came of asking what it would cost.
enum Quoted {
    Fits(Value),
    Refused(Problem),
}

/// `GET /properties/{id}/buy`.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(thought): Query<Thought>,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    shown(&app, &visit, id, &thought, None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    id: Uuid,
    thought: &Thought,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    visit.person()?;
    let tx = visit.reads(app).await?;
    let card = listing::cards(&tx, &[id])
        .await?
        .into_iter()
        .next()
        .ok_or(Problem::NotFound)?;
    let query = sql!(
        "select o.minimum_units, o.token_decimals, o.currency_decimals, r.title, r.summary
         from public.offerings as o join public.rule_packs as r on r.id = o.rule_pack_id
         where o.property_id = $1 and o.status = 'open'"
    );
    let row = tx.query_opt(query, &[&id]).await?;
    tx.commit().await?;
    let Some(row) = row else {
        return Ok(Redirect::to(&card.path()).into_response());
    };
    let terms = Terms {
        minimum_units: row.try_get(0)?,
        token_decimals: row.try_get(1)?,
        currency_decimals: row.try_get(2)?,
        pack: row.try_get(3)?,
        summary: row.try_get(4)?,
    };
    let least = figures::tokens(terms.minimum_units, terms.token_decimals).replace(',', "");
    // Whether somebody may buy at all is said before anything is asked.
    let first = quoted(app, visit, id, &least, thought).await?;
    let wanted = if thought.tokens.trim().is_empty() {
        least.clone()
    } else {
        thought.tokens.trim().to_owned()
    };
    let answer = if wanted == least {
        None
    } else {
        Some(quoted(app, visit, id, &wanted, thought).await?)
    };
    let content = html! {
        (parts::crumbs(visit, &[("/properties", visit.t("properties-title").into_owned()), (&card.path(), card.title.clone())]))
        div.page-head { h1 { (visit.t("buy-title")) } p.lead { bdi { (card.title) } } }
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.with-aside {
            div.stack {
                (eligibility(visit, &first, &terms))
                @if is_for_the_person(&first) { (blocked(visit, &first, &card)) } @else { (form(visit, &card, &terms, &wanted, thought, answer.as_ref().unwrap_or(&first))) }
            }
            aside.stack {
                section.card {
                    h2 { (visit.t("buy-how")) }
                    ol.steps {
                        @for key in ["buy-how-reserve", "buy-how-pay", "buy-how-withdraw", "buy-how-close"] { li { p.step-body { (visit.language.text(key)) } } }
                    }
                }
            }
        }
    };
    let head = Head::titled(visit.t("buy-title")).within(Section::Properties).wide();
    Ok(answered(page(visit, &head, content), problem))
}

async fn quoted(app: &App, visit: &Visit, id: Uuid, tokens: &str, thought: &Thought) -> Result<Quoted, Problem> {
    let body =
        json!({ "propertyId": id, "tokenAmount": tokens, "acceptsWarning": !thought.accepts_warning.is_empty() });
    match call(app, visit, "quote-investment", None, body).await {
        Ok(quote) => Ok(Quoted::Fits(quote)),
        Err(problem) => Ok(Quoted::Refused(beside_form(problem)?)),
    }
}

/// Whether a refusal is about who asks, so that no number of tokens would change it.
fn is_for_the_person(quoted: &Quoted) -> bool {
    match quoted {
        Quoted::Fits(_) => false,
        Quoted::Refused(Problem::Refused(refusal)) => {
            !(refusal.rule.starts_with("offering.maximum")
                || ["warning_above", "minimum_investment", "yearly_limit", "offering.left"]
                    .contains(&refusal.rule.as_str()))
        }
        Quoted::Refused(_) => false,
    }
}

fn eligibility(visit: &Visit, first: &Quoted, terms: &Terms) -> Markup {
    html! {
        section.card aria-labelledby="buy-may" {
            h2 #buy-may { (visit.t("buy-may")) }
            @if is_for_the_person(first) { p { (parts::badge(Tone::Stop, &visit.t("buy-may-not"))) } }
            @else { p { (parts::badge(Tone::Good, &visit.t("buy-may-yes"))) } }
            p.soft { (visit.t("buy-rules")) " " span lang="en" dir="ltr" { strong { (terms.pack) } ": " (terms.summary) } }
        }
    }
}

fn blocked(visit: &Visit, first: &Quoted, card: &Card) -> Markup {
    let Quoted::Refused(problem) = first else {
        return html! {};
    };
    let is_identity = matches!(problem, Problem::Refused(refusal) if refusal.rule.contains("identity"));
    html! {
        (fault::alert(visit, problem))
        div.button-row {
            @if is_identity { a.button href="/verification" { (visit.t("buy-verify")) } }
            a.button.secondary href=(card.path()) { (visit.t("buy-back")) }
        }
    }
}

fn form(visit: &Visit, card: &Card, terms: &Terms, wanted: &str, thought: &Thought, answer: &Quoted) -> Markup {
    let place = format!("{}/buy", card.path());
    let asks_warning = !thought.accepts_warning.is_empty()
        || matches!(answer, Quoted::Refused(Problem::Refused(refusal)) if refusal.rule == "warning_above");
    html! {
        form.card.form #buy method="post" action=(place) data-quote="buy-quote" data-quote-url=(place) {
            (token(visit))
            input type="hidden" name="key" value=(Uuid::new_v4());
            h2 { (visit.t("buy-how-many")) }
            (Field::text("tokens", visit.t("buy-tokens")).value(wanted).with("inputmode", if terms.token_decimals > 0 { "decimal" } else { "numeric" }).with("maxlength", "20").show(visit))
            div #buy-quote aria-live="polite" { (costs(visit, terms, answer, asks_warning, thought)) }
            div.button-row {
                button.button { (visit.t("buy-reserve")) }
                button.button.secondary name="only" value="compute" { (visit.t("buy-compute")) }
            }
            p.fine { (visit.t("buy-fine")) }
        }
    }
}

fn costs(visit: &Visit, terms: &Terms, answer: &Quoted, asks_warning: bool, thought: &Thought) -> Markup {
    let warning = html! {
        @if asks_warning { (parts::checkbox("accepts_warning", "yes", html! { (visit.t("buy-warning")) }, !thought.accepts_warning.is_empty())) }
    };
    let quote = match answer {
        Quoted::Refused(problem) => return html! { (fault::alert(visit, problem)) (warning) },
        Quoted::Fits(quote) => quote,
    };
    let currency = text(quote, "/currency");
    let money = |name: &str| html! { (figures::money(minor(quote, name, terms.currency_decimals), currency, terms.currency_decimals)) };
    let number = |name: &str| quote.get(name).and_then(Value::as_i64).unwrap_or(0);
    html! {
        dl.statement {
            (parts::figure(&visit.t("buy-price"), money("pricePerToken"), None))
            (parts::figure(&visit.t("buy-total"), money("totalAmount"), None))
            (parts::figure(&visit.t("offer-fee"), money("feeAmount"), None))
            div.figure.total { dt { (visit.t("buy-charge")) } dd { span.value.buy-total { (money("chargeAmount")) } } }
        }
        p.fine {
            (visit.tv("buy-reserved-for", &[("minutes", number("reservationMinutes").into())])) " "
            (visit.tv("buy-cooling", &[("count", number("coolingOffDays").into())]))
        }
        (warning)
    }
}

/// `POST /properties/{id}/buy`: reserves, and sends the buyer on to pay.
pub(crate) async fn buy(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let tokens = fields.get("tokens").replace([',', ' '], "");
    let thought = Thought {
        tokens: tokens.clone(),
        accepts_warning: fields.get("accepts_warning").to_owned(),
    };
    if !fields.get("only").is_empty() {
        let pairs = [
            ("tokens", thought.tokens.as_str()),
            ("accepts_warning", thought.accepts_warning.as_str()),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        return Ok(Redirect::to(&format!("/properties/{id}/buy?{query}")).into_response());
    }
    let body = json!({
        "propertyId": id, "tokenAmount": tokens, "acceptsWarning": !thought.accepts_warning.is_empty(), "paymentId": fields.get("key"),
    });
    match call(&app, &visit, "create-investment-payment", fields.given("key"), body).await {
        Ok(answer) => Ok(to_payment(&app, &answer)),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, &thought, Some(&problem)).await
        }
    }
}

/// On to the rail's page. The sandbox's is this server's: its path is enough, by whatever name the server was reached.
pub(crate) fn to_payment(app: &App, answer: &Value) -> Response {
    let url = text(answer, "/url");
    Redirect::to(url.strip_prefix(app.public_url.as_str()).unwrap_or(url)).into_response()
}
