"""What is measured: the rows of the table, and who takes part in each."""

from dataclasses import dataclass, field

# On the null broker every client is the limit. What is produced is counted for the fastest; the
# others, which need longer for a message, get their share of it. What is consumed is the same for
# all but Java: it must be many times what a client has fetched ahead when the clock starts.
SHARES = {
    "produce": {"samsa": 1.0, "librdkafka": 0.6, "franz-go": 0.6, "java": 0.4},
    "consume": {"java": 0.4},
}

# librdkafka's cost doubles when its threads run in parallel (one glibc arena, one lock), so that it
# is also measured with its threads on one CPU, and with jemalloc. The Java client is there for
# orientation.
VARIANTS = {
    "samsa": ("", "1cpu"),
    "librdkafka": ("", "1cpu"),
    "franz-go": ("", "1cpu"),
    "java": ("",),
}


@dataclass(frozen=True)
class Case:
    """A row: how the clients are called, and what the broker is."""

    name: str
    mode: str
    clients: tuple = ("samsa", "librdkafka", "franz-go", "java")
    arguments: dict = field(default_factory=dict)
    broker: str = "null"  # or kafka
    options: tuple = ()  # of the null broker
    variants: bool = True
    quick: bool = False  # part of the quick run too

    def variants_of(self, client):
        if not self.variants:
            return ("",)
        extra = ("jemalloc",) if client == "librdkafka" and self.mode == "consume" else ()
        return VARIANTS[client] + extra


# Codec, bytes, how both are called in a case's name, messages to produce and to consume.
KINDS = (
    ("none", 100, "none", 4_000_000, 5_000_000),
    ("none", 1000, "none 1kB", 500_000, 1_500_000),
    ("lz4", 100, "lz4", 2_500_000, 6_000_000),
    ("zstd", 100, "zstd", 1_500_000, 8_000_000),
)


def produce(name, partitions=12, brokers=1, calls=("send",), quick=False, **arguments):
    """Rows of producing on the null broker, one for each call."""
    options = ("--brokers", str(brokers), "--partitions", str(partitions))
    for call in calls:
        clients = ("samsa", "librdkafka", "franz-go", "java")
        if call != "send":  # the others have one way to do it
            clients = ("samsa", "librdkafka") if call == "send_batch" else ("samsa",)
        own = {"call": call, **arguments}
        yield Case(f"{name} {call}", "produce", clients, own, options=options, quick=quick)


def consume(kind, codec, size, count, quick):
    """Rows of consuming from the null broker."""
    options = ("--codec", codec, "--size", str(size))
    for call in ("poll", "next"):
        clients = ("samsa", "librdkafka", "franz-go", "java")
        if call == "next":
            clients = ("samsa", "librdkafka")
        own = {"call": call, "count": count, "size": size}
        yield Case(f"consume 12p {kind} {call}", "consume", clients, own, options=options, quick=quick)


def throughput():
    for codec, size, kind, sent, read in KINDS:
        quick = kind == "none"
        own = {"codec": codec, "size": size, "count": sent}
        calls = ("send", "send_batch", "send_packed")
        yield from produce(f"produce 12p {kind}", calls=calls, quick=quick, **own)
        yield from consume(kind, codec, size, read, quick)
    keyed = {"keys": "yes", "count": 2_000_000}
    yield from produce("produce 12p none keys", quick=True, **keyed)
    yield from produce("produce 1000p none keys", partitions=1000, **keyed)
    plain = {"count": 3_000_000}
    yield from produce("produce 1000p none", partitions=1000, **plain)
    yield from produce("produce 20b 240p none", partitions=240, brokers=20, **plain)


def latency():
    clients = ("samsa", "librdkafka", "franz-go")
    for rate, name in ((2000, "2k"), (10000, "10k")):
        own = {"rate": rate, "seconds": 4}
        yield Case(f"latency {name} linger0", "latency", clients, own, variants=False, quick=rate > 5000)


def idle():
    """Run side by side: none of them does anything."""
    quiet = ("--rate", "0")
    for brokers, partitions in ((1, 12), (20, 200)):
        where = f"{brokers}b {partitions}p"
        options = ("--brokers", str(brokers), "--partitions", str(partitions), *quiet)
        for what in ("producer", "consumer"):
            yield Case(f"idle {what} {where}", f"idle-{what}", options=options, variants=False, quick=True)
    clients = ("samsa", "librdkafka", "franz-go")
    options = ("--partitions", "1000", *quiet)
    yield Case("memory idle 1000p", "idle-both", clients, options=options, variants=False, quick=True)
    slow = {"wait": 10000}
    options = ("--brokers", "20", "--partitions", "200", *quiet)
    yield Case("idle consumer 20b 200p wait10s", "idle-consumer", clients, slow, options=options, variants=False)


def memory():
    clients = ("samsa", "librdkafka", "franz-go")
    own = {"call": "poll", "count": 10_000_000}
    yield Case("memory consume 1GB", "consume", clients, own, variants=False)


def kafka():
    """The first row of each on a real broker; what is consumed was filled in before."""
    own = {"call": "send", "count": 2_000_000, "topic": "write"}
    yield Case("produce 12p none send", "produce", arguments=own, broker="kafka", variants=False)
    batch = {**own, "call": "send_batch"}
    two = ("samsa", "librdkafka")
    yield Case("produce 12p none send_batch", "produce", two, batch, broker="kafka", variants=False)
    own = {"call": "poll", "count": 3_000_000, "topic": "read"}
    yield Case("consume 12p none poll", "consume", arguments=own, broker="kafka", variants=False)
    clients = ("samsa", "librdkafka", "franz-go")
    own = {"rate": 2000, "seconds": 4, "topic": "slow"}
    yield Case("latency 2k linger0", "latency", clients, own, broker="kafka", variants=False)
