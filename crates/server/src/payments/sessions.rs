//! Checkout: `create-investment-payment` reserves and answers where to pay; `verify-investment-payment` answers whether that
//! has happened.

use mint_core::{book::Book, refusal::Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::{rail::SANDBOX, sandbox};
use crate::{
    command::Command,
    db::sql,
    investments::{
        self,
        ordering::{CreateInvestment, InvestmentId},
    },
    offerings::{Offering, record::amount},
    permission::Person,
    problem::Problem,
};

/// Where to pay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPage {
    url: String,
    session_id: Uuid,
    investment: Value,
}

/// Reserves tokens and opens a checkout session for the charge. `amount` in the body is a wish and never believed.
///
/// # Errors
/// The rule that says no.
pub async fn create(command: &Command, person: &Person, body: CreateInvestment) -> Result<PaymentPage, Problem> {
    let id = investments::ordering::order(command, person, body).await?;
    pay(command, person, InvestmentId { investment_id: id }).await
}

/// Opens a checkout session for a reservation of the caller, or answers with the one that is open.
///
/// # Errors
/// `investment.status` when it is not pending; `offering.live` when the rail is the sandbox and the money would be real.
pub async fn pay(command: &Command, person: &Person, body: InvestmentId) -> Result<PaymentPage, Problem> {
    let text = sql!(
        "select offering_id, status, due_at, total_amount_minor + fee_amount_minor, payment_currency, currency_decimals
         from public.investments where id = $1 and user_id = $2 for no key update"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.investment_id, &person.user_id()])
        .await?
        .ok_or(Problem::NotFound)?;
    let offering_id: Option<Uuid> = row.try_get(0)?;
    let offering = Offering::load(command, offering_id.ok_or(Problem::NotFound)?).await?;
    let (status, due_at): (String, Option<chrono::DateTime<chrono::Utc>>) = (row.try_get(1)?, row.try_get(2)?);
    let Some(due_at) = due_at.filter(|due_at| status == "pending" && command.now < *due_at) else {
        return Err(Refusal::new(
            "investment.status",
            "this reservation can no longer be paid",
            "reserve again",
        )
        .looking_at("status", status)
        .into());
    };
    if offering.is_live {
        return Err(Refusal::new(
            "offering.live",
            "this offering takes real money, and the only rail here is the sandbox",
            "ask the operator to connect a payment provider",
        )
        .into());
    }
    let text = sql!(
        "select id, url from public.payment_sessions where investment_id = $1 and status = 'open' order by created_at limit 1"
    );
    let open = command.tx.query_opt(text, &[&body.investment_id]).await?;
    let (session_id, url) = if let Some(open) = open {
        (open.try_get(0)?, open.try_get(1)?)
    } else {
        let charge = amount(row.try_get(3)?)?;
        let book: Book = offering.book();
        let description = format!(
            "Investment {} for {}",
            body.investment_id,
            offering.currency.show(charge)
        );
        let session_id = Uuid::now_v7();
        let opened = sandbox::open_session(command, session_id, charge, &book, &description).await?;
        let text = sql!(
            "insert into public.payment_sessions (id, investment_id, user_id, rail, provider_ref, url, currency, currency_decimals,
               amount_minor, due_at, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &session_id,
            &body.investment_id,
            &person.user_id(),
            &SANDBOX,
            &opened.provider_ref,
            &opened.path,
            &row.try_get::<_, String>(4)?,
            &row.try_get::<_, i16>(5)?,
            &charge.get(),
            &due_at,
            &command.now,
        ];
        command.tx.execute(text, params).await?;
        (session_id, opened.path)
    };
    Ok(PaymentPage {
        url: format!("{}{url}", command.public_url),
        session_id,
        investment: investments::row(command, body.investment_id).await?,
    })
}

/// A checkout session to look at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyPayment {
    session_id: Uuid,
}

/// Whether it was paid.
#[derive(Debug, Serialize)]
pub struct Verified {
    success: bool,
    investment: Option<PaidInvestment>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PaidInvestment {
    id: Uuid,
    status: String,
    property_id: Uuid,
    token_amount: Number,
    investment_amount: Number,
    platform_fee: Number,
    total_amount: Number,
    currency: String,
}

/// Whether the caller's checkout session was paid, and what it paid. Changes nothing: the rail's message does.
///
/// # Errors
/// [`Problem::NotFound`] when the session is not the caller's.
pub async fn verify(command: &Command, person: &Person, body: VerifyPayment) -> Result<Verified, Problem> {
    let text = sql!(
        "select i.id, i.status, i.property_id, i.token_amount::text, i.total_amount::text, i.fee_amount::text, i.charge_amount::text,
                i.payment_currency
         from public.payment_sessions as s join public.investments as i on i.id = s.investment_id
         where s.id = $1 and s.user_id = $2"
    );
    let row = command
        .tx
        .query_opt(text, &[&body.session_id, &person.user_id()])
        .await?
        .ok_or(Problem::NotFound)?;
    let status: String = row.try_get(1)?;
    let number = |at: usize| -> Result<Number, Problem> {
        row.try_get::<_, String>(at)?
            .parse::<Number>()
            .map_err(Problem::internal)
    };
    let success = status == "paid" || status == "confirmed";
    let error = (!success).then(|| match status.as_str() {
        "pending" => "the payment has not arrived yet".to_owned(),
        _ => format!("the investment is {status}"),
    });
    Ok(Verified {
        success,
        investment: Some(PaidInvestment {
            id: row.try_get(0)?,
            property_id: row.try_get(2)?,
            token_amount: number(3)?,
            investment_amount: number(4)?,
            platform_fee: number(5)?,
            total_amount: number(6)?,
            currency: row.try_get(7)?,
            status,
        }),
        error,
    })
}
