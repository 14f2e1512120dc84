//! PyPI's confluent-kafka (librdkafka, newest) and PyKafka, driven over JSON lines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Message, message};
use crate::harness::{Release, jars};
use crate::programs::{run, text};

/// A Python client under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// confluent-kafka: from 0.10 on.
    Confluent,
    /// PyKafka 2.8.0: up to 3.9.
    PyKafka,
}

impl Client {
    /// Writes the messages to partition 0.
    pub fn write(self, release: &Release, address: &str, topic: &str, codec: &str, m: &[Message]) {
        let lines: String = m.iter().map(|message| format!("{}\n", to_json(message))).collect();
        let mut command = self.command("write", release, address, topic);
        let output = run(command.arg(codec), lines.as_bytes());
        assert!(output.status.success(), "{self:?}: {}", text(&output.stderr));
    }

    /// Reads the first `count` messages of partition 0, without their times.
    pub fn read(self, release: &Release, address: &str, topic: &str, count: usize) -> Vec<Message> {
        message::timeless(self.read_timed(release, address, topic, count))
    }

    /// Reads the first `count` messages of partition 0.
    pub fn read_timed(
        self,
        release: &Release,
        address: &str,
        topic: &str,
        count: usize,
    ) -> Vec<Message> {
        let mut command = self.command("read", release, address, topic);
        let output = run(command.arg(count.to_string()), b"");
        assert!(output.status.success(), "{self:?}: {}", text(&output.stderr));
        text(&output.stdout).lines().map(from_json).collect()
    }

    /// The script of transactions, as a program to be talked to.
    pub fn transactions(
        self,
        release: &Release,
        address: &str,
        topic: &str,
        codec: &str,
    ) -> Command {
        let mut command = self.command("transactions", release, address, topic);
        command.arg(codec);
        command
    }

    /// A member of a group that runs until SIGTERM; further arguments are its options.
    pub fn member(self, release: &Release, address: &str, topic: &str, group: &str) -> Command {
        let mut command = self.script("member");
        command.args([release.version, address, topic, group]);
        command
    }

    fn command(self, what: &str, release: &Release, address: &str, topic: &str) -> Command {
        let mut command = self.script("peer");
        command.args([what, release.version, address, topic]);
        command
    }

    /// The interpreter with one of the client's two scripts.
    fn script(self, role: &str) -> Command {
        let (name, packages): (&str, &[&str]) = match self {
            Client::Confluent => ("confluent", &["confluent-kafka"]),
            Client::PyKafka => ("pykafka", &["pykafka==2.8.0", "python-snappy"]),
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/peers");
        let mut command = Command::new(interpreter(name, packages));
        command.arg(here.join(format!("{name}_{role}.py")));
        command
    }
}

/// The interpreter of a virtual environment that holds the packages, made at first use.
fn interpreter(name: &str, packages: &[&str]) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = jars::root().join(format!("python-{name}_peer"));
    let (python, done) = (folder.join("bin/python"), folder.join("done"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|had| had == wanted) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&folder);
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    succeed(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(packages));
    std::fs::write(done, wanted).expect("the marker");
    python
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

fn to_json(message: &Message) -> Value {
    let headers: Vec<Value> =
        message.headers.iter().map(|(name, value)| json!([name, hex(value.as_deref())])).collect();
    json!({
        "key": hex(message.key.as_deref()),
        "value": hex(message.value.as_deref()),
        "headers": headers,
        "timestamp": message.timestamp,
    })
}

fn from_json(line: &str) -> Message {
    let row: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
    let headers = row["headers"].as_array().cloned().unwrap_or_default();
    Message {
        key: unhex(&row["key"]),
        value: unhex(&row["value"]),
        headers: headers
            .iter()
            .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), unhex(&pair[1])))
            .collect(),
        timestamp: row["timestamp"].as_i64(),
    }
}

fn hex(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |b| b.iter().map(|x| format!("{x:02x}")).collect::<String>().into())
}

fn unhex(value: &Value) -> Option<Vec<u8>> {
    let digits = value.as_str()?;
    let byte = |i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hexadecimal digits");
    Some((0..digits.len()).step_by(2).map(byte).collect())
}
