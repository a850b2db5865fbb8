//! Every route of `/realtime/v1` as every kind of caller.

use axum::http::Request;
use serde_json::json;

use crate::site::{BEGIN, Site};

#[tokio::test]
async fn every_caller_at_every_route() {
    let site = Site::new().await;
    let anon = site.app.keys.anon_key().to_owned();
    let service = site.app.keys.service_key().expose().to_owned();
    let investor = site.person(&[]).await.token;
    let (message, signature) = investor.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    let expired = site
        .app
        .keys
        .sign(&json!({ "role": "authenticated", "sub": uuid::Uuid::now_v7(), "exp": BEGIN - 60 }))
        .unwrap();
    let mut callers = vec![
        ("no token", None, 401),
        ("a wrong signature", Some(forged), 401),
        ("an expired token", Some(expired), 401),
        ("visitor", Some(anon), 202),
        ("investor", Some(investor), 202),
        ("service", Some(service), 202),
    ];
    for role in ["property_manager", "compliance_officer", "admin"] {
        callers.push((role, Some(site.person(&[role]).await.token), 202));
    }
    let messages = json!({ "messages": [{ "topic": "t", "event": "e", "payload": {} }] }).to_string();
    for (who, token, status) in &callers {
        for (path, body) in [("api/broadcast", messages.as_str()), ("api/broadcast/t/events/e", "{}")] {
            let request = Request::post(format!("/realtime/v1/{path}")).header("content-type", "application/json");
            let request = match token {
                Some(token) => request.header("authorization", format!("Bearer {token}")),
                None => request,
            };
            let (got, _, answer) = site.send(None, request, body.to_owned()).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert_eq!(got.as_u16(), *status, "{path} as {who}: {answer}");
        }
        // Without an upgrade nobody gets further than this.
        let key = token.as_deref().unwrap_or_default();
        let (got, ..) = site
            .send(None, Request::get(format!("/realtime/v1/websocket?apikey={key}")), "")
            .await;
        let expect = if *status == 202 { 426 } else { 401 };
        assert_eq!(got.as_u16(), expect, "websocket as {who}");
    }
    site.app.realtime.stop();
}
