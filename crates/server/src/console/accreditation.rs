//! `/accreditation` and `/entry-test`: a person shows that what is not for everybody may be for them.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use mint_core::money::{Amount, Decimals};
use serde_json::{Map, Value, json};

use super::{
    account::own_tabs,
    act::{self, Act},
    call::{beside_form, call, instant, text},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    papers::{self, Asker, Paper},
    parts::{self, Field, Tone},
    visit::Visit,
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

const KINDS: [&str; 2] = ["accredited", "sophisticated"];
const METHODS: [&str; 5] = [
    "income",
    "net_worth",
    "professional_licence",
    "third_party_letter",
    "self_assessment",
];

/// `GET /accreditation`.
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let status = call(app, visit, "accreditation-status", None, json!({})).await?;
    let tx = visit.reads(app).await?;
    let papers = papers::free(&tx, person.id).await?;
    let currencies = currencies(&tx).await?;
    tx.commit().await?;
    let none = Vec::new();
    let cases = status.get("cases").and_then(Value::as_array).unwrap_or(&none);
    let content = html! {
        (own_tabs(visit, "/accreditation"))
        div.page-head { h1 { (visit.t("accreditation-title")) } p.lead { (visit.t("accreditation-lead")) } }
        @if let Some(said) = act::said(visit) { div.alert-slot { (parts::alert(visit, Tone::Good, html! { p { (said) } })) } }
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.columns {
            div.stack {
                section.card {
                    h2 { (visit.t("accreditation-cases")) }
                    @if cases.is_empty() { p.soft { (visit.t("accreditation-none")) } }
                    @else { ul.evidence { @for case in cases { (one(visit, case)) } } }
                }
                section.card {
                    h2 { (visit.t("test-title")) }
                    p.soft { (visit.t("test-text")) }
                    a.button.secondary href="/entry-test" { (visit.t("test-begin")) }
                }
            }
            div.stack {
                (papers::section(visit, Asker::Accreditation, &visit.t("accreditation-papers"), &papers))
                section.card {
                    h2 { (visit.t("accreditation-ask")) }
                    (request_form(visit, &papers, &currencies, typed))
                }
            }
        }
    };
    let head = Head::titled(visit.t("accreditation-title")).within(Section::Account);
    Ok(answered(page(visit, &head, content), problem))
}

fn one(visit: &Visit, case: &Value) -> Markup {
    let (status, reason) = (text(case, "/status"), text(case, "/reason"));
    html! {
        li {
            div.what {
                strong { (visit.word("accreditation", text(case, "/kind"))) }
                span.fine {
                    @if let Some(at) = instant(case, "/submittedAt") { (visit.t("verify-submitted")) " " (figures::date(at, visit.language)) }
                    @if let Some(at) = instant(case, "/expiresAt") { ", " (visit.t("verify-until")) " " (figures::date(at, visit.language)) }
                }
                @if !reason.is_empty() { q.fine dir="auto" { (reason) } }
            }
            (parts::state(visit, status))
            @if matches!(status, "submitted" | "in_review") {
                (Act {
                    function: "withdraw-accreditation",
                    hidden: &[("caseId", text(case, "/caseId").to_owned())],
                    fields: html! {},
                    class: "button secondary small",
                    label: visit.t("accreditation-withdraw").into_owned(),
                }.show(visit))
            }
        }
    }
}

fn request_form(visit: &Visit, papers: &[Paper], currencies: &[(String, i16)], typed: &Fields) -> Markup {
    let named = |family: &str, names: &'static [&'static str]| {
        names
            .iter()
            .map(|name| (*name, visit.word(family, name)))
            .collect::<Vec<_>>()
    };
    let codes: Vec<(&str, String)> = currencies
        .iter()
        .map(|(code, _)| (code.as_str(), code.clone()))
        .collect();
    let currency = typed.given("currency").unwrap_or("USD");
    html! {
        form.form method="post" action="/accreditation" {
            (token(visit))
            (parts::select("kind", &visit.t("accreditation-kind"), &named("accreditation", &KINDS), typed.get("kind")))
            (parts::select("method", &visit.t("accreditation-method"), &named("method", &METHODS), typed.get("method")))
            div.form-grid {
                (Field::text("net_worth", visit.t("accreditation-worth")).value(typed.get("net_worth")).optional().with("inputmode", "decimal").with("maxlength", "24").show(visit))
                (parts::select("currency", &visit.t("manage-currency"), &codes, currency))
            }
            (Field::text("about", visit.t("accreditation-about")).kind("textarea").value(typed.get("about")).optional().hint(visit.t("accreditation-about-hint")).with("maxlength", "2000").show(visit))
            @if !papers.is_empty() { (papers::choice(visit, papers, typed)) }
            div { button.button { (visit.t("accreditation-send")) } }
        }
    }
}

/// Currencies in which somebody may state a sum, with their decimals.
async fn currencies(tx: &Tx) -> Result<Vec<(String, i16)>, Problem> {
    let query = sql!("select c.code, c.decimals from public.currencies as c order by c.code");
    let rows = tx.query(query, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// `POST /accreditation`.
pub(crate) async fn request(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let tx = visit.reads(&app).await?;
    let currencies = currencies(&tx).await?;
    tx.commit().await?;
    let outcome = match body(&fields, &currencies) {
        Ok(body) => call(&app, &visit, "request-accreditation", None, body).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(_) => Ok(Redirect::to("/accreditation?did=done").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

fn body(fields: &Fields, currencies: &[(String, i16)]) -> Result<Value, Problem> {
    let mut body = json!({
        "kind": fields.get("kind"), "method": fields.get("method"), "documentIds": fields.all("document"),
        "submission": { "about": fields.get("about") },
    });
    if let (Some(typed), Some(body)) = (fields.given("net_worth"), body.as_object_mut()) {
        let currency = fields.get("currency");
        let unread =
            || Problem::Invalid("a net worth is an amount such as 1,250,000 in a currency of the list".to_owned());
        let (_, decimals) = currencies
            .iter()
            .find(|(code, _)| code == currency)
            .ok_or_else(unread)?;
        let decimals = u8::try_from(*decimals)
            .ok()
            .and_then(|digits| Decimals::try_from(digits).ok());
        let plain: String = typed.chars().filter(|letter| !matches!(letter, ',' | ' ')).collect();
        let minor = decimals
            .and_then(|decimals| Amount::parse(&plain, decimals).ok())
            .ok_or_else(unread)?;
        body.insert(
            "netWorth".to_owned(),
            json!({ "minor": minor.get(), "currency": currency }),
        );
    }
    Ok(body)
}

/// `GET /entry-test`.
pub(crate) async fn test(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    asked(&app, &visit, &Fields::default(), None, None).await
}

async fn asked(
    app: &App,
    visit: &Visit,
    typed: &Fields,
    result: Option<&Value>,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    visit.person()?;
    let answer = call(app, visit, "get-entry-test", None, json!({})).await?;
    let none = Vec::new();
    let questions = answer
        .pointer("/test/questions")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_i64).unwrap_or(0);
    let content = html! {
        (parts::crumbs(visit, &[("/accreditation", visit.t("accreditation-title").into_owned())]))
        div.narrow.stack {
            div.page-head { h1 { (visit.t("test-title")) } p.lead { (visit.t("test-text")) } }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            @if let Some(result) = result {
                div.alert-slot tabindex="-1" data-focus="" {
                    (parts::alert(visit, Tone::Stop, html! {
                        p { strong { (visit.t("test-failed")) } }
                        p { (visit.tv("test-count", &[("right", number(result, "answersRight").into()), ("least", number(result, "rightMin").into())])) }
                    }))
                }
            }
            form.form.card method="post" action="/entry-test" {
                (token(visit))
                input type="hidden" name="test" value=(text(&answer, "/test/testId"));
                @for question in questions { (question_field(question, typed)) }
                div { button.button { (visit.t("test-send")) } }
            }
            // The questions are data, in English whatever the page speaks.
            p.fine { span lang="en" dir="ltr" { (text(&answer, "/test/source")) } }
        }
    };
    let head = Head::titled(visit.t("test-title")).within(Section::Account);
    Ok(answered(page(visit, &head, content), problem))
}

fn question_field(question: &Value, typed: &Fields) -> Markup {
    let name = format!("answer-{}", text(question, "/key"));
    let none = Map::new();
    let options = question.get("options").and_then(Value::as_object).unwrap_or(&none);
    html! {
        fieldset.choices lang="en" dir="ltr" {
            legend.field-label { (text(question, "/text")) }
            @for (letter, said) in options {
                label.check {
                    input type="radio" name=(name) value=(letter) required checked[typed.get(&name) == letter];
                    span { (said.as_str().unwrap_or_default()) }
                }
            }
        }
    }
}

/// `POST /entry-test`.
pub(crate) async fn answer(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let answers: Map<String, Value> = fields
        .pairs()
        .filter_map(|(name, value)| Some((name.strip_prefix("answer-")?.to_owned(), value.into())))
        .collect();
    let body = json!({ "testId": fields.get("test"), "answers": answers });
    match call(&app, &visit, "answer-entry-test", None, body).await {
        Ok(result) if result.get("passed") == Some(&json!(true)) => {
            Ok(Redirect::to("/accreditation?did=done").into_response())
        }
        Ok(result) => asked(&app, &visit, &fields, Some(&result), None).await,
        Err(problem) => {
            let problem = beside_form(problem)?;
            asked(&app, &visit, &fields, None, Some(&problem)).await
        }
    }
}
