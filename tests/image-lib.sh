# SPDX-License-Identifier: BSD-2-Clause
#
# image-lib.sh: for scripts that run the guest disk (guests/disk.S) on images. To be sourced.

: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}" "${builddir:=.}"
: "${HEMI:=$builddir/hemi}"
case $HEMI in /*) ;; *) HEMI=$PWD/$HEMI ;; esac
LC_ALL=C
export LC_ALL
me=$(basename "$0")
work=$(mktemp -d "${TMPDIR:-/tmp}/hemi-images.XXXXXX") || exit 99
trap 'cd / && rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
guest=$(cd "$builddir/guests" && pwd)/disk.elf
cd "$work" || exit 99
mkdir tmp
TMPDIR=$work/tmp
export TMPDIR
bad=0

skip() {
	echo "$me: skipped: $*"
	exit 77
}

note_bad() {
	bad=$((bad + 1))
	echo "FAIL: $*"
	sed 's/^/	stdout: /' out
	sed 's/^/	stderr: /' err
}

[ -x "$HEMI" ] && [ -f "$guest" ] || skip "no $HEMI, or no $guest"
: >out
: >err
run="$HEMI run --kernel $guest --memory 4M --debug-exit --serial stdio --timeout 100"

# Can images that are not raw be used here?
need_formats() {
	for tool in qemu-img qemu-nbd; do
		command -v $tool >/dev/null || skip "no $tool (qemu-utils)"
	done
	printf 'QFI\373' >probe
	$run --disk probe,format=qcow2 >out 2>err </dev/null
	! grep -q 'built without libnbd' err || skip "$(cat err)"
}

# expect STATUS LINES PATTERN COMMAND...: standard error has LINES lines, the first
# matching PATTERN.
expect() {
	status=$1 lines=$2 pattern=$3
	shift 3
	timeout -k 5 100 "$@" >out 2>err </dev/null
	got=$?
	[ $got = "$status" ] || note_bad "exit $got, not $status: $*"
	[ "$(wc -l <err)" = "$lines" ] || note_bad "$(wc -l <err) lines, not $lines: $*"
	[ -z "$pattern" ] || head -n 1 err | grep -Eq -e "$pattern" || note_bad "not '$pattern': $*"
}

# said TEXT: the guest's last words.
said() {
	[ "$(tail -n 1 out)" = "$1" ] || note_bad "the guest did not say '$1'"
}

# children PID: its programs qemu-nbd.
children() {
	for stat in /proc/[0-9]*/stat; do
		{ read -r pid name state parent rest <"$stat"; } 2>/dev/null || continue
		[ "$parent" = "$1" ] && [ "$name" = '(qemu-nbd)' ] && [ "$state" != Z ] && echo "$pid"
	done
	return 0
}

# within SECONDS COMMAND...: until it succeeds.
within() {
	deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# start COMMAND...: in the background, as $machine, until its guest has written once.
start() {
	: >out
	"$@" >out 2>err </dev/null &
	machine=$!
	within 60 grep -q 'one round' out || note_bad "no round: $*"
}

gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

finish() {
	[ -z "$(ls -A tmp)" ] || note_bad "files are left behind: $(ls -A tmp)"
	[ $bad = 0 ] || exit 1
	echo "$me: $1"
	exit 0
}
