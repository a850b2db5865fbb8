//! `/investments/{id}`: one purchase: how far it is, what was paid, and what can still be done. Its receipt.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    act,
    buying::to_payment,
    call::{beside_form, call},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Tone},
    visit::Visit,
};
use crate::{app::App, db::sql, problem::Problem};

const INVESTMENT: &str = sql!(
    "select i.status, i.property_id, p.title, i.token_amount_units, i.token_decimals, i.price_per_token_minor, i.total_amount_minor, i.fee_amount_minor,
            i.payment_currency, i.currency_decimals, i.created_at, i.due_at, i.paid_at, i.confirmed_at, i.withdraw_until, i.ended_reason, o.status, o.is_live,
            (select r.status from public.refunds as r where r.investment_id = i.id order by r.created_at desc limit 1)
     from public.investments as i join public.properties as p on p.id = i.property_id
     left join public.offerings as o on o.id = i.offering_id where i.id = $1 and i.user_id = $2"
);

/// `GET /investments/{id}`.
pub(crate) async fn show(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    shown(&app, &visit, id, None).await
}

async fn shown(app: &App, visit: &Visit, id: Uuid, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(app).await?;
    let row = tx
        .query_opt(INVESTMENT, &[&id, &person.id])
        .await?
        .ok_or(Problem::NotFound)?;
    tx.commit().await?;
    let status: String = row.try_get(0)?;
    let title: String = row.try_get(2)?;
    let content = html! {
        (parts::crumbs(visit, &[("/portfolio", visit.t("nav-portfolio").into_owned())]))
        div.page-head {
            div.row { h1 { (visit.t("investment-title")) } (parts::state(visit, &status)) }
            p.lead { a href={ "/properties/" (row.try_get::<_, Uuid>(1)?) } { bdi { (title) } } }
        }
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.with-aside {
            div.stack {
                (what_now(visit, id, &status, &row)?)
                (receipt(visit, id, &row)?)
            }
            aside { section.card { h2 { (visit.t("investment-course")) } (course(visit, &status, &row)?) } }
        }
    };
    let head = Head::titled(visit.t("investment-title"))
        .within(Section::Portfolio)
        .wide();
    Ok(answered(page(visit, &head, content), problem))
}

fn what_now(visit: &Visit, id: Uuid, status: &str, row: &Row) -> Result<Markup, Problem> {
    let now = visit.asked.now;
    let at = |place: usize| row.try_get::<_, Option<DateTime<Utc>>>(place);
    let act = |what: &str, class: &str, key: &str| {
        html! {
            form method="post" action={ "/investments/" (id) "/" (what) } { (token(visit)) button class=(class) { (visit.language.text(key)) } }
        }
    };
    Ok(match status {
        "pending" => html! {
            (parts::alert(visit, Tone::Wait, html! {
                p { strong { (visit.t("investment-pending")) } }
                @if let Some(due) = at(11)? { p { (visit.t("investment-due")) " " (figures::instant(due, visit.language)) } }
            }))
            div.button-row { (act("pay", "button", "investment-pay")) (act("cancel", "button secondary", "investment-cancel")) }
        },
        "paid" => {
            let until = at(14)?;
            html! {
                (parts::alert(visit, Tone::Good, html! {
                    p { strong { (visit.t("investment-paid")) } }
                    p { (visit.t("investment-paid-text")) }
                    @if let Some(until) = until.filter(|until| *until > now) { p { (visit.t("investment-withdraw-until")) " " (figures::instant(until, visit.language)) } }
                }))
                @if until.is_some_and(|until| until > now) {
                    (act::folded(&visit.t("investment-withdraw"), html! { (act::for_good(visit)) (act("cancel", "button danger", "investment-withdraw")) }))
                }
            }
        }
        "confirmed" => parts::alert(
            visit,
            Tone::Good,
            html! { p { strong { (visit.t("investment-confirmed")) } } p { (visit.t("investment-confirmed-text")) } },
        ),
        "refund_due" | "refunded" => parts::alert(
            visit,
            Tone::Plain,
            html! {
                p { strong { (visit.word("state", status)) } }
                p { (visit.t("investment-refund-text")) }
            },
        ),
        _ => parts::alert(
            visit,
            Tone::Plain,
            html! { p { (visit.t("investment-over")) " " a href={ "/properties/" (row.try_get::<_, Uuid>(1)?) } { (visit.t("investment-again")) } } },
        ),
    })
}

fn receipt(visit: &Visit, id: Uuid, row: &Row) -> Result<Markup, Problem> {
    let (currency, decimals): (String, i16) = (row.try_get(8)?, row.try_get(9)?);
    let money = |minor: i64| figures::money(minor, &currency, decimals);
    let (price, total, fee): (i64, i64, i64) = (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
    let units = figures::tokens(row.try_get(3)?, row.try_get(4)?);
    Ok(html! {
        section.statement aria-labelledby="receipt" {
            div.statement-head { strong #receipt { (visit.t("investment-receipt")) } span { code { (id) } } }
            dl {
                (parts::figure(&visit.t("investment-tokens"), html! { (units) }, None))
                (parts::figure(&visit.t("buy-price"), money(price), None))
                (parts::figure(&visit.t("buy-total"), money(total), None))
                (parts::figure(&visit.t("offer-fee"), money(fee), None))
                div.figure.total { dt { (visit.t("buy-charge")) } dd { span.value { (money(total.saturating_add(fee))) } } }
            }
            @if row.try_get::<_, Option<bool>>(17)? == Some(false) { p.fine { (visit.t("offer-simulated")) } }
        }
    })
}

fn course(visit: &Visit, status: &str, row: &Row) -> Result<Markup, Problem> {
    let at = |place: usize| row.try_get::<_, Option<DateTime<Utc>>>(place);
    let steps = [
        ("course-reserved", at(10)?),
        ("course-paid", at(12)?),
        ("course-closed", at(13)?),
    ];
    let is_over = matches!(status, "expired" | "cancelled" | "refund_due" | "refunded");
    Ok(html! {
        ol.steps {
            @for (key, when) in steps {
                @if when.is_some() || !is_over {
                    li.done[when.is_some()] {
                        div.step-body {
                            strong { (visit.language.text(key)) }
                            @if let Some(when) = when { span.fine { (figures::instant(when, visit.language)) } }
                            @else { span.fine { (visit.t("course-waits")) } }
                        }
                    }
                }
            }
            @if is_over { li.now { div.step-body { strong { (visit.word("state", status)) } } } }
        }
    })
}

/// `POST /investments/{id}/pay`.
pub(crate) async fn pay(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    _: Fields,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    match call(&app, &visit, "pay-investment", None, json!({ "investmentId": id })).await {
        Ok(answer) => Ok(to_payment(&app, &answer)),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, Some(&problem)).await
        }
    }
}

/// `POST /investments/{id}/cancel`: gives a reservation up, or withdraws while that is a right.
pub(crate) async fn cancel(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    _: Fields,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    match call(&app, &visit, "cancel-investment", None, json!({ "investmentId": id })).await {
        Ok(_) => Ok(Redirect::to(&format!("/investments/{id}")).into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, Some(&problem)).await
        }
    }
}

/// `GET /payments/{session}`: where a rail sends a buyer back to.
pub(crate) async fn returned(
    State(app): State<App>,
    visit: Visit,
    Path(session): Path<String>,
) -> Result<Response, Problem> {
    let session: Uuid = session.parse().map_err(|_| Problem::NotFound)?;
    let person = visit.person()?;
    let tx = visit.reads(&app).await?;
    let query = sql!("select s.investment_id from public.payment_sessions as s where s.id = $1 and s.user_id = $2");
    let row = tx
        .query_opt(query, &[&session, &person.id])
        .await?
        .ok_or(Problem::NotFound)?;
    let id: Uuid = row.try_get(0)?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/investments/{id}")).into_response())
}
