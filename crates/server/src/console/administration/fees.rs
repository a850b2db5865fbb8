//! `/administration/fees`: a new version of a fee. What it will charge is shown before it is published, since nothing of it can be
//! taken back.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use mint_core::fees::NOTICE;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        act::{instant, millionths},
        call::{self, beside_form, call, text},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::token,
        parts::{self, Field},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// The fees that the platform itself charges.
const CHARGED: [&str; 3] = ["platform", "rent_manager", "rent_platform"];

const CURRENCIES: &str = sql!("select c.code, c.name from public.currencies as c order by c.code = 'USD' desc, c.code");

/// What the form says beside what was typed.
enum Said<'a> {
    Nothing,
    Refused(&'a Problem),
    /// What the version would charge, and the body that was asked about.
    Seen(&'a Value, &'a str),
}

/// `GET /administration/fees`.
pub(crate) async fn ask(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), &Said::Nothing).await
}

/// `POST /administration/fees`: shows what a version would charge; sent once more unchanged, publishes it.
pub(crate) async fn publish(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let body = match body(&fields) {
        Ok(body) => Value::Object(body),
        Err(problem) => return shown(&app, &visit, &fields, &Said::Refused(&problem)).await,
    };
    let asked = body.to_string();
    if fields.get("seen") != asked {
        return match call(&app, &visit, "preview-fee", None, body).await {
            Ok(preview) => shown(&app, &visit, &fields, &Said::Seen(&preview, &asked)).await,
            Err(problem) => shown(&app, &visit, &fields, &Said::Refused(&beside_form(problem)?)).await,
        };
    }
    match call(&app, &visit, "publish-fee", fields.given("key"), body).await {
        Ok(_) => Ok(Redirect::to("/administration/rules?did=done").into_response()),
        Err(problem) => shown(&app, &visit, &fields, &Said::Refused(&beside_form(problem)?)).await,
    }
}

fn body(fields: &Fields) -> Result<Map<String, Value>, Problem> {
    let names = ["feeType", "currency", "fixed", "minimum", "maximum", "note"].map(|name| (name, name));
    let mut body = fields.body(&names);
    for name in ["fixed", "minimum", "maximum"] {
        if let Some(typed) = fields.given(name) {
            body.insert(name.to_owned(), typed.replace([',', ' '], "").into());
        }
    }
    body.insert("ratePpm".to_owned(), millionths("ratePpm", fields.get("ratePpm"))?);
    if let Some(typed) = fields.given("validFrom") {
        body.insert("validFrom".to_owned(), instant("validFrom", typed)?);
    }
    Ok(body)
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, said: &Said<'_>) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let tx = visit.reads(app).await?;
    let rows = tx.query(CURRENCIES, &[]).await?;
    tx.commit().await?;
    let currencies = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<Vec<(String, String)>, Problem>>()?;
    let problem = match said {
        Said::Refused(problem) => Some(*problem),
        Said::Nothing | Said::Seen(_, _) => None,
    };
    let content = html! {
        (parts::crumbs(visit, &[("/administration/rules", visit.t("rules-title").into_owned())]))
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.stack-large {
            p.lead { (visit.tv("fees-text", &[("minutes", NOTICE.num_minutes().into())])) }
            (form(visit, &currencies, typed, said))
        }
    };
    Ok(answered(
        section(visit, "/administration/rules", &visit.t("fees-title"), content),
        problem,
    ))
}

fn form(visit: &Visit, currencies: &[(String, String)], typed: &Fields, said: &Said<'_>) -> Markup {
    let kinds = CHARGED.map(|kind| (kind, visit.word("fee", kind)));
    let currencies: Vec<(&str, String)> = currencies
        .iter()
        .map(|(code, name)| (code.as_str(), format!("{code}, {name}")))
        .collect();
    let figure = |name, key: &str| {
        Field::text(name, visit.language.text(key))
            .value(typed.get(name))
            .with("inputmode", "decimal")
            .with("maxlength", "24")
    };
    let from_hint = visit.tv("fees-from-hint", &[("minutes", NOTICE.num_minutes().into())]);
    html! {
        form.form.card method="post" action="/administration/fees" {
            (token(visit))
            div.form-grid {
                (parts::select("feeType", &visit.t("rules-fee"), &kinds, typed.get("feeType")))
                (parts::select("currency", &visit.t("ledger-asset"), &currencies, typed.get("currency")))
                (figure("ratePpm", "rules-rate").hint(visit.t("fees-rate-hint")).show(visit))
                (figure("fixed", "rules-fixed").hint(visit.t("fees-fixed-hint")).optional().show(visit))
                (figure("minimum", "rules-least").optional().show(visit))
                (figure("maximum", "rules-most").optional().show(visit))
                (Field::text("validFrom", visit.t("rules-from")).kind("datetime-local").value(typed.get("validFrom")).hint(from_hint).optional().show(visit))
            }
            (Field::text("note", visit.t("fees-note")).kind("textarea").value(typed.get("note")).with("rows", "2").with("maxlength", "1000").show(visit))
            @if let Said::Seen(preview, asked) = said {
                input type="hidden" name="seen" value=(asked);
                input type="hidden" name="key" value=(Uuid::new_v4());
                (charges(visit, preview))
                div { button.button { (visit.t("fees-publish")) } }
            } @else {
                div { button.button { (visit.t("fees-look")) } }
            }
        }
    }
}

/// What is charged before and then, on a few amounts.
fn charges(visit: &Visit, preview: &Value) -> Markup {
    let currency = text(preview, "/currency");
    let decimals = preview.get("currencyDecimals").and_then(Value::as_i64);
    let decimals = decimals.and_then(|digits| i16::try_from(digits).ok()).unwrap_or(2);
    let money = |example: &Value, name: &str| match example.get(name) {
        Some(Value::Number(_)) => figures::money(call::minor(example, name, decimals), currency, decimals),
        Some(_) | None => html! { "–" },
    };
    let examples = preview.get("examples").and_then(Value::as_array);
    html! {
        div.stack tabindex="-1" data-focus="" {
            h2 { (visit.t("fees-seen")) }
            p {
                (visit.t("rules-from")) " "
                @if let Some(at) = call::instant(preview, "/validFrom") { (figures::instant(at, visit.language)) }
                @if let Some(at) = call::instant(preview, "/validUntil") { ". " (visit.t("fees-until")) " " (figures::instant(at, visit.language)) }
            }
            (parts::table(&visit.t("fees-seen"), html! {
                thead { tr { th.number scope="col" { (visit.t("fees-on")) } th.number scope="col" { (visit.t("fees-before")) } th.number scope="col" { (visit.t("fees-then")) } } }
                tbody { @for example in examples.into_iter().flatten() { tr {
                    th.number scope="row" { (money(example, "amount")) } td.number { (money(example, "before")) } td.number { (money(example, "then")) }
                } } }
            }))
        }
    }
}
