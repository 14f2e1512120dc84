//! Real clusters: one broker of any release, or several of one.

use super::broker::{Broker, Node};
use super::versions::Release;
use super::zookeeper::ZooKeeper;

/// Brokers of one release that form a cluster, with their ZooKeeper where the release needs one.
pub struct Cluster {
    /// The brokers, by index; index and id agree.
    pub brokers: Vec<Broker>,
    zookeeper: Option<ZooKeeper>,
}

impl Cluster {
    /// Starts `count` brokers and waits until each lists all.
    pub fn start(release: &'static Release, count: u32) -> Cluster {
        let zookeeper = (!release.kraft).then(|| ZooKeeper::start(release));
        let nodes: Vec<Node> = (0..count).map(Node::new).collect();
        let voters: Vec<String> = nodes
            .iter()
            .map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller_port))
            .collect();
        let voters = voters.join(",");
        // All are started before any is waited for: a KRaft quorum needs the others.
        let brokers = nodes
            .into_iter()
            .map(|node| Broker::launch(release, node, zookeeper.as_ref(), &voters, count))
            .collect();
        let mut cluster = Cluster { brokers, zookeeper };
        cluster.wait_until_whole();
        cluster
    }

    /// The bootstrap list of all brokers.
    pub fn address(&self) -> String {
        self.brokers.iter().map(Broker::address).collect::<Vec<_>>().join(",")
    }

    /// The release that the brokers run.
    pub fn release(&self) -> &'static Release {
        self.brokers[0].release
    }

    /// The address of ZooKeeper, for releases that have one.
    pub fn zookeeper(&self) -> Option<String> {
        self.zookeeper.as_ref().map(ZooKeeper::address)
    }

    /// Ends one broker as a crash would.
    pub fn kill(&mut self, index: usize) {
        self.brokers[index].kill();
    }

    /// Starts a broker that was killed or stopped, and waits until the cluster is whole again.
    pub fn restart(&mut self, index: usize) {
        if let Some(zookeeper) = &self.zookeeper {
            zookeeper.wait_without_broker(self.brokers[index].id());
        }
        self.brokers[index].start();
        self.wait_until_whole();
    }

    fn wait_until_whole(&mut self) {
        let count = self.brokers.len();
        for broker in &mut self.brokers {
            broker.wait_until_it_lists(count);
        }
    }
}
