//! How hard a new password is to guess, as zxcvbn tells it: by words, names, dates, keyboards and known passwords, and the
//! person's own address. Old passwords are not looked at.

use zxcvbn::{feedback::Warning, zxcvbn};

use super::{
    AuthRefusal,
    email::{PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN, Password},
};

/// Reads a password that is to be somebody's, whose address may be known. `score_min` is from 0 (anything that is long
/// enough) to 4.
///
/// # Errors
/// [`AuthRefusal::WeakPassword`], [`AuthRefusal::PasswordTooLong`].
pub fn new_password(text: &str, email: Option<&str>, score_min: u8) -> Result<Password, AuthRefusal> {
    let password = match Password::parse(text) {
        Ok(password) => password,
        Err(_) if text.len() > PASSWORD_BYTES_MAX => return Err(AuthRefusal::PasswordTooLong),
        Err(_) => {
            return Err(AuthRefusal::WeakPassword {
                text: format!("Password should be at least {PASSWORD_CHARACTERS_MIN} characters."),
                reasons: &["length"],
            });
        }
    };
    if score_min == 0 {
        return Ok(password);
    }
    let own: Vec<&str> = email
        .into_iter()
        .flat_map(|email| {
            // Whole, what is before the @, and each word of it.
            std::iter::once(email)
                .chain(email.split('@'))
                .chain(email.split(['@', '.', '-', '_', '+']))
        })
        .filter(|part| part.len() > 2)
        .collect();
    let found = zxcvbn(text, &own);
    if u8::from(found.score()) >= score_min {
        return Ok(password);
    }
    let warning = found.feedback().and_then(zxcvbn::feedback::Feedback::warning);
    let is_known = warning.is_some_and(|warning| {
        matches!(
            warning,
            Warning::ThisIsATop10Password
                | Warning::ThisIsATop100Password
                | Warning::ThisIsACommonPassword
                | Warning::ThisIsSimilarToACommonlyUsedPassword
        )
    });
    let why = warning.map(|warning| format!(" {warning}")).unwrap_or_default();
    Err(AuthRefusal::WeakPassword {
        text: format!("Password is too easy to guess.{why} Use more words, or less common ones."),
        reasons: if is_known { &["pwned"] } else { &["characters"] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(text: &str, email: &str, score_min: u8) -> Option<&'static [&'static str]> {
        match new_password(text, Some(email), score_min) {
            Ok(_) => None,
            Err(AuthRefusal::WeakPassword { reasons, text: told }) => {
                // The word itself is in every message.
                assert!(
                    text == "password" || !told.contains(text),
                    "a password is not told back: {told}"
                );
                Some(reasons)
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_easy_to_guess_is_no_password() {
        for (text, email, score_min, expect) in [
            ("short", "", 0, Some(&["length"][..])),
            ("password", "", 0, None),
            ("password", "", 1, Some(&["pwned"][..])),
            ("p@ssword1", "", 2, Some(&["pwned"][..])),
            ("aaaaaaaaaaaa", "", 2, Some(&["characters"][..])),
            ("zxcvfgbnhj", "", 0, None),
            (
                "wolfgang.zimmer",
                "wolfgang.zimmer@example.com",
                2,
                Some(&["characters"][..]),
            ),
            ("correct horse battery", "", 4, None),
            ("another horse battery", "ann@example.com", 3, None),
        ] {
            assert_eq!(reasons(text, email, score_min), expect, "{text} at {score_min}");
        }
    }
}
