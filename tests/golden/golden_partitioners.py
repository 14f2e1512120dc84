"""What librdkafka's and PyKafka's own partitioners choose.

    golden_partitioners.py keys                 the keys of all tables, x and hex, separated by commas
    golden_partitioners.py librdkafka|pykafka   prints a table in the form of GoldenPartitioners.java

Needs confluent-kafka (its library has librdkafka's public partitioner functions) and pykafka;
golden-partitioners.sh brings them.
"""

import ctypes
import glob
import os
import sys

COUNTS = [1, 2, 3, 7, 12, 50, 1000]
LENGTHS = [*range(18), 31, 64, 255]


def keys():
    """Of every length modulo what the hashes work in, and with bytes above 127."""
    for length in LENGTHS:
        for variant in (1, 90) if length else (1,):
            yield bytes((variant * 31 + at * 17 + length * 7) & 0xFF for at in range(length))


def line(name, key, chosen):
    shown = "null" if key is None else "x" + key.hex()
    print("key", name, shown, *chosen)


def librdkafka():
    import confluent_kafka

    folder = os.path.dirname(confluent_kafka.__file__)
    (path,) = glob.glob(os.path.join(folder, "..", "confluent_kafka.libs", "librdkafka*.so*"))
    lib = ctypes.CDLL(path)
    lib.rd_kafka_new.restype = lib.rd_kafka_topic_new.restype = ctypes.c_void_p
    lib.rd_kafka_topic_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    handle = lib.rd_kafka_new(0, None, None, 0)
    # The random ones look whether a partition is available; of this topic nothing is.
    topic = lib.rd_kafka_topic_new(handle, b"orders", None)
    names = ["consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random"]
    for name in names:
        choose = getattr(lib, "rd_kafka_msg_partitioner_" + name)
        choose.restype = ctypes.c_int32
        choose.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p,
        ]

        def ask(key, count):
            return choose(topic, key, len(key or b""), count, None, None)

        for key in [None, *keys()]:
            if len({ask(key, 1000) for _ in range(50)}) > 1:
                line(name, key, ["random"])
            else:
                line(name, key, [ask(key, count) for count in COUNTS])


def pykafka():
    from hashlib import sha1
    from pykafka.partitioners import GroupHashingPartitioner, HashingPartitioner, RandomPartitioner

    hashing = HashingPartitioner()
    by_hash = lambda key: int(sha1(key).hexdigest(), 16)
    for key in [None, *keys()]:
        try:
            line("hashing", key, [hashing(range(count), key) for count in COUNTS])
        except ValueError:
            line("hashing", key, ["refused"])
    for size in (1, 3):
        group = GroupHashingPartitioner(by_hash, group_size=size)
        for key in [None, *list(keys())[:12]]:
            for count in (2, 7, 12):
                try:
                    chosen = sorted({group(range(count), key) for _ in range(300)})
                    print("group", size, count, "x" + key.hex(), *chosen)
                except ValueError:
                    shown = "null" if key is None else "x" + key.hex()
                    print("group", size, count, shown, "refused")
    turn = RandomPartitioner()
    print("turns", ",".join(map(str, range(4))), "of", 4, *(turn(range(4), None) for _ in range(9)))


if __name__ == "__main__":
    if sys.argv[1] == "keys":
        print(",".join("x" + key.hex() for key in keys()))
    else:
        print("counts", *COUNTS)
        {"librdkafka": librdkafka, "pykafka": pykafka}[sys.argv[1]]()
