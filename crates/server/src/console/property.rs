//! `/properties/{id}`: everything about one property that the visitor may see.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use maud::{Markup, html};
use serde_json::{Map, Value};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    chart::Series,
    figures,
    layout::{Head, Section, page},
    listing::{self, Card, Sum},
    parts, pictures, plot,
    verification::readable,
    visit::Visit,
};
use crate::{
    app::App,
    command::Command,
    db::{Actor, Tx, sql},
    documents,
    functions::content,
    problem::Problem,
};

/// How long before its end evidence is said to end soon.
const SOON: TimeDelta = TimeDelta::days(30);

/// Months of income that are drawn.
const MONTHS_MAX: i64 = 36;

/// `GET /properties/{id}`.
pub(crate) async fn show(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let tx = visit.reads(&app).await?;
    let card = listing::cards(&tx, &[id])
        .await?
        .into_iter()
        .next()
        .ok_or(Problem::NotFound)?;
    // Asked together: one wait for all of them.
    let of_id: &[&(dyn ToSql + Sync)] = &[&id];
    let of_now: &[&(dyn ToSql + Sync)] = &[&id, &visit.asked.now];
    let of_months: &[&(dyn ToSql + Sync)] = &[&id, &MONTHS_MAX];
    let (row, offering, evidence, income, valuations, papers, figures_row) = tokio::try_join!(
        tx.query_one(DESCRIBED, of_id),
        tx.query_opt(OFFERING, of_now),
        tx.query(EVIDENCE, of_id),
        tx.query(INCOME, of_months),
        tx.query(VALUATIONS, of_id),
        tx.query(DOCUMENTS, of_id),
        tx.query_opt(FIGURES, of_id),
    )?;
    let held = held_of(&tx, &visit, id).await?;
    tx.commit().await?;
    let map = plot::map(&app, &visit, std::slice::from_ref(&card)).await?;
    let description: Option<String> = row.try_get(0)?;
    let content = html! {
        (parts::crumbs(&visit, &[("/properties", visit.t("properties-title").into_owned())]))
        div.page-head {
            div.row { h1 { bdi { (card.title) } } @if let Some(sale) = &card.sale { (parts::state(&visit, &sale.status)) } }
            p.lead { bdi { (card.place) } }
            ul.details-line { @for detail in card.details(&visit) { li { (detail) } } }
        }
        div.with-aside.aside-first {
            div.stack-large {
                (gallery(&visit, &card, &row)?)
                (headline(&visit, figures_row.as_ref())?)
                @if let Some(text) = &description {
                    section { h2 { (visit.t("property-about")) } div.stack-small { @for part in text.split("\n\n") { p dir="auto" { (part) } } } }
                }
                section { h2 { (visit.t("evidence-title")) } (evidence_state(&visit, &evidence)?) }
                (income_section(&visit, &income)?)
                (valuation_section(&visit, &valuations)?)
                (document_section(&visit, id, &papers)?)
                (facts(&visit, &card, &row)?)
                (risks(&visit))
            }
            aside.stack aria-label=(visit.t("property-aside")) {
                (offer(&visit, &card, offering.as_ref(), held.as_ref())?)
                (map)
            }
        }
    };
    let about = description.unwrap_or_else(|| card.place.clone());
    let head = Head::titled(card.title.clone())
        .within(Section::Properties)
        .described(about)
        .wide();
    Ok(page(&visit, &head, content))
}

const DESCRIBED: &str = sql!(
    "select p.description, p.address, p.city, p.state_province, p.country, p.postal_code, p.bathrooms_exact::text, p.bathrooms, p.lot_size,
            array(select jsonb_array_elements_text(p.amenities)), array(select jsonb_array_elements_text(p.images)), p.total_tokens::text,
            p.tokens_issued::text, p.tokenization_status, p.image_notes
     from public.properties as p where p.id = $1"
);

const OFFERING: &str = sql!(
    "select o.id, o.status, o.price_minor, o.currency, o.currency_decimals, o.soft_cap_units, o.hard_cap_units, o.minimum_units, o.maximum_units,
            o.token_decimals, o.cooling_off_days, o.opens_at, o.closes_at, o.is_live, r.title, r.summary, r.code, r.version,
            f.rate_ppm, f.fixed_minor, f.minimum_minor, f.maximum_minor
     from public.offerings as o join public.rule_packs as r on r.id = o.rule_pack_id
     left join lateral (select f.rate_ppm, f.fixed_minor, f.minimum_minor, f.maximum_minor from public.fee_schedules as f
                        where f.fee_type = 'platform' and f.currency = o.currency and f.valid_from <= $2 order by f.valid_from desc limit 1) as f on true
     where o.property_id = $1 and o.status not in ('draft', 'cancelled')
     order by o.status in ('open', 'funded') desc, o.opened_at desc nulls last, o.id limit 1"
);

/// Each requirement of a launch, with the evidence that answers it best.
const EVIDENCE: &str = sql!(
    "select distinct on (g.requirement) g.requirement, e.document_type, e.issued_on, e.expires_at, e.accepted_at
     from public.gate_requirements as g
     left join public.property_evidence as e on e.property_id = $1 and e.document_type = any (g.document_types)
     where g.action = 'launch' and g.offering_kind = coalesce(
       (select o.kind from public.offerings as o where o.property_id = $1 and o.status <> 'cancelled' order by o.opened_at desc nulls last limit 1), 'issuer_owns')
     order by g.requirement, e.expires_at desc nulls last, e.document_type"
);

const INCOME: &str = sql!(
    "select f.report_date, f.rental_income_minor, coalesce(f.net_operating_income_minor, 0), f.currency, f.currency_decimals
     from (select f.report_date, f.rental_income_minor, f.net_operating_income_minor, f.currency, f.currency_decimals from public.property_performance as f
           where f.property_id = $1 order by f.report_date desc limit $2) as f order by f.report_date"
);

const VALUATIONS: &str = sql!(
    "select v.valued_on, v.amount_minor, v.currency, v.currency_decimals, v.basis, v.source from public.property_valuations as v
     where v.property_id = $1 order by v.valued_on desc, v.id limit 20"
);

const DOCUMENTS: &str = sql!(
    "select d.id, d.document_name, d.document_type, d.issued_on, d.file_size, d.file_type from public.property_documents as d
     where d.property_id = $1 and d.review_status = 'accepted' order by d.document_type, d.created_at desc limit 50"
);

const FIGURES: &str = sql!(
    "select a.number_of_investors, a.total_invested_minor, a.currency, a.currency_decimals, a.rental_yield::text, a.token_yield::text, a.as_of,
            m.total_investors, (m.total_invested * 10::numeric ^ p.currency_decimals)::bigint, p.currency, p.currency_decimals
     from public.properties as p
     left join public.investment_opportunities_mv as m on m.property_id = p.id
     left join lateral (select a.number_of_investors, a.total_invested_minor, a.currency, a.currency_decimals, a.rental_yield, a.token_yield, a.as_of
                        from public.property_analytics as a where a.property_id = p.id order by a.report_date desc limit 1) as a on true
     where p.id = $1 and p.tokenization_status in ('offered', 'completed')"
);

/// Tokens of the reader's own.
async fn held_of(tx: &Tx, visit: &Visit, id: Uuid) -> Result<Option<String>, Problem> {
    let Some(person) = &visit.person else { return Ok(None) };
    let text = sql!(
        "select sum(l.units)::bigint, max(l.token_decimals) from public.lots as l where l.property_id = $1 and l.user_id = $2 and l.units > 0"
    );
    let row = tx.query_one(text, &[&id, &person.id]).await?;
    let (units, decimals): (Option<i64>, Option<i16>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(units.map(|units| figures::tokens(units, decimals.unwrap_or(0))))
}

fn gallery(visit: &Visit, card: &Card, row: &Row) -> Result<Markup, Problem> {
    let (images, notes): (Vec<String>, Value) = (row.try_get(10)?, row.try_get(14)?);
    let shown = pictures::of(&images, notes.as_object().unwrap_or(&Map::new()));
    Ok(html! {
        @if !shown.is_empty() {
            section {
                h2.hidden-text { (visit.t("property-gallery")) }
                ul.gallery.single[shown.len() == 1] tabindex="0" aria-label=(visit.t("property-gallery")) {
                    @for (at, picture) in shown.iter().enumerate() {
                        li {
                            figure {
                                img src=(picture.path()) alt=(picture.told(visit, &card.title, at)) loading=(if at == 0 { "eager" } else { "lazy" });
                                @if !picture.text.is_empty() { figcaption.fine aria-hidden="true" dir="auto" { (picture.text) } }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn percent(text: Option<String>, visit: &Visit) -> Markup {
    match text {
        Some(text) => {
            let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
            let part: String = part.chars().take(2).collect();
            html! { bdi { (whole) @if !part.is_empty() { "." (part) } "\u{a0}%" } }
        }
        None => html! { span.soft { (visit.t("figure-unknown")) } },
    }
}

fn headline(visit: &Visit, row: Option<&Row>) -> Result<Markup, Problem> {
    let Some(row) = row else { return Ok(html! {}) };
    let holders: Option<i64> = row.try_get(7)?;
    let invested = Sum::read(row, 8, 9, 10)?;
    let as_of: Option<DateTime<Utc>> = row.try_get(6)?;
    Ok(html! {
        section aria-label=(visit.t("property-figures")) {
            dl.figures {
                (parts::figure(&visit.t("figure-holders"), html! { (figures::count(holders.unwrap_or(0))) }, None))
                @if let Some(sum) = invested { (parts::figure(&visit.t("figure-invested"), sum.show(), None)) }
                (parts::figure(&visit.t("figure-token-yield"), percent(row.try_get(5)?, visit), None))
                (parts::figure(&visit.t("figure-rental-yield"), percent(row.try_get(4)?, visit), None))
            }
            @if let Some(at) = as_of { p.fine { (visit.t("figure-as-of")) " " (figures::instant(at, visit.language)) } }
        }
    })
}

fn evidence_state(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let now = visit.asked.now;
    let mut lines = Vec::new();
    for row in rows {
        let requirement: String = row.try_get(0)?;
        let kind: Option<String> = row.try_get(1)?;
        let issued: Option<NaiveDate> = row.try_get(2)?;
        let expires: Option<DateTime<Utc>> = row.try_get(3)?;
        let accepted: Option<DateTime<Utc>> = row.try_get(4)?;
        let state = match (&kind, expires) {
            (None, _) => "missing",
            (Some(_), Some(at)) if at <= now => "expired",
            (Some(_), Some(at)) if at <= now + SOON => "expires_soon",
            (Some(_), _) => "current",
        };
        lines.push(html! {
            li {
                div.what {
                    strong { (visit.word("requirement", &requirement)) }
                    @if let Some(kind) = kind {
                        span.fine {
                            (visit.word("document", &kind))
                            @if let Some(on) = issued { ", " (visit.t("evidence-issued")) " " (figures::day(on, visit.language)) }
                            @if let Some(at) = accepted { ", " (visit.t("evidence-accepted")) " " (figures::date(at, visit.language)) }
                            @if let Some(at) = expires { ", " (visit.t("evidence-until")) " " (figures::date(at, visit.language)) }
                        }
                    }
                }
                (parts::state(visit, state))
            }
        });
    }
    Ok(html! {
        p.fine { (visit.t("evidence-text")) }
        ul.evidence.card.tight { @for line in lines { (line) } }
    })
}

fn income_section(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut points = Vec::new();
    let mut unit = (String::new(), 2_i16);
    for row in rows {
        let on: NaiveDate = row.try_get(0)?;
        points.push((
            figures::month_text(on, visit.language),
            vec![row.try_get(1)?, row.try_get(2)?],
        ));
        unit = (row.try_get(3)?, row.try_get(4)?);
    }
    Ok(html! {
        section {
            h2 { (visit.t("property-income")) }
            @if points.is_empty() {
                (parts::empty(&visit.t("property-no-income"), html! { p { (visit.t("property-no-income-text")) } }))
            } @else {
                (Series {
                    title: visit.t("chart-income").into_owned(),
                    names: vec![visit.t("chart-rent").into_owned(), visit.t("chart-net").into_owned()],
                    points,
                    currency: unit.0,
                    decimals: unit.1,
                }.bars(visit))
            }
        }
    })
}

fn valuation_section(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(html! {});
    }
    let mut lines = Vec::new();
    for row in rows {
        let (on, basis, source): (NaiveDate, String, String) = (row.try_get(0)?, row.try_get(4)?, row.try_get(5)?);
        let sum = Sum::read(row, 1, 2, 3)?;
        lines.push(html! {
            tr {
                th scope="row" { (figures::day(on, visit.language)) }
                td.number { @if let Some(sum) = sum { (sum.show()) } }
                td { (visit.word("basis", &basis)) }
                td { (source) }
            }
        });
    }
    Ok(html! {
        section {
            h2 { (visit.t("property-valuations")) }
            (parts::table(&visit.t("property-valuations"), html! {
                thead { tr {
                    th scope="col" { (visit.t("column-date")) }
                    th.number scope="col" { (visit.t("column-amount")) }
                    th scope="col" { (visit.t("column-basis")) }
                    th scope="col" { (visit.t("column-source")) }
                } }
                tbody { @for line in lines { (line) } }
            }))
        }
    })
}

fn document_section(visit: &Visit, id: Uuid, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (document, name, kind): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let issued: Option<NaiveDate> = row.try_get(3)?;
        let size: Option<i64> = row.try_get(4)?;
        lines.push(html! {
            li {
                div.what {
                    a href={ "/properties/" (id) "/documents/" (document) } { (name) }
                    span.fine {
                        (visit.word("document", &kind))
                        @if let Some(on) = issued { ", " (visit.t("evidence-issued")) " " (figures::day(on, visit.language)) }
                    }
                }
                @if let Some(size) = size { span.fine { (file_size(size)) } }
            }
        });
    }
    Ok(html! {
        section {
            h2 { (visit.t("property-documents")) }
            @if lines.is_empty() {
                (parts::empty(&visit.t("property-no-documents"), html! {
                    p { (visit.t("property-no-documents-text")) }
                    @if visit.person.is_none() { a.button.secondary href={ "/sign-in?next=/properties/" (id) } { (visit.t("nav-sign-in")) } }
                }))
            } @else { ul.evidence.card.tight { @for line in lines { (line) } } }
        }
    })
}

/// A size in kilobytes or megabytes, rounded up.
pub(crate) fn file_size(bytes: i64) -> String {
    if bytes < 1_000_000 {
        format!("{}\u{a0}kB", figures::count((bytes + 999) / 1000))
    } else {
        format!("{}\u{a0}MB", figures::count((bytes + 999_999) / 1_000_000))
    }
}

fn facts(visit: &Visit, card: &Card, row: &Row) -> Result<Markup, Problem> {
    let address: Vec<String> = [1, 2, 3, 5, 4]
        .into_iter()
        .filter_map(|at| row.try_get::<_, Option<String>>(at).ok().flatten())
        .filter(|part| !part.is_empty())
        .collect();
    let baths = row
        .try_get::<_, Option<String>>(6)?
        .or(row.try_get::<_, Option<i32>>(7)?.map(|count| count.to_string()));
    let lot: Option<i32> = row.try_get(8)?;
    let amenities: Vec<String> = row.try_get(9)?;
    let mut known: Vec<(String, Markup)> = Vec::new();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            known.push((visit.language.text(key).into_owned(), html! { (value) }));
        }
    };
    add("fact-address", Some(address.join(", ")));
    add("fact-kind", card.kind.as_ref().map(|kind| visit.word("kind", kind)));
    add("fact-bedrooms", card.bedrooms.map(|count| count.to_string()));
    add(
        "fact-bathrooms",
        baths.map(|text| text.trim_end_matches('0').trim_end_matches('.').to_owned()),
    );
    add(
        "fact-area",
        card.sqft.map(|area| {
            visit
                .tv("property-area", &[("area", figures::count(area.into()).into())])
                .into_owned()
        }),
    );
    add(
        "fact-lot",
        lot.map(|area| {
            visit
                .tv("property-area", &[("area", figures::count(area.into()).into())])
                .into_owned()
        }),
    );
    add("fact-built", card.year_built.map(|year| year.to_string()));
    add("fact-amenities", Some(amenities.join(", ")));
    Ok(html! { section { h2 { (visit.t("property-facts")) } div.card.tight { (parts::facts(&known)) } } })
}

fn risks(visit: &Visit) -> Markup {
    html! {
        section {
            h2 { (visit.t("risks-title")) }
            div.card.stack-small {
                @for key in ["value", "rent", "sell", "fail", "advice"] {
                    div { h3 { (visit.language.text(&format!("risk-{key}"))) } p.soft { (visit.language.text(&format!("risk-{key}-text"))) } }
                }
            }
        }
    }
}

fn offer(visit: &Visit, card: &Card, offering: Option<&Row>, held: Option<&String>) -> Result<Markup, Problem> {
    let own = html! { @if let Some(held) = held {
        p { (visit.tv("offer-you-hold", &[("tokens", held.clone().into())])) " " a href="/portfolio" { (visit.t("nav-portfolio")) } }
    } };
    let (Some(row), Some(sale)) = (offering, &card.sale) else {
        return Ok(
            html! { section.card { h2 { (visit.t("offer-none")) } p.soft { (visit.t("offer-none-text")) } (own) } },
        );
    };
    let decimals: i16 = row.try_get(9)?;
    let tokens = |at: usize| -> Result<String, Problem> {
        Ok(figures::tokens(
            row.try_get::<_, Option<i64>>(at)?.unwrap_or(0),
            decimals,
        ))
    };
    let (opens_at, closes_at): (DateTime<Utc>, DateTime<Utc>) = (row.try_get(11)?, row.try_get(12)?);
    let cooling: i32 = row.try_get(10)?;
    let now = visit.asked.now;
    let is_open = sale.status == "open" && opens_at <= now && now < closes_at;
    let pack: String = row.try_get(14)?;
    Ok(html! {
        section.card aria-labelledby="offer-title" {
            h2 #offer-title { (visit.t("offer-title")) }
            @if !row.try_get::<_, bool>(13)? { (parts::badge(parts::Tone::Plain, &visit.t("offer-simulated"))) }
            (sale.progress(visit))
            p.fine { (visit.tv("offer-investors", &[("count", sale.investors.into())])) }
            (parts::facts(&[
                (visit.t("offer-price").into_owned(), sale.price.show()),
                (visit.t("offer-minimum").into_owned(), html! { (tokens(7)?) }),
                (visit.t("offer-soft-cap").into_owned(), html! { (tokens(5)?) }),
                (visit.t("offer-hard-cap").into_owned(), html! { (tokens(6)?) }),
                (visit.t("offer-fee").into_owned(), fee(visit, row)?),
                (visit.t("offer-cooling").into_owned(), html! { (visit.tv("offer-days", &[("count", cooling.into())])) }),
                (visit.t("offer-opens").into_owned(), figures::instant(opens_at, visit.language)),
                (visit.t("offer-closes").into_owned(), figures::instant(closes_at, visit.language)),
                (visit.t("offer-rules").into_owned(), html! { span lang="en" dir="ltr" { (pack) } }),
            ]))
            (own)
            @if is_open { a.button.full href={ "/properties/" (card.id) "/buy" } { (visit.t("offer-buy")) } }
            @else { p.soft { (visit.language.text(closed_key(&sale.status))) } }
        }
    })
}

fn closed_key(status: &str) -> &'static str {
    match status {
        "funded" => "offer-over-funded",
        "closed" => "offer-over-closed",
        "failed" => "offer-over-failed",
        _ => "offer-not-now",
    }
}

/// Everything that the fee in force is made of.
fn fee(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let Some(rate) = row.try_get::<_, Option<i32>>(18)? else {
        return Ok(html! { (visit.t("figure-unknown")) });
    };
    let (fixed, least, most) = (
        Sum::read(row, 19, 3, 4)?,
        Sum::read(row, 20, 3, 4)?,
        Sum::read(row, 21, 3, 4)?,
    );
    let some = |sum: Option<Sum>| sum.filter(|sum| sum.minor > 0);
    Ok(html! {
        bdi { (figures::tokens(rate.into(), 4)) "\u{a0}%" }
        @if let Some(fixed) = some(fixed) { " + " (fixed.show()) }
        @if let Some(least) = some(least) { ", " (visit.t("offer-fee-least")) " " (least.show()) }
        @if let Some(most) = most { ", " (visit.t("offer-fee-most")) " " (most.show()) }
    })
}

/// `GET /properties/{id}/documents/{document}`: the bytes, where the visitor's own policies show the document.
pub(crate) async fn document(
    State(app): State<App>,
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let tx = visit.reads(&app).await?;
    let document = documents::visible(&tx, id).await?.ok_or(Problem::NotFound)?;
    drop(tx);
    let reader = visit.caller.user_id();
    let command = Command::begin(&app, reader.map_or(Actor::Program("visitor"), Actor::Person)).await?;
    let file = documents::open(&command, &document, reader).await?;
    command.commit().await?;
    Ok(readable(content::served(&app, &file, &headers).await?))
}
