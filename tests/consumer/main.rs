//! The consumer's behaviour against the embedded broker, over TCP. Tests named `rule_x_y` keep the
//! invariant of that number.

mod absent_topics;
mod codes;
mod eras;
mod failures;
mod group_commits;
mod group_endings;
mod group_farewells;
mod group_members;
mod group_rounds;
mod group_script;
mod group_steps;
mod memory;
mod positions;
mod pykafka;
mod racks;
mod reading;
mod rig;
mod sessions;
mod truncation;
mod waiting;
