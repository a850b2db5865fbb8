//! Monthly figures of the Dubai Land Department: medians of a market, never properties.

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
        column("month", Kind::Month),
        column("area", Kind::Text(200)),
        column("property_type", Kind::OneOf(&["Land", "Unit", "Building", "ALL"])),
        column("transactions", Kind::Whole(1, 1_000_000_000)),
        column("median_price_aed", Kind::Amount("AED", Decimals::CENTS)),
        column("median_aed_per_sqft", Kind::Amount("AED", Decimals::CENTS)),
        column("offplan_share", Kind::Decimal(0, 1, 6)),
        column("ready_share", Kind::Decimal(0, 1, 6)),
    ],
    stage: sql!(
        "create temporary table dubai_sales (
           line bigint not null, month date not null, area text not null, property_type text not null,
           transactions bigint not null, median_price_minor bigint not null, median_per_sqft_minor bigint not null,
           offplan_share numeric not null, ready_share numeric not null) on commit drop"
    ),
    copy: sql!("copy pg_temp.dubai_sales from stdin"),
    analyze: sql!("analyze pg_temp.dubai_sales"),
    checks: &[Check {
        column: "property_type",
        expected: "each month, area and property_type once",
        sql: sql!(
            "select max(s.line), format('%s of %s in %s, which line %s has too',
                                        s.property_type, to_json(s.area), to_char(s.month, 'YYYY-MM'), min(s.line))
             from pg_temp.dubai_sales as s
             group by s.month, s.area, s.property_type having count(*) > 1
             order by 1 limit 1"
        ),
    }],
};

/// The attribution that the licence asks for, with every row.
const SOURCE: &str = "dubai-dld-monthly-stats by UAE Property (https://uaeproperty.vip), based on Dubai Land Department \
                      open data; Dubai Land Department / Dubai Government; CC BY 4.0";

const CORRECT: &str = sql!(
    "update public.market_statistics as m
     set transactions = s.transactions, median_price_minor = s.median_price_minor,
         median_per_sqft_minor = s.median_per_sqft_minor, offplan_share = s.offplan_share, ready_share = s.ready_share,
         source = $1
     from pg_temp.dubai_sales as s
     where m.market = 'Dubai' and m.month = s.month and m.area = s.area and m.property_type = s.property_type
       and (m.transactions, m.median_price_minor, m.median_per_sqft_minor, m.offplan_share, m.ready_share, m.source)
         is distinct from
           (s.transactions, s.median_price_minor, s.median_per_sqft_minor, s.offplan_share, s.ready_share, $1)"
);

const ADD: &str = sql!(
    "insert into public.market_statistics (market, month, area, property_type, transactions, currency, currency_decimals,
       median_price_minor, median_per_sqft_minor, offplan_share, ready_share, source)
     select 'Dubai', s.month, s.area, s.property_type, s.transactions, 'AED', 2,
            s.median_price_minor, s.median_per_sqft_minor, s.offplan_share, s.ready_share, $1
     from pg_temp.dubai_sales as s
     where not exists (
       select from public.market_statistics as m
       where m.market = 'Dubai' and m.month = s.month and m.area = s.area and m.property_type = s.property_type)"
);

pub(super) async fn write(tx: &Tx, rows: u64) -> Result<Loaded, tokio_postgres::Error> {
    let changed = tx.execute(CORRECT, &[&SOURCE]).await?;
    let added = tx.execute(ADD, &[&SOURCE]).await?;
    // The rows of ALL are the others' sums: added together, each sale would count three times.
    let total = tx
        .query_one(
            sql!(
                "select format('%s sales in %s areas of Dubai from %s to %s',
                               sum(m.transactions) filter (where m.area = 'ALL' and m.property_type = 'ALL'),
                               count(distinct m.area) filter (where m.area <> 'ALL'),
                               to_char(min(m.month), 'YYYY-MM'), to_char(max(m.month), 'YYYY-MM'))
                 from public.market_statistics as m where m.market = 'Dubai'"
            ),
            &[],
        )
        .await?
        .get(0);
    Ok(Loaded {
        rows,
        tables: vec![written("market_statistics", rows, changed, added)],
        totals: vec![total],
    })
}
