//! Figures of the engine in Prometheus' text format, under PostgREST's names.

use std::{
    fmt::{Display, Write as _},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::session::Load;

/// How often the schema cache was loaded, and how long the last time took.
#[derive(Default)]
pub(super) struct Loads {
    done: AtomicU64,
    failed: AtomicU64,
    last_us: AtomicU64,
}

impl Loads {
    /// It was loaded in this time, or could not be.
    pub(super) fn note(&self, took: Option<Duration>) {
        let Some(took) = took else {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.done.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.last_us.store(us, Ordering::Relaxed);
    }
}

/// How often a token was looked for among those that were verified before.
#[derive(Default)]
pub(super) struct Lookups {
    asked: AtomicU64,
    found: AtomicU64,
    forgotten: AtomicU64,
}

impl Lookups {
    /// One was looked for.
    pub(super) fn note(&self, is_found: bool) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.found.fetch_add(u64::from(is_found), Ordering::Relaxed);
    }

    /// So many made room.
    pub(super) fn forgot(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.forgotten.fetch_add(count, Ordering::Relaxed);
    }

    /// The figures as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, help, count) in [
            ("requests", "The number of tokens that were looked for", &self.asked),
            (
                "hits",
                "The number of tokens that had been verified before",
                &self.found,
            ),
            (
                "evictions",
                "The number of tokens that made room for others",
                &self.forgotten,
            ),
        ] {
            let name = format!("pgrst_jwt_cache_{name}_total");
            add(
                &mut text,
                &name,
                "counter",
                help,
                &[("", count.load(Ordering::Relaxed))],
            );
        }
        text
    }
}

fn add(text: &mut String, name: &str, kind: &str, help: &str, values: &[(&str, impl Display)]) {
    // Writing into a text cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// All figures as text.
pub(super) fn text(loads: &Loads, load: Load) -> String {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let last = Duration::from_micros(read(&loads.last_us)).as_secs_f64();
    let mut text = String::new();
    add(
        &mut text,
        "pgrst_schema_cache_query_time_seconds",
        "gauge",
        "The time that the last load of the schema cache took",
        &[("", last)],
    );
    let counts = [
        ("{status=\"FAIL\"}", read(&loads.failed)),
        ("{status=\"SUCCESS\"}", read(&loads.done)),
    ];
    add(
        &mut text,
        "pgrst_schema_cache_loads_total",
        "counter",
        "The number of times that the schema cache was loaded",
        &counts,
    );
    let of_pool = [
        (
            "pgrst_db_pool_max",
            "gauge",
            "Connections at most",
            load.connections_max,
        ),
        (
            "pgrst_db_pool_available",
            "gauge",
            "Connections that are free",
            load.available,
        ),
        (
            "pgrst_db_pool_waiting",
            "gauge",
            "Requests that wait for a connection",
            load.waiting,
        ),
        (
            "pgrst_db_pool_timeouts_total",
            "counter",
            "The number of requests that waited for a connection in vain",
            load.timeouts,
        ),
        (
            "nexus_mint_rest_shared_total",
            "counter",
            "The number of reads that were answered on a connection that many share",
            load.shared,
        ),
    ];
    for (name, kind, help, count) in of_pool {
        add(&mut text, name, kind, help, &[("", count)]);
    }
    text
}
