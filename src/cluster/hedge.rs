//! One question, put to one broker after the other until one has answered.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::error::{Code, Error, Result};
use crate::net::Broker;

/// After this long without an answer the next broker is asked besides (invariant 1.14).
const HEDGE: Duration = Duration::from_secs(1);

/// Asks the brokers in this order until one has answered: the next one when one fails, and besides
/// when one is slow, so that no question is bound to a broker that says nothing (invariant 1.14). What
/// is still asked then is given up.
///
/// The error begins with `nobody` and names what each said; `CONNECTION_FAILED` if there is no broker.
pub(crate) async fn first_answer<T, F>(
    nobody: &str,
    brokers: Vec<Arc<Broker>>,
    ask: impl Fn(Arc<Broker>) -> F,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    first_or_all(brokers, ask).await.map_err(|failures| sum(nobody, failures))
}

/// The same, for who judges by what each said: nobody answered, and these are their errors.
pub(crate) async fn first_or_all<T, F>(
    brokers: Vec<Arc<Broker>>,
    ask: impl Fn(Arc<Broker>) -> F,
) -> Result<T, Vec<Error>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut waiting = brokers.into_iter();
    let mut asked = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        let more = waiting.next();
        let last = more.is_none();
        if let Some(broker) = more {
            asked.spawn(ask(broker));
        } else if asked.is_empty() {
            return Err(failures);
        }
        tokio::select! {
            Some(outcome) = asked.join_next() => match outcome {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => failures.push(error),
                Err(panic) => failures.push(Error::new(Code::PANIC, panic.to_string())),
            },
            () = sleep(HEDGE), if !last => {}
        }
    }
}

fn sum(nobody: &str, failures: Vec<Error>) -> Error {
    let count = failures.len();
    let mut failures = failures.into_iter();
    match (failures.next(), count) {
        (None, _) => Error::new(Code::CONNECTION_FAILED, format!("{nobody}: none is known")),
        (Some(only), 1) => Error::new(only.code(), nobody.to_owned()).caused_by(only),
        (Some(first), _) => {
            let rest: Vec<String> = failures.map(|error| error.message()).collect();
            let text = format!("{nobody}; {}; and", rest.join("; "));
            Error::new(first.code(), text).caused_by(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_what_each_broker_said() {
        let say = |text: &str| Error::new(Code::CONNECTION_FAILED, text.to_owned());
        let error = sum("nobody answered", vec![say("a is down"), say("b is down")]);
        let text = error.message();
        let parts = ["nobody answered", "a is down", "b is down"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(sum("nobody answered", Vec::new()).code(), Code::CONNECTION_FAILED);
    }
}
