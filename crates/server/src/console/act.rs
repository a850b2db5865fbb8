//! `POST /act/{function}`: a short form that runs one command, and goes back to the page that it stands on. What a rule refuses
//! is shown with the form once more, as it was typed.
//!
//! A form may only run what is in [`ACTS`], with the fields named there.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::NaiveDateTime;
use maud::{Markup, html};
use serde_json::{Map, Number, Value, json};

use super::{
    call::{beside_ids, call},
    compliance::OVERSEERS,
    entry::answered,
    fault,
    form::Fields,
    layout::{Head, page, token},
    parts::{self, Field},
    preferences::own_place,
    visit::Visit,
};
use crate::{app::App, functions::BUILT, problem::Problem};

/// What a field of a form is in the body of its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The name of something: never typed, always there.
    Id,
    /// Names of several things, each a hidden field of its own.
    Ids,
    /// A text.
    Text,
    /// Several lines of text.
    Lines,
    /// A whole number.
    Number,
    /// A day and a time, in UTC.
    Instant,
    /// A text of the object `data`.
    Data,
    /// A whole number of the object `data`.
    DataNumber,
    /// A part, typed in per cent, in the body in millionths.
    PerCent,
    /// A box: ticked or not.
    Flag,
}

use Kind::{Data, DataNumber, Flag, Id, Ids, Instant, Lines, Number as Count, PerCent, Text};

/// Function: the fields of its form.
const ACTS: &[(&str, &[(&str, Kind)])] = &[
    ("take-accreditation-case", &[("caseId", Id)]),
    (
        "review-document",
        &[("documentId", Id), ("decision", Id), ("reason", Lines)],
    ),
    (
        "open-holding-case",
        &[
            ("kind", Id),
            ("propertyId", Id),
            ("partyId", Text),
            ("tokenAmount", Text),
            ("amount", Text),
            ("accountRef", Text),
            ("bankReference", Text),
            ("bookedOn", Text),
            ("reason", Lines),
        ],
    ),
    ("approve-holding-case", &[("caseId", Id)]),
    ("cancel-holding-case", &[("caseId", Id)]),
    ("reject-holding-case", &[("caseId", Id), ("reason", Lines)]),
    ("clear-incident", &[("incidentId", Id), ("reason", Lines)]),
    ("withdraw-accreditation", &[("caseId", Id)]),
    ("accept-transfer", &[("transferId", Id), ("price", Text)]),
    ("decline-transfer", &[("transferId", Id)]),
    ("cancel-transfer", &[("transferId", Id)]),
    (
        "approve-transfer",
        &[("transferId", Id), ("decision", Id), ("reason", Lines)],
    ),
    (
        "submit-step",
        &[
            ("processId", Id),
            ("step", Id),
            ("name", Data),
            ("symbol", Data),
            ("totalSupply", DataNumber),
            ("tokenPrice", Data),
            ("auditId", Data),
        ],
    ),
    ("approve-step", &[("processId", Id), ("step", Id)]),
    ("reject-step", &[("processId", Id), ("step", Id), ("reason", Lines)]),
    ("launch-tokenization", &[("propertyId", Id)]),
    (
        "monitor-tokenization",
        &[("action", Id), ("propertyId", Id), ("offeringKind", Text)],
    ),
    ("audit-property-contract", &[("propertyId", Id), ("scope", Text)]),
    (
        "add-property-member",
        &[("propertyId", Id), ("userId", Text), ("capacity", Text)],
    ),
    (
        "create-offering",
        &[
            ("propertyId", Id),
            ("rulePack", Text),
            ("kind", Text),
            ("softCap", Count),
            ("hardCap", Count),
            ("minimumTokens", Count),
            ("maximumTokens", Count),
            ("opensAt", Instant),
            ("closesAt", Instant),
            ("longStopAt", Instant),
            ("reservationMinutes", Count),
        ],
    ),
    ("open-offering", &[("offeringId", Id)]),
    ("invite-to-offering", &[("offeringId", Id), ("userId", Text)]),
    ("cancel-offering", &[("offeringId", Id)]),
    ("close-offering", &[("offeringId", Id)]),
    ("move-escrow-to-agent", &[("offeringId", Id), ("reference", Text)]),
    ("return-escrow-from-agent", &[("offeringId", Id), ("reference", Text)]),
    ("fail-offering", &[("offeringId", Id), ("reason", Lines)]),
    ("announce-early-close", &[("offeringId", Id), ("at", Instant)]),
    (
        "extend-offering",
        &[("offeringId", Id), ("closesAt", Instant), ("reason", Lines)],
    ),
    (
        "approve-performance",
        &[("periodId", Id), ("decision", Id), ("reason", Lines)],
    ),
    ("declare-distribution", &[("propertyId", Id), ("amount", Text)]),
    ("approve-distribution", &[("distributionId", Id)]),
    ("cancel-distribution", &[("distributionId", Id)]),
    ("pay-distribution", &[("distributionId", Id)]),
    ("retry-payout", &[("payoutId", Id)]),
    (
        "propose-withholding-rate",
        &[
            ("sourceCountry", Text),
            ("residencyCountry", Text),
            ("ratePpm", PerCent),
            ("form", Text),
            ("formVersion", Text),
            ("needsForm", Flag),
            ("source", Lines),
            ("isChecked", Flag),
            ("validFrom", Instant),
        ],
    ),
    (
        "approve-withholding-rate",
        &[("proposalId", Id), ("decision", Id), ("reason", Lines)],
    ),
    (
        "request-gate-override",
        &[
            ("propertyId", Id),
            ("action", Id),
            ("subjectId", Id),
            ("requirements", Ids),
            ("reason", Lines),
            ("validUntil", Instant),
        ],
    ),
    ("approve-gate-override", &[("overrideId", Id)]),
    ("retry-refund", &[("refundId", Id)]),
    ("return-payment", &[("paymentId", Id), ("propertyId", Text)]),
    (
        "remit-tax",
        &[
            ("propertyId", Id),
            ("amount", Text),
            ("bankReference", Text),
            ("bookedOn", Text),
        ],
    ),
    ("retry-job", &[("queue", Id), ("id", Id)]),
    ("set-aside-job", &[("queue", Id), ("id", Id), ("reason", Lines)]),
    ("resume-jobs", &[("reason", Lines)]),
];

/// A form that runs a function: its hidden fields, and what stands between them and the button.
pub(crate) struct Act<'a> {
    /// The function.
    pub(crate) function: &'static str,
    /// Names of things.
    pub(crate) hidden: &'a [(&'a str, String)],
    /// Fields that are typed.
    pub(crate) fields: Markup,
    /// The class of the button.
    pub(crate) class: &'static str,
    /// What the button says.
    pub(crate) label: String,
}

impl Act<'_> {
    /// The form.
    pub(crate) fn show(&self, visit: &Visit) -> Markup {
        html! {
            form.form method="post" action={ "/act/" (self.function) } {
                (token(visit))
                input type="hidden" name="back" value=(visit.place);
                @for (name, value) in self.hidden { input type="hidden" name=(name) value=(value); }
                (self.fields)
                div { button class=(self.class) { (self.label) } }
            }
        }
    }
}

/// `POST /act/{function}`.
pub(crate) async fn act(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let (known, kinds) = ACTS.iter().find(|(known, _)| *known == name).ok_or(Problem::NotFound)?;
    let function = BUILT.iter().find(|built| *built == known).ok_or(Problem::NotFound)?;
    let back = own_place(fields.get("back"));
    let outcome = match body(kinds, &fields) {
        Ok(body) => call(&app, &visit, function, None, body).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(_) => Ok(Redirect::to(&with_done(&back, function)).into_response()),
        Err(problem) => {
            // Two looks at one thing: the page it stood on says what is so now.
            let problem = if matches!(problem, Problem::NotPermitted(_)) {
                problem
            } else {
                beside_ids(problem)?
            };
            Ok(again(&visit, function, kinds, &fields, &back, &problem))
        }
    }
}

/// The page to go back to, with what was done, to be said once.
pub(crate) fn with_done(back: &str, function: &str) -> String {
    let plain = back.split(['?', '#']).next().unwrap_or("/");
    let query = back
        .split('#')
        .next()
        .and_then(|back| back.split_once('?'))
        .map_or("", |(_, query)| query);
    let kept: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .filter(|(name, _)| name != "did")
        .collect();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("did", function)
        .finish();
    format!("{plain}?{query}")
}

/// What was just done, where a page was come back to.
pub(crate) fn said(visit: &Visit) -> Option<String> {
    let (_, query) = visit.place.split_once('?')?;
    let (_, did) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "did")?;
    let is_known = ACTS.iter().any(|(known, _)| *known == did) || did == "done";
    is_known.then(|| visit.t("act-done").into_owned())
}

fn body(kinds: &[(&str, Kind)], fields: &Fields) -> Result<Value, Problem> {
    let (mut body, mut data) = (Map::new(), Map::new());
    for (name, kind) in kinds {
        let Some(typed) = fields.given(name) else { continue };
        match kind {
            Ids => drop(body.insert((*name).to_owned(), json!(fields.all(name)))),
            Id | Text | Lines => drop(body.insert((*name).to_owned(), typed.into())),
            Count => drop(body.insert((*name).to_owned(), number(name, typed)?)),
            Instant => drop(body.insert((*name).to_owned(), instant(name, typed)?)),
            Data => drop(data.insert((*name).to_owned(), typed.into())),
            DataNumber => drop(data.insert((*name).to_owned(), number(name, typed)?)),
            PerCent => drop(body.insert((*name).to_owned(), millionths(name, typed)?)),
            Flag => drop(body.insert((*name).to_owned(), true.into())),
        }
    }
    if !data.is_empty() {
        body.insert("data".to_owned(), data.into());
    }
    Ok(Value::Object(body))
}

fn number(name: &str, typed: &str) -> Result<Value, Problem> {
    let plain: String = typed
        .chars()
        .filter(|letter| !matches!(letter, ',' | ' ' | '\u{a0}'))
        .collect();
    let number: Number = plain
        .parse()
        .map_err(|_| Problem::Invalid(format!("{name}: a whole number is wanted")))?;
    Ok(json!(number))
}

/// `12.5` as 125000: digits, and at most four behind the point.
pub(crate) fn millionths(name: &str, typed: &str) -> Result<Value, Problem> {
    let wanted = || {
        Problem::Invalid(format!(
            "{name}: per cent are wanted, such as 30 or 12.5, with at most four decimals"
        ))
    };
    let typed = typed.trim_end_matches('%').trim_end();
    let (whole, part) = typed.split_once('.').unwrap_or((typed, ""));
    let is_figure = |text: &str| text.bytes().all(|letter| letter.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > 4 || !is_figure(whole) || !is_figure(part) {
        return Err(wanted());
    }
    let ppm: u32 = format!("{whole}{part:0<4}").parse().map_err(|_| wanted())?;
    Ok(json!(ppm))
}

/// As browsers send a `datetime-local`: without a zone, which is UTC here.
pub(crate) fn instant(name: &str, typed: &str) -> Result<Value, Problem> {
    let parsed = NaiveDateTime::parse_from_str(typed, "%Y-%m-%dT%H:%M")
        .or_else(|_| NaiveDateTime::parse_from_str(typed, "%Y-%m-%dT%H:%M:%S"));
    let at = parsed
        .map_err(|_| Problem::Invalid(format!("{name}: a day and a time are wanted, such as 2026-11-28T15:00")))?;
    Ok(json!(at.and_utc()))
}

fn again(
    visit: &Visit,
    function: &'static str,
    kinds: &[(&str, Kind)],
    fields: &Fields,
    back: &str,
    problem: &Problem,
) -> Response {
    let label = |name: &str| visit.word("act-field", &kebab(name));
    let content = html! {
        div.form-page.stack {
            div.page-head { h1 { (visit.t("act-refused")) } }
            (fault::alert(visit, problem))
            @if lacks_evidence(visit, problem) { p { a href="/compliance/gate" { (visit.t("gate-go")) } } }
            form.form.card method="post" action={ "/act/" (function) } {
                (token(visit))
                input type="hidden" name="back" value=(back);
                @for (name, kind) in kinds {
                    @let typed = fields.get(name);
                    @match kind {
                        Id => { input type="hidden" name=(name) value=(typed); }
                        Ids => { @for one in fields.all(name) { input type="hidden" name=(name) value=(one); } }
                        Text | Data => { (Field::text(name, label(name)).value(typed).bare().show(visit)) }
                        Lines => { (Field::text(name, label(name)).kind("textarea").value(typed).bare().show(visit)) }
                        PerCent => { (Field::text(name, label(name)).value(typed).with("inputmode", "decimal").bare().show(visit)) }
                        Flag => { (parts::checkbox(name, "yes", html! { (label(name)) }, !typed.is_empty())) }
                        Count | DataNumber => { (Field::text(name, label(name)).value(typed).with("inputmode", "numeric").bare().show(visit)) }
                        Instant => { (Field::text(name, label(name)).kind("datetime-local").value(typed).bare().show(visit)) }
                    }
                }
                div.button-row {
                    button.button { (visit.t("act-again")) }
                    a.button.secondary href=(back) { (visit.t("act-back")) }
                }
            }
        }
    };
    answered(
        page(visit, &Head::titled(visit.t("act-refused")), content),
        Some(problem),
    )
}

/// Whether the gate said no to somebody who may ask for an override.
fn lacks_evidence(visit: &Visit, problem: &Problem) -> bool {
    matches!(problem, Problem::Refused(refusal) if refusal.rule == "gate.evidence_current")
        && OVERSEERS.iter().any(|role| visit.has(*role))
}

/// `minimumTokens` as `minimum-tokens`.
fn kebab(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii_uppercase() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

/// A reason in a few lines, which a command asks for.
pub(crate) fn reason(visit: &Visit, id: &str) -> Markup {
    html! {
        div.field {
            label for={ "reason-" (id) } { (visit.t("act-field-reason")) }
            textarea id={ "reason-" (id) } name="reason" rows="2" required maxlength="2000" {}
        }
    }
}

/// Something that is done behind a first click, so that nobody does it in passing.
pub(crate) fn folded(summary: &str, content: Markup) -> Markup {
    html! { details.folded { summary { (summary) } div.card.tight { (content) } } }
}

/// What stands before the button of something that nobody takes back.
pub(crate) fn for_good(visit: &Visit) -> Markup {
    html! { p.fine { (visit.t("act-for-good")) } }
}

/// A state in which something may be, with those that act on it.
pub(crate) fn state_line(visit: &Visit, title: Markup, word: &str, about: Markup, actions: Markup) -> Markup {
    html! {
        li.card.tight {
            div.row.spread { div.what { strong { bdi { (title) } } span.fine { (about) } } (parts::state(visit, word)) }
            (actions)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_is_a_function() {
        for (name, _) in ACTS {
            assert!(BUILT.contains(name), "{name}");
        }
    }

    #[test]
    fn a_page_is_come_back_to_with_what_was_done() {
        assert_eq!(
            with_done("/compliance/cases?did=x&a=b#c", "clear-incident"),
            "/compliance/cases?a=b&did=clear-incident"
        );
        assert_eq!(with_done("/manage", "pay-distribution"), "/manage?did=pay-distribution");
    }

    #[test]
    fn numbers_and_instants_are_read_as_people_write_them() {
        assert_eq!(number("a", "2,500").unwrap(), json!(2500));
        assert!(number("a", "many").is_err());
        for (typed, ppm) in [("30", 300_000), ("12.5 %", 125_000), ("0.0001", 1)] {
            assert_eq!(millionths("a", typed).unwrap(), json!(ppm));
        }
        for typed in ["", ".5", "1.00001", "-3", "1e2", "1000"] {
            assert!(millionths("a", typed).is_err(), "{typed}");
        }
        assert_eq!(instant("a", "2026-11-28T15:00").unwrap(), json!("2026-11-28T15:00:00Z"));
        assert_eq!(kebab("minimumTokens"), "minimum-tokens");
    }
}
