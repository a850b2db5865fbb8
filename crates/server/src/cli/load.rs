//! `nexus-mint seed` and `nexus-mint import`: real data from files.

use std::{fs::File, path::PathBuf, process::ExitCode};

use chrono::NaiveDate;
use clap::{Subcommand, ValueEnum};

use super::answer;
use crate::{
    db::{Actor, Db, sql},
    import::{CARRIED, Dataset, field::day, load},
    problem::AnyError,
    progress::Progress,
};

/// The part of the seed that is asked for alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SeedPart {
    /// Houses of King County with their sales
    Seattle,
    /// Monthly figures of Dubai's market
    Dubai,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// A list of tokens that others issued for houses: history, never an offer
    Realt {
        /// The list, as CSV
        file: PathBuf,
        /// The day whose facts it holds [default: the day in the file's name]
        #[arg(long, value_parser = parse_day)]
        as_of: Option<NaiveDate>,
    },
}

fn parse_day(text: &str) -> Result<NaiveDate, &'static str> {
    day(text).ok_or("a day is written as 2023-04-23")
}

pub(super) async fn seed(db: &Db, only: Option<SeedPart>) -> Result<ExitCode, AnyError> {
    for file in CARRIED {
        let part = match file.dataset {
            Dataset::Seattle => SeedPart::Seattle,
            Dataset::Dubai => SeedPart::Dubai,
            Dataset::Realt { .. } => continue,
        };
        if only.is_some_and(|only| only != part) {
            continue;
        }
        let bytes = u64::try_from(file.bytes.len()).ok();
        let mut progress = Progress::to_stderr(file.name, bytes);
        let loaded = load(db, file.dataset, file.name, file.bytes, &mut progress).await?;
        answer(&format!("{}: {loaded}", file.name))?;
    }
    // Always: a run that was killed after its load is completed by the next one.
    let tx = db.as_engine(Actor::Program("seed")).await?;
    tx.execute(sql!("select public.refresh_analytics_views()"), &[]).await?;
    tx.commit().await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn import(db: &Db, command: ImportCommand) -> Result<ExitCode, AnyError> {
    let ImportCommand::Realt { file: path, as_of } = command;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(as_of) = as_of.or_else(|| day_in(&name)) else {
        return Err(format!("{name} has no day in its name: say whose facts it holds with --as-of 2023-04-23").into());
    };
    let cannot = |error| format!("cannot read {}: {error}", path.display());
    let file = File::open(&path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    let bytes = metadata.is_file().then_some(metadata.len());
    let mut progress = Progress::to_stderr(&name, bytes);
    let loaded = load(db, Dataset::Realt { as_of }, &name, file, &mut progress).await?;
    answer(&format!("{name}: {loaded}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The first day that a text names, such as 2023-04-23.
fn day_in(text: &str) -> Option<NaiveDate> {
    const LENGTH: usize = "2023-04-23".len();
    (0..text.len())
        .filter_map(|begin| text.get(begin..begin + LENGTH))
        .find_map(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_may_say_the_day() {
        let day = NaiveDate::from_ymd_opt(2023, 4, 23);
        assert_eq!(day_in("realt_tokens_2023-04-23.csv"), day);
        assert_eq!(day_in("x2023-13-99-2023-04-23"), day);
        assert_eq!(day_in("list-2023-04-23.csv"), day, "and no year before our era");
        assert_eq!(day_in("tokens.csv"), None);
        assert_eq!(day_in("häuser"), None);
    }
}
