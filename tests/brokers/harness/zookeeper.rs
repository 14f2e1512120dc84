//! A real ZooKeeper, from the jar that each ZooKeeper-based Kafka brings.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::java;
use super::process::{Folder, Process, free_port, wait_until};
use super::versions::Release;

/// One ZooKeeper server on loopback.
pub struct ZooKeeper {
    port: u16,
    // Dropped in this order: the process ends before its folder goes.
    process: Process,
    folder: Folder,
}

impl ZooKeeper {
    /// Starts the server that `release` brings, and waits until it serves.
    pub fn start(release: &Release) -> ZooKeeper {
        let (folder, port) = (Folder::new("zookeeper"), free_port());
        let data = folder.path().join("data");
        let properties = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=500\n\
             maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
            data.display()
        );
        let file = folder.path().join("zookeeper.properties");
        std::fs::write(&file, properties).expect("the ZooKeeper configuration");
        let log = folder.path().join("out.log");
        let mut command = java::server(release, 128, folder.path());
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(&file);
        let zookeeper = ZooKeeper { port, process: Process::start(&mut command, &log), folder };
        assert!(
            wait_until(Duration::from_secs(60), || {
                zookeeper.command("srvr").contains("Zookeeper version")
            }),
            "ZooKeeper does not serve:\n{}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
        zookeeper
    }

    /// Its address, `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits until no live session holds the node of broker `id`.
    ///
    /// After SIGKILL a broker's session lives on until it expires; a broker started before that
    /// ends at once because its id is still registered.
    pub fn wait_without_broker(&self, id: u32) {
        let node = format!("/brokers/ids/{id}");
        let gone = || !self.command("dump").lines().any(|line| line.trim() == node);
        assert!(wait_until(Duration::from_secs(60), gone), "{node} never went away");
    }

    fn command(&self, word: &str) -> String {
        four_letters(self.port, word)
    }
}

/// What the server at `port` says to a four-letter word; nothing if it does not serve.
pub fn four_letters(port: u16, word: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let _ = stream.write_all(word.as_bytes());
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.process.kill();
        debug_assert!(self.folder.path().is_absolute());
    }
}
