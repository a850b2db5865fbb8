//! `GET /functions/v1/openapi.json`: the functions for programs (OpenAPI 3.0), made from the table of functions. What a body
//! has is in docs/API.md; here it is a JSON object.

use axum::Json;
use serde_json::{Map, Value, json};

use super::{NOT_BUILT, ONLY_LOOK, PROOFS, UPLOADS, WEBHOOK};

/// The document.
pub(super) async fn show() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    let mut paths = Map::new();
    for (name, proof) in PROOFS {
        let about = if ONLY_LOOK.contains(name) {
            "Only looks."
        } else {
            "Runs once under an Idempotency-Key."
        };
        let who = format!("{about} For: {proof}.");
        paths.insert(
            format!("/{name}"),
            json!({ "post": operation(&who, json_body(), json!([{ "person": [] }])) }),
        );
    }
    for name in NOT_BUILT {
        let mut operation = operation("Answers 501: it is not built.", json_body(), json!([]));
        if let Some(fields) = operation.as_object_mut() {
            fields.insert("tags".to_owned(), json!(["not built"]));
        }
        paths.insert(format!("/{name}"), json!({ "post": operation }));
    }
    for name in UPLOADS {
        let form = json!({ "required": true, "content": { "multipart/form-data": { "schema": {
            "type": "object", "required": ["file"], "properties": { "file": { "type": "string", "format": "binary" } },
        } } } });
        let text = "Takes a file. For: person.";
        paths.insert(
            format!("/{name}"),
            json!({ "post": operation(text, form, json!([{ "person": [] }])) }),
        );
    }
    paths.insert(
        format!("/{WEBHOOK}"),
        json!({ "post": operation("Messages of a payment provider, signed.", json_body(), json!([])) }),
    );
    for name in ["document-content", "kyc-document-content"] {
        let id =
            json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } });
        let bytes = json!({ "description": "The bytes.", "content": { "*/*": {} } });
        paths.insert(
            format!("/{name}/{{id}}"),
            json!({ "get": {
                "summary": "The bytes of a document.", "security": [{ "person": [] }], "parameters": [id],
                "responses": { "200": bytes, "206": bytes, "default": refused() },
            } }),
        );
    }
    let list = json!({ "description": "This document.", "content": { "application/json": { "schema": { "type": "object" } } } });
    paths.insert(
        "/openapi.json".to_owned(),
        json!({ "get": { "summary": "This document.", "security": [], "responses": { "200": list } } }),
    );
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Functions of Nexus Mint", "version": "1",
            "description": "Commands and reports of the platform. Bodies and refusals are described in docs/API.md.",
        },
        "servers": [{ "url": "/functions/v1" }],
        "paths": paths,
        "components": {
            "securitySchemes": { "person": { "type": "http", "scheme": "bearer", "description": "The access token of a person." } },
            "schemas": { "Problem": {
                "type": "object", "required": ["type", "title", "status", "code", "detail", "error"],
                "properties": {
                    "status": { "type": "integer" }, "code": { "type": "string" }, "detail": { "type": "string" },
                    "error": { "type": "string" }, "rule": { "type": "string" }, "inputs": {}, "source": { "type": "string" },
                    "remedy": { "type": "string", "minLength": 1 },
                },
            } },
        },
    })
}

fn json_body() -> Value {
    json!({ "required": false, "content": { "application/json": { "schema": { "type": "object" } } } })
}

fn refused() -> Value {
    json!({
        "description": "A problem (RFC 9457); a rule's refusal names the rule, what it looked at, and what would make it pass.",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn operation(about: &str, body: Value, security: Value) -> Value {
    let key = json!({ "name": "Idempotency-Key", "in": "header", "required": false, "schema": { "type": "string" } });
    let answer = json!({ "description": "The answer.", "content": { "application/json": {}, "application/pdf": {} } });
    json!({
        "summary": about, "security": security, "parameters": [key], "requestBody": body,
        "responses": { "200": answer, "default": refused() },
    })
}
