//! The real binary, run as a user runs it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tokio_postgres::config::Host;

/// Longer than anything takes on a machine that does other things as well; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The program with settings of its own: a data folder that is gone after the test, and no environment of ours.
pub(crate) struct Program {
    data_dir: PathBuf,
    database_url: Option<String>,
}

impl Program {
    /// With a private cluster.
    pub(crate) fn embedded() -> Program {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let parent = if Path::new("/dev/shm").is_dir() {
            PathBuf::from("/dev/shm")
        } else {
            std::env::temp_dir()
        };
        let data_dir = parent.join(format!("nexus-mint-program-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&data_dir);
        fs::create_dir(&data_dir).unwrap();
        fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o755)).unwrap();
        Program {
            data_dir,
            database_url: None,
        }
    }

    /// With the server that a driver configuration leads to.
    pub(crate) fn with(config: &tokio_postgres::Config) -> Program {
        let mut program = Program::embedded();
        program.database_url = Some(url_of(config));
        program
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-mint"));
        command.args(arguments).env_clear().stdin(Stdio::null());
        command
            .env("PATH", "/usr/bin:/bin")
            .env("NEXUS_MINT_DATA_DIR", &self.data_dir);
        if let Some(url) = &self.database_url {
            command.env("DATABASE_URL", url);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed, and returns what it answered.
    pub(crate) fn answer(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// Runs a command and gives it a text to read.
    pub(crate) fn run_with_stdin(&self, arguments: &[&str], stdin: &str) -> Outcome {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Outcome::of(child.wait_with_output().unwrap())
    }

    /// Starts the server on a free port and waits until it says that it is ready.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = lines_of(child.stderr.take().unwrap());
        let mut server = Server {
            child,
            log,
            url: String::new(),
            ready_line: String::new(),
        };
        server.ready_line = server.wait_for_line(" ready at ");
        let rest = server.ready_line.split(" ready at ").nth(1).unwrap();
        server.url = rest.split_whitespace().next().unwrap().to_owned();
        server
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.data_dir);
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    fn of(output: Output) -> Outcome {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Receiver<String>,
    pub(crate) url: String,
    pub(crate) ready_line: String,
}

impl Server {
    pub(crate) fn wait_for_line(&self, part: &str) -> String {
        let begin = Instant::now();
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the log never said {part:?}, but:\n{}", seen.join("\n"))
                }
            }
        }
    }

    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(&self.url, path, &[])
    }

    /// Asks until the status is the wanted one.
    pub(crate) fn get_until(&self, path: &str, status: u16) -> String {
        let begin = Instant::now();
        loop {
            let (found, body) = self.get(path);
            if found == status {
                return body;
            }
            assert!(begin.elapsed() < PATIENCE, "{path} stays {found}: {body}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: sends a signal to a child that was not waited for, so its id is still its own.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::kill(libc::pid_t::try_from(self.child.id()).unwrap(), signal) };
        assert_eq!(sent, 0);
    }

    /// Waits for the end and returns the exit code, if it was not a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GET as HTTP/1.0 says it, without a client library: the server closes after its answer.
pub(crate) fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    use std::io::Read as _;
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The lines of a stream, read by a thread so that its writer never waits for us.
fn lines_of(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody listens once the ready line was seen, and the pipe must be emptied all the same.
            let _ = send.send(line);
        }
    });
    receive
}

/// The driver's configuration as a DATABASE_URL.
pub(crate) fn url_of(config: &tokio_postgres::Config) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let Some(Host::Unix(folder)) = config.get_hosts().first() else {
        panic!("the tests' cluster has a socket")
    };
    let password = String::from_utf8(config.get_password().unwrap().to_vec()).unwrap();
    format!(
        "postgres://{}:{}@/{}?host={}&port={}",
        encoded(config.get_user().unwrap()),
        encoded(&password),
        encoded(config.get_dbname().unwrap()),
        encoded(folder.to_str().unwrap()),
        config.get_ports()[0],
    )
}
