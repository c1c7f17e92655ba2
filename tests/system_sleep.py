#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# system_sleep.py: a whole Debian is put to sleep in the middle of a compile, again and again, and
# goes on in a new process each time, the engine another one: the compile ends with the binary that
# one without naps has made. For `make check-system`, as system.py.

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{TOP}/bench")
import console  # noqa: E402

# A program that keeps the compiler busy for long enough to be caught at it.
SOURCE = ("awk 'BEGIN { for (i = 0; i < %d; i++) printf \"int f%%d(int *a, int n) { int s = %%d; for (int i = 0; "
          "i < n; i++) s = s * 31 + (a[i] ^ a[n - i - 1]); return s; }\\n\", i, i; "
          "print \"int main(void) { return 0; }\" }' >long.c")
COMPILE = "gcc -O2 -o long long.c"
# Seconds that a machine with that engine gets before its nap. The interpreter's compiler is slow
# enough never to be done in that time.
NAPS = [("hybrid", 0), ("interp", 10), ("hybrid", 1), ("interp", 5)]


class Asleep(Exception):
    """The compile was over before the machine slept."""


def nap(c, seconds, limit):
    """The machine into its file, in the middle of what its shell does."""
    time.sleep(seconds)
    c.process.send_signal(signal.SIGUSR2)
    if c.end(limit):
        raise console.Failed(c.complain(f"the machine did not sleep but ended with {c.process.returncode}"))
    if "status=" in c.text[c.seen:]:
        raise Asleep()


def wake(o, state, engine, more):
    return console.Console([o.hemi, "run", "--restore", state, "--engine", engine, *more], o.log and f"{o.log}.{engine}")


def check(o, directory, disk):
    save = [["--save", f"{directory}/state.{i}"] for i in range(len(NAPS))]
    c = console.Console(console.command(NAPS[0][0], o.arch, disk, o.memory, o.hemi, save[0]), o.log)
    try:
        c.login("root", "hemi", o.timeout)
        c.run(SOURCE % o.functions, o.timeout)
        said, status, took = c.run(f"{COMPILE} && sha256sum long", o.timeout)
        if status:
            raise console.Failed(c.complain(f"{COMPILE} ended with {status}"))
        c.type(f"rm long; {COMPILE} && sha256sum long; echo status=$?\n")
        began = c.seen
        for i, (engine, seconds) in enumerate(NAPS):
            nap(c, seconds or took / 3, o.timeout)
            unread = c.text[began:]
            after = NAPS[(i + 1) % len(NAPS)][0]
            c = wake(o, save[i][1], after, save[i + 1] if i + 1 < len(NAPS) else [])
            c.text, began = unread, 0
        c.wait(rf"status=(\d+)\n[^\n]*{console.PROMPT}", o.timeout)
        again = c.text.partition("status=")[0]
        if again != said:
            raise console.Failed(c.complain(f"another binary: {again!r}, not {said!r}"))
        c.type("poweroff\n")
        if c.end(o.timeout):
            raise console.Failed(c.complain(f"the machine ended with {c.process.returncode}"))
        return took
    finally:
        c.stop()


def main():
    p = argparse.ArgumentParser(prog="system_sleep.py", description="A Debian that sleeps while gcc works.")
    p.add_argument("arch", choices=["i386", "amd64"])
    p.add_argument("--functions", type=int, default=600, help="what is compiled (default 600)")
    p.add_argument("--memory", type=int, default=512, help="MiB (default 512)")
    p.add_argument("--timeout", type=float, default=600, help="seconds for the boot and for each step (default 600)")
    p.add_argument("--log", help="keep the serial output there")
    o = p.parse_args()
    o.hemi = os.environ.get("HEMI", "./hemi")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory(prefix="hemi-system.") as directory:
        disk = f"{directory}/disk"
        made = subprocess.run(["sh", f"{TOP}/guests/debian/mkdisk.sh", o.arch, disk])
        if made.returncode:
            return made.returncode
        try:
            took = check(o, directory, disk)
        except Asleep:
            print(f"system_sleep.py: {o.arch}: the compile was too short; say more --functions", file=sys.stderr)
            return 1
        except console.Failed as why:
            print(f"system_sleep.py: {o.arch}: {why}", file=sys.stderr)
            return 1
        engines = ", ".join(engine for engine, _ in NAPS + NAPS[:1])
        print(f"system_sleep.py: {o.arch}: a compile of {took:.1f} s, {len(NAPS)} naps ({engines}): the same binary")
    return 0


if __name__ == "__main__":
    sys.exit(main())
