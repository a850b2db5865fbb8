//! Calls of functions.

use super::{Statement, field, node, statement};
use crate::{
    name::quoted,
    plan::{
        Shape,
        call::{CallPlan, Value, Values},
    },
    schema::{Parameter, Returns, Schema},
};

/// A call. With `counts`, all its rows are counted beside those of the page.
pub(crate) fn call(schema: &Schema, plan: &CallPlan<'_>, shape: &Shape, counts: bool) -> Statement {
    match &plan.tree {
        Some(tree) => {
            let mut sql = Statement::default();
            let mut inner = Statement::default();
            invocation(&mut inner, plan);
            sql.binds.clone_from(&inner.binds);
            sql.push("WITH ");
            if counts {
                // Both the page and its total are read from one call.
                sql.push("pgrst_call AS MATERIALIZED (SELECT * FROM ");
                sql.push(&inner.text);
                sql.push("), ");
            }
            sql.push("pgrst_source AS (");
            node::select_from(
                &mut sql,
                schema,
                tree,
                None,
                node::Mode::Full,
                (!counts).then_some(&inner),
            );
            sql.push(") SELECT ");
            if counts {
                sql.push("(SELECT count(*) FROM (");
                node::count(&mut sql, schema, tree, None);
                sql.push(") AS pgrst_all)");
            } else {
                sql.push("NULL::bigint");
            }
            sql.push(" AS \"total\", ");
            statement::rest(&mut sql, shape, None, false);
            sql
        }
        None => value(plan, shape, counts),
    }
}

/// A call that gives values.
fn value(plan: &CallPlan<'_>, shape: &Shape, counts: bool) -> Statement {
    let mut sql = Statement::default();
    let routine = plan.routine;
    sql.push("WITH pgrst_source AS MATERIALIZED (SELECT ");
    // PostgreSQL takes no set of rows whose columns it does not know from FROM.
    let is_record = matches!(&routine.returns, Returns::Scalar(name) if name.name == "record");
    if routine.is_set && !is_record {
        sql.push("pgrst_scalar FROM ");
        invocation(&mut sql, plan);
        sql.push(" AS pgrst_scalar");
    } else {
        invocation(&mut sql, plan);
        sql.push(" AS pgrst_scalar");
    }
    sql.push(") SELECT ");
    sql.push(if counts {
        "(SELECT count(*) FROM pgrst_source)"
    } else {
        "NULL::bigint"
    });
    sql.push(" AS \"total\", count(*) AS \"rows\", ");
    let body = match (shape.is_raw, &routine.returns, routine.is_set) {
        (true, _, false) => "(array_agg(pgrst_scalar))[1]".to_owned(),
        (true, _, true) => "string_agg(pgrst_scalar, '')".to_owned(),
        (false, Returns::Void, false) => "''::text".to_owned(),
        (false, _, is_set) => scalars(shape, is_set),
    };
    sql.push(&body);
    sql.push(" AS \"body\", ");
    statement::functions_wishes(&mut sql);
    sql.push(", NULL::text AS \"location\", NULL::bigint AS \"inserted\" FROM (SELECT * FROM pgrst_source");
    node::page(&mut sql, plan.range);
    sql.push(") AS pgrst_rows");
    sql
}

fn scalars(shape: &Shape, is_set: bool) -> String {
    if shape.aggregate.is_some() || shape.media == crate::media::MediaType::Csv {
        return statement::body(shape, "pgrst_source");
    }
    let is_object = matches!(shape.media, crate::media::MediaType::Object { .. });
    if is_set && !is_object {
        "coalesce(json_agg(pgrst_scalar), '[]')".to_owned()
    } else {
        "coalesce(json_agg(pgrst_scalar)->0, 'null')".to_owned()
    }
}

/// `"schema"."function"("name" := value, ...)`.
fn invocation(sql: &mut Statement, plan: &CallPlan<'_>) {
    sql.push(&plan.routine.id.quoted());
    sql.push("(");
    match &plan.values {
        Values::Named(values) => sql.joined(values, ", ", |sql, (parameter, value)| {
            if parameter.is_variadic {
                sql.push("VARIADIC ");
            }
            sql.push(&quoted(&parameter.name));
            sql.push(" := ");
            argument(sql, parameter, value);
        }),
        Values::Unnamed(parameter, text) => {
            sql.bind(text);
            sql.push("::");
            sql.push(&parameter.type_name);
        }
    }
    sql.push(")");
}

fn argument(sql: &mut Statement, parameter: &Parameter, value: &Value) {
    let type_name = field::declarable(&parameter.type_name);
    match value {
        Value::Text(text) => {
            sql.bind(text);
            sql.push("::");
            sql.push(&type_name);
        }
        Value::Texts(texts) => {
            sql.bind(&field::array(texts));
            sql.push("::");
            sql.push(&type_name);
        }
        Value::Null => {
            sql.push("NULL::");
            sql.push(&type_name);
        }
        Value::Json(json) => {
            sql.push("(SELECT pgrst_value FROM json_to_record(");
            sql.bind(&format!("{{\"pgrst_value\":{json}}}"));
            sql.push(&format!("::json) AS pgrst_argument(pgrst_value {type_name}))"));
        }
    }
}
