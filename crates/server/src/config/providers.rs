//! Providers of sign-ins as the configuration names them: OpenID Connect by its issuer, OAuth 2.0 by its addresses.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::secret::Secret;
use crate::http_client::may_be_asked;

/// What a login can be named after that is no provider.
const TAKEN: [&str; 8] = [
    "email",
    "phone",
    "web3",
    "web3_ethereum",
    "web3_solana",
    "anonymous_users",
    "anonymous",
    "sso",
];
const SCOPES_OPENID: &str = "openid email profile";

/// A provider of sign-ins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Who signs its ID tokens (OpenID Connect); without one, who somebody is is asked at `userinfo_endpoint`.
    pub issuer: Option<String>,
    /// As whom it knows this server.
    pub client_id: String,
    /// By what it believes it.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<Secret>,
    /// Further clients of the operator's, such as apps, whose ID tokens are taken.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// What is asked for, separated by blanks.
    #[serde(default)]
    pub scopes: Option<String>,
    /// Where people agree; found out by the issuer where it is not said.
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens; found out as well.
    pub token_endpoint: Option<String>,
    /// Its public keys; found out as well.
    pub jwks_uri: Option<String>,
    /// What it says of people; found out as well.
    pub userinfo_endpoint: Option<String>,
    /// Which field of what it says tells people apart: `sub` unless said otherwise.
    #[serde(default)]
    pub subject_claim: Option<String>,
}

impl Provider {
    /// What is asked for.
    #[must_use]
    pub fn scopes(&self) -> &str {
        match (&self.scopes, &self.issuer) {
            (Some(scopes), _) => scopes,
            (None, Some(_)) => SCOPES_OPENID,
            (None, None) => "",
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let addresses = [
            &self.authorization_endpoint,
            &self.token_endpoint,
            &self.jwks_uri,
            &self.userinfo_endpoint,
            &self.issuer,
        ];
        if addresses.into_iter().flatten().any(|address| !may_be_asked(address)) {
            return Err("addresses with https (with http on this machine alone)");
        }
        if self.client_id.is_empty() {
            return Err("a client_id");
        }
        let is_explicit = self.authorization_endpoint.is_some() && self.token_endpoint.is_some();
        if self.issuer.is_none() && !(is_explicit && self.userinfo_endpoint.is_some()) {
            return Err("an issuer, or authorization_endpoint, token_endpoint and userinfo_endpoint");
        }
        Ok(())
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

/// Reads `{"name": {...}, ...}`.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Provider>, String> {
    const FORM: &str = r#"JSON such as {"google": {"issuer": "https://accounts.google.com", "client_id": "...", "client_secret": "..."}}"#;
    // What is wrong, and never the text, which holds secrets: serde's own words may quote it.
    let all: BTreeMap<String, Provider> = serde_json::from_str(text).map_err(|error| {
        format!(
            "{FORM}; it is not so at line {} column {}",
            error.line(),
            error.column()
        )
    })?;
    for (name, provider) in &all {
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-:".contains(letter);
        if name.is_empty() || name.len() > 40 || !name.chars().all(fits) || TAKEN.contains(&name.as_str()) {
            return Err("names of providers in a-z 0-9 _ - :, and not email, phone, web3 and the like".to_owned());
        }
        provider
            .check()
            .map_err(|what| format!("for the provider {name}: {what}"))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_whole() {
        let found =
            parse(r#"{"a": {"issuer": "https://a.example", "client_id": "x", "client_secret": "hidden"}}"#).unwrap();
        let provider = &found["a"];
        assert_eq!(provider.scopes(), "openid email profile");
        assert!(!format!("{provider:?}").contains("hidden"));
        let plain = r#"{"b": {"client_id": "x", "authorization_endpoint": "https://b.example/a",
            "token_endpoint": "https://b.example/t", "userinfo_endpoint": "https://b.example/u"}}"#;
        assert!(parse(plain).is_ok());
        for wrong in [
            "[]",
            r#"{"a": {"issuer": "https://a.example"}}"#,
            r#"{"a": {"issuer": "http://a.example", "client_id": "x"}}"#,
            r#"{"a": {"client_id": "x"}}"#,
            r#"{"email": {"issuer": "https://a.example", "client_id": "x"}}"#,
            r#"{"A B": {"issuer": "https://a.example", "client_id": "x"}}"#,
            r#"{"a": {"issuer": "https://a.example", "client_id": "x", "client_sekret": "hidden"}}"#,
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
