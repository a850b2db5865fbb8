//! How far a long piece of work is: a bar where somebody looks at a terminal, else a line now and then.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Often enough to look alive.
const REDRAW_AFTER: Duration = Duration::from_millis(100);

/// Seldom enough for a log.
const LINE_AFTER: Duration = Duration::from_secs(10);

const BAR_WIDTH: u64 = 30;

/// Tells on stderr how far a piece of work is.
pub struct Progress {
    out: Out,
    name: String,
    unit: &'static str,
    whole: Option<u64>,
    told: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    Terminal,
    Log,
    Nobody,
}

impl Out {
    fn here() -> Out {
        if io::stderr().is_terminal() {
            Out::Terminal
        } else {
            Out::Log
        }
    }
}

impl Progress {
    /// For a file of `bytes` bytes, where that is known.
    #[must_use]
    pub fn to_stderr(name: &str, bytes: Option<u64>) -> Progress {
        Progress::to(Out::here(), name, "rows", bytes)
    }

    /// For `count` things, such as people, of which each takes its time.
    #[must_use]
    pub fn over(name: &str, unit: &'static str, count: u64) -> Progress {
        Progress::to(Out::here(), name, unit, Some(count))
    }

    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Progress {
        Progress::to(Out::Nobody, "", "", None)
    }

    fn to(out: Out, name: &str, unit: &'static str, whole: Option<u64>) -> Progress {
        Progress {
            out,
            name: name.to_owned(),
            unit,
            whole,
            told: Instant::now(),
        }
    }

    /// So many things of [`Progress::over`] are done.
    pub fn done_so_far(&mut self, count: u64) {
        self.read(count, count);
    }

    /// So many rows and bytes are read.
    pub fn read(&mut self, rows: u64, bytes: u64) {
        let percent = self.whole.map(|all| bytes.saturating_mul(100) / all.max(1));
        match self.out {
            Out::Terminal if self.told.elapsed() >= REDRAW_AFTER => self.draw(&bar(percent), rows),
            Out::Log if self.told.elapsed() >= LINE_AFTER => {
                tracing::info!(name = self.name, done = rows, unit = self.unit, percent, "at work");
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
        let _ = write!(io::stderr(), "\r\x1b[K{} {bar} {rows} {}", self.name, self.unit);
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
