//! A write: which rows, which columns, what about keys that exist, what is given back.

use std::collections::BTreeSet;

use super::read::{self, Output, Predicate, Tree};
use crate::{
    body::Rows,
    error::Refusal,
    grammar::filter::{Operator, Test},
    media::MediaType,
    preferences::{Resolution, Return},
    request::{Options, Request, Write},
    schema::{Cardinality, Column, Relation, Schema},
};

/// A planned write.
#[derive(Debug, Clone)]
pub(crate) struct WritePlan<'a> {
    /// To what.
    pub(crate) relation: &'a Relation,
    /// What.
    pub(crate) change: Change<'a>,
    /// What is given back.
    pub(crate) returns: Return,
    /// The columns that RETURNING needs.
    pub(crate) returning: Returning,
    /// How they are read.
    pub(crate) tree: Option<Tree>,
}

/// The change itself.
#[derive(Debug, Clone)]
pub(crate) enum Change<'a> {
    /// Rows are added.
    Insert(Insert<'a>),
    /// Rows are changed.
    Update {
        /// From this body.
        rows: &'a Rows,
        /// In these columns.
        columns: Vec<&'a Column>,
        /// Whether columns that a row lacks get their defaults.
        defaults: bool,
        /// Which rows.
        conditions: Vec<Predicate>,
    },
    /// Rows are deleted.
    Delete {
        /// Which.
        conditions: Vec<Predicate>,
    },
}

/// Rows to be added.
#[derive(Debug, Clone)]
pub(crate) struct Insert<'a> {
    /// The body.
    pub(crate) rows: &'a Rows,
    /// The columns.
    pub(crate) columns: Vec<&'a Column>,
    /// Whether columns that a row lacks get their defaults.
    pub(crate) defaults: bool,
    /// What about keys that exist, and which columns are the key.
    pub(crate) conflict: Option<(Resolution, Vec<String>)>,
    /// PUT: only the row with this key.
    pub(crate) only: Vec<(String, String)>,
}

/// What RETURNING needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Returning {
    /// Every column of the relation.
    pub(crate) all: bool,
    /// These, which may be computed.
    pub(crate) names: BTreeSet<String>,
}

impl WritePlan<'_> {
    /// What about keys that exist.
    pub(crate) fn resolution(&self) -> Option<Resolution> {
        match &self.change {
            Change::Insert(insert) => insert.conflict.as_ref().map(|(resolution, _)| *resolution),
            Change::Update { .. } | Change::Delete { .. } => None,
        }
    }
}

/// Plans a write.
pub(super) fn plan<'a>(
    schema: &'a Schema,
    options: &Options,
    request: &'a Request,
    relation: &'a Relation,
    write: &'a Write,
) -> Result<WritePlan<'a>, Refusal> {
    let defaults = request.preferences.missing_default == Some(true);
    let change = match write {
        Write::Insert(rows) => Change::Insert(Insert {
            rows,
            columns: columns(request, relation, rows)?,
            defaults,
            conflict: conflict(request, relation),
            only: Vec::new(),
        }),
        Write::Put(rows) => Change::Insert(put(request, relation, rows)?),
        Write::Update(rows) => Change::Update {
            rows,
            columns: columns(request, relation, rows)?,
            defaults,
            conditions: read::root_conditions(request),
        },
        Write::Delete => Change::Delete {
            conditions: read::root_conditions(request),
        },
    };
    let mut returns = request.preferences.representation.unwrap_or(Return::Minimal);
    // A single object is asked for by its media type, and then checked even if nothing is given back.
    if returns == Return::HeadersOnly && !matches!(write, Write::Insert(_)) {
        returns = Return::Minimal;
    }
    let wants_rows =
        returns == Return::Representation || request.accept.iter().any(|media| matches!(media, MediaType::Plan(_)));
    let tree = read::tree(schema, options, request, read::From::written(relation))?;
    let mut returning = Returning::default();
    if wants_rows {
        take_needs(&tree, &mut returning);
    } else if returns == Return::HeadersOnly {
        returning.names.extend(relation.key.iter().cloned());
    }
    Ok(WritePlan {
        relation,
        change,
        returns,
        returning,
        tree: wants_rows.then_some(tree),
    })
}

fn take_needs(tree: &Tree, returning: &mut Returning) {
    for field in &tree.fields {
        match field {
            Output::Star => returning.all = true,
            Output::Column(item, _) => {
                returning
                    .names
                    .extend(item.field.as_ref().map(|field| field.name.clone()));
            }
        }
    }
    for order in tree.order.iter().filter(|order| order.lateral.is_none()) {
        returning.names.insert(order.term.field.name.clone());
    }
    for embed in &tree.embeds {
        returning.names.extend(embed.way.origin_columns().map(str::to_owned));
        returning.all |= matches!(embed.way.cardinality, Cardinality::Computed { .. });
    }
}

/// The columns that the body or `columns=` names, all of which must exist.
fn columns<'a>(request: &Request, relation: &'a Relation, rows: &Rows) -> Result<Vec<&'a Column>, Refusal> {
    let declared: Option<BTreeSet<&String>> = request.query.columns.as_ref().map(|names| names.iter().collect());
    let names = declared.unwrap_or_else(|| rows.keys.iter().collect());
    names
        .into_iter()
        .map(|name| {
            relation.column(name).ok_or_else(|| Refusal::NoColumn {
                relation: relation.id.name.clone(),
                column: name.clone(),
            })
        })
        .collect()
}

fn conflict(request: &Request, relation: &Relation) -> Option<(Resolution, Vec<String>)> {
    let resolution = request.preferences.resolution?;
    // Which columns are unique together is PostgreSQL's to say.
    let key = request
        .query
        .on_conflict
        .clone()
        .unwrap_or_else(|| relation.key.clone());
    (!key.is_empty()).then_some((resolution, key))
}

fn put<'a>(request: &'a Request, relation: &'a Relation, rows: &'a Rows) -> Result<Insert<'a>, Refusal> {
    if !request.query.ranges.is_empty() {
        return Err(Refusal::PutLimit);
    }
    let mut only = Vec::new();
    for (place, field, condition) in &request.query.filters {
        match &condition.test {
            Test::Compare(Operator::Eq, None, value)
                if place.is_empty() && field.path.is_empty() && !condition.negated =>
            {
                only.push((field.name.clone(), value.clone()));
            }
            Test::Compare(..) | Test::In(_) | Test::Is(_) | Test::IsDistinct(_) | Test::Search(..) => {
                return Err(Refusal::PutFilters);
            }
        }
    }
    let given: BTreeSet<&str> = only.iter().map(|(name, _)| name.as_str()).collect();
    let key: BTreeSet<&str> = relation.key.iter().map(String::as_str).collect();
    if key.is_empty() || given != key || !request.query.logic.is_empty() {
        return Err(Refusal::PutFilters);
    }
    let columns = columns(request, relation, rows)?;
    if relation
        .key
        .iter()
        .any(|name| !columns.iter().any(|column| column.name == *name))
    {
        return Err(Refusal::PutKey);
    }
    Ok(Insert {
        rows,
        columns,
        defaults: false,
        conflict: Some((Resolution::Merge, relation.key.clone())),
        only,
    })
}
