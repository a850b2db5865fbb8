//! `nexus-mint audit`: seal, export the head, verify, erase.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Subcommand;
use serde_json::Value;

use super::answer;
use crate::{
    audit::{
        Head, Progress, SealKey, Sealer, Trusted,
        chain::{Hash, unhex},
        erase,
        seal::{OtherKey, newest_head},
        verify,
    },
    auth::{
        email::{CredentialError, Email},
        users,
    },
    config::Config,
    db::{Actor, Db},
    problem::AnyError,
};

/// Who erases here: nobody who logs in.
const OPERATOR: Actor = Actor::Program("operator");

/// How long `audit seal` waits for transactions that still run, or for another sealer.
const SEAL_PATIENCE: Duration = Duration::from_secs(10);

/// How soon to ask again whether the other sealer is done.
const BUSY_TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Seal what is decided now, and print the head
    Seal {
        /// Go on with this server's key where the newest seal was signed by another
        #[arg(long)]
        new_key: bool,
    },
    /// Print the head as one line of JSON, to be kept where nobody who can change the database can change it
    Head,
    /// Recompute the chain and name every row that is not as it was sealed; exit with 1 if there is any
    Verify {
        /// A head, or a file of heads, one a line, that were printed before
        #[arg(long, value_name = "FILE_OR_JSON")]
        against: Option<String>,
        /// A further public key whose seals are believed, in hexadecimal; may be repeated
        #[arg(long, value_parser = parse_key)]
        key: Vec<Hash>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Erase what the audit trail says about somebody; the trail and the chain stay
    Erase {
        /// Whose profile, payment methods and identity cases
        #[arg(long, value_parser = parse_email, required_unless_present = "row")]
        login: Option<Email>,
        /// Of which audit row, by its id; may be repeated
        #[arg(long, conflicts_with = "login")]
        row: Vec<i64>,
        /// The request or the law; it is kept for ever, so name nobody
        #[arg(long)]
        reason: String,
    },
}

fn parse_email(text: &str) -> Result<Email, CredentialError> {
    Email::parse(text)
}

fn parse_key(text: &str) -> Result<Hash, String> {
    unhex(text).ok_or_else(|| "a public key is 64 hexadecimal digits".to_owned())
}

pub(super) async fn run(command: AuditCommand, config: &Config, db: &Db) -> Result<ExitCode, AnyError> {
    let key = SealKey::parse(&config.seal_key)?;
    match command {
        AuditCommand::Seal { new_key } => {
            let mut sealer = Sealer::new(key, SEAL_PATIENCE);
            if new_key {
                sealer.other_key = OtherKey::Replace;
            }
            seal(db, &sealer).await?;
            print_head(db).await
        }
        AuditCommand::Head => print_head(db).await,
        AuditCommand::Verify {
            against,
            key: keys,
            json,
        } => {
            let heads = against.as_deref().map(heads).transpose()?.unwrap_or_default();
            let keys = keys.into_iter().chain([key.public()]).collect();
            verify_and_print(db, &Trusted { keys, heads }, if json { Form::Json } else { Form::Text }).await
        }
        AuditCommand::Erase { login, row, reason } => {
            let count = erase(db, login.as_ref(), row, &reason).await?;
            answer(&format!("erased the details of {count} audit rows"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Seals until nothing is left, or until what is left is not decided in time: then it says so.
async fn seal(db: &Db, sealer: &Sealer) -> Result<(), AnyError> {
    let begin = Instant::now();
    loop {
        match sealer.step(db).await? {
            Progress::Sealed(_) => {}
            Progress::Nothing => return Ok(()),
            Progress::Waiting => {
                tracing::warn!("transactions still run that may write rows: what is behind them is not sealed yet");
                return Ok(());
            }
            Progress::Busy if begin.elapsed() < SEAL_PATIENCE => tokio::time::sleep(BUSY_TICK).await,
            Progress::Busy => {
                tracing::warn!("another sealer is at work; what it has not sealed yet is not sealed");
                return Ok(());
            }
        }
    }
}

async fn print_head(db: &Db) -> Result<ExitCode, AnyError> {
    let head = newest_head(db).await?.ok_or("nothing is sealed yet")?;
    answer(&head.to_json().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// One head as JSON, or a file with one on each line.
fn heads(file_or_json: &str) -> Result<Vec<Head>, AnyError> {
    if file_or_json.trim_start().starts_with('{') {
        return Ok(vec![Head::parse(file_or_json)?]);
    }
    let file = File::open(file_or_json).map_err(|error| format!("cannot read {file_or_json}: {error}"))?;
    let mut heads = Vec::new();
    for (line, text) in (1..).zip(BufReader::new(file).lines()) {
        let text = text.map_err(|error| format!("cannot read {file_or_json}: {error}"))?;
        if !text.trim().is_empty() {
            heads.push(Head::parse(&text).map_err(|error| format!("{file_or_json}, line {line}: {error}"))?);
        }
    }
    if heads.is_empty() {
        return Err(format!("{file_or_json} has no head in it").into());
    }
    Ok(heads)
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

async fn verify_and_print(db: &Db, trusted: &Trusted, form: Form) -> Result<ExitCode, AnyError> {
    let print = |text: String, json: Value| {
        answer(&match form {
            Form::Text => text,
            Form::Json => json.to_string(),
        })
    };
    let mut printed: io::Result<()> = Ok(());
    let summary = verify(db, trusted, &mut |finding| {
        if printed.is_ok() {
            printed = print(finding.to_string(), finding.to_json());
        }
    })
    .await?;
    printed?;
    print(summary.to_text(), summary.to_json())?;
    Ok(if summary.problems == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn erase(db: &Db, login: Option<&Email>, rows: Vec<i64>, reason: &str) -> Result<i64, AnyError> {
    let user_id = match login {
        None => None,
        Some(email) => {
            let tx = db.as_auth().await?;
            let id = users::id_of(&tx, email).await?;
            tx.commit().await?;
            Some(id)
        }
    };
    let tx = db.as_engine(OPERATOR).await?;
    let rows = match user_id {
        Some(id) => erase::about_login(&tx, id).await?,
        None => rows,
    };
    let count = erase::details(&tx, &rows, reason).await?;
    tx.commit().await?;
    Ok(count)
}
