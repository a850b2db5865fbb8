//! The command line. Answers go to stdout, one value a line; everything else goes to stderr.
//!
//! A command fails with one line that says what failed and what to do, and the causes below it; exit code 1, or 2 when
//! the command itself was wrong.

mod audit;
mod demo;
mod files;
mod load;
mod operate;
mod screening;
mod user;

use std::{
    error::Error,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Arg, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    app::system_clock,
    attach::{Migrate, Postgres},
    auth::{email::Email, keys::Keys, signing},
    config::{Config, Environment, Flags, SETTINGS, Settings, postgrest::RestSettings},
    db::Db,
    doctor, ledger,
    migrate::{self, Sources},
    postgres::Mode,
    problem::{AnyError, chain, is_empty_phrase},
    rest, serve,
};

#[derive(Debug, Parser)]
#[command(
    name = "nexus-mint",
    version,
    about = "A self-hosted platform for tokenized real estate: one program over PostgreSQL",
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server, with a private PostgreSQL unless DATABASE_URL names another
    Serve {
        /// Leave the schema behind DATABASE_URL as it is
        #[arg(long)]
        no_migrate: bool,
    },
    /// Tell the whole story of two houses in a database of its own, in about a minute: people, evidence, launch, sale, refund,
    /// close, rent, transfer, recovery, statement; `serve --demo` shows it then
    Demo {
        /// Tell it once more, from nothing: what the last demo left is dropped
        #[arg(long)]
        again: bool,
    },
    /// Bring the database's schema up to date and print the files applied
    Migrate {
        /// Apply nothing: print what is missing, and exit with 1 if anything is
        #[arg(long, visible_alias = "status")]
        check: bool,
    },
    /// Look at settings, data folder and database, and say what is wrong and how to mend it
    Doctor {
        /// Print the checks as JSON
        #[arg(long)]
        json: bool,
    },
    /// Load the public data that the program carries: houses with their sales, figures of a market
    Seed {
        /// Load one part alone
        #[arg(long)]
        only: Option<load::SeedPart>,
    },
    /// Load data of others from a file
    Import {
        #[command(subcommand)]
        command: load::ImportCommand,
    },
    /// Lists of names that parties are compared with
    Screening {
        #[command(subcommand)]
        command: screening::ScreeningCommand,
    },
    /// People who log in
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Run a function as a person, as a front end would, and print its answer; docs/API.md lists them
    Call {
        /// The function, such as open-offering
        name: String,
        /// The person's address
        #[arg(long = "as", value_parser = user::parse_email)]
        email: Email,
        /// The body as JSON; - reads it from stdin
        body: Option<String>,
        /// A key that makes a retry safe
        #[arg(long)]
        key: Option<String>,
        /// The file, for a function that takes one, such as upload-document
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// The custodian's word on the money in escrow
    Custody {
        #[command(subcommand)]
        command: operate::CustodyCommand,
    },
    /// The payment provider and bank that are built in and not real
    Sandbox {
        #[command(subcommand)]
        command: operate::SandboxCommand,
    },
    /// What the server does by itself when it is due
    Jobs {
        #[command(subcommand)]
        command: operate::JobsCommand,
    },
    /// The chain over the audit trail and the ledger, which shows whether the past was changed
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// The book of record
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Serve PostgREST's protocol alone, on any database, configured by PostgREST's PGRST_* variables
    Rest {
        /// A configuration file of PostgREST's, for what the variables do not say
        file: Option<PathBuf>,
    },
    /// Stored files: their keys, and whether they are as they were written
    Files {
        #[command(subcommand)]
        command: files::FilesCommand,
    },
    /// Print an API key
    Key {
        /// Whose
        which: ApiKey,
    },
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Replay the journal and compare every balance; exit with 1 when anything differs
    Verify,
    /// Ask every law of the whole database; exit with 1 when one is broken
    Laws,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ApiKey {
    /// Visitors: public
    Anon,
    /// Other programs of yours: reads and writes past all policies
    Service,
    /// A fresh private key for access tokens, to be set as NEXUS_MINT_JWT_SIGNING_KEYS
    Signing,
}

/// Parses the command line and runs it.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done when even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, AnyError> {
    let environment = Environment::of_process();
    if let Command::Rest { file } = &cli.command {
        return rest(&environment, file.as_deref());
    }
    let mut flags = cli.flags;
    flags.demo |= matches!(cli.command, Command::Demo { .. });
    let settings = Settings::load(&flags, &environment)?;
    log_to_stderr(settings.log.clone());
    match cli.command {
        Command::Serve { no_migrate } => serve(settings.into_config()?, no_migrate),
        Command::Demo { again } => demo::run(&settings.into_config()?, again),
        Command::Migrate { check: true } => {
            with_postgres(settings.into_config()?, async |_, postgres| check(postgres).await)
        }
        Command::Migrate { check: false } => with_postgres(settings.into_config()?, async |_, postgres| {
            postgres.migrate().await?.iter().try_for_each(|file| answer(file))?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Doctor { json } => doctor(settings, json),
        Command::Seed { only } => with_db(settings.into_config()?, async |_, db| load::seed(db, only).await),
        Command::Import { command } => with_db(settings.into_config()?, async |_, db| load::import(db, command).await),
        Command::Screening { command } => with_db(settings.into_config()?, async |config, db| {
            screening::run(command, config, db).await
        }),
        Command::User { command } => with_db(settings.into_config()?, async |config, db| {
            user::run(command, config, db).await
        }),
        Command::Call {
            name,
            email,
            body,
            key,
            file,
        } => with_db(settings.into_config()?, async |config, db| {
            operate::call(config, db, &name, &email, body, key.as_deref(), file).await
        }),
        Command::Custody { command } => with_db(settings.into_config()?, async |config, db| {
            operate::custody(config, db, command).await
        }),
        Command::Sandbox { command } => with_db(settings.into_config()?, async |config, db| {
            operate::sandbox(config, db, command).await
        }),
        Command::Jobs { command } => with_db(settings.into_config()?, async |config, db| {
            operate::jobs(config, db, &command).await
        }),
        Command::Audit { command } => with_db(settings.into_config()?, async |config, db| {
            audit::run(command, config, db).await
        }),
        Command::Files { command } => files::run(&command, settings),
        Command::Ledger { command } => with_postgres(settings.into_config()?, async |_, postgres| match command {
            LedgerCommand::Verify => verify_ledger(postgres).await,
            LedgerCommand::Laws => ask_laws(postgres).await,
        }),
        Command::Rest { file } => rest(&environment, file.as_deref()),
        Command::Key { which } => {
            let keys = Keys::of(&settings.into_config()?, system_clock()())?;
            match which {
                ApiKey::Anon => answer(keys.anon_key())?,
                ApiKey::Service => answer(keys.service_key().expose())?,
                ApiKey::Signing => answer(signing::fresh().map_err(|_| "there is no randomness")?.expose())?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn serve(config: Config, no_migrate: bool) -> Result<ExitCode, AnyError> {
    let listener = serve::bind(config.settings.listen)?;
    let postgres = Postgres::attach(&config, Mode::Own)?;
    let migrate = if no_migrate {
        Migrate::OnlyEmbedded
    } else {
        Migrate::Yes
    };
    let result = runtime()?.block_on(serve::run(config, &postgres, listener, migrate));
    postgres.stop()?;
    result?;
    Ok(ExitCode::SUCCESS)
}

/// Has settings of its own: those of PostgREST, whose place it takes.
fn rest(environment: &Environment, file: Option<&Path>) -> Result<ExitCode, AnyError> {
    let environment = &match file {
        Some(file) => environment.with_postgrest_file(file)?,
        None => environment.clone(),
    };
    let settings = RestSettings::load(environment)?;
    log_to_stderr(settings.log.clone());
    let listener = settings.listen.bind();
    let listener = listener.map_err(|error| format!("cannot listen at {}: {error}", settings.listen))?;
    let admin = settings.admin.map(serve::bind).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.get())
        .enable_all()
        .build()?;
    runtime.block_on(rest::alone::run(environment, settings, listener, admin))?;
    Ok(ExitCode::SUCCESS)
}

async fn check(postgres: &Postgres) -> Result<ExitCode, AnyError> {
    let admin = postgres.admin().connect().await?;
    let status = migrate::status(&admin, &Sources::embedded()).await?;
    status.pending.iter().try_for_each(|file| answer(file))?;
    Ok(if status.pending.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn verify_ledger(postgres: &Postgres) -> Result<ExitCode, AnyError> {
    let verdict = ledger::verify::verify(&postgres.runtime().connect().await?).await?;
    verdict.faults.iter().try_for_each(|fault| answer(&fault.to_string()))?;
    answer(&format!(
        "{} entries, {} postings, {} accounts replayed: {}",
        verdict.entries,
        verdict.postings,
        verdict.accounts,
        match verdict.faults_count {
            0 => "everything agrees".to_owned(),
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        }
    ))?;
    Ok(if verdict.faults_count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn ask_laws(postgres: &Postgres) -> Result<ExitCode, AnyError> {
    let breaches = ledger::laws::breaches(&postgres.admin().connect().await?).await?;
    breaches.iter().try_for_each(|breach| answer(&breach.to_string()))?;
    answer(&format!(
        "{} questions asked of the whole database: {}",
        ledger::laws::LAWS.len(),
        match breaches.len() {
            0 => "every law holds".to_owned(),
            1 => "1 breach".to_owned(),
            count => format!("{count} breaches"),
        }
    ))?;
    Ok(if breaches.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn doctor(settings: Settings, json: bool) -> Result<ExitCode, AnyError> {
    let mut report = doctor::examine_machine(&settings);
    if settings.database_url.is_some() || doctor::has_cluster(&settings) {
        let attach = |config| Postgres::attach(&config, Mode::AttachOrStart).map_err(AnyError::from);
        match settings.into_config().map_err(AnyError::from).and_then(attach) {
            Ok(postgres) => {
                runtime()?.block_on(doctor::examine_database(&mut report, &postgres));
                postgres.stop()?;
            }
            Err(error) => report.failed("database", chain(error.as_ref()), None),
        }
    } else {
        report.ok("database", "no cluster yet; `nexus-mint serve` makes it");
    }
    answer(&if json { report.to_json() } else { report.to_text() })?;
    Ok(if report.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs a command against the database server, and leaves that as it was found.
fn with_postgres(
    config: Config,
    command: impl AsyncFnOnce(&Config, &Postgres) -> Result<ExitCode, AnyError>,
) -> Result<ExitCode, AnyError> {
    let postgres = Postgres::attach(&config, Mode::AttachOrStart)?;
    let result = runtime()?.block_on(command(&config, &postgres));
    postgres.stop()?;
    result
}

/// Runs a command that needs the schema.
fn with_db(
    config: Config,
    command: impl AsyncFnOnce(&Config, &Db) -> Result<ExitCode, AnyError>,
) -> Result<ExitCode, AnyError> {
    with_postgres(config, async |config, postgres| {
        let db = postgres.open(Migrate::OnlyEmbedded).await?;
        let result = command(config, &db).await;
        db.close();
        result
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// One line on stdout. A reader who has gone is an error like any other.
fn answer(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn report(error: &(dyn Error + 'static)) {
    let mut stderr = io::stderr().lock();
    let mut next = Some(error);
    let mut label = "nexus-mint";
    let mut last = String::new();
    while let Some(error) = next {
        let text = error.to_string();
        // A transparent error and its source have one text.
        if text != last && !is_empty_phrase(error) {
            // Nothing can be done when even this cannot be printed.
            let _ = writeln!(stderr, "{label}: {text}");
            label = "  because";
        }
        last = text;
        next = error.source();
    }
}

fn log_to_stderr(log: Targets) {
    let stderr = Arc::new(io::stderr());
    let colours = stderr.is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_target(false)
        .with_ansi(colours);
    // Fails only when a log is set up already, and then there is one.
    let _ = tracing_subscriber::registry().with(lines.with_filter(log)).try_init();
}

/// The flags follow the table of settings, so that none can be forgotten.
impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = SETTINGS.iter().fold(command, |command, spec| match spec.flag {
            None => command,
            Some(flag) => {
                let arg = Arg::new(spec.key).long(flag).global(true).help(spec.about);
                command.arg(arg.help_heading("Settings (flag, environment, nexus-mint.toml; see docs/OPERATIONS.md)"))
            }
        });
        command
            .arg(
                Arg::new("dev_keys")
                    .long("dev-keys")
                    .global(true)
                    .action(clap::ArgAction::SetTrue)
                    .help("Use Supabase's well-known local keys; for a loopback address only")
                    .help_heading("Settings (flag, environment, nexus-mint.toml; see docs/OPERATIONS.md)"),
            )
            .arg(
                Arg::new("demo")
                    .long("demo")
                    .global(true)
                    .action(clap::ArgAction::SetTrue)
                    .help("Work with what `nexus-mint demo` left, in its own folder inside the data folder")
                    .help_heading("Settings (flag, environment, nexus-mint.toml; see docs/OPERATIONS.md)"),
            )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Flags::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let mut flags = Flags {
            dev_keys: matches.get_flag("dev_keys"),
            demo: matches.get_flag("demo"),
            ..Flags::default()
        };
        for spec in SETTINGS.iter().filter(|spec| spec.flag.is_some()) {
            if let Some(text) = matches.get_one::<String>(spec.key) {
                flags.values.insert(spec.key, text.clone());
            }
        }
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_are_flags_before_and_after_the_command() {
        let cli = Cli::try_parse_from(["nexus-mint", "--listen", "1", "serve", "--data-dir", "/x"]).unwrap();
        assert_eq!(cli.flags.values["listen"], "1");
        assert_eq!(cli.flags.values["data_dir"], "/x");
        assert!(
            Cli::try_parse_from(["nexus-mint", "serve", "--jwt-secret", "x"]).is_err(),
            "a secret has no flag"
        );
    }
}
