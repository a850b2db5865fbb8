//! `storage`: objects up and down beside nginx serving and taking the same file, what that takes in memory, and lists of a
//! bucket of a million objects beside one of a hundred.
//!
//! nginx runs with `sendfile off` and takes uploads by `PUT`; `nexus-mint serve` runs as a process of its own. In each round
//! the same clients ask one and then the other, and the ratios of each round count, of them the middle.

mod client;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nexus_mint::{attach::Postgres, problem::AnyError};

use crate::{
    cluster,
    measure::{median, number},
    rest::server::{free_port, url_of},
};
use client::{Connection, Tally};

const SECONDS: u64 = 3;
const ROUNDS: u64 = 3;
const OBJECTS: u64 = 1_000_000;

/// Names and sizes (bytes) of what is sent.
const SIZES: [(&str, usize); 3] = [("10 kB", 10_000), ("1 MB", 1_000_000), ("100 MB", 100_000_000)];

/// A process, ended with the measurement.
struct Running {
    process: Child,
    /// What ends it and its own processes, where it has some.
    stop: Option<Command>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement then said.
        let _ = match &mut self.stop {
            Some(stop) => stop.status().map(|_| ()),
            None => self.process.kill(),
        };
        let _ = self.process.wait();
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let time = Duration::from_secs(number(arguments, "--seconds", SECONDS)?);
    let rounds = number(arguments, "--rounds", ROUNDS)?;
    let objects = number(arguments, "--objects", OBJECTS)?;
    cluster::with_cluster(async |postgres, _| {
        let folder = std::env::temp_dir().join(format!("nexus-mint-bench-storage-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        let measured = measure(postgres, &folder, time, rounds, objects).await;
        fs::remove_dir_all(&folder)?;
        measured
    })
}

async fn measure(
    postgres: &Postgres,
    folder: &Path,
    time: Duration,
    rounds: u64,
    objects: u64,
) -> Result<(), AnyError> {
    let (server, key, ours) = serve(postgres, folder)?;
    let (_nginx, theirs) = nginx(folder)?;
    answers(ours).await?;
    answers(theirs).await?;
    let mut client = Connection::open(ours, Some(&key)).await?;
    for name in ["open", "many", "few"] {
        let body = format!(r#"{{"name": "{name}", "public": true}}"#);
        client.ask("POST", "/storage/v1/bucket", body.as_bytes()).await?;
    }
    println!(
        "{:10} {:>8} {:>12} {:>12} {:>7}   up and down with so many connections, MB/s; ratio: nexus-mint / nginx",
        "size", "clients", "nexus-mint", "nginx", "ratio"
    );
    for (name, size) in SIZES {
        let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
        fs::write(folder.join("files").join(name.replace(' ', "")), &content)?;
        let at = format!("/storage/v1/object/open/{}", name.replace(' ', ""));
        client.ask("POST", &at, &content).await?;
        for clients in [1, 8] {
            let (ours_down, theirs_down) = (
                format!("/storage/v1/object/public/open/{}", name.replace(' ', "")),
                format!("/{}", name.replace(' ', "")),
            );
            let down = |address, path: &str| {
                let path = path.to_owned();
                client::rate(address, None, "GET", path, None, clients, time)
            };
            let mut ratios = Ratios::default();
            for _ in 0..rounds {
                ratios.add(down(ours, &ours_down).await?, down(theirs, &theirs_down).await?);
            }
            ratios.tell(&format!("{name} down"), clients);
            let mut ratios = Ratios::default();
            for round in 0..rounds {
                let path = format!("/storage/v1/object/open/up-{round}");
                let ours = client::rate(ours, Some(&key), "PUT", path, Some(content.clone()), clients, time).await?;
                let path = format!("/up-{round}");
                let theirs = client::rate(theirs, None, "PUT", path, Some(content.clone()), clients, time).await?;
                ratios.add(ours, theirs);
            }
            ratios.tell(&format!("{name} up"), clients);
        }
        println!(
            "{name}: the server's memory {} MiB, at most {} MiB so far",
            memory_mib(server.process.id(), "VmRSS")?,
            memory_mib(server.process.id(), "VmHWM")?
        );
    }
    lists(postgres, ours, &key, objects, rounds).await
}

#[derive(Default)]
struct Ratios {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Ratios {
    fn add(&mut self, ours: Tally, theirs: Tally) {
        self.ours.push(ours.megabytes_a_second());
        self.theirs.push(theirs.megabytes_a_second());
    }

    fn tell(self, name: &str, clients: usize) {
        let ratio = median(self.ours.iter().zip(&self.theirs).map(|(a, b)| a / b).collect());
        let (ours, theirs) = (median(self.ours), median(self.theirs));
        println!("{name:12} {clients:>6} {ours:>12.1} {theirs:>12.1} {ratio:>7.2}");
    }
}

/// The first and a far page of a bucket of many objects beside those of a hundred: milliseconds, the middle of many.
async fn lists(postgres: &Postgres, ours: u16, key: &str, objects: u64, rounds: u64) -> Result<(), AnyError> {
    let admin = postgres.admin().connect().await?;
    let text = "insert into storage.objects (bucket_id, name, metadata)
        select $1, 'folder-' || n / 1000 || '/file-' || to_char(n, 'FM0000000') || '.png', '{\"size\": 1, \"mimetype\": \"image/png\"}'
        from generate_series(0, $2::bigint - 1) as n";
    admin.execute(text, &[&"many", &i64::try_from(objects)?]).await?;
    admin.execute(text, &[&"few", &100_i64]).await?;
    admin.batch_execute("vacuum analyze storage.objects").await?;
    let mut client = Connection::open(ours, Some(key)).await?;
    let last = (objects - 1) / 1000;
    let cases = [
        (
            "list, one folder",
            "list",
            r#"{"prefix": "folder-0"}"#.to_owned(),
            r#"{"prefix": "folder-0"}"#.to_owned(),
        ),
        (
            "list-v2, first page",
            "list-v2",
            r#"{"limit": 100}"#.to_owned(),
            r#"{"limit": 100}"#.to_owned(),
        ),
        (
            "list-v2, below a prefix",
            "list-v2",
            format!(r#"{{"limit": 100, "prefix": "folder-{last}/"}}"#),
            r#"{"limit": 100, "prefix": "folder-0/"}"#.to_owned(),
        ),
    ];
    println!(
        "\n{:26} {:>12} {:>12} {:>7}   ms, many objects / a hundred",
        "list of 100 entries", "many", "few", "ratio"
    );
    for (name, version, many, few) in cases {
        let mut ratios = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (bucket, body, times) in [("many", &many, &mut ratios.0), ("few", &few, &mut ratios.1)] {
                let path = format!("/storage/v1/object/{version}/{bucket}");
                let mut took = Vec::new();
                for _ in 0..200 {
                    let begun = Instant::now();
                    client.ask("POST", &path, body.as_bytes()).await?;
                    took.push(begun.elapsed().as_secs_f64() * 1000.0);
                }
                times.push(median(took));
            }
        }
        let ratio = median(ratios.0.iter().zip(&ratios.1).map(|(a, b)| a / b).collect());
        println!(
            "{name:26} {:>12.2} {:>12.2} {ratio:>7.2}",
            median(ratios.0),
            median(ratios.1)
        );
    }
    Ok(())
}

fn serve(postgres: &Postgres, folder: &Path) -> Result<(Running, String, u16), AnyError> {
    let program: PathBuf = std::env::current_exe()?.with_file_name("nexus-mint");
    let port = free_port()?;
    let command = |name: &str| {
        let mut command = Command::new(&program);
        command
            .arg(name)
            .env("DATABASE_URL", url_of(&postgres.runtime()).unwrap_or_default())
            .env("NEXUS_MINT_DATA_DIR", folder.join("home"))
            .env("NEXUS_MINT_LISTEN", format!("127.0.0.1:{port}"))
            .env("NEXUS_MINT_LOG", "error");
        command
    };
    let key = command("key").arg("service").output()?.stdout;
    let process = command("serve").arg("--no-migrate").stdout(Stdio::null()).spawn();
    let process =
        process.map_err(|error| format!("{}: {error}; build it first, with the same profile", program.display()))?;
    Ok((
        Running { process, stop: None },
        String::from_utf8(key)?.trim().to_owned(),
        port,
    ))
}

fn nginx(folder: &Path) -> Result<(Running, u16), AnyError> {
    let (port, files, temporary) = (free_port()?, folder.join("files"), folder.join("temporary"));
    for made in [&files, &temporary] {
        fs::create_dir_all(made)?;
        fs::set_permissions(made, Permissions::from_mode(0o777))?;
    }
    let configuration = format!(
        "daemon off; pid {0}/nginx.pid; error_log {0}/error.log; worker_processes auto; events {{ worker_connections 1024; }}
         http {{ access_log off; sendfile off; client_max_body_size 1g; client_body_temp_path {2}; keepalive_requests 1000000;
           proxy_temp_path {2}; fastcgi_temp_path {2}; uwsgi_temp_path {2}; scgi_temp_path {2};
           server {{ listen 127.0.0.1:{port}; root {1}; location / {{ dav_methods PUT; }} }} }}",
        folder.display(),
        files.display(),
        temporary.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, configuration)?;
    let process = Command::new("nginx").arg("-c").arg(&path).arg("-p").arg(folder).spawn();
    let process = process.map_err(|error| format!("nginx: {error}; install it first (Debian: nginx-light)"))?;
    let mut stop = Command::new("nginx");
    stop.arg("-c").arg(&path).arg("-p").arg(folder).args(["-s", "stop"]);
    let stop = Some(stop);
    Ok((Running { process, stop }, port))
}

async fn answers(port: u16) -> Result<(), AnyError> {
    for _ in 0..600 {
        if let Ok(mut client) = Connection::open(port, None).await
            && client.ask("GET", "/health", b"").await.is_ok()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("nobody answers at port {port}").into())
}

fn memory_mib(process: u32, figure: &str) -> Result<u64, AnyError> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("/proc does not say")?
        .parse()?;
    Ok(kib / 1024)
}
