//! The measurements that the documentation quotes: `cargo run --release -p nexus-mint-bench -- NAME`.

mod analytics;
mod audit;
mod auth;
mod chaos;
mod cluster;
mod console;
mod distribution;
mod ledger;
mod load;
mod measure;
mod pgbench;
mod purchases;
mod realtime;
mod rest;
mod storage;

use std::{io::Write as _, process::ExitCode};

use nexus_mint::problem::{AnyError, chain};

const USAGE: &str = "usage: nexus-mint-bench analytics [--properties N] [--investments N] [--runs N] | audit [--writers N] [--seconds N] [--runs N] | auth [--seconds N] [--rounds N] | chaos [--seed N] [--runs N] [--rounds N] | console [--properties N] [--seconds N] [--rounds N] | distribution [--holders N] [--runs N] | load [--rows N] [--runs N] | ledger [--entries N] | overload [--milliseconds N] [--buyers N] [--connections N] | purchases [--runs N] [--milliseconds N] [--in-flight N] [--way NAME] [--open RATE] [--entries N] [--houses N] [--buyers N] | realtime [--subscribers N] [--seconds N] [--rounds N] [--filters] | rest [--seconds N] [--rounds N] [--case TEXT] [--against HOST:PORT] | rest cache [--tables N] [--rounds N] | storage [--seconds N] [--rounds N] [--objects N]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome: Result<(), AnyError> = match arguments.split_first() {
        Some((name, rest)) if name == "analytics" => analytics::run(rest),
        Some((name, rest)) if name == "audit" => audit::run(rest),
        Some((name, rest)) if name == "auth" => auth::run(rest),
        Some((name, rest)) if name == "chaos" => chaos::run(rest),
        Some((name, rest)) if name == "console" => console::run(rest),
        Some((name, rest)) if name == "distribution" => distribution::run(rest),
        Some((name, rest)) if name == "ledger" => ledger::run(rest),
        Some((name, rest)) if name == "load" => load::run(rest),
        Some((name, rest)) if name == "overload" => purchases::overload::run(rest),
        Some((name, rest)) if name == "purchases" => purchases::run(rest),
        Some((name, rest)) if name == "realtime" => realtime::run(rest),
        Some((name, rest)) if name == "rest" => rest::run(rest),
        Some((name, rest)) if name == "storage" => storage::run(rest),
        Some(_) | None => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when even this cannot be printed.
            let _ = writeln!(std::io::stderr(), "{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
