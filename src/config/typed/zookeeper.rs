//! How ZooKeeper is reached, and what is taken from it.

use std::fmt;
use std::time::Duration;

use super::Values;
use crate::config::Ensemble;
use crate::error::{Code, Error, Result};

/// The properties of discovery through ZooKeeper.
#[derive(Clone, Debug)]
pub struct ZooKeeperConfig {
    /// `zookeeper.connect`.
    pub ensemble: Ensemble,
    /// `zookeeper.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `zookeeper.connection.timeout.ms`.
    pub connection_timeout: Duration,
    /// `samsa.zookeeper.auth`, if it is set.
    pub auth: Option<ZooKeeperAuth>,
    /// `samsa.listener.name`, if it is set.
    pub listener_name: Option<String>,
}

/// Who this client is to ZooKeeper.
#[derive(Clone, PartialEq, Eq)]
pub struct ZooKeeperAuth {
    /// `digest`.
    pub scheme: String,
    /// `user:password`.
    pub credentials: String,
}

/// Without the password.
impl fmt::Debug for ZooKeeperAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperAuth").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl ZooKeeperConfig {
    /// None when `zookeeper.connect` is not set.
    pub(super) fn from(values: Values<'_>) -> Result<Option<Self>> {
        let connect = values.text("zookeeper.connect")?;
        if connect.is_empty() {
            return Ok(None);
        }
        let listener_name = values.text("samsa.listener.name")?;
        Ok(Some(Self {
            ensemble: Ensemble::parse(connect)?,
            session_timeout: values.millis("zookeeper.session.timeout.ms")?,
            connection_timeout: values.millis("zookeeper.connection.timeout.ms")?,
            auth: auth(values.text("samsa.zookeeper.auth")?)?,
            listener_name: Some(listener_name.to_owned()).filter(|name| !name.is_empty()),
        }))
    }
}

fn auth(text: &str) -> Result<Option<ZooKeeperAuth>> {
    if text.is_empty() {
        return Ok(None);
    }
    let credentials = text
        .strip_prefix("digest:")
        .filter(|rest| rest.split_once(':').is_some_and(|(user, _)| !user.is_empty()));
    // The value is a secret: it does not stand in the message.
    let credentials = credentials.ok_or_else(|| {
        let text = "samsa.zookeeper.auth is invalid: give digest:USER:PASSWORD";
        Error::new(Code::INVALID_PROPERTY, text).with_property("samsa.zookeeper.auth")
    })?;
    let (scheme, credentials) = ("digest".to_owned(), credentials.to_owned());
    Ok(Some(ZooKeeperAuth { scheme, credentials }))
}
