#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# nested-ends.sh FLAG...: inside the nested host, the ends that a run can come to in spite of
# its guest: --timeout, an interrupt from the terminal, a triple fault. The guest is a
# kernel without a root file system, which panics and then turns in circles, or resets.

bad=0
guest() {
	"$HEMI" run --kernel /hemi/boot/kernel --memory 256M "$@" </dev/null >/tmp/out 2>/tmp/err
}
ends() { # STATUS TEXT WHAT GOT
	if [ "$4" = "$1" ] && grep -q "$2" /tmp/err; then
		echo "ok: $3"
	else
		echo "FAIL: $3: exit status $4, not $1"
		head -n 5 /tmp/err
		tail -n 5 /tmp/out
		bad=1
	fi
}

guest "$@" --timeout 15 --append "console=ttyS0 acpi=off noapic nolapic panic=0"
ends 124 'stopped after' "--timeout" $?
# While the kernel is still being unpacked, which takes its time in here: it is not entered.
guest "$@" --verbose --timeout 300 --append "console=ttyS0 acpi=off noapic nolapic panic=0" &
sleep 1
kill -INT $(pidof hemi)
wait $!
ends 130 'signal 2' "interrupted at once" $?
! grep 'entered at' /tmp/err || { echo "FAIL: it was not interrupted at once"; bad=1; }
guest "$@" --timeout 300 --append "console=ttyS0 acpi=off noapic nolapic panic=0" &
for i in $(seq 250); do
	! grep -q Linux /tmp/out || break
	sleep 1
done
sleep 1
kill -INT $(pidof hemi)
wait $!
ends 130 'signal 2' "interrupted" $?
guest "$@" --timeout 300 --append "console=ttyS0 acpi=off noapic nolapic panic=-1 reboot=t"
ends 3 'triple fault; the vCPU:' "triple fault" $?
exit $bad
