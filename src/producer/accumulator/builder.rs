//! The bytes of a batch in the making and when they are complete, for every generation of brokers.

use bytes::{Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::producer::legacy::{SealedSet, SetBuilder};
use crate::producer::record::Record;
use crate::protocol::record::{
    BatchBuilder, Compression, Format, NO_TIMESTAMP, NewRecord, SealedBatch,
};

/// An open batch: of Kafka 0.8 and later, or a message set of 0.7.
#[derive(Debug)]
pub(crate) enum Builder {
    Batch(BatchBuilder),
    Set(SetBuilder),
}

/// A batch that is complete.
#[derive(Clone, Debug)]
pub(crate) enum Sealed {
    Batch(SealedBatch),
    Set(SealedSet),
}

impl Builder {
    /// Encodes a record without headers if nothing stands in the way: gives how many bytes that took, and
    /// the time that it has now.
    #[inline(always)]
    pub(crate) fn append_plain(
        &mut self,
        record: &Record<'_>,
        timestamp: i64,
        limit: usize,
    ) -> Option<(usize, i64)> {
        match self {
            Self::Batch(batch) => {
                let grown = batch.append_plain(timestamp, record.key, record.value, limit)?;
                Some((grown, timestamp))
            }
            Self::Set(set) => Some((set.append_plain(record, limit)?, NO_TIMESTAMP)),
        }
    }

    /// Where the next `bytes` bytes will be written, as far as that is known.
    #[inline(always)]
    pub(crate) fn ahead(&self, bytes: usize) -> &[u8] {
        match self {
            Self::Batch(batch) => batch.ahead(bytes),
            Self::Set(_) => &[],
        }
    }

    /// Encodes a record behind the others; gives the time that it has.
    ///
    /// # Errors
    /// As [`BatchBuilder::append`].
    pub(crate) fn append(&mut self, record: &NewRecord<'_>) -> Result<i64> {
        match self {
            Self::Batch(batch) => batch.append(record).map(|()| record.timestamp),
            Self::Set(set) => {
                set.append(record.value);
                Ok(NO_TIMESTAMP)
            }
        }
    }

    pub(crate) fn encoded_size(&self, record: &NewRecord<'_>) -> usize {
        match self {
            Self::Batch(batch) => batch.encoded_size(record),
            Self::Set(_) => SetBuilder::encoded_size(record.value),
        }
    }

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        match self {
            Self::Batch(batch) => batch.count(),
            Self::Set(set) => set.count(),
        }
    }

    /// In bytes, before compression.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.size(),
            Self::Set(set) => set.size(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.capacity(),
            Self::Set(set) => set.capacity(),
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        match self {
            Self::Batch(batch) => batch.compression(),
            Self::Set(set) => set.compression(),
        }
    }

    /// The same records, to be sealed without compression.
    pub(crate) fn uncompressed(self) -> Self {
        match self {
            Self::Batch(batch) => Self::Batch(batch.uncompressed()),
            Self::Set(set) => Self::Set(set.uncompressed()),
        }
    }

    /// Goes on in another buffer, and gives the one before.
    pub(crate) fn move_to(&mut self, buffer: BytesMut) -> BytesMut {
        match self {
            Self::Batch(batch) => batch.move_to(buffer),
            Self::Set(set) => set.move_to(buffer),
        }
    }

    /// Completes it: see [`BatchBuilder::seal_into`].
    pub(crate) fn seal_into(
        self,
        buffer: impl FnOnce(usize) -> BytesMut,
    ) -> Result<(Sealed, Option<BytesMut>, usize)> {
        match self {
            Self::Batch(batch) => {
                let (sealed, left, takes) = batch.seal_into(buffer)?;
                Ok((Sealed::Batch(sealed), left, takes))
            }
            Self::Set(set) => {
                let (sealed, left, takes) = set.seal_into(buffer)?;
                Ok((Sealed::Set(sealed), left, takes))
            }
        }
    }
}

impl Sealed {
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Batch(batch) => &batch.bytes,
            Self::Set(set) => &set.bytes,
        }
    }

    /// Leaves nothing behind.
    pub(super) fn take_bytes(&mut self) -> Bytes {
        match self {
            Self::Batch(batch) => std::mem::take(&mut batch.bytes),
            Self::Set(set) => std::mem::take(&mut set.bytes),
        }
    }

    pub(crate) fn count(&self) -> u32 {
        match self {
            Self::Batch(batch) => batch.count,
            Self::Set(set) => set.count,
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        match self {
            Self::Batch(batch) => batch.compression,
            Self::Set(set) => set.compression,
        }
    }

    /// None for a message set of Kafka 0.7.
    pub(crate) fn format(&self) -> Option<Format> {
        match self {
            Self::Batch(batch) => Some(batch.format),
            Self::Set(_) => None,
        }
    }

    /// Writes an identity into the bytes, where they have a place for it.
    pub(super) fn stamp(&mut self, producer_id: i64, epoch: i16, base_sequence: i32) {
        if let Self::Batch(batch) = self {
            batch.stamp(producer_id, epoch, base_sequence, false);
        }
    }

    /// See [`SealedBatch::reencode`]. Message sets of 0.7 go to no other kind of broker.
    pub(super) fn reencode(
        &self,
        format: Format,
        compression: Compression,
        level: Option<i32>,
        max_size: usize,
    ) -> Result<Vec<Self>> {
        let Self::Batch(batch) = self else {
            let text = "a message set of Kafka 0.7 is not encoded anew";
            return Err(Error::new(Code::INVALID_STATE, text));
        };
        let parts = batch.reencode(format, compression, level, max_size)?;
        Ok(parts.into_iter().map(Self::Batch).collect())
    }
}
