//! From an address to a stream: look its name up, try every address, within one deadline.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::resolve::resolve;
use super::{TcpTransport, Transport};
use crate::config::Address;
use crate::error::{Code, Error, Result};

/// How far an attempt to reach a broker has come: for the error of somebody who stops waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The next attempt is not due yet.
    BackingOff,
    /// The name is being looked up.
    Resolving,
    /// The connection was asked for.
    Connecting,
    /// The broker accepted, and has not said yet what it speaks.
    Negotiating,
}

impl Stage {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::BackingOff => "the next attempt to connect is not due yet",
            Self::Resolving => "its name is still being looked up",
            Self::Connecting => "it has not accepted the connection yet",
            Self::Negotiating => "it accepted the connection and has not answered yet",
        }
    }
}

/// What a dialer gives.
pub type Dialed<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Transport>>> + Send + 'a>>;

/// Makes streams: TCP here, in-memory ones in tests; TLS and SASL have their seat here.
pub trait Dialer: Send + Sync + 'static {
    /// Reaches `address` before `deadline`; tells each stage it comes to.
    ///
    /// `RESOLVE_FAILED`, `CONNECTION_FAILED`; the caller adds the broker's name.
    fn dial<'a>(
        &'a self,
        address: &'a Address,
        deadline: Instant,
        stage: &'a (dyn Fn(Stage) + Send + Sync),
    ) -> Dialed<'a>;
}

/// Plain TCP. The name is resolved anew for each connection, so that a broker which moved to another
/// IP address is found (invariant 1.17).
#[derive(Debug, Default)]
pub struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial<'a>(
        &'a self,
        address: &'a Address,
        deadline: Instant,
        stage: &'a (dyn Fn(Stage) + Send + Sync),
    ) -> Dialed<'a> {
        Box::pin(async move {
            stage(Stage::Resolving);
            let addresses = resolve(address, deadline).await?;
            stage(Stage::Connecting);
            let stream = connect_any(&addresses, deadline).await?;
            let transport: Arc<dyn Transport> = Arc::new(TcpTransport::new(stream)?);
            Ok(transport)
        })
    }
}

/// Tries each address (invariant 1.17). Those still to come keep their share of the time, so that one
/// that swallows packets does not hide one that works.
async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream> {
    let mut failures = Vec::new();
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = share(left, addresses.len() - tried);
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            Err(_) => failures.push(format!("{address}: no answer in {} ms", share.as_millis())),
        }
    }
    Err(Error::new(Code::CONNECTION_FAILED, failures.join("; ")))
}

/// The time for the next of `count` addresses.
fn share(left: Duration, count: usize) -> Duration {
    left / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn rule_1_17_every_resolved_address_is_tried() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = connect_any(&[closed, good], soon()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = connect_any(&[closed, closed], soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::CONNECTION_FAILED);
        assert_eq!(error.message().matches("refused").count(), 2, "both are named: {error}");
    }

    #[test]
    fn addresses_still_to_come_keep_their_share_of_the_time() {
        let left = Duration::from_secs(9);
        assert_eq!(share(left, 3), Duration::from_secs(3));
        assert_eq!(share(left, 1), left);
        assert_eq!(share(left, 0), left);
    }
}
