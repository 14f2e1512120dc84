"""confluent-kafka as a peer: JSON lines in, JSON lines out; bytes are hexadecimal, null is null.

usage: confluent_peer.py write|read RELEASE BOOTSTRAP TOPIC CODEC|COUNT
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


def unhex(text):
    return None if text is None else bytes.fromhex(text)


def tohex(data):
    return None if data is None else data.hex()


def write(bootstrap, topic, codec):
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 50})
    failures = []

    def report(error, _message):
        if error is not None:
            failures.append(str(error))

    for line in sys.stdin:
        row = json.loads(line)
        headers = [(name, unhex(value)) for name, value in row["headers"]] or None
        producer.produce(topic, unhex(row["value"]), unhex(row["key"]), 0, report, headers=headers)
    left = producer.flush(60)
    if left or failures:
        sys.exit(f"{left} unsent, failed: {failures}")


def read(bootstrap, topic, count):
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "peer", "enable.auto.commit": False, "check.crcs": True}
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    end = time.monotonic() + 60
    while count and time.monotonic() < end:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        headers = [[name, tohex(value)] for name, value in message.headers() or []]
        row = {"key": tohex(message.key()), "value": tohex(message.value()), "headers": headers}
        print(json.dumps(row))
        count -= 1
    consumer.close()
    if count:
        sys.exit(f"{count} messages did not come")


if __name__ == "__main__":
    what, _release, address, name, last = sys.argv[1:]
    write(address, name, last) if what == "write" else read(address, name, int(last))
