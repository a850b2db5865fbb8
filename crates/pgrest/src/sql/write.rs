//! INSERT, UPDATE, DELETE, and the read of what they gave back.

use super::{Statement, field, node, statement};
use crate::{
    body::Rows,
    name::quoted,
    plan::{
        Shape,
        write::{Change, Insert, WritePlan},
    },
    preferences::{Resolution, Return},
    schema::{Column, Schema},
};

/// A write.
pub(crate) fn write(schema: &Schema, plan: &WritePlan<'_>, shape: &Shape) -> Statement {
    let mut sql = Statement::default();
    sql.push("WITH pgrst_source AS (");
    let counts_new = match &plan.change {
        Change::Insert(insert) => {
            add(&mut sql, schema, plan, insert);
            matches!(insert.conflict, Some((Resolution::Merge, _))) && !plan.relation.is_view
        }
        Change::Update {
            rows,
            columns,
            defaults,
            conditions,
        } => {
            if columns.is_empty() {
                sql.push("SELECT ");
                returned(&mut sql, plan);
                sql.push(" FROM ");
                sql.push(&plan.relation.id.quoted());
                sql.push(" WHERE false");
            } else {
                sql.push("UPDATE ");
                sql.push(&plan.relation.id.quoted());
                sql.push(" SET ");
                sql.joined(columns, ", ", |sql, column| {
                    sql.name(&column.name);
                    sql.push(" = ");
                    value(sql, schema, column);
                });
                sql.push(" FROM (SELECT * FROM ");
                payload(&mut sql, schema, rows, columns, *defaults, "pgrst_set");
                sql.push(" LIMIT 1) AS pgrst_body");
                node::write_conditions(&mut sql, schema, plan.relation, conditions, " WHERE ");
                sql.push(" RETURNING ");
                returned(&mut sql, plan);
            }
            false
        }
        Change::Delete { conditions } => {
            sql.push("DELETE FROM ");
            sql.push(&plan.relation.id.quoted());
            node::write_conditions(&mut sql, schema, plan.relation, conditions, " WHERE ");
            sql.push(" RETURNING ");
            returned(&mut sql, plan);
            false
        }
    };
    if counts_new {
        sql.push(", (xmax = 0) AS pgrst_inserted");
    }
    sql.push(")");
    if let Some(tree) = &plan.tree {
        sql.push(", pgrst_answer AS (");
        node::select(&mut sql, schema, tree, None, node::Mode::Full);
        sql.push(")");
    }
    sql.push(" SELECT NULL::bigint AS \"total\", (SELECT count(*) FROM pgrst_source) AS \"rows\", ");
    if plan.tree.is_some() {
        sql.push(&statement::body(shape, "pgrst_answer"));
    } else {
        sql.push("''::text");
    }
    sql.push(" AS \"body\", ");
    statement::functions_wishes(&mut sql);
    sql.push(", ");
    location(&mut sql, plan);
    sql.push(" AS \"location\", ");
    if counts_new {
        sql.push("(SELECT count(*) FROM pgrst_source WHERE pgrst_inserted)");
    } else {
        sql.push("NULL::bigint");
    }
    sql.push(" AS \"inserted\"");
    if plan.tree.is_some() {
        sql.push(" FROM (SELECT * FROM pgrst_answer) AS pgrst_rows");
    }
    sql
}

/// The key of the row that was added, as JSON, if it was one.
fn location(sql: &mut Statement, plan: &WritePlan<'_>) {
    if plan.returns != Return::HeadersOnly || plan.relation.key.is_empty() {
        sql.push("NULL::text");
        return;
    }
    sql.push("(SELECT (json_agg(json_build_array(");
    sql.joined(&plan.relation.key, ", ", |sql, name| {
        sql.name(name);
        sql.push("::text");
    });
    sql.push("))->0)::text FROM pgrst_source HAVING count(*) = 1)");
}

fn returned(sql: &mut Statement, plan: &WritePlan<'_>) {
    let relation = plan.relation;
    let alias = quoted(&relation.id.name);
    let mut items: Vec<String> = Vec::new();
    if plan.returning.all {
        items.push(format!("{alias}.*"));
    }
    for name in &plan.returning.names {
        if !plan.returning.all || relation.column(name).is_none() {
            items.push(format!("{alias}.{}", quoted(name)));
        }
    }
    if items.is_empty() {
        items.push("1".to_owned());
    }
    sql.push(&items.join(", "));
}

fn add(sql: &mut Statement, schema: &Schema, plan: &WritePlan<'_>, insert: &Insert<'_>) {
    let is_default = insert.columns.is_empty() && insert.rows.count == 1 && !insert.rows.is_array;
    sql.push("INSERT INTO ");
    sql.push(&plan.relation.id.quoted());
    if is_default {
        sql.push(" DEFAULT VALUES");
    } else if insert.columns.is_empty() {
        nothing(sql, plan, insert);
    } else {
        sql.push("(");
        sql.joined(&insert.columns, ", ", |sql, column| sql.name(&column.name));
        sql.push(") SELECT ");
        sql.joined(&insert.columns, ", ", |sql, column| value(sql, schema, column));
        sql.push(" FROM ");
        payload(sql, schema, insert.rows, &insert.columns, insert.defaults, "pgrst_body");
        for (at, (name, text)) in insert.only.iter().enumerate() {
            sql.push(if at == 0 { " WHERE " } else { " AND " });
            let column = Column::default();
            let known = plan.relation.column(name).unwrap_or(&column);
            value(sql, schema, known);
            sql.push(" = ");
            sql.bind(text);
        }
    }
    if let Some((resolution, key)) = &insert.conflict {
        sql.push(" ON CONFLICT(");
        sql.joined(key, ", ", |sql, name| sql.name(name));
        sql.push(")");
        if *resolution == Resolution::Ignore || insert.columns.is_empty() {
            sql.push(" DO NOTHING");
        } else {
            sql.push(" DO UPDATE SET ");
            sql.joined(&insert.columns, ", ", |sql, column| {
                sql.name(&column.name);
                sql.push(" = EXCLUDED.");
                sql.name(&column.name);
            });
        }
    }
    sql.push(" RETURNING ");
    returned(sql, plan);
}

/// No columns are named: as many rows of nulls as the array has empty objects, or none. A relation without columns
/// has none to name.
fn nothing(sql: &mut Statement, plan: &WritePlan<'_>, insert: &Insert<'_>) {
    match plan.relation.columns.first() {
        Some(column) if insert.rows.count > 0 => {
            // Every row is made of defaults, which only VALUES can say.
            sql.push("(");
            sql.name(&column.name);
            sql.push(") VALUES ");
            sql.joined(0..insert.rows.count, ", ", |sql, _| sql.push("(DEFAULT)"));
        }
        Some(column) => {
            sql.push("(");
            sql.name(&column.name);
            sql.push(") SELECT NULL WHERE false");
        }
        None => sql.push(" DEFAULT VALUES"),
    }
}

/// A column of the body as its type.
fn value(sql: &mut Statement, schema: &Schema, column: &Column) {
    let place = format!("pgrst_body.{}", quoted(&column.name));
    match schema.representation("json", &column.type_name) {
        Some(function) => sql.push(&format!("{}({place})", function.quoted())),
        None => sql.push(&place),
    }
}

/// The body as a set of rows, with the name and the columns that FROM has to give it.
fn payload(sql: &mut Statement, schema: &Schema, rows: &Rows, columns: &[&Column], defaults: bool, alias: &str) {
    let with_default: Vec<(&Column, &String)> = columns
        .iter()
        .filter_map(|column| Some((*column, column.default.as_ref()?)))
        .filter(|_| defaults)
        .collect();
    let set = if rows.is_array { "recordset" } else { "record" };
    if with_default.is_empty() {
        sql.push(&format!("json_to_{set}("));
        sql.bind(&rows.json);
        sql.push("::json)");
    } else {
        sql.push(&format!("jsonb_to_{set}("));
        if rows.is_array {
            sql.push("(SELECT coalesce(jsonb_agg(");
        }
        sql.push("jsonb_build_object(");
        sql.joined(&with_default, ", ", |sql, (column, default)| {
            sql.push(&crate::name::literal(&column.name));
            sql.push(", ");
            sql.push(default);
        });
        sql.push(") || ");
        if rows.is_array {
            sql.push("pgrst_row), '[]') FROM jsonb_array_elements(");
            sql.bind(&rows.json);
            sql.push("::jsonb) AS pgrst_row))");
        } else {
            sql.bind(&rows.json);
            sql.push("::jsonb)");
        }
    }
    sql.push(" AS ");
    sql.push(alias);
    sql.push("(");
    sql.joined(columns, ", ", |sql, column| {
        sql.name(&column.name);
        sql.push(" ");
        if schema.representation("json", &column.type_name).is_some() {
            sql.push("json");
        } else {
            sql.push(&field::declarable(&column.type_name));
        }
    });
    sql.push(")");
}
