//! Pages for what went wrong: what happened, and what to do. The same for a person without JavaScript, and with the status.

use axum::response::Response;
use maud::{Markup, html};

use super::{
    layout::{Head, page as laid_out},
    parts,
    visit::Visit,
};
use crate::problem::Problem;

/// The page for a problem that no page of its own shows.
pub(crate) fn page(visit: &Visit, problem: &Problem) -> Response {
    let (title, text) = words(visit, problem);
    let content = html! {
        div.narrow {
            p.overline { (problem.status().as_u16()) }
            h1 { bdi { (title) } }
            p.lead { (text) }
            (notice(visit, problem, Shown::Details))
            p { a.button.secondary href="/" { (visit.t("fault-home")) } }
        }
    };
    let mut response = laid_out(visit, &Head::titled(title), content);
    *response.status_mut() = problem.status();
    response
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Everything,
    Details,
}

/// A problem beside the form that met it: what is wrong, what the rule looked at, and what would make it pass.
pub(crate) fn alert(visit: &Visit, problem: &Problem) -> Markup {
    html! { div.alert-slot tabindex="-1" data-focus="" { (notice(visit, problem, Shown::Everything)) } }
}

fn notice(visit: &Visit, problem: &Problem, shown: Shown) -> Markup {
    if let Problem::Refused(refusal) = problem {
        return parts::alert(
            visit,
            parts::Tone::Stop,
            html! {
                // Rules speak English, in every language of the page.
                p { strong lang="en" dir="ltr" { (sentence(&refusal.reason)) } }
                p { span { (visit.t("fault-remedy")) " " } span lang="en" dir="ltr" { (sentence(&refusal.remedy)) } }
                @if !refusal.inputs.is_empty() {
                    details {
                        summary { (visit.t("fault-why")) }
                        dl.facts lang="en" dir="ltr" {
                            @for (name, value) in &refusal.inputs {
                                div { dt { (name.replace('_', " ")) } dd { (value) } }
                            }
                            div { dt { (visit.t("fault-rule")) } dd { code { (refusal.rule) } ", " (refusal.source) } }
                        }
                    }
                }
            },
        );
    }
    if shown == Shown::Details {
        return html! {};
    }
    let (title, text) = words(visit, problem);
    parts::alert(
        visit,
        parts::Tone::Stop,
        html! {
            p { strong { bdi { (title) } } }
            p { (text) }
        },
    )
}

/// A title and a sentence.
fn words(visit: &Visit, problem: &Problem) -> (String, Markup) {
    let known = |key: &str| {
        let (title, text) = (format!("fault-{key}"), format!("fault-{key}-text"));
        (
            visit.language.text(&title).into_owned(),
            html! { (visit.language.text(&text)) },
        )
    };
    // What the platform says of an input is in English, whatever the page speaks.
    let said = |key: &str, text: &str| {
        let title = visit.language.text(&format!("fault-{key}")).into_owned();
        (title, html! { span lang="en" dir="ltr" { (sentence(text)) } })
    };
    match problem {
        Problem::NotFound => known("not-found"),
        Problem::MethodNotAllowed => known("method"),
        Problem::BodyTooLarge => known("too-large"),
        Problem::Timeout => known("timeout"),
        Problem::Unavailable(_) => known("unavailable"),
        Problem::TooBusy => known("busy"),
        Problem::NotSignedIn => known("sign-in"),
        Problem::NotPermitted(what) => {
            let (title, _) = known("not-permitted");
            (
                title,
                html! { (visit.t("fault-not-permitted-text")) " " span lang="en" dir="ltr" { (what) } },
            )
        }
        Problem::Invalid(text) => said("invalid", text),
        Problem::KeyReused => known("key-reused"),
        Problem::Refused(refusal) => said("refused", &refusal.reason),
        Problem::NotAvailable => known("not-available"),
        Problem::Auth(refusal) => {
            let key = format!("auth-{}", refusal.code().replace('_', "-"));
            let title = visit.t("fault-auth").into_owned();
            if visit.language.has(&key) {
                (title, html! { (visit.language.text(&key)) })
            } else {
                (
                    title,
                    html! { span lang="en" dir="ltr" { (sentence(&refusal.to_string())) } },
                )
            }
        }
        Problem::Internal(_) => known("internal"),
    }
}

/// A text as a sentence: rules and fields write theirs without a capital and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}
