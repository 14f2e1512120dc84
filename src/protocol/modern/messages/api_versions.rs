//! ApiVersions (key 18): which versions of every API a broker speaks, and its features.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::since;

define_api!(ApiVersions, versions 0..=4, flexible since 3,
            ApiVersionsRequest => ApiVersionsResponse);

define_structs! {
    /// Asks for the broker's table. Brokers refuse an empty name or version (error 42).
    struct ApiVersionsRequest {
        /// The name of the client's software (KIP-511).
        client_software_name: String => since(3).ignorable(),
        /// The version of the client's software.
        client_software_version: String => since(3).ignorable(),
    }

    /// The broker's table.
    struct ApiVersionsResponse {
        /// 0, or 35: then the body is version 0 and the table is not the broker's (rule 2.2).
        error_code: i16 => since(0),
        /// The APIs that the broker serves.
        api_keys: Vec<ApiVersion> => since(0),
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// The features that the broker could serve.
        supported_features: Vec<SupportedFeatureKey> => since(3).tag(0).ignorable(),
        /// The era of the finalized features; −1 if unknown.
        finalized_features_epoch: i64 = -1 => since(3).tag(1).ignorable(),
        /// The features that are on in the whole cluster.
        finalized_features: Vec<FinalizedFeatureKey> => since(3).tag(2).ignorable(),
        /// Whether a KRaft controller is ready to take over from ZooKeeper.
        zk_migration_ready: bool => since(3).tag(3).ignorable(),
    }

    /// The versions of one API.
    struct ApiVersion {
        /// The API; not always one that we know.
        api_key: i16 => since(0),
        /// The first version.
        min_version: i16 => since(0),
        /// The last version.
        max_version: i16 => since(0),
    }

    /// A feature that the broker could serve.
    struct SupportedFeatureKey {
        /// The feature's name.
        name: String => since(3),
        /// The lowest level.
        min_version: i16 => since(3),
        /// The highest level.
        max_version: i16 => since(3),
    }

    /// A feature that is on in the whole cluster.
    struct FinalizedFeatureKey {
        /// The feature's name.
        name: String => since(3),
        /// The highest level.
        max_version_level: i16 => since(3),
        /// The lowest level.
        min_version_level: i16 => since(3),
    }
}
