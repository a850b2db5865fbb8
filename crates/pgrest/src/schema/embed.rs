//! Which relationship an embed means.

use super::{Cardinality, Relationship, Schema};
use crate::{error::Refusal, fuzzy, name::QualifiedName};

impl Schema {
    /// Finds the one relationship from `origin` that `target` and `hint` mean.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn way(&self, origin: &QualifiedName, target: &str, hint: Option<&str>) -> Result<&Relationship, Refusal> {
        let all = self.relationships(origin);
        let computed = all
            .iter()
            .find(|way| matches!(&way.cardinality, Cardinality::Computed { function, .. } if function.name == target));
        if let Some(computed) = computed {
            return Ok(computed);
        }
        let found: Vec<&Relationship> = all.iter().filter(|way| is_meant(way, target, hint)).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(self.no_way(origin, target, hint)),
            several => {
                let mut found: Vec<Relationship> = several.iter().map(|way| (*way).clone()).collect();
                found.sort_by_cached_key(place_in_list);
                Err(Refusal::AmbiguousRelationship {
                    origin: origin.name.clone(),
                    target: target.to_owned(),
                    found,
                })
            }
        }
    }

    fn no_way(&self, origin: &QualifiedName, target: &str, hint: Option<&str>) -> Refusal {
        let ways = self.relationships(origin);
        let suggestion = if ways.is_empty() {
            let origins = self.origins_in(&origin.schema);
            fuzzy::nearest(origins, &origin.name, fuzzy::ALIKE).map(|name| (name, origin.name.as_str()))
        } else {
            let targets = ways.iter().map(|way| way.target.name.as_str());
            fuzzy::nearest(targets, target, fuzzy::ALIKE).map(|name| (name, target))
        };
        let suggestion = suggestion
            .filter(|(name, instead)| !name.eq_ignore_ascii_case(instead))
            .map(|(name, instead)| format!("Perhaps you meant '{name}' instead of '{instead}'."));
        Refusal::NoRelationship {
            origin: origin.name.clone(),
            target: target.to_owned(),
            hint: hint.map(str::to_owned),
            schema: origin.schema.clone(),
            suggestion,
        }
    }
}

/// In which order PostgREST names those of which it cannot choose one.
fn place_in_list(way: &Relationship) -> (u8, [String; 3], Vec<(String, String)>) {
    let by_key = |kind, constraint: &String, columns: &Vec<(String, String)>| {
        (
            kind,
            [constraint.clone(), String::new(), String::new()],
            columns.clone(),
        )
    };
    match &way.cardinality {
        Cardinality::OneToMany { constraint, columns } => by_key(0, constraint, columns),
        Cardinality::ManyToOne { constraint, columns } => by_key(1, constraint, columns),
        Cardinality::OneToOne {
            constraint, columns, ..
        } => by_key(2, constraint, columns),
        Cardinality::ManyToMany(junction) => {
            let names = [
                &junction.table.name,
                &junction.source_constraint,
                &junction.target_constraint,
            ];
            (3, names.map(String::clone), junction.source_columns.clone())
        }
        Cardinality::Computed { function, .. } => {
            (4, [function.name.clone(), String::new(), String::new()], Vec::new())
        }
    }
}

fn is_meant(way: &Relationship, target: &str, hint: Option<&str>) -> bool {
    // A function is meant by its own name alone, never by that of the table that it gives rows of.
    if matches!(&way.cardinality, Cardinality::Computed { .. }) {
        return false;
    }
    let by_name = way.target.name == target;
    if way.origin == way.target {
        // Its name means the many that point here, which a column may tell apart; the one pointed to is named by column.
        let (is_of_many, is_of_one) = (
            matches!(&way.cardinality, Cardinality::OneToMany { .. }),
            matches!(&way.cardinality, Cardinality::ManyToOne { .. }),
        );
        return match hint {
            None => by_name && is_of_many || is_of_one && by_own_column(way, target),
            Some(hint) => by_name && is_of_many && by_foreign_column(way, hint),
        };
    }
    match hint {
        None => by_name || (!way.target_is_view && (by_constraint(way, target) || by_own_column(way, target))),
        Some(hint) => {
            by_name
                && (by_constraint(way, hint)
                    || by_own_column(way, hint)
                    || by_foreign_column(way, hint)
                    || by_junction(way, hint))
        }
    }
}

fn by_constraint(way: &Relationship, name: &str) -> bool {
    match &way.cardinality {
        Cardinality::ManyToOne { constraint, .. }
        | Cardinality::OneToMany { constraint, .. }
        | Cardinality::OneToOne { constraint, .. } => constraint == name,
        Cardinality::ManyToMany(_) | Cardinality::Computed { .. } => false,
    }
}

fn by_own_column(way: &Relationship, name: &str) -> bool {
    match &way.cardinality {
        Cardinality::ManyToOne { columns, .. }
        | Cardinality::OneToMany { columns, .. }
        | Cardinality::OneToOne { columns, .. } => matches!(columns.as_slice(), [(own, _)] if own == name),
        Cardinality::ManyToMany(_) | Cardinality::Computed { .. } => false,
    }
}

fn by_foreign_column(way: &Relationship, name: &str) -> bool {
    match &way.cardinality {
        Cardinality::ManyToOne { columns, .. }
        | Cardinality::OneToMany { columns, .. }
        | Cardinality::OneToOne { columns, .. } => matches!(columns.as_slice(), [(_, foreign)] if foreign == name),
        Cardinality::ManyToMany(_) | Cardinality::Computed { .. } => false,
    }
}

fn by_junction(way: &Relationship, name: &str) -> bool {
    matches!(&way.cardinality, Cardinality::ManyToMany(junction) if junction.table.name == name)
}
