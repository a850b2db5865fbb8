//! Figures that somebody asks for: a person's own, and those of properties that are due.

use mint_core::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use uuid::Uuid;

use super::{CHANGES_MAX, deriving};
use crate::{
    command::Command,
    db::sql,
    permission::{Admin, Person},
    problem::Problem,
};

/// Whose figures; without a name the caller's.
#[derive(Debug, Deserialize)]
pub struct Calculate {
    user_id: Option<Uuid>,
}

/// The figures of a person.
#[derive(Debug, Serialize)]
pub struct Calculated {
    success: bool,
    data: Figures,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    user_id: Uuid,
    holdings: Vec<Holding>,
    invested: Vec<Amount>,
    income: Vec<Amount>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Holding {
    property_id: Uuid,
    title: String,
    tokens: Number,
    cost: Number,
    currency: String,
}

#[derive(Debug, Serialize)]
struct Amount {
    currency: String,
    amount: Number,
}

fn number(text: &str) -> Result<Number, Problem> {
    text.parse().map_err(Problem::internal)
}

/// What a person holds and what it cost, what was invested and confirmed, and what income was paid, after tax, each in its
/// currency: nothing is converted and nothing estimated.
///
/// # Errors
/// [`Problem::NotPermitted`] of somebody else's, unless an admin asks.
pub async fn calculate(command: &Command, person: &Person, body: Calculate) -> Result<Calculated, Problem> {
    let user_id = body.user_id.unwrap_or(person.user_id());
    if user_id != person.user_id() && !person.has(Role::Admin) {
        return Err(Problem::NotPermitted("admin".to_owned()));
    }
    let text = sql!(
        "select l.property_id, p.title, sum(l.token_amount)::text, sum(l.cost)::text, l.currency
         from public.lots as l join public.properties as p on p.id = l.property_id
         where l.user_id = $1 and l.units > 0
         group by l.property_id, p.title, l.currency order by p.title, l.property_id, l.currency"
    );
    let mut holdings = Vec::new();
    for row in command.tx.query(text, &[&user_id]).await? {
        holdings.push(Holding {
            property_id: row.try_get(0)?,
            title: row.try_get(1)?,
            tokens: number(row.try_get(2)?)?,
            cost: number(row.try_get(3)?)?,
            currency: row.try_get(4)?,
        });
    }
    let invested = sql!(
        "select i.payment_currency, sum(i.total_amount)::text from public.investments as i
         where i.user_id = $1 and i.status = 'confirmed' group by i.payment_currency order by i.payment_currency"
    );
    let income = sql!(
        "select d.currency, sum(nexus.from_minor(n.amount_minor - n.withheld_minor, d.currency_decimals))::text
         from public.distribution_lines as n join public.distributions as d on d.id = n.distribution_id
           join public.user_profiles as u on u.party_id = n.party_id
         where u.id = $1 and n.status = 'paid' group by d.currency order by d.currency"
    );
    let figures = Figures {
        user_id,
        holdings,
        invested: amounts(command, invested, user_id).await?,
        income: amounts(command, income, user_id).await?,
    };
    Ok(Calculated {
        success: true,
        data: figures,
    })
}

async fn amounts(command: &Command, text: &'static str, user_id: Uuid) -> Result<Vec<Amount>, Problem> {
    let mut amounts = Vec::new();
    for row in command.tx.query(text, &[&user_id]).await? {
        amounts.push(Amount {
            currency: row.try_get(0)?,
            amount: number(row.try_get(1)?)?,
        });
    }
    Ok(amounts)
}

/// Nothing to say.
#[derive(Debug, Deserialize)]
pub struct Sync {}

/// How many there were.
#[derive(Debug, Serialize)]
pub struct Synced {
    success: bool,
    properties_updated: usize,
}

/// Folds what changed and computes the figures of properties that are due, as the server does by itself every second.
///
/// # Errors
/// What the database answered.
pub async fn sync(command: &Command, _admin: &Admin, _body: Sync) -> Result<Synced, Problem> {
    let text = sql!("select nexus.fold_figures($1, $2)");
    command.tx.query_one(text, &[&CHANGES_MAX, &command.now]).await?;
    let properties_updated = deriving::derive_due(command).await?;
    Ok(Synced {
        success: true,
        properties_updated,
    })
}
