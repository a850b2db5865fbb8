//! What a distribution would come to: shown to whoever proposes it, and to whoever declares it.

use maud::{Markup, html};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{beside_form, call, text},
    fault, figures,
    parts::{self, Tone},
    visit::Visit,
};
use crate::{app::App, problem::Problem};

/// Lines that are shown.
const LINES_SHOWN: usize = 10;

/// What it would come to.
pub(crate) struct Come {
    /// The figures, and the refusal where there is one.
    pub(crate) shown: Markup,
    /// Whether nothing refuses it now.
    pub(crate) passes: bool,
}

/// What would happen, on a snapshot of its own and without a lock; or the refusal that it would meet. Nothing: everything
/// that can be distributed.
///
/// # Errors
/// What is no refusal.
pub(crate) async fn show(app: &App, visit: &Visit, property: Uuid, amount: Option<&str>) -> Result<Come, Problem> {
    let body = json!({ "propertyId": property, "amount": amount });
    match call(app, visit, "preview-distribution", None, body).await {
        Ok(preview) => Ok(Come {
            shown: shown(visit, &preview),
            passes: preview.get("refusal").is_none_or(Value::is_null),
        }),
        Err(problem) => Ok(Come {
            shown: fault::alert(visit, &beside_form(problem)?),
            passes: false,
        }),
    }
}

fn shown(visit: &Visit, preview: &Value) -> Markup {
    let lines = preview
        .get("lines")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_i64).unwrap_or(0);
    let decimals = i16::try_from(number(preview, "decimals")).unwrap_or(0);
    let money = |minor: i64| figures::money(minor, text(preview, "/currency"), decimals);
    let said = |name: &str| html! { bdi { (text(preview, name)) } };
    html! {
        (parts::facts(&[
            (visit.t("column-amount").into_owned(), said("/amount")),
            (visit.t("decisions-distributable").into_owned(), said("/distributable")),
            (visit.t("figure-holders").into_owned(), html! { (figures::count(number(preview, "holders"))) }),
            (visit.t("rent-withheld").into_owned(), said("/withheld")),
        ]))
        @if let Some(reason) = preview.pointer("/refusal/reason").and_then(Value::as_str) { (parts::alert(visit, Tone::Stop, html! { p lang="en" dir="ltr" { (fault::sentence(reason)) } })) }
        @if !lines.is_empty() {
            details {
                summary { (visit.t("decisions-largest")) }
                (parts::table(&visit.t("decisions-largest"), html! {
                    thead { tr { th scope="col" { (visit.t("ledger-party")) } th.number scope="col" { (visit.t("column-tokens")) } th.number scope="col" { (visit.t("column-amount")) } } }
                    tbody { @for line in lines.iter().take(LINES_SHOWN) { tr {
                        td { (parts::short(text(line, "/party_id"))) }
                        td.number { (figures::count(number(line, "entitled_units"))) }
                        td.number { (money(number(line, "amount_minor"))) }
                    } } }
                }))
            }
        }
    }
}
