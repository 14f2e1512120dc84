//! Front door, accumulator, per-broker sender, partitioners, outcomes.
