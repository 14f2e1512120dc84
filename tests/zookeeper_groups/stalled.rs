//! A member whose process stands still for longer than its session lives.

use std::io::{BufRead, BufReader, Lines, Write, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use samsa::Code;

use crate::legacy::{Brokers, set};
use crate::rig::{member_at, soon};

/// Where the member in a process of its own finds its ZooKeeper.
const ADDRESS: &str = "SAMSA_STALLED_MEMBER";

/// What that process says begins with it: the test's harness speaks too.
const MARK: &str = "| ";

#[test]
fn the_member_that_the_next_test_stops() {
    // By itself it is none.
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let usual = [("zookeeper.session.timeout.ms", "1500"), ("enable.auto.commit", "false")];
    let consumer = member_at(&address, "g", &usual);
    consumer.subscribe(&["t"]).expect("subscribed");
    for line in stdin().lines() {
        let patience = line.expect("a line").parse().expect("milliseconds");
        match consumer.next(patience) {
            Ok(message) => {
                let value = message.record().value().expect("a value").to_vec();
                println!("{MARK}{}", String::from_utf8(value).expect("text"));
            }
            Err(error) if error.code() == Code::NOTHING => println!("{MARK}nothing"),
            Err(error) => println!("{MARK}{error}"),
        }
    }
    consumer.close(30_000).expect("closed");
}

/// That process.
struct Member {
    process: Child,
    asks: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Member {
    fn start(address: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "stalled::the_member_that_the_next_test_stops", "--nocapture"])
            .env(ADDRESS, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let asks = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, asks, answers }
    }

    /// Has it ask for a message for so long.
    fn ask(&mut self, milliseconds: u32) {
        let asks = self.asks.as_mut().expect("not ended");
        writeln!(asks, "{milliseconds}").expect("asked");
    }

    fn answer(&mut self) -> String {
        let mut answers = self.answers.by_ref().map(|line| line.expect("a line"));
        let marked = answers.find_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
        marked.expect("an answer")
    }

    fn signal(&self, name: &str) {
        let number = self.process.id().to_string();
        let done = Command::new("kill").args([name, &number]).status();
        assert!(done.expect("kill runs").success(), "{name}");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A process that stands still cannot end by itself.
        drop(self.asks.take());
        if std::thread::panicking() {
            let _ = self.process.kill();
        }
        let ended = self.process.wait();
        assert!(std::thread::panicking() || ended.expect("ended").success());
    }
}

#[test]
fn rule_10_6_what_a_stopped_process_had_queued_is_not_handed_out_when_it_runs_on() {
    let kafka = Brokers::start();
    kafka.append(0, 0, &set(&["a", "b", "c", "d"].map(str::to_owned)));
    let mut member = Member::start(&kafka.zookeeper.address());
    for value in ["a", "b"] {
        member.ask(30_000);
        assert_eq!(member.answer(), value);
    }
    member.signal("-STOP");
    let ids = "/consumers/g/ids";
    let gone = kafka.zookeeper.wait_until(soon(), |zk| zk.children(ids).is_empty());
    gone.expect("its session ended");
    // Asked before its membership can have noticed anything.
    member.ask(0);
    member.signal("-CONT");
    assert_eq!(member.answer(), "nothing");
    member.ask(30_000);
    assert_eq!(member.answer(), "a", "it is a member again, and nothing was committed");
}
