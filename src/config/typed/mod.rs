//! The typed views that the other rooms read.

mod client;
mod consumer;
mod group;
mod idle;
mod partitioning;
mod producer;
mod zookeeper;

use std::time::Duration;

pub use crate::protocol::record::Compression;
pub use client::{ClientConfig, Events};
pub use consumer::{ConsumerConfig, IsolationLevel, Reset, TopicConsumerConfig};
pub use group::{
    Assignor, GroupConfig, GroupProtocol, OffsetsStorage, ZooKeeperGroupConfig, ZooKeeperLayout,
};
pub use partitioning::{Partitioner, Partitioning};
pub use producer::{Acks, DeliveryReport, ProducerConfig, TopicProducerConfig};
pub use zookeeper::{ZooKeeperAuth, ZooKeeperConfig};

use super::store::Config;
use super::table::{self, Owner};
use crate::error::{Code, Error, Result};

/// Reads one configuration as typed values, for all topics or for one.
#[derive(Clone, Copy)]
struct Values<'a> {
    config: &'a Config,
    topic: Option<&'a str>,
}

impl<'a> Values<'a> {
    fn of(config: &'a Config) -> Self {
        Self { config, topic: None }
    }

    /// The same, but what is set for this topic comes first.
    fn for_topic(config: &'a Config, topic: &'a str) -> Self {
        Self { config, topic: Some(topic) }
    }

    /// The value in force, in canonical form.
    fn text(&self, name: &'static str) -> Result<&'a str> {
        let own = self.topic.and_then(|topic| self.config.explicit_for_topic(topic, name));
        own.or_else(|| self.config.explicit(name))
            .or_else(|| table::property(name).map(|row| row.default))
            .ok_or_else(|| bug(name))
    }

    /// Whether somebody set it, for this topic or for all.
    fn is_explicit(&self, name: &'static str) -> bool {
        let own = self.topic.and_then(|topic| self.config.explicit_for_topic(topic, name));
        own.or_else(|| self.config.explicit(name)).is_some()
    }

    fn number<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T> {
        let number: Option<i64> = self.text(name)?.parse().ok();
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| bug(name))
    }

    fn millis(&self, name: &'static str) -> Result<Duration> {
        Ok(Duration::from_millis(self.number(name)?))
    }

    fn boolean(&self, name: &'static str) -> Result<bool> {
        Ok(self.text(name)? == "true")
    }

    fn choice<T>(&self, name: &'static str, of: impl Fn(&str) -> Option<T>) -> Result<T> {
        of(self.text(name)?).ok_or_else(|| bug(name))
    }
}

/// Values are checked when they are set, and the defaults by a test: this is not reached.
fn bug(name: &'static str) -> Error {
    Error::new(Code::INVALID_PROPERTY, format!("{name} has no usable value")).with_property(name)
}

/// Overrides of a child may not hold what belongs to another kind of handle: it would have no effect.
fn check_overrides(overrides: Option<&Config>, child: Owner) -> Result<()> {
    for value in overrides.into_iter().flat_map(Config::iter) {
        let owner = value.property.owner;
        if owner != child && owner != Owner::Common && owner != Owner::Client {
            return Err(Error::new(
                Code::INVALID_PROPERTY,
                format!(
                    "{} is a property of a {}, and has no effect on a {}",
                    value.name,
                    owner.name(),
                    child.name()
                ),
            )
            .with_property(value.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
