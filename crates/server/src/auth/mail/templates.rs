//! The words of mails: ours, or the operator's.
//!
//! A folder may hold `<kind>.subject.txt`, `<kind>.txt` and `<kind>.html` for each kind of mail; what is missing stays ours. A
//! template knows `{{code}}`, `{{link}}` and `{{site}}`, and nothing that a person chose: a stranger's name in a mail of ours
//! would make it the stranger's.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Kind, escaped};

/// The largest file of a template (bytes).
const FILE_BYTES_MAX: u64 = 256 * 1024;
const END: &str = "If you did not ask for this, do nothing: without the link or the code nothing happens.";

/// Why a folder of templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("mail_templates: cannot read {0}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// A file that nothing would read.
    #[error(
        "mail_templates: {0} is no template: expected KIND.subject.txt, KIND.txt or KIND.html with KIND one of confirmation, \
         recovery, magic_link, email_change, reauthentication, invite"
    )]
    Unknown(PathBuf),
    /// A template that does not parse, or would be of no use.
    #[error("mail_templates: {0}: expected {1}")]
    Wrong(PathBuf, &'static str),
}

/// The words of every kind of mail.
#[derive(Debug, Clone)]
pub struct Templates(BTreeMap<&'static str, Words>);

#[derive(Debug, Clone)]
struct Words {
    subject: String,
    text: Vec<Part>,
    html: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Code,
    Link,
    Site,
}

/// What a mail says.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Six digits.
    pub code: &'a str,
    /// Where a click leads to; empty where a code is all there is.
    pub link: &'a str,
    /// The front end.
    pub site: &'a str,
}

/// A mail, ready.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The subject line.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

impl Default for Templates {
    fn default() -> Templates {
        Templates(Kind::ALL.into_iter().map(|kind| (kind.name(), ours(kind))).collect())
    }
}

impl Templates {
    /// Ours, with those of a folder in their place.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn load(folder: Option<&Path>) -> Result<Templates, TemplateError> {
        let mut all = Templates::default();
        let Some(folder) = folder else { return Ok(all) };
        let unreadable = |error| TemplateError::Unreadable(folder.to_owned(), error);
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            all.take(&path)?;
        }
        Ok(all)
    }

    fn take(&mut self, path: &Path) -> Result<(), TemplateError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (kind, part) = name.split_once('.').unwrap_or_default();
        let needs_link = kind != Kind::Reauthentication.name();
        let Some(words) = self.0.get_mut(kind) else {
            return Err(TemplateError::Unknown(path.to_owned()));
        };
        let unreadable = |error| TemplateError::Unreadable(path.to_owned(), error);
        if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(TemplateError::Wrong(path.to_owned(), "at most 256 KiB"));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let wrong = |expected| TemplateError::Wrong(path.to_owned(), expected);
        match part {
            "subject.txt" => words.subject = subject(&text).map_err(wrong)?,
            "txt" => words.text = body(&text, needs_link).map_err(wrong)?,
            "html" => words.html = body(&text, needs_link).map_err(wrong)?,
            _ => return Err(TemplateError::Unknown(path.to_owned())),
        }
        Ok(())
    }

    /// A mail of a kind.
    #[must_use]
    pub fn write(&self, kind: Kind, said: Said<'_>) -> Written {
        let ours = ours(kind);
        let words = self.0.get(kind.name()).unwrap_or(&ours);
        let safe = [said.code, said.link, said.site].map(escaped);
        let [code, link, site] = safe.each_ref().map(String::as_str);
        Written {
            subject: words.subject.clone(),
            text: filled(&words.text, said),
            html: filled(&words.html, Said { code, link, site }),
        }
    }
}

fn filled(parts: &[Part], said: Said<'_>) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Plain(text) => text.as_str(),
            Part::Code => said.code,
            Part::Link => said.link,
            Part::Site => said.site,
        })
        .collect()
}

/// One line, in which nothing is filled in.
fn subject(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_control) || text.contains("{{") {
        return Err("one line without {{...}}");
    }
    Ok(text.to_owned())
}

/// A mail that shows neither code nor link is of no use.
fn body(text: &str, needs_link: bool) -> Result<Vec<Part>, &'static str> {
    let parts = parse(text)?;
    let has = |part: &Part| parts.contains(part);
    match needs_link {
        true if !has(&Part::Code) && !has(&Part::Link) => Err("{{link}} or {{code}} in it"),
        false if !has(&Part::Code) => Err("{{code}} in it"),
        true | false => Ok(parts),
    }
}

fn parse(text: &str) -> Result<Vec<Part>, &'static str> {
    const KNOWN: &str = "{{code}}, {{link}} and {{site}} and no other {{...}}";
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, next) = after.split_once("}}").ok_or("a }} after each {{")?;
        parts.push(Part::Plain(before.to_owned()));
        parts.push(match name.trim() {
            "code" => Part::Code,
            "link" => Part::Link,
            "site" => Part::Site,
            _ => return Err(KNOWN),
        });
        rest = next;
    }
    parts.push(Part::Plain(rest.to_owned()));
    Ok(parts)
}

/// Ours.
fn ours(kind: Kind) -> Words {
    let (subject, sentence) = kind.words();
    let (text, html) = if kind == Kind::Reauthentication {
        (
            format!("{sentence}\n\n{{{{code}}}}\n\n{END}\n"),
            format!("<p>{sentence}</p><p><strong>{{{{code}}}}</strong></p><p>{END}</p>"),
        )
    } else {
        (
            format!("{sentence}\n\n{{{{link}}}}\n\nOr enter this code: {{{{code}}}}\n\n{END}\n"),
            format!(
                "<p>{sentence}</p><p><a href=\"{{{{link}}}}\">{{{{link}}}}</a></p>\
                 <p>Or enter this code: <strong>{{{{code}}}}</strong></p><p>{END}</p>"
            ),
        )
    };
    let html = format!("<!doctype html><html><body>{html}</body></html>");
    Words {
        subject: subject.to_owned(),
        text: parse(&text).unwrap_or_default(),
        html: parse(&html).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Said<'_> = Said {
        code: "123456",
        link: "http://127.0.0.1/auth/v1/verify?redirect_to=\"><script>alert('x')</script>&a=b",
        site: "https://mint.example",
    };

    fn folder(files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("nexus-mint-templates-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    fn load(files: &[(&str, &str)]) -> Result<Templates, TemplateError> {
        let folder = folder(files);
        let loaded = Templates::load(Some(&folder));
        fs::remove_dir_all(folder).unwrap();
        loaded
    }

    #[test]
    fn what_others_chose_stays_text() {
        let mail = Templates::default().write(Kind::Recovery, SAID);
        assert!(mail.text.contains(SAID.link) && mail.text.contains("123456"));
        assert!(!mail.html.contains("<script>") && mail.html.contains("&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)"));
        let mail = Templates::default().write(Kind::Reauthentication, SAID);
        assert!(!mail.text.contains("http"), "a code alone: there is no link to follow");
    }

    #[test]
    fn words_of_the_operators_own_take_the_place_of_ours() {
        let own = load(&[
            ("recovery.subject.txt", "Mot de passe oublié\n"),
            ("recovery.html", "<b>{{ site }}</b> <a href='{{link}}'>ici</a>"),
        ])
        .unwrap();
        let mail = own.write(Kind::Recovery, SAID);
        assert_eq!(mail.subject, "Mot de passe oublié");
        assert!(
            mail.html
                .starts_with("<b>https://mint.example</b> <a href='http://127.0.0.1/auth/v1/verify?redirect_to=&quot;")
        );
        assert_eq!(
            mail.text,
            Templates::default().write(Kind::Recovery, SAID).text,
            "the rest stays"
        );
        assert_eq!(
            own.write(Kind::Invite, SAID),
            Templates::default().write(Kind::Invite, SAID)
        );
    }

    #[test]
    fn what_does_not_parse_or_is_of_no_use_is_an_error() {
        for (name, text) in [
            ("recovery.txt", "no link"),
            ("recovery.txt", "{{link}} {{name}}"),
            ("recovery.txt", "{{link}} {{"),
            ("recovery.txt", "{{.ConfirmationURL}}"),
            ("reauthentication.html", "{{link}}"),
            ("recovery.subject.txt", "two\nlines"),
            ("recovery.subject.txt", "{{code}}"),
            ("recovery.subject.txt", ""),
            ("recovery.text", "{{link}}"),
            ("recover.txt", "{{link}}"),
            ("README", "x"),
        ] {
            assert!(load(&[(name, text)]).is_err(), "{name}: {text}");
        }
        assert!(Templates::load(Some(Path::new("/nonexistent"))).is_err());
    }
}
