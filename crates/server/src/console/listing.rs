//! Properties as lists show them: cards, in the order of their ids, read with the visitor's own rights.

use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{figures, parts, pictures::Picture, visit::Visit};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
    rest::engine::{Asked, Identity},
};

/// What a list shows of a property.
pub(crate) struct Card {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) place: String,
    pub(crate) kind: Option<String>,
    pub(crate) bedrooms: Option<i32>,
    pub(crate) sqft: Option<i32>,
    pub(crate) year_built: Option<i32>,
    pub(crate) at: Option<(f64, f64)>,
    price: Option<Sum>,
    valued: Option<(Sum, NaiveDate, String)>,
    pub(crate) sale: Option<Sale>,
    picture: Option<Picture>,
}

/// An amount with its currency.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    pub(crate) minor: i64,
    pub(crate) currency: String,
    pub(crate) decimals: i16,
}

impl Sum {
    /// As people read it.
    pub(crate) fn show(&self) -> Markup {
        figures::money(self.minor, &self.currency, self.decimals)
    }

    /// An amount of a row: its smallest units, currency and decimals at these places; nothing where there is none.
    pub(crate) fn read(row: &Row, minor: usize, currency: usize, decimals: usize) -> Result<Option<Sum>, Problem> {
        let Some(minor) = row.try_get::<_, Option<i64>>(minor)? else {
            return Ok(None);
        };
        Ok(Some(Sum {
            minor,
            currency: row.try_get(currency)?,
            decimals: row.try_get(decimals)?,
        }))
    }
}

/// The offering of a property that runs, or came last.
pub(crate) struct Sale {
    pub(crate) status: String,
    pub(crate) price: Sum,
    pub(crate) closes_at: DateTime<Utc>,
    /// Principal that is paid or confirmed, in smallest units.
    pub(crate) invested_minor: i64,
    /// What the whole offering comes to, in smallest units.
    pub(crate) whole_minor: i64,
    pub(crate) investors: i64,
}

const CARDS: &str = sql!(
    "select p.id, p.title, coalesce(nullif(concat_ws(', ', p.address, coalesce(nullif(p.location, ''), concat_ws(', ', p.city, p.country))), ''), ''),
            p.property_type, p.bedrooms, p.sqft, p.year_built, (p.coordinates ->> 'lat')::double precision, (p.coordinates ->> 'lng')::double precision,
            p.price_minor, p.currency, p.currency_decimals,
            v.amount_minor, v.currency, v.currency_decimals, v.valued_on, v.basis,
            o.status, o.price_minor, o.currency, o.currency_decimals, o.closes_at,
            coalesce((m.total_invested * 10::numeric ^ o.currency_decimals)::bigint, 0),
            (o.hard_cap_units::numeric * o.price_minor / 10::numeric ^ o.token_decimals)::bigint, coalesce(m.total_investors, 0)::bigint,
            i.image, p.image_notes -> i.image
     from unnest($1::uuid[]) with ordinality as w (id, place)
     join public.properties as p on p.id = w.id
     left join lateral (select v.amount_minor, v.currency, v.currency_decimals, v.valued_on, v.basis from public.property_valuations as v
                        where v.property_id = p.id order by v.valued_on desc, v.id limit 1) as v on true
     left join lateral (select o.status, o.price_minor, o.currency, o.currency_decimals, o.closes_at, o.hard_cap_units, o.token_decimals
                        from public.offerings as o where o.property_id = p.id and o.status not in ('draft', 'cancelled')
                        order by o.status in ('open', 'funded') desc, o.opened_at desc nulls last, o.id limit 1) as o on true
     left join public.investment_opportunities_mv as m on m.property_id = p.id
     left join lateral (select i.image from jsonb_array_elements_text(p.images) with ordinality as i (image, at)
                        where i.image like 'property-images/%' order by i.at limit 1) as i on true
     order by w.place"
);

/// The cards of these properties, in their order, without those that the visitor may not see.
///
/// # Errors
/// What the database answered.
pub(crate) async fn cards(tx: &Tx, ids: &[Uuid]) -> Result<Vec<Card>, Problem> {
    tx.query(CARDS, &[&ids]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Card, Problem> {
    let (lat, lng): (Option<f64>, Option<f64>) = (row.try_get(7)?, row.try_get(8)?);
    let valued = match Sum::read(row, 12, 13, 14)? {
        Some(sum) => Some((sum, row.try_get(15)?, row.try_get(16)?)),
        None => None,
    };
    let sale = match (row.try_get::<_, Option<String>>(17)?, Sum::read(row, 18, 19, 20)?) {
        (Some(status), Some(price)) => Some(Sale {
            status,
            price,
            closes_at: row.try_get(21)?,
            invested_minor: row.try_get(22)?,
            whole_minor: row.try_get(23)?,
            investors: row.try_get(24)?,
        }),
        (None, _) | (_, None) => None,
    };
    let (image, note): (Option<String>, Option<Value>) = (row.try_get(25)?, row.try_get(26)?);
    Ok(Card {
        id: row.try_get(0)?,
        title: row.try_get(1)?,
        place: row.try_get(2)?,
        kind: row.try_get(3)?,
        bedrooms: row.try_get(4)?,
        sqft: row.try_get(5)?,
        year_built: row.try_get(6)?,
        at: lat.zip(lng),
        price: Sum::read(row, 9, 10, 11)?,
        valued,
        sale,
        picture: image.map(|image| Picture::of(&image, note.as_ref())),
    })
}

impl Card {
    /// The path of its page.
    pub(crate) fn path(&self) -> String {
        format!("/properties/{}", self.id)
    }

    /// The card, with a heading that fits below its list's.
    pub(crate) fn show(&self, visit: &Visit) -> Markup {
        html! {
            article.card.property-card {
                @if let Some(picture) = &self.picture {
                    img.card-picture src=(picture.small_path()) alt=(picture.told(visit, &self.title, 0)) loading="lazy" width="300" height="200";
                }
                div.row.spread {
                    p.fine { bdi { (self.place) } }
                    @if let Some(sale) = &self.sale { (parts::state(visit, &sale.status)) }
                }
                h3 { a href=(self.path()) { bdi { (self.title) } } }
                ul.details-line {
                    @for detail in self.details(visit) { li { (detail) } }
                }
                (self.worth(visit))
            }
        }
    }

    /// Kind, rooms, area and age, where they are known.
    pub(crate) fn details(&self, visit: &Visit) -> Vec<String> {
        let kind = self.kind.as_ref().map(|kind| visit.word("kind", kind));
        let rooms = self
            .bedrooms
            .map(|rooms| visit.tv("property-bedrooms", &[("count", rooms.into())]).into_owned());
        let area = self.sqft.map(|area| {
            visit
                .tv("property-area", &[("area", figures::count(area.into()).into())])
                .into_owned()
        });
        let year = self.year_built.map(|year| {
            visit
                .tv("property-built", &[("year", year.to_string().into())])
                .into_owned()
        });
        [kind, rooms, area, year].into_iter().flatten().collect()
    }

    /// What it costs, or what was last said about its worth.
    fn worth(&self, visit: &Visit) -> Markup {
        if let Some(sale) = self.sale.as_ref().filter(|sale| sale.is_running()) {
            return html! {
                p { span.price { (sale.price.show()) } " " span.fine { (visit.t("property-a-token")) } }
                (sale.progress(visit))
                p.fine { (visit.t("offer-closes")) " " (figures::date(sale.closes_at, visit.language)) }
            };
        }
        if let Some(price) = &self.price {
            return html! { p.price { (price.show()) } };
        }
        let Some((sum, on, basis)) = &self.valued else {
            return html! { p.fine { (visit.t("property-no-value")) } };
        };
        html! {
            p { span.price { (sum.show()) } }
            p.fine { (visit.word("basis", basis)) ", " (figures::day(*on, visit.language)) }
        }
    }
}

impl Sale {
    /// Whether money can still come in.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.status.as_str(), "open" | "funded")
    }

    /// How much of it is paid.
    pub(crate) fn progress(&self, visit: &Visit) -> Markup {
        let share = figures::percent(self.invested_minor, self.whole_minor);
        let words = visit.tv(
            "offering-progress",
            &[
                ("percent", share.into()),
                (
                    "invested",
                    figures::money_text(self.invested_minor, &self.price.currency, self.price.decimals).into(),
                ),
                (
                    "whole",
                    figures::money_text(self.whole_minor, &self.price.currency, self.price.decimals).into(),
                ),
            ],
        );
        parts::progress(&visit.t("offering-progress-label"), share, html! { (words) })
    }
}

/// What a list asks of the engine of `/rest/v1`, as the visitor: ids in order, and how many there are in all.
pub(crate) struct Found {
    /// The ids of this page.
    pub(crate) ids: Vec<Uuid>,
    /// How many there are.
    pub(crate) total: i64,
}

/// Asks for properties by the same protocol, rights and indexes as clients do.
///
/// # Errors
/// What the engine refuses is a fault of ours: the query was made here.
pub(crate) async fn find(app: &App, visit: &Visit, query: String) -> Result<Found, Problem> {
    let identity = Identity {
        role: visit.caller.role().name().into(),
        claims: visit.caller.claims().into(),
        is_authenticated: visit.person.is_some(),
    };
    let asked = Asked {
        method: "GET".to_owned(),
        path: "/public_properties".to_owned(),
        query,
        headers: vec![("prefer".to_owned(), "count=exact".to_owned())],
        ..Asked::default()
    };
    let reply = app.rest.answer(Ok(identity), &asked).await.0;
    let range = reply
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-range"));
    let total = range
        .and_then(|(_, value)| value.rsplit('/').next()?.parse().ok())
        .unwrap_or(0);
    // 416: behind the last page.
    if reply.status == 416 {
        return Ok(Found { ids: Vec::new(), total });
    }
    if !(200..300).contains(&reply.status) {
        return Err(Problem::internal(format!(
            "a list of properties: {}",
            String::from_utf8_lossy(&reply.body)
        )));
    }
    #[derive(serde::Deserialize)]
    struct Id {
        id: Uuid,
    }
    let rows: Vec<Id> = serde_json::from_slice(&reply.body).map_err(Problem::internal)?;
    Ok(Found {
        ids: rows.into_iter().map(|row| row.id).collect(),
        total,
    })
}
