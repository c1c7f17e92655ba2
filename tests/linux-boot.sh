#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# linux-boot.sh KERNELROW ENGINE [TIMEOUT [CPU [BITS]]]: a packaged Debian kernel boots to our
# init, runs a few programs, and halts. What they print must be what is expected
# here, and what the same programs print on the host. KERNELROW is a row of
# guests/debian/fetch.sh; BITS is 32 for a 64-bit kernel's 32-bit programs;
# APPEND in the environment goes on the kernel's command line. With a CPU that has +apic the
# kernel must use the APICs, else the 8259s.

case ${1-} in
-h | --help | '') echo "usage: linux-boot.sh KERNELROW ENGINE [TIMEOUT [CPU [BITS]]]   (engines: hybrid, interp, tcg)"; exit 0 ;;
esac
row=$1 engine=${2-hybrid} timeout=${3-600} guest_cpu=${4-}
. "$(dirname "$0")/guest-lib.sh"

case $row in
*amd64*) arch=amd64 bits=64 uname=x86_64 ;;
*) arch=i386 bits=32 uname=i686 ;;
esac
bits=${5-$bits}
demo="sieve=1 crc32=1 syscall=1000 pagefault=100 forkexec=5 pipe=100"
checks=tls,signals,scatter=16,forkstorm=200,fpfaults,fputest
# QEMU's translator raises no SSE exceptions and differs in x87 functions.
[ "$engine" != tcg ] || checks=${checks%,fpfaults*}

guest_fetch "$row"
kernel=$(head -n 1 "$work/paths")
workloads=$builddir/guests/workloads/workloads$bits
if [ ! -x "$workloads" ]; then
	[ -z "${5-}" ] || skip "no $workloads: this compiler makes no $bits-bit programs"
	workloads=
fi
sh "$srcdir/guests/debian/mkinitrd.sh" $arch "$work/initrd" $workloads >"$work/why" 2>&1 || {
	[ $? -ne 77 ] || skip "$(cat "$work/why")"
	fail "$(cat "$work/why")"
}

{
	echo "hemi: begin demo"
	echo "machine: $uname, Linux user code at your service"
	echo "words: five four one three two "
	echo "squares: 2668667000"
	echo "sha256: 23f90f8b2c3a4b5f3b5e156339994afd5c2718b378aca6f0e17111f80a70d4ec  -"
	[ -z "$workloads" ] || "$workloads" --quiet $demo
	echo "hemi: end demo 0"
	if [ -n "$workloads" ]; then
		echo "hemi: begin bench"
		"$workloads" --quiet $(echo $checks | tr , ' ')
		echo "hemi: end bench 0"
	fi
	echo "hemi: poweroff"
} >"$work/expected" || fail "the workloads fail on the host"

case $guest_cpu in
*+apic*) pic= ;;
*) pic="noapic nolapic " ;;
esac
append="console=ttyS0 acpi=off ${pic}hemi.run=demo${APPEND:+ $APPEND}"
[ -z "$workloads" ] || append="$append hemi.run=bench,--quiet,$checks"
guest_start "$engine" $arch "$kernel" "$work/initrd" "$append" 512M
guest_wait 'hemi: poweroff' "$timeout"
guest_exits "$engine" 30
# Kernel messages have time stamps, programs have none.
tr -d '\r' <"$serial" | sed -n '/^hemi: begin/,/^hemi: poweroff/p' | grep -v '^\[ *[0-9.]*\] ' >"$work/got"
[ -n "$pic" ] || grep -aq 'APIC: Switch to symmetric I/O mode' "$serial" || fail "$row on $engine: the kernel does not use the APICs"
diff -u "$work/expected" "$work/got" || fail "$row on $engine: other output than expected"
echo "$me: $row on $engine: $(wc -l <"$work/got") lines as expected"
