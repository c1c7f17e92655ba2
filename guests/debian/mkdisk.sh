#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# mkdisk.sh: a whole Debian on a partitioned disk, which starts by itself.
#
# debootstrap unpacks and configures the packages in a directory (its chroot is what root
# is needed for), mke2fs makes the file system out of that directory, and GRUB's two
# images are copied to where a BIOS and each other look for them. No loop device and no
# mount of the image is needed, so it works in a container.

set -eu
LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH

suite=bookworm password=hemi
uuid=68656d69-0000-4000-8000-000000000001
# The partition begins at 1 MiB, GRUB's core image before it.
start=2048
packages=systemd-sysv,udev,dbus,kmod,e2fsprogs,initramfs-tools,gcc,libc6-dev

usage() {
	cat <<HELP
usage: mkdisk.sh [--refresh | --where] i386|amd64 OUT
Write the disk image OUT (raw, sparse, 2 GiB) with Debian 12 on its first partition:
systemd, a kernel, gcc. It boots by BIOS and GRUB, console on the first serial port; log in
as root, password "$password". Needs root, debootstrap, mke2fs, sfdisk, and GRUB's i386-pc
modules (grub-pc-bin, grub-common) on this host.
  --refresh  install again, for newer packages
  --where    print where the image is if it was made before, and write nothing (no OUT)
The image, and the packages that it was made of, are kept in \$HEMI_CACHE (default
\${XDG_CACHE_HOME:-\$HOME/.cache}/hemi), disk-system-ARCH/, so the second time is a copy.
Exit status: 0 done, 77 it cannot be made on this host, 2 wrong usage, 1 other.
HELP
}

die() {
	status=$1
	shift
	echo "mkdisk.sh: $*" >&2
	exit "$status"
}

say() {
	echo "mkdisk.sh: $*" >&2
}

refresh= where=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--refresh) refresh=yes ;;
	--where) where=yes ;;
	-*) die 2 "unknown option $1 (try --help)" ;;
	*) break ;;
	esac
	shift
done
case ${1-} in
i386) kernel=linux-image-686-pae ;;
amd64) kernel=linux-image-amd64 ;;
*) die 2 "name an architecture: i386 or amd64 (try --help)" ;;
esac
[ $# -eq "$([ -n "$where" ] && echo 1 || echo 2)" ] || die 2 "wrong number of arguments (try --help)"
arch=$1 out=${2-}
cache=${HEMI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hemi}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
store=$cache/disk-system-$arch

need() {
	[ "$(id -u)" = 0 ] || die 77 "only root can make it (debootstrap needs chroot)"
	for tool in debootstrap mke2fs sfdisk grub-mkimage; do
		command -v $tool >/dev/null || die 77 "no $tool on this host"
	done
	[ -f /usr/lib/grub/i386-pc/boot.img ] || die 77 "no modules of GRUB for i386-pc on this host (grub-pc-bin)"
	[ "$(uname -m)" = x86_64 ] || [ "$arch" = i386 ] || die 77 "a chroot of $arch cannot run on $(uname -m)"
}

# Where this host gets its own packages from, rather than a mirror of our choice.
mirror() {
	# $(REPO_URI) is apt's. shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 2>/dev/null | head -n 1
}

install_packages() {
	say "installing $suite for $arch with $kernel and $packages"
	mkdir -p "$cache/debs-$arch"
	DPKG_FORCE=unsafe-io DEBIAN_FRONTEND=noninteractive debootstrap --variant=minbase --arch="$arch" \
		--cache-dir="$cache/debs-$arch" --include="$packages,$kernel" "$suite" "$root" $(mirror) \
		>"$temp/log" 2>&1 || {
		grep -aq 'Failed getting release\|Couldn.t download\|Unable to connect' "$temp/log" &&
			die 77 "$arch: $(grep -a '^E:' "$temp/log" | tail -n 1 | cut -c4-)"
		cp "$temp/log" "$cache/disk-system-$arch.log"
		die 1 "debootstrap: $(tail -n 1 "$temp/log") (all of it in $cache/disk-system-$arch.log)"
	}
}

configure() {
	say "configuring"
	echo "root:$password" | chroot "$root" chpasswd || die 1 "cannot set the password"
	echo hemi >"$root/etc/hostname"
	printf '127.0.0.1 localhost hemi\n' >"$root/etc/hosts"
	echo "UUID=$uuid / ext4 errors=remount-ro 0 1" >"$root/etc/fstab"
	home=$root/root
	printf '#include <stdio.h>\nint main(void)\n{\n\tputs("hello, world");\n\treturn 0;\n}\n' >"$home/hello.c"
	rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
	mkdir -p "$root/boot/grub/i386-pc"
	cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
	cat >"$root/boot/grub/grub.cfg" <<-CONF
		serial --unit=0 --speed=115200
		terminal_input serial
		terminal_output serial
		set timeout=0
		set root=hd0,msdos1
		echo "GRUB is here"
		linux /vmlinuz root=UUID=$uuid ro console=ttyS0 quiet
		initrd /initrd.img
		boot
	CONF
}

# The boot sector loads the core image's first sector from sector 1, and that the rest from
# sector 2 on: so both images are made, and need no table of where they lie.
make_image() {
	say "making the file system"
	truncate -s 2G "$temp/image"
	printf 'label: dos\nstart=%d, type=83, bootable\n' $start | sfdisk -q "$temp/image" || die 1 "sfdisk failed"
	mke2fs -q -t ext4 -U "$uuid" -L hemi -d "$root" -E offset=$((start * 512)) "$temp/image" \
		$((2 * 1024 * 1024 - start / 2))k >"$temp/log" 2>&1 || die 1 "mke2fs: $(tail -n 1 "$temp/log")"
	grub-mkimage -d /usr/lib/grub/i386-pc -O i386-pc -p '(hd0,msdos1)/boot/grub' -o "$temp/core" \
		biosdisk part_msdos ext2 || die 1 "grub-mkimage failed"
	[ "$(stat -c %s "$temp/core")" -le $(((start - 1) * 512)) ] || die 1 "GRUB's core image is too large"
	dd if=/usr/lib/grub/i386-pc/boot.img of="$temp/image" bs=440 count=1 conv=notrunc status=none
	dd if="$temp/core" of="$temp/image" bs=512 seek=1 conv=notrunc status=none
}

make_store() {
	need
	temp=$(mktemp -d "$cache/.disk-system-$arch.XXXXXX") || die 1 "cannot write $cache"
	root=$temp/root
	# Whatever debootstrap has left mounted there must go before the directory does.
	trap 'umount -R "$root/proc" "$root/sys" 2>/dev/null || :; rm -rf --one-file-system "$temp"' EXIT
	trap 'exit 1' HUP INT TERM
	mkdir "$root"
	chmod 755 "$temp" "$root"
	install_packages
	umount -R "$root/proc" "$root/sys" 2>/dev/null || :
	configure
	make_image
	mkdir "$temp/new"
	mv "$temp/image" "$temp/new/image"
	recipe >"$temp/new/recipe"
	rm -rf "$store"
	mv -T "$temp/new" "$store"
}

# What an image was made of. The number rises when anything below, or how it is put together,
# makes another one.
recipe() {
	echo "1 $suite $arch $kernel $packages"
}

fresh() {
	[ -f "$store/recipe" ] && [ "$(recipe)" = "$(cat "$store/recipe")" ]
}

if [ -n "$where" ]; then
	fresh || exit 77
	echo "$store/image"
	exit 0
fi
mkdir -p "$cache"
if command -v flock >/dev/null; then
	exec 9>"$cache/.lock-system-$arch"
	flock 9
fi
if [ -n "$refresh" ] || ! fresh; then
	make_store
fi
say "copying to $out"
cp --sparse=always --reflink=auto "$store/image" "$out" || die 1 "cannot write $out"
