# SPDX-License-Identifier: BSD-2-Clause
#
# reckon.py: what the samples of bench/compare mean: medians and their spread, slowdowns,
# shares, break-even. Pure functions of numbers: no file, no clock, no engine.
#
# The rows are timed by the host, between the lines that the guest prints: a Linux that
# counts ticks loses some of them on a busy host, and Bochs counts instructions. clocks() says
# how far the guest was out. The nanobenchmarks are too short for that: an engine's time-stamp
# counter is believed where the host's clock mostly agrees with it, else each cell says so.

import statistics

NATIVE, START = "native", "start"
NANO_TOLERANCE = 0.25
TIMES = ("interpreter", "direct", "crossing", "shadow", "idle")


def spread(values, least=False):
    """{value, median, least, greatest, n}, or None; value is the figure that counts."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    out = {"median": statistics.median(values), "least": min(values), "greatest": max(values), "n": len(values)}
    return {"value": out["least" if least else "median"], **out}


def clocks(linux):
    """{engine: the guest's time in the host's, median}."""
    votes = {}
    for row, engines in linux.items():
        for engine, samples in engines.items():
            votes.setdefault(engine, []).extend(s["guest"] / s["host"] for s in samples if s["guest"] and s["host"])
    return {e: statistics.median(v) for e, v in votes.items() if v}


def nano_clock_agrees(s):
    """Lines are seen some ms late: what is too short to tell is no disagreement."""
    return s["host"] is None or abs(s["host"] - s["ns"]) <= 8e6 / s["operations"] + NANO_TOLERANCE * s["host"]


def believed(rows, agrees):
    """The engines whose clock agrees in most samples: some glitches are the busy host's."""
    votes = {}
    for engines in rows.values():
        for engine, samples in engines.items():
            votes.setdefault(engine, []).extend(agrees(s) for s in samples)
    return {e for e, v in votes.items() if 2 * sum(v) > len(v)}


def linux_rows(linux, least=False):
    """{row: {engine: spread of seconds for one}}."""
    out = {}
    for row, engines in linux.items():
        for engine, samples in engines.items():
            seconds = [(s["host"] if s["host"] is not None else s["guest"]) / s["count"] for s in samples]
            out.setdefault(row, {})[engine] = spread(seconds, least)
    return out


def nano_rows(nano, least=False):
    """{row: {engine: spread of ns for one operation, with clock}}."""
    out, right = {}, believed(nano, nano_clock_agrees)
    for row, engines in nano.items():
        for engine, samples in engines.items():
            by_guest = engine in right
            got = spread([s["ns"] if by_guest else s["host"] for s in samples], least)
            got["clock"] = "guest" if by_guest else "host"
            out.setdefault(row, {})[engine] = got
    return out


def slowdowns(rows):
    """{row: {engine: figure / native figure}} of the rows that were done natively."""
    out = {}
    for row, engines in rows.items():
        base = engines.get(NATIVE)
        if base and base["value"] > 0:
            out[row] = {e: s["value"] / base["value"] for e, s in engines.items() if e != NATIVE}
    return out


def total(samples):
    """The sum of equal trees of numbers."""
    if isinstance(samples[0], dict):
        keys = dict.fromkeys(k for s in samples for k in s)
        return {k: total([s[k] for s in samples if k in s]) for k in keys}
    if isinstance(samples[0], (int, float)):
        return sum(samples)
    return samples[0]


def less(one, other):
    """What is left of a tree of numbers, nowhere below nothing."""
    if isinstance(one, dict):
        return {k: less(v, other.get(k, 0) if isinstance(other, dict) else 0) for k, v in one.items()}
    if isinstance(one, (int, float)):
        return max(0, one - other) if isinstance(other, (int, float)) else one
    return one


def mean(samples):
    return scaled(total(samples), 1 / len(samples))


def scaled(tree, by):
    if isinstance(tree, dict):
        return {k: scaled(v, by) for k, v in tree.items()}
    return tree * by if isinstance(tree, (int, float)) else tree


def profiles(profile):
    """{engine: {row: the statistics of one run of it, without the start of the program}}."""
    out = {}
    for engine, rows in profile.items():
        start = min(rows[START], key=lambda s: s["seconds"]["total"] - s["seconds"]["idle"]) if rows.get(START) else {}
        out[engine] = {row: less(mean(s), start) for row, s in rows.items() if row != START}
    return out


def supervisor_shares(summed, engine="interp"):
    """{row: share of supervisor instructions}, from the engine that retires all of them itself."""
    out = {}
    for row, s in summed.get(engine, {}).items():
        n = s["instructions"]["supervisor"] + s["instructions"]["user_interpreted"]
        if n > 0:
            out[row] = s["instructions"]["supervisor"] / n
    return out


def time_shares(summed):
    """{engine: {row: {part: share of the time that was not idle}}} of the hybrids; what is left is the monitor's."""
    out = {}
    for engine, rows in summed.items():
        if not engine.startswith("hybrid"):
            continue
        for row, s in rows.items():
            t = s["seconds"]
            busy = t["total"] - t["idle"]
            if busy <= 0:
                continue
            parts = {k: max(0, t.get(k, 0)) / busy for k in TIMES if k != "idle"}
            over = max(1, sum(parts.values()))	# what was subtracted is not exact
            parts = {k: v / over for k, v in parts.items()}
            parts["monitor"] = max(0, 1 - sum(parts.values()))
            out.setdefault(engine, {})[row] = parts
    return out


def crossings(summed, counts):
    """{engine: {row: {reason: crossings for one}}}, counts[engine][row] being how many were done."""
    out = {}
    for engine, rows in summed.items():
        for row, s in rows.items():
            n = counts.get(engine, {}).get(row)
            by = {k: v / n for k, v in s["crossings"]["by_reason"].items() if v} if n else {}
            if s["crossings"]["total"] or by:
                out.setdefault(engine, {})[row] = by
    return out


def refusals(summed):
    """{engine: what the gate said most} of the hybrids that ran no row directly at all."""
    out = {}
    for engine, rows in summed.items():
        why = {}
        for s in rows.values():
            for k, v in s.get("gate_refusals", {}).items():
                why[k] = why.get(k, 0) + v
        if engine.startswith("hybrid") and rows and not any(s["crossings"]["total"] for s in rows.values()):
            out[engine] = max(why, key=why.get) if why else "the gate was never asked"
    return out


def fit(points):
    """[(share, slowdown)] as slowdown = user * (1 - share) + supervisor * share, neither
    negative; relative errors count, as slowdowns span decades. None below two points."""
    if len({s for s, _ in points}) < 2:
        return None
    a = b = c = d = e = 0.0
    for share, y in points:
        u, v, w = 1 - share, share, 1 / (y * y)
        a, b, c = a + w * u * u, b + w * u * v, c + w * v * v
        d, e = d + w * u * y, e + w * v * y
    det = a * c - b * b
    if det <= 0:
        return None
    user, supervisor = (c * d - b * e) / det, (a * e - b * d) / det
    if user < 0:
        user, supervisor = 0.0, e / c
    if supervisor < 0:
        user, supervisor = d / a, 0.0
    return {"user": user, "supervisor": supervisor, "points": len(points)}


def break_even(one, other):
    """The share at which the two lines meet, or None if one is below the other from 0 to 1;
    and which is faster below it (or everywhere)."""
    left = one["user"] - other["user"]
    right = one["supervisor"] - other["supervisor"]
    if left * right < 0:
        return {"share": left / (left - right), "faster_below": "one" if left < 0 else "other"}
    return {"share": None, "faster_below": "one" if left + right < 0 else "other"}


def wrong_sums(sums):
    """[row, count, engine] of every checksum that is not the one that the host got."""
    right = {(row, count): checksum for row, count, engine, checksum in sums if engine == NATIVE}
    known = {}
    for row, count, engine, checksum in sums:
        known.setdefault((row, count), checksum)
    return sorted({(row, count, engine) for row, count, engine, checksum in sums
                   if checksum != right.get((row, count), known[row, count])})


def joined(one, other):
    """Samples of two runs as those of one: lists one behind the other."""
    if isinstance(one, dict):
        return {k: joined(one[k], other[k]) if k in one and k in other else one.get(k, other.get(k))
                for k in [*one, *(k for k in other if k not in one)]}
    return one + other if isinstance(one, list) else one


def reckon(samples, least=False):
    """All of it, from the "samples" of the JSON; by medians, or by the least."""
    rows = linux_rows(samples["linux"], least)
    slow = slowdowns(rows)
    summed = profiles(samples["profile"])
    shares = supervisor_shares(summed)
    counts = {engine: {row: samples["linux"][row][engine][0]["count"] for row in by
                       if engine in samples["linux"].get(row, {})} for engine, by in samples["profile"].items()}
    engines = list(dict.fromkeys(e for by in slow.values() for e in by))
    fits = {e: fit([(shares[r], slow[r][e]) for r in slow if r in shares and slow[r].get(e)]) for e in engines}
    fits = {e: f for e, f in fits.items() if f}
    even = {}
    for hybrid in (e for e in fits if e.startswith("hybrid")):
        for peer in ("tcg", "interp"):
            if peer in fits:
                even.setdefault(hybrid, {})[peer] = break_even(fits[hybrid], fits[peer])
    return {"rows": rows, "slowdown": slow, "nano": nano_rows(samples["nano"], least), "na": samples["na"],
            "least": least, "clocks": clocks(samples["linux"]), "idle": {e: spread(v) for e, v in samples["idle"].items()},
            "supervisor_share": shares, "time": time_shares(summed), "crossings": crossings(summed, counts),
            "refused": refusals(summed), "fit": fits, "break_even": even, "wrong": [list(w) for w in wrong_sums(samples["sums"])]}
