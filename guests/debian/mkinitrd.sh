#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# mkinitrd.sh: an initramfs with busybox, our init, and the files named.
#
# Equal input gives equal bytes (sorted names, one date, owner root, gzip without
# a name). No privilege is needed: devtmpfs makes the device nodes, and
# /dev/console is in the initramfs that every kernel has built in.

set -eu
LC_ALL=C
export LC_ALL

usage() {
	cat <<'HELP'
usage: mkinitrd.sh i386|amd64 OUT [[NAME=]FILE...]
Write the initramfs OUT with busybox of that architecture, /init, and each FILE
as /bin/NAME (default: its last component; "workloads32" and "workloads64" become
"workloads"). What /init does is said by hemi.run= on the kernel's command line:
see the head of guests/debian/init. Busybox comes from fetch.sh.
Exit status: 0 done, 77 busybox could not be downloaded, 2 wrong usage, 1 other.
HELP
}

die() {
	status=$1
	shift
	echo "mkinitrd.sh: $*" >&2
	exit "$status"
}

case ${1-} in
-h | --help) usage; exit 0 ;;
i386 | amd64) arch=$1 ;;
*) usage >&2; exit 2 ;;
esac
[ $# -ge 2 ] || die 2 "name the file to write (try --help)"
out=$2
shift 2
here=$(dirname "$0")
command -v cpio >/dev/null || die 77 "no cpio on this host"
busybox=$(sh "$here/fetch.sh" "busybox-$arch") || exit $?

root=$(mktemp -d "${TMPDIR:-/tmp}/hemi-initrd.XXXXXX")
trap 'rm -rf "$root" "$out.$$"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/etc"
cp "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$here/init" "$root/init"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
for file; do
	path=${file#*=}
	name=$(basename "$path")
	[ "$path" = "$file" ] || name=${file%%=*}
	case $name in workloads32 | workloads64) name=workloads ;; esac
	[ -f "$path" ] || die 1 "$path: no such file"
	cp "$path" "$root/bin/$name"
done
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f -exec chmod 755 {} +
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -mindepth 1 | sort | cpio -o -H newc --owner=0:0 --reproducible --quiet) |
	gzip -n -1 >"$out.$$"
mv "$out.$$" "$out"
