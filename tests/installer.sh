#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# installer.sh [ENGINE] [ROW] [TIMEOUT]: the network installer of Debian 12 boots
# to its first question on the serial console. Its text front end prints lines
# that can be compared; with FRONTEND=newt it draws the usual dialogue, and only
# the title of that is looked for.

case ${1-} in
-h | --help) echo "usage: installer.sh [ENGINE] [installer-i386|installer-amd64] [TIMEOUT]   (engines: hybrid, interp, tcg)"; exit 0 ;;
esac
engine=${1-hybrid} row=${2-installer-i386} timeout=${3-900} frontend=${FRONTEND-text}
. "$(dirname "$0")/guest-lib.sh"

guest_fetch "$row"
kernel=$(sed -n 1p "$work/paths")
initrd=$(sed -n 2p "$work/paths")
# With less than about 600 MB the 64-bit one asks about its low memory mode first.
memory=512M
[ "$row" = installer-i386 ] || memory=1024M
# The installer takes the kernel's console, and finds by itself that it is a
# serial port with a vt102.
guest_start "$engine" "${row#installer-}" "$kernel" "$initrd" \
	"console=ttyS0 quiet acpi=off noapic nolapic DEBIAN_FRONTEND=$frontend" $memory
guest_wait 'Select a language' "$timeout"
if [ "$frontend" = text ]; then
	guest_wait 'Prompt: ' 60
	cat >"$work/expected" <<-'TEXT'
		Select a language
		-----------------
		Choose the language to be used for the installation process. The selected
		language will also be the default language for the installed system.
		Language:
		1: C,
		2: English [*],
	TEXT
	# Without escape sequences (screen's status line among them), spaces at both
	# ends, and empty lines.
	esc=$(printf '\033')
	tr '\r' '\n' <"$serial" | sed "s/$esc\[[0-9;?]*[A-Za-z]//g; s/$esc[()].//g; s/^ *//; s/ *\$//" |
		sed -n '/Select a language/,/^Prompt: /{ s/^.*Select a language/Select a language/; /^Prompt: /d; /./p; }' |
		head -n 7 >"$work/got"
	diff -u "$work/expected" "$work/got" || fail "$row on $engine: the first question is another"
fi
echo "$me: $row on $engine: asks for the language"
