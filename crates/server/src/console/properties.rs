//! `/properties`: everything that is listed, with filters, an order and pages. All of it stands in the address.

use axum::{
    extract::{Query, State},
    http::Uri,
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    figures,
    layout::{Head, Section, page},
    listing::{self, Found},
    parts::{self, Field},
    plot,
    visit::Visit,
};
use crate::{app::App, problem::Problem};

/// Properties of one page.
const PAGE_SIZE: i64 = 24;

/// The last page that is counted off: who wants more narrows the search.
const PAGE_MAX: i64 = 4_200;

/// What a reader wants to see.
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    bedrooms: String,
    #[serde(default)]
    area_min: String,
    #[serde(default)]
    built_from: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

/// Orders of the list: name in the address, order in the protocol's words.
const ORDERS: [(&str, &str); 5] = [
    ("newest", "is_featured.desc,created_at.desc,id"),
    ("price", "price_minor.asc.nullslast,id"),
    ("area", "sqft.desc.nullslast,id"),
    ("built", "year_built.desc.nullslast,id"),
    ("title", "title.asc,id"),
];

const KINDS: [&str; 4] = ["single_family", "townhouse", "apartment", "office"];
const STAGES: [&str; 2] = ["offered", "completed"];

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Wanted {
    fn page(&self) -> i64 {
        self.page.parse().unwrap_or(1).clamp(1, PAGE_MAX)
    }

    fn number(text: &str) -> Option<i64> {
        text.trim()
            .parse()
            .ok()
            .filter(|number| (0..=1_000_000_000).contains(number))
    }

    /// The query in the protocol of `/rest/v1`. What cannot be read is passed over, and stands in the form still.
    fn query(&self) -> String {
        let order = ORDERS.iter().find(|(name, _)| *name == self.sort).or(ORDERS.first());
        let order = order.map_or("id", |(_, order)| *order);
        let offset = (self.page() - 1) * PAGE_SIZE;
        let mut query = format!("select=id&order={order}&limit={PAGE_SIZE}&offset={offset}");
        let mut and = |part: String| {
            query.push('&');
            query.push_str(&part);
        };
        let text: String = self
            .q
            .trim()
            .chars()
            .take(100)
            .filter(|letter| !letter.is_control())
            .collect();
        if !text.is_empty() {
            // Quoted, so that commas and brackets are what was typed; a star would stand for anything.
            let quoted = format!(
                "\"*{}*\"",
                text.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "")
            );
            let value =
                format!("(title.ilike.{quoted},location.ilike.{quoted},city.ilike.{quoted},address.ilike.{quoted})");
            and(format!("or={}", encoded(&value)));
        }
        if KINDS.contains(&self.kind.as_str()) {
            and(format!("property_type=eq.{}", self.kind));
        }
        if STAGES.contains(&self.stage.as_str()) {
            and(format!("tokenization_status=eq.{}", self.stage));
        }
        for (field, column) in [
            (&self.bedrooms, "bedrooms"),
            (&self.area_min, "sqft"),
            (&self.built_from, "year_built"),
        ] {
            if let Some(number) = Wanted::number(field) {
                and(format!("{column}=gte.{number}"));
            }
        }
        query
    }

    /// The address of another page of the same search.
    fn place(&self, page: i64) -> String {
        let pairs = [
            ("q", self.q.trim()),
            ("kind", &self.kind),
            ("stage", &self.stage),
            ("bedrooms", &self.bedrooms),
            ("area_min", &self.area_min),
            ("built_from", &self.built_from),
            ("sort", &self.sort),
        ];
        let mut written = url::form_urlencoded::Serializer::new(String::new());
        written.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        if page > 1 {
            written.append_pair("page", &page.to_string());
        }
        let query = written.finish();
        if query.is_empty() {
            "/properties".to_owned()
        } else {
            format!("/properties?{query}")
        }
    }

    fn is_narrowed(&self) -> bool {
        [
            &self.q,
            &self.kind,
            &self.stage,
            &self.bedrooms,
            &self.area_min,
            &self.built_from,
        ]
        .iter()
        .any(|text| !text.trim().is_empty())
    }
}

/// What a page of the list asks `/rest/v1` for; nothing where the address is none of the list. For measuring it beside its SQL.
#[must_use]
pub fn list_query(place: &str) -> Option<String> {
    let uri = place.parse::<Uri>().ok().filter(|uri| uri.path() == "/properties")?;
    let Query(wanted) = Query::<Wanted>::try_from_uri(&uri).ok()?;
    Some(wanted.query())
}

/// `GET /properties`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let found = listing::find(&app, &visit, wanted.query()).await?;
    let tx = visit.reads(&app).await?;
    let cards = listing::cards(&tx, &found.ids).await?;
    tx.commit().await?;
    let map = plot::map(&app, &visit, &cards).await?;
    let content = html! {
        div.page-head {
            h1 { (visit.t("properties-title")) }
            p.lead { (visit.t("properties-lead")) }
        }
        (filters(&visit, &wanted))
        @if cards.is_empty() {
            (nothing(&visit, &wanted, &found))
        } @else {
            div.list-with-map {
                section aria-label=(visit.t("properties-title")) {
                    h2.hidden-text { (visit.t("properties-results")) }
                    p.fine role="status" { (counted(&visit, &wanted, &found)) }
                    ul.cards { @for card in &cards { li { (card.show(&visit)) } } }
                    (pager(&visit, &wanted, &found))
                }
                aside aria-label=(visit.t("map-label")) { (map) }
            }
        }
    };
    let head = Head::titled(visit.t("properties-title"))
        .within(Section::Properties)
        .described(visit.t("properties-lead"))
        .wide();
    Ok(page(&visit, &head, content))
}

fn counted(visit: &Visit, wanted: &Wanted, found: &Found) -> String {
    let first = (wanted.page() - 1) * PAGE_SIZE + 1;
    let last = (first + PAGE_SIZE - 1).min(found.total);
    let figures = [("first", first), ("last", last), ("total", found.total)]
        .map(|(name, number)| (name, figures::count(number).into()));
    visit.tv("properties-counted", &figures).into_owned()
}

fn nothing(visit: &Visit, wanted: &Wanted, found: &Found) -> Markup {
    let (title, text) = if found.total > 0 {
        (visit.t("properties-past-end"), visit.t("properties-past-end-text"))
    } else if wanted.is_narrowed() {
        (visit.t("properties-none"), visit.t("properties-none-text"))
    } else {
        (visit.t("properties-empty"), visit.t("properties-empty-text"))
    };
    parts::empty(
        &title,
        html! {
            p { (text) }
            @if wanted.is_narrowed() || found.total > 0 { a.button.secondary href="/properties" { (visit.t("properties-clear")) } }
        },
    )
}

fn filters(visit: &Visit, wanted: &Wanted) -> Markup {
    let any = |key: &str| ("", visit.language.text(key).into_owned());
    let kinds: Vec<(&str, String)> = [any("filter-any-kind")]
        .into_iter()
        .chain(KINDS.map(|kind| (kind, visit.word("kind", kind))))
        .collect();
    let stages: Vec<(&str, String)> = [any("filter-any-stage")]
        .into_iter()
        .chain(STAGES.map(|stage| (stage, visit.word("stage", stage))))
        .collect();
    let sorts: Vec<(&str, String)> = ORDERS
        .iter()
        .map(|(name, _)| (*name, visit.word("sort", name)))
        .collect();
    let number = |name, key: &str, value| {
        Field::text(name, visit.language.text(key))
            .kind("number")
            .value(value)
            .bare()
            .with("min", "0")
            .show(visit)
    };
    html! {
        search {
            form.filters method="get" action="/properties" data-live="" {
                div.form-grid {
                    (Field::text("q", visit.t("filter-words")).kind("search").value(&wanted.q).bare().with("maxlength", "100").show(visit))
                    (parts::select("stage", &visit.t("filter-stage"), &stages, &wanted.stage))
                    (parts::select("kind", &visit.t("filter-kind"), &kinds, &wanted.kind))
                    (parts::select("sort", &visit.t("filter-sort"), &sorts, &wanted.sort))
                }
                div.filter-foot {
                    details open[[&wanted.bedrooms, &wanted.area_min, &wanted.built_from].iter().any(|text| !text.is_empty())] {
                        summary { (visit.t("filter-more")) }
                        div.form-grid {
                            (number("bedrooms", "filter-bedrooms", &wanted.bedrooms))
                            (number("area_min", "filter-area", &wanted.area_min))
                            (number("built_from", "filter-built", &wanted.built_from))
                        }
                    }
                    div.button-row {
                        button.button { (parts::icon("search")) (visit.t("filter-apply")) }
                        @if wanted.is_narrowed() { a.button.quiet href="/properties" { (visit.t("properties-clear")) } }
                    }
                }
            }
        }
    }
}

fn pager(visit: &Visit, wanted: &Wanted, found: &Found) -> Markup {
    let pages = (found.total + PAGE_SIZE - 1) / PAGE_SIZE;
    let now = wanted.page();
    if pages <= 1 {
        return html! {};
    }
    html! {
        nav.pager aria-label=(visit.t("pager-label")) {
            @if now > 1 { a.button.secondary rel="prev" href=(wanted.place(now - 1)) { (visit.t("pager-previous")) } } @else { span {} }
            p.fine { (visit.tv("pager-place", &[("page", figures::count(now).into()), ("pages", figures::count(pages).into())])) }
            @if now < pages.min(PAGE_MAX) { a.button.secondary rel="next" href=(wanted.place(now + 1)) { (visit.t("pager-next")) } } @else { span {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_a_word_to_look_for() {
        let wanted = Wanted {
            q: " a,b)\"*\\ ".to_owned(),
            ..Wanted::default()
        };
        let query = wanted.query();
        let value = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "or")
            .unwrap()
            .1
            .into_owned();
        assert!(value.starts_with("(title.ilike.\"*a,b)\\\"\\\\*\","), "{value}");
    }

    #[test]
    fn an_address_says_all_of_a_search() {
        let wanted = Wanted {
            kind: "townhouse".to_owned(),
            sort: "area".to_owned(),
            ..Wanted::default()
        };
        assert_eq!(wanted.place(3), "/properties?kind=townhouse&sort=area&page=3");
        assert_eq!(Wanted::default().place(1), "/properties");
        let odd = Wanted {
            kind: "x&select=*".to_owned(),
            bedrooms: "-1".to_owned(),
            page: "-7".to_owned(),
            ..Wanted::default()
        };
        assert_eq!(
            odd.query(),
            "select=id&order=is_featured.desc,created_at.desc,id&limit=24&offset=0"
        );
    }
}
