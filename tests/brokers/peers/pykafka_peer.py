"""PyKafka as a peer: JSON lines in, JSON lines out; bytes are hexadecimal, null is null.

usage: pykafka_peer.py write|read RELEASE BOOTSTRAP TOPIC CODEC|COUNT
"""

import json
import sys

from pykafka import KafkaClient
from pykafka.common import CompressionType, OffsetType

CODECS = {"none": CompressionType.NONE, "gzip": CompressionType.GZIP, "snappy": CompressionType.SNAPPY}


def unhex(text):
    return None if text is None else bytes.fromhex(text)


def tohex(data):
    return None if data is None else data.hex()


def open_topic(release, bootstrap, topic):
    # PyKafka writes message format 0 for "0.9.0" and 1 from "0.10.0" on; newer it does not know.
    version = release if release.startswith("0.8") or release.startswith("0.9") else "0.10.0"
    client = KafkaClient(hosts=bootstrap, broker_version=version)
    return client.topics[topic.encode()]


def write(topic, codec):
    with topic.get_sync_producer(compression=CODECS[codec], partitioner=lambda partitions, _key: partitions[0]) as producer:
        for line in sys.stdin:
            row = json.loads(line)
            producer.produce(unhex(row["value"]), partition_key=unhex(row["key"]))


def read(topic, count):
    consumer = topic.get_simple_consumer(
        partitions=[topic.partitions[0]],
        auto_offset_reset=OffsetType.EARLIEST,
        consumer_timeout_ms=60000,
    )
    for message in consumer:
        print(json.dumps({"key": tohex(message.partition_key), "value": tohex(message.value), "headers": []}))
        count -= 1
        if not count:
            break
    consumer.stop()
    if count:
        sys.exit(f"{count} messages did not come")


if __name__ == "__main__":
    what, release, address, name, last = sys.argv[1:]
    opened = open_topic(release, address, name)
    write(opened, last) if what == "write" else read(opened, int(last))
