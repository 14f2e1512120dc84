//! One partition's share of an answer, in the format of its brokers.

use std::sync::Arc;

use super::budget::Seat;
use super::decode::{self, Filling, Read};
use super::legacy;
use crate::error::Result;

/// What is read on the application's thread.
#[derive(Debug)]
pub(super) enum Share {
    /// Record batches, of Kafka 0.8 and later.
    Batches(Box<decode::Reader>),
    /// A message set of Kafka 0.7.
    Messages(Box<legacy::Reader>),
}

impl Share {
    /// Adds messages until the batch is full or all is read, and closes their run. After an error the
    /// position is that of what could not be decoded (3.13); what came before it is in the batch.
    pub(super) fn read(&mut self, into: &mut Filling) -> Result<Read> {
        match self {
            Self::Batches(reader) => reader.read(into),
            Self::Messages(reader) => reader.read(into),
        }
    }

    /// Where reading goes on; the application's position once what was read is handed out.
    pub(super) fn position(&self) -> i64 {
        match self {
            Self::Batches(reader) => reader.position(),
            Self::Messages(reader) => reader.position(),
        }
    }

    /// Leaves out what lies below `position`.
    pub(super) fn skip_to(&mut self, position: i64) {
        if let Self::Batches(reader) = self {
            reader.skip_to(position);
        }
        // A set of 0.7 begins at the very byte that was asked for.
    }

    /// Leader epoch of the last batch read; −1 where the format has none.
    pub(super) fn epoch(&self) -> i32 {
        match self {
            Self::Batches(reader) => reader.epoch(),
            Self::Messages(_) => -1,
        }
    }

    /// The identity of the answer that this is a part of, if it came to this seat.
    pub(super) fn answer(&self, seat: &Seat) -> Option<usize> {
        let unread = match self {
            Self::Batches(reader) => reader.unread(),
            Self::Messages(reader) => reader.unread(),
        };
        unread.is_of(seat).then(|| Arc::as_ptr(unread).addr())
    }
}
