//! `/administration/money`: payments that arrived, what goes back, what is paid out, and tax that is owed to its office.

use axum::{
    extract::{Query, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        figures,
        listing::Sum,
        parts::{self, Paged},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

const PAYMENTS: &str = sql!(
    "select p.id, p.received_at, p.rail, p.provider_ref, p.amount_minor, p.currency, p.currency_decimals, p.matched_minor, p.unmatched_minor, p.returned_minor, p.settled_at, p.property_id
     from public.payments as p order by p.unmatched_minor > 0 desc, p.received_at desc, p.id limit $1 offset $2"
);

const REFUNDS: &str = sql!(
    "select r.id, r.created_at, r.amount_minor, r.currency, r.currency_decimals, r.reason, r.status, r.attempts, r.failure, r.retry_asked_by
     from public.refunds as r order by r.status = 'failed' desc, r.status = 'refunded', r.created_at desc limit 100"
);

const PAYOUTS: &str = sql!(
    "select o.id, o.created_at, o.amount_minor, o.currency, o.currency_decimals, '', o.status, o.attempts, o.failure, o.retry_asked_by
     from public.payouts as o where o.status <> 'confirmed' order by o.status = 'failed' desc, o.created_at desc limit 100"
);

/// Tax that was kept of what holders were paid, and was not remitted yet.
const WITHHELD: &str = sql!(
    "select p.id, p.title, b.balance, a.asset, s.decimals
     from ledger.accounts as a join ledger.balances as b on b.account_id = a.id join ledger.assets as s on s.code = a.asset
     join public.properties as p on p.id = a.property_id
     where a.purpose = 'withheld' and b.balance > 0 order by p.title, p.id limit 100"
);

/// Payments of one page.
const PAGE_SIZE: i64 = 50;

/// Which page of payments.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    page: String,
}

/// `GET /administration/money`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let reader = visit.one_of(&ADMINS)?.id;
    let tx = visit.reads(&app).await?;
    let page = parts::page_number(&wanted.page);
    let (most, offset) = Paged::asks_for(page, PAGE_SIZE);
    let payments = tx.query(PAYMENTS, &[&most, &offset]).await?;
    let refunds = tx.query(REFUNDS, &[]).await?;
    let payouts = tx.query(PAYOUTS, &[]).await?;
    let withheld = tx.query(WITHHELD, &[]).await?;
    tx.commit().await?;
    let payments = Paged::of(&payments, page, PAGE_SIZE);
    let content = html! {
        div.stack-large {
            section { h2 { (visit.t("money-refunds")) } (returns(&visit, &refunds, "retry-refund", "refundId", reader)?) }
            section { h2 { (visit.t("money-payouts")) } (returns(&visit, &payouts, "retry-payout", "payoutId", reader)?) }
            section { h2 { (visit.t("money-withheld")) } (tax(&visit, &withheld)?) }
            section #payments { h2 { (visit.t("money-payments")) } p.fine { (visit.t("money-payments-text")) } (payment_table(&visit, payments.rows())?)
                (payments.pager(&visit, |page| format!("/administration/money?page={page}#payments")))
            }
        }
    };
    Ok(section(
        &visit,
        "/administration/money",
        &visit.t("money-title"),
        content,
    ))
}

fn tax(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("money-withheld-none"),
            html! { p { (visit.t("money-withheld-none-text")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (id, title): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let sum = Sum::read(row, 2, 3, 4)?;
        let hidden = [("propertyId", id.to_string())];
        let field = |name: &str, label: &str, kind: &str| {
            html! {
                div.field {
                    label for={ (name) "-" (id) } { (visit.language.text(label)) }
                    input id={ (name) "-" (id) } name=(name) type=(kind) required maxlength="200" inputmode=[(name == "amount").then_some("decimal")];
                }
            }
        };
        let fields = html! { div.form-grid { (field("amount", "column-amount", "text")) (field("bankReference", "act-field-bank-reference", "text")) (field("bookedOn", "cases-booked", "date")) } };
        let remit = Act {
            function: "remit-tax",
            hidden: &hidden,
            fields,
            class: "button",
            label: visit.t("money-remit").into_owned(),
        };
        let about = html! { a href={ "/properties/" (id) } { bdi { (title) } } };
        let actions = act::folded(&visit.t("money-remit"), remit.show(visit));
        lines.push(act::state_line(
            visit,
            html! { @if let Some(sum) = sum { (sum.show()) } },
            "due",
            about,
            actions,
        ));
    }
    Ok(html! { ul.notices { @for line in lines { (line) } } })
}

fn payment_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("money-none"),
            html! { p { (visit.t("money-none-text")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (rail, reference): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let settled: Option<DateTime<Utc>> = row.try_get(10)?;
        let (id, property): (Uuid, Option<Uuid>) = (row.try_get(0)?, row.try_get(11)?);
        let waits = row.try_get::<_, i64>(8)? > 0;
        let sum = |at: usize| -> Result<Markup, Problem> {
            Ok(html! { @if let Some(sum) = Sum::read(row, at, 5, 6)? { (sum.show()) } })
        };
        lines.push(html! {
            tr {
                td { (figures::instant(row.try_get(1)?, visit.language)) }
                td { (rail) " " code { (reference) } }
                td.number { (sum(4)?) }
                td.number { (sum(7)?) }
                td.number { (sum(8)?) @if waits { (send_back(visit, id, property)) } }
                td.number { (sum(9)?) }
                td { @if let Some(at) = settled { (figures::date(at, visit.language)) } @else { (visit.t("money-not-settled")) } }
            }
        });
    }
    Ok(parts::table(
        &visit.t("money-payments"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("money-received")) } th scope="col" { (visit.t("money-rail")) } th.number scope="col" { (visit.t("column-amount")) }
                th.number scope="col" { (visit.t("money-matched")) } th.number scope="col" { (visit.t("money-unmatched")) } th.number scope="col" { (visit.t("money-returned")) }
                th scope="col" { (visit.t("money-settled")) }
            } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

/// What fits nothing goes back. Where nobody knows yet whose account it came to, the property is named.
fn send_back(visit: &Visit, id: Uuid, property: Option<Uuid>) -> Markup {
    let hidden = [("paymentId", id.to_string())];
    let fields = match property {
        Some(property) => html! { input type="hidden" name="propertyId" value=(property); },
        None => html! {
            div.field {
                label for={ "property-" (id) } { (visit.t("cases-property-id")) }
                input id={ "property-" (id) } name="propertyId" required maxlength="36";
            }
        },
    };
    let act = Act {
        function: "return-payment",
        hidden: &hidden,
        fields,
        class: "button secondary small",
        label: visit.t("money-send-back").into_owned(),
    };
    act::folded(&visit.t("money-send-back"), act.show(visit))
}

fn returns(
    visit: &Visit,
    rows: &[Row],
    function: &'static str,
    field: &'static str,
    reader: Uuid,
) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("money-nothing"),
            html! { p { (visit.t("money-nothing-text")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (id, reason, status): (Uuid, String, String) = (row.try_get(0)?, row.try_get(5)?, row.try_get(6)?);
        let failure: Option<String> = row.try_get(8)?;
        let asked: Option<Uuid> = row.try_get(9)?;
        let sum = Sum::read(row, 2, 3, 4)?;
        let hidden = [(field, id.to_string())];
        lines.push(html! {
            tr {
                td { (figures::instant(row.try_get(1)?, visit.language)) }
                td.number { @if let Some(sum) = sum { (sum.show()) } }
                td { (visit.word("refund", &reason)) @if let Some(failure) = failure { " " q lang="en" { (failure) } } }
                td { (parts::state(visit, &status)) }
                td {
                    @if status == "failed" {
                        @if asked == Some(reader) { span.fine { (visit.t("cases-yours")) } }
                        @else { (Act { function, hidden: &hidden, fields: html! {}, class: "button secondary small", label: visit.t("money-retry").into_owned() }.show(visit)) }
                    }
                }
            }
        });
    }
    Ok(parts::table(
        &visit.t("money-refunds"),
        html! {
            thead { tr { th scope="col" { (visit.t("column-date")) } th.number scope="col" { (visit.t("column-amount")) } th scope="col" { (visit.t("money-why")) } th scope="col" { (visit.t("column-state")) } th scope="col" { (visit.t("people-change")) } } }
            tbody { @for line in lines { (line) } }
        },
    ))
}
