//! The three C programs, run as a user runs them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A command for one of the programs of `examples-c/`, built by `make examples`.
pub fn program(name: &str) -> Command {
    let folder = std::env::var_os("SAMSA_PROGRAMS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/examples-c"),
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing; build it with: make examples", path.display());
    Command::new(path)
}

/// Runs `cluster` against a bootstrap list.
pub fn cluster(bootstrap: &str) -> Output {
    run(program("cluster").arg(bootstrap_option(bootstrap)), b"")
}

/// Runs `produce` with these lines on standard input.
pub fn produce(bootstrap: &str, topic: &str, options: &[&str], lines: &[u8]) -> Output {
    run(program("produce").arg(topic).arg(bootstrap_option(bootstrap)).args(options), lines)
}

/// Runs `consume` until it has read `count` messages; gives its lines, split at tabs.
pub fn consume(bootstrap: &str, topic: &str, options: &[&str], count: usize) -> Vec<Vec<String>> {
    let mut command = program("consume");
    command.args(["-H", "-n", &count.to_string(), topic]).arg(bootstrap_option(bootstrap));
    let output = run(command.args(options), b"");
    assert!(output.status.success(), "consume failed: {}", text(&output.stderr));
    rows(&output.stdout)
}

/// What `consume` printed, a row a message, a field a column.
pub fn rows(printed: &[u8]) -> Vec<Vec<String>> {
    text(printed).lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The bytes as text, for assertions and messages.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command to its end with this standard input, bounded in time by `timeout`.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = talk(command);
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // From a thread: a program that answers while it reads must not block on a full pipe.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("its output");
    let _ = writer.join();
    output
}

/// Starts a command to talk with, bounded in time by `timeout`.
pub fn talk(command: &Command) -> Child {
    let mut bounded = Command::new("timeout");
    bounded.args(["-k", "5", "120"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bounded.env(name, value);
        }
    }
    piped(&mut bounded)
}

/// Ends what [`talk`] began. SIGTERM, because `timeout` passes it on; killed itself it would leave the
/// program behind.
pub fn end(mut child: Child) {
    let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(ended.expect("kill").success(), "it has ended by itself");
    child.wait().expect("its end");
}

fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{:?} could not be started: {e}", command.get_program()))
}

fn bootstrap_option(bootstrap: &str) -> String {
    format!("bootstrap.servers={bootstrap}")
}
