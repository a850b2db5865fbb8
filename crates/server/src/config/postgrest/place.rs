//! Where the engine alone listens.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::PathBuf,
};

use super::super::{ConfigError, Environment};
use super::wrong;

/// An address, or a socket in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket, and who may use it.
    Unix {
        /// Where it is.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// What clients come to.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A socket, which is taken away in the end.
    Unix(UnixListener, PathBuf),
}

impl Place {
    pub(super) fn of(environment: &Environment) -> Result<Place, ConfigError> {
        match environment.get("PGRST_SERVER_UNIX_SOCKET") {
            Some(path) => Ok(Place::Unix {
                path: path.into(),
                mode: mode(environment.get("PGRST_SERVER_UNIX_SOCKET_MODE").unwrap_or("660"))?,
            }),
            None => {
                let host = environment.get("PGRST_SERVER_HOST").unwrap_or("!4");
                address(host, environment.get("PGRST_SERVER_PORT").unwrap_or("3000")).map(Place::Tcp)
            }
        }
    }

    /// Listens there. A socket that another process left behind is replaced.
    ///
    /// # Errors
    /// The operating system's.
    pub fn bind(&self) -> io::Result<Listener> {
        match self {
            Place::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Listener::Tcp(listener))
            }
            Place::Unix { path, mode } => {
                if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
                listener.set_nonblocking(true)?;
                Ok(Listener::Unix(listener, path.clone()))
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

fn mode(text: &str) -> Result<u32, ConfigError> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0o600..=0o777) => Ok(mode),
        Ok(_) => Err(wrong(
            "Invalid server-unix-socket-mode: needs to be between 600 and 777",
        )),
        Err(_) => Err(wrong("Invalid server-unix-socket-mode: not an octal")),
    }
}

/// Where those are answered who watch the server, if they are.
pub(super) fn admin(environment: &Environment) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(port) = environment.get("PGRST_ADMIN_SERVER_PORT") else {
        return Ok(None);
    };
    if port == environment.get("PGRST_SERVER_PORT").unwrap_or("3000") {
        return Err(wrong("admin-server-port cannot be the same as server-port"));
    }
    let hosts = ["PGRST_ADMIN_SERVER_HOST", "PGRST_SERVER_HOST"];
    let host = hosts.iter().find_map(|name| environment.get(name)).unwrap_or("!4");
    address(host, port).map(Some)
}

fn address(host: &str, port: &str) -> Result<SocketAddr, ConfigError> {
    let host = match host {
        "!4" | "*4" | "*" => "0.0.0.0",
        "!6" | "*6" => "::",
        host => host,
    };
    let port: u16 = port
        .parse()
        .map_err(|_| wrong("expected a port such as 3000 for a server"))?;
    let expected = || wrong("expected a host or an address for a server");
    let mut found = (host, port).to_socket_addrs().map_err(|_| expected())?;
    found.next().ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_made_and_replaced_with_its_permissions() {
        let path = std::env::temp_dir().join(format!("nexus-mint-{}.sock", std::process::id()));
        let path = path.to_str().unwrap();
        let place = |mode| {
            let environment = Environment::of([
                ("PGRST_SERVER_UNIX_SOCKET", path),
                ("PGRST_SERVER_UNIX_SOCKET_MODE", mode),
            ]);
            Place::of(&environment)
        };
        for _ in 0..2 {
            place("640").unwrap().bind().unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
        }
        fs::remove_file(path).unwrap();
        fs::write(path, "a file of somebody's").unwrap();
        assert!(place("640").unwrap().bind().is_err(), "what is no socket is left alone");
        fs::remove_file(path).unwrap();
        for wrong in ["577", "1000", "8", "rw"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
