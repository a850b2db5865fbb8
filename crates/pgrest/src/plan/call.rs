//! A call: which of several functions of one name, with which arguments.

use std::collections::BTreeSet;

use super::read::{self, Tree};
use crate::{
    body::Arguments,
    error::Refusal,
    media::MediaType,
    name::QualifiedName,
    range::Range,
    request::{Action, CallMethod, Options, Request},
    schema::{Parameter, Routine, Schema},
};

/// A planned call.
#[derive(Debug, Clone)]
pub(crate) struct CallPlan<'a> {
    /// The function.
    pub(crate) routine: &'a Routine,
    /// Its arguments.
    pub(crate) values: Values<'a>,
    /// How its rows are read; none: it gives values.
    pub(crate) tree: Option<Tree>,
    /// Which of its rows or values.
    pub(crate) range: Range,
}

/// The arguments of a call.
#[derive(Debug, Clone)]
pub(crate) enum Values<'a> {
    /// By name.
    Named(Vec<(&'a Parameter, Value)>),
    /// The body, for the only parameter, which has no name.
    Unnamed(&'a Parameter, String),
}

/// One argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// PostgreSQL reads it as the parameter's type.
    Text(String),
    /// Several, for a variadic parameter.
    Texts(Vec<String>),
    /// PostgreSQL reads it from JSON.
    Json(String),
    /// Null.
    Null,
}

/// Plans a call.
pub(super) fn plan<'a>(
    schema: &'a Schema,
    options: &Options,
    request: &Request,
    id: &QualifiedName,
    arguments: &'a Arguments,
) -> Result<CallPlan<'a>, Refusal> {
    let is_post = matches!(request.action, Action::Call(_, _, CallMethod::Post));
    let names = arguments.names();
    let (routine, by_name) = choose(schema, id, arguments, &names, is_post)?;
    let values = match (by_name, routine.parameters.first()) {
        (false, Some(parameter)) => Values::Unnamed(parameter, whole(arguments)),
        _ => Values::Named(named(routine, arguments)),
    };
    let tree = if routine.is_scalar() {
        None
    } else {
        let origin = routine.relation().unwrap_or(&routine.id);
        Some(read::tree(
            schema,
            options,
            request,
            read::From::called(origin, &routine.id.name),
        )?)
    };
    let range = match &tree {
        Some(tree) => tree.range,
        None if routine.is_set => request.range.at_most(options.rows_max),
        None => Range::default(),
    };
    Ok(CallPlan {
        routine,
        values,
        tree,
        range,
    })
}

/// The function, and whether its arguments are given by name.
fn choose<'a>(
    schema: &'a Schema,
    id: &QualifiedName,
    arguments: &Arguments,
    names: &BTreeSet<&str>,
    is_post: bool,
) -> Result<(&'a Routine, bool), Refusal> {
    let overloads = schema.routines(id);
    let media = match arguments {
        Arguments::Json { whole: Some(_), .. } => MediaType::Json,
        Arguments::Json { whole: None, .. } => MediaType::Csv,
        Arguments::Texts(_) => MediaType::Form,
        Arguments::Whole(media, _) => media.clone(),
    };
    let only_unnamed = matches!(arguments, Arguments::Whole(..));
    let by_name: Vec<&Routine> = if only_unnamed {
        Vec::new()
    } else {
        overloads.iter().filter(|routine| takes(routine, names)).collect()
    };
    let unnamed_types: &[&str] = if media == MediaType::Json && is_post {
        &["json", "jsonb"]
    } else if media == MediaType::Text {
        &["text"]
    } else if media == MediaType::Xml {
        &["xml"]
    } else if media == MediaType::Bytes {
        &["bytea"]
    } else {
        &[]
    };
    match by_name.as_slice() {
        // A member without a name is the only parameter that has none, which takes the body as it is.
        [one] => return Ok((one, !names.contains(""))),
        [] => {}
        several => return Err(ambiguous(several)),
    }
    let unnamed: Vec<&Routine> = overloads
        .iter()
        .filter(|routine| match routine.parameters.as_slice() {
            [only] => only.name.is_empty() && unnamed_types.contains(&only.type_name.as_str()),
            _ => false,
        })
        .collect();
    match unnamed.as_slice() {
        [one] => Ok((one, false)),
        [] => {
            let said = match unnamed_types {
                [] => None,
                ["json", ..] => Some("json/jsonb"),
                ["text"] => Some("text"),
                ["xml"] => Some("xml"),
                _ => Some("bytea"),
            };
            Err(schema.no_routine(id, names, said, only_unnamed))
        }
        several => Err(ambiguous(several)),
    }
}

fn ambiguous(several: &[&Routine]) -> Refusal {
    Refusal::AmbiguousFunction(several.iter().map(|routine| (*routine).clone()).collect())
}

fn takes(routine: &Routine, names: &BTreeSet<&str>) -> bool {
    let has = |name: &str| routine.parameters.iter().any(|parameter| parameter.name == name);
    routine
        .parameters
        .iter()
        .all(|parameter| names.contains(parameter.name.as_str()) || !parameter.is_required)
        && names.iter().all(|name| has(name))
}

fn whole(arguments: &Arguments) -> String {
    match arguments {
        Arguments::Json { whole, .. } => whole.clone().unwrap_or_default(),
        Arguments::Texts(_) => String::new(),
        Arguments::Whole(MediaType::Bytes, body) => {
            let digits = body.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
            format!("\\x{}", digits.collect::<String>())
        }
        Arguments::Whole(_, body) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn named<'a>(routine: &'a Routine, arguments: &Arguments) -> Vec<(&'a Parameter, Value)> {
    let value = |parameter: &Parameter| match arguments {
        Arguments::Json { members, .. } => {
            let (_, json) = members.iter().find(|(name, _)| *name == parameter.name)?;
            Some(of_json(parameter, json))
        }
        Arguments::Texts(members) => {
            let given: Vec<&String> = members
                .iter()
                .filter(|(name, _)| *name == parameter.name)
                .map(|(_, value)| value)
                .collect();
            let last = given.last()?;
            // One value of a variadic parameter may be a whole array.
            Some(
                if parameter.is_variadic && !(given.len() == 1 && last.starts_with('{')) {
                    Value::Texts(given.into_iter().cloned().collect())
                } else {
                    Value::Text((*last).clone())
                },
            )
        }
        Arguments::Whole(..) => None,
    };
    let given = routine.parameters.iter().filter(|parameter| !parameter.name.is_empty());
    given
        .filter_map(|parameter| Some((parameter, value(parameter)?)))
        .collect()
}

/// Plain values are passed as they are; arrays and objects of types other than JSON are taken apart by PostgreSQL.
fn of_json(parameter: &Parameter, json: &str) -> Value {
    if json == "null" {
        return Value::Null;
    }
    if matches!(parameter.type_name.as_str(), "json" | "jsonb") {
        return Value::Text(json.to_owned());
    }
    if json.starts_with('"') {
        return serde_json::from_str(json).map_or(Value::Null, Value::Text);
    }
    if json.starts_with(['[', '{']) {
        return Value::Json(json.to_owned());
    }
    Value::Text(json.to_owned())
}
