//! Command lines for the JVM: brokers, ZooKeeper, and Kafka's own tools.

use std::path::Path;
use std::process::Command;

use super::jars::class_path;
use super::versions::Release;

/// A `java` command for a long-running server: small heap, logging to `log.properties` in `folder`.
pub fn server(release: &Release, heap_mib: u32, folder: &Path) -> Command {
    let mut command = java(release, heap_mib);
    command.args(logging(release, folder));
    command
}

/// A `java` command for one of Kafka's tools (warnings only, on standard error).
pub fn tool(release: &Release, class: &str) -> Command {
    let mut command = java(release, 256);
    command.arg(class);
    command
}

/// A `java` command for a program of ours in one file, which the JVM compiles as it starts it.
pub fn program(release: &Release, file: &str) -> Command {
    let mut command = java(release, 256);
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/peers");
    command.arg(peers.join(file));
    command
}

fn java(release: &Release, heap_mib: u32) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xms32m", &format!("-Xmx{heap_mib}m"), "-XX:+UseSerialGC"])
        // Functional tests start many JVMs: the first compiler alone halves their start.
        .arg("-XX:TieredStopAtLevel=1")
        .args(["-cp", &class_path(release)]);
    command
}

fn logging(release: &Release, folder: &Path) -> Vec<String> {
    let (option, name, text) = if release.kraft {
        ("log4j2.configurationFile", "log4j2.xml", LOG4J_2)
    } else {
        ("log4j.configuration", "log4j.properties", LOG4J_1)
    };
    let file = folder.join(name);
    std::fs::write(&file, text).expect("the logging configuration");
    vec![format!("-D{option}=file:{}", file.display())]
}

const LOG4J_1: &str = "\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
";

const LOG4J_2: &str = "\
<Configuration><Appenders><Console name=\"out\"><PatternLayout pattern=\"[%d] %p %m (%c)%n\"/>\
</Console></Appenders><Loggers><Root level=\"info\"><AppenderRef ref=\"out\"/></Root></Loggers>\
</Configuration>
";
