//! Any request that we have a definition for: what a broker reads from a connection.

use crate::error::{Code, Error, Result};

use super::messages::api_versions::ApiVersionsRequest;
use super::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use super::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use super::messages::create_topics::CreateTopicsRequest;
use super::messages::delete_groups::DeleteGroupsRequest;
use super::messages::delete_topics::DeleteTopicsRequest;
use super::messages::describe_groups::DescribeGroupsRequest;
use super::messages::fetch::FetchRequest;
use super::messages::find_coordinator::FindCoordinatorRequest;
use super::messages::heartbeat::HeartbeatRequest;
use super::messages::init_producer_id::InitProducerIdRequest;
use super::messages::join_group::JoinGroupRequest;
use super::messages::leave_group::LeaveGroupRequest;
use super::messages::list_groups::ListGroupsRequest;
use super::messages::list_offsets::ListOffsetsRequest;
use super::messages::metadata::MetadataRequest;
use super::messages::offset_commit::OffsetCommitRequest;
use super::messages::offset_delete::OffsetDeleteRequest;
use super::messages::offset_fetch::OffsetFetchRequest;
use super::messages::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use super::messages::produce::ProduceRequest;
use super::messages::sync_group::SyncGroupRequest;
use super::schema::Schema;
use super::structure::Structure;
use super::{ApiKey, Message, Reader, Request};

/// What is known of an API that has a definition.
#[derive(Clone, Copy, Debug)]
pub struct ApiInfo {
    /// The API.
    pub key: ApiKey,
    /// The first version known.
    pub first: i16,
    /// The last version known.
    pub last: i16,
    /// The first version in the flexible format; `i16::MAX` if there is none.
    pub flexible: i16,
    /// The request's fields.
    pub request: Schema,
    /// The response's fields.
    pub response: Schema,
}

impl ApiInfo {
    const fn of<R: Request>() -> Self {
        Self {
            key: R::KEY,
            first: *R::VERSIONS.start(),
            last: *R::VERSIONS.end(),
            flexible: R::FLEXIBLE,
            request: R::SCHEMA,
            response: <R::Response as Structure>::SCHEMA,
        }
    }
}

macro_rules! any_request {
    ($($key:ident($request:ty),)*) => {
        /// A request of any API that has a definition.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each variant is the request of its API")]
        pub enum AnyRequest {
            $($key($request),)*
        }

        impl AnyRequest {
            /// Every API that has a definition.
            pub const APIS: &'static [ApiInfo] = &[$(ApiInfo::of::<$request>()),*];

            /// Reads the body of a request, to its end.
            ///
            /// # Errors
            /// [`Code::PROTOCOL`] if the bytes are not this request;
            /// [`Code::UNSUPPORTED_FEATURE`] if the API or the version has no definition.
            pub fn decode(key: ApiKey, version: i16, r: &mut Reader) -> Result<Self> {
                let request = match key {
                    $(ApiKey::$key => Self::$key(<$request>::decode(version, r)?),)*
                    _ => {
                        let message = format!("no definition of {key} is built in");
                        return Err(Error::new(Code::UNSUPPORTED_FEATURE, message));
                    }
                };
                r.finish()?;
                Ok(request)
            }

            /// The API that the request belongs to.
            #[must_use]
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Self::$key(_) => ApiKey::$key,)*
                }
            }
        }
    };
}

any_request! {
    Produce(ProduceRequest),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    OffsetCommit(OffsetCommitRequest),
    OffsetFetch(OffsetFetchRequest),
    FindCoordinator(FindCoordinatorRequest),
    JoinGroup(JoinGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    SyncGroup(SyncGroupRequest),
    DescribeGroups(DescribeGroupsRequest),
    ListGroups(ListGroupsRequest),
    ApiVersions(ApiVersionsRequest),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    DeleteGroups(DeleteGroupsRequest),
    OffsetDelete(OffsetDeleteRequest),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest),
}

impl AnyRequest {
    /// What is known of an API, if it has a definition.
    #[must_use]
    pub fn api(key: ApiKey) -> Option<&'static ApiInfo> {
        Self::APIS.iter().find(|api| api.key == key)
    }
}
