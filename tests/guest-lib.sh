# SPDX-License-Identifier: BSD-2-Clause
#
# guest-lib.sh: for scripts that boot a packaged guest and look at its serial
# port. To be sourced. Engines: hybrid, hybrid-ring3, hybrid-kvm, full, interp, and tcg,
# which is QEMU: it shows that a test is right when hemi fails it.

: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}" "${builddir:=.}"
: "${HEMI:=$builddir/hemi}"
me=$(basename "$0")
work=$(mktemp -d "${TMPDIR:-/tmp}/hemi-test.XXXXXX") || exit 1
serial=$work/serial
machine=
trap 'guest_stop; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

skip() {
	echo "$me: skipped: $*"
	exit 77
}

fail() {
	echo "$me: $*" >&2
	[ ! -s "$work/errors" ] || tail -n 5 "$work/errors" >&2
	[ ! -s "$serial" ] || { echo "--- the end of the serial output:"; tail -n 15 "$serial" | tr -d '\033\r'; } >&2
	exit 1
}

# Paths of a row of fetch.sh, or the end of the test.
guest_fetch() {
	sh "$srcdir/guests/debian/fetch.sh" "$@" >"$work/paths" 2>"$work/why" && return
	[ $? -ne 77 ] || skip "$(cat "$work/why")"
	fail "$(cat "$work/why")"
}

# guest_start ENGINE ARCH KERNEL INITRD APPEND MEMORY
guest_start() {
	: >"$serial"
	case $1 in
	tcg)
		qemu=qemu-system-i386
		[ "$2" = i386 ] || qemu=qemu-system-x86_64
		command -v $qemu >/dev/null || skip "no $qemu"
		set -- $qemu -accel tcg -machine pc,acpi=off -m "$6" -nodefaults -display none -no-reboot \
			-kernel "$3" -initrd "$4" -append "$5" -serial "file:$serial" ;;
	*)
		[ -x "$HEMI" ] || skip "no $HEMI"
		direct=${1#"${1%%-*}"} cpu=
		[ "$2" = i386 ] || cpu=hemi64
		cpu=${guest_cpu:-$cpu}
		set -- "$HEMI" run --kernel "$3" --initrd "$4" --append "$5" --memory "$6" --engine "${1%%-*}" \
			${cpu:+--cpu "$cpu"} ${direct:+--direct "${direct#-}"} --serial "file:$serial" ;;
	esac
	"$@" </dev/null >"$work/errors" 2>&1 &
	machine=$!
}

guest_stop() {
	[ -n "$machine" ] || return 0
	kill "$machine" 2>/dev/null
	wait "$machine" 2>/dev/null
	machine=
}

# guest_wait PATTERN SECONDS: until the serial output has it.
guest_wait() {
	deadline=$(($(date +%s) + $2))
	until grep -aq "$1" "$serial"; do
		! grep -aq 'Kernel panic' "$serial" || fail "the kernel panicked"
		if ! kill -0 "$machine" 2>/dev/null; then
			wait "$machine"
			status=$?
			grep -aq "$1" "$serial" && break
			fail "the machine exited with $status before '$1'"
		fi
		[ "$(date +%s)" -lt "$deadline" ] || fail "no '$1' within $2 s"
		sleep 0.2
	done
}

# guest_exits SECONDS: hemi ends by itself, with 0, when the guest has halted for
# good; QEMU does not.
guest_exits() {
	case $1 in tcg) guest_stop; return ;; esac
	deadline=$(($(date +%s) + $2))
	while kill -0 "$machine" 2>/dev/null; do
		[ "$(date +%s)" -lt "$deadline" ] || fail "the guest has halted, but the monitor goes on"
		sleep 0.2
	done
	wait "$machine"
	status=$?
	machine=
	[ $status -eq 0 ] || fail "the monitor exited with $status"
}
