//! What a member is called.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::layout::Layout;
use crate::os;

/// Two numbers that hardly anybody else draws; not for secrets.
fn random() -> (u64, u64) {
    // The standard library seeds each RandomState differently; no dependency is needed for this.
    (RandomState::new().hash_one(0_u8), RandomState::new().hash_one(1_u8))
}

/// The name of a new member's node, as the clients of the layout make theirs: `group_host-time-random`,
/// or `group_<consumer.id>`; in PyKafka `host:uuid`.
pub(super) fn member_id(layout: Layout, group: &str, consumer: Option<&str>) -> String {
    let (first, second) = random();
    match (layout, consumer) {
        (Layout::PyKafka, Some(consumer)) => consumer.to_owned(),
        (Layout::PyKafka, None) => format!("{}:{}", os::host::name(), uuid(first, second)),
        (_, Some(consumer)) => format!("{group}_{consumer}"),
        (_, None) => {
            let (host, time) = (os::host::name(), os::clock::now_ms());
            format!("{group}_{host}-{time}-{:08x}", first >> 32)
        }
    }
}

/// A random UUID of version 4.
fn uuid(first: u64, second: u64) -> String {
    let hex = format!("{first:016x}{second:016x}");
    let variant = 8 + (second >> 62);
    format!(
        "{}-{}-4{}-{variant:x}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_called_as_each_client_calls_its_own() {
        assert_eq!(member_id(Layout::Scala, "g", Some("c")), "g_c");
        assert_eq!(member_id(Layout::Legacy, "g", Some("c")), "g_c");
        assert_eq!(member_id(Layout::PyKafka, "g", Some("c")), "c");
        let id = member_id(Layout::Scala, "g", None);
        let parts: Vec<&str> = id.rsplitn(3, '-').collect();
        assert_eq!((parts[0].len(), parts[1].len()), (8, 13), "{id}");
        assert!(parts[2].starts_with("g_") && parts[2].len() > 2, "{id}");
        assert_ne!(id, member_id(Layout::Scala, "g", None));
    }

    #[test]
    fn pykafka_s_members_have_a_uuid_of_version_4() {
        let text = uuid(0x0123_4567_89ab_cdef, 0x8000_0000_0000_0001);
        assert_eq!(text, "01234567-89ab-4def-a000-000000000001");
        let id = member_id(Layout::PyKafka, "g", None);
        assert_eq!(id.rsplit_once(':').map(|(_, uuid)| uuid.len()), Some(36), "{id}");
    }
}
