//! Who PostgreSQL runs as: it refuses root, so as root another user is found; otherwise it is whoever runs us.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::error::ClusterError;
use super::os;

/// The user that runs `initdb` and `postgres` and owns their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// `None`: the user who runs us.
    other: Option<os::Passwd>,
}

/// Tried in this order, as root, when there is no data yet.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

impl Account {
    /// As root: the owner of existing data, else `postgres`, else `nobody`. Otherwise the user who runs us.
    pub(super) fn of_data(data: &Path) -> Result<Account, ClusterError> {
        if !os::is_root() {
            return Ok(Account { other: None });
        }
        let owner = fs::metadata(data).map(|data| data.uid()).unwrap_or(0);
        let lookup = ClusterError::file("look up the owner of", data);
        if owner != 0 {
            let user = os::user_of_id(owner).map_err(lookup)?;
            let user = user.ok_or_else(|| ClusterError::UnknownOwner {
                path: data.to_path_buf(),
                uid: owner,
            })?;
            return Ok(Account { other: Some(user) });
        }
        let known = UNPRIVILEGED.iter().find_map(|name| os::user_named(name).ok().flatten());
        Ok(Account {
            other: Some(known.ok_or(ClusterError::NoUser)?),
        })
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        self.other.as_ref().map_or("who runs nexus-mint", |user| &user.name)
    }

    /// Whether it is another user than the one who runs us.
    pub(super) fn is_other(&self) -> bool {
        self.other.is_some()
    }

    /// Gives a file or folder of ours to the account.
    pub(super) fn give(&self, path: &Path) -> Result<(), ClusterError> {
        match &self.other {
            Some(user) => {
                chown(path, Some(user.uid), Some(user.gid)).map_err(ClusterError::file("change the owner of", path))
            }
            None => Ok(()),
        }
    }

    /// A command that runs as the account, in a group of its own, and that knows nothing of our environment.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // A terminal's Ctrl-C goes to its foreground group: the cluster must outlive it until we stop it in order. The
        // folder is one that every user may be in; PostgreSQL looks at where it is.
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null());
        if let Some(user) = &self.other {
            // As root the standard library drops the supplementary groups along with the user.
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Runs a short command to its end.
    pub(super) fn output(&self, command: &mut Command) -> Result<Output, ClusterError> {
        command.output().map_err(|source| ClusterError::Run {
            program: command.get_program().into(),
            user: self.name().to_owned(),
            source,
        })
    }

    /// Checks that the account can reach `folder`, and names the first folder above it that is closed.
    pub(super) fn check_traversal(&self, folder: &Path) -> Result<(), ClusterError> {
        if !self.is_other() {
            return Ok(());
        }
        let mut command = self.command("/bin/sh");
        command.args([
            "-c",
            r#"for folder; do test -x "$folder" || { printf %s "$folder"; exit 1; }; done"#,
            "sh",
        ]);
        let mut path: Vec<_> = folder.ancestors().collect();
        path.reverse();
        let output = self.output(command.args(path))?;
        if output.status.success() {
            return Ok(());
        }
        Err(ClusterError::NotTraversable {
            folder: String::from_utf8_lossy(&output.stdout).into_owned().into(),
            user: self.name().to_owned(),
        })
    }
}
