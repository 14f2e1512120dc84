//! One answer from a background task to one application thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Signal;
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;
use crate::os::wait::WaitWord;

/// The waiting side of a one-shot answer; made with its [`Sender`] by [`Completion::new`].
#[derive(Debug)]
pub struct Completion<T> {
    shared: Arc<Shared<T>>,
    era: Era,
}

/// The answering side. Dropped without [`send`](Sender::send), the waiter gets `ABANDONED`: a task
/// that ends early leaves nobody waiting.
#[derive(Debug)]
pub struct Sender<T> {
    /// None once it was answered.
    shared: Option<Arc<Shared<T>>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    word: WaitWord,
}

#[derive(Debug)]
struct State<T> {
    answer: Option<Result<T>>,
    /// The signal on whose word the receiver waits, so that a wake-up can end the wait too.
    waits_on: Option<Arc<Signal>>,
}

impl<T> Completion<T> {
    /// A pair: give the sender to the task, wait here.
    #[must_use]
    #[allow(clippy::new_ret_no_self, reason = "a channel is its two ends")]
    pub fn new() -> (Sender<T>, Self) {
        let state = Mutex::new(State { answer: None, waits_on: None });
        let shared = Arc::new(Shared { state, word: WaitWord::new() });
        (Sender { shared: Some(Arc::clone(&shared)) }, Self { shared, era: Era::current() })
    }

    /// The answer, if it is there: at most once.
    #[must_use]
    pub fn try_take(&self) -> Option<Result<T>> {
        self.shared.lock().answer.take()
    }

    /// Waits for the answer; blocks the calling thread, which is never one of ours.
    ///
    /// An answer that is there wins over everything else (invariant 13.8). `TIMED_OUT` at `deadline`
    /// (`None`: no limit), after which the answer may still be waited for again; with a signal also
    /// `WOKEN` by its wake-up, and its poison; `FORKED` in a child.
    pub fn wait(&self, deadline: Option<Instant>, wakeup: Option<&Arc<Signal>>) -> Result<T> {
        self.era.check()?;
        match wakeup {
            None => self.wait_alone(deadline),
            Some(signal) => {
                self.shared.lock().waits_on = Some(Arc::clone(signal));
                match signal.wait_for_result(deadline, || self.try_take()) {
                    Ok(answer) => answer,
                    // For a one-shot answer "nothing came" is an error.
                    Err(error) if error.code() == Code::NOTHING => Err(timed_out()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn wait_alone(&self, deadline: Option<Instant>) -> Result<T> {
        loop {
            let ticket = self.shared.word.prepare();
            if let Some(answer) = self.try_take() {
                return answer;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(timed_out());
            }
            self.shared.word.wait(ticket, deadline);
        }
    }
}

impl<T> Sender<T> {
    /// Gives the answer and wakes the waiter.
    pub fn send(mut self, answer: Result<T>) {
        if let Some(shared) = self.shared.take() {
            shared.answer(answer);
        }
    }

    /// Whether nobody waits any more: the work may be spared.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| Arc::strong_count(shared) == 1)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.answer(Err(Error::bare(Code::ABANDONED)));
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Result<T>) {
        // Answer and signal under one lock: either the receiver left its signal before and is woken
        // through it, or it looks for the answer after leaving it and finds it.
        let waits_on = {
            let mut state = self.lock();
            state.answer = Some(answer);
            state.waits_on.take()
        };
        self.word.notify_all();
        if let Some(signal) = waits_on {
            signal.nudge();
        }
    }
}

fn timed_out() -> Error {
    Error::bare(Code::TIMED_OUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(20))
    }

    #[test]
    fn an_answer_before_the_wait_is_there_at_once() {
        let (sender, completion) = Completion::new();
        sender.send(Ok(7));
        assert_eq!(completion.wait(Some(Instant::now()), None).unwrap(), 7);
    }

    #[test]
    fn rule_13_3_an_answer_from_another_thread_ends_the_wait_whenever_it_comes() {
        for _ in 0..500 {
            let (sender, completion) = Completion::new();
            let task = std::thread::spawn(move || sender.send(Ok("done")));
            assert_eq!(completion.wait(soon(), None).unwrap(), "done");
            task.join().unwrap();
        }
    }

    #[test]
    fn a_dropped_sender_leaves_nobody_waiting() {
        let (sender, completion) = Completion::<()>::new();
        let task = std::thread::spawn(move || drop(sender));
        assert_eq!(completion.wait(soon(), None).unwrap_err().code(), Code::ABANDONED);
        task.join().unwrap();
    }

    #[test]
    fn a_wait_out_of_time_is_timed_out_and_can_be_repeated() {
        let (sender, completion) = Completion::new();
        let signal = Arc::new(Signal::new());
        for wakeup in [None, Some(&signal)] {
            let error = completion.wait(Some(Instant::now()), wakeup).unwrap_err();
            assert_eq!(error.code(), Code::TIMED_OUT);
        }
        sender.send(Ok(1));
        assert_eq!(completion.wait(soon(), Some(&signal)).unwrap(), 1);
    }

    #[test]
    fn an_answer_ends_a_wait_on_a_signal_and_a_wakeup_does_too() {
        let signal = Arc::new(Signal::new());
        for _ in 0..200 {
            let (sender, completion) = Completion::new();
            let task = std::thread::spawn(move || sender.send(Ok(1)));
            assert_eq!(completion.wait(soon(), Some(&signal)).unwrap(), 1);
            task.join().unwrap();
        }
        let (sender, completion) = Completion::<()>::new();
        let other = Arc::clone(&signal);
        let task = std::thread::spawn(move || other.wakeup());
        assert_eq!(completion.wait(soon(), Some(&signal)).unwrap_err().code(), Code::WOKEN);
        task.join().unwrap();
        drop(sender);
    }

    #[test]
    fn rule_13_8_a_wakeup_does_not_lose_an_answer_that_is_there() {
        let signal = Arc::new(Signal::new());
        let (sender, completion) = Completion::new();
        signal.wakeup();
        sender.send(Ok(5));
        assert_eq!(completion.wait(soon(), Some(&signal)).unwrap(), 5);
        assert!(signal.take_wakeup(), "the wake-up is still there for the next wait");
    }
}
