"""The page with plots: one self-contained HTML file, SVG drawn by hand, no scripts."""
import html
import math

from comparing.report import DISK, commits, short

WIDTH, LEFT, RIGHT, LINE = 1040, 440, 205, 22
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}svg{width:100%;height:auto}
table{border-collapse:collapse;font-size:13px;width:100%}td,th{border-bottom:1px solid #d9dee3;padding:3px 6px;text-align:left;vertical-align:top}
text{font:12px system-ui,sans-serif;fill:#1b1f24}.dim{fill:#68727d}.grid{stroke:#e3e7eb}.one{stroke:#68727d;stroke-dasharray:4 3}
.good{stroke:#12724f;fill:#12724f}.bad{stroke:#b3372b;fill:#b3372b}.even{stroke:#68727d;fill:#68727d}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e9ec}text{fill:#e6e9ec}.grid{stroke:#2c3238}td,th{border-color:#2c3238}.dim{fill:#98a2ac}
.good{stroke:#45c497;fill:#45c497}.bad{stroke:#f0796d;fill:#f0796d}}
"""


def times_better(row):
    """How many times better Millrace is, and between what: above 1 is good whatever the metric."""
    low, high = row["ci"]
    floor = 1e-4
    if row["more_is_better"]:
        return max(row["ratio"], floor), max(low, floor), max(high, floor)
    return 1 / max(row["ratio"], floor), 1 / max(high, floor), 1 / max(low, floor)


def verdict(low, high):
    return "good" if low > 1 else "bad" if high < 1 else "even"


def ticks(low, high):
    """Of a logarithmic axis: 1, 2, 5 times powers of ten within the bounds, at most ten of them."""
    all_of_them = [m * 10**e for e in range(-5, 6) for m in (1, 2, 5) if low <= m * 10**e <= high]
    return all_of_them if len(all_of_them) <= 10 else [t for t in all_of_them if math.log10(t).is_integer()]


def forest(rows):
    """One line a row: a dot at how many times better Millrace is, its interval, both figures beside it."""
    points = [times_better(r) for r in rows]
    low = min(0.5, *(p[1] for p in points)) * 0.9
    high = max(2, *(p[2] for p in points)) * 1.1
    span = math.log(high / low)

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / low) / span

    height = LINE * (len(rows) + 2)
    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="times better than the rival, logarithmic">']
    for tick in ticks(low, high):
        kind = "one" if tick == 1 else "grid"
        out.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="14" y2="{height - LINE}"/>'
                   f'<text class="dim" x="{x(tick):.1f}" y="{height - 6}" text-anchor="middle">{tick:g}×</text>')
    for i, (row, (middle, left, right)) in enumerate(zip(rows, points, strict=True)):
        y = LINE * (i + 1)
        out.append(f'<g><title>{html.escape(row["shape"])}</title>'
                   f'<text x="0" y="{y + 4}">{html.escape(row["work"])}</text>'
                   f'<text class="dim" x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{html.escape(row["unit"].replace("broker CPU seconds", "CPU-s"))}</text>'
                   f'<g class="{verdict(left, right)}"><line x1="{x(left):.1f}" x2="{x(right):.1f}" y1="{y}" y2="{y}" stroke-width="3"/>'
                   f'<circle cx="{x(middle):.1f}" cy="{y}" r="4.5"/></g>'
                   f'<text class="dim" x="{WIDTH}" y="{y + 4}" text-anchor="end">{short(row["ours"])} : {short(row["theirs"])} ({short(middle)}×)</text></g>')
    return "".join(out) + "</svg>"


def cells(tag, values):
    return "<tr>" + "".join(f"<{tag}>{html.escape(str(v))}</{tag}>" for v in values) + "</tr>"


def rows_table(rows):
    out = ["<table>", cells("th", ("work", "metric", "Millrace", "rival", "ratio", "95 % interval", "an ack means", "shape", "pairs (dropped)"))]
    for r in rows:
        d = r["durability"]
        ack = "" if d["ours"] == "n/a" else f"{d['ours']} / {d['theirs']}"
        out.append(cells("td", (r["work"], r["unit"], short(r["ours"]), short(r["theirs"]), short(r["ratio"]),
                                f"{short(r['ci'][0])} to {short(r['ci'][1])}", ack, r["shape"], f"{r['pairs']} ({r['pairs_dropped']})")))
    return "\n".join(out) + "</table>"


def page(result):
    m, v = result["machine"], result["versions"]
    out = [f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
           f"<title>Millrace, measured {result['date']}</title><style>{STYLE}</style>",
           f"<h1>Millrace beside its rivals, {result['date']}</h1>",
           f"<p>Written by <code>bench/compare</code>, {commits(result)}, {html.escape(v['millrace'])}, Apache Kafka {v['kafka']} "
           f"(heap of 1 GiB, warmed {result['warm_s']:g} s). {html.escape(m['cpu'])}, {m['cores']} cores, {m['memory_mb']} MB, Linux {m['kernel']}; broker on one "
           f"core, load on the other, loopback; {result['sittings']} sitting(s), {result['seconds']} s. {DISK}</p>",
           "<p>A dot is the median over pairs of adjacent slices of how many times better Millrace is than the rival (less CPU, less time, "
           "more throughput), the line its 95 % bootstrap interval (of one or two pairs their range); the scale is logarithmic. Green: better "
           "throughout; red: worse throughout; grey: not decided. At the right both figures. Shapes and durability: tables below, and "
           "as tooltips. Against itself (A/A) a dot off 1 is the error of the method on that day.</p>"]
    rivals = list(dict.fromkeys(r["rival"] for r in result["rows"]))
    for rival in rivals:
        rows = [r for r in result["rows"] if r["rival"] == rival]
        out += [f"<h2>Against {html.escape(rival)}</h2>", forest(rows), f"<details><summary>As a table</summary>{rows_table(rows)}</details>"]
    if result["left_out"]:
        items = "".join(f"<li>{html.escape(', '.join(filter(None, (o.get('work'), o['rival']))))}: {html.escape(o['why'])}</li>"
                        for o in result["left_out"])
        out.append(f"<h2>Left out</h2><ul>{items}</ul>")
    return "\n".join(out) + "</html>\n"
