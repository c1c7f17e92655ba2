#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs one guest and compares what it prints, and its exit status, with what is
# expected. Exit 0: as expected, 77: the engine is not to be had here, else 1.
#
# usage: run-guest.sh NAME [ENGINE [COMMAND-LINE]]
#
# ENGINE is interp, full or hybrid (the default), or names a direct engine (ring3 ...)
# that then must run all user code that it can. With a command line of one's own
# only the status is compared, and the text is shown.
#
#	HEMI		the monitor (./hemi), with HEMI_FLAGS added
#	RUNNER=qemu	run QEMU instead, with CPU (max), QEMU (qemu-system-i386 or -x86_64)
#	MEMORY, TIMEOUT	64M, 120 seconds
#	srcdir, builddir	where the texts and the guests are
#
# QEMU does not do everything as the manual says. Where it is known not to,
# expected/NAME.qemu.txt has what it prints instead; so it has for the engine full with
# PROCESSOR=qemu, when the host itself is a machine that QEMU emulates.

name=${1:?usage: run-guest.sh NAME [ENGINE [COMMAND-LINE]]}
engine=${2:-hybrid}
append=${3-}
srcdir=${srcdir:-$(dirname "$0")/..}
kernel=${builddir:-.}/guests/$name.elf
expected=$srcdir/guests/expected/$name.txt
timeout=${TIMEOUT:-120}
case $name in
scattered) memory=${MEMORY:-128M} ;;
*) memory=${MEMORY:-64M} ;;
esac
[ -f "$kernel" ] || { echo "$name: no $kernel: make it first"; exit 1; }
[ -f "$expected" ] || { echo "$name: no $expected"; exit 1; }

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
label="$name ($engine)"

if [ "$engine" = full ] && [ -f "$srcdir/guests/expected/$name.${PROCESSOR:-host}.txt" ]; then
	expected=$srcdir/guests/expected/$name.$PROCESSOR.txt
fi

if [ "${RUNNER-}" = qemu ]; then
	label="$name (qemu)"
	[ -f "$srcdir/guests/expected/$name.qemu.txt" ] &&
		expected=$srcdir/guests/expected/$name.qemu.txt
	avoid=				# what would stop or crash QEMU's machine
	case $name in
	exceptions) avoid=icebp=0 ;;
	gates) avoid=conf=0 ;;
	esac
	case $name in
	*64 | *_4level) qemu=qemu-system-x86_64 ;;
	*) qemu=qemu-system-i386 ;;
	esac
	timeout "$timeout" "${QEMU:-$qemu}" -cpu "${CPU:-max}" -m "$memory" \
		-kernel "$kernel" -append "$append $avoid" -display none -monitor none \
		-serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
else
	case $engine in
	interp|hybrid|full) flags="--engine $engine" ;;
	*)	flags="--engine hybrid --direct $engine --gate always"
		case $name in
		# The rights of call gates and task segments; all selectors, and instructions that the
		# host may have and the guest has not.
		gates | hostile64) flags="$flags --strict" ;;
		esac ;;
	esac
	[ $name != apic64 ] || flags="$flags --apic=yes"
	# shellcheck disable=SC2086 # flags are words
	"${HEMI:-./hemi}" run --kernel "$kernel" $flags ${HEMI_FLAGS-} --debug-exit \
		--memory "$memory" --serial stdio --timeout "$timeout" --append "$append" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status = 1 ] && [ ! -s "$tmp/out" ] && [ "$engine" != interp ] && [ "$engine" != hybrid ]; then
		echo "SKIP: $label: $(head -n 1 "$tmp/err")"
		exit 77
	fi
fi

bad=0
if [ -n "$append" ]; then
	cat "$tmp/out"
elif ! diff -u "$expected" "$tmp/out" >"$tmp/diff"; then
	echo "FAIL: $label: not the expected text"
	head -n 40 "$tmp/diff"
	bad=1
fi
if [ $status != 33 ]; then
	echo "FAIL: $label: exit status $status, not 33"
	bad=1
fi
if [ $bad = 1 ]; then
	head -n 20 "$tmp/err"
	exit 1
fi
echo "ok: $label"
