# SPDX-License-Identifier: BSD-2-Clause
#
# report.py: what bench/compare found, as text. It knows how numbers look, not where they
# come from: all is in the dictionary that is written as JSON, too.

NATIVE = "native"
TIMES = ("interpreter", "direct", "crossing", "shadow", "monitor")


def figure(v):
    """Three digits, without an exponent."""
    v = float(f"{v:.3g}") if v < 1000 else v
    if v >= 100:
        return f"{v:.0f}"
    return f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds * 1e9)} ns"


def deviation(s):
    """Half of the range, in the figure; nothing of a single run."""
    if s["n"] < 2 or not s["value"]:
        return ""
    return f" ±{50 * (s['greatest'] - s['least']) / s['median']:.0f}%"


def mark(s):
    return "h" if s.get("clock") == "host" else ""


def table(heads, lines):
    """The first column to the left, the others to the right, each as wide as it must be."""
    width = [max(len(r[i]) for r in [heads, *lines]) for i in range(len(heads))]
    for r in [heads, *lines]:
        yield "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, width))).rstrip()


def engines_of(rows, order):
    have = {e for by in rows.values() for e in by}
    return [e for e in order if e in have]


def rows_table(d, r):
    rows, slow, shares = r["rows"], r["slowdown"], r["supervisor_share"]
    engines = engines_of(rows, d["engines"])
    guests = [e for e in engines if e != NATIVE]
    lines = []
    for row in [*(x for x in rows if x != "boot")]:
        by = rows[row]
        line = [row, f"{100 * shares[row]:.0f}%" if row in shares else "-",
                duration(by[NATIVE]["value"]) + deviation(by[NATIVE]) if NATIVE in by else "-"]
        for e in guests:
            if e not in by:
                line.append("-")
            elif row in slow:
                line.append(figure(slow[row][e]) + deviation(by[e]))
            else:
                line.append(duration(by[e]["value"]) + deviation(by[e]))
        lines.append(line)
    if "boot" in rows:
        boot = rows["boot"]
        lines.append(["boot", "", "n/a", *(f"{figure(boot[e]['median'])} s{deviation(boot[e])}" if e in boot else "-"
                                           for e in guests)])
    if r["idle"]:
        lines.append(["idle", "", "n/a", *(f"{100 * r['idle'][e]['median']:.1f}%" if e in r["idle"] else "-"
                                           for e in guests)])
    yield from table(["row", "supervisor", "native, for one", *guests], lines)


def nano_table(d, r):
    nano, engines = r["nano"], engines_of(r["nano"], d["nano_engines"])
    lines = []
    for row, by in nano.items():
        cells = []
        for e in engines:
            if e in by:
                cells.append(figure(by[e]["value"]) + deviation(by[e]) + mark(by[e]))
            else:
                cells.append("n/a" if e == NATIVE and row in r["na"] else "-")
        lines.append([row, *cells])
    yield from table(["operation", *engines], lines)


def time_table(r):
    for engine, rows in r["time"].items():
        yield ""
        yield f"{engine}: where the time goes, in percent of what was not idle"
        yield from table(["row", *TIMES], [[row, *(f"{100 * parts[k]:.1f}" for k in TIMES)] for row, parts in rows.items()])


def crossings_table(r):
    for engine, rows in r["crossings"].items():
        reasons = list(dict.fromkeys(k for by in rows.values() for k in by))
        if not reasons:
            continue
        yield ""
        yield f"{engine}: crossings for one, by what ended them"
        yield from table(["row", "all", *reasons],
                         [[row, figure(sum(by.values())), *(figure(by[k]) if k in by else "-" for k in reasons)]
                          for row, by in rows.items()])


def break_even_lines(r):
    for e, f in r["fit"].items():
        yield (f"{e}: {figure(f['user'])} for user instructions, {figure(f['supervisor'])} for the supervisor's"
               f" (fit of {f['points']} rows)")
    for hybrid, peers in r["break_even"].items():
        for peer, b in peers.items():
            first, second = (hybrid, peer) if b["faster_below"] == "one" else (peer, hybrid)
            if b["share"] is None:
                yield f"{hybrid} and {peer} do not meet: {first} is faster at every share"
            else:
                yield f"{hybrid} and {peer} meet at {100 * b['share']:.0f}%: {first} is faster below, {second} above"


def report(d):
    """Lines of text, of the whole dictionary."""
    r = d["reckoned"]
    h = d["host"]
    yield f"host: {h['cpu']}, {h['processors']} processors, Linux {h['kernel']}, hypervisor: {h['hypervisor']}"
    yield f"load averages: {h['load'][0]} at the start, {h['load'][1]} at the end"
    for name, version in d["versions"].items():
        yield f"{name}: {version}"
    yield (f"guest: {d['options']['kernel']} ({d['options']['package']}), {d['options']['bits']}-bit programs, "
           f"{d['options']['memory']} MiB; {d['options']['runs']} rounds in {d['seconds']:.0f} s")
    if r["rows"]:
        yield ""
        yield (f"Slowdown against native (of boot seconds to /init, of idle the share of a core); "
               f"{'the least' if r['least'] else 'medians'}, ± half of the range")
        yield from rows_table(d, r)
        yield "what the guest's Linux took for a second: " + ", ".join(f"{e} {figure(v)}" for e, v in r["clocks"].items())
    if r["nano"]:
        yield ""
        yield "Nanobenchmarks, ns for one; h: by the host's clock, as the guest's does not agree with it"
        yield from nano_table(d, r)
        for why in dict.fromkeys(r["na"].values()):
            yield f"n/a: {why} ({', '.join(k for k, v in r['na'].items() if v == why)})"
    if r["fit"]:
        yield ""
        yield "Slowdown as user * (1 - share) + supervisor * share, share of supervisor instructions"
        yield from break_even_lines(r)
    yield from time_table(r)
    yield from crossings_table(r)
    yield ""
    for row, count, engine in r["wrong"]:
        yield f"WRONG CHECKSUM: {row}={count} on {engine}"
    for what, why in d["skipped"].items():
        yield f"not run: {what}: {why}"
    for engine, why in r["refused"].items():
        yield f"not as it was meant: {engine} ran no user code directly: {why}"
    for what, n in d["limited"].items():
        yield f"fewer runs: {what}: {n}, as the time was up"
    for what, command in d["commands"].items():
        yield f"command: {what}: {command}"
