//! Real ZooKeepers of the oldest and the newest line, without any Kafka: one server, or several that
//! form an ensemble.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::jars;
use super::process::{Folder, Process, free_port, wait_until};
use super::zookeeper::four_letters;

/// How long servers may take to serve on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A release of ZooKeeper, as Maven Central has it.
#[derive(Debug)]
pub struct Line {
    /// The version of `org.apache.zookeeper:zookeeper`.
    pub version: &'static str,
    /// What its server needs besides, which its project file leaves to others.
    extra: &'static [(&'static str, &'static str, &'static str)],
}

/// The releases that the checks run on.
pub const LINES: [Line; 2] = [
    Line { version: "3.4.14", extra: &[] },
    Line {
        version: "3.9.4",
        extra: &[
            ("org.xerial.snappy", "snappy-java", "1.1.10.5"),
            ("io.dropwizard.metrics", "metrics-core", "4.1.12.1"),
        ],
    },
];

impl Line {
    fn pom(&self) -> String {
        let dependency = |group: &str, artifact: &str, version: &str| {
            let exclusions: String = ["io.netty:netty", "jline:jline", "com.github.spotbugs:*"]
                .iter()
                .filter_map(|name| name.split_once(':'))
                .map(|(g, a)| {
                    format!(
                        "<exclusion><groupId>{g}</groupId><artifactId>{a}</artifactId></exclusion>"
                    )
                })
                .collect();
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                 <version>{version}</version><exclusions>{exclusions}</exclusions></dependency>"
            )
        };
        let mut dependencies = dependency("org.apache.zookeeper", "zookeeper", self.version);
        for (group, artifact, version) in self.extra {
            dependencies += &dependency(group, artifact, version);
        }
        format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId>\
             <artifactId>zookeeper-jars</artifactId><version>1</version>\
             <dependencies>{dependencies}</dependencies></project>\n"
        )
    }
}

/// One server; its data and ports stay when it is killed.
struct Server {
    port: u16,
    folder: Folder,
    process: Option<Process>,
}

/// Servers of one release.
pub struct Ensemble {
    line: &'static Line,
    servers: Vec<Server>,
}

impl Ensemble {
    /// Starts `count` servers and waits until all serve.
    pub fn start(line: &'static Line, count: usize) -> Ensemble {
        let ports: Vec<[u16; 3]> =
            (0..count).map(|_| [free_port(), free_port(), free_port()]).collect();
        let members: String = ports
            .iter()
            .zip(1..)
            .map(|([_, peer, election], id)| format!("server.{id}=127.0.0.1:{peer}:{election}\n"))
            .collect();
        let mut ensemble = Ensemble { line, servers: Vec::new() };
        for ([port, ..], id) in ports.into_iter().zip(1..) {
            let folder = Folder::new("ensemble");
            let data = folder.path().join("data");
            fs::create_dir_all(&data).expect("a data folder");
            fs::write(data.join("myid"), format!("{id}\n")).expect("myid");
            let mut properties = format!(
                "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=200\n\
                 maxSessionTimeout=60000\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
                data.display()
            );
            if count > 1 {
                properties += &format!("initLimit=50\nsyncLimit=25\n{members}");
            }
            fs::write(folder.path().join("zoo.cfg"), properties).expect("the configuration");
            ensemble.servers.push(Server { port, folder, process: None });
        }
        for index in 0..count {
            ensemble.launch(index);
        }
        for index in 0..count {
            ensemble.wait(index);
        }
        ensemble
    }

    /// The addresses of all servers, `host:port,host:port`.
    pub fn address(&self) -> String {
        let addresses: Vec<String> =
            self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        addresses.join(",")
    }

    /// Ends a server as a crash would.
    pub fn kill(&mut self, index: usize) {
        self.servers[index].process = None;
    }

    /// Starts a server that was killed, on its data, and waits until it serves.
    pub fn restart(&mut self, index: usize) {
        self.launch(index);
        self.wait(index);
    }

    /// The server that holds a client's connection with this session (as in `cons`: `0x…`).
    pub fn serving(&self, session: i64) -> Option<usize> {
        let sid = format!("sid=0x{session:x},");
        self.servers.iter().position(|server| four_letters(server.port, "cons").contains(&sid))
    }

    fn launch(&mut self, index: usize) {
        let class_path =
            jars::class_path_of(&format!("zookeeper-{}", self.line.version), &self.line.pom());
        let server = &mut self.servers[index];
        let mut command = Command::new("java");
        command
            .args(["-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-cp", &class_path, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
            .arg(server.folder.path().join("zoo.cfg"));
        let log = server.folder.path().join("out.log");
        server.process = Some(Process::start(&mut command, &log));
    }

    fn wait(&self, index: usize) {
        let server = &self.servers[index];
        let serves = wait_until(PATIENCE, || {
            four_letters(server.port, "srvr").contains("Zookeeper version")
        });
        let log = fs::read_to_string(server.folder.path().join("out.log")).unwrap_or_default();
        assert!(serves, "ZooKeeper {} does not serve:\n{log}", self.line.version);
    }
}
