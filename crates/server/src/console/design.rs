//! `/design`: every piece of the console on one page, in the theme and language of whoever looks.

use axum::response::Response;
use maud::{Markup, html};

use super::{
    chart::Series,
    figures,
    layout::{Head, page},
    parts::{self, Field, Tone},
    visit::Visit,
};

const SWATCHES: [(&str, &str); 12] = [
    ("paper", "--paper"),
    ("sheet-fill", "--sheet"),
    ("sunken", "--sunken"),
    ("ink", "--ink"),
    ("ink-soft", "--ink-soft"),
    ("line-fill", "--line"),
    ("line-strong", "--line-strong"),
    ("brand-fill", "--brand"),
    ("brand-soft", "--brand-soft"),
    ("wait-fill", "--wait"),
    ("stop-fill", "--stop"),
    ("focus-fill", "--focus"),
];

/// `GET /design`. Every figure on it is an example, and says so.
pub(crate) async fn show(visit: Visit) -> Response {
    let content = html! {
        div.page-head {
            h1 { (visit.t("design-title")) }
            p.lead { (visit.t("design-lead")) }
        }
        div.stack-large {
            section { h2 { (visit.t("design-colours")) }
                ul.swatches { @for (class, name) in SWATCHES { li.swatch { svg viewBox="0 0 10 4" preserveAspectRatio="none" aria-hidden="true" { rect class=(class) width="10" height="4" {} } span { code { (name) } } } } }
            }
            section { h2 { (visit.t("design-type")) }
                div.stack-small {
                    p.display { (visit.t("home-title")) }
                    p.lead { (visit.t("home-lead")) }
                    p { (visit.t("home-promise-escrow-text")) }
                    p.fine { (visit.t("footer-about")) }
                }
            }
            section { h2 { (visit.t("design-figures")) } (statement(&visit)) }
            section { h2 { (visit.t("design-buttons")) }
                div.button-row {
                    @for (class, key) in [("button", "design-button-main"), ("button secondary", "design-button-second"), ("button quiet", "design-button-quiet"), ("button danger", "design-button-danger")] {
                        button class=(class) type="button" { (visit.language.text(key)) }
                    }
                }
            }
            section { h2 { (visit.t("design-states")) }
                div.row { @for word in ["draft", "open", "in_review", "approved", "expired", "refunded"] { (parts::state(&visit, word)) } }
                div.stack-small {
                    @for (tone, key) in [(Tone::Plain, "design-alert-plain"), (Tone::Good, "design-alert-good"), (Tone::Wait, "design-alert-wait"), (Tone::Stop, "design-alert-stop")] {
                        (parts::alert(&visit, tone, html! { p { (visit.language.text(key)) } }))
                    }
                }
            }
            section { h2 { (visit.t("design-fields")) } (fields(&visit)) }
            section { h2 { (visit.t("design-progress")) } (parts::progress(&visit.t("offering-progress-label"), 62, html! { "62 %" })) }
            section { h2 { (visit.t("design-chart")) } (chart(&visit)) }
            section { h2 { (visit.t("design-empty")) }
                (parts::empty(&visit.t("properties-none"), html! { p { (visit.t("properties-none-text")) } a.button.secondary href="/properties" { (visit.t("properties-clear")) } }))
            }
        }
    };
    page(&visit, &Head::titled(visit.t("design-title")), content)
}

fn statement(visit: &Visit) -> Markup {
    html! {
        dl.statement {
            (parts::figure(&visit.t("design-figure-total"), figures::money(9_914_150, "USD", 2), None))
            (parts::figure(&visit.t("design-figure-fee"), figures::money(198_283, "USD", 2), Some(html! { (visit.t("design-example")) })))
            (parts::figure(&visit.t("design-figure-charge"), figures::money(10_112_433, "USD", 2), None))
        }
        dl.figures {
            (parts::figure(&visit.t("design-figure-total"), figures::money(9_914_150, "USD", 2), Some(html! { (visit.t("design-example")) })))
            (parts::figure(&visit.t("design-figure-tokens"), html! { (figures::tokens(1_850, 0)) }, None))
            (parts::figure(&visit.t("design-figure-dinar"), figures::money(12_714_005, "KWD", 3), None))
        }
    }
}

fn fields(visit: &Visit) -> Markup {
    let choices = [
        ("a", visit.word("kind", "townhouse")),
        ("b", visit.word("kind", "apartment")),
    ];
    html! {
        form.form-grid {
            (Field::text("design-email", visit.t("field-email")).kind("email").value("ada@example.com").hint(visit.t("field-email-hint")).show(visit))
            (Field::text("design-words", visit.t("filter-words")).optional().show(visit))
            (parts::select("design-kind", &visit.t("filter-kind"), &choices, "b"))
            (parts::checkbox("design-check", "yes", html! { (visit.t("design-check")) }, true))
        }
    }
}

fn chart(visit: &Visit) -> Markup {
    let months = [
        (1, 315_000, 214_000),
        (2, 315_000, 231_500),
        (3, 290_000, 188_200),
        (4, 315_000, 220_100),
        (5, 315_000, 214_000),
    ];
    let points = months.iter().filter_map(|(month, rent, net)| {
        let day = chrono::NaiveDate::from_ymd_opt(2026, *month, 1)?;
        Some((figures::month_text(day, visit.language), vec![*rent, *net]))
    });
    let series = Series {
        title: format!("{} ({})", visit.t("chart-income"), visit.t("design-example")),
        names: vec![visit.t("chart-rent").into_owned(), visit.t("chart-net").into_owned()],
        points: points.collect(),
        currency: "USD".to_owned(),
        decimals: 2,
    };
    series.bars(visit)
}
