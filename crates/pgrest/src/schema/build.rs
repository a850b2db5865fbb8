//! From rows of the catalogue to the cache: keys of views from those of their tables, relationships from keys.

use std::collections::{HashMap, HashSet};

use super::{
    Cardinality, Column, Handler, Junction, Relation, Relationship, Routine, Schema,
    view::{self, Origin},
};
use crate::name::QualifiedName;

/// How many columns of one view may repeat one key of a table before we stop combining them.
const COMBINATIONS_MAX: usize = 16;

/// What was read from the catalogue.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// All relations outside PostgreSQL's own schemas.
    pub relations: Vec<CatalogueRelation>,
    /// Their columns, in order.
    pub columns: Vec<CatalogueColumn>,
    /// Their keys.
    pub constraints: Vec<CatalogueConstraint>,
    /// The rules of views.
    pub views: Vec<CatalogueView>,
    /// Functions of the exposed schemas.
    pub routines: Vec<CatalogueRoutine>,
    /// Casts by which domains are represented: from type, to type, function.
    pub representations: Vec<(String, String, QualifiedName)>,
    /// Aggregates that make media types.
    pub handlers: Vec<CatalogueHandler>,
    /// Domains that are named like media types.
    pub media_domains: Vec<QualifiedName>,
    /// The names of timezones.
    pub timezones: Vec<String>,
    /// The comments of schemas.
    pub comments: Vec<(String, String)>,
}

/// A relation.
#[derive(Debug, Clone, Default)]
pub struct CatalogueRelation {
    /// Its identity.
    pub oid: u32,
    /// What clients see of it; keys and columns come later.
    pub relation: Relation,
}

/// A column.
#[derive(Debug, Clone, Default)]
pub struct CatalogueColumn {
    /// Its relation.
    pub relation: u32,
    /// Its number.
    pub number: i16,
    /// What clients see of it.
    pub column: Column,
}

/// What a constraint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// A primary key.
    Primary,
    /// A unique key.
    Unique,
    /// A foreign key.
    Foreign,
}

/// A key.
#[derive(Debug, Clone)]
pub struct CatalogueConstraint {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ConstraintKind,
    /// Its relation.
    pub relation: u32,
    /// Its columns by number.
    pub columns: Vec<i16>,
    /// Where a foreign key leads.
    pub target: u32,
    /// To which columns.
    pub target_columns: Vec<i16>,
}

/// A view's rule.
#[derive(Debug, Clone)]
pub struct CatalogueView {
    /// The view.
    pub relation: u32,
    /// The rule as PostgreSQL keeps it.
    pub rule: String,
}

/// A function, and what it is a column or relationship of.
#[derive(Debug, Clone)]
pub struct CatalogueRoutine {
    /// The function.
    pub routine: Routine,
    /// The relation whose row is its only argument.
    pub of_row: Option<QualifiedName>,
    /// Whether it gives one row at most.
    pub to_one: bool,
}

/// An aggregate that makes a media type.
#[derive(Debug, Clone)]
pub struct CatalogueHandler {
    /// What clients see of it.
    pub handler: Handler,
}

/// A relation with its columns by number.
struct Known<'a> {
    id: &'a QualifiedName,
    is_view: bool,
    columns: HashMap<i16, &'a str>,
}

impl Schema {
    /// Builds the cache of what `exposed` schemas show.
    #[must_use]
    pub fn build(catalogue: Catalogue, exposed: &[String]) -> Schema {
        let Catalogue {
            relations,
            columns,
            constraints,
            views,
            routines,
            representations,
            handlers,
            media_domains,
            timezones,
            comments,
        } = catalogue;
        let mut schema = Schema {
            representations: representations
                .into_iter()
                .map(|(from, to, by)| ((from, to), by))
                .collect(),
            handlers: handlers.into_iter().map(|handler| handler.handler).collect(),
            domains: media_domains.into_iter().map(|id| (id.clone(), id.name)).collect(),
            timezones: timezones.into_iter().collect(),
            comments: comments.into_iter().collect(),
            ..Schema::default()
        };
        let (keys, mut ways) = {
            let mut known: HashMap<u32, Known<'_>> = relations
                .iter()
                .map(|found| {
                    let known = Known {
                        id: &found.relation.id,
                        is_view: found.relation.is_view,
                        columns: HashMap::new(),
                    };
                    (found.oid, known)
                })
                .collect();
            for column in &columns {
                if let Some(relation) = known.get_mut(&column.relation) {
                    relation.columns.insert(column.number, &column.column.name);
                }
            }
            let seen_through = seen_through(&views, &known);
            let keys = keys_of(&constraints, &known, &seen_through);
            let ways = foreign_keys(&constraints, &known, &seen_through);
            (keys, ways)
        };
        let mut of: HashMap<u32, Vec<Column>> = HashMap::new();
        for column in columns {
            of.entry(column.relation).or_default().push(column.column);
        }
        for found in relations {
            let mut relation = found.relation;
            if !exposed.contains(&relation.id.schema) {
                continue;
            }
            relation.columns = of.remove(&found.oid).unwrap_or_default();
            relation.key = keys.get(&found.oid).cloned().unwrap_or_default();
            schema.relations.insert(relation.id.clone(), relation);
        }
        ways.retain(|way| exposed.contains(&way.origin.schema) && exposed.contains(&way.target.schema));
        let through = through_junctions(&ways, &schema.relations);
        let back: Vec<Relationship> = ways.iter().map(|way| inverse(way, &schema.relations)).collect();
        for way in ways.into_iter().chain(back).chain(through) {
            schema.relationships.entry(way.origin.clone()).or_default().push(way);
        }
        schema.take_routines(routines);
        schema
    }

    fn take_routines(&mut self, routines: Vec<CatalogueRoutine>) {
        for found in routines {
            if let (Some(origin), Some(target)) = (&found.of_row, found.routine.relation()) {
                let target_is_view = self.relations.get(target).is_some_and(|relation| relation.is_view);
                let way = Relationship {
                    origin: origin.clone(),
                    target: target.clone(),
                    target_is_view,
                    cardinality: Cardinality::Computed {
                        function: found.routine.id.clone(),
                        to_one: found.to_one,
                    },
                };
                self.relationships.entry(origin.clone()).or_default().push(way);
            }
            if found.routine.is_callable() {
                self.routines
                    .entry(found.routine.id.clone())
                    .or_default()
                    .push(found.routine);
            }
        }
        // In the order in which PostgREST names them where it cannot choose.
        for overloads in self.routines.values_mut() {
            let types = |routine: &Routine| -> Vec<(String, String)> {
                let parameters = routine.parameters.iter();
                parameters
                    .map(|parameter| (parameter.name.clone(), parameter.type_name.clone()))
                    .collect()
            };
            overloads.sort_by_cached_key(|routine| (routine.parameters.len(), routine.comment.clone(), types(routine)));
        }
    }
}

/// For each table the views that show its columns: (table's column) to the view's columns.
type SeenThrough = HashMap<u32, Vec<(u32, HashMap<i16, Vec<i16>>)>>;

fn seen_through(views: &[CatalogueView], known: &HashMap<u32, Known<'_>>) -> SeenThrough {
    let direct: HashMap<u32, Vec<Origin>> = views
        .iter()
        .map(|view| (view.relation, view::origins(&view.rule)))
        .collect();
    let mut seen: SeenThrough = HashMap::new();
    for (view, origins) in &direct {
        if !known.contains_key(view) {
            continue;
        }
        let mut by_table: HashMap<u32, HashMap<i16, Vec<i16>>> = HashMap::new();
        for origin in origins {
            if let Some((table, column)) = base_of(*origin, &direct) {
                by_table
                    .entry(table)
                    .or_default()
                    .entry(column)
                    .or_default()
                    .push(origin.column);
            }
        }
        for (table, columns) in by_table {
            seen.entry(table).or_default().push((*view, columns));
        }
    }
    for views in seen.values_mut() {
        views.sort_by_key(|(view, _)| *view);
    }
    seen
}

/// Follows a column through views of views to the table that has it.
fn base_of(origin: Origin, direct: &HashMap<u32, Vec<Origin>>) -> Option<(u32, i16)> {
    let mut at = origin;
    // A view cannot be made of itself; the bound is for a catalogue that lies.
    for _ in 0..64 {
        let Some(origins) = direct.get(&at.relation) else {
            return Some((at.relation, at.relation_column));
        };
        at = *origins.iter().find(|inner| inner.column == at.relation_column)?;
    }
    None
}

/// One of each column's places in a view, in all combinations: the view's columns for a key of the table.
fn combinations(key: &[i16], columns: &HashMap<i16, Vec<i16>>) -> Vec<Vec<i16>> {
    let mut found: Vec<Vec<i16>> = vec![Vec::new()];
    for column in key {
        let Some(places) = columns.get(column) else {
            return Vec::new();
        };
        found = found
            .iter()
            .flat_map(|begun| {
                places.iter().map(move |place| {
                    let mut next = begun.clone();
                    next.push(*place);
                    next
                })
            })
            .take(COMBINATIONS_MAX)
            .collect();
    }
    found
}

fn names(known: &Known<'_>, numbers: &[i16]) -> Option<Vec<String>> {
    numbers
        .iter()
        .map(|number| known.columns.get(number).map(ToString::to_string))
        .collect()
}

fn keys_of(
    constraints: &[CatalogueConstraint],
    known: &HashMap<u32, Known<'_>>,
    seen: &SeenThrough,
) -> HashMap<u32, Vec<String>> {
    let mut keys = HashMap::new();
    for constraint in constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Primary)
    {
        if let Some(found) = known
            .get(&constraint.relation)
            .and_then(|known| names(known, &constraint.columns))
        {
            keys.insert(constraint.relation, found);
        }
        for (view, columns) in seen.get(&constraint.relation).into_iter().flatten() {
            let first = combinations(&constraint.columns, columns).into_iter().next();
            if let (Some(first), Some(known)) = (first, known.get(view)) {
                let entry: &mut Vec<String> = keys.entry(*view).or_default();
                entry.extend(names(known, &first).unwrap_or_default());
            }
        }
    }
    keys
}

fn foreign_keys(
    constraints: &[CatalogueConstraint],
    known: &HashMap<u32, Known<'_>>,
    seen: &SeenThrough,
) -> Vec<Relationship> {
    let mut unique: HashMap<u32, Vec<HashSet<i16>>> = HashMap::new();
    for constraint in constraints
        .iter()
        .filter(|constraint| constraint.kind != ConstraintKind::Foreign)
    {
        let columns = constraint.columns.iter().copied().collect();
        unique.entry(constraint.relation).or_default().push(columns);
    }
    // The table itself and every view that shows the whole key.
    let places = |relation: u32, key: &[i16]| {
        let mut places: Vec<(u32, Vec<i16>)> = vec![(relation, key.to_vec())];
        for (view, columns) in seen.get(&relation).into_iter().flatten() {
            places.extend(combinations(key, columns).into_iter().map(|found| (*view, found)));
        }
        places
    };
    let mut ways = Vec::new();
    for constraint in constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Foreign)
    {
        let own: HashSet<i16> = constraint.columns.iter().copied().collect();
        let is_unique = unique.get(&constraint.relation).is_some_and(|keys| keys.contains(&own));
        let targets = places(constraint.target, &constraint.target_columns);
        for (origin, origin_columns) in places(constraint.relation, &constraint.columns) {
            let Some(from) = known.get(&origin) else { continue };
            for (target, target_columns) in &targets {
                let Some(to) = known.get(target) else { continue };
                let (Some(own), Some(foreign)) = (names(from, &origin_columns), names(to, target_columns)) else {
                    continue;
                };
                let columns: Vec<(String, String)> = own.into_iter().zip(foreign).collect();
                let constraint = constraint.name.clone();
                ways.push(Relationship {
                    origin: from.id.clone(),
                    target: to.id.clone(),
                    target_is_view: to.is_view,
                    cardinality: if is_unique {
                        Cardinality::OneToOne {
                            constraint,
                            columns,
                            is_parent: false,
                        }
                    } else {
                        Cardinality::ManyToOne { constraint, columns }
                    },
                });
            }
        }
    }
    ways
}

fn inverse(way: &Relationship, relations: &HashMap<QualifiedName, Relation>) -> Relationship {
    let turned = |columns: &[(String, String)]| {
        columns
            .iter()
            .map(|(own, foreign)| (foreign.clone(), own.clone()))
            .collect::<Vec<_>>()
    };
    let cardinality = match &way.cardinality {
        Cardinality::ManyToOne { constraint, columns } => Cardinality::OneToMany {
            constraint: constraint.clone(),
            columns: turned(columns),
        },
        Cardinality::OneToOne {
            constraint,
            columns,
            is_parent,
        } => Cardinality::OneToOne {
            constraint: constraint.clone(),
            columns: turned(columns),
            is_parent: !is_parent,
        },
        // Only foreign keys are turned around.
        other @ (Cardinality::OneToMany { .. } | Cardinality::ManyToMany(_) | Cardinality::Computed { .. }) => {
            other.clone()
        }
    };
    Relationship {
        origin: way.target.clone(),
        target: way.origin.clone(),
        target_is_view: relations.get(&way.origin).is_some_and(|relation| relation.is_view),
        cardinality,
    }
}

/// Two foreign keys whose columns are all part of the primary key make a junction.
fn through_junctions(ways: &[Relationship], relations: &HashMap<QualifiedName, Relation>) -> Vec<Relationship> {
    type Key<'a> = (&'a Relationship, &'a str, &'a [(String, String)]);
    let mut by_origin: HashMap<&QualifiedName, Vec<Key<'_>>> = HashMap::new();
    for way in ways {
        let (Cardinality::ManyToOne { constraint, columns }
        | Cardinality::OneToOne {
            constraint, columns, ..
        }) = &way.cardinality
        else {
            continue;
        };
        let in_key = relations
            .get(&way.origin)
            .is_some_and(|relation| columns.iter().all(|(own, _)| relation.key.contains(own)));
        if in_key {
            by_origin
                .entry(&way.origin)
                .or_default()
                .push((way, constraint, columns));
        }
    }
    let mut found = Vec::new();
    for (table, keys) in by_origin {
        for (source_at, (source, source_constraint, source_columns)) in keys.iter().enumerate() {
            for (target_at, (target, target_constraint, target_columns)) in keys.iter().enumerate() {
                if source_at == target_at || source_constraint == target_constraint {
                    continue;
                }
                found.push(Relationship {
                    origin: source.target.clone(),
                    target: target.target.clone(),
                    target_is_view: target.target_is_view,
                    cardinality: Cardinality::ManyToMany(Box::new(Junction {
                        table: table.clone(),
                        source_constraint: (*source_constraint).to_owned(),
                        source_columns: source_columns.to_vec(),
                        target_constraint: (*target_constraint).to_owned(),
                        target_columns: target_columns.to_vec(),
                    })),
                });
            }
        }
    }
    found
}
