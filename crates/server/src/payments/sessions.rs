//! Checkout sessions: `create-investment-payment` reserves and answers where to pay (orders of it wait in a line:
//! [`batch`](crate::investments::batch)), `pay-investment` answers that of a reservation, `verify-investment-payment` answers
//! whether it has happened.

use chrono::{DateTime, Utc};
use mint_core::{money::Amount, refusal::Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::{rail::SANDBOX, sandbox};
use crate::{
    command::Command,
    db::sql,
    investments::{self, ordering::InvestmentId},
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

/// A session to be opened.
pub struct NewSession {
    /// Its id.
    pub id: Uuid,
    /// Who pays.
    pub user_id: Uuid,
    /// What is paid.
    pub investment_id: Uuid,
    /// How much: total and fee, in smallest units of the offering's currency.
    pub charge: Amount,
    /// Until when.
    pub due_at: DateTime<Utc>,
    /// What the payer reads.
    pub description: String,
}

impl NewSession {
    /// A session for the charge of an investment.
    #[must_use]
    pub fn of(offering: &Offering, investment_id: Uuid, user_id: Uuid, charge: Amount, due_at: DateTime<Utc>) -> Self {
        NewSession {
            id: Uuid::now_v7(),
            user_id,
            investment_id,
            charge,
            due_at,
            description: format!("Investment {investment_id} for {}", offering.currency.show(charge)),
        }
    }

    /// The address of the page on which it is paid.
    #[must_use]
    pub fn page(&self, command: &Command) -> String {
        format!("{}{}", command.public_url, sandbox::checkout_path(self.id))
    }
}

/// Whether an offering can be paid by a rail that is connected.
///
/// # Errors
/// `offering.live` when the rail is the sandbox and the money would be real.
pub fn check_rail(offering: &Offering) -> Result<(), Refusal> {
    if offering.is_live {
        return Err(Refusal::new(
            "offering.live",
            "this offering takes real money, and the only rail here is the sandbox",
            "ask the operator to connect a payment provider",
        ));
    }
    Ok(())
}

/// Our rows of sessions that the rail opens.
pub const OPEN: &str = sql!(
    "insert into public.payment_sessions (id, investment_id, user_id, rail, provider_ref, url, currency, currency_decimals,
       amount_minor, due_at, created_at)
     select n.id, n.investment_id, n.user_id, $1, n.ref, n.url, $2, $3, n.amount, n.due_at, $4
     from unnest($5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::bigint[], $11::timestamptz[]) with ordinality
       as n (id, investment_id, user_id, ref, url, amount, due_at, place) order by n.place"
);

/// Opens sessions of one offering, at the rail and here; none are none.
///
/// # Errors
/// What the database answered.
pub async fn open(command: &Command, offering: &Offering, sessions: &[NewSession]) -> Result<(), Problem> {
    if sessions.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = sessions.iter().map(|session| session.id).collect();
    let investments: Vec<Uuid> = sessions.iter().map(|session| session.investment_id).collect();
    let users: Vec<Uuid> = sessions.iter().map(|session| session.user_id).collect();
    let refs: Vec<String> = ids.iter().map(|id| sandbox::session_ref(*id)).collect();
    let paths: Vec<String> = ids.iter().map(|id| sandbox::checkout_path(*id)).collect();
    let amounts: Vec<i64> = sessions.iter().map(|session| session.charge.get()).collect();
    let due: Vec<DateTime<Utc>> = sessions.iter().map(|session| session.due_at).collect();
    let currency_decimals = i16::from(u8::from(offering.currency.decimals()));
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &SANDBOX,
        &offering.currency.code(),
        &currency_decimals,
        &command.now,
        &ids,
        &investments,
        &users,
        &refs,
        &paths,
        &amounts,
        &due,
    ];
    let book = offering.book();
    let here = async { Ok::<_, Problem>(command.tx.execute(OPEN, params).await?) };
    tokio::try_join!(biased; sandbox::open_sessions(command, &book, sessions), here)?;
    Ok(())
}

/// Opens a checkout session for a reservation of the caller, or answers with the one that is open.
///
/// # Errors
/// `investment.status` when it is not pending; what [`check_rail`] refuses.
pub async fn pay(command: &Command, person: &Person, body: InvestmentId) -> Result<PaymentPage, Problem> {
    page_of(command, person.user_id(), body.investment_id).await
}

/// The page on which a login pays its reservation: of the session that is open, or of a new one.
///
/// # Errors
/// As [`pay`].
pub async fn page_of(command: &Command, user_id: Uuid, investment_id: Uuid) -> Result<PaymentPage, Problem> {
    let text = sql!(
        "select offering_id, status, due_at, total_amount_minor + fee_amount_minor
         from public.investments where id = $1 and user_id = $2 for no key update"
    );
    let row = command
        .tx
        .query_opt(text, &[&investment_id, &user_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let offering_id: Option<Uuid> = row.try_get(0)?;
    let offering = Offering::load(command, offering_id.ok_or(Problem::NotFound)?).await?;
    let (status, due_at): (String, Option<DateTime<Utc>>) = (row.try_get(1)?, row.try_get(2)?);
    let Some(due_at) = due_at.filter(|due_at| status == "pending" && command.now < *due_at) else {
        return Err(Refusal::new(
            "investment.status",
            "this reservation can no longer be paid",
            "reserve again",
        )
        .looking_at("status", status)
        .into());
    };
    check_rail(&offering)?;
    let text = sql!(
        "select id, url from public.payment_sessions where investment_id = $1 and status = 'open' order by created_at limit 1"
    );
    let (session_id, url) = match command.tx.query_opt(text, &[&investment_id]).await? {
        Some(open) => (
            open.try_get(0)?,
            format!("{}{}", command.public_url, open.try_get::<_, &str>(1)?),
        ),
        None => {
            let session = NewSession::of(&offering, investment_id, user_id, amount(row.try_get(3)?)?, due_at);
            let url = session.page(command);
            let id = session.id;
            open(command, &offering, &[session]).await?;
            (id, url)
        }
    };
    Ok(PaymentPage {
        url,
        session_id,
        investment: investments::row(command, investment_id).await?,
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
