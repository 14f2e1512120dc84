//! A release's jars, fetched once by Maven into `target/brokers/<version>/lib`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::versions::Release;

/// The class path of a release, for `java -cp`; the JVM expands the star.
pub fn class_path(release: &Release) -> String {
    class_path_of(release.version, &release.pom())
}

/// The class path of what a Maven project needs, kept under `name`.
pub fn class_path_of(name: &str, pom: &str) -> String {
    let folder = root().join(name);
    fetch(pom, &folder).unwrap_or_else(|why| panic!("jars of {name}: {why}"));
    format!("{}/*", folder.join("lib").display())
}

/// Where jars, virtual environments and logs of the broker tests are kept between runs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/brokers")
}

/// The marker is written last and holds the project file's text, so that a broken download or a
/// changed list of dependencies is fetched again.
fn fetch(pom: &str, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    // Tests of one release run in parallel: one fetches, the others wait.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _one = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    let done = folder.join("done");
    if fs::read_to_string(&done).is_ok_and(|text| text == pom) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(folder.join("lib"));
    fs::write(folder.join("pom.xml"), pom).map_err(|e| e.to_string())?;
    let output = Command::new("mvn")
        .args(["-B", "-q", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=lib"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("mvn could not be started ({e}); install it with: make setup"))?;
    if !output.status.success() {
        return Err(format!("mvn failed: {}", String::from_utf8_lossy(&output.stdout)));
    }
    fs::write(done, pom).map_err(|e| e.to_string())
}
