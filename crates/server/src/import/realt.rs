//! A public list of tokenized houses: tokens that others issued, as history.
//!
//! A token is known by its contract, since symbols repeat. A token that was migrated (`OLD-` before its name) and its
//! successor stand for one house, so they share its property. The properties are neither listed nor offered, and a
//! constraint keeps it so.

use chrono::NaiveDate;
use mint_core::money::Decimals;

use super::{
    Loaded,
    field::{Column, Kind},
    load::{Check, Layout, written},
};
use crate::db::{Tx, sql};

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

pub(super) static LAYOUT: Layout = Layout {
    columns: &[
        column("contract", Kind::Address),
        column("symbol", Kind::Text(100)),
        column("name", Kind::Text(200)),
        column("city", Kind::Text(200)),
        column("state", Kind::Text(200)),
        column("country", Kind::Text(200)),
        column("lat", Kind::Decimal(-90, 90, 15)),
        column("lng", Kind::Decimal(-180, 180, 15)),
        column("supply", Kind::Whole(1, 1_000_000_000)),
        column("token_price_usd", Kind::Amount("USD", Decimals::CENTS)),
        column("total_value_usd", Kind::Amount("USD", Decimals::CENTS)),
        column("net_rent_year_per_token_usd", Kind::Decimal(0, 1_000_000, 15)),
        column("net_rent_year_usd", Kind::Amount("USD", Decimals::CENTS)),
        column("stated_apr_pct", Kind::Decimal(0, 1_000, 6)),
        column("chain_eth", Kind::AddressOrNothing),
        column("chain_gnosis", Kind::AddressOrNothing),
        column("venues", Kind::Whole(0, 1_000)),
        column("migrated_old", Kind::Flag),
    ],
    stage: sql!(
        "create temporary table realt_tokens (
           line bigint not null, contract text not null, symbol text not null, name text not null, city text not null,
           state text not null, country text not null, lat numeric not null, lng numeric not null, supply bigint not null,
           token_price_minor bigint not null, total_value_minor bigint not null, net_rent_year_per_token numeric not null,
           net_rent_year_minor bigint not null, stated_apr_percent numeric not null, chain_eth text, chain_gnosis text,
           venues integer not null, is_migrated boolean not null,
           house text generated always as (regexp_replace(name, '^OLD-', '')) stored,
           chain_id bigint generated always as (case when lower(contract) = lower(chain_eth) then 1 else 100 end) stored)
         on commit drop"
    ),
    copy: sql!(
        "copy pg_temp.realt_tokens (line, contract, symbol, name, city, state, country, lat, lng, supply, token_price_minor,
           total_value_minor, net_rent_year_per_token, net_rent_year_minor, stated_apr_percent, chain_eth, chain_gnosis,
           venues, is_migrated) from stdin"
    ),
    analyze: sql!("analyze pg_temp.realt_tokens"),
    checks: &[
        Check {
            column: "contract",
            expected: "each contract once",
            sql: sql!(
                "select max(s.line), format('%s, which line %s has too', to_json(min(s.contract)), min(s.line))
                 from pg_temp.realt_tokens as s
                 group by lower(s.contract) having count(*) > 1
                 order by 1 limit 1"
            ),
        },
        Check {
            column: "contract",
            expected: "the address in chain_eth or in chain_gnosis",
            sql: sql!(
                "select s.line, to_json(s.contract)::text
                 from pg_temp.realt_tokens as s
                 where lower(s.contract) not in (coalesce(lower(s.chain_eth), ''), coalesce(lower(s.chain_gnosis), ''))
                 order by s.line limit 1"
            ),
        },
        Check {
            column: "total_value_usd",
            expected: "supply times token_price_usd",
            sql: sql!(
                "select s.line, nexus.from_minor(s.total_value_minor, 2)::text
                 from pg_temp.realt_tokens as s
                 where s.total_value_minor <> s.supply::numeric * s.token_price_minor
                 order by s.line limit 1"
            ),
        },
    ],
};

const SOURCE: &str = "community list of tokenized houses";

/// A house is added with the first of its tokens. The successor says better than a migrated token where it is.
const ADD_PROPERTIES: &str = sql!(
    "insert into public.properties (title, description, location, address, city, state_province, country, postal_code,
       coordinates, is_active, origin, origin_key)
     select s.house,
            'Imported history, not an offer: a house whose tokens somebody else issued, as a public list described it.',
            s.city || ', ' || s.state, split_part(s.house, ', ', 1), s.city, s.state, s.country,
            substring(s.house from '[0-9]{5}$'), jsonb_build_object('lat', s.lat, 'lng', s.lng),
            false, 'import', 'realt:' || s.house
     from (select distinct on (n.house) n.* from pg_temp.realt_tokens as n order by n.house, n.is_migrated, n.line) as s
     where not exists (select from public.properties as p where p.origin_key = 'realt:' || s.house)
       and not exists (
         select from public.foreign_tokens as t
         where t.chain_id = s.chain_id and lower(t.contract_address) = lower(s.contract))"
);

/// A list that is older than what is there corrects nothing.
const CORRECT_TOKENS: &str = sql!(
    "update public.foreign_tokens as t
     set name = s.name, symbol = s.symbol, supply = s.supply, token_price_minor = s.token_price_minor,
         net_rent_year_minor = s.net_rent_year_minor, stated_net_rent_year_per_token = s.net_rent_year_per_token,
         stated_apr_percent = s.stated_apr_percent, venues = s.venues, is_migrated = s.is_migrated, snapshot_on = $1
     from pg_temp.realt_tokens as s
     where t.chain_id = s.chain_id and lower(t.contract_address) = lower(s.contract) and t.snapshot_on <= $1
       and (t.name, t.symbol, t.supply, t.token_price_minor, t.net_rent_year_minor, t.stated_net_rent_year_per_token,
            t.stated_apr_percent, t.venues, t.is_migrated, t.snapshot_on)
         is distinct from
           (s.name, s.symbol, s.supply, s.token_price_minor, s.net_rent_year_minor, s.net_rent_year_per_token,
            s.stated_apr_percent, s.venues, s.is_migrated, $1)"
);

const ADD_TOKENS: &str = sql!(
    "insert into public.foreign_tokens (property_id, name, symbol, chain_id, contract_address, bridged_chain_id,
       bridged_address, supply, token_price_minor, net_rent_year_minor, stated_net_rent_year_per_token,
       stated_apr_percent, venues, is_migrated, snapshot_on, source)
     select p.id, s.name, s.symbol, s.chain_id, s.contract,
            case when s.chain_id = 1 and s.chain_gnosis is not null then 100
                 when s.chain_id = 100 and s.chain_eth is not null then 1 end,
            case s.chain_id when 1 then s.chain_gnosis else s.chain_eth end,
            s.supply, s.token_price_minor, s.net_rent_year_minor, s.net_rent_year_per_token, s.stated_apr_percent,
            s.venues, s.is_migrated, $1, $2
     from pg_temp.realt_tokens as s
     join public.properties as p on p.origin_key = 'realt:' || s.house
     where not exists (
       select from public.foreign_tokens as t
       where t.chain_id = s.chain_id and lower(t.contract_address) = lower(s.contract))"
);

const TOTALS: &str = sql!(
    "select format('%s tokens of %s houses: %s USD at the listed prices, %s USD net rent a year',
                   count(*), count(distinct t.property_id), sum(t.total_value), sum(t.net_rent_year)),
            format('without %s migrated: %s USD, %s USD net rent a year',
                   count(*) filter (where t.is_migrated), sum(t.total_value) filter (where not t.is_migrated),
                   sum(t.net_rent_year) filter (where not t.is_migrated))
     from public.foreign_tokens as t where t.source = $1"
);

pub(super) async fn write(tx: &Tx, rows: u64, as_of: NaiveDate) -> Result<Loaded, tokio_postgres::Error> {
    let houses: i64 = tx
        .query_one(
            sql!("select count(distinct s.house) from pg_temp.realt_tokens as s"),
            &[],
        )
        .await?
        .get(0);
    let houses_added = tx.execute(ADD_PROPERTIES, &[]).await?;
    let changed = tx.execute(CORRECT_TOKENS, &[&as_of]).await?;
    let added = tx.execute(ADD_TOKENS, &[&as_of, &SOURCE]).await?;
    let totals = tx.query_one(TOTALS, &[&SOURCE]).await?;
    Ok(Loaded {
        rows,
        tables: vec![
            written("properties", u64::try_from(houses).unwrap_or_default(), 0, houses_added),
            written("foreign_tokens", rows, changed, added),
        ],
        totals: vec![totals.get(0), totals.get(1)],
    })
}
