#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# system.py: a whole Debian from its disk to its login prompt and back. It is logged in to
# over the serial port, compiles and runs a program, writes a file and syncs it, and is
# switched off by its own poweroff; then the disk is looked at from here: the file system is
# clean and has the file. For `make check-system`, as making the disk takes minutes.

import argparse
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{TOP}/bench")
import console  # noqa: E402

PARTITION = 1 << 20
# A line, and what it must print; None: anything.
LINES = [
    ("apt-get --version | head -n 1 | cut -d ' ' -f 1", "apt\n"),
    ("gcc -O2 -o hello hello.c && ./hello", "hello, world\n"),
    ("dd if=/dev/urandom of=noise bs=64k count=64 conv=fsync status=none && cp noise copy", ""),
    ("sync && echo 3 >/proc/sys/vm/drop_caches && cmp noise copy && sha256sum noise >sum", ""),
    ("systemctl --failed --no-legend --plain", ""),
]


def debugfs(disk, line):
    p = subprocess.run(["debugfs", "-R", line, f"{disk}?offset={PARTITION}"], capture_output=True)
    return p.stdout


def check(o, disk, engine):
    command = console.command(engine, o.arch, disk, o.memory, o.hemi)
    if not command:
        sys.exit(f"system.py: there is no engine {engine} here")
    c = console.Console(command, o.log)
    try:
        c.wait("GRUB is here", 120)
        c.login("root", "hemi", o.timeout)
        for line, expected in LINES:
            said, status, _ = c.run(line, o.timeout)
            if status or said != expected:
                raise console.Failed(c.complain(f"'{line}' said {said!r} and ended with {status}"))
        c.type("poweroff\n")
        if c.end(o.timeout):
            raise console.Failed(c.complain(f"the machine ended with {c.process.returncode}"))
    finally:
        c.stop()
    p = subprocess.run(["e2fsck", "-f", "-n", f"{disk}?offset={PARTITION}"], text=True, capture_output=True)
    if p.returncode:
        raise console.Failed(f"the file system is not clean:\n{p.stdout}")
    sum_there = debugfs(disk, "cat root/sum").split()[:1]
    with tempfile.NamedTemporaryFile() as f:
        debugfs(disk, f"dump root/noise {f.name}")
        sum_here = subprocess.run(["sha256sum", f.name], capture_output=True).stdout.split()[:1]
    if not sum_here or sum_there != sum_here:
        raise console.Failed("the disk does not hold what the guest has written")


def main():
    p = argparse.ArgumentParser(prog="system.py", description="A Debian from BIOS to login, gcc, poweroff, fsck.")
    p.add_argument("arch", choices=["i386", "amd64"])
    p.add_argument("engines", nargs="+", help="hybrid, hybrid-ring3, hybrid-kvm, interp, full, tcg")
    p.add_argument("--memory", type=int, default=512, help="MiB (default 512)")
    p.add_argument("--timeout", type=float, default=600, help="seconds for the boot and for each line (default 600)")
    p.add_argument("--log", help="keep the serial output there")
    o = p.parse_args()
    o.hemi = os.environ.get("HEMI", "./hemi")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory(prefix="hemi-system.") as directory:
        disk = f"{directory}/disk"
        for engine in o.engines:
            made = subprocess.run(["sh", f"{TOP}/guests/debian/mkdisk.sh", o.arch, disk])
            if made.returncode:
                return made.returncode
            try:
                check(o, disk, engine)
            except console.Failed as why:
                print(f"system.py: {o.arch} on {engine}: {why}", file=sys.stderr)
                return 1
            print(f"system.py: {o.arch} on {engine}: logged in, compiled, written, off, clean")
    return 0


if __name__ == "__main__":
    sys.exit(main())
