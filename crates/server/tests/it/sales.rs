//! A property on sale, and purchases of it: rows that several tests need and do not care about.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::world::Person;

/// An active property with one launched token: 1,000 tokens at 10.00, 10,000.00 to be raised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sale {
    pub(crate) property: Uuid,
    pub(crate) token: Uuid,
}

impl Sale {
    /// `client` is a superuser's connection.
    pub(crate) async fn open(client: &Client) -> Sale {
        let sale = Sale {
            property: Uuid::now_v7(),
            token: Uuid::now_v7(),
        };
        client
            .execute(
                "insert into public.properties (id, title, city, is_active, price, price_per_token, funding_target, total_tokens)
                 values ($1, 'Villa', 'Dubai', true, 12000, 10, 10000, 1000)",
                &[&sale.property],
            )
            .await
            .unwrap();
        client
            .execute(
                "insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units,
                   initial_price_minor, current_price_minor, status)
                 values ($1, $2, 1000, 1000, 1000, 1000, 'launched')",
                &[&sale.token, &sale.property],
            )
            .await
            .unwrap();
        sale
    }

    /// A purchase in a state; `price_minor` is in cents.
    pub(crate) async fn bought(
        &self,
        client: &Client,
        buyer: &Person,
        tokens: i64,
        price_minor: i64,
        status: &str,
    ) -> Uuid {
        let row = client
            .query_one(
                "insert into public.investments (user_id, party_id, property_id, property_token_id, token_amount_units,
                   price_per_token_minor, total_amount_minor, fee_amount_minor, status, paid_at, confirmed_at)
                 select $1, p.party_id, $2, $3, $4, $5, $4::bigint * $5::bigint, 0, $6,
                   case when $6 in ('paid', 'confirmed', 'refund_due', 'refunded') then now() end,
                   case when $6 = 'confirmed' then now() end
                 from public.user_profiles as p where p.id = $1
                 returning id",
                &[&buyer.id, &self.property, &self.token, &tokens, &price_minor, &status],
            )
            .await
            .unwrap();
        row.get(0)
    }
}
