//! A tree as a query: its columns, its embeds as lateral joins, its conditions.

use super::{Statement, field};
use crate::{
    grammar::{
        Field,
        filter::Condition,
        order::{Direction, Nulls},
        select::{Aggregate, ColumnItem},
    },
    name::quoted,
    plan::read::{Embed, Order, Output, Predicate, Source, Tree},
    range::Range,
    schema::{Cardinality, Column, Relation, Relationship, Schema},
};

/// What a query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its columns.
    Full,
    /// Its columns before any aggregate: the parent groups.
    Ungrouped,
}

/// The text that a call put in place of a relation.
pub(super) type CallText = Statement;

/// One column of a query.
struct Shown {
    /// Its SQL.
    expression: String,
    /// Its name.
    key: String,
    /// What the parent has to do with it, where the query is ungrouped.
    aggregate: Option<(Aggregate, Option<String>)>,
    /// Whether the query itself aggregates it.
    is_aggregated: bool,
}

/// Writes a tree that reads relations.
pub(super) fn select(sql: &mut Statement, schema: &Schema, tree: &Tree, parent: Option<Parent<'_>>, mode: Mode) {
    select_from(sql, schema, tree, parent, mode, None);
}

/// What an embed hangs on.
#[derive(Clone, Copy)]
pub(super) struct Parent<'a> {
    tree: &'a Tree,
    way: &'a Relationship,
}

/// Writes a tree, the root of which may be a call.
pub(super) fn select_from(
    sql: &mut Statement,
    schema: &Schema,
    tree: &Tree,
    parent: Option<Parent<'_>>,
    mode: Mode,
    call: Option<&CallText>,
) {
    let groups = mode == Mode::Full && tree.has_aggregates();
    let shown = shown(schema, tree, mode);
    sql.push("SELECT ");
    sql.joined(&shown, ", ", |sql, column| {
        sql.push(&column.expression);
        if !column.key.is_empty() {
            sql.push(" AS ");
            sql.name(&column.key);
        }
    });
    sql.push(" FROM ");
    source(sql, schema, tree, parent, call);
    for embed in &tree.embeds {
        lateral(sql, schema, tree, embed);
    }
    restrictions(sql, schema, tree, parent, false);
    if groups {
        let own: Vec<&Shown> = shown.iter().filter(|column| !column.is_aggregated).collect();
        if !own.is_empty() {
            sql.push(" GROUP BY ");
            sql.joined(own, ", ", |sql, column| sql.push(&column.expression));
        }
    }
    order(sql, schema, tree);
    page(sql, tree.range);
}

/// Which rows of a query.
pub(super) fn page(sql: &mut Statement, range: Range) {
    if let Some(limit) = range.limit {
        // A number and no bind: PostgreSQL plans for a short page only when it knows that it is one.
        sql.push(" LIMIT ");
        sql.push(&limit.to_string());
    }
    if range.offset > 0 {
        sql.push(" OFFSET ");
        sql.bind(&range.offset.to_string());
    }
}

/// Writes a query that gives one row for each row that the tree would give without its range.
pub(super) fn count(sql: &mut Statement, schema: &Schema, tree: &Tree, rows_max: Option<i64>) {
    if tree.has_aggregates() {
        let mut whole = tree.clone();
        whole.range = Range::default();
        select(sql, schema, &whole, None, Mode::Full);
    } else {
        sql.push("SELECT 1 FROM ");
        source(sql, schema, tree, None, None);
        restrictions(sql, schema, tree, None, true);
    }
    if let Some(rows) = rows_max {
        sql.push(" LIMIT ");
        sql.push(&rows.to_string());
    }
}

fn relation<'a>(schema: &'a Schema, tree: &Tree) -> Option<&'a Relation> {
    schema.relation(&tree.origin)
}

fn column<'a>(schema: &'a Schema, tree: &Tree, name: &str) -> Option<&'a Column> {
    relation(schema, tree).and_then(|relation| relation.column(name))
}

fn shown(schema: &Schema, tree: &Tree, mode: Mode) -> Vec<Shown> {
    let groups = tree.has_aggregates();
    let mut found = Vec::new();
    for output in &tree.fields {
        match output {
            Output::Star => stars(schema, tree, groups || mode == Mode::Ungrouped, &mut found),
            Output::Column(item, key) => found.push(column_shown(schema, tree, item, key, mode)),
        }
    }
    for embed in &tree.embeds {
        if embed.tree.is_empty() {
            continue;
        }
        if embed.is_spread {
            spread(schema, embed, mode, &mut found);
        } else {
            found.push(embedded(embed, groups || tree.is_in_text));
        }
    }
    found
}

fn plain(expression: String, key: &str) -> Shown {
    Shown {
        expression,
        key: key.to_owned(),
        aggregate: None,
        is_aggregated: false,
    }
}

/// All columns: one by one where they are not exactly what the source has.
fn stars(schema: &Schema, tree: &Tree, one_by_one: bool, found: &mut Vec<Shown>) {
    let alias = quoted(&tree.alias);
    let star = |found: &mut Vec<Shown>| found.push(plain(format!("{alias}.*"), ""));
    let Some(relation) = relation(schema, tree) else {
        return star(found);
    };
    let has_representation = relation
        .columns
        .iter()
        .any(|column| schema.representation(&column.type_name, "json").is_some());
    if !(one_by_one || has_representation || tree.source == Source::Written) {
        return star(found);
    }
    for column in &relation.columns {
        let field = Field::column(&column.name);
        found.push(plain(
            represented(schema, &tree.alias, &field, Some(column)),
            &column.name,
        ));
    }
}

fn represented(schema: &Schema, alias: &str, field: &Field, column: Option<&Column>) -> String {
    let expression = field::expression(alias, field, column);
    let function = column
        .filter(|_| field.path.is_empty())
        .and_then(|column| schema.representation(&column.type_name, "json"));
    match function {
        Some(function) => format!("{}({expression})", function.quoted()),
        None => expression,
    }
}

fn cast(expression: String, to: Option<&String>) -> String {
    match to {
        Some(to) => format!("CAST({expression} AS {to})"),
        None => expression,
    }
}

fn column_shown(schema: &Schema, tree: &Tree, item: &ColumnItem, key: &str, mode: Mode) -> Shown {
    let expression = item.field.as_ref().map(|field| {
        let known = column(schema, tree, &field.name);
        // An aggregate takes the value as it is stored.
        let value = if item.aggregate.is_some() {
            field::expression(&tree.alias, field, known)
        } else {
            represented(schema, &tree.alias, field, known)
        };
        cast(value, item.cast.as_ref())
    });
    let Some(aggregate) = item.aggregate else {
        return plain(expression.unwrap_or_default(), key);
    };
    if mode == Mode::Ungrouped {
        return Shown {
            aggregate: Some((aggregate, item.aggregate_cast.clone())),
            ..plain(expression.unwrap_or_else(|| "1".to_owned()), key)
        };
    }
    let expression = aggregated(
        aggregate,
        &expression.unwrap_or_else(|| "*".to_owned()),
        item.aggregate_cast.as_ref(),
    );
    Shown {
        is_aggregated: true,
        ..plain(expression, key)
    }
}

fn aggregated(aggregate: Aggregate, expression: &str, to: Option<&String>) -> String {
    cast(format!("{}({expression})", aggregate.name()), to)
}

fn embedded(embed: &Embed, as_jsonb: bool) -> Shown {
    let lateral = quoted(&embed.lateral);
    let expression = if embed.way.is_to_one() {
        format!("row_to_json({lateral}.*)")
    } else {
        format!("COALESCE({lateral}.pgrst_rows, '[]')")
    };
    // Only jsonb can be grouped by, and only it looks the same wherever it is from. It takes longer than json.
    plain(
        if as_jsonb {
            format!("({expression})::jsonb")
        } else {
            expression
        },
        &embed.key,
    )
}

/// The columns of a spread embed as the parent's own.
fn spread(schema: &Schema, embed: &Embed, mode: Mode, found: &mut Vec<Shown>) {
    let lateral = quoted(&embed.lateral);
    let inner = shown(schema, &embed.tree, Mode::Ungrouped);
    for column in expanded(schema, &embed.tree, inner) {
        let place = format!("{lateral}.{}", quoted(&column.key));
        if !embed.way.is_to_one() {
            found.push(plain(format!("COALESCE({place}, '[]')"), &column.key));
            continue;
        }
        found.push(match (column.aggregate, mode) {
            (None, _) => plain(place, &column.key),
            (Some(aggregate), Mode::Ungrouped) => Shown {
                aggregate: Some(aggregate),
                ..plain(place, &column.key)
            },
            (Some((aggregate, to)), Mode::Full) => Shown {
                is_aggregated: true,
                ..plain(aggregated(aggregate, &place, to.as_ref()), &column.key)
            },
        });
    }
}

/// A star of something whose columns are not known cannot be spread, and is left out.
fn expanded(_: &Schema, _: &Tree, columns: Vec<Shown>) -> Vec<Shown> {
    columns.into_iter().filter(|column| !column.key.is_empty()).collect()
}

fn source(sql: &mut Statement, schema: &Schema, tree: &Tree, parent: Option<Parent<'_>>, call: Option<&CallText>) {
    match &tree.source {
        Source::Relation => {
            sql.push(&tree.origin.quoted());
            return;
        }
        Source::Written => sql.push("pgrst_source"),
        Source::Called => match call {
            Some(call) => {
                // The call comes first in the text, so its binds keep their numbers.
                sql.push(&call.text);
            }
            None => sql.push("pgrst_call"),
        },
        Source::Related => match parent.map(|parent| (&parent.way.cardinality, parent.tree)) {
            Some((Cardinality::Computed { function, .. }, from)) => {
                sql.push(&function.quoted());
                sql.push("(");
                whole_row(sql, schema, from);
                sql.push(")");
            }
            Some((Cardinality::ManyToMany(junction), _)) => {
                sql.push(&tree.origin.quoted());
                sql.push(" AS ");
                sql.name(&tree.alias);
                sql.push(", ");
                sql.push(&junction.table.quoted());
                sql.push(" AS ");
                sql.name(&junction_alias(tree));
                return;
            }
            Some(_) | None => sql.push(&tree.origin.quoted()),
        },
    }
    sql.push(" AS ");
    sql.name(&tree.alias);
}

fn junction_alias(tree: &Tree) -> String {
    format!("pgrst_junction_{}", tree.depth)
}

/// The parent's row as an argument of a function.
fn whole_row(sql: &mut Statement, schema: &Schema, tree: &Tree) {
    match (&tree.source, relation(schema, tree)) {
        (Source::Written, Some(relation)) => {
            sql.push("ROW(");
            sql.joined(&relation.columns, ", ", |sql, column| {
                sql.name(&tree.alias);
                sql.push(".");
                sql.name(&column.name);
            });
            sql.push(")::");
            sql.push(&tree.origin.quoted());
        }
        _ => {
            sql.name(&tree.alias);
            sql.push(".*");
        }
    }
}

fn lateral(sql: &mut Statement, schema: &Schema, parent: &Tree, embed: &Embed) {
    // Of an embed of which nothing is asked for, only its existence may matter.
    if embed.tree.is_empty() {
        return;
    }
    let join = if embed.is_inner {
        " INNER JOIN LATERAL ("
    } else {
        " LEFT JOIN LATERAL ("
    };
    sql.push(join);
    let from = Parent {
        tree: parent,
        way: &embed.way,
    };
    let is_to_one = embed.way.is_to_one();
    let mode = if embed.is_spread { Mode::Ungrouped } else { Mode::Full };
    if is_to_one {
        select(sql, schema, &embed.tree, Some(from), mode);
        sql.push(") AS ");
        sql.name(&embed.lateral);
        sql.push(" ON TRUE");
        return;
    }
    let lateral = quoted(&embed.lateral);
    if embed.is_spread {
        let columns = expanded(schema, &embed.tree, shown(schema, &embed.tree, Mode::Ungrouped));
        sql.push("SELECT count(*) AS pgrst_count");
        for column in columns {
            sql.push(", json_agg(");
            sql.push(&lateral);
            sql.push(".");
            sql.name(&column.key);
            sql.push(") AS ");
            sql.name(&column.key);
        }
    } else {
        sql.push(&format!("SELECT json_agg({lateral}.*) AS pgrst_rows"));
    }
    sql.push(" FROM (");
    select(sql, schema, &embed.tree, Some(from), mode);
    sql.push(&format!(") AS {lateral}) AS {lateral} ON "));
    match (embed.is_inner, embed.is_spread) {
        (false, _) => sql.push("TRUE"),
        (true, false) => sql.push(&format!("{lateral}.pgrst_rows IS NOT NULL")),
        (true, true) => sql.push(&format!("{lateral}.pgrst_count > 0")),
    }
}

/// WHERE: what joins it to its parent, what was asked, and which embeds must be there. `alone`: without lateral joins.
fn restrictions(sql: &mut Statement, schema: &Schema, tree: &Tree, parent: Option<Parent<'_>>, alone: bool) {
    let mut word = " WHERE ";
    let mut and = |sql: &mut Statement| {
        sql.push(word);
        word = " AND ";
    };
    for (left, right) in parent.map(|parent| joins(tree, parent)).unwrap_or_default() {
        and(sql);
        sql.push(&left);
        sql.push(" = ");
        sql.push(&right);
    }
    for predicate in &tree.conditions {
        and(sql);
        holds(sql, schema, tree, predicate);
    }
    for embed in tree
        .embeds
        .iter()
        .filter(|embed| embed.is_inner && (alone || embed.tree.is_empty()))
    {
        and(sql);
        exists(sql, schema, tree, embed);
    }
}

fn joins(tree: &Tree, parent: Parent<'_>) -> Vec<(String, String)> {
    let place = |alias: &str, column: &str| format!("{}.{}", quoted(alias), quoted(column));
    let outer = &parent.tree.alias;
    match &parent.way.cardinality {
        Cardinality::ManyToOne { columns, .. }
        | Cardinality::OneToMany { columns, .. }
        | Cardinality::OneToOne { columns, .. } => columns
            .iter()
            .map(|(own, foreign)| (place(&tree.alias, foreign), place(outer, own)))
            .collect(),
        Cardinality::ManyToMany(junction) => {
            let through = junction_alias(tree);
            let source = junction
                .source_columns
                .iter()
                .map(|(own, other)| (place(&through, own), place(outer, other)));
            let target = junction
                .target_columns
                .iter()
                .map(|(own, other)| (place(&through, own), place(&tree.alias, other)));
            source.chain(target).collect()
        }
        Cardinality::Computed { .. } => Vec::new(),
    }
}

fn exists(sql: &mut Statement, schema: &Schema, parent: &Tree, embed: &Embed) {
    let from = Parent {
        tree: parent,
        way: &embed.way,
    };
    sql.push("EXISTS (SELECT 1 FROM ");
    source(sql, schema, &embed.tree, Some(from), None);
    restrictions(sql, schema, &embed.tree, Some(from), true);
    sql.push(")");
}

/// One predicate of a tree.
fn holds(sql: &mut Statement, schema: &Schema, tree: &Tree, predicate: &Predicate) {
    match predicate {
        Predicate::Group { negated, is_or, of } => {
            if *negated {
                sql.push("NOT ");
            }
            sql.push("(");
            sql.joined(of, if *is_or { " OR " } else { " AND " }, |sql, inner| {
                holds(sql, schema, tree, inner)
            });
            sql.push(")");
        }
        Predicate::Column(field, condition) => on_column(sql, schema, tree, field, condition),
        Predicate::Related { embed, exists: wanted } => {
            let Some(embed) = tree.embeds.get(*embed) else { return };
            if !wanted {
                sql.push("NOT ");
            }
            exists(sql, schema, tree, embed);
        }
    }
}

fn on_column(sql: &mut Statement, schema: &Schema, tree: &Tree, field: &Field, condition: &Condition) {
    let known = column(schema, tree, &field.name);
    let expression = field::expression(&tree.alias, field, known);
    field::condition(sql, schema, &expression, !field.path.is_empty(), known, condition);
}

/// The predicates of a write, whose relation is reached by its own name.
pub(super) fn write_conditions(
    sql: &mut Statement,
    schema: &Schema,
    relation: &Relation,
    predicates: &[Predicate],
    mut word: &str,
) {
    let alias = &relation.id.name;
    fn one(sql: &mut Statement, schema: &Schema, relation: &Relation, alias: &str, predicate: &Predicate) {
        match predicate {
            Predicate::Group { negated, is_or, of } => {
                if *negated {
                    sql.push("NOT ");
                }
                sql.push("(");
                let between = if *is_or { " OR " } else { " AND " };
                sql.joined(of, between, |sql, inner| one(sql, schema, relation, alias, inner));
                sql.push(")");
            }
            Predicate::Column(field, condition) => {
                let known = relation.column(&field.name);
                let expression = field::expression(alias, field, known);
                field::condition(sql, schema, &expression, !field.path.is_empty(), known, condition);
            }
            // A write has no embeds among its own conditions.
            Predicate::Related { .. } => sql.push("TRUE"),
        }
    }
    for predicate in predicates {
        sql.push(word);
        word = " AND ";
        one(sql, schema, relation, alias, predicate);
    }
}

fn order(sql: &mut Statement, schema: &Schema, tree: &Tree) {
    if tree.order.is_empty() {
        return;
    }
    sql.push(" ORDER BY ");
    sql.joined(&tree.order, ", ", |sql, Order { lateral, term }| {
        let text = match lateral {
            Some(lateral) => {
                let inner = tree.embeds.iter().find(|embed| embed.lateral == *lateral);
                let known = inner.and_then(|embed| column(schema, &embed.tree, &term.field.name));
                field::expression(lateral, &term.field, known)
            }
            None => field::expression(&tree.alias, &term.field, column(schema, tree, &term.field.name)),
        };
        sql.push(&text);
        match term.direction {
            Some(Direction::Ascending) => sql.push(" ASC"),
            Some(Direction::Descending) => sql.push(" DESC"),
            None => {}
        }
        match term.nulls {
            Some(Nulls::First) => sql.push(" NULLS FIRST"),
            Some(Nulls::Last) => sql.push(" NULLS LAST"),
            None => {}
        }
    });
}
