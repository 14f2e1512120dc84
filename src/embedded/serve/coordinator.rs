//! FindCoordinator and InitProducerId.

use super::{Call, Serve, Served, wire};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use crate::protocol::modern::messages::init_producer_id::{
    InitProducerIdRequest, InitProducerIdResponse,
};

/// The kind of key that names a group.
const GROUP: i8 = 0;

impl Serve for FindCoordinatorRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        topic.is_none() && partition.is_none()
    }

    fn serve(self, call: &Call<'_>) -> Served<FindCoordinatorResponse> {
        let mut response = FindCoordinatorResponse::default();
        if call.version >= 4 {
            let keys = self.coordinator_keys.into_iter();
            response.coordinators = keys.map(|key| coordinator(call, self.key_type, key)).collect();
        } else {
            let found = coordinator(call, self.key_type, self.key);
            response.error_code = found.error_code;
            response.node_id = found.node_id;
            response.host = found.host;
            response.port = found.port;
        }
        Served::Answer(response)
    }

    fn throttle(response: &mut FindCoordinatorResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

/// The coordinator of a group; that of anything else is the living broker with the lowest id.
fn coordinator(call: &Call<'_>, key_type: i8, key: String) -> Coordinator {
    let node = match key_type {
        GROUP => call.shared.coordinator(&key),
        _ => call.shared.living().next().map(|(id, _)| id),
    };
    let seat = node.and_then(|id| Some((id, call.shared.seat(id).ok()?)));
    let (node_id, host, port) = seat.map_or((-1, String::new(), -1), |(id, seat)| {
        (id, seat.address.ip().to_string(), i32::from(seat.address.port()))
    });
    let found = if node_id < 0 { wire(Code::COORDINATOR_NOT_AVAILABLE) } else { 0 };
    let error_code = call.verdict.request_code().map_or(found, |(code, _)| code);
    Coordinator { key, node_id, host, port, error_code, ..Coordinator::default() }
}

impl Serve for InitProducerIdRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        topic.is_none() && partition.is_none()
    }

    /// Without a transactional id a broker always hands out a new producer id, also to who asks
    /// for the next epoch of an old one (KIP-360). There are no transactions here.
    fn serve(self, call: &Call<'_>) -> Served<InitProducerIdResponse> {
        let refused = match call.verdict.request_code() {
            Some((code, _)) => Some(code),
            None if self.transactional_id.is_some() => {
                Some(wire(Code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
            }
            None => None,
        };
        Served::Answer(match refused {
            Some(error_code) => InitProducerIdResponse {
                error_code,
                producer_id: -1,
                producer_epoch: -1,
                ..InitProducerIdResponse::default()
            },
            None => InitProducerIdResponse {
                producer_id: call.shared.fresh_producer_id(),
                producer_epoch: 0,
                ..InitProducerIdResponse::default()
            },
        })
    }

    fn throttle(response: &mut InitProducerIdResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}
