//! What is refused before PostgreSQL is asked, and how PostgreSQL's own refusals are passed on: code, status, body.
//!
//! Codes and wording are the protocol's: clients match them.

mod server;

use serde_json::{Map, Value, json};

use crate::{
    grammar::ParseError,
    name::QualifiedName,
    schema::{Cardinality, Relationship, Routine},
};
pub use server::ServerFault;

/// A refusal of the protocol itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// A parameter does not follow the grammar.
    Parameter(ParseError),
    /// A call with a method that calls do not take.
    RpcMethod(String),
    /// The body cannot be used.
    Body(String),
    /// A limit below zero.
    NegativeLimit,
    /// A range whose end lies before its beginning.
    BackwardRange,
    /// An offset behind the last row.
    OffsetOutOfBounds {
        /// The offset asked for.
        offset: i64,
        /// How many rows there are.
        total: i64,
    },
    /// PUT without exactly the primary key.
    PutFilters,
    /// A schema that is not exposed.
    Schema {
        /// The one asked for.
        asked: String,
        /// The exposed ones.
        exposed: Vec<String>,
    },
    /// No media type that the client takes.
    MediaType(Vec<String>),
    /// A parameter for something that is not embedded.
    NotEmbedded(String),
    /// Two embeds side by side that have one name, as PostgreSQL would call it.
    EmbeddedTwice(String),
    /// The function set headers that are none.
    ResponseHeaders,
    /// The function set a status that is none.
    ResponseStatus,
    /// PUT with limit or offset.
    PutLimit,
    /// PUT whose body has another key than its URL.
    PutKey,
    /// Not exactly one row.
    NotSingular(i64),
    /// A method that relations do not take.
    Method(String),
    /// An order by a to-many embed.
    RelatedOrder {
        /// The resource to be ordered.
        origin: String,
        /// The embed.
        target: String,
    },
    /// `RAISE SQLSTATE 'PGRST'` with something that is not the JSON it should be.
    Raise(RaiseFault),
    /// Preferences that are none, under `handling=strict`.
    Preferences(Vec<String>),
    /// Aggregates are switched off.
    AggregatesOff,
    /// More rows than `max-affected` allows.
    MaxAffected(i64),
    /// A path that is none.
    Path,
    /// The root is switched off.
    RootDisabled,
    /// A combination that does not exist.
    NotImplemented(String),
    /// `max-affected` on a call that gives no rows.
    MaxAffectedScalar,
    /// No relationship.
    NoRelationship {
        /// From where.
        origin: String,
        /// To where.
        target: String,
        /// With which hint.
        hint: Option<String>,
        /// In which schema.
        schema: String,
        /// What might have been meant.
        suggestion: Option<String>,
    },
    /// Several relationships.
    AmbiguousRelationship {
        /// From where.
        origin: String,
        /// To where.
        target: String,
        /// Which.
        found: Vec<Relationship>,
    },
    /// No function.
    NoFunction(Box<NoFunction>),
    /// Several functions.
    AmbiguousFunction(Vec<Routine>),
    /// No such column.
    NoColumn {
        /// Of which relation.
        relation: String,
        /// Which.
        column: String,
    },
    /// No such relation.
    NoRelation {
        /// Which.
        relation: QualifiedName,
        /// What might have been meant.
        suggestion: Option<String>,
    },
    /// The database cannot be reached.
    NoConnection(String),
    /// No connection was free in time.
    PoolTimeout,
    /// The schema is not loaded yet.
    NoSchema,
    /// A token was sent and nothing to verify it with is configured.
    NoSecret,
    /// A token that cannot be decoded or verified.
    Token {
        /// What is wrong with it.
        text: String,
        /// More of it.
        details: Option<&'static str>,
    },
    /// Visitors may not come in.
    AnonymousDisabled,
    /// Claims that do not hold.
    Claims(String),
    /// More than the server takes.
    TooLarge(String),
    /// A fault of ours.
    Internal,
}

/// A call that no function fits.
#[derive(Debug, Clone, PartialEq)]
pub struct NoFunction {
    /// Which function was asked for.
    pub function: QualifiedName,
    /// With which arguments.
    pub arguments: Vec<String>,
    /// The type of the single unnamed parameter that would have fitted as well, as the message has it.
    pub unnamed: Option<&'static str>,
    /// Whether only that would have fitted.
    pub only_unnamed: bool,
    /// What might have been meant.
    pub suggestion: Option<String>,
}

/// What is wrong with a `RAISE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaiseFault {
    /// The message.
    Message(String),
    /// The detail.
    Detail(String),
    /// There is no detail.
    NoDetail,
}

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// Its text where it is not the usual one.
    pub status_text: Option<String>,
    /// The code, for the log and a header.
    pub code: String,
    /// Headers beside the content type.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: String,
}

fn body(code: &str, message: &str, details: &Value, hint: &Value) -> String {
    json!({ "code": code, "message": message, "details": details, "hint": hint }).to_string()
}

impl Refusal {
    /// The protocol's code and the HTTP status.
    #[must_use]
    pub fn code(&self) -> (&'static str, u16) {
        match self {
            Refusal::Parameter(_) => ("PGRST100", 400),
            Refusal::RpcMethod(_) => ("PGRST101", 405),
            Refusal::Body(_) => ("PGRST102", 400),
            Refusal::NegativeLimit | Refusal::BackwardRange | Refusal::OffsetOutOfBounds { .. } => ("PGRST103", 416),
            Refusal::PutFilters => ("PGRST105", 405),
            Refusal::Schema { .. } => ("PGRST106", 406),
            Refusal::MediaType(_) => ("PGRST107", 406),
            Refusal::NotEmbedded(_) => ("PGRST108", 400),
            Refusal::EmbeddedTwice(_) => ("42712", 400),
            Refusal::ResponseHeaders => ("PGRST111", 500),
            Refusal::ResponseStatus => ("PGRST112", 500),
            Refusal::PutLimit => ("PGRST114", 400),
            Refusal::PutKey => ("PGRST115", 400),
            Refusal::NotSingular(_) => ("PGRST116", 406),
            Refusal::Method(_) => ("PGRST117", 405),
            Refusal::RelatedOrder { .. } => ("PGRST118", 400),
            Refusal::Raise(_) => ("PGRST121", 500),
            Refusal::Preferences(_) => ("PGRST122", 400),
            Refusal::AggregatesOff => ("PGRST123", 400),
            Refusal::MaxAffected(_) => ("PGRST124", 400),
            Refusal::Path => ("PGRST125", 404),
            Refusal::RootDisabled => ("PGRST126", 404),
            Refusal::NotImplemented(_) => ("PGRST127", 400),
            Refusal::MaxAffectedScalar => ("PGRST128", 400),
            Refusal::NoRelationship { .. } => ("PGRST200", 400),
            Refusal::AmbiguousRelationship { .. } => ("PGRST201", 300),
            Refusal::NoFunction(_) => ("PGRST202", 404),
            Refusal::AmbiguousFunction(_) => ("PGRST203", 300),
            Refusal::NoColumn { .. } => ("PGRST204", 400),
            Refusal::NoRelation { .. } => ("PGRST205", 404),
            Refusal::NoConnection(_) => ("PGRST000", 503),
            Refusal::PoolTimeout => ("PGRST003", 504),
            Refusal::NoSchema => ("PGRST002", 503),
            Refusal::NoSecret => ("PGRST300", 500),
            Refusal::Token { .. } => ("PGRST301", 401),
            Refusal::AnonymousDisabled => ("PGRST302", 401),
            Refusal::Claims(_) => ("PGRST303", 401),
            Refusal::TooLarge(_) => ("PGRST102", 413),
            Refusal::Internal => ("PGRSTX00", 500),
        }
    }

    /// Whether another look at the catalogue may change the answer.
    #[must_use]
    pub fn may_be_stale(&self) -> bool {
        matches!(
            self,
            Refusal::NoRelation { .. }
                | Refusal::NoRelationship { .. }
                | Refusal::NoFunction(_)
                | Refusal::NoColumn { .. }
        )
    }

    fn message(&self) -> String {
        match self {
            Refusal::Parameter(error) => error.message.clone(),
            Refusal::RpcMethod(method) => format!("Cannot use the {method} method on RPC"),
            Refusal::Body(text) | Refusal::TooLarge(text) => text.clone(),
            Refusal::NegativeLimit | Refusal::BackwardRange | Refusal::OffsetOutOfBounds { .. } => {
                "Requested range not satisfiable".to_owned()
            }
            Refusal::PutFilters => {
                "Filters must include all and only primary key columns with 'eq' operators".to_owned()
            }
            Refusal::Schema { asked, .. } => format!("Invalid schema: {asked}"),
            Refusal::MediaType(asked) => format!("None of these media types are available: {}", asked.join(", ")),
            Refusal::NotEmbedded(name) => format!("'{name}' is not an embedded resource in this request"),
            Refusal::EmbeddedTwice(name) => format!("table name \"{name}\" specified more than once"),
            Refusal::ResponseHeaders => {
                "response.headers guc must be a JSON array composed of objects with a single key and a string value"
                    .to_owned()
            }
            Refusal::ResponseStatus => "response.status guc must be a valid status code".to_owned(),
            Refusal::PutLimit => "limit/offset querystring parameters are not allowed for PUT".to_owned(),
            Refusal::PutKey => "Payload values do not match URL in primary key column(s)".to_owned(),
            Refusal::NotSingular(_) => "Cannot coerce the result to a single JSON object".to_owned(),
            Refusal::Method(method) => format!("Unsupported HTTP method: {method}"),
            Refusal::RelatedOrder { target, .. } => format!("A related order on '{target}' is not possible"),
            Refusal::Raise(_) => "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error".to_owned(),
            Refusal::Preferences(_) => "Invalid preferences given with handling=strict".to_owned(),
            Refusal::AggregatesOff => "Use of aggregate functions is not allowed".to_owned(),
            Refusal::MaxAffected(_) => "Query result exceeds max-affected preference constraint".to_owned(),
            Refusal::Path => "Invalid path specified in request URL".to_owned(),
            Refusal::RootDisabled => "Root endpoint metadata is disabled".to_owned(),
            Refusal::NotImplemented(_) => "Feature not implemented".to_owned(),
            Refusal::MaxAffectedScalar => {
                "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
                    .to_owned()
            }
            Refusal::NoRelationship { origin, target, .. } => {
                format!("Could not find a relationship between '{origin}' and '{target}' in the schema cache")
            }
            Refusal::AmbiguousRelationship { origin, target, .. } => {
                format!("Could not embed because more than one relationship was found for '{origin}' and '{target}'")
            }
            Refusal::NoFunction(missing) => {
                let arguments = match (missing.only_unnamed, missing.arguments.is_empty()) {
                    (true, _) => String::new(),
                    (false, true) => " without parameters".to_owned(),
                    (false, false) => format!("({})", missing.arguments.join(", ")),
                };
                format!(
                    "Could not find the function {}{arguments} in the schema cache",
                    missing.function
                )
            }
            Refusal::AmbiguousFunction(found) => {
                let shown: Vec<String> = found.iter().map(signature).collect();
                format!(
                    "Could not choose the best candidate function between: {}",
                    shown.join(", ")
                )
            }
            Refusal::NoColumn { relation, column } => {
                format!("Could not find the '{column}' column of '{relation}' in the schema cache")
            }
            Refusal::NoRelation { relation, .. } => {
                format!("Could not find the table '{relation}' in the schema cache")
            }
            Refusal::NoConnection(_) => "Database connection error. Retrying the connection.".to_owned(),
            Refusal::PoolTimeout => "Timed out acquiring connection from connection pool.".to_owned(),
            Refusal::NoSchema => "Could not query the database for the schema cache. Retrying.".to_owned(),
            Refusal::NoSecret => "Server lacks JWT secret".to_owned(),
            Refusal::Token { text, .. } | Refusal::Claims(text) => text.clone(),
            Refusal::AnonymousDisabled => "Anonymous access is disabled".to_owned(),
            Refusal::Internal => "Something went wrong on our side".to_owned(),
        }
    }

    fn details(&self) -> Value {
        let text = match self {
            Refusal::Parameter(error) => error.details.clone(),
            Refusal::Token { details, .. } => return details.map_or(Value::Null, Value::from),
            Refusal::NegativeLimit => "Limit should be greater than or equal to zero.".to_owned(),
            Refusal::BackwardRange => {
                "The lower boundary must be lower than or equal to the upper boundary in the Range header.".to_owned()
            }
            Refusal::OffsetOutOfBounds { offset, total } => {
                format!("An offset of {offset} was requested, but there are only {total} rows.")
            }
            Refusal::NotSingular(rows) => format!("The result contains {rows} rows"),
            Refusal::RelatedOrder { origin, target } => {
                format!("'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship")
            }
            Refusal::Raise(RaiseFault::Message(text)) => format!("Invalid JSON value for MESSAGE: '{text}'"),
            Refusal::Raise(RaiseFault::Detail(text)) => format!("Invalid JSON value for DETAIL: '{text}'"),
            Refusal::Raise(RaiseFault::NoDetail) => "DETAIL is missing in the RAISE statement".to_owned(),
            Refusal::Preferences(names) => format!("Invalid preferences: {}", names.join(", ")),
            Refusal::MaxAffected(rows) => format!("The query affects {rows} rows"),
            Refusal::NotImplemented(text) | Refusal::NoConnection(text) => text.clone(),
            Refusal::NoRelationship {
                origin,
                target,
                hint,
                schema,
                ..
            } => {
                let hint = hint
                    .as_ref()
                    .map(|hint| format!(" using the hint '{hint}'"))
                    .unwrap_or_default();
                format!(
                    "Searched for a foreign key relationship between '{origin}' and '{target}'{hint} in the schema \
                     '{schema}', but no matches were found."
                )
            }
            Refusal::AmbiguousRelationship { found, .. } => return found.iter().map(shown_relationship).collect(),
            Refusal::NoFunction(missing) => {
                let named = match missing.arguments.as_slice() {
                    [] => " without parameters".to_owned(),
                    [one] => format!(" with parameter {one}"),
                    several => format!(" with parameters {}", several.join(", ")),
                };
                let way = match (missing.unnamed, missing.only_unnamed) {
                    (Some(unnamed), true) => format!(" with a single unnamed {unnamed} parameter"),
                    (Some(unnamed), false) => format!("{named} or with a single unnamed {unnamed} parameter"),
                    (None, _) => named,
                };
                format!(
                    "Searched for the function {}{way}, but no matches were found in the schema cache.",
                    missing.function
                )
            }
            Refusal::RpcMethod(_)
            | Refusal::Body(_)
            | Refusal::PutFilters
            | Refusal::Schema { .. }
            | Refusal::MediaType(_)
            | Refusal::NotEmbedded(_)
            | Refusal::EmbeddedTwice(_)
            | Refusal::ResponseHeaders
            | Refusal::ResponseStatus
            | Refusal::PutLimit
            | Refusal::PutKey
            | Refusal::Method(_)
            | Refusal::AggregatesOff
            | Refusal::Path
            | Refusal::RootDisabled
            | Refusal::MaxAffectedScalar
            | Refusal::AmbiguousFunction(_)
            | Refusal::NoColumn { .. }
            | Refusal::NoRelation { .. }
            | Refusal::PoolTimeout
            | Refusal::NoSchema
            | Refusal::NoSecret
            | Refusal::AnonymousDisabled
            | Refusal::Claims(_)
            | Refusal::TooLarge(_)
            | Refusal::Internal => return Value::Null,
        };
        Value::from(text)
    }

    fn hint(&self) -> Value {
        if let Refusal::NotEmbedded(name) = self {
            return Value::from(format!(
                "Verify that '{name}' is included in the 'select' query parameter."
            ));
        }
        if let Refusal::Raise(fault) = self {
            return Value::from(match fault {
                RaiseFault::Message(_) => {
                    "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: \
                     'details', 'hint'."
                }
                RaiseFault::Detail(_) | RaiseFault::NoDetail => {
                    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: \
                     'status_text'."
                }
            });
        }
        if let Refusal::Schema { exposed, .. } = self {
            return Value::from(format!(
                "Only the following schemas are exposed: {}",
                exposed.join(", ")
            ));
        }
        if let Refusal::AmbiguousRelationship { target, found, .. } = self {
            let ways: Vec<String> = found.iter().filter_map(way).collect();
            return Value::from(format!(
                "Try changing '{target}' to one of the following: {}. Find the desired relationship in the 'details' \
                 key.",
                ways.join(", ")
            ));
        }
        if let Refusal::AmbiguousFunction(_) = self {
            return Value::from(
                "Try renaming the parameters or the function itself in the database so function overloading can be \
                 resolved",
            );
        }
        let suggestion = if let Refusal::NoFunction(missing) = self {
            missing.suggestion.clone()
        } else if let Refusal::NoRelationship { suggestion, .. } | Refusal::NoRelation { suggestion, .. } = self {
            suggestion.clone()
        } else {
            None
        };
        suggestion.map_or(Value::Null, Value::from)
    }

    /// As it is sent.
    #[must_use]
    pub fn reply(&self) -> ErrorReply {
        let (code, status) = self.code();
        let mut headers = Vec::new();
        let challenge = if let Refusal::Token { text, .. } | Refusal::Claims(text) = self {
            let text = Value::from(text.as_str());
            Some(format!("Bearer error=\"invalid_token\", error_description={text}"))
        } else {
            (*self == Refusal::AnonymousDisabled).then(|| "Bearer".to_owned())
        };
        headers.extend(challenge.map(|text| ("WWW-Authenticate".to_owned(), text)));
        if let Refusal::OffsetOutOfBounds { total, .. } = self {
            headers.push(("Content-Range".to_owned(), format!("*/{total}")));
        }
        ErrorReply {
            status,
            status_text: None,
            code: code.to_owned(),
            headers,
            body: body(code, &self.message(), &self.details(), &self.hint()),
        }
    }
}

fn signature(routine: &Routine) -> String {
    let parameters: Vec<String> = routine
        .parameters
        .iter()
        .map(|parameter| format!("{} => {}", parameter.name, parameter.type_name))
        .collect();
    format!("{}({})", routine.id, parameters.join(", "))
}

fn sides(columns: &[(String, String)]) -> (String, String) {
    let side = |pick: fn(&(String, String)) -> &str| columns.iter().map(pick).collect::<Vec<_>>().join(", ");
    (side(|pair| pair.0.as_str()), side(|pair| pair.1.as_str()))
}

fn shown_relationship(found: &Relationship) -> Value {
    let (cardinality, relationship) = match &found.cardinality {
        Cardinality::ManyToMany(junction) => {
            let (source, _) = sides(&junction.source_columns);
            let (target, _) = sides(&junction.target_columns);
            let text = format!(
                "{} using {}({source}) and {}({target})",
                junction.table.name, junction.source_constraint, junction.target_constraint
            );
            ("many-to-many", text)
        }
        Cardinality::ManyToOne { constraint, columns } => ("many-to-one", keyed(found, constraint, columns)),
        Cardinality::OneToOne {
            constraint, columns, ..
        } => ("one-to-one", keyed(found, constraint, columns)),
        Cardinality::OneToMany { constraint, columns } => ("one-to-many", keyed(found, constraint, columns)),
        Cardinality::Computed { .. } => return Value::Object(Map::new()),
    };
    json!({
        "cardinality": cardinality,
        "embedding": format!("{} with {}", found.origin.name, found.target.name),
        "relationship": relationship,
    })
}

fn keyed(found: &Relationship, constraint: &str, columns: &[(String, String)]) -> String {
    let (own, foreign) = sides(columns);
    format!(
        "{constraint} using {}({own}) and {}({foreign})",
        found.origin.name, found.target.name
    )
}

fn way(found: &Relationship) -> Option<String> {
    let through = match &found.cardinality {
        Cardinality::ManyToMany(junction) => &junction.table.name,
        Cardinality::ManyToOne { constraint, .. }
        | Cardinality::OneToOne { constraint, .. }
        | Cardinality::OneToMany { constraint, .. } => constraint,
        Cardinality::Computed { .. } => return None,
    };
    Some(format!("'{}!{through}'", found.target.name))
}
