//! Kafka clients that no one here wrote: the judges of the wire.
