//! Where a browser may be sent with tokens: to the front end, and to addresses that the configuration lists.

use url::{Host, Url};

use super::request::Asked;
use crate::app::App;

/// Where to go: what the client asks for, else where it comes from, else the front end. What is not allowed is passed over.
#[must_use]
pub fn target(app: &App, asked: Option<&str>, from: &Asked) -> String {
    let wanted = [asked, from.redirect_to.as_deref(), from.referer.as_deref()];
    let found = wanted.into_iter().flatten().find(|wanted| is_target(app, wanted));
    found.unwrap_or_else(|| home(app)).to_owned()
}

/// The front end.
#[must_use]
pub fn home(app: &App) -> &str {
    app.config
        .settings
        .site_url
        .as_ref()
        .unwrap_or(&app.public_url)
        .as_str()
}

/// Whether an address is one that tokens may be sent to: the front end's, this server's own pages, or a listed one.
#[must_use]
pub fn is_target(app: &App, wanted: &str) -> bool {
    is_allowed(wanted, home(app), &app.config.settings.redirect_urls)
        || is_allowed(wanted, app.public_url.as_str(), &[])
}

/// Whether tokens may be sent to `wanted`.
fn is_allowed(wanted: &str, site: &str, patterns: &[String]) -> bool {
    // Browsers and we could read these differently.
    if wanted.contains(|letter: char| letter.is_control() || letter.is_whitespace() || letter == '\\') {
        return false;
    }
    let (Ok(wanted), Ok(site)) = (Url::parse(wanted), Url::parse(site)) else {
        return false;
    };
    if !wanted.username().is_empty() || wanted.password().is_some() || is_script(wanted.scheme()) {
        return false;
    }
    is_same_place(&wanted, &site) || {
        let mut shown = wanted;
        shown.set_fragment(None);
        shown.set_query(None);
        patterns
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), shown.as_str().as_bytes()))
    }
}

fn is_script(scheme: &str) -> bool {
    matches!(scheme, "javascript" | "data" | "vbscript" | "blob" | "file")
}

/// The same scheme, host and port; on this machine itself any port.
fn is_same_place(a: &Url, b: &Url) -> bool {
    let is_here = match a.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && (is_here || a.port_or_known_default() == b.port_or_known_default())
}

/// Whether a pattern fits all of a text: `*` stands for anything without `.` and `/`, `**` for anything.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| text.get(at..).is_some_and(|left| matches(rest, left))),
        [b'*', rest @ ..] => {
            let span = text.iter().take_while(|letter| !matches!(letter, b'.' | b'/')).count();
            (0..=span).any(|at| text.get(at..).is_some_and(|left| matches(rest, left)))
        }
        [letter, rest @ ..] => text.first() == Some(letter) && text.get(1..).is_some_and(|left| matches(rest, left)),
    }
}

/// An address with pairs added to its fragment, as browsers keep tokens from servers.
#[must_use]
pub fn with_fragment(target: &str, pairs: &[(&str, &str)]) -> String {
    let base = target.split('#').next().unwrap_or_default();
    format!("{base}#{}", encoded(pairs))
}

/// An address with pairs added to its query.
#[must_use]
pub fn with_query(target: &str, pairs: &[(&str, &str)]) -> String {
    let base = target.split('#').next().unwrap_or_default();
    let joint = if base.contains('?') { '&' } else { '?' };
    format!("{base}{joint}{}", encoded(pairs))
}

/// Pairs as a query or a form has them.
#[must_use]
pub fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "https://mint.example";

    fn check(wanted: &str, expect: bool) {
        let patterns = [
            "https://*.preview.example/**".to_owned(),
            "mintapp://callback".to_owned(),
            "https://other.example/back".to_owned(),
        ];
        assert_eq!(is_allowed(wanted, SITE, &patterns), expect, "{wanted}");
    }

    #[test]
    fn tokens_go_to_the_front_end_and_what_is_listed() {
        for wanted in [
            "https://mint.example/welcome?a=b#c",
            "https://mint.example:443",
            "https://a.preview.example/x/y",
            "mintapp://callback",
            "https://other.example/back?next=1",
        ] {
            check(wanted, true);
        }
    }

    #[test]
    fn and_nowhere_else() {
        for wanted in [
            "",
            "/welcome",
            "//evil.example",
            "https://evil.example",
            "http://mint.example",
            "https://mint.example:8443",
            "https://mint.example.evil.example",
            "https://mint.example@evil.example/",
            "https://evil.example/https://mint.example",
            "https://evil.example\\@mint.example",
            "https://mint.example\t.evil.example",
            "https:\\\\evil.example",
            "javascript:alert(1)",
            "javascript://mint.example/%0aalert(1)",
            "data:text/html,x",
            "https://evil.example/.preview.example/x",
            "https://evil.example?.preview.example/x",
            "https://evil.example#.preview.example/x",
            "https://a.b.preview.example/x",
            "https://other.example/back/further",
        ] {
            check(wanted, false);
        }
    }

    #[test]
    fn on_this_machine_any_port_is_the_front_end() {
        assert!(is_allowed("http://127.0.0.1:3000/x", "http://127.0.0.1:54321", &[]));
        assert!(is_allowed("http://localhost:3000", "http://localhost:5173", &[]));
        assert!(!is_allowed(
            "http://localhost.evil.example:3000",
            "http://localhost:5173",
            &[]
        ));
    }
}
