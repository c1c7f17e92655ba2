#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# mkiso.sh: a bootable image of a kernel, with GRUB or ISOLINUX, both on the first serial
# port. It boots as a disk as well as a CD (GRUB), or as a CD (ISOLINUX).

set -eu
LC_ALL=C
export LC_ALL

usage() {
	cat <<'HELP'
usage: mkiso.sh grub|isolinux OUT KERNEL INITRD APPEND
Write the image OUT that boots KERNEL with INITRD and the command line APPEND.
grub needs grub-mkrescue, its i386-pc modules, mtools and xorriso on this host; isolinux
needs xorriso and gets the rest from fetch.sh.
Exit status: 0 done, 77 this host lacks a tool, 2 wrong usage, 1 other.
HELP
}

die() {
	status=$1
	shift
	echo "mkiso.sh: $*" >&2
	exit "$status"
}

case ${1-} in
-h | --help) usage; exit 0 ;;
grub | isolinux) loader=$1 ;;
*) usage >&2; exit 2 ;;
esac
[ $# -eq 5 ] || die 2 "wrong number of arguments (try --help)"
out=$2 kernel=$3 initrd=$4 append=$5
here=$(dirname "$0")
command -v xorriso >/dev/null || die 77 "no xorriso on this host"
root=$(mktemp -d "${TMPDIR:-/tmp}/hemi-iso.XXXXXX")
trap 'rm -rf "$root" "$root.log"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$root/boot/grub" "$root/isolinux"
cp "$kernel" "$root/boot/vmlinuz"
cp "$initrd" "$root/boot/initrd"

case $loader in
grub)
	for tool in grub-mkrescue mformat; do
		command -v $tool >/dev/null || die 77 "no $tool on this host"
	done
	[ -d /usr/lib/grub/i386-pc ] || die 77 "no modules of GRUB for i386-pc on this host (grub-pc-bin)"
	rmdir "$root/isolinux"
	cat >"$root/boot/grub/grub.cfg" <<-CONF
		serial --unit=0 --speed=115200
		terminal_input serial
		terminal_output serial
		echo "GRUB is here"
		linux /boot/vmlinuz $append
		initrd /boot/initrd
		boot
	CONF
	grub-mkrescue -d /usr/lib/grub/i386-pc -o "$out" "$root" >"$root.log" 2>&1 ||
		die 1 "grub-mkrescue: $(grep -v "^ *$" "$root.log" | tail -n 2 | tr "\n" " ")"
	;;
isolinux)
	files=$(sh "$here/fetch.sh" isolinux syslinux) || exit $?
	rm -r "$root/boot/grub"
	for file in $files; do
		cp "$file" "$root/isolinux/"
	done
	cat >"$root/isolinux/isolinux.cfg" <<-CONF
		serial 0 115200
		default linux
		say ISOLINUX is here
		label linux
		kernel /boot/vmlinuz
		append initrd=/boot/initrd $append
	CONF
	xorriso -as mkisofs -quiet -R -o "$out" -b isolinux/isolinux.bin -c isolinux/boot.cat \
		-no-emul-boot -boot-load-size 4 -boot-info-table "$root" >"$root.log" 2>&1 ||
		die 1 "xorriso: $(tail -n 1 "$root.log")"
	;;
esac
