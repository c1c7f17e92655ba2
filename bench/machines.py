# SPDX-License-Identifier: BSD-2-Clause
#
# machines.py: what bench/user, bench/boot, bench/interp, bench/crossing and bench/compare share: the engines, how
# each is started with a kernel and an initramfs (or with one of guests/*.elf and
# none), and how its end is noticed.
#
# All machines are made alike, and as poor as hemi's: one processor, no ACPI, no
# APIC, the console on the serial port. Time is taken outside, at the lines that
# /init prints; not every machine exits when the guest halts for good.

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "hemi: begin", "hemi: poweroff"
POOR = "console=ttyS0 quiet acpi=off noapic nolapic mitigations=off"


class Skip(Exception):
    """Something that this host lacks; says what."""


def die(message, status=1):
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
    sys.exit(status)


def fetch(*names):
    """Paths of the files of distribution packages, downloaded when needed."""
    p = subprocess.run(["sh", f"{TOP}/guests/debian/fetch.sh", *names], text=True, capture_output=True)
    if p.returncode == 77:
        raise Skip(p.stderr.strip())
    if p.returncode:
        die(p.stderr.strip())
    return p.stdout.split()


def program(build, path):
    """A program that the build makes: in the build tree, or beside the source."""
    for place in (build, ".", TOP):
        full = os.path.join(place, path)
        if os.access(full, os.X_OK):
            return os.path.abspath(full)
    raise Skip(f"no {path} (build it, or give --build DIR)")


def initrd(directory, arch, files):
    out = f"{directory}/initrd-{arch}"
    p = subprocess.run(["sh", f"{TOP}/guests/debian/mkinitrd.sh", arch, out, *files], text=True, capture_output=True)
    if p.returncode == 77:
        raise Skip(p.stderr.strip())
    if p.returncode:
        die(p.stderr.strip())
    return out


class Machine:
    """One engine. command() gives the command line; setup() may prepare files."""

    def __init__(self, name, arch, memory, build):
        self.name, self.arch, self.memory, self.build = name, arch, memory, build

    def setup(self, directory, kernel, image, append):
        self.directory, self.kernel, self.image, self.append = directory, kernel, image, append
        self.serial = f"{directory}/serial-{self.name}"


class Hemi(Machine):
    def command(self):
        hemi = os.environ.get("HEMI") or program(self.build, "hemi")
        engine, *more = self.name.split("-")
        gates = [w for w in more if w in ("always", "adaptive", "never")]
        direct = [w for w in more if w not in (*gates, "strict", "trace")]
        return [hemi, "run", "--kernel", self.kernel,
                *(["--initrd", self.image] if self.image else ["--debug-exit"]), "--append", self.append,
                "--memory", f"{self.memory}M", "--engine", engine,
                *(["--cpu", "hemi64"] if self.arch == "amd64" else []),
                *(["--direct", direct[0]] if direct else []), *(["--gate", gates[0]] if gates else []),
                *(["--strict"] if "strict" in more else []),
                *(["--trace-file", f"{self.directory}/crossings"] if "trace" in more else []),
                "--serial", f"file:{self.serial}"]


class Qemu(Machine):
    accel = ["-accel", "tcg,thread=single"]

    def command(self):
        qemu = shutil.which("qemu-system-i386" if self.arch == "i386" else "qemu-system-x86_64")
        if not qemu:
            raise Skip("no qemu-system-x86")
        return [qemu, *self.accel, "-machine", "pc,acpi=off", "-m", f"{self.memory}M", "-nodefaults",
                "-display", "none", "-no-reboot", "-kernel", self.kernel,
                *(["-initrd", self.image] if self.image else ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]),
                "-append", self.append, "-serial", f"file:{self.serial}"]


class QemuKvm(Qemu):
    accel = ["-accel", "kvm"]


class Bochs(Machine):
    """Debian's Bochs cannot load a kernel by itself, so GRUB does it from a CD. It
    has its debugger built in (continued by a script), and of displays that need no
    screen only rfb. Its BIOS files are packages of their own."""

    def setup(self, directory, kernel, image, append):
        super().setup(directory, kernel, image, append)
        if not shutil.which("bochs"):
            raise Skip("no bochs")
        if not shutil.which("grub-mkrescue") or not shutil.which("xorriso") or not shutil.which("mformat"):
            raise Skip("bochs needs grub-mkrescue, xorriso and mtools for its CD")
        grub = "/usr/lib/grub/i386-pc"
        if not os.path.isdir(grub):
            raise Skip(f"bochs needs {grub} (package grub-pc-bin) for its CD")
        bios, vga = fetch("bochsbios", "vgabios")
        tree = f"{directory}/cd"
        os.makedirs(f"{tree}/boot/grub", exist_ok=True)
        shutil.copy(kernel, f"{tree}/boot/kernel")
        load = f"multiboot /boot/kernel {append}"
        if image:
            shutil.copy(image, f"{tree}/boot/initrd")
            load = f"linux /boot/kernel {append}\ninitrd /boot/initrd"
        with open(f"{tree}/boot/grub/grub.cfg", "w") as f:
            f.write(f"set timeout=0\n{load}\nboot\n")
        p = subprocess.run(["grub-mkrescue", "-o", f"{directory}/cd.iso", f"--directory={grub}", tree],
                           text=True, capture_output=True)
        if p.returncode:
            die(f"grub-mkrescue: {p.stderr.strip().splitlines()[-1]}")
        with open(f"{TOP}/bench/bochs.in") as f:
            text = f.read()
        for key, value in {"MEMORY": self.memory, "BIOS": bios, "VGABIOS": vga, "CD": f"{directory}/cd.iso",
                           "SERIAL": self.serial, "LOG": f"{directory}/bochs.log"}.items():
            text = text.replace(f"@{key}@", str(value))
        with open(f"{directory}/bochsrc", "w") as f:
            f.write(text)
        with open(f"{directory}/bochs.rc", "w") as f:
            f.write("c\n")

    def command(self):
        return ["bochs", "-q", "-f", f"{self.directory}/bochsrc", "-rc", f"{self.directory}/bochs.rc"]


def machine(name, arch, memory, build):
    kind = {"hybrid": Hemi, "interp": Hemi, "full": Hemi, "tcg": Qemu,
            "qkvm": QemuKvm, "bochs": Bochs}.get(name.split("-")[0])
    return kind(name, arch, memory, build) if kind else None


def cpu_seconds(pid):
    """Processor time of a monitor and its stubs."""
    total = 0
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], text=True, capture_output=True).stdout.split()
    for p in [str(pid), *children]:
        try:
            with open(f"/proc/{p}/stat") as f:
                w = f.read().rsplit(")", 1)[1].split()
            total += int(w[11]) + int(w[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def watch(m, timeout, end, period=0.02, each=None):
    """Start the machine and watch its serial port until a line contains end. Returns
    [(seconds since the start, line)]; raises Skip when it gets nowhere. Of each line
    each(process, line) is told, which may take its time while the guest waits."""
    if os.path.exists(m.serial):
        os.unlink(m.serial)
    errors = f"{m.directory}/errors-{m.name}"
    with open(errors, "w") as err:
        start = time.monotonic()
        p = subprocess.Popen(m.command(), stdin=subprocess.DEVNULL, stdout=err, stderr=err)
    lines, why = [], None
    try:
        while not why:
            exited = p.poll() is not None
            now = time.monotonic() - start
            text = ""
            if os.path.exists(m.serial):
                with open(m.serial, errors="replace") as f:
                    text = f.read().replace("\r", "")
            for line in text.split("\n")[len(lines):-1]:
                lines.append((now, line))
                if each:
                    each(p, line)
            if any(end in line for _, line in lines):
                return lines
            if exited or "Kernel panic" in text or now > timeout:
                why = (f"exited with {p.returncode}" if exited else
                       f"no end after {timeout:g} s" if now > timeout else "kernel panic")
            time.sleep(period)
    finally:
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
            try:
                p.wait(2)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
    with open(errors, errors="replace") as f:
        said = [line for line in f.read().strip().splitlines() if "terminating on signal" not in line][-1:]
    # Of one that we have ended ourselves the guest's last words tell more.
    if not exited or not said:
        said = [f"the guest's last line: {lines[-1][1]}"] if lines else ["the guest said nothing"]
    raise Skip(f"{m.name}: {why}: {said[0][:160]}")


def run(m, timeout):
    """Until /init powers off: (seconds to /init, seconds to poweroff, text)."""
    lines = watch(m, timeout, END)
    began = next((t for t, line in lines if BEGIN in line), None)
    return began, lines[-1][0], "\n".join(line for _, line in lines)


def alternate(names, runs):
    """Every engine once in each round, each round starting with another."""
    for r in range(runs):
        yield from names[r % len(names):] + names[:r % len(names)]


def median(values):
    return statistics.median(values) if values else None


def quote(command):
    return " ".join(f"'{w}'" if " " in w else w for w in command)


def workspace():
    return tempfile.TemporaryDirectory(prefix="hemi-bench.")


def compiler(build):
    """With what hemi was made: the compiler's own first line, and CFLAGS."""
    try:
        with open(f"{build}/Makefile") as f:
            made = dict(line.strip().split(" = ", 1) for line in f if line.startswith(("CC = ", "CFLAGS = ")))
        said = subprocess.run([*made["CC"].split(), "--version"], text=True, capture_output=True).stdout
        return f"{said.splitlines()[0]}, {made['CFLAGS']}"
    except (OSError, KeyError, IndexError):
        return "unknown compiler"


def host():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} processors, Linux {os.uname().release}"
