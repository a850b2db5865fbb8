//! `/`: what this place is, with figures that are true now.

use axum::{
    extract::{Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    figures,
    layout::{Head, page},
    listing::{self, Card, Sum},
    parts,
    visit::Visit,
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// Properties that the page shows.
const SHOWN: i64 = 6;

/// What a payment provider sends a buyer back with.
#[derive(Debug, Deserialize)]
pub(crate) struct Returned {
    session_id: Option<Uuid>,
}

/// What a visitor may know of everything at once.
struct Totals {
    listed: i64,
    offered: i64,
    sold: i64,
    invested: Vec<Sum>,
    rent: Vec<Sum>,
}

async fn totals(tx: &Tx) -> Result<Totals, Problem> {
    let text = sql!(
        "select (select count(*) from public.public_properties),
                (select count(*) from public.offerings as o where o.status in ('open', 'funded')),
                (select count(*) from public.offerings as o where o.status = 'closed')"
    );
    let invested = sql!(
        "select sum(m.total_invested * 10::numeric ^ p.currency_decimals)::bigint, p.currency, p.currency_decimals
         from public.investment_opportunities_mv as m join public.properties as p on p.id = m.property_id
         where m.total_invested > 0 group by p.currency, p.currency_decimals order by 1 desc"
    );
    let rent = sql!(
        "select sum(f.rental_income_minor)::bigint, f.currency, f.currency_decimals from public.property_performance as f
         group by f.currency, f.currency_decimals having sum(f.rental_income_minor) > 0 order by 1 desc"
    );
    let (row, invested, rent) =
        tokio::try_join!(tx.query_one(text, &[]), tx.query(invested, &[]), tx.query(rent, &[]))?;
    Ok(Totals {
        listed: row.try_get(0)?,
        offered: row.try_get(1)?,
        sold: row.try_get(2)?,
        invested: sums(&invested)?,
        rent: sums(&rent)?,
    })
}

fn sums(rows: &[tokio_postgres::Row]) -> Result<Vec<Sum>, Problem> {
    rows.iter()
        .filter_map(|row| Sum::read(row, 0, 1, 2).transpose())
        .collect()
}

/// Those that are for sale, then those that were sold, then the newest.
async fn first_cards(tx: &Tx) -> Result<Vec<Card>, Problem> {
    let text = sql!(
        "select p.id from public.public_properties as p
         where p.tokenization_status in ('offered', 'completed') or p.is_featured
         order by exists (select from public.offerings as o where o.property_id = p.id and o.status = 'open') desc, p.is_featured desc,
           p.tokenization_status = 'completed' desc, p.created_at desc, p.id limit $1"
    );
    let rows = tx.query(text, &[&SHOWN]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    listing::cards(tx, &ids).await
}

/// `GET /`.
pub(crate) async fn home(
    State(app): State<App>,
    visit: Visit,
    Query(returned): Query<Returned>,
) -> Result<Response, Problem> {
    if let Some(session_id) = returned.session_id {
        return Ok(Redirect::to(&format!("/payments/{session_id}")).into_response());
    }
    let tx = visit.reads(&app).await?;
    let totals = totals(&tx).await?;
    let cards = first_cards(&tx).await?;
    tx.commit().await?;
    let content = html! {
        section.hero {
            div.hero-words {
                h1.display { (visit.t("home-title")) }
                p.lead { (visit.t("home-lead")) }
                div.button-row {
                    a.button href="/properties" { (visit.t("home-see-properties")) }
                    @if visit.person.is_none() { a.button.secondary href="/sign-up" { (visit.t("nav-sign-up")) } }
                    @else { a.button.secondary href="/portfolio" { (visit.t("nav-portfolio")) } }
                }
            }
            (statement(&visit, &totals))
        }
        div.stack-large {
            @if !cards.is_empty() {
                section aria-labelledby="home-offered" {
                    h2 #home-offered { (visit.t("home-offered")) }
                    ul.cards { @for card in &cards { li { (card.show(&visit)) } } }
                }
            }
            section aria-labelledby="home-promises" {
                h2 #home-promises { (visit.t("home-promises")) }
                div.promises {
                    @for key in ["evidence", "escrow", "rent"] {
                        div {
                            h3 { (visit.language.text(&format!("home-promise-{key}"))) }
                            p { (visit.language.text(&format!("home-promise-{key}-text"))) }
                        }
                    }
                }
            }
        }
    };
    let head = Head::titled(visit.t("home-head"))
        .described(visit.t("home-lead"))
        .wide();
    Ok(page(&visit, &head, content))
}

fn statement(visit: &Visit, totals: &Totals) -> Markup {
    let listed = |sums: &[Sum]| {
        html! {
            @if sums.is_empty() { "0" }
            @for sum in sums { div { (sum.show()) } }
        }
    };
    html! {
        section.statement aria-labelledby="home-figures" {
            div.statement-head {
                strong #home-figures { (visit.t("home-figures")) }
                span { (figures::instant(visit.asked.now, visit.language)) }
            }
            dl {
                (parts::figure(&visit.t("figure-listed"), html! { (figures::count(totals.listed)) }, None))
                (parts::figure(&visit.t("figure-offered"), html! { (figures::count(totals.offered)) }, None))
                (parts::figure(&visit.t("figure-sold"), html! { (figures::count(totals.sold)) }, None))
                (parts::figure(&visit.t("figure-invested"), listed(&totals.invested), None))
                (parts::figure(&visit.t("figure-rent"), listed(&totals.rent), None))
            }
        }
    }
}
