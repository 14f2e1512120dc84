//! A case that fails among others is judged alone.
//!
//! Dozens of JVMs share the cores with the cases, and a case that waits for one of them may run out of
//! patience through no fault of the library. So each case that failed runs once more, in a process of
//! its own with nobody beside it: what fails there too fails the run. What passes there is named at the
//! end as unsteady, for somebody to look at: it is either a test that leans on time, or a race.

use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Conclusion, Trial};

/// Set in the process that runs one case again.
const ALONE: &str = "SAMSA_ALONE";

/// The names of the cases that failed.
#[derive(Clone, Debug, Default)]
pub struct Failed {
    names: Arc<Mutex<Vec<String>>>,
}

/// Notes its case if it is dropped by a panic.
struct Note<'a> {
    name: &'a str,
    failed: &'a Failed,
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed.names().push(self.name.to_owned());
        }
    }
}

impl Failed {
    /// A case that is noted when it fails.
    pub fn trial(&self, name: String, run: impl FnOnce() + Send + 'static) -> Trial {
        let (noted, failed) = (name.clone(), self.clone());
        Trial::test(name, move || {
            let _note = Note { name: &noted, failed: &failed };
            run();
            Ok(())
        })
    }

    /// The end of the run: what failed is run again, one case at a time.
    pub fn judge(&self, conclusion: &Conclusion) -> ExitCode {
        let failed = std::mem::take(&mut *self.names());
        let all_known = failed.len() as u64 == conclusion.num_failed;
        if !conclusion.has_failed() || !all_known || std::env::var_os(ALONE).is_some() {
            return conclusion.exit_code();
        }
        let (unsteady, broken): (Vec<_>, Vec<_>) =
            failed.iter().partition(|name| passes_alone(name));
        for name in unsteady {
            println!("UNSTEADY {name}: failed among others, passed alone");
        }
        for name in &broken {
            println!("FAILED {name}: among others, and alone");
        }
        match broken.is_empty() {
            true => ExitCode::SUCCESS,
            false => conclusion.exit_code(),
        }
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn passes_alone(name: &str) -> bool {
    println!("once more, alone: {name}");
    let program = std::env::current_exe().expect("this program");
    let status = Command::new(program).args(["--exact", name]).env(ALONE, "1").status();
    status.expect("a second run").success()
}
