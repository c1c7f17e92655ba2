#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# memtest.sh ROW CPU ENGINE...: Memtest86+ passes all its tests but the one that
# waits for memory to fade, without an error, on each engine; then it is told to
# restart the machine. Its menu is used through the serial port. 5 MiB are enough:
# it moves itself out of the way of the lower four.

case ${1-} in
-h | --help | '') echo "usage: memtest.sh ROW CPU ENGINE...   (rows: memtest86+, memtest86+x64)"; exit 0 ;;
esac
row=$1 cpu=$2
shift 2
. "$(dirname "$0")/guest-lib.sh"

# answer PROMPT KEYS: waits for the prompt, then types.
answer() {
	guest_wait "$1" 30
	printf "$2" >&5
}

[ -x "$HEMI" ] || skip "no $HEMI"
guest_fetch "$row"
kernel=$(head -n 1 "$work/paths")
mkfifo "$work/keys" || exit 1
for engine; do
	: >"$serial"
	"$HEMI" run --kernel "$kernel" --append 'console=ttyS0,115200 nobench nosm nosmp' --memory 5M \
		--engine "$engine" --cpu "$cpu" --no-reboot <"$work/keys" >"$serial" 2>"$work/errors" &
	machine=$!
	exec 5>"$work/keys"
	answer 'F1> Configuration' 1
	answer 'F1>  Test selection' 1
	answer 'F2>  Remove one test' 2
	answer 'Enter test #' '10\n'
	answer '\*\.\*\*\*\*\*\*\*\*\.' 00
	guest_wait 'Pass: *[1-9][0-9]* *Errors: *0' 240
	guest_wait 'Status: Pass' 30
	! grep -aq 'Errors: *[1-9]' "$serial" || fail "$row on $engine: memory errors"
	printf '\033' >&5
	guest_exits "$engine" 30
	exec 5>&-
	echo "$me: $row on $engine: passed"
done
