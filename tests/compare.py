# SPDX-License-Identifier: BSD-2-Clause
# See compare.test.

import json
import os
import shutil
import subprocess
import sys
import unittest

TOP, TMP = os.path.abspath(sys.argv[1]), sys.argv[2]
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/bench/compare.d"]
import measure  # noqa: E402
import plots  # noqa: E402
import reckon  # noqa: E402
import report  # noqa: E402

HYBRID = "hybrid-ring3"


def linux(count, *seconds, host=None):
    return [{"count": count, "guest": s, "host": s if host is None else host} for s in seconds]


def nano(*ns, host=None):
    return [{"operations": 10000000, "ns": n, "ticks": 2 * n, "host": n if host is None else host} for n in ns]


def statistics(supervisor, user, direct, reasons):
    return {"engine": "x", "seconds": {"total": 3.0, "idle": 1.0, "interpreter": 0.5, "direct": direct,
                                       "crossing": 0.25, "shadow": 0.125},
            "instructions": {"supervisor": supervisor, "user_interpreted": user},
            "crossings": {"total": sum(reasons.values()), "by_reason": reasons}}


def start_statistics():
    s = statistics(0, 0, 0.0, {"syscall": 2})
    s["seconds"] = dict.fromkeys(s["seconds"], 0.0)
    return s


def canned():
    """Two rows: sieve all user code, pipe three quarters the supervisor's."""
    samples = {
        "linux": {
            "boot": {HYBRID: [{"count": 1, "guest": None, "host": t} for t in (4.0, 6.0, 5.0)]},
            "sieve": {"native": linux(10, 1.0, 1.5, 1.1), HYBRID: linux(5, 0.55, 0.60, 0.50),
                      "interp": linux(1, 2.2), "tcg": linux(1, 0.55),
                      # Its clock runs ten times too slow: the host's is taken.
                      "bochs": linux(1, 1.1, host=11.0)},
            "pipe": {"native": linux(1000, 0.01), HYBRID: linux(100, 0.01525), "interp": linux(100, 0.02),
                     "tcg": linux(100, 0.005)},
        },
        "nano": {"syscall": {"native": nano(100.0, 120.0, 110.0), HYBRID: nano(150.0)},
                 "in": {HYBRID: nano(20.0, 20.0) + nano(20.0, host=200.0), "bochs": nano(20.0, host=2000.0)}},
        "profile": {"interp": {"sieve": [statistics(0, 1000, 0.0, {})], "pipe": [statistics(750, 250, 0.0, {})]},
                    HYBRID: {"start": [start_statistics()], "sieve":
                             [statistics(10, 0, 1.0, {"syscall": 22, "kick": 5, "trap": 0}),
                              statistics(10, 0, 1.0, {"syscall": 22, "kick": 5, "trap": 0})],
                             "pipe": [statistics(10, 0, 1.0, {"syscall": 202})]}},
        "idle": {HYBRID: [0.01, 0.03, 0.02]},
        "sums": [["sieve", 10, "native", "a"], ["sieve", 5, "native", "b"], ["sieve", 5, HYBRID, "b"],
                 ["pipe", 100, "native", "c"], ["pipe", 100, "tcg", "d"]],
        "na": {"in": "supervisor only"},
    }
    engines = ["native", HYBRID, "interp", "tcg", "bochs"]
    return {"format": 1, "engines": engines, "nano_engines": measure.nano_engines(engines), "seconds": 1.0,
            "host": {"cpu": "a processor", "processors": 2, "kernel": "6.1", "hypervisor": "none", "load": [0.1, 0.2]},
            "versions": {"hemi": "0.1", "QEMU": "not on this host"}, "took": {},
            "options": {"kernel": "linux-amd64", "package": "p", "bits": 64, "memory": 512, "runs": 3, "quick": False,
                        "ms": 100, "command": "bench/compare"},
            "commands": {"linux tcg": "qemu"}, "skipped": {"linux full": "no VT-x"}, "limited": {"linux bochs": 0},
            "samples": samples}


class Reckoning(unittest.TestCase):
    def setUp(self):
        self.r = reckon.reckon(canned()["samples"])

    def test_medians(self):
        s = self.r["rows"]["sieve"]["native"]
        self.assertAlmostEqual(s["median"], 0.11)
        self.assertAlmostEqual(s["least"], 0.10)
        self.assertAlmostEqual(s["greatest"], 0.15)
        self.assertEqual(s["n"], 3)
        self.assertEqual(self.r["rows"]["boot"][HYBRID]["median"], 5.0)
        self.assertEqual(self.r["idle"][HYBRID]["median"], 0.02)
        self.assertIsNone(reckon.spread([None]))

    def test_slowdown_is_of_rates(self):
        self.assertAlmostEqual(self.r["slowdown"]["sieve"][HYBRID], 1.0)
        self.assertAlmostEqual(self.r["slowdown"]["sieve"]["interp"], 20.0)
        self.assertAlmostEqual(self.r["slowdown"]["pipe"]["tcg"], 5.0)
        self.assertNotIn("boot", self.r["slowdown"])
        self.assertNotIn("native", self.r["slowdown"]["sieve"])

    def test_clocks(self):
        # Bochs' clock is ten times too slow: the host's is taken, and told.
        self.assertAlmostEqual(self.r["slowdown"]["sieve"]["bochs"], 100.0)
        self.assertAlmostEqual(self.r["clocks"]["bochs"], 0.1)
        self.assertAlmostEqual(self.r["clocks"][HYBRID], 1.0)
        self.assertEqual(self.r["nano"]["in"][HYBRID]["clock"], "guest")
        self.assertEqual(self.r["nano"]["in"]["bochs"]["clock"], "host")
        self.assertEqual(self.r["nano"]["in"]["bochs"]["value"], 2000.0)
        self.assertEqual(self.r["nano"]["syscall"]["native"]["value"], 110.0)

    def test_least(self):
        r = reckon.reckon(canned()["samples"], True)
        self.assertAlmostEqual(r["rows"]["sieve"]["native"]["value"], 0.10)
        self.assertAlmostEqual(r["slowdown"]["sieve"]["tcg"], 5.5)
        self.assertEqual(r["nano"]["syscall"]["native"]["value"], 100.0)

    def test_joined(self):
        self.assertEqual(reckon.joined({"a": {"b": [1]}, "c": 1}, {"a": {"b": [2], "d": [3]}, "c": 2, "e": "x"}),
                         {"a": {"b": [1, 2], "d": [3]}, "c": 1, "e": "x"})

    def test_shares(self):
        self.assertEqual(self.r["supervisor_share"], {"sieve": 0.0, "pipe": 0.75})
        t = self.r["time"][HYBRID]["sieve"]
        self.assertAlmostEqual(t["direct"], 0.5)
        self.assertAlmostEqual(t["shadow"], 0.0625)
        self.assertAlmostEqual(t["monitor"], 1 - 0.25 - 0.5 - 0.125 - 0.0625)
        self.assertAlmostEqual(sum(t.values()), 1.0)

    def test_crossings_for_one(self):
        # Five in each of two runs; the start of the program has two of the system calls.
        self.assertEqual(self.r["crossings"][HYBRID]["sieve"], {"syscall": 4.0, "kick": 1.0})
        self.assertEqual(self.r["crossings"][HYBRID]["pipe"], {"syscall": 2.0})
        self.assertNotIn("interp", self.r["crossings"])
        self.assertEqual(reckon.less({"a": 1, "b": {"c": 5.0}, "d": "x"}, {"a": 2, "b": {"c": 1.5}}),
                         {"a": 0, "b": {"c": 3.5}, "d": "x"})

    def test_refusals(self):
        self.assertEqual(self.r["refused"], {})
        none = statistics(1, 1, 0.0, {})
        none["gate_refusals"] = {"a": 2, "b": 3}
        self.assertEqual(reckon.refusals({"hybrid-kvm": {"sieve": none}, "interp": {"sieve": none}}), {"hybrid-kvm": "b"})

    def test_fit_and_break_even(self):
        f = reckon.fit([(s, 1.5 * (1 - s) + 30 * s) for s in (0, 0.2, 0.9)])
        self.assertAlmostEqual(f["user"], 1.5)
        self.assertAlmostEqual(f["supervisor"], 30)
        self.assertIsNone(reckon.fit([(0.5, 1.0), (0.5, 2.0)]))
        self.assertEqual(reckon.fit([(0, 4.0), (0.5, 1.0)])["supervisor"], 0.0)
        even = self.r["break_even"][HYBRID]
        # Hybrid 1 and 20, TCG 5 and 5.
        self.assertAlmostEqual(self.r["fit"][HYBRID]["supervisor"], 20.0)
        self.assertAlmostEqual(even["tcg"]["share"], 4 / 19)
        self.assertEqual(even["tcg"]["faster_below"], "one")
        self.assertIsNone(reckon.break_even({"user": 1, "supervisor": 2}, {"user": 3, "supervisor": 4})["share"])
        self.assertEqual(reckon.break_even({"user": 3, "supervisor": 4}, {"user": 1, "supervisor": 2})["faster_below"],
                         "other")

    def test_wrong_checksums(self):
        self.assertEqual(self.r["wrong"], [["pipe", 100, "tcg"]])

    def test_nothing(self):
        empty = {"linux": {}, "nano": {}, "profile": {}, "idle": {}, "sums": [], "na": {}}
        self.assertEqual(reckon.reckon(empty)["rows"], {})
        self.assertEqual(plots.plots({"reckoned": reckon.reckon(empty), "engines": [], "nano_engines": []}), {})


class Measuring(unittest.TestCase):
    def test_difference(self):
        self.assertEqual(measure.difference({"a": 5, "b": {"c": 2.5}, "d": "x"}, {"a": 3, "b": {"c": 2.0}, "d": "x"}),
                         {"a": 2, "b": {"c": 0.5}, "d": "x"})

    def test_lines(self):
        s = measure.Samples()
        measure.nano_take(s, "e", [(1.0, "in begin"), (1.5, "in end: 1000 operations, 400000 us, 400000.000 ns, 8.5 ticks"),
                                   (None, "cr8wr n/a: supervisor only")])
        self.assertEqual(s.nano["in"]["e"], [{"operations": 1000, "ns": 400000.0, "ticks": 8.5, "host": 500000.0}])
        self.assertEqual(s.na, {"cr8wr": "supervisor only"})
        self.assertEqual(measure.workloads_line("sieve 20 0.5 40.0 0123456789abcdef"),
                         ("sieve", 20, 0.5, "0123456789abcdef"))
        self.assertIsNone(measure.workloads_line("hemi: begin bench"))

    def test_counts(self):
        for row in measure.ROWS:
            for e in measure.ENGINES:
                self.assertGreaterEqual(measure.count_of(e, row, True), 1)
        self.assertEqual(measure.nano_engines(["native", "hybrid-kvm", "hybrid-never"]),
                         ["native", "hybrid-kvm", "hybrid-kvm-always", "hybrid-never"])


class Showing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(f"{TMP}/in.json", "w") as f:
            json.dump(canned(), f)
        cls.p = compare("--from", f"{TMP}/in.json", "--json", f"{TMP}/out.json", "--plots", f"{TMP}/plots")

    def test_report(self):
        self.assertEqual(self.p.returncode, 1, self.p.stderr)	# the wrong checksum
        lines = self.p.stdout.splitlines()
        sieve = next(line for line in lines if line.startswith("sieve"))
        self.assertEqual(sieve.split(), ["sieve", "0%", "110", "ms", "±23%", "1.00", "±9%", "20.0", "5.00", "100"])
        for text in ("WRONG CHECKSUM: pipe=100 on tcg", "not run: linux full: no VT-x", "command: linux tcg: qemu",
                     "fewer runs: linux bochs: 0, as the time was up",
                     f"{HYBRID} and tcg meet at 21%: {HYBRID} is faster below, tcg above",
                     "n/a: supervisor only (in)"):
            self.assertIn(text, lines)
        self.assertIn("5.00 s ±20%", self.p.stdout)

    def test_several_files(self):
        p = compare("--least", "--from", f"{TMP}/in.json", "--from", f"{TMP}/in.json", "--json", f"{TMP}/two.json")
        self.assertIn("; the least, ±", p.stdout)
        with open(f"{TMP}/two.json") as f:
            self.assertEqual(json.load(f)["reckoned"]["rows"]["sieve"]["native"]["n"], 6)

    def test_json(self):
        with open(f"{TMP}/out.json") as f:
            d = json.load(f)
        self.assertEqual(d["samples"], canned()["samples"])
        self.assertAlmostEqual(d["reckoned"]["slowdown"]["pipe"]["tcg"], 5.0)

    def test_plots(self):
        names = {"slowdown", "share", "nano", f"time-{HYBRID}", f"crossings-{HYBRID}"}
        self.assertEqual({n[:-3] for n in os.listdir(f"{TMP}/plots") if n.endswith(".gp")}, names)
        with open(f"{TMP}/plots/slowdown.dat") as f:
            data = f.read().splitlines()
        self.assertEqual(data[2].split()[:4], ['"pipe"', "15.25", "15.25", "15.25"])
        self.assertEqual(data[2].split()[-3:], ["?", "?", "?"])
        with open(f"{TMP}/plots/share.gp") as f:
            self.assertIn("hybrid-ring3 = tcg\\n21%", f.read())
        if shutil.which("gnuplot"):
            for n in names:
                for kind, magic in (("svg", b"<?xml"), ("png", b"\x89PNG")):
                    with open(f"{TMP}/plots/{n}.{kind}", "rb") as f:
                        self.assertEqual(f.read(len(magic)), magic, n)
            self.assertEqual(self.p.stderr, "")
        else:
            self.assertIn("no gnuplot", self.p.stderr)

    def test_figures(self):
        self.assertEqual([report.figure(v) for v in (0.123, 1.234, 12.34, 1234.5)], ["0.12", "1.23", "12.3", "1234"])
        self.assertEqual([report.duration(v) for v in (2, 0.0123, 4.5e-6, 7e-8)], ["2.00 s", "12.3 ms", "4.50 us", "70.0 ns"])


class Usage(unittest.TestCase):
    def test_wrong(self):
        with open(f"{TMP}/other.json", "w") as f:
            f.write("[1, 2]")
        for args, text in ((["--engines", "vax"], "no engine is called vax"), (["--rows", "sieve,tea"], "--rows: tea"),
                           (["--parts", "all"], "--parts: all"), (["--runs", "0"], "must be positive"),
                           (["--json", f"{TMP}/no/such"], "cannot write"), (["--from", f"{TMP}/none"], "No such file"),
                           (["--from", f"{TMP}/other.json"], "not written by bench/compare")):
            p = compare(*args)
            self.assertEqual(p.returncode, 2, args)
            self.assertIn(text, p.stderr)
            self.assertEqual(len(p.stderr.splitlines()), 1, p.stderr)

    def test_help(self):
        p = compare("--help")
        self.assertEqual(p.returncode, 0)
        self.assertIn("--plots DIR", p.stdout)


def compare(*args):
    return subprocess.run([sys.executable, "-B", f"{TOP}/bench/compare", *args], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL)


unittest.main(argv=["compare.test"])
