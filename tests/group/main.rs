//! Groups against the embedded broker, over TCP: coordinators, offsets, memberships. Tests named
//! `rule_x_y` keep the invariant of that number.

mod admin;
mod app;
mod faults;
mod membership;
mod offsets;
mod rig;
mod versions;
