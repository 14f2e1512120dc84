"""Runs every case with every client, interleaved, and writes target/bench/results.jsonl.

    bench/run.py [--rounds 5] [--quick] [--only WORDS] [--client NAME] [--scale 1] [--no-kafka]

A client is a process that prints one line of figures when it has done its work and lives on until
its standard input closes; then its memory and threads are read from /proc.
"""

import argparse
import ctypes
import json
import os
import pathlib
import select
import subprocess
import sys
import time

import cases
import table
from brokers import OUT, Kafka, NullBrokers

TIMEOUT = 120
JEMALLOC = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
SETTLE, WATCH = 5, 10  # seconds of an idle client
TIMER_SLACK = 29  # prctl's
FIELDS = ("client", "version", "broker", "case", "cpu_ns", "per_second", "p50_us", "p99_us", "p999_us")
FIELDS += ("threads", "switches_per_second", "rss_kb", "anonymous_kb")


def commands():
    """How each client that was built is called."""
    found = {}
    for name in ("samsa", "librdkafka", "franz-go"):
        program = OUT / f"client-{name}"
        if program.exists():
            found[name] = [str(program)]
    classes = OUT / "java/class-path"
    if classes.exists():
        path = classes.read_text(encoding="utf-8").strip()
        found["java"] = ["java", "-Xmx1g", "-XX:+UseG1GC", "-cp", path, "Bench"]
    return found


class Client:
    """A client program at work."""

    alive = set()  # ended with the bench, however that ends

    def __init__(self, command, case, address, variant):
        self.case, self.variant = case, variant
        words = {"bootstrap": address, "topic": "bench", "payloads": payloads(case), **case.arguments}
        if "count" in words:
            share = cases.SHARES[case.mode].get(command[0], 1)
            words["count"] = int(words["count"] * share * SCALE[0])
        line = [*command[1], case.mode, *(f"{name}={value}" for name, value in words.items())]
        environment = dict(os.environ)
        if variant == "jemalloc":
            environment["LD_PRELOAD"] = JEMALLOC
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(OUT / "stderr", "a", encoding="utf-8"),
            env=environment,
            preexec_fn=self._prepare,
        )
        Client.alive.add(self)

    def _prepare(self):
        if self.variant == "1cpu":
            os.sched_setaffinity(0, {0})
        if self.case.mode == "latency":
            # A timer must not be 50 microseconds late in who has the shorter ways otherwise.
            ctypes.CDLL(None).prctl(TIMER_SLACK, 1, 0, 0, 0)

    def figures(self):
        """The line that it prints when it is done; None if it failed."""
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        line = self.process.stdout.readline() if ready else b""
        return json.loads(line) if line else None

    def memory(self):
        """Threads, peak of the resident memory, and anonymous memory."""
        status = {}
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text("utf-8").splitlines():
            name, value = line.split(":", 1)
            status[name] = value.split()
        resident = "VmRSS" if self.case.mode.startswith("idle") else "VmHWM"
        return {
            "threads": int(status["Threads"][0]),
            "rss_kb": int(status[resident][0]),
            "anonymous_kb": int(status["RssAnon"][0]),
        }

    def used(self):
        """CPU nanoseconds and context switches of all its threads until now."""
        cpu, switches = 0, 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            cpu += int((task / "schedstat").read_text("utf-8").split()[0])
            for line in (task / "status").read_text("utf-8").splitlines():
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
        return cpu, switches

    def end(self, kill=False):
        if kill:
            self.process.kill()
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        Client.alive.discard(self)


SCALE = [1.0]


def payloads(case):
    return str(OUT / f"payloads-{case.arguments.get('size', 100)}")


class Bench:
    def __init__(self, options):
        self.clients = commands()
        if options.client:
            self.clients = {n: c for n, c in self.clients.items() if n in options.client}
        self.only = options.only or ""
        self.quick = options.quick
        self.failed = []
        self.results = open(OUT / "results.jsonl", "w", encoding="utf-8")

    def wanted(self, some):
        return [c for c in some if self.only in c.name and (c.quick or not self.quick)]

    def write(self, client, case, variant, figures):
        figures["client"], figures["broker"] = client, case.broker
        figures["case"] = f"{case.name} {variant}".strip()
        row = {name: figures[name] for name in FIELDS if name in figures}
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = round(value, 1)
        self.results.write(json.dumps(row) + "\n")
        self.results.flush()

    def fail(self, client, case):
        self.failed.append(f"{case.name} by {client} on {case.broker}")
        print(f"  failed: {self.failed[-1]}; see {OUT}/stderr", file=sys.stderr)

    def round(self, some, brokers):
        """Every case once with every client and variant, one after the other."""
        for case in self.wanted(some):
            address = brokers.address(case.options)
            for client in case.clients:
                for variant in case.variants_of(client):
                    if client not in self.clients or (self.quick and variant == "jemalloc"):
                        continue
                    if variant == "jemalloc" and not os.path.exists(JEMALLOC):
                        continue
                    self.one(client, case, address, variant)

    def one(self, client, case, address, variant):
        running = Client((client, self.clients[client]), case, address, variant)
        figures = running.figures()
        if figures is None:
            running.end(kill=True)
            self.fail(client, case)
            return
        figures.update(running.memory())
        running.end()
        self.write(client, case, variant, figures)

    def idle(self, some, brokers):
        """All idle clients side by side."""
        running = []
        for case in self.wanted(some):
            address = brokers.address(case.options)
            for client in case.clients:
                if client in self.clients:
                    running.append((client, Client((client, self.clients[client]), case, address, "")))
        figures = [one.figures() for _, one in running]
        time.sleep(SETTLE)
        before = [one.used() if f is not None else None for (_, one), f in zip(running, figures)]
        begin = time.monotonic()
        time.sleep(WATCH)
        for (client, one), row, start in zip(running, figures, before):
            if row is None or one.process.poll() is not None:
                self.fail(client, one.case)
                continue
            end, seconds = one.used(), time.monotonic() - begin
            row["cpu_ns"] = (end[0] - start[0]) / seconds
            row["switches_per_second"] = (end[1] - start[1]) / seconds
            row.update(one.memory())
            self.write(client, one.case, "", row)
        for _, one in running:
            one.end(kill=True)


def kafka_rounds(bench, rounds):
    some = bench.wanted(cases.kafka())
    if not some:
        return
    try:
        broker = Kafka()
    except (OSError, RuntimeError, subprocess.CalledProcessError) as why:
        print(f"no rows on real Kafka: {why}", file=sys.stderr)
        return
    try:
        fill = cases.Case("fill", "produce", ("samsa",), {"call": "send_batch", "count": 4_000_000, "topic": "read"})
        filler = Client(("samsa", commands()["samsa"]), fill, broker.address(()), "")
        if filler.figures() is None:
            raise RuntimeError(f"Kafka takes no messages: see {OUT}/stderr")
        filler.end()
        for number in range(rounds):
            print(f"Kafka, round {number + 1} of {rounds}", file=sys.stderr)
            bench.round(some, broker)
    finally:
        broker.stop()


def busy_seconds():
    """CPU time that the whole machine used until now."""
    fields = pathlib.Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, help="5, or 3 of a quick run")
    parser.add_argument("--quick", action="store_true", help="the most telling rows, half the messages, no Kafka")
    parser.add_argument("--only", help="cases whose name has this in it")
    parser.add_argument("--client", action="append", help="only these clients")
    parser.add_argument("--scale", type=float, default=1.0, help="of the message counts")
    parser.add_argument("--no-kafka", action="store_true")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    SCALE[0] = options.scale * (0.5 if options.quick else 1)
    (OUT / "stderr").write_text("", encoding="utf-8")
    bench, brokers = Bench(options), NullBrokers()
    begin, busy, load = time.monotonic(), busy_seconds(), os.getloadavg()[0]
    try:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            bench.round([*cases.throughput(), *cases.latency(), *cases.memory()], brokers)
            bench.idle(list(cases.idle()), brokers)
    finally:
        costs = brokers.stop()
    if not options.no_kafka and not options.quick:
        kafka_rounds(bench, options.rounds)
    for cost in costs:
        print(cost, file=sys.stderr)
    own = os.times()
    # Two clocks, each rounded its own way: on a quiet machine the difference may fall below nothing.
    others = max(0.0, busy_seconds() - busy - own.children_user - own.children_system)
    seconds = time.monotonic() - begin
    note = f"{options.rounds} rounds in {seconds / 60:.1f} minutes, message counts × {SCALE[0]}; load before "
    note += f"{load:.2f}; other work used {others / seconds:.2f} CPUs"
    (OUT / "conditions").write_text(note + "\n", encoding="utf-8")
    print(note, file=sys.stderr)
    table.show(OUT / "results.jsonl")
    if bench.failed:
        sys.exit(f"failed: {len(bench.failed)} runs")


if __name__ == "__main__":
    try:
        main()
    finally:
        for left in list(Client.alive):
            left.end(kill=True)
