//! `auth`: refreshes and `GET /user` a second against the same statements sent by pgbench; password sign-ins a second against
//! what argon2 allows; how long a read of `/rest/v1` takes while people sign in by the hundred.

pub(crate) mod client;
mod direct;

use std::time::{Duration, Instant};

use nexus_mint::{auth::email::Password, problem::AnyError};

use self::{
    client::{Rate, Who},
    direct::Direct,
};
use crate::{
    chaos::place::{Server, program},
    cluster::with_cluster,
    measure::{median, number},
};

const SECONDS: u64 = 5;
const ROUNDS: u64 = 5;
/// People who ask at once. The server has six connections for logins.
const CLIENTS: [usize; 2] = [1, 6];
/// People who sign in at once in a storm, and those who read meanwhile.
const STORM: usize = 64;
const READERS: usize = 4;
const HASHES: u32 = 20;

pub(crate) fn run(arguments: &[String]) -> Result<(), AnyError> {
    let time = Duration::from_secs(number(arguments, "--seconds", SECONDS)?);
    let rounds = number(arguments, "--rounds", ROUNDS)?;
    let hash_ms = hash_ms()?;
    with_cluster(async |postgres, _| {
        let folder = std::env::temp_dir().join(format!("nexus-mint-bench-auth-{}", std::process::id()));
        let nexus_mint = std::env::current_exe()?.with_file_name("nexus-mint");
        let server = Server::start(program(&nexus_mint, &folder, postgres)?).map_err(|error| {
            format!(
                "{}: {error}; build it first, with the same profile",
                nexus_mint.display()
            )
        })?;
        let people = client::sign_up(&server.address, STORM).await?;
        let direct = Direct::new(postgres);
        println!("clients  request     a second  p99 us  pgbench a second  ratio");
        for clients in CLIENTS {
            let people = people.get(..clients).unwrap_or_default();
            for what in [What::User, What::Refresh] {
                compare(&server, &direct, people, what, time, rounds).await?;
            }
        }
        storm(&server, &people, hash_ms, time, rounds).await?;
        // What the server wrote there is nothing that anybody needs.
        let _ = std::fs::remove_dir_all(&folder);
        Ok(())
    })
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    User,
    Refresh,
    SignIn,
    Read,
}

async fn compare(
    server: &Server,
    direct: &Direct,
    people: &[Who],
    what: What,
    time: Duration,
    rounds: u64,
) -> Result<(), AnyError> {
    client::ask(&server.address, people, what, time / 4).await?;
    let (mut rates, mut p99s, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let bare = direct.send(people, what, time).await?;
        let ours = client::ask(&server.address, people, what, time).await?;
        rates.push(ours.each_second);
        p99s.push(f64::from(ours.p99_us));
        bares.push(bare);
        ratios.push(ours.each_second / bare);
    }
    println!(
        "{:7}  {:10}  {:8.0}  {:6.0}  {:16.0}  {:5.2}",
        people.len(),
        match what {
            What::User => "GET /user",
            What::Refresh => "refresh",
            What::SignIn => "sign-in",
            What::Read => "read",
        },
        median(rates),
        median(p99s),
        median(bares),
        median(ratios)
    );
    Ok(())
}

/// Reads alone, then reads while everybody signs in again and again.
async fn storm(server: &Server, people: &[Who], hash_ms: f64, time: Duration, rounds: u64) -> Result<(), AnyError> {
    let readers = people.get(..READERS).unwrap_or_default();
    let address = &server.address;
    let (mut alone, mut meanwhile, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(client::ask(address, readers, What::Read, time).await?);
        let (signed, read) = tokio::try_join!(
            client::ask(address, people, What::SignIn, time),
            client::ask(address, readers, What::Read, time)
        )?;
        rates.push(signed.each_second);
        meanwhile.push(read);
    }
    let cores = std::thread::available_parallelism()?.get();
    let at_once = (cores / 2).max(1);
    let bound = f64::from(u32::try_from(at_once)?) * 1000.0 / hash_ms;
    let rate = median(rates);
    println!("\none hash takes {hash_ms:.1} ms alone; {at_once} at once on {cores} cores allow {bound:.0} a second");
    println!(
        "{STORM} people sign in: {rate:.0} a second, {:.2} of that",
        rate / bound
    );
    let p99 = |all: &[Rate]| median(all.iter().map(|rate| f64::from(rate.p99_us)).collect());
    let each = |all: &[Rate]| median(all.iter().map(|rate| rate.each_second).collect());
    println!(
        "{READERS} people read: p99 {:.0} us, {:.0} a second; while {STORM} sign in: p99 {:.0} us, {:.0} a second",
        p99(&alone),
        each(&alone),
        p99(&meanwhile),
        each(&meanwhile)
    );
    Ok(())
}

/// How long one hash takes when nothing else runs: the one in the middle.
fn hash_ms() -> Result<f64, AnyError> {
    let password = Password::parse(client::PASSWORD)?;
    let mut times = Vec::new();
    for _ in 0..HASHES {
        let begun = Instant::now();
        password.hashed().map_err(|error| error.to_string())?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(times))
}
