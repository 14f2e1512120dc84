//! How long an answer asks the client to be silent (invariant 4.18, KIP-219).

use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::protocol::modern::schema::Field;
use crate::protocol::modern::structure::{Inspector, Structure, Visitor};
use crate::protocol::modern::wire::Wire;
use crate::protocol::modern::{ApiKey, Request, Uuid};

/// The longest silence that is kept. Brokers reckon in windows of about eleven seconds, so that more than
/// minutes means that one is ill or its answer garbage, and believing it could silence the connection for
/// 24 days. A broker that means it reads nothing until its time is over: the next request's time ends with
/// an error that says so, instead of waiting unsent without one.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The silence that the answer to a request of this version asks for; zero before the version from
/// which on the broker answers first and the client waits (older brokers wait themselves).
pub(super) fn asked<R: Request>(version: i16, response: &R::Response) -> Duration {
    if version < first_version(R::KEY) {
        return Duration::ZERO;
    }
    let mut find = Find { milliseconds: 0 };
    // An error only means that the rest need not be looked at.
    let _ = response.visit(&mut find);
    Duration::from_millis(u64::try_from(find.milliseconds).unwrap_or(0))
}

fn first_version(key: ApiKey) -> i16 {
    match key {
        ApiKey::Produce | ApiKey::Metadata => 6,
        ApiKey::Fetch => 8,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 4,
        ApiKey::ListOffsets | ApiKey::CreateTopics | ApiKey::JoinGroup => 3,
        ApiKey::InitProducerId | ApiKey::DeleteRecords => 1,
        _ => 2,
    }
}

/// Finds the field of that name; the definitions of all APIs call it so.
struct Find {
    milliseconds: i64,
}

impl Visitor for Find {
    fn field<T: Wire>(
        &mut self,
        field: &'static Field,
        value: &T,
        _default: impl FnOnce() -> T,
    ) -> Result<()> {
        if field.name != "throttle_time_ms" {
            return Ok(());
        }
        value.inspect(self);
        Err(Error::bare(Code::NOTHING))
    }
}

impl Inspector for Find {
    fn integer(&mut self, value: i64) {
        self.milliseconds = value;
    }
    fn null(&mut self) {}
    fn boolean(&mut self, _value: bool) {}
    fn uuid(&mut self, _value: Uuid) {}
    fn text(&mut self, _value: &str) {}
    fn bytes(&mut self, _value: &[u8]) {}
    fn begin_array(&mut self, _count: usize) {}
    fn end_array(&mut self) {}
    fn begin_struct(&mut self, _name: &'static str) {}
    fn begin_field(&mut self, _field: &'static Field) -> bool {
        false
    }
    fn end_struct(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::modern::messages::fetch::{FetchRequest, FetchResponse};
    use crate::protocol::modern::messages::produce::{ProduceRequest, ProduceResponse};

    #[test]
    fn rule_4_18_the_client_is_silent_from_produce_6_and_fetch_8_on() {
        let produce = ProduceResponse { throttle_time_ms: 70, ..Default::default() };
        let fetch = FetchResponse { throttle_time_ms: 80, ..Default::default() };
        assert_eq!(asked::<ProduceRequest>(5, &produce).as_millis(), 0);
        assert_eq!(asked::<ProduceRequest>(6, &produce).as_millis(), 70);
        assert_eq!(asked::<FetchRequest>(7, &fetch).as_millis(), 0);
        assert_eq!(asked::<FetchRequest>(8, &fetch).as_millis(), 80);
        let negative = FetchResponse { throttle_time_ms: -1, ..Default::default() };
        assert_eq!(asked::<FetchRequest>(8, &negative).as_millis(), 0);
    }
}
