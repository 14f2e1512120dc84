"""confluent-kafka as a member of a group. Prints what it is given, what is taken from it, and every message:

    assigned TOPIC PARTITION...
    revoked TOPIC PARTITION...
    lost TOPIC PARTITION...
    message TOPIC PARTITION OFFSET VALUE

usage: confluent_member.py RELEASE BOOTSTRAP TOPIC GROUP [name=value]...
Leaves the group at SIGTERM.
"""

import signal
import sys

from confluent_kafka import Consumer


def tells(what):
    def told(_consumer, partitions):
        if partitions:
            numbers = " ".join(str(one.partition) for one in partitions)
            print(what, partitions[0].topic, numbers, flush=True)

    return told


def main(bootstrap, topic, group, options):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    settings.update(option.split("=", 1) for option in options)
    consumer = Consumer(settings)
    consumer.subscribe([topic], on_assign=tells("assigned"), on_revoke=tells("revoked"), on_lost=tells("lost"))
    while not ended:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr, flush=True)
            continue
        place = (message.topic(), message.partition(), message.offset(), message.value().decode())
        print("message", *place, flush=True)
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[2:5], sys.argv[5:])
