//! The one row that every statement gives.

use super::Statement;
use crate::{media::MediaType, plan::Shape};

/// Everything after the total: `source` says where the rows of the body come from, `pgrst_source` unless said
/// otherwise.
pub(super) fn rest(sql: &mut Statement, shape: &Shape, source: Option<&str>, is_head: bool) {
    let source = source.unwrap_or("pgrst_source");
    sql.push("count(*) AS \"rows\", ");
    if is_head {
        sql.push("NULL::text");
    } else {
        sql.push(&body(shape, source));
    }
    sql.push(" AS \"body\", ");
    functions_wishes(sql);
    sql.push(", NULL::text AS \"location\", NULL::bigint AS \"inserted\" FROM (SELECT * FROM ");
    sql.push(source);
    sql.push(") AS pgrst_rows");
}

/// Headers and status that functions may have set.
pub(super) fn functions_wishes(sql: &mut Statement) {
    sql.push(
        "nullif(current_setting('response.headers', true), '') AS \"headers\", \
         nullif(current_setting('response.status', true), '') AS \"status\"",
    );
}

/// An aggregate over `pgrst_rows`, which are the rows of `source`.
pub(super) fn body(shape: &Shape, source: &str) -> String {
    if let Some((aggregate, relation)) = &shape.aggregate {
        let row = match relation {
            Some(relation) => format!("pgrst_rows::{}", relation.quoted()),
            None => "pgrst_rows.*".to_owned(),
        };
        return format!("{}({row})", aggregate.quoted());
    }
    let row = |stripped: bool| {
        if stripped {
            "json_strip_nulls(row_to_json(pgrst_rows.*))"
        } else {
            "pgrst_rows.*"
        }
    };
    match (&shape.media, shape.is_single_value) {
        (MediaType::Csv, _) => csv(source),
        (MediaType::GeoJson, _) => GEO_JSON.to_owned(),
        (MediaType::ArrayStripped, false) => format!("coalesce(json_agg({}), '[]')", row(true)),
        (MediaType::Object { stripped }, _) => format!("coalesce(json_agg({})->0, 'null')", row(*stripped)),
        (MediaType::ArrayStripped, true) => format!("coalesce(json_agg({})->0, 'null')", row(true)),
        (_, true) => format!("coalesce(json_agg({})->0, 'null')", row(false)),
        (_, false) => format!("coalesce(json_agg({}), '[]')", row(false)),
    }
}

/// PostGIS makes a feature of each row that has a geometry.
const GEO_JSON: &str = "json_build_object('type', 'FeatureCollection', 'features', \
                        coalesce(json_agg(ST_AsGeoJSON(pgrst_rows)::json), '[]'))";

/// Names of the first row, then every row as PostgreSQL writes rows, without its brackets.
fn csv(source: &str) -> String {
    format!(
        "(SELECT coalesce(string_agg(pgrst_key, ','), '') FROM json_object_keys((SELECT row_to_json(pgrst_first.*) \
         FROM (SELECT * FROM {source} LIMIT 1) AS pgrst_first)) AS pgrst_key) || E'\\n' || \
         coalesce(string_agg(substr(pgrst_rows::text, 2, length(pgrst_rows::text) - 2), E'\\n'), '')"
    )
}
