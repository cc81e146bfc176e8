"""The report: a page with tables, the same as JSON, and plots."""

import json
import os

from . import goals, plot, scale, stats

ORDER = ("write", "read", "create", "stat", "open-read-close", "readdir", "remove")


def rows_of(result):
    """One row per target and pass of a case: median, min, max, ratio to the reference, share of the limit."""
    figures, rows = result["figures"], []
    for (label, what, unit), rounds in figures.items():
        row = {key: result[key] for key in ("name", "workload", "servers", "ranks", "access", "storage")}
        row.update(label=label, what=what, unit=unit, reference=result["reference"], values=list(rounds.values()),
                   round_numbers=list(rounds))
        row.update(stats.summary(list(rounds.values())))
        for key, other in (("ratio", result["reference"]), ("share_of_limit", "memory")):
            against = figures.get((other, what, unit))
            comparable = against is not None and label != other and unit != "%"
            # Of times the inverse: above 1 is always better.
            pair = (against, rounds) if unit == "ms" else (rounds, against)
            row[key] = stats.ratio(*pair) if comparable else None
        own = figures.get(("benchfs", what, unit))
        if "crowded" in result:  # beside other file systems
            row["crowded"] = result["crowded"]
            row["own_ratio"] = stats.ratio(own, rounds) if own is not None and label != "benchfs" else None
        rows.append(row)
    order = {what: i for i, what in enumerate(ORDER)}
    rows.sort(key=lambda row: order.get(row["what"], len(ORDER)))
    return rows


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(line) + " |" for line in lines]) + "\n"


def _rows_table(rows):
    lines = []
    others = any("own_ratio" in row for row in rows)
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        share = "" if row["share_of_limit"] is None else f"{100 * row['share_of_limit']:.0f} %"
        lines.append([row["workload"], f"{row['servers']} / {row['ranks']}", row["access"], row["storage"], row["what"],
                      row["label"], _number(row["median"]), _number(row["min"]), _number(row["max"]), row["unit"],
                      row["reference"] if ratio else "", ratio])
        if others:
            lines[-1].append("" if row["own_ratio"] is None else f"{row['own_ratio']:.2f}")
        else:
            lines[-1].append(share)
    return _table(["workload", "servers / ranks", "access", "storage", "pass", "target", "median", "min", "max", "unit",
                   "reference", "ratio", "benchfs to this" if others else "of a memory copy"], lines)


def page(report):
    parts = ["# Benchmark report\n", f"{report['mode']}, {report['rounds']} rounds, {report['began']}, "
             f"{report['seconds']:.0f} s. Every figure is of data that were read back and found right.\n"]
    if report["failures"]:
        parts += ["## FAILED\n", "\n".join(f"- {text}" for text in report["failures"]) + "\n"]
    if report["left_out"]:
        parts += ["## Left out\n", "\n".join(f"- {text}" for text in report["left_out"]) + "\n"]
    lines = [[row["goal"], f"{row['must']:g}", f"{row['should']:g}", row["text"], row["verdict"]]
             for row in report["goals"] if row["verdict"] != "not measured"]
    if lines:
        parts += ["## Goals\n", _table(["", "must be", "should be", "is", ""], lines)]
    parts += ["## Machine\n", _table(["", ""], [[key.replace("_", " "), str(value)]
                                                for key, value in report["machine"].items() if value])]
    if report["limits"]:
        parts += ["## Limits\n", _table(["what", "figure"], [[row["what"], row["text"]] for row in report["limits"]])]
    parts += ["## Targets\n", "Medians. Ratios, of which those above 1 are better than the reference, are the median of "
              "those of the single rounds, in which the targets were taken in turn.\n", _rows_table(report["rows"])]
    if report["peer_rows"]:
        parts += ["## IOR and mdtest\n", "Servers are started and stopped for every turn.\n",
                  _rows_table(report["peer_rows"])]
    if report["peer_failures"]:
        parts += ["What another file system did not do:\n",
                  "\n".join(f"- {failure['text']}" for failure in report["peer_failures"]) + "\n"]
    parts += scale.page(report["scale"])
    if report["instructions"]:
        parts += ["## Instructions per operation\n", "By callgrind, start-up cancelled out; access \"local\": client and "
                  "server share the files.\n",
                  _table(["operation", "side", "access", "instructions"],
                         [[row["operation"], row["side"], row["access"], _number(row["instructions"])]
                          for row in report["instructions"]])]
    if report["plots"]:
        parts += ["## Plots\n", "\n".join(f"![{name}]({name})" for name in report["plots"]) + "\n"]
    return "\n".join(parts)


def _groups(rows):
    """For a plot: per case and pass, each target as a share of the reference."""
    groups = {}
    for row in rows:
        text = f"{row['workload']}, {row['servers']}s {row['ranks']}r {row['access']}: {row['what']}"
        share = 1.0 if row["label"] == row["reference"] else row["ratio"]
        if share is None or row["unit"] == "%" or row["label"] == "memory":
            continue
        groups.setdefault(text, []).append((row["label"], share, f"{_number(row['median'])} {row['unit']}"))
    return [(text, sorted(entries)) for text, entries in groups.items() if len(entries) > 1]


def write(report, folder):
    """report.md, report.json and plots into a folder; earlier ones are replaced."""
    os.makedirs(folder, exist_ok=True)
    report["plots"] = []
    report["goals"] = goals.check(report["rows"], report["peer_rows"], report["peer_failures"], report["limits"])
    for name, title, rows in (("loads.svg", "Targets against their reference", report["rows"]),
                              ("ior.svg", "IOR and mdtest against the local file system", report["peer_rows"])):
        path = os.path.join(folder, name)
        groups = _groups(rows)
        if groups:
            plot.bars(title, groups, path)
            report["plots"].append(name)
        elif os.path.exists(path):
            os.remove(path)
    with open(os.path.join(folder, "report.json"), "w") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    with open(os.path.join(folder, "report.md"), "w") as file:
        file.write(page(report))
