//! `nexus-mint user`: what an operator does about people.

use std::{
    io::{self, BufRead as _},
    process::ExitCode,
};

use clap::Subcommand;
use mint_core::role::Role;
use uuid::Uuid;

use super::answer;
use crate::{
    app::system_clock,
    auth::{
        email::{CredentialError, Email, Password},
        keys::Keys,
        mail,
        session::{self, Ttl},
        users::{self, NewUser, UserError},
    },
    config::Config,
    db::{Actor, Db},
    problem::AnyError,
};

/// Who gives and takes roles here: nobody who logs in.
const OPERATOR: Actor = Actor::Program("operator");

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a person whose address counts as confirmed, and print their id
    Create {
        /// The address to log in with
        #[arg(long, value_parser = parse_email)]
        email: Email,
        /// The password; others on this machine can see it while the command runs
        #[arg(long, required_unless_present = "password_stdin")]
        password: Option<String>,
        /// Read the password from the first line of stdin
        #[arg(long, conflicts_with = "password")]
        password_stdin: bool,
        /// A role in the company; may be repeated
        #[arg(long)]
        role: Vec<Role>,
        /// The name to show
        #[arg(long)]
        name: Option<String>,
    },
    /// Give a person a role
    Grant {
        /// The person's address
        #[arg(value_parser = parse_email)]
        email: Email,
        /// admin, compliance_officer, property_manager or investor
        role: Role,
    },
    /// Take a role from a person, at once
    Revoke {
        /// The person's address
        #[arg(value_parser = parse_email)]
        email: Email,
        /// admin, compliance_officer, property_manager or investor
        role: Role,
    },
    /// Open a session for a person and print its access token
    Token {
        /// The person's address
        #[arg(value_parser = parse_email)]
        email: Email,
        /// How long it holds: 90s, 15m, 12h, at most 30d [default: 1h]
        #[arg(long)]
        ttl: Option<Ttl>,
    },
    /// Print the newest mail that waits for an address: it may sign in
    Mail {
        /// The address
        #[arg(value_parser = parse_email)]
        email: Email,
    },
    /// Print everybody: id, address, roles
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn parse_email(text: &str) -> Result<Email, CredentialError> {
    Email::parse(text)
}

pub(super) async fn run(command: UserCommand, config: &Config, db: &Db) -> Result<ExitCode, AnyError> {
    match command {
        UserCommand::Create {
            email,
            password,
            password_stdin: _,
            role,
            name,
        } => {
            let password = Password::parse(&password.map_or_else(first_line, Ok)?)?;
            let id = create(db, email, &password, name, &role).await?;
            answer(&id.to_string())?;
        }
        UserCommand::Grant { email, role } => change_role(db, &email, role, Change::Grant).await?,
        UserCommand::Revoke { email, role } => change_role(db, &email, role, Change::Revoke).await?,
        UserCommand::Token { email, ttl } => answer(&token(config, db, &email, ttl.unwrap_or_default()).await?)?,
        UserCommand::Mail { email } => show_mail(db, &email).await?,
        UserCommand::List { json } => list(db, if json { Form::Json } else { Form::Text }).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn first_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn create(
    db: &Db,
    email: Email,
    password: &Password,
    name: Option<String>,
    roles: &[Role],
) -> Result<Uuid, AnyError> {
    let password_hash = password
        .hashed()
        .map_err(|error| format!("cannot hash the password: {error}"))?;
    let id = Uuid::new_v4();
    let tx = db.as_auth().await?;
    users::create(
        &tx,
        &NewUser {
            id,
            email,
            password_hash,
            name,
        },
        system_clock()(),
    )
    .await?;
    tx.commit().await?;
    let tx = db.as_engine(OPERATOR).await?;
    for role in roles {
        users::grant(&tx, id, *role).await?;
    }
    tx.commit().await?;
    Ok(id)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Grant,
    Revoke,
}

async fn change_role(db: &Db, email: &Email, role: Role, change: Change) -> Result<(), AnyError> {
    let id = find(db, email).await?;
    let tx = db.as_engine(OPERATOR).await?;
    match change {
        Change::Grant => users::grant(&tx, id, role).await?,
        Change::Revoke => {
            if !users::revoke(&tx, id, role).await? {
                return Err(format!("{} does not have the role {role}", email.as_str()).into());
            }
        }
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn token(config: &Config, db: &Db, email: &Email, ttl: Ttl) -> Result<String, AnyError> {
    let now = system_clock()();
    let id = find(db, email).await?;
    let tx = db.as_service(OPERATOR).await?;
    let role = session::api_role(&users::roles_of(&tx, id).await?);
    tx.commit().await?;
    let tx = db.as_auth().await?;
    let user = users::find(&tx, id)
        .await?
        .ok_or_else(|| UserError::NotFound(email.as_str().to_owned()))?;
    if user.is_banned(now) {
        return Err(format!("{} is locked out", email.as_str()).into());
    }
    let session = session::open(&tx, id, now).await?;
    tx.commit().await?;
    let issuer = config.settings.public_url(config.settings.listen);
    Ok(Keys::of(config, now)?.sign(&session::claims(&user, session, role, &issuer, now, ttl))?)
}

async fn show_mail(db: &Db, email: &Email) -> Result<(), AnyError> {
    let tx = db.as_auth().await?;
    let found = mail::waiting(&tx, Some(email.as_str()), 1).await?;
    tx.commit().await?;
    let mail = found.first().ok_or("no mail waits for this address")?;
    answer(&format!("{}\n\n{}", mail.subject, mail.text))?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

async fn list(db: &Db, form: Form) -> Result<(), AnyError> {
    let tx = db.as_auth().await?;
    let people = users::all(&tx).await?;
    tx.commit().await?;
    let tx = db.as_service(OPERATOR).await?;
    for person in people {
        let roles: Vec<&str> = users::roles_of(&tx, person.id)
            .await?
            .into_iter()
            .map(Role::name)
            .collect();
        answer(&match form {
            Form::Text => format!("{}\t{}\t{}", person.id, person.email, roles.join(",")),
            Form::Json => serde_json::json!({
                "id": person.id, "email": person.email, "roles": roles, "created_at": person.created_at,
            })
            .to_string(),
        })?;
    }
    tx.commit().await?;
    Ok(())
}

async fn find(db: &Db, email: &Email) -> Result<Uuid, AnyError> {
    let tx = db.as_auth().await?;
    let id = users::id_of(&tx, email).await?;
    tx.commit().await?;
    Ok(id)
}
