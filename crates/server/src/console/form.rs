//! What a form sent: fields by name, and files. A form without the visit's own token is not read.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts as _, Multipart, Request},
    http::header,
};
use serde_json::{Map, Value};

use super::visit::{Visit, is_own_form};
use crate::{app::App, problem::Problem};

/// Fields of a form, at most: no page has more.
const FIELDS_MAX: usize = 200;

/// Files of a form, at most: a picture and its small copy.
const FILES_MAX: usize = 2;

/// The name of the field that carries the token.
pub(crate) const TOKEN_FIELD: &str = "form_token";

/// A file that came with a form.
pub(crate) struct Upload {
    /// The name that the person gave it.
    pub(crate) name: String,
    /// Its content.
    pub(crate) bytes: Bytes,
}

/// What was typed into a form.
#[derive(Default)]
pub(crate) struct Fields {
    pairs: Vec<(String, String)>,
    files: Vec<(String, Upload)>,
}

impl Fields {
    /// What was typed into a field, without blanks around it; empty where nothing was.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// As it was typed, blanks included: for passwords.
    pub(crate) fn exact(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// What was typed, where something was.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|text| !text.is_empty())
    }

    /// Every field and what was typed into it, without blanks around it.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// Every value of a field that may come more than once.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.pairs.iter().filter(|(known, _)| known == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// The text of the file, where one was chosen, behind what stands in a field: what does not fit can be mended there, and
    /// nothing has to be chosen anew.
    ///
    /// # Errors
    /// [`Problem::Invalid`] where it is no text.
    pub(crate) fn file_into(&mut self, name: &str) -> Result<(), Problem> {
        let Some(upload) = self.take_file() else {
            return Ok(());
        };
        let text = std::str::from_utf8(&upload.bytes)
            .map_err(|_| Problem::Invalid(format!("{}: this is no text in UTF-8", upload.name)))?;
        let text = [self.get(name), text.trim_start_matches('\u{feff}').trim()].join("\n");
        self.pairs.retain(|(known, _)| known != name);
        self.pairs.push((name.to_owned(), text.trim().to_owned()));
        Ok(())
    }

    /// The file, where one was chosen.
    pub(crate) fn take_file(&mut self) -> Option<Upload> {
        self.take_file_of("file")
    }

    /// The file of a field, where there is one.
    pub(crate) fn take_file_of(&mut self, name: &str) -> Option<Upload> {
        let at = self.files.iter().position(|(known, _)| known == name)?;
        Some(self.files.swap_remove(at).1)
    }

    /// These fields, where something was typed, as a body for a function: field, its name in the body.
    pub(crate) fn body(&self, names: &[(&str, &str)]) -> Map<String, Value> {
        let given = names
            .iter()
            .filter_map(|(field, name)| Some(((*name).to_owned(), self.given(field)?.into())));
        given.collect()
    }

    fn push(&mut self, name: String, value: String) -> Result<(), Problem> {
        if self.pairs.len() >= FIELDS_MAX {
            return Err(Problem::Invalid(format!("a form has at most {FIELDS_MAX} fields")));
        }
        self.pairs.push((name, value));
        Ok(())
    }
}

impl FromRequest<App> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Fields, Problem> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        let kind = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let is_multipart = kind.is_some_and(|kind| kind.starts_with("multipart/form-data"));
        let request = Request::from_parts(parts, body);
        if is_multipart {
            return multipart(request, app, &visit).await;
        }
        let bytes = Bytes::from_request(request, app)
            .await
            .map_err(|_| Problem::BodyTooLarge)?;
        let mut fields = Fields::default();
        for (name, value) in url::form_urlencoded::parse(&bytes) {
            fields.push(name.into_owned(), value.into_owned())?;
        }
        must_be_own(&visit, fields.get(TOKEN_FIELD))?;
        Ok(fields)
    }
}

/// The token comes first, so that nothing of a foreign form is read beside it.
async fn multipart(request: Request, app: &App, visit: &Visit) -> Result<Fields, Problem> {
    let unreadable = |_| Problem::BodyTooLarge;
    let mut form = Multipart::from_request(request, app)
        .await
        .map_err(|error| Problem::Invalid(error.body_text()))?;
    let mut fields = Fields::default();
    let mut is_own = false;
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file_name) = field.file_name().map(str::to_owned) {
            must_have_come(is_own)?;
            let bytes = field.bytes().await.map_err(unreadable)?;
            if !bytes.is_empty() && fields.files.len() < FILES_MAX {
                fields.files.push((name, Upload { name: file_name, bytes }));
            }
            continue;
        }
        let value = field.text().await.map_err(unreadable)?;
        if name == TOKEN_FIELD {
            must_be_own(visit, &value)?;
            is_own = true;
        }
        must_have_come(is_own)?;
        fields.push(name, value)?;
    }
    must_have_come(is_own)?;
    Ok(fields)
}

fn must_have_come(is_own: bool) -> Result<(), Problem> {
    if is_own { Ok(()) } else { Err(stale()) }
}

fn must_be_own(visit: &Visit, token: &str) -> Result<(), Problem> {
    must_have_come(is_own_form(visit, token))
}

/// A form of another site, or one that was made before somebody signed in or out.
fn stale() -> Problem {
    Problem::NotPermitted("a page that was just opened: go back, load it anew and send it again".to_owned())
}
