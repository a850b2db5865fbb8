//! `nexus-mint call`, `custody`, `sandbox` and `jobs`: the functions and the rails from the command line.

use std::{
    io::{self, Read as _},
    path::PathBuf,
    process::ExitCode,
};

use chrono::NaiveDate;
use clap::Subcommand;
use mint_core::money::Amount;
use uuid::Uuid;

use super::{answer, user};
use crate::{
    app::{App, system_clock},
    auth::{email::Email, session::Ttl},
    command::Command as Running,
    config::Config,
    db::{Actor, Db},
    functions::{self, BUILT, UPLOADS},
    jobs::clock::{self, Pace},
    offerings::record::currency,
    payments::{custody, sandbox},
    problem::{AnyError, Problem},
};

/// Who acts when the operator of the machine does.
const OPERATOR: Actor = Actor::Program("operator");

#[derive(Debug, Subcommand)]
pub(super) enum CustodyCommand {
    /// Import a statement of a property's account (CSV: kind,date,amount,reference) and compare it with the ledger; exit with 1
    /// when anything differs
    Import {
        /// The file
        file: PathBuf,
        /// The property whose account it is
        #[arg(long)]
        property: Uuid,
        /// Who keeps the money
        #[arg(long)]
        custodian: String,
        /// The custodian's name of the account
        #[arg(long)]
        account: String,
        /// The account's currency
        #[arg(long, default_value = "USD")]
        currency: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SandboxCommand {
    /// Print the sandbox custodian's statement of a property's account
    Statement {
        /// The property
        #[arg(long)]
        property: Uuid,
        /// First day
        #[arg(long)]
        from: NaiveDate,
        /// Last day
        #[arg(long)]
        to: NaiveDate,
        /// The account's currency
        #[arg(long, default_value = "USD")]
        currency: String,
    },
    /// Pay at the sandbox without a checkout session, to a property's account, and print the payment's name
    Pay {
        /// The property
        #[arg(long)]
        property: Uuid,
        /// How much, such as 102.00
        #[arg(long)]
        amount: String,
        /// In which currency
        #[arg(long, default_value = "USD")]
        currency: String,
    },
    /// Let the provider pay a payment out to the custodian
    Settle {
        /// The payment, as the provider calls it
        payment: String,
    },
    /// Let the payer take a payment back
    ChargeBack {
        /// The payment, as the provider calls it
        payment: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// Say whether deadlines, closings and payouts run
    Status,
    /// Let them go on after the clock had jumped and somebody has looked
    Resume,
}

pub(super) fn app(config: &Config, db: &Db) -> Result<App, AnyError> {
    Ok(App::new(
        config.clone(),
        db.clone(),
        config.settings.listen,
        system_clock(),
    )?)
}

/// Runs a function as a person, with everything that the person may do and no more, and prints the answer.
pub(super) async fn call(
    config: &Config,
    db: &Db,
    name: &str,
    email: &Email,
    body: Option<String>,
    key: Option<&str>,
    file: Option<PathBuf>,
) -> Result<ExitCode, AnyError> {
    let known = if file.is_some() { UPLOADS } else { BUILT };
    let name = known
        .iter()
        .find(|known| **known == name)
        .ok_or_else(|| format!("there is no function {name:?} here; there are {}", known.join(", ")))?;
    let body = match body.as_deref() {
        Some("-") => {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text)?;
            text
        }
        Some(text) => text.to_owned(),
        None => "{}".to_owned(),
    };
    let app = app(config, db)?;
    let token = user::token(config, db, email, Ttl::default()).await?;
    let caller = app.keys.verify(&token, app.now())?;
    let outcome = match file {
        None => functions::run(&app, name, &caller, key, body.as_bytes()).await,
        Some(path) => {
            let bytes = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            functions::uploads::run(&app, name, &caller, key, serde_json::from_str(&body)?, bytes).await
        }
    };
    match outcome {
        Ok(value) => {
            answer(&serde_json::to_string_pretty(&value)?)?;
            Ok(ExitCode::SUCCESS)
        }
        // Complete, so that whoever asked can act on it.
        Err(problem @ Problem::Refused(_)) => {
            answer(&serde_json::to_string_pretty(&problem.body())?)?;
            Ok(ExitCode::FAILURE)
        }
        Err(problem) => Err(problem.into()),
    }
}

pub(super) async fn custody(config: &Config, db: &Db, command: CustodyCommand) -> Result<ExitCode, AnyError> {
    let CustodyCommand::Import {
        file,
        property,
        custodian,
        account,
        currency,
    } = command;
    let csv = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let running = Running::begin(&app(config, db)?, OPERATOR).await?;
    let statement = custody::ImportStatement {
        property_id: property,
        custodian,
        account_ref: account,
        currency,
        csv,
    };
    let imported = custody::import_for(&running, None, statement).await?;
    running.commit().await?;
    answer(&format!(
        "{} lines; the custodian has {}, the ledger {}",
        imported.lines, imported.closing_balance, imported.ledger_balance
    ))?;
    imported.differences.iter().try_for_each(|line| answer(line))?;
    Ok(if imported.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) async fn sandbox(config: &Config, db: &Db, command: SandboxCommand) -> Result<ExitCode, AnyError> {
    let app = app(config, db)?;
    match command {
        SandboxCommand::Statement {
            property,
            from,
            to,
            currency,
        } => {
            let text = sandbox::statement::statement(&app, property, &currency, from, to).await?;
            answer(text.trim_end())?;
        }
        SandboxCommand::Pay {
            property,
            amount,
            currency: code,
        } => {
            let running = Running::begin(&app, OPERATOR).await?;
            let text = crate::db::sql!("select decimals from public.currencies where code = $1");
            let row = running.tx.query_opt(text, &[&code]).await?;
            let row = row.ok_or_else(|| format!("nobody here knows the currency {code}"))?;
            let decimals = currency(&code, row.try_get(0)?)?.decimals();
            running.commit().await?;
            let payment = sandbox::Payment {
                session: None,
                property_id: property,
                amount: Amount::parse(&amount, decimals)?,
                currency: code,
                refund_outcome: "succeed",
                settles_now: true,
            };
            answer(&sandbox::pay(&app, &payment).await?)?;
        }
        SandboxCommand::Settle { payment } => sandbox::settle(&app, &payment).await?,
        SandboxCommand::ChargeBack { payment } => sandbox::charge_back(&app, &payment).await?,
    }
    sandbox::deliver(&app).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn jobs(config: &Config, db: &Db, command: &JobsCommand) -> Result<ExitCode, AnyError> {
    let running = Running::begin(&app(config, db)?, OPERATOR).await?;
    if matches!(command, JobsCommand::Resume) {
        clock::resume(&running).await?;
    }
    let pace = clock::pace(&running).await?;
    running.commit().await?;
    match pace {
        Pace::Running => answer("deadlines, closings and payouts run while the server does")?,
        Pace::Paused(since, reason) => answer(&format!("paused since {since}: {reason}"))?,
    }
    Ok(ExitCode::SUCCESS)
}
