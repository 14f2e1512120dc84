//! The handle of one topic: a name, a dense index, and the newest metadata, cheap to look at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Cluster, TopicMetadata};
use crate::error::{Code, Error, Result};

/// A topic of one cluster. There is one object per name and cluster; all methods from any thread.
#[derive(Debug)]
pub struct Topic {
    name: Arc<str>,
    index: usize,
    cluster: Weak<Cluster>,
    metadata: Mutex<Option<Arc<TopicMetadata>>>,
    version: AtomicU64,
    creation: AtomicBool,
}

impl Topic {
    pub(crate) fn new(
        name: Arc<str>,
        index: usize,
        cluster: Weak<Cluster>,
        creation: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            index,
            cluster,
            metadata: Mutex::new(None),
            version: AtomicU64::new(0),
            creation: AtomicBool::new(creation),
        })
    }

    /// A topic without a cluster, for tests of what holds topics.
    #[cfg(test)]
    pub(crate) fn lone(name: &str, index: usize) -> Arc<Self> {
        Self::new(Arc::from(name), index, Weak::new(), false)
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A small number, dense from 0 within the cluster: tables can be indexed by it.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The cluster, while its handle lives.
    #[must_use]
    pub fn cluster(&self) -> Option<Arc<Cluster>> {
        self.cluster.upgrade()
    }

    /// Whether this is a topic of `cluster`.
    #[must_use]
    pub fn belongs_to(&self, cluster: &Arc<Cluster>) -> bool {
        std::ptr::eq(self.cluster.as_ptr(), Arc::as_ptr(cluster))
    }

    /// The newest metadata, or none before the first answer.
    #[must_use]
    pub fn metadata(&self) -> Option<Arc<TopicMetadata>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A counter that grows with each change of the metadata: one atomic load tells whether to look.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Lets brokers create the topic when they are asked about it and allow it themselves.
    /// Producers call this; otherwise `allow.auto.create.topics` of the cluster decides.
    /// (Brokers below 0.11 create whatever is asked for: invariant 1.15.)
    pub fn allow_creation(&self) {
        self.creation.store(true, Ordering::Relaxed);
    }

    /// Whether a question about this topic may create it.
    #[must_use]
    pub fn may_be_created(&self) -> bool {
        self.creation.load(Ordering::Relaxed)
    }

    /// Nobody wants it any more, so that what is known would grow old. Called by the metadata loop alone.
    pub(super) fn forget(&self) {
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Called by the metadata loop alone.
    pub(super) fn publish(&self, metadata: Arc<TopicMetadata>) {
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some(metadata);
        // Release: whoever sees the new number finds the new metadata under the lock.
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// Checks a topic name by Kafka's rules: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
pub fn check_name(name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "'.' and '..' are reserved"
    } else if name.len() > 249 {
        "it is longer than 249 characters"
    } else if !name.chars().all(legal) {
        "only ASCII letters, digits, '.', '_' and '-' are allowed"
    } else {
        return Ok(());
    };
    Err(illegal(name, why))
}

/// Checks a topic name by the rules of Kafka 0.7.2: 1 to 255 characters, not `.` or `..`, no `/`, and none
/// that cannot be printed. Java counts them, and judges them, in UTF-16.
pub(crate) fn check_legacy_name(name: &str) -> Result<()> {
    let legal = |unit: u16| {
        let control = matches!(unit, 0x00..=0x1f | 0x7f..=0x9f);
        let private = matches!(unit, 0xd800..=0xf8ff | 0xfff0..=0xffff);
        unit != u16::from(b'/') && !control && !private
    };
    let why = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "'.' and '..' are reserved"
    } else if name.encode_utf16().count() > 255 {
        "it is longer than 255 characters"
    } else if !name.encode_utf16().all(legal) {
        "'/' and what cannot be printed is not allowed"
    } else {
        return Ok(());
    };
    Err(illegal(name, why))
}

fn illegal(name: &str, why: &str) -> Error {
    let shown: String = name.chars().take(60).collect();
    let text = format!("{shown:?} is not a topic name: {why}");
    Error::new(Code::INVALID_ARGUMENT, text).with_topic(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_0_7_may_hold_what_can_be_printed() {
        for good in ["a b", "tö…", "a:b,c", "...", &"x".repeat(255), &"ö".repeat(255)] {
            assert!(check_legacy_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        let bad =
            ["", ".", "..", "a/b", "a\n", "\u{7f}", "\u{9f}", "\u{e000}", "😀", "\u{fff0}", &long];
        for bad in bad {
            let error = check_legacy_name(bad).unwrap_err();
            assert_eq!(error.code(), Code::INVALID_ARGUMENT, "{bad:?}");
        }
    }

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", "a\n", &"x".repeat(250)] {
            assert_eq!(check_name(bad).unwrap_err().code(), Code::INVALID_ARGUMENT, "{bad}");
        }
    }
}
