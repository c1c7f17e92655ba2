#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# media.sh NAME ENGINE...: a system of somebody else's, from its own medium to its menu or
# prompt, as a person would get there: on a screen that tmux keeps, with keys. What the
# screen shows at last is compared with guests/expected/media/NAME.txt.

names="u-boot grub-floppy grub-cdrom ipxe syslinux vesamenu memtest memtest-pass mach"
case ${1-} in
-h | --help | '') echo "usage: media.sh NAME ENGINE...   (names: $names)"; exit 0 ;;
esac
name=$1
shift
. "$(dirname "$0")/guest-lib.sh"
command -v tmux >/dev/null || skip "no tmux"
"$HEMI" run --display=terminal --kernel /dev/null 2>&1 </dev/null | grep -q 'not in this build' &&
	skip "built without ncurses"
tmux="tmux -L hemi-media-$$ -f /dev/null"
trap '$tmux kill-server 2>/dev/null; rm -rf "$work"' EXIT

# shown PATTERN SECONDS
shown() {
	deadline=$(($(date +%s) + $2))
	until $tmux capture-pane -p | grep -q "$1"; do
		[ "$(date +%s)" -lt "$deadline" ] || {
			$tmux capture-pane -p | grep -v '^ *$' >&2
			fail "$name on $engine: no '$1' on the screen within $2 s"
		}
		sleep 0.2
	done
}

# press KEY...: one after another, as slowly as a guest may look for them.
press() {
	for key; do
		$tmux send-keys "$key"
		sleep 0.3
	done
}

# What is made of several packages.
syslinux_floppy() { # INTERFACE
	guest_fetch syslinux-install syslinux syslinux-menu
	for tool in mformat mcopy; do
		command -v $tool >/dev/null || skip "no $tool on this host (mtools)"
	done
	install=$(sed -n 1p "$work/paths")
	cat >"$work/syslinux.cfg" <<-CONF
		ui $1
		menu title hemi
		label one
			menu label The first
			kernel one.bin
		label two
			menu label The second
			kernel two.bin
	CONF
	mformat -C -f 1440 -i "$work/floppy" :: && "$install" --install "$work/floppy" >"$work/why" 2>&1 &&
		mcopy -i "$work/floppy" "$work/syslinux.cfg" $(sed 1,2d "$work/paths") :: || skip "$(cat "$work/why")"
}

# file NAME: that one of the paths that were fetched
file() {
	grep "/$1\$" "$work/paths"
}

case $name in
grub-floppy) guest_fetch grub-rescue; options="--floppy $(file floppy),snapshot --boot a" ;;
grub-cdrom) guest_fetch grub-rescue; options="--cdrom $(file cdrom)" ;;
u-boot) guest_fetch u-boot; options="--bios $(file bios)" ;;
ipxe) guest_fetch ipxe; options="--cdrom $(file iso)" ;;
syslinux) syslinux_floppy menu.c32; options="--floppy $work/floppy --boot a" ;;
vesamenu) syslinux_floppy vesamenu.c32; options="--floppy $work/floppy --boot a" ;;
memtest*) guest_fetch memtest-iso; options="--cdrom $(file x64) --memory 16M" ;;
mach) guest_fetch gnumach; gzip -dc "$(file kernel)" >"$work/kernel"; options="--kernel $work/kernel" ;;
*) echo "media.sh: $name is unknown (names: $names)" >&2; exit 2 ;;
esac

# What is done there, up to the words at which it has got there.
visit() {
	case $name in
	grub-*) shown 'Change the colors' 60; press c; shown '^grub>' 20
		press l s Enter; shown '^(' 30; sleep 0.5 ;;
	u-boot) shown '(graphics, 1024 x 768' 40 ;;
	ipxe) shown 'Press Ctrl-B' 60; press C-b; shown 'iPXE>' 30 ;;
	syslinux) shown 'The second' 30; press Down Tab; shown '> two.bin' 20 ;;
	vesamenu) shown '(graphics, 640 x 480' 30 ;;
	memtest*) shown 'to start testing' 30; press F1; shown 'Test selection' 10
		press F1; shown 'Remove one test' 10 ;;
	mach) shown 'No bootstrap code loaded' 30 ;;
	esac
	[ $name = memtest-pass ] || return 0
	# All tests but the one that waits ten minutes for memory to fade.
	press F2; shown 'Enter test #' 10; press 1 0 Enter; shown '\*\.\*\*\*\*\*\*\*\*\.' 10
	press F10; shown 'Address range' 10; press F10
	shown 'Status: Testing' 20; shown 'Pass:  *[1-9]' 600; shown 'Errors: 0' 1
}

# Versions, speeds and times are not ours to compare; nor are empty lines at the end.
plain() {
	sed 's/\(version\|SYSLINUX\|ISOLINUX\|iPXE\|v\|Mach\|SeaBIOS (version\) *[0-9][-+.:~0-9A-Za-z]*/\1 N/g
		s/N [0-9]\{8\} /N /; s/[0-9]\.[0-9]*\.[a-z]*\.x64/N/; s/[0-9][0-9]*MHz/NMHz/; s/  *$//
		s/2[0-9][0-9][0-9]-[0-9-]* [0-9][0-9]:[0-9][0-9]:[0-9][0-9]/DATE/; s/[0-9]:[0-9][0-9]:[0-9][0-9]/TIME/' |
		sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

for engine; do
	# Paths of ours have no spaces. shellcheck disable=SC2086
	$tmux new-session -d -x 90 -y 30 "TERM=screen-256color LC_ALL=C.UTF-8 '$HEMI' run $options --serial none \
		--engine $engine --display terminal --timeout 900 --screenshot $work/screen.txt 2>$work/errors; \
		echo status \$?; sleep 1000" || skip "tmux makes no terminal here"
	visit
	press C-a x
	shown 'status 0' 10
	$tmux kill-server
	# The devices that Mach finds before are those of the PC, which may change.
	[ $name != mach ] || sed -i '1,/^RTC time/d' "$work/screen.txt"
	[ $name != memtest-pass ] || sed -i '/Errors/!d; s/.*Errors/Errors/' "$work/screen.txt"
	plain <"$work/screen.txt" >"$work/got"
	[ -z "${KEEP-}" ] || cp "$work/got" "$KEEP/$name.txt"
	diff -u "$srcdir/guests/expected/media/$name.txt" "$work/got" || fail "$name on $engine: another screen than expected"
	echo "$me: $name on $engine: as expected"
done
