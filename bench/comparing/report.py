"""Rows out of pairs, results as JSON, the README's figures."""
import json
import os

from comparing.machine import ROOT
from comparing.metrics import METRICS
from comparing.ratios import kept, summary
from comparing.works import BARE, BY_NAME, CLIENTS, KAFKA, TWIN

OPEN_MARK, CLOSE_MARK = "<!-- generated: figures -->", "<!-- /generated -->"
CLIENTS_SAY = ("The like with unmodified clients, Millrace / Kafka: **ratio**. Loads and rates differ between the columns (shapes: the page "
               "with all rows), so compare ratios. A client, on one core, is the limit of most of its rates; the broker's CPU is the figure "
               "to look at:")
DISK = ("The disk of this machine acknowledges flushes from its host's cache: synced means ordered and safe from a crash of the "
        "guest, and cheaper than on a bare drive.")


def rows_of(work, rival, pairs, note=""):
    used = kept(pairs)
    rows = []
    for metric in work.metrics:
        unit, more_is_better, value = METRICS[metric]
        rows.append({"work": work.name, "metric": metric, "unit": unit, "more_is_better": more_is_better, "rival": rival,
                     **summary([value(a) for a, _ in used], [value(b) for _, b in used]),
                     "durability": {"ours": work.ours, "theirs": work.side(rival)[1]}, "shape": shape_of(work) + note,
                     "pairs": len(used), "pairs_dropped": len(pairs) - len(used)})
    return rows


def shape_of(work):
    return work.shape.format(work.more["connections"]) if work.kind == "many" else work.shape


def rows_of_all(found, notes, left_out, commit=""):
    """A work whose figures make no rows is left out with the reason: it must not take the others with it."""
    rows = []
    for (name, rival), pairs in found.items():
        try:
            rows += [{**row, "commit": commit[:10]} for row in rows_of(BY_NAME[name], rival, pairs, notes.get(name, ""))]
        except (ValueError, KeyError, ArithmeticError) as why:
            left_out.append({"work": name, "rival": rival, "why": f"no row can be made of it: {why!r}"})
    return rows


def merged(old, new):
    """The old result with the new one's rows in place of the same ones; each row names its own commit."""
    def key(row):
        return row["work"], row["rival"], row["metric"]

    fresh = {key(r): r for r in new["rows"]}
    rows = [fresh.pop(key(r), r) for r in old["rows"]] + list(fresh.values())
    order = {name: i for i, name in enumerate(BY_NAME)}
    measured = {(r["work"], r["rival"]) for r in rows}
    today = {x["rival"] for x in new["left_out"]}  # what is said of a rival as a whole is said anew
    before = [x for x in old["left_out"] if "work" in x or x["rival"] not in today]
    left_out = [x for x in [*before, *new["left_out"]] if (x.get("work"), x["rival"]) not in measured]
    return {**new, "quick": old["quick"], "seconds": old["seconds"] + new["seconds"],
            "rows": sorted(rows, key=lambda r: order.get(r["work"], len(order))),
            "left_out": [x for i, x in enumerate(left_out) if x not in left_out[:i]]}


def write_json(path, result):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    os.rename(path + ".new", path)


def short(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}" if value else "0"


def table(rows):
    lines = ["| work | metric | Millrace | rival | its figure | ratio | interval | an ack means: Millrace / rival |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        d = r["durability"]
        ack = "" if d["ours"] == "n/a" else f"{d['ours']} / {d['theirs']}"
        lines.append(f"| {r['work']} | {r['unit']} | {short(r['ours'])} | {r['rival']} | {short(r['theirs'])} | {short(r['ratio'])} | "
                     f"{short(r['ci'][0])} to {short(r['ci'][1])} | {ack} |")
    return "\n".join(lines)


def in_headline(row):
    """Against Kafka all but one percentile; of the others what says most."""
    work = BY_NAME[row["work"]]
    against_kafka = row["rival"] == KAFKA and row["metric"] != "p90_ms"
    return work.headline and (against_kafka or row["rival"] in (TWIN, BARE) and row["metric"] == work.metrics[0])


def client_table(rows):
    """The works of the headline as clients find them that nobody here has written: Millrace / Kafka, and the ratio."""
    found = {(r["work"], r["metric"]): r for r in rows if r["rival"] == KAFKA}
    names = ("", *CLIENTS)  # "": the work's own load
    by_like = {(w.like, w.more["client"]): w.name for w in BY_NAME.values() if w.like}
    lines = [f"| work | metric | pre-built batches | {' | '.join(c['column'] for c in CLIENTS.values())} |", "| --- | --- | --- | --- | --- |"]
    for like in dict.fromkeys(w.like for w in BY_NAME.values() if w.like):
        for metric in (m for m in BY_NAME[like].metrics if m != "p90_ms"):
            measured = [found.get((by_like[like, name] if name else like, metric)) for name in names]
            if any(measured[1:]):
                cells = [f"{short(r['ours'])} / {short(r['theirs'])}: **{short(r['ratio'])}**" if r else "" for r in measured]
                lines.append(f"| {like} | {METRICS[metric][0]} | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def commits(result):
    """What was measured, the last part of it first: rows of other commits stay when a part is measured again."""
    every = dict.fromkeys([result["commit"][:10], *(r["commit"] for r in result["rows"] if r.get("commit"))])
    return ("commits " if len(every) > 1 else "commit ") + " and ".join(every)


def headline(result):
    """What the README shows: the rows that matter most, and the error of the day."""
    rows = [r for r in result["rows"] if in_headline(r)]
    clients = client_table(result["rows"])
    lines = [f"`bench/compare{' --quick' if result['quick'] else ''}` on {result['date']}, {commits(result)}, "
             f"against Apache Kafka {result['versions']['kafka']} (heap of 1 GiB, warmed {result['warm_s']:g} s, its default threads) and a "
             f"bare loop that receives, checks, appends and syncs: {result['machine']['cpu']}, {result['machine']['cores']} cores, broker "
             "on one core, load on the other, loopback. CPU is the broker's; a ratio below 1 is good there and for latencies, above "
             "1 for throughput. Intervals are 95 % bootstrap over the ratios of adjacent slices; *A/A* is Millrace against "
             f"itself: the error of the day. All rows, with plots: [docs/performance-{result['date']}.html](docs/performance-{result['date']}.html).",
             "", table(rows), "", *([CLIENTS_SAY, "", clients, ""] if clients else []), DISK]
    return "\n".join(lines)


def update_readme(text, path=None):
    path = path or os.path.join(ROOT, "README.md")
    with open(path) as f:
        page = f.read()
    head, rest = page.split(OPEN_MARK, 1)
    tail = rest.split(CLOSE_MARK, 1)[1]
    with open(path, "w") as f:
        f.write(f"{head}{OPEN_MARK}\n{text}\n{CLOSE_MARK}{tail}")
