//! `GET /functions/v1`: every function as an OpenAPI document, made of the table of functions and of docs/API.md.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use super::{BUILT, NOT_BUILT, PROOFS, UPLOADS, WEBHOOK};
use crate::app::App;

/// The page that tells people the same.
const PAGE: &str = include_str!("../../../../docs/API.md");

/// What the page says of each function: who, body, answer.
fn said() -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` |")?;
        let rest = rest.trim().trim_end_matches('|');
        Some((name, rest.split('|').map(str::trim).collect()))
    })
    .collect()
}

/// The document.
#[must_use]
pub fn document(server: &str) -> Value {
    let said = said();
    let names = BUILT.iter().chain(NOT_BUILT).chain(UPLOADS).copied().chain([WEBHOOK]);
    let paths: Map<String, Value> = names.map(|name| (format!("/{name}"), path(name, &said))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus Mint functions",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands by name. Whatever changes something is one transaction; an Idempotency-Key makes a retry safe.",
        },
        "servers": [{ "url": format!("{server}/functions/v1") }],
        "paths": paths,
        "components": {
            "securitySchemes": { "person": { "type": "http", "scheme": "bearer", "description": "The access token of a person" } },
            "schemas": { "Problem": {
                "type": "object",
                "required": ["code", "detail", "error", "status"],
                "properties": {
                    "code": { "type": "string" }, "detail": { "type": "string" }, "error": { "type": "string" },
                    "status": { "type": "integer" }, "rule": { "type": "string" }, "inputs": { "type": "object" },
                    "source": { "type": "string" }, "remedy": { "type": "string" },
                },
            } },
        },
    })
}

fn path(name: &str, said: &BTreeMap<&str, Vec<&str>>) -> Value {
    let problem = |text: &str| json!({ "description": text, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } });
    let cells = said.get(name).cloned().unwrap_or_default();
    let (who, body, answer) = match cells.as_slice() {
        [who, body, answer] => (*who, *body, *answer),
        _ => ("", "", ""),
    };
    let is_built = !NOT_BUILT.contains(&name);
    let content = if UPLOADS.contains(&name) {
        "multipart/form-data"
    } else {
        "application/json"
    };
    let proof = PROOFS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, proof)| proof);
    let mut responses = Map::new();
    if is_built {
        let ok =
            json!({ "description": answer, "content": { "application/json": { "schema": { "type": "object" } } } });
        responses.insert("200".to_owned(), ok);
        responses.insert("400".to_owned(), problem("the body does not fit"));
        responses.insert("409".to_owned(), problem("a rule says no"));
        responses.insert("422".to_owned(), problem("the key came with another body"));
    } else {
        responses.insert("501".to_owned(), problem("known, and not built"));
    }
    responses.insert("401".to_owned(), problem("the token is nobody's"));
    responses.insert("403".to_owned(), problem("a role is missing"));
    let security = if name == WEBHOOK {
        json!([])
    } else {
        json!([{ "person": [] }])
    };
    let summary = if is_built {
        format!("For: {who}")
    } else {
        "Known and not built".to_owned()
    };
    json!({ "post": {
        "operationId": name,
        "summary": summary,
        "description": format!("Body: {body}"),
        "x-proof": proof,
        "security": security,
        "parameters": [{ "name": "Idempotency-Key", "in": "header", "required": false, "schema": { "type": "string", "maxLength": 200 } }],
        "requestBody": { "required": false, "content": { content: { "schema": { "type": "object", "description": body } } } },
        "responses": responses,
    } })
}

/// Answers with the document.
pub(super) async fn page(State(app): State<App>) -> Response {
    let document = document(app.public_url.as_str());
    let content = (header::CONTENT_TYPE, "application/openapi+json;version=3.1");
    ([content], document.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_on_the_page_with_what_it_takes() {
        let document = document("http://here");
        for name in BUILT {
            let post = &document["paths"][format!("/{name}")]["post"];
            assert_eq!(post["operationId"], *name);
            assert_ne!(post["summary"], "For: ", "{name}: docs/API.md says who may call it");
            assert_ne!(post["x-proof"], "", "{name}");
        }
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), BUILT.len() + NOT_BUILT.len() + UPLOADS.len() + 1);
    }
}
