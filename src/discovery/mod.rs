//! How a cluster is found: the bootstrap list (ZooKeeper has its seat here).
