#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fetch.sh: real kernels and programs out of distribution packages.
#
# Packages are resolved with package lists of our own (one set for each
# architecture), downloaded by apt-get, and the few files that a guest needs are
# taken out of them. Nothing is installed, the system's lists stay as they are,
# and no privilege is needed. A row is complete or absent: its directory is
# filled under another name and renamed at the end.
#
# To add a guest, add a row: name, architecture, package, and then for each file
# NAME=PATTERN, where PATTERN says where it is in the package (tar's wildcards).
# "@" before a package: take the package that it depends on instead.

set -u
LC_ALL=C
export LC_ALL

table() {
	cat <<'ROWS'
linux-686          i386  @linux-image-686                kernel=boot/vmlinuz-*
linux-686-pae      i386  @linux-image-686-pae            kernel=boot/vmlinuz-*
linux-amd64        amd64 @linux-image-amd64              kernel=boot/vmlinuz-*
linux-cloud-amd64  amd64 @linux-image-cloud-amd64        kernel=boot/vmlinuz-*
kvm-amd64          amd64 @linux-image-amd64              kernel=boot/vmlinuz-* irqbypass.ko=lib/modules/*/kernel/virt/lib/irqbypass.ko kvm.ko=lib/modules/*/kernel/arch/x86/kvm/kvm.ko kvm-amd.ko=lib/modules/*/kernel/arch/x86/kvm/kvm-amd.ko kvm-intel.ko=lib/modules/*/kernel/arch/x86/kvm/kvm-intel.ko ccp.ko=lib/modules/*/kernel/drivers/crypto/ccp/ccp.ko
disk-amd64         amd64 @linux-image-amd64              kernel=boot/vmlinuz-* scsi_common.ko=lib/modules/*/kernel/drivers/scsi/scsi_common.ko scsi_mod.ko=lib/modules/*/kernel/drivers/scsi/scsi_mod.ko libata.ko=lib/modules/*/kernel/drivers/ata/libata.ko ata_piix.ko=lib/modules/*/kernel/drivers/ata/ata_piix.ko crct10dif_common.ko=lib/modules/*/kernel/crypto/crct10dif_common.ko crct10dif_generic.ko=lib/modules/*/kernel/crypto/crct10dif_generic.ko crc-t10dif.ko=lib/modules/*/kernel/lib/crc-t10dif.ko crc64.ko=lib/modules/*/kernel/lib/crc64.ko crc64-rocksoft.ko=lib/modules/*/kernel/lib/crc64-rocksoft.ko t10-pi.ko=lib/modules/*/kernel/block/t10-pi.ko sd_mod.ko=lib/modules/*/kernel/drivers/scsi/sd_mod.ko cdrom.ko=lib/modules/*/kernel/drivers/cdrom/cdrom.ko sr_mod.ko=lib/modules/*/kernel/drivers/scsi/sr_mod.ko isofs.ko=lib/modules/*/kernel/fs/isofs/isofs.ko crc16.ko=lib/modules/*/kernel/lib/crc16.ko crc32c_generic.ko=lib/modules/*/kernel/crypto/crc32c_generic.ko mbcache.ko=lib/modules/*/kernel/fs/mbcache.ko jbd2.ko=lib/modules/*/kernel/fs/jbd2/jbd2.ko ext4.ko=lib/modules/*/kernel/fs/ext4/ext4.ko floppy.ko=lib/modules/*/kernel/drivers/block/floppy.ko
net-amd64          amd64 @linux-image-amd64              kernel=boot/vmlinuz-* virtio_ring.ko=lib/modules/*/kernel/drivers/virtio/virtio_ring.ko virtio.ko=lib/modules/*/kernel/drivers/virtio/virtio.ko virtio_pci_legacy_dev.ko=lib/modules/*/kernel/drivers/virtio/virtio_pci_legacy_dev.ko virtio_pci_modern_dev.ko=lib/modules/*/kernel/drivers/virtio/virtio_pci_modern_dev.ko virtio_pci.ko=lib/modules/*/kernel/drivers/virtio/virtio_pci.ko failover.ko=lib/modules/*/kernel/net/core/failover.ko net_failover.ko=lib/modules/*/kernel/drivers/net/net_failover.ko virtio_net.ko=lib/modules/*/kernel/drivers/net/virtio_net.ko virtio_blk.ko=lib/modules/*/kernel/drivers/block/virtio_blk.ko 8390.ko=lib/modules/*/kernel/drivers/net/ethernet/8390/8390.ko ne2k-pci.ko=lib/modules/*/kernel/drivers/net/ethernet/8390/ne2k-pci.ko
net-686-pae        i386  @linux-image-686-pae            kernel=boot/vmlinuz-* virtio_ring.ko=lib/modules/*/kernel/drivers/virtio/virtio_ring.ko virtio.ko=lib/modules/*/kernel/drivers/virtio/virtio.ko virtio_pci_legacy_dev.ko=lib/modules/*/kernel/drivers/virtio/virtio_pci_legacy_dev.ko virtio_pci_modern_dev.ko=lib/modules/*/kernel/drivers/virtio/virtio_pci_modern_dev.ko virtio_pci.ko=lib/modules/*/kernel/drivers/virtio/virtio_pci.ko failover.ko=lib/modules/*/kernel/net/core/failover.ko net_failover.ko=lib/modules/*/kernel/drivers/net/net_failover.ko virtio_net.ko=lib/modules/*/kernel/drivers/net/virtio_net.ko virtio_blk.ko=lib/modules/*/kernel/drivers/block/virtio_blk.ko 8390.ko=lib/modules/*/kernel/drivers/net/ethernet/8390/8390.ko ne2k-pci.ko=lib/modules/*/kernel/drivers/net/ethernet/8390/ne2k-pci.ko
installer-i386     i386  debian-installer-12-netboot-i386  kernel=usr/lib/debian-installer/images/12/i386/text/debian-installer/i386/linux initrd=usr/lib/debian-installer/images/12/i386/text/debian-installer/i386/initrd.gz
installer-amd64    amd64 debian-installer-12-netboot-amd64 kernel=usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux initrd=usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz
busybox-i386       i386  busybox-static                  busybox=bin/busybox
busybox-amd64      amd64 busybox-static                  busybox=bin/busybox
gnumach            i386  gnumach-image-1.8-486           kernel=boot/gnumach-*
memtest86+         amd64 memtest86+                      kernel=boot/memtest86+ia32.bin
memtest86+x64      amd64 memtest86+                      kernel=boot/memtest86+x64.bin
seabios            amd64 seabios                         bios=usr/share/seabios/bios-256k.bin
grub-rescue        amd64 grub-rescue-pc                  cdrom=usr/lib/grub-rescue/grub-rescue-cdrom.iso floppy=usr/lib/grub-rescue/grub-rescue-floppy.img usb=usr/lib/grub-rescue/grub-rescue-usb.img
isolinux           amd64 isolinux                        isolinux.bin=usr/lib/ISOLINUX/isolinux.bin isohdpfx.bin=usr/lib/ISOLINUX/isohdpfx.bin
syslinux           amd64 syslinux-common                 ldlinux.c32=usr/lib/syslinux/modules/bios/ldlinux.c32
ipxe               amd64 ipxe                            iso=usr/lib/ipxe/ipxe.iso
bochsbios          amd64 bochsbios                       bios=usr/share/bochs/BIOS-bochs-latest
vgabios            amd64 vgabios                         bios=usr/share/vgabios/vgabios.bin
ROWS
}

usage() {
	cat <<'HELP'
usage: fetch.sh [--list | --where | --refresh] NAME...
Make the files of the guests NAME... available and print their paths, one a line.
  --list     show what can be fetched
  --where    print the paths that are there already; download nothing
  --refresh  download again, for newer packages
Files lie in $HEMI_CACHE (default ${XDG_CACHE_HOME:-$HOME/.cache}/hemi), NAME/FILE.
HEMI_SOURCES=FILE names a sources.list to use instead of the system's.
Exit status: 0 done, 77 could not be downloaded here, 2 wrong usage, 1 other.
HELP
}

die() {
	status=$1
	shift
	echo "fetch.sh: $*" >&2
	exit "$status"
}

bounded=
cache=${HEMI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hemi}
mode=fetch
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--list) table | while read -r name arch package files; do
			printf '%-18s %-6s %s\n' "$name" "$arch" "${package#@}"
		done
		exit 0 ;;
	--where) mode=where ;;
	--refresh) mode=refresh ;;
	--) shift; break ;;
	-*) die 2 "unknown option $1 (try --help)" ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || die 2 "name a guest (try --list)"
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac

# Every apt command of ours: own lists, own cache, an empty dpkg status, one
# architecture. The system's sources, keys and proxies are used; its pins and the
# commands that it runs after an update are not.
apt() {
	command=$1
	shift
	$bounded "$command" -qq -c "$apt/conf" ${HEMI_SOURCES:+-o Dir::Etc::sourcelist="$HEMI_SOURCES" -o Dir::Etc::sourceparts=/dev/null} "$@"
}

configure() {
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" || return 1
	cat >"$apt/conf" <<-CONF
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
		#clear APT::Architectures;
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "";
		Dir::State "$apt";
		Dir::State::Lists "$apt/lists";
		Dir::State::status "/dev/null";
		Dir::Cache "$apt/cache";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::http::Timeout "30";
	CONF
}

# One source that fails (a mirror in the middle of its own update) need not
# matter: whether the package is known afterwards is what counts.
update() {
	bounded=
	! command -v timeout >/dev/null || bounded="timeout -k 5 150"
	apt apt-get update >"$apt/update.log" 2>&1
	bounded=
	: >"$apt/updated"
}

# Without a network each try may take minutes: the next test need not try again.
failed_just_now() {
	[ "$mode" = fetch ] && [ -n "$(find "$apt/failed" -mmin -10 2>/dev/null)" ]
}

lists_are_fresh() {
	[ -n "$(find "$apt/updated" -mmin -1440 2>/dev/null)" ]
}

# The package to download: for a meta package the newest that it depends on.
resolve() {
	case $package in
	@*) apt apt-cache depends --no-recommends --no-suggests "${package#@}" 2>/dev/null |
		sed -n 's/^ *Depends: \([a-z0-9][^ ]*\)$/\1/p' | head -n 1 ;;
	*) apt apt-cache show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Package: //p' | head -n 1 ;;
	esac
}

fetch() { # uses name, arch, package, files
	for tool in apt-get apt-cache dpkg-deb tar; do
		command -v "$tool" >/dev/null || die 77 "$name: no $tool on this host"
	done
	apt=$cache/apt/$arch
	configure || die 1 "cannot write $apt"
	! failed_just_now || die 77 "$name: downloading failed a few minutes ago (--refresh tries again)"
	rm -f "$apt/failed"
	lists_are_fresh && [ "$mode" = fetch ] || update
	temp=$cache/.$name.$$
	trap 'rm -rf "$temp"' EXIT
	trap 'exit 1' HUP INT TERM
	# What a run that was killed an hour ago has left.
	find "$cache" -maxdepth 1 -name ".$name.*" -mmin +60 -exec rm -rf {} + 2>/dev/null
	rm -rf "$temp"
	mkdir -p "$temp/deb" "$temp/new" || die 1 "cannot write $temp"
	# Lists that are older than the archive name files which have gone: try
	# once more with new ones.
	for attempt in first second; do
		real=$(resolve)
		: >"$apt/log"
		if [ -n "$real" ] && (cd "$temp/deb" && apt apt-get download "$real") >"$apt/log" 2>&1; then
			break
		fi
		[ "$attempt" = first ] || : >"$apt/failed"
		[ "$attempt" = first ] || die 77 "$name: cannot download ${real:-${package#@}}: $(grep -h '^[EW]:' "$apt/log" "$apt/update.log" | head -n 1 | cut -c4-140)"
		update
	done
	set +f
	set -- "$temp"/deb/*.deb
	set -f
	[ -f "$1" ] || die 77 "$name: apt-get downloaded nothing for $real"
	# All files in one go: unpacking a kernel's package takes seconds.
	dpkg-deb --fsys-tarfile "$1" |
		tar -xf - -C "$temp/deb" --wildcards $(for file in $files; do echo "./${file#*=}"; done) 2>/dev/null
	for file in $files; do
		pattern=${file#*=}
		set +f
		set -- "$1" "$temp/deb/"$pattern
		set -f
		[ -f "$2" ] || die 1 "$name: no ${file#*=} in $real"
		cp "$2" "$temp/new/${file%%=*}" || die 1 "cannot write $temp"
	done
	basename "$1" .deb >"$temp/new/package"
	# Another process may have been faster, which is as good.
	[ "$mode" = fetch ] || rm -rf "${cache:?}/$name"
	mv -T "$temp/new" "$cache/$name" 2>/dev/null || [ -f "$cache/$name/package" ] || die 1 "cannot write $cache/$name"
	rm -rf "$temp"
	trap - EXIT HUP INT TERM
}

# Patterns stay patterns until they are looked up in an unpacked package.
set -f
mkdir -p "$cache" || die 1 "cannot make $cache"
for name in "$@"; do
	row=$(table | grep "^$name ") || die 2 "no guest is called $name (try --list)"
	IFS=' ' read -r name arch package files <<ROW
$row
ROW
	if [ ! -f "$cache/$name/package" ] || [ "$mode" = refresh ]; then
		[ "$mode" != where ] || exit 77
		if command -v flock >/dev/null; then
			exec 9>"$cache/.lock" && flock 9
		fi
		[ "$mode" = fetch ] && [ -f "$cache/$name/package" ] || fetch
		exec 9>&-
	fi
	for file in $files; do
		echo "$cache/$name/${file%%=*}"
	done
done
