# SPDX-License-Identifier: BSD-2-Clause
#
# nested-lib.sh: what goes into a host of our own making, for nested-svm.sh and
# nested-vtx.sh. Debian's amd64 kernel with its KVM modules, busybox, this build of
# hemi with the libraries it needs, the guests, and a kernel with an initramfs to boot
# once more in there. To be sourced, after guest-lib.sh.

# nested_initrd OUT MODULE COMMAND...: an initramfs that loads KVM with MODULE
# (kvm-amd or kvm-intel), runs each COMMAND and says its exit status. Uses $kernel.
nested_initrd() {
	out=$1 module=$2
	shift 2
	[ -x "$HEMI" ] || skip "no $HEMI"
	for tool in cpio ldd; do
		command -v $tool >/dev/null || skip "no $tool on this host"
	done
	root=$work/root
	mkdir -p "$root/hemi/guests" "$root/hemi/boot" "$root/modules" "$root/hemi/tests"
	{
		cat <<-'SCRIPT'
			export HEMI=/hemi/hemi srcdir=/hemi builddir=/hemi TMPDIR=/tmp NO_SKIP=1
			for m in irqbypass kvm ccp MODULE; do
				insmod /modules/$m.ko 2>/dev/null || echo "nested: no module $m"
			done
			[ -c /dev/kvm ] && echo "nested: kvm" || echo "nested: no kvm"
			dmesg | grep -i 'kvm.*\(nested\|EPT\|disabled\)'
			nested() {
				echo "nested: run $1"
				(eval "$1")
				echo "nested: exit $?"
			}
		SCRIPT
		for command; do
			printf "nested '%s'\n" "$(printf %s "$command" | sed "s/'/'\\\\''/g")"
		done
	} | sed "s/MODULE/$module/" >"$work/script"
	sh "$srcdir/guests/debian/mkinitrd.sh" amd64 "$work/base" "$work/script" 2>"$work/why" || {
		[ $? -ne 77 ] || skip "$(cat "$work/why")"
		fail "$(cat "$work/why")"
	}
	# A guest in the guest: its initramfs has no hemi in it.
	sh "$srcdir/guests/debian/mkinitrd.sh" amd64 "$root/hemi/boot/initrd" \
		$(ls "$builddir/guests/workloads/workloads64" 2>/dev/null) || fail "no initramfs"
	cp "$builddir/guests/workloads/workloads64" "$root/hemi/boot/workloads" 2>/dev/null
	cp "$kernel" "$root/hemi/boot/kernel"
	cp "$HEMI" "$root/hemi/hemi"
	cp "$builddir"/guests/*.elf "$root/hemi/guests/"
	cp -r "$srcdir/guests/expected" "$root/hemi/guests/"
	cp "$srcdir/tests/run-guest.sh" "$srcdir/tests/guests.test" \
		"$srcdir"/tests/nested-linux.sh "$srcdir"/tests/nested-ends.sh \
		"$srcdir"/tests/nested-cost.sh "$root/hemi/tests/"
	unit=$(ls "$builddir/tests/check_kvm" 2>/dev/null) # is made for checks only
	[ -z "$unit" ] || cp "$unit" "$root/hemi/tests/"
	cp "$(dirname "$kernel")"/*.ko "$root/modules/"
	# Every library by the path that the program loader will look for.
	ldd "$HEMI" ${unit:+"$unit"} | sed -n 's/.*\(=> \|^[[:space:]]*\)\(\/[^ ]*\) .*/\2/p' | sort -u | while read -r lib; do
		mkdir -p "$root$(dirname "$lib")"
		cp -L "$lib" "$root$lib"
	done
	find "$root" -name '*.so*' -exec strip --strip-unneeded {} + 2>/dev/null
	strip "$root/hemi/hemi" ${unit:+"$root/hemi/tests/check_kvm"} "$root"/modules/*.ko --strip-debug 2>/dev/null
	(cd "$root" && find . -mindepth 1 | sort | cpio -o -H newc --owner=0:0 --quiet) | gzip -1 >"$work/extra"
	cat "$work/base" "$work/extra" >"$out"
}

# nested_result COUNT: all of the commands ran and succeeded, else the end of the test.
nested_result() {
	tr -d '\r' <"$serial" | grep -av '^\[ *[0-9.]*\] ' >"$work/text"
	sed -n '/^nested:/,/^hemi: end script/p' "$work/text"
	grep -aq '^nested: kvm' "$work/text" || fail "no KVM in the nested host"
	good=$(grep -ac '^nested: exit 0' "$work/text")
	[ "$good" = "$1" ] || fail "$good of $1 commands succeeded"
}
