//! Functions that take a file: a form with text fields and one field `file`, as `functions.invoke(name, { body: formData })`
//! sends it. Its name, and what the client says of its kind, are not asked.
//!
//! The bytes are written down before the command begins, and get their name in its transaction. A field `data` may hold a
//! JSON object for what is no text. The retry key is compared with fields and content, not with the form, whose borders
//! differ each time.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Multipart, State, multipart::MultipartError},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::retry_key;
use crate::{
    app::App,
    auth::{routes::bearer, token::Caller},
    command::{Begun, Call, RUNS_MAX, was_disturbed},
    compliance, documents,
    files::Staged,
    permission::Person,
    problem::Problem,
};

/// The largest form: the largest file that a bucket of evidence takes (50 MiB), with room for the fields.
pub(crate) const FORM_BYTES_MAX: usize = 50 * 1024 * 1024 + 64 * 1024;

/// Fields of a form, at most: no function asks for more.
const FIELDS_MAX: usize = 30;

/// Name: the proof that it asks for => the command, which is given the file too.
macro_rules! uploads {
    ($($name:literal: $proof:ident => $command:path;)*) => {
        /// The names that take a file.
        pub const UPLOADS: &[&str] = &[$($name),*];

        /// The routes of functions that take a file.
        pub(super) fn routes() -> Router<App> {
            Router::new()
                $(.route(concat!("/", $name), post(async |state, headers, form| upload($name, state, headers, form).await)))*
                .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        }

        async fn run_once(call: &Call<'_>, caller: &Caller, file: &Staged) -> Result<Value, Problem> {
            match call.name {
                $($name => {
                    let command = match call.begin().await? {
                        Begun::New(command) => command,
                        Begun::Answered(answer) => return Ok(answer),
                    };
                    let person = Person::of(&command, caller).await?;
                    let proof = person.$proof()?;
                    let answer = $command(&command, &proof, call.body()?, file).await?;
                    call.finish(*command, answer).await
                })*
                _ => Err(Problem::NotFound),
            }
        }
    };
}

uploads! {
    "upload-document": person => documents::upload;
    "upload-kyc-document": person => compliance::documents::upload;
}

async fn upload(
    name: &'static str,
    State(app): State<App>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<Value>, Problem> {
    let caller = bearer(&app, &headers)?;
    let key = retry_key(&headers)?;
    let _turn = app.files.turn().await?;
    let (fields, bytes) = read(form).await?;
    run(&app, name, &caller, key, fields, bytes).await.map(Json)
}

/// Runs a function that takes a file, for a caller whose token was verified.
///
/// # Errors
/// What the command refuses.
pub async fn run(
    app: &App,
    name: &'static str,
    caller: &Caller,
    key: Option<&str>,
    mut fields: Map<String, Value>,
    bytes: impl AsRef<[u8]> + Send + 'static,
) -> Result<Value, Problem> {
    let user_id = caller.user_id().ok_or(Problem::NotSignedIn)?;
    let file = app.files.stage(bytes).await?;
    fields.insert("sha256".to_owned(), hex(&file.sha256()).into());
    let body = Value::Object(fields).to_string();
    let call = Call {
        app,
        name,
        user_id,
        key,
        body: body.as_bytes(),
        only_looks: false,
    };
    let mut runs = 1;
    loop {
        match run_once(&call, caller, &file).await {
            Err(problem) if runs < RUNS_MAX && was_disturbed(&problem) => runs += 1,
            outcome => return outcome,
        }
    }
}

async fn read(mut form: Multipart) -> Result<(Map<String, Value>, Bytes), Problem> {
    let (mut data, mut fields, mut file) = (Map::new(), Map::new(), None);
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        if fields.len() >= FIELDS_MAX {
            return Err(Problem::Invalid(format!("a form has at most {FIELDS_MAX} fields")));
        }
        match name.as_str() {
            "" => return Err(Problem::Invalid("every field of the form has a name".to_owned())),
            "file" if file.is_none() => file = Some(field.bytes().await.map_err(unreadable)?),
            "file" => return Err(Problem::Invalid("the form has two files".to_owned())),
            "data" => {
                let text = field.text().await.map_err(unreadable)?;
                data = serde_json::from_str(&text)
                    .map_err(|error| Problem::Invalid(format!("the field data is no JSON object: {error}")))?;
            }
            _ => {
                fields.insert(name, field.text().await.map_err(unreadable)?.into());
            }
        }
    }
    data.extend(fields);
    let file = file.ok_or_else(|| Problem::Invalid("the form has no field `file`".to_owned()))?;
    if file.is_empty() {
        return Err(Problem::Invalid("the file is empty".to_owned()));
    }
    Ok((data, file))
}

fn unreadable(error: MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::BodyTooLarge
    } else {
        Problem::Invalid(format!("the form cannot be read: {}", error.body_text()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
