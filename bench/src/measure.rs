//! What measurements share: numbers from the command line, and the middle of several runs.

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
