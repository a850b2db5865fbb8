//! Cookies: what a browser keeps for us, and how it may send it back.

use axum::http::{HeaderMap, HeaderValue, header};

/// A cookie of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The access token of the session.
    Access,
    /// The refresh token of the session.
    Refresh,
    /// A random value from which the tokens of forms are made.
    Seed,
    /// The verifier of a mailed link, until it comes back.
    Link,
    /// The chosen language.
    Language,
    /// The chosen theme.
    Theme,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Cookie::Access => "mint-access",
            Cookie::Refresh => "mint-refresh",
            Cookie::Seed => "mint-seed",
            Cookie::Link => "mint-link",
            Cookie::Language => "mint-language",
            Cookie::Theme => "mint-theme",
        }
    }

    /// How long a browser keeps it (s).
    fn max_age(self) -> i64 {
        const DAY: i64 = 24 * 3600;
        match self {
            // An access token that ran out is of no use, and a session may lie idle for a month.
            Cookie::Access => 3600,
            Cookie::Refresh => 30 * DAY,
            Cookie::Seed => 365 * DAY,
            // As long as a mailed link holds.
            Cookie::Link => 3600,
            Cookie::Language | Cookie::Theme => 365 * DAY,
        }
    }

    /// Its name on the wire: with `__Host-` where the site is reached by https, so that no other host can set it.
    fn wire_name(self, is_https: bool) -> String {
        let prefix = if is_https { "__Host-" } else { "" };
        format!("{prefix}{}", self.name())
    }

    /// What a browser sent.
    pub(crate) fn read(self, headers: &HeaderMap, is_https: bool) -> Option<String> {
        let name = self.wire_name(is_https);
        let lines = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let mut pairs = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(known, _)| *known == name)?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The header that sets it.
    pub(crate) fn set(self, value: &str, is_https: bool) -> Option<HeaderValue> {
        self.header(value, self.max_age(), is_https)
    }

    /// The header that removes it.
    pub(crate) fn remove(self, is_https: bool) -> Option<HeaderValue> {
        self.header("", 0, is_https)
    }

    fn header(self, value: &str, max_age: i64, is_https: bool) -> Option<HeaderValue> {
        let secure = if is_https { "; Secure" } else { "" };
        let name = self.wire_name(is_https);
        let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_kept_from_scripts_and_other_hosts() {
        let set = |is_https| {
            Cookie::Access
                .set("abc", is_https)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            set(false),
            "mint-access=abc; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            set(true),
            "__Host-mint-access=abc; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn a_cookie_is_read_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=b; mint-theme=dark; xmint-seed=1; mint-link="),
        );
        assert_eq!(Cookie::Theme.read(&headers, false).as_deref(), Some("dark"));
        assert_eq!(Cookie::Seed.read(&headers, false), None);
        assert_eq!(Cookie::Link.read(&headers, false), None, "an empty one is none");
        assert_eq!(
            Cookie::Theme.read(&headers, true),
            None,
            "over https the name is another"
        );
    }
}
