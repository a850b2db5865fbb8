//! What is asked: which resource, which action, in which schema, with which wishes.

use crate::{
    body::{self, Arguments, Rows},
    error::Refusal,
    media::{self, MediaType},
    name::QualifiedName,
    preferences::Preferences,
    query::{self, Query},
    range::Range,
    schema::Schema,
};

/// How the protocol is served.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Options {
    /// The exposed schemas; the first is the default.
    pub schemas: Vec<String>,
    /// The most rows of one read, at every level.
    pub rows_max: Option<i64>,
    /// Whether aggregates may be used.
    pub aggregates: bool,
    /// Whether plans may be asked for.
    pub plans: bool,
    /// Whether writes are rolled back unless something else is asked for.
    pub rollback: bool,
    /// Whether something else may be asked for.
    pub rollback_override: bool,
    /// What the root answers.
    pub root: Root,
    /// Whether the root's document asks for a token.
    pub openapi_security: bool,
    /// Under which URL clients reach the server, for the root's document.
    pub openapi_server: String,
}

/// What the root answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A document of what the caller may use.
    FollowPrivileges,
    /// A document of everything.
    IgnorePrivileges,
    /// Nothing.
    Disabled,
    /// What this function gives.
    Function(QualifiedName),
}

impl Default for Options {
    fn default() -> Options {
        Options {
            schemas: vec!["public".to_owned()],
            rows_max: None,
            aggregates: false,
            plans: false,
            rollback: false,
            rollback_override: false,
            root: Root::FollowPrivileges,
            openapi_security: false,
            openapi_server: "http://0.0.0.0:3000/".to_owned(),
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below the protocol's root, still encoded.
    pub path: &'a str,
    /// What follows `?`.
    pub query: &'a str,
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Describe everything.
    Root,
    /// Read a relation.
    Read(QualifiedName),
    /// Write to a relation.
    Write(QualifiedName, Write),
    /// Call a function.
    Call(QualifiedName, Arguments, CallMethod),
    /// Say what a relation takes.
    DescribeRelation(QualifiedName),
    /// Say what a function takes.
    DescribeRoutine(QualifiedName),
    /// Say what the root takes.
    DescribeRoot,
}

/// How a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallMethod {
    /// By a method that changes nothing.
    Get,
    /// By POST.
    Post,
}

/// A write.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// POST
    Insert(Rows),
    /// PATCH
    Update(Rows),
    /// PUT
    Put(Rows),
    /// DELETE
    Delete,
}

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is to be done.
    pub action: Action,
    /// HEAD: the body is not sent.
    pub is_head: bool,
    /// The schema.
    pub schema: String,
    /// The schema, where it has to be told.
    pub profile: Option<String>,
    /// The query string.
    pub query: Query,
    /// Which rows of the resource itself.
    pub range: Range,
    /// What the client takes, best first.
    pub accept: Vec<MediaType>,
    /// The type of the body.
    pub content_type: MediaType,
    /// What it would like.
    pub preferences: Preferences,
    /// The path, decoded.
    pub path: String,
}

enum Resource {
    Root,
    Relation(String),
    Routine(String),
}

/// Reads a request.
///
/// # Errors
/// When it does not follow the protocol.
pub fn read(incoming: &Incoming<'_>, options: &Options, schema: &Schema) -> Result<Request, Refusal> {
    let resource = resource(incoming.path)?;
    let (name, profile) = chosen_schema(incoming, options)?;
    let is_head = incoming.method == "HEAD";
    let is_read = is_head || incoming.method == "GET";
    check_method(&resource, incoming.method)?;
    let resource = match (resource, &options.root) {
        (Resource::Root, Root::Function(function)) if incoming.method != "OPTIONS" => {
            return root_call(incoming, options, schema, function);
        }
        (resource, _) => resource,
    };
    let is_call = matches!(resource, Resource::Routine(_)) && is_read;
    let query = Query::of(incoming.query, is_call)?;
    let range = query.ranges.get(&Vec::new()).copied().unwrap_or_default();
    let range = if incoming.method == "GET" {
        range.within_header(incoming.header("range"))?
    } else {
        range
    };
    let content_type = incoming
        .header("content-type")
        .map_or(MediaType::Json, MediaType::parse);
    let qualified = |relation: &str| QualifiedName::of(&name, relation);
    let rows = || body::rows(&content_type, incoming.body, query.columns.is_some());
    let action = match (&resource, incoming.method) {
        (Resource::Root, "OPTIONS") => Action::DescribeRoot,
        (Resource::Root, _) => Action::Root,
        (Resource::Relation(relation), "OPTIONS") => Action::DescribeRelation(qualified(relation)),
        (Resource::Relation(relation), "POST") => Action::Write(qualified(relation), Write::Insert(rows()?)),
        (Resource::Relation(relation), "PATCH") => Action::Write(qualified(relation), Write::Update(rows()?)),
        (Resource::Relation(relation), "PUT") => Action::Write(qualified(relation), Write::Put(rows()?)),
        (Resource::Relation(relation), "DELETE") => Action::Write(qualified(relation), Write::Delete),
        (Resource::Relation(relation), _) => Action::Read(qualified(relation)),
        (Resource::Routine(routine), "OPTIONS") => Action::DescribeRoutine(qualified(routine)),
        (Resource::Routine(routine), "POST") => {
            let mut arguments = body::arguments(&content_type, incoming.body)?;
            if let Some(columns) = &query.columns {
                arguments.keep_only(columns);
            }
            Action::Call(qualified(routine), arguments, CallMethod::Post)
        }
        (Resource::Routine(routine), _) => {
            let arguments = Arguments::Texts(query.arguments.clone());
            Action::Call(qualified(routine), arguments, CallMethod::Get)
        }
    };
    Ok(Request {
        action,
        is_head,
        profile,
        query,
        range,
        accept: media::accepted(incoming.header("accept")),
        content_type,
        preferences: preferences(incoming, options, schema),
        path: query::unescaped(incoming.path),
        schema: name,
    })
}

fn root_call(
    incoming: &Incoming<'_>,
    options: &Options,
    schema: &Schema,
    function: &QualifiedName,
) -> Result<Request, Refusal> {
    let (name, profile) = chosen_schema(incoming, options)?;
    let mut id = function.clone();
    if id.schema.is_empty() {
        id.schema.clone_from(&name);
    }
    Ok(Request {
        action: Action::Call(id, Arguments::Texts(Vec::new()), CallMethod::Get),
        is_head: incoming.method == "HEAD",
        schema: name,
        profile,
        query: Query::default(),
        range: Range::default(),
        accept: media::accepted(incoming.header("accept")),
        content_type: MediaType::Json,
        preferences: preferences(incoming, options, schema),
        path: "/".to_owned(),
    })
}

fn preferences(incoming: &Incoming<'_>, options: &Options, schema: &Schema) -> Preferences {
    let headers = incoming
        .headers
        .iter()
        .filter(|(name, _)| name == "prefer")
        .map(|(_, value)| value.as_str());
    Preferences::of(headers, options.rollback_override, |name| schema.has_timezone(name))
}

fn resource(path: &str) -> Result<Resource, Refusal> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [""] => Ok(Resource::Root),
        ["rpc", name] if !name.is_empty() => Ok(Resource::Routine(query::unescaped(name))),
        [name] | [name, ""] => Ok(Resource::Relation(query::unescaped(name))),
        _ => Err(Refusal::Path),
    }
}

fn check_method(resource: &Resource, method: &str) -> Result<(), Refusal> {
    let known = match resource {
        Resource::Root => ["GET", "HEAD", "OPTIONS"].contains(&method),
        Resource::Relation(_) => ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"].contains(&method),
        Resource::Routine(_) => {
            if !["GET", "HEAD", "POST", "OPTIONS"].contains(&method) {
                return Err(Refusal::RpcMethod(method.to_owned()));
            }
            true
        }
    };
    if known {
        Ok(())
    } else {
        Err(Refusal::Method(method.to_owned()))
    }
}

/// The schema asked for, and whether the answer has to say it.
fn chosen_schema(incoming: &Incoming<'_>, options: &Options) -> Result<(String, Option<String>), Refusal> {
    let header = match incoming.method {
        "POST" | "PATCH" | "PUT" | "DELETE" => "content-profile",
        _ => "accept-profile",
    };
    match incoming.header(header) {
        Some(asked) if options.schemas.iter().any(|schema| schema == asked) => {
            Ok((asked.to_owned(), Some(asked.to_owned())))
        }
        Some(asked) => Err(Refusal::Schema {
            asked: asked.to_owned(),
            exposed: options.schemas.clone(),
        }),
        None => {
            let default = options.schemas.first().cloned().unwrap_or_default();
            let told = (options.schemas.len() > 1).then(|| default.clone());
            Ok((default, told))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Request, Refusal> {
        let options = Options {
            schemas: vec!["v1".to_owned(), "v2".to_owned()],
            ..Options::default()
        };
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let incoming = Incoming {
            method,
            path,
            query,
            headers: &headers,
            body: b"{}",
        };
        read(&incoming, &options, &Schema::default())
    }

    #[test]
    fn paths_methods_and_profiles() {
        assert_eq!(asked("GET", "/", &[]).unwrap().action, Action::Root);
        assert_eq!(
            asked("GET", "/a%20b", &[]).unwrap().action,
            Action::Read(QualifiedName::of("v1", "a b"))
        );
        assert_eq!(asked("GET", "/a/b", &[]), Err(Refusal::Path));
        assert_eq!(
            asked("PATCH", "/rpc/f", &[]),
            Err(Refusal::RpcMethod("PATCH".to_owned()))
        );
        assert_eq!(asked("TRACE", "/a", &[]), Err(Refusal::Method("TRACE".to_owned())));
        let told = asked("GET", "/a", &[("accept-profile", "v2")]).unwrap();
        assert_eq!((told.schema.as_str(), told.profile.as_deref()), ("v2", Some("v2")));
        assert_eq!(asked("POST", "/a", &[]).unwrap().profile.as_deref(), Some("v1"));
        assert!(matches!(
            asked("POST", "/a", &[("content-profile", "x")]),
            Err(Refusal::Schema { .. })
        ));
    }

    #[test]
    fn only_get_has_a_range_header() {
        let range = |method| asked(method, "/a?limit=5", &[("range", "0-1")]).unwrap().range;
        assert_eq!(range("GET").limit, Some(2));
        assert_eq!(range("HEAD").limit, Some(5));
        assert_eq!(range("POST").limit, Some(5));
    }
}
