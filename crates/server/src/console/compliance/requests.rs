//! `/compliance/accreditation/{case}` and `/compliance/tax-forms/{form}`: what a person submitted, for an officer who says why; each
//! look is noted, as with identities. The case and the decisions about it stand on one page.

use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    identity::{OFFICER, asked, viewer},
    section,
};
use crate::{
    app::App,
    console::{
        call::{beside_form, call, instant, text},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::token,
        parts::{self, Field, Tone},
        visit::Visit,
    },
    problem::Problem,
};

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Accreditation,
    TaxForm,
}

impl About {
    fn place(self, id: Uuid) -> String {
        match self {
            About::Accreditation => format!("/compliance/accreditation/{id}"),
            About::TaxForm => format!("/compliance/tax-forms/{id}"),
        }
    }

    fn title(self, visit: &Visit) -> String {
        match self {
            About::Accreditation => visit.t("accreditation-title").into_owned(),
            About::TaxForm => visit.t("taxform-title").into_owned(),
        }
    }

    /// The function that shows it, the name of its id, and where it stands in the answer.
    fn read(self) -> (&'static str, &'static str, &'static str) {
        match self {
            About::Accreditation => ("get-accreditation-case", "caseId", "case"),
            About::TaxForm => ("get-tax-form", "taxFormId", "taxForm"),
        }
    }

    /// What a button of the page runs, with what was typed.
    fn act(self, id: Uuid, fields: &Fields) -> Result<Option<(&'static str, Value)>, Problem> {
        let (_, name, _) = self.read();
        let mut body = Map::new();
        body.insert(name.to_owned(), json!(id));
        let function = match (self, fields.get("act")) {
            (About::Accreditation, "take") => "take-accreditation-case",
            (About::Accreditation, "approve") => {
                body.extend(until(fields)?);
                "approve-accreditation"
            }
            (About::Accreditation, "reject") => {
                body.extend(fields.body(&[("why", "reason")]));
                "reject-accreditation"
            }
            (About::Accreditation, "revoke") => {
                body.extend(fields.body(&[("why", "reason")]));
                "revoke-accreditation"
            }
            (About::TaxForm, "check") => {
                body.insert("decision".to_owned(), "checked".into());
                body.extend(until(fields)?);
                "check-tax-form"
            }
            (About::TaxForm, "reject") => {
                body.insert("decision".to_owned(), "rejected".into());
                body.extend(fields.body(&[("why", "reason")]));
                "check-tax-form"
            }
            (About::Accreditation | About::TaxForm, _) => return Ok(None),
        };
        Ok(Some((function, Value::Object(body))))
    }
}

/// Until the end of a day that was chosen, where one was.
fn until(fields: &Fields) -> Result<Map<String, Value>, Problem> {
    let Some(typed) = fields.given("until") else {
        return Ok(Map::new());
    };
    let day: chrono::NaiveDate = typed
        .parse()
        .map_err(|_| Problem::Invalid("until: a day is wanted, such as 2027-02-28".to_owned()))?;
    Ok([("expiresAt".to_owned(), json!(format!("{day}T00:00:00Z")))]
        .into_iter()
        .collect())
}

/// `GET /compliance/accreditation/{case}`.
pub(crate) async fn ask_accreditation(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    ask(&visit, About::Accreditation, &id)
}

/// `GET /compliance/tax-forms/{form}`.
pub(crate) async fn ask_tax_form(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    ask(&visit, About::TaxForm, &id)
}

/// `POST /compliance/accreditation/{case}`.
pub(crate) async fn accreditation(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    show(&app, &visit, About::Accreditation, &id, &fields).await
}

/// `POST /compliance/tax-forms/{form}`.
pub(crate) async fn tax_form(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    show(&app, &visit, About::TaxForm, &id, &fields).await
}

fn ask(visit: &Visit, about: About, id: &str) -> Result<Response, Problem> {
    visit.one_of(&OFFICER)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    Ok(asked(visit, &about.place(id), &about.title(visit), "", None))
}

/// Acts, if something is to be done, and shows it as it is then.
async fn show(app: &App, visit: &Visit, about: About, id: &str, fields: &Fields) -> Result<Response, Problem> {
    visit.one_of(&OFFICER)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let outcome = match about.act(id, fields) {
        Ok(Some((function, body))) => call(app, visit, function, None, body).await.map(drop),
        Ok(None) => Ok(()),
        Err(problem) => Err(problem),
    };
    let refused = match outcome {
        Ok(()) => None,
        Err(problem) => Some(beside_form(problem)?),
    };
    let (function, name, place) = about.read();
    let body: Map<String, Value> = [
        (name.to_owned(), json!(id)),
        ("reason".to_owned(), fields.get("reason").into()),
    ]
    .into_iter()
    .collect();
    let (place_of, title) = (about.place(id), about.title(visit));
    let case = match call(app, visit, function, None, Value::Object(body)).await {
        Ok(answer) => answer.get(place).cloned().unwrap_or_default(),
        Err(problem) => {
            return Ok(asked(
                visit,
                &place_of,
                &title,
                fields.get("reason"),
                Some(&beside_form(problem)?),
            ));
        }
    };
    let documents = case
        .get("documents")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let content = html! {
        @if let Some(problem) = &refused { (fault::alert(visit, problem)) }
        @else if !fields.get("act").is_empty() { div.alert-slot { (parts::alert(visit, Tone::Good, html! { p { (visit.t("act-done")) } })) } }
        div.with-aside {
            div.stack {
                section.card { h2 { (visit.t("identity-submitted")) } (submitted(visit, about, &case)) }
                section.card {
                    h2 { (visit.t("property-documents")) }
                    @if documents.is_empty() { p.soft { (visit.t("request-no-document")) } }
                    @for document in &documents { (viewer(visit, id, document, fields.get("reason"))) }
                }
            }
            aside.stack { (decisions(visit, about, &place_of, &case, fields)) }
        }
    };
    Ok(answered(
        section(visit, "/compliance", &title, content),
        refused.as_ref(),
    ))
}

fn submitted(visit: &Visit, about: About, case: &Value) -> Markup {
    let mut known = vec![(
        visit.t("column-state").into_owned(),
        parts::state(visit, text(case, "/status")),
    )];
    let mut add = |name: String, value: &str| {
        if !value.is_empty() {
            known.push((name, html! { bdi { (value) } }));
        }
    };
    match about {
        About::Accreditation => {
            add(
                visit.t("request-kind").into_owned(),
                &visit.word("accreditation", text(case, "/kind")),
            );
            add(
                visit.t("request-method").into_owned(),
                &text(case, "/method").replace('_', " "),
            );
            let worth = case.get("netWorthMinor").and_then(Value::as_i64);
            let decimals = case.get("netWorthDecimals").and_then(Value::as_i64);
            let decimals = i16::try_from(decimals.unwrap_or(0)).unwrap_or(0);
            let worth = worth.map(|minor| figures::money_text(minor, text(case, "/netWorthCurrency"), decimals));
            add(visit.t("request-net-worth").into_owned(), &worth.unwrap_or_default());
        }
        About::TaxForm => {
            add(visit.t("taxform-form").into_owned(), text(case, "/form"));
            add(visit.t("rules-version").into_owned(), text(case, "/formVersion"));
            add(visit.t("taxform-country").into_owned(), text(case, "/country"));
            add(visit.t("taxform-signed").into_owned(), text(case, "/signedOn"));
            add(
                visit.t("identity-verified-name").into_owned(),
                text(case, "/verifiedName"),
            );
            add(
                visit.t("taxform-verified-country").into_owned(),
                text(case, "/verifiedCountry"),
            );
        }
    }
    for (name, value) in case.get("submission").and_then(Value::as_object).into_iter().flatten() {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        add(visit.word("submission", name), &shown);
    }
    let at = instant(case, "/submittedAt").or_else(|| instant(case, "/filedAt"));
    if let Some(at) = at {
        known.push((
            visit.t("verify-submitted").into_owned(),
            figures::instant(at, visit.language),
        ));
    }
    if let Some(until) = instant(case, "/expiresAt") {
        known.push((
            visit.t("verify-until").into_owned(),
            figures::instant(until, visit.language),
        ));
    }
    parts::facts(&known)
}

fn decisions(visit: &Visit, about: About, place: &str, case: &Value, fields: &Fields) -> Markup {
    let form = |act: &str, content: Markup| {
        html! {
            form.form method="post" action=(place) {
                (token(visit))
                input type="hidden" name="reason" value=(fields.get("reason"));
                input type="hidden" name="act" value=(act);
                (content)
            }
        }
    };
    let until = || {
        Field::text("until", visit.t("request-until"))
            .kind("date")
            .value(fields.get("until"))
            .hint(visit.t("request-until-hint"))
            .optional()
            .show(visit)
    };
    let refuse = |act: &str, label: &str| {
        form(
            act,
            html! {
                div.field {
                    label for={ "why-" (act) } { (visit.t("identity-reject-why")) }
                    p.hint id={ "why-" (act) "-hint" } { (visit.t("identity-reject-hint")) }
                    textarea id={ "why-" (act) } name="why" rows="3" required maxlength="500" aria-describedby={ "why-" (act) "-hint" } { (fields.get("why")) }
                }
                div { button.button.danger { (label) } }
            },
        )
    };
    html! {
        @match (about, text(case, "/status")) {
            (About::Accreditation, "submitted" | "in_review") => {
                section.card { h2 { (visit.t("identity-take")) } p.soft { (visit.t("identity-take-text")) }
                    (form("take", html! { div { button.button.secondary { (visit.t("identity-take")) } } }))
                }
                section.card { h2 { (visit.t("identity-approve")) } (form("approve", html! { (until()) div { button.button { (visit.t("identity-approve")) } } })) }
                section.card { h2 { (visit.t("identity-reject")) } (refuse("reject", &visit.t("identity-reject"))) }
            }
            (About::Accreditation, "approved") => {
                section.card { h2 { (visit.t("identity-revoke")) } (refuse("revoke", &visit.t("identity-revoke"))) }
            }
            (About::TaxForm, "filed") => {
                section.card { h2 { (visit.t("taxform-check")) } p.soft { (visit.t("taxform-check-text")) }
                    (form("check", html! { (until()) div { button.button { (visit.t("taxform-check")) } } }))
                }
                section.card { h2 { (visit.t("identity-reject")) } (refuse("reject", &visit.t("identity-reject"))) }
            }
            (About::Accreditation | About::TaxForm, _) => {
                (parts::alert(visit, Tone::Plain, html! {
                    p { (visit.t("identity-decided")) }
                    @if !text(case, "/reason").is_empty() { p { q dir="auto" { (text(case, "/reason")) } } }
                }))
            }
        }
    }
}
