//! Programs that are members of a group: those of the peers, and ours.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::journal::{Journal, MemberIndex};
use crate::ground::Ground;
use crate::harness::process::{Folder, Process};
use crate::peers::{java, python};
use crate::programs;

/// How long a member may take to leave.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `examples-c/consume -g`.
    Ours,
    /// The console consumer of the broker's release, through the coordinator.
    Java,
    /// The console consumer of the broker's release, through ZooKeeper.
    Scala,
    /// confluent-kafka.
    Confluent,
    /// PyKafka, through the coordinator.
    PyKafka,
    /// PyKafka, through ZooKeeper.
    PyKafkaZooKeeper,
}

/// Who may sit in a group, and with which properties.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    pub client: Client,
    /// `name=value`, in the client's own names.
    pub options: &'static [&'static str],
    /// Whether the client, by its own fault, lets be read again what it read last.
    pub repeats: bool,
}

/// Where members find their group.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub ground: &'a Ground,
    pub topic: &'a str,
    pub group: &'a str,
}

/// A program at work.
pub struct Member {
    /// Its place in the order of joining.
    pub index: MemberIndex,
    /// What it was started as.
    pub seat: Seat,
    process: Process,
    reader: Option<JoinHandle<()>>,
    told: Arc<Mutex<Told>>,
    folder: Folder,
}

/// What a member said of itself.
#[derive(Debug, Default)]
struct Told {
    /// What it was given and has not given up; none if it never speaks of that.
    has: Option<BTreeSet<i32>>,
    /// What it should not have said.
    faults: Vec<String>,
}

impl Member {
    /// Starts it.
    pub fn start(
        place: Place<'_>,
        seat: Seat,
        index: MemberIndex,
        journal: &Arc<Mutex<Journal>>,
    ) -> Member {
        let folder = Folder::new("member");
        let mut command = command(place, seat, index == 0, &folder);
        let log = folder.path().join("stderr");
        let (process, output) = Process::start_talking(&mut command, &log);
        let told = Arc::new(Mutex::new(Told::default()));
        let (book, mine) = (Arc::clone(journal), Arc::clone(&told));
        let reader = std::thread::spawn(move || read(seat.client, index, output, &book, &mine));
        Member { index, seat, process, reader: Some(reader), told, folder }
    }

    /// What it says that it has; none if it does not speak of that.
    pub fn has(&self) -> Option<BTreeSet<i32>> {
        if self.seat.client == Client::Ours {
            // Ours prints messages alone on standard output.
            let mut told = Told::default();
            self.said().lines().for_each(|line| told.hear(line));
            return Some(told.has.unwrap_or_default());
        }
        self.told().has.clone()
    }

    /// What it said that it should not have said.
    pub fn faults(&self) -> Vec<String> {
        self.told().faults.clone()
    }

    /// What it wrote to its standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Whether it ended without being asked to.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Asks it to leave; when this returns, all that it read is in the journal.
    pub fn leave(&mut self) {
        let status = self.process.end(PATIENCE);
        // A JVM that is ended by SIGTERM says 143, however well it ended.
        let well = status.is_some_and(|status| status.success() || status.code() == Some(143));
        assert!(well, "{self:?} did not leave: {status:?}\n{}", self.said());
        self.finish();
    }

    /// Ends it as a crash would; when this returns, all that it read is in the journal.
    pub fn die(&mut self) {
        self.process.kill();
        self.finish();
    }

    fn finish(&mut self) {
        let ended = self.reader.take().map_or(Ok(()), JoinHandle::join);
        ended.expect("what it printed was read");
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("stderr")
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.seat.client, self.index)
    }
}

impl Told {
    /// A line about partitions: `assigned`, `revoked` or `lost`, a topic, and numbers.
    fn hear(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let (what, _topic) = (words.next(), words.next());
        if !matches!(what, Some("assigned" | "revoked" | "lost")) {
            return;
        }
        let numbers: BTreeSet<i32> = words.filter_map(|word| word.parse().ok()).collect();
        let has = self.has.get_or_insert_default();
        match what {
            Some("assigned") => has.extend(numbers),
            _ => has.retain(|number| !numbers.contains(number)),
        }
    }
}

fn command(place: Place<'_>, seat: Seat, first: bool, folder: &Folder) -> Command {
    let Place { ground, topic, group } = place;
    let python = |client: python::Client| {
        let mut command = client.member(ground.release, &ground.address, topic, group);
        command.args(seat.options);
        command
    };
    match seat.client {
        Client::Java => java::member(ground, topic, group, seat.options, folder.path()),
        Client::Scala => java::old_member(ground, topic, group, seat.options, folder.path(), first),
        Client::Confluent => python(python::Client::Confluent),
        Client::PyKafka => python(python::Client::PyKafka),
        Client::PyKafkaZooKeeper => {
            let mut command = python(python::Client::PyKafka);
            let zookeeper = ground.zookeeper().expect("a ZooKeeper");
            command.arg(format!("zookeeper={zookeeper}"));
            command
        }
        Client::Ours => {
            let mut command = programs::program("consume");
            command.args(["-g", group, topic]);
            command.arg(format!("bootstrap.servers={}", ground.address));
            if seat.options.contains(&"group.protocol=zookeeper") {
                let zookeeper = ground.zookeeper().expect("a ZooKeeper");
                command.arg(format!("zookeeper.connect={zookeeper}"));
            }
            command.args(seat.options);
            command
        }
    }
}

/// Reads what a member prints until it ends. The last line of one that was killed may be cut short:
/// a line counts only with its end.
fn read(
    client: Client,
    index: MemberIndex,
    output: ChildStdout,
    journal: &Mutex<Journal>,
    told: &Mutex<Told>,
) {
    let (mut lines, mut line) = (BufReader::new(output), String::new());
    while lines.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
        match message(client, line.trim_end()) {
            Some(Ok((partition, number))) => {
                let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                journal.read(index, partition, number);
            }
            Some(Err(fault)) => {
                told.lock().unwrap_or_else(PoisonError::into_inner).faults.push(fault);
            }
            None => told.lock().unwrap_or_else(PoisonError::into_inner).hear(line.trim_end()),
        }
        line.clear();
    }
}

/// The place of a message in a line, if the line is one. Where a client tells of the place, it must be
/// that in the value.
fn message(client: Client, line: &str) -> Option<Result<(usize, u64), String>> {
    let (told, value) = match client {
        Client::Java | Client::Scala => (None, line),
        Client::Ours => {
            let row: Vec<&str> = line.split('\t').collect();
            (Some((*row.first()?, *row.get(1)?)), *row.get(5)?)
        }
        _ => {
            let words: Vec<&str> = line.split(' ').collect();
            let ["message", _topic, partition, offset, value] = words[..] else { return None };
            (Some((partition, offset)), value)
        }
    };
    let place = value.split_once('-').and_then(|(partition, number)| {
        Some((partition.parse::<usize>().ok()?, number.parse::<u64>().ok()?))
    });
    let agrees = told.is_none_or(|(partition, offset)| value == format!("{partition}-{offset}"));
    Some(place.filter(|_| agrees).ok_or_else(|| format!("{line:?} is no message of ours")))
}
