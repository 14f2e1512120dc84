//! Kafka's request protocol, 0.8.2 to 4.3: primitives, headers, and one definition per API.
//!
//! Read in this order: [`schema`] (what can be said of a field), one of [`messages`] (a whole
//! API, declared), `define` (the two macros that such a file uses), [`structure`] (the few
//! generic walks over the fields that are the encoder, the decoder and the reflection),
//! [`wire`] (how each type looks in bytes) and at the bottom [`Reader`] and [`Writer`].
//! [`header`] puts a message into its frame.

mod any;
mod api_key;
pub mod consumer_protocol;
mod define;
pub mod header;
mod message;
pub mod messages;
mod reader;
pub mod schema;
pub mod structure;
mod uuid;
pub mod wire;
mod writer;

pub use any::{AnyRequest, ApiInfo};
pub use api_key::ApiKey;
pub use message::{Message, Request};
pub use reader::Reader;
pub use uuid::Uuid;
pub use wire::Version;
pub use writer::Writer;
