"""confluent-kafka as a peer: JSON lines in, JSON lines out; bytes are hexadecimal, null is null.

usage: confluent_peer.py write|read|transactions RELEASE BOOTSTRAP TOPIC CODEC|COUNT
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


def unhex(text):
    return None if text is None else bytes.fromhex(text)


def tohex(data):
    return None if data is None else data.hex()


def write(release, bootstrap, topic, codec):
    options = {"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 50}
    options["message.max.bytes"] = 10_000_000
    # Batches with an identity wherever brokers know them.
    options["enable.idempotence"] = not release.startswith("0.10")
    producer = Producer(options)
    failures = []

    def report(error, _message):
        if error is not None:
            failures.append(str(error))

    for line in sys.stdin:
        row = json.loads(line)
        headers = [(name, unhex(value)) for name, value in row["headers"]] or None
        more = {"headers": headers, "timestamp": row["timestamp"] or 0}
        producer.produce(topic, unhex(row["value"]), unhex(row["key"]), 0, report, **more)
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
        row["timestamp"] = message.timestamp()[1]
        print(json.dumps(row))
        count -= 1
    consumer.close()
    if count:
        sys.exit(f"{count} messages did not come")


def transactions(bootstrap, topic, codec):
    """The script of Transactions.java."""

    def producer(name):
        options = {"bootstrap.servers": bootstrap, "compression.type": codec}
        if name:
            options["transactional.id"] = f"{name}-{topic}"
        made = Producer(options)
        if name:
            made.init_transactions(60)
        return made

    def send(by, what, first, end):
        for number in range(first, end):
            by.produce(topic, f"{what} {number}".encode(), partition=0)
        if by.flush(60):
            sys.exit(f"{what} was not sent")

    one, two, plain = producer("one"), producer("two"), producer(None)
    one.begin_transaction()
    two.begin_transaction()
    send(one, "kept", 0, 5)
    send(two, "dropped", 0, 5)
    send(one, "kept", 5, 10)
    send(plain, "plain", 0, 1)
    send(two, "dropped", 5, 7)
    one.commit_transaction(60)
    two.abort_transaction(60)
    two.begin_transaction()
    send(two, "kept", 10, 15)
    two.commit_transaction(60)
    one.begin_transaction()
    send(one, "dropped", 7, 12)
    one.abort_transaction(60)
    one.begin_transaction()
    send(one, "late", 0, 5)
    send(plain, "behind", 0, 1)
    print("open", flush=True)
    sys.stdin.read(1)
    one.commit_transaction(60)


if __name__ == "__main__":
    what, release, address, name, last = sys.argv[1:]
    if what == "write":
        write(release, address, name, last)
    elif what == "transactions":
        transactions(address, name, last)
    else:
        read(address, name, int(last))
