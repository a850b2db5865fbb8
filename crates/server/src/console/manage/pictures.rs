//! `/manage/{id}/pictures`: what a property looks like: pictures put up, in their order, with what each shows.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use bytes::Bytes;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{MANAGERS, tabs};
use crate::{
    app::App,
    console::{
        call::beside_form,
        entry::answered,
        fault,
        form::Fields,
        layout::{Head, Section, page, token},
        parts::{self, Field, Tone},
        pictures::{self, BUCKET, Picture},
        verification::upload_bar,
        visit::Visit,
    },
    db::{Tx, sql},
    problem::Problem,
    storage::own,
};

/// The largest form: the bucket's largest picture (10 MiB), its small copy and the fields.
pub(crate) const FORM_BYTES_MAX: usize = 12 * 1024 * 1024;

/// Pictures of a property, at most: more than anybody looks through.
const PICTURES_MAX: usize = 24;

/// Letters of what a picture shows.
const TEXT_LENGTH_MAX: usize = 300;

const ACCEPTED: &str = "image/jpeg,image/png,image/webp,image/avif,image/gif";

struct House {
    title: String,
    images: Vec<String>,
    notes: Map<String, Value>,
}

/// The property, where the visitor may edit it: its row is locked.
async fn house(tx: &Tx, visit: &Visit, id: Uuid) -> Result<House, Problem> {
    let person = visit.one_of(&MANAGERS)?;
    let query = sql!(
        "select p.title, array(select jsonb_array_elements_text(p.images)), p.image_notes from public.properties as p
         where p.id = $1 and exists (select from public.property_members as m
           where m.property_id = p.id and m.user_id = $2 and m.is_active and m.capacity in ('owner', 'manager')) for update of p"
    );
    let row = tx
        .query_opt(query, &[&id, &person.id])
        .await?
        .ok_or(Problem::NotFound)?;
    let notes: Value = row.try_get(2)?;
    Ok(House {
        title: row.try_get(0)?,
        images: row.try_get(1)?,
        notes: notes.as_object().cloned().unwrap_or_default(),
    })
}

impl House {
    async fn keep(&self, tx: &Tx, id: Uuid) -> Result<(), Problem> {
        let text = sql!("update public.properties set images = $2, image_notes = $3 where id = $1");
        let (images, notes) = (json!(self.images), Value::Object(self.notes.clone()));
        match tx.execute(text, &[&id, &images, &notes]).await? {
            0 => Err(Problem::NotFound),
            _ => Ok(()),
        }
    }

    fn pictures(&self) -> Vec<Picture> {
        pictures::of(&self.images, &self.notes)
    }
}

/// `GET /manage/{id}/pictures`.
pub(crate) async fn show(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    shown(&app, &visit, id, "", None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    id: Uuid,
    typed: &str,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    visit.one_of(&MANAGERS)?;
    let tx = visit.reads(app).await?;
    let house = house(&tx, visit, id).await?;
    drop(tx);
    let pictures = house.pictures();
    let elsewhere = house.images.len().saturating_sub(pictures.len());
    let content = html! {
        (tabs(visit, id, &format!("/manage/{id}/pictures"), &house.title))
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.stack-large {
            section {
                h2 { (visit.t("pictures-title")) }
                p.soft { (visit.t("pictures-text")) }
                @if elsewhere > 0 {
                    (parts::alert(visit, Tone::Plain, html! { p { (visit.tv("pictures-elsewhere", &[("count", i64::try_from(elsewhere).unwrap_or(0).into())])) } }))
                }
                @if pictures.is_empty() { (parts::empty(&visit.t("pictures-none"), html! { p { (visit.t("pictures-none-text")) } })) }
                @else {
                    ol.picture-list {
                        @for (at, picture) in pictures.iter().enumerate() { li.card.tight { (one(visit, id, &house.title, picture, at, pictures.len())) } }
                    }
                }
            }
            @if pictures.len() < PICTURES_MAX { section.card { h2 { (visit.t("pictures-add")) } (add_form(visit, id, typed)) } }
            @else { p.soft { (visit.t("pictures-full")) } }
        }
    };
    Ok(answered(
        page(
            visit,
            &Head::titled(house.title.clone()).within(Section::Managing).wide(),
            content,
        ),
        problem,
    ))
}

fn one(visit: &Visit, id: Uuid, title: &str, picture: &Picture, at: usize, count: usize) -> Markup {
    let name = picture.told(visit, title, at);
    let button = |act: &str, key: &str, class: &str| {
        html! { button class=(class) name="act" value=(act) aria-label={ (visit.language.text(key)) ": " (name) } { (visit.language.text(key)) } }
    };
    let text_id = format!("picture-text-{at}");
    html! {
        img src=(picture.small_path()) alt=(name) loading="lazy" width="300" height="200";
        form.form method="post" action={ "/manage/" (id) "/pictures/arrange" } {
            (token(visit))
            input type="hidden" name="image" value=(picture.image);
            @if at == 0 { p { (parts::badge(Tone::Good, &visit.t("pictures-first"))) } }
            div.field {
                label for=(text_id) { (visit.t("pictures-shows")) }
                input id=(text_id) name="text" value=(picture.text) maxlength=(TEXT_LENGTH_MAX);
            }
            div.button-row {
                // Enter in the field saves what it says.
                (button("describe", "pictures-save", "button secondary small"))
                @if at > 0 { (button("earlier", "pictures-earlier", "button quiet small")) }
                @if at + 1 < count { (button("later", "pictures-later", "button quiet small")) }
                (button("remove", "pictures-remove", "button danger small"))
            }
        }
    }
}

fn add_form(visit: &Visit, id: Uuid, typed: &str) -> Markup {
    html! {
        form.form method="post" action={ "/manage/" (id) "/pictures" } enctype="multipart/form-data" data-upload="" data-shrink="2000 400" {
            (token(visit))
            (Field::text("text", visit.t("pictures-shows")).value(typed).hint(visit.t("pictures-shows-hint")).with("maxlength", TEXT_LENGTH_MAX.to_string()).show(visit))
            (Field::text("file", visit.t("pictures-file")).kind("file").hint(visit.t("pictures-file-hint")).with("accept", ACCEPTED).show(visit))
            (upload_bar(visit))
            div { button.button { (visit.t("verify-upload")) } }
        }
    }
}

fn back(id: Uuid) -> Response {
    Redirect::to(&format!("/manage/{id}/pictures?did=done")).into_response()
}

/// `POST /manage/{id}/pictures`: the file goes into storage with the manager's own rights, then into the property's list.
pub(crate) async fn add(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    visit.one_of(&MANAGERS)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let small = fields.take_file_of("small").map(|upload| upload.bytes);
    let outcome = match fields.take_file() {
        Some(upload) => put(&app, &visit, id, upload.bytes, small, fields.get("text")).await,
        None => Err(Problem::Invalid("choose a file that is not empty".to_owned())),
    };
    match outcome {
        Ok(()) => Ok(back(id)),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, id, fields.get("text"), Some(&problem)).await
        }
    }
}

async fn put(
    app: &App,
    visit: &Visit,
    id: Uuid,
    bytes: Bytes,
    small: Option<Bytes>,
    text: &str,
) -> Result<(), Problem> {
    // Whether it is the visitor's to edit, before a byte is kept.
    let tx = visit.reads(app).await?;
    let count = house(&tx, visit, id).await?.images.len();
    drop(tx);
    if count >= PICTURES_MAX {
        return Err(Problem::Invalid(format!(
            "a property has at most {PICTURES_MAX} pictures"
        )));
    }
    let stem = format!("{id}/{}", Uuid::new_v4());
    own::put(app, &visit.caller, BUCKET, &stem, bytes).await?;
    let mut note = Map::new();
    if let Some(small) = small {
        let name = format!("{stem}-small");
        own::put(app, &visit.caller, BUCKET, &name, small).await?;
        note.insert("small".to_owned(), format!("{BUCKET}/{name}").into());
    }
    let tx = visit.reads(app).await?;
    let mut house = house(&tx, visit, id).await?;
    let image = format!("{BUCKET}/{stem}");
    describe(&mut note, text);
    house.notes.insert(image.clone(), note.into());
    house.images.push(image);
    house.keep(&tx, id).await?;
    tx.commit().await?;
    Ok(())
}

fn describe(note: &mut Map<String, Value>, text: &str) {
    let text: String = text.chars().take(TEXT_LENGTH_MAX).collect();
    note.insert("text".to_owned(), text.into());
}

/// `POST /manage/{id}/pictures/arrange`: a picture earlier or later, described anew, or away.
pub(crate) async fn arrange(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    visit.one_of(&MANAGERS)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let image = fields.get("image");
    let tx = visit.reads(&app).await?;
    let mut house = house(&tx, &visit, id).await?;
    let at = house
        .images
        .iter()
        .position(|known| known == image)
        .ok_or(Problem::NotFound)?;
    // Its neighbours are those that are shown beside it.
    let is_shown = |known: &&(usize, &String)| known.1.starts_with(pictures::PREFIX);
    let others: Vec<(usize, &String)> = house.images.iter().enumerate().collect();
    let before = others.iter().rev().filter(is_shown).find(|(place, _)| *place < at);
    let after = others.iter().filter(is_shown).find(|(place, _)| *place > at);
    let (before, after) = (before.map(|(place, _)| *place), after.map(|(place, _)| *place));
    let mut gone = Vec::new();
    match fields.get("act") {
        "earlier" => before.into_iter().for_each(|other| house.images.swap(at, other)),
        "later" => after.into_iter().for_each(|other| house.images.swap(at, other)),
        "describe" => {
            let mut note = house
                .notes
                .get(image)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            describe(&mut note, fields.get("text"));
            house.notes.insert(image.to_owned(), note.into());
        }
        "remove" => {
            gone.push(house.images.remove(at));
            let small = house.notes.remove(image).and_then(|note| note.get("small").cloned());
            gone.extend(small.as_ref().and_then(Value::as_str).map(str::to_owned));
        }
        _ => return Err(Problem::NotFound),
    }
    house.keep(&tx, id).await?;
    tx.commit().await?;
    for path in gone {
        if let Some(name) = path.strip_prefix(pictures::PREFIX) {
            own::remove(&app, &visit.caller, BUCKET, name).await?;
        }
    }
    Ok(back(id))
}
