#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# bios-boot.sh MEDIUM LOADER ENGINE...: SeaBIOS starts a boot loader from a disk or a CD, that
# loads a packaged kernel, and the kernel's own drivers find the machine by ACPI and PCI: it
# mounts the medium that it came from, and writes to an ext4 file system on another disk,
# which is looked at from here afterwards; likewise a floppy. Then it powers the machine off.

case ${1-} in
-h | --help | '') echo "usage: bios-boot.sh disk|cdrom grub|isolinux ENGINE..."; exit 0 ;;
esac
medium=$1 loader=$2
shift 2
. "$(dirname "$0")/guest-lib.sh"

for tool in mke2fs debugfs; do
	command -v $tool >/dev/null || skip "no $tool on this host"
done
[ -x "$HEMI" ] || skip "no $HEMI"
guest_fetch seabios disk-amd64
bios=$(sed -n 1p "$work/paths") kernel=$(sed -n 2p "$work/paths")
modules=$(sed 1,2d "$work/paths")
# Host, cable, drive: the names sda and sdb go to whom is found first.
case $medium in
disk) source=0:0:0:0 target=0:0:1:0 ;;
*) source=1:0:0:0 target=0:0:0:0 ;;
esac

cat >"$work/script" <<SCRIPT
for module in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do
	insmod /bin/\$module || echo "insmod \$module failed"
done
for i in 1 2 3 4 5 6 7 8 9 10; do
	source=\$(ls /sys/bus/scsi/devices/$source/block)
	target=\$(ls /sys/bus/scsi/devices/$target/block)
	[ -b "/dev/\$source" ] && [ -b "/dev/\$target" ] && break
	sleep 1
done 2>/dev/null
mkdir /source /target
mount -t iso9660 -o ro /dev/\$source /source && mount -t ext4 /dev/\$target /target || exit
cat /target/greeting
grep -c "IO-APIC.*timer" /proc/interrupts
sha256sum </source/boot/vmlinuz
cp /source/boot/vmlinuz /target/copy
echo written by the guest >/target/answer
sync
echo 3 >/proc/sys/vm/drop_caches
sha256sum </target/copy
umount /target && umount /source && echo unmounted
sha256sum </dev/fd0
echo written to the floppy | dd of=/dev/fd0 bs=18 seek=40000 conv=notrunc 2>/dev/null
sync
SCRIPT
sh "$srcdir/guests/debian/mkinitrd.sh" amd64 "$work/initrd" "script=$work/script" $modules \
	>"$work/why" 2>&1 || {
	[ $? -ne 77 ] || skip "$(cat "$work/why")"
	fail "$(cat "$work/why")"
}
sh "$srcdir/guests/debian/mkiso.sh" "$loader" "$work/iso" "$kernel" "$work/initrd" \
	'console=ttyS0 hemi.run=script' >"$work/why" 2>&1 || {
	[ $? -ne 77 ] || skip "$(cat "$work/why")"
	fail "$(cat "$work/why")"
}
mkdir "$work/files"
echo "hello from the host" >"$work/files/greeting"
sum=$(sha256sum <"$kernel")
cat >"$work/begins" <<EXPECTED
hemi: begin script
hello from the host
1
$sum
$sum
unmounted
hemi: end script 0
hemi: poweroff
EXPECTED

for engine; do
	rm -f "$work/ext4"
	mke2fs -q -t ext4 -d "$work/files" "$work/ext4" 48M >/dev/null || fail "mke2fs failed"
	before=$(sha256sum <"$work/iso")
	case $medium in
	disk) set_medium="--disk $work/iso,snapshot" ;;
	*) set_medium="--cdrom $work/iso" ;;
	esac
	head -c 1474560 /dev/urandom >"$work/floppy"
	{
		sed '/^hemi: end/,$d' "$work/begins"
		sha256sum <"$work/floppy"
		sed '/^hemi: end/,$!d' "$work/begins"
	} >"$work/expected"
	: >"$serial"
	# Paths of ours have no spaces. shellcheck disable=SC2086
	"$HEMI" run --bios "$bios" $set_medium --disk "$work/ext4" --floppy "$work/floppy" --boot dc --memory 512M \
		--engine "$engine" --debugcon "file:$work/debugcon" --serial "file:$serial" \
		--no-reboot </dev/null >"$work/errors" 2>&1 &
	machine=$!
	guest_wait 'hemi: poweroff' 240
	guest_exits "$engine" 30
	grep -aqi "$loader is here" "$serial" || fail "no word of $loader"
	tr -d '\r' <"$serial" | sed -n '/^hemi: begin/,/^hemi: poweroff/p' | grep -v '^\[ *[0-9.]*\] ' >"$work/got"
	diff -u "$work/expected" "$work/got" || fail "$medium, $loader, $engine: other output than expected"
	[ "$(debugfs -R 'cat answer' "$work/ext4" 2>/dev/null)" = "written by the guest" ] ||
		fail "the disk does not hold what the guest has written"
	tail -c +720001 "$work/floppy" | head -c 22 | grep -q 'written to the floppy' ||
		fail "the floppy does not hold what the guest has written"
	debugfs -R "dump copy $work/copy" "$work/ext4" 2>/dev/null
	cmp "$work/copy" "$kernel" || fail "the guest's copy differs"
	[ "$before" = "$(sha256sum <"$work/iso")" ] || fail "the image has changed"
	echo "$me: $medium, $loader, $engine: as expected"
done
