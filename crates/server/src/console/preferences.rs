//! `POST /preferences`: language and theme, kept in cookies.

use axum::response::{IntoResponse as _, Redirect, Response};

use super::{
    cookies::Cookie,
    form::Fields,
    language::Language,
    visit::{Theme, Visit},
};
use crate::problem::Problem;

/// `POST /preferences`.
pub(crate) async fn set(visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let mut response = Redirect::to(&own_place(fields.get("back"))).into_response();
    if let Some(language) = Language::of_tag(fields.get("language")) {
        visit.set(&mut response, Cookie::Language, language.tag());
    }
    if let Some(theme) = Theme::named(fields.get("theme")) {
        visit.set(&mut response, Cookie::Theme, theme.name());
    }
    Ok(response)
}

/// A path of this site, whatever was asked for: nobody is led away.
pub(crate) fn own_place(wanted: &str) -> String {
    let is_own = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.starts_with("/\\")
        && !wanted.chars().any(|letter| letter.is_control() || letter == '\\');
    if is_own { wanted.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away() {
        for (wanted, place) in [
            ("/properties?q=a", "/properties?q=a"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nset-cookie: x", "/"),
        ] {
            assert_eq!(own_place(wanted), place, "{wanted:?}");
        }
    }
}
