//! The task that asks for producer ids. It lives as long as the producer, whoever wanted the id first
//! (invariant 1.21); no send waits for it: records gather meanwhile, and their delivery time runs.

use std::sync::Arc;
use std::time::Instant;

use super::shared::Identity;
use crate::cluster::first_or_all;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, Broker, Purpose, jitter};
use crate::producer::core::Core;
use crate::protocol::modern::messages::init_producer_id::InitProducerIdRequest;
use crate::runtime::inject_panic;

/// Serves the wishes of a producer's partitions until the producer ends.
pub(crate) async fn run(core: Arc<Core>) {
    let keeper = Arc::clone(&core.ledger.keeper);
    tokio::select! {
        () = serve(core) => {}
        () = keeper.ended() => {}
    }
}

async fn serve(core: Arc<Core>) {
    let identity: &Identity = &core.ledger.identity;
    let backoff = Backoff { first: core.config.retry_backoff, most: core.config.retry_backoff_max };
    loop {
        identity.wanted().await;
        inject_panic("identity");
        let mut failures = 0;
        loop {
            match ask_all(&core).await {
                Ok(id) => break identity.set_known(id),
                Err(Refusal::Unsupported(error)) => break identity.give_way(error),
                // Also an authorization error: it may heal without a new client (invariant 5.17).
                Err(Refusal::Trouble(error)) => identity.set_trouble(error),
            }
            failures += 1;
            tokio::time::sleep(backoff.delay(failures, jitter())).await;
        }
        // Everybody who found none before this looks again.
        core.hurry();
    }
}

#[derive(Debug)]
enum Refusal {
    /// Who answers does not know the request.
    Unsupported(Error),
    Trouble(Error),
}

/// Asks one broker after the other, those first that are connected, and the next one besides when one says
/// nothing: any of them can answer (invariant 1.14).
async fn ask_all(core: &Arc<Core>) -> Result<i64, Refusal> {
    let ids: Vec<i32> = core.cluster.metadata().brokers.keys().copied().collect();
    let mut brokers: Vec<_> = ids.into_iter().filter_map(|id| core.cluster.broker(id)).collect();
    brokers.sort_by_key(|broker| !broker.is_connected());
    let asked = first_or_all(brokers, |broker| ask(Arc::clone(core), broker)).await;
    asked.map_err(|errors| judge(errors, core.ledger.identity.is_required()))
}

/// One that does not know the request says more than one that cannot be reached; but a demand is refused
/// only when no broker is left that might know it.
fn judge(errors: Vec<Error>, is_required: bool) -> Refusal {
    let unsupported = |error: &Error| error.code() == Code::UNSUPPORTED_FEATURE;
    let rules = errors.iter().rposition(|error| unsupported(error) != is_required);
    let mut errors = errors.into_iter();
    let error = rules.and_then(|at| errors.nth(at)).or_else(|| errors.next());
    let error = error.unwrap_or_else(|| {
        Error::new(Code::CONNECTION_FAILED, "no broker is known to ask for a producer id")
    });
    match unsupported(&error) {
        true => Refusal::Unsupported(error),
        false => Refusal::Trouble(error),
    }
}

async fn ask(core: Arc<Core>, broker: Arc<Broker>) -> Result<i64> {
    let within = core.config.request_timeout;
    let connection = broker.connection(Purpose::Control, Instant::now() + within).await?;
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    };
    let response = connection.request(&request, Instant::now() + within).await?;
    let code = Code::from(response.error_code);
    if code == Code::NONE && response.producer_id >= 0 {
        // The epoch of an idempotent producer's id is 0, always: partitions count from there.
        return Ok(response.producer_id);
    }
    let code = if code == Code::NONE { Code::PROTOCOL } else { code };
    let address = broker.address().to_string();
    let text = format!("broker {address} gave no producer id: {}", code.text());
    Err(Error::new(code, text).with_broker(address))
}
