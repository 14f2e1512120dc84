//! What Kafka 0.7 has no place for.

use super::super::core::Core;
use crate::error::{Code, Error, Result};
use crate::producer::record::Record;

impl Core {
    /// Refuses a record that a broker of 0.7 cannot keep as it is, before it is sent: a broker would drop
    /// it, or what it says, in silence. The key is no part of the message, it only chooses.
    pub(crate) fn check_legacy(&self, record: &Record<'_>) -> Result<()> {
        let refused = |what: &str| {
            let name = record.topic.name();
            let text =
                format!("Kafka 0.7 has no {what}: a message of topic {name} is its value alone");
            Err(Error::new(Code::UNSUPPORTED_FEATURE, text).with_topic(&**name))
        };
        if self.ledger.identity.is_required() {
            let cause = Error::new(Code::UNSUPPORTED_FEATURE, "the cluster is of Kafka 0.7");
            return Err(self.ledger.identity.refusal(cause));
        }
        if record.headers.count() > 0 {
            return refused("headers");
        }
        if record.timestamp.is_some() {
            return refused("timestamps");
        }
        let Some(payload) = record.value else {
            return refused("null values");
        };
        let limit = self.config.legacy_max_request_size;
        if payload.len() > limit {
            let text = format!(
                "the message has {} bytes, above max.request.size={limit} (1000000 on Kafka 0.7 if \
                 it is not set, because a broker drops larger ones in silence)",
                payload.len()
            );
            let name = record.topic.name();
            let error = Error::new(Code::RECORD_TOO_LARGE, text).with_topic(&**name);
            return Err(error.with_property("max.request.size"));
        }
        Ok(())
    }
}
