//! What a group committed.

use std::collections::BTreeMap;

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Committed {
    pub(in crate::embedded) offset: i64,
    /// −1 if the committer did not say.
    pub(in crate::embedded) leader_epoch: i32,
    pub(in crate::embedded) metadata: String,
}

/// The offsets of a group, by topic and partition.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Offsets(BTreeMap<String, BTreeMap<i32, Committed>>);

impl Offsets {
    pub(in crate::embedded) fn commit(&mut self, topic: &str, partition: i32, what: Committed) {
        self.0.entry(topic.to_owned()).or_default().insert(partition, what);
    }

    pub(in crate::embedded) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.0.get(topic)?.get(&partition)
    }

    /// Whether there was one.
    pub(in crate::embedded) fn delete(&mut self, topic: &str, partition: i32) -> bool {
        let Some(partitions) = self.0.get_mut(topic) else { return false };
        let was = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            self.0.remove(topic);
        }
        was
    }

    /// Everything, in order.
    pub(in crate::embedded) fn all(&self) -> impl Iterator<Item = (&str, Vec<i32>)> {
        self.0.iter().map(|(topic, partitions)| (&**topic, partitions.keys().copied().collect()))
    }
}
