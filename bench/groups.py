"""What a consumer group costs, beside librdkafka on the same embedded broker.

    bench/groups.py [--members 100] [--partitions 1000] [--rounds 3]

100 members share 1,000 partitions: how long until they have settled, how long a rebalance takes when
one leaves and when one joins, and how many bytes all their connections carry for it. Then a single
idle member with 1,000 partitions on one broker: its context switches and CPU time a second.
Writes target/bench/groups.jsonl, and the medians to standard output.
"""

import argparse
import json
import pathlib
import re
import select
import statistics
import subprocess
import sys
import time

OUT = pathlib.Path("target/bench")
ASSIGNORS = ("range", "cooperative-sticky")
SETTLE, WATCH = 5, 10  # seconds of an idle member


class Broker:
    """The embedded broker in a process of its own, with a topic for a client."""

    def __init__(self, client, partitions):
        command = ["target/examples-c/embedded", "1", f"num.partitions={partitions}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self.process.stdout.readline().decode().strip()
        # It makes a topic that a producer asks for; librdkafka's consumers do not ask.
        produce = ["target/examples-c/produce", f"group-{client}", f"bootstrap.servers={self.address}"]
        subprocess.run(produce, input=b"made\n", stdout=subprocess.DEVNULL, check=True)

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def carried(self):
        """By connection of a client: the bytes that it has carried until now, both ways."""
        port = self.address.rsplit(":", 1)[1]
        listing = subprocess.run(["ss", "-tinH", f"dport = :{port}"], capture_output=True, text=True, check=True)
        carried, name = {}, ""
        for line in listing.stdout.splitlines():
            if not line[:1].isspace():
                name = line.split()[3]
            counts = re.findall(r"bytes_(?:sent|received):(\d+)", line)
            carried[name] = carried.get(name, 0) + sum(map(int, counts))
        return carried


class Members:
    """A client program with its members."""

    def __init__(self, client, broker, partitions, members, assignor, *times):
        words = [f"{OUT}/group-{client}", broker.address, f"group-{client}", partitions, members, assignor, *times]
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(OUT / "stderr", "a", encoding="utf-8"),
        )

    def settled(self):
        """Milliseconds until the members have settled."""
        ready, _, _ = select.select([self.process.stdout], [], [], 150)
        line = self.process.stdout.readline() if ready else b""
        if not line.startswith(b"settled "):
            raise RuntimeError(f"the members did not settle: see {OUT}/stderr")
        return float(line.split()[1])

    def rebalance(self, command, broker):
        """Milliseconds and bytes of what follows a command; a closed connection's are not counted."""
        before = broker.carried()
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()
        took = self.settled()
        after = broker.carried()
        return took, sum(count - before.get(name, 0) for name, count in after.items())

    def used(self):
        """CPU nanoseconds and context switches of all its threads until now."""
        cpu, switches = 0, 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            cpu += int((task / "schedstat").read_text("utf-8").split()[0])
            for line in (task / "status").read_text("utf-8").splitlines():
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
        return cpu, switches

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def rebalances(client, options, assignor):
    """Settle, one leaves, one joins."""
    broker = Broker(client, options.partitions)
    members = Members(client, broker, options.partitions, options.members, assignor, 500, 100)
    try:
        row = {"case": f"{options.members} members, {options.partitions} partitions, {assignor}"}
        row["settle_ms"] = members.settled()
        row["settle_bytes"] = sum(broker.carried().values())
        row["leave_ms"], row["leave_bytes"] = members.rebalance("leave", broker)
        row["join_ms"], row["join_bytes"] = members.rebalance("join", broker)
        return row
    finally:
        members.end()
        broker.end()


def idle(client, options):
    """One member with every partition and nothing to read."""
    broker = Broker(client, options.partitions)
    members = Members(client, broker, options.partitions, 1, "range", 3000, 10000)
    try:
        members.settled()
        time.sleep(SETTLE)
        before, begin = members.used(), time.monotonic()
        time.sleep(WATCH)
        after, seconds = members.used(), time.monotonic() - begin
        row = {"case": f"idle member, {options.partitions} partitions"}
        row["cpu_us_per_second"] = (after[0] - before[0]) / seconds / 1000
        row["switches_per_second"] = (after[1] - before[1]) / seconds
        return row
    finally:
        members.end()
        broker.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    clients = [name for name in ("samsa", "librdkafka") if (OUT / f"group-{name}").exists()]
    results = {}
    for number in range(options.rounds):
        print(f"groups, round {number + 1} of {options.rounds}", file=sys.stderr)
        for client in clients:
            rows = [rebalances(client, options, assignor) for assignor in ASSIGNORS]
            for row in [*rows, idle(client, options)]:
                case = row.pop("case")
                for figure, value in row.items():
                    results.setdefault((case, figure, client), []).append(value)
    with open(OUT / "groups.jsonl", "w", encoding="utf-8") as file:
        for (case, figure, client), values in results.items():
            median = round(statistics.median(values), 1)
            spread = [round(min(values), 1), round(max(values), 1)]
            row = {"case": case, "figure": figure, "client": client, "median": median, "range": spread}
            file.write(json.dumps(row) + "\n")
    for case, figure in dict.fromkeys((case, figure) for case, figure, _ in results):
        medians = [(c, statistics.median(results[case, figure, c])) for c in clients if (case, figure, c) in results]
        print(f"{case:50} {figure:20}", *(f"{client} {median:12,.1f}" for client, median in medians))


if __name__ == "__main__":
    main()
