//! From text to glyphs: which font has a letter, which way it is written, how letters join.

use std::ops::Range;

use rustybuzz::{Direction, Face, Feature, UnicodeBuffer, ttf_parser::Tag};
use unicode_bidi::{BidiInfo, Level};

/// The fonts, in the order in which a letter is looked for after the one that was asked for.
const FONTS: [&[u8]; 3] = [
    include_bytes!("../../fonts/IBMPlexSans-Regular.ttf"),
    include_bytes!("../../fonts/IBMPlexSans-SemiBold.ttf"),
    include_bytes!("../../fonts/IBMPlexSansArabic-Regular.ttf"),
];

/// Their names inside a PDF, each with the mark of a font of which only parts are there.
pub const FONT_NAMES: [&str; 3] = [
    "NXMINT+IBMPlexSans",
    "NXMINT+IBMPlexSans-SemiBold",
    "NXMINT+IBMPlexSansArabic",
];

/// Where Arabic letters are; the second font of everybody.
const ARABIC: usize = 2;

/// How strong text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// For reading.
    Regular,
    /// For headings and sums.
    SemiBold,
}

/// The fonts, opened.
pub struct Fonts {
    faces: Vec<Face<'static>>,
}

/// A glyph in its place. Measures are thousandths of the size.
#[derive(Debug, Clone, PartialEq)]
pub struct Glyph {
    /// Which font.
    pub font: usize,
    /// Its number in the font.
    pub id: u16,
    /// How far the next one stands from it.
    pub advance: f32,
    /// How far that is in the font itself.
    pub width: f32,
    /// Moved to the right.
    pub right: f32,
    /// Moved up.
    pub up: f32,
    /// The letters that it shows; none where the glyph before it shows them.
    pub letters: String,
}

/// Text as glyphs from left to right.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its glyphs.
    pub glyphs: Vec<Glyph>,
    /// How long it is, in thousandths of the size.
    pub width: f32,
    /// What it says, in the order of reading.
    pub text: String,
    /// Whether a glyph is not one letter, so that a reader needs the text too. What runs from right to left needs none: readers
    /// expect its glyphs from left to right, and turn them round.
    pub needs_text: bool,
}

/// Why there are no fonts.
#[derive(Debug, thiserror::Error)]
#[error("a font of the program cannot be read")]
pub struct NoFont;

impl Fonts {
    /// Opens the fonts that the program carries.
    ///
    /// # Errors
    /// When one is broken, which is a fault of ours.
    pub fn open() -> Result<Fonts, NoFont> {
        let faces: Option<Vec<_>> = FONTS.iter().map(|data| Face::from_slice(data, 0)).collect();
        Ok(Fonts {
            faces: faces.ok_or(NoFont)?,
        })
    }

    /// The bytes of a font.
    #[must_use]
    pub fn data(font: usize) -> &'static [u8] {
        FONTS.get(font).copied().unwrap_or_default()
    }

    /// A font, for its measures.
    #[must_use]
    pub fn face(&self, font: usize) -> Option<&Face<'static>> {
        self.faces.get(font)
    }

    fn has(&self, font: usize, letter: char) -> bool {
        self.faces
            .get(font)
            .is_some_and(|face| face.glyph_index(letter).is_some())
    }

    /// The font for a letter that follows one of `current`.
    fn font_for(&self, letter: char, base: usize, current: usize) -> usize {
        // Spaces and marks stay with the letters around them.
        if !letter.is_alphanumeric() && self.has(current, letter) {
            return current;
        }
        if !self.has(base, letter) && self.has(ARABIC, letter) {
            ARABIC
        } else {
            base
        }
    }

    /// Sets text on one line. A letter that no font has is a box, and is still in the text.
    #[must_use]
    pub fn set(&self, text: &str, weight: Weight) -> Line {
        let text: String = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let base = match weight {
            Weight::Regular => 0,
            Weight::SemiBold => 1,
        };
        let mut line = Line {
            glyphs: Vec::new(),
            width: 0.0,
            text: text.clone(),
            needs_text: false,
        };
        let bidi = BidiInfo::new(&text, Some(Level::ltr()));
        for paragraph in &bidi.paragraphs {
            let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for run in runs {
                let is_rtl = levels.get(run.start).is_some_and(Level::is_rtl);
                let mut parts = self.parts(&text, run, base);
                if is_rtl {
                    parts.reverse();
                }
                for (font, range) in parts {
                    self.shape(text.get(range).unwrap_or_default(), font, is_rtl, &mut line);
                }
            }
        }
        line.width = line.glyphs.iter().map(|glyph| glyph.advance).sum();
        line
    }

    /// A run of one direction, in parts of one font each.
    fn parts(&self, text: &str, run: Range<usize>, base: usize) -> Vec<(usize, Range<usize>)> {
        let mut parts: Vec<(usize, Range<usize>)> = Vec::new();
        for (at, letter) in text.get(run.clone()).unwrap_or_default().char_indices() {
            let begin = run.start + at;
            let end = begin + letter.len_utf8();
            let font = self.font_for(letter, base, parts.last().map_or(base, |part| part.0));
            match parts.last_mut() {
                Some((last, range)) if *last == font => range.end = end,
                Some(_) | None => parts.push((font, begin..end)),
            }
        }
        parts
    }

    fn shape(&self, text: &str, font: usize, is_rtl: bool, line: &mut Line) {
        let Some(face) = self.faces.get(font) else { return };
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(if is_rtl {
            Direction::RightToLeft
        } else {
            Direction::LeftToRight
        });
        // Letters that merge for their looks alone would be one glyph of several letters.
        let features = [Feature::new(Tag::from_bytes(b"liga"), u32::from(is_rtl), ..)];
        let shaped = rustybuzz::shape(face, &features, buffer);
        let mut begins: Vec<usize> = shaped
            .glyph_infos()
            .iter()
            .filter_map(|info| usize::try_from(info.cluster).ok())
            .collect();
        begins.sort_unstable();
        begins.dedup();
        let mut before = None;
        for (info, place) in shaped.glyph_infos().iter().zip(shaped.glyph_positions()) {
            let id = u16::try_from(info.glyph_id).unwrap_or_default();
            let begin = usize::try_from(info.cluster).unwrap_or_default();
            let end = begins
                .iter()
                .copied()
                .find(|other| *other > begin)
                .unwrap_or(text.len());
            let letters = if before == Some(begin) {
                ""
            } else {
                text.get(begin..end).unwrap_or_default()
            };
            before = Some(begin);
            line.needs_text |= id == 0 || letters.chars().count() > 1;
            let width = face
                .glyph_hor_advance(rustybuzz::ttf_parser::GlyphId(id))
                .unwrap_or_default();
            line.glyphs.push(Glyph {
                font,
                id,
                advance: small(place.x_advance),
                width: f32::from(width),
                right: small(place.x_offset),
                up: small(place.y_offset),
                letters: letters.to_owned(),
            });
        }
    }
}

/// A measure of a font: the fonts have a thousand units to their size.
fn small(units: i32) -> f32 {
    f32::from(i16::try_from(units).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Line {
        Fonts::open().unwrap().set(text, Weight::Regular)
    }

    #[test]
    fn every_font_has_a_thousand_units_to_its_size() {
        let fonts = Fonts::open().unwrap();
        assert!(fonts.faces.iter().all(|face| face.units_per_em() == 1000));
    }

    #[test]
    fn figures_are_as_wide_as_one_another_so_that_columns_align() {
        let fonts = Fonts::open().unwrap();
        for weight in [Weight::Regular, Weight::SemiBold] {
            let widths: Vec<f32> = ["0", "1", "4", "7", "8"]
                .iter()
                .map(|digit| fonts.set(digit, weight).width)
                .collect();
            assert!(widths.iter().all(|width| (width - widths[0]).abs() < 0.5), "{widths:?}");
        }
    }

    #[test]
    fn letters_of_europe_are_set_one_by_one() {
        for text in [
            "Łukasz Żółć",
            "Ærøskøbing",
            "Дмитрий Ёлкин",
            "Ελένη Παπαδοπούλου",
            "fi ffi",
        ] {
            let line = set(text);
            assert!(
                !line.needs_text && line.glyphs.iter().all(|glyph| glyph.id != 0),
                "{text}"
            );
            let letters: String = line.glyphs.iter().map(|glyph| glyph.letters.as_str()).collect();
            assert_eq!(letters, text);
        }
    }

    #[test]
    fn arabic_runs_from_right_to_left_and_its_letters_join() {
        let line = set("محمد Ali");
        assert!(!line.needs_text && line.glyphs.iter().all(|glyph| glyph.id != 0));
        assert_eq!(
            line.glyphs.first().unwrap().letters,
            "د",
            "the last letter stands on the left"
        );
        let alone = set("م").glyphs[0].id;
        assert!(
            line.glyphs
                .iter()
                .filter(|glyph| glyph.letters == "م")
                .all(|glyph| glyph.id != alone),
            "joined forms"
        );
        assert!(
            line.glyphs.last().unwrap().letters == "i",
            "Latin stands on the right, and runs the other way"
        );
    }

    #[test]
    fn a_letter_that_no_font_has_is_a_box_and_is_in_the_text() {
        let line = set("李");
        assert_eq!(
            (line.glyphs[0].id, line.needs_text, line.text.as_str()),
            (0, true, "李")
        );
    }
}
