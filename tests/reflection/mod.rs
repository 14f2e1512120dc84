//! What the protocol tests share: values as JSON, and every message behind one table.

#![allow(dead_code, reason = "each test crate uses a part of this")]

pub(crate) mod generate;

use bytes::Bytes;
use samsa::Result;
use samsa::protocol::modern::messages::{
    api_versions, consumer_group_describe, consumer_group_heartbeat, create_topics, delete_groups,
    delete_topics, describe_groups, fetch, find_coordinator, heartbeat, init_producer_id,
    join_group, leave_group, list_groups, list_offsets, metadata, offset_commit, offset_delete,
    offset_fetch, offset_for_leader_epoch, produce, sync_group,
};
use samsa::protocol::modern::schema::{Field, Schema};
use samsa::protocol::modern::structure::{Inspector, Structure};
use samsa::protocol::modern::wire::Wire;
use samsa::protocol::modern::{Message, Reader, Request, Uuid, Version, Writer};
use serde_json::{Map, Value};

/// A message type without its type.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    /// The official name.
    pub(crate) name: &'static str,
    pub(crate) first: i16,
    pub(crate) last: i16,
    pub(crate) flexible: i16,
    pub(crate) schema: Schema,
    /// Decodes; gives how many bytes are left.
    pub(crate) decode: fn(i16, Bytes) -> Result<usize>,
    /// Decodes and encodes again at another version.
    pub(crate) recode: fn(i16, Bytes, i16) -> Result<Vec<u8>>,
    /// Decodes and shows the fields of that version.
    pub(crate) json: fn(i16, Bytes) -> Result<Value>,
    /// Encodes the default value.
    pub(crate) default: fn(i16) -> Result<Vec<u8>>,
}

impl Codec {
    fn of<M: Message>() -> Self {
        Self {
            name: M::SCHEMA.name,
            first: *M::VERSIONS.start(),
            last: *M::VERSIONS.end(),
            flexible: M::FLEXIBLE,
            schema: M::SCHEMA,
            decode: |version, bytes| {
                let mut r = Reader::new(bytes);
                M::decode(version, &mut r)?;
                Ok(r.remaining())
            },
            recode: |version, bytes, other| {
                encode(&M::decode(version, &mut Reader::new(bytes))?, other)
            },
            json: |version, bytes| {
                Ok(to_json(&M::decode(version, &mut Reader::new(bytes))?, version))
            },
            default: |version| encode(&M::default(), version),
        }
    }

    pub(crate) fn versions(&self) -> std::ops::RangeInclusive<i16> {
        self.first..=self.last
    }

    pub(crate) fn version(&self, number: i16) -> Version {
        Version { number, flexible: number >= self.flexible }
    }
}

/// Every message: requests and their responses.
pub(crate) fn codecs() -> Vec<Codec> {
    fn both<R: Request>() -> [Codec; 2] {
        [Codec::of::<R>(), Codec::of::<R::Response>()]
    }
    [
        both::<produce::ProduceRequest>(),
        both::<fetch::FetchRequest>(),
        both::<list_offsets::ListOffsetsRequest>(),
        both::<metadata::MetadataRequest>(),
        both::<find_coordinator::FindCoordinatorRequest>(),
        both::<api_versions::ApiVersionsRequest>(),
        both::<create_topics::CreateTopicsRequest>(),
        both::<delete_topics::DeleteTopicsRequest>(),
        both::<init_producer_id::InitProducerIdRequest>(),
        both::<offset_for_leader_epoch::OffsetForLeaderEpochRequest>(),
        both::<offset_commit::OffsetCommitRequest>(),
        both::<offset_fetch::OffsetFetchRequest>(),
        both::<join_group::JoinGroupRequest>(),
        both::<heartbeat::HeartbeatRequest>(),
        both::<leave_group::LeaveGroupRequest>(),
        both::<sync_group::SyncGroupRequest>(),
        both::<describe_groups::DescribeGroupsRequest>(),
        both::<list_groups::ListGroupsRequest>(),
        both::<delete_groups::DeleteGroupsRequest>(),
        both::<offset_delete::OffsetDeleteRequest>(),
        both::<consumer_group_heartbeat::ConsumerGroupHeartbeatRequest>(),
        both::<consumer_group_describe::ConsumerGroupDescribeRequest>(),
    ]
    .concat()
}

/// The codec of a message by its official name.
pub(crate) fn codec(name: &str) -> Codec {
    codecs().into_iter().find(|codec| codec.name == name).expect(name)
}

pub(crate) fn encode<M: Message>(message: &M, version: i16) -> Result<Vec<u8>> {
    let mut w = Writer::new();
    message.encode(version, &mut w)?;
    let length = w.len();
    let bytes = w.finish().concat();
    assert_eq!(bytes.len(), length, "a writer counts what it holds");
    Ok(bytes)
}

/// The fields of one version as JSON. Ids are text; bytes are arrays of numbers.
pub(crate) fn to_json<S: Structure>(value: &S, version: i16) -> Value {
    let mut json = Json { version, stack: Vec::new(), done: Value::Null };
    Wire::inspect(value, &mut json);
    json.done
}

/// The default value of a structure as JSON, all fields of all versions.
pub(crate) fn default_json(schema: &Schema) -> Value {
    let mut json = Json { version: i16::MIN, stack: Vec::new(), done: Value::Null };
    (schema.inspect_default)(&mut json);
    json.done
}

/// Collects what an inspector sees.
struct Json {
    // i16::MIN: every field.
    version: i16,
    stack: Vec<Open>,
    done: Value,
}

enum Open {
    Array(Vec<Value>),
    Struct(Map<String, Value>),
    Field(&'static str),
}

impl Json {
    fn add(&mut self, value: Value) {
        match self.stack.pop() {
            None => self.done = value,
            Some(Open::Array(mut elements)) => {
                elements.push(value);
                self.stack.push(Open::Array(elements));
            }
            Some(Open::Field(name)) => match self.stack.last_mut() {
                Some(Open::Struct(fields)) => {
                    fields.insert(name.to_owned(), value);
                }
                _ => panic!("a field outside of a structure"),
            },
            Some(Open::Struct(_)) => panic!("a value without a field"),
        }
    }
}

impl Inspector for Json {
    fn null(&mut self) {
        self.add(Value::Null);
    }
    fn boolean(&mut self, value: bool) {
        self.add(value.into());
    }
    fn integer(&mut self, value: i64) {
        self.add(value.into());
    }
    fn uuid(&mut self, value: Uuid) {
        self.add(value.to_string().into());
    }
    fn text(&mut self, value: &str) {
        self.add(value.into());
    }
    fn bytes(&mut self, value: &[u8]) {
        self.add(value.into());
    }
    fn begin_array(&mut self, count: usize) {
        self.stack.push(Open::Array(Vec::with_capacity(count)));
    }
    fn end_array(&mut self) {
        match self.stack.pop() {
            Some(Open::Array(elements)) => self.add(elements.into()),
            _ => panic!("the end of an array that was not begun"),
        }
    }
    fn begin_struct(&mut self, _: &'static str) {
        self.stack.push(Open::Struct(Map::new()));
    }
    fn begin_field(&mut self, field: &'static Field) -> bool {
        let shown = self.version == i16::MIN || field.versions.contains(self.version);
        if shown {
            self.stack.push(Open::Field(field.name));
        }
        shown
    }
    fn end_struct(&mut self) {
        match self.stack.pop() {
            Some(Open::Struct(fields)) => self.add(fields.into()),
            _ => panic!("the end of a structure that was not begun"),
        }
    }
}

/// `ErrorCode`, `errorCode` → `error_code`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
