//! The metadata loop and the live maps: brokers, topics, partitions.
