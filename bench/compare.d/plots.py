# SPDX-License-Identifier: BSD-2-Clause
#
# plots.py: what bench/compare found, as scripts and data for gnuplot, and as pictures if
# there is one. A script names no terminal, so that it can be looked at, too:
#
#	cd DIR && gnuplot -p slowdown.gp

import os
import shutil
import subprocess

NATIVE = "native"
TIMES = ("interpreter", "direct", "crossing", "shadow", "monitor")
# Told apart without colour, too, by their order in the legend.
COLOURS = {"native": "#7f7f7f", "hybrid-ring3": "#1b6ca8", "hybrid-ring3-always": "#7fb2d9", "hybrid-kvm": "#2a9d5c",
           "hybrid-kvm-always": "#95d5b2", "hybrid": "#1b6ca8", "interp": "#8e5ea2", "full": "#c9a227",
           "tcg": "#d1495b", "qkvm": "#edae49", "bochs": "#444444"}
MORE_COLOURS = ("#1b6ca8", "#d1495b", "#2a9d5c", "#edae49", "#8e5ea2", "#7f7f7f", "#95d5b2", "#444444")
TERMINALS = {"svg": ["svg size 920,460 font 'sans,12' background '#ffffff'"],
             "png": ["pngcairo size 1150,575 font 'sans,12'", "png size 1150,575"]}


def colour(name, i=0):
    return COLOURS.get(name, MORE_COLOURS[i % len(MORE_COLOURS)])


def word(s):
    """One column of a data file."""
    return '"' + str(s).replace('"', "'") + '"'


def number(v):
    return "?" if v is None else f"{v:.6g}"


def bars(title, ylabel, rows, engines, cells):
    """(script, data) of bars in clusters on a logarithmic axis; cells(row, engine) is
    (figure, least, greatest) or None."""
    data = ["# row, then for each engine: figure, least, greatest: " + ", ".join(engines)]
    for row in rows:
        line = [word(row)]
        for e in engines:
            got = cells(row, e)
            line += [number(v) for v in (got or (None, None, None))]
        data.append(" ".join(line))
    plots = [f"'@' using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}:xtic(1) title {word(e)} linecolor rgb '{colour(e, i)}'"
             for i, e in enumerate(engines)]
    script = f"""set title {word(title)}
set datafile missing '?'
set style data histogram
set style histogram errorbars gap 2 linewidth 1
set style fill solid 0.9
set boxwidth 0.9
set logscale y
set yrange [0.5:*]
set ylabel {word(ylabel)}
set grid ytics linecolor rgb '#dddddd'
set key outside below horizontal
set xtics rotate by -30 nomirror
plot {', '.join(plots)}
"""
    return script, data


def stacked(title, ylabel, rows, parts, cells, top=None):
    """(script, data) of bars in parts of 100 percent; top: {row: text above}."""
    data = ["# row, then percent of: " + ", ".join(parts) + ", and the text above"]
    for row in rows:
        data.append(" ".join([word(row), *(number(cells(row, p)) for p in parts), word((top or {}).get(row, ""))]))
    plots = [f"'@' using {i + 2}:xtic(1) title {word(p)} linecolor rgb '{MORE_COLOURS[i % len(MORE_COLOURS)]}'"
             for i, p in enumerate(parts)]
    if top:
        plots.append(f"'@' using 0:(102):{len(parts) + 2} with labels font ',9' notitle")
    script = f"""set title {word(title)}
set style data histogram
set style histogram rowstacked
set style fill solid 0.9
set boxwidth 0.75
set yrange [0:{108 if top else 100}]
set ylabel {word(ylabel)}
set grid ytics linecolor rgb '#dddddd'
set key outside below horizontal
set xtics rotate by -30 nomirror
plot {', '.join(plots)}
"""
    return script, data


def share_plot(r, engines):
    """Slowdown against the share of supervisor instructions: the rows as points, the fits
    as curves, break-even as lines across."""
    rows = sorted((x for x in r["slowdown"] if x in r["supervisor_share"]), key=lambda x: r["supervisor_share"][x])
    engines = [e for e in engines if any(r["slowdown"][x].get(e) for x in rows)]
    data = ["# row, share of supervisor instructions, slowdown of: " + ", ".join(engines)]
    for row in rows:
        data.append(" ".join([word(row), number(r["supervisor_share"][row]),
                              *(number(r["slowdown"][row].get(e)) for e in engines)]))
    plots, arrows, height = [], [], 0.97
    for i, e in enumerate(engines):
        plots.append(f"'@' using 2:{i + 3} with points pointtype {i + 4} linecolor rgb '{colour(e, i)}' title {word(e)}")
        if e in r["fit"]:
            f = r["fit"][e]
            plots.append(f"{f['user']:.6g} * (1 - x) + {f['supervisor']:.6g} * x with lines linewidth 1.5 "
                         f"linecolor rgb '{colour(e, i)}' notitle")
    for hybrid, peers in r["break_even"].items():
        for peer, b in peers.items():
            if b["share"] is None:
                continue
            arrows.append(f"set arrow from {b['share']:.6g}, graph 0 to {b['share']:.6g}, graph 1 nohead dashtype 2 "
                          f"linecolor rgb '{colour(peer)}'")
            arrows.append(f"set label \"{hybrid} = {peer}\\n{100 * b['share']:.0f}%\" at {b['share']:.6g}, graph {height:.2f} "
                          f"font ',9' offset 0.5,0")
            height -= 0.1
    lowest = engines[0] if engines else None
    if lowest:
        plots.append("'@' using 2:3:1 with labels font ',8' offset 0,-0.8 notitle")
    script = "\n".join(["set title \"Slowdown against the share of supervisor instructions\"", "set datafile missing '?'",
                        "set logscale y", "set xrange [0:1]", "set xlabel \"supervisor instructions / all instructions\"",
                        "set ylabel \"slowdown against native\"", "set samples 200",
                        "set grid linecolor rgb '#dddddd'", "set key outside below horizontal", *arrows,
                        f"plot {', '.join(plots)}", ""])
    return script, data


def cells_of(rows):
    def cells(row, engine):
        s = rows.get(row, {}).get(engine)
        return (s["value"], s["least"], s["greatest"]) if s else None
    return cells


def slowdown_cells(r):
    def cells(row, engine):
        s, base = r["rows"][row].get(engine), r["rows"][row][NATIVE]["value"]
        return tuple(s[k] / base for k in ("value", "least", "greatest")) if s else None
    return cells


def plots(d):
    """{name: (script, data lines)} of all that there are figures for."""
    r, out = d["reckoned"], {}
    guests = [e for e in d["engines"] if e != NATIVE and any(e in by for by in r["slowdown"].values())]
    if guests:
        out["slowdown"] = bars("Slowdown against native", "times native, log scale", list(r["slowdown"]), guests,
                               slowdown_cells(r))
    if guests and r["supervisor_share"] and any(x in r["supervisor_share"] for x in r["slowdown"]):
        out["share"] = share_plot(r, guests)
    if r["nano"]:
        engines = [e for e in d["nano_engines"] if any(e in by for by in r["nano"].values())]
        out["nano"] = bars("Nanobenchmarks", "ns for one, log scale", list(r["nano"]), engines, cells_of(r["nano"]))
    for engine, rows in r["time"].items():
        out[f"time-{engine}"] = stacked(f"Where the time goes: {engine}", "percent of what was not idle", list(rows), TIMES,
                                        lambda row, p, rows=rows: 100 * rows[row][p])
    for engine, rows in r["crossings"].items():
        reasons = list(dict.fromkeys(k for by in rows.values() for k in by))
        if not reasons:
            continue
        sums = {row: sum(by.values()) for row, by in rows.items()}
        out[f"crossings-{engine}"] = stacked(
            f"Crossings by reason: {engine} (above: how many for one)", "percent of crossings", list(rows), reasons,
            lambda row, p, rows=rows, sums=sums: 100 * rows[row].get(p, 0) / sums[row] if sums[row] else 0,
            {row: f"{n:.3g}" for row, n in sums.items()})
    return out


def draw(directory, name, kind):
    """True if there is a picture now."""
    for terminal in TERMINALS[kind]:
        p = subprocess.run(["gnuplot", "-e", f"set terminal {terminal}; set output '{name}.{kind}'", f"{name}.gp"],
                           cwd=directory, text=True, capture_output=True)
        if p.returncode == 0 and os.path.getsize(f"{directory}/{name}.{kind}"):
            return None
        why = p.stderr.strip().splitlines()[-1:] or [f"exit status {p.returncode}"]
    return f"gnuplot: {name}.{kind}: {why[0]}"


def write(directory, d):
    """Scripts, data and pictures; what went wrong, one line each."""
    os.makedirs(directory, exist_ok=True)
    wrong = []
    have = shutil.which("gnuplot")
    for name, (script, data) in plots(d).items():
        with open(f"{directory}/{name}.dat", "w") as f:
            f.write("\n".join(data) + "\n")
        with open(f"{directory}/{name}.gp", "w") as f:
            f.write("# SPDX-License-Identifier: BSD-2-Clause\n" + script.replace("'@'", f"'{name}.dat'"))
        if have:
            wrong += filter(None, (draw(directory, name, kind) for kind in TERMINALS))
    if not have:
        wrong.append("no gnuplot on this host: scripts and data only")
    return wrong
