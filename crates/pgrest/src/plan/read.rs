//! The tree of a read: a relation, what of it, and the same for every embed.

use crate::{
    error::Refusal,
    grammar::{
        Field, Operand,
        filter::{Condition, Is, Test},
        logic::Logic,
        order::OrderTerm,
        select::{Aggregate, ColumnItem, EmbedItem, Join, SelectItem},
    },
    name::QualifiedName,
    range::Range,
    request::{Options, Request},
    schema::{Relation, Relationship, Schema},
};

/// A resource and what is read of it.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// What its columns and relationships are those of.
    pub(crate) origin: QualifiedName,
    /// Where its rows come from.
    pub(crate) source: Source,
    /// Under which name columns are reached.
    pub(crate) alias: String,
    /// How deep it lies.
    pub(crate) depth: usize,
    /// Its columns.
    pub(crate) fields: Vec<Output>,
    /// What is embedded.
    pub(crate) embeds: Vec<Embed>,
    /// All of these hold.
    pub(crate) conditions: Vec<Predicate>,
    /// In which order.
    pub(crate) order: Vec<Order>,
    /// Which of its rows.
    pub(crate) range: Range,
    /// Whether its rows are shown in text of their own, where JSON stands as clients of PostgREST know it.
    pub(crate) is_in_text: bool,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// A relation, by its own name.
    Relation,
    /// What a write gave back.
    Written,
    /// What a function gave.
    Called,
    /// The target of a relationship.
    Related,
}

/// What stands at the root of a tree.
pub(crate) struct From {
    origin: QualifiedName,
    source: Source,
    alias: String,
}

impl From {
    pub(crate) fn relation(relation: &Relation) -> From {
        From {
            origin: relation.id.clone(),
            source: Source::Relation,
            alias: relation.id.name.clone(),
        }
    }

    pub(crate) fn written(relation: &Relation) -> From {
        From {
            source: Source::Written,
            ..From::relation(relation)
        }
    }

    pub(crate) fn called(origin: &QualifiedName, alias: &str) -> From {
        From {
            origin: origin.clone(),
            source: Source::Called,
            alias: alias.to_owned(),
        }
    }
}

/// A column of the answer.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// All columns.
    Star,
    /// One.
    Column(ColumnItem, String),
}

/// An embedded resource.
#[derive(Debug, Clone)]
pub(crate) struct Embed {
    /// Its key in the answer.
    pub(crate) key: String,
    /// The name it was asked for by.
    pub(crate) relation: String,
    /// How it belongs to its parent.
    pub(crate) way: Relationship,
    /// Whether parents without it are left out.
    pub(crate) is_inner: bool,
    /// Whether its columns become the parent's.
    pub(crate) is_spread: bool,
    /// The name of its subquery.
    pub(crate) lateral: String,
    /// What of it.
    pub(crate) tree: Tree,
}

/// What must hold of a row.
#[derive(Debug, Clone)]
pub(crate) enum Predicate {
    /// Joined by a word.
    Group {
        /// Turned around.
        negated: bool,
        /// One suffices.
        is_or: bool,
        /// What is joined.
        of: Vec<Predicate>,
    },
    /// A column against something.
    Column(Field, Condition),
    /// Whether there is a related row; the embed by its place.
    Related {
        /// Which embed.
        embed: usize,
        /// Whether there must be one.
        exists: bool,
    },
}

/// A term of an order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The subquery whose column it is; none: the row's own.
    pub(crate) lateral: Option<String>,
    /// The rest.
    pub(crate) term: OrderTerm,
}

impl Tree {
    /// Whether rows are grouped.
    pub(crate) fn has_aggregates(&self) -> bool {
        let own = self
            .fields
            .iter()
            .any(|field| matches!(field, Output::Column(item, _) if item.aggregate.is_some()));
        own || self
            .embeds
            .iter()
            .any(|embed| embed.is_spread && embed.way.is_to_one() && embed.tree.has_aggregates())
    }

    /// Whether nothing of it is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.embeds.iter().all(|embed| embed.tree.is_empty())
    }

    fn embed_at(&self, name: &str) -> Option<usize> {
        let by_key = self.embeds.iter().position(|embed| embed.key == name);
        by_key.or_else(|| self.embeds.iter().position(|embed| embed.relation == name))
    }

    fn at(&mut self, place: &[String]) -> Result<&mut Tree, Refusal> {
        let Some((name, rest)) = place.split_first() else {
            return Ok(self);
        };
        let missing = || Refusal::NotEmbedded(name.clone());
        let at = self.embed_at(name).ok_or_else(missing)?;
        self.embeds.get_mut(at).ok_or_else(missing)?.tree.at(rest)
    }
}

/// Plans a read. Filters on the root of a write belong to the write, so they are left out here.
pub(crate) fn tree(schema: &Schema, options: &Options, request: &Request, from: From) -> Result<Tree, Refusal> {
    let query = &request.query;
    let is_written = from.source == Source::Written;
    let mut root = Tree {
        origin: from.origin,
        source: from.source,
        alias: from.alias,
        depth: 0,
        fields: Vec::new(),
        embeds: Vec::new(),
        conditions: Vec::new(),
        order: Vec::new(),
        range: Range::default(),
        is_in_text: false,
    };
    if query.select.is_empty() {
        root.fields.push(Output::Star);
    } else {
        take_items(schema, options, &mut root, &query.select)?;
    }
    for (place, field, condition) in &query.filters {
        if !(is_written && place.is_empty()) {
            let tree = root.at(place)?;
            let predicate = of_filter(tree, field, condition);
            tree.conditions.push(predicate);
        }
    }
    for (place, logic) in &query.logic {
        if !(is_written && place.is_empty()) {
            let tree = root.at(place)?;
            let predicate = of_logic(tree, logic);
            tree.conditions.push(predicate);
        }
    }
    for (place, terms) in &query.orders {
        let tree = root.at(place)?;
        tree.order = ordered(tree, terms)?;
    }
    for (place, range) in &query.ranges {
        if !place.is_empty() {
            root.at(place)?.range = *range;
        }
    }
    if !is_written {
        root.range = request.range;
        limit(&mut root, options.rows_max);
    }
    Ok(root)
}

/// The filters of the root alone, for a write.
pub(crate) fn root_conditions(request: &Request) -> Vec<Predicate> {
    let filters = request.query.filters.iter().filter(|(place, _, _)| place.is_empty());
    let logic = request.query.logic.iter().filter(|(place, _)| place.is_empty());
    filters
        .map(|(_, field, condition)| Predicate::Column(field.clone(), condition.clone()))
        .chain(logic.map(|(_, logic)| plain(logic)))
        .collect()
}

fn plain(logic: &Logic) -> Predicate {
    match logic {
        Logic::Filter(field, condition) => Predicate::Column(field.clone(), condition.clone()),
        Logic::Group { negated, is_or, of } => Predicate::Group {
            negated: *negated,
            is_or: *is_or,
            of: of.iter().map(plain).collect(),
        },
    }
}

fn limit(tree: &mut Tree, rows_max: Option<i64>) {
    tree.range = tree.range.at_most(rows_max);
    for embed in &mut tree.embeds {
        limit(&mut embed.tree, rows_max);
    }
}

fn take_items(schema: &Schema, options: &Options, tree: &mut Tree, items: &[SelectItem]) -> Result<(), Refusal> {
    for item in items {
        match item {
            SelectItem::Star => tree.fields.push(Output::Star),
            SelectItem::Column(column) => {
                if column.aggregate.is_some() && !options.aggregates {
                    return Err(Refusal::AggregatesOff);
                }
                tree.fields.push(Output::Column(column.clone(), key_of(column)));
            }
            SelectItem::Embed(item) => embed(schema, options, tree, item, false)?,
            SelectItem::Spread(item) => embed(schema, options, tree, item, true)?,
        }
    }
    Ok(())
}

/// The key of a column in the answer: its alias, its aggregate, the last key on its path, itself.
fn key_of(item: &ColumnItem) -> String {
    if let Some(alias) = &item.alias {
        return alias.clone();
    }
    if let Some(aggregate) = item.aggregate {
        return aggregate.name().to_owned();
    }
    let Some(field) = &item.field else {
        return Aggregate::Count.name().to_owned();
    };
    let named = field.path.iter().rev().find_map(|step| match &step.to {
        Operand::Key(key) => Some(key.clone()),
        Operand::Index(_) => None,
    });
    named.unwrap_or_else(|| field.name.clone())
}

fn embed(
    schema: &Schema,
    options: &Options,
    parent: &mut Tree,
    item: &EmbedItem,
    is_spread: bool,
) -> Result<(), Refusal> {
    let way = schema
        .way(&parent.origin, &item.relation, item.hint.as_deref())?
        .clone();
    let depth = parent.depth + 1;
    let mut tree = Tree {
        origin: way.target.clone(),
        source: Source::Related,
        alias: format!("{}_{depth}", way.target.name),
        depth,
        fields: Vec::new(),
        embeds: Vec::new(),
        conditions: Vec::new(),
        order: Vec::new(),
        range: Range::default(),
        is_in_text: false,
    };
    take_items(schema, options, &mut tree, &item.items)?;
    if is_spread && !way.is_to_one() && tree.has_aggregates() {
        return Err(Refusal::NotImplemented(
            "Aggregates are not implemented for one-to-many or many-to-many spreads.".to_owned(),
        ));
    }
    let lateral = format!("pgrst_{depth}_{}", parent.embeds.len());
    let key = item.alias.clone().unwrap_or_else(|| item.relation.clone());
    if parent.embeds.iter().any(|embed| embed.key == key) {
        return Err(Refusal::EmbeddedTwice(format!("{}_{key}_{depth}", parent.origin.name)));
    }
    parent.embeds.push(Embed {
        key,
        relation: item.relation.clone(),
        way,
        is_inner: item.join == Some(Join::Inner),
        is_spread,
        lateral,
        tree,
    });
    Ok(())
}

fn of_logic(tree: &Tree, logic: &Logic) -> Predicate {
    match logic {
        Logic::Filter(field, condition) => of_filter(tree, field, condition),
        Logic::Group { negated, is_or, of } => Predicate::Group {
            negated: *negated,
            is_or: *is_or,
            of: of.iter().map(|logic| of_logic(tree, logic)).collect(),
        },
    }
}

/// A filter on a column, or a null check on the embed that has that name in the answer. Whatever else is asked of such a
/// name is asked of a column: a foreign key may be called as what it leads to.
fn of_filter(tree: &Tree, field: &Field, condition: &Condition) -> Predicate {
    let embed = tree.embeds.iter().position(|embed| embed.key == field.name);
    let exists = match condition.test {
        Test::Is(Is::Null) => Some(condition.negated),
        Test::Is(Is::NotNull) => Some(!condition.negated),
        Test::Is(Is::True | Is::False | Is::Unknown)
        | Test::Compare(..)
        | Test::In(_)
        | Test::IsDistinct(_)
        | Test::Search(..) => None,
    };
    match embed.filter(|_| field.path.is_empty()).zip(exists) {
        Some((embed, exists)) => Predicate::Related { embed, exists },
        None => Predicate::Column(field.clone(), condition.clone()),
    }
}

fn ordered(tree: &Tree, terms: &[OrderTerm]) -> Result<Vec<Order>, Refusal> {
    terms
        .iter()
        .map(|term| {
            let Some(relation) = &term.relation else {
                return Ok(Order {
                    lateral: None,
                    term: term.clone(),
                });
            };
            let found = tree.embed_at(relation).and_then(|at| tree.embeds.get(at));
            let embed = found.ok_or_else(|| Refusal::NotEmbedded(relation.clone()))?;
            if !embed.way.is_to_one() {
                return Err(Refusal::RelatedOrder {
                    origin: tree.origin.name.clone(),
                    target: relation.clone(),
                });
            }
            Ok(Order {
                lateral: Some(embed.lateral.clone()),
                term: term.clone(),
            })
        })
        .collect()
}
