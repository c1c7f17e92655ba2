#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

usage() {
	cat <<'HELP'
usage: nested-vtx.sh [--memory MEGABYTES] [--timeout SECONDS] [--keep FILE] COMMAND...
Boot a host with Intel's VT-x in Debian's Bochs: Debian's amd64 kernel with kvm and
kvm-intel, busybox and this build of hemi. Run each COMMAND (a line for busybox's shell)
in it and show what it prints. It takes two minutes before the first.
  --memory MEGABYTES of that host (default 1024)
  --timeout SECONDS  for all of it (default 1500)
  --keep FILE        copy the whole serial output there
In it all is as in nested-svm.sh.
Exit status: 0 every COMMAND exited with 0; 1 not; 77 something is missing here.
HELP
}

host_memory=1024 limit=1500 keep=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--memory) host_memory=${2:?}; shift ;;
	--timeout) limit=${2:?}; shift ;;
	--keep) keep=${2:?}; shift ;;
	--) shift; break ;;
	-*) echo "nested-vtx.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
. "$(dirname "$0")/guest-lib.sh"
. "$(dirname "$0")/nested-lib.sh"

grub=/usr/lib/grub/i386-pc
for tool in bochs grub-mkrescue xorriso mformat; do
	command -v $tool >/dev/null || skip "no $tool"
done
[ -d $grub ] || skip "no $grub (package grub-pc-bin)"
guest_fetch kvm-amd64 bochsbios vgabios
kernel=$(head -n 1 "$work/paths")
bios=$(grep 'bochsbios/' "$work/paths") vga=$(grep 'vgabios/' "$work/paths")
mkdir -p "$work/cd/boot/grub"
nested_initrd "$work/cd/boot/initrd" kvm-intel "$@"
cp "$kernel" "$work/cd/boot/kernel"
cat >"$work/cd/boot/grub/grub.cfg" <<'GRUB'
set timeout=0
linux /boot/kernel console=ttyS0 mitigations=off acpi=off noapic nolapic hemi.run=script
initrd /boot/initrd
boot
GRUB
grub-mkrescue -o "$work/cd.iso" --directory=$grub "$work/cd" >"$work/why" 2>&1 || fail "$(tail -n 1 "$work/why")"
: >"$serial"
sed "s|model=bx_generic|model=corei7_haswell_4770|
s|@MEMORY@|$host_memory|
s|@BIOS@|$bios|
s|@VGABIOS@|$vga|
s|@CD@|$work/cd.iso|
s|@SERIAL@|$serial|
s|@LOG@|$work/bochs.log|" "$srcdir/bench/bochs.in" >"$work/bochsrc"
echo c >"$work/bochs.rc"
bochs -q -f "$work/bochsrc" -rc "$work/bochs.rc" </dev/null >"$work/errors" 2>&1 &
machine=$!
[ -z "$keep" ] || trap 'guest_stop; cp "$serial" "$keep"; rm -rf "$work"' EXIT
guest_wait 'hemi: end script' "$limit"
guest_stop
nested_result $#
echo "$me: $# commands as they should be (VT-x)"
