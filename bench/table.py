"""Prints the medians of target/bench/results.jsonl and the ratio to librdkafka."""

import json
import statistics
import sys

rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
cases = {}
for row in rows:
    key = (row["case"], f"{row['client']} {row['version']} {row.get('call', '')}".strip())
    cases.setdefault(key, []).append(row)

print(f"{'case':16} {'client':32} {'CPU ns/msg (min-max)':26} {'M msg/s':>8} {'CPU vs librdkafka':>18}")
for (case, client), runs in sorted(cases.items()):
    cpu = statistics.median(run["cpu_ns"] for run in runs)
    low, high = min(run["cpu_ns"] for run in runs), max(run["cpu_ns"] for run in runs)
    rate = statistics.median(run["per_second"] for run in runs) / 1e6
    peers = [run["cpu_ns"] for run in rows if run["client"] == "librdkafka" and run["case"] == case]
    ratio = f"{cpu / statistics.median(peers):.2f}" if peers else "-"
    print(f"{case:16} {client:32} {f'{cpu:.0f} ({low:.0f}-{high:.0f})':26} {rate:8.2f} {ratio:>18}")
