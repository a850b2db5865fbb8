//! Pictures of properties as pages show them: those that lie in this server's storage. Of other servers' none is shown: a page
//! asks nobody else.

use serde_json::{Map, Value};

use super::visit::Visit;

/// The bucket that they lie in.
pub(crate) const BUCKET: &str = "property-images";

/// How the text of one that lies here begins.
pub(crate) const PREFIX: &str = "property-images/";

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Its text in the property's list: bucket and name.
    pub(crate) image: String,
    /// What it shows, as who put it up says; empty where nobody did.
    pub(crate) text: String,
    small: Option<String>,
}

/// Those of a property that lie here, in their order.
pub(crate) fn of(images: &[String], notes: &Map<String, Value>) -> Vec<Picture> {
    let here = images.iter().filter(|image| image.starts_with(PREFIX));
    here.map(|image| Picture::of(image, notes.get(image))).collect()
}

impl Picture {
    /// One, with what is noted of it.
    pub(crate) fn of(image: &str, note: Option<&Value>) -> Picture {
        let text = |name: &str| note.and_then(|note| note.get(name)).and_then(Value::as_str);
        Picture {
            image: image.to_owned(),
            text: text("text").unwrap_or_default().to_owned(),
            small: text("small")
                .filter(|small| small.starts_with(PREFIX))
                .map(str::to_owned),
        }
    }

    /// Where a browser finds it.
    pub(crate) fn path(&self) -> String {
        format!("/storage/v1/object/public/{}", self.image)
    }

    /// Where its small copy is, or itself.
    pub(crate) fn small_path(&self) -> String {
        format!(
            "/storage/v1/object/public/{}",
            self.small.as_ref().unwrap_or(&self.image)
        )
    }

    /// What it shows, or which one of the property it is.
    pub(crate) fn told(&self, visit: &Visit, title: &str, at: usize) -> String {
        if !self.text.is_empty() {
            return self.text.clone();
        }
        let number = i64::try_from(at).unwrap_or(0) + 1;
        visit
            .tv(
                "property-picture",
                &[("number", number.into()), ("title", title.to_owned().into())],
            )
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_lies_here_is_shown_in_its_order() {
        let images = [
            "property-images/b",
            "https://elsewhere.example/x.jpg",
            "property-images/a",
        ]
        .map(str::to_owned);
        let notes = json!({
            "property-images/a": { "text": "The hall", "small": "property-images/a-small" },
            "property-images/b": { "small": "https://elsewhere.example/y.jpg" }
        });
        let found = of(&images, notes.as_object().unwrap());
        let shown: Vec<_> = found
            .iter()
            .map(|picture| (picture.text.as_str(), picture.small_path()))
            .collect();
        assert_eq!(
            shown,
            [
                ("", "/storage/v1/object/public/property-images/b".to_owned()),
                (
                    "The hall",
                    "/storage/v1/object/public/property-images/a-small".to_owned()
                )
            ]
        );
    }
}
