//! What measurements share: numbers from the command line, the middle of several runs, memory.

use std::fs;

use nexus_mint::problem::AnyError;

/// The number after a flag, or what holds without it.
pub(crate) fn number(arguments: &[String], flag: &str, default: u64) -> Result<u64, AnyError> {
    let Some(at) = arguments.iter().position(|argument| argument == flag) else {
        return Ok(default);
    };
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    value
        .filter(|value| *value > 0)
        .ok_or_else(|| format!("{flag} takes a number above 0").into())
}

/// The one in the middle; of an even number, the upper.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Memory of this process in KiB as Linux counts it: `VmRSS` now, `VmHWM` the most so far.
pub(crate) fn memory_kib(figure: &str) -> Result<u64, AnyError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("/proc/self/status does not say")?.parse()?)
}
