# SPDX-License-Identifier: BSD-2-Clause
#
# measure.py: runs the engines of bench/compare in turn and keeps every sample as it was
# taken. What the samples mean is reckon.py's business.
#
# Two parts, each a machine of its own. "linux" boots the kernel, whose /init does row after
# row of the workloads program with a short sleep behind each; in that sleep hemi is asked
# for its statistics (SIGUSR1), so that each row has its own. Before them, once to warm up, is
# START, one system call: what starting the program costs. "nano" is guests/nano64.elf, and natively
# bench/nano.

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import machines

NATIVE = "native"
PARTS = ("nano", "linux")
ENGINES = (NATIVE, "hybrid-ring3", "hybrid-kvm", "interp", "full", "tcg", "qkvm", "bochs")
# How often each row is done: natively, by what runs user code directly, by QEMU's
# translator, by hemi's interpreter, by Bochs. Rates are compared. What depends on how often
# (the seed of mixed, the making of the processes of turns, the start of the shell) is done
# equally often by all.
DIRECT = ("hybrid", "full", "qkvm")
CLASSES = (NATIVE, "direct", "tcg", "interp", "bochs")
COUNTS = {
    "sieve": (30, 30, 10, 6, 1), "crc32": (150, 150, 80, 30, 4), "imatrix": (50, 50, 12, 4, 1),
    "dmatrix": (50, 50, 4, 2, 1), "bytecode": (30, 30, 5, 2, 1),
    "getppid": (1000000, 300000, 200000, 300000, 30000), "syscall": (1000000, 300000, 200000, 300000, 30000),
    "pagefault": (100000, 20000, 20000, 20000, 3000), "forkexec": (300, 50, 50, 50, 6),
    "pipe": (30000, 6000, 4000, 6000, 1000),
    "shell": (1, 1, 1, 1, 1), "mixed": (4000, 4000, 4000, 4000, 4000), "turns": (2, 2, 2, 2, 2),
}
ROWS = tuple(COUNTS)
ALWAYS_ALIKE = ("shell", "mixed", "turns")
# Whatever is this slow is measured once; whatever may not work at all is given up soon. A
# KVM without VT-x or SVM may run user code natively at one time and emulate it at another.
RUNS_AT_MOST = {"bochs": 1}
PATIENCE = {"qkvm": 60, "full": 60, "hybrid-kvm": 120, "hybrid-kvm-always": 120}
TRIES = {"hybrid": 2}
PAUSE, IDLE = 0.3, 6
START, START_ROW = "start", "getppid=1"
NANO_LINE = re.compile(r"(\w+) end: (\d+) operations, (\d+) us, ([\d.]+) ns, ([\d.]+) ticks$")
NANO_NA = re.compile(r"(\w+) n/a: (.+)$")


def count_of(engine, row, quick):
    base = engine.split("-")[0]
    kind = "direct" if base in DIRECT else base
    n = COUNTS[row][CLASSES.index(kind)]
    return n if row in ALWAYS_ALIKE else max(1, n // (5 if quick else 1))


def nano_engines(engines):
    """A gate that decides well hides what a crossing costs, which is asked for here."""
    out = []
    for e in engines:
        out.append(e)
        if re.fullmatch(r"hybrid(-ring3|-kvm)?", e):
            out.append(f"{e}-always")
    return out


class Samples:
    """All lists, in the order of measuring.
    linux[row][engine]: {count, guest, host} in seconds ("boot": host alone);
    nano[row][engine]: {operations, ns, ticks, host} (host: ns an operation by our clock);
    profile[engine][row]: differences of hemi's statistics; idle[engine]: share of a core."""

    def __init__(self):
        self.linux, self.nano, self.profile, self.idle = {}, {}, {}, {}
        self.sums, self.na = [], {}
        self.commands, self.skipped, self.limited = {}, {}, {}

    def add(self, where, row, engine, sample):
        where.setdefault(row, {}).setdefault(engine, []).append(sample)


# --- Natively -----------------------------------------------------------------------------------------


class Native:
    """The same static binaries on the host; the shell row finds the guest's busybox as sh."""

    def __init__(self, directory):
        self.bin = f"{directory}/native"
        os.makedirs(self.bin)

    def take(self, arch, workloads):
        shutil.copy(workloads, f"{self.bin}/workloads")
        shutil.copy(f"{machines.TOP}/guests/workloads/shell.sh", self.bin)
        busybox, = machines.fetch(f"busybox-{arch}")
        os.symlink(busybox, f"{self.bin}/sh")

    def run(self, command):
        p = subprocess.run(command, env={"PATH": self.bin}, text=True, capture_output=True)
        if p.returncode:
            raise machines.Skip(f"native: {p.stderr.strip() or p.returncode}")
        return p.stdout


def workloads_line(line):
    """(row, count, seconds, checksum), or None."""
    w = line.split()
    if len(w) == 5 and len(w[4]) == 16 and w[0] in COUNTS:
        return w[0], int(w[1]), float(w[2]), w[4]
    return None


# --- What a guest under hemi costs between two lines ------------------------------------------------------


def difference(now, before):
    """Of two statistics: every number, in the same tree."""
    if isinstance(now, dict):
        return {k: difference(v, before.get(k) if isinstance(before, dict) else None) for k, v in now.items()}
    if isinstance(now, (int, float)) and not isinstance(now, bool):
        return now - (before or 0)
    return now


class Profile:
    """Asks a running hemi for its statistics whenever the guest begins to sleep. START is the second row."""

    def __init__(self, path):
        self.path, self.rows, self.last, self.row, self.warm = path, [], None, None, False

    def ask(self, process):
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        process.send_signal(signal.SIGUSR1)
        for _ in range(100):
            try:
                with open(self.path) as f:
                    return json.load(f)
            except (OSError, ValueError):
                time.sleep(0.002)
        return None

    def line(self, process, text):
        got = workloads_line(text)
        if got:
            self.row = got[0]
        if text != "hemi: begin idle" or process.poll() is not None:
            return
        now = self.ask(process)
        if now and self.last and self.row:
            if self.warm:
                self.rows.append((self.row if self.rows else START, difference(now, self.last)))
            self.warm = True
        self.last, self.row = now, None


class Idle:
    """The share of a core that the last, long sleep takes."""

    def __init__(self, sleeps):
        self.left, self.share = sleeps, None

    def line(self, process, text):
        if text != "hemi: begin idle":
            return
        self.left -= 1
        if self.left:
            return
        time.sleep(0.5)
        before, t = machines.cpu_seconds(process.pid), time.monotonic()
        time.sleep(IDLE - 2)
        if process.poll() is None:
            self.share = (machines.cpu_seconds(process.pid) - before) / (time.monotonic() - t)


# --- One engine, one part ----------------------------------------------------------------------------------


def linux_native(o, native, samples):
    counts = [f"{row}={count_of(NATIVE, row, o.quick)}" for row in o.rows]
    samples.commands[f"linux {NATIVE}"] = machines.quote(["workloads", *counts])
    for line in native.run([f"{native.bin}/workloads", *counts]).splitlines():
        got = workloads_line(line)
        if got:
            row, count, seconds, checksum = got
            samples.add(samples.linux, row, NATIVE, {"count": count, "guest": seconds, "host": None})
            samples.sums.append([row, count, NATIVE, checksum])
    # The counts of the others, for their checksums alone.
    others = {(row, count_of(e, row, o.quick)) for e in o.engines for row in o.rows}
    known = {(row, count) for row, count, engine, _ in samples.sums if engine == NATIVE}
    missing = sorted(others - known)
    if missing:
        for line in native.run([f"{native.bin}/workloads", *[f"{r}={n}" for r, n in missing]]).splitlines():
            got = workloads_line(line)
            if got:
                samples.sums.append([got[0], got[1], NATIVE, got[3]])


def patience(o, m):
    """No machine takes the whole beyond its budget."""
    left = o.budget - (time.monotonic() - o.began)
    return max(1, min(o.timeout, PATIENCE.get(m.name, o.timeout), left))


def linux_append(o, name):
    sleep = f"hemi.run=idle,{PAUSE}"
    start = f"hemi.run=bench,{START_ROW}"
    words = [machines.POOR, sleep, start, sleep, start, sleep]
    for row in o.rows:
        words += [f"hemi.run=bench,--begin,{row}={count_of(name, row, o.quick)}", sleep]
    if o.idle:
        words.append(f"hemi.run=idle,{IDLE}")
    return " ".join(words)


def linux_guest(o, m, samples):
    stats = f"{m.directory}/stats"
    profile, idle = Profile(stats), Idle(len(o.rows) + 4)
    hemi = isinstance(m, machines.Hemi)

    def each(process, line):
        if hemi:
            profile.line(process, line)
        if o.idle:
            idle.line(process, line)

    lines = machines.watch(m, patience(o, m), machines.END, 0.005, each)
    first, began = next((t for t, line in lines if machines.BEGIN in line), None), None
    if first:
        samples.add(samples.linux, "boot", m.name, {"count": 1, "guest": None, "host": first})
    for t, line in lines:
        if line.endswith(" begin"):
            began = t
        elif began is not None and workloads_line(line):
            row, count, seconds, checksum = workloads_line(line)
            samples.add(samples.linux, row, m.name, {"count": count, "guest": seconds, "host": t - began})
            samples.sums.append([row, count, m.name, checksum])
            began = None
    for row, cost in profile.rows:
        samples.add(samples.profile, m.name, row, cost)
    if idle.share is not None:
        samples.idle.setdefault(m.name, []).append(idle.share)


def nano_take(samples, name, lines):
    began = None
    for t, line in lines:
        if line.endswith(" begin"):
            began = t
        na, got = NANO_NA.match(line), NANO_LINE.match(line)
        if na:
            samples.na[na[1]] = na[2]
        if got:
            operations = int(got[2])
            host = None if t is None or began is None else (t - began) * 1e9 / operations
            samples.add(samples.nano, got[1], name, {"operations": operations, "ns": float(got[4]),
                                                     "ticks": float(got[5]), "host": host})


def nano_native(o, native, samples):
    command = [machines.program(o.build, "bench/nano"), f"ms={o.ms}"]
    samples.commands[f"nano {NATIVE}"] = f"bench/nano ms={o.ms}"
    nano_take(samples, NATIVE, [(None, line) for line in native.run(command).splitlines()])


def nano_guest(o, m, samples):
    lines = machines.watch(m, patience(o, m), "nano64: done", 0.001)
    nano_take(samples, m.name, lines)


# --- All of them ---------------------------------------------------------------------------------------------


def set_up(o, directory, samples):
    """[(part, engine, function)] in the order of one round."""
    jobs = []
    native = Native(directory)
    if "linux" in o.parts:
        workloads = machines.program(o.build, f"guests/workloads/workloads{o.bits}")
        native.take(o.arch, workloads)
        image = machines.initrd(directory, o.arch, [workloads, f"{machines.TOP}/guests/workloads/shell.sh"])
        kernel = machines.fetch(o.kernel)[0]
    for part in o.parts:
        for name in (nano_engines(o.engines) if part == "nano" else o.engines):
            key = f"{part} {name}"
            if name == NATIVE:
                run = linux_native if part == "linux" else nano_native
                jobs.append((part, name, lambda run=run: run(o, native, samples)))
                continue
            m = machines.machine(name, o.arch if part == "linux" else "amd64", o.memory, o.build)
            own = f"{directory}/{part}-{name}"
            os.makedirs(own)
            try:
                if part == "linux":
                    m.setup(own, kernel, image, linux_append(o, name))
                    run = linux_guest
                else:
                    m.setup(own, nano_kernel(o), None, f"ms={o.ms}")
                    run = nano_guest
                plain = m.command()
                if isinstance(m, machines.Hemi):
                    m.command = lambda plain=plain, own=own: [*plain, f"--stats={own}/stats"]
                samples.commands[key] = shortened(machines.quote(m.command()), directory)
                jobs.append((part, name, lambda run=run, m=m: run(o, m, samples)))
            except machines.Skip as why:
                samples.skipped[key] = str(why)
    return jobs


def nano_kernel(o):
    for place in (o.build, ".", machines.TOP):
        path = os.path.abspath(f"{place}/guests/nano64.elf")
        if os.path.exists(path):
            return path
    raise machines.Skip("no guests/nano64.elf (build it, or give --build DIR)")


def shortened(command, directory):
    """A command line as somebody else could type it: no paths of ours."""
    cache = os.environ.get("HEMI_CACHE") or f"{os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')}/hemi"
    for path, name in ((directory, "$TMP"), (cache, "$HEMI_CACHE"), (machines.TOP, "$HEMI")):
        command = command.replace(path, name)
    return command


def measure(o, progress):
    """Samples, or Skip if nothing can be measured. Engines take turns; a run that would
    exceed the budget, going by how long its like took, is left out and said to be."""
    samples, took, failed, done = Samples(), {}, {}, {}
    began = o.began = time.monotonic()
    with machines.workspace() as directory:
        jobs = set_up(o, directory, samples)
        turns = [(r, *jobs[(r + i) % len(jobs)]) for r in range(o.runs) for i in range(len(jobs))]
        try:
            for r, part, name, run in turns:
                key = f"{part} {name}"
                if failed.get(key, 0) >= TRIES.get(name.split("-")[0], 1) or done.get(key, 0) >= RUNS_AT_MOST.get(name, o.runs):
                    continue
                start = time.monotonic()
                if start - began + took.get(key, 0) > o.budget:
                    samples.limited[key] = done.get(key, 0)
                    continue
                progress(f"round {r + 1}: {key}")
                try:
                    run()
                    done[key] = done.get(key, 0) + 1
                except machines.Skip as why:
                    failed[key] = failed.get(key, 0) + 1
                    samples.skipped[key] = str(why).removeprefix(f"{name}: ") + (
                        f" (in round {r + 1}; {done[key]} were good)" if key in done else "")
                took[key] = time.monotonic() - start
        except KeyboardInterrupt:
            progress("interrupted: what there is is reported")
    samples.took, samples.seconds = took, time.monotonic() - began
    return samples
