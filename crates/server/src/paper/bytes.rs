//! From placed text to the bytes of a PDF 1.7: one stream a page, and of each font the glyphs that are used.

use std::collections::BTreeMap;

use pdf_writer::{
    Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use rustybuzz::ttf_parser::GlyphId;
use subsetter::GlyphRemapper;

use super::type_setting::{FONT_NAMES, Fonts, Glyph, Line};

/// A colour: red, green, blue, each 0 to 1.
pub type Colour = (f32, f32, f32);

/// Something on a page. Measures are points from the lower left corner.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// Text whose first glyph stands at `x`, on a base line at `y`.
    Text {
        /// From the left.
        x: f32,
        /// The base line.
        y: f32,
        /// The size.
        size: f32,
        /// Its colour.
        colour: Colour,
        /// The text.
        line: Line,
    },
    /// A filled box.
    Box {
        /// From the left.
        x: f32,
        /// Its lower edge.
        y: f32,
        /// How wide.
        width: f32,
        /// How high.
        height: f32,
        /// Its colour.
        colour: Colour,
    },
}

/// Pages and what they are about.
pub struct Document {
    /// Its title.
    pub title: String,
    /// What it is about.
    pub subject: String,
    /// Who made it.
    pub author: String,
    /// Sixteen bytes that name it, the same for the same content.
    pub id: [u8; 16],
    /// Width and height of every page, in points.
    pub size: (f32, f32),
    /// What stands on each page.
    pub pages: Vec<Vec<Mark>>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum NoPdf {
    /// A font cannot be cut down to what is used.
    #[error("a font cannot be cut down to what is used: {0}")]
    Font(subsetter::Error),
    /// There are more pages or fonts than a PDF has numbers for.
    #[error("there is too much for one file")]
    TooMuch,
}

/// What is used of a font: numbers in the file, and what each glyph shows.
#[derive(Default)]
struct Used {
    numbers: GlyphRemapper,
    letters: BTreeMap<u16, String>,
    widths: BTreeMap<u16, f32>,
}

const IDENTITY: SystemInfo<'static> = SystemInfo {
    registry: Str(b"Adobe"),
    ordering: Str(b"Identity"),
    supplement: 0,
};

/// Objects that each font is made of.
const FONT_OBJECTS: usize = 5;

/// The file.
///
/// # Errors
/// When a font cannot be cut down, which is a fault of ours.
pub fn write(document: &Document, fonts: &Fonts) -> Result<Vec<u8>, NoPdf> {
    let mut used: BTreeMap<usize, Used> = BTreeMap::new();
    let streams: Vec<Vec<u8>> = document.pages.iter().map(|page| stream(page, &mut used)).collect();
    let at = |number: usize| i32::try_from(number).map(Ref::new).map_err(|_| NoPdf::TooMuch);
    let (catalog, tree, info) = (at(1)?, at(2)?, at(3)?);
    let first_page = 4;
    let first_font = first_page + 2 * streams.len();
    let mut pdf = Pdf::new();
    pdf.set_version(1, 7);
    pdf.set_file_id((document.id.to_vec(), document.id.to_vec()));
    let mut root = pdf.catalog(catalog);
    root.pages(tree);
    root.lang(TextStr("en"));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    pdf.document_info(info)
        .title(TextStr(&document.title))
        .subject(TextStr(&document.subject))
        .author(TextStr(&document.author))
        .producer(TextStr("Nexus Mint"));
    let pages: Result<Vec<Ref>, NoPdf> = (0..streams.len()).map(|page| at(first_page + 2 * page)).collect();
    let pages = pages?;
    pdf.pages(tree)
        .kids(pages.iter().copied())
        .count(i32::try_from(pages.len()).map_err(|_| NoPdf::TooMuch)?);
    for (number, (page, content)) in pages.iter().zip(&streams).enumerate() {
        let content_at = at(first_page + 2 * number + 1)?;
        let mut page = pdf.page(*page);
        page.parent(tree)
            .media_box(Rect::new(0.0, 0.0, document.size.0, document.size.1))
            .contents(content_at);
        let mut resources = page.resources();
        let mut names = resources.fonts();
        for (place, font) in used.keys().enumerate() {
            names.pair(
                Name(font_name(*font).as_bytes()),
                at(first_font + FONT_OBJECTS * place)?,
            );
        }
        names.finish();
        resources.finish();
        page.finish();
        let small = smaller(content);
        pdf.stream(content_at, &small).filter(Filter::FlateDecode);
    }
    for (place, (font, used)) in used.iter().enumerate() {
        let first = first_font + FONT_OBJECTS * place;
        let mut objects = [catalog; FONT_OBJECTS];
        for (offset, object) in objects.iter_mut().enumerate() {
            *object = at(first + offset)?;
        }
        write_font(&mut pdf, *font, used, fonts, objects)?;
    }
    Ok(pdf.finish())
}

fn font_name(font: usize) -> String {
    format!("F{font}")
}

fn smaller(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, 6)
}

/// What draws a page.
fn stream(page: &[Mark], used: &mut BTreeMap<usize, Used>) -> Vec<u8> {
    let mut content = Content::new();
    for mark in page {
        match mark {
            Mark::Box {
                x,
                y,
                width,
                height,
                colour,
            } => {
                content.set_fill_rgb(colour.0, colour.1, colour.2);
                content.rect(*x, *y, *width, *height).fill_nonzero();
            }
            Mark::Text {
                x,
                y,
                size,
                colour,
                line,
            } => {
                if line.needs_text {
                    let mut span = content.begin_marked_content_with_properties(Name(b"Span"));
                    span.properties().actual_text(TextStr(&line.text));
                }
                content.begin_text();
                content.set_fill_rgb(colour.0, colour.1, colour.2);
                content.set_text_matrix([1.0, 0.0, 0.0, 1.0, *x, *y]);
                show(&mut content, line, *size, used);
                content.end_text();
                if line.needs_text {
                    content.end_marked_content();
                }
            }
        }
    }
    content.finish().to_vec()
}

/// Shows glyphs one font after the other; what stands otherwise than the font has it is moved there and back.
fn show(content: &mut Content, line: &Line, size: f32, used: &mut BTreeMap<usize, Used>) {
    for run in line
        .glyphs
        .chunk_by(|one, next| one.font == next.font && one.up.to_bits() == next.up.to_bits())
    {
        let Some(first) = run.first() else { continue };
        content.set_font(Name(font_name(first.font).as_bytes()), size);
        content.set_rise(first.up * size / 1000.0);
        let used = used.entry(first.font).or_default();
        let mut shown = content.show_positioned();
        let mut items = shown.items();
        let mut together: Vec<u8> = Vec::new();
        for glyph in run {
            if glyph.right != 0.0 {
                flush(&mut items, &mut together);
                items.adjust(-glyph.right);
            }
            together.extend(used.number(glyph).to_be_bytes());
            let back = glyph.width - glyph.advance + glyph.right;
            if back != 0.0 {
                flush(&mut items, &mut together);
                items.adjust(back);
            }
        }
        flush(&mut items, &mut together);
    }
}

fn flush(items: &mut pdf_writer::writers::PositionedItems<'_>, together: &mut Vec<u8>) {
    if !together.is_empty() {
        items.show(Str(together));
        together.clear();
    }
}

impl Used {
    /// The glyph's number in the file.
    fn number(&mut self, glyph: &Glyph) -> u16 {
        let number = self.numbers.remap(glyph.id);
        self.widths.insert(number, glyph.width);
        if glyph.id != 0 && !glyph.letters.is_empty() {
            self.letters.entry(number).or_insert_with(|| glyph.letters.clone());
        }
        number
    }
}

fn write_font(
    pdf: &mut Pdf,
    font: usize,
    used: &Used,
    fonts: &Fonts,
    objects: [Ref; FONT_OBJECTS],
) -> Result<(), NoPdf> {
    let [type0, cid, descriptor, map, file] = objects;
    let name = FONT_NAMES.get(font).copied().unwrap_or_default().as_bytes();
    let Some(face) = fonts.face(font) else { return Ok(()) };
    let bytes = subsetter::subset(Fonts::data(font), 0, &used.numbers).map_err(NoPdf::Font)?;
    pdf.type0_font(type0)
        .base_font(Name(name))
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(map);
    let mut written = pdf.cid_font(cid);
    written
        .subtype(CidFontType::Type2)
        .base_font(Name(name))
        .system_info(IDENTITY)
        .font_descriptor(descriptor)
        .default_width(0.0)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let width_of = |number: u16| used.widths.get(&number).copied();
    let missing = face.glyph_hor_advance(GlyphId(0)).map_or(0.0, f32::from);
    let widths = (0..used.numbers.num_gids()).map(|number| width_of(number).unwrap_or(missing));
    written.widths().consecutive(0, widths);
    written.finish();
    let bounds = face.global_bounding_box();
    let bounds = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(f32::from);
    pdf.font_descriptor(descriptor)
        .name(Name(name))
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(bounds[0], bounds[1], bounds[2], bounds[3]))
        .italic_angle(0.0)
        .ascent(f32::from(face.ascender()))
        .descent(f32::from(face.descender()))
        .cap_height(face.capital_height().map_or(700.0, f32::from))
        .stem_v(80.0)
        .font_file2(file);
    let mut letters = UnicodeCmap::new(Name(b"Custom"), IDENTITY);
    for (number, text) in &used.letters {
        letters.pair_with_multiple(*number, text.chars());
    }
    pdf.cmap(map, letters.finish().as_slice());
    let small = smaller(&bytes);
    let length = i32::try_from(bytes.len()).map_err(|_| NoPdf::TooMuch)?;
    pdf.stream(file, &small)
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), length);
    Ok(())
}
