//! How far a load is: a bar where somebody looks at a terminal, else a line now and then.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Often enough to look alive.
const REDRAW_AFTER: Duration = Duration::from_millis(100);

/// Seldom enough for a log.
const LINE_AFTER: Duration = Duration::from_secs(10);

const BAR_WIDTH: u64 = 30;

/// Tells on stderr how far a load is.
pub struct Progress {
    out: Out,
    name: String,
    bytes: Option<u64>,
    told: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    Terminal,
    Log,
    Nobody,
}

impl Progress {
    /// For a file of `bytes` bytes, where that is known.
    #[must_use]
    pub fn to_stderr(name: &str, bytes: Option<u64>) -> Progress {
        let out = if io::stderr().is_terminal() {
            Out::Terminal
        } else {
            Out::Log
        };
        Progress::to(out, name, bytes)
    }

    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Progress {
        Progress::to(Out::Nobody, "", None)
    }

    fn to(out: Out, name: &str, bytes: Option<u64>) -> Progress {
        Progress {
            out,
            name: name.to_owned(),
            bytes,
            told: Instant::now(),
        }
    }

    /// So many rows and bytes are read.
    pub fn read(&mut self, rows: u64, bytes: u64) {
        let percent = self.bytes.map(|all| bytes.saturating_mul(100) / all.max(1));
        match self.out {
            Out::Terminal if self.told.elapsed() >= REDRAW_AFTER => self.draw(&bar(percent), rows),
            Out::Log if self.told.elapsed() >= LINE_AFTER => {
                tracing::info!(file = self.name, rows, percent, "loading");
                self.told = Instant::now();
            }
            Out::Terminal | Out::Log | Out::Nobody => {}
        }
    }

    /// Everything is read, and PostgreSQL writes.
    pub fn writing(&mut self, rows: u64) {
        match self.out {
            Out::Terminal => self.draw(&format!("{} writing", bar(Some(100))), rows),
            Out::Log => tracing::info!(file = self.name, rows, "read; writing"),
            Out::Nobody => {}
        }
    }

    /// It is over: the line is free for what comes next.
    pub fn done(&mut self) {
        if self.out == Out::Terminal {
            // A terminal that is gone needs no bar.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&mut self, bar: &str, rows: u64) {
        self.told = Instant::now();
        let _ = write!(io::stderr(), "\r\x1b[K{} {bar} {rows} rows", self.name);
    }
}

/// An error is told below the bar, not over it.
impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

fn bar(percent: Option<u64>) -> String {
    let Some(percent) = percent.map(|percent| percent.min(100)) else {
        return String::new();
    };
    let filled = percent * BAR_WIDTH / 100;
    let cells: String = (0..BAR_WIDTH)
        .map(|cell| if cell < filled { '#' } else { '.' })
        .collect();
    format!("[{cells}] {percent} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        assert_eq!(bar(Some(0)), "[..............................] 0 %");
        assert_eq!(bar(Some(50)), "[###############...............] 50 %");
        assert_eq!(bar(Some(140)), "[##############################] 100 %");
        assert_eq!(bar(None), "", "a pipe has no length");
    }
}
