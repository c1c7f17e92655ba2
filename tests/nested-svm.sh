#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause

usage() {
	cat <<'HELP'
usage: nested-svm.sh [--no-npt] [--memory SIZE] [--timeout SECONDS] [--keep FILE] COMMAND...
Boot a host with AMD's SVM in QEMU's emulated processor: Debian's amd64 kernel with
kvm and kvm-amd, busybox and this build of hemi. Run each COMMAND (a line for busybox's
shell) in it and show what it prints.
  --no-npt           a processor without nested paging
  --memory SIZE      of that host (default 1G)
  --timeout SECONDS  for all of it (default 600)
  --keep FILE        copy the whole serial output there
In it: hemi is $HEMI (/hemi/hemi), the guests are /hemi/guests/*.elf, tests/run-guest.sh is
/hemi/tests/run-guest.sh, /hemi/boot/kernel and initrd boot once more.
Exit status: 0 every COMMAND exited with 0; 1 not; 77 something is missing here.
HELP
}

npt=+npt host_memory=1G limit=600 keep=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--no-npt) npt=-npt ;;
	--memory) host_memory=${2:?}; shift ;;
	--timeout) limit=${2:?}; shift ;;
	--keep) keep=${2:?}; shift ;;
	--) shift; break ;;
	-*) echo "nested-svm.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
. "$(dirname "$0")/guest-lib.sh"
. "$(dirname "$0")/nested-lib.sh"

command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
guest_fetch kvm-amd64
kernel=$(head -n 1 "$work/paths")
nested_initrd "$work/initrd" kvm-amd "$@"
: >"$serial"
qemu-system-x86_64 -accel tcg -cpu "qemu64,+svm,$npt" -m "$host_memory" -nodefaults -display none \
	-no-reboot -kernel "$kernel" -initrd "$work/initrd" -serial "file:$serial" \
	-append "console=ttyS0 mitigations=off hemi.run=script" </dev/null >"$work/errors" 2>&1 &
machine=$!
[ -z "$keep" ] || trap 'guest_stop; cp "$serial" "$keep"; rm -rf "$work"' EXIT
guest_wait 'hemi: end script' "$limit"
guest_stop
nested_result $#
echo "$me: $# commands as they should be (SVM, $npt)"
