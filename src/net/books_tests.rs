//! Tests of the books of one connection.

use std::sync::{Arc, Mutex};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn request(correlation: i32, expects: Expects, now: Instant) -> Outgoing {
    let segments = vec![Bytes::from(vec![0; 10])];
    Outgoing { api: "Test", correlation, segments, expects, deadline: now + 30 * SECOND }
}

fn answer(correlation: i32) -> Bytes {
    Bytes::copy_from_slice(&correlation.to_be_bytes())
}

fn outcome(pending: &mut Pending) -> Result<Bytes> {
    pending.try_recv().expect("no outcome yet")
}

fn write(books: &mut Books, count: usize, now: Instant) {
    let mut rest = books.take_output(now).expect("nothing to write");
    let mut left = count;
    while left > 0 {
        let front = rest.front_mut().expect("fewer bytes are queued");
        let some = left.min(front.len());
        front.advance(some);
        left -= some;
        if front.is_empty() {
            rest.pop_front();
        }
    }
    if let Some(rest) = books.wrote(count, rest) {
        books.put_back(rest);
    }
}

#[test]
fn rule_1_20_partly_written_is_unknown_and_zero_bytes_is_never_sent() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let mut pending: Vec<Pending> =
        (1..=3).map(|id| books.queue(request(id, Expects::Answer, now), now).unwrap()).collect();
    write(&mut books, 11, now);
    let broken = Error::new(Code::DISCONNECTED, "gone");
    assert!(books.end(Poison { error: broken, quiet: false }));
    let known: Vec<_> = pending.iter_mut().map(|p| outcome(p).unwrap_err().persistence()).collect();
    assert_eq!(
        known,
        [
            Persistence::PossiblyPersisted, // whole
            Persistence::PossiblyPersisted, // one byte
            Persistence::NotPersisted,
        ]
    );
}

#[test]
fn rule_1_20_bytes_in_the_hands_of_a_writer_count_as_possibly_written() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let mut pending = books.queue(request(1, Expects::Answer, now), now).unwrap();
    let taken = books.take_output(now).unwrap();
    books.end(Poison { error: Error::bare(Code::TIMED_OUT), quiet: false });
    assert_eq!(outcome(&mut pending).unwrap_err().persistence(), Persistence::PossiblyPersisted);
    assert!(books.wrote(10, taken).is_none(), "the writer learns that it is over");
}

#[test]
fn the_first_error_stays_and_later_requests_get_it_as_never_sent() {
    let now = Instant::now();
    let mut books = Books::new(now);
    assert!(books.end(Poison { error: Error::bare(Code::TIMED_OUT), quiet: false }));
    assert!(!books.end(Poison { error: Error::bare(Code::DISCONNECTED), quiet: false }));
    let error = books.queue(request(1, Expects::Answer, now), now).unwrap_err();
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert_eq!(error.persistence(), Persistence::NotPersisted);
}

#[derive(Debug)]
struct Told(Arc<Mutex<Vec<Persistence>>>);

impl Listener for Told {
    fn tell(self: Box<Self>, frame: Result<Bytes>) {
        self.0.lock().unwrap().push(frame.unwrap_err().persistence());
    }
}

#[test]
fn rule_1_20_the_listener_of_a_request_that_comes_too_late_hears_that_it_was_never_sent() {
    let now = Instant::now();
    let mut books = Books::new(now);
    books.end(Poison { error: Error::bare(Code::DISCONNECTED), quiet: false });
    let told = Arc::<Mutex<Vec<_>>>::default();
    let listener = Reply::Listener(Box::new(Told(Arc::clone(&told))));
    assert!(books.queue_for(request(1, Expects::Answer, now), listener, now).is_err());
    assert_eq!(*told.lock().unwrap(), [Persistence::NotPersisted]);
}

#[test]
fn rule_1_20_giving_up_on_one_request_does_not_desynchronise_the_others() {
    let now = Instant::now();
    let mut books = Books::new(now);
    drop(books.queue(request(1, Expects::Answer, now), now).unwrap());
    let mut second = books.queue(request(2, Expects::Answer, now), now).unwrap();
    books.received(answer(1), now).unwrap();
    books.received(answer(2), now).unwrap();
    assert_eq!(outcome(&mut second).unwrap(), answer(2));
}

#[test]
fn rule_1_23_a_request_without_answer_is_done_when_its_last_byte_is_written() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let mut pending = books.queue(request(1, Expects::Nothing, now), now).unwrap();
    write(&mut books, 9, now);
    assert!(pending.try_recv().is_err(), "one byte is missing");
    write(&mut books, 1, now);
    assert!(outcome(&mut pending).unwrap().is_empty());
}

#[test]
fn rule_1_23_an_answer_that_nobody_asked_for_is_read_and_discarded() {
    let now = Instant::now();
    let mut books = Books::new(now);
    drop(books.queue(request(1, Expects::Nothing, now), now).unwrap());
    let mut second = books.queue(request(2, Expects::Answer, now), now).unwrap();
    write(&mut books, 20, now);
    books.received(answer(1), now).unwrap();
    books.received(answer(2), now).unwrap();
    assert!(outcome(&mut second).is_ok());
    assert_eq!(books.received(answer(1), now).unwrap_err().code(), Code::PROTOCOL, "only once");
}

#[test]
fn an_answer_out_of_order_is_a_protocol_error_that_names_both_ids() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let _first = books.queue(request(7, Expects::Answer, now), now).unwrap();
    let error = books.received(answer(8), now).unwrap_err();
    assert_eq!(error.code(), Code::PROTOCOL);
    assert!(error.message().contains('7') && error.message().contains('8'), "{error}");
    assert!(books.received(Bytes::from_static(b"ab"), now).is_err(), "no correlation id");
}

#[test]
fn rule_13_4_a_time_out_ends_the_connection_for_all() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let _first = books.queue(request(1, Expects::Answer, now), now).unwrap();
    write(&mut books, 10, now);
    assert_eq!(books.next_due(), Some(now + 30 * SECOND));
    assert!(books.due(now + 29 * SECOND).is_none());
    let end = books.due(now + 30 * SECOND).unwrap();
    assert_eq!(end.error.code(), Code::TIMED_OUT);
    let message = end.error.message();
    assert!(message.contains("answer Test within 30000 ms") && !end.quiet, "{message}");
}

#[test]
fn rule_4_18_a_throttled_connection_is_silent_and_its_time_outs_grow() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let _first = books.queue(request(1, Expects::Answer, now), now).unwrap();
    write(&mut books, 10, now);
    books.throttle(5 * SECOND, now);
    let _second = books.queue(request(2, Expects::Answer, now), now).unwrap();
    assert!(!books.wants_write(now + 4 * SECOND));
    assert_eq!(books.next_due(), Some(now + 5 * SECOND), "the end of the silence");
    assert!(books.wants_write(now + 5 * SECOND));
    assert!(books.due(now + 34 * SECOND).is_none(), "the silence is not the broker's time");
    assert!(books.due(now + 35 * SECOND).is_some());
    let mut books = Books::new(now);
    books.throttle(60 * SECOND, now);
    let _waits = books.queue(request(1, Expects::Answer, now), now).unwrap();
    assert!(books.due(now + 59 * SECOND).is_none(), "a long silence does not end the connection");
    let mut books = Books::new(now);
    let _first = books.queue(request(1, Expects::Answer, now), now).unwrap();
    books.throttle(5 * SECOND, now);
    books.throttle(3 * SECOND, now);
    assert!(books.due(now + 34 * SECOND).is_none(), "overlapping silences add nothing");
    assert!(books.due(now + 35 * SECOND).is_some());
}

#[test]
fn rule_13_11_an_idle_connection_ends_quietly_and_one_that_waits_does_not() {
    let now = Instant::now();
    let mut books = Books::new(now);
    books.ready(Some(60 * SECOND), now);
    assert_eq!(books.next_due(), Some(now + 60 * SECOND));
    assert!(books.due(now + 59 * SECOND).is_none());
    assert!(books.due(now + 60 * SECOND).unwrap().quiet);
    let _pending = books.queue(request(1, Expects::Answer, now), now).unwrap();
    assert!(books.due(now + 29 * SECOND).is_none());
    books.received(answer(1), now + 29 * SECOND).unwrap();
    assert!(books.due(now + 88 * SECOND).is_none(), "an answer is use");
    assert!(books.due(now + 89 * SECOND).unwrap().quiet);
}

#[test]
fn rule_13_11_a_connection_that_is_not_ready_or_was_not_used_yet_is_not_closed_as_idle() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let _version = books.queue(request(1, Expects::Answer, now), now).unwrap();
    books.received(answer(1), now).unwrap();
    assert_eq!((books.next_due(), books.due(now + 3_600 * SECOND).is_none()), (None, true));
    books.ready(Some(SECOND / 1_000), now);
    assert!(books.due(now + 29 * SECOND).is_none(), "whoever asked for it may be late");
    assert!(books.due(now + 30 * SECOND).unwrap().quiet, "and may never come");
    let _first = books.queue(request(2, Expects::Answer, now), now).unwrap();
    books.received(answer(2), now + SECOND).unwrap();
    assert!(books.due(now + 2 * SECOND).unwrap().quiet, "from the first use on the time counts");
    books.ready(None, now);
    assert_eq!(books.next_due(), None, "never");
}

#[test]
fn requests_queued_while_somebody_writes_go_out_with_that_writer() {
    let now = Instant::now();
    let mut books = Books::new(now);
    let _a = books.queue(request(1, Expects::Answer, now), now).unwrap();
    let _taken = books.take_output(now).unwrap();
    let _b = books.queue(request(2, Expects::Answer, now), now).unwrap();
    assert!(books.take_output(now).is_none(), "one writer at a time");
    let more = books.wrote(10, VecDeque::new()).expect("the second request");
    assert_eq!(more.iter().map(Bytes::len).sum::<usize>(), 10);
    assert!(books.wrote(10, VecDeque::new()).is_none());
}
