//! PostgreSQL's own refusals: which status they have, and what a function may say by raising one.

use serde_json::{Map, Value};

use super::{ErrorReply, RaiseFault, Refusal, body};

/// What PostgreSQL said.
#[derive(Debug, Clone, Default)]
pub struct ServerFault<'a> {
    /// SQLSTATE.
    pub code: &'a str,
    /// Message.
    pub message: &'a str,
    /// Detail.
    pub detail: Option<&'a str>,
    /// Hint.
    pub hint: Option<&'a str>,
}

impl ServerFault<'_> {
    /// As it is sent. `is_authenticated`: whether the caller showed a token.
    #[must_use]
    pub fn reply(&self, is_authenticated: bool) -> ErrorReply {
        if self.code == "PGRST" {
            return raised(self.message, self.detail).unwrap_or_else(|fault| Refusal::Raise(fault).reply());
        }
        let status = self.status(is_authenticated);
        let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        let mut headers = Vec::new();
        if status == 401 {
            headers.push(("WWW-Authenticate".to_owned(), "Bearer".to_owned()));
        }
        ErrorReply {
            status,
            status_text: None,
            code: self.code.to_owned(),
            headers,
            body: body(self.code, self.message, &text(self.detail), &text(self.hint)),
        }
    }

    fn status(&self, is_authenticated: bool) -> u16 {
        if let Some(status) = self.code.strip_prefix("PT") {
            return status
                .parse()
                .ok()
                .filter(|status| (100..1000).contains(status))
                .unwrap_or(500);
        }
        match self.code {
            "23503" | "23505" => 409,
            "25006" => 405,
            "21000" if self.message.ends_with("requires a WHERE clause") => 400,
            "21000" => 500,
            "22023" if self.message.starts_with("role \"") && self.message.ends_with("does not exist") => 401,
            "53400" => 500,
            "57P01" => 503,
            "P0001" => 400,
            "42883" if self.message.starts_with("function xmlagg(") => 406,
            "42883" | "42P01" => 404,
            "42P17" => 500,
            "42501" if is_authenticated => 403,
            "42501" => 401,
            code => match code.get(..2).unwrap_or_default() {
                "08" | "53" => 503,
                "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "F0" | "HV" | "P0"
                | "XX" => 500,
                "0L" | "0P" | "28" => 403,
                _ => 400,
            },
        }
    }
}

/// The reply that a function made by `RAISE SQLSTATE 'PGRST'`.
fn raised(message: &str, detail: Option<&str>) -> Result<ErrorReply, RaiseFault> {
    let wrong = || RaiseFault::Message(message.to_owned());
    let said: Map<String, Value> = serde_json::from_str(message).map_err(|_| wrong())?;
    let required = |key: &str| said.get(key).and_then(Value::as_str).ok_or_else(wrong);
    let optional = |key: &str| match said.get(key) {
        None | Some(Value::Null) => Ok(Value::Null),
        Some(Value::String(text)) => Ok(Value::from(text.as_str())),
        Some(_) => Err(wrong()),
    };
    let (code, text) = (required("code")?, required("message")?);
    let body = body(code, text, &optional("details")?, &optional("hint")?);
    let detail = detail.ok_or(RaiseFault::NoDetail)?;
    let wrong = || RaiseFault::Detail(detail.to_owned());
    let how: Map<String, Value> = serde_json::from_str(detail).map_err(|_| wrong())?;
    let status = how.get("status").and_then(Value::as_u64).ok_or_else(wrong)?;
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (100..1000).contains(status))
        .ok_or_else(wrong)?;
    let headers = how.get("headers").and_then(Value::as_object).ok_or_else(wrong)?;
    let headers = headers
        .iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(wrong)?;
    Ok(ErrorReply {
        status,
        status_text: how.get("status_text").and_then(Value::as_str).map(str::to_owned),
        code: code.to_owned(),
        headers,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_become_statuses() {
        let check = |code: &str, message: &str, is_authenticated: bool, expect: u16| {
            let fault = ServerFault {
                code,
                message,
                ..ServerFault::default()
            };
            assert_eq!(fault.reply(is_authenticated).status, expect, "{code} {message}");
        };
        check("23505", "", false, 409);
        check("23514", "", false, 400);
        check("22P02", "", false, 400);
        check("21000", "UPDATE requires a WHERE clause", false, 400);
        check("21000", "more than one row returned", false, 500);
        check("22023", "role \"x\" does not exist", true, 401);
        check("42501", "", true, 403);
        check("42501", "", false, 401);
        check("42P01", "", false, 404);
        check("57014", "", false, 500);
        check("PT402", "", false, 402);
        check("PTabc", "", false, 500);
    }

    #[test]
    fn a_raise_can_say_everything() {
        let fault = |message, detail| ServerFault {
            code: "PGRST",
            message,
            detail,
            hint: None,
        };
        let reply = fault(
            r#"{"code":"123","message":"ABC"}"#,
            Some(r#"{"status":332,"status_text":"My Text","headers":{"X-Header":"str"}}"#),
        )
        .reply(false);
        assert_eq!((reply.status, reply.status_text.as_deref()), (332, Some("My Text")));
        assert_eq!(reply.headers, [("X-Header".to_owned(), "str".to_owned())]);
        assert_eq!(
            reply.body,
            r#"{"code":"123","details":null,"hint":null,"message":"ABC"}"#
        );
        assert!(
            fault("INVALID", None)
                .reply(false)
                .body
                .contains("Invalid JSON value for MESSAGE: 'INVALID'")
        );
        assert!(
            fault(r#"{"code":"1","message":"a"}"#, None)
                .reply(false)
                .body
                .contains("DETAIL is missing")
        );
    }
}
