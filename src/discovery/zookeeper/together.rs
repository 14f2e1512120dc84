//! Several requests at once, one after the other on the wire.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// How many are on their way at once.
pub(super) const AT_ONCE: usize = 64;

/// Runs the futures side by side, some at a time, and gives their results in order.
pub(crate) async fn together<T, F: Future<Output = T>>(futures: Vec<F>) -> Vec<T> {
    let mut waiting: Vec<(Pin<Box<F>>, Option<T>)> =
        futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    for running in waiting.chunks_mut(AT_ONCE) {
        poll_fn(|context| {
            for (future, result) in &mut *running {
                if result.is_none() {
                    if let Poll::Ready(done) = future.as_mut().poll(context) {
                        *result = Some(done);
                    }
                }
            }
            let all = running.iter().all(|(_, result)| result.is_some());
            if all { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    waiting.into_iter().filter_map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn requests_wait_side_by_side_and_answers_stay_in_order() {
        let barrier = Barrier::new(AT_ONCE);
        let futures = (0..AT_ONCE * 2).map(|number| {
            let barrier = &barrier;
            async move {
                barrier.wait().await;
                number
            }
        });
        let expected: Vec<usize> = (0..AT_ONCE * 2).collect();
        assert_eq!(together(futures.collect()).await, expected);
    }
}
