//! Pages of A4, filled from top to bottom: headings, paragraphs, tables that go on over pages with their heads repeated.

use super::{
    bytes::{Colour, Mark},
    type_setting::{Fonts, Line, Weight},
};

/// Width and height of A4 in points.
pub const A4: (f32, f32) = (595.28, 841.89);
/// The margins at the left and at the right.
pub const MARGIN: f32 = 50.0;
/// Where text begins and ends, from the left.
pub const RIGHT: f32 = A4.0 - MARGIN;
/// The width between the margins.
pub const WIDTH: f32 = A4.0 - 2.0 * MARGIN;
const TOP: f32 = A4.1 - 54.0;
const BOTTOM: f32 = 72.0;

/// Text.
pub const INK: Colour = (0.09, 0.11, 0.15);
/// What matters less.
pub const GREY: Colour = (0.40, 0.43, 0.48);
/// Rules.
pub const RULE: Colour = (0.84, 0.86, 0.89);
/// Headings.
pub const NAVY: Colour = (0.06, 0.15, 0.31);
/// Behind the heads of tables.
pub const PALE: Colour = (0.953, 0.961, 0.973);

const ROW: f32 = 15.0;
const TABLE_SIZE: f32 = 8.0;

/// To which side of its column a text is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its head.
    pub head: String,
    /// Its part of the width between the margins.
    pub part: f32,
    /// To which side.
    pub side: Side,
}

/// A column of words.
#[must_use]
pub fn words(head: &str, part: f32) -> Column {
    let side = Side::Left;
    let head = head.to_owned();
    Column { head, part, side }
}

/// A column of figures.
#[must_use]
pub fn figures(head: &str, part: f32) -> Column {
    let side = Side::Right;
    let head = head.to_owned();
    Column { head, part, side }
}

/// How a row of a table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of many.
    Plain,
    /// A heading over rows.
    Group,
    /// A sum under rows.
    Sum,
}

/// A row of a table.
#[derive(Debug, Clone)]
pub struct Row {
    /// How it looks.
    pub kind: Kind,
    /// Its texts, one a column; of a group only the first.
    pub cells: Vec<String>,
}

/// Pages under way.
pub struct Sheet {
    fonts: Fonts,
    pages: Vec<Vec<Mark>>,
    /// How far down the page is filled: the next thing stands below.
    pub y: f32,
}

impl Sheet {
    /// An empty page.
    #[must_use]
    pub fn new(fonts: Fonts) -> Sheet {
        Sheet {
            fonts,
            pages: vec![Vec::new()],
            y: TOP,
        }
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// Begins another page.
    pub fn turn(&mut self) {
        self.pages.push(Vec::new());
        self.y = TOP;
    }

    /// Begins another page where less than this is left.
    pub fn need(&mut self, height: f32) {
        if self.y - height < BOTTOM {
            self.turn();
        }
    }

    /// A box on the page.
    pub fn fill(&mut self, (x, y): (f32, f32), (width, height): (f32, f32), colour: Colour) {
        self.mark(Mark::Box {
            x,
            y,
            width,
            height,
            colour,
        });
    }

    /// A thin line from margin to margin.
    pub fn rule(&mut self, y: f32, colour: Colour) {
        self.fill((MARGIN, y), (WIDTH, 0.6), colour);
    }

    /// A text on a base line, with its left or right end at `x`; what is wider than `room` is set smaller, and what would
    /// then be too small to read is cut.
    pub fn put(
        &mut self,
        (x, y): (f32, f32),
        side: Side,
        (size, weight): (f32, Weight),
        colour: Colour,
        room: f32,
        text: &str,
    ) {
        let mut line = self.fonts.set(text, weight);
        let mut size = size;
        let width = |line: &Line, size: f32| line.width * size / 1000.0;
        if width(&line, size) > room {
            size = (size * room / width(&line, size)).max(size * 0.72);
        }
        let mut letters: Vec<char> = text.chars().collect();
        while width(&line, size) > room && side == Side::Left && letters.pop().is_some() {
            let cut: String = letters.iter().collect();
            line = self.fonts.set(&format!("{}…", cut.trim_end()), weight);
        }
        let x = match side {
            Side::Left => x,
            Side::Right => x - width(&line, size),
        };
        self.mark(Mark::Text {
            x,
            y,
            size,
            colour,
            line,
        });
    }

    /// Words broken into lines of a width, each on its own base line; the sheet is filled down to the last.
    pub fn paragraph(&mut self, text: &str, (size, weight): (f32, Weight), colour: Colour, width: f32) {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let joined = lines.last().map(|line| format!("{line} {word}"));
            let fits = |line: &String| self.fonts.set(line, weight).width * size / 1000.0 <= width;
            match joined.filter(fits) {
                Some(joined) => {
                    lines.pop();
                    lines.push(joined);
                }
                None => lines.push(word.to_owned()),
            }
        }
        for line in lines {
            let height = size * 1.42;
            self.need(height);
            self.y -= height;
            self.put((MARGIN, self.y), Side::Left, (size, weight), colour, width, &line);
        }
    }

    /// The heading of a section, with room for what follows it.
    pub fn heading(&mut self, text: &str) {
        self.need(84.0);
        self.y -= 26.0;
        self.put(
            (MARGIN, self.y),
            Side::Left,
            (12.5, Weight::SemiBold),
            NAVY,
            WIDTH,
            text,
        );
        self.y -= 7.0;
    }

    /// A table. Its head stands on every page that it reaches.
    pub fn table(&mut self, columns: &[Column], rows: &[Row]) {
        self.need(3.0 * ROW);
        self.head(columns);
        for (place, row) in rows.iter().enumerate() {
            // A group's heading does not stand alone at the foot of a page.
            let follows = rows.get(place + 1).is_some() && row.kind == Kind::Group;
            if self.y - ROW * if follows { 2.0 } else { 1.0 } < BOTTOM {
                self.turn();
                self.head(columns);
            }
            self.y -= ROW;
            self.row(columns, row);
        }
    }

    fn head(&mut self, columns: &[Column]) {
        self.y -= ROW;
        self.fill((MARGIN, self.y - 4.5), (WIDTH, ROW), PALE);
        let heads = columns.iter().map(|column| column.head.clone()).collect();
        self.cells(columns, heads, (7.0, Weight::SemiBold), GREY);
    }

    fn row(&mut self, columns: &[Column], row: &Row) {
        match row.kind {
            Kind::Group => {
                let text = row.cells.first().cloned().unwrap_or_default();
                let style = (TABLE_SIZE, Weight::SemiBold);
                self.put((MARGIN + 4.0, self.y), Side::Left, style, NAVY, WIDTH - 8.0, &text);
            }
            Kind::Plain => self.cells(columns, row.cells.clone(), (TABLE_SIZE, Weight::Regular), INK),
            Kind::Sum => self.cells(columns, row.cells.clone(), (TABLE_SIZE, Weight::SemiBold), INK),
        }
        let colour = if row.kind == Kind::Sum { GREY } else { RULE };
        self.rule(self.y - 4.5, colour);
    }

    fn cells(&mut self, columns: &[Column], cells: Vec<String>, style: (f32, Weight), colour: Colour) {
        let mut left = MARGIN;
        for (column, text) in columns.iter().zip(cells) {
            let width = column.part * WIDTH;
            let x = match column.side {
                Side::Left => left + 4.0,
                Side::Right => left + width - 4.0,
            };
            if !text.is_empty() {
                self.put((x, self.y), column.side, style, colour, width - 8.0, &text);
            }
            left += width;
        }
    }

    /// The pages, with a foot on each: `foot` is given the sheet, the page's number and how many there are.
    #[must_use]
    pub fn finish(mut self, foot: impl Fn(&mut Sheet, usize, usize)) -> (Vec<Vec<Mark>>, Fonts) {
        let done = std::mem::take(&mut self.pages);
        let count = done.len();
        let mut pages = Vec::with_capacity(count);
        for (number, page) in (1..).zip(done) {
            self.pages = vec![page];
            foot(&mut self, number, count);
            pages.append(&mut self.pages);
        }
        (pages, self.fonts)
    }
}
