//! What one broker speaks, and the version chosen for each request.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::release::{self, Old, Ranges};
use crate::error::{Code, Error, Result};
use crate::protocol::modern::messages::api_versions::ApiVersionsResponse;
use crate::protocol::modern::{ApiKey, Request};

/// The versions that a broker offered on one connection. They belong to that connection: after a
/// reconnect the port may be served by another release (invariant 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    broker: Arc<str>,
    ranges: Ranges,
    features: BTreeMap<String, i16>,
    release: &'static str,
    knows_api_versions: bool,
    is_legacy: bool,
}

impl Versions {
    /// From a broker's answer; `broker` names it in errors.
    pub(super) fn from_answer(broker: &Arc<str>, answer: &ApiVersionsResponse) -> Self {
        let sane = |least: i16, most: i16| least >= 0 && least <= most;
        let mut ranges: Ranges = answer
            .api_keys
            .iter()
            .filter(|api| sane(api.min_version, api.max_version))
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        disbelieve_old_produce(&mut ranges);
        let features = answer
            .finalized_features
            .iter()
            .map(|feature| (feature.name.clone(), feature.max_version_level))
            .collect();
        let (broker, release) = (Arc::clone(broker), release::guess(&ranges));
        Self { broker, ranges, features, release, knows_api_versions: true, is_legacy: false }
    }

    /// The fixed table of a broker that does not know ApiVersions.
    pub(super) fn of_old(broker: &Arc<str>, old: Old) -> Self {
        Self {
            broker: Arc::clone(broker),
            ranges: old.ranges(),
            features: BTreeMap::new(),
            release: old.release(),
            knows_api_versions: false,
            is_legacy: false,
        }
    }

    /// A broker of Kafka 0.7, which knows none of the requests that have versions.
    pub(super) fn of_legacy(broker: &Arc<str>) -> Self {
        Self {
            broker: Arc::clone(broker),
            ranges: Ranges::new(),
            features: BTreeMap::new(),
            release: "0.7",
            knows_api_versions: false,
            is_legacy: true,
        }
    }

    /// Whether the broker is of Kafka 0.7.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    /// The highest version that both sides speak and that names topics by name: Produce and Fetch are
    /// capped where topic ids begin, because a topic may have none (invariant 2.6).
    ///
    /// `UNSUPPORTED_FEATURE` names the broker and its release.
    pub fn pick<R: Request>(&self) -> Result<i16> {
        self.pick_up_to::<R>(most_without_topic_ids(R::KEY))
    }

    /// As [`pick`](Self::pick), for a request whose topics all have ids: no cap.
    pub fn pick_with_topic_ids<R: Request>(&self) -> Result<i16> {
        self.pick_up_to::<R>(i16::MAX)
    }

    /// The highest version that both sides speak, not above `cap`. Ranges must overlap; no single
    /// version stands for a feature (invariant 2.7).
    pub fn pick_up_to<R: Request>(&self, cap: i16) -> Result<i16> {
        let Some((least, most)) = self.range(R::KEY) else {
            return Err(self.unsupported(R::KEY.name()));
        };
        let ours = R::VERSIONS;
        let picked = most.min(*ours.end()).min(cap);
        if picked >= least && picked >= *ours.start() {
            return Ok(picked);
        }
        let needed = format!(
            "{} in versions {} to {} (it speaks {least} to {most})",
            R::KEY.name(),
            ours.start(),
            ours.end().min(&cap)
        );
        Err(self.unsupported(&needed))
    }

    /// The range that the broker offers for an API, both ends included.
    #[must_use]
    pub fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&key.number()).copied()
    }

    /// The level of a finalised feature such as `transaction.version` (invariant 2.5).
    #[must_use]
    pub fn finalized_feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }

    /// The Kafka release that the table resembles, such as `0.10.2`: for messages, not for decisions.
    #[must_use]
    pub fn release(&self) -> &str {
        self.release
    }

    /// Whether the broker answers ApiVersions: 0.10.0 and later.
    #[must_use]
    pub fn knows_api_versions(&self) -> bool {
        self.knows_api_versions
    }

    /// The broker as errors name it: `host:port`.
    #[must_use]
    pub fn broker(&self) -> &Arc<str> {
        &self.broker
    }

    /// The error that says that this broker cannot do `what`.
    #[must_use]
    pub fn unsupported(&self, what: &str) -> Error {
        Error::new(
            Code::UNSUPPORTED_FEATURE,
            format!("broker {} (Kafka {}) does not support {what}", self.broker, self.release),
        )
        .with_broker(&*self.broker)
    }
}

/// The last version of a request that names topics by name.
fn most_without_topic_ids(key: ApiKey) -> i16 {
    match key {
        ApiKey::Produce | ApiKey::Fetch => 12,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 9,
        _ => i16::MAX,
    }
}

/// 4.x lists Produce from version 0 so that old librdkafka versions start (KIP-896), and closes the
/// connection on 0, 1 and 2. It is known by its Fetch, which begins at 4.
fn disbelieve_old_produce(ranges: &mut Ranges) {
    let dropped_old_formats =
        ranges.get(&ApiKey::Fetch.number()).is_some_and(|(least, _)| *least >= 4);
    if let Some((least, _)) = ranges.get_mut(&ApiKey::Produce.number()) {
        if dropped_old_formats {
            *least = (*least).max(3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::modern::messages::api_versions::{ApiVersion, FinalizedFeatureKey};
    use crate::protocol::modern::messages::create_topics::CreateTopicsRequest;
    use crate::protocol::modern::messages::fetch::FetchRequest;
    use crate::protocol::modern::messages::list_offsets::ListOffsetsRequest;
    use crate::protocol::modern::messages::metadata::MetadataRequest;
    use crate::protocol::modern::messages::produce::ProduceRequest;

    fn versions(ranges: &[(ApiKey, i16, i16)]) -> Versions {
        let entry = |(key, min_version, max_version): &(ApiKey, i16, i16)| ApiVersion {
            api_key: key.number(),
            min_version: *min_version,
            max_version: *max_version,
        };
        let api_keys = ranges.iter().map(entry).collect();
        let answer = ApiVersionsResponse { api_keys, ..Default::default() };
        Versions::from_answer(&Arc::from("h:1"), &answer)
    }

    #[test]
    fn the_highest_common_version_is_picked() {
        let versions = versions(&[
            (ApiKey::Metadata, 0, 5),
            (ApiKey::ListOffsets, 1, 99),
            (ApiKey::CreateTopics, 90, 99),
        ]);
        assert_eq!(versions.pick::<MetadataRequest>().unwrap(), 5);
        assert_eq!(versions.pick::<ListOffsetsRequest>().unwrap(), 11);
        assert!(versions.pick::<CreateTopicsRequest>().is_err(), "the ranges do not meet");
    }

    #[test]
    fn rule_2_5_the_level_of_a_finalised_feature_can_be_asked() {
        let feature = FinalizedFeatureKey {
            name: "transaction.version".to_owned(),
            max_version_level: 2,
            min_version_level: 0,
        };
        let answer =
            ApiVersionsResponse { finalized_features: vec![feature], ..Default::default() };
        let versions = Versions::from_answer(&Arc::from("h:1"), &answer);
        assert_eq!(versions.finalized_feature("transaction.version"), Some(2));
        assert_eq!(versions.finalized_feature("group.version"), None);
    }

    #[test]
    fn rule_2_6_produce_and_fetch_stay_below_topic_ids_unless_the_caller_has_them() {
        let versions = versions(&[(ApiKey::Produce, 0, 13), (ApiKey::Fetch, 4, 18)]);
        assert_eq!(versions.pick::<ProduceRequest>().unwrap(), 12);
        assert_eq!(versions.pick::<FetchRequest>().unwrap(), 12);
        assert_eq!(versions.pick_with_topic_ids::<ProduceRequest>().unwrap(), 13);
        assert_eq!(versions.pick_with_topic_ids::<FetchRequest>().unwrap(), 18);
    }

    #[test]
    fn rule_2_7_an_api_whose_version_0_is_gone_is_still_there() {
        assert_eq!(versions(&[(ApiKey::Fetch, 4, 18)]).pick::<FetchRequest>().unwrap(), 12);
    }

    #[test]
    fn the_false_promise_of_produce_v0_is_not_believed() {
        let false_promise = versions(&[(ApiKey::Produce, 0, 13), (ApiKey::Fetch, 4, 18)]);
        assert_eq!(false_promise.range(ApiKey::Produce), Some((3, 13)));
        assert!(false_promise.pick_up_to::<ProduceRequest>(2).is_err());
        let honest = versions(&[(ApiKey::Produce, 0, 11), (ApiKey::Fetch, 0, 17)]);
        assert_eq!(honest.range(ApiKey::Produce), Some((0, 11)));
    }

    #[test]
    fn rule_2_9_unknown_keys_and_impossible_ranges_are_skipped() {
        let strange = versions(&[(ApiKey::Metadata, 5, 3), (ApiKey::Fetch, -4, 3)]);
        assert_eq!(strange.range(ApiKey::Metadata), None);
        assert_eq!(strange.range(ApiKey::Fetch), None);
        let future = ApiVersion { api_key: 30_000, min_version: 0, max_version: 9 };
        let answer = ApiVersionsResponse { api_keys: vec![future], ..Default::default() };
        assert!(Versions::from_answer(&Arc::from("h:1"), &answer).knows_api_versions());
    }

    #[test]
    fn an_unsupported_request_names_the_broker_and_its_release() {
        let old = Versions::of_old(&Arc::from("h:1"), Old::V0_9);
        let error = old.pick::<CreateTopicsRequest>().unwrap_err();
        assert_eq!(error.message(), "broker h:1 (Kafka 0.9) does not support CreateTopics");
        assert_eq!((error.code(), error.broker()), (Code::UNSUPPORTED_FEATURE, Some("h:1")));
        assert_eq!(old.pick::<ProduceRequest>().unwrap(), 1);
        let older = Versions::of_old(&Arc::from("h:1"), Old::V0_8);
        assert_eq!(older.pick::<ProduceRequest>().unwrap(), 0);
        assert!(!older.knows_api_versions());
    }
}
