use super::*;

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::os::fork::tests::in_child;

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(60))
}

/// Keeps lines; waits at a gate before each, if it has one.
#[derive(Debug)]
struct Keeper {
    lines: Arc<Mutex<Vec<String>>>,
    gate: Option<Mutex<(Sender<()>, Receiver<()>)>>,
    dropped: Arc<AtomicBool>,
}

impl Sink for Keeper {
    fn log(&self, entry: &Entry) {
        if let Some(gate) = &self.gate {
            let gate = gate.lock().unwrap();
            let _ = gate.0.send(());
            let _ = gate.1.recv();
        }
        assert_ne!(entry.message, "panic", "planted");
        let thread = std::thread::current().name().map(str::to_owned);
        let line =
            format!("{} {} {} {thread:?}", entry.level.name(), entry.facility, entry.message);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

type Kept = (Arc<Mutex<Vec<String>>>, Arc<AtomicBool>);

fn keeper(level: Level, gate: Option<(Sender<()>, Receiver<()>)>) -> (Logger, Kept) {
    let kept = Kept::default();
    let gate = gate.map(Mutex::new);
    let sink = Keeper { lines: Arc::clone(&kept.0), gate, dropped: Arc::clone(&kept.1) };
    (Logger::new(level, Arc::new(sink)), kept)
}

#[test]
fn lines_of_the_level_reach_the_sink_in_order_on_the_service_thread() {
    let (logger, (lines, dropped)) = keeper(Level::Warn, None);
    logger.debug("net", format_args!("unheard"));
    logger.warn("net", format_args!("one {}", 1));
    logger.set_level(Level::Debug);
    logger.debug("producer", format_args!("two"));
    assert!(logger.flush(soon()));
    let thread = "Some(\"samsa-log\")";
    let expected = [format!("warn net one 1 {thread}"), format!("debug producer two {thread}")];
    assert_eq!(*lines.lock().unwrap(), expected);
    drop(logger);
    assert!(dropped.load(Ordering::SeqCst), "the sink is released after its last line");
}

#[test]
fn without_a_sink_nothing_is_made_or_queued() {
    struct Loud;
    impl fmt::Display for Loud {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted for nobody");
        }
    }
    let logger = Logger::none();
    logger.set_level(Level::Debug);
    logger.error("net", format_args!("{Loud}"));
    assert!(!logger.enabled(Level::Error));
    assert!(logger.flush(Some(Instant::now())));
}

#[test]
fn a_slow_sink_costs_lines_and_never_time_and_the_loss_is_told() {
    let (entered, wait_entered) = channel();
    let (open, gate) = channel();
    let (logger, (lines, _)) = keeper(Level::Info, Some((entered, gate)));
    logger.info("net", format_args!("first"));
    wait_entered.recv().unwrap();
    let sent = 2 * QUEUE;
    for n in 0..sent {
        logger.info("net", format_args!("{n}"));
    }
    let lost = logger.dropped();
    assert!(lost >= QUEUE as u64, "no one was held up: {lost} dropped");
    assert!(!logger.flush(Some(Instant::now())), "it is not done");
    drop(open);
    assert!(logger.flush(soon()));
    let lines = lines.lock().unwrap();
    assert!(lines[1].contains(&format!("{lost} lines were dropped")), "{}", lines[1]);
    assert_eq!(lines.len() as u64, 1 + 1 + sent as u64 - lost);
}

#[test]
fn a_sink_that_panics_is_silenced_and_the_others_are_served() {
    let (bad, (bad_lines, _)) = keeper(Level::Info, None);
    let (good, (good_lines, _)) = keeper(Level::Info, None);
    bad.info("net", format_args!("panic"));
    assert!(bad.flush(soon()));
    bad.info("net", format_args!("more"));
    good.info("net", format_args!("fine"));
    assert!(good.flush(soon()));
    assert_eq!(bad_lines.lock().unwrap().len(), 0);
    assert_eq!(good_lines.lock().unwrap().len(), 1);
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let (logger, (lines, _)) = keeper(Level::Info, None);
    logger.info("net", format_args!("{}{}", "x".repeat(4095), "é".repeat(10)));
    assert!(logger.flush(soon()));
    let line = lines.lock().unwrap().pop().unwrap();
    assert!(line.contains(&"x".repeat(4095)) && !line.contains('é'));
}

#[test]
fn a_child_logs_through_a_thread_of_its_own() {
    let (logger, (lines, _)) = keeper(Level::Info, None);
    logger.info("net", format_args!("parent"));
    assert!(logger.flush(soon()));
    assert!(in_child(|| {
        logger.info("net", format_args!("child"));
        logger.flush(soon()) && lines.lock().unwrap().len() == 2
    }));
    assert_eq!(lines.lock().unwrap().len(), 1);
}
