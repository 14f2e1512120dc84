//! Front door, per-broker fetcher, positions, decoded batches.
