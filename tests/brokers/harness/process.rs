//! Processes and folders that never outlive the test run.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A process of the harness: killed when dropped, and by the keeper if the run itself dies.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a command with its output in `log`, and nothing to read.
    pub fn start(command: &mut Command, log: &Path) -> Process {
        let out = open_log(log);
        let err = out.try_clone().expect("a second handle of the log file");
        Process::spawn(command.stdout(out).stderr(err))
    }

    /// The same, but for its standard output, which is given to be read.
    pub fn start_talking(command: &mut Command, log: &Path) -> (Process, ChildStdout) {
        let mut process = Process::spawn(command.stdout(Stdio::piped()).stderr(open_log(log)));
        let output = process.child.stdout.take().expect("a pipe");
        (process, output)
    }

    fn spawn(command: &mut Command) -> Process {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{:?} could not be started: {e}", command.get_program()));
        keep(&format!("process {} {}", child.id(), start_time(child.id())));
        Process { child }
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks the process to end (SIGTERM) and waits until it has; none if it does not.
    pub fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "it has ended by itself");
        let mut status = None;
        wait_until(patience, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder that is removed when dropped, and by the keeper if the run itself dies.
pub struct Folder(PathBuf);

impl Folder {
    /// A fresh folder below the system's place for temporary files.
    pub fn new(name: &str) -> Folder {
        static NEXT: Mutex<u32> = Mutex::new(0);
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let unique = format!("samsa-{name}-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        // Told before it is made: a run that dies in between leaves nothing either.
        keep(&format!("folder {}", path.display()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Polls a condition until it holds or the time is over; says whether it held.
pub fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago. It is part of a broker's advertised address, so it must be
/// known before the broker starts.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// Tells the keeper what to end or remove when this run is over.
fn keep(line: &str) {
    static KEEPER: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/brokers/harness/keeper.sh");
        // In a session of its own: Ctrl-C in a terminal reaches the run, not the keeper.
        // Never waited for: it outlives the run by design.
        #[allow(clippy::zombie_processes, reason = "the keeper ends after the run")]
        let child = Command::new("setsid")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the keeper");
        Mutex::new(child.stdin.expect("the keeper's standard input"))
    });
    let mut pipe = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{line}").expect("the keeper lives");
}

fn open_log(log: &Path) -> File {
    File::options().create(true).append(true).open(log).expect("a log file")
}

fn start_time(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(19).unwrap_or("0").to_owned()
}
