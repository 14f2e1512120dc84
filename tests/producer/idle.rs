//! `connections.max.idle.ms` at its edges.

use crate::bench::{THERE, bench};
use samsa::Code;

#[test]
fn a_cluster_that_never_closes_idle_connections_or_very_soon_works_all_the_same() {
    for idle in ["-1", "0", "1"] {
        let bench = bench(&[("connections.max.idle.ms", idle)]);
        for mark in 0..20 {
            bench.send(mark);
            let offset = i64::try_from(mark).unwrap();
            assert_eq!(bench.outcomes(1), [(mark, Code::NONE, THERE, offset)], "{idle} ms");
        }
    }
}
