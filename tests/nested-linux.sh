#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# nested-linux.sh NAME FLAG...: inside the nested host, the kernel boots once more, in hemi with
# those flags, to our init and to poweroff. What it prints must be what is expected and
# what the same programs print out here. What it cost is left for nested-cost.sh, under NAME.
# APPEND: more for the kernel's command line.

boot=/hemi/boot
name=$1
shift
rows="sieve=1 crc32=1 syscall=1000 pagefault=100 forkexec=5 pipe=100"
{
	echo "hemi: begin demo"
	echo "machine: x86_64, Linux user code at your service"
	echo "words: five four one three two "
	echo "squares: 2668667000"
	echo "sha256: 23f90f8b2c3a4b5f3b5e156339994afd5c2718b378aca6f0e17111f80a70d4ec  -"
	[ ! -x $boot/workloads ] || $boot/workloads --quiet $rows
	echo "hemi: end demo 0"
	echo "hemi: poweroff"
} >/tmp/expected
"$HEMI" run --kernel $boot/kernel --initrd $boot/initrd --memory 256M \
	--append "console=ttyS0 acpi=off noapic nolapic hemi.run=demo ${APPEND-}" --stats="/tmp/stats-$name.json" "$@" </dev/null >/tmp/serial
status=$?
tr -d '\r' </tmp/serial | sed -n '/^hemi: begin/,/^hemi: poweroff/p' | grep -v '^\[ *[0-9.]*\] ' >/tmp/got
diff -u /tmp/expected /tmp/got || { tail -n 5 /tmp/serial; exit 1; }
[ $status = 0 ] || { echo "exit status $status"; exit 1; }
echo "ok: Linux to poweroff, $name ($*)"
