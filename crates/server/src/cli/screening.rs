//! `nexus-mint screening`: lists of names that the operator supplies.

use std::{fs::File, path::PathBuf, process::ExitCode};

use clap::Subcommand;

use super::answer;
use crate::{
    command::Command,
    compliance::screening,
    config::Config,
    db::{Actor, Db},
    problem::AnyError,
};

#[derive(Debug, Subcommand)]
pub(super) enum ScreeningCommand {
    /// Load a list, as CSV with the columns key and name; it replaces the list of the same name
    Import {
        /// The list
        file: PathBuf,
        /// What the list is called [default: the file's name without its ending]
        #[arg(long)]
        name: Option<String>,
    },
}

pub(super) async fn run(command: ScreeningCommand, config: &Config, db: &Db) -> Result<ExitCode, AnyError> {
    let ScreeningCommand::Import { file: path, name } = command;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.unwrap_or(stem);
    let file = File::open(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let app = super::operate::app(config, db)?;
    let command = Command::begin(&app, Actor::Program("screening import")).await?;
    let entries = screening::load(&command, &name, file).await?;
    command.commit().await?;
    answer(&format!("{name}: {entries} names"))?;
    Ok(ExitCode::SUCCESS)
}
