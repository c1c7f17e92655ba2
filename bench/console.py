# SPDX-License-Identifier: BSD-2-Clause
#
# console.py: a machine whose serial port is talked to by script, as a person at a
# terminal would: wait for words, type lines, run commands at a shell's prompt.
# What bench/system and tests/system.py share.

import os
import re
import select
import shutil
import signal
import subprocess
import time

# Escape sequences that a shell or agetty sends to what it thinks is a terminal.
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()].|\][^\x07]*\x07|[=>])")
PROMPT = "hemi-prompt:"


class Failed(Exception):
    """The machine said something else, or nothing in time; says what."""


class Console:
    def __init__(self, command, log=None):
        self.log = open(log, "wb") if log else None
        self.text, self.seen = "", 0
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def now(self):
        """Seconds since the process was started."""
        return time.monotonic() - self.began

    def _read(self, wait):
        """What the port has said meanwhile; False when it is closed."""
        if not select.select([self.process.stdout], [], [], wait)[0]:
            return True
        data = os.read(self.process.stdout.fileno(), 65536)
        if self.log:
            self.log.write(data)
            self.log.flush()
        self.text += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def wait(self, pattern, limit):
        """Until the text after what was waited for last has the pattern. The match."""
        until = time.monotonic() + limit
        while True:
            found = re.compile(pattern).search(self.text, self.seen)
            if found:
                self.seen = found.end()
                return found
            if "Kernel panic" in self.text:
                raise Failed(self.complain(f"kernel panic before '{pattern}'"))
            if time.monotonic() > until:
                raise Failed(self.complain(f"no '{pattern}' within {limit:g} s"))
            if not self._read(0.5):
                raise Failed(self.complain(f"the machine ended before '{pattern}'"))

    def complain(self, why):
        errors = ""
        if self.process.poll() is not None:
            errors = self.process.stderr.read().decode(errors="replace")
        tail = "\n".join(ESCAPES.sub("", self.text).splitlines()[-15:])
        return f"{why}\n{errors}--- the end of the serial output:\n{tail}"

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def login(self, user, password, limit):
        """From the first prompt to a shell that is ready for run()."""
        self.wait(r"login: ", limit)
        reached = self.now()
        self.type(user + "\n")
        self.wait(r"Password: ", 60)
        self.type(password + "\n")
        self.wait(r"[#$] ", 60)
        # Typed in two halves, so that the echo is not taken for the prompt.
        self.type(f"stty -echo; bind 'set enable-bracketed-paste off' 2>/dev/null; PS1={PROMPT[:4]}''{PROMPT[4:]}\n")
        self.wait(PROMPT, 60)
        return reached

    def run(self, command, limit):
        """One line for the shell: (what it printed, its exit status, seconds)."""
        start, began = self.seen, time.monotonic()
        self.type(f"{command}; echo status=$?\n")
        found = self.wait(rf"status=(\d+)\n[^\n]*{PROMPT}", limit)
        took = time.monotonic() - began
        return self.text[start:found.start()], int(found.group(1)), took

    def end(self, limit):
        """The machine must end by itself: its exit status."""
        until = time.monotonic() + limit
        while self.process.poll() is None:
            if time.monotonic() > until:
                raise Failed(self.complain(f"the guest is off, but the machine goes on for {limit:g} s"))
            if not self._read(0.2):
                time.sleep(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.log:
            self.log.close()


def command(engine, arch, disk, memory, hemi, more=()):
    """The command line of a PC with that disk; None if there is no such engine here.
    QEMU gets the same devices and no more."""
    name, _, direct = engine.partition("-")
    if name in ("hybrid", "interp", "full"):
        return [hemi, "run", "--disk", disk, "--memory", f"{memory}M", "--engine", name,
                *(["--direct", direct] if direct else []), *more]
    qemu = shutil.which("qemu-system-x86_64" if arch == "amd64" else "qemu-system-i386")
    if name != "tcg" or not qemu:
        return None
    file, _, words = disk.partition(",")
    return [qemu, "-accel", "tcg,thread=single", "-machine", "pc", "-m", str(memory), "-nodefaults",
            "-display", "none", "-no-reboot", "-serial", "stdio", "-drive",
            f"file={file},format=raw,if=ide" + (",snapshot=on" if words else "")]
