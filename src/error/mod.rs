//! What went wrong: a code, the whole chain of causes, and where (topic, partition, broker, property).
//!
//! One table ([`codes`]) holds every code: Kafka's own numbers as they are, ours at or below −100.
//! From −100 to −109 are *conditions* (nothing came, woken, …): they are made without allocating,
//! because an idle poll returns one each time.

mod codes;

use std::fmt;
use std::sync::Arc;

pub use codes::{Code, CodeInfo};

/// The result of every fallible call of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is known of a record that was not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Persistence {
    /// It was never written: sending it again makes no duplicate.
    #[default]
    NotPersisted = 0,
    /// It may have been written: the request left, its outcome is unknown.
    PossiblyPersisted = 1,
    /// It was written; the broker said so.
    Persisted = 2,
}

/// An error or a condition: cheap to clone, so that everybody who waits on the same
/// failed connection gets the same first cause.
#[derive(Clone)]
pub struct Error {
    code: Code,
    // None for a bare condition: no allocation.
    detail: Option<Arc<Detail>>,
}

#[derive(Clone, Default)]
struct Detail {
    message: String,
    cause: Option<Error>,
    topic: Option<String>,
    partition: Option<i64>,
    broker: Option<String>,
    property: Option<String>,
    persistence: Persistence,
    fatal: bool,
}

impl Error {
    /// An error with a message that says what was attempted and what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let detail = Detail { message: message.into(), ..Detail::default() };
        Self { code, detail: Some(Arc::new(detail)) }
    }

    /// A code alone, without a message of its own; allocates nothing.
    #[must_use]
    pub const fn bare(code: Code) -> Self {
        Self { code, detail: None }
    }

    /// The cause of this error, kept in the chain that [`Error::message`] prints.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Error>) -> Self {
        let cause = cause.into();
        self.edit(|d| d.cause = Some(cause))
    }

    /// Names the topic concerned.
    #[must_use]
    pub fn with_topic(self, topic: impl Into<String>) -> Self {
        let topic = topic.into();
        self.edit(|d| d.topic = Some(topic))
    }

    /// Names the partition concerned.
    #[must_use]
    pub fn with_partition(self, partition: i64) -> Self {
        self.edit(|d| d.partition = Some(partition))
    }

    /// Names the broker concerned, as `host:port` or `host:port (id N)`.
    #[must_use]
    pub fn with_broker(self, broker: impl Into<String>) -> Self {
        let broker = broker.into();
        self.edit(|d| d.broker = Some(broker))
    }

    /// Names the configuration property concerned.
    #[must_use]
    pub fn with_property(self, property: impl Into<String>) -> Self {
        let property = property.into();
        self.edit(|d| d.property = Some(property))
    }

    /// Says what is known of the records that this error concerns.
    #[must_use]
    pub fn with_persistence(self, persistence: Persistence) -> Self {
        self.edit(|d| d.persistence = persistence)
    }

    /// Marks the error as fatal for its handle: no later call can succeed.
    #[must_use]
    pub fn fatal(self) -> Self {
        self.edit(|d| d.fatal = true)
    }

    fn edit(mut self, change: impl FnOnce(&mut Detail)) -> Self {
        change(Arc::make_mut(self.detail.get_or_insert_with(Arc::default)));
        self
    }

    /// The number by which programs tell errors apart.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The whole chain: this error's message, then each cause after `: `.
    #[must_use]
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// The error under this one, if any.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        self.detail.as_ref()?.cause.as_ref()
    }

    /// The topic concerned, of this error or the nearest cause that names one.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.nearest(|d| d.topic.as_deref())
    }

    /// The partition concerned, of this error or the nearest cause that names one.
    #[must_use]
    pub fn partition(&self) -> Option<i64> {
        self.nearest(|d| d.partition)
    }

    /// The broker concerned, of this error or the nearest cause that names one.
    #[must_use]
    pub fn broker(&self) -> Option<&str> {
        self.nearest(|d| d.broker.as_deref())
    }

    /// The configuration property concerned, of this error or the nearest cause that names one.
    #[must_use]
    pub fn property(&self) -> Option<&str> {
        self.nearest(|d| d.property.as_deref())
    }

    /// What is known of the records concerned.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        self.detail.as_ref().map_or(Persistence::default(), |d| d.persistence)
    }

    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        !self.is_fatal() && self.code.is_retriable()
    }

    /// Whether the handle can no longer be used for anything but reading outcomes and closing.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.detail.as_ref().is_some_and(|d| d.fatal) || self.code.is_fatal()
    }

    /// Whether a transaction in progress must be aborted before going on.
    #[must_use]
    pub fn requires_abort(&self) -> bool {
        self.code.requires_abort()
    }

    fn chain(&self) -> String {
        let own = self.detail.as_deref().map(|d| d.message.as_str()).filter(|m| !m.is_empty());
        let own = own.unwrap_or(self.code.text());
        self.cause().map_or_else(|| own.to_owned(), |cause| format!("{own}: {}", cause.chain()))
    }

    fn nearest<'a, T>(&'a self, field: impl Fn(&'a Detail) -> Option<T>) -> Option<T> {
        let mut error = Some(self);
        while let Some(detail) = error.and_then(|e| e.detail.as_deref()) {
            if let Some(found) = field(detail) {
                return Some(found);
            }
            error = detail.cause.as_ref();
        }
        None
    }
}

impl fmt::Display for Error {
    /// The chain of causes, then in brackets whatever of topic, partition, broker and property the
    /// chain does not say itself: a reader of the text alone knows where it went wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain();
        let mut missing = Vec::new();
        let mut context = |what: &str, value: Option<&str>| {
            let unsaid = value.filter(|value| !says(&chain, what, value));
            missing.extend(unsaid.map(|value| format!("{what} {value}")));
        };
        context("topic", self.topic());
        let partition = self.partition().map(|p| p.to_string());
        if !chain.contains("partition") {
            context("partition", partition.as_deref());
        }
        context("broker", self.broker());
        context("property", self.property());
        f.write_str(&chain)?;
        if missing.is_empty() { Ok(()) } else { write!(f, " ({})", missing.join(", ")) }
    }
}

/// Whether `text` holds `word` as a word of its own, not as a part of another. A topic may be called
/// `known` or `message`: it is said where a topic's name stands.
fn says(text: &str, what: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let named = ["topic ", "of ", "\"", "'"].iter().any(|lead| before.ends_with(lead));
        (what != "topic" || named) && !before.ends_with(joins) && !after.starts_with(joins)
    })
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {self}", self.code.name(), self.code.0)
    }
}

impl std::error::Error for Error {}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::bare(code)
    }
}

impl From<std::io::Error> for Error {
    /// An operating system error keeps its own text; callers add broker or file with `with_…`.
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::IO, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_holds_the_whole_chain_of_causes() {
        let refused = Error::new(Code::CONNECTION_FAILED, "connection refused").with_broker("h:1");
        let error = Error::new(Code::TIMED_OUT, "no broker answered in 100 ms").caused_by(refused);
        assert_eq!(
            error.message(),
            "no broker answered in 100 ms: connection refused (broker h:1)"
        );
        assert_eq!(error.broker(), Some("h:1"), "context is found in the causes too");
        assert_eq!(error.code(), Code::TIMED_OUT);
    }

    #[test]
    fn the_message_adds_the_context_that_it_does_not_say_itself() {
        let error = Error::bare(Code::MESSAGE_TOO_LARGE).with_topic("t").with_partition(3);
        let text = Code::MESSAGE_TOO_LARGE.text();
        assert_eq!(error.message(), format!("{text} (topic t, partition 3)"));
        let said = Error::new(Code::CLOSED, "partition 3 of orders is gone");
        let said = said.with_topic("orders").with_partition(3);
        assert_eq!(said.message(), "partition 3 of orders is gone");
    }

    #[test]
    fn a_topic_that_is_called_like_a_word_of_the_message_is_named_all_the_same() {
        let error = Error::new(Code::TIMED_OUT, "no broker known to lead it").with_topic("known");
        assert_eq!(error.message(), "no broker known to lead it (topic known)");
    }

    #[test]
    fn a_bare_condition_has_the_text_of_its_code_and_no_context() {
        let error = Error::bare(Code::NOTHING);
        assert_eq!(error.message(), Code::NOTHING.text());
        assert!(error.topic().is_none() && error.cause().is_none());
        assert_eq!(std::mem::size_of::<Error>(), 16, "two words: cheap to return");
    }

    #[test]
    fn fatal_errors_are_never_retriable() {
        let error = Error::new(Code::DISCONNECTED, "gone");
        assert!(error.is_retriable());
        assert!(!error.fatal().is_retriable());
    }
}
