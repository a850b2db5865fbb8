//! `nexus-mint doctor`: what was found, what is wrong, and what mends it. Changes nothing.
//!
//! A check says `ok`, `warning` (it works, and something better is to be had) or `failed` (it does not work). A remedy
//! is something to paste: a SQL statement or a command.

mod database;

use std::{fmt::Write as _, fs, os::unix::fs::MetadataExt as _, path::Path};

pub use database::examine as examine_database;
use serde_json::json;

use crate::{
    config::{
        Settings,
        secrets_file::{self, SecretsError},
    },
    postgres::{self, ClusterOptions, find_binaries},
    problem::chain,
};

/// HMAC with a key shorter than its hash is weaker than the hash.
const JWT_SECRET_BYTES_MIN: usize = 32;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works; something better is to be had.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What mends it: SQL or a command.
    pub remedy: Option<String>,
}

/// Everything that was looked at, in order.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Adds a check that is as it should be.
    pub fn ok(&mut self, name: impl Into<String>, found: impl Into<String>) {
        self.add(Outcome::Ok, name, found, None);
    }

    /// Adds a check that could be better.
    pub fn warning(&mut self, name: impl Into<String>, found: impl Into<String>, remedy: Option<String>) {
        self.add(Outcome::Warning, name, found, remedy);
    }

    /// Adds a check that failed.
    pub fn failed(&mut self, name: impl Into<String>, found: impl Into<String>, remedy: Option<String>) {
        self.add(Outcome::Failed, name, found, remedy);
    }

    /// Whether something does not work.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.outcome == Outcome::Failed)
    }

    /// For people: a line a check, its remedy below it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let label = check.outcome.label();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label:<8} {}: {}", check.name, check.found);
            for line in check.remedy.iter().flat_map(|remedy| remedy.lines()) {
                let _ = writeln!(text, "         > {line}");
            }
        }
        let count = |outcome| self.checks.iter().filter(|check| check.outcome == outcome).count();
        let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
        let _ = write!(text, "{} ok, {warnings} warnings, {failed} failed", count(Outcome::Ok));
        text
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> String {
        let check = |check: &Check| {
            json!({
                "name": check.name, "outcome": check.outcome.label(), "found": check.found, "remedy": check.remedy,
            })
        };
        json!({ "ok": !self.has_failed(), "checks": self.checks.iter().map(check).collect::<Vec<_>>() }).to_string()
    }

    fn add(&mut self, outcome: Outcome, name: impl Into<String>, found: impl Into<String>, remedy: Option<String>) {
        self.checks.push(Check {
            name: name.into(),
            outcome,
            found: found.into(),
            remedy,
        });
    }
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "failed",
        }
    }
}

/// Looks at everything that needs no database: settings, data folder, secrets, PostgreSQL's programs.
#[must_use]
pub fn examine_machine(settings: &Settings) -> Report {
    let mut report = Report::default();
    for setting in &settings.in_force {
        report.ok(
            format!("setting {}", setting.spec.key),
            format!("{} ({})", setting.shown, setting.from),
        );
    }
    if settings.dev_keys {
        report.warning("keys", "--dev-keys: everybody knows these keys", None);
    }
    folder(&mut report, &settings.data_dir);
    secrets(&mut report, settings);
    if settings.database_url.is_none() {
        binaries(&mut report, settings);
    }
    report
}

/// Whether a private cluster was ever made here. Where not, there is nothing to look at, and making one is not the
/// doctor's business.
#[must_use]
pub fn has_cluster(settings: &Settings) -> bool {
    postgres::has_cluster(&settings.data_dir)
}

fn folder(report: &mut Report, path: &Path) {
    let name = "data folder";
    match fs::metadata(path) {
        Ok(found) => {
            let (mode, owner) = (found.mode() & 0o777, found.uid());
            let text = format!("{} (owner {owner}, mode {mode:o})", path.display());
            if mode & 0o022 == 0 {
                report.ok(name, text);
            } else {
                let remedy = format!("chmod go-w {}", path.display());
                report.failed(name, format!("{text}: others may put files there"), Some(remedy));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.ok(
                name,
                format!("{} is not there yet; `nexus-mint serve` makes it", path.display()),
            );
        }
        Err(error) => report.failed(name, format!("{}: {error}", path.display()), None),
    }
}

fn secrets(report: &mut Report, settings: &Settings) {
    let name = "secrets";
    let path = settings.data_dir.join(secrets_file::FILE_NAME);
    let mut jwt_secret = settings.jwt_secret.clone();
    match fs::metadata(&path) {
        Ok(found) if found.mode() & 0o077 != 0 => {
            let text = format!(
                "{} may be read by others (mode {:o})",
                path.display(),
                found.mode() & 0o777
            );
            report.failed(name, text, Some(format!("chmod 600 {}", path.display())));
        }
        Ok(_) => match secrets_file::read_jwt_secret(&path) {
            Ok(made) => {
                report.ok(name, format!("{} (mode 600)", path.display()));
                jwt_secret = jwt_secret.or(Some(made));
            }
            Err(error) => report.failed(name, chain(&error), None),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if has_cluster(settings) {
                report.failed(name, chain(&SecretsError::Lost(path)), None);
            } else {
                report.ok(name, "not made yet; the first start makes them");
            }
        }
        Err(error) => report.failed(name, format!("{}: {error}", path.display()), None),
    }
    let Some(secret) = jwt_secret.filter(|_| !settings.dev_keys) else {
        return;
    };
    let length = secret.expose().len();
    if length >= JWT_SECRET_BYTES_MIN {
        report.ok("JWT secret", format!("{length} characters"));
    } else {
        let text = format!("{length} characters, and {JWT_SECRET_BYTES_MIN} are needed");
        report.failed("JWT secret", text, Some("openssl rand -base64 48".to_owned()));
    }
}

fn binaries(report: &mut Report, settings: &Settings) {
    let mut options = ClusterOptions::new(&settings.data_dir, "");
    options.pg_bin.clone_from(&settings.pg_bin);
    match find_binaries(&options) {
        Ok(found) => report.ok("PostgreSQL programs", found.to_string()),
        Err(error) => report.failed("PostgreSQL programs", chain(&error), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, Settings, tests::scratch_folder};

    #[test]
    fn a_fresh_machine_has_nothing_wrong_and_stays_fresh() {
        let folder = scratch_folder("doctor-fresh").join("absent");
        let environment = Environment::of([("NEXUS_MINT_DATA_DIR", folder.to_str().unwrap())]);
        let settings = Settings::load(&Flags::default(), &environment).unwrap();
        let report = examine_machine(&settings);
        assert!(!folder.exists() && !has_cluster(&settings));
        assert!(report.to_text().contains("is not there yet"), "{}", report.to_text());
    }

    #[test]
    fn secrets_that_are_gone_are_missed_beside_their_database() {
        let folder = scratch_folder("doctor-lost");
        fs::create_dir_all(folder.join("postgres").join("data")).unwrap();
        let environment = Environment::of([("NEXUS_MINT_DATA_DIR", folder.to_str().unwrap())]);
        let settings = Settings::load(&Flags::default(), &environment).unwrap();
        let report = examine_machine(&settings);
        assert!(report.has_failed(), "{}", report.to_text());
        assert!(
            report.to_text().contains("secrets.toml is missing"),
            "{}",
            report.to_text()
        );
    }

    #[test]
    fn what_is_wrong_comes_with_its_remedy() {
        let mut report = Report::default();
        report.ok("a", "fine");
        report.warning("b", "meh", None);
        report.failed("c", "bad", Some("grant x;\ngrant y;".to_owned()));
        assert!(report.has_failed());
        let text = report.to_text();
        assert!(
            text.contains("failed   c: bad\n         > grant x;\n         > grant y;\n"),
            "{text}"
        );
        assert!(text.ends_with("1 ok, 1 warnings, 1 failed"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(
            (&json["ok"], &json["checks"][2]["outcome"]),
            (&json!(false), &json!("failed"))
        );
    }
}
