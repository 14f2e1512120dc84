//! ApiVersions: exactly what is served.

use super::{Answer, Call, Fate, Head, Serve, Served, Step, encode, served_apis, wire};
use crate::embedded::release::Range;
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::ApiKey;
use crate::protocol::modern::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse,
};

impl Serve for ApiVersionsRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        topic.is_none() && partition.is_none()
    }

    fn serve(self, call: &Call<'_>) -> Served<ApiVersionsResponse> {
        let mut response = ApiVersionsResponse::default();
        // KIP-511: a client that says who it is says it in full.
        let nameless =
            self.client_software_name.is_empty() || self.client_software_version.is_empty();
        if call.version >= 3 && nameless {
            response.error_code = wire(Code::INVALID_REQUEST);
            return Served::Answer(response);
        }
        if let Some((code, _)) = call.verdict.request_code() {
            response.error_code = code;
            return Served::Answer(response);
        }
        response.api_keys = advertised(call.shared, call.broker);
        Served::Answer(response)
    }

    fn throttle(response: &mut ApiVersionsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn advertised(shared: &Shared, broker: i32) -> Vec<ApiVersion> {
    let Ok(seat) = shared.seat(broker) else { return Vec::new() };
    let conduct = seat.conduct();
    let rows = served_apis().into_iter().filter_map(|(api, defined)| {
        let range = conduct.release.advertised(api, defined)?;
        let limits = conduct.limits.get(&api).copied();
        super::narrowed(range, limits).map(|range| row(api, range))
    });
    rows.collect()
}

fn row(api: i16, (min_version, max_version): Range) -> ApiVersion {
    ApiVersion { api_key: api, min_version, max_version }
}

/// The answer to a version that the broker does not know: error 35 in the layout of version 0, so
/// that any client can read it, and since KIP-511 with the versions of ApiVersions itself.
pub(super) fn unsupported(head: &Head, names_itself: bool, range: Range) -> Step {
    let api = ApiKey::ApiVersions as i16;
    let response = ApiVersionsResponse {
        error_code: wire(Code::UNSUPPORTED_VERSION),
        api_keys: if names_itself { vec![row(api, range)] } else { Vec::new() },
        ..ApiVersionsResponse::default()
    };
    let head = Head { version: 0, ..*head };
    match encode::<ApiVersionsRequest>(&head, &response) {
        Some(frame) => Step { answer: Answer::Frame(frame), fate: Fate::Send },
        None => Step::close(),
    }
}
