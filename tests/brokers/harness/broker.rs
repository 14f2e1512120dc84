//! One real Kafka broker of a given release, on loopback.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::java;
use super::probe::listed_brokers;
use super::process::{Folder, Process, free_port, wait_until};
use super::versions::Release;
use super::zookeeper::ZooKeeper;

/// How long a broker may take to serve on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The id under which KRaft nodes are formatted; the same for all nodes of a cluster.
const CLUSTER_ID: &str = "c2Ftc2Etc2Ftc2Etc2Ftcw";

/// What makes a node a member of its cluster: its id, its ports, and those of all voters.
pub struct Node {
    /// `broker.id` or `node.id`.
    pub id: u32,
    /// Where clients connect.
    pub port: u16,
    /// Where controllers talk to each other (KRaft).
    pub controller_port: u16,
}

impl Node {
    /// A node with ports that are free now.
    pub fn new(id: u32) -> Node {
        Node { id, port: free_port(), controller_port: free_port() }
    }
}

/// A broker that can be killed and started again on the same ports and data.
pub struct Broker {
    /// Its release.
    pub release: &'static Release,
    node: Node,
    process: Option<Process>,
    folder: Folder,
}

impl Broker {
    /// Prepares a broker and starts it; does not wait until it serves.
    pub fn launch(
        release: &'static Release,
        node: Node,
        zookeeper: Option<&ZooKeeper>,
        voters: &str,
        replicas: u32,
    ) -> Broker {
        let folder = Folder::new(&format!("kafka-{}", release.version));
        let mut broker = Broker { release, node, process: None, folder };
        let properties = broker.properties(zookeeper, voters, replicas);
        fs::write(broker.file("server.properties"), properties).expect("the configuration");
        if release.kraft {
            broker.format();
        }
        broker.start();
        broker
    }

    /// Its address, `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.node.port)
    }

    /// Its id in the cluster.
    pub fn id(&self) -> u32 {
        self.node.id
    }

    /// Starts the process; the data and ports are those of the last time.
    pub fn start(&mut self) {
        let mut command = java::server(self.release, 320, self.folder.path());
        command.arg("kafka.Kafka").arg(self.file("server.properties"));
        self.process = Some(Process::start(&mut command, &self.file("out.log")));
    }

    /// Ends the broker as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Waits until the broker lists `count` brokers.
    pub fn wait_until_it_lists(&mut self, count: usize) {
        let serves = wait_until(PATIENCE, || {
            self.check_alive();
            if count == 1 && self.release.number == (0, 8) {
                // A fresh 0.8 lists no broker at all until a first topic exists.
                return self.log().contains("started (kafka.server.KafkaServer)");
            }
            listed_brokers(self.node.port).is_ok_and(|ids| ids.len() >= count)
        });
        assert!(serves, "Kafka {} does not serve:\n{}", self.release.version, self.log_end());
    }

    /// What the broker wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("out.log")).unwrap_or_default()
    }

    fn check_alive(&mut self) {
        let ended = self.process.as_mut().is_none_or(Process::has_ended);
        assert!(!ended, "Kafka {} ended:\n{}", self.release.version, self.log_end());
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn format(&self) {
        let mut command: Command = java::tool(self.release, "kafka.tools.StorageTool");
        command.args(["format", "-t", CLUSTER_ID, "-c"]).arg(self.file("server.properties"));
        let output = command.output().expect("java");
        assert!(output.status.success(), "format: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn properties(&self, zookeeper: Option<&ZooKeeper>, voters: &str, replicas: u32) -> String {
        let mut text = match zookeeper {
            Some(zookeeper) => self.zookeeper_mode(zookeeper),
            None => self.kraft_mode(voters),
        };
        let data = self.file("data");
        let _ = write!(
            text,
            "log.dirs={}\noffsets.topic.replication.factor={replicas}\n",
            data.display()
        );
        text += COMMON;
        if self.release.since(0, 11) {
            let in_sync = replicas.min(2);
            let _ = write!(
                text,
                "group.initial.rebalance.delay.ms=0\ntransaction.state.log.num.partitions=4\n\
                 transaction.state.log.replication.factor={replicas}\n\
                 transaction.state.log.min.isr={in_sync}\n"
            );
        }
        if self.release.since(2, 4) {
            let _ = write!(
                text,
                "broker.rack=rack-{}\nreplica.selector.class=\
                 org.apache.kafka.common.replica.RackAwareReplicaSelector\n",
                self.node.id
            );
        }
        if self.release.since(4, 0) {
            // Members of the new group protocol have the broker's time-outs; these are the tests'.
            text += "group.consumer.min.session.timeout.ms=6000\n\
                     group.consumer.session.timeout.ms=6000\n\
                     group.consumer.min.heartbeat.interval.ms=500\n\
                     group.consumer.heartbeat.interval.ms=500\n";
        }
        if self.release.since(4, 1) {
            let _ = write!(
                text,
                "share.coordinator.state.topic.num.partitions=4\n\
                 share.coordinator.state.topic.replication.factor={replicas}\n\
                 share.coordinator.state.topic.min.isr=1\n"
            );
        }
        text
    }

    fn zookeeper_mode(&self, zookeeper: &ZooKeeper) -> String {
        let Node { id, port, .. } = self.node;
        let listeners = if self.release.since(0, 9) {
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{port}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
            )
        } else {
            format!(
                "port={port}\nhost.name=127.0.0.1\nadvertised.host.name=127.0.0.1\n\
                 advertised.port={port}\n"
            )
        };
        let address = zookeeper.address();
        format!(
            "broker.id={id}\nzookeeper.connect={address}\nzookeeper.session.timeout.ms=6000\n\
             {listeners}"
        )
    }

    fn kraft_mode(&self, voters: &str) -> String {
        let Node { id, port, controller_port } = self.node;
        format!(
            "process.roles=broker,controller\nnode.id={id}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.quorum.voters={voters}\n\
             broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n"
        )
    }
}

/// Small, quick to stop, and still as a user's broker: topics are created by asking for them.
const COMMON: &str = "\
num.partitions=1
offsets.topic.num.partitions=4
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=300
num.network.threads=2
num.io.threads=4
controlled.shutdown.enable=false
auto.leader.rebalance.enable=false
delete.topic.enable=true
";
