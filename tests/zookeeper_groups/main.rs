//! Groups in ZooKeeper from end to end: consumers that subscribe, in this process, on embedded brokers
//! that an embedded ZooKeeper shows. Tests named `rule_x_y` keep the invariant of that number.

mod farewells;
mod legacy;
mod modern;
mod rig;
mod samsa;
mod stalled;
mod subscribing;
