//! The schema cache: what the database has, as a value. Built once from rows of the catalogue, never changed: a reload
//! makes a new one.

mod build;
mod embed;
mod view;

use std::collections::{HashMap, HashSet};

use crate::name::QualifiedName;
pub use build::{
    Catalogue, CatalogueColumn, CatalogueConstraint, CatalogueHandler, CatalogueRelation, CatalogueRoutine,
    CatalogueView, ConstraintKind,
};

/// A column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as declared, a domain by its own name.
    pub type_name: String,
    /// Its type with domains resolved.
    pub base_type: String,
    /// Whether it may be null.
    pub is_nullable: bool,
    /// The expression of its default.
    pub default: Option<String>,
    /// The most letters.
    pub length_max: Option<i32>,
    /// The values of its enum.
    pub enum_values: Vec<String>,
    /// Its comment.
    pub comment: Option<String>,
}

/// A table, a view, or another thing with rows.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Relation {
    /// Its name.
    pub id: QualifiedName,
    /// Its comment.
    pub comment: Option<String>,
    /// Whether it is a view.
    pub is_view: bool,
    /// Whether rows can be added.
    pub is_insertable: bool,
    /// Whether rows can be changed.
    pub is_updatable: bool,
    /// Whether rows can be deleted.
    pub is_deletable: bool,
    /// The primary key.
    pub key: Vec<String>,
    /// All columns in their order.
    pub columns: Vec<Column>,
}

impl Relation {
    /// A column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A way from one relation to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Relationship {
    /// From.
    pub origin: QualifiedName,
    /// To.
    pub target: QualifiedName,
    /// Whether the target is a view.
    pub target_is_view: bool,
    /// How many, and by what.
    pub cardinality: Cardinality,
}

/// How many rows belong to one, and by what. Pairs of columns are (origin's, target's).
#[derive(Debug, Clone, PartialEq)]
pub enum Cardinality {
    /// The origin has the foreign key.
    ManyToOne {
        /// Its name.
        constraint: String,
        /// Its columns.
        columns: Vec<(String, String)>,
    },
    /// The target has the foreign key.
    OneToMany {
        /// Its name.
        constraint: String,
        /// Its columns.
        columns: Vec<(String, String)>,
    },
    /// One of the two has a foreign key that is unique.
    OneToOne {
        /// Its name.
        constraint: String,
        /// Its columns.
        columns: Vec<(String, String)>,
        /// Whether the target has it.
        is_parent: bool,
    },
    /// A third relation has both keys.
    ManyToMany(Box<Junction>),
    /// A function of the origin's row.
    Computed {
        /// The function.
        function: QualifiedName,
        /// Whether it gives one row at most.
        to_one: bool,
    },
}

impl Relationship {
    /// Whether there is one row at most.
    #[must_use]
    pub fn is_to_one(&self) -> bool {
        match &self.cardinality {
            Cardinality::ManyToOne { .. } | Cardinality::OneToOne { .. } => true,
            Cardinality::OneToMany { .. } | Cardinality::ManyToMany(_) => false,
            Cardinality::Computed { to_one, .. } => *to_one,
        }
    }

    /// The origin's columns that the join needs.
    pub fn origin_columns(&self) -> impl Iterator<Item = &str> {
        let pairs = match &self.cardinality {
            Cardinality::ManyToOne { columns, .. }
            | Cardinality::OneToMany { columns, .. }
            | Cardinality::OneToOne { columns, .. } => columns.as_slice(),
            Cardinality::ManyToMany(junction) => junction.source_columns.as_slice(),
            Cardinality::Computed { .. } => &[],
        };
        let is_junction = matches!(self.cardinality, Cardinality::ManyToMany(_));
        pairs
            .iter()
            .map(move |pair| if is_junction { pair.1.as_str() } else { pair.0.as_str() })
    }
}

/// What stands between two relations. Pairs of columns are (junction's, other's).
#[derive(Debug, Clone, PartialEq)]
pub struct Junction {
    /// The relation with both keys.
    pub table: QualifiedName,
    /// The key to the origin.
    pub source_constraint: String,
    /// Its columns.
    pub source_columns: Vec<(String, String)>,
    /// The key to the target.
    pub target_constraint: String,
    /// Its columns.
    pub target_columns: Vec<(String, String)>,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameter {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its type.
    pub type_name: String,
    /// Whether it has no default.
    pub is_required: bool,
    /// Whether it takes any number of values.
    pub is_variadic: bool,
}

/// What a function gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Returns {
    /// Nothing.
    Void,
    /// A value of this type.
    Scalar(QualifiedName),
    /// A row of this relation's type.
    Row(QualifiedName),
    /// A row of its own making.
    Record,
}

/// How much a function may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Anything.
    Volatile,
    /// Nothing.
    Stable,
    /// Nothing, and it reads nothing.
    Immutable,
}

/// A function that can be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Routine {
    /// Its name.
    pub id: QualifiedName,
    /// Its identity in the catalogue.
    pub oid: u32,
    /// Its comment.
    pub comment: Option<String>,
    /// Its parameters that take values.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub returns: Returns,
    /// Whether it gives any number of these.
    pub is_set: bool,
    /// How much it may change.
    pub volatility: Volatility,
    /// Its own settings.
    pub settings: Vec<(String, String)>,
}

impl Routine {
    /// Whether a request can call it: its parameters have names, or the only one takes a body as it is.
    #[must_use]
    pub fn is_callable(&self) -> bool {
        match self.parameters.as_slice() {
            [only] if only.name.is_empty() => {
                ["json", "jsonb", "text", "xml", "bytea"].contains(&only.type_name.as_str())
            }
            parameters => parameters.iter().all(|parameter| !parameter.name.is_empty()),
        }
    }

    /// Whether it gives values and no rows.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        matches!(self.returns, Returns::Scalar(_) | Returns::Void)
    }

    /// The relation whose rows it gives.
    #[must_use]
    pub fn relation(&self) -> Option<&QualifiedName> {
        match &self.returns {
            Returns::Row(relation) => Some(relation),
            Returns::Void | Returns::Scalar(_) | Returns::Record => None,
        }
    }
}

/// An aggregate that makes a media type of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Handler {
    /// The media type; `*/*` makes any.
    pub media: String,
    /// Of which relation's rows; none: of any.
    pub relation: Option<QualifiedName>,
    /// The aggregate.
    pub function: QualifiedName,
}

/// The cache.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    relations: HashMap<QualifiedName, Relation>,
    relationships: HashMap<QualifiedName, Vec<Relationship>>,
    routines: HashMap<QualifiedName, Vec<Routine>>,
    representations: HashMap<(String, String), QualifiedName>,
    handlers: Vec<Handler>,
    domains: HashMap<QualifiedName, String>,
    timezones: HashSet<String>,
    comments: HashMap<String, String>,
}

impl Schema {
    /// A relation.
    #[must_use]
    pub fn relation(&self, id: &QualifiedName) -> Option<&Relation> {
        self.relations.get(id)
    }

    /// All relations of a schema, by name.
    #[must_use]
    pub fn relations_in(&self, schema: &str) -> Vec<&Relation> {
        let mut found: Vec<&Relation> = self
            .relations
            .values()
            .filter(|relation| relation.id.schema == schema)
            .collect();
        found.sort_by(|a, b| a.id.name.cmp(&b.id.name));
        found
    }

    /// All relationships from a relation.
    #[must_use]
    pub fn relationships(&self, origin: &QualifiedName) -> &[Relationship] {
        self.relationships.get(origin).map_or(&[], Vec::as_slice)
    }

    /// The relations of a schema that lead anywhere.
    pub fn origins_in<'a>(&'a self, schema: &'a str) -> impl Iterator<Item = &'a str> {
        let origins = self.relationships.keys().filter(move |origin| origin.schema == schema);
        origins.map(|origin| origin.name.as_str())
    }

    /// All functions of a name.
    #[must_use]
    pub fn routines(&self, id: &QualifiedName) -> &[Routine] {
        self.routines.get(id).map_or(&[], Vec::as_slice)
    }

    /// All functions of a schema, by name.
    #[must_use]
    pub fn routines_in(&self, schema: &str) -> Vec<&[Routine]> {
        let mut found: Vec<(&QualifiedName, &[Routine])> = self
            .routines
            .iter()
            .filter(|(id, _)| id.schema == schema)
            .map(|(id, overloads)| (id, overloads.as_slice()))
            .collect();
        found.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        found.into_iter().map(|(_, overloads)| overloads).collect()
    }

    /// The function that turns one type into another, where a domain has its own representation.
    #[must_use]
    pub fn representation(&self, from: &str, to: &str) -> Option<&QualifiedName> {
        if self.representations.is_empty() {
            return None;
        }
        self.representations.get(&(from.to_owned(), to.to_owned()))
    }

    /// The aggregate that makes a media type of a relation's rows.
    #[must_use]
    pub fn handler(&self, relation: Option<&QualifiedName>, media: &str) -> Option<&Handler> {
        let of = |wanted: &str, exact: bool| {
            self.handlers.iter().find(|handler| {
                handler.media == wanted
                    && if exact {
                        handler.relation.is_some() && handler.relation.as_ref() == relation
                    } else {
                        handler.relation.is_none()
                    }
            })
        };
        of(media, true).or_else(|| of(media, false))
    }

    /// The media type that a function's own type stands for.
    #[must_use]
    pub fn media_of(&self, routine: &Routine) -> Option<&str> {
        match &routine.returns {
            Returns::Scalar(type_name) => self.domains.get(type_name).map(String::as_str),
            Returns::Void | Returns::Row(_) | Returns::Record => None,
        }
    }

    /// Whether PostgreSQL has a timezone of this name.
    #[must_use]
    pub fn has_timezone(&self, name: &str) -> bool {
        self.timezones.contains(name)
    }

    /// A schema's comment.
    #[must_use]
    pub fn comment(&self, schema: &str) -> Option<&str> {
        self.comments.get(schema).map(String::as_str)
    }

    /// How many relations, relationships and functions there are, for the log.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        let ways = self.relationships.values().map(Vec::len).sum();
        let routines = self.routines.values().map(Vec::len).sum();
        (self.relations.len(), ways, routines)
    }
}
