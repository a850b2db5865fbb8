//! The answer: status, headers and body from the one row that a statement gave.

use serde_json::{Map, Value};

use crate::{
    error::{ErrorReply, Refusal},
    media::MediaType,
    plan::{Kind, StatementPlan},
    preferences::{Count, Return},
    query,
    range::{content_range, page_status},
    request::Request,
};

/// The row that a statement gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// How many rows there are in all, if they were counted.
    pub total: Option<i64>,
    /// How many rows the page has, or were touched.
    pub rows: i64,
    /// The body.
    pub body: Vec<u8>,
    /// The headers that a function set.
    pub headers: Option<String>,
    /// The status that a function set.
    pub status: Option<String>,
    /// The key of the row that was added.
    pub location: Option<String>,
    /// How many rows are new.
    pub inserted: Option<i64>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Its text where it is not the usual one.
    pub status_text: Option<String>,
    /// Headers; a name may stand several times.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl From<ErrorReply> for Reply {
    fn from(error: ErrorReply) -> Reply {
        let mut headers = error.headers;
        let has_type = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !has_type {
            headers.push(("Content-Type".to_owned(), MediaType::Json.content_type()));
        }
        headers.push(("Proxy-Status".to_owned(), format!("PostgREST; error={}", error.code)));
        Reply {
            status: error.status,
            status_text: error.status_text,
            headers,
            body: error.body.into_bytes(),
        }
    }
}

/// The total that is told: counted, or as the planner thinks.
#[must_use]
pub fn total_of(plan: &StatementPlan, counted: Option<i64>, estimate: Option<i64>) -> Option<i64> {
    match plan.count {
        None => None,
        Some(Count::Exact) => counted,
        Some(Count::Planned) => estimate.or(counted),
        Some(Count::Estimated) => match (counted, plan.estimate_above) {
            // Without a limit every count is taken for one that may be too large.
            (Some(counted), above) if above.is_none_or(|above| counted > above) => {
                Some(estimate.unwrap_or(0).max(counted))
            }
            _ => counted,
        },
    }
}

/// The rows that the planner expects, from the JSON of its plan.
#[must_use]
pub fn planned_rows(json: &str) -> Option<i64> {
    let plan: Value = serde_json::from_str(json).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_i64()
}

impl StatementPlan {
    /// Whether [`StatementPlan::verify`] may refuse, so that a write must not be committed before.
    #[must_use]
    pub fn has_checks(&self) -> bool {
        self.is_singular || self.max_affected.is_some() || matches!(self.kind, Kind::Put(_))
    }

    /// What has to hold of the outcome before it may last.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn verify(&self, outcome: &Outcome) -> Result<(), Refusal> {
        if matches!(self.kind, Kind::Put(_)) && outcome.rows != 1 && !self.is_explain {
            return Err(Refusal::PutKey);
        }
        if self.is_singular && outcome.rows != 1 {
            return Err(Refusal::NotSingular(outcome.rows));
        }
        match self.max_affected {
            Some(rows) if outcome.rows > rows => Err(Refusal::MaxAffected(outcome.rows)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Makes the answer.
///
/// # Errors
/// When the page lies behind the last row, or a function set a status or headers that are none.
pub fn reply(plan: &StatementPlan, request: &Request, outcome: Outcome) -> Result<Reply, Refusal> {
    let status = wished_status(&outcome)?;
    let wished = wished_headers(&outcome)?;
    let mut reply = if plan.is_explain {
        Reply {
            status: 200,
            ..Reply::default()
        }
    } else {
        by_kind(plan, request, &outcome)?
    };
    let has_body = plan.is_explain || gives_body(plan);
    if let Some(applied) = request.preferences.applied(plan.used) {
        reply.headers.push(("Preference-Applied".to_owned(), applied));
    }
    if let Some(profile) = &request.profile {
        reply.headers.push(("Content-Profile".to_owned(), profile.clone()));
    }
    if has_body {
        reply
            .headers
            .push(("Content-Type".to_owned(), plan.media.content_type()));
        if !request.is_head {
            reply.body = outcome.body;
        }
    }
    let unless_wished = |(name, _): &(String, String)| !wished.iter().any(|(wish, _)| wish.eq_ignore_ascii_case(name));
    reply.headers.retain(unless_wished);
    reply.headers.extend(wished);
    reply.status = status.unwrap_or(reply.status);
    Ok(reply)
}

fn gives_body(plan: &StatementPlan) -> bool {
    match &plan.kind {
        Kind::Read(_) => true,
        Kind::Call { is_void, .. } => !is_void,
        Kind::Insert { returns, .. } | Kind::Update(returns) | Kind::Put(returns) | Kind::Delete(returns) => {
            *returns == Return::Representation
        }
    }
}

fn by_kind(plan: &StatementPlan, request: &Request, outcome: &Outcome) -> Result<Reply, Refusal> {
    let range = |text: String| ("Content-Range".to_owned(), text);
    let counted = plan.count.is_some().then_some(outcome.rows);
    let written = |returns: Return| if returns == Return::Representation { 200 } else { 204 };
    let (status, headers) = match &plan.kind {
        Kind::Read(id) => {
            let total = outcome.total;
            let status = page_status(plan.offset, outcome.rows, total)?;
            let mut headers = vec![range(content_range(plan.offset, outcome.rows, total))];
            headers.push(content_location(&id.name, "", request));
            (status, headers)
        }
        Kind::Call { is_void, function } => {
            let status = page_status(plan.offset, outcome.rows, outcome.total)?;
            if *is_void {
                (
                    204,
                    vec![range(content_range(plan.offset, outcome.rows, outcome.total))],
                )
            } else {
                let mut headers = vec![range(content_range(plan.offset, outcome.rows, outcome.total))];
                if matches!(
                    request.action,
                    crate::request::Action::Call(_, _, crate::request::CallMethod::Get)
                ) {
                    headers.push(content_location(&function.name, "rpc/", request));
                }
                (status, headers)
            }
        }
        Kind::Insert {
            relation,
            key,
            returns,
            is_merge,
        } => {
            let is_changed_only = *is_merge && outcome.inserted == Some(0);
            let status = if is_changed_only { 200 } else { 201 };
            let mut headers = Vec::new();
            if *returns == Return::HeadersOnly {
                headers.extend(location(&relation.name, key, outcome));
            }
            headers.push(range(content_range(0, 0, counted)));
            (status, headers)
        }
        Kind::Update(returns) => (written(*returns), vec![range(content_range(0, outcome.rows, counted))]),
        Kind::Put(returns) => {
            let is_new = outcome.inserted.is_some_and(|rows| rows > 0);
            let status = if *returns == Return::Representation && is_new {
                201
            } else {
                written(*returns)
            };
            (status, Vec::new())
        }
        Kind::Delete(returns) => (written(*returns), vec![range(content_range(0, 0, counted))]),
    };
    Ok(Reply {
        status,
        headers,
        ..Reply::default()
    })
}

fn content_location(name: &str, folder: &str, request: &Request) -> (String, String) {
    let query = &request.query.canonical;
    let mark = if query.is_empty() { "" } else { "?" };
    (
        "Content-Location".to_owned(),
        format!("/{folder}{}{mark}{query}", query::encoded(name)),
    )
}

/// Where the row is that was added, if it was one and has a key.
fn location(relation: &str, key: &[String], outcome: &Outcome) -> Option<(String, String)> {
    let values: Vec<Option<String>> = serde_json::from_str(outcome.location.as_deref()?).ok()?;
    if values.len() != key.len() {
        return None;
    }
    let filters: Vec<String> = key
        .iter()
        .zip(values)
        .map(|(name, value)| match value {
            Some(value) => format!("{}=eq.{}", query::encoded(name), query::encoded(&value)),
            None => format!("{}=is.null", query::encoded(name)),
        })
        .collect();
    Some((
        "Location".to_owned(),
        format!("/{}?{}", query::encoded(relation), filters.join("&")),
    ))
}

fn wished_status(outcome: &Outcome) -> Result<Option<u16>, Refusal> {
    let Some(text) = &outcome.status else {
        return Ok(None);
    };
    let status = text.parse().ok().filter(|status| (100..1000).contains(status));
    status.map(Some).ok_or(Refusal::ResponseStatus)
}

fn wished_headers(outcome: &Outcome) -> Result<Vec<(String, String)>, Refusal> {
    let Some(text) = &outcome.headers else {
        return Ok(Vec::new());
    };
    let items: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|_| Refusal::ResponseHeaders)?;
    items
        .into_iter()
        .map(|item| {
            let mut members = item.into_iter();
            match (members.next(), members.next()) {
                (Some((name, Value::String(value))), None) => Ok((name, value)),
                _ => Err(Refusal::ResponseHeaders),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_may_set_headers_and_status() {
        let outcome = |headers: &str, status: &str| Outcome {
            headers: Some(headers.to_owned()),
            status: Some(status.to_owned()),
            ..Outcome::default()
        };
        let set = outcome(r#"[{"Set-Cookie":"a"},{"Set-Cookie":"b"}]"#, "418");
        assert_eq!(wished_headers(&set).unwrap().len(), 2);
        assert_eq!(wished_status(&set), Ok(Some(418)));
        for headers in ["{}", r#"[{"a":1}]"#, r#"[{"a":"1","b":"2"}]"#, "x"] {
            assert_eq!(
                wished_headers(&outcome(headers, "1")),
                Err(Refusal::ResponseHeaders),
                "{headers}"
            );
        }
        assert_eq!(wished_status(&outcome("[]", "bad")), Err(Refusal::ResponseStatus));
    }

    #[test]
    fn the_planner_is_asked_by_json() {
        assert_eq!(planned_rows(r#"[{"Plan":{"Plan Rows":6}}]"#), Some(6));
        assert_eq!(planned_rows("[]"), None);
    }
}
