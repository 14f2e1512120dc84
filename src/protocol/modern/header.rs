//! Frames: a length, a header, a message.
//!
//! Which header a message has follows from its version (KIP-482), with two exceptions that every
//! broker depends on (rule 2.1): the client id keeps its old two-byte length, so that a broker can
//! read the header of a version it does not know, and the response to ApiVersions always has the
//! oldest header, because the client cannot know yet what the broker speaks.

use bytes::{Buf, Bytes};

use crate::error::{Code, Error, Result};

use super::wire::{Version, Wire};
use super::{AnyRequest, ApiKey, Message, Reader, Request, Writer};

/// Room for the fields of an ordinary request besides its records.
const REQUEST_CAPACITY: usize = 256;

/// The header of a request, without the tagged fields, of which none is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API that is asked.
    pub api_key: ApiKey,
    /// The version of the request, and of its response.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// What the client calls itself, if it says so.
    pub client_id: Option<String>,
}

// Strings in headers have the old format at every version.
const OLD_FORMAT: Version = Version { number: 1, flexible: false };

impl RequestHeader {
    /// Reads the header of a frame after its length; the body follows.
    ///
    /// The version need not be one that we know: a broker must be able to answer "35" to
    /// ApiVersions of any version (rule 2.2).
    ///
    /// # Errors
    /// [`Code::PROTOCOL`] if the bytes are not a header, or the API key is unknown.
    pub fn decode(r: &mut Reader) -> Result<Self> {
        let api_key = ApiKey::try_from(r.i16()?)?;
        let version = r.i16()?;
        let correlation_id = r.i32()?;
        let client_id = Option::read(OLD_FORMAT, r)?;
        if AnyRequest::api(api_key).is_some_and(|api| version >= api.flexible) {
            r.skip_tagged_fields()?;
        }
        Ok(Self { api_key, version, correlation_id, client_id })
    }
}

/// Makes the frame of a request, its length in front, as segments for one vectored write.
///
/// # Errors
/// Those of [`Message::encode`]; [`Code::INVALID_ARGUMENT`] if the client id or the frame is too
/// long.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: &str,
    request: &R,
) -> Result<Vec<Bytes>> {
    let mut w = Writer::with_capacity(REQUEST_CAPACITY + client_id.len());
    w.put_i32(0);
    w.put_i16(R::KEY.number());
    w.put_i16(version);
    w.put_i32(correlation_id);
    let length = i16::try_from(client_id.len()).map_err(|_| {
        let message = format!("client.id has {} bytes, 32767 is the most", client_id.len());
        Error::new(Code::INVALID_ARGUMENT, message)
    })?;
    w.put_i16(length);
    w.put_slice(client_id.as_bytes());
    if version >= R::FLEXIBLE {
        w.put_unsigned_varint(0);
    }
    request.encode(version, &mut w)?;
    frame(w)
}

/// Makes the frame of a response, its length in front, as segments for one vectored write.
///
/// # Errors
/// Those of [`Message::encode`].
pub fn encode_response<R: Request>(
    version: i16,
    correlation_id: i32,
    response: &R::Response,
) -> Result<Vec<Bytes>> {
    let mut w = Writer::with_capacity(REQUEST_CAPACITY);
    w.put_i32(0);
    w.put_i32(correlation_id);
    if has_tagged_response_header::<R>(version) {
        w.put_unsigned_varint(0);
    }
    response.encode(version, &mut w)?;
    frame(w)
}

/// Reads the frame of a response, after its length, to its end.
///
/// An ApiVersions response that says "unsupported version" is read as version 0 whatever was
/// asked, because that is what brokers send (rule 2.2).
///
/// # Errors
/// Those of [`Message::decode`]; [`Code::PROTOCOL`] if bytes are left over.
pub fn decode_response<R: Request>(version: i16, frame: Bytes) -> Result<(i32, R::Response)> {
    let version = if refuses_version::<R>(&frame) { 0 } else { version };
    let mut r = Reader::new(frame);
    let correlation_id = r.i32()?;
    if has_tagged_response_header::<R>(version) {
        r.skip_tagged_fields()?;
    }
    let response = R::Response::decode(version, &mut r)?;
    r.finish().map_err(|cause| {
        let message = format!("cannot decode a {} response version {version}", R::KEY);
        Error::new(Code::PROTOCOL, message).caused_by(cause)
    })?;
    Ok((correlation_id, response))
}

/// The correlation id of a response frame, after its length.
///
/// # Errors
/// [`Code::PROTOCOL`] if the frame has less than four bytes.
pub fn peek_correlation(frame: &Bytes) -> Result<i32> {
    Reader::new(frame.clone()).i32()
}

fn has_tagged_response_header<R: Request>(version: i16) -> bool {
    R::KEY != ApiKey::ApiVersions && version >= R::FLEXIBLE
}

fn refuses_version<R: Request>(frame: &Bytes) -> bool {
    let mut after_correlation = frame.get(4..).unwrap_or_default();
    R::KEY == ApiKey::ApiVersions
        && after_correlation.remaining() >= 2
        && i32::from(after_correlation.get_i16()) == Code::UNSUPPORTED_VERSION.0
}

fn frame(mut w: Writer) -> Result<Vec<Bytes>> {
    let length = i32::try_from(w.len() - 4).map_err(|_| {
        let message = format!("a frame of {} bytes is too long for Kafka", w.len() - 4);
        Error::new(Code::INVALID_ARGUMENT, message)
    })?;
    w.patch_i32(0, length);
    Ok(w.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::modern::messages::api_versions::{
        ApiVersion, ApiVersionsRequest, ApiVersionsResponse,
    };
    use crate::protocol::modern::messages::fetch::{FetchRequest, FetchResponse};
    use crate::protocol::modern::messages::metadata::{MetadataRequest, MetadataResponse};

    fn body(frame: Vec<Bytes>) -> Bytes {
        let mut bytes = Bytes::from(frame.concat());
        let length = usize::try_from(bytes.get_i32()).expect("a length");
        assert_eq!(length, bytes.len(), "the length in front counts what follows it");
        bytes
    }

    #[test]
    fn a_request_comes_back_from_its_frame() {
        for version in FetchRequest::VERSIONS {
            let request = FetchRequest { max_wait_ms: 500, ..FetchRequest::default() };
            let frame = encode_request(version, 7, "ä", &request).expect("encodes");
            let mut r = Reader::new(body(frame));
            let header = RequestHeader::decode(&mut r).expect("a header");
            assert_eq!((header.api_key, header.version), (ApiKey::Fetch, version));
            assert_eq!((header.correlation_id, header.client_id.as_deref()), (7, Some("ä")));
            let any = AnyRequest::decode(header.api_key, version, &mut r).expect("a body");
            assert_eq!(any, AnyRequest::Fetch(request));
        }
    }

    #[test]
    fn rule_2_1_the_client_id_is_an_old_string_in_every_request_header() {
        let client_id = "x".repeat(300);
        for version in ApiVersionsRequest::VERSIONS {
            let request = ApiVersionsRequest::default();
            let bytes = body(encode_request(version, 1, &client_id, &request).expect("encodes"));
            assert_eq!(bytes[..8], [0, 18, 0, version.to_be_bytes()[1], 0, 0, 0, 1]);
            assert_eq!(bytes[8..10], [1, 44], "two bytes of length, not a varint plus one");
            assert_eq!(bytes[10..310], *client_id.as_bytes());
            let tags = if version >= 3 { &[0, 1, 1, 0][..] } else { &[] };
            assert_eq!(bytes[310..], *tags, "the header's tags, two empty strings, their tags");
        }
        let too_long = "x".repeat(32_768);
        let refused = encode_request(0, 1, &too_long, &ApiVersionsRequest::default());
        assert_eq!(refused.expect_err("too long").code(), Code::INVALID_ARGUMENT);
    }

    #[test]
    fn rule_2_1_the_response_to_api_versions_has_the_oldest_header_at_every_version() {
        for version in ApiVersionsRequest::VERSIONS {
            let response = ApiVersionsResponse { throttle_time_ms: 0, ..Default::default() };
            let bytes =
                body(encode_response::<ApiVersionsRequest>(version, 9, &response).expect("ok"));
            assert_eq!(bytes[..6], [0, 0, 0, 9, 0, 0], "the error code follows the correlation id");
            let (correlation, back) =
                decode_response::<ApiVersionsRequest>(version, bytes).expect("decodes");
            assert_eq!((correlation, back), (9, response));
        }
        let response = MetadataResponse::default();
        let bytes = body(encode_response::<MetadataRequest>(9, 9, &response).expect("encodes"));
        assert_eq!(bytes[..5], [0, 0, 0, 9, 0], "others have the tagged header when flexible");
    }

    #[test]
    fn rule_2_2_error_35_is_read_as_version_0_whatever_was_asked() {
        // As brokers sent them: before 2.4 an empty list, since then one entry.
        let empty = Bytes::from_static(&[0, 0, 0, 1, 0, 35, 0, 0, 0, 0]);
        let one = Bytes::from_static(&[0, 0, 0, 1, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3]);
        for version in ApiVersionsRequest::VERSIONS {
            let (_, response) = decode_response::<ApiVersionsRequest>(version, empty.clone())
                .expect("error 35 without a list");
            assert_eq!((response.error_code, response.api_keys.len()), (35, 0));
            let (_, response) = decode_response::<ApiVersionsRequest>(version, one.clone())
                .expect("error 35 with one entry");
            let entry = ApiVersion { api_key: 18, min_version: 0, max_version: 3 };
            assert_eq!((response.error_code, response.api_keys), (35, vec![entry]));
        }
    }

    #[test]
    fn rule_2_2_the_header_of_an_unknown_version_is_still_readable() {
        // ApiVersions version 5 of a future client, with a tagged field in the header.
        let bytes = [0, 18, 0, 5, 0, 0, 0, 3, 0, 1, b'a', 1, 9, 2, 0xaa, 0xbb, 0x42];
        let mut r = Reader::new(Bytes::copy_from_slice(&bytes));
        let header = RequestHeader::decode(&mut r).expect("a header");
        assert_eq!((header.api_key, header.version), (ApiKey::ApiVersions, 5));
        assert_eq!((header.correlation_id, header.client_id.as_deref()), (3, Some("a")));
        assert_eq!(r.remaining(), 1, "the tagged field of the header is skipped, the body is not");
        let refused = AnyRequest::decode(ApiKey::ApiVersions, 5, &mut r);
        assert_eq!(refused.expect_err("unknown").code(), Code::UNSUPPORTED_FEATURE);
    }

    #[test]
    fn rule_2_9_tagged_fields_of_a_response_header_are_skipped_by_their_size() {
        let response = FetchResponse { throttle_time_ms: 3, ..FetchResponse::default() };
        let mut w = Writer::new();
        w.put_i32(5);
        w.put_slice(&[2, 7, 1, 0xff, 9, 0]);
        response.encode(12, &mut w).expect("encodes");
        let frame = Bytes::from(w.finish().concat());
        assert_eq!(peek_correlation(&frame).expect("an id"), 5);
        let (correlation, back) = decode_response::<FetchRequest>(12, frame).expect("decodes");
        assert_eq!((correlation, back), (5, response));
    }

    #[test]
    fn rule_2_9_unknown_api_keys_and_error_codes_are_plain_numbers() {
        let unknown = ApiVersion { api_key: 30_000, min_version: -5, max_version: i16::MAX };
        let response = ApiVersionsResponse {
            error_code: 29_999,
            api_keys: vec![unknown],
            ..ApiVersionsResponse::default()
        };
        let bytes = body(encode_response::<ApiVersionsRequest>(3, 1, &response).expect("encodes"));
        let (_, back) = decode_response::<ApiVersionsRequest>(3, bytes).expect("decodes");
        assert_eq!(back, response);
    }

    #[test]
    fn bytes_after_a_response_are_an_error_that_names_the_api() {
        let mut w = Writer::new();
        w.put_i32(5);
        MetadataResponse::default().encode(1, &mut w).expect("encodes");
        w.put_i8(0);
        let frame = Bytes::from(w.finish().concat());
        let error = decode_response::<MetadataRequest>(1, frame).expect_err("left over");
        assert_eq!(error.code(), Code::PROTOCOL);
        assert!(error.message().contains("Metadata response version 1"), "{error}");
    }
}
