"""Draws the CPU time per message of the clients, from target/bench/results.jsonl: ours as it runs by
itself, the others by whatever does them most good.

    bench/plot.py [RESULTS [PICTURE]]    an SVG that is readable on light and on dark pages
"""

import sys

from table import Results

ROWS = (
    ("produce 12p none send", "produce, record by record"),
    ("produce 12p none send_batch", "produce, in batches"),
    ("produce 12p none keys send", "produce, random keys"),
    ("produce 12p lz4 send", "produce, lz4"),
    ("produce 12p zstd send", "produce, zstd"),
    ("consume 12p none poll", "consume, in batches"),
    ("consume 12p none next", "consume, one by one"),
    ("consume 12p lz4 poll", "consume, lz4"),
    ("consume 12p zstd poll", "consume, zstd"),
)
CLIENTS = (("samsa", "libsamsa", "#d9480f"), ("librdkafka", "librdkafka", "#868e96"), ("franz-go", "franz-go", "#4dabf7"))
WIDTH, LEFT, BAR, GAP, TOP = 720, 190, 11, 10, 62
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 10.5px; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } }
"""


def bars(results):
    """For each row that was measured: its title, and each client's best figure."""
    for name, title in ROWS:
        case = ("null", name)
        if case in results.cases:
            own = results.median(case, "samsa", "cpu_ns")
            yield title, [(c, own if c[0] == "samsa" else results.best(case, c[0])) for c in CLIENTS]


def draw(path):
    results = Results(path)
    rows = list(bars(results))
    most = max(value for _, figures in rows for _, value in figures if value)
    scale = (WIDTH - LEFT - 60) / most
    shapes, y = [], TOP
    for title, figures in rows:
        middle = y + BAR * len(figures) / 2 + 4
        shapes.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{title}</text>')
        for (_, _, colour), value in figures:
            if value:
                width = max(value * scale, 1)
                shapes.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>')
                label = f'x="{LEFT + width + 4:.1f}" y="{y + BAR - 2}"'
                shapes.append(f'<text class="small" {label}>{value:.0f}</text>')
            y += BAR
        y += GAP
    legend = []
    for index, (client, title, colour) in enumerate(CLIENTS):
        x = LEFT + index * 150
        version = results.versions.get(client, "")
        legend.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colour}"/>')
        legend.append(f'<text x="{x + 15}" y="43">{title} {version}</text>')
    title = "CPU time of the client per message, ns (less is better)"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{title}">',
            f"<style>{STYLE}</style>",
            f'<text class="title" x="{LEFT}" y="20">{title}</text>',
            *legend,
            *shapes,
            "</svg>\n",
        ]
    )


def main():
    results = sys.argv[1] if len(sys.argv) > 1 else "target/bench/results.jsonl"
    picture = sys.argv[2] if len(sys.argv) > 2 else "target/bench/performance.svg"
    with open(picture, "w", encoding="utf-8") as file:
        file.write(draw(results))
    print(picture)


if __name__ == "__main__":
    main()
