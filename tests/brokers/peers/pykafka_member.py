"""PyKafka as a member of a group. Prints what it is given, what is taken from it, and every message:

    assigned TOPIC PARTITION...
    revoked TOPIC PARTITION...
    message TOPIC PARTITION OFFSET VALUE

usage: pykafka_member.py RELEASE BOOTSTRAP TOPIC GROUP [zookeeper=HOST:PORT]
With zookeeper the members agree there (balanced), without it at the group coordinator (managed).
Leaves the group at SIGTERM.
"""

import signal
import sys

from pykafka import KafkaClient
from pykafka.common import OffsetType


def tell(what, topic, partitions):
    if partitions:
        print(what, topic, *sorted(partitions), flush=True)


def main(release, bootstrap, topic, group, options):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    # The versions of the protocol that PyKafka knows end there.
    version = release if release.startswith(("0.8", "0.9")) else "0.10.0"
    client = KafkaClient(hosts=bootstrap, broker_version=version)

    def rebalanced(_consumer, old, new):
        # What it keeps is not told of: as with other members, only what changes.
        old, new = set(old), set(new)
        tell("revoked", topic, old - new)
        tell("assigned", topic, new - old)

    settings = {
        "consumer_group": group.encode(),
        "auto_commit_enable": True,
        "auto_commit_interval_ms": 1000,
        "auto_offset_reset": OffsetType.EARLIEST,
        "consumer_timeout_ms": 200,
        "post_rebalance_callback": rebalanced,
    }
    named = dict(option.split("=", 1) for option in options)
    if "zookeeper" in named:
        settings["zookeeper_connect"] = named["zookeeper"]
        settings["rebalance_max_retries"] = 10
        settings["rebalance_backoff_ms"] = 500
    else:
        settings["managed"] = True
        settings["heartbeat_interval_ms"] = 1000
    consumer = client.topics[topic.encode()].get_balanced_consumer(**settings)
    while not ended:
        message = consumer.consume()
        if message is not None:
            print("message", topic, message.partition_id, message.offset, message.value.decode(), flush=True)
    consumer.stop()


if __name__ == "__main__":
    main(*sys.argv[1:5], sys.argv[5:])
