#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Signals at any moment: to the monitor on a terminal of its own, and to its stubs.

usage: signals.py [ROUNDS [SEED]]

SIGINT and SIGTERM end a run with 130 and 143 (or have come too late), the terminal is as it
was, at most one line is said, no stub is left. SIGKILL of the monitor leaves no stub either. SIGKILL
of a stub ends the run with 1 and one line.
"""
import ctypes
import fcntl
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import threading
import time

HEMI = os.environ.get("HEMI", "./hemi")
GUESTS = os.path.join(os.environ.get("builddir", "."), "guests")
PR_SET_CHILD_SUBREAPER = 36
GREETING = "hemi: Ctrl-A x quits, Ctrl-A h tells more"
# What the guest is, what goes on its command line, how long it may take, whether it ends.
RUNS = [
    ("endless", "case=1", 0.5, False),
    ("endless", "case=4", 0.5, False),
    ("endless", "case=6", 0.5, False),
    ("endless", "case=9", 0.5, False),
    ("hello", "", 0.15, True),
    ("stress_spaces", "", 0.8, True),
]
bad = 0


def note_bad(what, errors=""):
    global bad
    bad += 1
    print(f"FAIL: {what}: {errors!r}", flush=True)


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += [int(p) for p in f.read().split()]
    except OSError:
        pass
    return found


class Terminal:
    """The controlling terminal of this session, with whatever is printed thrown away."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
        self.before = termios.tcgetattr(self.slave)
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        while True:
            try:
                os.read(self.master, 65536)
            except OSError:
                return

    def check(self, what):
        if termios.tcgetattr(self.slave) != self.before:
            note_bad(f"{what}: the terminal is not as it was")
            termios.tcsetattr(self.slave, termios.TCSANOW, self.before)


def start(terminal, run):
    guest, append, _, _ = run
    return subprocess.Popen(
        [HEMI, "run", "--kernel", f"{GUESTS}/{guest}.elf", "--append", append, "--memory", "64M",
         "--engine", "hybrid", "--gate", "always", "--debug-exit", "--serial", "stdio",
         "--timeout", "100"],
        stdin=terminal.slave, stdout=terminal.slave, stderr=subprocess.PIPE, text=True)


def finish(p, what):
    """Its status and its lines but the greeting; whatever it left behind is counted."""
    try:
        _, errors = p.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        note_bad(f"{what}: it goes on")
        p.kill()
        _, errors = p.communicate()
    deadline = time.monotonic() + 3
    while True:
        try:    # orphans come to us
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        left = children(os.getpid())
        if not left:
            break
        if time.monotonic() > deadline:
            note_bad(f"{what}: {len(left)} processes are left")
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.01)
    return p.returncode, [line for line in errors.splitlines() if line != GREETING]


def end_by_signal(terminal, sig, run):
    delay = random.random() * run[2]
    what = f"{sig.name} after {delay:.3f} s, {run[0]} {run[1]}"
    p = start(terminal, run)
    time.sleep(delay)
    p.send_signal(sig)
    status, lines = finish(p, what)
    terminal.check(what)
    if status == 128 + sig:
        if len(lines) != 1 or "signal" not in lines[0]:
            note_bad(f"{what}: not one line", lines)
        return "stopped"
    if status == -sig:      # before it was ready: the default action, 130 and 143 in a shell
        if lines:
            note_bad(f"{what}: it should have been too early", lines)
        return "at once"
    if run[3] and status == 33 and not lines:
        return "too late"
    note_bad(f"{what}: status {status}", lines)
    return "wrong"


def kill_monitor(terminal, run, within):
    delay = random.random() * within
    what = f"SIGKILL after {delay:.3f} s, {run[0]} {run[1]}"
    p = start(terminal, run)
    time.sleep(delay)
    had = len(children(p.pid))
    p.kill()
    finish(p, what)
    termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)
    return had


def kill_stub(terminal, run):
    what = f"SIGKILL of a stub, {run[0]} {run[1]}"
    p = start(terminal, run)
    deadline = time.monotonic() + 10
    time.sleep(0.2 + random.random() * 0.3)
    while not (stubs := children(p.pid)) and p.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if not stubs:
        note_bad(f"{what}: it never had one", finish(p, what)[1])
        return
    for stub in stubs:
        try:
            os.kill(stub, signal.SIGKILL)
        except ProcessLookupError:
            pass
    status, lines = finish(p, what)
    terminal.check(what)
    if status != 1 or len(lines) != 1 or "stub" not in lines[0]:
        note_bad(f"{what}: status {status}", lines)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    terminal = Terminal()
    ways = {}
    for i in range(rounds):
        way = end_by_signal(terminal, (signal.SIGINT, signal.SIGTERM)[i % 2],
                            RUNS[i // 2 % len(RUNS)])
        ways[way] = ways.get(way, 0) + 1
    had = sum(kill_monitor(terminal, run, run[2])
              for run in (RUNS[i % len(RUNS)] for i in range(max(rounds // 5, 6))))
    # While stubs are born: at 2-15 ms, with sanitizers at 30-60.
    for i in range(max(rounds, 60)):
        had += kill_monitor(terminal, RUNS[3], (0.015, 0.06)[i % 2])
    for i in range(max(rounds // 10, 3)):
        kill_stub(terminal, RUNS[i % 2])
    print(f"{rounds} signals: " + ", ".join(f"{n} {way}" for way, n in sorted(ways.items())) +
          f"; {had} stubs gone with killed monitors; {bad} failures", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    # A session of its own, for the terminal; the parent only passes the status on.
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(main())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
