//! Log lines: a level, a sink, a bounded queue, one service thread.
//!
//! A library prints nothing unless it was asked to (`samsa.log=stderr`, or a callback). Whoever logs
//! only puts a line into a queue; one thread per process (`samsa-log`), started with the first line,
//! gives it to the sink. A full queue drops the line and counts it; the count is logged when there is
//! room again. Without a sink a call costs one atomic load.

mod service;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use crate::os;

/// How many lines of one logger may wait.
const QUEUE: usize = 1024;

/// How severe a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something failed that the application should know.
    Error = 1,
    /// Something is wrong and may mend itself.
    Warn = 2,
    /// What happens, seldom: connections, leaders, sessions.
    Info = 3,
    /// What helps to find a bug.
    Debug = 4,
}

impl Level {
    /// The name, as in `samsa.log.level`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug]
            .into_iter()
            .find(|level| level.name() == name)
    }
}

/// One line.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How severe.
    pub level: Level,
    /// Which part of the library speaks: `"net"`, `"metadata"`, `"producer"`, ….
    pub facility: &'static str,
    /// The text, without a line end; at most 4 KiB.
    pub message: String,
    /// When it was logged.
    pub time: SystemTime,
}

/// Where lines go. Called on the service thread alone, one line at a time; it may log nothing itself
/// through the library, and must return. Dropped after the last call.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Takes one line.
    fn log(&self, entry: &Entry);
}

/// What the rooms of the library log through; copies share level, sink and queue.
#[derive(Clone)]
pub struct Logger {
    shared: Arc<Shared>,
}

struct Shared {
    /// 0: nothing is logged.
    level: AtomicU8,
    sink: Option<Arc<dyn Sink>>,
    /// How many lines wait. Bounded per logger: one client's slow callback may delay the lines of the
    /// others, it does not cost them any.
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

impl Logger {
    /// A logger that logs nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::with(0, None)
    }

    /// A logger that gives lines of this level and more severe ones to `sink`.
    #[must_use]
    pub fn new(level: Level, sink: Arc<dyn Sink>) -> Self {
        Self::with(level as u8, Some(sink))
    }

    /// A logger that writes to standard error.
    #[must_use]
    pub fn stderr(level: Level) -> Self {
        Self::new(level, Arc::new(Stderr))
    }

    fn with(level: u8, sink: Option<Arc<dyn Sink>>) -> Self {
        let level = AtomicU8::new(level);
        let (waiting, dropped) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { level, sink, waiting, dropped }) }
    }

    /// Whether a line of this level would be logged: to spare the work of making it.
    #[inline]
    #[must_use]
    pub fn enabled(&self, level: Level) -> bool {
        level as u8 <= self.shared.level.load(Ordering::Relaxed)
    }

    /// Changes the level; a logger without a sink stays silent.
    pub fn set_level(&self, level: Level) {
        if self.shared.sink.is_some() {
            self.shared.level.store(level as u8, Ordering::Relaxed);
        }
    }

    /// Logs a line of level [`Error`](Level::Error).
    pub fn error(&self, facility: &'static str, message: fmt::Arguments<'_>) {
        self.log(Level::Error, facility, message);
    }

    /// Logs a line of level [`Warn`](Level::Warn).
    pub fn warn(&self, facility: &'static str, message: fmt::Arguments<'_>) {
        self.log(Level::Warn, facility, message);
    }

    /// Logs a line of level [`Info`](Level::Info).
    pub fn info(&self, facility: &'static str, message: fmt::Arguments<'_>) {
        self.log(Level::Info, facility, message);
    }

    /// Logs a line of level [`Debug`](Level::Debug).
    pub fn debug(&self, facility: &'static str, message: fmt::Arguments<'_>) {
        self.log(Level::Debug, facility, message);
    }

    /// Logs a line, if its level is wanted. Never waits; the text is made on the calling thread.
    pub fn log(&self, level: Level, facility: &'static str, message: fmt::Arguments<'_>) {
        if self.enabled(level) {
            self.queue(level, facility, message);
        }
    }

    #[cold]
    fn queue(&self, level: Level, facility: &'static str, message: fmt::Arguments<'_>) {
        let mut text = Bounded(String::new());
        // The text may be cut: that is its only error, and it is fine.
        let _ = fmt::Write::write_fmt(&mut text, message);
        let entry = Entry { level, facility, message: text.0, time: SystemTime::now() };
        let waiting = self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting >= QUEUE || !service::queue(&self.shared, entry) {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were dropped because the queue was full, and not told in the log yet.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until the sinks have got all that was logged before, or `deadline`; whether they have.
    /// Not to be called from a sink.
    pub fn flush(&self, deadline: Option<Instant>) -> bool {
        self.shared.sink.is_none() || service::flush(deadline)
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.shared.level.load(Ordering::Relaxed);
        f.debug_struct("Logger").field("level", &level).field("sink", &self.shared.sink).finish()
    }
}

impl Default for Logger {
    fn default() -> Self {
        Self::none()
    }
}

/// A text that stops growing at 4 KiB: what a peer can make us say is bounded.
struct Bounded(String);

const MESSAGE_MAX: usize = 4096;

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MESSAGE_MAX - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let cut = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(text.get(..cut).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[derive(Debug)]
struct Stderr;

impl Sink for Stderr {
    /// One write per line, so that lines of several processes do not mix.
    fn log(&self, entry: &Entry) {
        let time = entry.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let line = format!(
            "samsa {}.{:03} {} {}: {}\n",
            time.as_secs(),
            time.subsec_millis(),
            entry.level.name(),
            entry.facility,
            entry.message
        );
        os::stderr::write(line.as_bytes());
    }
}

#[cfg(test)]
mod tests;
