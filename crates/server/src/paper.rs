//! Paper: pages of text, rules and tables as PDF, the same bytes for the same content.
//!
//! [`type_setting`] makes glyphs of text in any direction of writing, [`sheet`] places them on pages, [`bytes`] writes the file
//! with the parts of its fonts that it uses. The fonts are part of the program (`crates/server/fonts`).
//!
//! Absent on purpose: what is on the pages; a time of making, which would be another file each time.

pub mod bytes;
pub mod sheet;
pub mod type_setting;
