"""Prints the medians of target/bench/results.jsonl, their spread, and the ratios to the others.

    bench/table.py [RESULTS]    as Markdown, for docs/performance.md too
"""

import json
import statistics
import sys

# What a row without a peer of its own is compared with: the peer's nearest way to do the same.
NEAREST = {"send_packed": "send_batch", "send_batch": "send", "next": "poll"}
COLUMNS = (
    ("libsamsa", "samsa", ""),
    ("1 CPU", "samsa", "1cpu"),
    ("librdkafka", "librdkafka", ""),
    ("1 CPU", "librdkafka", "1cpu"),
    ("jemalloc", "librdkafka", "jemalloc"),
    ("franz-go", "franz-go", ""),
    ("1 CPU", "franz-go", "1cpu"),
    ("Java", "java", ""),
)
VARIANTS = ("1cpu", "jemalloc")


class Results:
    def __init__(self, path):
        self.runs = {}
        self.versions = {}
        self.cases = []
        for line in open(path, encoding="utf-8"):
            row = json.loads(line)
            words = row["case"].split()
            variant = words.pop() if words[-1] in VARIANTS else ""
            case = (row["broker"], " ".join(words))
            if case not in self.cases:
                self.cases.append(case)
            self.runs.setdefault((*case, row["client"], variant), []).append(row)
            self.versions[row["client"]] = row["version"]

    def values(self, case, client, variant, field):
        return [row[field] for row in self.runs.get((*case, client, variant), []) if field in row]

    def median(self, case, client, field, variant=""):
        values = self.values(case, client, variant, field)
        return statistics.median(values) if values else None

    def nearest(self, case, client):
        """The case in which this client does the same, by its nearest call."""
        broker, name = case
        words = name.split()
        while True:
            found = (broker, " ".join(words))
            if any((*found, client, v) in self.runs for v in ("", *VARIANTS)):
                return found
            if words[-1] not in NEAREST:
                return None
            words[-1] = NEAREST[words[-1]]

    def best(self, case, client):
        """The least CPU time of a client, whatever its variant."""
        case = self.nearest(case, client)
        if case is None:
            return None
        medians = [self.median(case, client, "cpu_ns", v) for v in ("", *VARIANTS)]
        return min((m for m in medians if m is not None), default=None)


def spread(values, scale=1.0, digits=0):
    if not values:
        return ""
    values = [value / scale for value in values]
    text = f"{statistics.median(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def row(cells):
    print("| " + " | ".join(cells) + " |")


def head(titles, left=1):
    row(titles)
    print("|" + "".join("---|" if i < left else "--:|" for i in range(len(titles))))


def name_of(case):
    return case[1] if case[0] == "null" else f"{case[0]}: {case[1]}"


def throughput(results):
    cases = [c for c in results.cases if c[1].startswith(("produce", "consume"))]
    used = [c for c in COLUMNS if any(results.values(case, c[1], c[2], "cpu_ns") for case in cases)]
    print("\nCPU, ns a message: median (least–most)\n")
    head(["case", *(title for title, _, _ in used), "÷ librdkafka", "÷ franz-go"])
    for case in cases:
        cells = [spread(results.values(case, client, variant, "cpu_ns")) for _, client, variant in used]
        own = results.median(case, "samsa", "cpu_ns")
        for peer in ("librdkafka", "franz-go"):
            best = results.best(case, peer)
            cells.append(f"{own / best:.2f}" if own and best else "")
        row([name_of(case), *cells])
    print("\nMillion messages a second: median (least–most)\n")
    clients = [client for client in ("samsa", "librdkafka", "franz-go", "java") if client in results.versions]
    head(["case", *clients])
    for case in cases:
        row([name_of(case), *(spread(results.values(case, c, "", "per_second"), 1e6, 2) for c in clients)])


def latency(results):
    cases = [c for c in results.cases if c[1].startswith("latency")]
    if not cases:
        return
    print("\nAck latency, µs\n")
    head(["case", "client", "p50", "p99", "p99.9", "CPU, µs a message", "switches a message"], 2)
    for case in cases:
        for client in ("samsa", "librdkafka", "franz-go"):
            if results.median(case, client, "cpu_ns") is None:
                continue
            cells = [spread(results.values(case, client, "", f)) for f in ("p50_us", "p99_us", "p999_us")]
            cells.append(spread(results.values(case, client, "", "cpu_ns"), 1000, 1))
            rows = results.runs[(*case, client, "")]
            cells.append(spread([r["switches_per_second"] / r["per_second"] for r in rows], digits=1))
            row([name_of(case), client, *cells])


def standing(results):
    cases = [c for c in results.cases if c[1].startswith(("idle", "memory"))]
    if not cases:
        return
    print("\nIdle and memory\n")
    head(["case", "client", "threads", "switches a second", "CPU, ms a second", "RSS, MB", "anonymous, MB"], 2)
    for case in cases:
        for client in ("samsa", "librdkafka", "franz-go", "java"):
            if results.median(case, client, "threads") is None:
                continue
            values = {f: results.values(case, client, "", f) for f in ("threads", "switches_per_second", "cpu_ns")}
            cells = [spread(values["threads"]), spread(values["switches_per_second"], digits=1)]
            resting = bool(values["switches_per_second"])
            cells.append(spread(values["cpu_ns"], 1e6, 2) if resting else "")
            for field in ("rss_kb", "anonymous_kb"):
                cells.append(spread(results.values(case, client, "", field), 1000, 1))
            row([name_of(case), client, *cells])


def show(path):
    results = Results(path)
    print(", ".join(f"{client} {version}" for client, version in sorted(results.versions.items())))
    throughput(results)
    latency(results)
    standing(results)


if __name__ == "__main__":
    show(sys.argv[1] if len(sys.argv) > 1 else "target/bench/results.jsonl")
