//! `nexus-mint files`: look after the stored files.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Subcommand;

use super::{answer, runtime, with_db};
use crate::{
    config::{Config, Settings},
    files::{self, Files},
    problem::AnyError,
};

#[derive(Debug, Subcommand)]
pub(super) enum FilesCommand {
    /// Wrap the keys of all files under the file key in use, so that older ones can be let go
    Rotate,
    /// Read every file whole; exit with 1 when one is not as it was written
    Verify,
    /// Remove bytes that no row names, as the server does by itself four times a day
    Collect {
        /// How old they must be, in hours: never less than a transaction may last
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..))]
        hours: u64,
    },
}

pub(super) fn run(command: &FilesCommand, settings: Settings) -> Result<ExitCode, AnyError> {
    let config = settings.into_config()?;
    match command {
        FilesCommand::Rotate => runtime()?.block_on(rotate(&config)),
        FilesCommand::Verify => runtime()?.block_on(verify(&config)),
        FilesCommand::Collect { hours } => {
            let age = Duration::from_secs(hours.saturating_mul(3600));
            with_db(config, async |config, db| {
                let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
                let done = files::collect(db, &Files::of(config)?, before).await?;
                answer(&format!(
                    "{} without a row removed, {} unfinished swept, {} unreadable left",
                    done.removed, done.swept, done.unreadable
                ))?;
                Ok(ExitCode::SUCCESS)
            })
        }
    }
}

async fn rotate(config: &Config) -> Result<ExitCode, AnyError> {
    let rotated = Files::of(config)?.blocking(|store| store.rotate()).await?;
    answer(&format!(
        "{} files are under the key in use now, {} were already",
        rotated.turned, rotated.were_current
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(config: &Config) -> Result<ExitCode, AnyError> {
    let (read, faults) = Files::of(config)?.blocking(|store| store.verify()).await?;
    faults.iter().try_for_each(|fault| answer(fault))?;
    answer(&format!("{read} files read, {} not as they were written", faults.len()))?;
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
