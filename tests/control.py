#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The control socket: QMP's form, what the commands do to guests/control.S, and clients that
behave badly. Engines: those in $ENGINES (interp, hybrid, ring3, kvm, full; default: the first two)."""
import os
import queue
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

from qmp import Qmp

HEMI = os.environ.get("HEMI", "./hemi")
KERNEL = os.path.join(os.environ.get("builddir", "."), "guests/control.elf")
bad = 0


def check(ok, what, more=""):
    global bad
    if not ok:
        bad += 1
        print(f"FAIL: {what} {more}", flush=True)


class Machine:
    """hemi with a guest; its serial port is a pipe in each direction."""

    def __init__(self, path, *options, case=3, kernel=KERNEL, wait=True):
        self.path = path
        self.process = subprocess.Popen(
            [HEMI, "run", "--kernel", kernel, "--append", f"case={case}", "--memory", "16M",
             "--control", path, "--timeout", "100", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        threading.Thread(target=self.pump, daemon=True).start()
        if wait:
            self.expect(f"control {case}")

    def pump(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().strip())

    def type(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def silent(self, seconds):
        time.sleep(seconds)
        return self.lines.empty()

    def expect(self, start, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                check(False, f"the guest does not say: {start}")
                return ""
            if line.startswith(start):
                return line

    def time(self):
        """By the ACPI timer and by the TSC."""
        self.type(b"t")
        words = self.expect("time").split() or ["", "0", "0"]
        return int(words[1]), int(words[2])

    def ticks(self):
        """Processor time of hemi and of those that it has made, in 1/100 s."""
        total = 0
        for pid in [self.process.pid] + children(self.process.pid):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    words = f.read().rpartition(")")[2].split()
                total += int(words[11]) + int(words[12])
            except OSError:
                pass
        return total

    def finish(self, status, what):
        try:
            _, errors = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
            check(False, f"{what}: it goes on")
        check(self.process.returncode == status, f"{what}: status", self.process.returncode)
        check(not os.path.lexists(self.path), f"{what}: the socket is left")
        return errors.decode()


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            found += [int(p) for p in f.read().split()]
    return found


def connect(path):
    """As soon as it can be done."""
    for _ in range(400):
        try:
            return Qmp(path)
        except OSError:
            time.sleep(0.05)
    return Qmp(path)


# --- The form --------------------------------------------------------------------------------

def form(q, path):
    check(set(q.greeting["QMP"]) == {"version", "capabilities"}, "greeting", q.greeting)
    other = Qmp(path, negotiate=False)
    check(other.error("query-status") == "CommandNotFound", "a command before negotiation")
    other.command("qmp_capabilities")
    check(other.error("qmp_capabilities") == "CommandNotFound", "negotiation again")
    other.close()
    check(q.command("query-status")["status"] == "running", "query-status")
    names = [c["name"] for c in q.command("query-commands")]
    for name in ("stop", "cont", "screendump", "send-key", "human-monitor-command", "quit",
                 "system_reset", "eject", "blockdev-change-medium", "query-block"):
        check(name in names, "query-commands", name)
    check(q.error("nonsense") == "CommandNotFound", "a command that is none")
    check(q.error("screendump") == "GenericError", "a missing argument")
    check(q.error("screendump", filename=1) == "GenericError", "a wrong type")
    check(q.error("stop", now=True) == "GenericError", "an argument too much")
    check(q.error("eject", device="ide9-cd9") == "DeviceNotFound", "no such drive")
    check(q.error("send-key", keys=[{"type": "qcode", "data": "nokey"}]) == "GenericError",
          "no such key")
    # Any value is an id, several objects may come at once, and in pieces; ' is a quote too.
    q.send(b'{"execute":"query-name","id":{"a":[1,null]}}{ \'execute\': \'query-')
    check(q.receive() == {"return": {}, "id": {"a": [1, None]}}, "an object as id")
    time.sleep(0.05)
    q.send(b"name'}\n")
    check(q.receive() == {"return": {}}, "an object in pieces, without an id")
    check("VM status: running" in q.line("info status"), "human-monitor-command")
    check("is no command" in q.line("nonsense"), "human-monitor-command: nonsense")
    check("cr3" in q.line("info registers"), "info registers")
    check("jmp" in q.line("x /3i 0x100000") or "0010" in q.line("x /3i 0x100000"), "x /i")
    check("0x1badb002" in q.line("xp /1xw 0x100000"), "xp", q.line("xp /1xw 0x100000"))


# --- What the commands do ---------------------------------------------------------------------

def engine_options(engine):
    if engine in ("ring3", "kvm"):
        return "--engine", "hybrid", "--direct", engine, "--gate", "always"
    return "--engine", engine, "--gate", "always"


def time_stands(engine, case, path):
    m = Machine(path, *engine_options(engine), case=case)
    q = Qmp(path)
    what = f"{engine}, case {case}"
    first = m.time()
    time.sleep(0.3)
    began = time.monotonic()
    second = m.time()
    q.command("stop")
    q.event("STOP")
    check(q.command("query-status") == {"running": False, "singlestep": False,
                                        "status": "paused"}, f"{what}: paused")
    time.sleep(0.1)
    used = m.ticks()
    m.type(b"t")
    check(m.silent(1.5), f"{what}: a stopped guest speaks")
    used = m.ticks() - used
    check(used <= 15, f"{what}: stopped, it uses the processor", used)
    q.command("stop")       # nothing new
    q.command("cont")
    q.event("RESUME")
    words = m.expect("time").split() or ["", "0", "0"]
    third = int(words[1]), int(words[2])
    passed = (third[0] - second[0]) * 4096 / 3579545
    check(0 <= passed < time.monotonic() - began - 1.4, f"{what}: guest time went on", passed)
    # A TSC that had gone on would have run at four times its rate.
    rate = (second[1] - first[1]) / max(second[0] - first[0], 1)
    rate_across = (third[1] - first[1]) / max(third[0] - first[0], 1)
    check(0.6 < rate_across / max(rate, 1) < 1.6, f"{what}: the TSC and the timer part",
          (first, second, third))
    q.command("quit")
    check(q.event("SHUTDOWN") == {"guest": False, "reason": "host-qmp-quit"}, f"{what}: SHUTDOWN")
    m.finish(0, what)


def keys_and_screen(m, q, work):
    q.command("send-key", keys=[{"type": "qcode", "data": "ctrl"},
                                {"type": "number", "data": 0x1e}], hold_time=20)
    for code in ("1d", "1e", "9e", "9d"):
        check(m.lines.get(timeout=20) == f"key {code}", "send-key", code)
    q.line("sendkey alt-f1 5")
    for code in ("38", "3b", "bb", "b8"):
        check(m.lines.get(timeout=20) == f"key {code}", "sendkey", code)
    q.command("screendump", filename=f"{work}/a")
    with open(f"{work}/a", "rb") as f:
        check(f.read(15) == b"P6\n720 400\n255\n", "a PPM")
    answer = q.ask("screendump", filename=f"{work}/b", format="png")
    if "return" in answer:
        with open(f"{work}/b", "rb") as f:
            check(f.read(4) == b"\x89PNG", "a PNG")
    check(q.error("screendump", filename=f"{work}/none/a") == "GenericError", "nowhere to write")
    check(q.error("screendump", filename=f"{work}/a", format="gif") == "GenericError", "a GIF")
    os.mkfifo(f"{work}/pipe")
    check(q.error("screendump", filename=f"{work}/pipe") == "GenericError",
          "a pipe that nobody reads")


def media(q, work):
    drive = q.command("query-block")[0]
    check(drive["device"] == "ide1-cd0" and drive["removable"] and not drive["locked"] and
          drive["inserted"]["file"] == f"{work}/one.iso", "query-block", drive)
    check(q.error("blockdev-change-medium", device="ide1-cd0", filename=f"{work}/none.iso") ==
          "GenericError", "a medium that is not there")
    check("inserted" in q.command("query-block")[0], "a mistake emptied the drive")
    q.command("blockdev-change-medium", device="ide1-cd0", filename=f"{work}/two.iso")
    drive = q.command("query-block")[0]
    check(drive["inserted"]["image"]["virtual-size"] == 8192, "the new medium", drive)
    q.command("eject", device="cdrom")
    drive = q.command("query-block")[0]
    check("inserted" not in drive and drive["tray_open"], "an empty drive", drive)
    q.command("eject", device="cdrom")
    check(q.line(f"change cdrom {work}/one.iso") == "", "change")
    check("one.iso" in q.line("info block"), "info block")


def badly(m, path):
    """Clients that garble, flood, hang or vanish; the guest does not notice."""
    q = Qmp(path)
    for garbage in (b"\0\xff\x80garbage\n", b"]\n", b'{"execute": }\n', b"[1]\n", b'"x"\n',
                    b'{"execute":"stop","arguments":[]}\n', b'{"execute":7}\n', b'{"a":1}\n',
                    b'{"execute":"eject","arguments":{"device":"\xff\xfe"}}\n', b"[" * 5000 + b"\n",
                    b'{"execute":"' + b"x" * 100000 + b'"}\n'):
        q.send(garbage)
        check("error" in q.receive(), "garbage", garbage[:40])
    q.send(b'{"execute": "query-name", "id": "' + b"y" * (3 << 20) + b'"}\n')
    check("error" in q.receive(), "three megabytes")
    check(q.command("query-name") == {}, "after garbage")
    q.send(b'{"execute":"query-')
    q.close()
    mute = Qmp(path)        # asks, and never reads
    mute.sock.settimeout(0.3)
    try:
        for _ in range(200000):
            mute.send(b'{"execute":"query-commands"}' * 100)
    except (socket.timeout, BlockingIOError):
        pass
    else:
        check(False, "a mute client is read from for ever")
    many = [Qmp(path) for _ in range(6)]
    check(all(c.command("query-status")["running"] for c in many), "many clients")
    for c in many:
        c.send(b'{"execute":"stop"}{"execute":"query-status"}')
        c.close()           # the answer finds nobody
    q = Qmp(path)
    q.command("cont")
    m.time()
    check(q.command("query-status")["running"], "after bad clients")
    mute.close()
    for _ in range(50):
        socket.socket(socket.AF_UNIX).connect(path)
    m.time()
    q.close()
    half = socket.socket(socket.AF_UNIX)
    half.connect(path)
    half.sendall(b'{"execute":"qmp_capabilities"}{"execute":"query-status"}')
    half.shutdown(socket.SHUT_WR)
    said = b""
    half.settimeout(20)
    while data := half.recv(4096):
        said += data
    check(said.count(b"\n") == 3, "a client that says it all at once", said)


def power(m, path):
    q = Qmp(path)
    q.command("system_reset")
    check(q.event("RESET") == {"guest": False, "reason": "host-qmp-system-reset"}, "RESET")
    m.expect("control 3")
    q.command("stop")
    q.command("system_reset")
    check(m.silent(0.3), "a machine that was reset while it was stopped runs")
    q.command("cont")
    m.expect("control 3")
    q.command("system_powerdown")
    q.event("POWERDOWN")
    m.expect("power button")
    check(q.event("SHUTDOWN") == {"guest": True, "reason": "guest-shutdown"}, "SHUTDOWN")
    try:
        check(q.receive() is None, "after SHUTDOWN")
    except EOFError:
        pass
    m.finish(0, "power off")


# --- The socket -------------------------------------------------------------------------------

def refused(path, what, word):
    m = Machine(path, wait=False)
    _, errors = m.process.communicate(timeout=30)
    lines = errors.decode().splitlines()
    check(m.process.returncode == 1 and len(lines) == 1 and word in lines[0], what,
          (m.process.returncode, lines))


def sockets(work):
    path = f"{work}/s"
    m = Machine(path)
    mode = os.stat(path).st_mode
    check(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, "the socket's mode", oct(mode))
    refused(path, "a socket in use", "in use")
    check(Qmp(path).command("query-status")["running"], "the other one's socket")
    m.process.send_signal(signal.SIGTERM)
    m.finish(143, "SIGTERM")
    m = Machine(path)
    m.process.kill()
    m.process.communicate()
    check(os.path.exists(path), "a killed one leaves it")
    m = Machine(path, "--paused", wait=False)
    q = connect(path)
    check(q.command("query-status")["status"] == "prelaunch", "--paused")
    check(m.silent(0.5), "--paused: the guest speaks")
    q.command("cont")
    m.expect("control 3")
    q.command("quit")
    m.finish(0, "a stale socket")
    with open(f"{work}/file", "w") as f:
        f.write("mine")
    refused(f"{work}/file", "a file", "no socket")
    with open(f"{work}/file") as f:
        check(f.read() == "mine", "a file was touched")
    refused(f"{work}/{'x' * 200}", "a long name", "bytes")
    refused(f"{work}/none/s", "no directory", "No such file")
    if os.geteuid():
        os.mkdir(f"{work}/closed", 0)
        refused(f"{work}/closed/s", "no permission", "ermission")


def main():
    engines = os.environ.get("ENGINES", "interp hybrid").split()
    with tempfile.TemporaryDirectory() as work:
        path = f"{work}/s"
        for engine in engines:
            for case in (1, 2, 3):
                time_stands(engine, case, path)
        for name, size in (("one", 4096), ("two", 8192)):
            with open(f"{work}/{name}.iso", "wb") as f:
                f.truncate(size)
        m = Machine(path, "--cdrom", f"{work}/one.iso", *engine_options(engines[-1]))
        q = Qmp(path)
        form(q, path)
        keys_and_screen(m, q, work)
        media(q, work)
        q.close()
        badly(m, path)
        power(m, path)
        sockets(work)
    print(f"{bad} failures")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
