"""Arithmetic of the report, and nothing else: medians, ratios of rounds, what a program printed."""

import re
import statistics


def median(values):
    """Of at least one number; of an even count the mean of the two in the middle."""
    return statistics.median(values)


def summary(values):
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": len(values)}


def ratio(rounds, reference):
    """The median of what each round gives: both are {round: value}. None without a round in common.

    What disturbs a machine for longer than one round then disturbs both sides of a quotient.
    """
    quotients = [rounds[r] / reference[r] for r in sorted(rounds) if reference.get(r)]
    return median(quotients) if quotients else None


def load_figures(text):
    """{(label, what, unit): {round: value}} of the lines that a load printed; others are left out."""
    figures = {}
    for line in text.splitlines():
        words = line.split("\t")
        if len(words) != 5 or not words[0].isdigit():
            continue
        try:
            value = float(words[4])
        except ValueError:
            continue
        figures.setdefault((words[1], words[2], words[3]), {})[int(words[0])] = value
    return figures


def mdtest_rates(text):
    """{"create": operations per second, ...} of one run of mdtest."""
    names = {"creation": "create", "stat": "stat", "read": "open-read-close", "removal": "remove"}
    rates = {}
    for line in text.splitlines():
        found = re.match(r"\s*File (creation|stat|read|removal)\s*:?\s+([0-9.]+)", line)
        if found and float(found[2]) > 0:
            rates.setdefault(names[found[1]], float(found[2]))
    return rates


def ior_rates(text, column=1):
    """{"write": value, "read": value} of one run of ior: column 1 is MiB/s, 2 is operations per second."""
    rates = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > column and words[0] in ("write", "read"):
            try:
                rates.setdefault(words[0], float(words[column]))
            except ValueError:
                continue
    return rates


def perftest_rate(text):
    """(microseconds, MiB/s), both over the whole run, of the last line of ucx_perftest -f, or None."""
    found = None
    for line in text.splitlines():
        # iterations; microseconds: median, average, overall; MiB/s: average, overall; messages/s: average, overall
        words = line.split()
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            continue
        if len(numbers) == 8:
            found = (numbers[3], numbers[5])
    return found


def callgrind_total(text):
    """Instructions in an output file of callgrind: its "totals:" line, else "summary:"."""
    for key in ("totals:", "summary:"):
        found = re.findall(rf"^{key}\s+(\d+)", text, re.MULTILINE)
        if found:
            return sum(int(total) for total in found)
    raise ValueError("no total in callgrind's output")


def per_operation(with_operations, without, operations):
    """What one operation cost: the start-up, which both runs have, cancels out."""
    return (with_operations - without) / operations
