//! Languages, and the catalogue of every text: `texts/en.ftl` and `texts/ar.ftl`, in Fluent. A page holds no words.

use std::{borrow::Cow, sync::OnceLock};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

const ENGLISH: &str = include_str!("texts/en.ftl");
const ARABIC: &str = include_str!("texts/ar.ftl");

type Bundle = FluentBundle<FluentResource>;

/// A language that the console speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// The first one; what the rules and the platform itself say is in it.
    English,
    /// The second one, from right to left. No native reader has reviewed it yet, and the page says so.
    Arabic,
}

impl Language {
    /// All of them.
    pub(crate) const ALL: [Language; 2] = [Language::English, Language::Arabic];

    /// Its tag (BCP 47).
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Arabic => "ar",
        }
    }

    /// Its name in itself.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Arabic => "العربية",
        }
    }

    /// In which direction it is read.
    pub(crate) fn direction(self) -> &'static str {
        match self {
            Language::English => "ltr",
            Language::Arabic => "rtl",
        }
    }

    /// The language of a tag, whatever its region.
    pub(crate) fn of_tag(tag: &str) -> Option<Language> {
        let first = tag.trim().split(['-', '_']).next()?;
        Language::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(first))
    }

    /// The first language of an `Accept-Language` header that is spoken here. Weights are passed over: browsers list what is
    /// wanted most first.
    pub(crate) fn accepted(header: &str) -> Option<Language> {
        header
            .split(',')
            .find_map(|range| Language::of_tag(range.split(';').next()?))
    }

    fn source(self) -> &'static str {
        match self {
            Language::English => ENGLISH,
            Language::Arabic => ARABIC,
        }
    }

    fn bundle(self) -> &'static Bundle {
        static ENGLISH: OnceLock<Bundle> = OnceLock::new();
        static ARABIC: OnceLock<Bundle> = OnceLock::new();
        let kept = match self {
            Language::English => &ENGLISH,
            Language::Arabic => &ARABIC,
        };
        kept.get_or_init(|| bundle_of(self))
    }

    /// A text of the catalogue.
    pub(crate) fn text(self, key: &str) -> Cow<'static, str> {
        self.text_with(key, &[])
    }

    /// A text of the catalogue with values in it. A key that is in no catalogue shows itself: a test finds it before.
    pub(crate) fn text_with(self, key: &str, values: &[(&'static str, FluentValue<'_>)]) -> Cow<'static, str> {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return Cow::Owned(key.to_owned());
        };
        let mut args = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            args.set(*name, value.clone());
        }
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&args), &mut errors);
        Cow::Owned(text.into_owned())
    }

    /// Whether the catalogue has a text of this name.
    pub(crate) fn has(self, key: &str) -> bool {
        self.bundle().has_message(key)
    }
}

fn bundle_of(language: Language) -> Bundle {
    let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = Bundle::new_concurrent(vec![tag]);
    // Names and figures are set from left to right inside Arabic; English needs no marks for that.
    bundle.set_use_isolating(language.direction() == "rtl");
    // What can be read is kept, whatever stands beside it; the tests refuse a catalogue with a fault.
    let resource = match FluentResource::try_new(language.source().to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    };
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn keys(language: Language) -> BTreeSet<String> {
        let resource = FluentResource::try_new(language.source().to_owned());
        assert!(
            resource.is_ok(),
            "{language:?} has a fault: {:?}",
            resource.err().map(|(_, errors)| errors)
        );
        let lines = language.source().lines();
        let keys = lines.filter_map(|line| line.split_once(" =")).map(|(key, _)| key);
        let keys: Vec<String> = keys
            .filter(|key| !key.is_empty() && !key.starts_with([' ', '#', '.', '-']))
            .map(str::to_owned)
            .collect();
        let once: BTreeSet<String> = keys.iter().cloned().collect();
        assert_eq!(once.len(), keys.len(), "{language:?} has a text twice");
        once
    }

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn both_catalogues_have_the_same_texts() {
        let (english, arabic) = (keys(Language::English), keys(Language::Arabic));
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        assert_eq!(only(&english, &arabic), Vec::<String>::new(), "missing in Arabic");
        assert_eq!(only(&arabic, &english), Vec::<String>::new(), "missing in English");
    }

    #[test]
    fn every_text_that_a_page_asks_for_is_there() {
        let mut found = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console"), &mut found);
        let known = keys(Language::English);
        let mut asked = BTreeSet::new();
        for text in &found {
            for call in [".t(\"", ".tv(\""] {
                for after in text.split(call).skip(1) {
                    asked.insert(after.split('"').next().unwrap().to_owned());
                }
            }
        }
        assert!(asked.len() > 50, "the pages are found");
        let missing: Vec<_> = asked.iter().filter(|key| !known.contains(*key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn languages_are_told_by_what_browsers_send() {
        assert_eq!(Language::accepted("de-CH, ar-AE;q=0.8, en"), Some(Language::Arabic));
        assert_eq!(Language::accepted("fr, EN-gb"), Some(Language::English));
        assert_eq!(Language::accepted("fr"), None);
    }
}
