//! Charts: SVG that says in words what it shows, and a table with the same figures behind it.

use maud::{Markup, html};

use super::{figures, parts, visit::Visit};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 8.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 30.0;
/// A point of few takes no more room than this, so that one bar alone is no wall.
const SLOT_MAX: f64 = 110.0;

/// Amounts over time, in one currency.
pub(crate) struct Series {
    /// What the chart is about.
    pub(crate) title: String,
    /// What is drawn first, and what beside it.
    pub(crate) names: Vec<String>,
    /// What the amounts belong to, and the amounts in smallest units.
    pub(crate) points: Vec<(String, Vec<i64>)>,
    /// Their currency and its decimals.
    pub(crate) currency: String,
    /// Decimals of that currency.
    pub(crate) decimals: i16,
}

/// For drawing alone: a bar's height does not need the last unit.
#[allow(clippy::cast_precision_loss)]
fn drawn(units: i64) -> f64 {
    units as f64
}

/// A count of things on the page.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

impl Series {
    /// The first amounts, each with all before it.
    pub(crate) fn added_up(&self, title: String) -> Series {
        let mut sum = 0_i64;
        let points = self.points.iter().map(|(label, amounts)| {
            sum = sum.saturating_add(amounts.first().copied().unwrap_or(0));
            (label.clone(), vec![sum])
        });
        Series {
            points: points.collect(),
            names: self.names.iter().take(1).cloned().collect(),
            currency: self.currency.clone(),
            decimals: self.decimals,
            title,
        }
    }

    fn highest(&self) -> f64 {
        let all = self.points.iter().flat_map(|(_, amounts)| amounts.iter().copied());
        drawn(all.max().unwrap_or(0)).max(1.0)
    }

    /// The highest amount as a line with its figure, so that heights mean something before the table is opened.
    fn scale(&self) -> Markup {
        let all = self.points.iter().flat_map(|(_, amounts)| amounts.iter().copied());
        let highest = all.max().unwrap_or(0);
        html! {
            @if highest > 0 {
                line.scale x1="0" y1=(TOP) x2=(WIDTH) y2=(TOP) {}
                text x="0" y=(TOP - 7.0) { (figures::money_text(highest, &self.currency, self.decimals)) }
            }
        }
    }

    /// Bars side by side for each point.
    pub(crate) fn bars(&self, visit: &Visit) -> Markup {
        let highest = self.highest();
        let slot = ((WIDTH - 2.0 * LEFT) / number(self.points.len().max(1))).min(SLOT_MAX);
        let gap = (slot * 0.3).min(28.0);
        let each = ((slot - gap) / number(self.names.len().max(1))).min(48.0);
        let floor = HEIGHT - BOTTOM;
        self.framed(
            visit,
            html! {
                (self.scale())
                line.axis x1="0" y1=(floor) x2=(WIDTH) y2=(floor) {}
                @for (at, (label, amounts)) in self.points.iter().enumerate() {
                    @let middle = LEFT + slot * (number(at) + 0.5);
                    @let start = middle - each * number(amounts.len()) / 2.0;
                    @for (nth, amount) in amounts.iter().enumerate() {
                        @let height = drawn((*amount).max(0)) / highest * (floor - TOP);
                        rect class=(if nth == 0 { "bar-fill" } else { "bar-second" }) x=(short(start + each * number(nth))) y=(short(floor - height))
                            width=(short((each - 2.0).max(1.0))) height=(short(height)) rx="2" {}
                    }
                    @if self.is_labelled(at) { text x=(short(middle)) y=(HEIGHT - 6.0) text-anchor="middle" { (label) } }
                }
            },
        )
    }

    /// A line with the area below it.
    pub(crate) fn line(&self, visit: &Visit) -> Markup {
        let highest = self.highest();
        let floor = HEIGHT - BOTTOM;
        let step = (WIDTH - 2.0 * LEFT) / number(self.points.len().saturating_sub(1).max(1));
        let places: Vec<(f64, f64)> = self
            .points
            .iter()
            .enumerate()
            .map(|(at, (_, amounts))| {
                let amount = drawn(amounts.first().copied().unwrap_or(0).max(0));
                (LEFT + step * number(at), floor - amount / highest * (floor - TOP))
            })
            .collect();
        let along: String = places
            .iter()
            .map(|(x, y)| format!("L{} {}", short(*x), short(*y)))
            .collect();
        let along = along.replacen('L', "M", 1);
        let (first, last) = (
            places.first().map_or(LEFT, |(x, _)| *x),
            places.last().map_or(LEFT, |(x, _)| *x),
        );
        self.framed(
            visit,
            html! {
                (self.scale())
                path.area d={ (along) "L" (short(last)) " " (floor) "L" (short(first)) " " (floor) "Z" } {}
                path.line d=(along) {}
                line.axis x1="0" y1=(floor) x2=(WIDTH) y2=(floor) {}
                @for (at, ((label, _), (x, _))) in self.points.iter().zip(&places).enumerate() {
                    @if self.is_labelled(at) {
                        @let anchor = if at == 0 { "start" } else if at + 1 == self.points.len() { "end" } else { "middle" };
                        text x=(short(*x)) y=(HEIGHT - 6.0) text-anchor=(anchor) { (label) }
                    }
                }
            },
        )
    }

    /// At most about eight labels fit.
    fn is_labelled(&self, at: usize) -> bool {
        let every = self.points.len().div_ceil(8).max(1);
        (self.points.len() - 1 - at).is_multiple_of(every)
    }

    fn framed(&self, visit: &Visit, content: Markup) -> Markup {
        let newest = self.points.last().map(|(label, amounts)| {
            let amount = amounts.first().copied().unwrap_or(0);
            (
                label.clone(),
                figures::money_text(amount, &self.currency, self.decimals),
            )
        });
        let said = match newest {
            Some((label, amount)) => visit.tv(
                "chart-said",
                &[
                    ("title", self.title.clone().into()),
                    ("count", i64::try_from(self.points.len()).unwrap_or(i64::MAX).into()),
                    ("label", label.into()),
                    ("amount", amount.into()),
                ],
            ),
            None => visit.t("chart-nothing"),
        };
        html! {
            figure.chart {
                figcaption { (self.title) }
                @if self.names.len() > 1 {
                    p.legend aria-hidden="true" {
                        @for (at, name) in self.names.iter().enumerate() { span { i.key.second[at > 0] {} (name) } }
                    }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(said) direction="ltr" { (content) }
                details {
                    summary { (visit.t("chart-table")) }
                    (self.table(visit))
                }
            }
        }
    }

    fn table(&self, visit: &Visit) -> Markup {
        parts::table(
            &self.title,
            html! {
                thead { tr { th scope="col" { (visit.t("chart-period")) } @for name in &self.names { th.number scope="col" { (name) } } } }
                tbody {
                    @for (label, amounts) in &self.points {
                        tr {
                            th scope="row" { (label) }
                            @for amount in amounts { td.number { (figures::money(*amount, &self.currency, self.decimals)) } }
                        }
                    }
                }
            },
        )
    }
}

fn short(value: f64) -> String {
    format!("{value:.1}")
}
