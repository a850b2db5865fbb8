//! Files of real data, loaded into the tables that say what they are.
//!
//! - [`Dataset::Seattle`]: houses with their dated sales, as properties and valuations. Listed, and not for sale.
//! - [`Dataset::Dubai`]: medians of a market by month and area.
//! - [`Dataset::Realt`]: tokens that others issued, as history.
//!
//! What always holds: one file is one transaction, so whatever stops a load leaves all of the file or nothing; a second
//! load of the same file changes nothing; a file with one bad field is refused with its line and column; memory does not
//! grow with the file. A load adds what is missing and corrects figures that the source has corrected. What describes a
//! property is written once, since people may have improved it, and nothing is ever removed.

pub mod csv;
mod dubai;
pub mod field;
mod load;
mod realt;
mod seattle;

use chrono::NaiveDate;

pub use load::{BadFile, LoadError, Loaded, Written, load};

/// What a file is, and with it where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dataset {
    /// Sales of houses in King County, Washington.
    Seattle,
    /// Monthly figures of the Dubai Land Department.
    Dubai,
    /// A list of tokens that others issued, with the day whose facts it holds.
    Realt {
        /// That day.
        as_of: NaiveDate,
    },
}

/// A file that the program carries, so that `seed` needs nothing but the program.
#[derive(Debug, Clone, Copy)]
pub struct CarriedFile {
    /// What it is.
    pub dataset: Dataset,
    /// Its name without folder.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// The files that `seed` loads. Their licences and attribution are in `data/NOTICE`.
pub const CARRIED: [CarriedFile; 2] = [
    CarriedFile {
        dataset: Dataset::Seattle,
        name: "seattle_ex_sales.csv",
        bytes: include_bytes!("../../../data/seattle_ex_sales.csv"),
    },
    CarriedFile {
        dataset: Dataset::Dubai,
        name: "dubai_dld_monthly_sales_2026.csv",
        bytes: include_bytes!("../../../data/dubai_dld_monthly_sales_2026.csv"),
    },
];
