"""Puts the last run of the bench into docs/performance.md and docs/performance.svg."""

import contextlib
import io
import json
import pathlib
import platform
import subprocess
import time

import plot
import table

RESULTS = pathlib.Path("target/bench/results.jsonl")
PAGE = pathlib.Path("docs/performance.md")
BEGIN, END = "<!-- the last run: written by `make bench-publish` -->\n", "<!-- end of the last run -->\n"


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    cpus = sum(1 for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("processor"))
    memory = int(open("/proc/meminfo", encoding="utf-8").readline().split()[1]) // 1_000_000
    return f"{cpus} × {model}, {memory} GB, Linux {platform.release()}"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def cell(row):
    if row is None:
        return ""
    least, most = row["range"]
    return f"{number(row['median'])} ({number(least)}–{number(most)})"


def groups(path):
    """The scale of groups, as bench/groups.py has measured it."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    clients = list(dict.fromkeys(row["client"] for row in rows))
    print("\nGroups, on the embedded broker: median (least–most)\n")
    table.head(["case", "figure", *clients], 2)
    for case, figure in dict.fromkeys((row["case"], row["figure"]) for row in rows):
        found = {row["client"]: row for row in rows if (row["case"], row["figure"]) == (case, figure)}
        cells = map(cell, map(found.get, clients))
        table.row([case, figure, *cells])


def legacy(path):
    """What bench/legacy said."""
    said = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("round")]
    print("\nKafka 0.7 beside today's, CPU a message of 100 bytes:\n")
    for line in said:
        print(f"- {line}")


def main():
    conditions = (RESULTS.parent / "conditions").read_text("utf-8").strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    day = time.strftime("%Y-%m-%d", time.gmtime(RESULTS.stat().st_mtime))
    out = io.StringIO()
    print(f"{day}, commit {commit.stdout.strip()}. {machine()}. {conditions}.\n", file=out)
    with contextlib.redirect_stdout(out):
        table.show(RESULTS)
        for name, show in (("groups.jsonl", groups), ("legacy.txt", legacy)):
            if (RESULTS.parent / name).exists():
                show(RESULTS.parent / name)
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{BEGIN}\n{out.getvalue()}\n{END}{after}", encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(plot.draw(RESULTS), encoding="utf-8")


if __name__ == "__main__":
    main()
